//! Drafts of rules: checked, compared with what is published, and on their way onto the chain. This server holds no key.

mod transaction;

pub(crate) use transaction::{__path_transaction, transaction};

use crate::{
    access::operator::{Editor, Operator},
    drafts::{self, Draft, Published, Wrong},
    problem::{AccessProblems, Problem, Problems},
    request::{Body, OfPlatform, Path, Query},
    snapshot::{Answer, AsOf, Snapshot},
    value::{Address, Instant},
};
use axum::extract::State;
use rebate_backtest::check_assets;
use rebate_client::event::RuleDefinition;
use rebate_core::units::Timestamp;
use rebate_rulefile::{
    RuleFile,
    compare::{self, differences},
    explain::explained,
    findings::{Weight, findings},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// A draft to check.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DraftToCheck {
    /// The draft as a rule file, TOML. Either this or `json`.
    #[schema(
        example = "[platform]\nmax_lateness = \"7d\"\n\n[[asset]]\nid = 1\nname = \"coins\"\nkind = \"points\"\n"
    )]
    toml: Option<String>,
    /// The draft as JSON: the keys and values of a rule file, `platform`, and lists of `asset`, `group` and `rule`.
    #[schema(value_type = Option<Object>)]
    json: Option<Value>,
    /// The platform's address. Left out, it is the one this server is configured for, or else the only one on record.
    platform: Option<Address>,
}

/// What there is to say of a draft.
#[derive(Serialize, ToSchema)]
pub(crate) struct CheckedDraft {
    /// The platform.
    platform: Address,
    /// Whether nothing is wrong with it.
    sound: bool,
    /// The text that lines and columns are of: what was sent, or the TOML that was made of JSON.
    toml: String,
    /// What is wrong: the first thing of the file, or where it is not for this platform.
    errors: Vec<DraftError>,
    /// What is odd, though not wrong.
    findings: Vec<DraftFinding>,
    /// Its rules, in the order in which they decide.
    rules: Vec<DraftRule>,
    /// The rules in force that the draft does not have. Publishing the draft leaves them as they are; a back-test ends them.
    missing: Vec<MissingRule>,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// Something wrong with a draft.
#[derive(Serialize, ToSchema)]
pub(crate) struct DraftError {
    /// From 1; null where it is about no place in it.
    #[schema(required, minimum = 1, example = 12)]
    line: Option<usize>,
    /// In characters, from 1; null where it is about no place in it.
    #[schema(required, minimum = 1, example = 8)]
    column: Option<usize>,
    /// What is wrong, and what was expected.
    #[schema(example = "unknown key `bsp`, expected one of `kind`, `asset`, `amount`, `bps`")]
    message: String,
}

/// Something odd about a draft.
#[derive(Serialize, ToSchema)]
pub(crate) struct DraftFinding {
    /// `warning`, most likely not what was meant, or `note`.
    #[schema(example = "warning")]
    weight: &'static str,
    /// What it is.
    #[schema(
        example = "rule 2 \"weekend bonus\" has no budget: without `total_amount` there is no bound to what it grants in all"
    )]
    message: String,
}

/// A rule of a draft.
#[derive(Serialize, ToSchema)]
pub(crate) struct DraftRule {
    /// The rule.
    #[schema(minimum = 0, maximum = 65_535, example = 2)]
    rule: u16,
    /// Its name.
    #[schema(example = "weekend bonus")]
    name: String,
    /// The rule in a sentence.
    explanation: String,
    /// `new`, `changed`, or `same` as the last version that was published.
    #[schema(example = "changed")]
    status: &'static str,
    /// The last version that was published and not ended; null where there is none.
    #[schema(required, minimum = 1, maximum = 65_535, example = 1)]
    published_version: Option<u16>,
    /// What differs from it.
    differences: Vec<FieldDifference>,
}

/// A rule that is not in a draft.
#[derive(Serialize, ToSchema)]
pub(crate) struct MissingRule {
    /// The rule.
    #[schema(minimum = 0, maximum = 65_535, example = 3)]
    rule: u16,
    /// Its name.
    #[schema(example = "welcome")]
    name: String,
}

/// A field that differs, in the words of rule files.
#[derive(Serialize, ToSchema)]
pub(crate) struct FieldDifference {
    /// Its key in a rule file.
    #[schema(example = "limits.total_amount")]
    field: &'static str,
    /// What it was.
    #[schema(example = "5000000")]
    from: String,
    /// What it is.
    #[schema(example = "none")]
    to: String,
}

impl From<compare::Difference> for FieldDifference {
    fn from(compare::Difference { field, from, to }: compare::Difference) -> Self {
        Self { field, from, to }
    }
}

