//! Drafts of rules as they come in, and what was published, as the reader of rule files has it.

use crate::{
    problem::{Kind, Problem},
    snapshot::Snapshot,
    value::Address,
};
use rebate_client::{
    account::AssetKind,
    event::{AssetEntry, Event, OffsetEntry, RuleDefinition},
};
use rebate_rulefile::{RuleFile, RuleFileError, json};
use serde_json::Value;

/// How long a body with a draft may be, in bytes.
pub const DRAFT_LIMIT: usize = 256 * 1024;

/// A draft: a rule file, as TOML or as JSON. One of the two.
pub struct Draft {
    /// A rule file as it is.
    pub toml: Option<String>,
    /// The same keys and values.
    pub json: Option<Value>,
}

/// What is wrong with a draft.
pub struct Wrong {
    pub line: usize,
    pub column: usize,
    pub what: String,
}

impl Draft {
    /// What errors call it.
    const NAME: &'static str = "draft";

    /// The text of the rule file.
    ///
    /// # Errors
    /// A problem: neither or both are there, or the JSON is no draft.
    pub fn text(&self) -> Result<String, Problem> {
        let invalid = |what: String| Problem::new(Kind::InvalidBody, format!("in the body: {what}"));
        match (&self.toml, &self.json) {
            (Some(toml), None) => Ok(toml.clone()),
            (None, Some(draft)) => json::to_toml(draft).map_err(|error| invalid(format!("json: {error}"))),
            _ => Err(invalid("a draft is either `toml` or `json`, one of the two".to_owned())),
        }
    }

    /// Reads the text.
    ///
    /// # Errors
    /// The first thing wrong with it.
    pub fn parse(text: &str) -> Result<RuleFile, Wrong> {
        RuleFile::parse(Self::NAME, text).map_err(|error| match error {
            RuleFileError::Wrong { line, column, what, .. } => Wrong { line, column, what },
            RuleFileError::Unreadable { why, .. } => Wrong { line: 1, column: 1, what: why },
        })
    }

    /// What it says.
    ///
    /// # Errors
    /// A problem that names line and column.
    pub fn read(&self) -> Result<RuleFile, Problem> {
        Self::parse(&self.text()?).map_err(|Wrong { line, column, what }| {
            Problem::new(Kind::InvalidBody, format!("the draft, line {line}, column {column}: {what}"))
        })
    }
}

/// A version that is in the rule book.
pub struct Published {
    pub definition: RuleDefinition,
    effective_at: i64,
    superseded_at: i64,
}

impl Published {
    /// Whether it is the rule's version for payments made at `at`, and the rule is not over by its own schedule.
    pub fn counts_at(&self, at: i64) -> bool {
        let (begins, ends) = (self.effective_at, self.superseded_at);
        (begins == 0 || begins <= at)
            && (ends == 0 || ends > at)
            && (self.definition.ends_at == 0 || self.definition.ends_at > at)
    }

    /// Whether nothing follows it, and it does not end.
    pub fn goes_on(&self) -> bool {
        self.superseded_at == 0
    }
}

/// A platform's settings as of a snapshot, in a rule file without rules.
///
/// # Errors
/// Where the database does not answer.
pub async fn platform_file(snapshot: &mut Snapshot, platform: Address) -> Result<RuleFile, Problem> {
    let damaged = || Problem::internal(&"an asset of the platform is none");
    let connection = snapshot.connection();
    let max_lateness = sqlx::query_scalar!("SELECT max_lateness FROM platforms WHERE address = $1", &platform.0)
        .fetch_one(&mut *connection)
        .await?;
    let offsets =
        sqlx::query!("SELECT starts, seconds FROM utc_offsets WHERE platform = $1 ORDER BY starts", &platform.0)
            .fetch_all(&mut *connection)
            .await?;
    let assets = sqlx::query!(
        "SELECT name, kind, expiry_months, mint FROM assets WHERE platform = $1 ORDER BY asset",
        &platform.0
    )
    .fetch_all(&mut *connection)
    .await?;
    let asset = |name: &str, kind: &str, months: i16, mint: Option<Vec<u8>>| {
        let mint = mint.map(TryInto::try_into).transpose().ok()?;
        AssetEntry::new(name, AssetKind::from_name(kind)?, months.try_into().ok()?, mint)
    };
    let assets = assets.into_iter().map(|row| asset(&row.name, &row.kind, row.expiry_months, row.mint));
    Ok(RuleFile {
        offsets: offsets.into_iter().map(|row| OffsetEntry { from: row.starts, seconds: row.seconds }).collect(),
        max_lateness: u32::try_from(max_lateness).map_err(|_| damaged())?,
        assets: assets.collect::<Option<_>>().ok_or_else(damaged)?,
        rules: Vec::new(),
    })
}

/// Every version in the rule book as of a snapshot, by rule and version.
///
/// # Errors
/// Where the database does not answer.
pub async fn published(snapshot: &mut Snapshot, platform: Address) -> Result<Vec<Published>, Problem> {
    let rows = sqlx::query!(
        r#"SELECT r.effective_at, r.superseded_at, e.bytes
           FROM rules r JOIN LATERAL (
               SELECT bytes FROM events e
               WHERE e.platform = r.platform AND e.journal_index = r.journal_index
                   AND e.month = month_of(r.platform, r.journal_index)
               LIMIT 1
           ) AS e ON true
           WHERE r.platform = $1 AND r.dropped_at IS NULL ORDER BY r.rule, r.version"#,
        &platform.0
    )
    .fetch_all(snapshot.connection())
    .await?;
    let version = |bytes: &[u8]| definition(bytes);
    rows.into_iter()
        .map(|row| {
            let (effective_at, superseded_at) = (row.effective_at, row.superseded_at);
            Ok(Published { definition: version(&row.bytes)?, effective_at, superseded_at })
        })
        .collect()
}

/// The rule version that an event published.
///
/// # Errors
/// A defect, where it did not.
pub fn definition(bytes: &[u8]) -> Result<RuleDefinition, Problem> {
    match Event::decode(bytes) {
        Ok(Event::RulePublished(published)) => Ok(published.rule),
        Ok(other) => Err(Problem::internal(&format_args!("a rule was published by a {}", other.name()))),
        Err(error) => Err(Problem::internal(&error)),
    }
}
