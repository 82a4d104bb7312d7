//! The secrets that sign webhooks.
//!
//! None is stored. Each follows from one key, which only the sender has in a file, and the endpoint's id, which is random and
//! never used again. So neither the tables nor a backup or a replica of them can sign anything, and nothing has to be
//! encrypted. An endpoint whose secret got out is removed and added anew, which gives it another id.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::{fmt, fs, io, path::Path};
use thiserror::Error;

/// What tells these secrets from others of the same key.
const PURPOSE: &[u8] = b"rebate webhook secret 1";

/// The least bytes a key has.
const LEAST: usize = 32;

/// Why there is no key. Says nothing of what is in the file.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error(
        "the key file {path} cannot be read: {source}; make one with: (umask 077; openssl rand -base64 32 >{path})"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It holds too little to be a secret.
    #[error(
        "the key file {path} holds fewer than {LEAST} bytes; make one with: (umask 077; openssl rand -base64 32 >{path})"
    )]
    Short {
        /// The file.
        path: String,
    },
}

/// The key that all secrets follow from. Never shown.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// The key in a file, without the white space around it.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let name = || path.display().to_string();
        let bytes = fs::read(path).map_err(|source| KeyError::Unreadable { path: name(), source })?;
        Self::new(&bytes).ok_or_else(|| KeyError::Short { path: name() })
    }

    /// The key of these bytes, without the white space around them; `None` where they are fewer than 32.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.trim_ascii();
        (bytes.len() >= LEAST).then(|| Self(bytes.to_vec()))
    }

    /// The secret of the endpoint with this id.
    pub fn secret(&self, endpoint: &str) -> Secret {
        Secret(mac(&self.0, &[PURPOSE, b"\0", endpoint.as_bytes()]))
    }
}

/// An endpoint's secret. Shown only where it is asked for by [`Secret::reveal`].
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// As the receiver gets it: `whsec_` and base64.
    pub fn reveal(&self) -> String {
        format!("whsec_{}", BASE64_STANDARD.encode(self.0))
    }

    /// The header `webhook-signature` of a message sent at `timestamp`, Unix seconds.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let timestamp = timestamp.to_string();
        let signature = mac(&self.0, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
        format!("v1,{}", BASE64_STANDARD.encode(signature))
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104 §2)")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_a_secret_of_its_own_which_nothing_prints() {
        let key = Key::new(&[b'k'; 32]).unwrap();
        let (one, other) = (key.secret("ep_1"), key.secret("ep_2"));
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal(), key.secret("ep_1").reveal());
        assert_ne!(one.reveal(), Key::new(&[b'l'; 32]).unwrap().secret("ep_1").reveal());
        assert_eq!(format!("{key:?} {one:?}"), "Key(…) Secret(…)");
        assert!(Key::new(&[b'k'; 31]).is_none());
        assert!(Key::new(&[b' '; 99]).is_none());
    }
}
