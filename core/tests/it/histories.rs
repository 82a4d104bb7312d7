//! Random platforms and what happens on them, so that limits, tiers, groups, exclusions, debts and expiry really meet.

use crate::given::{
    NOON, Reward, UNLIMITED, amounts, fixed, key, multiplier, predicates, ratio, steps, streak, unless, when,
};
use proptest::{option, prelude::*, sample::Index, sample::select};
use rebate_core::{
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    rule::{Definition, Effect, Field, GroupMode, Limits, OnLimit, Operator, Predicate, TierMode},
    time::{DAY, UtcOffset},
    units::{Amount, AssetId, BasisPoints, GroupId, OrderHash, RuleId, RuleVersion, Tags, Timestamp},
    window::{Scope, Window},
};

/// A definition that owns what it is made of.
#[derive(Clone, Debug)]
pub struct Draft {
    pub id: u16,
    pub version: u16,
    pub priority: u16,
    pub starts_at: i64,
    pub ends_at: i64,
    pub group: u8,
    pub group_mode: GroupMode,
    pub tags: u32,
    pub excludes: u32,
    pub condition: Vec<Predicate>,
    pub window: Window,
    pub scope: Scope,
    pub reward: Reward,
    pub limits: Limits,
    pub on_limit: OnLimit,
    pub holdout: u32,
}

impl Draft {
    /// As it is published.
    pub fn definition(&self) -> Definition<'_> {
        Definition {
            id: RuleId(self.id),
            version: RuleVersion(self.version),
            name: "a rule",
            priority: self.priority,
            starts_at: Timestamp(self.starts_at),
            ends_at: Timestamp(self.ends_at),
            group: GroupId(self.group),
            group_mode: self.group_mode,
            tags: Tags(self.tags),
            excludes: Tags(self.excludes),
            condition: &self.condition,
            window: self.window,
            scope: self.scope,
            effect: self.reward.effect(),
            limits: self.limits,
            on_limit: self.on_limit,
            holdout: BasisPoints(self.holdout),
        }
    }
}

/// What a platform is, besides its rules.
#[derive(Clone, Debug)]
pub struct World {
    /// Its time zone.
    pub offsets: Vec<UtcOffset>,
    /// How late a payment may come.
    pub max_lateness: u32,
    /// What the vault of asset 2 holds; asset 1 and 3 have none.
    pub vault: Option<u64>,
    /// After how many months asset 3 expires, and asset 2.
    pub months: (u8, u8),
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time goes by.
    Wait(i64),
    /// Somebody pays. Its order is a new one unless `again` names one.
    Pay { payment: Payment, late: i64, again: Option<Index> },
    /// Somebody gets something back of an order already taken, or of one that was not.
    Refund { of: Option<Index>, part: Part },
    /// Somebody spends; without an amount, all there is.
    Redeem { user: u8, asset: u8, amount: Option<u64> },
    /// A rule's next version, some seconds from now, and whether its counters go on.
    Publish { rule: Index, draft: Draft, wait: i64, goes_on: bool },
}

/// How much of an order is refunded.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// What is left of it.
    Rest,
    /// So many ten thousandths of what is left.
    Some(u64),
    /// All that was paid, whatever was refunded before.
    All,
}

/// A platform and what happens on it.
#[derive(Clone, Debug)]
pub struct History {
    pub world: World,
    pub book: Vec<Draft>,
    pub events: Vec<Event>,
}

/// The number of an order: `number` counts the events.
pub fn order(number: usize) -> OrderHash {
    OrderHash::of(&number.to_string())
}

impl Part {
    /// In money, of an order of `paid` of which `refunded` was refunded.
    pub fn of(self, paid: u64, refunded: u64) -> Amount {
        let left = paid - refunded;
        Amount(match self {
            Self::Rest => left,
            Self::Some(part) => u64::try_from(u128::from(left) * u128::from(part) / 10_000).unwrap(),
            Self::All => paid,
        })
    }
}

/// The refund that an event asks for.
pub fn refund(number: usize, of: OrderHash, amount: Amount, now: Timestamp) -> Refund {
    Refund { order: order(number), of, amount, paid_at: now }
}

/// The redemption that an event asks for.
pub fn redemption(number: usize, user: u8, asset: u8, amount: u64, now: Timestamp) -> Redemption {
    Redemption {
        order: order(number),
        user: key(user),
        asset: AssetId(asset),
        amount: Amount(amount),
        redeemed_at: now,
    }
}

