//! Users, about themselves: by a token for who signed in with a wallet, or by one that the platform signed.

use crate::{
    access::{
        bearer,
        sign_in::{SignIn, Subject},
    },
    problem::{Kind, Problem},
    snapshot::Snapshot,
    state::ApiState,
    value::{Address, Hash, Instant},
};
use axum::{extract::FromRequestParts, http::request::Parts};
use time::OffsetDateTime;

/// How many of a wallet's links are looked at; a person has one for each platform.
const LINKS: i64 = 100;

/// The user who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    /// Who it is.
    pub subject: Subject,
    /// When the token ends.
    pub ends: OffsetDateTime,
}

/// A user of a platform, whom a wallet is linked to.
pub(crate) struct Linked {
    /// The platform.
    pub platform: Address,
    /// The user's key.
    pub user: Hash,
    /// When the wallet was linked; `None` where the platform says who asks.
    pub linked_at: Option<Instant>,
}

/// What this server needs for users to sign in.
///
/// # Errors
/// Where it does not have it.
pub(crate) fn configured(state: &ApiState) -> Result<&SignIn, Problem> {
    state.access().sign_in.as_ref().ok_or_else(|| {
        Problem::new(
            Kind::NotConfigured,
            "users cannot sign in at this server: start it with --domain, the one that users see, and set OPERATORS_DATABASE_URL",
        )
    })
}

impl FromRequestParts<ApiState> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let sign_in = configured(state)?;
        let token = bearer::required(&parts.headers, "a token from POST /v1/sign-in, or one of the platform's,")?;
        let (subject, ends) = sign_in.subject(token, OffsetDateTime::now_utc()).ok_or_else(|| {
            Problem::new(
                Kind::Unauthorized,
                "this token was not signed for this server, or it has expired; sign in again",
            )
        })?;
        Ok(Self { subject, ends })
    }
}

impl User {
    /// Which users of which platforms this is. A wallet is a user's as long as no other was linked after it.
    ///
    /// # Errors
    /// Where the database fails, or the platform of a token cannot be told.
    pub(crate) async fn linked(&self, snapshot: &mut Snapshot) -> Result<Vec<Linked>, Problem> {
        match self.subject {
            Subject::User(user) => {
                let platform = snapshot.platform(crate::request::OfPlatform { platform: None }).await?;
                Ok(vec![Linked { platform, user, linked_at: None }])
            }
            Subject::Wallet(wallet) => Ok(sqlx::query_as!(
                Linked,
                r#"SELECT l.platform AS "platform: Address", l.user_key AS "user: Hash", l.linked_at AS "linked_at: Instant"
                   FROM wallet_links l
                   WHERE l.wallet = $1 AND NOT EXISTS (
                       SELECT FROM wallet_links n
                       WHERE n.platform = l.platform AND n.user_key = l.user_key AND n.linked_at > l.linked_at)
                   ORDER BY l.linked_at DESC, l.platform, l.user_key LIMIT $2"#,
                &wallet.0,
                LINKS,
            )
            .fetch_all(snapshot.connection())
            .await?),
        }
    }
}
