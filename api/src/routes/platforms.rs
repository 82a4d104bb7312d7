//! Platforms with their settings.

use crate::{
    page::{self, Key, List, Page, Scope},
    problem::{Problem, Problems, Thing},
    request::{OfPlatform, Path, Query},
    snapshot::{Answer, AsOf, Snapshot},
    state::ApiState,
    value::{Address, Amount, Day, Instant, Number, Total},
};
use axum::extract::State;
use rebate_client::{Pubkey, address::Addresses, explorer::Cluster};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

/// A platform.
#[derive(Serialize, ToSchema)]
pub(crate) struct Platform {
    /// Its address, by which every request can name it.
    platform: Address,
    /// The number it was created with.
    id: Number,
    /// May change rules, assets and oracle keys.
    admin: Address,
    /// May stop and resume recording.
    pauser: Address,
    /// Who may take up the role of admin, and from when on; null for nobody.
    #[schema(required)]
    next_admin: Option<NextAdmin>,
    /// How far back a record may lie, in seconds.
    #[schema(minimum = 1, example = 604_800)]
    max_lateness: i64,
    /// How far ahead changes must be announced, in seconds.
    #[schema(minimum = 0, example = 86_400)]
    timelock: i64,
    /// What these settings will change to.
    announced: Vec<AnnouncedSetting>,
    /// Into how many pages a day's orders are spread, by day.
    order_shards: Vec<OrderShards>,
    /// The last day whose records are refused for good, with all before it; null while every day is open.
    #[schema(required)]
    closed_through: Option<Day>,
    /// Whether recording is stopped.
    paused: bool,
    /// When it was created, by the chain's clock.
    created_at: Instant,
    /// What can be granted.
    assets: Vec<Asset>,
    /// The table of local time, by date.
    utc_offsets: Vec<Offset>,
    /// The keys that may sign records, or might.
    oracle_keys: Vec<OracleKey>,
    /// Its accounts.
    accounts: Vec<Account>,
}

/// Something that can be granted.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Asset {
    /// Its number.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    asset: i16,
    /// Its name.
    #[schema(example = "coins")]
    name: String,
    /// What it is: `points` are on the ledger only, a `token` is backed by a vault, a `voucher` is worth one face value.
    #[schema(example = "points")]
    kind: String,
    /// The calendar period it expires by, in months; 0 for never.
    #[schema(minimum = 0, maximum = 24, example = 0)]
    expiry_months: i16,
    /// The mint of a token.
    #[schema(required)]
    mint: Option<Address>,
    /// The first `paid_at` a rule may grant it for; null for open.
    #[schema(required)]
    active_from: Option<Instant>,
    /// What all users have of it. Of a token, what the vault must hold at least.
    liability: Total,
    /// The tokens behind it; null where there are none.
    #[schema(required)]
    vault: Option<Vault>,
}

/// The tokens behind an asset.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Vault {
    /// Its address.
    address: Address,
    /// Its page in an explorer; null where none reaches the chain.
    #[schema(format = "uri")]
    #[schema(required)]
    explorer: Option<String>,
    /// What it holds, in the token's smallest unit. Tokens that somebody sent there count with the next deposit.
    funds: Amount,
    /// When it was opened, by the chain's clock.
    opened_at: Instant,
}

/// Who is to be admin.
#[derive(Serialize, ToSchema)]
pub(crate) struct NextAdmin {
    /// Who.
    address: Address,
    /// From when on.
    #[schema(required)]
    from: Option<Instant>,
}

/// A setting that is to change.
#[derive(Serialize, ToSchema)]
pub(crate) struct AnnouncedSetting {
    /// Which.
    #[schema(example = "max_lateness")]
    setting: &'static str,
    /// To what.
    #[schema(minimum = 0, example = 86_400)]
    seconds: i64,
    /// From when on.
    #[schema(required)]
    from: Option<Instant>,
}

/// Into how many pages a day's orders are spread, and what room the first of them have.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct OrderShards {
    /// From which day on, as days since 1970-01-01 in UTC; 0 since ever.
    #[schema(minimum = 0, example = 20_729)]
    from_day: i64,
    /// The same as a date; null where the calendar does not reach.
    #[schema(required)]
    from: Option<Day>,
    /// How many pages.
    #[schema(minimum = 1, maximum = 65_535, example = 4)]
    shards: i32,
    /// The least slots that the first page of a day and shard has; an order takes one, and an eighth stays empty.
    #[schema(minimum = 8, maximum = 1_267, example = 256)]
    page_slots: i32,
}

/// A row of the table of local time.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Offset {
    /// From when on; null for always.
    #[schema(required)]
    from: Option<Instant>,
    /// Local minus UTC, in seconds.
    #[schema(minimum = -50_400, maximum = 50_400, example = 28_800)]
    seconds: i32,
}

