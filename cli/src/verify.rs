//! `rebate verify`: an order or a whole platform, recomputed from a node alone.

mod all;
mod checklist;
mod database;
mod order;
mod progress;

use crate::{arguments::VerifyArguments, platform};
use anyhow::bail;
use checklist::Checklist;
use progress::Progress;
use rebate_client::{
    Pubkey,
    address::Addresses,
    chain::ReadEvidence,
    explorer::Cluster,
    verify::recomputation::{Files, Recomputation},
};
use rebate_core::units::OrderHash;
use std::{io::Write, sync::Arc, time::Duration};

/// What is verified, and by what.
#[derive(Clone, Debug)]
pub struct Verification {
    /// The platform.
    pub platform: Pubkey,
    /// How explorers know the chain, if they can reach it.
    pub cluster: Option<Cluster>,
    /// Files of what was read.
    pub files: Files,
    /// How long a transaction is waited for that the node does not show; some seconds otherwise.
    pub patience: Option<Duration>,
}

/// Verifies what the arguments say.
///
/// # Errors
/// What could not be verified, or how much is wrong; what exactly was printed by then.
pub async fn run(arguments: VerifyArguments) -> anyhow::Result<()> {
    let chain = platform::reach(&arguments.rpc)?;
    let cluster = Cluster::of(&rebate_client::chain::ReadAccounts::genesis_hash(&chain).await?, &arguments.rpc);
    let files = Files { from: arguments.from, save: arguments.save };
    let verification = Verification { platform: arguments.platform, cluster, files, patience: None };
    let out = &mut std::io::stdout();
    match arguments.order {
        Some(order) => verify_order(chain, &verification, &order, &Progress::on_terminal(), out).await,
        None => {
            let databases = arguments.database.map(|url| all::Databases { url, scratch: arguments.scratch });
            verify_all(chain, &verification, databases, &Progress::on_terminal(), out).await
        }
    }
}

/// Verifies one order, by its number or its hash, and prints each step.
///
/// # Errors
/// What could not be verified, or how much is wrong.
pub async fn verify_order<C: ReadEvidence + Clone + 'static>(
    chain: C,
    verification: &Verification,
    order: &str,
    progress: &Progress,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let hash = order_hash(order);
    let mut recomputation = begin(chain, verification, progress).await?;
    let report = rebate_client::verify::order::order(&mut recomputation, hash).await;
    progress.end();
    let report = report?;
    recomputation.save()?;
    if report.events.is_empty() && report.is_whole() {
        bail!(
            "no event of {} is order {order}: all {} were read, and they lead to the journal's tree head; check the number",
            verification.platform,
            report.count
        );
    }
    let mut list = Checklist::new(out);
    order::print(&report, recomputation.follower(), verification, order, &mut list)?;
    list.end(&format!("order {order}"))
}

/// Verifies a whole platform, and prints what was compared and what differs.
///
/// # Errors
/// What could not be verified, or how much is wrong.
pub async fn verify_all<C: ReadEvidence + Clone + 'static>(
    chain: C,
    verification: &Verification,
    databases: Option<all::Databases>,
    progress: &Progress,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let recomputation = begin(chain, verification, progress).await?;
    all::verify(recomputation, verification, databases, progress, out).await
}

pub use all::Databases;
pub use progress::Progress as Shown;

async fn begin<C: ReadEvidence + Clone + 'static>(
    chain: C,
    verification: &Verification,
    progress: &Progress,
) -> anyhow::Result<Recomputation<C>> {
    let addresses = Addresses::at(verification.platform);
    let shown = Arc::new(progress.clone());
    let begun =
        Recomputation::begin(chain, addresses, &verification.files, move |progress| shown.read(progress)).await?;
    Ok(match verification.patience {
        Some(patience) => begun.with_patience(patience),
        None => begun,
    })
}

/// The order's hash, from its number or from the hash's digits.
fn order_hash(order: &str) -> OrderHash {
    let mut hash = [0; 32];
    match hex::decode_to_slice(order, &mut hash) {
        Ok(()) => OrderHash(hash),
        Err(_) => OrderHash::of(order),
    }
}
