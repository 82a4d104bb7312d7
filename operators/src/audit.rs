//! The log of all that operators did: added to by the transaction that does it, never changed, each row holding the hash of
//! the one before.
//!
//! A row's hash is SHA-256 of: `rebate operators audit v1`, the hash before (32 bytes, zeros for the first row), id and time
//! (microseconds since 1970) as eight bytes each, the least first, and then operator, its name, role, action, target, outcome,
//! detail and request id, each as 0 where it is NULL, or else as 1, its length in eight bytes, and its UTF-8.
//!
//! Who may write to the database can make a new log that is sound in itself. So keep what [`verify`] says of its end elsewhere
//! from time to time, and hand it in again the next time.

use crate::{
    OperatorsError,
    key::{KeyId, redact},
    keys::Identity,
};
use ring::digest::{Context, SHA256};
use sqlx::{PgPool, Postgres, Transaction};
use std::{fmt, str::FromStr};
use thiserror::Error;
use time::OffsetDateTime;

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The operator with this key.
    Key(Identity),
    /// Somebody with a shell and the database's URL.
    CommandLine,
}

impl Actor {
    fn name(&self) -> &str {
        match self {
            Self::Key(identity) => &identity.name,
            Self::CommandLine => "command line",
        }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What became of it is another row; where there is none, nobody knows.
    Begun,
    /// It was done.
    Done,
    /// It was not done.
    Failed,
    /// The role did not suffice.
    Refused,
}

/// A text that is no outcome.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("an outcome is begun, done, failed or refused")]
pub struct UnknownOutcome;

impl Outcome {
    /// Its name, as the API has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, UnknownOutcome> {
        [Self::Begun, Self::Done, Self::Failed, Self::Refused]
            .into_iter()
            .find(|outcome| outcome.name() == text)
            .ok_or(UnknownOutcome)
    }
}

/// What to log. Texts that are too long are cut, and keys in them lose their secret half.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// Did what: `key.create`. 1 to 100 characters.
    pub action: &'a str,
    /// On what; up to 500 characters.
    pub target: &'a str,
    /// With what outcome.
    pub outcome: Outcome,
    /// What else is to be said; up to 2,000 characters.
    pub detail: Option<&'a str>,
    /// What the server's log knows the request by; up to 200 characters.
    pub request_id: Option<&'a str>,
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// 1, 2, 3 and so on.
    pub id: i64,
    /// When.
    pub at: OffsetDateTime,
    /// The key's public half; `None` for the command line.
    pub operator: Option<String>,
    /// What the key was called.
    pub operator_name: String,
    /// What it might do then.
    pub role: Option<String>,
    /// What was done.
    pub action: String,
    /// On what.
    pub target: String,
    /// What became of it.
    pub outcome: String,
    /// What else is to be said.
    pub detail: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// The row's hash.
    pub hash: Vec<u8>,
}

impl Logged {
    /// The hash that the row has to have behind one with `previous`.
    fn hash_after(&self, previous: &[u8]) -> Vec<u8> {
        let mut context = Context::new(&SHA256);
        context.update(b"rebate operators audit v1");
        context.update(previous);
        context.update(&self.id.to_le_bytes());
        context.update(&microseconds(self.at).to_le_bytes());
        for text in [
            self.operator.as_deref(),
            Some(&self.operator_name),
            self.role.as_deref(),
            Some(&self.action),
            Some(&self.target),
            Some(&self.outcome),
            self.detail.as_deref(),
            self.request_id.as_deref(),
        ] {
            match text {
                None => context.update(&[0]),
                Some(text) => {
                    context.update(&[1]);
                    context.update(&(text.len() as u64).to_le_bytes());
                    context.update(text.as_bytes());
                }
            }
        }
        context.finish().as_ref().to_vec()
    }
}

fn microseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}

/// As Postgres keeps it: text without NUL, times to the microsecond.
fn fit(text: &str, most: usize) -> String {
    redact(text).chars().map(|char| if char == '\0' { '\u{fffd}' } else { char }).take(most).collect()
}

/// Adds to the log what `transaction` does; both are there or neither is. Returns the row's number.
///
/// # Errors
/// Where the database fails. The transaction must not be committed then.
pub async fn append(transaction: &mut Transaction<'_, Postgres>, entry: &Entry<'_>) -> Result<i64, OperatorsError> {
    // Held until the transaction ends: the next row comes after this one.
    let head = sqlx::query!("SELECT entries, hash FROM audit_head FOR UPDATE").fetch_one(&mut **transaction).await?;
    let now = OffsetDateTime::now_utc();
    let at = now.replace_nanosecond(now.nanosecond() / 1_000 * 1_000).unwrap_or(now);
    let (operator, role) = match entry.actor {
        Actor::Key(identity) => (Some(identity.id.to_string()), Some(identity.role.name().to_owned())),
        Actor::CommandLine => (None, None),
    };
    let mut row = Logged {
        id: head.entries.saturating_add(1),
        at,
        operator,
        operator_name: entry.actor.name().to_owned(),
        role,
        action: fit(entry.action, 100),
        target: fit(entry.target, 500),
        outcome: entry.outcome.name().to_owned(),
        detail: entry.detail.map(|detail| fit(detail, 2_000)),
        request_id: entry.request_id.map(|id| fit(id, 200)),
        hash: Vec::new(),
    };
    row.hash = row.hash_after(&head.hash);
    sqlx::query!(
        "INSERT INTO audit (id, at, operator, operator_name, role, action, target, outcome, detail, request_id, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        row.id,
        row.at,
        row.operator,
        row.operator_name,
        row.role,
        row.action,
        row.target,
        row.outcome,
        row.detail,
        row.request_id,
        row.hash,
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!("UPDATE audit_head SET entries = $1, hash = $2", row.id, row.hash).execute(&mut **transaction).await?;
    Ok(row.id)
}

/// Adds to the log what has no transaction of this database's.
///
/// # Errors
/// Where the database fails.
pub async fn log(pool: &PgPool, entry: &Entry<'_>) -> Result<i64, OperatorsError> {
    let mut transaction = pool.begin().await?;
    let id = append(&mut transaction, entry).await?;
    transaction.commit().await?;
    Ok(id)
}

/// Which rows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this key alone.
    pub operator: Option<KeyId>,
    /// Of this action alone.
    pub action: Option<String>,
    /// With this outcome alone.
    pub outcome: Option<Outcome>,
    /// From then on.
    pub from: Option<OffsetDateTime>,
    /// Before then.
    pub to: Option<OffsetDateTime>,
}

