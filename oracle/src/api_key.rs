//! The keys of the platform's own servers. Only their SHA-256 is kept: a key is 32 random bytes, so nobody finds it from that.

use crate::settings::ApiKey;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    error::Unspecified,
    rand::{SecureRandom, SystemRandom},
};
use subtle::{Choice, ConstantTimeEq};

/// What a key begins with, so that it is known for one where it should not be.
const PREFIX: &str = "rbk_";

/// A new key, and its SHA-256 in hexadecimal for the settings.
///
/// # Errors
/// If the system has no randomness.
pub fn make() -> Result<(String, String), Unspecified> {
    let mut random = [0; 32];
    SystemRandom::new().fill(&mut random)?;
    let key = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random));
    let sha256 = hex::encode(digest(&SHA256, key.as_bytes()));
    Ok((key, sha256))
}

/// Whose key `given` is. Looks at all of them, whichever it is.
pub(crate) fn owner<'a>(keys: &'a [ApiKey], given: &str) -> Option<&'a str> {
    let hash = digest(&SHA256, given.as_bytes());
    let mut owner = None;
    for key in keys {
        let is_it: Choice = key.sha256.as_slice().ct_eq(hash.as_ref());
        if bool::from(is_it) {
            owner = Some(key.name.as_str());
        }
    }
    owner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_owners_and_no_other_text_is() {
        let (key, sha256) = make().unwrap();
        let mut digest = [0; 32];
        hex::decode_to_slice(sha256, &mut digest).unwrap();
        let keys = [ApiKey { name: "other".into(), sha256: [0; 32] }, ApiKey { name: "shop".into(), sha256: digest }];
        assert_eq!(owner(&keys, &key), Some("shop"));
        for wrong in ["", "rbk_", &key[1..], &format!("{key} ")] {
            assert_eq!(owner(&keys, wrong), None);
        }
    }
}
