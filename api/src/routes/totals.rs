//! What a user paid and got by streamer, and by live session.

use crate::{
    page::{self, Key, List, Page, Scope},
    problem::{Problem, Problems, Thing},
    request::{OfPlatform, Path, Query},
    snapshot::{Answer, Snapshot},
    value::{Address, Hash, Instant, Number, Total},
};
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

/// What a user paid to one streamer, and what came of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfStreamer {
    /// The streamer's number: the first 8 bytes, little-endian, of SHA-256 of the platform's id; 0 for payments without one.
    streamer: Number,
    #[serde(flatten)]
    #[schema(inline = false)]
    totals: Totals,
}

/// What a user paid in one live session, and what came of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfSession {
    /// The session's number, likewise; 0 for payments outside of any.
    session: Number,
    #[serde(flatten)]
    #[schema(inline = false)]
    totals: Totals,
}

/// Payments, and what came of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct Totals {
    /// How many payments.
    #[schema(minimum = 1, example = 3)]
    payments: i64,
    /// What they come to.
    paid: Total,
    /// What of it was refunded.
    refunded: Total,
    /// When the earliest was paid.
    first_paid_at: Instant,
    /// When the latest was paid.
    last_paid_at: Instant,
    /// What was granted for them, by asset; none where nothing was.
    granted: Vec<OfAsset>,
}

/// What was granted of one asset.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfAsset {
    /// The asset's number.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    asset: i16,
    /// Its name.
    #[schema(example = "coins")]
    asset_name: String,
    /// How much.
    granted: Total,
    /// How often.
    #[schema(minimum = 1, example = 2)]
    grants: i64,
    /// What of it refunds took back.
    reversed: Total,
}

page::items! {
    /// A page of streamers, by number.
    Streamers of OfStreamer
}

page::items! {
    /// A page of live sessions, by number.
    Sessions of OfSession
}

/// A streamer's or a session's number.
#[derive(Clone, Copy)]
struct Place(u64);

impl Key for Place {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.0.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u64::from_be_bytes).map(Self)
    }
}

struct Row {
    number: Decimal,
    payments: i64,
    paid: Total,
    refunded: Total,
    first_paid_at: Instant,
    last_paid_at: Instant,
}

/// What a user paid, summed up by a column of the payments: totals, then grants by asset. Every sum is over the user's own
/// rows, which an index by user finds.
macro_rules! totals {
    ($by:literal, $snapshot:ident, $platform:ident, $user:ident, $after:expr, $rows:expr) => {{
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT p."# + $by + r#" AS "number!", count(*) AS "payments!", sum(p.amount)::text AS "paid!: Total",
                      coalesce(sum(f.refunded), 0)::text AS "refunded!: Total",
                      min(p.paid_at) AS "first_paid_at!: Instant", max(p.paid_at) AS "last_paid_at!: Instant"
               FROM payments p
               LEFT JOIN LATERAL (
                   SELECT sum(f.amount) AS refunded FROM refunds f
                   WHERE f.platform = p.platform AND f.payment_index = p.journal_index
               ) AS f ON true
               WHERE p.platform = $1 AND p.user_key = $2 AND p."# + $by + r#" > $3
               GROUP BY 1 ORDER BY 1 LIMIT $4"#,
            &$platform.0,
            &$user.0,
            $after,
            $rows,
        )
        .fetch_all($snapshot.connection())
        .await?;
        let numbers: Vec<Decimal> = rows.iter().map(|row| row.number).collect();
        let mut granted: HashMap<Decimal, Vec<OfAsset>> = HashMap::new();
        // An entry's grant or reversal is the change of the balance less that of the debt.
        for row in sqlx::query!(
            r#"SELECT p."# + $by + r#" AS number, n.asset, a.name AS asset_name,
                      coalesce(sum(n.change - n.debt_after + n.debt_before) FILTER (WHERE n.operation = 'grant'), 0)::text
                          AS "granted!: Total",
                      count(*) FILTER (WHERE n.operation = 'grant') AS "grants!",
                      coalesce(sum(n.debt_after - n.debt_before - n.change) FILTER (WHERE n.operation = 'reversal'), 0)::text
                          AS "reversed!: Total"
               FROM entries n
               LEFT JOIN refunds f
                   ON f.platform = n.platform AND f.journal_index = n.journal_index AND n.operation = 'reversal'
               JOIN payments p ON p.platform = n.platform AND p.user_key = n.user_key
                   AND p.journal_index = coalesce(f.payment_index, n.journal_index)
                   AND p.month = coalesce(f.payment_month, n.month)
               JOIN assets a ON a.platform = n.platform AND a.asset = n.asset
               WHERE n.platform = $1 AND n.user_key = $2 AND n.operation IN ('grant', 'reversal')
                     AND p."# + $by + r#" = ANY($3)
               GROUP BY 1, 2, 3 ORDER BY 1, 2"#,
            &$platform.0,
            &$user.0,
            &numbers
        )
        .fetch_all($snapshot.connection())
        .await?
        {
            granted.entry(row.number).or_default().push(OfAsset {
                asset: row.asset,
                asset_name: row.asset_name,
                granted: row.granted,
                grants: row.grants,
                reversed: row.reversed,
            });
        }
        (rows, granted)
    }};
}

