//! Analytics: what is measured, by what, and how often.
//!
//! Everything here is read from roll-ups that the indexer keeps in the transaction that writes the events (migration 0015),
//! so that it is as exact and as new as everything else. Ratios are divided here, in whole numbers; floating point is used
//! for the statistics of [`uplift`] only, which move no money.

pub(crate) mod calendar;
pub(crate) mod decimal;
pub(crate) mod export;
pub(crate) mod measure;
pub(crate) mod names;
pub(crate) mod rollups;
pub(crate) mod uplift;

use crate::{
    problem::{Kind, Problem},
    value::Instant,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How long a bucket is, on the platform's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Every {
    /// From each full hour.
    Hour,
    /// From midnight.
    Day,
    /// From Monday, as in ISO 8601.
    Week,
    /// From the first.
    Month,
    /// From January.
    Year,
}

impl Every {
    /// As the tables number it.
    pub const fn number(self) -> i16 {
        match self {
            Self::Hour => 1,
            Self::Day => 2,
            Self::Week => 3,
            Self::Month => 4,
            Self::Year => 5,
        }
    }

    /// How many buckets are answered where the request does not say from when on.
    pub const fn usual(self) -> i64 {
        match self {
            Self::Hour => 48,
            Self::Day => 30,
            Self::Week => 12,
            Self::Month => 12,
            Self::Year => 5,
        }
    }
}

/// By what payments are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    /// All together.
    None,
    /// By the rules that granted something on them.
    Rule,
    /// By the groups of these rules.
    Group,
    /// By the kinds of these rules' effects.
    Effect,
    /// By what was bought.
    Product,
    /// By streamer; key 0 is none.
    Streamer,
    /// By the user's tier at the time; key 0 is none.
    Tier,
    /// By each segment, a bit's number, that the user was in at the time. Who is in several is counted in each, who is in none
    /// nowhere.
    Segment,
    /// By whether the bucket is that of the user's first payment, the one that the chain numbers 1 (`new`), or another
    /// (`returning`).
    Newness,
}

impl By {
    /// As the tables number it.
    pub const fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Rule => 1,
            Self::Group => 2,
            Self::Effect => 3,
            Self::Product => 4,
            Self::Streamer => 5,
            Self::Tier => 6,
            Self::Segment => 7,
            Self::Newness => 8,
        }
    }

    /// Whether a payment is under it by what granted something on it.
    pub const fn is_of_grants(self) -> bool {
        matches!(self, Self::Rule | Self::Group | Self::Effect)
    }

    /// What a key is in the tables.
    ///
    /// # Errors
    /// Where it is none of this dimension.
    pub fn value(self, key: &str) -> Result<Decimal, Problem> {
        let refused = |expected: &str| {
            Problem::new(Kind::InvalidParameter, format!("key in the query: {key:?} is not {expected}"))
        };
        let number = |most: u64, expected: &str| {
            let number = key.parse::<u64>().ok().filter(|number| *number <= most);
            number.map(Decimal::from).ok_or_else(|| refused(expected))
        };
        let place = |names: &[&str], first: usize, expected: &str| {
            let place = names.iter().position(|name| *name == key);
            place.map(|place| Decimal::from(place + first)).ok_or_else(|| refused(expected))
        };
        match self {
            Self::None => Err(Problem::new(Kind::InvalidParameter, "key in the query: there is none without `by`")),
            Self::Rule => number(65_535, "the number of a rule, 0 to 65535"),
            Self::Group => number(255, "the number of a group, 0 to 255"),
            Self::Effect => place(&names::EFFECTS, 1, "a kind of effect: fixed, ratio, tiers, streak or multiplier"),
            Self::Product => number(65_535, "the number of a product, 0 to 65535"),
            Self::Streamer => number(u64::MAX, "the number of a streamer"),
            Self::Tier => number(255, "a tier, 0 to 255"),
            Self::Segment => number(31, "the number of a segment, 0 to 31"),
            Self::Newness => place(&names::NEWNESS, 0, "new or returning"),
        }
    }
}

/// In which form to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// As described here.
    #[default]
    Json,
    /// A table of comma-separated values, RFC 4180, with a line of names first.
    Csv,
}

/// What is asked for.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// By what to tell payments apart. Left out, they are taken together; of `uplift`, by rule, which is the only way.
    #[param(inline, example = "rule")]
    pub by: Option<By>,
    /// How long a bucket is. Left out, a day; `uplift` has no buckets.
    #[param(inline, example = "day")]
    pub every: Option<Every>,
    /// From when on: the bucket that this lies in is the first. Left out, some 30 days, or another usual number of buckets. Of
    /// `uplift`: only users whom the rule first met from then on.
    #[param(value_type = Option<Instant>, example = "2026-10-01T00:00:00+08:00")]
    pub from: Option<Instant>,
    /// Until when, exclusive: the bucket that the moment before lies in is the last. Left out, the last block that was read.
    #[param(value_type = Option<Instant>, example = "2026-11-01T00:00:00+08:00")]
    pub to: Option<Instant>,
    /// Only this key of the dimension.
    #[param(max_length = 20, example = "1")]
    pub key: Option<String>,
    /// Only this asset, of measures that are by asset.
    #[param(minimum = 1, maximum = 8, example = 1)]
    pub asset: Option<u8>,
    /// In which form to answer.
    #[param(inline)]
    pub format: Option<Format>,
}
