//! Rule files: what operators write, as TOML.
//!
//! A file says everything about a platform that its admin decides: time zone, assets, rules. It is read as a whole or
//! not at all; whatever is wrong with it is said with file, line, column and what was expected.

mod condition;
mod document;
mod effect;
mod moment;

use crate::wording;
use document::{Document, RuleTable};
use rebate_client::{
    account::MAX_OFFSETS,
    event::{AssetEntry, LimitsEntry, OffsetEntry, RuleDefinition},
};
use rebate_core::{
    rule::{GroupMode, InvalidRule, MAX_NAME},
    time::{InvalidOffsets, UtcOffset},
    units::MAX_ASSETS,
    window::{Scope, Window},
};
use std::{fs, ops::Range, path::Path};
use thiserror::Error;
use toml::Spanned;

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
        let bytes =
            fs::read(path).map_err(|error| RuleFileError::Unreadable { file: file.clone(), why: error.to_string() })?;
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(&file, &text),
            Err(error) => {
                let sound = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes());
                Err(wrong(&file, &text, Fault::new(sound..sound, "this is no UTF-8; save the file as UTF-8")))
            }
        }
    }

    /// Parses a text; `file` is what errors call it.
    ///
    /// # Errors
    /// [`RuleFileError::Wrong`], the first thing wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, RuleFileError> {
        parse(text).map_err(|fault| wrong(file, text, fault))
    }
}

/// What is wrong, with its line and column.
fn wrong(file: &str, text: &str, fault: Fault) -> RuleFileError {
    let before = text.get(..fault.at.start).unwrap_or(text);
    let line_begin = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
    RuleFileError::Wrong {
        file: file.to_owned(),
        line: before.matches('\n').count().saturating_add(1),
        column: before.get(line_begin..).unwrap_or("").chars().count().saturating_add(1),
        what: fault.what,
    }
}

fn parse(text: &str) -> Result<RuleFile, Fault> {
    let document: Document = toml::from_str(text).map_err(|error| {
        let at = error.span().unwrap_or(0..0);
        match text.get(at.clone()) {
            // One table where there can be several.
            Some(name @ ("[asset]" | "[group]" | "[rule]")) => {
                Fault::new(at, format!("expected [{name}], twice in brackets"))
            }
            _ => Fault::new(at, wording::plain(error.message())),
        }
    })?;
    let offsets = offsets(&document)?;
    let max_lateness = moment::seconds(&document.platform.max_lateness)?;
    let assets = assets(&document)?;
    for group in &document.group {
        match group.mode.get_ref().as_str() {
            "stackable" => {}
            known @ ("first" | "best") => {
                return Err(not_yet(group.mode.span(), &format!("group mode {known:?}"), "\"stackable\""));
            }
            other => {
                let what = format!("unknown group mode {other:?}; expected \"stackable\"");
                return Err(Fault::new(group.mode.span(), what));
            }
        }
        if !(1..=255).contains(group.id.get_ref()) {
            return Err(Fault::new(group.id.span(), "a group's id is 1 to 255"));
        }
    }
    let mut rules: Vec<RuleDefinition> = Vec::new();
    for table in &document.rule {
        let rule = rule(table, text, assets.len())?;
        if rules.iter().any(|other| other.id == rule.id) {
            return Err(Fault::new(table.id.span(), format!("rule {} is there twice; give each its own id", rule.id)));
        }
        rules.push(rule);
    }
    Ok(RuleFile { offsets, max_lateness, assets, rules })
}

/// A value that the specification knows and this version of the program does not.
fn not_yet(at: Range<usize>, what: &str, instead: &str) -> Fault {
    Fault::new(at, format!("{what} is not supported by this version of the program; use {instead}"))
}

fn offsets(document: &Document) -> Result<Vec<OffsetEntry>, Fault> {
    let mut table = Vec::new();
    let mut rows: Vec<OffsetEntry> = Vec::new();
    for row in &document.platform.utc_offsets {
        if rows.len() == MAX_OFFSETS {
            return Err(Fault::new(row.from.span(), format!("utc_offsets has at most {MAX_OFFSETS} rows")));
        }
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
            let what =
                format!("assets are numbered 1, 2, 3 … in order, at most {MAX_ASSETS}; expected {expected} here");
            return Err(Fault::new(table.id.span(), what));
        }
        if table.kind.get_ref() != "points" {
            return Err(match table.kind.get_ref().as_str() {
                known @ ("token" | "voucher") => {
                    not_yet(table.kind.span(), &format!("asset kind {known:?}"), "\"points\"")
                }
                other => Fault::new(table.kind.span(), format!("unknown asset kind {other:?}; expected \"points\"")),
            });
        }
        if let Some(months) = table.expiry_months.as_ref().filter(|months| *months.get_ref() != 0) {
            return Err(not_yet(months.span(), "an asset that expires", "expiry_months = 0"));
        }
        let mut name = [0; 16];
        let bytes = table.name.get_ref().as_bytes();
        match name.get_mut(..bytes.len()) {
            Some(room) if !bytes.is_empty() && !bytes.contains(&0) => room.copy_from_slice(bytes),
            _ => return Err(Fault::new(table.name.span(), "an asset's name has 1 to 16 bytes")),
        }
        assets.push(AssetEntry { name, kind: 1, expiry_months: 0, mint: [0; 32] });
    }
    if assets.is_empty() {
        return Err(Fault::new(0..0, "there is no [[asset]]; a platform has at least one thing to grant"));
    }
    Ok(assets)
}

