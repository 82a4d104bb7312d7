//! An event's own fields in JSON, named and written as the API does it: what a `u64` can hold is a string, keys and
//! addresses are base58, hashes and user keys hexadecimal, times RFC 3339, and what is open is null.

use rebate_client::{
    account::AssetKind,
    event::{AssetEntry, EffectEntry, Event, LimitsEntry, OffsetEntry, OutcomeEntry, PredicateEntry, RuleDefinition},
};
use rebate_core::{
    outcome::Reason,
    rule::{Field, GroupMode, OnLimit, Operator, TierMode},
    window::{Scope, Window},
};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The fields that only this kind of event has.
pub fn of(event: &Event) -> Value {
    match event {
        Event::PlatformCreated(event) => json!({
            "id": event.id.to_string(),
            "admin": address(&event.admin),
            "pauser": address(&event.pauser),
            "max_lateness": event.max_lateness,
            "timelock": event.timelock,
            "order_shards": event.order_shards,
            "page_slots": event.page_slots,
            "utc_offsets": event.offsets.iter().map(offset).collect::<Vec<_>>(),
            "assets": (1_u8..).zip(&event.assets).map(|(number, entry)| asset(number, entry)).collect::<Vec<_>>(),
        }),
        Event::OracleKeyRegistered(event) => json!({
            "key": address(&event.key),
            "valid_from": unless_open(event.valid_from),
            "valid_until": unless_open(event.valid_until),
        }),
        Event::OracleKeyRetired(event) => json!({
            "key": address(&event.key),
            "valid_until": moment(event.valid_until),
        }),
        Event::RulePublished(event) => rule(&event.rule, event.effective_at),
        Event::RuleEnded(event) => json!({
            "rule": event.rule,
            "version": event.version,
            "ends_at": moment(event.ends_at),
        }),
        Event::RuleDropped(event) => json!({
            "rule": event.rule,
            "version": event.version,
            "granted": event.granted.to_string(),
            "grants": event.grants,
            "reversed": event.reversed.to_string(),
        }),
        Event::PauseChanged(event) => json!({ "paused": event.paused, "by": address(&event.by) }),
        Event::AssetAdded(event) => {
            let mut fields = asset(event.asset, &event.entry);
            if let Value::Object(fields) = &mut fields {
                fields.insert("active_from".to_owned(), unless_open(event.active_from));
            }
            fields
        }
        Event::OffsetAdded(event) => offset(&event.offset),
        Event::RoleChanged(event) => json!({
            "role": named(event.role, match event.role { 1 => Some("admin"), 2 => Some("pauser"), _ => None }),
            "holder": address(&event.holder),
            "effective_at": unless_open(event.effective_at),
        }),
        Event::SettingChanged(event) => json!({
            "setting": named(event.setting, match event.setting {
                1 => Some("max_lateness"),
                2 => Some("timelock"),
                _ => None,
            }),
            "seconds": event.value,
            "effective_at": unless_open(event.effective_at),
        }),
        Event::OrderShardsChanged(event) => json!({
            "from_day": day(event.from_day),
            "shards": event.shards,
            "page_slots": event.page_slots,
        }),
        Event::DayClosed(event) => json!({ "day": day(event.day) }),
        Event::PaymentRecorded(event) => json!({
            "order": hex::encode(event.order),
            "user": hex::encode(event.user),
            "oracle": address(&event.oracle),
            "amount": event.amount.to_string(),
            "paid_at": moment(event.paid_at),
            "product": event.product,
            "streamer": event.streamer.to_string(),
            "session": event.session.to_string(),
            "tier": event.tier,
            "segments": event.segments,
            "payment_number": event.number,
            "outcomes": event.outcomes.iter().map(outcome).collect::<Vec<_>>(),
        }),
        Event::RefundRecorded(event) => json!({
            "order": hex::encode(event.order),
            "of": hex::encode(event.of),
            "user": hex::encode(event.user),
            "oracle": address(&event.oracle),
            "amount": event.amount.to_string(),
            "refunded": event.refunded.to_string(),
            "paid_at": moment(event.paid_at),
            "outcomes": event.outcomes.iter().map(outcome).collect::<Vec<_>>(),
        }),
        Event::Redeemed(event) => json!({
            "order": hex::encode(event.order),
            "user": hex::encode(event.user),
            "oracle": address(&event.oracle),
            "asset": event.asset,
            "amount": event.amount.to_string(),
            "before": event.before.to_string(),
            "after": event.after.to_string(),
            "redeemed_at": moment(event.redeemed_at),
        }),
        Event::BalanceExpired(event) => json!({
            "user": hex::encode(event.user),
            "asset": event.asset,
            "amount": event.amount.to_string(),
            "before": event.before.to_string(),
            "after": event.after.to_string(),
        }),
        Event::WalletLinked(event) => json!({
            "user": hex::encode(event.user),
            "oracle": address(&event.oracle),
            "wallet": address(&event.wallet),
            "linked_at": moment(event.linked_at),
        }),
        Event::Claimed(event) => json!({
            "user": hex::encode(event.user),
            "wallet": address(&event.wallet),
            "asset": event.asset,
            "amount": event.amount.to_string(),
            "before": event.before.to_string(),
            "after": event.after.to_string(),
            "destination": address(&event.destination),
        }),
        Event::VaultOpened(event) => json!({
            "asset": event.asset,
            "mint": address(&event.mint),
            "vault": address(&event.vault),
        }),
        Event::Deposited(event) => json!({
            "asset": event.asset,
            "by": address(&event.by),
            "amount": event.amount.to_string(),
            "funds": event.funds.to_string(),
        }),
        Event::SurplusWithdrawn(event) => json!({
            "asset": event.asset,
            "destination": address(&event.destination),
            "amount": event.amount.to_string(),
            "funds": event.funds.to_string(),
            "liability": event.liability.to_string(),
        }),
    }
}

