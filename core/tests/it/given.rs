//! What the tests start from, and what proptest makes them from.

use proptest::{option, prelude::*, sample::select};
use rebate_core::{
    payment::Payment,
    rule::{
        Definition, Effect, Field, GroupMode, Limits, MAX_STEPS, OnLimit, Operator, Predicate, Rule, Step, TierMode,
    },
    time::{DAY, UtcOffset},
    units::{Amount, AssetId, BasisPoints, GroupId, OrderHash, RuleId, RuleVersion, Tags, Timestamp, UserKey},
    window::{Scope, Window},
};

/// Saturday, 2026-10-03, 04:00 in London, noon in Shanghai.
pub const NOON: Timestamp = Timestamp(1_791_000_000);

/// No limit at all.
pub const UNLIMITED: Limits = Limits { user_amount: Amount(0), user_count: 0, total_amount: Amount(0), total_count: 0 };

/// A definition that grants `effect` always.
pub const fn always(id: u16, effect: Effect<'_>) -> Definition<'_> {
    Definition {
        id: RuleId(id),
        version: RuleVersion(1),
        name: "a rule",
        priority: 10,
        starts_at: Timestamp(0),
        ends_at: Timestamp(0),
        group: GroupId(0),
        group_mode: GroupMode::Stackable,
        tags: Tags(0),
        excludes: Tags(0),
        condition: &[],
        window: Window::Lifetime,
        scope: Scope::User,
        effect,
        limits: UNLIMITED,
        on_limit: OnLimit::Clip,
        holdout: BasisPoints(0),
    }
}

/// `amount` of `asset`, each time.
pub const fn fixed(asset: u8, amount: u64) -> Effect<'static> {
    Effect::Fixed { asset: AssetId(asset), amount: Amount(amount) }
}

/// A share of the payment in `asset`.
pub const fn ratio(asset: u8, bps: u32, min: u64, max: u64) -> Effect<'static> {
    Effect::Ratio { asset: AssetId(asset), bps: BasisPoints(bps), min: Amount(min), max: Amount(max) }
}

/// More the more is spent, in asset 1.
pub const fn tiers(mode: TierMode, steps: &[Step]) -> Effect<'_> {
    Effect::Tiers { asset: AssetId(1), mode, steps }
}

/// From `threshold` on, `value`.
pub const fn step(threshold: u64, value: u64) -> Step {
    Step { threshold: Amount(threshold), value }
}

/// `amount` of asset 1 for `days` days in a row, each time or once.
pub const fn streak(days: u32, amount: u64, recurring: bool) -> Effect<'static> {
    Effect::Streak { asset: AssetId(1), days, amount: Amount(amount), recurring }
}

/// On top of what the group granted in asset `asset`.
pub const fn multiplier(asset: u8, bps: u32) -> Effect<'static> {
    Effect::Multiplier { asset: AssetId(asset), bps: BasisPoints(bps) }
}

/// A comparison of clause `clause`.
pub fn when(clause: u8, field: Field, operator: Operator, value: u64) -> Predicate {
    Predicate::new(clause, false, field, operator, value)
}

/// The same, with `not` before it.
pub fn unless(clause: u8, field: Field, operator: Operator, value: u64) -> Predicate {
    Predicate::new(clause, true, field, operator, value)
}

/// At most so much and so often for a user.
pub const fn per_user(amount: u64, count: u64) -> Limits {
    Limits { user_amount: Amount(amount), user_count: count, ..UNLIMITED }
}

/// At most so much and so often in all.
pub const fn in_all(amount: u64, count: u64) -> Limits {
    Limits { total_amount: Amount(amount), total_count: count, ..UNLIMITED }
}

/// The rule as the rule book keeps it, in effect since ever.
pub fn published(definition: &Definition<'_>) -> Rule {
    Rule::new(definition, Timestamp(0)).unwrap()
}

/// The key of user `user`.
pub const fn key(user: u8) -> UserKey {
    UserKey([user; 32])
}

/// A payment of `amount` by user `user` at [`NOON`].
pub fn payment(order: &str, user: u8, amount: u64) -> Payment {
    Payment {
        order: OrderHash::of(order),
        user: key(user),
        amount: Amount(amount),
        paid_at: NOON,
        ..Payment::default()
    }
}

/// The table of a platform that keeps one offset for ever.
pub fn utc_plus(hours: i32, minutes: i32) -> Vec<UtcOffset> {
    vec![UtcOffset::new(Timestamp(i64::MIN), hours * 3_600 + minutes * 60)]
}

