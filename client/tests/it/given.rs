//! What several tests begin with.

use rebate_client::event::{EffectEntry, LimitsEntry, RuleDefinition, StepEntry};

/// A sound rule with this effect, always and without limits.
pub fn definition(effect: EffectEntry) -> RuleDefinition {
    RuleDefinition {
        id: 1,
        version: 1,
        name: "a rule".to_owned(),
        priority: 0,
        starts_at: 0,
        ends_at: 0,
        group: 0,
        group_mode: 1,
        tags: 0,
        excludes: 0,
        condition: Vec::new(),
        window: 4,
        scope: 1,
        effect,
        limits: LimitsEntry::none(),
        holdout_bps: 0,
    }
}

/// A sound effect of each kind.
pub fn effects() -> [EffectEntry; 5] {
    let steps = vec![StepEntry { threshold: 100, value: 50 }, StepEntry { threshold: 1_000, value: 100 }];
    [
        EffectEntry::Fixed { asset: 1, amount: 5 },
        EffectEntry::Ratio { asset: 2, bps: 500, min: 1, max: 1_000 },
        EffectEntry::Tiers { asset: 3, mode: 2, steps },
        EffectEntry::Streak { asset: 4, days: 7, amount: 70, recurring: true },
        EffectEntry::Multiplier { asset: 8, bps: 15_000 },
    ]
}
