//! Who is sent events.

use crate::FanoutError;
use rebate_client::event::Event;
use sqlx::PgPool;
use thiserror::Error;
use time::OffsetDateTime;
use url::{Host, Url};

/// Who is sent events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Random, never used again.
    pub id: String,
    /// Where to post.
    pub url: String,
    /// Which kinds of events; all otherwise.
    pub kinds: Option<Vec<String>>,
    /// Whether it is sent anything just now. What comes meanwhile waits.
    pub enabled: bool,
}

/// An endpoint, and what became of its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// When it was added.
    pub created_at: OffsetDateTime,
    /// Only events of later slots are sent.
    pub since_slot: i64,
    /// Events that it has not taken yet.
    pub waiting: i64,
    /// Events that it took, of those still remembered.
    pub delivered: i64,
    /// Events that were given up, of those still remembered.
    pub failed: i64,
}

/// What is wrong with an endpoint that somebody wants to add.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidEndpoint {
    /// It is no URL of a web server.
    #[error("that is no http or https URL: {0}")]
    NoUrl(String),
    /// Everybody on the way could read and change it.
    #[error("{0} is not https; give an https URL, or --allow-http for a network that nobody else is in")]
    NotHttps(String),
    /// A password in it would be in every log.
    #[error("the URL holds a user or a password; leave them out, the signature is what proves who posts")]
    Password,
    /// There are no such events.
    #[error("there are no events of kind {kind:?}; there are {}", Event::NAMES.join(", "))]
    UnknownKind {
        /// What was given.
        kind: String,
    },
}

/// Checks where to post to.
///
/// # Errors
/// [`InvalidEndpoint`].
pub fn check_url(url: &str, allow_http: bool) -> Result<Url, InvalidEndpoint> {
    let url = Url::parse(url).map_err(|error| InvalidEndpoint::NoUrl(error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidEndpoint::Password);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if allow_http || is_loopback(&url) => Ok(url),
        "http" => Err(InvalidEndpoint::NotHttps(place(&url))),
        other => Err(InvalidEndpoint::NoUrl(format!("its scheme is {other}"))),
    }
}

/// What of a URL may be in a log: its query may hold a token.
pub fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Checks which kinds of events are wanted.
///
/// # Errors
/// [`InvalidEndpoint::UnknownKind`].
pub fn check_kinds(kinds: &[String]) -> Result<(), InvalidEndpoint> {
    match kinds.iter().find(|kind| !Event::NAMES.contains(&kind.as_str())) {
        Some(kind) => Err(InvalidEndpoint::UnknownKind { kind: kind.clone() }),
        None => Ok(()),
    }
}

/// Adds an endpoint for all events, or those of some kinds, from the blocks to come. Returns its id.
///
/// # Errors
/// If the database cannot be written to.
pub async fn add(pool: &PgPool, url: &Url, kinds: &[String]) -> Result<String, FanoutError> {
    let kinds = (!kinds.is_empty()).then_some(kinds);
    Ok(sqlx::query_scalar!(
        "INSERT INTO webhook_endpoints (url, kinds, since_slot)
         VALUES ($1, $2, coalesce((SELECT slot FROM cursor), -1)) RETURNING id",
        url.as_str(),
        kinds,
    )
    .fetch_one(pool)
    .await?)
}

/// Removes an endpoint and what is to be sent to it. Says whether there was one.
///
/// # Errors
/// If the database cannot be written to.
pub async fn remove(pool: &PgPool, id: &str) -> Result<bool, FanoutError> {
    let removed = sqlx::query!("DELETE FROM webhook_endpoints WHERE id = $1", id).execute(pool).await?;
    Ok(removed.rows_affected() == 1)
}

/// Stops or resumes sending to an endpoint. Says whether there is one.
///
/// # Errors
/// If the database cannot be written to.
pub async fn enable(pool: &PgPool, id: &str, enabled: bool) -> Result<bool, FanoutError> {
    let changed =
        sqlx::query!("UPDATE webhook_endpoints SET enabled = $2 WHERE id = $1", id, enabled).execute(pool).await?;
    Ok(changed.rows_affected() == 1)
}

/// Those that are sent something just now.
///
/// # Errors
/// If the database cannot be asked.
pub async fn enabled(pool: &PgPool) -> Result<Vec<Endpoint>, FanoutError> {
    Ok(sqlx::query_as!(Endpoint, "SELECT id, url, kinds, enabled FROM webhook_endpoints WHERE enabled ORDER BY id")
        .fetch_all(pool)
        .await?)
}

/// All of them, in the order in which they were added.
///
/// # Errors
/// If the database cannot be asked.
pub async fn list(pool: &PgPool) -> Result<Vec<Listed>, FanoutError> {
    let rows = sqlx::query!(
        r#"SELECT id, url, kinds, enabled, created_at, since_slot,
                  count(*) FILTER (WHERE next_attempt_at IS NOT NULL) AS "waiting!",
                  count(*) FILTER (WHERE delivered_at IS NOT NULL) AS "delivered!",
                  count(*) FILTER (WHERE failed_at IS NOT NULL) AS "failed!"
           FROM webhook_endpoints LEFT JOIN webhook_deliveries ON endpoint = id
           GROUP BY id ORDER BY created_at, id"#
    )
    .fetch_all(pool)
    .await?;
    let listed = rows.into_iter().map(|row| Listed {
        endpoint: Endpoint { id: row.id, url: row.url, kinds: row.kinds, enabled: row.enabled },
        created_at: row.created_at,
        since_slot: row.since_slot,
        waiting: row.waiting,
        delivered: row.delivered,
        failed: row.failed,
    });
    Ok(listed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_must_be_https_unless_it_is_of_this_machine_or_allowed() {
        for url in ["https://a.example/x?token=1", "http://127.0.0.1:9/", "http://localhost/", "http://[::1]/"] {
            assert!(check_url(url, false).is_ok(), "{url}");
        }
        let error = check_url("http://a.example/?token=1", false).unwrap_err();
        assert_eq!(error, InvalidEndpoint::NotHttps("http://a.example".to_owned()));
        assert!(check_url("http://a.example/", true).is_ok());
        assert_eq!(check_url("https://a:b@a.example/", true), Err(InvalidEndpoint::Password));
        assert!(matches!(check_url("ftp://a.example/", true), Err(InvalidEndpoint::NoUrl(_))));
        assert!(matches!(check_url("a.example", true), Err(InvalidEndpoint::NoUrl(_))));
    }

    #[test]
    fn only_kinds_that_there_are_can_be_asked_for() {
        assert_eq!(check_kinds(&["PaymentRecorded".to_owned(), "SurplusWithdrawn".to_owned()]), Ok(()));
        let error = check_kinds(&["Payment".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("\"Payment\"") && error.contains("RefundRecorded"), "{error}");
    }
}
