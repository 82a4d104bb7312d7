//! What is measured: the definitions, and how each follows from the roll-ups.

use super::{
    By, Every,
    calendar::{Calendar, Span},
    decimal::{fixed, quotient},
    names::Names,
    rollups::{self, Grants, Row, Seen, Wanted},
};
use crate::{
    problem::{Kind, Problem},
    snapshot::AsOf,
    value::Address,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Measure {
    /// How many of those who paid were granted something.
    Participation,
    /// How many of all users paid.
    Payers,
    /// What was paid, per user.
    Arpu,
    /// What was paid, per user who paid.
    Arppu,
    /// How often those who paid did.
    Frequency,
    /// How many of the new ones paid again.
    Conversion,
    /// What was granted, per grant.
    Grants,
    /// What refunds took back, of what was granted.
    Reversals,
    /// What expired, of what was granted.
    Breakage,
    /// What grants cost, per unit paid.
    Cost,
    /// What was paid, per unit of cost.
    Roi,
    /// What those who were granted something spent, against the others. A correlation.
    Influence,
    /// What a rule made users spend, against those whom it holds out.
    Uplift,
}

/// What a measure is, in words.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Definition {
    /// What `numerator` is.
    #[schema(example = "users who paid and were granted something on one of these payments")]
    pub numerator: &'static str,
    /// What `denominator` is.
    #[schema(example = "users who paid")]
    pub denominator: &'static str,
    /// What `value` is, and what to know about it.
    #[schema(example = "The share of paying users who were granted something.")]
    pub text: &'static str,
}

/// In what a measure's `value` is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// A part of a whole: 1 is all of it.
    Share,
    /// The platform's minor currency unit.
    Currency,
    /// The asset's smallest unit.
    Asset,
    /// A number of payments.
    Payments,
    /// The asset's smallest unit per minor currency unit.
    AssetPerCurrency,
    /// The minor currency unit per asset's smallest unit.
    CurrencyPerAsset,
    /// How many times as much.
    Ratio,
}

/// A row of an answer: a bucket of time, a key of the dimension, and of measures by asset an asset.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Figure {
    /// When the bucket begins, by the platform's clocks; of `uplift`, what was asked for.
    #[schema(required, format = DateTime, example = "2026-10-03T00:00:00+08:00")]
    pub from: Option<String>,
    /// When it ends, exclusive.
    #[schema(required, format = DateTime, example = "2026-10-04T00:00:00+08:00")]
    pub to: Option<String>,
    /// The key of the dimension; null without one.
    #[schema(required, example = "1")]
    pub key: Option<String>,
    /// What to call it.
    #[schema(required, example = "first recharge 20%")]
    pub label: Option<String>,
    /// The asset's number, of measures by asset; null otherwise.
    #[schema(required, minimum = 1, maximum = 8, example = 1)]
    pub asset: Option<i16>,
    /// Its name.
    #[schema(required, example = "coins")]
    pub asset_name: Option<String>,
    /// What `definition.numerator` says.
    #[schema(pattern = r"^-?[0-9]+(\.[0-9]{6})?$", example = "2")]
    pub numerator: String,
    /// What `definition.denominator` says; null where it is not known.
    #[schema(required, pattern = r"^-?[0-9]+(\.[0-9]{6})?$", example = "3")]
    pub denominator: Option<String>,
    /// The figure, with six digits behind the point, halves rounded away from zero; null where there is none, since the
    /// denominator is not above 0.
    #[schema(required, pattern = r"^-?[0-9]+\.[0-9]{6}$", example = "0.666667")]
    pub value: Option<String>,
    /// What else there is to it, by name; null where it is not known.
    #[schema(example = json!({"payers": "3", "granted_payers": "2"}))]
    pub details: BTreeMap<&'static str, Option<String>>,
}

/// A measure over time.
#[derive(Serialize, ToSchema)]
pub(crate) struct Figures {
    /// The platform.
    pub platform: Address,
    /// What is measured.
    #[schema(inline)]
    pub measure: Measure,
    /// What that is.
    pub definition: Definition,
    /// In what `value` is.
    #[schema(inline)]
    pub unit: Unit,
    /// How long a bucket is; null where there are none.
    #[schema(required, inline)]
    pub every: Option<Every>,
    /// By what rows are told apart.
    #[schema(inline)]
    pub by: By,
    /// By time, key and asset. Where nothing happened, there is no row.
    pub rows: Vec<Figure>,
    #[serde(flatten)]
    #[schema(inline = false)]
    pub as_of: AsOf,
}

