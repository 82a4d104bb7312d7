//! Rules and their versions.

use crate::{
    definition::{self, Definition, Effect},
    page::{self, Key, List, Page, Scope},
    problem::{Problem, Problems, Thing},
    request::{OfPlatform, Path, Query},
    snapshot::{Answer, AsOf, Snapshot},
    state::ApiState,
    transaction::Transaction,
    value::{Address, Amount, Count, Instant, Signature, Total},
};
use axum::extract::State;
use rebate_client::explorer::Cluster;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::{IntoParams, ToSchema};

/// A version of a rule, as it was published.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleVersion {
    /// The rule.
    #[schema(minimum = 0, maximum = 65_535, example = 1)]
    rule: i32,
    /// Its version.
    #[schema(minimum = 1, maximum = 65_535, example = 1)]
    version: i32,
    /// Its name.
    #[schema(example = "first recharge 20%")]
    name: String,
    /// Smaller is evaluated first; ties by rule.
    #[schema(minimum = 0, maximum = 65_535, example = 10)]
    priority: i32,
    /// The asset it grants.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    asset: i16,
    /// The asset's name.
    #[schema(example = "coins")]
    asset_name: String,
    /// The group it competes in.
    #[schema(minimum = 0, maximum = 255, example = 1)]
    group: i16,
    /// How the rules of the group compete: `stackable`, all may pay; `first`, the first in order does; `best`, the one that would
    /// pay most.
    #[schema(example = "first")]
    group_mode: String,
    /// What others can exclude it by.
    #[schema(example = json!([1]))]
    tags: Vec<u8>,
    /// It does not pay where a rule with one of these tags already paid on the same payment.
    #[schema(example = json!([2]))]
    excludes: Vec<u8>,
    /// The condition, as rule files have it: one text a clause, all of which must hold. Empty: always.
    #[schema(example = json!(["payment_number == 1", "product == 1 or product == 2"]))]
    when: Vec<String>,
    /// Over which time its counters run: `day`, `week`, `month`, `lifetime`, or its own `schedule`.
    #[schema(example = "lifetime")]
    window: String,
    /// Whose counters it uses: those of the `user`, of the user towards the streamer (`user_streamer`), or of the user in the
    /// live session (`user_session`).
    #[schema(example = "user")]
    scope: String,
    /// What it grants.
    effect: Effect,
    /// How much and how often at most.
    limits: Limits,
    /// The share of users who are never granted, of 10 000: the control group.
    #[schema(minimum = 0, maximum = 10_000, example = 0)]
    holdout_bps: i32,
    /// The first `paid_at` it is for, by its own schedule; null for open.
    #[schema(required)]
    starts_at: Option<Instant>,
    /// The first `paid_at` it is no longer for, by its own schedule; null for open.
    #[schema(required)]
    ends_at: Option<Instant>,
    /// The first `paid_at` it is for, by its publication; null for open.
    #[schema(required)]
    effective_at: Option<Instant>,
    /// The first `paid_at` that a later version is for instead, or that the rule ends at; null while there is neither.
    #[schema(required)]
    superseded_at: Option<Instant>,
    /// Whether the rule ends there, without a later version.
    ended: bool,
    /// When it left the rule book, since no payment could come for it any more; null while it is there.
    #[schema(required)]
    dropped_at: Option<Instant>,
    /// When it was published, by the chain's clock.
    published_at: Instant,
    /// What it granted so far.
    granted: Amount,
    /// How often it granted.
    #[schema(minimum = 0, example = 17)]
    grants: i64,
    /// What of it refunds took back.
    reversed: Amount,
    /// The place of its publication in the journal.
    #[schema(minimum = 0, example = 2)]
    journal_index: i64,
    /// The transaction it was published in.
    transaction: Transaction,
}

