//! The queue in Postgres: what is due, what was written before it was sent, and what became of it.
//!
//! Every change is one transaction that first makes sure that things are still as they were read: two processes that both take
//! themselves for the only one, or one that does not know whether its commit arrived, change nothing twice.

use rebate_client::Pubkey;
use solana_signature::Signature;
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use time::OffsetDateTime;

/// A record that is to be brought onto the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its row.
    pub id: i64,
    /// Its one encoding.
    pub bytes: Vec<u8>,
    /// Where it came signed, by whom and how.
    pub signed: Option<(Vec<u8>, Vec<u8>)>,
    /// How often it was tried before.
    pub attempts: i32,
    /// For how long it has been waiting.
    pub age: Duration,
}

/// A transaction that may land.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The transaction's first signature.
    pub signature: Signature,
    /// As it is on the wire.
    pub transaction: Vec<u8>,
    /// The height of the last block that it can be in.
    pub last_block_height: u64,
    /// What it carries, in order.
    pub records: Vec<Due>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is on chain.
    Recorded {
        /// By which transaction.
        signature: Signature,
        /// In which slot.
        slot: u64,
    },
    /// The program refused it, for good.
    Refused(String),
    /// It is tried again after a pause.
    Again {
        /// What went wrong.
        reason: String,
        /// How long the pause is.
        pause: Duration,
        /// Whether that counts as an attempt.
        counts: bool,
    },
    /// It needs an operator.
    Dead(String),
}

/// Which of the records that are due.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Not these.
    pub busy: &'a [i64],
    /// Refunds whatever is known of their orders.
    pub refunds: bool,
    /// Refunds whose orders are proved.
    pub proved: &'a [i64],
    /// How many at most.
    pub most: i64,
}

/// The oldest records that are due: of each user only the first that is not through, of each order no refund before its
/// payment is through; none that another process is just writing down.
///
/// # Errors
/// What Postgres said.
pub async fn due(pool: &PgPool, platform: &Pubkey, wanted: Wanted<'_>) -> sqlx::Result<Vec<Due>> {
    let rows = sqlx::query!(
        r#"SELECT id, record, signed_key, signed_signature, attempts,
               (extract(epoch FROM now() - received_at) * 1000)::bigint AS "age!"
           FROM records AS own
           WHERE platform = $1 AND state = 1 AND (not_before IS NULL OR not_before <= now()) AND id <> ALL ($2)
               AND NOT EXISTS (
                   SELECT FROM records AS earlier
                   WHERE earlier.platform = own.platform AND earlier.subject = own.subject AND earlier.state IN (1, 2)
                       AND earlier.id < own.id)
               AND (kind <> 2 OR NOT EXISTS (
                   SELECT FROM records AS paid
                   WHERE paid.platform = own.platform AND paid.order_hash = own.subject AND paid.kind = 1
                       AND paid.state IN (1, 2)))
               AND (kind <> 2 OR $4 OR id = ANY ($5))
           ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED"#,
        platform.as_ref(),
        wanted.busy,
        wanted.most,
        wanted.refunds,
        wanted.proved,
    )
    .fetch_all(pool)
    .await?;
    let due = rows.into_iter().map(|row| Due {
        id: row.id,
        bytes: row.record,
        signed: row.signed_key.zip(row.signed_signature),
        attempts: row.attempts,
        age: Duration::from_millis(u64::try_from(row.age).unwrap_or_default()),
    });
    Ok(due.collect())
}