fn outcome(entry: &OutcomeEntry) -> Value {
    let reason = Reason::from_number(entry.reason);
    json!({
        "rule": entry.rule,
        "version": entry.version,
        // A newer program may have reasons that this code has no name for.
        "reason": reason.map_or_else(|| format!("Reason{}", entry.reason), |reason| reason.name().to_owned()),
        "clause": (reason == Some(Reason::NotMatched)).then_some(entry.clause),
        "asset": entry.asset,
        "amount": entry.amount.to_string(),
        "before": entry.before.to_string(),
        "after": entry.after.to_string(),
    })
}

fn asset(number: u8, entry: &AssetEntry) -> Value {
    json!({
        "asset": number,
        "name": entry.name(),
        "kind": named(entry.kind, AssetKind::from_number(entry.kind).map(AssetKind::name)),
        "expiry_months": entry.expiry_months,
        "mint": (entry.mint != [0; 32]).then(|| address(&entry.mint)),
    })
}

fn offset(entry: &OffsetEntry) -> Value {
    json!({ "from": moment(entry.from), "seconds": entry.seconds })
}

fn rule(rule: &RuleDefinition, effective_at: i64) -> Value {
    json!({
        "rule": rule.id,
        "version": rule.version,
        "name": rule.name,
        "priority": rule.priority,
        "group": rule.group,
        "group_mode": named(rule.group_mode, GroupMode::from_number(rule.group_mode).map(GroupMode::name)),
        "tags": members(rule.tags),
        "excludes": members(rule.excludes),
        "condition": rule.condition.iter().map(predicate).collect::<Vec<_>>(),
        "window": named(rule.window, Window::from_number(rule.window).map(Window::name)),
        "scope": named(rule.scope, Scope::from_number(rule.scope).map(Scope::name)),
        "effect": effect(&rule.effect),
        "limits": limits(&rule.limits),
        "holdout_bps": rule.holdout_bps,
        "starts_at": unless_open(rule.starts_at),
        "ends_at": unless_open(rule.ends_at),
        "effective_at": unless_open(effective_at),
    })
}

fn predicate(entry: &PredicateEntry) -> Value {
    json!({
        "clause": entry.clause,
        "negated": entry.negated,
        "field": named(entry.field, Field::from_number(entry.field).map(Field::name)),
        "operator": named(entry.operator, Operator::from_number(entry.operator).map(Operator::sign)),
        "value": entry.value.to_string(),
    })
}

fn effect(entry: &EffectEntry) -> Value {
    match entry {
        EffectEntry::Fixed { asset, amount } => json!({
            "kind": "fixed", "asset": asset, "amount": amount.to_string(),
        }),
        EffectEntry::Ratio { asset, bps, min, max } => json!({
            "kind": "ratio", "asset": asset, "bps": bps, "min": min.to_string(), "max": max.to_string(),
        }),
        EffectEntry::Tiers { asset, mode, steps } => json!({
            "kind": "tiers",
            "asset": asset,
            "mode": named(*mode, TierMode::from_number(*mode).map(TierMode::name)),
            "steps": steps.iter().map(|step| [step.threshold.to_string(), step.value.to_string()]).collect::<Vec<_>>(),
        }),
        EffectEntry::Streak { asset, days, amount, recurring } => json!({
            "kind": "streak", "asset": asset, "days": days, "amount": amount.to_string(), "recurring": recurring,
        }),
        EffectEntry::Multiplier { asset, bps } => json!({ "kind": "multiplier", "asset": asset, "bps": bps }),
    }
}

fn limits(entry: &LimitsEntry) -> Value {
    json!({
        "user_amount": entry.user_amount.to_string(),
        "user_count": entry.user_count.to_string(),
        "total_amount": entry.total_amount.to_string(),
        "total_count": entry.total_count.to_string(),
        "on_limit": named(entry.on_limit, OnLimit::from_number(entry.on_limit).map(OnLimit::name)),
    })
}

/// A name, or the number of what this code has no name for.
fn named(number: u8, name: Option<&'static str>) -> Value {
    name.map_or_else(|| Value::from(number), Value::from)
}

fn address(bytes: &[u8; 32]) -> String {
    bs58::encode(bytes).into_string()
}

/// The numbers of the bits that are set.
fn members(set: u32) -> Vec<u32> {
    (0..u32::BITS).filter(|bit| set.checked_shr(*bit).is_some_and(|rest| rest & 1 == 1)).collect()
}

/// The moment at Unix time `seconds`; null where the calendar does not reach, which is as good as never.
fn moment(seconds: i64) -> Value {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .map_or(Value::Null, Value::from)
}

/// The same, of a time for which 0 stands for open.
fn unless_open(seconds: i64) -> Value {
    if seconds == 0 { Value::Null } else { moment(seconds) }
}

/// The day this many after 1970-01-01, UTC.
fn day(days: u32) -> Value {
    OffsetDateTime::from_unix_timestamp(i64::from(days).saturating_mul(86_400))
        .map_or(Value::Null, |moment| Value::from(moment.date().to_string()))
}
