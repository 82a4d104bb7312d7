//! Conditions in conjunctive form: predicates of one clause are OR-ed, clauses are AND-ed.

use super::InvalidRule;
use crate::{payment::Payment, time::Weekday, units::PaymentNumber};
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
}

impl Field {
    /// Every field, by number.
    pub const ALL: [Self; 4] = [Self::Amount, Self::Product, Self::Weekday, Self::PaymentNumber];

    /// The field numbered `number`.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|field| *field as u8 == number)
    }

    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amount => "amount",
            Self::Product => "product",
            Self::Weekday => "weekday",
            Self::PaymentNumber => "payment_number",
        }
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
    /// The field, as a bit set, meets the value: `1 << weekday` for a weekday.
    Any = 7,
}

impl Operator {
    /// Every operator, by number.
    pub const ALL: [Self; 7] = [Self::Eq, Self::Ne, Self::Lt, Self::Le, Self::Gt, Self::Ge, Self::Any];

    /// The operator numbered `number`.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| *operator as u8 == number)
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
            (Field::Weekday, _) => (1..=7).contains(&self.value),
            (_, Operator::Any) => false,
            (Field::Product, _) => u16::try_from(self.value).is_ok(),
            (Field::Amount | Field::PaymentNumber, _) => true,
        };
        if sound && self.negated <= 1 { Ok(()) } else { Err(InvalidRule::Predicate) }
    }

    #[inline]
    fn holds(&self, facts: &Facts<'_>) -> bool {
        let actual = match self.field {
            field if field == Field::Amount as u8 => facts.payment.amount.0,
            field if field == Field::Product as u8 => u64::from(facts.payment.product),
            field if field == Field::Weekday as u8 => u64::from(facts.weekday.0),
            field if field == Field::PaymentNumber as u8 => facts.number.0,
            _ => return false,
        };
        let holds = match self.operator {
            operator if operator == Operator::Eq as u8 => actual == self.value,
            operator if operator == Operator::Ne as u8 => actual != self.value,
            operator if operator == Operator::Lt as u8 => actual < self.value,
            operator if operator == Operator::Le as u8 => actual <= self.value,
            operator if operator == Operator::Gt as u8 => actual > self.value,
            operator if operator == Operator::Ge as u8 => actual >= self.value,
            // Only the weekday is a bit set, and it is at most 7.
            _ => (1u64 << (actual & 63)) & self.value != 0,
        };
        holds != self.negated()
    }
}

/// What the predicates of one payment read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub payment: &'a Payment,
    pub number: PaymentNumber,
    pub weekday: Weekday,
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