/// What comes right behind users' first payments that are due, of each user at most `most` records with the first, in order: only
/// fresh payments that we sign, up to whatever is not one.
///
/// # Errors
/// What Postgres said.
pub async fn following(
    pool: &PgPool,
    platform: &Pubkey,
    firsts: &[(i64, Vec<u8>)],
    most: i64,
) -> sqlx::Result<Vec<Due>> {
    let (ids, subjects): (Vec<i64>, Vec<Vec<u8>>) = firsts.iter().cloned().unzip();
    let rows = sqlx::query!(
        r#"SELECT first.id AS "first!", own.id AS "id!", own.record AS "record!", own.is_fresh AS "is_fresh!", own.age AS "age!"
           FROM unnest($2::bigint[], $3::bytea[]) AS first (id, subject)
           CROSS JOIN LATERAL (
               SELECT id, record,
                   kind = 1 AND state = 1 AND attempts = 0 AND not_before IS NULL AND signed_key IS NULL AS is_fresh,
                   (extract(epoch FROM now() - received_at) * 1000)::bigint AS age
               FROM records
               WHERE platform = $1 AND records.subject = first.subject AND state IN (1, 2)
               ORDER BY records.id LIMIT $4
           ) AS own
           ORDER BY first.id, own.id"#,
        platform.as_ref(),
        &ids,
        &subjects as &[Vec<u8>],
        most,
    )
    .fetch_all(pool)
    .await?;
    let mut following = Vec::new();
    // Whose row may be followed: the first itself, then each fresh one behind it.
    let mut unbroken = None;
    for row in rows {
        if row.id == row.first {
            unbroken = Some(row.first);
        } else if unbroken == Some(row.first) && row.is_fresh {
            following.push(Due {
                id: row.id,
                bytes: row.record,
                signed: None,
                attempts: 0,
                age: Duration::from_millis(u64::try_from(row.age).unwrap_or_default()),
            });
        } else {
            unbroken = None;
        }
    }
    Ok(following)
}

/// Writes down what is about to be sent, and hands back what was: what another process took meanwhile stays with it.
///
/// # Errors
/// What Postgres said. It may have been written all the same.
pub async fn write(pool: &PgPool, platform: &Pubkey, made: Vec<Submission>) -> sqlx::Result<Vec<Submission>> {
    let mut transaction = pool.begin().await?;
    let mut written = Vec::new();
    for submission in made {
        let ids: Vec<i64> = submission.records.iter().map(|record| record.id).collect();
        let locked = sqlx::query_scalar!(
            "SELECT id FROM records WHERE id = ANY ($1) AND state = 1 ORDER BY id FOR UPDATE SKIP LOCKED",
            &ids,
        )
        .fetch_all(&mut *transaction)
        .await?;
        if locked.len() != ids.len() {
            continue;
        }
        sqlx::query!(
            "INSERT INTO submissions (platform, signature, transaction, last_block_height, records)
             VALUES ($1, $2, $3, $4, $5)",
            platform.as_ref(),
            submission.signature.as_ref(),
            submission.transaction,
            i64::try_from(submission.last_block_height).unwrap_or(i64::MAX),
            &ids,
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "UPDATE records SET state = 2, signature = $2, attempts = attempts + 1, changed_at = now() WHERE id = ANY ($1)",
            &ids,
            submission.signature.as_ref(),
        )
        .execute(&mut *transaction)
        .await?;
        written.push(submission);
    }
    transaction.commit().await?;
    Ok(written)
}

/// Everything that was written down and may still land.
///
/// # Errors
/// What Postgres said.
pub async fn open(pool: &PgPool, platform: &Pubkey) -> sqlx::Result<Vec<Submission>> {
    let rows = sqlx::query!(
        r#"SELECT signature, transaction, last_block_height, records FROM submissions WHERE platform = $1 ORDER BY id"#,
        platform.as_ref(),
    )
    .fetch_all(pool)
    .await?;
    let mut open = Vec::new();
    for row in rows {
        let records = sqlx::query!(
            "SELECT id, record, attempts FROM records WHERE id = ANY ($1) ORDER BY array_position($1, id)",
            &row.records,
        )
        .fetch_all(pool)
        .await?;
        let records = records.into_iter().map(|record| Due {
            id: record.id,
            bytes: record.record,
            signed: None,
            attempts: record.attempts,
            age: Duration::ZERO,
        });
        open.push(Submission {
            signature: Signature::try_from(row.signature).unwrap_or_default(),
            transaction: row.transaction,
            last_block_height: u64::try_from(row.last_block_height).unwrap_or_default(),
            records: records.collect(),
        });
    }
    Ok(open)
}

