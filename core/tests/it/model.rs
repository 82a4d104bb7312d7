//! The specification once more, as plainly as it can be written: wide integers, maps and loops, no thought of cost.
//!
//! It shares the names of things with the crate and nothing else.

use crate::histories::Draft;
use rebate_core::{
    outcome::Reason,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    refusal::Refusal,
    rule::{Effect, Field, GroupMode, OnLimit, Operator, Predicate, TierMode},
    units::{OrderHash, UserKey},
    window::{Scope, Window},
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};

const MAX: u128 = u64::MAX as u128;

/// One version of a rule.
#[derive(Clone, Debug)]
struct Version {
    draft: Draft,
    from: i64,
    /// How often window or scope had changed when it came.
    generation: u32,
}

/// What is counted of a user by a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Count {
    pub generation: u32,
    pub window: i128,
    pub spend: u128,
    pub payments: u128,
    pub granted: u128,
    pub grants: u128,
    pub streak: u128,
    pub last_day: Option<i128>,
}

/// What somebody has of an asset: what was granted in each period, and what is owed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pocket {
    pub lots: BTreeMap<i128, u128>,
    pub debt: u128,
}

impl Pocket {
    pub fn total(&self) -> u128 {
        self.lots.values().sum()
    }

    /// Takes up to `amount`, the oldest first, and says how much that was.
    fn take(&mut self, amount: u128) -> u128 {
        let mut left = amount;
        for lot in self.lots.values_mut() {
            let part = left.min(*lot);
            *lot -= part;
            left -= part;
        }
        amount - left
    }
}

/// A person.
#[derive(Clone, Debug, Default)]
pub struct Person {
    pub payments: u128,
    pub pockets: HashMap<u8, Pocket>,
}

#[derive(Clone, Debug)]
struct Given {
    rule: u16,
    version: u16,
    asset: u8,
    amount: u128,
    reversed: u128,
}

#[derive(Clone, Debug)]
struct Bought {
    payment: Payment,
    refunded: u128,
    given: Vec<Given>,
}

/// What a version granted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    pub granted: u128,
    pub grants: u128,
    pub reversed: u128,
}

/// What is said of one rule: rule, version, reason, clause, asset, amount, before, after.
pub type Told = (u16, u16, Reason, u8, u8, u128, u128, u128);

/// The whole platform.
#[derive(Clone, Debug, Default)]
pub struct Model {
    versions: Vec<Version>,
    pub people: HashMap<UserKey, Person>,
    pub counts: HashMap<(UserKey, u16, u8, u64), Count>,
    pub totals: HashMap<(u16, u16), Totals>,
    /// By rule: what of the budget is spent, and how often it was.
    pub budgets: HashMap<u16, (u128, u128)>,
    orders: HashMap<OrderHash, Bought>,
    taken: HashSet<OrderHash>,
    pub now: i64,
    pub max_lateness: i64,
    /// From when on, and how many seconds local time is ahead of UTC.
    pub offsets: Vec<(i64, i64)>,
    pub months: HashMap<u8, i128>,
    pub vaults: HashMap<u8, u128>,
    /// How often a grant was made smaller, and by what.
    pub clips: HashMap<&'static str, u64>,
}

/// An instant on the wall.
struct Local {
    day: i128,
    hour: i128,
    year: i128,
    month: i128,
    day_of_month: i128,
}