impl Measure {
    pub const fn definition(self) -> Definition {
        match self {
            Self::Participation => Definition {
                numerator: "users who paid in the bucket and were granted something on one of these payments; by rule, group or \
                            effect: by that one",
                denominator: "users who paid in the bucket with such payments; by rule, group or effect: with any",
                text: "The share of paying users who were granted something. Each user counts once in a bucket. A payment is in \
                       the bucket of its paid_at.",
            },
            Self::Payers => Definition {
                numerator: "users who paid in the bucket with such payments, each once",
                denominator: "users who had ever paid by the end of the bucket",
                text: "The share of all users who paid. The chain knows nobody who never paid: all users are those whose first \
                       payment, the one that the chain numbers 1, lies before the end of the bucket.",
            },
            Self::Arpu => Definition {
                numerator: "what was paid in the bucket with such payments, refunds not deducted",
                denominator: "users who had ever paid by the end of the bucket",
                text: "Average revenue per user. The chain knows nobody who never paid: all users are those whose first payment, \
                       the one that the chain numbers 1, lies before the end of the bucket.",
            },
            Self::Arppu => Definition {
                numerator: "what was paid in the bucket with such payments, refunds not deducted",
                denominator: "users who paid in the bucket with such payments, each once",
                text: "Average revenue per paying user.",
            },
            Self::Frequency => Definition {
                numerator: "payments in the bucket",
                denominator: "users who made them, each once",
                text: "How often a paying user paid.",
            },
            Self::Conversion => Definition {
                numerator: "those of them who have paid again since, whenever that was",
                denominator: "users whose first payment, the one that the chain numbers 1, lies in the bucket; under the key of \
                              that payment",
                text: "The share of new payers who paid a second time, up to as_of_slot. It can still rise.",
            },
            Self::Grants => Definition {
                numerator: "what was granted on payments in the bucket",
                denominator: "grants",
                text: "The average grant. `cost` is what was granted less what refunds took back and what expired in the bucket; a \
                       reversal is in the bucket of its refund's paid_at, and under what the refunded payment is under; what \
                       expires is in the bucket of the chain's clock, and only known for all payments together, since a balance does \
                       not say who granted it.",
            },
            Self::Reversals => Definition {
                numerator: "what refunds in the bucket took back of grants, whenever these were made",
                denominator: "what was granted on payments in the bucket",
                text: "What refunds took back, per unit granted.",
            },
            Self::Breakage => Definition {
                numerator: "what expired in the bucket, by the chain's clock, whenever it was granted",
                denominator: "what was granted on payments in the bucket",
                text: "What expired, per unit granted. Only for all payments together: a balance does not say who granted it.",
            },
            Self::Cost => Definition {
                numerator: "what was granted in the bucket, less what refunds took back and what expired in it",
                denominator: "what was paid in the bucket by the payments on which it was granted, refunds not deducted",
                text: "What grants cost, in the asset's smallest unit, per minor currency unit paid. By anything, what expired is \
                       not deducted: a balance does not say who granted it.",
            },
            Self::Roi => Definition {
                numerator: "what was paid in the bucket by the payments on which it was granted, less what was refunded in it of \
                            such payments",
                denominator: "what was granted in the bucket, less what refunds took back and what expired in it",
                text: "Payment volume per unit of cost. It counts all of a payment as if the grant had caused it, which it has not: \
                       what a rule causes, only `uplift` says. By anything, what expired is not deducted from the cost.",
            },
            Self::Influence => Definition {
                numerator: "what a user who was granted something in the bucket paid in it, on average",
                denominator: "what any other paying user paid in it, on average",
                text: "How many times as much granted users spend as the others. A correlation, no effect: who pays more is \
                       granted more. What a rule causes, only `uplift` says. By rule, group or effect, granted users are those \
                       whom that one granted something, and all their payments in the bucket count.",
            },
            Self::Uplift => Definition {
                numerator: "what users whom the rule does not hold out spent on average from their first exposure on",
                denominator: "the same of users whom it holds out",
                text: "Intent to treat: the difference of the two means. A user is exposed by the first payment that meets the \
                       rule's conditions, whether the rule then pays or holds the user out, and stays on the side of that \
                       moment. Spending is what was paid from that payment on, it included, less what was refunded since, in the \
                       order of the chain, up to as_of_slot. `low` and `high` are the 95 % confidence interval by the normal \
                       approximation with unequal variances. The figures named `cuped_…` are the same after adjusting for what \
                       users had spent before they were exposed, where any had. `ratio_p` is the chance of sides as uneven as \
                       these, by a chi-square test with one degree of freedom: below 0.001, something is wrong with who was counted, \
                       and the rest means nothing.",
            },
        }
    }

