//! The text of a key: `rop_`, its public half, `_`, its secret half.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use std::{fmt, str::FromStr};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::OperatorsError;

/// What every key begins with, so that it is known for one where it should not be.
pub const PREFIX: &str = "rop_";

/// Hexadecimal digits of the public half.
const ID_DIGITS: usize = 16;

/// The public half of a key: 16 lower-case hexadecimal digits. It says which key it is and opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

/// A text that is no key's public half.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a key's id is 16 lower-case hexadecimal digits")]
pub struct NoKeyId;

impl KeyId {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = NoKeyId;

    fn from_str(text: &str) -> Result<Self, NoKeyId> {
        let is_id = text.len() == ID_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_id { Ok(Self(text.to_owned())) } else { Err(NoKeyId) }
    }
}

/// A whole key. What shows itself in a log is only its public half.
pub struct Key {
    id: KeyId,
    secret: [u8; 32],
}

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// [`OperatorsError::NoRandomness`].
    pub fn make() -> Result<Self, OperatorsError> {
        let random = SystemRandom::new();
        let (mut id, mut secret) = ([0; ID_DIGITS / 2], [0; 32]);
        random.fill(&mut id).and_then(|()| random.fill(&mut secret)).map_err(|_| OperatorsError::NoRandomness)?;
        Ok(Self { id: KeyId(hex::encode(id)), secret })
    }

    /// The key that `text` is; `None` where it is none.
    pub fn read(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let id = id.parse().ok()?;
        // 43 digits; decoding must not be given more to chew.
        let secret = (secret.len() == 43).then(|| BASE64_URL_SAFE_NO_PAD.decode(secret)).and_then(Result::ok)?;
        Some(Self { id, secret: secret.try_into().ok()? })
    }

    /// Its public half.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The whole text, which opens what the key opens. Only its owner may see it, once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, BASE64_URL_SAFE_NO_PAD.encode(self.secret))
    }

    /// What is kept of the secret half.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &self.secret).as_ref());
        hash
    }

    /// Whether `kept` is of this key; takes as long whatever the difference is.
    pub(crate) fn is(&self, kept: &[u8]) -> bool {
        self.sha256().as_slice().ct_eq(kept).into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({PREFIX}{}_…)", self.id)
    }
}

/// `text` with the secret half of every key in it left out, whoever put it there.
pub fn redact(text: &str) -> String {
    let mut parts = text.split(PREFIX);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str(PREFIX);
        let is_secret = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
        match part.split_at_checked(ID_DIGITS) {
            Some((id, rest)) if id.parse::<KeyId>().is_ok() && rest.starts_with('_') => {
                shown.push_str(id);
                shown.push_str("_…");
                shown.push_str(rest.trim_start_matches(is_secret));
            }
            _ => shown.push_str(part),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_fits_only_its_own_hash() {
        let key = Key::make().unwrap();
        let text = key.reveal();
        let read = Key::read(&text).unwrap();
        assert_eq!(read.id(), key.id());
        assert!(read.is(&key.sha256()));
        assert!(!read.is(&Key::make().unwrap().sha256()));
        assert!(!read.is(&[]));
    }

    #[test]
    fn a_text_that_differs_from_a_key_in_its_form_is_none() {
        let text = Key::make().unwrap().reveal();
        let upper = text.to_uppercase();
        let long = format!("{text}A");
        for wrong in ["", "rop_", "rop__", &text[1..], &text[..text.len() - 1], &upper, &long, &format!(" {text}")] {
            assert!(Key::read(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_does_not_show_its_secret_half_where_it_is_logged() {
        let key = Key::make().unwrap();
        let text = key.reveal();
        let secret = &text[PREFIX.len() + ID_DIGITS + 1..];
        assert!(!format!("{key:?}").contains(secret));
        let shown = redact(&format!("twice: {text}, {text}; and rop_ alone"));
        assert!(!shown.contains(secret), "{shown}");
        assert_eq!(shown, format!("twice: rop_{id}_…, rop_{id}_…; and rop_ alone", id = key.id()));
        assert_eq!(redact("nothing of it"), "nothing of it");
        assert_eq!(redact("rop_ä"), "rop_ä");
    }
}
