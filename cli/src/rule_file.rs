//! Rule files: what operators write, as TOML.
//!
//! A file says everything about a platform that its admin decides: time zone, assets, rules. It is read as a whole or
//! not at all; whatever is wrong with it is said with file, line, column and what was expected.

mod condition;
mod document;
mod moment;

use document::{Document, EffectTable, RuleTable};
use rebate_client::event::{AssetEntry, EffectEntry, OffsetEntry, RuleDefinition};
use rebate_core::{
    rule::{InvalidRule, MAX_NAME},
    time::{InvalidOffsets, UtcOffset},
    units::{MAX_ASSETS, Timestamp},
};
use std::{fs, ops::Range, path::Path};
use thiserror::Error;

/// What a rule file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// Local time, by date.
    pub offsets: Vec<OffsetEntry>,
    /// How far back a payment may lie, in seconds.
    pub max_lateness: u32,
    /// What can be granted; the first is asset 1.
    pub assets: Vec<AssetEntry>,
    /// The rules, each as its first version.
    pub rules: Vec<RuleDefinition>,
}

/// A rule file that cannot be taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RuleFileError {
    /// It cannot be read.
    #[error("cannot read the rule file {file}: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// The system's reason.
        why: String,
    },
    /// It is wrong somewhere.
    #[error("{file}:{line}:{column}: {what}")]
    Wrong {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong and what was expected.
        what: String,
    },
}

/// Something wrong with a stretch of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    /// Bytes of the text.
    at: Range<usize>,
    what: String,
}

impl Fault {
    fn new(at: Range<usize>, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }
}

impl RuleFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`RuleFileError`], the first thing wrong.
    pub fn read(path: &Path) -> Result<Self, RuleFileError> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| RuleFileError::Unreadable { file: file.clone(), why: error.to_string() })?;
        Self::parse(&file, &text)
    }

    /// Parses a text; `file` is what errors call it.
    ///
    /// # Errors
    /// [`RuleFileError::Wrong`], the first thing wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, RuleFileError> {
        parse(text).map_err(|fault| {
            let before = text.get(..fault.at.start).unwrap_or(text);
            let line_begin = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
            RuleFileError::Wrong {
                file: file.to_owned(),
                line: before.matches('\n').count().saturating_add(1),
                column: before.get(line_begin..).unwrap_or("").chars().count().saturating_add(1),
                what: fault.what,
            }
        })
    }
}

fn parse(text: &str) -> Result<RuleFile, Fault> {
    let document: Document = toml::from_str(text).map_err(|error| {
        let message = error.message().trim_end().to_owned();
        Fault::new(error.span().unwrap_or(0..0), message)
    })?;
    let assets = assets(&document)?;
    for group in &document.group {
        if group.mode.get_ref() != "stackable" {
            return Err(not_yet(group.mode.span(), &format!("group mode {:?}", group.mode.get_ref()), "\"stackable\""));
        }
        if !(1..=255).contains(group.id.get_ref()) {
            return Err(Fault::new(group.id.span(), "a group's id is 1 to 255"));
        }
    }
    let mut rules: Vec<RuleDefinition> = Vec::new();
    for table in &document.rule {
        let rule = rule(table, assets.len())?;
        if rules.iter().any(|other| other.id == rule.id) {
            return Err(Fault::new(table.id.span(), format!("rule {} is there twice; give each its own id", rule.id)));
        }
        rules.push(rule);
    }
    Ok(RuleFile {
        offsets: offsets(&document)?,
        max_lateness: moment::seconds(&document.platform.max_lateness)?,
        assets,
        rules,
    })
}

/// A value that the specification knows and this version of the program does not.
fn not_yet(at: Range<usize>, what: &str, instead: &str) -> Fault {
    Fault::new(at, format!("{what} is not supported by this version of the program; use {instead}"))
}

fn offsets(document: &Document) -> Result<Vec<OffsetEntry>, Fault> {
    let mut table = Vec::new();
    let mut rows: Vec<OffsetEntry> = Vec::new();
    for row in &document.platform.utc_offsets {
        let from = moment::timestamp(&row.from)?;
        let seconds = moment::offset(&row.offset)?;
        table.push(UtcOffset::new(from, seconds));
        rows.push(OffsetEntry { from: from.0, seconds });
        match UtcOffset::check(&table) {
            Ok(()) => {}
            Err(InvalidOffsets::NotAscending) => {
                return Err(Fault::new(row.from.span(), "utc_offsets must ascend by `from`"));
            }
            Err(InvalidOffsets::OutOfRange) => {
                return Err(Fault::new(row.offset.span(), "an offset is between -14:00 and +14:00"));
            }
        }
    }
    Ok(rows)
}

