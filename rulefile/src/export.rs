//! Rules as a rule file: what is in force, for a draft to begin with.

use crate::{file::RuleFile, text::predicate_text};
use rebate_client::{
    Pubkey,
    account::AssetKind,
    event::{AssetEntry, EffectEntry, LimitsEntry, OffsetEntry, RuleDefinition},
};
use rebate_core::{
    rule::{Effect, GroupMode, Rule},
    units::Timestamp,
};
use std::fmt::Write;
use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Rules that no rule file can say, though the chain can hold them.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("these rules cannot be written as a rule file: {0}")]
pub struct Unwritable(String);

/// The numbers of the bits that are set.
pub fn members(bits: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |bit| bits >> bit & 1 == 1)
}

impl RuleFile {
    /// The text of a file that says this; [`parse`](Self::parse) reads it back, every rule as its first version.
    ///
    /// # Errors
    /// [`Unwritable`], where there is no such file.
    pub fn to_toml(&self) -> Result<String, Unwritable> {
        let mut text = String::new();
        let written = write(self, &mut text).map_err(|_| Unwritable("a value is out of range".to_owned()));
        written.and_then(|unsound| unsound.map_or(Ok(()), |what| Err(Unwritable(what))))?;
        let read = Self::parse("the file written", &text).map_err(|error| Unwritable(error.to_string()))?;
        let first = |rule: &RuleDefinition| RuleDefinition { version: 1, ..rule.clone() };
        let said = Self { rules: self.rules.iter().map(first).collect(), ..self.clone() };
        match read == said {
            true => Ok(text),
            false => {
                let differs = read.rules.iter().zip(&said.rules).find(|(read, said)| read != said);
                let what = differs.map_or_else(
                    || "the platform's settings".to_owned(),
                    |(_, rule)| format!("rule {} \"{}\"", rule.id, rule.name),
                );
                Err(Unwritable(what))
            }
        }
    }
}

/// Writes the file; what cannot be written at all is said.
fn write(file: &RuleFile, text: &mut String) -> Result<Option<String>, std::fmt::Error> {
    writeln!(text, "[platform]")?;
    let offsets: Vec<_> = file.offsets.iter().map(offset).collect();
    writeln!(text, "utc_offsets = [{}]", offsets.join(", "))?;
    writeln!(text, "max_lateness = \"{}\"", span(file.max_lateness))?;
    for (id, asset) in (1..).zip(&file.assets) {
        write_asset(id, asset, text)?;
    }
    let mut groups: Vec<_> = file.rules.iter().map(|rule| (rule.group, rule.group_mode)).collect();
    groups.sort_unstable();
    groups.dedup();
    for (group, mode) in groups {
        match GroupMode::from_number(mode) {
            // What a group that is not listed does.
            Some(GroupMode::Stackable) => {}
            Some(mode) => write!(text, "\n[[group]]\nid = {group}\nmode = {}\n", quoted(mode.name()))?,
            None => return Ok(Some(format!("group {group} competes in a way that is not known here"))),
        }
    }
    for definition in &file.rules {
        let Ok(rule) = definition.rule(Timestamp(0)) else {
            return Ok(Some(format!("rule {} is no sound rule", definition.id)));
        };
        write_rule(definition, &rule, text)?;
    }
    Ok(None)
}

fn write_asset(id: u8, asset: &AssetEntry, text: &mut String) -> std::fmt::Result {
    let kind = AssetKind::from_number(asset.kind).map_or("?", AssetKind::name);
    write!(text, "\n[[asset]]\nid = {id}\nname = {}\nkind = {}\n", quoted(&asset.name()), quoted(kind))?;
    if asset.expiry_months != 0 {
        writeln!(text, "expiry_months = {}", asset.expiry_months)?;
    }
    if asset.mint != [0; 32] {
        writeln!(text, "mint = \"{}\"", Pubkey::new_from_array(asset.mint))?;
    }
    Ok(())
}

