//! JSON Web Tokens: our own, for those who signed in with a wallet, and those that the platform signs for its users.
//!
//! The library checks the claims; what it signs and verifies with is ring, which everything else here works with, too.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwkUtils, JwtSigner, JwtVerifier},
    errors::{Error, ErrorKind},
    signature::{self, Signer, Verifier},
};
use ring::{
    hmac,
    signature::{ED25519, UnparsedPublicKey},
};
use serde::{Serialize, de::DeserializeOwned};

/// How far the clocks of those who sign may be from ours, in seconds.
const LEEWAY: u64 = 30;

struct Hs256(hmac::Key);

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], given: &Vec<u8>) -> Result<(), signature::Error> {
        // In constant time.
        hmac::verify(&self.0, message, given).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

struct EdDsa(Vec<u8>);

impl Verifier<Vec<u8>> for EdDsa {
    fn verify(&self, message: &[u8], given: &Vec<u8>) -> Result<(), signature::Error> {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, given).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for EdDsa {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    match algorithm {
        Algorithm::HS256 => Ok(Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, key.try_get_hmac_secret()?)))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => {
            Ok(Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, key.try_get_hmac_secret()?))))
        }
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => Ok(Box::new(EdDsa(key.as_bytes().to_vec()))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

static RING: CryptoProvider =
    CryptoProvider { signer_factory: signer, verifier_factory: verifier, jwk_utils: JwkUtils::new_unimplemented() };

/// What tokens are verified with: one key, and the one algorithm that goes with it, whatever a token's header says.
#[derive(Clone)]
pub(crate) struct Issuer {
    key: DecodingKey,
    validation: Validation,
}

impl Issuer {
    /// Whoever has this secret, by HMAC-SHA256.
    pub(crate) fn by_secret(secret: &[u8], audience: &str) -> Self {
        Self::new(DecodingKey::from_secret(secret), Algorithm::HS256, audience)
    }

    /// Whoever has the other half of this Ed25519 key.
    pub(crate) fn by_public_key(key: &[u8; 32], audience: &str) -> Self {
        Self::new(DecodingKey::from_ed_der(key), Algorithm::EdDSA, audience)
    }

    fn new(key: DecodingKey, algorithm: Algorithm, audience: &str) -> Self {
        install();
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        Self { key, validation }
    }

    /// Takes tokens alone that name this issuer.
    pub(crate) fn named(mut self, issuer: &str) -> Self {
        self.validation.set_issuer(&[issuer]);
        self.validation.set_required_spec_claims(&["exp", "aud", "sub", "iss"]);
        self
    }

    /// The claims of `token`; `None` where it is not this issuer's, not for this audience, or not in force now.
    pub(crate) fn claims<T: DeserializeOwned + Clone>(&self, token: &str) -> Option<T> {
        jsonwebtoken::decode(token, &self.key, &self.validation).ok().map(|token| token.claims)
    }
}

/// A token with `claims`, signed with `secret` by HMAC-SHA256.
pub(crate) fn sign<T: Serialize>(secret: &[u8], claims: &T) -> Result<String, Error> {
    install();
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret))
}

fn install() {
    // Only the first of several can be installed, and it is this one.
    let _first = RING.install_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::{Value, json};
    use std::time::SystemTime;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn now() -> u64 {
        SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
    }

    fn good() -> Value {
        json!({"sub": "ann", "aud": "rebate", "exp": now() + 60})
    }

    /// A token made by hand.
    fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = sign(message.as_bytes());
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn hs256(secret: &[u8]) -> impl Fn(&[u8]) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        move |message| hmac::sign(&key, message).as_ref().to_vec()
    }

    fn subject(issuer: &Issuer, token: &str) -> Option<String> {
        issuer.claims::<Value>(token).map(|claims| claims["sub"].as_str().unwrap_or_default().to_owned())
    }

    #[test]
    fn a_token_of_the_issuer_is_taken_and_every_other_is_not() {
        let issuer = Issuer::by_secret(SECRET, "rebate");
        let header = json!({"alg": "HS256", "typ": "JWT"});
        assert_eq!(subject(&issuer, &token(&header, &good(), hs256(SECRET))).as_deref(), Some("ann"));
        assert_eq!(subject(&issuer, &sign(SECRET, &good()).unwrap()).as_deref(), Some("ann"));

        let with = |name: &str, value: Value| {
            let mut claims = good();
            claims[name] = value;
            token(&header, &claims, hs256(SECRET))
        };
        let without = |name: &str| {
            let mut claims = good();
            claims.as_object_mut().unwrap().remove(name);
            token(&header, &claims, hs256(SECRET))
        };
        let mut altered = token(&header, &good(), hs256(SECRET));
        let place = altered.find('.').unwrap() + 5;
        let other = if altered.as_bytes()[place] == b'A' { "B" } else { "A" };
        altered.replace_range(place..=place, other);
        for (forged, why) in [
            (token(&header, &good(), hs256(b"another secret, as long as it is")), "another's"),
            (altered, "altered"),
            (token(&json!({"alg": "none"}), &good(), |_| Vec::new()), "not signed"),
            (token(&json!({"alg": "HS512"}), &good(), hs256(SECRET)), "another algorithm"),
            (with("exp", json!(now() - 60)), "expired"),
            (with("exp", json!("never")), "no time"),
            (with("nbf", json!(now() + 600)), "not yet"),
            (with("aud", json!("others")), "for others"),
            (without("exp"), "for ever"),
            (without("aud"), "for nobody"),
            (without("sub"), "of nobody"),
            ("a.b.c".to_owned(), "nonsense"),
            (String::new(), "nothing"),
        ] {
            assert_eq!(subject(&issuer, &forged), None, "{why}");
        }
        assert_eq!(subject(&issuer.named("rebate-api"), &sign(SECRET, &good()).unwrap()), None);
    }

    #[test]
    fn a_public_key_is_no_secret_to_sign_with() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let public: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
        let issuer = Issuer::by_public_key(&public, "rebate");
        let header = json!({"alg": "EdDSA"});
        let by_pair = |message: &[u8]| pair.sign(message).as_ref().to_vec();
        assert_eq!(subject(&issuer, &token(&header, &good(), by_pair)).as_deref(), Some("ann"));
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        for forged in [
            token(&header, &good(), |message| other.sign(message).as_ref().to_vec()),
            token(&header, &good(), hs256(&public)),
            token(&json!({"alg": "HS256"}), &good(), hs256(&public)),
        ] {
            assert_eq!(subject(&issuer, &forged), None);
        }
    }
}
