//! The platform itself, with users and orders by number.

use super::vault::Vault;
use crate::{
    account::{Asset, AssetKind, Platform},
    event::{AssetEntry, OffsetEntry, RuleDefinition},
};
use rebate_core::{
    admission::Admission,
    balance::{Balance, Balances},
    book::{self, NotNext},
    counters::Counters,
    evaluate::{Context, CountersByScope, Evaluation, Stop, UNLIMITED},
    expiry::{Expired, Periods, expire},
    outcome::{Outcome, Reason},
    payment::Payment,
    redemption,
    refund::{Grant, RefundedOrder, Reversal},
    refusal::Refusal,
    rule::{InvalidRule, Rule},
    time::{LocalTime, UtcOffset},
    units::{Amount, AssetId, Day, MAX_ASSETS, Months, PaymentNumber, RuleId, RuleVersion, Seconds, Timestamp},
    window::Scope,
};
use std::{collections::HashMap, hint::black_box};
use thiserror::Error;

/// A user, numbered from 0 without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserIndex(pub usize);

/// An order number, numbered from 0 without gaps: payments, refunds and redemptions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderIndex(pub usize);

/// What a platform decides by, besides its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Local time, by date.
    pub offsets: Vec<UtcOffset>,
    /// How far back a record may lie.
    pub max_lateness: Seconds,
    /// The first day whose orders are still remembered.
    pub open_from: Day,
    /// What can be granted; the first is asset 1. At most 8.
    pub assets: Vec<AssetTerms>,
}

/// What the ledger has to know of an asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssetTerms {
    /// Whether users redeem it with the platform: points and vouchers; a token is claimed.
    pub redeemable: bool,
    /// The calendar period it expires by; 0 for never.
    pub expiry: Months,
}

impl AssetTerms {
    fn new(kind: u8, expiry: Months) -> Self {
        Self {
            redeemable: matches!(AssetKind::from_number(kind), Some(AssetKind::Points | AssetKind::Voucher)),
            expiry,
        }
    }
}

impl From<&AssetEntry> for AssetTerms {
    fn from(entry: &AssetEntry) -> Self {
        Self::new(entry.kind, Months(entry.expiry_months))
    }
}

impl From<&Asset> for AssetTerms {
    fn from(asset: &Asset) -> Self {
        Self::new(asset.kind, asset.expiry_months)
    }
}

impl Terms {
    /// The terms a platform is created with.
    pub fn new(offsets: &[OffsetEntry], max_lateness: Seconds, assets: &[AssetEntry]) -> Self {
        Self {
            offsets: offsets.iter().map(|row| UtcOffset::new(Timestamp(row.from), row.seconds)).collect(),
            max_lateness,
            open_from: Day(0),
            assets: assets.iter().map(Into::into).collect(),
        }
    }

    /// The terms of a platform on the chain, as they are at `now`.
    pub fn of_platform(platform: &Platform, now: Timestamp) -> Self {
        Self {
            offsets: platform.offsets().to_vec(),
            max_lateness: Seconds(platform.max_lateness.at(now)),
            open_from: Day(platform.open_from),
            assets: platform.assets().iter().map(Into::into).collect(),
        }
    }

    fn periods(&self) -> Periods {
        let mut periods = Periods::default();
        for (period, asset) in periods.iter_mut().zip(&self.assets) {
            *period = asset.expiry;
        }
        periods
    }
}

/// Why a rule version was not published. Nothing was changed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotPublished {
    /// It is no sound rule.
    #[error("no sound rule: {0:?}")]
    Invalid(InvalidRule),
    /// It does not follow what is in the book.
    #[error("not the next version: {0:?}")]
    NotNext(NotNext),
}

/// The book has no such rule version, or it ends already.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the book has no such rule version, or it ends already")]
pub struct NoSuchRule;

/// What an accepted payment or refund came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided<'a> {
    /// What every rule in force did with a payment, in rule order; of a refund, the grants that lose something.
    pub outcomes: &'a [Outcome],
    /// What of the user's balances had expired before.
    pub expired: &'a [Expired],
}

/// What an accepted redemption came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redeemed<'a> {
    /// The balance before, after what expired.
    pub before: Amount,
    /// And after.
    pub after: Amount,
    /// What of the user's balances had expired before.
    pub expired: &'a [Expired],
}

/// One user.
#[derive(Debug, Default)]
struct User {
    payments: u64,
    counters: Vec<Counters>,
}

