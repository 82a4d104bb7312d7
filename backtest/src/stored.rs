//! A platform's journal, as the indexer stored it: read in order, some at a time.
//!
//! Each stretch is a statement of its own. One that ran for as long as a back-test takes would keep the database from
//! cleaning up meanwhile, and a replica would break it off.

use crate::error::BacktestError;
use futures_util::TryStreamExt;
use rebate_client::{
    Pubkey,
    account::AssetKind,
    event::{AssetEntry, Event},
};
use sqlx::PgPool;
use time::Date;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How many events a statement reads.
const STRETCH: i64 = 100_000;

/// How many are handed on together.
const BATCH: usize = 1_024;

/// What every binary copy begins with, before the length of an extension.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// A platform on record.
#[derive(Debug)]
pub struct Stored {
    pub address: Pubkey,
    /// How many events its journal has.
    pub events: u64,
    /// The greatest lateness that holds or is to come, in seconds.
    pub lateness: u32,
    pub assets: Vec<AssetEntry>,
    /// From which index on events are of a month.
    months: Vec<(Date, i64)>,
}

impl Stored {
    /// The platform, or the only one there is.
    ///
    /// # Errors
    /// [`BacktestError`]: it is not there, or the database does not answer.
    pub async fn find(pool: &PgPool, wanted: Option<Pubkey>) -> Result<Self, BacktestError> {
        let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let connection = &mut *transaction;
        let address = match wanted {
            Some(address) => address.to_bytes().to_vec(),
            None => {
                let mut known = sqlx::query_scalar!("SELECT address FROM platforms ORDER BY address")
                    .fetch_all(&mut *connection)
                    .await?;
                match (known.pop(), known.len()) {
                    (Some(only), 0) => only,
                    (None, _) => return Err(BacktestError::NotNamed(0)),
                    (Some(_), others) => return Err(BacktestError::NotNamed(others.saturating_add(1))),
                }
            }
        };
        let platform =
            Pubkey::try_from(address.as_slice()).map_err(|_| BacktestError::Answer("an address is 32 bytes"))?;
        let row = sqlx::query!(
            r#"SELECT greatest(max_lateness, next_max_lateness) AS "lateness!", leaf_count
               FROM platforms JOIN journals ON journals.platform = platforms.address WHERE address = $1"#,
            &address
        )
        .fetch_optional(&mut *connection)
        .await?
        .ok_or(BacktestError::UnknownPlatform(platform))?;
        let assets = sqlx::query!(
            "SELECT name, kind, expiry_months, mint FROM assets WHERE platform = $1 ORDER BY asset",
            &address
        )
        .fetch_all(&mut *connection)
        .await?;
        let asset = |name: &str, kind: &str, months: i16, mint: Option<Vec<u8>>| {
            let mint = mint.map(TryInto::try_into).transpose().ok()?;
            AssetEntry::new(name, AssetKind::from_name(kind)?, months.try_into().ok()?, mint)
        };
        let assets = assets.into_iter().map(|row| asset(&row.name, &row.kind, row.expiry_months, row.mint));
        let assets = assets.collect::<Option<_>>().ok_or(BacktestError::Answer("an asset is none"))?;
        let months = sqlx::query!(
            "SELECT month, first_index FROM journal_months WHERE platform = $1 ORDER BY first_index",
            &address
        )
        .fetch_all(&mut *connection)
        .await?;
        Ok(Self {
            address: platform,
            events: u64::try_from(row.leaf_count).unwrap_or_default(),
            lateness: u32::try_from(row.lateness).unwrap_or(u32::MAX),
            assets,
            months: months.into_iter().map(|row| (row.month, row.first_index)).collect(),
        })
    }