/// A key that may sign records.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct OracleKey {
    /// The Ed25519 key.
    key: Address,
    /// From when on; null for always.
    #[schema(required)]
    valid_from: Option<Instant>,
    /// Until when, exclusive; null for ever.
    #[schema(required)]
    valid_until: Option<Instant>,
    /// When it was decided that it ends earlier than it was registered for, by the chain's clock; null where it was not.
    #[schema(required)]
    retired_at: Option<Instant>,
}

/// An account on chain, for anyone to look at.
#[derive(Serialize, ToSchema)]
pub(crate) struct Account {
    /// What it holds.
    #[schema(example = "journal")]
    holds: &'static str,
    /// Its address.
    address: Address,
    /// Its page in an explorer; null where none reaches the chain.
    #[schema(format = "uri")]
    #[schema(required)]
    explorer: Option<String>,
}

page::items! {
    /// A page of platforms, in order of address.
    Platforms of Platform
}

fn accounts(platform: Address, cluster: &Cluster) -> Vec<Account> {
    let addresses = Addresses::at(Pubkey::new_from_array(platform.0));
    [("platform", addresses.platform), ("rule_book", addresses.rule_book), ("journal", addresses.journal)]
        .into_iter()
        .map(|(holds, address)| Account {
            holds,
            address: Address(address.to_bytes()),
            explorer: cluster.account(&address),
        })
        .collect()
}

struct Row {
    address: Address,
    id: Number,
    admin: Address,
    pauser: Address,
    max_lateness: i64,
    next_max_lateness: Option<i64>,
    next_max_lateness_from: i64,
    timelock: i64,
    next_timelock: Option<i64>,
    next_timelock_from: i64,
    next_admin: Option<Address>,
    next_admin_from: i64,
    closed_through: Option<i64>,
    paused: bool,
    created_at: Instant,
}

/// What a setting is at `now`, and what it is announced to be.
fn setting(
    name: &'static str,
    value: i64,
    next: Option<i64>,
    from: i64,
    now: Instant,
) -> (i64, Option<AnnouncedSetting>) {
    match next {
        Some(next) if from <= now.0.unix_timestamp() => (next, None),
        Some(seconds) => (value, Some(AnnouncedSetting { setting: name, seconds, from: Instant::of_unix(from) })),
        None => (value, None),
    }
}

impl Row {
    fn shown(self, belongings: Belongings, cluster: &Cluster, now: Instant) -> Platform {
        let (max_lateness, later) =
            setting("max_lateness", self.max_lateness, self.next_max_lateness, self.next_max_lateness_from, now);
        let (timelock, sooner) = setting("timelock", self.timelock, self.next_timelock, self.next_timelock_from, now);
        Platform {
            platform: self.address,
            id: self.id,
            admin: self.admin,
            pauser: self.pauser,
            next_admin: self
                .next_admin
                .map(|address| NextAdmin { address, from: Instant::of_unix(self.next_admin_from) }),
            max_lateness,
            timelock,
            announced: later.into_iter().chain(sooner).collect(),
            order_shards: belongings.shards,
            closed_through: self.closed_through.and_then(Day::of_number),
            paused: self.paused,
            created_at: self.created_at,
            assets: belongings.assets,
            utc_offsets: belongings.offsets,
            oracle_keys: belongings.keys,
            accounts: accounts(self.address, cluster),
        }
    }
}

/// What belongs to a platform.
#[derive(Default)]
struct Belongings {
    assets: Vec<Asset>,
    shards: Vec<OrderShards>,
    offsets: Vec<Offset>,
    keys: Vec<OracleKey>,
}