/// What everybody has, by user and asset slot. Only of as many assets as there are: most platforms have one or two, and a
/// simulation has millions of users.
#[derive(Debug, Default)]
struct Holdings {
    /// Of how many assets.
    assets: usize,
    balances: Vec<Balance>,
}

impl Holdings {
    /// Room for one more user.
    fn push(&mut self) {
        self.balances.resize(self.balances.len().saturating_add(self.assets), Balance::default());
    }

    /// Room for `assets` assets, of `users` users.
    fn widen(&mut self, assets: usize, users: usize) {
        if assets <= self.assets {
            return;
        }
        let mut wider = Self { assets, balances: vec![Balance::default(); assets.saturating_mul(users)] };
        for user in 0..users {
            wider.store(UserIndex(user), &self.of(UserIndex(user)));
        }
        *self = wider;
    }

    #[inline]
    fn row(&self, user: UserIndex) -> &[Balance] {
        let begin = user.0.saturating_mul(self.assets);
        self.balances.get(begin..begin.saturating_add(self.assets)).unwrap_or_default()
    }

    #[inline]
    fn of(&self, user: UserIndex) -> Balances {
        let mut balances = Balances::default();
        for (balance, stored) in balances.iter_mut().zip(self.row(user)) {
            *balance = *stored;
        }
        balances
    }

    #[inline]
    fn store(&mut self, user: UserIndex, balances: &Balances) {
        let begin = user.0.saturating_mul(self.assets);
        let row = self.balances.get_mut(begin..begin.saturating_add(self.assets)).unwrap_or_default();
        for (stored, balance) in row.iter_mut().zip(balances) {
            *stored = *balance;
        }
    }
}

/// What a refund needs to know of an order.
#[derive(Debug)]
struct PaidOrder {
    user: UserIndex,
    streamer: u64,
    session: u64,
    order: RefundedOrder,
    grants: Vec<Grant>,
}

/// The counters towards streamers, or in sessions.
type Scoped = HashMap<(UserIndex, u64), Vec<Counters>>;

/// A platform: what it grants by, and what everybody has.
#[derive(Debug, Default)]
pub struct Ledger {
    terms: Terms,
    periods: Periods,
    /// Whether any asset expires.
    expires: bool,
    /// In order of evaluation.
    rules: Vec<Rule>,
    /// How many rules there are of each scope: so much room a user's counters may need at once.
    rules_of: [usize; Scope::ALL.len()],
    users: Vec<User>,
    holdings: Holdings,
    streamers: Scoped,
    sessions: Scoped,
    /// Whether an order number was taken, by its index.
    taken: Vec<bool>,
    /// The payments that can be refunded.
    paid: HashMap<OrderIndex, PaidOrder>,
    payments: u64,
    /// Of tokens whose funds are counted, by asset slot.
    vaults: [Option<Vault>; MAX_ASSETS],
    /// Whether any vault's are.
    funded: bool,
    evaluation: Evaluation,
    reversal: Reversal,
    expired: Vec<Expired>,
}

impl Ledger {
    /// A platform on these terms, before its first record and without rules. Every vault is unlimited.
    pub fn new(terms: Terms) -> Self {
        let mut ledger = Self::default();
        ledger.set_terms(terms);
        ledger
    }

    /// What it decides by.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Goes on by other terms: another table of offsets, another lateness, one asset more, a day closed.
    pub fn set_terms(&mut self, terms: Terms) {
        self.periods = terms.periods();
        self.expires = self.periods.iter().any(|months| months.0 != 0);
        self.holdings.widen(terms.assets.len().min(MAX_ASSETS), self.users.len());
        self.terms = terms;
    }

    /// The rule book, in order of evaluation.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Takes over the rule book of a platform on the chain, with its totals.
    pub fn set_rules(&mut self, mut rules: Vec<Rule>) {
        rules.sort_by_key(Rule::order);
        self.rules = rules;
        self.count_rules();
    }

    /// Publishes a rule version for payments from `effective_at` on; 0 for ever.
    ///
    /// # Errors
    /// [`NotPublished`]; nothing was changed.
    pub fn publish(&mut self, definition: &RuleDefinition, effective_at: Timestamp) -> Result<(), NotPublished> {
        let mut rule = definition.rule(effective_at).map_err(NotPublished::Invalid)?;
        let slot = book::succeed(&mut self.rules, &mut rule).map_err(NotPublished::NotNext)?;
        self.rules.insert(slot.min(self.rules.len()), rule);
        self.count_rules();
        Ok(())
    }

