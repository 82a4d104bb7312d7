//! The keys that users have on chain: HMAC-SHA256(platform's secret, user id).
//!
//! A user's balances stand under the key, so a user keeps it for good. Rotating the secret is for what comes after: add one
//! with a higher number, keep the old ones, and start the oracle again (all of its processes stopped first). Users who were seen
//! before keep the key by their old secret, as the table `users` says; users who are new get one by the newest. A secret that
//! got out lets whoever has it recognise the users of its time whose ids they can guess; it signs nothing and moves nothing.

use rebate_client::platform_id;
use rebate_core::units::UserKey;
use sqlx::PgPool;
use std::{collections::BTreeMap, fmt};
use thiserror::Error;

/// The platform's secrets by number. Never shown.
#[derive(Clone)]
pub struct UserSecrets {
    all: BTreeMap<i16, Vec<u8>>,
    newest: i16,
}

/// Why there are no keys for users. Says nothing of the secrets.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SecretsError {
    /// None is configured.
    #[error("no user_secrets in the settings; add one with number = 1")]
    None,
    /// With an empty one, anybody could make the keys.
    #[error("the user secret number {0} is empty")]
    Empty(i16),
    /// One number, two secrets, or a negative one.
    #[error("the user secret number {0} is there twice, or is negative")]
    Number(i16),
    /// Users have keys by a secret that is gone: they would get others, and lose their balances.
    #[error("users have keys by the secret number {0}, which is not in the settings; put it back")]
    Gone(i16),
}

impl fmt::Debug for UserSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserSecrets({:?})", self.all.keys())
    }
}

impl UserSecrets {
    /// These secrets; white space at an end does not count, as everywhere in this project.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub fn new(secrets: impl IntoIterator<Item = (i16, Vec<u8>)>) -> Result<Self, SecretsError> {
        let mut all = BTreeMap::new();
        for (number, secret) in secrets {
            let secret = secret.trim_ascii_end().to_vec();
            if secret.is_empty() {
                return Err(SecretsError::Empty(number));
            }
            if number < 0 || all.insert(number, secret).is_some() {
                return Err(SecretsError::Number(number));
            }
        }
        let newest = all.last_key_value().map(|(number, _)| *number).ok_or(SecretsError::None)?;
        Ok(Self { all, newest })
    }

    /// The number of the secret for users who are new.
    pub fn newest(&self) -> i16 {
        self.newest
    }

    /// The numbers of all, the oldest first.
    pub fn numbers(&self) -> impl Iterator<Item = i16> {
        self.all.keys().copied()
    }

    /// Whether users can have keys by different secrets.
    pub fn is_rotated(&self) -> bool {
        self.all.len() > 1
    }

    /// A user's key by the secret `number`, or by the newest where there is none of that number.
    pub fn key(&self, number: i16, user: &str) -> UserKey {
        let secret = self.all.get(&number).or_else(|| self.all.get(&self.newest));
        platform_id::user(secret.map_or(&[], Vec::as_slice), user)
    }

    /// Checks that every user's secret is still there.
    ///
    /// # Errors
    /// [`SecretsError::Gone`], or the database's.
    pub async fn check(&self, pool: &PgPool, platform: &[u8; 32]) -> Result<Result<(), SecretsError>, sqlx::Error> {
        let known: Vec<i16> = self.all.keys().copied().collect();
        let gone = sqlx::query_scalar!(
            "SELECT secret FROM users WHERE platform = $1 AND secret <> ALL($2) LIMIT 1",
            platform.as_slice(),
            &known,
        )
        .fetch_optional(pool)
        .await?;
        Ok(gone.map_or(Ok(()), |number| Err(SecretsError::Gone(number))))
    }

    /// The number of the secret that `user`'s key is made with: the one of the first record, or the newest.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(&self, pool: &PgPool, platform: &[u8; 32], user: &str) -> Result<i16, sqlx::Error> {
        if !self.is_rotated() {
            return Ok(self.newest);
        }
        let known = sqlx::query_scalar!(
            "SELECT secret FROM users WHERE platform = $1 AND user_id = $2",
            platform.as_slice(),
            user,
        )
        .fetch_optional(pool)
        .await?;
        Ok(known.unwrap_or(self.newest))
    }

    /// The same, and it stays so: whoever was told a key can rely on it.
    ///
    /// # Errors
    /// The database's.
    pub async fn settle(&self, pool: &PgPool, platform: &[u8; 32], user: &str) -> Result<i16, sqlx::Error> {
        let known = self.of(pool, platform, user).await?;
        sqlx::query!(
            "INSERT INTO users (platform, user_id, secret) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            platform.as_slice(),
            user,
            known,
        )
        .execute(pool)
        .await?;
        self.of(pool, platform, user).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_hmac_that_openssl_makes_and_a_line_end_in_the_secret_does_not_count() {
        // printf %s user-1 | openssl dgst -sha256 -hmac platform-secret
        let secrets = UserSecrets::new([(1, b"platform-secret\n".to_vec())]).unwrap();
        let expected = include_str!("../tests/fixtures/user_key.hex").trim();
        assert_eq!(secrets.key(1, "user-1").to_string(), expected);
    }

    #[test]
    fn secrets_are_not_shown_and_none_is_empty_or_there_twice() {
        let secrets = UserSecrets::new([(1, b"one".to_vec()), (3, b"three".to_vec())]).unwrap();
        assert_eq!(secrets.newest(), 3);
        assert!(!format!("{secrets:?}").contains("three"));
        assert_ne!(secrets.key(1, "u"), secrets.key(3, "u"));
        assert_eq!(UserSecrets::new([]).unwrap_err(), SecretsError::None);
        assert_eq!(UserSecrets::new([(1, b" \n".to_vec())]).unwrap_err(), SecretsError::Empty(1));
        assert_eq!(UserSecrets::new([(1, vec![1]), (1, vec![2])]).unwrap_err(), SecretsError::Number(1));
    }
}
