//! `rebate oracle`.

use crate::{arguments::OracleCommand, pay::secret, platform::reach};
use anyhow::{Context, bail};
use rebate_client::Pubkey;
use rebate_oracle::{
    database,
    load::{self, Ended, Load, Times},
    outbox::queue,
    reconcile::{self, Export},
};
use std::{fs::File, path::Path, time::Duration};
use time::OffsetDateTime;

/// Connections to the oracle's database.
const CONNECTIONS: u32 = 2;

/// How long the last orders of a load may take to be confirmed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Does what the command says.
///
/// # Errors
/// One clear reason; that there are differences is one.
pub async fn run(command: OracleCommand) -> anyhow::Result<()> {
    match command {
        OracleCommand::Reconcile {
            export,
            platform,
            database_url,
            rpc,
            order_column,
            amount_column,
            decimals,
            provider,
        } => {
            let settings = Export { order_column, amount_column, decimals };
            compare(&export, &platform, &database_url, &rpc, &settings, provider.as_deref()).await
        }
        OracleCommand::Retry { order, platform, database_url } => retry(&order, &platform, &database_url).await,
        OracleCommand::Load { url, secret_file, rate, seconds, users, currency, database_url } => {
            let prefix = format!("load-{}", OffsetDateTime::now_utc().unix_timestamp_nanos());
            // Without white space around it, as the oracle reads it.
            let secret = secret(&secret_file)?.trim_ascii().to_vec();
            let load = Load { url, secret, currency, prefix, rate, seconds, users };
            play(&load, database_url.as_deref()).await
        }
    }
}

async fn compare(
    export: &Path,
    platform: &Pubkey,
    database_url: &str,
    rpc: &str,
    settings: &Export,
    provider: Option<&str>,
) -> anyhow::Result<()> {
    let file = File::open(export).with_context(|| format!("cannot read the export {}", export.display()))?;
    let (pool, chain) = (database::connect(database_url, CONNECTIONS).await?, reach(rpc)?);
    let print = |difference| println!("{difference}");
    let summary = reconcile::reconcile(&pool, &chain, platform, file, settings, provider, print).await?;
    println!("{} orders exported, {} recorded on chain as stored", summary.exported, summary.recorded);
    match summary.differences {
        0 => Ok(()),
        count => bail!("{count} differences"),
    }
}

async fn retry(order: &str, platform: &Pubkey, database_url: &str) -> anyhow::Result<()> {
    let pool = database::connect(database_url, CONNECTIONS).await?;
    if !queue::retry(&pool, platform, order).await? {
        bail!("no refused or dead order {order} of platform {platform} is stored; check the number and --platform");
    }
    println!("{order}: queued again");
    Ok(())
}

async fn play(load: &Load, database_url: Option<&str>) -> anyhow::Result<()> {
    let notices = u64::from(load.rate).saturating_mul(load.seconds.into());
    println!("{notices} notices, {} a second, of orders {}-0 and so on", load.rate, load.prefix);
    let measured = load::play(load).await?;
    let seconds = measured.took.as_secs_f64();
    println!(
        "{} accepted in {seconds:.1} s, {:.1} a second",
        measured.answers.count(),
        measured.answers.count() as f64 / seconds
    );
    show("answered", &measured.answers);
    for (status, count) in measured.statuses.iter().filter(|(status, _)| !(200..300).contains(*status)) {
        println!("answered with {status}: {count}");
    }
    if let Some(why) = &measured.why_unanswered {
        println!("not answered: {} (the first: {why})", measured.unanswered);
    }
    if let Some(url) = database_url {
        let pool = database::connect(url, CONNECTIONS).await?;
        let Ended { confirmed, refused, dead } = load::ended(&pool, load, &measured, PATIENCE).await?;
        show("due to confirmed", &confirmed);
        for (what, count) in [("refused by the program", refused), ("dead", dead)] {
            if count > 0 {
                println!("{what}: {count}; GET /v1/orders/{}-0 and so on say why", load.prefix);
            }
        }
    }
    if measured.answers.count() == 0 {
        bail!("nothing was accepted");
    }
    Ok(())
}

fn show(what: &str, times: &Times) {
    if times.count() == 0 {
        return println!("{what}: none");
    }
    let [half, most, nearly_all, all] = [50, 90, 99, 100].map(|percent| times.percentile(percent));
    println!(
        "{what}: {} times, p50 {half:.1} ms, p90 {most:.1} ms, p99 {nearly_all:.1} ms, longest {all:.1} ms",
        times.count()
    );
}
