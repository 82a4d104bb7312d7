//! The file's tables as TOML has them. Unknown keys are errors.

use serde::Deserialize;
use toml::{Spanned, value::Datetime};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    pub platform: PlatformTable,
    #[serde(default)]
    pub asset: Vec<AssetTable>,
    #[serde(default)]
    pub group: Vec<GroupTable>,
    #[serde(default)]
    pub rule: Vec<RuleTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformTable {
    #[serde(default)]
    pub utc_offsets: Vec<OffsetTable>,
    pub max_lateness: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OffsetTable {
    pub from: Spanned<Moment>,
    pub offset: Spanned<String>,
}

/// Unix seconds, or a date and time in RFC 3339.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected Unix seconds or a date and time like \"2026-10-01T00:00:00+08:00\"")]
pub enum Moment {
    Seconds(i64),
    Text(String),
    Unquoted(Datetime),
}

/// A date and time in RFC 3339, in quotes or as TOML's own.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a date and time like \"2026-10-01T00:00:00+08:00\"")]
pub enum Date {
    Text(String),
    Unquoted(Datetime),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetTable {
    pub id: Spanned<u64>,
    pub name: Spanned<String>,
    pub kind: Spanned<String>,
    pub expiry_months: Option<Spanned<u64>>,
    pub mint: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupTable {
    pub id: Spanned<u64>,
    pub mode: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTable {
    pub id: Spanned<u16>,
    pub name: Spanned<String>,
    #[serde(default)]
    pub priority: u16,
    #[serde(default)]
    pub group: u8,
    #[serde(default)]
    pub when: Vec<Spanned<String>>,
    pub starts_at: Option<Spanned<Date>>,
    pub ends_at: Option<Spanned<Date>>,
    pub window: Option<Spanned<String>>,
    pub scope: Option<Spanned<String>>,
    pub effect: Spanned<EffectTable>,
    #[serde(default)]
    pub limits: LimitsTable,
    #[serde(default)]
    pub tags: Vec<Spanned<i64>>,
    #[serde(default)]
    pub excludes: Vec<Spanned<i64>>,
    pub holdout_bps: Option<Spanned<u32>>,
}

/// A threshold and a value.
pub type StepRow = Spanned<Vec<Spanned<u64>>>;

/// The keys of all kinds together, so that each can be told where it stands; which kind has which is checked behind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table like { kind = \"fixed\", asset = 1, amount = 1000 }")]
pub struct EffectTable {
    pub kind: Spanned<String>,
    pub asset: Option<Spanned<u8>>,
    pub amount: Option<Spanned<u64>>,
    pub bps: Option<Spanned<u32>>,
    pub min: Option<Spanned<u64>>,
    pub max: Option<Spanned<u64>>,
    pub mode: Option<Spanned<String>>,
    pub steps: Option<Spanned<Vec<StepRow>>>,
    pub days: Option<Spanned<u32>>,
    pub recurring: Option<Spanned<bool>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table like { user_count = 0, on_limit = \"clip\" }")]
pub struct LimitsTable {
    #[serde(default)]
    pub user_amount: u64,
    #[serde(default)]
    pub user_count: u64,
    #[serde(default)]
    pub total_amount: u64,
    #[serde(default)]
    pub total_count: u64,
    pub on_limit: Option<Spanned<String>>,
}