/// How much and how often a rule grants at most; 0 for no limit.
#[derive(Serialize, ToSchema)]
pub(crate) struct Limits {
    /// How much a user gets in one window, in the asset's smallest unit.
    user_amount: Amount,
    /// How often a user gets something in one window.
    user_count: Count,
    /// How much the rule grants in all, reversals given back.
    total_amount: Amount,
    /// How often it grants in all.
    total_count: Count,
    /// What happens to a grant that passes a limit: `clip`, what is left is granted; `reject`, nothing is.
    #[schema(example = "clip")]
    on_limit: String,
}

page::items! {
    /// A page of rule versions, by rule and version.
    Rules of RuleVersion
}

struct Row {
    rule: i32,
    version: i32,
    name: String,
    priority: i32,
    asset: i16,
    asset_name: String,
    definition: Json<Definition>,
    group_number: i16,
    group_mode: String,
    tags: i64,
    excludes: i64,
    counter_window: String,
    counter_scope: String,
    user_amount: Amount,
    user_count: Count,
    total_amount: Amount,
    total_count: Count,
    on_limit: String,
    holdout_bps: i32,
    starts_at: i64,
    ends_at: i64,
    effective_at: i64,
    superseded_at: i64,
    ended: bool,
    dropped_at: Option<Instant>,
    published_at: Instant,
    granted: Amount,
    grants: i64,
    reversed: Amount,
    journal_index: i64,
    signature: Signature,
    slot: i64,
    block_time: Option<Instant>,
}

/// The numbers in a bit set.
fn members(set: i64) -> Vec<u8> {
    (0..32).filter(|bit| set.checked_shr(u32::from(*bit)).is_some_and(|rest| rest & 1 == 1)).collect()
}

impl Row {
    fn shown(self, cluster: &Cluster, as_of: &AsOf) -> RuleVersion {
        let Json(definition) = self.definition;
        RuleVersion {
            rule: self.rule,
            version: self.version,
            name: self.name,
            priority: self.priority,
            asset: self.asset,
            asset_name: self.asset_name,
            group: self.group_number,
            group_mode: self.group_mode,
            tags: members(self.tags),
            excludes: members(self.excludes),
            when: definition::clauses(&definition.condition),
            window: self.counter_window,
            scope: self.counter_scope,
            effect: definition.effect,
            limits: Limits {
                user_amount: self.user_amount,
                user_count: self.user_count,
                total_amount: self.total_amount,
                total_count: self.total_count,
                on_limit: self.on_limit,
            },
            holdout_bps: self.holdout_bps,
            starts_at: Instant::unless_open(self.starts_at),
            ends_at: Instant::unless_open(self.ends_at),
            effective_at: Instant::unless_open(self.effective_at),
            superseded_at: Instant::unless_open(self.superseded_at),
            ended: self.ended,
            dropped_at: self.dropped_at,
            published_at: self.published_at,
            granted: self.granted,
            grants: self.grants,
            reversed: self.reversed,
            journal_index: self.journal_index,
            transaction: Transaction::new(cluster, as_of, self.signature, self.slot, self.block_time),
        }
    }
}

/// The rule versions of a platform, narrowed down.
macro_rules! versions {
    ($narrowed:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT r.rule, r.version, r.name, r.priority, r.asset, a.name AS asset_name,
                      r.definition AS "definition: Json<Definition>", r.group_number, r.group_mode, r.tags, r.excludes,
                      r.counter_window, r.counter_scope, r.user_amount AS "user_amount: Amount",
                      r.user_count AS "user_count: Count", r.total_amount AS "total_amount: Amount",
                      r.total_count AS "total_count: Count", r.on_limit, r.holdout_bps, r.starts_at, r.ends_at,
                      r.effective_at, r.superseded_at, r.ended_at IS NOT NULL AS "ended!",
                      r.dropped_at AS "dropped_at: Instant", r.published_at AS "published_at: Instant",
                      r.granted AS "granted: Amount", r.grants, r.reversed AS "reversed: Amount", r.journal_index, e.signature AS "signature: Signature", e.slot, e.block_time AS "block_time: Instant"
               FROM rules r JOIN assets a USING (platform, asset)
               JOIN LATERAL (
                   SELECT e.at, t.signature, t.slot, t.block_time
                   FROM events e JOIN transactions t ON t.signature = e.signature AND t.month = e.month
                   WHERE e.platform = r.platform AND e.journal_index = r.journal_index AND e.month = month_of(r.platform, r.journal_index)
                   LIMIT 1
               ) AS e ON true
               WHERE r.platform = $1 AND "# + $narrowed,
            $($argument),+
        )
    };
}

