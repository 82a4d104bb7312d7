//! Conditions in conjunctive form: predicates of one clause are OR-ed, clauses are AND-ed.

use super::InvalidRule;
use crate::{counters::Counters, payment::Payment, time::LocalTime, units::PaymentNumber};
use bytemuck::{Pod, Zeroable};

/// How many predicates a condition can have.
pub const MAX_PREDICATES: usize = 12;

/// What a predicate reads. The numbers are part of the interface: never renumber, only add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Field {
    /// What was paid, in the platform's minor currency unit.
    Amount = 1,
    /// What was bought.
    Product = 2,
    /// Day of the week in the platform's time zone, 1 (Monday) to 7.
    Weekday = 3,
    /// The how-manieth payment of this user it is, from 1.
    PaymentNumber = 4,
    /// Hour of the day in the platform's time zone, 0 to 23.
    Hour = 5,
    /// The date in the platform's time zone, as a number: 20261003.
    Date = 6,
    /// What was paid in the rule's window by payments that count, this one included.
    Spend = 7,
    /// How many payments of the rule's window count, this one included.
    Payments = 8,
    /// On how many days in a row there was a payment that counts, this one included.
    StreakDays = 9,
    /// The user's tier with the platform, 0 for none.
    Tier = 10,
    /// The user's segments, a bit set.
    Segments = 11,
    /// The streamer's number, 0 for nobody.
    Streamer = 12,
    /// The live session's number, 0 for none.
    Session = 13,
}

impl Field {
    /// Every field, by number.
    pub const ALL: [Self; 13] = [
        Self::Amount,
        Self::Product,
        Self::Weekday,
        Self::PaymentNumber,
        Self::Hour,
        Self::Date,
        Self::Spend,
        Self::Payments,
        Self::StreakDays,
        Self::Tier,
        Self::Segments,
        Self::Streamer,
        Self::Session,
    ];

    /// The field numbered `number`.
    #[inline(always)]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Amount),
            2 => Some(Self::Product),
            3 => Some(Self::Weekday),
            4 => Some(Self::PaymentNumber),
            5 => Some(Self::Hour),
            6 => Some(Self::Date),
            7 => Some(Self::Spend),
            8 => Some(Self::Payments),
            9 => Some(Self::StreakDays),
            10 => Some(Self::Tier),
            11 => Some(Self::Segments),
            12 => Some(Self::Streamer),
            13 => Some(Self::Session),
            _ => None,
        }
    }

    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amount => "amount",
            Self::Product => "product",
            Self::Weekday => "weekday",
            Self::PaymentNumber => "payment_number",
            Self::Hour => "hour",
            Self::Date => "date",
            Self::Spend => "spend",
            Self::Payments => "payments",
            Self::StreakDays => "streak_days",
            Self::Tier => "tier",
            Self::Segments => "segments",
            Self::Streamer => "streamer",
            Self::Session => "session",
        }
    }

    /// Whether it is known without the rule's counters. A payment counts if all clauses hold that read only such fields.
    pub const fn is_base(self) -> bool {
        !matches!(self, Self::Spend | Self::Payments | Self::StreakDays)
    }
}

/// How a predicate compares. The numbers are part of the interface: never renumber, only add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Operator {
    /// `==`
    Eq = 1,
    /// `!=`
    Ne = 2,
    /// `<`
    Lt = 3,
    /// `<=`
    Le = 4,
    /// `>`
    Gt = 5,
    /// `>=`
    Ge = 6,
    /// The field, as a bit set, meets the value: `1 << weekday` for a weekday, `1 << hour` for an hour.
    Any = 7,
}

impl Operator {
    /// Every operator, by number.
    pub const ALL: [Self; 7] = [Self::Eq, Self::Ne, Self::Lt, Self::Le, Self::Gt, Self::Ge, Self::Any];

    /// The operator numbered `number`.
    #[inline(always)]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Eq),
            2 => Some(Self::Ne),
            3 => Some(Self::Lt),
            4 => Some(Self::Le),
            5 => Some(Self::Gt),
            6 => Some(Self::Ge),
            7 => Some(Self::Any),
            _ => None,
        }
    }

    /// The sign in rule files.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Any => "any",
        }
    }
}

/// One comparison of a condition. 16 bytes, no padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Predicate {
    /// A [`Field`].
    field: u8,
    /// An [`Operator`].
    operator: u8,
    /// The clause it belongs to; clauses are numbered 0, 1, 2 … in order.
    pub clause: u8,
    /// 1 if the comparison must *not* hold.
    negated: u8,
    reserved: [u8; 4],
    /// What the field is compared with.
    pub value: u64,
}

impl Predicate {
    /// A comparison; [`Definition::check`](super::Definition::check) says whether it is sound.
    pub fn new(clause: u8, negated: bool, field: Field, operator: Operator, value: u64) -> Self {
        Self {
            field: field as u8,
            operator: operator as u8,
            clause,
            negated: u8::from(negated),
            reserved: [0; 4],
            value,
        }
    }

    /// What it reads; `None` if a program newer than this code wrote a field this code does not know.
    pub fn field(&self) -> Option<Field> {
        Field::from_number(self.field)
    }

    /// How it compares; `None` likewise.
    pub fn operator(&self) -> Option<Operator> {
        Operator::from_number(self.operator)
    }

