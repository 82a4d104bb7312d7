//! The keys there are: made, listed, revoked, and told from what is none.

use crate::{
    OperatorsError,
    audit::{self, Actor, Entry, Outcome},
    key::{Key, KeyId},
    role::Role,
};
use sqlx::PgPool;
use time::OffsetDateTime;

/// Characters of a key's name at most.
pub const LONGEST_NAME: usize = 100;

/// Who asks, once a key was told from what is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The key's public half.
    pub id: KeyId,
    /// What it is called.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// A key as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Who uses it.
    pub identity: Identity,
    /// Since when it is there.
    pub created_at: OffsetDateTime,
    /// Until when it holds; `None` until it is revoked.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was revoked.
    pub revoked_at: Option<OffsetDateTime>,
}

impl Listed {
    /// Whether it opens anything at `now`.
    pub fn is_in_force(&self, now: OffsetDateTime) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// A key to be made.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// What to call it: 1 to [`LONGEST_NAME`] characters, none of them a control character.
    pub name: &'a str,
    /// What it may do.
    pub role: Role,
    /// Until when it holds, if not until it is revoked.
    pub expires_at: Option<OffsetDateTime>,
}

/// Makes a key, and logs who did. The key is kept nowhere: [`Key::reveal`] shows it this once.
///
/// # Errors
/// [`OperatorsError`].
pub async fn create(
    pool: &PgPool,
    by: &Actor,
    request_id: Option<&str>,
    draft: &Draft<'_>,
) -> Result<(Key, Listed), OperatorsError> {
    let name = draft.name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(OperatorsError::Name);
    }
    if draft.expires_at.is_some_and(|end| end <= OffsetDateTime::now_utc()) {
        return Err(OperatorsError::Expired);
    }
    let key = Key::make()?;
    let kept = key.sha256();
    let mut transaction = pool.begin().await?;
    let created_at = sqlx::query_scalar!(
        "INSERT INTO keys (id, name, role, secret_sha256, expires_at) VALUES ($1, $2, $3, $4, $5) RETURNING created_at",
        key.id().as_str(),
        name,
        draft.role.name(),
        kept.as_slice(),
        draft.expires_at,
    )
    .fetch_one(&mut *transaction)
    .await?;
    let detail = match draft.expires_at {
        Some(end) => format!("{} {name:?}, until {end}", draft.role),
        None => format!("{} {name:?}", draft.role),
    };
    let entry = Entry {
        actor: by,
        action: "key.create",
        target: key.id().as_str(),
        outcome: Outcome::Done,
        detail: Some(&detail),
        request_id,
    };
    audit::append(&mut transaction, &entry).await?;
    transaction.commit().await?;
    let identity = Identity { id: key.id().clone(), name: name.to_owned(), role: draft.role };
    Ok((key, Listed { identity, created_at, expires_at: draft.expires_at, revoked_at: None }))
}

/// Ends a key, from the next request on, and logs who did.
///
/// # Errors
/// [`OperatorsError::NoKey`] where there is none, or it was revoked before; and where the database fails.
pub async fn revoke(pool: &PgPool, by: &Actor, request_id: Option<&str>, id: &KeyId) -> Result<(), OperatorsError> {
    let mut transaction = pool.begin().await?;
    let name = sqlx::query_scalar!(
        "UPDATE keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING name",
        id.as_str()
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or_else(|| OperatorsError::NoKey(id.clone()))?;
    let detail = format!("{name:?}");
    let entry = Entry {
        actor: by,
        action: "key.revoke",
        target: id.as_str(),
        outcome: Outcome::Done,
        detail: Some(&detail),
        request_id,
    };
    audit::append(&mut transaction, &entry).await?;
    transaction.commit().await?;
    Ok(())
}

/// Up to `limit` keys after `after`, by their ids, those that hold no more among them.
///
/// # Errors
/// Where the database fails or holds what this code never wrote.
pub async fn list(pool: &PgPool, after: Option<&KeyId>, limit: i64) -> Result<Vec<Listed>, OperatorsError> {
    let rows = sqlx::query!(
        "SELECT id, name, role, created_at, expires_at, revoked_at FROM keys
         WHERE $1::text IS NULL OR id > $1 ORDER BY id LIMIT $2",
        after.map(KeyId::as_str),
        limit,
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Listed {
                identity: identity(&row.id, row.name, &row.role)?,
                created_at: row.created_at,
                expires_at: row.expires_at,
                revoked_at: row.revoked_at,
            })
        })
        .collect()
}

/// Whose key `text` is; `None` where it is nobody's, or not any more. The database is asked each time, so a revoked key stops
/// with the next request.
///
/// # Errors
/// Where the database fails or holds what this code never wrote.
pub async fn authenticate(pool: &PgPool, text: &str) -> Result<Option<Identity>, OperatorsError> {
    let Some(key) = Key::read(text) else { return Ok(None) };
    let row = sqlx::query!(
        r#"SELECT name, role, secret_sha256,
                  revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) AS "holds!"
           FROM keys WHERE id = $1"#,
        key.id().as_str()
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else {
        tracing::warn!(id = %key.id(), "a key that nobody made was tried");
        return Ok(None);
    };
    // Who does not have the secret half does not learn whether the key still holds, either.
    if !key.is(&row.secret_sha256) {
        tracing::warn!(id = %key.id(), "a key was tried with another secret half");
        return Ok(None);
    }
    if !row.holds {
        tracing::warn!(id = %key.id(), "a key was tried that was revoked or has expired");
        return Ok(None);
    }
    identity(key.id().as_str(), row.name, &row.role).map(Some)
}

fn identity(id: &str, name: String, role: &str) -> Result<Identity, OperatorsError> {
    let damaged = |what: &dyn std::fmt::Display| OperatorsError::Damaged(format!("key {id:?}: {what}"));
    Ok(Identity {
        id: id.parse().map_err(|error| damaged(&error))?,
        name,
        role: role.parse().map_err(|error| damaged(&error))?,
    })
}
