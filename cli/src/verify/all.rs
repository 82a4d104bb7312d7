//! A whole platform: every event, every signature, every outcome, every account, and every table.

use super::{
    Verification,
    checklist::Checklist,
    database::{Comparison, Tables},
    progress::Progress,
};
use rebate_client::{
    chain::ReadEvidence,
    verify::{
        self, VerifyError,
        accounts::hexadecimal,
        follower::Step,
        read::Read,
        recomputation::{Compared, Recomputation},
    },
};
use std::{
    io::Write,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// How long a node that is behind the database is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// An indexer's database to compare, and where to write its tables once more.
#[derive(Clone, Debug)]
pub struct Databases {
    /// The indexer's.
    pub url: String,
    /// The server for the other one; the same otherwise.
    pub scratch: Option<String>,
}

/// Verifies the platform.
///
/// # Errors
/// What could not be verified, or how much is wrong.
pub async fn verify<C: ReadEvidence + Clone + 'static>(
    mut recomputation: Recomputation<C>,
    verification: &Verification,
    databases: Option<Databases>,
    progress: &Progress,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let tables = match &databases {
        None => None,
        Some(databases) => Some(compare_tables(&mut recomputation, databases, progress).await?),
    };
    let addresses = *recomputation.follower().addresses();
    let journal = verify::journal(recomputation.chain(), &addresses).await?;
    recomputation.to(journal.count, |_| {}, async |_: &[Read]| Ok::<(), VerifyError>(())).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let told = progress.clone();
    let compared = recomputation.compare(&move |done, of| told.at("accounts", done, of)).await;
    progress.end();
    let compared = compared?;
    recomputation.save()?;
    print(&recomputation, verification, seconds, &compared, tables.as_ref(), out)
}

/// Compares the tables. Whatever happens meanwhile, also Ctrl-C, what was made for it is removed.
async fn compare_tables<C: ReadEvidence + Clone + 'static>(
    recomputation: &mut Recomputation<C>,
    databases: &Databases,
    progress: &Progress,
) -> anyhow::Result<Tables> {
    let (chain, platform) = (recomputation.chain().clone(), recomputation.follower().addresses().platform);
    let mut comparison = Comparison::open(databases, platform, &chain).await?;
    let told = progress.clone();
    let compared = tokio::select! {
        compared = write_and_compare(recomputation, &mut comparison, &told) => compared,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(Into::into).and(Err(anyhow::anyhow!("interrupted before the end")))
        }
    };
    if compared.is_err() {
        progress.end();
    }
    let removed = comparison.remove().await;
    compared.and_then(|tables| removed.map(|()| tables))
}

async fn write_and_compare<C: ReadEvidence + Clone + 'static>(
    recomputation: &mut Recomputation<C>,
    comparison: &mut Comparison,
    progress: &Progress,
) -> anyhow::Result<Tables> {
    // A database that is ahead of the node is waited for; rows beyond what the chain has are found to be too many.
    let (begun, addresses) = (Instant::now(), *recomputation.follower().addresses());
    let count = loop {
        let journal = verify::journal(recomputation.chain(), &addresses).await?;
        if journal.count >= comparison.events || begun.elapsed() >= PATIENCE {
            break journal.count.min(comparison.events);
        }
        sleep(PAUSE).await;
    };
    let write = async |read: &[Read]| {
        comparison.write(read).await;
        Ok::<(), VerifyError>(())
    };
    recomputation.to(count, |_| {}, write).await?;
    let chain = recomputation.chain().clone();
    comparison.compare(recomputation.follower(), &chain, &|rows| progress.at("rows", rows, rows)).await
}

fn print<C: ReadEvidence + Clone + 'static>(
    recomputation: &Recomputation<C>,
    verification: &Verification,
    seconds: f64,
    compared: &Compared,
    tables: Option<&Tables>,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let follower = recomputation.follower();
    let mut list = Checklist::new(out);
    list.say(&format!("platform {}", verification.platform))?;
    let (count, head) = (follower.count(), hexadecimal(&follower.head()));
    list.say(&format!(
        "{count} events of {} transactions, {} records, in {seconds:.1} s, {:.0} records a second",
        recomputation.transactions(),
        follower.records(),
        follower.records() as f64 / seconds.max(f64::EPSILON)
    ))?;
    for (step, what) in [
        (Step::Journal, format!("events 0 to {} are there without a gap", count.saturating_sub(1))),
        (Step::Signature, format!("{} oracle signatures over {} records", follower.signatures(), follower.records())),
        (Step::Rules, "what the rules did with every payment and every refund".to_owned()),
        (Step::Balances, "every other change of a balance, and what moved in the vaults".to_owned()),
        (Step::Governance, "what the platform's people decided".to_owned()),
    ] {
        let wrong: Vec<_> = follower.findings().iter().filter(|finding| finding.wrong.step() == step).collect();
        list.step(&what, &wrong, wrong.len() as u64)?;
    }
    // Of findings beyond those kept it is not known which step they are of.
    let beyond = follower.finding_count().saturating_sub(follower.findings().len() as u64);
    if beyond > 0 {
        list.step::<String>("the events behind those named", &[], beyond)?;
    }
    list.step(
        &format!(
            "{} accounts as of slot {}: tree head {head}, platform, rule book, vaults, {} users, {} counters",
            compared.accounts, compared.slot, compared.users, compared.counters
        ),
        &compared.differences,
        compared.count,
    )?;
    if let Some(tables) = tables {
        let Tables { rows, events, .. } = tables;
        let lag = count.saturating_sub(*events);
        let behind = if lag == 0 { String::new() } else { format!(", {lag} behind the chain's") };
        list.step(
            &format!("{} tables with {rows} rows over {events} events{behind}", tables.tables),
            &tables.differences,
            tables.count,
        )?;
        for left in &tables.left_out {
            list.say(&format!("    not compared: {left}"))?;
        }
    }
    list.end(&format!("platform {}", verification.platform))
}
