//! One attempt to deliver one event to one endpoint.

use super::{
    endpoint::{self, InvalidEndpoint},
    secret::Secret,
};
use reqwest::{Client, Response, StatusCode, header::CONTENT_TYPE, redirect::Policy};
use std::{error::Error, time::Duration};
use thiserror::Error;
use time::OffsetDateTime;

/// How much is read of what an endpoint answers: enough to say what is wrong.
const READ: usize = 512;

/// Why an event was not delivered. Says nothing of what was sent nor of the URL's path.
#[derive(Debug, Error)]
pub enum NotDelivered {
    /// The endpoint answered something else than yes.
    #[error("it answered {status}{said}")]
    Refused {
        /// What.
        status: StatusCode,
        /// The beginning of what it said.
        said: String,
    },
    /// There was no answer.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// It is not to be sent anything.
    #[error(transparent)]
    Url(#[from] InvalidEndpoint),
    /// The event is not stored any more.
    #[error("the event is not in the database, or not final")]
    NoEvent,
    /// The event is newer than this code.
    #[error("{0}")]
    Unreadable(String),
}

impl NotDelivered {
    /// What the endpoint answered, if anything.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// Posts events.
#[derive(Clone, Debug)]
pub struct Post {
    client: Client,
    allow_http: bool,
}

impl Post {
    /// Says it is `agent`, gives up after `timeout`, does not follow redirects, and posts to http only where that is allowed.
    ///
    /// # Errors
    /// If `agent` cannot stand in a header, or the system has no randomness or no certificates.
    pub fn new(agent: &str, timeout: Duration, allow_http: bool) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(agent)
            .timeout(timeout)
            .connect_timeout(timeout)
            // Who redirects could send a signed event anywhere.
            .redirect(Policy::none())
            .build()?;
        Ok(Self { client, allow_http })
    }

    /// Posts `body`, the event `id`, signed now.
    ///
    /// # Errors
    /// [`NotDelivered`] unless the endpoint answers with a status from 200 to 299.
    pub async fn deliver(
        &self,
        url: &str,
        secret: &Secret,
        id: &str,
        body: Vec<u8>,
    ) -> Result<StatusCode, NotDelivered> {
        let url = endpoint::check_url(url, self.allow_http)?;
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", secret.sign(id, now, &body))
            .body(body);
        let response = request.send().await.map_err(no_answer)?;
        let status = response.status();
        if status.is_success() {
            return Ok(status);
        }
        let said = beginning(response).await;
        Err(NotDelivered::Refused { status, said: if said.is_empty() { said } else { format!(": {said}") } })
    }
}

fn no_answer(error: reqwest::Error) -> NotDelivered {
    // The URL's path and query may hold a token.
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    NotDelivered::NoAnswer(text)
}

/// The beginning of an answer, in one line.
async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < READ {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(READ);
    String::from_utf8_lossy(&bytes).replace(char::is_control, " ").trim().to_owned()
}