    /// Whether the comparison must not hold.
    pub fn negated(&self) -> bool {
        self.negated != 0
    }

    fn check(&self) -> Result<(), InvalidRule> {
        let field = self.field().ok_or(InvalidRule::Predicate)?;
        let operator = self.operator().ok_or(InvalidRule::Predicate)?;
        let sound = match (field, operator) {
            // Bits 1 to 7, at least one of them.
            (Field::Weekday, Operator::Any) => self.value != 0 && self.value & !0b1111_1110 == 0,
            // Bits 0 to 23.
            (Field::Hour, Operator::Any) => self.value != 0 && self.value >> 24 == 0,
            (Field::Segments, Operator::Any) => self.value != 0 && u32::try_from(self.value).is_ok(),
            (_, Operator::Any) => false,
            (Field::Weekday, _) => (1..=7).contains(&self.value),
            (Field::Hour, _) => self.value < 24,
            (Field::Date, _) => is_date(self.value),
            (Field::Product, _) => u16::try_from(self.value).is_ok(),
            (Field::Tier, _) => u8::try_from(self.value).is_ok(),
            (Field::Segments, _) => u32::try_from(self.value).is_ok(),
            (
                Field::Amount
                | Field::PaymentNumber
                | Field::Spend
                | Field::Payments
                | Field::StreakDays
                | Field::Streamer
                | Field::Session,
                _,
            ) => true,
        };
        if sound && self.negated <= 1 { Ok(()) } else { Err(InvalidRule::Predicate) }
    }

    /// Whether it is known without the rule's counters.
    pub fn is_base(&self) -> bool {
        self.field().is_none_or(Field::is_base)
    }

    #[inline]
    fn holds(&self, facts: &Facts<'_>) -> bool {
        let Some(field) = self.field() else { return false };
        // A bit set, for `any`.
        let (actual, bits) = match field {
            Field::Amount => (facts.payment.amount.0, 0),
            Field::Product => (u64::from(facts.payment.product), 0),
            Field::Weekday => {
                let weekday = facts.local.weekday().0;
                (u64::from(weekday), 1u64 << (weekday & 63))
            }
            Field::PaymentNumber => (facts.number.0, 0),
            Field::Hour => {
                let hour = facts.local.hour();
                (u64::from(hour), 1u64 << (hour & 63))
            }
            Field::Date => (facts.local.date().number(), 0),
            Field::Spend => (facts.counters.spend.0, 0),
            Field::Payments => (u64::from(facts.counters.payments), 0),
            Field::StreakDays => (u64::from(facts.counters.streak), 0),
            Field::Tier => (u64::from(facts.payment.tier), 0),
            Field::Segments => (u64::from(facts.payment.segments), u64::from(facts.payment.segments)),
            Field::Streamer => (facts.payment.streamer, 0),
            Field::Session => (facts.payment.session, 0),
        };
        let holds = match self.operator {
            operator if operator == Operator::Eq as u8 => actual == self.value,
            operator if operator == Operator::Ne as u8 => actual != self.value,
            operator if operator == Operator::Lt as u8 => actual < self.value,
            operator if operator == Operator::Le as u8 => actual <= self.value,
            operator if operator == Operator::Gt as u8 => actual > self.value,
            operator if operator == Operator::Ge as u8 => actual >= self.value,
            _ => bits & self.value != 0,
        };
        holds != self.negated()
    }
}

/// Whether `number` can be a date: a year of four digits, a month, a day.
fn is_date(number: u64) -> bool {
    let (rest, day) = (number / 100, number % 100);
    let (year, month) = (rest / 100, rest % 100);
    (1_000..=9_999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// What the predicates of one payment read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub payment: &'a Payment,
    pub number: PaymentNumber,
    pub local: LocalTime,
    /// Of the rule whose predicates they are.
    pub counters: &'a Counters,
}

/// Checks the clauses' order and every predicate.
pub(super) fn check(condition: &[Predicate]) -> Result<(), InvalidRule> {
    let mut clause = 0u8;
    for (at, predicate) in condition.iter().enumerate() {
        predicate.check()?;
        let begins = predicate.clause == clause.saturating_add(1) && at > 0;
        if predicate.clause != clause && !begins {
            return Err(InvalidRule::ClauseOrder);
        }
        clause = predicate.clause;
    }
    Ok(())
}

/// The first clause of `condition` that fails, or `None` if the condition holds. Clauses stand in order, from 0.
#[inline]
pub(crate) fn first_failing(condition: &[Predicate], facts: &Facts<'_>) -> Option<u8> {
    let (mut clause, mut holds) = (0, condition.is_empty());
    for predicate in condition {
        if predicate.clause != clause {
            if !holds {
                return Some(clause);
            }
            (clause, holds) = (predicate.clause, false);
        }
        holds = holds || predicate.holds(facts);
    }
    if holds { None } else { Some(clause) }
}

/// Whether all clauses hold that are made only of base predicates.
pub(crate) fn base_holds(condition: &[Predicate], facts: &Facts<'_>) -> bool {
    condition
        .chunk_by(|one, next| one.clause == next.clause)
        .all(|clause| !clause.iter().all(Predicate::is_base) || clause.iter().any(|predicate| predicate.holds(facts)))
}
