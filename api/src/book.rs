//! A platform's rules as the evaluator has them, from what the indexer wrote of them.

use crate::{
    calendar::{Clock, Span},
    definition::{Definition, clauses},
    problem::Problem,
    snapshot::Snapshot,
    value::Address,
    words,
};
use rebate_core::{
    counters::Counters,
    outcome::Reason,
    rule::{self, Effect, GroupMode, Limits, OnLimit, Rule},
    time::UtcOffset,
    units::{Amount, AssetId, BasisPoints, GroupId, RuleId, RuleVersion, Tags, Timestamp},
    window::{Scope, Window},
};
use rust_decimal::Decimal;
use sqlx::types::Json;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A row of `rules`.
struct Row {
    rule: i32,
    version: i32,
    name: String,
    priority: i32,
    definition: Json<Definition>,
    group_number: i16,
    group_mode: String,
    tags: i64,
    excludes: i64,
    counter_window: String,
    counter_scope: String,
    user_amount: Decimal,
    user_count: Decimal,
    total_amount: Decimal,
    total_count: Decimal,
    on_limit: String,
    holdout_bps: i32,
    starts_at: i64,
    ends_at: i64,
    effective_at: i64,
    superseded_at: i64,
    granted: Decimal,
    grants: i64,
    reversed: Decimal,
    journal_index: i64,
    dropped_index: Option<i64>,
}

/// A rule version, and from which event to which it stands in the rule book.
#[derive(Clone, Debug)]
pub struct Version {
    /// What it says, with its own totals and those of its budget.
    pub rule: Rule,
    /// Its condition, as rule files have it.
    pub when: Vec<String>,
    /// The event that published it.
    pub published: i64,
    /// The event that dropped it.
    pub dropped: Option<i64>,
}

/// A platform's rule versions by rule and version, the names of its assets, and its clocks.
#[derive(Clone, Debug, Default)]
pub struct Book {
    versions: BTreeMap<(i32, i32), Version>,
    assets: HashMap<i16, String>,
    /// Its clocks.
    pub clock: Clock,
}

/// What a number in the database is that must be one of these.
fn unreadable(what: &str) -> Problem {
    Problem::internal(&format_args!("a row of rules holds {what}, which this server cannot read"))
}

/// A `u64` of the database.
///
/// # Errors
/// Where it is none.
pub fn u64_of(number: Decimal) -> Result<u64, Problem> {
    u64::try_from(number).map_err(|_| unreadable("a number that is no u64"))
}

fn fitting<F, T: TryFrom<F>>(number: F) -> Result<T, Problem> {
    T::try_from(number).map_err(|_| unreadable("a number out of its range"))
}

fn one_of<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, wanted: &str) -> Result<T, Problem> {
    all.iter().copied().find(|one| name(*one) == wanted).ok_or_else(|| unreadable(wanted))
}

impl Row {
    fn version(&self) -> Result<Version, Problem> {
        let Json(definition) = &self.definition;
        let condition = definition.condition().ok_or_else(|| unreadable("a condition"))?;
        let steps = definition.effect.steps().ok_or_else(|| unreadable("steps"))?;
        let defined = rule::Definition {
            id: RuleId(fitting(self.rule)?),
            version: RuleVersion(fitting(self.version)?),
            name: &self.name,
            priority: fitting(self.priority)?,
            starts_at: Timestamp(self.starts_at),
            ends_at: Timestamp(self.ends_at),
            group: GroupId(fitting(self.group_number)?),
            group_mode: one_of(&GroupMode::ALL, GroupMode::name, &self.group_mode)?,
            tags: Tags(fitting(self.tags)?),
            excludes: Tags(fitting(self.excludes)?),
            condition: &condition,
            window: one_of(&Window::ALL, Window::name, &self.counter_window)?,
            scope: one_of(&Scope::ALL, Scope::name, &self.counter_scope)?,
            effect: definition.effect.over(&steps).ok_or_else(|| unreadable("an effect"))?,
            limits: Limits {
                user_amount: Amount(u64_of(self.user_amount)?),
                user_count: u64_of(self.user_count)?,
                total_amount: Amount(u64_of(self.total_amount)?),
                total_count: u64_of(self.total_count)?,
            },
            on_limit: one_of(&OnLimit::ALL, OnLimit::name, &self.on_limit)?,
            holdout: BasisPoints(fitting(self.holdout_bps)?),
        };
        let mut rule = Rule::new(&defined, Timestamp(self.effective_at))
            .map_err(|error| unreadable(&format!("no sound rule ({error:?})")))?;
        rule.superseded_at = Timestamp(self.superseded_at);
        rule.granted = Amount(u64_of(self.granted)?);
        rule.grants = fitting(self.grants)?;
        rule.reversed = Amount(u64_of(self.reversed)?);
        Ok(Version {
            rule,
            when: clauses(&definition.condition),
            published: self.journal_index,
            dropped: self.dropped_index,
        })
    }
}

