//! Which payments a condition can hold for at all, field by field.

use rebate_core::{
    rule::{Field, Operator, Predicate},
    time::{LocalTime, UtcOffset},
    units::Timestamp,
};

/// A set of numbers: ranges without their gaps, ascending, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values(Vec<(u64, u64)>);

impl Values {
    /// `first` to `last`; nothing if that is backwards.
    pub fn range(first: u64, last: u64) -> Self {
        Self(if first <= last { vec![(first, last)] } else { Vec::new() })
    }

    /// What a field can be in a payment that counts: there are no payments of nothing, and the counters include it.
    pub fn of_field(field: Field) -> Self {
        match field {
            Field::Amount | Field::PaymentNumber | Field::Spend => Self::range(1, u64::MAX),
            Field::Payments | Field::StreakDays => Self::range(1, u32::MAX.into()),
            Field::Product => Self::range(0, u16::MAX.into()),
            Field::Weekday => Self::range(1, 7),
            Field::Hour => Self::range(0, 23),
            Field::Tier => Self::range(0, u8::MAX.into()),
            Field::Segments => Self::range(0, u32::MAX.into()),
            Field::Date | Field::Streamer | Field::Session => Self::range(0, u64::MAX),
        }
    }

    /// Those of a field for which a comparison holds, but for the segments' `any`.
    fn of_comparison(field: Field, operator: Operator, value: u64, negated: bool) -> Self {
        let all = Self::of_field(field);
        let below = value.checked_sub(1).map_or(Self(Vec::new()), |last| Self::range(0, last));
        let above = value.checked_add(1).map_or(Self(Vec::new()), |first| Self::range(first, u64::MAX));
        let same = Self::range(value, value);
        let holds = match operator {
            Operator::Eq => same,
            Operator::Ne => below.or(&above),
            Operator::Lt => below,
            Operator::Le => below.or(&same),
            Operator::Gt => above,
            Operator::Ge => same.or(&above),
            Operator::Any => (0..64)
                .filter(|bit| value >> bit & 1 == 1)
                .fold(Self(Vec::new()), |set, bit| set.or(&Self::range(bit, bit))),
        };
        all.and(&if negated { holds.not() } else { holds })
    }

    /// In both.
    pub fn and(&self, other: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|one| other.0.iter().map(move |two| (one, two)));
        Self(pairs.map(|((a, b), (c, d))| (*a.max(c), *b.min(d))).filter(|(first, last)| first <= last).collect())
    }

    /// In one of them or both.
    pub fn or(&self, other: &Self) -> Self {
        let mut ranges: Vec<_> = self.0.iter().chain(&other.0).copied().collect();
        ranges.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (first, last) in ranges {
            match joined.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }

    /// All other numbers.
    fn not(&self) -> Self {
        let mut gaps = Vec::new();
        let mut next = Some(0u64);
        for (first, last) in &self.0 {
            if let Some(begin) = next.filter(|begin| begin < first) {
                gaps.push((begin, first.saturating_sub(1)));
            }
            next = last.checked_add(1);
        }
        gaps.extend(next.map(|begin| (begin, u64::MAX)));
        Self(gaps)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The least.
    pub fn least(&self) -> Option<u64> {
        self.0.first().map(|(first, _)| *first)
    }

    /// The greatest.
    pub fn greatest(&self) -> Option<u64> {
        self.0.last().map(|(_, last)| *last)
    }

    /// Whether `number` is one of them.
    pub fn has(&self, number: u64) -> bool {
        self.0.iter().any(|(first, last)| (first..=last).contains(&&number))
    }

    /// How many there are, at most 2^64 − 1.
    fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum: u64, (first, last)| sum.saturating_add(last - first).saturating_add(1))
    }
}

/// One way for a condition to hold: what each field can then be.
#[derive(Clone, Debug)]
pub struct Case {
    fields: [Values; Field::ALL.len()],
    /// Sets of segments of which the user must be in one.
    any: Vec<u64>,
    /// Segments in which the user must not be.
    none: u64,
}

impl Case {
    fn new() -> Self {
        Self { fields: Field::ALL.map(Values::of_field), any: Vec::new(), none: 0 }
    }

    /// What `field` can be.
    pub fn of(&self, field: Field) -> &Values {
        // Fields are numbered from 1, in the order of `ALL`.
        static NONE: Values = Values(Vec::new());
        self.fields.get((field as usize).saturating_sub(1)).unwrap_or(&NONE)
    }

    fn narrow(&mut self, predicate: &Predicate) {
        // What this code does not know can be anything.
        let (Some(field), Some(operator)) = (predicate.field(), predicate.operator()) else { return };
        if (field, operator) == (Field::Segments, Operator::Any) {
            if predicate.negated() {
                self.none |= predicate.value;
            } else {
                self.any.push(predicate.value);
            }
            return;
        }
        let allowed = Values::of_comparison(field, operator, predicate.value, predicate.negated());
        if let Some(values) = self.fields.get_mut((field as usize).saturating_sub(1)) {
            *values = values.and(&allowed);
        }
    }

