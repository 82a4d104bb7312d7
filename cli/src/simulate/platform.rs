//! The simulated platform: records by the platform's own ids into a [`Ledger`].

use super::{
    answer::Answers,
    names::{Names, Place, TooMany},
    record::{PaymentLine, Record, RedemptionLine, RefundLine},
};
use crate::pay::user_key;
use rebate_client::{
    platform_id,
    replay::{Ledger, NotPublished, OrderIndex, Terms, UserIndex},
};
use rebate_core::{
    payment::Payment,
    refusal::Refusal,
    rule::{Field, Rule},
    units::{OrderHash, Seconds, Timestamp, UserKey},
    window::Scope,
};
use rebate_rulefile::RuleFile;
use std::borrow::Cow;

/// A platform under a rule file, whose clock is the latest moment read so far.
#[derive(Debug)]
pub struct Platform {
    ledger: Ledger,
    clock: Timestamp,
    orders: Names,
    /// How many of the orders are ever refunded; they are the first ones.
    refunded: usize,
    users: Names,
    keys: Keys,
    streamers: Numbers,
    sessions: Numbers,
    /// Of the records at hand: where their orders are looked for, and their users.
    places: Vec<Place>,
    met: Vec<UserIndex>,
}

/// The users' keys, by number. Only a control group needs them.
#[derive(Debug)]
struct Keys {
    needed: bool,
    secret: Option<Vec<u8>>,
    keys: Vec<UserKey>,
}

/// What stands on chain for streamers or sessions; 0 where no rule asks.
#[derive(Debug)]
struct Numbers {
    needed: bool,
    ids: Names,
    numbers: Vec<u64>,
}

/// How many ids of streamers or sessions are remembered. They are worked out again where there are more.
const REMEMBERED: usize = 1 << 16;

impl Platform {
    /// A platform under the rules of a file. `refunded` are the orders that are refunded some time; no other can be.
    ///
    /// # Errors
    /// [`NotPublished`] for rules that were not read from a file.
    pub fn new(rules: &RuleFile, secret: Option<Vec<u8>>, refunded: Names) -> Result<Self, NotPublished> {
        let mut ledger = Ledger::new(Terms::new(&rules.offsets, Seconds(rules.max_lateness), &rules.assets));
        for rule in &rules.rules {
            ledger.publish(rule, Timestamp(0))?;
        }
        let book = ledger.rules();
        let reads =
            |field| move |rule: &Rule| rule.condition().iter().any(|predicate| predicate.field() == Some(field));
        let numbers = |scope, field| Numbers {
            needed: book.iter().any(|rule| rule.scope() == scope) || book.iter().any(reads(field)),
            ids: Names::default(),
            numbers: Vec::new(),
        };
        Ok(Self {
            streamers: numbers(Scope::UserStreamer, Field::Streamer),
            sessions: numbers(Scope::UserSession, Field::Session),
            keys: Keys { needed: book.iter().any(|rule| rule.holdout().0 > 0), secret, keys: Vec::new() },
            ledger,
            clock: Timestamp(i64::MIN),
            refunded: refunded.len(),
            orders: refunded,
            users: Names::default(),
            places: Vec::new(),
            met: Vec::new(),
        })
    }

    /// Room for `orders` order numbers of `bytes` bytes in all.
    pub fn reserve(&mut self, orders: usize, bytes: usize) {
        self.orders.reserve(orders, bytes);
    }

    /// What it decided by and came to.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The platform without its names.
    pub fn into_ledger(self) -> Ledger {
        self.ledger
    }

