//! A platform's journal, followed event by event with another rule book from some moment on.

use crate::{
    draft::{Draft, check_assets, take_effect},
    error::BacktestError,
    report::{self, Report},
    tally::{By, Key, Tally},
};
use foldhash::fast::RandomState;
use rebate_client::{
    account::{AssetKind, MAX_OFFSETS},
    event::{AssetEntry, BalanceExpired, Claimed, Event, OutcomeEntry, PaymentRecorded, Redeemed, RefundRecorded},
    replay::{AssetTerms, KnownFunds, Ledger, OrderIndex, Terms, UserIndex},
};
use rebate_core::{
    outcome::{Outcome, Reason},
    payment::Payment,
    time::UtcOffset,
    units::{Amount, AssetId, MAX_ASSETS, RuleId, RuleVersion, Seconds, Timestamp},
};
use std::collections::HashMap;

/// How many events are looked at together, so that they wait for memory together.
const TOGETHER: usize = 64;

/// The number of `SettingChanged` for the lateness.
const MAX_LATENESS: u8 = 1;

/// The time that is tested, by when payments were made; Unix seconds, 0 for open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first second.
    pub from: Timestamp,
    /// The first second that is no longer in it.
    pub to: Timestamp,
}

impl Range {
    /// Whether `at` is in it.
    pub fn has(&self, at: Timestamp) -> bool {
        self.begins_by(at) && (self.to.0 == 0 || at < self.to)
    }

    /// Whether `at` is its beginning or later.
    fn begins_by(&self, at: Timestamp) -> bool {
        self.from.0 == 0 || at >= self.from
    }
}

/// How far a rule came at the end of the time that is tested.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub amount: u64,
    pub grants: u64,
}

/// A journal that is followed.
pub struct Followed {
    draft: Draft,
    pub(crate) range: Range,
    /// The greatest lateness that held so far, or is to come; seconds.
    lateness: i64,
    ledger: Ledger,
    pub(crate) assets: Vec<AssetEntry>,
    /// Of the last version published, by rule.
    names: HashMap<u16, String>,
    /// Whether the draft decides already.
    taken: bool,
    users: HashMap<[u8; 32], UserIndex, RandomState>,
    /// Which payments are refunded some time, by the refund's place in the journal.
    refunds: HashMap<u64, u64, RandomState>,
    refunded: std::collections::HashSet<u64, RandomState>,
    known: KnownFunds,
    /// What each vault held, by the events.
    funds: [u64; MAX_ASSETS],
    pub(crate) tally: Tally,
    /// The line of each rule of the book.
    lines: Vec<usize>,
    /// The lines of the last payment's real outcomes, which the next one's mostly are, too.
    seen: Vec<(Key, usize)>,
    /// By rule, at the last event that counted; whether something counted since.
    pub(crate) spent: HashMap<u16, Spent>,
    counted: bool,
    met: Vec<UserIndex>,
    pub(crate) figures: Figures,
    over: bool,
}

/// What is told besides grants.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub events: u64,
    pub warm_up: u64,
    pub payments: u64,
    pub paid: u128,
    pub refunds: u64,
    pub refunded: u128,
    /// Payments that the draft's balances could not have taken.
    pub refused: u64,
    /// Payments of the published rules that do not come to what was granted.
    pub differing: u64,
}

impl Followed {
    /// A journal before its first event. `refunds` are the places in the journal of every refund and of the payment it is of.
    pub fn new(draft: Draft, range: Range, refunds: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let refunds: HashMap<_, _, RandomState> = refunds.into_iter().collect();
        let refunded = refunds.values().copied().collect();
        Self {
            draft,
            range,
            lateness: 0,
            ledger: Ledger::new(Terms::default()),
            assets: Vec::new(),
            names: HashMap::new(),
            taken: false,
            users: HashMap::default(),
            refunds,
            refunded,
            known: KnownFunds::default(),
            funds: [0; MAX_ASSETS],
            tally: Tally::new(1),
            lines: Vec::new(),
            seen: Vec::new(),
            spent: HashMap::new(),
            counted: false,
            met: Vec::with_capacity(TOGETHER),
            figures: Figures::default(),
            over: false,
        }
    }

    /// The same, where the lateness is `seconds` some time after what will be followed.
    pub fn with_lateness(self, seconds: u32) -> Self {
        Self { lateness: self.lateness.max(seconds.into()), ..self }
    }

    /// How many events were followed.
    pub fn events(&self) -> u64 {
        self.figures.events
    }

