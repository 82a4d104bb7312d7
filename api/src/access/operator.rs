//! Operators: by a key with a role, and with a log of all they do.
//!
//! A handler that takes `Operator<Editor>` is only reached by who may. What it then does, it does through
//! [`act`](Operator::act), or tells with [`log`](Operator::log), or hands [`actor`](Operator::actor) to what logs by itself.

use crate::{
    access::bearer,
    problem::{Kind, Problem},
    state::ApiState,
};
use axum::{
    extract::{FromRequestParts, MatchedPath},
    http::request::Parts,
};
use rebate_operators::{
    OperatorsError,
    audit::{self, Actor, Entry, Outcome},
    keys::{self, Identity},
    role::Role,
};
use sqlx::PgPool;
use std::marker::PhantomData;

/// What is said where there are no operators.
const NOT_CONFIGURED: &str =
    "this server knows no operators: set OPERATORS_DATABASE_URL and make a key with `rebate operator key create`";

/// A role that a path needs at least.
pub trait Needed: Send + Sync {
    /// The role.
    const ROLE: Role;
}

macro_rules! needed {
    ($($(#[$doc:meta])* $name:ident),+) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name;

            impl Needed for $name {
                const ROLE: Role = Role::$name;
            }
        )+
    };
}
needed! {
    /// Any operator.
    Viewer,
    /// Who may change what runs.
    Editor,
    /// Who may say who may.
    Admin
}

/// An operator whose role is `R` or more. It is asked of the database with every request, so a revoked key stops at once.
#[derive(Debug)]
pub struct Operator<R> {
    pool: PgPool,
    actor: Actor,
    identity: Identity,
    request_id: Option<String>,
    needed: PhantomData<R>,
}

impl<R> Operator<R> {
    /// The operators' database.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Who it is, for the log.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Which key, its name and its role.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the server's log knows the request by.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Tells the log what was done: `action` like `backtest.run`, and on what.
    ///
    /// # Errors
    /// Where the log cannot be written. What was done should not be answered with yes then.
    pub async fn log(&self, action: &str, target: &str, outcome: Outcome, detail: Option<&str>) -> Result<(), Problem> {
        let request_id = self.request_id();
        let entry = Entry { actor: &self.actor, action, target, outcome, detail, request_id };
        audit::log(&self.pool, &entry).await.map(drop).map_err(failed)
    }

    /// Does `deed`, which is nothing of the operators' own database, and tells the log that it began, before it does, and what
    /// became of it. Where the server stops in between, the log only has the beginning.
    ///
    /// # Errors
    /// The deed's own; and where the log cannot be written, in which case nothing is done.
    pub async fn act<T>(
        &self,
        action: &str,
        target: &str,
        deed: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        self.log(action, target, Outcome::Begun, None).await?;
        let result = deed.await;
        let (outcome, detail) = match &result {
            Ok(_) => (Outcome::Done, None),
            Err(problem) => (Outcome::Failed, Some(problem.detail())),
        };
        let detail = detail.as_deref();
        // It is done, whatever the log says; that it began stands there.
        if let Err(problem) = self.log(action, target, outcome, detail).await {
            tracing::error!(
                action,
                target,
                detail = problem.detail(),
                "what became of an action is not in the audit log"
            );
        }
        result
    }
}

impl<R: Needed> FromRequestParts<ApiState> for Operator<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let needed = R::ROLE;
        let pool =
            state.access().operators.as_ref().ok_or_else(|| Problem::new(Kind::NotConfigured, NOT_CONFIGURED))?.clone();
        let key = bearer::required(&parts.headers, &format!("an operator's key with the role {needed}"))?;
        let identity = keys::authenticate(&pool, key).await.map_err(failed)?.ok_or_else(|| {
            Problem::new(
                Kind::Unauthorized,
                "this key is not known, or it was revoked or has expired; ask an admin for one",
            )
        })?;
        let request_id = parts.headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let role = identity.role;
        let actor = Actor::Key(identity.clone());
        let operator = Self { pool, actor, identity, request_id, needed: PhantomData };
        if role >= needed {
            return Ok(operator);
        }
        // The path as it is described, since the one that came may hold anything.
        let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let target = format!("{} {path}", parts.method);
        let detail = format!("needs {needed}");
        operator.log("request", &target, Outcome::Refused, Some(&detail)).await?;
        Err(Problem::new(Kind::Forbidden, format!("this needs the role {needed}, and the key has the role {role}")))
    }
}

/// What an error of the operators' database is answered with.
pub(crate) fn failed(error: OperatorsError) -> Problem {
    match error {
        OperatorsError::Database(error) => Problem::from(error),
        OperatorsError::Name | OperatorsError::Expired => {
            Problem::new(Kind::InvalidBody, format!("in the body: {error}"))
        }
        OperatorsError::NoKey(_) => Problem::new(Kind::NotFound, format!("{error}")),
        OperatorsError::Schema(_) | OperatorsError::Damaged(_) | OperatorsError::NoRandomness => {
            Problem::internal(&error)
        }
    }
}
