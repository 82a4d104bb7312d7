//! A key that another machine keeps: asked over HTTPS, both ends with a certificate.
//!
//! `POST` to the signer's address with `{"key": "<base58>", "message": "<base64>"}`; it answers 200 with
//! `{"signature": "<base58>"}`. Whatever it answers is verified before it is used.

use super::{Sign, SignError};
use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use rebate_client::{Pubkey, chain::rpc::without_secrets};
use reqwest::{Certificate, Client, Identity, Url, redirect};
use serde::{Deserialize, Serialize};
use solana_signature::Signature;
use std::{fmt, fs, path::PathBuf, str::FromStr, time::Duration};

/// How long a signature may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the signer is and how both ends know each other. PEM files.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// Its address; `https` only.
    pub url: String,
    /// The public half of the key that it is asked to sign with.
    pub key: Pubkey,
    /// The authority that issued the signer's certificate; no other is believed.
    pub authority: PathBuf,
    /// Our certificate and its private key, in one file.
    pub identity: PathBuf,
}

/// A key that a remote signer keeps.
pub struct RemoteKey {
    client: Client,
    url: Url,
    name: String,
    key: Pubkey,
}

#[derive(Serialize)]
struct Request {
    key: String,
    message: String,
}

#[derive(Deserialize)]
struct Answer {
    signature: String,
}

impl RemoteKey {
    /// Reads the certificates; asks nothing yet.
    ///
    /// # Errors
    /// [`SignError::Settings`].
    pub fn new(settings: &RemoteSettings) -> Result<Self, SignError> {
        let name = without_secrets(&settings.url);
        let failed = |why: String| SignError::Settings { url: name.clone(), why };
        let url = Url::parse(&settings.url).map_err(|_| failed("its address is no URL".to_owned()))?;
        if url.scheme() != "https" {
            return Err(failed("its address must begin with https".to_owned()));
        }
        let read = |path: &PathBuf| fs::read(path).map_err(|_| failed(format!("cannot read {}", path.display())));
        let authority = Certificate::from_pem(&read(&settings.authority)?)
            .map_err(|_| failed(format!("{} is no certificate in PEM", settings.authority.display())))?;
        let identity = Identity::from_pem(&read(&settings.identity)?)
            .map_err(|_| failed(format!("{} has not a certificate and a key in PEM", settings.identity.display())))?;
        let client = Client::builder()
            .use_rustls_tls()
            .tls_built_in_root_certs(false)
            .add_root_certificate(authority)
            .identity(identity)
            .https_only(true)
            .redirect(redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .map_err(|_| failed("its certificates do not fit together".to_owned()))?;
        Ok(Self { client, url, name, key: settings.key })
    }

    async fn ask(&self, message: &[u8]) -> Result<Answer, reqwest::Error> {
        let request = Request { key: self.key.to_string(), message: BASE64_STANDARD.encode(message) };
        self.client.post(self.url.clone()).json(&request).send().await?.error_for_status()?.json().await
    }
}

impl fmt::Debug for RemoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteKey({} at {})", self.key, self.name)
    }
}

#[async_trait]
impl Sign for RemoteKey {
    fn key(&self) -> Pubkey {
        self.key
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        let answer = self.ask(message).await.map_err(|error| {
            let why = match error.status() {
                Some(status) => format!("HTTP status {status}"),
                None if error.is_timeout() => format!("no answer within {} s", PATIENCE.as_secs()),
                None if error.is_connect() => "no connection; check that it runs and both certificates".to_owned(),
                None => "its answer cannot be read".to_owned(),
            };
            SignError::Unreachable { url: self.name.clone(), why }
        })?;
        let wrong = || SignError::WrongSignature { url: self.name.clone(), key: self.key };
        let signature = Signature::from_str(&answer.signature).map_err(|_| wrong())?;
        if signature.verify(self.key.as_ref(), message) { Ok(signature) } else { Err(wrong()) }
    }
}
