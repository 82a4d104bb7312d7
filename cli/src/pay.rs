//! `rebate pay`: signs as the oracle and submits. For trying things out; a platform runs the oracle service.

mod refund;

use crate::{
    arguments::PayArguments,
    keys,
    payment_file::{self, DemoRecord, Record, RefundRecord},
    platform, wording,
};
use anyhow::{Context, bail};
use rebate_client::{
    Pubkey,
    chain::{Landed, ReadAccounts, SubmitError},
    oracle, platform_id,
    recorder::{RecordError, Recorder, refusals},
};
use rebate_core::{
    message,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
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

/// A record as the oracle signs it, and its order number.
enum ToSign {
    Payment(String, Payment),
    Redemption(String, Redemption),
    Refund(RefundRecord, Refund),
}

/// Signs and submits every payment, redemption and refund of a file, and says what became of each.
///
/// # Errors
/// One clear reason. What was recorded before stays recorded; submitting the file again is safe.
pub async fn run(arguments: PayArguments) -> anyhow::Result<()> {
    let records = payment_file::read(&arguments.payments)?;
    let oracle = keys::read(&arguments.oracle)?;
    let secret = arguments.platform_secret_file.as_deref().map(secret).transpose()?;
    records.iter().try_for_each(check_taken)?;
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

    let mut to_sign = Vec::new();
    for record in &records {
        match record {
            Record::Payment(line) => {
                let payment = line.payment(user_key(secret.as_deref(), &line.user), now);
                to_sign.push(ToSign::Payment(line.order.clone(), payment.map_err(anyhow::Error::msg)?));
            }
            Record::Redemption(line) => {
                let redemption = line.redemption(user_key(secret.as_deref(), &line.user), now);
                to_sign.push(ToSign::Redemption(line.order.clone(), redemption.map_err(anyhow::Error::msg)?));
            }
            Record::Refund(line) => {
                let refund = line.refund(now).map_err(anyhow::Error::msg)?;
                to_sign.push(ToSign::Refund(line.clone(), refund));
            }
            Record::Demo(_) => {}
        }
    }
    let refunded = to_sign.iter().filter_map(|record| match record {
        ToSign::Refund(_, refund) => Some(refund.of),
        _ => None,
    });
    let mut journal = refund::journal(&chain, recorder.addresses(), refunded);
    let mut refused = 0u64;
    let mut rest = to_sign.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        let (orders, fates, landed) = match first {
            ToSign::Redemption(order, redemption) => {
                rest = behind;
                let signed = sign(&oracle, &arguments.platform, &[*redemption])?;
                let (fate, landed) = fate(recorder.redeem(redemption, &signed).await)?;
                (vec![order], vec![fate], landed)
            }
            ToSign::Refund(line, refund) => {
                rest = behind;
                let signed = sign(&oracle, &arguments.platform, &[*refund])?;
                let (fate, landed) = refund::submit(&mut recorder, &mut journal, &chain, line, refund, &signed)
                    .await
                    .with_context(|| format!("order {}", line.order))?;
                (vec![&line.order], vec![fate], landed)
            }
            ToSign::Payment(..) => {
                let payments = rest.iter().map_while(|record| match record {
                    ToSign::Payment(order, payment) => Some((order, *payment)),
                    ToSign::Redemption(..) | ToSign::Refund(..) => None,
                });
                let (mut orders, mut batched): (Vec<_>, Vec<_>) = payments.take(BATCH).unzip();
                let count = batch(&recorder, &oracle, batched.iter().copied())?;
                rest = rest.get(count..).unwrap_or_default();
                orders.truncate(count);
                batched.truncate(count);
                let signed = sign(&oracle, &arguments.platform, &batched)?;
                let (fates, landed) = submit(&mut recorder, &batched, &signed).await?;
                (orders, fates, landed)
            }
        };
        for (order, fate) in orders.into_iter().zip(fates) {
            match (fate, &landed) {
                (Fate::Recorded, Some(landed)) => println!("{order}: recorded in {}", landed.signature),
                (Fate::Recorded, None) => println!("{order}: recorded"),
                (Fate::Refused(reason), _) => {
                    refused = refused.saturating_add(1);
                    println!("{order}: refused, {reason}{}", wording::refusal(&reason));
                }
            }
        }
    }
    let only_payments = to_sign.iter().all(|record| matches!(record, ToSign::Payment(..)));
    let what = if only_payments { "payments" } else { "records" };
    match refused {
        0 => Ok(()),
        refused => bail!("{refused} of {} {what} were refused", to_sign.len()),
    }
}

/// Whether `rebate pay` takes a record.
fn check_taken(record: &Record) -> anyhow::Result<()> {
    match record {
        Record::Payment(_) | Record::Redemption(_) | Record::Refund(_) => Ok(()),
        Record::Demo(DemoRecord::Forged(line)) => bail!("order {}: only the demo plays forged records", line.order),
        Record::Demo(DemoRecord::Link(_)) => bail!("only the demo plays links of wallets"),
        Record::Demo(DemoRecord::Claim(_)) => bail!("only the demo plays claims; the user's own wallet signs one"),
        Record::Demo(DemoRecord::Deposit(_)) => bail!("only the demo plays deposits"),
        Record::Demo(DemoRecord::MonthEnd) => bail!("only the demo lets months end"),
    }
}

/// The oracle's signature over records of one kind.
///
/// # Errors
/// More records than a message holds.
pub fn sign<R: message::Record>(
    oracle: &Keypair,
    platform: &Pubkey,
    records: &[R],
) -> anyhow::Result<oracle::SignedMessage> {
    oracle::sign(oracle, platform, records).map_err(|_| anyhow::anyhow!("a batch has more than 255 records"))
}

/// What became of one record that was submitted by itself.
///
/// # Errors
/// Whatever is not the program's word on the record.
pub fn fate(recorded: Result<Landed, RecordError>) -> Result<(Fate, Option<Landed>), RecordError> {
    match recorded {
        Ok(landed) => Ok((Fate::Recorded, Some(landed))),
        Err(RecordError::Submit(SubmitError::Refused { error, .. })) if error.is_refusal() => {
            Ok((Fate::Refused(error.name().to_owned()), None))
        }
        Err(other) => Err(other),
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
        let signed = sign(oracle, &recorder.addresses().platform, &batch)?;
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
