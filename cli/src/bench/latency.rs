//! From submitting a payment to seeing it in the API.

use super::report::{Figure, Goal, Report};
use crate::{
    arguments::{BenchArguments, ChainKind},
    cast::Cast,
    stage::{Stage, StageOptions},
};
use anyhow::{Context, bail};
use rebate_client::{oracle, recorder::Recorder};
use rebate_core::{
    payment::Payment,
    units::{Amount, OrderHash, Timestamp},
};
use rebate_rulefile::RuleFile;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How many payments, one after the other.
const PAYMENTS: usize = 120;

/// How often the API is asked.
const LOOK: Duration = Duration::from_millis(5);

/// How long a payment may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures the way through validator, indexer and API.
///
/// # Errors
/// What did not start or did not arrive.
pub async fn measure(arguments: &BenchArguments, rules: &RuleFile, report: &mut Report) -> anyhow::Result<()> {
    let options = StageOptions {
        chain: ChainKind::Validator,
        program: arguments.program.clone(),
        local: arguments.local.clone(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    };
    let stage = Stage::set(&options, |what| println!("  · {what}")).await?;
    let measured = payments(&stage, rules).await;
    stage.strike().await?;
    let mut latencies = measured?;
    latencies.sort_unstable();
    let percentile = |percent: usize| {
        let at = latencies.len().saturating_mul(percent).div_ceil(100).saturating_sub(1);
        latencies.get(at).copied().unwrap_or_default().as_secs_f64() * 1_000.0
    };
    for (name, percent, goal) in
        [("latency.submit_to_api_ms.p50", 50, Goal::None), ("latency.submit_to_api_ms.p99", 99, Goal::AtMost(1_500.0))]
    {
        report.add(
            Figure {
                name,
                value: percentile(percent).round(),
                unit: "ms",
                note: format!(
                    "{PAYMENTS} payments one after the other, from signing to the API's answer; the slot of 400 ms and \
                     the vote on it bound it; API asked every {} ms",
                    LOOK.as_millis()
                ),
            },
            goal,
        );
    }
    Ok(())
}

async fn payments(stage: &Stage, rules: &RuleFile) -> anyhow::Result<Vec<Duration>> {
    let cast = Cast::new();
    let addresses = cast.publish(&*stage.chain, rules).await?;
    let mut recorder = Recorder::new(&*stage.chain, addresses.platform, &cast.payer).await?;
    let client = reqwest::Client::builder().timeout(PATIENCE).build().context("an HTTP client")?;
    let now = Timestamp(stage.chain.now().await?);
    let mut latencies = Vec::new();
    for at in 0..PAYMENTS {
        let number = format!("B{at}");
        let payment = Payment {
            order: OrderHash::of(&number),
            user: cast.user(&(at % 10).to_string()),
            amount: Amount(5_000),
            paid_at: now,
            product: 1,
            ..Payment::default()
        };
        recorder.open_for(&[payment]).await?;
        let begun = Instant::now();
        let signed = oracle::sign(&cast.oracle, &addresses.platform, &[payment])
            .map_err(|_| anyhow::anyhow!("a batch has more than 255 records"))?;
        let url = format!("{}/v1/orders/{number}?by=number", stage.api);
        let payments = [payment];
        let seen = async {
            while !client.get(&url).send().await?.status().is_success() {
                if begun.elapsed() > PATIENCE {
                    bail!("order {number} did not appear within {PATIENCE:?}");
                }
                sleep(LOOK).await;
            }
            Ok(begun.elapsed())
        };
        let recorded = async { Ok::<_, anyhow::Error>(recorder.record(&payments, &signed).await?) };
        let (latency, _) = tokio::try_join!(seen, recorded)?;
        latencies.push(latency);
    }
    Ok(latencies)
}
