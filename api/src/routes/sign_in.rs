//! Signing in with a wallet.

use crate::{
    access::{message::Message, operator, sign_in::Refused, user::configured},
    problem::{AccessProblems, Kind, Problem},
    request::Body,
    routes::operators::Private,
    state::ApiState,
    value::{Address, Instant},
};
use axum::extract::State;
use rebate_operators::nonces;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Who wants to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asks {
    /// The wallet's address.
    address: Address,
}

/// What is to be signed.
#[derive(Serialize, ToSchema)]
pub(crate) struct ToSign {
    /// The message, as Sign-In With Solana has it: have the wallet sign its UTF-8 as it is. Or have the wallet make a message of
    /// its parts, with this nonce.
    message: String,
    /// What makes it count once.
    nonce: String,
    /// The domain that it must name.
    domain: String,
    /// The chain that it must name.
    #[schema(example = "mainnet")]
    chain_id: String,
    /// Until when the nonce can be used.
    expires_at: Instant,
}

/// Ask for a message to sign
///
/// Its nonce counts once, and for five minutes.
#[utoipa::path(
    post,
    path = "/v1/sign-in/nonce",
    tag = "me",
    operation_id = "createNonce",
    request_body = Asks,
    responses((status = 200, description = "The message.", body = ToSign), AccessProblems),
)]
pub(crate) async fn nonce(State(state): State<ApiState>, Body(asks): Body<Asks>) -> Result<Private<ToSign>, Problem> {
    let sign_in = configured(&state)?;
    let message =
        sign_in.message(asks.address, OffsetDateTime::now_utc()).map_err(|error| Problem::internal(&error))?;
    Ok(Private(ToSign {
        message: message.to_string(),
        expires_at: Instant(message.expiration_time.at),
        nonce: message.nonce,
        domain: message.domain,
        chain_id: message.chain_id,
    }))
}

/// A message and the wallet's signature over it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signed {
    /// The message, as it was signed.
    #[schema(max_length = 4096)]
    message: String,
    /// The Ed25519 signature over its UTF-8, base58.
    #[schema(pattern = "^[1-9A-HJ-NP-Za-km-z]{64,88}$")]
    signature: String,
}

/// A token for who signed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Session {
    /// What `Authorization: Bearer …` takes.
    token: String,
    /// When it ends.
    expires_at: Instant,
    /// Whose it is.
    wallet: Address,
}

/// Sign in with a wallet
///
/// The message must name this server's domain and chain, hold now, and have a nonce from here that was not used before.
#[utoipa::path(
    post,
    path = "/v1/sign-in",
    tag = "me",
    operation_id = "signIn",
    request_body = Signed,
    responses((status = 200, description = "The token.", body = Session), AccessProblems),
)]
pub(crate) async fn sign_in(
    State(state): State<ApiState>,
    Body(signed): Body<Signed>,
) -> Result<Private<Session>, Problem> {
    let sign_in = configured(&state)?;
    let pool = used(&state)?;
    let message = Message::read(&signed.message)
        .map_err(|error| Problem::new(Kind::InvalidBody, format!("message in the body: {error}")))?;
    let signature = signature(&signed.signature)
        .ok_or_else(|| Problem::new(Kind::InvalidBody, "signature in the body: it is no 64 bytes in base58"))?;
    let now = OffsetDateTime::now_utc();
    let refused = |refused: Refused| Problem::new(Kind::Unauthorized, refused.to_string());
    let accepted = sign_in.check(&signed.message, &message, &signature, now).map_err(refused)?;
    if !nonces::use_up(pool, &accepted.nonce, accepted.ends).await.map_err(operator::failed)? {
        return Err(Problem::new(Kind::Unauthorized, "the message was used before; ask for a new one"));
    }
    let (token, ends) = sign_in.token(accepted.wallet, now).map_err(|error| Problem::internal(&error))?;
    Ok(Private(Session { token, expires_at: Instant(ends), wallet: accepted.wallet }))
}

/// Where it is kept which nonces were used.
fn used(state: &ApiState) -> Result<&PgPool, Problem> {
    state.access().operators.as_ref().ok_or_else(|| {
        Problem::new(
            Kind::NotConfigured,
            "users cannot sign in at this server: set OPERATORS_DATABASE_URL, where used nonces are kept",
        )
    })
}

fn signature(text: &str) -> Option<[u8; 64]> {
    // Decoding is quadratic.
    if text.len() > 88 {
        return None;
    }
    bs58::decode(text).into_vec().ok()?.try_into().ok()
}