impl Row {
    fn totals(self, granted: &mut HashMap<Decimal, Vec<OfAsset>>) -> (Number, Totals) {
        let granted = granted.remove(&self.number).unwrap_or_default();
        let Self { number, payments, paid, refunded, first_paid_at, last_paid_at } = self;
        (Number(number), Totals { payments, paid, refunded, first_paid_at, last_paid_at, granted })
    }

    fn place(&self) -> Place {
        Place(u64::try_from(self.number).unwrap_or(u64::MAX))
    }
}

/// Checks that an empty first page is not for want of the user.
async fn require_known(snapshot: &mut Snapshot, platform: Address, user: Hash) -> Result<(), Problem> {
    let known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM users WHERE platform = $1 AND user_key = $2) AS "known!""#,
        &platform.0,
        &user.0
    )
    .fetch_one(snapshot.connection())
    .await?;
    if known { Ok(()) } else { Err(snapshot.missing(Thing::User(user))) }
}

/// After which number to go on; from the first on at -1.
fn after(place: Option<Place>) -> Decimal {
    place.map_or(Decimal::NEGATIVE_ONE, |Place(number)| Decimal::from(number))
}

/// List what a user paid by streamer
///
/// By the streamers' numbers: what the user paid to each, what of it was refunded, and what was granted for it.
#[utoipa::path(
    get,
    path = "/v1/users/{user}/streamers",
    tag = "users",
    operation_id = "listStreamers",
    params(("user" = Hash, Path, description = "The user's key."), OfPlatform, Page),
    responses((status = 200, description = "A page of streamers.", body = Streamers), Problems),
)]
pub(crate) async fn by_streamer(
    Path(user): Path<Hash>,
    Query(of): Query<OfPlatform>,
    Query(page): Query<Page>,
    mut snapshot: Snapshot,
) -> Result<Answer<Streamers>, Problem> {
    let platform = snapshot.platform(of).await?;
    let scope = Scope::new(List::Streamers, &[&platform.0, &user.0]);
    let after = after(page.after(&scope)?);
    let (rows, mut granted) = totals!("streamer", snapshot, platform, user, after, page.rows()?);
    if rows.is_empty() {
        require_known(&mut snapshot, platform, user).await?;
    }
    let (rows, next_cursor) = page::cut(&page, &scope, rows, Row::place)?;
    let items = rows
        .into_iter()
        .map(|row| row.totals(&mut granted))
        .map(|(streamer, totals)| OfStreamer { streamer, totals })
        .collect();
    let as_of = snapshot.as_of();
    Ok(snapshot.answer(Streamers { items, next_cursor, as_of }))
}

/// List what a user paid by live session
///
/// By the sessions' numbers: what the user paid in each, what of it was refunded, and what was granted for it.
#[utoipa::path(
    get,
    path = "/v1/users/{user}/sessions",
    tag = "users",
    operation_id = "listSessions",
    params(("user" = Hash, Path, description = "The user's key."), OfPlatform, Page),
    responses((status = 200, description = "A page of live sessions.", body = Sessions), Problems),
)]
pub(crate) async fn by_session(
    Path(user): Path<Hash>,
    Query(of): Query<OfPlatform>,
    Query(page): Query<Page>,
    mut snapshot: Snapshot,
) -> Result<Answer<Sessions>, Problem> {
    let platform = snapshot.platform(of).await?;
    let scope = Scope::new(List::Sessions, &[&platform.0, &user.0]);
    let after = after(page.after(&scope)?);
    let (rows, mut granted) = totals!("session", snapshot, platform, user, after, page.rows()?);
    if rows.is_empty() {
        require_known(&mut snapshot, platform, user).await?;
    }
    let (rows, next_cursor) = page::cut(&page, &scope, rows, Row::place)?;
    let items = rows
        .into_iter()
        .map(|row| row.totals(&mut granted))
        .map(|(session, totals)| OfSession { session, totals })
        .collect();
    let as_of = snapshot.as_of();
    Ok(snapshot.answer(Sessions { items, next_cursor, as_of }))
}
