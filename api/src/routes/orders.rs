//! Orders: the payment, what every rule did with it, and what of it was refunded.

pub(super) mod outcomes;
mod redemptions;
mod refunds;

use crate::{
    book::Book,
    page::{self, Key, List, Page, Scope},
    problem::{Kind, Problem, Problems, Thing},
    request::{OfPlatform, Path, Query},
    snapshot::{Answer, AsOf, Snapshot},
    state::ApiState,
    transaction::Transaction,
    value::{Address, Amount, Hash, Instant, Number, Signature},
};
use axum::extract::State;
use outcomes::{Outcome, Wanted};
use rebate_client::explorer::Cluster;
use rebate_core::units::OrderHash;
use redemptions::Redemption;
use refunds::Refund;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use time::Date;
use utoipa::{IntoParams, ToSchema};

/// A payment that the chain recorded.
#[derive(Serialize, ToSchema)]
pub(crate) struct Record {
    /// SHA-256 of the order's number.
    order: Hash,
    /// The key of the user who paid.
    user: Hash,
    /// The oracle key that signed it.
    oracle: Address,
    /// What was paid, in the platform's minor currency unit.
    amount: Amount,
    /// When it was paid.
    paid_at: Instant,
    /// What was bought.
    #[schema(minimum = 0, maximum = 65_535, example = 1)]
    product: i32,
    /// The streamer it was for.
    streamer: Number,
    /// The live session it was made in.
    session: Number,
    /// The user's tier; 0 for none.
    #[schema(minimum = 0, maximum = 255, example = 0)]
    tier: i16,
    /// The user's segments, as a bit set.
    #[schema(minimum = 0, maximum = 4_294_967_295_u64, example = 0)]
    segments: i64,
    /// The how-manieth payment of the user it is, from 1.
    #[schema(minimum = 1, example = 1)]
    payment_number: i64,
    /// When it was recorded, by the chain's clock.
    recorded_at: Instant,
    /// The event's place in the journal.
    #[schema(minimum = 0, example = 41)]
    journal_index: i64,
    /// What every rule in force did with it, in order of evaluation.
    outcomes: Vec<Outcome>,
    /// What of the amount was refunded so far.
    refunded: Amount,
    /// The refunds, in order.
    refunds: Vec<Refund>,
    /// The transaction it was recorded in.
    transaction: Transaction,
}

page::items! {
    /// A page of orders, latest recorded first.
    Orders of Record
}

struct Row {
    order: Hash,
    user: Hash,
    oracle: Address,
    amount: Amount,
    paid_at: Instant,
    product: i32,
    streamer: Number,
    session: Number,
    tier: i16,
    segments: i64,
    number: i64,
    recorded_at: Instant,
    journal_index: i64,
    month: Date,
    signature: Signature,
    slot: i64,
    block_time: Option<Instant>,
}

impl Row {
    fn wanted(&self) -> Wanted {
        let Self { journal_index, month, paid_at, .. } = *self;
        Wanted { journal_index, month, paid_at: paid_at.0.unix_timestamp() }
    }
}

/// The recorded payments of a platform, narrowed down in a way that an index serves. Each one's event and transaction are
/// looked for by themselves, in their month: Postgres would not foresee that this leaves one partition of many. The inner
/// limit, which no page reaches, tells it that few rows are wanted.
macro_rules! payments {
    ($narrowed:literal, $ordered:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT p.order_hash AS "order: Hash", p.user_key AS "user: Hash", p.oracle AS "oracle: Address",
                      p.amount AS "amount: Amount", p.paid_at AS "paid_at: Instant", p.product,
                      p.streamer AS "streamer: Number", p.session AS "session: Number", p.tier, p.segments, p.number,
                      e.at AS "recorded_at: Instant", p.journal_index, p.month, e.signature AS "signature: Signature",
                      e.slot, e.block_time AS "block_time: Instant"
               FROM (SELECT * FROM payments p WHERE p.platform = $1 AND "# + $narrowed + r#") AS p
               JOIN LATERAL (
                   SELECT e.at, t.signature, t.slot, t.block_time
                   FROM events e JOIN transactions t ON t.signature = e.signature AND t.month = e.month
                   WHERE e.platform = p.platform AND e.journal_index = p.journal_index AND e.month = p.month LIMIT 1
               ) AS e ON true
               ORDER BY "# + $ordered,
            $($argument),+
        )
    };
}

/// The records of `rows`, with their outcomes.
async fn complete(
    snapshot: &mut Snapshot,
    platform: Address,
    book: &Book,
    rows: Vec<Row>,
    cluster: &Cluster,
) -> Result<Vec<Record>, Problem> {
    let wanted: Vec<Wanted> = rows.iter().map(Row::wanted).collect();
    let indices: Vec<i64> = rows.iter().map(|row| row.journal_index).collect();
    let mut outcomes = outcomes::of(snapshot, platform, book, &wanted).await?;
    let mut refunds = refunds::of_payments(snapshot, platform, book, &indices, cluster).await?;
    let as_of = snapshot.as_of();
    Ok(rows
        .into_iter()
        .map(|row| {
            let refunds = refunds.remove(&row.journal_index).unwrap_or_default();
            Record {
                order: row.order,
                user: row.user,
                oracle: row.oracle,
                amount: row.amount,
                paid_at: row.paid_at,
                product: row.product,
                streamer: row.streamer,
                session: row.session,
                tier: row.tier,
                segments: row.segments,
                payment_number: row.number,
                recorded_at: row.recorded_at,
                journal_index: row.journal_index,
                refunded: refunds.last().map_or(Amount(Decimal::ZERO), Refund::refunded),
                refunds,
                outcomes: outcomes.remove(&row.journal_index).unwrap_or_default(),
                transaction: Transaction::new(cluster, &as_of, row.signature, row.slot, row.block_time),
            }
        })
        .collect())
}