impl Key for Address {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.0);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// The platforms of `rows`, with what belongs to them.
async fn complete(snapshot: &mut Snapshot, rows: Vec<Row>, cluster: &Cluster) -> Result<Vec<Platform>, Problem> {
    let addresses: Vec<Vec<u8>> = rows.iter().map(|row| row.address.0.to_vec()).collect();
    let mut belongings: HashMap<[u8; 32], Belongings> = HashMap::new();
    for row in sqlx::query!(
        r#"SELECT a.platform AS "platform: Address", a.asset, a.name, a.kind, a.expiry_months, a.mint AS "mint: Address",
                  a.active_from, a.liability::text AS "liability!: Total", v.address AS "vault?: Address",
                  v.funds AS "funds?: Amount", v.opened_at AS "opened_at?: Instant"
           FROM assets a LEFT JOIN vaults v USING (platform, asset)
           WHERE a.platform = ANY($1) ORDER BY a.platform, a.asset"#,
        &addresses
    )
    .fetch_all(snapshot.connection())
    .await?
    {
        let vault = row.vault.zip(row.funds).zip(row.opened_at).map(|((address, funds), opened_at)| Vault {
            address,
            explorer: cluster.account(&Pubkey::new_from_array(address.0)),
            funds,
            opened_at,
        });
        belongings.entry(row.platform.0).or_default().assets.push(Asset {
            asset: row.asset,
            name: row.name,
            kind: row.kind,
            expiry_months: row.expiry_months,
            mint: row.mint,
            active_from: Instant::unless_open(row.active_from),
            liability: row.liability,
            vault,
        });
    }
    for row in sqlx::query!(
        r#"SELECT platform AS "platform: Address", starts, seconds FROM utc_offsets
           WHERE platform = ANY($1) ORDER BY platform, starts"#,
        &addresses
    )
    .fetch_all(snapshot.connection())
    .await?
    {
        let offset = Offset { from: Instant::unless_open(row.starts), seconds: row.seconds };
        belongings.entry(row.platform.0).or_default().offsets.push(offset);
    }
    for row in sqlx::query!(
        r#"SELECT platform AS "platform: Address", from_day, shards, page_slots FROM order_shards
           WHERE platform = ANY($1) ORDER BY platform, from_day"#,
        &addresses
    )
    .fetch_all(snapshot.connection())
    .await?
    {
        let shards = OrderShards {
            from_day: row.from_day,
            from: Day::of_number(row.from_day),
            shards: row.shards,
            page_slots: row.page_slots,
        };
        belongings.entry(row.platform.0).or_default().shards.push(shards);
    }
    for row in sqlx::query!(
        r#"SELECT platform AS "platform: Address", key AS "key: Address", valid_from, valid_until,
                  retired_at AS "retired_at: Instant"
           FROM oracle_keys WHERE platform = ANY($1) ORDER BY platform, key"#,
        &addresses
    )
    .fetch_all(snapshot.connection())
    .await?
    {
        belongings.entry(row.platform.0).or_default().keys.push(OracleKey {
            key: row.key,
            valid_from: Instant::unless_open(row.valid_from),
            valid_until: Instant::unless_open(row.valid_until),
            retired_at: row.retired_at,
        });
    }
    let now = snapshot.position().time;
    Ok(rows
        .into_iter()
        .map(|row| {
            let belongings = belongings.remove(&row.address.0).unwrap_or_default();
            row.shown(belongings, cluster, now)
        })
        .collect())
}

/// Platforms, narrowed down.
macro_rules! platforms {
    ($narrowed:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT address AS "address: Address", id AS "id: Number", admin AS "admin: Address",
                      pauser AS "pauser: Address", max_lateness, next_max_lateness, next_max_lateness_from, timelock,
                      next_timelock, next_timelock_from, next_admin AS "next_admin: Address", next_admin_from,
                      closed_through, paused, created_at AS "created_at: Instant"
               FROM platforms WHERE "# + $narrowed,
            $($argument),+
        )
    };
}

/// List the platforms
///
/// In order of address.
#[utoipa::path(
    get,
    path = "/v1/platforms",
    tag = "platforms",
    operation_id = "listPlatforms",
    params(Page),
    responses((status = 200, description = "A page of platforms.", body = Platforms), Problems),
)]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(page): Query<Page>,
    mut snapshot: Snapshot,
) -> Result<Answer<Platforms>, Problem> {
    let scope = Scope::new(List::Platforms, &[]);
    let after: Option<Address> = page.after(&scope)?;
    let rows = platforms!(
        "address > $1 ORDER BY address LIMIT $2",
        // No platform has the shortest of all addresses, since addresses have 32 bytes.
        after.map_or_else(Vec::new, |address| address.0.to_vec()),
        page.rows()?,
    )
    .fetch_all(snapshot.connection())
    .await?;
    let (rows, next_cursor) = page::cut(&page, &scope, rows, |row| row.address)?;
    let items = complete(&mut snapshot, rows, &state.settings().cluster).await?;
    let as_of = snapshot.as_of();
    Ok(snapshot.answer(Platforms { items, next_cursor, as_of }))
}

/// A platform, as of a slot.
#[derive(Serialize, ToSchema)]
pub(crate) struct OnePlatform {
    #[serde(flatten)]
    #[schema(inline = false)]
    platform: Platform,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// Show a platform
#[utoipa::path(
    get,
    path = "/v1/platforms/{platform}",
    tag = "platforms",
    operation_id = "getPlatform",
    params(("platform" = Address, Path, description = "The platform's address.")),
    responses((status = 200, description = "The platform.", body = OnePlatform), Problems),
)]
pub(crate) async fn one(
    State(state): State<ApiState>,
    Path(platform): Path<Address>,
    mut snapshot: Snapshot,
) -> Result<Answer<OnePlatform>, Problem> {
    let platform = snapshot.platform(OfPlatform { platform: Some(platform) }).await?;
    let rows = platforms!("address = $1", &platform.0).fetch_all(snapshot.connection()).await?;
    let platform = complete(&mut snapshot, rows, &state.settings().cluster)
        .await?
        .pop()
        .ok_or_else(|| snapshot.missing(Thing::Platform(None)))?;
    let as_of = snapshot.as_of();
    Ok(snapshot.answer(OnePlatform { platform, as_of }))
}