impl Book {
    /// Every version a platform ever had, with what is left of each rule's budget.
    ///
    /// # Errors
    /// Where the database does not answer, or holds what this server cannot read.
    pub async fn of(snapshot: &mut Snapshot, platform: Address) -> Result<Self, Problem> {
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT rule, version, name, priority, definition AS "definition: Json<Definition>", group_number,
                      group_mode, tags, excludes, counter_window, counter_scope, user_amount, user_count, total_amount,
                      total_count, on_limit, holdout_bps, starts_at, ends_at, effective_at, superseded_at, granted,
                      grants, reversed, journal_index, dropped_index
               FROM rules WHERE platform = $1 ORDER BY rule, version"#,
            &platform.0
        )
        .fetch_all(snapshot.connection())
        .await?;
        let mut book = Self { versions: BTreeMap::new(), assets: HashMap::new(), clock: Clock::default() };
        for of_rule in rows.chunk_by(|one, next| one.rule == next.rule) {
            book.add(of_rule)?;
        }
        book.name_assets(snapshot, platform).await?;
        Ok(book)
    }

    /// The versions of one rule. Who follows whom says since when counters are counted.
    fn add(&mut self, rows: &[Row]) -> Result<(), Problem> {
        let mut versions = rows.iter().map(Row::version).collect::<Result<Vec<_>, _>>()?;
        let mut spent = 0u64;
        let mut grants = 0u64;
        for at in 0..versions.len() {
            let (before, [new, ..]) = versions.split_at_mut(at) else { break };
            if let Some(last) = before.last_mut() {
                // Only what `new` takes over is wanted here: when `last` ended is on record.
                let superseded_at = last.rule.superseded_at;
                new.rule.follows(&mut last.rule);
                last.rule.superseded_at = superseded_at;
            }
            spent = spent.saturating_add(new.rule.granted.0.saturating_sub(new.rule.reversed.0));
            grants = grants.saturating_add(new.rule.grants);
        }
        let in_book = versions.iter().filter(|version| version.dropped.is_none()).count();
        for mut version in versions {
            let rule = &mut version.rule;
            rule.budget_spent = Amount(spent);
            rule.budget_grants = grants;
            rule.has_siblings = u8::from(in_book > 1);
            self.versions.insert((i32::from(rule.id.0), i32::from(rule.version.0)), version);
        }
        Ok(())
    }

    async fn name_assets(&mut self, snapshot: &mut Snapshot, platform: Address) -> Result<(), Problem> {
        for row in sqlx::query!("SELECT asset, name FROM assets WHERE platform = $1", &platform.0)
            .fetch_all(snapshot.connection())
            .await?
        {
            self.assets.insert(row.asset, row.name);
        }
        let rows =
            sqlx::query!("SELECT starts, seconds FROM utc_offsets WHERE platform = $1 ORDER BY starts", &platform.0)
                .fetch_all(snapshot.connection())
                .await?;
        self.clock = Clock::new(rows.iter().map(|row| UtcOffset::new(Timestamp(row.starts), row.seconds)).collect());
        Ok(())
    }

    /// A version.
    pub fn version(&self, rule: i32, version: i32) -> Option<&Version> {
        self.versions.get(&(rule, version))
    }

    /// The versions that are in the rule book, in order of evaluation.
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules: Vec<Rule> =
            self.versions.values().filter(|version| version.dropped.is_none()).map(|version| version.rule).collect();
        rules.sort_by_key(Rule::order);
        rules
    }

    /// The versions that were in the rule book when the event `index` came.
    pub fn rules_at(&self, index: i64) -> Vec<Rule> {
        let there =
            |version: &&Version| version.published < index && version.dropped.is_none_or(|dropped| dropped > index);
        self.versions.values().filter(there).map(|version| version.rule).collect()
    }

    /// Whether the platform has the asset.
    pub fn has_asset(&self, asset: AssetId) -> bool {
        self.assets.contains_key(&i16::from(asset.0))
    }

    /// An asset's name.
    pub fn asset(&self, asset: AssetId) -> &str {
        self.assets.get(&i16::from(asset.0)).map_or("?", String::as_str)
    }

    /// Over which time a rule counts.
    pub fn counted(rule: &Rule) -> words::Counted {
        words::Counted { window: rule.window(), scope: rule.scope() }
    }

    /// The window that a rule counts a payment made at `at` into.
    pub fn window(&self, rule: &Rule, at: i64) -> Span {
        let unless_open = |at: Timestamp| (at.0 != 0).then_some(at.0);
        match rule.window() {
            Window::Lifetime => Span { start: None, end: None },
            Window::Schedule => Span { start: unless_open(rule.starts_at), end: unless_open(rule.ends_at) },
            window => self.clock.window(window, at),
        }
    }

    /// What to say about the end of that window where it is `now`.
    pub fn reset(&self, rule: &Rule, at: i64, now: i64) -> words::Reset {
        /// Less than a week ahead, a day of the week says it all.
        const SOON: i64 = 7 * 86_400;
        let Some(end) = self.window(rule, at).end else { return words::Reset::Never };
        let Some(local) = self.clock.local(end) else { return words::Reset::Never };
        match rule.window() {
            Window::Lifetime => words::Reset::Never,
            Window::Schedule => words::Reset::WithRule(local),
            _ if end <= now => words::Reset::Passed(local),
            _ if end.saturating_sub(now) <= SOON => words::Reset::Soon(local),
            _ => words::Reset::At(local),
        }
    }
}

