//! Rule files: what operators write, as TOML.
//!
//! A file says everything about a platform that its admin decides: time zone, assets, rules. It is read as a whole or
//! not at all; whatever is wrong with it is said with file, line, column and what was expected.

mod condition;
mod document;
mod effect;
mod moment;

use crate::wording;
use document::{AssetTable, Document, LimitsTable, RuleTable};
use rebate_client::{
    Pubkey,
    account::{AssetKind, MAX_OFFSETS},
    event::{AssetEntry, LimitsEntry, OffsetEntry, RuleDefinition},
};
use rebate_core::{
    expiry::MAX_MONTHS,
    rule::{GroupMode, InvalidRule, Limits, MAX_NAME, OnLimit},
    time::{InvalidOffsets, UtcOffset},
    units::{Amount, BasisPoints, MAX_ASSETS},
    window::{Scope, Window},
};
use std::{fs, ops::Range, path::Path, str::FromStr};
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
    let max_lateness = moment::max_lateness(&document.platform.max_lateness)?;
    let assets = assets(&document)?;
    let groups = groups(&document)?;
    let mut rules: Vec<RuleDefinition> = Vec::new();
    for table in &document.rule {
        let rule = rule(table, text, assets.len(), &groups)?;
        if rules.iter().any(|other| other.id == rule.id) {
            return Err(Fault::new(table.id.span(), format!("rule {} is there twice; give each its own id", rule.id)));
        }
        rules.push(rule);
    }
    Ok(RuleFile { offsets, max_lateness, assets, rules })
}

/// What a name chooses, `what` being what it is the name of.
fn chosen<T, const N: usize>(what: &str, name: &Spanned<String>, known: [(&str, T); N]) -> Result<T, Fault> {
    let names = known.each_ref().map(|(name, _)| format!("{name:?}"));
    known.into_iter().find(|(known, _)| known == name.get_ref()).map(|(_, value)| value).ok_or_else(|| {
        let names = match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => names.concat(),
        };
        Fault::new(name.span(), format!("unknown {what} {:?}; expected {names}", name.get_ref()))
    })
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
        assets.push(asset(table)?);
    }
    if assets.is_empty() {
        return Err(Fault::new(0..0, "there is no [[asset]]; a platform has at least one thing to grant"));
    }
    Ok(assets)
}

fn asset(table: &AssetTable) -> Result<AssetEntry, Fault> {
    let kind = chosen("asset kind", &table.kind, AssetKind::ALL.map(|kind| (kind.name(), kind)))?;
    let mut name = [0; 16];
    let bytes = table.name.get_ref().as_bytes();
    match name.get_mut(..bytes.len()) {
        Some(room) if !bytes.is_empty() && !bytes.contains(&0) => room.copy_from_slice(bytes),
        _ => return Err(Fault::new(table.name.span(), "an asset's name has 1 to 16 bytes")),
    }
    let expiry_months = match &table.expiry_months {
        None => 0,
        Some(months) => {
            u8::try_from(*months.get_ref()).ok().filter(|months| *months <= MAX_MONTHS).ok_or_else(|| {
                Fault::new(
                    months.span(),
                    format!("expiry_months is 1 to {MAX_MONTHS}, or 0 for an asset that never expires"),
                )
            })?
        }
    };
    let mint = match &table.mint {
        None => [0; 32],
        Some(mint) if kind != AssetKind::Token => {
            return Err(Fault::new(mint.span(), "only an asset of the kind \"token\" has a mint"));
        }
        Some(mint) => Pubkey::from_str(mint.get_ref()).map(|mint| mint.to_bytes()).map_err(|_| {
            Fault::new(mint.span(), format!("{:?} is no address; expected a mint's in base 58", mint.get_ref()))
        })?,
    };
    Ok(AssetEntry { name, kind: kind as u8, expiry_months, mint })
}

