//! Compares what a payment provider says was paid with what is stored, and what is stored with the chain.

use crate::outbox::record::Record;
use futures_util::{StreamExt, stream};
use rebate_client::{
    Pubkey,
    chain::{ChainError, Dispatch},
};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use solana_signature::Signature;
use sqlx::PgPool;
use std::{collections::HashSet, fmt, io::Read};
use thiserror::Error;

/// How many orders are looked up at once.
const CHUNK: usize = 500;

/// How many transactions are asked for at once.
const AT_ONCE: usize = 16;

/// How a provider's export is read.
#[derive(Clone, Debug)]
pub struct Export {
    /// The column with the orders' numbers.
    pub order_column: String,
    /// The column with what was paid.
    pub amount_column: String,
    /// How many digits behind the point make a minor unit: 2 where it says 12.34, 0 where it says 1234.
    pub decimals: u32,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The order's number.
    pub order: String,
    /// What.
    pub what: What,
}

/// What is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The provider has it, and nothing was ever stored: its notice never came.
    NotStored,
    /// The provider has it twice.
    Twice,
    /// The provider says another amount than was stored, minor units.
    Amount {
        /// The provider's.
        exported: u64,
        /// What was stored.
        stored: u64,
    },
    /// Stored, and the provider does not have it.
    NotExported,
    /// On its way still.
    Waiting(Option<String>),
    /// The program refused it.
    Refused(String),
    /// It needs an operator.
    Dead(String),
    /// Stored as recorded, and the chain does not show it.
    NotOnChain,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.order)?;
        match &self.what {
            What::NotStored => {
                f.write_str("the provider has it, the oracle never heard of it; have its notice sent again")
            }
            What::Twice => f.write_str("the export has it more than once"),
            What::Amount { exported, stored } => write!(f, "the provider says {exported}, stored are {stored}"),
            What::NotExported => f.write_str("stored, but the provider's export does not have it"),
            What::Waiting(None) => f.write_str("not on chain yet"),
            What::Waiting(Some(reason)) => write!(f, "not on chain yet: {reason}"),
            What::Refused(reason) => write!(f, "refused: {reason}"),
            What::Dead(reason) => write!(f, "dead: {reason}; `rebate oracle retry` tries again"),
            What::NotOnChain => f.write_str("stored as recorded, but the node does not show it on chain"),
        }
    }
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Orders in the export.
    pub exported: u64,
    /// Of them and of what else was looked at, recorded on chain with the stored content.
    pub recorded: u64,
    /// Differences.
    pub differences: u64,
}

/// Why nothing was compared.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// The export cannot be read.
    #[error("the export: {0}")]
    Csv(#[from] csv::Error),
    /// A column is missing.
    #[error(
        "the export has no column {0:?}; its first line names the columns, choose with --order-column and --amount-column"
    )]
    Column(String),
    /// An amount is none.
    #[error("the export, order {order}: {amount:?} is no amount with at most {decimals} digits behind the point")]
    Amount {
        /// The order.
        order: String,
        /// What stands there.
        amount: String,
        /// How many digits there may be.
        decimals: u32,
    },
    /// The database cannot be asked.
    #[error("the oracle's database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The node cannot be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

struct Stored {
    number: String,
    record: Vec<u8>,
    state: i16,
    reason: Option<String>,
    signature: Option<Vec<u8>>,
}

