//! What a user is told about himself.

use crate::{
    access::{sign_in::Subject, user::User},
    problem::{AccessProblems, Kind, Problem},
    request::Path,
    routes::operators::Private,
    snapshot::Snapshot,
    state::ApiState,
    value::{Address, Hash, Instant},
};
use axum::extract::State;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Bytes of an order's number at most.
const LONGEST_NUMBER: usize = 1_024;

/// Who asks.
#[derive(Serialize, ToSchema)]
pub(crate) struct Me {
    /// The wallet that signed in; null where the platform signed the token.
    #[schema(required)]
    wallet: Option<Address>,
    /// Whom it is linked to: whose balances, entries and orders these are.
    users: Vec<LinkedUser>,
    /// When the token ends.
    expires_at: Instant,
}

/// A user of a platform.
#[derive(Serialize, ToSchema)]
pub(crate) struct LinkedUser {
    /// The platform.
    platform: Address,
    /// The user's key.
    user: Hash,
    /// When the wallet was linked; null where the platform signed the token.
    #[schema(required)]
    linked_at: Option<Instant>,
}

/// Show who asks
///
/// And which users' data is theirs. A wallet is a user's as long as no other was linked after it.
#[utoipa::path(
    get,
    path = "/v1/me",
    tag = "me",
    operation_id = "getMe",
    security(("session" = []), ("platform_token" = [])),
    responses((status = 200, description = "The wallet and its users.", body = Me), AccessProblems),
)]
pub(crate) async fn show(user: User, State(state): State<ApiState>) -> Result<Private<Me>, Problem> {
    let mut snapshot = snapshot(&state).await?;
    let users = user.linked(&mut snapshot).await?;
    let wallet = match user.subject {
        Subject::Wallet(wallet) => Some(wallet),
        Subject::User(_) => None,
    };
    let users = users
        .into_iter()
        .map(|linked| LinkedUser { platform: linked.platform, user: linked.user, linked_at: linked.linked_at })
        .collect();
    Ok(Private(Me { wallet, users, expires_at: Instant(user.ends) }))
}

/// Never answered from what a client has: what it is as of is not all it depends on.
async fn snapshot(state: &ApiState) -> Result<Snapshot, Problem> {
    Snapshot::take(state.pool(), state.settings().platform.map(|platform| Address(platform.to_bytes()))).await
}

/// What became of a user's order on its way to the chain.
#[derive(Serialize, ToSchema)]
pub(crate) struct MyOrder {
    /// Its number.
    order: String,
    /// SHA-256 of the number: under which `/v1/orders/{order}` has what was granted for it.
    order_hash: Hash,
    /// The platform.
    platform: Address,
    /// `payment`, `refund`, `redemption` or `wallet_link`.
    #[schema(example = "payment")]
    kind: String,
    /// `queued`, stored durably and waiting for the chain; `sent`, its transaction may land; `recorded`, confirmed on chain; `refused`
    /// by the program; `dead`, which somebody of the platform looks at.
    #[schema(example = "recorded")]
    state: String,
    /// Why it was refused or is dead.
    #[schema(required)]
    reason: Option<String>,
    /// The transaction that recorded it or was sent last, base58.
    #[schema(required)]
    signature: Option<String>,
    /// In which slot it was recorded.
    #[schema(required, minimum = 0)]
    slot: Option<i64>,
    /// When it was stored.
    received_at: Instant,
    /// When its state changed last.
    changed_at: Instant,
    /// Its refunds.
    refunds: Vec<MyRefund>,
}

/// A refund on its way to the chain.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct MyRefund {
    /// Its number.
    order: String,
    /// As of an order.
    #[schema(example = "sent")]
    state: String,
}

/// What the oracle says of an order.
#[derive(Deserialize)]
struct Told {
    platform: Address,
    user_key: Option<Hash>,
    order: String,
    kind: String,
    order_hash: Hash,
    state: String,
    reason: Option<String>,
    signature: Option<String>,
    slot: Option<i64>,
    received_at: Instant,
    changed_at: Instant,
    refunds: Vec<MyRefund>,
}

/// Show an order's way to the chain
///
/// Of one's own orders alone: another's is answered as one that there is not. What was granted for it is the chain's to say.
#[utoipa::path(
    get,
    path = "/v1/me/orders/{order}",
    tag = "me",
    operation_id = "getMyOrder",
    security(("session" = []), ("platform_token" = [])),
    params(("order" = String, Path, description = "The order's number, percent-encoded.")),
    responses((status = 200, description = "Its way so far.", body = MyOrder), AccessProblems),
)]
pub(crate) async fn order(
    user: User,
    State(state): State<ApiState>,
    Path(number): Path<String>,
) -> Result<Private<MyOrder>, Problem> {
    let oracle = state.access().oracle()?;
    let unknown = || Problem::new(Kind::NotFound, "no order of yours with this number came yet");
    if number.is_empty() || number.len() > LONGEST_NUMBER || number.contains('\0') {
        return Err(unknown());
    }
    let users = user.linked(&mut snapshot(&state).await?).await?;
    // Who has nothing need not be asked for.
    if users.is_empty() {
        return Err(unknown());
    }
    let told: Told = match oracle.ask(Method::GET, &["v1", "orders", &number], &[]).await {
        Err(problem) if problem.kind() == Kind::NotFound => return Err(unknown()),
        told => told?,
    };
    let is_theirs = |key: Hash| users.iter().any(|linked| linked.user == key && linked.platform == told.platform);
    if !told.user_key.is_some_and(is_theirs) {
        return Err(unknown());
    }
    // Why an attempt failed is the operators' matter; that it is over is the user's, too.
    let reason = told.reason.filter(|_| matches!(told.state.as_str(), "refused" | "dead"));
    Ok(Private(MyOrder {
        order: told.order,
        order_hash: told.order_hash,
        platform: told.platform,
        kind: told.kind,
        state: told.state,
        reason,
        signature: told.signature,
        slot: told.slot,
        received_at: told.received_at,
        changed_at: told.changed_at,
        refunds: told.refunds,
    }))
}