fn days_of(year: i128, month: i128) -> i128 {
    match month {
        2 if year % 400 == 0 || year % 4 == 0 && year % 100 != 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Local {
    fn at(at: i64, offsets: &[(i64, i64)]) -> Self {
        let mut offset = 0;
        for (from, seconds) in offsets {
            if *from <= at {
                offset = *seconds;
            }
        }
        let seconds = i128::from(at) + i128::from(offset);
        let day = seconds.div_euclid(86_400);
        let (mut year, mut month, mut left) = (1970, 1, day);
        assert!(left >= 0, "no history begins before 1970");
        while left >= 337 + days_of(year, 2) {
            left -= 337 + days_of(year, 2);
            year += 1;
        }
        while left >= days_of(year, month) {
            left -= days_of(year, month);
            month += 1;
        }
        Self { day, hour: seconds.rem_euclid(86_400) / 3_600, year, month, day_of_month: left + 1 }
    }

    /// 1970-01-01 was a Thursday; 1 is Monday.
    fn weekday(&self) -> i128 {
        (self.day + 3) % 7 + 1
    }

    fn window(&self, window: Window) -> i128 {
        match window {
            Window::Day => self.day,
            Window::Week => (self.day + 3).div_euclid(7),
            Window::Month => self.year * 12 + self.month,
            Window::Lifetime | Window::Schedule => 0,
        }
    }
}

fn fits(number: u128) -> Result<u128, Refusal> {
    if number > MAX { Err(Refusal::AmountOverflow) } else { Ok(number) }
}

/// `mode` of the specification's `tiers`.
fn entitled(mode: TierMode, steps: &[(u128, u128)], spend: u128) -> u128 {
    let mut sum = 0;
    match mode {
        TierMode::Fixed => {
            for (threshold, value) in steps {
                if *threshold <= spend {
                    sum += value;
                }
            }
        }
        TierMode::Slab => {
            for (threshold, value) in steps {
                if *threshold <= spend {
                    sum = spend * value / 10_000;
                }
            }
        }
        TierMode::Marginal => {
            let mut ten_thousandths = 0;
            for (at, (threshold, value)) in steps.iter().enumerate() {
                let end = steps.get(at + 1).map_or(u128::MAX, |(next, _)| *next);
                if *threshold < spend {
                    ten_thousandths += (spend.min(end) - threshold) * value;
                }
            }
            sum = ten_thousandths / 10_000;
        }
    }
    sum
}

fn held_out(rule: u16, user: &UserKey, share: u32) -> bool {
    let mut hash = Sha256::new();
    hash.update(b"holdout");
    hash.update(rule.to_le_bytes());
    hash.update(user.0);
    let digest = hash.finalize();
    let mut number = 0u128;
    for byte in digest.iter().take(8).rev() {
        number = number * 256 + u128::from(*byte);
    }
    number % 10_000 < u128::from(share)
}

fn is_base(predicate: &Predicate) -> bool {
    !matches!(predicate.field().unwrap(), Field::Spend | Field::Payments | Field::StreakDays)
}

/// What a predicate can read.
struct Facts<'a> {
    payment: &'a Payment,
    local: &'a Local,
    number: u128,
    count: &'a Count,
}

impl Facts<'_> {
    fn holds(&self, predicate: &Predicate) -> bool {
        let field = predicate.field().unwrap();
        let actual = match field {
            Field::Amount => u128::from(self.payment.amount.0),
            Field::Product => u128::from(self.payment.product),
            Field::Weekday => self.local.weekday().unsigned_abs(),
            Field::PaymentNumber => self.number,
            Field::Hour => self.local.hour.unsigned_abs(),
            Field::Date => (self.local.year * 10_000 + self.local.month * 100 + self.local.day_of_month).unsigned_abs(),
            Field::Spend => self.count.spend,
            Field::Payments => self.count.payments,
            Field::StreakDays => self.count.streak,
            Field::Tier => u128::from(self.payment.tier),
            Field::Segments => u128::from(self.payment.segments),
            Field::Streamer => u128::from(self.payment.streamer),
            Field::Session => u128::from(self.payment.session),
        };
        let value = u128::from(predicate.value);
        let holds = match predicate.operator().unwrap() {
            Operator::Eq => actual == value,
            Operator::Ne => actual != value,
            Operator::Lt => actual < value,
            Operator::Le => actual <= value,
            Operator::Gt => actual > value,
            Operator::Ge => actual >= value,
            Operator::Any if field == Field::Segments => actual & value != 0,
            Operator::Any => value >> actual & 1 == 1,
        };
        if predicate.negated() { !holds } else { holds }
    }

    /// The clauses that fail, among those that `which` takes.
    fn failing(&self, condition: &[Predicate], which: impl Fn(&[&Predicate]) -> bool) -> Vec<u8> {
        let mut clauses: BTreeMap<u8, Vec<&Predicate>> = BTreeMap::new();
        for predicate in condition {
            clauses.entry(predicate.clause).or_default().push(predicate);
        }
        clauses
            .into_iter()
            .filter(|(_, clause)| which(clause) && !clause.iter().any(|predicate| self.holds(predicate)))
            .map(|(number, _)| number)
            .collect()
    }
}

