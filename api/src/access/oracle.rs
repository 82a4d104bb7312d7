//! The oracle, asked over HTTP with a key of the platform's server.

use crate::problem::{Kind, Problem};
use reqwest::{Client, Method, StatusCode, header::HeaderValue, redirect::Policy};
use serde::de::DeserializeOwned;
use std::time::Duration;
use thiserror::Error;
use url::Url;

/// How long the oracle may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Why there is no oracle to ask.
#[derive(Debug, Error)]
pub enum OracleUrlError {
    /// The address is none. Not repeated, since it may hold a password.
    #[error("the oracle's address is none; it looks like http://127.0.0.1:8090")]
    Url,
    /// The key is none.
    #[error("the oracle's key is none; `rebate-oracle api-key` makes one")]
    Key,
    /// No client can be made.
    #[error("no HTTP client can be made: {0}")]
    Client(reqwest::Error),
}

/// The oracle.
#[derive(Clone)]
pub struct Oracle {
    base: Url,
    key: HeaderValue,
    client: Client,
}

/// What the oracle says where it says no.
#[derive(serde::Deserialize)]
struct Said {
    detail: String,
}

impl Oracle {
    /// The oracle at `url`, asked with `key`.
    ///
    /// # Errors
    /// [`OracleUrlError`].
    pub fn new(url: &str, key: &str) -> Result<Self, OracleUrlError> {
        let base = Url::parse(url).map_err(|_| OracleUrlError::Url)?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(OracleUrlError::Url);
        }
        let key = key.trim();
        if key.is_empty() {
            return Err(OracleUrlError::Key);
        }
        let mut key = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| OracleUrlError::Key)?;
        key.set_sensitive(true);
        // Whoever it might send us to must not get the key.
        let client = Client::builder()
            .timeout(ANSWERS_WITHIN)
            .redirect(Policy::none())
            .build()
            .map_err(|error| OracleUrlError::Client(error.without_url()))?;
        Ok(Self { base, key, client })
    }

    /// Asks for the path made of `segments`, whatever is in them.
    ///
    /// # Errors
    /// What the oracle says where it has no such thing or will not do it, and where it does not answer.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Problem> {
        let unavailable = |error: reqwest::Error| {
            // Its address is nobody's business.
            tracing::error!(error = %error.without_url(), "the oracle does not answer as it should");
            Problem::new(
                Kind::OracleUnavailable,
                "the oracle behind this server does not answer; try again in a moment",
            )
        };
        let mut url = self.base.clone();
        // An oracle's address has a path, which was checked.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        let request =
            self.client.request(method, url).query(query).header(reqwest::header::AUTHORIZATION, self.key.clone());
        let response = request.send().await.map_err(unavailable)?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map_err(unavailable);
        }
        let said = response.json().await.map(|said: Said| said.detail).unwrap_or_default();
        match status {
            StatusCode::NOT_FOUND => Err(Problem::new(Kind::NotFound, said)),
            StatusCode::CONFLICT => Err(Problem::new(Kind::Conflict, said)),
            StatusCode::UNAUTHORIZED => {
                tracing::error!("the oracle does not know this server's key");
                Err(Problem::new(
                    Kind::NotConfigured,
                    "the oracle does not know this server's key: put its sha256 into the oracle's api_keys, and start both",
                ))
            }
            other => {
                tracing::error!(status = %other, said = said, "the oracle does not answer as it should");
                Err(Problem::new(
                    Kind::OracleUnavailable,
                    "the oracle behind this server cannot say that now; try again in a moment",
                ))
            }
        }
    }
}