fn reward() -> impl Strategy<Value = Reward> {
    let asset = || prop_oneof![3 => Just(1u8), 2 => Just(2u8), 2 => Just(3u8)];
    let tiered = |(asset, mode, steps)| Reward::Tiers(AssetId(asset), mode, steps);
    prop_oneof![
        3 => (asset(), 1..300u64).prop_map(|(asset, amount)| Reward::Plain(fixed(asset, amount))),
        3 => (asset(), 1..5_000u32, 0..100u64, option::weighted(0.5, 0..300u64)).prop_map(
            |(asset, bps, min, more)| Reward::Plain(ratio(asset, bps, min, more.map_or(0, |more| min + more)))
        ),
        1 => (asset(), Just(TierMode::Fixed), steps(5_000, 200)).prop_map(tiered),
        2 => (asset(), select(&[TierMode::Slab, TierMode::Marginal][..]), steps(5_000, 3_000)).prop_map(tiered),
        2 => (1..5u32, 1..100u64, any::<bool>(), asset()).prop_map(|(days, amount, recurring, asset)| {
            let Effect::Streak { days, amount, recurring, .. } = streak(days, amount, recurring) else { panic!() };
            Reward::Plain(Effect::Streak { asset: AssetId(asset), days, amount, recurring })
        }),
        2 => (asset(), 10_001..40_000u32).prop_map(|(asset, bps)| Reward::Plain(multiplier(asset, bps))),
    ]
}

/// Predicates that a payment often meets, and often just so.
fn likely() -> impl Strategy<Value = Predicate> {
    prop_oneof![
        (0..1_000u64).prop_map(|value| when(0, Field::Amount, Operator::Ge, value)),
        (0..3_000u64, any::<bool>())
            .prop_map(|(value, over)| { when(0, Field::Spend, if over { Operator::Ge } else { Operator::Le }, value) }),
        (1..5u64, any::<bool>()).prop_map(|(value, not)| {
            if not {
                unless(0, Field::Payments, Operator::Gt, value)
            } else {
                when(0, Field::Payments, Operator::Ge, value)
            }
        }),
        (1..4u64).prop_map(|value| when(0, Field::StreakDays, Operator::Ge, value)),
        (0..2u64).prop_map(|value| when(0, Field::Product, Operator::Ne, value)),
        (1..4u64).prop_map(|value| when(0, Field::PaymentNumber, Operator::Le, value)),
        (1..8u64).prop_map(|value| when(0, Field::Segments, Operator::Any, value)),
        predicates(),
    ]
}

fn condition() -> impl Strategy<Value = Vec<Predicate>> {
    let size = prop_oneof![4 => Just(0usize), 3 => Just(1), 2 => 2..4usize, 1 => 4..9usize];
    size.prop_flat_map(|size| prop::collection::vec((likely(), any::<bool>()), size)).prop_map(|predicates| {
        let mut clause = 0;
        let mut condition = Vec::new();
        for (mut predicate, next) in predicates {
            clause += u8::from(next && !condition.is_empty());
            predicate.clause = clause;
            condition.push(predicate);
        }
        condition
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let some = || {
        let limit = |often: f64, most: u64| option::weighted(often, 1..=most).prop_map(Option::unwrap_or_default);
        (limit(0.4, 600), limit(0.2, 4), limit(0.3, 2_000), limit(0.1, 10))
    };
    prop_oneof![
        Just(UNLIMITED),
        some().prop_map(|(user_amount, user_count, total_amount, total_count)| Limits {
            user_amount: Amount(user_amount),
            user_count,
            total_amount: Amount(total_amount),
            total_count,
        }),
    ]
}

fn sparse_bits() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(0u32), 2 => (0..4u32).prop_map(|bit| 1 << bit), 1 => 0..16u32, 1 => Just(1 << 31)]
}

/// Group 0 is stackable, 1 is `first`, 2 is `best`.
fn draft() -> impl Strategy<Value = Draft> {
    let schedule = option::weighted(0.15, (-3 * DAY..3 * DAY, option::of(1..30 * DAY)));
    (
        (0..4u16, schedule, 0..3u8, sparse_bits(), sparse_bits()),
        (condition(), reward(), limits(), any::<bool>()),
        (select(&Window::ALL[..]), prop_oneof![2 => Just(Scope::User), 1 => select(&Scope::ALL[..])]),
        prop_oneof![6 => Just(0u32), 1 => 0..=10_000u32],
    )
        .prop_map(|(place, (condition, reward, limits, clip), (window, scope), holdout)| {
            let (priority, schedule, group, tags, excludes) = place;
            let starts_at = schedule.map_or(0, |(start, _)| NOON.0 + start);
            let ends_at = schedule.and_then(|(_, length)| length).map_or(0, |length| starts_at + length);
            Draft {
                id: 1,
                version: 1,
                priority,
                starts_at,
                ends_at,
                group,
                group_mode: GroupMode::ALL[usize::from(group)],
                tags,
                excludes,
                condition,
                window,
                scope,
                reward,
                limits,
                on_limit: if clip { OnLimit::Clip } else { OnLimit::Reject },
                holdout,
            }
        })
}