/// What one rule makes of a payment, as it goes through the steps.
struct Line {
    draft: Draft,
    generation: u32,
    reason: Reason,
    clause: u8,
    amount: u128,
    count: Option<Count>,
    multiplier: Option<u128>,
}

impl Line {
    fn is_candidate(&self) -> bool {
        self.reason == Reason::Granted && self.multiplier.is_none()
    }

    fn drop(&mut self, reason: Reason) {
        self.reason = reason;
        self.amount = 0;
    }
}

impl Model {
    pub fn publish(&mut self, draft: &Draft, from: i64) {
        let last = self.versions.iter().rev().find(|version| version.draft.id == draft.id);
        let generation = last.map_or(0, |last| {
            let kept = last.draft.window == draft.window
                && last.draft.scope == draft.scope
                && (draft.window != Window::Schedule || last.draft.starts_at == draft.starts_at);
            if kept { last.generation } else { last.generation + 1 }
        });
        self.versions.push(Version { draft: draft.clone(), from, generation });
    }

    fn admit(&self, amount: u64, at: i64, order: &OrderHash) -> Result<(), Refusal> {
        if amount == 0 {
            Err(Refusal::ZeroAmount)
        } else if self.now - at > self.max_lateness {
            Err(Refusal::TooLate)
        } else if at - self.now > 60 {
            Err(Refusal::FromTheFuture)
        } else if self.taken.contains(order) {
            Err(Refusal::DuplicateOrder)
        } else {
            Ok(())
        }
    }

    /// The period that now lies in.
    fn period(&self, asset: u8) -> i128 {
        let Some(months) = self.months.get(&asset) else { return 0 };
        let now = Local::at(self.now, &self.offsets);
        (now.year * 12 + now.month - 1) / months
    }

    fn pocket(&mut self, user: UserKey, asset: u8) -> &mut Pocket {
        self.people.entry(user).or_default().pockets.entry(asset).or_default()
    }

    /// Lets expire what is older than the last period.
    pub fn close(&mut self, user: UserKey) {
        for asset in 1..=8 {
            let period = self.period(asset);
            let pocket = self.pocket(user, asset);
            pocket.lots.retain(|lot, amount| *lot >= period - 1 && *amount > 0);
        }
    }

    fn clipped(&mut self, by: &'static str, wanted: u128, left: u128) {
        if left < wanted {
            *self.clips.entry(by).or_default() += 1;
        }
    }

    /// What is left of `wanted` where `room` is left.
    fn squeeze(&mut self, by: &'static str, wanted: u128, room: u128, on_limit: OnLimit) -> u128 {
        if wanted <= room {
            return wanted;
        }
        let left = if on_limit == OnLimit::Clip { room } else { 0 };
        if left > 0 {
            self.clipped(by, wanted, left);
        }
        left
    }

    /// The rule's own limits.
    fn limit(&mut self, line: &mut Line, wanted: u128) {
        let limits = line.draft.limits;
        let count = line.count.clone().unwrap_or_default();
        let (spent, grants) = self.budgets.get(&line.draft.id).copied().unwrap_or_default();
        let mut left = wanted;
        if limits.user_count.ne(&0) && count.grants >= u128::from(limits.user_count) {
            return line.drop(Reason::UserLimit);
        }
        if limits.user_amount.0 != 0 {
            let room = u128::from(limits.user_amount.0).saturating_sub(count.granted);
            left = self.squeeze("user", left, room, line.draft.on_limit);
            if left == 0 {
                return line.drop(Reason::UserLimit);
            }
        }
        if limits.total_count != 0 && grants >= u128::from(limits.total_count) {
            return line.drop(Reason::BudgetSpent);
        }
        if limits.total_amount.0 != 0 {
            let room = u128::from(limits.total_amount.0).saturating_sub(spent);
            left = self.squeeze("budget", left, room, line.draft.on_limit);
            if left == 0 {
                return line.drop(Reason::BudgetSpent);
            }
        }
        line.amount = left;
    }

    pub fn pay(&mut self, payment: &Payment) -> Result<Vec<Told>, Refusal> {
        let before = self.clone();
        let told = self.try_to_pay(payment);
        if told.is_err() {
            *self = before;
        }
        told
    }

