//! A whole platform: every event, every signature, every outcome, every account.

use super::{Verification, checklist::Checklist, progress::Progress};
use rebate_client::{
    chain::ReadEvidence,
    verify::{self, VerifyError, accounts::hexadecimal, follower::Step, read::Read, recomputation::Recomputation},
};
use std::{io::Write, time::Instant};

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
    _databases: Option<Databases>,
    progress: &Progress,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let addresses = *recomputation.follower().addresses();
    let begun = Instant::now();
    let journal = verify::journal(recomputation.chain(), &addresses).await?;
    recomputation.to(journal.count, |_| {}, async |_: &[Read]| Ok::<(), VerifyError>(())).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let told = progress.clone();
    let compared = recomputation.compare(&move |done, of| told.at("accounts", done, of)).await;
    progress.end();
    let compared = compared?;
    recomputation.save()?;

    let follower = recomputation.follower();
    let mut list = Checklist::new(out);
    list.say(&format!("platform {}", verification.platform))?;
    let (count, head) = (follower.count(), hexadecimal(&follower.head()));
    list.say(&format!(
        "{count} events of {} transactions, {} records in {seconds:.1} s, {:.0} records a second",
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
        // Of findings beyond those kept it is not known which step they are of.
        list.step(&what, &wrong, wrong.len() as u64)?;
    }
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
    list.end(&format!("platform {}", verification.platform))
}
