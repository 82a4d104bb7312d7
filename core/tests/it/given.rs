//! What the tests start from, and what proptest makes them from.

use proptest::{option, prelude::*};
use rebate_core::{
    payment::Payment,
    rule::{Definition, Effect, Field, Operator, Predicate, Rule},
    units::{Amount, AssetId, BasisPoints, OrderHash, RuleId, RuleVersion, Timestamp, UserKey},
};

/// Saturday, 2026-10-03, 04:00 in London, noon in Shanghai.
pub const NOON: Timestamp = Timestamp(1_791_000_000);

/// A definition that grants `effect` always.
pub const fn always(id: u16, effect: Effect) -> Definition<'static> {
    Definition {
        id: RuleId(id),
        version: RuleVersion(1),
        name: "a rule",
        priority: 10,
        starts_at: Timestamp(0),
        ends_at: Timestamp(0),
        condition: &[],
        effect,
    }
}

/// `amount` of `asset`, each time.
pub const fn fixed(asset: u8, amount: u64) -> Effect {
    Effect::Fixed { asset: AssetId(asset), amount: Amount(amount) }
}

/// A share of the payment in `asset`.
pub const fn ratio(asset: u8, bps: u32, min: u64, max: u64) -> Effect {
    Effect::Ratio { asset: AssetId(asset), bps: BasisPoints(bps), min: Amount(min), max: Amount(max) }
}

/// The rule as the rule book keeps it, in effect since ever.
pub fn published(definition: &Definition<'_>) -> Rule {
    Rule::new(definition, Timestamp(0)).unwrap()
}

/// A payment of `amount` by user `user` at [`NOON`].
pub fn payment(order: &str, user: u8, amount: u64) -> Payment {
    Payment {
        order: OrderHash::of(order),
        user: UserKey([user; 32]),
        amount: Amount(amount),
        paid_at: NOON,
        ..Payment::default()
    }
}

/// Numbers as they occur, and those at which something could go wrong.
pub fn amounts() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..20_000u64,
        any::<u64>(),
        (0..64u32, 0..3u64).prop_map(|(bit, around)| (1u64 << bit).wrapping_add(around).wrapping_sub(1)),
        Just(u64::MAX),
    ]
}

/// Any payment, with its optional fields now there and now not.
pub fn payments() -> impl Strategy<Value = Payment> {
    let sparse = || option::of(any::<u64>()).prop_map(Option::unwrap_or_default);
    (
        (any::<[u8; 32]>(), any::<[u8; 32]>(), amounts(), any::<i64>(), any::<u16>()),
        (sparse(), sparse(), option::of(any::<u8>()), option::of(any::<u32>())),
    )
        .prop_map(|((order, user, amount, paid_at, product), (streamer, session, tier, segments))| Payment {
            order: OrderHash(order),
            user: UserKey(user),
            amount: Amount(amount),
            paid_at: Timestamp(paid_at),
            product,
            streamer,
            session,
            tier: tier.unwrap_or_default(),
            segments: segments.unwrap_or_default(),
        })
}

/// Any sound effect in an asset up to `assets`.
pub fn effects(assets: u8) -> impl Strategy<Value = Effect> {
    let bounds = (amounts(), amounts()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        (1..=assets, 1..=100_000u64).prop_map(|(asset, amount)| fixed(asset, amount)),
        (1..=assets, 1..=30_000u32).prop_map(|(asset, bps)| ratio(asset, bps, 0, 0)),
        (1..=assets, 1..=u32::MAX, bounds).prop_map(|(asset, bps, (min, max))| ratio(asset, bps, min, max)),
    ]
}

/// Any sound predicate of clause 0.
pub fn predicates() -> impl Strategy<Value = Predicate> {
    let comparing = prop::sample::select(&Operator::ALL[..6]);
    let compared = prop_oneof![
        amounts().prop_map(|value| (Field::Amount, value)),
        (0..4u64).prop_map(|value| (Field::Product, value)),
        (1..=7u64).prop_map(|value| (Field::Weekday, value)),
        (0..4u64).prop_map(|value| (Field::PaymentNumber, value)),
    ];
    prop_oneof![
        4 => (any::<bool>(), compared, comparing)
            .prop_map(|(not, (field, value), operator)| Predicate::new(0, not, field, operator, value)),
        1 => (any::<bool>(), 1..=127u64)
            .prop_map(|(not, days)| Predicate::new(0, not, Field::Weekday, Operator::Any, days << 1)),
    ]
}

/// Any sound condition: clauses of predicates, at most 12 in all.
pub fn conditions() -> impl Strategy<Value = Vec<Predicate>> {
    prop::collection::vec((predicates(), any::<bool>()), 0..=12).prop_map(|predicates| {
        let mut clause = 0;
        predicates
            .into_iter()
            .enumerate()
            .map(|(at, (mut predicate, next))| {
                clause += u8::from(next && at > 0);
                predicate.clause = clause;
                predicate
            })
            .collect()
    })
}