    fn try_to_pay(&mut self, payment: &Payment) -> Result<Vec<Told>, Refusal> {
        self.admit(payment.amount.0, payment.paid_at.0, &payment.order)?;
        self.close(payment.user);
        let local = Local::at(payment.paid_at.0, &self.offsets);
        let mut lines = self.lines(payment, &local)?;
        Self::groups(&mut lines);

        // What the vaults have left, and what is owed and not yet repaid.
        let mut free: HashMap<u8, u128> = HashMap::new();
        for (asset, vault) in &self.vaults {
            let held: u128 = self.people.values().filter_map(|one| one.pockets.get(asset)).map(Pocket::total).sum();
            free.insert(*asset, vault.saturating_sub(held));
        }
        let mut owed: HashMap<u8, u128> = HashMap::new();
        for asset in 1..=8 {
            owed.insert(asset, self.pocket(payment.user, asset).debt);
        }
        let mut paid_tags = HashSet::new();
        for line in &mut lines {
            if line.is_candidate() {
                self.pay_out(line, &mut paid_tags, &mut free, &mut owed);
            }
        }
        for at in 0..lines.len() {
            let Some(bps) = lines[at].multiplier.filter(|_| lines[at].reason == Reason::Granted) else { continue };
            let mut sum = 0;
            for other in &lines {
                if other.is_candidate()
                    && other.draft.group == lines[at].draft.group
                    && asset(&other.draft) == asset(&lines[at].draft)
                {
                    sum += other.amount;
                }
            }
            let wanted = fits(fits(sum)? * (bps - 10_000) / 10_000)?;
            let line = &mut lines[at];
            if wanted == 0 {
                line.drop(Reason::NothingDue);
                continue;
            }
            self.limit(line, wanted);
            if line.reason == Reason::Granted {
                self.pay_out(line, &mut paid_tags, &mut free, &mut owed);
            }
        }
        self.commit(payment, lines)
    }

    /// Step 2.
    fn lines(&mut self, payment: &Payment, local: &Local) -> Result<Vec<Line>, Refusal> {
        let at = payment.paid_at.0;
        let number = self.people.entry(payment.user).or_default().payments + 1;
        // Of each rule the latest version that has taken effect.
        let mut in_effect: BTreeMap<u16, &Version> = BTreeMap::new();
        for version in self.versions.iter().filter(|version| version.from == 0 || version.from <= at) {
            in_effect.insert(version.draft.id, version);
        }
        let mut in_force: Vec<_> = in_effect
            .into_values()
            .filter(|version| version.draft.starts_at == 0 || version.draft.starts_at <= at)
            .filter(|version| version.draft.ends_at == 0 || at < version.draft.ends_at)
            .cloned()
            .collect();
        in_force.sort_by_key(|version| (version.draft.priority, version.draft.id));

        let mut lines = Vec::new();
        for Version { draft, generation, .. } in in_force {
            let stored = self.counts.get(&place(&draft, payment)).cloned();
            let multiplier = match draft.reward.effect() {
                Effect::Multiplier { bps, .. } => Some(u128::from(bps.0)),
                _ => None,
            };
            let mut line =
                Line { draft, generation, reason: Reason::Granted, clause: 0, amount: 0, count: None, multiplier };
            self.line(&mut line, payment, local, number, stored)?;
            lines.push(line);
        }
        Ok(lines)
    }

