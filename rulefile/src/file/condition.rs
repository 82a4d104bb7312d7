//! Conditions as rule files write them: `payment_number == 1`, `product == 1 or not product == 2`,
//! `weekday in [6, 7]`.
//!
//! ```text
//! clause    = predicate { "or" predicate }
//! predicate = [ "not" ] field ( operator value | "in" "[" number { "," number } "]" | "any" number )
//! operator  = "==" | "!=" | "<" | "<=" | ">" | ">="
//! value     = number | '"' platform id '"' | "'" platform id "'"
//! ```
//!
//! `in` is for weekdays and hours, `any` for segments, a platform id for a streamer or a session.

use super::Fault;
use rebate_client::platform_id;
use rebate_core::rule::{Field, MAX_PREDICATES, Operator, Predicate};
use std::ops::Range;
use toml::Spanned;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Sign(&'a str),
    Number(u64),
    /// A platform id, without its quotes.
    Quoted(&'a str),
    End,
}

struct Tokens<'a> {
    text: &'a str,
    /// Where in the file the text begins.
    base: usize,
    next: (Token<'a>, Range<usize>),
}

/// Parses one clause, number `number`, of the file `file`, and appends its predicates.
pub fn clause(number: u8, source: &Spanned<String>, file: &str, condition: &mut Vec<Predicate>) -> Result<(), Fault> {
    let span = source.span();
    // How far behind the opening quote the text begins. A text with escapes stands nowhere in the file as it is; what is
    // wrong with one is said of the whole.
    let begin = file.get(span.clone()).and_then(|raw| raw.find(source.get_ref().as_str()));
    let parsed = parse(number, source.get_ref(), span.start.saturating_add(begin.unwrap_or(0)), condition);
    parsed.map_err(|fault| if begin.is_some() { fault } else { Fault { at: span, ..fault } })
}

fn parse(number: u8, text: &str, base: usize, condition: &mut Vec<Predicate>) -> Result<(), Fault> {
    let mut tokens = Tokens { text, base, next: (Token::End, base..base) };
    tokens.advance(0)?;
    loop {
        let at = tokens.next.1.clone();
        let predicate = tokens.predicate(number)?;
        if condition.len() == MAX_PREDICATES {
            return Err(Fault::new(at, format!("a condition has at most {MAX_PREDICATES} predicates")));
        }
        condition.push(predicate);
        match tokens.take()? {
            (Token::End, _) => return Ok(()),
            (Token::Word("or"), _) => {}
            (_, at) => {
                let what = "expected `or` or the end; what must hold as well is another text of the list";
                return Err(Fault::new(at, what));
            }
        }
    }
}

impl<'a> Tokens<'a> {
    /// Reads the token at or behind `from` into `next`.
    fn advance(&mut self, from: usize) -> Result<(), Fault> {
        let rest = self.text.get(from..).unwrap_or("");
        let begin = from.saturating_add(rest.len().saturating_sub(rest.trim_start().len()));
        let rest = rest.trim_start();
        let run = |is: fn(char) -> bool| rest.find(|char| !is(char)).unwrap_or(rest.len());
        let place =
            |length: usize| self.base.saturating_add(begin)..self.base.saturating_add(begin).saturating_add(length);
        let (token, length) = match rest.chars().next() {
            None => (Token::End, 0),
            Some(first) if first.is_ascii_digit() => {
                let length = run(|char| char.is_ascii_digit() || char == '_');
                let digits: String = rest.get(..length).unwrap_or("").chars().filter(|char| *char != '_').collect();
                let number = digits.parse().map_err(|_| Fault::new(place(length), "the number is above 2^64 - 1"))?;
                (Token::Number(number), length)
            }
            Some(first) if first.is_ascii_alphabetic() => {
                let length = run(|char| char.is_ascii_alphanumeric() || char == '_');
                (Token::Word(rest.get(..length).unwrap_or("")), length)
            }
            Some(quote @ ('"' | '\'')) => {
                let inside = rest.get(1..).unwrap_or("");
                let length = inside.find(quote).ok_or_else(|| {
                    Fault::new(place(rest.len()), format!("the platform id does not end; expected another {quote}"))
                })?;
                (Token::Quoted(inside.get(..length).unwrap_or("")), length.saturating_add(2))
            }
            Some(_) => {
                let length = ["==", "!=", "<=", ">="]
                    .iter()
                    .find(|sign| rest.starts_with(**sign))
                    .map_or_else(|| rest.chars().next().map_or(0, char::len_utf8), |sign| sign.len());
                (Token::Sign(rest.get(..length).unwrap_or("")), length)
            }
        };
        self.next = (token, place(length));
        Ok(())
    }

    fn take(&mut self) -> Result<(Token<'a>, Range<usize>), Fault> {
        let taken = self.next.clone();
        self.advance(taken.1.end.saturating_sub(self.base))?;
        Ok(taken)
    }

    fn predicate(&mut self, clause: u8) -> Result<Predicate, Fault> {
        let negated = self.next.0 == Token::Word("not");
        if negated {
            self.take()?;
        }
        let (token, at) = self.take()?;
        let field = field(token, at)?;
        let (token, at) = self.take()?;
        let (operator, value) = match token {
            Token::Word("in") => {
                if !matches!(field, Field::Weekday | Field::Hour) {
                    return Err(Fault::new(at, "`in` is for weekday and hour; write `x == 1 or x == 2` instead"));
                }
                (Operator::Any, self.set(field)?)
            }
            Token::Word("any") => {
                if field != Field::Segments {
                    return Err(Fault::new(at, "`any` is for segments; for weekday and hour write `in [6, 7]`"));
                }
                let (value, at) = self.number()?;
                if value == 0 {
                    return Err(Fault::new(at, "no segment is in 0; expected a bit set from 1 to 4294967295"));
                }
                check_range(field, value, at)?;
                (Operator::Any, value)
            }
            Token::Sign(sign) => {
                let operator = Operator::ALL
                    .into_iter()
                    .find(|operator| operator.sign() == sign)
                    .ok_or_else(|| Fault::new(at, format!("unknown operator {sign:?}; {OPERATORS}")))?;
                (operator, self.value(field, operator)?)
            }
            _ => return Err(Fault::new(at, OPERATORS)),
        };
        Ok(Predicate::new(clause, negated, field, operator, value))
    }

    /// What the field is compared with.
    fn value(&mut self, field: Field, operator: Operator) -> Result<u64, Fault> {
        let id = match self.next.0 {
            Token::Quoted(id) => id,
            _ => {
                let (value, at) = self.number()?;
                check_range(field, value, at)?;
                return Ok(value);
            }
        };
        let (_, at) = self.take()?;
        if !matches!(field, Field::Streamer | Field::Session) {
            return Err(Fault::new(at, format!("expected a whole number; {} has no platform id", field.name())));
        }
        if !matches!(operator, Operator::Eq | Operator::Ne) {
            return Err(Fault::new(at, "platform ids are the same or not; expected == or != before one"));
        }
        // Nobody, and no session, is the number 0.
        Ok(if id.is_empty() { 0 } else { platform_id::number(id) })
    }

    /// `[6, 7]` as a bit set.
    fn set(&mut self, field: Field) -> Result<u64, Fault> {
        let (token, at) = self.take()?;
        if token != Token::Sign("[") {
            return Err(Fault::new(at, "expected a list like [6, 7]"));
        }
        let mut set = 0;
        loop {
            let (number, at) = self.number()?;
            check_range(field, number, at)?;
            // At most 23, by its range.
            set |= 1 << number;
            match self.take()? {
                (Token::Sign(","), _) => {}
                (Token::Sign("]"), _) => return Ok(set),
                (_, at) => return Err(Fault::new(at, "expected `,` or `]`")),
            }
        }
    }

    fn number(&mut self) -> Result<(u64, Range<usize>), Fault> {
        match self.take()? {
            (Token::Number(number), at) => Ok((number, at)),
            (_, at) => Err(Fault::new(at, "expected a whole number")),
        }
    }
}

const OPERATORS: &str = "expected ==, !=, <, <=, >, >=, `in` or `any`";

fn field(token: Token<'_>, at: Range<usize>) -> Result<Field, Fault> {
    let names = || Field::ALL.map(Field::name).join(", ");
    let Token::Word(word) = token else { return Err(Fault::new(at, format!("expected a field: {}", names()))) };
    let field = Field::ALL.into_iter().find(|field| field.name() == word);
    field.ok_or_else(|| Fault::new(at, format!("unknown field {word:?}; expected {}", names())))
}

fn check_range(field: Field, value: u64, at: Range<usize>) -> Result<(), Fault> {
    let wrong = match field {
        Field::Weekday if !(1..=7).contains(&value) => "a weekday is 1 (Monday) to 7 (Sunday)",
        Field::Hour if value > 23 => "an hour is 0 to 23",
        Field::Date if !is_date(value) => "a date is a number like 20261003",
        Field::Product if value > u64::from(u16::MAX) => "a product is at most 65535",
        Field::Tier if value > u64::from(u8::MAX) => "a tier is at most 255",
        Field::Segments if value > u64::from(u32::MAX) => "segments are a bit set of at most 4294967295",
        _ => return Ok(()),
    };
    Err(Fault::new(at, wrong))
}

/// Whether `number` can be a date: a year of four digits, a month, a day.
fn is_date(number: u64) -> bool {
    let (rest, day) = (number / 100, number % 100);
    let (year, month) = (rest / 100, rest % 100);
    (1_000..=9_999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}
