//! `rebate pay`: signs as the oracle and submits. For trying things out; a platform runs the oracle service.

use crate::{arguments::PayArguments, keys, payment_file, platform};
use anyhow::{Context, bail};
use rebate_client::{
    chain::{Landed, ReadAccounts, SubmitError},
    oracle, platform_id,
    recorder::{RecordError, Recorder, refusals},
};
use rebate_core::{
    payment::Payment,
    units::{OrderHash, Timestamp, UserKey},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{fs, path::Path};

/// How many records go into one transaction at most.
pub const BATCH: usize = 4;

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The program recorded it, or it says nothing to the contrary.
    Recorded,
    /// The program refused it; the reason's name.
    Refused(String),
}

/// Signs and submits every payment of a file, and says what became of each.
///
/// # Errors
/// One clear reason. What was recorded before stays recorded; submitting the file again is safe.
pub async fn run(arguments: PayArguments) -> anyhow::Result<()> {
    let records = payment_file::read(&arguments.payments)?;
    let oracle = keys::read(&arguments.oracle)?;
    let secret = arguments.platform_secret_file.as_deref().map(secret).transpose()?;
    if let Some(record) = records.iter().find(|record| matches!(record, payment_file::Record::Forged(_))) {
        bail!("order {}: only the demo plays forged records", record.payment().order);
    }
    let (chain, payer) = platform::connect(&arguments.node)?;
    let mut recorder = Recorder::new(&chain, arguments.platform, &payer).await?;
    let now = Timestamp(chain.now().await?);
    if recorder.platform().oracles().iter().all(|key| key.key != oracle.pubkey().to_bytes()) {
        bail!(
            "{} is no oracle key of {}; `rebate platform add-oracle` registers it",
            oracle.pubkey(),
            arguments.platform
        );
    }

    let mut payments = Vec::new();
    for record in records.iter().map(payment_file::Record::payment) {
        let user = user_key(secret.as_deref(), &record.user);
        payments.push((record.order.clone(), record.payment(user, now).map_err(anyhow::Error::msg)?));
    }
    let mut refused = 0u64;
    let mut rest = payments.as_slice();
    while !rest.is_empty() {
        let count = batch(&recorder, &oracle, rest.iter().map(|(_, payment)| *payment))?;
        let (now, later) = rest.split_at(count);
        rest = later;
        let batch: Vec<Payment> = now.iter().map(|(_, payment)| *payment).collect();
        let signed = oracle::sign(&oracle, &arguments.platform, &batch)
            .map_err(|_| anyhow::anyhow!("a batch has more than 255 records"))?;
        let (fates, landed) = submit(&mut recorder, &batch, &signed).await?;
        for ((order, _), fate) in now.iter().zip(fates) {
            match (fate, &landed) {
                (Fate::Recorded, Some(landed)) => println!("{order}: recorded in {}", landed.signature),
                (Fate::Recorded, None) => println!("{order}: recorded"),
                (Fate::Refused(reason), _) => {
                    refused = refused.saturating_add(1);
                    println!("{order}: refused, {reason}");
                }
            }
        }
    }
    match refused {
        0 => Ok(()),
        refused => bail!("{refused} of {} payments were refused", payments.len()),
    }
}

/// The platform's secret.
pub(crate) fn secret(path: &Path) -> anyhow::Result<Vec<u8>> {
    let secret =
        fs::read(path).with_context(|| format!("cannot read the platform's secret from {}", path.display()))?;
    // With an empty one, user keys would be as good as unkeyed, and nobody would notice.
    if secret.trim_ascii_end().is_empty() {
        bail!("the platform's secret in {} is empty", path.display());
    }
    Ok(secret)
}

/// The key of a user, with the platform's secret where there is one.
pub fn user_key(secret: Option<&[u8]>, user: &str) -> UserKey {
    match secret {
        Some(secret) => platform_id::user(secret.trim_ascii_end(), user),
        None => platform_id::unkeyed_user(user),
    }
}

/// How many of `payments`, from the first on, go into one transaction.
///
/// # Errors
/// If not even one does.
pub fn batch(
    recorder: &Recorder<'_>,
    oracle: &Keypair,
    payments: impl IntoIterator<Item = Payment>,
) -> anyhow::Result<usize> {
    let mut batch = Vec::new();
    for payment in payments.into_iter().take(BATCH) {
        batch.push(payment);
        let signed = oracle::sign(oracle, &recorder.addresses().platform, &batch)
            .map_err(|_| anyhow::anyhow!("a batch has more than 255 records"))?;
        if !recorder.fits(&recorder.instructions(&batch, &signed)) {
            batch.pop();
            break;
        }
    }
    match batch.len() {
        0 => bail!("not even one payment fits into a transaction"),
        count => Ok(count),
    }
}

/// Submits one signed batch and says what became of each record.
///
/// # Errors
/// Whatever is not the program's word on the records themselves.
pub async fn submit(
    recorder: &mut Recorder<'_>,
    payments: &[Payment],
    signed: &oracle::SignedMessage,
) -> Result<(Vec<Fate>, Option<Landed>), RecordError> {
    match recorder.record(payments, signed).await {
        Ok(landed) => Ok((fates(payments, &landed.logs, None), Some(landed))),
        Err(RecordError::Submit(SubmitError::Refused { error, logs })) if error.is_refusal() => {
            Ok((fates(payments, &logs, Some(error.name())), None))
        }
        Err(other) => Err(other),
    }
}

/// By the log lines, which come in the order of the records; where every record was refused and the node shows no
/// logs, by the one error it shows.
///
/// An order that stands in the batch twice: the program takes the first and refuses the second, so that the lines are
/// given out from the last record backwards.
fn fates(payments: &[Payment], logs: &[String], all: Option<&str>) -> Vec<Fate> {
    let mut refused = refusals(logs);
    let mut fates: Vec<Fate> = payments
        .iter()
        .rev()
        .map(|payment| {
            let short = short(&payment.order);
            match (refused.iter().rposition(|(order, _)| *order == short), all) {
                (Some(line), _) => Fate::Refused(refused.remove(line).1),
                (None, Some(error)) => Fate::Refused(error.to_owned()),
                (None, None) => Fate::Recorded,
            }
        })
        .collect();
    fates.reverse();
    fates
}

/// The part of an order's hash that log lines show.
pub fn short(order: &OrderHash) -> String {
    order.to_string().chars().take(16).collect()
}
