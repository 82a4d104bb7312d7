//! Drawing lots from one number, and rules by lot.

#![expect(clippy::expect_used, reason = "this is how a test fails")]

use crate::platform::{NOON, always};
use proptest::{
    prelude::RngExt,
    test_runner::{RngAlgorithm, TestRng},
};
use rebate_client::event::{EffectEntry, LimitsEntry, PredicateEntry, RuleDefinition, StepEntry};
use rebate_core::{
    rule::{Field, GroupMode, OnLimit, Operator, Predicate, TierMode},
    window::{Scope, Window},
};

/// Draws the same lots for the same number, on every machine.
pub struct Draw(TestRng);

impl Draw {
    /// The lots of a number.
    pub fn of(number: u64) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.random()
    }

    /// `0..end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.any() % end
    }

    /// `from..=to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of them.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let at = self.below(of.len() as u64);
        of[usize::try_from(at).expect("a place in a slice")]
    }
}

/// A rule of assets 1 to 3 that can be published; `modes` says how the four groups compete.
pub fn rule(draw: &mut Draw, id: u16, modes: [GroupMode; 4]) -> RuleDefinition {
    // Mostly points, sometimes what can run out.
    let asset = u8::try_from(draw.one(&[1, 1, 1, 1, 2, 2, 3])).expect("small");
    let effect = effect(draw, asset);
    let group = usize::try_from(draw.below(4)).expect("small");
    let schedule = draw.once_in(4).then(|| (NOON - 50_000, NOON + draw.one(&[400_000, 3_000_000])));
    let (starts_at, ends_at) = schedule.unwrap_or_default();
    let limits = LimitsEntry {
        user_amount: draw.one(&[0, 0, 150, 1_000]),
        user_count: draw.one(&[0, 0, 0, 1, 2]),
        total_amount: draw.one(&[0, 0, 0, 700, 3_000]),
        total_count: draw.one(&[0, 0, 0, 3]),
        on_limit: draw.one(&OnLimit::ALL) as u8,
    };
    RuleDefinition {
        priority: u16::try_from(draw.below(4)).expect("small"),
        starts_at,
        ends_at,
        group: u8::try_from(group).expect("small"),
        group_mode: modes[group] as u8,
        tags: draw.one(&[0, 0, 1, 2, 3]),
        excludes: draw.one(&[0, 0, 0, 1, 2]),
        condition: condition(draw),
        window: draw.one(&Window::ALL) as u8,
        scope: draw.one(&[Scope::User, Scope::User, Scope::User, Scope::UserStreamer, Scope::UserSession]) as u8,
        limits,
        holdout_bps: draw.one(&[0, 0, 0, 0, 3_000, 10_000]),
        ..always(id, effect)
    }
}

fn effect(draw: &mut Draw, asset: u8) -> EffectEntry {
    match draw.below(7) {
        0 => EffectEntry::Fixed { asset, amount: draw.one(&[1, 50, 100, 1_000]) },
        1 | 2 => {
            let (min, max) = draw.one(&[(0, 0), (0, 200), (10, 0), (5, 50), (0, u64::MAX)]);
            EffectEntry::Ratio { asset, bps: draw.one(&[1, 333, 1_000, 2_500, 10_000, u32::MAX]), min, max }
        }
        3 | 4 => {
            let mode = draw.one(&TierMode::ALL);
            let mut threshold = draw.one(&[0, 1, 500]);
            let steps = (0..draw.between(1, 8))
                .map(|_| {
                    let value = draw.one(&[10, 100, 500, 1_234]);
                    let step = StepEntry { threshold, value };
                    threshold += draw.one(&[1, 400, 1_000, 5_000]);
                    step
                })
                .collect();
            EffectEntry::Tiers { asset, mode: mode as u8, steps }
        }
        5 => EffectEntry::Streak {
            asset,
            days: draw.one(&[1, 1, 2, 3]),
            amount: draw.one(&[7, 70]),
            recurring: draw.once_in(2),
        },
        _ => EffectEntry::Multiplier { asset, bps: draw.one(&[10_001, 15_000, 20_000, u32::MAX]) },
    }
}

fn condition(draw: &mut Draw) -> Vec<PredicateEntry> {
    let clauses = draw.one(&[0, 0, 1, 1, 2, 3]);
    (0..clauses)
        .flat_map(|clause| {
            (0..draw.one(&[1, 1, 2])).map(|_| predicate(draw, u8::try_from(clause).expect("few"))).collect::<Vec<_>>()
        })
        .collect()
}

fn predicate(draw: &mut Draw, clause: u8) -> PredicateEntry {
    let comparing = draw.one(&Operator::ALL[..6]);
    let (field, operator, value) = match draw.below(15) {
        0 | 1 => (Field::Amount, comparing, draw.one(&[0, 100, 500, 1_000, 3_333])),
        2 => (Field::Product, comparing, draw.below(3)),
        3 => (Field::Weekday, comparing, draw.between(1, 7)),
        4 => (Field::Weekday, Operator::Any, draw.between(1, 127) << 1),
        5 => (Field::Hour, comparing, draw.below(24)),
        6 => (Field::Hour, Operator::Any, draw.between(1, (1 << 24) - 1)),
        7 => (Field::Date, comparing, draw.one(&[20_261_003, 20_261_004, 20_261_031, 20_261_101])),
        8 => (Field::PaymentNumber, comparing, draw.below(4)),
        9 => (Field::Spend, comparing, draw.one(&[0, 100, 1_000, 10_000])),
        10 => (Field::Payments, comparing, draw.below(4)),
        11 => (Field::StreakDays, comparing, draw.below(4)),
        12 => (Field::Tier, comparing, draw.below(3)),
        13 => (Field::Segments, Operator::Any, draw.between(1, 7)),
        _ => (draw.one(&[Field::Streamer, Field::Session]), comparing, draw.below(3)),
    };
    Predicate::new(clause, draw.once_in(4), field, operator, value).into()
}
