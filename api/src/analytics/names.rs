//! What keys are called.

use super::By;
use crate::{problem::Problem, value::Address};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use sqlx::PgConnection;
use std::collections::HashMap;

/// The kinds of effects, in the order of their numbers from 1.
pub(crate) const EFFECTS: [&str; 5] = ["fixed", "ratio", "tiers", "streak", "multiplier"];

/// The kinds of users, in the order of their numbers from 0.
pub(crate) const NEWNESS: [&str; 2] = ["returning", "new"];

/// The names of a platform's rules and assets.
pub(crate) struct Names {
    rules: HashMap<i32, String>,
    assets: HashMap<i16, String>,
}

impl Names {
    pub async fn read(connection: &mut PgConnection, platform: &Address) -> Result<Self, Problem> {
        let rules = sqlx::query!(
            "SELECT DISTINCT ON (rule) rule, name FROM rules WHERE platform = $1 ORDER BY rule, version DESC",
            &platform.0
        )
        .fetch_all(&mut *connection)
        .await?;
        let assets = sqlx::query!("SELECT asset, name FROM assets WHERE platform = $1", &platform.0)
            .fetch_all(connection)
            .await?;
        Ok(Self {
            rules: rules.into_iter().map(|row| (row.rule, row.name)).collect(),
            assets: assets.into_iter().map(|row| (row.asset, row.name)).collect(),
        })
    }

    /// An asset's name.
    pub fn asset(&self, asset: i16) -> String {
        self.assets.get(&asset).cloned().unwrap_or_else(|| format!("asset {asset}"))
    }

    /// A rule's name in its latest version.
    pub fn rule(&self, rule: i32) -> String {
        self.rules.get(&rule).cloned().unwrap_or_else(|| format!("rule {rule}"))
    }

    /// The key that a value has in answers, and what to call it; `None` where there are no keys.
    pub fn key(&self, by: By, value: Decimal) -> Option<(String, String)> {
        let number = value.to_string();
        let one_of = |names: &[&str], first: u64| {
            let place = value.to_u64().and_then(|value| usize::try_from(value.checked_sub(first)?).ok());
            place.and_then(|place| names.get(place)).map_or(number.clone(), |name| (*name).to_owned())
        };
        let or_none = |what: &str| match value.is_zero() {
            true => format!("no {what}"),
            false => format!("{what} {value}"),
        };
        let label = match by {
            By::None => return None,
            By::Rule => value.to_i32().map_or_else(|| number.clone(), |rule| self.rule(rule)),
            By::Group => format!("group {value}"),
            By::Effect => {
                let name = one_of(&EFFECTS, 1);
                return Some((name.clone(), name));
            }
            By::Product => format!("product {value}"),
            By::Streamer => or_none("streamer"),
            By::Tier => or_none("tier"),
            By::Segment => format!("segment {value}"),
            By::Newness => {
                let name = one_of(&NEWNESS, 0);
                return Some((name.clone(), format!("{name} users")));
            }
        };
        Some((number, label))
    }
}