    /// Ends the last version of a rule for payments from `ends_at` on.
    ///
    /// # Errors
    /// [`NoSuchRule`].
    pub fn end_rule(&mut self, id: RuleId, ends_at: Timestamp) -> Result<(), NoSuchRule> {
        book::end(&mut self.rules, id, ends_at).map(drop).map_err(|_| NoSuchRule)
    }

    /// Drops a rule version for which no payment can come any more.
    ///
    /// # Errors
    /// [`NoSuchRule`].
    pub fn drop_rule(&mut self, id: RuleId, version: RuleVersion) -> Result<(), NoSuchRule> {
        let slot = self.rules.iter().position(|rule| rule.id == id && rule.version == version).ok_or(NoSuchRule)?;
        self.rules.remove(slot);
        let siblings = self.rules.iter().filter(|rule| rule.id == id).count();
        for rule in self.rules.iter_mut().filter(|rule| rule.id == id) {
            rule.has_siblings = u8::from(siblings > 1);
        }
        self.count_rules();
        Ok(())
    }

    /// Counters belong to a rule, whatever its version.
    fn count_rules(&mut self) {
        let assets = self.rules.iter().map(|rule| usize::from(rule.asset().0)).max();
        self.holdings.widen(assets.unwrap_or(0).min(MAX_ASSETS), self.users.len());
        for (scope, count) in Scope::ALL.into_iter().zip(&mut self.rules_of) {
            let mut rules: Vec<_> =
                self.rules.iter().filter(|rule| rule.scope() == scope).map(|rule| rule.id).collect();
            rules.sort_unstable();
            rules.dedup();
            *count = rules.len();
        }
    }

    /// The vault of an asset; `None` while it is unlimited.
    pub fn vault(&self, asset: AssetId) -> Option<Vault> {
        self.vaults.get(asset.slot()?).copied().flatten()
    }

    /// From now on a vault holds `funds`, and grants are short where that is not enough. What users have of the asset is
    /// counted once here.
    pub fn set_funds(&mut self, asset: AssetId, funds: Amount) {
        let Some(slot) = asset.slot() else { return };
        let counted = self.vault(asset).map(|vault| vault.liability);
        let liability = counted.unwrap_or_else(|| {
            let balances = (0..self.users.len()).filter_map(|user| self.holdings.row(UserIndex(user)).get(slot));
            Amount(balances.fold(0u64, |sum, balance| sum.saturating_add(balance.total().0)))
        });
        if let Some(vault) = self.vaults.get_mut(slot) {
            *vault = Some(Vault { funds, liability });
            self.funded = true;
        }
    }

    /// A user takes `amount` of a token out of its vault. Returns the balance before and after.
    ///
    /// # Errors
    /// [`Refusal::InsufficientBalance`] if the user has less; nothing was changed.
    pub fn claim(&mut self, user: UserIndex, asset: AssetId, amount: Amount) -> Result<(Amount, Amount), Refusal> {
        let mut balances = self.holdings.of(user);
        let (before, after) = redemption::redeem(&mut balances, asset, amount)?;
        self.holdings.store(user, &balances);
        if let Some(vault) = asset.slot().and_then(|slot| self.vaults.get_mut(slot)?.as_mut()) {
            vault.moves(before, after);
            vault.funds = Amount(vault.funds.0.saturating_sub(amount.0));
        }
        Ok((before, after))
    }

    /// Lets expire what of a user's balances is over when the clock shows `now`. Returns what did.
    pub fn expire(&mut self, user: UserIndex, now: Timestamp) -> &[Expired] {
        self.expired.clear();
        let before = self.holdings.of(user);
        let mut balances = before;
        let local = LocalTime::at(now, &self.terms.offsets);
        expire(&mut balances, &self.periods, local, |expired| self.expired.push(expired));
        follow(&mut self.vaults, &before, &balances);
        self.holdings.store(user, &balances);
        &self.expired
    }

    /// How many payments were accepted.
    pub fn payments(&self) -> u64 {
        self.payments
    }

    /// How many payments of a user were accepted.
    pub fn payments_of(&self, user: UserIndex) -> PaymentNumber {
        PaymentNumber(self.users.get(user.0).map_or(0, |user| user.payments))
    }

    /// A user's balances, by asset slot.
    pub fn balances(&self, user: UserIndex) -> Balances {
        self.holdings.of(user)
    }