/// Journal index.
#[derive(Clone, Copy)]
struct Place(i64);

impl Key for Place {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.0.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(i64::from_be_bytes).map(Self)
    }
}

/// Whose orders to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// The key of the user who paid.
    user: Option<Hash>,
}

/// List the orders
///
/// Every recorded payment with its outcomes, latest recorded first.
#[utoipa::path(
    get,
    path = "/v1/orders",
    tag = "orders",
    operation_id = "listOrders",
    params(OfPlatform, Filter, Page),
    responses((status = 200, description = "A page of orders.", body = Orders), Problems),
)]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(of): Query<OfPlatform>,
    Query(filter): Query<Filter>,
    Query(page): Query<Page>,
    mut snapshot: Snapshot,
) -> Result<Answer<Orders>, Problem> {
    let platform = snapshot.platform(of).await?;
    let user: &[u8] = filter.user.as_ref().map_or(&[], |user| &user.0);
    let scope = Scope::new(List::Orders, &[&platform.0, user]);
    let Place(before) = page.after(&scope)?.unwrap_or(Place(i64::MAX));
    let rows = match filter.user {
        Some(user) => {
            payments!(
                "p.user_key = $2 AND p.journal_index < $3 ORDER BY p.journal_index DESC LIMIT 1000",
                "p.journal_index DESC LIMIT $4",
                &platform.0,
                &user.0,
                before,
                page.rows()?,
            )
            .fetch_all(snapshot.connection())
            .await?
        }
        None => {
            payments!(
                "p.journal_index < $2 ORDER BY p.journal_index DESC LIMIT 1000",
                "p.journal_index DESC LIMIT $3",
                &platform.0,
                before,
                page.rows()?,
            )
            .fetch_all(snapshot.connection())
            .await?
        }
    };
    let (rows, next_cursor) = page::cut(&page, &scope, rows, |row| Place(row.journal_index))?;
    let book = state.books().of(&mut snapshot, platform).await?;
    let items = complete(&mut snapshot, platform, &book, rows, &state.settings().cluster).await?;
    let as_of = snapshot.as_of();
    Ok(snapshot.answer(Orders { items, next_cursor, as_of }))
}

/// What an order is named by.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    /// Its business serial number.
    Number,
    /// SHA-256 of that, as 64 hexadecimal digits.
    Hash,
}

/// How to read the order in the path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Named {
    /// What the order is named by. Left out, 64 hexadecimal digits are a hash and all else is a number; say `number` where
    /// your numbers look like hashes.
    #[param(inline)]
    by: Option<By>,
}

impl Named {
    /// The hash of the order that the path names.
    ///
    /// # Errors
    /// Where that should be a hash and is none.
    pub(super) fn hash(&self, name: &str) -> Result<Hash, Problem> {
        let of_number = || Hash(OrderHash::of(name).0);
        match self.by {
            Some(By::Number) => Ok(of_number()),
            Some(By::Hash) => name
                .parse()
                .map_err(|error| Problem::new(Kind::InvalidParameter, format!("order in the path: {error}"))),
            None => Ok(name.parse().unwrap_or_else(|_| of_number())),
        }
    }
}

/// An order.
#[derive(Serialize, ToSchema)]
pub(crate) struct Order {
    /// The platform.
    platform: Address,
    /// SHA-256 of the order's number.
    order: Hash,
    /// The payments that the chain recorded under it, in order of the journal. The first is the order. There is more than one
    /// only where the oracle signed the number again for another day of payment.
    records: Vec<Record>,
    /// The refunds that have this number as their own. Those of the order are with its record.
    refunds: Vec<Refund>,
    /// The redemptions with this number.
    redemptions: Vec<Redemption>,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// Show an order
///
/// The payment, what every rule in force did with it and why, what of it was refunded, and the transactions to look it up by.
/// The number may also be a refund's or a redemption's.
#[utoipa::path(
    get,
    path = "/v1/orders/{order}",
    tag = "orders",
    operation_id = "getOrder",
    params(
        ("order" = String, Path, description = "The order's number, or its hash; `by` says which.", example = "A1"),
        Named, OfPlatform,
    ),
    responses((status = 200, description = "The order.", body = Order), Problems),
)]
pub(crate) async fn one(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Query(named): Query<Named>,
    Query(of): Query<OfPlatform>,
    mut snapshot: Snapshot,
) -> Result<Answer<Order>, Problem> {
    let order = named.hash(&name)?;
    let platform = snapshot.platform(of).await?;
    // The index by order has no order of its own. A sum keeps Postgres from going through the journal in search of so few.
    let rows = payments!(
        "p.order_hash = $2 ORDER BY p.journal_index + 0 LIMIT 100",
        "p.journal_index",
        &platform.0,
        &order.0,
    )
    .fetch_all(snapshot.connection())
    .await?;
    let cluster = &state.settings().cluster;
    let book = state.books().of(&mut snapshot, platform).await?;
    let records = complete(&mut snapshot, platform, &book, rows, cluster).await?;
    let refunds = refunds::under(&mut snapshot, platform, &book, order, cluster).await?;
    let redemptions = redemptions::under(&mut snapshot, platform, order, cluster).await?;
    if records.is_empty() && refunds.is_empty() && redemptions.is_empty() {
        return Err(snapshot.missing(Thing::Order(order)));
    }
    let as_of = snapshot.as_of();
    Ok(snapshot.answer(Order { platform, order, records, refunds, redemptions, as_of }))
}
