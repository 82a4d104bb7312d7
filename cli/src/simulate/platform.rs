//! The simulated platform: records by the platform's own ids into a [`Ledger`].

use super::{
    answer::Answers,
    names::{Names, TooMany},
    record::{PaymentLine, Record, RedemptionLine, RefundLine},
};
use crate::{pay::user_key, rule_file::RuleFile};
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

    /// Records a line and writes the answer. Says whether it was accepted.
    ///
    /// # Errors
    /// [`TooMany`].
    #[inline]
    pub fn record(&mut self, record: &Record<'_>, answers: &mut Answers) -> Result<bool, TooMany> {
        self.clock = self.clock.max(record.paid_at());
        let order = OrderIndex(self.orders.number(record.order())?);
        let refusal = match record {
            Record::Payment(line) => self.pay(order, line, answers)?,
            Record::Refund(line) => self.refund(order, line, answers)?,
            Record::Redemption(line) => self.redeem(order, line, answers)?,
        };
        if let Some(refusal) = refusal {
            answers.refused(record.order(), refusal);
        }
        Ok(refusal.is_none())
    }

    #[inline]
    fn pay(
        &mut self,
        order: OrderIndex,
        line: &PaymentLine<'_>,
        answers: &mut Answers,
    ) -> Result<Option<Refusal>, TooMany> {
        let user = self.users.number(&line.user)?;
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
        Ok(match self.ledger.pay(order, UserIndex(user), &payment, self.clock, kept) {
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
        line: &RedemptionLine<'_>,
        answers: &mut Answers,
    ) -> Result<Option<Refusal>, TooMany> {
        let user = self.users.number(&line.user)?;
        self.keys.of(user, &line.user);
        let RedemptionLine { asset, amount, paid_at, .. } = *line;
        Ok(match self.ledger.redeem(order, UserIndex(user), asset, amount, paid_at, self.clock) {
            Ok(redeemed) => {
                answers.redeemed(&line.order, asset, amount, &redeemed);
                None
            }
            Err(refusal) => Some(refusal),
        })
    }
}

impl Keys {
    /// The key of user number `user`. Users come in the order of their numbers.
    #[inline]
    fn of(&mut self, user: usize, id: &[u8]) -> UserKey {
        if !self.needed {
            return UserKey::default();
        }
        if let Some(key) = self.keys.get(user) {
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