    /// What rules count of a user: the user's own counters, or those of a streamer or a session.
    pub fn counters(&self, user: UserIndex, scope: Scope, id: u64) -> &[Counters] {
        let counters = match scope {
            Scope::User => self.users.get(user.0).map(|user| &user.counters),
            Scope::UserStreamer => self.streamers.get(&(user, id)),
            Scope::UserSession => self.sessions.get(&(user, id)),
        };
        counters.map_or(&[], Vec::as_slice)
    }

    /// Reads what payments of `users` will need. Who knows several payments ahead calls this for all of them, and waits for
    /// memory once rather than for each.
    #[inline]
    pub fn look_ahead(&self, users: &[UserIndex]) {
        // First what says where the rest is.
        for user in users.iter().filter_map(|user| self.users.get(user.0)) {
            black_box(user.payments);
        }
        for balance in users.iter().flat_map(|user| self.holdings.row(*user)) {
            black_box(balance.debt);
        }
        for counters in users.iter().filter_map(|user| self.users.get(user.0)).flat_map(|user| &user.counters) {
            black_box(counters.payments);
        }
    }

    /// How many counters there are, of all users and scopes.
    pub fn counters_kept(&self) -> usize {
        let users = self.users.iter().map(|user| user.counters.len()).sum::<usize>();
        let scoped = self.streamers.values().chain(self.sessions.values()).map(Vec::len).sum::<usize>();
        users.saturating_add(scoped)
    }

    /// How many orders are kept for a refund.
    pub fn orders_kept(&self) -> usize {
        self.paid.len()
    }

    /// What a payment was and what it granted, if it was kept: whose it is, what was paid and refunded, the grants.
    pub fn paid(&self, order: OrderIndex) -> Option<(UserIndex, &RefundedOrder, &[Grant])> {
        self.paid.get(&order).map(|paid| (paid.user, &paid.order, paid.grants.as_slice()))
    }

    /// The counters of every user towards each streamer, or in each session: whose, its number, and what is counted.
    pub fn scoped(&self, scope: Scope) -> impl Iterator<Item = (UserIndex, u64, &[Counters])> {
        let scoped = match scope {
            Scope::User => None,
            Scope::UserStreamer => Some(&self.streamers),
            Scope::UserSession => Some(&self.sessions),
        };
        scoped.into_iter().flatten().map(|((user, id), counters)| (*user, *id, counters.as_slice()))
    }

    /// Checks what all kinds of record are checked for.
    fn admit(&self, order: OrderIndex, amount: Amount, at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        let admission = Admission::new(now, self.terms.max_lateness).closed_before(self.terms.open_from);
        admission.check(amount, at)?;
        match self.taken.get(order.0) {
            Some(true) => Err(Refusal::DuplicateOrder),
            _ => Ok(()),
        }
    }

    fn take(&mut self, order: OrderIndex) {
        if self.taken.len() <= order.0 {
            self.taken.resize(order.0.saturating_add(1), false);
        }
        if let Some(taken) = self.taken.get_mut(order.0) {
            *taken = true;
        }
    }

