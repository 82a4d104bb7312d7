//! Signing in with a Solana wallet, and with a token of the platform's.
//!
//! A nonce is `random (16 bytes) ‖ end (8, Unix seconds) ‖ HMAC (16 of 32)` in hexadecimal: it is known for ours without being
//! kept. Those that were used are kept, in the operators' database, until they would end anyway.

use crate::{
    access::{
        jwt::{self, Issuer},
        message::{Message, Moment},
    },
    value::{Address, Hash},
};
use rebate_client::explorer::Cluster;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use solana_signature::Signature;
use std::time::Duration;
use subtle::ConstantTimeEq;
use thiserror::Error;
use time::OffsetDateTime;

/// How long a nonce can be used.
pub(crate) const NONCE_LASTS: Duration = Duration::from_secs(300);

/// How far a wallet's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(60);

/// How long a token of the platform's may hold at most, from now.
const LONGEST_TOKEN: Duration = Duration::from_secs(24 * 3_600);

/// Who signs our own tokens.
const ISSUER: &str = "rebate-api";

/// Bytes of a nonce.
const RANDOM: usize = 16;
const END: usize = 8;
const SEAL: usize = 16;

/// What people read in their wallet.
const STATEMENT: &str = "Sign in to see your orders and rewards. This sends no transaction and costs nothing.";

/// Why users cannot sign in with these settings.
#[derive(Debug, Error)]
pub enum SignInError {
    /// The domain is none.
    #[error("{0:?} is no domain to sign in at; it looks like app.example or localhost:8080")]
    Domain(String),
    /// A secret is too short.
    #[error("{0} needs at least 32 random bytes")]
    ShortSecret(&'static str),
    /// A public key is none.
    #[error("the platform's public key is none: it is Ed25519, as `openssl pkey -pubout` writes it")]
    PublicKey,
    /// There is no randomness.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

/// How users sign in.
#[derive(Clone)]
pub struct SignIn {
    domain: String,
    chains: [String; 2],
    lasts: Duration,
    secret: Vec<u8>,
    nonces: hmac::Key,
    sessions: Issuer,
    platform: Option<Issuer>,
}

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claims {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    sub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    exp: i64,
}

/// Who a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Who has this wallet.
    Wallet(Address),
    /// The user with this key, says the platform.
    User(Hash),
}

/// Why a message lets nobody in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Refused {
    #[error("the message is for {0:?}, and this is {1}")]
    Domain(String, String),
    #[error("the message's URI is not at {0}")]
    Uri(String),
    #[error("the message's version is not 1")]
    Version,
    #[error("the message is for chain {0:?}, and this server is about {1}")]
    Chain(String, String),
    #[error("the message was issued in the future; check the wallet's clock")]
    Early,
    #[error("the message has expired; sign a new one")]
    Late,
    #[error("the nonce is none that this server gave out, or it is too old; ask for a new one")]
    Nonce,
    #[error("the signature is not the one of this address over this message")]
    Signature,
}

/// A message that was signed by whom it names, for here and now. Its nonce must still be used up.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Who signed.
    pub wallet: Address,
    /// The nonce's bytes.
    pub nonce: Vec<u8>,
    /// When the nonce ends.
    pub ends: OffsetDateTime,
}