/// Rule and version.
#[derive(Clone, Copy)]
struct Place(i32, i32);

impl Key for Place {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.0.to_be_bytes());
        bytes.extend(self.1.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (rule, version) = bytes.split_first_chunk()?;
        Some(Self(i32::from_be_bytes(*rule), i32::from_be_bytes(version.try_into().ok()?)))
    }
}

/// Which rule versions to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Only the versions that decide a payment made at this time.
    in_force_at: Option<Instant>,
}

/// List the rule versions
///
/// By rule and version: all that were ever published, or those in force at a time.
#[utoipa::path(
    get,
    path = "/v1/rules",
    tag = "rules",
    operation_id = "listRules",
    params(OfPlatform, Filter, Page),
    responses((status = 200, description = "A page of rule versions.", body = Rules), Problems),
)]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(of): Query<OfPlatform>,
    Query(filter): Query<Filter>,
    Query(page): Query<Page>,
    mut snapshot: Snapshot,
) -> Result<Answer<Rules>, Problem> {
    let platform = snapshot.platform(of).await?;
    let at = filter.in_force_at.map(|at| at.0.unix_timestamp());
    let filtered = at.map(i64::to_le_bytes);
    let scope = Scope::new(List::Rules, &[&platform.0, filtered.as_ref().map_or(&[], |at| at.as_slice())]);
    let Place(rule, version) = page.after(&scope)?.unwrap_or(Place(-1, 0));
    let rows = versions!(
        "(r.rule, r.version) > ($2, $3)
         AND ($4::bigint IS NULL
              OR (r.effective_at = 0 OR r.effective_at <= $4) AND (r.superseded_at = 0 OR r.superseded_at > $4)
                 AND (r.starts_at = 0 OR r.starts_at <= $4) AND (r.ends_at = 0 OR r.ends_at > $4))
         ORDER BY r.rule, r.version LIMIT $5",
        &platform.0,
        rule,
        version,
        at,
        page.rows()?,
    )
    .fetch_all(snapshot.connection())
    .await?;
    let (rows, next_cursor) = page::cut(&page, &scope, rows, |row| Place(row.rule, row.version))?;
    let cluster = &state.settings().cluster;
    let as_of = snapshot.as_of();
    let items = rows.into_iter().map(|row| row.shown(cluster, &as_of)).collect();
    Ok(snapshot.answer(Rules { items, next_cursor, as_of }))
}

/// A rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct Rule {
    /// The platform.
    platform: Address,
    /// The rule.
    #[schema(minimum = 0, maximum = 65_535, example = 1)]
    rule: i32,
    /// What it granted so far in all versions, by asset.
    totals: Vec<RuleTotal>,
    /// What its limits `total_amount` and `total_count` are held against.
    budget: Budget,
    /// Its versions, from the first published.
    versions: Vec<RuleVersion>,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// What a rule granted of one asset.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleTotal {
    /// The asset.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    asset: i16,
    /// Its name.
    #[schema(example = "coins")]
    asset_name: String,
    /// How much.
    granted: Total,
    /// How often.
    #[schema(minimum = 0, example = 17)]
    grants: i64,
    /// What of it refunds took back.
    reversed: Total,
}