    /// Where in the journal every refund is, and the payment that it is of.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn refunds(&self, pool: &PgPool) -> Result<Vec<(u64, u64)>, BacktestError> {
        let platform = self.address.to_bytes();
        let mut rows =
            sqlx::query!("SELECT journal_index, payment_index FROM refunds WHERE platform = $1", platform.as_slice())
                .fetch(pool);
        let mut refunds = Vec::new();
        while let Some(row) = rows.try_next().await? {
            if let (Ok(refund), Ok(payment)) = (row.journal_index.try_into(), row.payment_index.try_into()) {
                refunds.push((refund, payment));
            }
        }
        Ok(refunds)
    }

    /// How many events there are before the first month that begins at `end` or later, Unix seconds.
    pub fn before(&self, end: i64) -> u64 {
        let begins = |month: &Date| month.midnight().assume_utc().unix_timestamp();
        let later = self.months.iter().find(|(month, _)| begins(month) >= end);
        later.and_then(|(_, first)| u64::try_from(*first).ok()).map_or(self.events, |first| first.min(self.events))
    }

    /// Hands over the first `count` events in order, until all were, nobody takes them any more, or it is cancelled.
    ///
    /// # Errors
    /// [`BacktestError`] of the database, or of an event.
    pub async fn read(
        &self,
        pool: &PgPool,
        count: u64,
        to: &mpsc::Sender<Vec<Event>>,
        cancel: &CancellationToken,
    ) -> Result<(), BacktestError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let ends = self.months.iter().skip(1).map(|(_, first)| *first).chain([count]);
        let mut next = 0u64;
        for ((month, first), end) in self.months.iter().zip(ends) {
            let (mut begin, end) = (*first, end.min(count));
            while begin < end {
                if cancel.is_cancelled() || to.is_closed() {
                    return Ok(());
                }
                let stop = begin.saturating_add(STRETCH).min(end);
                self.stretch(pool, *month, begin, stop, &mut next, to).await?;
                begin = stop;
            }
        }
        Ok(())
    }

    async fn stretch(
        &self,
        pool: &PgPool,
        month: Date,
        begin: i64,
        end: i64,
        next: &mut u64,
        to: &mpsc::Sender<Vec<Event>>,
    ) -> Result<(), BacktestError> {
        let mut transaction = pool.begin_with("BEGIN READ ONLY").await?;
        // Rows lie in the index's order, so that nothing needs sorting. Where nobody who takes them has time, it waits.
        sqlx::raw_sql(
            "SET LOCAL statement_timeout = 0; SET LOCAL jit = off; SET LOCAL enable_seqscan = off; \
             SET LOCAL enable_bitmapscan = off; SET LOCAL max_parallel_workers_per_gather = 0",
        )
        .execute(&mut *transaction)
        .await?;
        // A copy takes no parameters; these are digits.
        let platform = hex::encode(self.address.to_bytes());
        let (year, of_year, day) = (month.year(), u8::from(month.month()), month.day());
        let copy = format!(
            "COPY (SELECT bytes FROM events WHERE platform = '\\x{platform}' AND month = '{year:04}-{of_year:02}-{day:02}' \
             AND journal_index >= {begin} AND journal_index < {end} ORDER BY platform, journal_index) \
             TO STDOUT (FORMAT binary)"
        );
        let mut rows = transaction.copy_out_raw(&copy).await?;
        let mut parser = Copied::default();
        let mut batch = Vec::with_capacity(BATCH);
        let mut taken = true;
        // To the end in any case: the connection is of use to nobody else before.
        while let Some(bytes) = rows.try_next().await? {
            if !taken {
                continue;
            }
            parser.take(&bytes, |row| {
                let why = |why| BacktestError::Event { index: *next, why };
                batch.push(Event::decode(row).map_err(why)?);
                *next = next.saturating_add(1);
                Ok(())
            })?;
            if batch.len() >= BATCH {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                taken = to.send(full).await.is_ok();
            }
        }
        drop(rows);
        transaction.commit().await?;
        if taken && !batch.is_empty() {
            // Nobody taking it any more is seen before the next stretch.
            let _ = to.send(batch).await;
        }
        Ok(())
    }
}

/// Rows of one column out of a binary copy, however it is cut into messages.
#[derive(Debug, Default)]
struct Copied {
    begun: bool,
    /// The beginning of a row whose end did not come yet.
    left: Vec<u8>,
}

impl Copied {
    fn take(
        &mut self,
        bytes: &[u8],
        mut row: impl FnMut(&[u8]) -> Result<(), BacktestError>,
    ) -> Result<(), BacktestError> {
        if self.left.is_empty() {
            let used = self.rows(bytes, &mut row)?;
            self.left.extend_from_slice(bytes.get(used..).unwrap_or_default());
            return Ok(());
        }
        let mut left = std::mem::take(&mut self.left);
        left.extend_from_slice(bytes);
        let used = self.rows(&left, &mut row)?;
        left.drain(..used.min(left.len()));
        self.left = left;
        Ok(())
    }

    /// Hands out all whole rows, and says of how many bytes they are.
    fn rows(
        &mut self,
        bytes: &[u8],
        row: &mut impl FnMut(&[u8]) -> Result<(), BacktestError>,
    ) -> Result<usize, BacktestError> {
        let mut rest = bytes;
        if !self.begun {
            let Some((head, more)) = rest.split_first_chunk::<19>() else { return Ok(0) };
            if !head.starts_with(SIGNATURE) || !head.ends_with(&[0; 8]) {
                return Err(BacktestError::Answer("it is no binary copy"));
            }
            (self.begun, rest) = (true, more);
        }
        loop {
            let used = bytes.len().saturating_sub(rest.len());
            let Some((columns, more)) = rest.split_first_chunk::<2>() else { return Ok(used) };
            match i16::from_be_bytes(*columns) {
                // The end.
                -1 => return Ok(bytes.len()),
                1 => {}
                _ => return Err(BacktestError::Answer("a row has one column")),
            }
            let Some((length, more)) = more.split_first_chunk::<4>() else { return Ok(used) };
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                return Err(BacktestError::Answer("an event has bytes"));
            };
            let Some((value, more)) = more.split_at_checked(length) else { return Ok(used) };
            row(value)?;
            rest = more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_same_however_a_copy_is_cut_into_messages() {
        let mut copy = SIGNATURE.to_vec();
        copy.extend([0; 8]);
        for row in [b"one".as_slice(), b"", b"three"] {
            copy.extend(1i16.to_be_bytes());
            copy.extend(i32::try_from(row.len()).unwrap_or_default().to_be_bytes());
            copy.extend(row);
        }
        copy.extend((-1i16).to_be_bytes());
        for size in 1..=copy.len() {
            let (mut copied, mut rows) = (Copied::default(), Vec::new());
            for message in copy.chunks(size) {
                let taken = copied.take(message, |row| {
                    rows.push(row.to_vec());
                    Ok(())
                });
                assert!(taken.is_ok(), "{size}: {taken:?}");
            }
            assert_eq!(rows, [b"one".to_vec(), Vec::new(), b"three".to_vec()], "{size}");
        }
    }
}
