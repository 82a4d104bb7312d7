//! Every kind of event: what it leaves in the tables, and when it stops the indexer.

use crate::{
    chain::{Chain, GRANT, GRANTING, IDLE, key},
    database::Database,
    source::{Script, index},
};
use rebate_client::event::{
    AssetAdded, AssetEntry, DayClosed, Deposited, EffectEntry, Event, LimitsEntry, OffsetAdded, OffsetEntry,
    OracleKeyRegistered, OracleKeyRetired, OrderShardsChanged, OutcomeEntry, PredicateEntry, RoleChanged,
    RuleDefinition, RuleDropped, RuleEnded, RulePublished, SettingChanged, StepEntry, SurplusWithdrawn, VaultOpened,
    WalletLinked,
};
use rebate_indexer::{
    source::BlockRef,
    stretch::Stretch,
    write::{WriteError, Writer},
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

/// The rule that grants tokens, and the asset they are.
pub const OF_TOKENS: u16 = 3;
pub const TOKENS: u8 = 2;

/// Of the tokens.
const MINT: [u8; 32] = [5; 32];
const VAULT: [u8; 32] = [6; 32];

/// Who takes part in [`everything_else`].
const USER: u64 = 21;

/// Of that user, or whoever it is linked to.
const WALLET: [u8; 32] = [8; 32];

fn token(name: &[u8; 16]) -> AssetEntry {
    AssetEntry { name: *name, kind: 2, expiry_months: 0, mint: MINT }
}

/// Makes asset 2 a token with a vault and a rule.
fn with_tokens(chain: &mut Chain, platform: [u8; 32]) {
    chain.decide(platform, |journal_index, at| {
        let entry = token(b"gems\0\0\0\0\0\0\0\0\0\0\0\0");
        Event::AssetAdded(AssetAdded { journal_index, at, platform, asset: TOKENS, entry, active_from: 1_750_000_000 })
    });
    open_vault(chain, platform, MINT);
    deposit(chain, platform, 5_000, 5_000);
    chain.publish_for(platform, OF_TOKENS, 1, 0, TOKENS);
}

fn open_vault(chain: &mut Chain, platform: [u8; 32], mint: [u8; 32]) {
    chain.decide(platform, |journal_index, at| {
        Event::VaultOpened(VaultOpened { journal_index, at, platform, asset: TOKENS, mint, vault: VAULT })
    });
}

fn deposit(chain: &mut Chain, platform: [u8; 32], amount: u64, funds: u64) {
    chain.decide(platform, |journal_index, at| {
        Event::Deposited(Deposited { journal_index, at, platform, asset: TOKENS, by: key(1), amount, funds })
    });
}

fn withdraw(chain: &mut Chain, platform: [u8; 32], amount: u64, funds: u64, liability: u64) {
    chain.decide(platform, |journal_index, at| {
        Event::SurplusWithdrawn(SurplusWithdrawn {
            journal_index,
            at,
            platform,
            asset: TOKENS,
            destination: key(78),
            amount,
            funds,
            liability,
        })
    });
}

fn link(chain: &mut Chain, platform: [u8; 32], user: u64, wallet: [u8; 32], linked_at: i64) {
    chain.decide(platform, |journal_index, at| {
        let (oracle, user) = (key(3), key(user));
        Event::WalletLinked(WalletLinked { journal_index, at, platform, oracle, user, wallet, linked_at })
    });
}

fn end_rule(chain: &mut Chain, platform: [u8; 32], rule: u16, version: u16, ends_at: i64) {
    chain.decide(platform, |journal_index, at| {
        Event::RuleEnded(RuleEnded { journal_index, at, platform, rule, version, ends_at })
    });
}

fn drop_rule(chain: &mut Chain, platform: [u8; 32], rule: u16, (granted, grants, reversed): (u64, u64, u64)) {
    chain.decide(platform, |journal_index, at| {
        let version = 1;
        Event::RuleDropped(RuleDropped { journal_index, at, platform, rule, version, granted, grants, reversed })
    });
}

fn set(chain: &mut Chain, platform: [u8; 32], setting: u8, value: u32, effective_at: i64) {
    chain.decide(platform, |journal_index, at| {
        Event::SettingChanged(SettingChanged { journal_index, at, platform, setting, value, effective_at })
    });
}

fn give(chain: &mut Chain, platform: [u8; 32], role: u8, holder: [u8; 32], effective_at: i64) {
    chain.decide(platform, |journal_index, at| {
        Event::RoleChanged(RoleChanged { journal_index, at, platform, role, holder, effective_at })
    });
}

/// Lets happen what no payment is, on a platform as [`Chain::with_platform`] makes it.
pub fn everything_else(chain: &mut Chain, platform: [u8; 32]) {
    with_tokens(chain, platform);
    link(chain, platform, USER, WALLET, chain.now() - 5);
    chain.seal();
    let first = chain.payment_under(platform, USER, 1_000, &[(GRANTING, 1, 1), (OF_TOKENS, 1, TOKENS)]);
    chain.emit(&[Event::PaymentRecorded(first.clone())]);
    let redeemed = chain.redemption(platform, USER, 1, GRANT / 2);
    chain.emit(&[Event::Redeemed(redeemed)]);
    chain.seal();
    let part = chain.refund(&first, 333);
    chain.emit(&[Event::RefundRecorded(part)]);
    let claimed = chain.claim(platform, USER, TOKENS, 400, WALLET);
    chain.emit(&[Event::Claimed(claimed)]);
    withdraw(chain, platform, 100, 4_500, GRANT - 333 - 400);
    let expired = chain.expiry(platform, USER, 1, 1);
    chain.emit(&[Event::BalanceExpired(expired)]);
    chain.seal();
    end_rule(chain, platform, OF_TOKENS, 1, chain.now() + 10);
    drop_rule(chain, platform, OF_TOKENS, (GRANT, 1, 333));
    // After rule and surplus are gone: what was checked then must not see it.
    let rest = chain.refund(&first, 667);
    chain.emit(&[Event::RefundRecorded(rest)]);
    chain.pay(platform, USER, 50);
    set(chain, platform, 1, 86_400, chain.now() + 60);
    set(chain, platform, 2, 120, 0);
    give(chain, platform, 1, key(11), chain.now() + 60);
    give(chain, platform, 2, key(12), 0);
    chain.decide(platform, |journal_index, at| {
        Event::OracleKeyRetired(OracleKeyRetired { journal_index, at, platform, key: key(3), valid_until: at + 5 })
    });
    chain.decide(platform, |journal_index, at| {
        let offset = OffsetEntry { from: 1_790_000_000, seconds: 32_400 };
        Event::OffsetAdded(OffsetAdded { journal_index, at, platform, offset })
    });
    chain.decide(platform, |journal_index, at| {
        let (from_day, shards, page_slots) = (20_300, 4, 1_024);
        Event::OrderShardsChanged(OrderShardsChanged { journal_index, at, platform, from_day, shards, page_slots })
    });
    chain
        .decide(platform, |journal_index, at| Event::DayClosed(DayClosed { journal_index, at, platform, day: 20_200 }));
    chain.seal();
}

/// A chain with one event of every kind at least.
pub fn chain_of_everything() -> Chain {
    let (mut chain, platform) = Chain::with_platform();
    everything_else(&mut chain, platform);
    chain
}

/// Rows of the database as JSON.
async fn rows(database: &Database, query: &str) -> Value {
    let query = format!("SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM ({query}) AS t");
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(database.pool()).await.unwrap()
}

async fn indexed(chain: &Chain) -> Database {
    let database = Database::new().await;
    index(&database, Script::of(chain)).await.unwrap();
    database
}

/// The indexer writes everything but what comes after `before`, and says `complaint` about that.
async fn stops(chain: &Chain, before: BlockRef, complaint: &str) {
    let database = Database::new().await;
    let error = index(&database, Script::of(chain)).await.unwrap_err().to_string();
    assert!(error.contains(complaint), "{error}\nshould say: {complaint}");
    let writer =
        Writer::new(database.pool().clone(), chain.genesis_hash(), rebate_client::chain::Commitment::Finalized);
    assert_eq!(writer.cursor().await.unwrap().unwrap().at, before);
    let later: i64 = sqlx::query_scalar("SELECT count(*) FROM transactions WHERE slot > $1")
        .bind(i64::try_from(before.slot).unwrap())
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(later, 0);
}

const BALANCES: &str = "SELECT asset, balance::text, debt::text, entries FROM balances ORDER BY asset";

#[tokio::test]
async fn a_refund_takes_back_what_is_there_and_the_rest_is_owed_and_paid_by_the_next_grant() {
    let (mut chain, platform) = Chain::with_platform();
    let payment = chain.payment(platform, 1, 3_000);
    chain.emit(&[Event::PaymentRecorded(payment.clone())]);
    let redeemed = chain.redemption(platform, 1, 1, 400);
    chain.emit(&[Event::Redeemed(redeemed)]);
    let (half, rest) = (chain.refund(&payment, 1_500), chain.refund(&payment, 1_500));
    chain.emit(&[Event::RefundRecorded(half.clone()), Event::RefundRecorded(rest)]);
    chain.seal();
    let database = indexed(&chain).await;

    assert_eq!(rows(&database, BALANCES).await, json!([{"asset": 1, "balance": "0", "debt": "400", "entries": 4}]));
    let entries = "SELECT operation, change::int, balance_before::int AS before, balance_after::int AS after,
                       debt_before::int, debt_after::int, rule, version FROM entries ORDER BY journal_index, position";
    let entry = |operation: &str, change: i64, (before, after): (u64, u64), debt: (u64, u64), rule: Option<u16>| {
        json!({"operation": operation, "change": change, "before": before, "after": after, "debt_before": debt.0,
               "debt_after": debt.1, "rule": rule, "version": rule.map(|_| 1)})
    };
    let mut expected = vec![
        entry("grant", 1_000, (0, 1_000), (0, 0), Some(GRANTING)),
        entry("redemption", -400, (1_000, 600), (0, 0), None),
        entry("reversal", -500, (600, 100), (0, 0), Some(GRANTING)),
        entry("reversal", -100, (100, 0), (0, 400), Some(GRANTING)),
    ];
    assert_eq!(rows(&database, entries).await, json!(expected));
    let refunds = "SELECT amount::int, refunded::int, payment_index, paid_at > '2025-05-31' AS paid FROM refunds
                   ORDER BY journal_index";
    assert_eq!(
        rows(&database, refunds).await,
        json!([
            {"amount": 1_500, "refunded": 1_500, "payment_index": payment.journal_index, "paid": true},
            {"amount": 1_500, "refunded": 3_000, "payment_index": payment.journal_index, "paid": true},
        ])
    );
    let totals = format!("SELECT granted::int, grants, reversed::int FROM rules WHERE rule = {GRANTING}");
    assert_eq!(rows(&database, &totals).await, json!([{"granted": 1_000, "grants": 1, "reversed": 1_000}]));
    let reasons = "SELECT reason, amount::int FROM outcomes ORDER BY journal_index, position";
    assert_eq!(
        rows(&database, reasons).await,
        json!([{"reason": 0, "amount": 1_000}, {"reason": 1, "amount": 0}, {"reason": 10, "amount": 500},
               {"reason": 10, "amount": 500}])
    );

    chain.pay(platform, 1, 10);
    let last = chain.payment(platform, 1, 20);
    chain.emit(&[Event::PaymentRecorded(last)]);
    chain.seal();
    index(&database, Script::of(&chain)).await.unwrap();
    expected.push(entry("grant", 600, (0, 600), (400, 0), Some(GRANTING)));
    expected.push(entry("grant", 1_000, (600, 1_600), (0, 0), Some(GRANTING)));
    assert_eq!(rows(&database, entries).await, json!(expected));
    assert_eq!(rows(&database, BALANCES).await, json!([{"asset": 1, "balance": "1600", "debt": "0", "entries": 6}]));
    let budget = format!("SELECT spent::int, grants::int FROM rule_budgets WHERE rule = {GRANTING}");
    assert_eq!(rows(&database, &budget).await, json!([{"spent": 2_000, "grants": 3}]));
    let users = "SELECT payments, paid::int, refunded::int FROM users";
    assert_eq!(rows(&database, users).await, json!([{"payments": 3, "paid": 3_030, "refunded": 3_000}]));
    assert_eq!(rows(&database, "SELECT liability::int FROM assets").await, json!([{"liability": 1_600}]));
}

#[tokio::test]
async fn a_grant_that_pays_a_debt_and_a_reversal_of_nothing_are_entries_too() {
    let (mut chain, platform) = Chain::with_platform();
    let payment = chain.payment(platform, 1, 10);
    chain.emit(&[Event::PaymentRecorded(payment.clone())]);
    let redeemed = chain.redemption(platform, 1, 1, GRANT);
    chain.emit(&[Event::Redeemed(redeemed)]);
    let refund = chain.refund(&payment, 10);
    chain.emit(&[Event::RefundRecorded(refund)]);
    chain.pay(platform, 1, 10);
    chain.seal();
    let database = indexed(&chain).await;
    let entries = "SELECT operation, change::int, debt_after::int AS debt FROM entries ORDER BY journal_index";
    assert_eq!(
        rows(&database, entries).await,
        json!([
            {"operation": "grant", "change": 1_000, "debt": 0},
            {"operation": "redemption", "change": -1_000, "debt": 0},
            {"operation": "reversal", "change": 0, "debt": 1_000},
            {"operation": "grant", "change": 0, "debt": 0},
        ])
    );
    assert_eq!(rows(&database, BALANCES).await, json!([{"asset": 1, "balance": "0", "debt": "0", "entries": 4}]));
}

#[tokio::test]
async fn redemptions_claims_and_expiry_are_on_the_ledger_with_what_they_name() {
    let (mut chain, platform) = Chain::with_platform();
    everything_else(&mut chain, platform);
    let database = indexed(&chain).await;

    let entries = "SELECT operation, asset, change::int, order_hash IS NULL AS orderless, rule
                   FROM entries ORDER BY journal_index, position";
    let entry = |operation: &str, asset: u8, change: i64, rule: Option<u16>| {
        let orderless = ["claim", "expiry"].contains(&operation);
        json!({"operation": operation, "asset": asset, "change": change, "orderless": orderless, "rule": rule})
    };
    assert_eq!(
        rows(&database, entries).await,
        json!([
            entry("grant", 1, 1_000, Some(GRANTING)),
            entry("grant", TOKENS, 1_000, Some(OF_TOKENS)),
            entry("redemption", 1, -500, None),
            entry("reversal", 1, -333, Some(GRANTING)),
            entry("reversal", TOKENS, -333, Some(OF_TOKENS)),
            entry("claim", TOKENS, -400, None),
            entry("expiry", 1, -1, None),
            entry("reversal", 1, -166, Some(GRANTING)),
            entry("reversal", TOKENS, -267, Some(OF_TOKENS)),
            entry("grant", 1, 499, Some(GRANTING)),
        ])
    );
    assert_eq!(
        rows(&database, BALANCES).await,
        json!([{"asset": 1, "balance": "499", "debt": "0", "entries": 6},
               {"asset": 2, "balance": "0", "debt": "400", "entries": 4}])
    );
    let redemptions = "SELECT asset, amount::int, redeemed_at < now() AS redeemed FROM redemptions";
    assert_eq!(rows(&database, redemptions).await, json!([{"asset": 1, "amount": 500, "redeemed": true}]));
    let claims = "SELECT asset, amount::int, encode(wallet, 'hex') AS wallet FROM claims";
    assert_eq!(rows(&database, claims).await, json!([{"asset": 2, "amount": 400, "wallet": "08".repeat(32)}]));
    let links = "SELECT encode(wallet, 'hex') AS wallet FROM wallet_links";
    assert_eq!(rows(&database, links).await, json!([{"wallet": "08".repeat(32)}]));
}

#[tokio::test]
async fn what_the_people_of_a_platform_decide_is_in_the_tables() {
    let (mut chain, platform) = Chain::with_platform();
    everything_else(&mut chain, platform);
    let now = chain.now();
    let database = indexed(&chain).await;

    let platforms = "SELECT max_lateness, next_max_lateness, next_max_lateness_from AS from, timelock, next_timelock,
                         closed_through, encode(pauser, 'hex') AS pauser, encode(next_admin, 'hex') AS next_admin
                     FROM platforms";
    let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(
        rows(&database, platforms).await,
        json!([{"max_lateness": 604_800, "next_max_lateness": 86_400, "from": now + 60, "timelock": 120,
                "next_timelock": null, "closed_through": 20_200, "pauser": hex(key(12)), "next_admin": hex(key(11))}])
    );
    let assets = "SELECT asset, kind, name, expiry_months, active_from, encode(mint, 'hex') AS mint, liability::int
                  FROM assets ORDER BY asset";
    assert_eq!(
        rows(&database, assets).await,
        json!([
            {"asset": 1, "kind": "points", "name": "coins", "expiry_months": 0, "active_from": 0, "mint": null,
             "liability": 499},
            {"asset": 2, "kind": "token", "name": "gems", "expiry_months": 0, "active_from": 1_750_000_000,
             "mint": "05".repeat(32), "liability": 0},
        ])
    );
    let vaults = "SELECT asset, encode(address, 'hex') AS address, funds::int FROM vaults";
    assert_eq!(rows(&database, vaults).await, json!([{"asset": 2, "address": "06".repeat(32), "funds": 4_500}]));
    let keys = "SELECT valid_until, retired_at IS NOT NULL AS retired FROM oracle_keys";
    assert_eq!(rows(&database, keys).await, json!([{"valid_until": now + 5, "retired": true}]));
    let offsets = "SELECT starts, seconds FROM utc_offsets ORDER BY starts";
    assert_eq!(
        rows(&database, offsets).await,
        json!([{"starts": 0, "seconds": 28_800}, {"starts": 1_790_000_000, "seconds": 32_400}])
    );
    let shards = "SELECT from_day, shards, page_slots FROM order_shards ORDER BY from_day";
    assert_eq!(
        rows(&database, shards).await,
        json!([
            {"from_day": 0, "shards": 1, "page_slots": 256},
            {"from_day": 20_300, "shards": 4, "page_slots": 1_024},
        ])
    );
    let rules =
        "SELECT rule, superseded_at <> 0 AS ends, ended_at IS NOT NULL AS ended, dropped_at IS NOT NULL AS dropped
                 FROM rules ORDER BY rule";
    assert_eq!(
        rows(&database, rules).await,
        json!([
            {"rule": GRANTING, "ends": false, "ended": false, "dropped": false},
            {"rule": IDLE, "ends": false, "ended": false, "dropped": false},
            {"rule": OF_TOKENS, "ends": true, "ended": true, "dropped": true},
        ])
    );
}

#[tokio::test]
async fn a_rule_is_stored_with_all_it_says() {
    let (mut chain, platform) = Chain::with_platform();
    let effects = [
        EffectEntry::Tiers {
            asset: 1,
            mode: 2,
            steps: vec![StepEntry { threshold: 10, value: 5 }, StepEntry { threshold: u64::MAX, value: 9 }],
        },
        EffectEntry::Streak { asset: 1, days: 7, amount: u64::MAX, recurring: true },
        EffectEntry::Multiplier { asset: 1, bps: 15_000 },
        EffectEntry::Ratio { asset: 1, bps: 100, min: 1, max: 0 },
    ];
    for (id, effect) in (10..).zip(effects) {
        chain.decide(platform, |journal_index, at| {
            let rule = RuleDefinition {
                id,
                version: 1,
                name: "all".to_owned(),
                priority: 7,
                starts_at: 1,
                ends_at: 2,
                group: 255,
                group_mode: 3,
                tags: u32::MAX,
                excludes: 1 << 31,
                condition: vec![PredicateEntry { clause: 0, negated: true, field: 11, operator: 7, value: 5 }],
                window: 3,
                scope: 2,
                effect,
                limits: LimitsEntry {
                    user_amount: u64::MAX,
                    user_count: 2,
                    total_amount: 3,
                    total_count: u64::MAX,
                    on_limit: 2,
                },
                holdout_bps: 10_000,
            };
            Event::RulePublished(RulePublished { journal_index, at, platform, effective_at: 0, rule })
        });
    }
    chain.seal();
    let database = indexed(&chain).await;
    let rule = "SELECT group_number, group_mode, tags, excludes, counter_window, counter_scope, user_amount::text,
                    user_count::text, total_amount::text, total_count::text, on_limit, holdout_bps,
                    definition -> 'condition' AS condition
                FROM rules WHERE rule = 10";
    let most = u64::MAX.to_string();
    assert_eq!(
        rows(&database, rule).await,
        json!([{
            "group_number": 255, "group_mode": "best", "tags": u32::MAX, "excludes": 1u32 << 31,
            "counter_window": "month", "counter_scope": "user_streamer", "user_amount": most, "user_count": "2",
            "total_amount": "3", "total_count": most, "on_limit": "reject", "holdout_bps": 10_000,
            "condition": [{"clause": 0, "negated": true, "field": "segments", "operator": "any", "value": "5"}],
        }])
    );
    let effects = "SELECT definition -> 'effect' AS effect FROM rules WHERE rule >= 10 ORDER BY rule";
    assert_eq!(
        rows(&database, effects).await,
        json!([
            {"effect": {"kind": "tiers", "asset": 1, "mode": "slab", "steps": [["10", "5"], [most, "9"]]}},
            {"effect": {"kind": "streak", "asset": 1, "days": 7, "amount": most, "recurring": true}},
            {"effect": {"kind": "multiplier", "asset": 1, "bps": 15_000}},
            {"effect": {"kind": "ratio", "asset": 1, "bps": 100, "min": "1", "max": "0"}},
        ])
    );
}

#[tokio::test]
async fn a_version_published_after_a_rule_ended_leaves_the_end_of_the_one_before_as_it_was() {
    let (mut chain, platform) = Chain::with_platform();
    end_rule(&mut chain, platform, GRANTING, 1, 1_800_000_000);
    chain.publish(platform, GRANTING, 2, 1_900_000_000);
    chain.seal();
    let database = indexed(&chain).await;
    let rules = format!(
        "SELECT superseded_at, ended_at IS NOT NULL AS ended FROM rules WHERE rule = {GRANTING} ORDER BY version"
    );
    assert_eq!(
        rows(&database, &rules).await,
        json!([{"superseded_at": 1_800_000_000, "ended": true}, {"superseded_at": 0, "ended": false}])
    );
}

#[tokio::test]
async fn an_announced_setting_that_has_come_is_what_a_later_change_replaces() {
    let (mut chain, platform) = Chain::with_platform();
    let now = chain.now();
    set(&mut chain, platform, 1, 3_600, now + 1);
    set(&mut chain, platform, 2, 30, now + 60);
    chain.skip(10);
    chain.seal();
    let later = chain.now() + 100;
    set(&mut chain, platform, 1, 1_800, later);
    // The other had not come yet.
    set(&mut chain, platform, 2, 600, later);
    chain.seal();
    let database = indexed(&chain).await;
    let platforms =
        "SELECT max_lateness, next_max_lateness, next_max_lateness_from, timelock, next_timelock FROM platforms";
    assert_eq!(
        rows(&database, platforms).await,
        json!([{"max_lateness": 3_600, "next_max_lateness": 1_800, "next_max_lateness_from": later, "timelock": 60,
                "next_timelock": 600}])
    );
    set(&mut chain, platform, 1, 7_200, 0);
    give(&mut chain, platform, 1, key(50), later);
    give(&mut chain, platform, 1, [0; 32], 0);
    chain.seal();
    index(&database, Script::of(&chain)).await.unwrap();
    let platforms = "SELECT max_lateness, next_max_lateness, next_max_lateness_from, next_admin FROM platforms";
    assert_eq!(
        rows(&database, platforms).await,
        json!([{"max_lateness": 7_200, "next_max_lateness": null, "next_max_lateness_from": 0, "next_admin": null}])
    );
}

#[tokio::test]
async fn a_role_that_is_taken_up_is_no_longer_offered() {
    let (mut chain, platform) = Chain::with_platform();
    let soon = chain.now() + 60;
    give(&mut chain, platform, 1, key(50), soon);
    give(&mut chain, platform, 1, key(50), 0);
    chain.seal();
    let database = indexed(&chain).await;
    let expected = sqlx::query_scalar::<_, Vec<u8>>("SELECT admin FROM platforms WHERE next_admin IS NULL");
    assert_eq!(expected.fetch_one(database.pool()).await.unwrap(), key(50));
}

#[tokio::test]
async fn an_oracle_key_can_come_back() {
    let (mut chain, platform) = Chain::with_platform();
    chain.decide(platform, |journal_index, at| {
        Event::OracleKeyRetired(OracleKeyRetired { journal_index, at, platform, key: key(3), valid_until: at })
    });
    chain.decide(platform, |journal_index, at| {
        let (key, valid_from, valid_until) = (key(3), at + 60, 0);
        Event::OracleKeyRegistered(OracleKeyRegistered { journal_index, at, platform, key, valid_from, valid_until })
    });
    chain.seal();
    let database = indexed(&chain).await;
    let keys = "SELECT valid_until, retired_at FROM oracle_keys";
    assert_eq!(rows(&database, keys).await, json!([{"valid_until": 0, "retired_at": null}]));
}

#[tokio::test]
async fn a_shard_change_replaces_what_was_announced_for_later_days() {
    let (mut chain, platform) = Chain::with_platform();
    for (from_day, shards, page_slots) in [(20_300, 4, 8), (20_310, 8, 16), (20_305, 2, 1_267)] {
        chain.decide(platform, |journal_index, at| {
            Event::OrderShardsChanged(OrderShardsChanged { journal_index, at, platform, from_day, shards, page_slots })
        });
    }
    chain.seal();
    let database = indexed(&chain).await;
    let shards = "SELECT from_day, shards, page_slots FROM order_shards ORDER BY from_day";
    assert_eq!(
        rows(&database, shards).await,
        json!([
            {"from_day": 0, "shards": 1, "page_slots": 256},
            {"from_day": 20_300, "shards": 4, "page_slots": 8},
            {"from_day": 20_305, "shards": 2, "page_slots": 1_267},
        ])
    );
}

#[tokio::test]
async fn a_refund_of_the_second_of_two_payments_with_one_number_finds_it() {
    let (mut chain, platform) = Chain::with_platform();
    let first = chain.payment(platform, 1, 100);
    let mut second = chain.payment(platform, 2, 300);
    let mut refund = chain.refund(&second, 300);
    second.order = first.order;
    refund.of = first.order;
    chain.emit(&[Event::PaymentRecorded(first), Event::PaymentRecorded(second.clone())]);
    chain.emit(&[Event::RefundRecorded(refund)]);
    chain.seal();
    let database = indexed(&chain).await;
    let refunds = "SELECT payment_index FROM refunds";
    assert_eq!(rows(&database, refunds).await, json!([{"payment_index": second.journal_index}]));
}

/// The balance is one more.
fn shift(outcome: &mut OutcomeEntry) {
    outcome.before += 1;
    outcome.after += 1;
}

#[tokio::test]
async fn a_refund_that_does_not_fit_its_payment_stops_the_indexer() {
    type Spoil = fn(&mut rebate_client::event::RefundRecorded);
    let cases: [(Spoil, &str); 9] = [
        (|refund| refund.of = key(404), "stored: no such payment of this user"),
        (|refund| refund.user = key(2), "stored: no such payment of this user"),
        (|refund| refund.refunded += 1, "it refunds 50, which makes 51 of the order; stored: 0 of 100"),
        (|refund| (refund.amount, refund.refunded) = (101, 101), "which makes 101 of the order; stored: 0 of 100"),
        (|refund| shift(&mut refund.outcomes[0]), "a balance of 1001 in asset 1 before, and it is 1000"),
        (|refund| refund.outcomes[0].after += 1, "Reversed 500, and a balance of 1000 before and 501 after"),
        (|refund| refund.outcomes[0].after -= 1, "Reversed 500, and a balance of 1000 before and 499 after"),
        (|refund| refund.outcomes[0].reason = 0, "Granted 500"),
        (|refund| refund.outcomes[0].version = 9, "it names rule 1 version 9, which is not stored"),
    ];
    for (spoil, complaint) in cases {
        let (mut chain, platform) = Chain::with_platform();
        let payment = chain.payment(platform, 1, 100);
        chain.emit(&[Event::PaymentRecorded(payment.clone())]);
        let before = BlockRef::of(chain.seal());
        let mut refund = chain.refund(&payment, 50);
        spoil(&mut refund);
        chain.emit(&[Event::RefundRecorded(refund)]);
        chain.seal();
        stops(&chain, before, complaint).await;
    }
}

#[tokio::test]
async fn a_debit_of_a_balance_that_differs_stops_the_indexer() {
    const OTHER: &str = "says a balance of 2000 in asset 1 before, and it is 1000";
    for kind in 0..3 {
        let (mut chain, platform) = Chain::with_platform();
        with_tokens(&mut chain, platform);
        let payment = chain.payment_under(platform, 1, 10, &[(GRANTING, 1, 1), (OF_TOKENS, 1, TOKENS)]);
        chain.emit(&[Event::PaymentRecorded(payment)]);
        link(&mut chain, platform, 1, WALLET, 1_748_000_000);
        let before = BlockRef::of(chain.seal());
        // Lost on the way to the database.
        let (asset, complaint) =
            if kind == 2 { (TOKENS, OTHER.replace("asset 1", "asset 2")) } else { (1, OTHER.to_owned()) };
        let mut event = match kind {
            0 => Event::Redeemed(chain.redemption(platform, 1, asset, 10)),
            1 => Event::BalanceExpired(chain.expiry(platform, 1, asset, 10)),
            _ => Event::Claimed(chain.claim(platform, 1, asset, 10, WALLET)),
        };
        match &mut event {
            Event::Redeemed(event) => (event.before, event.after) = (2_000, 1_990),
            Event::BalanceExpired(event) => (event.before, event.after) = (2_000, 1_990),
            Event::Claimed(event) => (event.before, event.after) = (2_000, 1_990),
            _ => unreachable!(),
        }
        chain.emit(&[event]);
        chain.seal();
        stops(&chain, before, &complaint).await;
    }
}

#[tokio::test]
async fn a_debit_that_does_not_add_up_stops_the_indexer() {
    for (amount, after) in [(10, 991), (10, 989), (2_000, 0), (0, 1_000)] {
        let (mut chain, platform) = Chain::with_platform();
        chain.pay(platform, 1, 10);
        let before = BlockRef::of(chain.seal());
        let mut redeemed = chain.redemption(platform, 1, 1, 10);
        (redeemed.amount, redeemed.after) = (amount, after);
        chain.emit(&[Event::Redeemed(redeemed)]);
        chain.seal();
        let complaint =
            if amount == 0 { "redemptions_amount_check" } else { "with a debt of 0, from a balance of 1000" };
        stops(&chain, before, complaint).await;
    }
}

#[tokio::test]
async fn a_grant_to_who_owes_must_pay_the_debt() {
    let (mut chain, platform) = Chain::with_platform();
    let payment = chain.payment(platform, 1, 10);
    chain.emit(&[Event::PaymentRecorded(payment.clone())]);
    let redeemed = chain.redemption(platform, 1, 1, 400);
    chain.emit(&[Event::Redeemed(redeemed)]);
    let refund = chain.refund(&payment, 10);
    chain.emit(&[Event::RefundRecorded(refund)]);
    let before = BlockRef::of(chain.seal());
    let mut next = chain.payment(platform, 1, 10);
    assert_eq!((next.outcomes[0].before, next.outcomes[0].after), (0, 600));
    next.outcomes[0].after = 601;
    chain.emit(&[Event::PaymentRecorded(next)]);
    chain.seal();
    stops(&chain, before, "it moves 1000 of asset 1 with a debt of 400, from a balance of 0 to 601").await;
}

#[tokio::test]
async fn only_the_linked_wallet_claims_and_links_only_get_newer() {
    let made = || {
        let (mut chain, platform) = Chain::with_platform();
        with_tokens(&mut chain, platform);
        let payment = chain.payment_under(platform, 1, 10, &[(OF_TOKENS, 1, TOKENS)]);
        chain.emit(&[Event::PaymentRecorded(payment)]);
        link(&mut chain, platform, 1, WALLET, 1_748_000_000);
        let before = BlockRef::of(chain.seal());
        (chain, platform, before)
    };
    let (mut chain, platform, before) = made();
    let claimed = chain.claim(platform, 1, TOKENS, 10, key(50));
    chain.emit(&[Event::Claimed(claimed)]);
    chain.seal();
    stops(&chain, before, "is not the wallet linked to its user").await;

    let (mut chain, platform, before) = made();
    link(&mut chain, platform, 1, key(50), 1_748_000_000);
    chain.seal();
    stops(&chain, before, "it is no newer than the wallet link before it").await;

    let (mut chain, platform, _) = made();
    link(&mut chain, platform, 1, key(50), 1_748_000_001);
    let claimed = chain.claim(platform, 1, TOKENS, 10, key(50));
    chain.emit(&[Event::Claimed(claimed)]);
    chain.seal();
    assert_eq!(indexed(&chain).await.count("claims").await, 1);
}

#[tokio::test]
async fn a_vault_never_holds_less_than_the_events_say() {
    type Do = fn(&mut Chain, [u8; 32]);
    let cases: [(Do, &str); 5] = [
        (
            |chain, platform| deposit(chain, platform, 100, 5_099),
            "the vault held 5000 before, and it says that 5099 are left",
        ),
        (|chain, platform| withdraw(chain, platform, 100, 4_899, 1_000), "it says that 4899 are left"),
        (|chain, platform| withdraw(chain, platform, 100, 4_900, 999), "users have 999 of asset 2, and they have 1000"),
        (|chain, platform| open_vault(chain, platform, [9; 32]), "asset 2 is no token of this mint"),
        (|chain, platform| open_vault(chain, platform, MINT), "duplicate key"),
    ];
    for (wrong, complaint) in cases {
        let (mut chain, platform) = Chain::with_platform();
        with_tokens(&mut chain, platform);
        let payment = chain.payment_under(platform, 1, 10, &[(OF_TOKENS, 1, TOKENS)]);
        chain.emit(&[Event::PaymentRecorded(payment)]);
        let before = BlockRef::of(chain.seal());
        wrong(&mut chain, platform);
        chain.seal();
        stops(&chain, before, complaint).await;
    }
    // What somebody sent there otherwise counts with the next deposit.
    let (mut chain, platform) = Chain::with_platform();
    with_tokens(&mut chain, platform);
    deposit(&mut chain, platform, 100, 5_777);
    chain.seal();
    let database = indexed(&chain).await;
    assert_eq!(rows(&database, "SELECT funds::int FROM vaults").await, json!([{"funds": 5_777}]));
}

#[tokio::test]
async fn a_deposit_or_a_claim_without_a_vault_stops_the_indexer() {
    let (mut chain, platform) = Chain::with_platform();
    let before = chain.tip();
    deposit(&mut chain, platform, 1, 1);
    chain.seal();
    stops(&chain, before, "asset 2 has no vault that is stored").await;
}

#[tokio::test]
async fn decisions_about_what_is_not_stored_stop_the_indexer() {
    type Do = fn(&mut Chain, [u8; 32]);
    let cases: [(Do, &str); 9] = [
        (|chain, platform| end_rule(chain, platform, 99, 1, 5), "a rule version that is not stored"),
        (|chain, platform| drop_rule(chain, platform, 99, (0, 0, 0)), "a rule version that is not stored"),
        (
            |chain, platform| drop_rule(chain, platform, GRANTING, (999, 1, 0)),
            "granted 999 in 1 grants, 0 of it reversed",
        ),
        (|chain, platform| drop_rule(chain, platform, GRANTING, (1_000, 2, 0)), "and it is 1000 in 1, 0 reversed"),
        (|chain, platform| drop_rule(chain, platform, GRANTING, (1_000, 1, 1)), "1 of it reversed"),
        (|chain, platform| give(chain, platform, 3, key(1), 0), "role 3 from 0 on is none this software knows"),
        (|chain, platform| set(chain, platform, 3, 1, 0), "setting 3 is none this software knows"),
        (
            |chain, platform| {
                chain.decide(platform, |journal_index, at| {
                    let (key, valid_until) = (key(404), at);
                    Event::OracleKeyRetired(OracleKeyRetired { journal_index, at, platform, key, valid_until })
                });
            },
            "it retires an oracle key that is not stored",
        ),
        (
            |chain, platform| {
                chain.decide(platform, |journal_index, at| {
                    let entry = AssetEntry { kind: 4, ..token(b"odd\0\0\0\0\0\0\0\0\0\0\0\0\0") };
                    Event::AssetAdded(AssetAdded { journal_index, at, platform, asset: 2, entry, active_from: 0 })
                });
            },
            "asset 2 is of kind 4, which is none",
        ),
    ];
    for (wrong, complaint) in cases {
        let (mut chain, platform) = Chain::with_platform();
        chain.pay(platform, 1, 10);
        let before = BlockRef::of(chain.seal());
        wrong(&mut chain, platform);
        chain.seal();
        stops(&chain, before, complaint).await;
    }
}

#[tokio::test]
async fn a_refused_stretch_leaves_everything_as_it_was() {
    let (mut chain, platform) = Chain::with_platform();
    everything_else(&mut chain, platform);
    let database = indexed(&chain).await;
    let content = database.content().await;
    let end = chain.tip();
    // All of it again, and then something that cannot be.
    everything_but_governance(&mut chain, platform);
    let mut wrong = chain.redemption(platform, 2, 1, 10);
    wrong.before += 1;
    chain.emit(&[Event::Redeemed(wrong)]);
    chain.seal();
    let later = chain.blocks.iter().skip_while(|block| BlockRef::of(block) != end).skip(1);
    let stretch = Stretch::of(Some(end), later).unwrap();
    let writer =
        Writer::new(database.pool().clone(), chain.genesis_hash(), rebate_client::chain::Commitment::Finalized);
    let error = writer.write(&stretch).await.unwrap_err();
    assert!(matches!(error, WriteError::Contradiction { .. }), "{error}");
    assert_eq!(database.content().await, content);
}

fn everything_but_governance(chain: &mut Chain, platform: [u8; 32]) {
    let payment = chain.payment(platform, 2, 100);
    chain.emit(&[Event::PaymentRecorded(payment.clone())]);
    let refund = chain.refund(&payment, 50);
    chain.emit(&[Event::RefundRecorded(refund)]);
    deposit(chain, platform, 1, 4_501);
    link(chain, platform, 2, key(50), chain.now());
    chain.seal();
}