/// What a rule granted so far in all versions.
#[derive(Serialize, ToSchema)]
pub(crate) struct Budget {
    /// How much, less what was reversed.
    spent: Total,
    /// How often, reversed or not.
    #[schema(minimum = 0, example = 17)]
    grants: i64,
}

/// Show a rule with its versions
#[utoipa::path(
    get,
    path = "/v1/rules/{rule}",
    tag = "rules",
    operation_id = "getRule",
    params(("rule" = u16, Path, minimum = 0, maximum = 65535, description = "The rule."), OfPlatform),
    responses((status = 200, description = "The rule.", body = Rule), Problems),
)]
pub(crate) async fn one(
    State(state): State<ApiState>,
    Path(rule): Path<u16>,
    Query(of): Query<OfPlatform>,
    mut snapshot: Snapshot,
) -> Result<Answer<Rule>, Problem> {
    let platform = snapshot.platform(of).await?;
    let rule = i32::from(rule);
    let rows = versions!("r.rule = $2 ORDER BY r.version", &platform.0, rule).fetch_all(snapshot.connection()).await?;
    if rows.is_empty() {
        return Err(snapshot.missing(Thing::Rule(rule)));
    }
    let totals = sqlx::query_as!(
        RuleTotal,
        r#"SELECT asset, a.name AS asset_name, sum(granted)::text AS "granted!: Total", sum(grants)::bigint AS "grants!",
                  sum(reversed)::text AS "reversed!: Total"
           FROM rules r JOIN assets a USING (platform, asset)
           WHERE platform = $1 AND rule = $2 GROUP BY asset, a.name ORDER BY asset"#,
        &platform.0,
        rule
    )
    .fetch_all(snapshot.connection())
    .await?;
    let budget = sqlx::query_as!(
        Budget,
        r#"SELECT spent::text AS "spent!: Total", grants::bigint AS "grants!" FROM rule_budgets
           WHERE platform = $1 AND rule = $2"#,
        &platform.0,
        rule
    )
    .fetch_one(snapshot.connection())
    .await?;
    let cluster = &state.settings().cluster;
    let as_of = snapshot.as_of();
    let versions = rows.into_iter().map(|row| row.shown(cluster, &as_of)).collect();
    Ok(snapshot.answer(Rule { platform, rule, totals, budget, versions, as_of }))
}

/// A rule version, as of a slot.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneRuleVersion {
    #[serde(flatten)]
    #[schema(inline = false)]
    version: RuleVersion,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// The parameters of a rule version's path.
#[derive(Deserialize)]
pub(crate) struct Named {
    rule: u16,
    version: u16,
}

/// Show a rule version
#[utoipa::path(
    get,
    path = "/v1/rules/{rule}/versions/{version}",
    tag = "rules",
    operation_id = "getRuleVersion",
    params(
        ("rule" = u16, Path, minimum = 0, maximum = 65535, description = "The rule."),
        ("version" = u16, Path, minimum = 0, maximum = 65535, description = "Its version, from 1."),
        OfPlatform,
    ),
    responses((status = 200, description = "The version.", body = OneRuleVersion), Problems),
)]
pub(crate) async fn version(
    State(state): State<ApiState>,
    Path(Named { rule, version }): Path<Named>,
    Query(of): Query<OfPlatform>,
    mut snapshot: Snapshot,
) -> Result<Answer<OneRuleVersion>, Problem> {
    let platform = snapshot.platform(of).await?;
    let version = versions!("r.rule = $2 AND r.version = $3", &platform.0, i32::from(rule), i32::from(version))
        .fetch_optional(snapshot.connection())
        .await?
        .ok_or_else(|| snapshot.missing(Thing::RuleVersion(i32::from(rule), i32::from(version))))?
        .shown(&state.settings().cluster, &snapshot.as_of());
    let as_of = snapshot.as_of();
    Ok(snapshot.answer(OneRuleVersion { version, as_of }))
}
