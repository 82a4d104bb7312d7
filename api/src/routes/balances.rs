//! What a user has.

use crate::{
    problem::{Problem, Problems, Thing},
    request::{OfPlatform, Path, Query},
    snapshot::{Answer, AsOf, Snapshot},
    value::{Address, Amount, Hash, Instant, Total},
};
use serde::Serialize;
use utoipa::ToSchema;

/// What a user has.
#[derive(Serialize, ToSchema)]
pub(crate) struct Balances {
    /// The platform.
    platform: Address,
    /// The user's key.
    user: Hash,
    /// How many payments of the user are on record.
    #[schema(minimum = 1, example = 12)]
    payments: i64,
    /// What they come to.
    paid: Total,
    /// What of it was refunded.
    refunded: Total,
    /// When the earliest was paid.
    first_paid_at: Instant,
    /// When the latest was paid.
    last_paid_at: Instant,
    /// Who may claim the user's tokens; null for nobody yet.
    #[schema(required)]
    wallet: Option<Wallet>,
    /// One for each asset of the platform, 0 where nothing was granted.
    balances: Vec<Balance>,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// The wallet that is linked to a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct Wallet {
    /// Its address.
    address: Address,
    /// When it was linked.
    linked_at: Instant,
}

/// What a user has of one asset.
#[derive(Serialize, ToSchema)]
pub(crate) struct Balance {
    /// The asset's number.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    asset: i16,
    /// Its name.
    #[schema(example = "coins")]
    asset_name: String,
    /// What it is.
    #[schema(example = "points")]
    asset_kind: String,
    /// How much the user has.
    balance: Amount,
    /// How much the user owes: what refunds took back and the user had spent. Grants pay it first.
    debt: Amount,
    /// How many entries it follows from.
    #[schema(minimum = 0, example = 3)]
    entries: i64,
    /// The journal index of the event that changed it last; null where none did.
    #[schema(minimum = 0, example = 41)]
    #[schema(required)]
    journal_index: Option<i64>,
}

/// Show what a user has
///
/// A user without a payment on record is not on record: 404.
#[utoipa::path(
    get,
    path = "/v1/users/{user}/balances",
    tag = "users",
    operation_id = "getBalances",
    params(("user" = Hash, Path, description = "The user's key."), OfPlatform),
    responses((status = 200, description = "The user's balances.", body = Balances), Problems),
)]
pub(crate) async fn of_user(
    Path(user): Path<Hash>,
    Query(of): Query<OfPlatform>,
    mut snapshot: Snapshot,
) -> Result<Answer<Balances>, Problem> {
    let platform = snapshot.platform(of).await?;
    let totals = sqlx::query!(
        r#"SELECT payments, paid::text AS "paid!: Total", refunded::text AS "refunded!: Total",
                  first_paid_at AS "first_paid_at: Instant",
                  last_paid_at AS "last_paid_at: Instant"
           FROM users WHERE platform = $1 AND user_key = $2"#,
        &platform.0,
        &user.0
    )
    .fetch_optional(snapshot.connection())
    .await?
    .ok_or_else(|| snapshot.missing(Thing::User(user)))?;
    let balances = sqlx::query_as!(
        Balance,
        r#"SELECT a.asset, a.name AS asset_name, a.kind AS asset_kind,
                  coalesce(b.balance, 0) AS "balance!: Amount", coalesce(b.debt, 0) AS "debt!: Amount",
                  coalesce(b.entries, 0) AS "entries!", b.journal_index AS "journal_index?"
           FROM assets a LEFT JOIN balances b ON b.platform = a.platform AND b.asset = a.asset AND b.user_key = $2
           WHERE a.platform = $1 ORDER BY a.asset"#,
        &platform.0,
        &user.0
    )
    .fetch_all(snapshot.connection())
    .await?;
    let wallet = sqlx::query_as!(
        Wallet,
        r#"SELECT wallet AS "address: Address", linked_at AS "linked_at: Instant" FROM wallet_links
           WHERE platform = $1 AND user_key = $2 ORDER BY linked_at DESC LIMIT 1"#,
        &platform.0,
        &user.0
    )
    .fetch_optional(snapshot.connection())
    .await?;
    let as_of = snapshot.as_of();
    Ok(snapshot.answer(Balances {
        platform,
        user,
        payments: totals.payments,
        paid: totals.paid,
        refunded: totals.refunded,
        first_paid_at: totals.first_paid_at,
        last_paid_at: totals.last_paid_at,
        wallet,
        balances,
        as_of,
    }))
}