    pub const fn unit(self) -> Unit {
        match self {
            Self::Participation | Self::Payers | Self::Conversion | Self::Reversals | Self::Breakage => Unit::Share,
            Self::Arpu | Self::Arppu | Self::Uplift => Unit::Currency,
            Self::Frequency => Unit::Payments,
            Self::Grants => Unit::Asset,
            Self::Cost => Unit::AssetPerCurrency,
            Self::Roi => Unit::CurrencyPerAsset,
            Self::Influence => Unit::Ratio,
        }
    }

    /// Whether it is by asset.
    pub const fn is_by_asset(self) -> bool {
        matches!(self, Self::Grants | Self::Reversals | Self::Breakage | Self::Cost | Self::Roi)
    }

    /// Refuses what it cannot be told apart by.
    pub fn require(self, by: By) -> Result<(), Problem> {
        let why = match (self, by) {
            (Self::Breakage, by) if by != By::None => {
                "breakage is known for all payments together only: a balance does not say who granted it; leave `by` out"
            }
            (Self::Conversion, By::Newness) => {
                "conversion is of new users only; leave `by` out, or ask by something else"
            }
            _ => return Ok(()),
        };
        Err(Problem::new(Kind::InvalidParameter, format!("by in the query: {why}")))
    }
}

/// What rows have in common.
struct Table<'a> {
    calendar: &'a Calendar,
    names: &'a Names,
    every: Every,
    by: By,
    spans: HashMap<i32, (String, String)>,
}

impl Table<'_> {
    fn figure(
        &mut self,
        (bucket, value, asset): (i32, Decimal, Option<i16>),
        (numerator, denominator): (Decimal, Decimal),
        details: impl IntoIterator<Item = (&'static str, Option<Decimal>)>,
    ) -> Result<Figure, Problem> {
        let (from, to) = match self.spans.get(&bucket) {
            Some(span) => span.clone(),
            None => {
                let span = self.calendar.span(self.every, bucket);
                let Span { from, to } = span.ok_or_else(|| Problem::internal(&format_args!("no bucket {bucket}")))?;
                let span = (self.calendar.text(from)?, self.calendar.text(to)?);
                self.spans.insert(bucket, span.clone());
                span
            }
        };
        let (key, label) = self.names.key(self.by, value).unzip();
        Ok(Figure {
            from: Some(from),
            to: Some(to),
            key,
            label,
            asset,
            asset_name: asset.map(|asset| self.names.asset(asset)),
            numerator: numerator.to_string(),
            denominator: Some(denominator.to_string()),
            value: quotient(numerator, denominator).map(|value| value.to_string()),
            details: details.into_iter().map(|(name, value)| (name, value.map(|value| value.to_string()))).collect(),
        })
    }
}

/// The rows of any measure but uplift.
pub(crate) async fn figures(
    connection: &mut PgConnection,
    measure: Measure,
    wanted: &Wanted<'_>,
    calendar: &Calendar,
    names: &Names,
) -> Result<Vec<Figure>, Problem> {
    let (every, by) = (wanted.every, wanted.by);
    let mut table = Table { calendar, names, every, by, spans: HashMap::new() };
    if measure.is_by_asset() {
        let rows = rollups::grants(connection, wanted).await?;
        return rows.iter().map(|row| of_grants(&mut table, measure, row)).collect();
    }
    let rows = rollups::payments(connection, wanted).await?;
    let totals = match by.is_of_grants() {
        true => rollups::totals(connection, wanted).await?,
        false => HashMap::new(),
    };
    let seen = match measure {
        Measure::Payers | Measure::Arpu => Some(Seen::read(connection, wanted).await?),
        _ => None,
    };
    let nothing = Row::default();
    rows.iter()
        // What has refunds only says nothing about who paid.
        .filter(|row| row.payments > 0)
        .filter(|row| measure != Measure::Conversion || row.new_payers > 0)
        .map(|row| {
            let all = if by.is_of_grants() { totals.get(&row.bucket).unwrap_or(&nothing) } else { row };
            let users = seen.as_ref().map_or(0, |seen| seen.by_the_end_of(row.bucket));
            of_payments(&mut table, measure, row, all, users)
        })
        .collect()
}