/// Up to `limit` rows older than number `before`, the newest first.
///
/// # Errors
/// Where the database fails.
pub async fn page(
    pool: &PgPool,
    filter: &Filter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Logged>, OperatorsError> {
    Ok(sqlx::query_as!(
        Logged,
        "SELECT id, at, operator, operator_name, role, action, target, outcome, detail, request_id, hash FROM audit
         WHERE ($1::bigint IS NULL OR id < $1) AND ($2::text IS NULL OR operator = $2)
           AND ($3::text IS NULL OR action = $3) AND ($4::text IS NULL OR outcome = $4)
           AND ($5::timestamptz IS NULL OR at >= $5) AND ($6::timestamptz IS NULL OR at < $6)
         ORDER BY id DESC LIMIT $7",
        before,
        filter.operator.as_ref().map(KeyId::as_str),
        filter.action,
        filter.outcome.map(Outcome::name),
        filter.from,
        filter.to,
        limit,
    )
    .fetch_all(pool)
    .await?)
}

/// Where a log ends: what stays true of it while it is only added to. Written `41:` and the hash in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many rows there are.
    pub entries: i64,
    /// The last one's hash; zeros where there is none.
    pub hash: [u8; 32],
}

/// A text that is no end of a log.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the end of a log is written as a count, a colon and 64 hexadecimal digits")]
pub struct NoHead;

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.entries, hex::encode(self.hash))
    }
}

impl FromStr for Head {
    type Err = NoHead;

    fn from_str(text: &str) -> Result<Self, NoHead> {
        let (entries, hash) = text.split_once(':').ok_or(NoHead)?;
        let mut head = Self { entries: entries.parse().map_err(|_| NoHead)?, hash: [0; 32] };
        hex::decode_to_slice(hash, &mut head.hash).map_err(|_| NoHead)?;
        Ok(head)
    }
}

/// What a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every row is as it was written, none is missing, and so it ends.
    Sound(Head),
    /// It was tampered with.
    Tampered {
        /// The first row that is not as it was written, or that is missing.
        id: i64,
        /// What is wrong there.
        what: String,
    },
}

/// Rows looked at in one go.
const STRIDE: i64 = 1_000;

/// Looks at every row. Where `known` is given, what [`Verdict::Sound`] said earlier, it must still be true.
///
/// # Errors
/// Where the database fails.
pub async fn verify(pool: &PgPool, known: Option<Head>) -> Result<Verdict, OperatorsError> {
    let mut snapshot = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let mut previous = Head { entries: 0, hash: [0; 32] };
    let tampered = |id, what: &str| Ok(Verdict::Tampered { id, what: what.to_owned() });
    let is_as_known = |head: Head| known.is_none_or(|known| known.entries != head.entries || known == head);
    loop {
        let rows = sqlx::query_as!(
            Logged,
            "SELECT id, at, operator, operator_name, role, action, target, outcome, detail, request_id, hash FROM audit
             WHERE id > $1 ORDER BY id LIMIT $2",
            previous.entries,
            STRIDE,
        )
        .fetch_all(&mut *snapshot)
        .await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let next = previous.entries.saturating_add(1);
            if row.id != next {
                return tampered(next, "the row is missing");
            }
            if row.hash != row.hash_after(&previous.hash) {
                return tampered(next, "the row is not as it was written, or the one before it is another one");
            }
            let hash =
                row.hash.try_into().map_err(|_| OperatorsError::Damaged(format!("audit row {next}: its hash")))?;
            previous = Head { entries: next, hash };
            if !is_as_known(previous) {
                return tampered(next, "the row is sound in itself and another one than it was");
            }
        }
    }
    let head = sqlx::query!("SELECT entries, hash FROM audit_head").fetch_optional(&mut *snapshot).await?;
    let ends = head.is_some_and(|head| head.entries == previous.entries && head.hash == previous.hash);
    let next = previous.entries.saturating_add(1);
    match known {
        _ if !ends => tampered(next, "the log does not end where audit_head says: rows are missing or were slipped in"),
        Some(known) if known.entries > previous.entries => tampered(next, "the log was longer than that"),
        _ => Ok(Verdict::Sound(previous)),
    }
}