    fn line(
        &mut self,
        line: &mut Line,
        payment: &Payment,
        local: &Local,
        number: u128,
        stored: Option<Count>,
    ) -> Result<(), Refusal> {
        let draft = line.draft.clone();
        let window = local.window(draft.window);
        let was_stored = stored.is_some();
        let nothing = Count { generation: line.generation, window, ..Count::default() };
        let mut count = stored.unwrap_or_else(|| nothing.clone());
        if (line.generation, window) < (count.generation, count.window) {
            line.drop(Reason::LateForWindow);
            return Ok(());
        }
        if count.generation < line.generation {
            count = nothing;
        } else if count.window < window {
            count = Count { streak: count.streak, last_day: count.last_day, ..nothing };
        }

        let all_base = |clause: &[&Predicate]| clause.iter().all(|predicate| is_base(predicate));
        let facts = Facts { payment, local, number, count: &count.clone() };
        let counts = facts.failing(&draft.condition, all_base).is_empty();
        let mut lengthened = false;
        if counts {
            count.spend = fits(count.spend + u128::from(payment.amount.0))?;
            count.payments += 1;
            match count.last_day {
                Some(last) if local.day <= last => {}
                Some(last) if local.day == last + 1 => {
                    (count.streak, count.last_day, lengthened) = (count.streak + 1, Some(local.day), true);
                }
                _ => (count.streak, count.last_day, lengthened) = (1, Some(local.day), true),
            }
        }
        if counts || was_stored || matches!(draft.window, Window::Day | Window::Week | Window::Month) {
            line.count = Some(count.clone());
        }

        let facts = Facts { payment, local, number, count: &count };
        if let Some(clause) = facts.failing(&draft.condition, |_| true).first() {
            line.drop(Reason::NotMatched);
            line.clause = *clause;
            return Ok(());
        }
        if held_out(draft.id, &payment.user, draft.holdout) {
            line.drop(Reason::Holdout);
            return Ok(());
        }
        let raw = match draft.reward.effect() {
            Effect::Multiplier { .. } => return Ok(()),
            Effect::Fixed { amount, .. } => u128::from(amount.0),
            Effect::Ratio { bps, min, max, .. } => {
                let share = u128::from(payment.amount.0) * u128::from(bps.0) / 10_000;
                let share = share.max(u128::from(min.0));
                if max.0 == 0 { share } else { share.min(u128::from(max.0)) }
            }
            Effect::Tiers { mode, steps, .. } => {
                let steps: Vec<_> =
                    steps.iter().map(|step| (u128::from(step.threshold.0), u128::from(step.value))).collect();
                fits(entitled(mode, &steps, count.spend))?.saturating_sub(count.granted)
            }
            Effect::Streak { days, amount, recurring, .. } => {
                let days = u128::from(days);
                let reached = if recurring { count.streak.is_multiple_of(days) } else { count.streak == days };
                if lengthened && reached { u128::from(amount.0) } else { 0 }
            }
        };
        let raw = fits(raw)?;
        if raw == 0 {
            line.drop(Reason::NothingDue);
        } else {
            self.limit(line, raw);
        }
        Ok(())
    }

    /// Step 3.
    fn groups(lines: &mut [Line]) {
        for group in 0..=u8::MAX {
            let members: Vec<usize> =
                (0..lines.len()).filter(|at| lines[*at].draft.group == group && lines[*at].is_candidate()).collect();
            let Some(first) = members.first() else { continue };
            let mut winner = *first;
            match lines[winner].draft.group_mode {
                GroupMode::Stackable => continue,
                GroupMode::First => {}
                GroupMode::Best => {
                    for at in &members {
                        if lines[*at].amount > lines[winner].amount {
                            winner = *at;
                        }
                    }
                }
            }
            for at in members {
                if at != winner {
                    lines[at].drop(Reason::GroupTaken);
                }
            }
        }
    }

    /// Steps 4 and 5.
    fn pay_out(
        &mut self,
        line: &mut Line,
        paid_tags: &mut HashSet<u32>,
        free: &mut HashMap<u8, u128>,
        owed: &mut HashMap<u8, u128>,
    ) {
        let tags = |set: u32| (0..32u32).filter(move |tag| set >> tag & 1 == 1);
        if tags(line.draft.excludes).any(|tag| paid_tags.contains(&tag)) {
            return line.drop(Reason::Excluded);
        }
        let asset = asset(&line.draft);
        let debt = owed.entry(asset).or_default();
        if let Some(free) = free.get_mut(&asset) {
            let repays = line.amount.min(*debt);
            let left = self.squeeze("vault", line.amount, repays + *free, line.draft.on_limit);
            if left == 0 {
                return line.drop(Reason::VaultShort);
            }
            line.amount = left;
            *free -= left - left.min(*debt);
        }
        *debt -= line.amount.min(*debt);
        paid_tags.extend(tags(line.draft.tags));
    }

