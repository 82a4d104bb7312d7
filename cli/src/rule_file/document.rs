//! The file's tables as TOML has them. Unknown keys are errors.

use serde::Deserialize;
use toml::Spanned;

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
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetTable {
    pub id: Spanned<u64>,
    pub name: Spanned<String>,
    pub kind: Spanned<String>,
    #[serde(default = "zero")]
    pub expiry_months: Spanned<u64>,
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
    /// Known by the specification; without groups it decides nothing.
    #[serde(default, rename = "group")]
    pub _group: u8,
    #[serde(default)]
    pub when: Vec<Spanned<String>>,
    pub starts_at: Option<Spanned<String>>,
    pub ends_at: Option<Spanned<String>>,
    #[serde(default = "lifetime")]
    pub window: Spanned<String>,
    #[serde(default = "user")]
    pub scope: Spanned<String>,
    pub effect: Spanned<EffectTable>,
    pub limits: Option<Spanned<LimitsTable>>,
    pub tags: Option<Spanned<Vec<u8>>>,
    pub excludes: Option<Spanned<Vec<u8>>>,
    pub holdout_bps: Option<Spanned<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum EffectTable {
    Fixed {
        asset: u8,
        amount: u64,
    },
    Ratio {
        asset: u8,
        bps: u32,
        #[serde(default)]
        min: u64,
        #[serde(default)]
        max: u64,
    },
    Tiers {},
    Streak {},
    Multiplier {},
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsTable {
    #[serde(default)]
    pub user_amount: u64,
    #[serde(default)]
    pub user_count: u64,
    #[serde(default)]
    pub total_amount: u64,
    #[serde(default)]
    pub total_count: u64,
    #[serde(default = "clip")]
    pub on_limit: String,
}

fn clip() -> String {
    "clip".to_owned()
}

fn zero() -> Spanned<u64> {
    Spanned::new(0..0, 0)
}

fn lifetime() -> Spanned<String> {
    Spanned::new(0..0, "lifetime".to_owned())
}

fn user() -> Spanned<String> {
    Spanned::new(0..0, "user".to_owned())
}