    /// Whether any payment can be like that. Where that is hard to say, it can.
    fn is_possible(&self) -> bool {
        if self.fields.iter().any(Values::is_empty) || self.any.iter().any(|set| set & !self.none == 0) {
            return false;
        }
        let segments = self.of(Field::Segments);
        let fits = |user: u64| user & self.none == 0 && self.any.iter().all(|set| user & set != 0);
        if segments.count() == 1 && !segments.least().is_some_and(fits) {
            return false;
        }
        // What was spent includes this payment, and nobody paid this rule more often, or on more days, than at all.
        let exceeds = |one, other| self.of(one).least() > self.of(other).greatest();
        !(exceeds(Field::Amount, Field::Spend)
            || exceeds(Field::Payments, Field::PaymentNumber)
            || exceeds(Field::StreakDays, Field::PaymentNumber)
            || self.days().is_some_and(|days| days.is_empty()))
    }

    /// The days on which such payments can be made, where those are few: days since 1970.
    pub fn days(&self) -> Option<Vec<i64>> {
        /// Ten years.
        const FEW: i64 = 3_660;
        let dates = self.of(Field::Date);
        let day = |number: u64| day_of(number.clamp(19_700_101, 99_991_231));
        let (first, last) = (day(dates.least()?)?, day(dates.greatest()?)?);
        if last.saturating_sub(first) > FEW {
            return None;
        }
        // A date that is none, the 31st of a month of 30 days, was taken for one near it.
        let around = first.saturating_sub(3)..=last.saturating_add(3);
        let possible = |day: &i64| {
            let local = LocalTime::at(Timestamp(day.saturating_mul(86_400)), &[]);
            dates.has(local.date().number()) && self.of(Field::Weekday).has(local.weekday().0.into())
        };
        Some(around.filter(possible).collect())
    }
}

/// The day of a date as a number, days since 1970; for the 31st of a shorter month a day near it.
fn day_of(number: u64) -> Option<i64> {
    let (rest, day) = (number / 100, number % 100);
    let month = time::Month::try_from(u8::try_from(rest % 100).ok()?.clamp(1, 12)).ok()?;
    let year = i32::try_from(rest / 100).ok()?;
    let first = time::Date::from_calendar_date(year, month, 1).ok()?;
    let days = first.midnight().assume_utc().unix_timestamp() / 86_400;
    Some(days.saturating_add(i64::try_from(day).ok()?.clamp(1, 31)).saturating_sub(1))
}

/// Every way for the clauses that `counted` takes to hold: one predicate of each clause. There are at most 81 with twelve
/// predicates.
fn ways(condition: &[Predicate], counted: impl Fn(&[Predicate]) -> bool, dates: &Values) -> Vec<Case> {
    let mut first = Case::new();
    if let Some(values) = first.fields.get_mut((Field::Date as usize).saturating_sub(1)) {
        *values = values.and(dates);
    }
    let mut cases = vec![first];
    for clause in condition.chunk_by(|one, next| one.clause == next.clause).filter(|clause| counted(clause)) {
        let narrowed = cases.iter().flat_map(|case| {
            clause.iter().map(move |predicate| {
                let mut case = case.clone();
                case.narrow(predicate);
                case
            })
        });
        cases = narrowed.filter(Case::is_possible).collect();
    }
    cases
}

/// Every way for the condition to hold, of payments on `dates`; none if it never does.
pub fn cases(condition: &[Predicate], dates: &Values) -> Vec<Case> {
    ways(condition, |_| true, dates)
}

/// Every way for a payment to count.
pub fn counted_cases(condition: &[Predicate], dates: &Values) -> Vec<Case> {
    ways(condition, |clause| clause.iter().all(Predicate::is_base), dates)
}

/// The dates from `starts_at` until before `ends_at`, 0 for open, on the platform's clocks.
pub fn dates(starts_at: Timestamp, ends_at: Timestamp, offsets: &[UtcOffset]) -> Values {
    let inside = |row: &&UtcOffset| row.from > starts_at && (ends_at.0 == 0 || row.from < ends_at);
    let first = offsets.iter().rev().find(|row| row.from <= starts_at).map_or(0, |row| row.seconds);
    let seconds: Vec<_> = std::iter::once(first).chain(offsets.iter().filter(inside).map(|row| row.seconds)).collect();
    let date = |at: i64, seconds: i32| {
        let table = [UtcOffset::new(Timestamp(i64::MIN), seconds)];
        LocalTime::at(Timestamp(at), &table).date().number()
    };
    let all = |at: i64| seconds.iter().map(move |seconds| date(at, *seconds));
    let first = if starts_at.0 == 0 { None } else { all(starts_at.0).min() };
    let last = if ends_at.0 == 0 { None } else { all(ends_at.0.saturating_sub(1)).max() };
    Values::range(first.unwrap_or(0), last.unwrap_or(u64::MAX))
}