fn assets(document: &Document) -> Result<Vec<AssetEntry>, Fault> {
    let mut assets = Vec::new();
    for (table, expected) in document.asset.iter().zip(1u64..) {
        if *table.id.get_ref() != expected || assets.len() == MAX_ASSETS {
            let what = format!("assets are numbered 1, 2, 3 … in order, at most {MAX_ASSETS}; expected {expected} here");
            return Err(Fault::new(table.id.span(), what));
        }
        if table.kind.get_ref() != "points" {
            return Err(match table.kind.get_ref().as_str() {
                known @ ("token" | "voucher") => not_yet(table.kind.span(), &format!("asset kind {known:?}"), "\"points\""),
                other => Fault::new(table.kind.span(), format!("unknown asset kind {other:?}; expected \"points\"")),
            });
        }
        if *table.expiry_months.get_ref() != 0 {
            return Err(not_yet(table.expiry_months.span(), "an asset that expires", "expiry_months = 0"));
        }
        let mut name = [0; 16];
        let bytes = table.name.get_ref().as_bytes();
        match name.get_mut(..bytes.len()) {
            Some(room) if !bytes.is_empty() && !bytes.contains(&0) => room.copy_from_slice(bytes),
            _ => return Err(Fault::new(table.name.span(), "an asset's name has 1 to 16 bytes")),
        }
        assets.push(AssetEntry { name, kind: 1 });
    }
    if assets.is_empty() {
        return Err(Fault::new(0..0, "there is no [[asset]]; a platform has at least one thing to grant"));
    }
    Ok(assets)
}

fn rule(table: &RuleTable, assets: usize) -> Result<RuleDefinition, Fault> {
    unsupported(table)?;
    let name = table.name.get_ref();
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(Fault::new(table.name.span(), format!("a rule's name has 1 to {MAX_NAME} bytes")));
    }
    let starts_at = table.starts_at.as_ref().map_or(Ok(Timestamp(0)), moment::date_time)?;
    let ends_at = table.ends_at.as_ref().map_or(Ok(Timestamp(0)), moment::date_time)?;
    let mut condition = Vec::new();
    for (clause, text) in (0u8..=255).zip(&table.when) {
        condition::clause(clause, text, &mut condition)?;
    }
    let effect = match *table.effect.get_ref() {
        EffectTable::Fixed { asset, amount } => EffectEntry::Fixed { asset, amount },
        EffectTable::Ratio { asset, bps, min, max } => EffectEntry::Ratio { asset, bps, min, max },
        EffectTable::Tiers {} | EffectTable::Streak {} | EffectTable::Multiplier {} => {
            return Err(not_yet(table.effect.span(), "this kind of effect", "\"fixed\" or \"ratio\""));
        }
    };
    let definition = RuleDefinition {
        id: *table.id.get_ref(),
        version: 1,
        name: name.clone(),
        priority: table.priority,
        starts_at: starts_at.0,
        ends_at: ends_at.0,
        condition: condition.into_iter().map(Into::into).collect(),
        effect,
    };
    match definition.check() {
        Ok(()) => {}
        Err(InvalidRule::Schedule) => {
            let at = table.ends_at.as_ref().map_or(0..0, |ends_at| ends_at.span());
            return Err(Fault::new(at, "ends_at must be after starts_at"));
        }
        Err(InvalidRule::TooManyPredicates) => {
            return Err(Fault::new(table.id.span(), "the condition has more than 12 predicates"));
        }
        Err(InvalidRule::Effect) => {
            return Err(Fault::new(table.effect.span(), "the effect can never grant anything, or min is above max"));
        }
        Err(InvalidRule::Asset) => return Err(unknown_asset(table, assets)),
        Err(other) => return Err(Fault::new(table.id.span(), format!("no sound rule: {other:?}"))),
    }
    let asset = match definition.effect {
        EffectEntry::Fixed { asset, .. } | EffectEntry::Ratio { asset, .. } => asset,
    };
    if usize::from(asset) > assets { Err(unknown_asset(table, assets)) } else { Ok(definition) }
}

fn unknown_asset(table: &RuleTable, assets: usize) -> Fault {
    Fault::new(table.effect.span(), format!("the effect's asset is none of the file's; expected 1 to {assets}"))
}

/// Refuses what the specification has and this version of the program does not, rather than ignore it.
fn unsupported(table: &RuleTable) -> Result<(), Fault> {
    if table.window.get_ref() != "lifetime" {
        return Err(not_yet(table.window.span(), &format!("window {:?}", table.window.get_ref()), "\"lifetime\""));
    }
    if table.scope.get_ref() != "user" {
        return Err(not_yet(table.scope.span(), &format!("scope {:?}", table.scope.get_ref()), "\"user\""));
    }
    if let Some(limits) = &table.limits {
        let none = limits.get_ref();
        if [none.user_amount, none.user_count, none.total_amount, none.total_count].iter().any(|limit| *limit != 0) {
            return Err(not_yet(limits.span(), "a limit", "0 for no limit, or a condition on payment_number"));
        }
        if !["clip", "reject"].contains(&none.on_limit.as_str()) {
            return Err(Fault::new(limits.span(), "on_limit is \"clip\" or \"reject\""));
        }
    }
    for list in [&table.tags, &table.excludes].into_iter().flatten() {
        if !list.get_ref().is_empty() {
            return Err(not_yet(list.span(), "tags and excludes", "[]"));
        }
    }
    if let Some(holdout) = table.holdout_bps.as_ref().filter(|holdout| *holdout.get_ref() != 0) {
        return Err(not_yet(holdout.span(), "a holdout", "holdout_bps = 0"));
    }
    Ok(())
}