impl SignIn {
    /// Sign-in at `domain`, for `cluster`. Tokens hold for `lasts` and are signed with `secret`, which all servers behind one
    /// address share; without it each has its own until it is started again.
    ///
    /// # Errors
    /// [`SignInError`].
    pub fn new(domain: &str, cluster: &Cluster, lasts: Duration, secret: Option<&[u8]>) -> Result<Self, SignInError> {
        let is_host = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | ':' | '[' | ']');
        if domain.is_empty() || !domain.chars().all(is_host) {
            return Err(SignInError::Domain(domain.to_owned()));
        }
        let secret = match secret {
            Some(secret) if secret.len() >= 32 => secret.to_vec(),
            Some(_) => return Err(SignInError::ShortSecret("the session key")),
            None => {
                let mut random = vec![0; 32];
                SystemRandom::new().fill(&mut random).map_err(|_| SignInError::NoRandomness)?;
                random
            }
        };
        let chain = match cluster {
            Cluster::Mainnet => "mainnet",
            Cluster::Devnet => "devnet",
            Cluster::Testnet => "testnet",
            Cluster::Embedded | Cluster::Custom(_) => "localnet",
        };
        // One secret, two uses that must not pass for one another.
        let derived = |label: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), label).as_ref().to_vec();
        let sessions = derived(b"rebate session tokens");
        Ok(Self {
            domain: domain.to_owned(),
            chains: [chain.to_owned(), format!("solana:{chain}")],
            lasts,
            nonces: hmac::Key::new(hmac::HMAC_SHA256, &derived(b"rebate sign-in nonces")),
            sessions: Issuer::by_secret(&sessions, domain).named(ISSUER),
            secret: sessions,
            platform: None,
        })
    }

    /// Takes tokens of the platform's, too: signed for `audience` with `key`, an Ed25519 key as `openssl pkey -pubout` writes it,
    /// or else a secret for HMAC-SHA256.
    ///
    /// # Errors
    /// [`SignInError`].
    pub fn with_platform(mut self, key: &[u8], audience: &str) -> Result<Self, SignInError> {
        let key = key.trim_ascii();
        let issuer = if key.starts_with(b"-----BEGIN") {
            Issuer::by_public_key(&public_key(key).ok_or(SignInError::PublicKey)?, audience)
        } else if key.len() >= 32 {
            Issuer::by_secret(key, audience)
        } else {
            return Err(SignInError::ShortSecret("the platform's token key"));
        };
        self.platform = Some(issuer);
        Ok(self)
    }

    /// A message for `address` to sign, with a new nonce.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub(crate) fn message(&self, address: Address, now: OffsetDateTime) -> Result<Message, SignInError> {
        let ends = now + NONCE_LASTS;
        let mut bytes = vec![0; RANDOM];
        SystemRandom::new().fill(&mut bytes).map_err(|_| SignInError::NoRandomness)?;
        bytes.extend(ends.unix_timestamp().to_be_bytes());
        let seal = hmac::sign(&self.nonces, &bytes);
        bytes.extend(seal.as_ref().iter().take(SEAL));
        let moment = |at| Moment::new(at).ok_or(SignInError::NoRandomness);
        let [chain_id, _] = self.chains.clone();
        let scheme = if self.is_local() { "http" } else { "https" };
        Ok(Message {
            domain: self.domain.clone(),
            address,
            statement: Some(STATEMENT.to_owned()),
            uri: format!("{scheme}://{}/", self.domain),
            version: "1".to_owned(),
            chain_id,
            nonce: hex::encode(bytes),
            issued_at: moment(now)?,
            expiration_time: moment(ends)?,
            not_before: None,
            request_id: None,
            resources: Vec::new(),
        })
    }

    fn is_local(&self) -> bool {
        let host = self.domain.rsplit_once(':').map_or(self.domain.as_str(), |(host, _)| host);
        matches!(host, "localhost" | "127.0.0.1" | "[::1]")
    }

    /// Whether `uri` is at our domain, by a way that nobody can listen to.
    fn is_ours(&self, uri: &str) -> bool {
        let rest = match uri.strip_prefix("https://") {
            Some(rest) => rest,
            None if self.is_local() => uri.strip_prefix("http://").unwrap_or_default(),
            None => return false,
        };
        rest.split(['/', '?', '#']).next() == Some(self.domain.as_str())
    }

    /// The end of a nonce of ours, and its bytes.
    fn opened(&self, nonce: &str) -> Option<(Vec<u8>, OffsetDateTime)> {
        // Upper case would be another text for the same nonce.
        if nonce.len() != 2 * (RANDOM + END + SEAL) || nonce.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let bytes = hex::decode(nonce).ok()?;
        let (signed, seal) = bytes.split_at_checked(RANDOM + END)?;
        let expected = hmac::sign(&self.nonces, signed);
        if !bool::from(expected.as_ref().get(..SEAL)?.ct_eq(seal)) {
            return None;
        }
        let end = i64::from_be_bytes(signed.get(RANDOM..)?.try_into().ok()?);
        let ends = OffsetDateTime::from_unix_timestamp(end).ok()?;
        Some((bytes, ends))
    }

    /// Checks all of a message but whether its nonce was used.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) fn check(
        &self,
        text: &str,
        message: &Message,
        signature: &[u8; 64],
        now: OffsetDateTime,
    ) -> Result<Accepted, Refused> {
        if message.domain != self.domain {
            return Err(Refused::Domain(message.domain.clone(), self.domain.clone()));
        }
        if !self.is_ours(&message.uri) {
            return Err(Refused::Uri(self.domain.clone()));
        }
        if message.version != "1" {
            return Err(Refused::Version);
        }
        if !self.chains.contains(&message.chain_id) {
            let [chain, _] = &self.chains;
            return Err(Refused::Chain(message.chain_id.clone(), chain.clone()));
        }
        let starts =
            message.not_before.as_ref().map_or(message.issued_at.at, |start| start.at.max(message.issued_at.at));
        if starts > now + AHEAD {
            return Err(Refused::Early);
        }
        if message.expiration_time.at <= now {
            return Err(Refused::Late);
        }
        let (nonce, ends) = self.opened(&message.nonce).filter(|(_, ends)| *ends > now).ok_or(Refused::Nonce)?;
        if !Signature::from(*signature).verify(&message.address.0, text.as_bytes()) {
            return Err(Refused::Signature);
        }
        Ok(Accepted { wallet: message.address, nonce, ends })
    }

    /// A token for who signed, and when it ends.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn token(
        &self,
        wallet: Address,
        now: OffsetDateTime,
    ) -> Result<(String, OffsetDateTime), jsonwebtoken::errors::Error> {
        let ends = now + self.lasts;
        let claims = Claims {
            iss: Some(ISSUER.to_owned()),
            sub: wallet.to_string(),
            aud: Some(self.domain.clone().into()),
            iat: Some(now.unix_timestamp()),
            exp: ends.unix_timestamp(),
        };
        Ok((jwt::sign(&self.secret, &claims)?, ends))
    }

    /// Whose token it is, and when it ends; `None` where it is nobody's or not in force.
    pub(crate) fn subject(&self, token: &str, now: OffsetDateTime) -> Option<(Subject, OffsetDateTime)> {
        let ends = |claims: &Claims| OffsetDateTime::from_unix_timestamp(claims.exp).ok();
        if let Some(claims) = self.sessions.claims::<Claims>(token) {
            return Some((Subject::Wallet(claims.sub.parse().ok()?), ends(&claims)?));
        }
        let claims = self.platform.as_ref()?.claims::<Claims>(token)?;
        let end = ends(&claims).filter(|end| *end <= now + LONGEST_TOKEN)?;
        Some((Subject::User(claims.sub.parse().ok()?), end))
    }
}