/// Books that were read before, by platform. They hold for texts: of totals, and of when versions end, they may know less
/// than is so by now.
#[derive(Debug, Default)]
pub struct Books {
    /// With a digest of all that texts are made of.
    read: Mutex<HashMap<[u8; 32], (String, Arc<Book>)>>,
}

/// How many platforms' books are kept.
const KEPT: usize = 64;

impl Books {
    /// A platform's book, for texts: one that was read before, where what texts are made of is the same in this state of the
    /// database.
    ///
    /// # Errors
    /// As [`Book::of`].
    pub async fn of(&self, snapshot: &mut Snapshot, platform: Address) -> Result<Arc<Book>, Problem> {
        let digest = sqlx::query_scalar!(
            r#"SELECT md5(concat(
                   (SELECT string_agg(
                        (rule, version, name, priority, definition, group_number, group_mode, tags, excludes, counter_window,
                         counter_scope, user_amount, user_count, total_amount, total_count, on_limit, holdout_bps, starts_at,
                         ends_at)::text, ';' ORDER BY rule, version)
                    FROM rules WHERE platform = $1),
                   '|', (SELECT string_agg((asset, name)::text, ';' ORDER BY asset) FROM assets WHERE platform = $1),
                   '|', (SELECT string_agg((starts, seconds)::text, ';' ORDER BY starts) FROM utc_offsets WHERE platform = $1)
               )) AS "digest!""#,
            &platform.0
        )
        .fetch_one(snapshot.connection())
        .await?;
        let known =
            self.lock().get(&platform.0).filter(|(known, _)| *known == digest).map(|(_, book)| Arc::clone(book));
        if let Some(book) = known {
            return Ok(book);
        }
        let book = Arc::new(Book::of(snapshot, platform).await?);
        let mut read = self.lock();
        if read.len() >= KEPT {
            read.clear();
        }
        read.insert(platform.0, (digest, Arc::clone(&book)));
        Ok(book)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], (String, Arc<Book>)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is to say of an outcome beside the rule itself.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// When the payment was made, Unix seconds.
    pub paid_at: i64,
    /// What time it is for whom it is said to.
    pub now: i64,
    /// What the rule counted, this payment included, where that is known.
    pub counters: Option<&'a Counters>,
    /// The rules that paid on the same payment.
    pub paid: &'a [&'a Rule],
}