fn rule(table: &RuleTable, file: &str, assets: usize) -> Result<RuleDefinition, Fault> {
    unsupported(table)?;
    let name = table.name.get_ref();
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(Fault::new(table.name.span(), format!("a rule's name has 1 to {MAX_NAME} bytes")));
    }
    let starts_at = moment::bound(table.starts_at.as_ref())?;
    let ends_at = moment::bound(table.ends_at.as_ref())?;
    let mut condition = Vec::new();
    for (clause, text) in (0u8..=255).zip(&table.when) {
        condition::clause(clause, text, file, &mut condition)?;
    }
    let definition = RuleDefinition {
        id: *table.id.get_ref(),
        version: 1,
        name: name.clone(),
        priority: table.priority,
        starts_at: starts_at.0,
        ends_at: ends_at.0,
        group: 0,
        group_mode: GroupMode::Stackable as u8,
        tags: 0,
        excludes: 0,
        condition: condition.into_iter().map(Into::into).collect(),
        effect: effect::effect(table.effect.get_ref(), table.effect.span(), assets)?,
        window: Window::Lifetime as u8,
        scope: Scope::User as u8,
        limits: LimitsEntry::none(),
        holdout_bps: 0,
    };
    match definition.check() {
        Ok(()) => Ok(definition),
        Err(InvalidRule::Schedule) => {
            let at = table.ends_at.as_ref().map_or_else(|| table.id.span(), Spanned::span);
            Err(Fault::new(at, "ends_at must be after starts_at"))
        }
        // Everything else was looked at above, where its place in the file is known.
        Err(other) => Err(Fault::new(table.id.span(), format!("no sound rule: {other:?}"))),
    }
}

/// Refuses what the specification has and this version of the program does not, rather than ignore it.
fn unsupported(table: &RuleTable) -> Result<(), Fault> {
    const WINDOWS: [&str; 5] = ["lifetime", "day", "week", "month", "schedule"];
    const SCOPES: [&str; 3] = ["user", "user_streamer", "user_session"];
    for (what, chosen, known) in [("window", &table.window, &WINDOWS[..]), ("scope", &table.scope, &SCOPES[..])] {
        let (Some(chosen), Some((only, later))) = (chosen, known.split_first()) else { continue };
        let name = chosen.get_ref().as_str();
        if later.contains(&name) {
            return Err(not_yet(chosen.span(), &format!("{what} {name:?}"), &format!("{only:?}")));
        }
        if name != *only {
            return Err(Fault::new(chosen.span(), format!("unknown {what} {name:?}; expected {only:?}")));
        }
    }
    if let Some(limits) = &table.limits {
        let all = [&limits.user_amount, &limits.user_count, &limits.total_amount, &limits.total_count];
        if let Some(limit) = all.into_iter().flatten().find(|limit| *limit.get_ref() != 0) {
            return Err(not_yet(limit.span(), "a limit", "0 for no limit, or a condition on payment_number"));
        }
        if let Some(chosen) =
            limits.on_limit.as_ref().filter(|chosen| !["clip", "reject"].contains(&chosen.get_ref().as_str()))
        {
            let what = format!("unknown on_limit {:?}; expected \"clip\" or \"reject\"", chosen.get_ref());
            return Err(Fault::new(chosen.span(), what));
        }
    }
    for (what, list) in [("tags", &table.tags), ("excludes", &table.excludes)] {
        if let Some(list) = list.as_ref().filter(|list| !list.get_ref().is_empty()) {
            return Err(not_yet(list.span(), &format!("a rule with {what}"), "[]"));
        }
    }
    if let Some(holdout) = table.holdout_bps.as_ref().filter(|holdout| *holdout.get_ref() != 0) {
        return Err(not_yet(holdout.span(), "a holdout", "holdout_bps = 0"));
    }
    Ok(())
}