    /// Step 7.
    fn commit(&mut self, payment: &Payment, lines: Vec<Line>) -> Result<Vec<Told>, Refusal> {
        let mut told = Vec::new();
        let mut given = Vec::new();
        for mut line in lines {
            let asset = asset(&line.draft);
            let (rule, version) = (line.draft.id, line.draft.version);
            let period = self.period(asset);
            let before = self.pocket(payment.user, asset).total();
            if line.reason == Reason::Granted {
                let pocket = self.pocket(payment.user, asset);
                let repaid = pocket.debt.min(line.amount);
                pocket.debt -= repaid;
                *pocket.lots.entry(period).or_default() += line.amount - repaid;
                fits(pocket.total())?;
                let totals = self.totals.entry((rule, version)).or_default();
                totals.granted = fits(totals.granted + line.amount)?;
                totals.grants += 1;
                let (spent, grants) = self.budgets.entry(rule).or_default();
                *spent = fits(*spent + line.amount)?;
                *grants += 1;
                let count = line.count.as_mut().expect("who grants counts");
                count.granted = fits(count.granted + line.amount)?;
                count.grants += 1;
                given.push(Given { rule, version, asset, amount: line.amount, reversed: 0 });
            }
            let after = self.pocket(payment.user, asset).total();
            if let Some(count) = line.count {
                self.counts.insert(place(&line.draft, payment), count);
            }
            told.push((rule, version, line.reason, line.clause, asset, line.amount, before, after));
        }
        self.people.entry(payment.user).or_default().payments += 1;
        self.taken.insert(payment.order);
        self.orders.insert(payment.order, Bought { payment: *payment, refunded: 0, given });
        Ok(told)
    }

    pub fn refund(&mut self, refund: &Refund) -> Result<Vec<Told>, Refusal> {
        self.admit(refund.amount.0, refund.paid_at.0, &refund.order)?;
        let mut order = self.orders.get(&refund.of).cloned().ok_or(Refusal::UnknownOrder)?;
        let amount = u128::from(refund.amount.0);
        let paid = u128::from(order.payment.amount.0);
        order.refunded += amount;
        if order.refunded > paid {
            return Err(Refusal::OverRefund);
        }
        let user = order.payment.user;
        self.close(user);
        let local = Local::at(order.payment.paid_at.0, &self.offsets);
        let mut told = Vec::new();
        for given in &mut order.given {
            let due = given.amount * order.refunded / paid - given.reversed;
            given.reversed += due;
            let pocket = self.pocket(user, given.asset);
            let before = pocket.total();
            pocket.debt += due - pocket.take(due);
            let after = pocket.total();
            if due > 0 {
                let Given { rule, version, asset, .. } = *given;
                told.push((rule, version, Reason::Reversed, 0, asset, due, before, after));
            }
            let of = |version: &&Version| version.draft.id == given.rule && version.draft.version == given.version;
            let version = self.versions.iter().find(of).expect("no version goes");
            if let Some(count) = self.counts.get_mut(&place(&version.draft, &order.payment))
                && count.generation == version.generation
                && count.window == local.window(version.draft.window)
            {
                count.granted = count.granted.saturating_sub(due);
                count.spend = count.spend.saturating_sub(amount);
            }
            self.totals.entry((given.rule, given.version)).or_default().reversed += due;
            let (spent, _) = self.budgets.entry(given.rule).or_default();
            *spent = spent.saturating_sub(due);
        }
        self.taken.insert(refund.order);
        self.orders.insert(refund.of, order);
        Ok(told)
    }

    /// Returns the balance before and after.
    pub fn redeem(&mut self, redemption: &Redemption) -> Result<(u128, u128), Refusal> {
        self.admit(redemption.amount.0, redemption.redeemed_at.0, &redemption.order)?;
        let mut as_of_now = self.clone();
        as_of_now.close(redemption.user);
        let amount = u128::from(redemption.amount.0);
        let pocket = as_of_now.pocket(redemption.user, redemption.asset.0);
        let before = pocket.total();
        if before < amount {
            return Err(Refusal::InsufficientBalance);
        }
        pocket.take(amount);
        as_of_now.taken.insert(redemption.order);
        *self = as_of_now;
        Ok((before, before - amount))
    }
}

fn asset(draft: &Draft) -> u8 {
    draft.reward.effect().asset().0
}

/// Whose counters a rule uses for a payment.
fn place(draft: &Draft, payment: &Payment) -> (UserKey, u16, u8, u64) {
    let id = match draft.scope {
        Scope::User => 0,
        Scope::UserStreamer => payment.streamer,
        Scope::UserSession => payment.session,
    };
    (payment.user, draft.id, draft.scope as u8, id)
}