fn all_differences(from: &RuleDefinition, to: &RuleDefinition) -> Vec<FieldDifference> {
    differences(from, to).into_iter().map(Into::into).collect()
}

/// Check a draft
///
/// What is wrong with it by line and column, what is odd about it, each rule in a sentence, and what differs from the version
/// that was published last.
#[utoipa::path(
    post,
    path = "/v1/rules/check",
    tag = "rules",
    operation_id = "checkRules",
    security(("operator_key" = ["editor"])),
    request_body = DraftToCheck,
    responses((status = 200, description = "What there is to say of it.", body = CheckedDraft), AccessProblems),
)]
pub(crate) async fn check(
    State(state): State<crate::state::ApiState>,
    _operator: Operator<Editor>,
    Body(sent): Body<DraftToCheck>,
) -> Result<Answer<CheckedDraft>, Problem> {
    let toml = Draft { toml: sent.toml, json: sent.json }.text()?;
    let mut snapshot = Snapshot::take(state.pool(), state.settings().platform.map(|of| Address(of.to_bytes()))).await?;
    let platform = snapshot.platform(OfPlatform { platform: sent.platform }).await?;
    let settings = drafts::platform_file(&mut snapshot, platform).await?;
    let published = drafts::published(&mut snapshot, platform).await?;
    let now = snapshot.position().time.0.unix_timestamp();
    let (as_of, mut errors) = (snapshot.as_of(), Vec::new());
    let file = match Draft::parse(&toml) {
        Ok(file) => file,
        Err(Wrong { line, column, what }) => {
            errors.push(DraftError { line: Some(line), column: Some(column), message: what });
            let (findings, rules, missing) = (Vec::new(), Vec::new(), Vec::new());
            let checked = CheckedDraft { platform, sound: false, toml, errors, findings, rules, missing, as_of };
            return Ok(snapshot.answer(checked));
        }
    };
    let mut place = |message: String| errors.push(DraftError { line: None, column: None, message });
    if let Err(error) = check_assets(&file, &settings.assets) {
        place(error.to_string());
    }
    for rule in &file.rules {
        let others = published.iter().map(|published| &published.definition);
        if others.into_iter().any(|other| other.group == rule.group && other.group_mode != rule.group_mode) {
            place(format!(
                "rule {} \"{}\" is in group {}, whose rules in the rule book compete in another way; give it another number",
                rule.id, rule.name, rule.group
            ));
        }
    }
    let mut odd = Vec::new();
    if file.offsets != settings.offsets {
        odd.push(DraftFinding {
            weight: "note",
            message: "utc_offsets are not the platform's, by which its days and hours are counted".to_owned(),
        });
    }
    odd.extend(findings(&file, Timestamp(now)).into_iter().map(|finding| DraftFinding {
        weight: match finding.weight {
            Weight::Warning => "warning",
            Weight::Note => "note",
        },
        message: finding.what,
    }));
    let rules = explained(&file).into_iter().filter_map(|(id, explanation)| {
        let rule = file.rules.iter().find(|rule| rule.id == id)?;
        Some(drafted(rule, explanation, &published))
    });
    let in_force = published.iter().filter(|version| version.goes_on() || version.counts_at(now));
    let missing = in_force.filter(|version| !file.rules.iter().any(|rule| rule.id == version.definition.id));
    let mut missing: Vec<_> = missing
        .map(|version| MissingRule { rule: version.definition.id, name: version.definition.name.clone() })
        .collect();
    missing.dedup_by_key(|rule| rule.rule);
    let (rules, sound) = (rules.collect(), errors.is_empty());
    Ok(snapshot.answer(CheckedDraft { platform, sound, toml, errors, findings: odd, rules, missing, as_of }))
}

fn drafted(rule: &RuleDefinition, explanation: String, published: &[Published]) -> DraftRule {
    let last = published.iter().filter(|version| version.definition.id == rule.id && version.goes_on());
    let last = last.map(|version| &version.definition).max_by_key(|definition| definition.version);
    let differences = last.map(|last| all_differences(last, rule)).unwrap_or_default();
    DraftRule {
        rule: rule.id,
        name: rule.name.clone(),
        explanation,
        status: match last {
            None => "new",
            Some(_) if differences.is_empty() => "same",
            Some(_) => "changed",
        },
        published_version: last.map(|last| last.version),
        differences,
    }
}

/// Which versions to compare.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Versions {
    /// The one that came before.
    #[param(minimum = 1, example = 1)]
    from: u16,
    /// The one that came after.
    #[param(minimum = 1, example = 2)]
    to: u16,
}