/// The mode of every group that is listed.
fn groups(document: &Document) -> Result<Vec<(u8, GroupMode)>, Fault> {
    let mut groups: Vec<(u8, GroupMode)> = Vec::new();
    for table in &document.group {
        let id = u8::try_from(*table.id.get_ref())
            .map_err(|_| Fault::new(table.id.span(), "a group's id is 0 to 255; rules without one are in group 0"))?;
        if groups.iter().any(|(other, _)| *other == id) {
            return Err(Fault::new(table.id.span(), format!("group {id} is there twice; a group has one mode")));
        }
        groups.push((id, chosen("group mode", &table.mode, GroupMode::ALL.map(|mode| (mode.name(), mode)))?));
    }
    Ok(groups)
}

fn rule(table: &RuleTable, file: &str, assets: usize, groups: &[(u8, GroupMode)]) -> Result<RuleDefinition, Fault> {
    let name = table.name.get_ref();
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(Fault::new(table.name.span(), format!("a rule's name has 1 to {MAX_NAME} bytes")));
    }
    if name.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(Fault::new(table.name.span(), "a rule's name holds no line breaks or other control characters"));
    }
    let starts_at = moment::bound(table.starts_at.as_ref())?;
    let ends_at = moment::bound(table.ends_at.as_ref())?;
    let mut condition = Vec::new();
    for (clause, text) in (0u8..=255).zip(&table.when) {
        condition::clause(clause, text, file, &mut condition)?;
    }
    let window = table.window.as_ref();
    let window = window.map(|name| chosen("window", name, Window::ALL.map(|window| (window.name(), window))));
    let scope = table.scope.as_ref();
    let scope = scope.map(|name| chosen("scope", name, Scope::ALL.map(|scope| (scope.name(), scope))));
    let group_mode = groups.iter().find(|(id, _)| *id == table.group).map(|(_, mode)| *mode);
    let definition = RuleDefinition {
        id: *table.id.get_ref(),
        version: 1,
        name: name.clone(),
        priority: table.priority,
        starts_at: starts_at.0,
        ends_at: ends_at.0,
        group: table.group,
        group_mode: group_mode.unwrap_or_default() as u8,
        tags: tags(&table.tags)?,
        excludes: tags(&table.excludes)?,
        condition: condition.into_iter().map(Into::into).collect(),
        window: window.transpose()?.unwrap_or(Window::Lifetime) as u8,
        scope: scope.transpose()?.unwrap_or(Scope::User) as u8,
        effect: effect::effect(table.effect.get_ref(), table.effect.span(), assets)?,
        limits: limits(&table.limits)?,
        holdout_bps: holdout(table.holdout_bps.as_ref())?,
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

/// Tags by number, as a bit set.
fn tags(numbers: &[Spanned<i64>]) -> Result<u32, Fault> {
    numbers.iter().try_fold(0u32, |set, number| {
        let bit = u32::try_from(*number.get_ref()).ok().and_then(|bit| 1u32.checked_shl(bit));
        bit.map(|bit| set | bit).ok_or_else(|| Fault::new(number.span(), "a tag is a number from 0 to 31"))
    })
}

fn limits(table: &LimitsTable) -> Result<LimitsEntry, Fault> {
    let on_limit = table.on_limit.as_ref();
    let on_limit = on_limit.map(|name| chosen("on_limit", name, OnLimit::ALL.map(|way| (way.name(), way))));
    let limits = Limits {
        user_amount: Amount(table.user_amount),
        user_count: table.user_count,
        total_amount: Amount(table.total_amount),
        total_count: table.total_count,
    };
    Ok(LimitsEntry::new(limits, on_limit.transpose()?.unwrap_or_default()))
}

fn holdout(bps: Option<&Spanned<u32>>) -> Result<u16, Fault> {
    let Some(bps) = bps else { return Ok(0) };
    u16::try_from(*bps.get_ref())
        .ok()
        .filter(|held_out| u64::from(*held_out) <= BasisPoints::WHOLE)
        .ok_or_else(|| Fault::new(bps.span(), "holdout_bps is 0 to 10000, in hundredths of a percent of the users"))
}