/// Says what became of what a transaction carried; it is not looked for any more. Hands back whether this was news: another
/// process may have said so before.
///
/// # Errors
/// What Postgres said. It may have been written all the same.
pub async fn end(pool: &PgPool, signature: &Signature, fates: &[(i64, Fate)]) -> sqlx::Result<bool> {
    let mut transaction = pool.begin().await?;
    let gone = sqlx::query!("DELETE FROM submissions WHERE signature = $1", signature.as_ref())
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    if gone == 0 {
        return Ok(false);
    }
    for (id, fate) in fates {
        change(&mut transaction, *id, 2, fate).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Says what became of records that were not sent.
///
/// # Errors
/// What Postgres said. It may have been written all the same.
pub async fn settle(pool: &PgPool, fates: &[(i64, Fate)]) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    for (id, fate) in fates {
        change(&mut transaction, *id, 1, fate).await?;
    }
    transaction.commit().await
}

async fn change(connection: &mut PgConnection, id: i64, from: i16, fate: &Fate) -> sqlx::Result<()> {
    match fate {
        Fate::Recorded { signature, slot } => {
            sqlx::query!(
                "UPDATE records SET state = 3, signature = $3, slot = $4, reason = NULL, not_before = NULL, changed_at = now()
                 WHERE id = $1 AND state = $2",
                id,
                from,
                signature.as_ref(),
                i64::try_from(*slot).unwrap_or(i64::MAX),
            )
            .execute(connection)
            .await?;
        }
        Fate::Refused(reason) | Fate::Dead(reason) => {
            let state: i16 = if matches!(fate, Fate::Dead(_)) { 5 } else { 4 };
            sqlx::query!(
                "UPDATE records SET state = $3, reason = $4, not_before = NULL, changed_at = now()
                 WHERE id = $1 AND state = $2",
                id,
                from,
                state,
                reason,
            )
            .execute(connection)
            .await?;
        }
        Fate::Again { reason, pause, counts } => {
            // What was sent counted when it was written down.
            let more = match (from, counts) {
                (1, true) => 1,
                (2, false) => -1,
                _ => 0,
            };
            let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            sqlx::query!(
                "UPDATE records SET state = 1, reason = $3, attempts = greatest(attempts + $4, 0),
                     not_before = now() + $5::bigint * interval '1 millisecond', changed_at = now()
                 WHERE id = $1 AND state = $2",
                id,
                from,
                reason,
                more,
                pause,
            )
            .execute(connection)
            .await?;
        }
    }
    Ok(())
}

/// What is known of the payment of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// As in the table.
    pub state: i16,
    /// The transaction that recorded it.
    pub signature: Option<Signature>,
    /// Why it was refused or is dead.
    pub reason: Option<String>,
}

/// What is known of the payment with this order hash.
///
/// # Errors
/// What Postgres said.
pub async fn paid(pool: &PgPool, platform: &Pubkey, order: &[u8; 32]) -> sqlx::Result<Option<Paid>> {
    let row = sqlx::query!(
        "SELECT state, signature, reason FROM records WHERE platform = $1 AND order_hash = $2 AND kind = 1",
        platform.as_ref(),
        order.as_slice(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Paid {
        state: row.state,
        signature: row.signature.and_then(|bytes| Signature::try_from(bytes).ok()),
        reason: row.reason,
    }))
}

/// Queues a refused or dead record again, as if it had just come; `false` if there is none with this number.
///
/// # Errors
/// What Postgres said.
pub async fn retry(pool: &PgPool, platform: &Pubkey, number: &str) -> sqlx::Result<bool> {
    let mut transaction = pool.begin().await?;
    let changed = sqlx::query!(
        "UPDATE records SET state = 1, attempts = 0, not_before = NULL, changed_at = now()
         WHERE platform = $1 AND number = $2 AND state IN (4, 5)",
        platform.as_ref(),
        number,
    )
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    sqlx::query!("SELECT pg_notify('oracle_queued', '')").execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(changed > 0)
}

/// How the queue stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Records that wait.
    pub queued: i64,
    /// Records whose transaction may land.
    pub sent: i64,
    /// Records that need an operator.
    pub dead: i64,
    /// Records that came over a minute ago and are not through.
    pub overdue: i64,
    /// When the oldest of those that are not through came.
    pub oldest: Option<OffsetDateTime>,
}

/// How the queue stands.
///
/// # Errors
/// What Postgres said.
pub async fn depth(pool: &PgPool, platform: &Pubkey) -> sqlx::Result<Depth> {
    sqlx::query_as!(
        Depth,
        r#"SELECT count(*) FILTER (WHERE state = 1) AS "queued!", count(*) FILTER (WHERE state = 2) AS "sent!",
               count(*) FILTER (WHERE state = 5) AS "dead!",
               count(*) FILTER (WHERE state IN (1, 2) AND received_at < now() - interval '1 minute') AS "overdue!",
               min(received_at) FILTER (WHERE state IN (1, 2)) AS oldest
           FROM records WHERE platform = $1 AND state IN (1, 2, 5)"#,
        platform.as_ref(),
    )
    .fetch_one(pool)
    .await
}