/// What differs between two versions of a rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct ComparedVersions {
    /// The platform.
    platform: Address,
    /// The rule.
    #[schema(minimum = 0, maximum = 65_535, example = 2)]
    rule: u16,
    /// The version before.
    from: ExplainedVersion,
    /// The version after.
    to: ExplainedVersion,
    /// The fields that differ; none where both say the same.
    differences: Vec<FieldDifference>,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// A version, in a sentence.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExplainedVersion {
    /// Its number.
    #[schema(minimum = 1, maximum = 65_535, example = 1)]
    version: u16,
    /// What it says.
    explanation: String,
}

/// Compare two versions of a rule
#[utoipa::path(
    get,
    path = "/v1/rules/{rule}/versions/compare",
    tag = "rules",
    operation_id = "compareRuleVersions",
    params(("rule" = u16, Path, description = "The rule."), OfPlatform, Versions),
    responses((status = 200, description = "What differs.", body = ComparedVersions), Problems),
)]
pub(crate) async fn versions(
    Path(rule): Path<u16>,
    Query(of): Query<OfPlatform>,
    Query(Versions { from, to }): Query<Versions>,
    mut snapshot: Snapshot,
) -> Result<Answer<ComparedVersions>, Problem> {
    let platform = snapshot.platform(of).await?;
    let settings = drafts::platform_file(&mut snapshot, platform).await?;
    let before = version(&mut snapshot, platform, rule, from).await?;
    let after = version(&mut snapshot, platform, rule, to).await?;
    let explained = |rule: &RuleDefinition| {
        let file = RuleFile { rules: vec![rule.clone()], ..settings.clone() };
        let explanation = explained(&file).pop().map(|(_, sentence)| sentence).unwrap_or_default();
        ExplainedVersion { version: rule.version, explanation }
    };
    let (from, to, differences) = (explained(&before), explained(&after), all_differences(&before, &after));
    let as_of = snapshot.as_of();
    Ok(snapshot.answer(ComparedVersions { platform, rule, from, to, differences, as_of }))
}

/// A version that was published some time.
async fn version(
    snapshot: &mut Snapshot,
    platform: Address,
    rule: u16,
    version: u16,
) -> Result<RuleDefinition, Problem> {
    let bytes = sqlx::query_scalar!(
        "SELECT e.bytes FROM rules r JOIN events e USING (platform, journal_index)
         WHERE r.platform = $1 AND r.rule = $2 AND r.version = $3 AND e.month = month_of(r.platform, r.journal_index)",
        &platform.0,
        i32::from(rule),
        i32::from(version)
    )
    .fetch_optional(snapshot.connection())
    .await?;
    let bytes = bytes.ok_or_else(|| snapshot.unknown(&format_args!("version {version} of rule {rule}")))?;
    drafts::definition(&bytes)
}

/// For which payments.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct At {
    /// The rules that decide a payment made at this time. Left out, now, by the chain's clock.
    at: Option<Instant>,
}

/// Rules as a rule file.
#[derive(Serialize, ToSchema)]
pub(crate) struct WrittenRules {
    /// The platform.
    platform: Address,
    /// The file: TOML that says what the rules say, to begin a draft with.
    toml: String,
    /// How many rules there are in it.
    #[schema(minimum = 0, example = 10)]
    rules: usize,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// Write the rules in force as a rule file
///
/// With the platform's settings, so that a draft begins with what there is. Those that are over by their own schedule are left
/// out, those that begin later are not.
#[utoipa::path(
    get,
    path = "/v1/rules/file",
    tag = "rules",
    operation_id = "getRuleFile",
    params(OfPlatform, At),
    responses((status = 200, description = "The file.", body = WrittenRules), Problems),
)]
pub(crate) async fn file(
    Query(of): Query<OfPlatform>,
    Query(At { at }): Query<At>,
    mut snapshot: Snapshot,
) -> Result<Answer<WrittenRules>, Problem> {
    let platform = snapshot.platform(of).await?;
    let settings = drafts::platform_file(&mut snapshot, platform).await?;
    let at = at.unwrap_or(snapshot.position().time).0.unix_timestamp();
    let published = drafts::published(&mut snapshot, platform).await?;
    let rules: Vec<_> =
        published.into_iter().filter(|version| version.counts_at(at)).map(|version| version.definition).collect();
    let count = rules.len();
    let toml = RuleFile { rules, ..settings }.to_toml().map_err(|error| {
        Problem::new(crate::problem::Kind::NotFound, format!("{error}; read them at /v1/rules instead"))
    })?;
    let as_of = snapshot.as_of();
    Ok(snapshot.answer(WrittenRules { platform, toml, rules: count, as_of }))
}
