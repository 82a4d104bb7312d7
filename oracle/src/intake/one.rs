//! A notice of which something may be there: whether it says the same as what is, or contradicts it.

use super::{Incoming, Stored, writer::Writer};
use crate::{OracleError, order::Encoded};
use sqlx::{PgConnection, Postgres, Transaction};

impl Writer {
    /// Stores one of which something may be there.
    pub(super) async fn store_one(&self, incoming: &Incoming) -> Result<Stored, OracleError> {
        let mut transaction = self.pool.begin().await?;
        // Whoever stores the same number or notice, or another refund of the same order, waits here. In one order.
        let record = &incoming.record;
        let mut locks = vec![
            format!("event {} {}", incoming.provider, incoming.event),
            format!("number {}", record.refund_of.as_deref().unwrap_or(&record.number)),
            format!("number {}", record.number),
        ];
        locks.sort_unstable();
        locks.dedup();
        for lock in locks {
            sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", lock)
                .fetch_one(&mut *transaction)
                .await?;
        }
        let stored = self.decide(&mut transaction, incoming).await?;
        transaction.commit().await?;
        if stored == Stored::Recorded {
            self.ring();
        }
        if let Stored::Conflict { number } = &stored {
            self.metrics.conflicts.inc();
            // For an operator. Neither the body nor the user is in it.
            tracing::error!(
                provider = %incoming.provider, event = %incoming.event, number = %number,
                "a notice contradicts what is on record; nothing was signed, look into the table conflicts"
            );
        }
        Ok(stored)
    }

    async fn decide(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        incoming: &Incoming,
    ) -> Result<Stored, OracleError> {
        let Incoming { provider, event, body, record } = incoming;
        let of_notice = sqlx::query!(
            "SELECT id, number, record, refund_total FROM records
             WHERE id = (SELECT record FROM notices WHERE provider = $1 AND event = $2)",
            &**provider,
            event,
        )
        .fetch_optional(&mut **transaction)
        .await?;
        if let Some(known) = of_notice {
            // A notice of a refund that another one's sum covers stands for that one.
            let is_covered =
                record.refund_total.is_some_and(|total| known.refund_total.is_some_and(|of| to_u64(of) >= total));
            let same_number = known.number == record.number;
            let is_same = match record.refund_total {
                None => same_number && known.record == record.record,
                Some(total) if same_number => known.refund_total.map(to_u64) == Some(total),
                Some(_) => is_covered,
            };
            return if is_same { Ok(Stored::Known) } else { self.conflict(transaction, incoming, known.id).await };
        }
        let of_number = sqlx::query!(
            "SELECT id, record, refund_total FROM records WHERE platform = $1 AND number = $2",
            self.platform.as_slice(),
            record.number,
        )
        .fetch_optional(&mut **transaction)
        .await?;
        if let Some(known) = of_number {
            let is_same = match record.refund_total {
                None => known.record == record.record,
                Some(total) => known.refund_total.map(to_u64) == Some(total),
            };
            if !is_same {
                return self.conflict(transaction, incoming, known.id).await;
            }
            note(transaction, provider, event, body, known.id).await?;
            return Ok(Stored::Known);
        }
        let mut record = record.clone();
        if let (Some(total), Some(of)) = (record.refund_total, record.refund_of.clone()) {
            let before = sqlx::query!(
                "SELECT id, refund_total FROM records WHERE platform = $1 AND refund_of = $2 AND refund_total IS NOT NULL
                 ORDER BY refund_total DESC LIMIT 1",
                self.platform.as_slice(),
                of,
            )
            .fetch_optional(&mut **transaction)
            .await?;
            if let Some(before) = before {
                let so_far = before.refund_total.map_or(0, to_u64);
                let Some(more) = total.checked_sub(so_far).filter(|more| *more > 0) else {
                    // It came late: a later refund's sum has it.
                    note(transaction, provider, event, body, before.id).await?;
                    return Ok(Stored::Known);
                };
                record = record.with_refund_amount(more);
            }
        }
        let id = self.insert(transaction, provider, &record).await?;
        let Some(id) = id else {
            // Somebody's statement for many put the number there since we looked: look again.
            return Err(OracleError::Raced);
        };
        note(transaction, provider, event, body, id).await?;
        Ok(Stored::Recorded)
    }

    async fn insert(
        &self,
        connection: &mut PgConnection,
        provider: &str,
        record: &Encoded,
    ) -> Result<Option<i64>, OracleError> {
        if let Some((user, secret)) = &record.user {
            sqlx::query!(
                "INSERT INTO users (platform, user_id, secret) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                self.platform.as_slice(),
                user,
                secret,
            )
            .execute(&mut *connection)
            .await?;
        }
        Ok(sqlx::query_scalar!(
            "INSERT INTO records (platform, kind, number, order_hash, record, user_id, refund_of, refund_total, provider,
                                  signed_key, signed_signature)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (platform, number) DO NOTHING RETURNING id",
            self.platform.as_slice(),
            i16::from(record.kind),
            record.number,
            record.order_hash.as_slice(),
            record.record,
            record.user.as_ref().map(|(user, _)| user.as_str()),
            record.refund_of,
            record.refund_total.and_then(|total| i64::try_from(total).ok()),
            provider,
            record.signed.as_ref().map(|(key, _)| key.as_slice()),
            record.signed.as_ref().map(|(_, signature)| signature.as_slice()),
        )
        .fetch_optional(connection)
        .await?)
    }

    async fn conflict(
        &self,
        connection: &mut PgConnection,
        incoming: &Incoming,
        known: i64,
    ) -> Result<Stored, OracleError> {
        sqlx::query!(
            "INSERT INTO conflicts (provider, event, number, record, came, body) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (provider, event, number, came) DO UPDATE SET times = conflicts.times + 1, last_at = now()",
            &*incoming.provider,
            incoming.event,
            incoming.record.number,
            known,
            incoming.record.record,
            &*incoming.body,
        )
        .execute(connection)
        .await?;
        Ok(Stored::Conflict { number: incoming.record.number.clone() })
    }
}

/// Keeps one more notice about a record.
async fn note(
    connection: &mut PgConnection,
    provider: &str,
    event: &str,
    body: &[u8],
    record: i64,
) -> Result<(), OracleError> {
    sqlx::query!(
        "INSERT INTO notices (provider, event, body, record) VALUES ($1, $2, $3, $4)",
        provider,
        event,
        body,
        record,
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn to_u64(total: i64) -> u64 {
    total.unsigned_abs()
}