fn write_rule(definition: &RuleDefinition, rule: &Rule, text: &mut String) -> std::fmt::Result {
    let RuleDefinition { id, name, priority, group, starts_at, ends_at, tags, excludes, holdout_bps, .. } = definition;
    write!(text, "\n[[rule]]\nid = {id}\nname = {}\npriority = {priority}\n", quoted(name))?;
    if *group != 0 {
        writeln!(text, "group = {group}")?;
    }
    let clauses = rule.condition().chunk_by(|one, next| one.clause == next.clause);
    let clauses: Vec<_> =
        clauses.map(|clause| quoted(&clause.iter().map(predicate_text).collect::<Vec<_>>().join(" or "))).collect();
    if !clauses.is_empty() {
        writeln!(text, "when = [{}]", clauses.join(", "))?;
    }
    for (key, at) in [("starts_at", *starts_at), ("ends_at", *ends_at)] {
        if at != 0 {
            let moment = OffsetDateTime::from_unix_timestamp(at).ok().and_then(|moment| moment.format(&Rfc3339).ok());
            writeln!(text, "{key} = \"{}\"", moment.ok_or(std::fmt::Error)?)?;
        }
    }
    writeln!(text, "window = {}", quoted(rule.window().name()))?;
    writeln!(text, "scope = {}", quoted(rule.scope().name()))?;
    writeln!(text, "effect = {}", effect(&definition.effect, rule))?;
    if let Some(limits) = limits(&definition.limits, rule) {
        writeln!(text, "limits = {limits}")?;
    }
    for (key, bits) in [("tags", *tags), ("excludes", *excludes)] {
        if bits != 0 {
            let numbers: Vec<_> = members(bits.into()).map(|bit| bit.to_string()).collect();
            writeln!(text, "{key} = [{}]", numbers.join(", "))?;
        }
    }
    if *holdout_bps != 0 {
        writeln!(text, "holdout_bps = {holdout_bps}")?;
    }
    Ok(())
}

fn effect(entry: &EffectEntry, rule: &Rule) -> String {
    let mode = match rule.effect() {
        Some(Effect::Tiers { mode, .. }) => mode.name(),
        _ => "?",
    };
    match entry {
        EffectEntry::Fixed { asset, amount } => format!("{{ kind = \"fixed\", asset = {asset}, amount = {amount} }}"),
        EffectEntry::Ratio { asset, bps, min, max } => {
            let bound = |key, bound: u64| if bound == 0 { String::new() } else { format!(", {key} = {bound}") };
            let (min, max) = (bound("min", *min), bound("max", *max));
            format!("{{ kind = \"ratio\", asset = {asset}, bps = {bps}{min}{max} }}")
        }
        EffectEntry::Tiers { asset, steps, .. } => {
            let steps: Vec<_> = steps.iter().map(|step| format!("[{}, {}]", step.threshold, step.value)).collect();
            format!("{{ kind = \"tiers\", asset = {asset}, mode = \"{mode}\", steps = [{}] }}", steps.join(", "))
        }
        EffectEntry::Streak { asset, days, amount, recurring } => format!(
            "{{ kind = \"streak\", asset = {asset}, days = {days}, amount = {amount}, recurring = {recurring} }}"
        ),
        EffectEntry::Multiplier { asset, bps } => format!("{{ kind = \"multiplier\", asset = {asset}, bps = {bps} }}"),
    }
}

fn limits(limits: &LimitsEntry, rule: &Rule) -> Option<String> {
    let all = [
        ("user_amount", limits.user_amount),
        ("user_count", limits.user_count),
        ("total_amount", limits.total_amount),
        ("total_count", limits.total_count),
    ];
    let mut parts: Vec<_> =
        all.iter().filter(|(_, most)| *most != 0).map(|(key, most)| format!("{key} = {most}")).collect();
    if *limits != LimitsEntry::none() {
        parts.push(format!("on_limit = {}", quoted(rule.on_limit().name())));
    }
    (!parts.is_empty()).then(|| format!("{{ {} }}", parts.join(", ")))
}

fn offset(row: &OffsetEntry) -> String {
    let (sign, minutes) = (if row.seconds < 0 { '-' } else { '+' }, row.seconds.unsigned_abs() / 60);
    format!("{{ from = {}, offset = \"{sign}{:02}:{:02}\" }}", row.from, minutes / 60, minutes % 60)
}

/// A span, in the largest unit that it is a whole number of.
fn span(seconds: u32) -> String {
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let whole = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
