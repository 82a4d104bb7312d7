//! Platforms with their settings.

use crate::{
    page::{self, Key, List, Page, Scope},
    problem::{Problem, Problems},
    request::{OfPlatform, Path, Query},
    snapshot::{Answer, AsOf, Snapshot},
    state::ApiState,
    value::{Address, Instant, Number},
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
    /// How far back a payment may lie when it is recorded, in seconds.
    #[schema(minimum = 1, example = 604_800)]
    max_lateness: i64,
    /// How far ahead a rule version must be published, in seconds.
    #[schema(minimum = 0, example = 86_400)]
    timelock: i64,
    /// Into how many pages a day's orders are spread.
    #[schema(minimum = 1, example = 4)]
    order_shards: i32,
    /// Whether recording is stopped.
    paused: bool,
    /// When it was created, by the chain's clock.
    created_at: Instant,
    /// What can be granted.
    assets: Vec<Asset>,
    /// The table of local time, by date.
    utc_offsets: Vec<Offset>,
    /// The keys that may sign records.
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
    /// What it is: `points` are on the ledger only.
    #[schema(example = "points")]
    kind: String,
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
    timelock: i64,
    order_shards: i32,
    paused: bool,
    created_at: Instant,
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
    let mut assets: HashMap<[u8; 32], Vec<Asset>> = HashMap::new();
    for row in sqlx::query!(
        r#"SELECT platform AS "platform: Address", asset, name, kind FROM assets
           WHERE platform = ANY($1) ORDER BY platform, asset"#,
        &addresses
    )
    .fetch_all(snapshot.connection())
    .await?
    {
        assets.entry(row.platform.0).or_default().push(Asset { asset: row.asset, name: row.name, kind: row.kind });
    }
    let mut offsets: HashMap<[u8; 32], Vec<Offset>> = HashMap::new();
    for row in sqlx::query!(
        r#"SELECT platform AS "platform: Address", starts, seconds FROM utc_offsets
           WHERE platform = ANY($1) ORDER BY platform, starts"#,
        &addresses
    )
    .fetch_all(snapshot.connection())
    .await?
    {
        offsets
            .entry(row.platform.0)
            .or_default()
            .push(Offset { from: Instant::unless_open(row.starts), seconds: row.seconds });
    }
    let mut keys: HashMap<[u8; 32], Vec<OracleKey>> = HashMap::new();
    for row in sqlx::query!(
        r#"SELECT platform AS "platform: Address", key AS "key: Address", valid_from, valid_until
           FROM oracle_keys WHERE platform = ANY($1) ORDER BY platform, key"#,
        &addresses
    )
    .fetch_all(snapshot.connection())
    .await?
    {
        keys.entry(row.platform.0).or_default().push(OracleKey {
            key: row.key,
            valid_from: Instant::unless_open(row.valid_from),
            valid_until: Instant::unless_open(row.valid_until),
        });
    }
    Ok(rows
        .into_iter()
        .map(|row| Platform {
            platform: row.address,
            id: row.id,
            admin: row.admin,
            pauser: row.pauser,
            max_lateness: row.max_lateness,
            timelock: row.timelock,
            order_shards: row.order_shards,
            paused: row.paused,
            created_at: row.created_at,
            assets: assets.remove(&row.address.0).unwrap_or_default(),
            utc_offsets: offsets.remove(&row.address.0).unwrap_or_default(),
            oracle_keys: keys.remove(&row.address.0).unwrap_or_default(),
            accounts: accounts(row.address, cluster),
        })
        .collect())
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
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT address AS "address: Address", id AS "id: Number", admin AS "admin: Address", pauser AS "pauser: Address",
                  max_lateness, timelock, order_shards, paused, created_at AS "created_at: Instant"
           FROM platforms WHERE address > $1 ORDER BY address LIMIT $2"#,
        // No platform has the shortest of all addresses, since addresses have 32 bytes.
        after.map_or_else(Vec::new, |address| address.0.to_vec()),
        page.rows()?
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
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT address AS "address: Address", id AS "id: Number", admin AS "admin: Address", pauser AS "pauser: Address",
                  max_lateness, timelock, order_shards, paused, created_at AS "created_at: Instant"
           FROM platforms WHERE address = $1"#,
        &platform.0
    )
    .fetch_all(snapshot.connection())
    .await?;
    let platform = complete(&mut snapshot, rows, &state.settings().cluster)
        .await?
        .pop()
        .ok_or_else(|| snapshot.unknown(&"such platform"))?;
    let as_of = snapshot.as_of();
    Ok(snapshot.answer(OnePlatform { platform, as_of }))
}
