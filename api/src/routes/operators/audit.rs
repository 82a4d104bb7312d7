//! What operators did.

use crate::{
    access::operator::{Operator, Viewer, failed},
    page::{self, Key, List, Page, Scope},
    problem::{AccessProblems, Kind, Problem},
    request::Query,
    routes::operators::Private,
    value::Instant,
};
use rebate_operators::audit::{self, Filter, Logged};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Something that an operator did or tried to do.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    /// 1, 2, 3 and so on, without a gap.
    #[schema(minimum = 1, example = 41)]
    id: i64,
    /// When.
    at: Instant,
    /// The public half of the key; null for the command line.
    #[schema(required, example = "9c1f04d2b7e86a35")]
    operator: Option<String>,
    /// What the key was called.
    #[schema(example = "Ann, support")]
    operator_name: String,
    /// What it might do then; null for the command line.
    #[schema(required, example = "editor")]
    role: Option<String>,
    /// What was done.
    #[schema(example = "dead-letter.retry")]
    action: String,
    /// On what.
    #[schema(example = "17")]
    target: String,
    /// `begun`: what became of it is another entry; where there is none, nobody knows. `done`, `failed`, or `refused` where the
    /// role did not suffice.
    #[schema(example = "done")]
    outcome: String,
    /// What else is to be said.
    #[schema(required)]
    detail: Option<String>,
    /// What the server's log knows the request by.
    #[schema(required)]
    request_id: Option<String>,
    /// The entry's SHA-256, which includes that of the entry before; 64 hexadecimal digits.
    hash: String,
}

impl From<Logged> for AuditEntry {
    fn from(row: Logged) -> Self {
        Self {
            id: row.id,
            at: Instant(row.at),
            operator: row.operator,
            operator_name: row.operator_name,
            role: row.role,
            action: row.action,
            target: row.target,
            outcome: row.outcome,
            detail: row.detail,
            request_id: row.request_id,
            hash: hex::encode(row.hash),
        }
    }
}

/// A page of the audit log, the latest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditEntries {
    /// The entries.
    items: Vec<AuditEntry>,
    /// What to pass as `cursor` for the next page; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfAudit {
    /// Of the key with this public half.
    #[param(pattern = "^[0-9a-f]{16}$")]
    operator: Option<String>,
    /// With this action.
    #[param(max_length = 100)]
    action: Option<String>,
    /// With this outcome: begun, done, failed or refused.
    #[param(pattern = "^(begun|done|failed|refused)$")]
    outcome: Option<String>,
    /// From this moment on.
    from: Option<Instant>,
    /// Before this moment.
    to: Option<Instant>,
}

impl OfAudit {
    fn filter(&self) -> Result<Filter, Problem> {
        fn read<T: std::str::FromStr<Err: std::fmt::Display>>(
            name: &str,
            text: Option<&str>,
        ) -> Result<Option<T>, Problem> {
            let invalid = |error| Problem::new(Kind::InvalidParameter, format!("{name} in the query: {error}"));
            text.map(str::parse).transpose().map_err(invalid)
        }
        if self.action.as_deref().is_some_and(|action| action.contains('\0')) {
            return Err(Problem::new(Kind::InvalidParameter, "action in the query: no action has a NUL in it"));
        }
        Ok(Filter {
            operator: read("operator", self.operator.as_deref())?,
            action: self.action.clone(),
            outcome: read("outcome", self.outcome.as_deref())?,
            from: self.from.map(|Instant(moment)| moment),
            to: self.to.map(|Instant(moment)| moment),
        })
    }

    fn scope(&self) -> Scope {
        let moment = |moment: Option<Instant>| moment.map(|moment| moment.to_string()).unwrap_or_default();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (operator, action, outcome) = (text(&self.operator), text(&self.action), text(&self.outcome));
        let (from, to) = (moment(self.from), moment(self.to));
        let filters = [operator, action, outcome, from, to];
        Scope::new(List::Audit, &filters.each_ref().map(|filter| filter.as_bytes()))
    }
}

/// Where a page ended: the entry's number.
struct Place(i64);

impl Key for Place {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.0.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(i64::from_be_bytes).map(Self)
    }
}

/// Show what operators did
///
/// The latest first. Entries are never changed, and each holds the hash of the one before: `rebate operator audit` checks that.
#[utoipa::path(
    get,
    path = "/v1/operators/audit",
    tag = "operators",
    operation_id = "listAudit",
    security(("operator_key" = ["viewer"])),
    params(OfAudit, Page),
    responses((status = 200, description = "The entries.", body = AuditEntries), AccessProblems),
)]
pub(crate) async fn list(
    operator: Operator<Viewer>,
    Query(of): Query<OfAudit>,
    Query(page): Query<Page>,
) -> Result<Private<AuditEntries>, Problem> {
    let (filter, scope) = (of.filter()?, of.scope());
    let before = page.after(&scope)?.map(|Place(id)| id);
    let rows = audit::page(operator.pool(), &filter, before, page.rows()?).await.map_err(failed)?;
    let (rows, next_cursor) = page::cut(&page, &scope, rows, |row| Place(row.id))?;
    Ok(Private(AuditEntries { items: rows.into_iter().map(AuditEntry::from).collect(), next_cursor }))
}