/// A row of payments; `all` is what the dimension's keys share, where a payment is under them by what granted something on it.
fn of_payments(table: &mut Table<'_>, measure: Measure, row: &Row, all: &Row, users: i64) -> Result<Figure, Problem> {
    let place = (row.bucket, row.value, None);
    let count = |count: i64| Decimal::from(count);
    let known = |name, count: i64| (name, Some(Decimal::from(count)));
    let money = |name, amount: Decimal| (name, Some(amount));
    match measure {
        Measure::Participation => table.figure(
            place,
            (count(row.granted_payers), count(all.payers)),
            [known("granted_payers", row.granted_payers), known("payers", all.payers)],
        ),
        Measure::Payers => table.figure(
            place,
            (count(row.payers), count(users)),
            [known("payers", row.payers), known("new_payers", row.new_payers), known("users", users)],
        ),
        Measure::Arpu => table.figure(
            place,
            (row.paid, count(users)),
            [money("paid", row.paid), money("refunded", row.refunded), known("users", users)],
        ),
        Measure::Arppu => table.figure(
            place,
            (row.paid, count(row.payers)),
            [money("paid", row.paid), money("refunded", row.refunded), known("payers", row.payers)],
        ),
        Measure::Frequency => table.figure(
            place,
            (count(row.payments), count(row.payers)),
            [
                known("payments", row.payments),
                known("payers", row.payers),
                known("refunds", row.refunds),
                money("paid", row.paid),
            ],
        ),
        Measure::Conversion => table.figure(
            place,
            (count(row.converted), count(row.new_payers)),
            [known("new_payers", row.new_payers), known("converted", row.converted)],
        ),
        _ => influence(table, row, all),
    }
}

fn influence(table: &mut Table<'_>, row: &Row, all: &Row) -> Result<Figure, Problem> {
    let others = all.payers.saturating_sub(row.granted_payers);
    let others_spent = all.paid.saturating_sub(row.granted_spent);
    let granted_mean = quotient(row.granted_spent, row.granted_payers.into());
    let others_mean = quotient(others_spent, others.into());
    let mut figure = table.figure(
        (row.bucket, row.value, None),
        (granted_mean.unwrap_or_else(|| fixed(Decimal::ZERO)), others_mean.unwrap_or_else(|| fixed(Decimal::ZERO))),
        [
            ("granted_payers", Some(row.granted_payers.into())),
            ("granted_spent", Some(row.granted_spent)),
            ("other_payers", Some(others.into())),
            ("other_spent", Some(others_spent)),
        ],
    )?;
    if others_mean.is_none() {
        figure.denominator = None;
    }
    if granted_mean.is_none() {
        figure.value = None;
    }
    Ok(figure)
}

fn of_grants(table: &mut Table<'_>, measure: Measure, row: &Grants) -> Result<Figure, Problem> {
    let Grants { bucket, value, asset, grants, granted, reversals, reversed, expiries, expired, paid, refunded } =
        row.clone();
    let cost = granted.saturating_sub(reversed).saturating_sub(expired);
    let is_together = table.by == By::None;
    let ratio = match measure {
        Measure::Grants => (granted, grants),
        Measure::Reversals => (reversed, granted),
        Measure::Breakage => (expired, granted),
        Measure::Cost => (cost, paid),
        _ => (paid.saturating_sub(refunded), cost),
    };
    table.figure(
        (bucket, value, Some(asset)),
        ratio,
        [
            ("grants", Some(grants)),
            ("granted", Some(granted)),
            ("reversals", Some(reversals)),
            ("reversed", Some(reversed)),
            ("expiries", is_together.then_some(expiries)),
            ("expired", is_together.then_some(expired)),
            ("cost", Some(cost)),
            ("paid", Some(paid)),
            ("refunded", Some(refunded)),
        ],
    )
}