/// Compares an export with the platform's stored records, and those with `chain`; tells `tell` each difference. With
/// `provider`, what is stored of it and not in the export is a difference too.
///
/// # Errors
/// [`ReconcileError`].
pub async fn reconcile(
    pool: &PgPool,
    chain: &dyn Dispatch,
    platform: &Pubkey,
    export: impl Read,
    settings: &Export,
    provider: Option<&str>,
    mut tell: impl FnMut(Difference),
) -> Result<Summary, ReconcileError> {
    let mut summary = Summary::default();
    let mut told = |summary: &mut Summary, order: &str, what: What| {
        summary.differences = summary.differences.saturating_add(1);
        tell(Difference { order: order.to_owned(), what });
    };
    let mut reader = csv::Reader::from_reader(export);
    let headers = reader.headers()?.clone();
    let column = |name: &str| {
        let found = headers.iter().position(|header| header.trim() == name);
        found.ok_or_else(|| ReconcileError::Column(name.to_owned()))
    };
    let (order_at, amount_at) = (column(&settings.order_column)?, column(&settings.amount_column)?);
    let mut known: HashSet<String> = HashSet::new();
    let mut rows = reader.records();
    loop {
        let mut chunk: Vec<(String, u64)> = Vec::new();
        for row in rows.by_ref().take(CHUNK) {
            let row = row?;
            let order = row.get(order_at).unwrap_or_default().trim().to_owned();
            let amount = minor_units(&order, row.get(amount_at).unwrap_or_default().trim(), settings.decimals)?;
            summary.exported = summary.exported.saturating_add(1);
            match known.insert(order.clone()) {
                true => chunk.push((order, amount)),
                false => told(&mut summary, &order, What::Twice),
            }
        }
        if chunk.is_empty() {
            break;
        }
        let numbers: Vec<String> = chunk.iter().map(|(order, _)| order.clone()).collect();
        let stored = sqlx::query_as!(
            Stored,
            "SELECT number, record, state, reason, signature FROM records WHERE platform = $1 AND number = ANY ($2)",
            platform.as_ref(),
            &numbers,
        )
        .fetch_all(pool)
        .await?;
        for (order, exported) in &chunk {
            match stored.iter().find(|stored| stored.number == *order).map(|stored| amount(&stored.record)) {
                None => told(&mut summary, order, What::NotStored),
                Some(Some(stored)) if stored != *exported => {
                    told(&mut summary, order, What::Amount { exported: *exported, stored });
                }
                Some(_) => {}
            }
        }
        judge(chain, stored, &mut summary, &mut told).await?;
    }
    if let Some(provider) = provider {
        let mut last = 0i64;
        loop {
            let rows = sqlx::query!(
                "SELECT id, number, record, state, reason, signature FROM records
                 WHERE platform = $1 AND provider = $2 AND kind IN (1, 2) AND id > $3 ORDER BY id LIMIT 500",
                platform.as_ref(),
                provider,
                last,
            )
            .fetch_all(pool)
            .await?;
            let Some(end) = rows.last() else { break };
            last = end.id;
            let mut others = Vec::new();
            for row in rows {
                if known.contains(&row.number) {
                    continue;
                }
                told(&mut summary, &row.number, What::NotExported);
                let (number, record, signature) = (row.number, row.record, row.signature);
                others.push(Stored { number, record, state: row.state, reason: row.reason, signature });
            }
            judge(chain, others, &mut summary, &mut told).await?;
        }
    }
    Ok(summary)
}

/// Says of stored records which are not on chain as they are stored.
async fn judge(
    chain: &dyn Dispatch,
    stored: Vec<Stored>,
    summary: &mut Summary,
    told: &mut impl FnMut(&mut Summary, &str, What),
) -> Result<(), ReconcileError> {
    let asked = stored.into_iter().map(|stored| async move {
        let is_there = match stored.state {
            3 => is_on_chain(chain, &stored).await?,
            _ => false,
        };
        Ok::<_, ChainError>((stored, is_there))
    });
    let mut answers = stream::iter(asked).buffered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        let (stored, is_there) = answer?;
        let reason = stored.reason.unwrap_or_default();
        let what = match stored.state {
            3 if is_there => {
                summary.recorded = summary.recorded.saturating_add(1);
                continue;
            }
            3 => What::NotOnChain,
            4 => What::Refused(reason),
            5 => What::Dead(reason),
            _ => What::Waiting(Some(reason).filter(|reason| !reason.is_empty())),
        };
        told(summary, &stored.number, what);
    }
    Ok(())
}

async fn is_on_chain(chain: &dyn Dispatch, stored: &Stored) -> Result<bool, ChainError> {
    let signature = stored.signature.as_deref().and_then(|bytes| Signature::try_from(bytes).ok());
    let (Some(signature), Some(record)) = (signature, Record::decode(&stored.record)) else { return Ok(false) };
    let Some(ended) = chain.ended(&signature).await? else { return Ok(false) };
    let events = ended.transaction.events().unwrap_or_default();
    Ok(events.iter().any(|emitted| record.is_recorded_by(&emitted.event)))
}

fn amount(record: &[u8]) -> Option<u64> {
    match Record::decode(record)? {
        Record::Payment(payment) => Some(payment.amount.0),
        Record::Refund(refund) => Some(refund.amount.0),
        Record::Redemption(_) | Record::Link(_) => None,
    }
}

fn minor_units(order: &str, text: &str, decimals: u32) -> Result<u64, ReconcileError> {
    let whole = || {
        let amount = Decimal::from_str_exact(text).ok()?;
        let minor = amount.checked_mul(Decimal::from(10u64.checked_pow(decimals)?))?.normalize();
        if minor.scale() == 0 { minor.to_u64() } else { None }
    };
    whole().ok_or_else(|| ReconcileError::Amount { order: order.to_owned(), amount: text.to_owned(), decimals })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_whole_minor_units_or_none() {
        assert_eq!(minor_units("a", "1234", 0).ok(), Some(1_234));
        assert_eq!(minor_units("a", "12.34", 2).ok(), Some(1_234));
        assert_eq!(minor_units("a", "12.5", 2).ok(), Some(1_250));
        assert_eq!(minor_units("a", "18446744073709551615", 0).ok(), Some(u64::MAX));
        for wrong in ["", "-1", "12.345", "1e3", "18446744073709551616", "¥5"] {
            assert!(minor_units("a", wrong, 2).is_err(), "{wrong}");
        }
    }
}
