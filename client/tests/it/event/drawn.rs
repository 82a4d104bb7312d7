//! Any event of any kind, with anything in its fields.

use proptest::{collection::vec, prelude::*};
use rebate_client::event::{
    AssetAdded, AssetEntry, BalanceExpired, Claimed, DayClosed, Deposited, EffectEntry, Event, LimitsEntry,
    OffsetAdded, OffsetEntry, OracleKeyRegistered, OracleKeyRetired, OrderShardsChanged, OutcomeEntry, PauseChanged,
    PaymentRecorded, PlatformCreated, PredicateEntry, Redeemed, RefundRecorded, RoleChanged, RuleDefinition,
    RuleDropped, RuleEnded, RulePublished, SettingChanged, StepEntry, SurplusWithdrawn, VaultOpened, WalletLinked,
};

/// What can stand in an event.
pub trait Drawn: Sized + std::fmt::Debug {
    fn drawn() -> BoxedStrategy<Self>;
}

macro_rules! any_value {
    ($($type:ty),*) => {
        $(impl Drawn for $type {
            fn drawn() -> BoxedStrategy<Self> {
                any::<Self>().boxed()
            }
        })*
    };
}

any_value!(u8, u16, u32, u64, i32, i64, bool, [u8; 16], [u8; 32]);

impl Drawn for String {
    fn drawn() -> BoxedStrategy<Self> {
        ".{0,12}".boxed()
    }
}

impl<T: Drawn + 'static> Drawn for Vec<T> {
    fn drawn() -> BoxedStrategy<Self> {
        vec(T::drawn(), 0..4).boxed()
    }
}

/// Pairs within pairs: a tuple of as many as there are.
macro_rules! nested {
    () => { () };
    ($field:ident $(, $rest:ident)*) => { ($field, nested!($($rest),*)) };
}

macro_rules! strategies {
    () => { Just(()) };
    ($field:ident $(, $rest:ident)*) => { (Drawn::drawn(), strategies!($($rest),*)) };
}

macro_rules! structs {
    ($($type:ident { $($field:ident),* $(,)? })*) => {
        $(impl Drawn for $type {
            fn drawn() -> BoxedStrategy<Self> {
                strategies!($($field),*).prop_map(|nested!($($field),*)| Self { $($field),* }).boxed()
            }
        })*
    };
}

structs! {
    OffsetEntry { from, seconds }
    AssetEntry { name, kind, expiry_months, mint }
    PredicateEntry { clause, negated, field, operator, value }
    StepEntry { threshold, value }
    LimitsEntry { user_amount, user_count, total_amount, total_count, on_limit }
    OutcomeEntry { rule, version, reason, clause, asset, amount, before, after }
    RuleDefinition {
        id, version, name, priority, starts_at, ends_at, group, group_mode, tags, excludes, condition, window, scope,
        effect, limits, holdout_bps,
    }
}

macro_rules! effects {
    ($($kind:ident { $($field:ident),* })*) => {
        impl Drawn for EffectEntry {
            fn drawn() -> BoxedStrategy<Self> {
                // Does not compile when a kind is missing here.
                let _ = |whole: Self| match whole { $(Self::$kind { .. } => ()),* };
                prop_oneof![
                    $(strategies!($($field),*).prop_map(|nested!($($field),*)| Self::$kind { $($field),* })),*
                ]
                .boxed()
            }
        }
    };
}

effects! {
    Fixed { asset, amount }
    Ratio { asset, bps, min, max }
    Tiers { asset, mode, steps }
    Streak { asset, days, amount, recurring }
    Multiplier { asset, bps }
}

macro_rules! events {
    ($($kind:ident { $($field:ident),* $(,)? })*) => {
        structs! { $($kind { journal_index, at, platform, $($field),* })* }

        /// How many kinds of events there are.
        pub const KINDS: usize = [$(stringify!($kind)),*].len();

        /// One event of each kind.
        pub fn one_of_each() -> impl Strategy<Value = Vec<Event>> {
            // Does not compile when a kind is missing here.
            let _ = |whole: Event| match whole { $(Event::$kind(_) => ()),* };
            vec![$($kind::drawn().prop_map(Event::$kind).boxed()),*]
        }
    };
}

events! {
    PlatformCreated { id, admin, pauser, max_lateness, timelock, order_shards, page_slots, offsets, assets }
    OracleKeyRegistered { key, valid_from, valid_until }
    RulePublished { effective_at, rule }
    PauseChanged { paused, by }
    PaymentRecorded {
        oracle, order, user, amount, paid_at, product, streamer, session, tier, segments, number, outcomes,
    }
    OracleKeyRetired { key, valid_until }
    RuleEnded { rule, version, ends_at }
    RuleDropped { rule, version, granted, grants, reversed }
    AssetAdded { asset, entry, active_from }
    OffsetAdded { offset }
    RoleChanged { role, holder, effective_at }
    SettingChanged { setting, value, effective_at }
    OrderShardsChanged { from_day, shards, page_slots }
    DayClosed { day }
    RefundRecorded { oracle, order, of, user, amount, paid_at, refunded, outcomes }
    Redeemed { oracle, order, user, asset, amount, redeemed_at, before, after }
    BalanceExpired { user, asset, amount, before, after }
    WalletLinked { oracle, user, wallet, linked_at }
    Claimed { user, wallet, asset, amount, before, after, destination }
    VaultOpened { asset, mint, vault }
    Deposited { asset, by, amount, funds }
    SurplusWithdrawn { asset, destination, amount, funds, liability }
}

/// An event of any kind.
pub fn events() -> impl Strategy<Value = Event> {
    (one_of_each(), any::<prop::sample::Index>()).prop_map(|(mut all, at)| all.swap_remove(at.index(KINDS)))
}