    /// How many users it met.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// Records lines, writes the answers, and says how many were accepted.
    ///
    /// # Errors
    /// [`TooMany`].
    #[inline]
    pub fn record(&mut self, records: &[Record<'_>], answers: &mut Answers) -> Result<u64, TooMany> {
        let user = |record: &Record<'_>| match record {
            Record::Payment(line) => self.users.place(&line.user),
            Record::Redemption(line) => self.users.place(&line.user),
            // Nobody's in particular.
            Record::Refund(_) => self.users.place(b""),
        };
        self.places.clear();
        self.places.extend(records.iter().map(user));
        self.users.look_ahead(&self.places);
        self.met.clear();
        for (record, place) in records.iter().zip(&self.places) {
            let user = match record {
                Record::Payment(line) => self.users.at(*place, &line.user)?,
                Record::Redemption(line) => self.users.at(*place, &line.user)?,
                Record::Refund(_) => 0,
            };
            self.met.push(UserIndex(user));
        }
        self.places.clear();
        self.places.extend(records.iter().map(|record| self.orders.place(record.order())));
        self.orders.look_ahead(&self.places);
        self.ledger.look_ahead(&self.met);
        let mut accepted = 0u64;
        for (at, record) in records.iter().enumerate() {
            let (Some(place), Some(user)) = (self.places.get(at).copied(), self.met.get(at).copied()) else { continue };
            self.clock = self.clock.max(record.paid_at());
            let order = OrderIndex(self.orders.at(place, record.order())?);
            let refusal = match record {
                Record::Payment(line) => self.pay(order, user, line, answers)?,
                Record::Refund(line) => self.refund(order, line, answers)?,
                Record::Redemption(line) => self.redeem(order, user, line, answers),
            };
            match refusal {
                Some(refusal) => answers.refused(record.order(), refusal),
                None => accepted = accepted.saturating_add(1),
            }
        }
        Ok(accepted)
    }

    #[inline]
    fn pay(
        &mut self,
        order: OrderIndex,
        user: UserIndex,
        line: &PaymentLine<'_>,
        answers: &mut Answers,
    ) -> Result<Option<Refusal>, TooMany> {
        let payment = Payment {
            // The ledger knows orders by number.
            order: OrderHash::default(),
            user: self.keys.of(user, &line.user),
            amount: line.amount,
            paid_at: line.paid_at,
            product: line.product,
            streamer: self.streamers.of(&line.streamer)?,
            session: self.sessions.of(&line.session)?,
            tier: line.tier,
            segments: line.segments,
        };
        let kept = order.0 < self.refunded;
        Ok(match self.ledger.pay(order, user, &payment, self.clock, kept) {
            Ok(decided) => {
                answers.paid(&line.order, &decided);
                None
            }
            Err(refusal) => Some(refusal),
        })
    }

    fn refund(
        &mut self,
        order: OrderIndex,
        line: &RefundLine<'_>,
        answers: &mut Answers,
    ) -> Result<Option<Refusal>, TooMany> {
        let of = OrderIndex(self.orders.number(&line.of)?);
        Ok(match self.ledger.refund(order, Some(of), line.amount, line.paid_at, self.clock) {
            Ok(decided) => {
                answers.refunded(&line.order, &decided);
                None
            }
            Err(refusal) => Some(refusal),
        })
    }

    fn redeem(
        &mut self,
        order: OrderIndex,
        user: UserIndex,
        line: &RedemptionLine<'_>,
        answers: &mut Answers,
    ) -> Option<Refusal> {
        self.keys.of(user, &line.user);
        let RedemptionLine { asset, amount, paid_at, .. } = *line;
        match self.ledger.redeem(order, user, asset, amount, paid_at, self.clock) {
            Ok(redeemed) => {
                answers.redeemed(&line.order, asset, amount, &redeemed);
                None
            }
            Err(refusal) => Some(refusal),
        }
    }
}

impl Keys {
    /// The key of a user. Users come in the order of their numbers.
    #[inline]
    fn of(&mut self, user: UserIndex, id: &[u8]) -> UserKey {
        if !self.needed {
            return UserKey::default();
        }
        if let Some(key) = self.keys.get(user.0) {
            return *key;
        }
        let key = user_key(self.secret.as_deref(), &text(id));
        self.keys.push(key);
        key
    }
}

impl Numbers {
    #[inline]
    fn of(&mut self, id: &[u8]) -> Result<u64, TooMany> {
        if !self.needed || id.is_empty() {
            return Ok(0);
        }
        if self.numbers.len() >= REMEMBERED {
            self.ids = Names::default();
            self.numbers.clear();
        }
        let at = self.ids.number(id)?;
        if let Some(number) = self.numbers.get(at) {
            return Ok(*number);
        }
        let number = platform_id::number(&text(id));
        self.numbers.push(number);
        Ok(number)
    }
}

/// An id as text, which it was read as.
fn text(id: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(id)
}
