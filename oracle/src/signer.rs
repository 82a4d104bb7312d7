//! Who signs: the oracle's key, which signs records, and the payer's, which signs transactions.
//!
//! A key comes from a file, from an environment variable, or stays with a remote signer. None of them shows it: not in a
//! log, not in an error, not by [`Debug`](std::fmt::Debug).

pub mod environment;
pub mod file;
pub mod remote;

use async_trait::async_trait;
use rebate_client::Pubkey;
use solana_keypair::Keypair;
use solana_signature::Signature;
use solana_signer::Signer;
use std::fmt;
use thiserror::Error;

/// Why nothing was signed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SignError {
    /// There is no usable key.
    #[error("no key from {source_name}: {why}; it holds the 64 bytes of a Solana keypair, as JSON or in base58")]
    NoKey {
        /// Where it was looked for.
        source_name: String,
        /// What is wrong, without what was found.
        why: &'static str,
    },
    /// The settings of the remote signer cannot be used.
    #[error("the remote signer {url} cannot be used: {why}")]
    Settings {
        /// Its address, without credentials.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The remote signer did not sign. Try again.
    #[error("the remote signer {url} did not sign: {why}")]
    Unreachable {
        /// Its address, without credentials.
        url: String,
        /// What happened.
        why: String,
    },
    /// The remote signer answered with something that is not the key's signature.
    #[error("the remote signer {url} answered with something that is no signature of {key}; check which key it holds")]
    WrongSignature {
        /// Its address, without credentials.
        url: String,
        /// The key that was to sign.
        key: Pubkey,
    },
}

/// Signs with one key.
#[async_trait]
pub trait Sign: Send + Sync + fmt::Debug {
    /// The key's public half.
    fn key(&self) -> Pubkey;

    /// The key's Ed25519 signature over `message`.
    ///
    /// # Errors
    /// [`SignError`]; a key that is here always signs.
    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError>;
}

/// A key in this process.
pub struct LocalKey(Keypair);

impl LocalKey {
    /// Signs with this key.
    pub fn new(key: Keypair) -> Self {
        Self(key)
    }

    /// The key that a keypair's 64 bytes stand for, as JSON or in base58; surrounding white space does not matter.
    fn parse(text: &str, source_name: String) -> Result<Self, SignError> {
        let text = text.trim();
        let bytes: Option<Vec<u8>> = match text.starts_with('[') {
            true => serde_json::from_str(text).ok(),
            false => bs58::decode(text).into_vec().ok(),
        };
        let failed = |why| SignError::NoKey { source_name: source_name.clone(), why };
        let bytes = bytes.ok_or_else(|| failed("it is neither a JSON array of bytes nor base58"))?;
        // Also checks that the public half belongs to the private one.
        Keypair::try_from(bytes.as_slice()).map(Self).map_err(|_| failed("these are no keypair's 64 bytes"))
    }
}

impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalKey({})", self.0.pubkey())
    }
}

#[async_trait]
impl Sign for LocalKey {
    fn key(&self) -> Pubkey {
        self.0.pubkey()
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(self.0.sign_message(message))
    }
}