/// The 32 bytes of an Ed25519 key in PEM: RFC 8410 has one prefix for all of them.
fn public_key(pem: &[u8]) -> Option<[u8; 32]> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    const PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let text = str::from_utf8(pem).ok()?;
    let body = text.strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    let der = BASE64_STANDARD.decode(body).ok()?;
    der.strip_prefix(PREFIX)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pair(seed: u8) -> ring::signature::Ed25519KeyPair {
        ring::signature::Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn address(pair: &ring::signature::Ed25519KeyPair) -> Address {
        use ring::signature::KeyPair;
        Address(pair.public_key().as_ref().try_into().unwrap())
    }

    fn sign(pair: &ring::signature::Ed25519KeyPair, text: &str) -> [u8; 64] {
        pair.sign(text.as_bytes()).as_ref().try_into().unwrap()
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn at(domain: &str) -> SignIn {
        SignIn::new(domain, &Cluster::Devnet, Duration::from_secs(3_600), Some(&[7; 32])).unwrap()
    }

    /// What a message that `alter` changed before it was signed is answered with.
    fn tried(alter: impl FnOnce(&mut Message)) -> Result<Accepted, Refused> {
        let (sign_in, ann, now) = (at("app.example"), pair(1), now());
        let mut message = sign_in.message(address(&ann), now).unwrap();
        alter(&mut message);
        let text = message.to_string();
        let message = Message::read(&text).unwrap();
        sign_in.check(&text, &message, &sign(&ann, &text), now)
    }

    #[test]
    fn a_message_signed_as_it_was_given_out_is_accepted() {
        let accepted = tried(|_| {}).unwrap();
        assert_eq!(accepted.wallet, address(&pair(1)));
        tried(|message| message.chain_id = "solana:devnet".into()).unwrap();
        tried(|message| message.statement = None).unwrap();
        tried(|message| message.uri = "https://app.example/login?a=b".into()).unwrap();
    }

    #[test]
    fn a_message_for_somewhere_else_or_another_time_is_refused() {
        let moment = |seconds: i64| Moment::new(now() + time::Duration::seconds(seconds)).unwrap();
        assert!(matches!(tried(|message| message.domain = "evil.example".into()), Err(Refused::Domain(..))));
        for uri in [
            "https://evil.example/",
            "http://app.example/",
            "https://app.example.evil.example/",
            "https://app.example@evil.example/",
            "https://app.example:444/",
            "app.example",
        ] {
            assert!(matches!(tried(|message| message.uri = uri.into()), Err(Refused::Uri(_))), "{uri}");
        }
        assert_eq!(tried(|message| message.version = "2".into()).unwrap_err(), Refused::Version);
        for chain in ["mainnet", "solana:mainnet", "1", "Devnet"] {
            assert!(matches!(tried(|message| message.chain_id = chain.into()), Err(Refused::Chain(..))), "{chain}");
        }
        assert_eq!(tried(|message| message.issued_at = moment(300)).unwrap_err(), Refused::Early);
        assert_eq!(tried(|message| message.not_before = Some(moment(300))).unwrap_err(), Refused::Early);
        assert_eq!(tried(|message| message.expiration_time = moment(-5)).unwrap_err(), Refused::Late);
    }

    #[test]
    fn a_nonce_that_this_server_did_not_give_out_lately_is_refused() {
        let of = |sign_in: &SignIn, now| sign_in.message(address(&pair(1)), now).unwrap().nonce;
        let ours = of(&at("app.example"), now());
        let mut altered = ours.clone();
        altered.replace_range(40..41, if altered.as_bytes()[40] == b'0' { "1" } else { "0" });
        let other = SignIn::new("app.example", &Cluster::Devnet, Duration::from_secs(9), Some(&[8; 32])).unwrap();
        let old = of(&at("app.example"), now() - NONCE_LASTS - Duration::from_secs(1));
        for nonce in [altered, of(&other, now()), old, ours.to_uppercase(), ours[2..].to_owned(), "12345678".to_owned()]
        {
            assert_eq!(tried(|message| message.nonce = nonce.clone()).unwrap_err(), Refused::Nonce, "{nonce}");
        }
    }

    #[test]
    fn a_signature_of_another_or_over_something_else_is_refused() {
        let (sign_in, ann, bob, now) = (at("app.example"), pair(1), pair(2), now());
        let message = sign_in.message(address(&ann), now).unwrap();
        let text = message.to_string();
        for forged in [sign(&bob, &text), sign(&ann, &text.replace("Sign in", "sign in")), [0; 64]] {
            assert_eq!(sign_in.check(&text, &message, &forged, now).unwrap_err(), Refused::Signature);
        }
        // Another's address in a message that one signed oneself.
        let forged = Message { address: address(&bob), ..message };
        let text = forged.to_string();
        assert_eq!(sign_in.check(&text, &forged, &sign(&ann, &text), now).unwrap_err(), Refused::Signature);
        // A key of small order, for which ill-checked signatures hold over anything.
        let forged = Message { address: Address([0; 32]), ..forged };
        let text = forged.to_string();
        assert_eq!(sign_in.check(&text, &forged, &[0; 64], now).unwrap_err(), Refused::Signature);
    }

    #[test]
    fn a_token_is_its_wallets_until_it_ends_and_at_no_other_domain() {
        let (sign_in, ann) = (at("app.example"), address(&pair(1)));
        let (token, ends) = sign_in.token(ann, now()).unwrap();
        let (subject, end) = sign_in.subject(&token, now()).unwrap();
        assert_eq!((subject, end.unix_timestamp()), (Subject::Wallet(ann), ends.unix_timestamp()));
        assert_eq!(at("other.example").subject(&token, now()), None);
        let (old, _) = sign_in.token(ann, now() - Duration::from_secs(3_700)).unwrap();
        assert_eq!(sign_in.subject(&old, now()), None);
        let nonce = sign_in.message(ann, now()).unwrap().nonce;
        assert_eq!(sign_in.subject(&nonce, now()), None);
    }

    #[test]
    fn a_token_of_the_platforms_is_its_users_and_cannot_name_a_wallet() {
        let secret = [9; 32].map(|_| b's');
        let sign_in = at("app.example").with_platform(&secret, "rebate").unwrap();
        let user = Hash([5; 32]);
        let claims = |sub: &str, seconds: u64| {
            let end = (now() + Duration::from_secs(seconds)).unix_timestamp();
            jwt::sign(&secret, &json!({"sub": sub, "aud": "rebate", "exp": end, "iss": ISSUER})).unwrap()
        };
        let subject = |token: &str| sign_in.subject(token, now()).map(|(subject, _)| subject);
        assert_eq!(subject(&claims(&user.to_string(), 60)), Some(Subject::User(user)));
        assert_eq!(subject(&claims(&Address([5; 32]).to_string(), 60)), None);
        assert_eq!(subject(&claims(&user.to_string(), 25 * 3_600)), None, "a token for longer than a day");
        assert_eq!(at("app.example").subject(&claims(&user.to_string(), 60), now()), None);
        // What we sign is for our domain, and the platform's key is not ours.
        assert!(at("app.example").with_platform(b"short", "rebate").is_err());
        assert!(
            at("app.example")
                .with_platform(b"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----", "r")
                .is_err()
        );
    }

    #[test]
    fn settings_that_would_let_anybody_in_are_refused() {
        let new =
            |domain: &str, secret: &[u8]| SignIn::new(domain, &Cluster::Devnet, Duration::from_secs(9), Some(secret));
        assert!(new("", &[7; 32]).is_err());
        assert!(new("app.example/login", &[7; 32]).is_err());
        assert!(new("app.example\nevil", &[7; 32]).is_err());
        assert!(new("app.example", &[7; 31]).is_err());
        assert!(new("localhost:8080", &[7; 32]).unwrap().is_ours("http://localhost:8080/"));
    }
}