    /// Records a payment of `user` while the clock shows `now`. A payment that is not to be `kept` cannot be refunded: its
    /// refund would be one of an unknown order.
    ///
    /// # Errors
    /// The [`Refusal`]; nothing was changed.
    pub fn pay(
        &mut self,
        order: OrderIndex,
        user: UserIndex,
        payment: &Payment,
        now: Timestamp,
        kept: bool,
    ) -> Result<Decided<'_>, Refusal> {
        self.admit(order, payment.amount, payment.paid_at, now)?;
        self.put(kept.then_some(order), user, payment, now)?;
        self.take(order);
        Ok(Decided { outcomes: self.evaluation.outcomes(), expired: &self.expired })
    }

    /// Records a payment that the chain took at `now`, for who follows what was taken and needs no order looked up: neither
    /// its age nor whether the order was taken before is asked again. It can be refunded as `kept`, by any number of its own.
    ///
    /// # Errors
    /// [`Refusal::AmountOverflow`]; nothing was changed.
    #[inline]
    pub fn pay_taken(
        &mut self,
        kept: Option<OrderIndex>,
        user: UserIndex,
        payment: &Payment,
        now: Timestamp,
    ) -> Result<Decided<'_>, Refusal> {
        self.put(kept, user, payment, now)?;
        Ok(Decided { outcomes: self.evaluation.outcomes(), expired: &self.expired })
    }

    #[inline]
    fn put(
        &mut self,
        kept: Option<OrderIndex>,
        user: UserIndex,
        payment: &Payment,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        while self.users.len() <= user.0 {
            self.users.push(User::default());
            self.holdings.push();
        }
        // Always there, by the line before.
        let payer = self.users.get_mut(user.0).ok_or(Refusal::AmountOverflow)?;
        let mut vaults = if self.funded { self.vaults } else { [None; MAX_ASSETS] };
        self.expired.clear();
        let had = self.holdings.of(user);
        let mut balances = had;
        if self.expires {
            let local = LocalTime::at(now, &self.terms.offsets);
            expire(&mut balances, &self.periods, local, |expired| self.expired.push(expired));
            if self.funded {
                follow(&mut vaults, &had, &balances);
            }
        }
        let free = self.funded.then(|| vaults.map(|vault| vault.map_or(UNLIMITED, |vault| vault.free())));
        let context = Context {
            rules: &self.rules,
            offsets: &self.terms.offsets,
            number: PaymentNumber(payer.payments.saturating_add(1)),
            free: free.as_ref(),
        };
        let left = balances;
        let (mut no_streamer, mut no_session) = (Vec::new(), Vec::new());
        let (streamer_key, session_key) = ((user, payment.streamer), (user, payment.session));
        let streamer = brought(&mut self.streamers, &streamer_key, self.rules_of[1], &mut no_streamer);
        let session = brought(&mut self.sessions, &session_key, self.rules_of[2], &mut no_session);
        let mut grown = false;
        loop {
            let counters = CountersByScope {
                user: &mut payer.counters,
                streamer: Some(&mut *streamer),
                session: Some(&mut *session),
            };
            balances = left;
            match self.evaluation.decide(payment, &context, &mut balances, &counters) {
                Ok(()) => break,
                Err(Stop::Refused(refusal)) => {
                    trim(&mut payer.counters);
                    trim(streamer);
                    trim(session);
                    return Err(refusal);
                }
                // All scopes are brought; now with room for every rule of this one.
                Err(Stop::NoRoom(_, scope) | Stop::MissingCounters(_, scope)) => {
                    grown = true;
                    match scope {
                        Scope::User => grow(&mut payer.counters, self.rules_of[0]),
                        Scope::UserStreamer => grow(streamer, self.rules_of[1]),
                        Scope::UserSession => grow(session, self.rules_of[2]),
                    }
                }
            }
        }
        if self.funded {
            follow(&mut vaults, &left, &balances);
        }
        let mut counters =
            CountersByScope { user: &mut payer.counters, streamer: Some(&mut *streamer), session: Some(&mut *session) };
        self.evaluation.commit(&mut self.rules, &mut counters);
        self.holdings.store(user, &balances);
        payer.payments = payer.payments.saturating_add(1);
        self.payments = self.payments.saturating_add(1);
        if self.funded {
            self.vaults = vaults;
        }
        if grown {
            trim(&mut payer.counters);
            trim(streamer);
            trim(session);
            keep(&mut self.streamers, streamer_key, no_streamer);
            keep(&mut self.sessions, session_key, no_session);
        }
        if let Some(order) = kept {
            let granted = self.evaluation.outcomes().iter().filter(|outcome| outcome.reason == Reason::Granted);
            let grants = granted
                .map(|outcome| Grant::new(outcome.rule, outcome.version, outcome.asset, outcome.amount))
                .collect();
            let paid = RefundedOrder { paid: payment.amount, paid_at: payment.paid_at, refunded: Amount(0) };
            let (streamer, session) = (payment.streamer, payment.session);
            self.paid.insert(order, PaidOrder { user, streamer, session, order: paid, grants });
        }
        Ok(())
    }

    /// Records a refund of the order `of`, `None` for one nobody recorded, while the clock shows `now`.
    ///
    /// # Errors
    /// The [`Refusal`]; nothing was changed.
    pub fn refund(
        &mut self,
        order: OrderIndex,
        of: Option<OrderIndex>,
        amount: Amount,
        paid_at: Timestamp,
        now: Timestamp,
    ) -> Result<Decided<'_>, Refusal> {
        self.admit(order, amount, paid_at, now)?;
        self.take_back(of, amount, now)?;
        self.take(order);
        Ok(Decided { outcomes: self.reversal.outcomes(), expired: &self.expired })
    }

    /// Records a refund that the chain took at `now`, of an order kept as `of`: nothing else is asked again.
    ///
    /// # Errors
    /// The [`Refusal`]; nothing was changed.
    pub fn refund_taken(&mut self, of: OrderIndex, amount: Amount, now: Timestamp) -> Result<Decided<'_>, Refusal> {
        self.take_back(Some(of), amount, now)?;
        Ok(Decided { outcomes: self.reversal.outcomes(), expired: &self.expired })
    }

    fn take_back(&mut self, of: Option<OrderIndex>, amount: Amount, now: Timestamp) -> Result<(), Refusal> {
        let refunded = of.and_then(|of| self.paid.get_mut(&of)).ok_or(Refusal::UnknownOrder)?;
        let payer = self.users.get_mut(refunded.user.0).ok_or(Refusal::UnknownOrder)?;
        let had = self.holdings.of(refunded.user);
        let mut balances = had;
        self.expired.clear();
        if self.expires {
            let local = LocalTime::at(now, &self.terms.offsets);
            expire(&mut balances, &self.periods, local, |expired| self.expired.push(expired));
        }
        self.reversal.decide(amount, &refunded.order, &refunded.grants, &balances)?;
        follow(&mut self.vaults, &had, self.reversal.balances());
        let (mut no_streamer, mut no_session) = (Vec::new(), Vec::new());
        let streamer = self.streamers.get_mut(&(refunded.user, refunded.streamer)).unwrap_or(&mut no_streamer);
        let session = self.sessions.get_mut(&(refunded.user, refunded.session)).unwrap_or(&mut no_session);
        let mut counters =
            CountersByScope { user: &mut payer.counters, streamer: Some(streamer), session: Some(session) };
        let committed = self.reversal.commit(
            &mut refunded.order,
            &mut refunded.grants,
            &mut self.rules,
            &self.terms.offsets,
            &mut balances,
            &mut counters,
        );
        // It stops for counters that were not brought, and all were.
        if let Err(Stop::Refused(refusal)) = committed {
            return Err(refusal);
        }
        self.holdings.store(refunded.user, &balances);
        Ok(())
    }

    /// Records that `user` redeems `amount` of `asset` while the clock shows `now`.
    ///
    /// # Errors
    /// The [`Refusal`]; nothing was changed.
    pub fn redeem(
        &mut self,
        order: OrderIndex,
        user: UserIndex,
        asset: AssetId,
        amount: Amount,
        redeemed_at: Timestamp,
        now: Timestamp,
    ) -> Result<Redeemed<'_>, Refusal> {
        self.admit(order, amount, redeemed_at, now)?;
        let terms = asset.slot().and_then(|slot| self.terms.assets.get(slot));
        if !terms.is_some_and(|terms| terms.redeemable) {
            return Err(Refusal::NotRedeemable);
        }
        let had = self.holdings.of(user);
        let mut balances = had;
        self.expired.clear();
        if self.expires {
            let local = LocalTime::at(now, &self.terms.offsets);
            expire(&mut balances, &self.periods, local, |expired| self.expired.push(expired));
        }
        let (before, after) = redemption::redeem(&mut balances, asset, amount)?;
        follow(&mut self.vaults, &had, &balances);
        self.holdings.store(user, &balances);
        self.take(order);
        Ok(Redeemed { before, after, expired: &self.expired })
    }
}