/// Why a rule with a condition that holds grants nothing.
pub fn due(rule: &Rule, counters: Option<&Counters>) -> words::Due {
    match rule.effect() {
        Some(Effect::Tiers { steps, .. }) => match counters {
            None => words::Due::Tier(None),
            Some(counters) => match steps.iter().find(|step| step.threshold > counters.spend) {
                Some(step) => {
                    words::Due::Tier(Some(words::Missing { spend: counters.spend.0, threshold: step.threshold.0 }))
                }
                None => words::Due::AllTiers,
            },
        },
        Some(Effect::Streak { days, recurring, .. }) => {
            words::Due::Streak { days, recurring, now: counters.map(|counters| counters.streak) }
        }
        Some(Effect::Ratio { .. }) => words::Due::Share,
        Some(Effect::Multiplier { .. }) => words::Due::Multiplier,
        Some(Effect::Fixed { .. }) | None => words::Due::Unknown,
    }
}

impl Book {
    /// What to say of a rule's outcome: its reason and clause, how much it granted or reversed, and what of that went into or
    /// out of the debt.
    pub fn did<'a>(
        &'a self,
        rule: &'a Rule,
        reason: Reason,
        clause: u8,
        (amount, debt): (Decimal, Decimal),
        facts: &Facts<'a>,
    ) -> words::Did<'a> {
        let counted = Self::counted(rule);
        let rejects = rule.on_limit() == OnLimit::Reject;
        match reason {
            Reason::Granted => words::Did::Granted(amount, debt),
            Reason::Reversed => words::Did::Reversed(amount, debt),
            Reason::NotMatched => words::Did::NotMatched(failing(rule, clause), counted),
            Reason::NothingDue => words::Did::NothingDue(due(rule, facts.counters), counted),
            Reason::LateForWindow => words::Did::LateForWindow(counted),
            Reason::Holdout => words::Did::Holdout,
            Reason::UserLimit => {
                let reset = self.reset(rule, facts.paid_at, facts.now);
                let Limits { user_amount, user_count, .. } = rule.limits;
                let limit = words::UserLimit { amount: user_amount.0, count: user_count, rejects, reset };
                words::Did::UserLimit(limit, counted)
            }
            Reason::BudgetSpent => words::Did::BudgetSpent { rejects: rejects && rule.limits.total_amount.0 != 0 },
            Reason::GroupTaken => {
                let by = facts.paid.iter().find(|other| other.group == rule.group && !other.is_multiplier());
                words::Did::GroupTaken(by.map(|other| other.name()))
            }
            Reason::Excluded => {
                let by = facts.paid.iter().find(|other| other.tags.meets(rule.excludes));
                words::Did::Excluded(by.map(|other| other.name()))
            }
            Reason::VaultShort => words::Did::VaultShort,
        }
    }
}

/// The clause of a rule's condition.
fn failing(rule: &Rule, clause: u8) -> Option<&[rule::Predicate]> {
    rule.condition().chunk_by(|one, next| one.clause == next.clause).nth(usize::from(clause))
}
