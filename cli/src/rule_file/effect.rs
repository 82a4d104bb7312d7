//! The effect of a rule: which kind has which keys.

use super::{Fault, document::EffectTable, not_yet};
use rebate_client::event::EffectEntry;
use std::ops::Range;
use toml::Spanned;

/// What the table `effect`, which stands at `at`, says, on a platform with `assets` assets.
pub fn effect(table: &EffectTable, at: Range<usize>, assets: usize) -> Result<EffectEntry, Fault> {
    let kind = table.kind.get_ref().as_str();
    match kind {
        "fixed" => only(table, kind, &["asset", "amount"])?,
        "ratio" => only(table, kind, &["asset", "bps", "min", "max"])?,
        "tiers" | "streak" | "multiplier" => {
            return Err(not_yet(table.kind.span(), &format!("effect {kind:?}"), "\"fixed\" or \"ratio\""));
        }
        _ => {
            let what = format!("unknown effect {kind:?}; expected \"fixed\" or \"ratio\"");
            return Err(Fault::new(table.kind.span(), what));
        }
    }
    let asset = needed(table.asset.as_ref(), kind, "asset", &at)?;
    if *asset.get_ref() == 0 || usize::from(*asset.get_ref()) > assets {
        let what = format!("there is no [[asset]] {} in this file; expected 1 to {assets}", asset.get_ref());
        return Err(Fault::new(asset.span(), what));
    }
    let asset = *asset.get_ref();
    if kind == "fixed" {
        let amount = needed(table.amount.as_ref(), kind, "amount", &at)?;
        return match *amount.get_ref() {
            0 => Err(Fault::new(amount.span(), "an amount of 0 grants nothing")),
            amount => Ok(EffectEntry::Fixed { asset, amount }),
        };
    }
    let bps = needed(table.bps.as_ref(), kind, "bps", &at)?;
    let bound = |bound: &Option<Spanned<u64>>| bound.as_ref().map_or(0, |bound| *bound.get_ref());
    let (min, max) = (bound(&table.min), bound(&table.max));
    if *bps.get_ref() == 0 && min == 0 {
        return Err(Fault::new(bps.span(), "a ratio of 0 without a min grants nothing"));
    }
    if max != 0 && min > max {
        let at = table.min.as_ref().map_or(at, Spanned::span);
        return Err(Fault::new(at, format!("min is above max, which is {max}; 0 is no maximum")));
    }
    Ok(EffectEntry::Ratio { asset, bps: *bps.get_ref(), min, max })
}

fn needed<'a, T>(
    value: Option<&'a Spanned<T>>,
    kind: &str,
    key: &str,
    effect: &Range<usize>,
) -> Result<&'a Spanned<T>, Fault> {
    value.ok_or_else(|| Fault::new(effect.clone(), format!("effect {kind:?} needs the key `{key}`")))
}

/// Refuses a key of another kind of effect.
fn only(table: &EffectTable, kind: &str, known: &[&str]) -> Result<(), Fault> {
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
    let foreign = there.into_iter().find_map(|(key, at)| Some((key, at?)).filter(|(key, _)| !known.contains(key)));
    match foreign {
        None => Ok(()),
        Some((key, at)) => {
            Err(Fault::new(at, format!("effect {kind:?} has no key `{key}`; expected kind, {}", known.join(", "))))
        }
    }
}