/// The first second of a date in UTC, by counting days from 1970 on.
pub fn midnight(year: i64, month: i64, day: i64) -> i64 {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let years: i64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let lengths = [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: i64 = lengths.iter().take(usize::try_from(month - 1).unwrap()).sum();
    (years + months + day - 1) * DAY
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

/// An effect that owns its steps.
#[derive(Clone, Debug)]
pub enum Reward {
    /// One without steps.
    Plain(Effect<'static>),
    /// Tiers.
    Tiers(AssetId, TierMode, Vec<Step>),
}

impl Reward {
    /// As a definition has it.
    pub fn effect(&self) -> Effect<'_> {
        match self {
            Self::Plain(effect) => *effect,
            Self::Tiers(asset, mode, steps) => Effect::Tiers { asset: *asset, mode: *mode, steps },
        }
    }
}

/// Steps that ascend, of which one at least has a value; thresholds below `top`, values up to `most`.
pub fn steps(top: u64, most: u64) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::btree_map(0..top, 0..=most, 1..=MAX_STEPS).prop_map(|steps| {
        let mut steps: Vec<_> = steps.into_iter().map(|(threshold, value)| step(threshold, value)).collect();
        if steps.iter().all(|step| step.value == 0) {
            steps[0].value = 1;
        }
        steps
    })
}

/// Any sound effect in an asset up to `assets`.
pub fn rewards(assets: u8) -> impl Strategy<Value = Reward> {
    let bounds = (amounts(), amounts()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let tiered = |(asset, mode, steps)| Reward::Tiers(AssetId(asset), mode, steps);
    prop_oneof![
        (1..=assets, 1..=100_000u64).prop_map(|(asset, amount)| Reward::Plain(fixed(asset, amount))),
        (1..=assets, 1..=30_000u32).prop_map(|(asset, bps)| Reward::Plain(ratio(asset, bps, 0, 0))),
        (1..=assets, 1..=u32::MAX, bounds)
            .prop_map(|(asset, bps, (min, max))| Reward::Plain(ratio(asset, bps, min, max))),
        (1..=assets, select(&TierMode::ALL[..]), steps(20_000, 20_000)).prop_map(tiered),
        (1..=assets, select(&TierMode::ALL[..]), steps(u64::MAX, u64::from(u32::MAX))).prop_map(tiered),
        (1..4u32, 1..1_000u64, any::<bool>())
            .prop_map(|(days, amount, recurring)| Reward::Plain(streak(days, amount, recurring))),
        (1..=assets, 10_001..40_000u32).prop_map(|(asset, bps)| Reward::Plain(multiplier(asset, bps))),
    ]
}

/// Any sound predicate of clause 0, its value near what a payment around [`NOON`] has.
pub fn predicates() -> impl Strategy<Value = Predicate> {
    let comparing = select(&Operator::ALL[..6]);
    let compared = prop_oneof![
        amounts().prop_map(|value| (Field::Amount, value)),
        (0..4u64).prop_map(|value| (Field::Product, value)),
        (1..=7u64).prop_map(|value| (Field::Weekday, value)),
        (0..4u64).prop_map(|value| (Field::PaymentNumber, value)),
        (0..24u64).prop_map(|value| (Field::Hour, value)),
        (0..112u64).prop_map(|days| (Field::Date, 20_260_900 + days / 28 * 100 + days % 28 + 1)),
        prop_oneof![0..2_000u64, amounts()].prop_map(|value| (Field::Spend, value)),
        (0..6u64).prop_map(|value| (Field::Payments, value)),
        (0..5u64).prop_map(|value| (Field::StreakDays, value)),
        (0..4u64).prop_map(|value| (Field::Tier, value)),
        (0..8u64).prop_map(|value| (Field::Segments, value)),
        (0..3u64).prop_map(|value| (Field::Streamer, value)),
        (0..3u64).prop_map(|value| (Field::Session, value)),
    ];
    let meeting = prop_oneof![
        (1..=127u64).prop_map(|days| (Field::Weekday, days << 1)),
        (1..1u64 << 24).prop_map(|hours| (Field::Hour, hours)),
        (1..8u64).prop_map(|segments| (Field::Segments, segments)),
    ];
    prop_oneof![
        4 => (any::<bool>(), compared, comparing)
            .prop_map(|(not, (field, value), operator)| Predicate::new(0, not, field, operator, value)),
        1 => (any::<bool>(), meeting).prop_map(|(not, (field, value))| Predicate::new(0, not, field, Operator::Any, value)),
    ]
}

/// Any sound condition of at most `most` predicates, in clauses.
pub fn conditions(most: usize) -> impl Strategy<Value = Vec<Predicate>> {
    prop::collection::vec((predicates(), any::<bool>()), 0..=most).prop_map(|predicates| {
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