    /// Whether nothing can come any more that counts.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Goes on with the next events of the journal.
    ///
    /// # Errors
    /// [`BacktestError`]: the draft is none for this platform, or the journal is not whole.
    pub fn follow(&mut self, events: &[Event]) -> Result<(), BacktestError> {
        for some in events.chunks(TOGETHER) {
            self.met.clear();
            for event in some {
                if let Event::PaymentRecorded(payment) = event {
                    let next = UserIndex(self.users.len());
                    self.met.push(*self.users.entry(payment.user).or_insert(next));
                }
            }
            self.ledger.look_ahead(&self.met);
            let mut payers = std::mem::take(&mut self.met);
            let mut payer = payers.iter();
            for event in some {
                if self.over {
                    break;
                }
                self.event(event, &mut payer)?;
            }
            payers.clear();
            self.met = payers;
        }
        Ok(())
    }

    /// What it came to.
    ///
    /// # Errors
    /// [`BacktestError::Draft`], where the draft's turn did not come and it is none.
    pub fn report(mut self) -> Result<Report, BacktestError> {
        self.hand_over()?;
        self.settle();
        Ok(report::of(&self))
    }

    /// The rules tested, as far as they came.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What a rule is called: by the draft, or by its last version.
    pub(crate) fn name(&self, rule: u16) -> String {
        let drafted = self.draft.file().and_then(|file| file.rules.iter().find(|one| one.id == rule));
        drafted.map(|rule| &rule.name).or_else(|| self.names.get(&rule)).cloned().unwrap_or_default()
    }

    /// What is tested.
    pub(crate) fn draft(&self) -> &Draft {
        &self.draft
    }

    /// By number, for an order that is the same each time.
    pub(crate) fn keys(&self) -> Vec<[u8; 32]> {
        let mut keys = vec![[0; 32]; self.users.len()];
        for (key, user) in &self.users {
            if let Some(slot) = keys.get_mut(user.0) {
                *slot = *key;
            }
        }
        keys
    }

