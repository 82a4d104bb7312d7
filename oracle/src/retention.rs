//! What came in is not kept for ever.
//!
//! A notice goes as it came, with all that a provider says of a buyer, once its time is over and its record is decided for good:
//! recorded or refused. The record itself stays: should the same notice come again after that, it is known by its order.

use crate::OracleError;
use sqlx::PgPool;

/// How many notices one transaction looks at.
const AT_ONCE: i64 = 1_000;

/// Forgets notices that came more than `days` ago, unless their records are still to be decided, and conflicts that came last
/// before that. Call it now and then. How many rows went.
///
/// # Errors
/// [`OracleError::Database`]; what went before stays gone.
pub async fn forget(pool: &PgPool, days: u32) -> Result<u64, OracleError> {
    let days = i32::try_from(days).unwrap_or(i32::MAX);
    let (mut after, mut gone) = (0, 0u64);
    // Numbers rise with time, near enough: where a whole look finds nothing old, there is nothing old behind it.
    loop {
        let looked = sqlx::query!(
            r#"WITH looked AS (
                 SELECT id, record, received_at < now() - make_interval(days => $2) AS is_old
                 FROM notices WHERE id > $1 ORDER BY id LIMIT $3
             ), gone AS (
                 DELETE FROM notices USING looked, records
                 WHERE notices.id = looked.id AND looked.is_old AND records.id = looked.record AND records.state IN (3, 4)
                 RETURNING notices.id
             )
             SELECT max(id) AS last, coalesce(bool_or(is_old), false) AS "any_old!", (SELECT count(*) FROM gone) AS "gone!"
             FROM looked"#,
            after,
            days,
            AT_ONCE,
        )
        .fetch_one(pool)
        .await?;
        gone = gone.saturating_add(looked.gone.unsigned_abs());
        match looked.last {
            Some(last) if looked.any_old => after = last,
            _ => break,
        }
    }
    let conflicts = sqlx::query!("DELETE FROM conflicts WHERE last_at < now() - make_interval(days => $1)", days)
        .execute(pool)
        .await?;
    Ok(gone.saturating_add(conflicts.rows_affected()))
}