/// Up to `most` rules with everything that rules can have.
pub fn books(most: usize) -> impl Strategy<Value = Vec<Draft>> {
    prop::collection::vec(draft(), 1..=most).prop_map(|mut drafts| {
        for (draft, id) in drafts.iter_mut().zip(1..) {
            draft.id = id;
        }
        drafts
    })
}

fn wait() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0..600i64,
        4 => 0..DAY,
        4 => DAY - 3_600..DAY + 3_600,
        1 => 0..10 * DAY,
        2 => 20 * DAY..70 * DAY,
    ]
}

/// A payment whose order and time are still to come.
pub fn paid() -> impl Strategy<Value = Payment> {
    let amount = prop_oneof![
        60 => 1..2_000u64,
        40 => select(&[1u64, 100, 499, 500, 1_000, 9_999, 10_000][..]),
        2 => amounts(),
    ];
    (0..3u8, amount, 0..3u16, select(&[0u64, 1, 2][..]), 0..2u64, 0..4u8, 0..8u32).prop_map(
        |(user, amount, product, streamer, session, tier, segments)| Payment {
            order: OrderHash::default(),
            user: key(user),
            amount: Amount(amount),
            paid_at: NOON,
            product,
            streamer,
            session,
            tier,
            segments,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let late = prop_oneof![12 => Just(0i64), 3 => 0..2 * DAY, 2 => 0..40 * DAY, 1 => -70..0i64];
    let again = option::weighted(0.02, any::<Index>());
    let part = prop_oneof![2 => Just(Part::Rest), 3 => (0..=10_000u64).prop_map(Part::Some), 1 => Just(Part::All)];
    prop_oneof![
        8 => wait().prop_map(Event::Wait),
        20 => (paid(), late, again).prop_map(|(payment, late, again)| Event::Pay { payment, late, again }),
        5 => (option::weighted(0.97, any::<Index>()), part).prop_map(|(of, part)| Event::Refund { of, part }),
        4 => (0..3u8, 1..=3u8, prop_oneof![Just(None), (0..300u64).prop_map(Some), (300..3_000u64).prop_map(Some)])
            .prop_map(|(user, asset, amount)| Event::Redeem { user, asset, amount }),
        1 => (any::<Index>(), draft(), 0..3 * DAY, any::<bool>())
            .prop_map(|(rule, draft, wait, goes_on)| Event::Publish { rule, draft, wait, goes_on }),
    ]
}

/// Time zones on whole and other hours, with and without a change on the way, and one that goes back over midnight.
pub fn time_zones() -> impl Strategy<Value = Vec<UtcOffset>> {
    let row = |from: i64, hours: i32, minutes: i32| UtcOffset::new(Timestamp(from), hours * 3_600 + minutes * 60);
    let zones = vec![
        vec![],
        vec![row(0, 8, 0)],
        vec![row(0, 5, 30)],
        vec![row(0, -3, -30)],
        vec![row(0, 12, 45)],
        vec![row(0, 2, 0), row(NOON.0 + 22 * DAY, 1, 0), row(NOON.0 + 40 * DAY, 2, 0)],
        vec![row(0, 14, 0), row(NOON.0 + 2 * DAY, -14, 0)],
    ];
    select(zones)
}

fn worlds() -> impl Strategy<Value = World> {
    let lateness = select(&[7u32, 30, 60][..]).prop_map(|days| days * 86_400);
    let vault = option::weighted(0.7, 0..2_000u64);
    (
        time_zones(),
        lateness,
        vault,
        (prop_oneof![1 => Just(0u8), 4 => 1..4u8], prop_oneof![2 => Just(0u8), 1 => 1..3u8]),
    )
        .prop_map(|(offsets, max_lateness, vault, months)| World { offsets, max_lateness, vault, months })
}

/// Up to ten rules and `events` things that happen.
pub fn histories(events: usize) -> impl Strategy<Value = History> {
    (worlds(), books(10), prop::collection::vec(event(), 1..=events)).prop_map(|(world, book, events)| History {
        world,
        book,
        events,
    })
}