/// The counters under `key`, or those that are `none` yet. Where no rule counts in the scope, nobody looks.
fn brought<'a>(
    scoped: &'a mut Scoped,
    key: &(UserIndex, u64),
    rules: usize,
    none: &'a mut Vec<Counters>,
) -> &'a mut Vec<Counters> {
    if rules == 0 {
        return none;
    }
    scoped.get_mut(key).unwrap_or(none)
}

/// Keeps counters that were none before.
fn keep(scoped: &mut Scoped, key: (UserIndex, u64), counters: Vec<Counters>) {
    if !counters.is_empty() {
        scoped.insert(key, counters);
    }
}

/// Room for the counters of `rules` rules more.
fn grow(counters: &mut Vec<Counters>, rules: usize) {
    counters.resize(counters.len().saturating_add(rules), Counters::default());
}

/// Gives room back that nobody's counters took.
fn trim(counters: &mut Vec<Counters>) {
    let used = counters.iter().rposition(|counters| !counters.is_free()).map_or(0, |last| last.saturating_add(1));
    if used < counters.len() {
        counters.truncate(used);
        counters.shrink_to_fit();
    }
}

/// What users have a claim to goes with one user's balances from `before` to `after`.
fn follow(vaults: &mut [Option<Vault>; MAX_ASSETS], before: &Balances, after: &Balances) {
    for ((vault, before), after) in vaults.iter_mut().zip(before).zip(after) {
        if let Some(vault) = vault {
            vault.moves(before.total(), after.total());
        }
    }
}