    fn event<'a>(
        &mut self,
        event: &Event,
        payer: &mut impl Iterator<Item = &'a UserIndex>,
    ) -> Result<(), BacktestError> {
        let (expected, found) = (self.figures.events, event.journal_index());
        if expected != found {
            return Err(BacktestError::Gap { expected, found });
        }
        self.figures.events = expected.saturating_add(1);
        if self.range.to.0 != 0 && event.at() >= self.range.to.0.saturating_add(self.lateness) {
            self.over = true;
            return Ok(());
        }
        match event {
            Event::PaymentRecorded(payment) => {
                let Some(user) = payer.next() else { return Ok(()) };
                self.pay(*user, payment)
            }
            Event::RefundRecorded(refund) => {
                self.refund(refund);
                Ok(())
            }
            Event::Redeemed(redeemed) => {
                self.redeem(redeemed);
                Ok(())
            }
            Event::BalanceExpired(expired) => {
                self.expire(expired);
                Ok(())
            }
            Event::Claimed(claimed) => {
                self.claim(claimed);
                Ok(())
            }
            other => self.govern(other),
        }
    }

    /// Lets the draft decide from here on, once.
    fn hand_over(&mut self) -> Result<(), BacktestError> {
        if self.taken {
            return Ok(());
        }
        self.taken = true;
        let Draft::File(file) = &self.draft else { return Ok(()) };
        check_assets(file, &self.assets)?;
        for (id, funds) in (1..).zip(&mut self.funds) {
            *funds = self.ledger.vault(AssetId(id)).map_or(0, |vault| vault.funds.0);
        }
        let mut terms = self.ledger.terms().clone();
        let more = file.assets.iter().skip(terms.assets.len());
        terms.assets.extend(more.map(AssetTerms::from));
        self.ledger.set_terms(terms);
        take_effect(&mut self.ledger, &file.rules, self.range.from)?;
        self.number_lines();
        Ok(())
    }

    /// Finds the lines of the book's rules.
    fn number_lines(&mut self) {
        let Self { ledger, tally, lines, .. } = self;
        lines.clear();
        lines.extend(ledger.rules().iter().map(|rule| tally.line(Key { rule: rule.id.0, asset: rule.asset().0 })));
    }

    fn pay(&mut self, user: UserIndex, paid: &PaymentRecorded) -> Result<(), BacktestError> {
        let (payment, now) = (Payment::from(paid), Timestamp(paid.at));
        if self.range.begins_by(payment.paid_at) {
            self.hand_over()?;
        }
        let counts = self.range.has(payment.paid_at);
        if counts {
            self.counted = true;
            self.figures.payments = self.figures.payments.saturating_add(1);
            self.figures.paid = self.figures.paid.saturating_add(paid.amount.into());
            self.tally.paid(user, paid.amount);
            self.really(user, &paid.outcomes);
        } else {
            self.settle();
            if !self.range.begins_by(payment.paid_at) {
                self.figures.warm_up = self.figures.warm_up.saturating_add(1);
            }
        }
        let as_published = !self.taken || self.draft == Draft::Published;
        if as_published {
            self.known.allow(&mut self.ledger, &paid.outcomes, &[]);
        }
        let kept = usize::try_from(paid.journal_index).ok().filter(|_| self.refunded.contains(&paid.journal_index));
        let Ok(decided) = self.ledger.pay_taken(kept.map(OrderIndex), user, &payment, now) else {
            self.figures.refused = self.figures.refused.saturating_add(1);
            return Ok(());
        };
        if as_published && !same(decided.outcomes, &paid.outcomes) {
            self.figures.differing = self.figures.differing.saturating_add(1);
        }
        if counts {
            for outcome in decided.outcomes {
                let Some(line) = self.lines.get(outcome.slot) else { continue };
                self.tally.outcome(By::Draft, *line, user, outcome.reason, outcome.amount.0);
            }
        }
        Ok(())
    }

    /// What every rule in force really did.
    fn really(&mut self, user: UserIndex, outcomes: &[OutcomeEntry]) {
        for (at, outcome) in outcomes.iter().enumerate() {
            let Some(reason) = Reason::from_number(outcome.reason) else { continue };
            let key = Key { rule: outcome.rule, asset: outcome.asset };
            let line = match self.seen.get(at) {
                Some((seen, line)) if *seen == key => *line,
                _ => {
                    let line = self.tally.line(key);
                    match self.seen.get_mut(at) {
                        Some(seen) => *seen = (key, line),
                        None => self.seen.push((key, line)),
                    }
                    line
                }
            };
            self.tally.outcome(By::Really, line, user, reason, outcome.amount);
        }
    }

    /// Keeps how far the rules came, before something is decided that does not count.
    fn settle(&mut self) {
        if !std::mem::take(&mut self.counted) {
            return;
        }
        self.spent.clear();
        let mut rules: Vec<_> = self.ledger.rules().iter().collect();
        // What the last version counts is of all.
        rules.sort_by_key(|rule| rule.version);
        for rule in rules {
            let spent = Spent { amount: rule.budget_spent.0, grants: rule.budget_grants };
            self.spent.insert(rule.id.0, spent);
        }
    }

    fn refund(&mut self, refund: &RefundRecorded) {
        let counts = self.range.has(Timestamp(refund.paid_at));
        if counts {
            self.counted = true;
            self.figures.refunds = self.figures.refunds.saturating_add(1);
            self.figures.refunded = self.figures.refunded.saturating_add(refund.amount.into());
            for outcome in &refund.outcomes {
                let line = self.tally.line(Key { rule: outcome.rule, asset: outcome.asset });
                self.tally.reversed(By::Really, line, outcome.amount);
            }
        } else {
            self.settle();
        }
        let Some(of) = self.refunds.get(&refund.journal_index).and_then(|of| usize::try_from(*of).ok()) else { return };
        // A payment that the draft's balances could not take cannot be refunded either.
        let Ok(decided) = self.ledger.refund_taken(OrderIndex(of), Amount(refund.amount), Timestamp(refund.at)) else {
            return;
        };
        if counts {
            for outcome in decided.outcomes {
                let line = self.tally.line(Key { rule: outcome.rule.0, asset: outcome.asset.0 });
                self.tally.reversed(By::Draft, line, outcome.amount.0);
            }
        }
    }

    fn user(&self, key: &[u8; 32]) -> Option<UserIndex> {
        self.users.get(key).copied().filter(|user| self.ledger.payments_of(*user).0 > 0)
    }

    fn expire(&mut self, expired: &BalanceExpired) {
        if let Some(user) = self.user(&expired.user) {
            self.ledger.expire(user, Timestamp(expired.at));
        }
    }

    /// Takes as much of what was really taken as there is by the draft.
    fn redeem(&mut self, redeemed: &Redeemed) {
        let Some(user) = self.user(&redeemed.user) else { return };
        self.ledger.expire(user, Timestamp(redeemed.at));
        let most = self.balance(user, redeemed.asset).min(redeemed.amount);
        if most > 0 {
            // There is so much.
            let _ = self.ledger.claim(user, AssetId(redeemed.asset), Amount(most));
        }
    }

    /// Takes all there is by the draft, as a claim does.
    fn claim(&mut self, claimed: &Claimed) {
        let asset = AssetId(claimed.asset);
        if let Some(funds) = asset.slot().and_then(|slot| self.funds.get_mut(slot)) {
            *funds = funds.saturating_sub(claimed.amount);
        }
        if let Some(user) = self.user(&claimed.user) {
            self.ledger.expire(user, Timestamp(claimed.at));
            let all = self.balance(user, claimed.asset);
            if all > 0 {
                // There is so much.
                let _ = self.ledger.claim(user, asset, Amount(all));
            }
        }
        self.known.claimed(asset);
    }

    fn balance(&self, user: UserIndex, asset: u8) -> u64 {
        let balances = self.ledger.balances(user);
        AssetId(asset).slot().and_then(|slot| balances.get(slot)).map_or(0, |balance| balance.total().0)
    }

    fn govern(&mut self, event: &Event) -> Result<(), BacktestError> {
        if let Event::RulePublished(published) = event {
            self.names.insert(published.rule.id, published.rule.name.clone());
        }
        match event {
            Event::PlatformCreated(created) => {
                self.assets.clone_from(&created.assets);
                self.lateness = self.lateness.max(created.max_lateness.into());
                let lateness = Seconds(created.max_lateness);
                self.ledger.set_terms(Terms::new(&created.offsets, lateness, &created.assets));
                for (id, asset) in (1..).zip(&created.assets) {
                    self.back(AssetId(id), asset);
                }
                Ok(())
            }
            Event::AssetAdded(added) => {
                self.assets.push(added.entry);
                let mut terms = self.ledger.terms().clone();
                // The draft may have had it already.
                if terms.assets.len() < self.assets.len() {
                    terms.assets.push((&added.entry).into());
                }
                self.ledger.set_terms(terms);
                self.back(AssetId(added.asset), &added.entry);
                Ok(())
            }
            Event::OffsetAdded(added) => {
                let mut terms = self.ledger.terms().clone();
                // As the program does: a full table loses its oldest row.
                if terms.offsets.len() >= MAX_OFFSETS {
                    terms.offsets.remove(0);
                }
                terms.offsets.push(UtcOffset::new(Timestamp(added.offset.from), added.offset.seconds));
                self.ledger.set_terms(terms);
                Ok(())
            }
            Event::SettingChanged(changed) if changed.setting == MAX_LATENESS => {
                self.lateness = self.lateness.max(changed.value.into());
                Ok(())
            }
            Event::Deposited(deposited) => {
                self.moved(AssetId(deposited.asset), deposited.funds);
                Ok(())
            }
            Event::SurplusWithdrawn(withdrawn) => {
                self.moved(AssetId(withdrawn.asset), withdrawn.funds);
                Ok(())
            }
            Event::RulePublished(_) | Event::RuleEnded(_) | Event::RuleDropped(_)
                if self.taken && self.draft != Draft::Published =>
            {
                Ok(())
            }
            Event::RulePublished(published) => {
                let done = self.ledger.publish(&published.rule, Timestamp(published.effective_at));
                self.book_changed(published.journal_index, done.map_err(|error| error.to_string()))
            }
            Event::RuleEnded(ended) => {
                let done = self.ledger.end_rule(RuleId(ended.rule), Timestamp(ended.ends_at));
                self.book_changed(ended.journal_index, done.map_err(|error| error.to_string()))
            }
            Event::RuleDropped(dropped) => {
                let done = self.ledger.drop_rule(RuleId(dropped.rule), RuleVersion(dropped.version));
                self.book_changed(dropped.journal_index, done.map_err(|error| error.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn book_changed(&mut self, index: u64, done: Result<(), String>) -> Result<(), BacktestError> {
        done.map_err(|why| BacktestError::Contradiction { index, why })?;
        self.number_lines();
        Ok(())
    }

    /// A token is backed by its vault, which holds nothing before the first deposit.
    fn back(&mut self, id: AssetId, asset: &AssetEntry) {
        if asset.kind == AssetKind::Token as u8 {
            self.ledger.set_funds(id, Amount(0));
        }
    }

    /// A vault holds `funds` now. By the draft others may have claimed, so that only the difference counts.
    fn moved(&mut self, asset: AssetId, funds: u64) {
        let Some(before) = asset.slot().and_then(|slot| self.funds.get_mut(slot)) else { return };
        let had = std::mem::replace(before, funds);
        if !self.taken || self.draft == Draft::Published {
            self.ledger.set_funds(asset, Amount(funds));
            self.known.told(asset);
            return;
        }
        let holds = self.ledger.vault(asset).map_or(0, |vault| vault.funds.0);
        let now = match funds.checked_sub(had) {
            Some(more) => holds.saturating_add(more),
            None => holds.saturating_sub(had.saturating_sub(funds)),
        };
        self.ledger.set_funds(asset, Amount(now));
    }
}

/// Whether rules came to what an event says.
fn same(decided: &[Outcome], said: &[OutcomeEntry]) -> bool {
    decided.len() == said.len()
        && decided.iter().zip(said).all(|(one, other)| {
            (one.rule.0, one.version.0, one.reason as u8, one.clause)
                == (other.rule, other.version, other.reason, other.clause)
                && (one.asset.0, one.amount.0, one.before.0, one.after.0)
                    == (other.asset, other.amount, other.before, other.after)
        })
}
