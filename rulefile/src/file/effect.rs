//! The effect of a rule: which kind has which keys.

use super::{Fault, chosen, document::EffectTable};
use rebate_client::event::{EffectEntry, StepEntry};
use rebate_core::{
    rule::{EffectKind, MAX_STEPS, TierMode},
    units::BasisPoints,
};
use std::ops::Range;
use toml::Spanned;

/// What the table `effect`, which stands at `at`, says, on a platform with `assets` assets.
pub fn effect(table: &EffectTable, at: Range<usize>, assets: usize) -> Result<EffectEntry, Fault> {
    let kind = chosen("effect", &table.kind, EffectKind::ALL.map(|kind| (kind.name(), kind)))?;
    only(table, kind)?;
    let reader = Reader { table, kind: kind.name(), at };
    let asset = reader.asset(assets)?;
    match kind {
        EffectKind::Fixed => Ok(EffectEntry::Fixed { asset, amount: reader.amount()? }),
        EffectKind::Ratio => reader.ratio(asset),
        EffectKind::Tiers => reader.tiers(asset),
        EffectKind::Streak => {
            let days = reader.needed(table.days.as_ref(), "days")?;
            if *days.get_ref() == 0 {
                return Err(Fault::new(days.span(), "a streak of 0 days is none; expected 1 or more"));
            }
            let recurring = table.recurring.as_ref().is_some_and(|recurring| *recurring.get_ref());
            Ok(EffectEntry::Streak { asset, days: *days.get_ref(), amount: reader.amount()?, recurring })
        }
        EffectKind::Multiplier => {
            let bps = reader.needed(table.bps.as_ref(), "bps")?;
            if u64::from(*bps.get_ref()) <= BasisPoints::WHOLE {
                let what =
                    "a multiplier of 10000 basis points or less adds nothing; 20000 doubles what the group grants";
                return Err(Fault::new(bps.span(), what));
            }
            Ok(EffectEntry::Multiplier { asset, bps: *bps.get_ref() })
        }
    }
}

struct Reader<'a> {
    table: &'a EffectTable,
    kind: &'static str,
    /// Where the table stands.
    at: Range<usize>,
}

impl Reader<'_> {
    fn needed<'b, T>(&self, value: Option<&'b Spanned<T>>, key: &str) -> Result<&'b Spanned<T>, Fault> {
        value.ok_or_else(|| Fault::new(self.at.clone(), format!("effect {:?} needs the key `{key}`", self.kind)))
    }

    fn asset(&self, assets: usize) -> Result<u8, Fault> {
        let asset = self.needed(self.table.asset.as_ref(), "asset")?;
        if *asset.get_ref() == 0 || usize::from(*asset.get_ref()) > assets {
            let what = format!("there is no [[asset]] {} in this file; expected 1 to {assets}", asset.get_ref());
            return Err(Fault::new(asset.span(), what));
        }
        Ok(*asset.get_ref())
    }

    fn amount(&self) -> Result<u64, Fault> {
        let amount = self.needed(self.table.amount.as_ref(), "amount")?;
        match *amount.get_ref() {
            0 => Err(Fault::new(amount.span(), "an amount of 0 grants nothing")),
            amount => Ok(amount),
        }
    }

    fn ratio(&self, asset: u8) -> Result<EffectEntry, Fault> {
        let bps = self.needed(self.table.bps.as_ref(), "bps")?;
        let bound = |bound: &Option<Spanned<u64>>| bound.as_ref().map_or(0, |bound| *bound.get_ref());
        let (min, max) = (bound(&self.table.min), bound(&self.table.max));
        if *bps.get_ref() == 0 && min == 0 {
            return Err(Fault::new(bps.span(), "a ratio of 0 without a min grants nothing"));
        }
        if max != 0 && min > max {
            let at = self.table.min.as_ref().map_or_else(|| self.at.clone(), Spanned::span);
            return Err(Fault::new(at, format!("min is above max, which is {max}; 0 is no maximum")));
        }
        Ok(EffectEntry::Ratio { asset, bps: *bps.get_ref(), min, max })
    }

    fn tiers(&self, asset: u8) -> Result<EffectEntry, Fault> {
        let mode = self.needed(self.table.mode.as_ref(), "mode")?;
        let mode = chosen("mode of tiers", mode, TierMode::ALL.map(|mode| (mode.name(), mode)))?;
        let rows = self.needed(self.table.steps.as_ref(), "steps")?;
        let mut steps: Vec<StepEntry> = Vec::new();
        for row in rows.get_ref() {
            let [threshold, value] = row.get_ref().as_slice() else {
                return Err(Fault::new(row.span(), "a step is a threshold and a value, like [1000, 50]"));
            };
            if steps.len() == MAX_STEPS {
                return Err(Fault::new(row.span(), format!("tiers have at most {MAX_STEPS} steps")));
            }
            if steps.last().is_some_and(|last| last.threshold >= *threshold.get_ref()) {
                return Err(Fault::new(threshold.span(), "the steps' thresholds must ascend"));
            }
            if mode != TierMode::Fixed && u32::try_from(*value.get_ref()).is_err() {
                return Err(Fault::new(value.span(), "the value is basis points here, at most 4294967295"));
            }
            steps.push(StepEntry { threshold: *threshold.get_ref(), value: *value.get_ref() });
        }
        if steps.iter().all(|step| step.value == 0) {
            return Err(Fault::new(rows.span(), "tiers need a step with a value above 0, like [[1000, 50]]"));
        }
        Ok(EffectEntry::Tiers { asset, mode: mode as u8, steps })
    }
}

/// The keys of a kind, besides `kind`.
const fn keys(kind: EffectKind) -> &'static [&'static str] {
    match kind {
        EffectKind::Fixed => &["asset", "amount"],
        EffectKind::Ratio => &["asset", "bps", "min", "max"],
        EffectKind::Tiers => &["asset", "mode", "steps"],
        EffectKind::Streak => &["asset", "days", "amount", "recurring"],
        EffectKind::Multiplier => &["asset", "bps"],
    }
}

/// Refuses a key of another kind of effect.
fn only(table: &EffectTable, kind: EffectKind) -> Result<(), Fault> {
    fn place<T>(value: &Option<Spanned<T>>) -> Option<Range<usize>> {
        value.as_ref().map(Spanned::span)
    }
    let there = [
        ("asset", place(&table.asset)),
        ("amount", place(&table.amount)),
        ("bps", place(&table.bps)),
        ("min", place(&table.min)),
        ("max", place(&table.max)),
        ("mode", place(&table.mode)),
        ("steps", place(&table.steps)),
        ("days", place(&table.days)),
        ("recurring", place(&table.recurring)),
    ];
    let known = keys(kind);
    let foreign = there.into_iter().find_map(|(key, at)| Some((key, at?)).filter(|(key, _)| !known.contains(key)));
    match foreign {
        None => Ok(()),
        Some((key, at)) => Err(Fault::new(
            at,
            format!("effect {:?} has no key `{key}`; expected kind, {}", kind.name(), known.join(", ")),
        )),
    }
}
