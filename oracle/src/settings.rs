//! The settings, a TOML file. Secrets are not in it, but where they are: in a file or an environment variable.

use crate::{
    outbox::settings::OutboxSettings,
    provider::{
        FieldNames, InvalidKey, Provider, RsaKey,
        alipay::Alipay,
        hmac::{self, Hmac},
        stripe::{self, Stripe},
        wechat_pay::{self, Merchant, WechatPay},
    },
    user_key::{SecretsError, UserSecrets},
};
use rebate_client::Pubkey;
use rebate_fanout::webhooks::{endpoint::InvalidEndpoint, secret::Key};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{collections::BTreeMap, env, fs, io, path::PathBuf, sync::Arc};
use thiserror::Error;

/// The name under which the platform's own server is a provider.
pub const DIRECT: &str = "direct";

/// The settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The platform's address, base58.
    #[serde(deserialize_with = "address")]
    pub platform: Pubkey,
    /// The currency of all orders, as ISO 4217 has it: amounts are minor units of it.
    pub currency: String,
    /// The secrets of users' keys; see [`crate::user_key`].
    pub user_secrets: Vec<UserSecret>,
    /// Who may post records and ask about orders: the platform's own servers.
    #[serde(default)]
    pub api_keys: Vec<ApiKey>,
    /// The payment providers, by the name that is in the path of their notices.
    #[serde(default)]
    pub providers: BTreeMap<String, ProviderSettings>,
    /// For how many days notices are kept as they came; 0 for ever. Records always are.
    #[serde(default = "keep_notices")]
    pub keep_notices: u32,
    /// Who is told what became of records.
    pub webhook: Option<WebhookSettings>,
    /// Where records go; without it they are stored and wait.
    pub outbox: Option<OutboxSettings>,
    /// What bounds the work.
    #[serde(default)]
    pub limits: Limits,
}

/// A secret of users' keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSecret {
    /// From 0; new users get keys by the secret with the highest number.
    pub number: i16,
    /// Where it is.
    pub secret: Place,
}

/// A key of the platform's server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// For logs.
    pub name: String,
    /// SHA-256 of the key, 64 hexadecimal digits; `rebate-oracle api-key` makes both. The key itself is nowhere here.
    #[serde(deserialize_with = "digest")]
    pub sha256: [u8; 32],
}

/// Where a secret is: `{ file = "…" }` or `{ env = "…" }`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// In a file; white space around it does not count.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

/// A payment provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ProviderSettings {
    /// HMAC-SHA256 over a timestamp and the body.
    Hmac {
        /// Any of them signs.
        secrets: Vec<Place>,
        /// How old a notice may be, in seconds.
        #[serde(default = "hmac_tolerance")]
        tolerance: u32,
    },
    /// Stripe.
    Stripe {
        /// The endpoint's signing secrets; two while one is rolled.
        secrets: Vec<Place>,
        /// How old a notice may be, in seconds.
        #[serde(default = "stripe_tolerance")]
        tolerance: u32,
        /// Names in `metadata`.
        #[serde(default)]
        fields: FieldNames,
    },
    /// Alipay.
    Alipay {
        /// Alipay's public keys: PEM, bare base64, or certificates.
        public_keys: Vec<Place>,
        /// The application.
        app_id: String,
        /// The seller, checked where it is given.
        seller_id: Option<String>,
        /// Names in `passback_params`.
        #[serde(default)]
        fields: FieldNames,
    },
    /// WeChat Pay, API v3.
    WechatPay {
        /// Platform certificates or public keys.
        public_keys: Vec<WechatKey>,
        /// The merchant.
        mchid: String,
        /// The application, checked where it is given.
        appid: Option<String>,
        /// The API v3 key.
        api_v3_key: Place,
        /// How old a notice may be, in seconds.
        #[serde(default = "wechat_tolerance")]
        tolerance: u32,
        /// Names in `attach`.
        #[serde(default)]
        fields: FieldNames,
    },
}

/// A key that WeChat Pay signs with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WechatKey {
    /// As `Wechatpay-Serial` names it: `PUB_KEY_ID_…`. Left out, it is the certificate's serial number.
    pub serial: Option<String>,
    /// Where it is.
    pub key: Place,
}

/// Who is told what became of records.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where to post: https, or http on this machine.
    pub url: String,
    /// The key that the endpoint's secret follows from, at least 32 bytes; `rebate-oracle webhook-secret` shows that secret.
    pub key: Place,
    /// Post over http also beyond this machine.
    #[serde(default)]
    pub allow_http: bool,
    /// How long the endpoint may take, in milliseconds.
    #[serde(default = "Limits::ten_seconds")]
    pub timeout_ms: u64,
    /// The pause after the first attempt, in milliseconds; each is three times the one before, up to four hours.
    #[serde(default = "Limits::five_seconds")]
    pub first_pause_ms: u64,
    /// After so many attempts it is given up; 14 are over a day.
    #[serde(default = "Limits::fourteen")]
    pub attempts: u32,
}

/// What bounds the work.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests answered at once; more are told to come again.
    pub requests: usize,
    /// Notices that wait to be stored; more are told to come again.
    pub waiting: usize,
    /// Notices stored in one transaction at most.
    pub batch: usize,
    /// Transactions at once that store what is new: while one waits for the disk, others fill.
    pub writers: usize,
    /// Connections to the database.
    pub connections: u32,
    /// How long an answer may take, in milliseconds.
    pub answer_within_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 512, waiting: 1_024, batch: 128, writers: 4, connections: 12, answer_within_ms: 5_000 }
    }
}

impl Limits {
    fn ten_seconds() -> u64 {
        10_000
    }
    fn five_seconds() -> u64 {
        5_000
    }
    fn fourteen() -> u32 {
        14
    }
}

/// A year of days, and a month to look into it.
fn keep_notices() -> u32 {
    400
}
fn hmac_tolerance() -> u32 {
    hmac::TOLERANCE.unsigned_abs() as u32
}
fn stripe_tolerance() -> u32 {
    stripe::TOLERANCE.unsigned_abs() as u32
}
fn wechat_tolerance() -> u32 {
    wechat_pay::TOLERANCE.unsigned_abs() as u32
}

/// What is wrong with the settings. Says nothing of secrets.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("the settings: {0}")]
    Invalid(String),
    /// A secret is not where the settings say.
    #[error("the settings want a secret from {place}: {why}")]
    Secret {
        /// Where.
        place: String,
        /// What is wrong there.
        why: String,
    },
    /// A provider's key is none.
    #[error("the provider {provider}: the key from {place}: {source}")]
    Key {
        /// The provider.
        provider: String,
        /// Where.
        place: String,
        /// What is wrong there.
        source: InvalidKey,
    },
    /// A provider cannot be used.
    #[error("the provider {provider}: {why}")]
    Provider {
        /// The provider.
        provider: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The secrets of users' keys.
    #[error(transparent)]
    UserSecrets(#[from] SecretsError),
    /// The webhook's URL.
    #[error("the webhook: {0}")]
    Webhook(#[from] InvalidEndpoint),
}

impl Settings {
    /// Reads the settings in a file.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn read(path: &std::path::Path) -> Result<Self, SettingsError> {
        let unreadable = |source| SettingsError::Unreadable { path: path.to_owned(), source };
        Self::parse(&fs::read_to_string(path).map_err(unreadable)?)
    }

    /// Reads the settings in `text`.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`].
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text).map_err(|error| SettingsError::Invalid(error.to_string()))?;
        let invalid = |why: &str| Err(SettingsError::Invalid(why.to_owned()));
        if settings.currency.len() != 3 || !settings.currency.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return invalid("currency is no code of three letters, like CNY");
        }
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if let Some(name) = settings.providers.keys().find(|name| name.is_empty() || !name.bytes().all(plain)) {
            return invalid(&format!("a provider's name is lower-case letters, digits, - and _, and {name:?} is not"));
        }
        if settings.providers.contains_key(DIRECT) {
            return invalid("the name \"direct\" is the platform's own server's; give that provider another");
        }
        let limits = &settings.limits;
        let counts = [limits.requests, limits.waiting, limits.batch, limits.writers];
        if counts.contains(&0) || limits.connections == 0 || limits.answer_within_ms == 0 {
            return invalid("no limit can be 0");
        }
        Ok(settings)
    }

    /// The secrets of users' keys.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn user_secrets(&self) -> Result<UserSecrets, SettingsError> {
        let read = |secret: &UserSecret| Ok((secret.number, secret.secret.read()?));
        let all: Vec<_> = self.user_secrets.iter().map(read).collect::<Result<_, SettingsError>>()?;
        Ok(UserSecrets::new(all)?)
    }

    /// The adapters, by name.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn providers(&self) -> Result<BTreeMap<Arc<str>, Box<dyn Provider>>, SettingsError> {
        self.providers
            .iter()
            .map(|(name, settings)| Ok((Arc::from(name.as_str()), settings.provider(name, &self.currency)?)))
            .collect()
    }
}

impl ProviderSettings {
    fn provider(&self, name: &str, currency: &str) -> Result<Box<dyn Provider>, SettingsError> {
        let wrong = |why| SettingsError::Provider { provider: name.to_owned(), why };
        let key = |place: &Place| {
            let invalid = |source| SettingsError::Key { provider: name.to_owned(), place: place.to_string(), source };
            RsaKey::parse(&place.read()?).map_err(invalid)
        };
        let secrets = |places: &[Place]| {
            let all: Vec<_> = places.iter().map(Place::read).collect::<Result<_, _>>()?;
            if all.is_empty() { Err(wrong("it has no secrets, so nothing could be checked")) } else { Ok(all) }
        };
        Ok(match self {
            Self::Hmac { secrets: places, tolerance } => {
                Box::new(Hmac::new(&secrets(places)?, i64::from(*tolerance), currency))
            }
            Self::Stripe { secrets: places, tolerance, fields } => {
                Box::new(Stripe::new(&secrets(places)?, i64::from(*tolerance), currency, fields.clone()))
            }
            Self::Alipay { public_keys, app_id, seller_id, fields } => {
                if !currency.eq_ignore_ascii_case("CNY") {
                    return Err(wrong("its orders are in CNY, and the platform's currency is another"));
                }
                let keys: Vec<_> = public_keys.iter().map(key).collect::<Result<_, _>>()?;
                if keys.is_empty() {
                    return Err(wrong("it has no public_keys, so nothing could be checked"));
                }
                Box::new(Alipay::new(keys, app_id, seller_id.as_deref(), fields.clone()))
            }
            Self::WechatPay { public_keys, mchid, appid, api_v3_key, tolerance, fields } => {
                let mut keys = BTreeMap::new();
                for WechatKey { serial, key: place } in public_keys {
                    let key = key(place)?;
                    let serial = serial.clone().or_else(|| key.serial().map(str::to_owned));
                    let unnamed = "a public key has no serial; copy its PUB_KEY_ID_… from the merchant platform";
                    keys.insert(serial.ok_or_else(|| wrong(unnamed))?, key);
                }
                if keys.is_empty() {
                    return Err(wrong("it has no public_keys, so nothing could be checked"));
                }
                let secret = api_v3_key.read()?;
                let merchant = Merchant { mchid, appid: appid.as_deref(), api_v3_key: &secret };
                let made = WechatPay::new(keys, &merchant, i64::from(*tolerance), currency, fields.clone());
                Box::new(made.ok_or_else(|| wrong("its api_v3_key has not 32 bytes"))?)
            }
        })
    }
}

impl WebhookSettings {
    /// The key that the endpoint's secret follows from.
    ///
    /// # Errors
    /// [`SettingsError::Secret`].
    pub fn key(&self) -> Result<Key, SettingsError> {
        let short = || self.key.unusable("it holds fewer than 32 bytes; make one with: openssl rand -base64 32");
        Key::new(&self.key.read()?).ok_or_else(short)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Env(name) => write!(f, "the environment variable {name}"),
        }
    }
}

impl Place {
    /// The secret there, without white space around it.
    ///
    /// # Errors
    /// [`SettingsError::Secret`], also where it is empty.
    pub fn read(&self) -> Result<Vec<u8>, SettingsError> {
        let secret = match self {
            Self::File(path) => fs::read(path).map_err(|error| self.unusable(&error.to_string()))?,
            Self::Env(name) => env::var(name).map_err(|_| self.unusable("it is not set"))?.into_bytes(),
        };
        match secret.trim_ascii() {
            [] => Err(self.unusable("it is empty")),
            trimmed => Ok(trimmed.to_vec()),
        }
    }

    fn unusable(&self, why: &str) -> SettingsError {
        SettingsError::Secret { place: self.to_string(), why: why.to_owned() }
    }
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Pubkey, D::Error> {
    String::deserialize(from)?.parse().map_err(|_| D::Error::custom("that is no address in base58"))
}

fn digest<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(from)?;
    let mut digest = [0; 32];
    let no_digest = |_| D::Error::custom("sha256 is not 64 hexadecimal digits; `rebate-oracle api-key` makes them");
    hex::decode_to_slice(text, &mut digest).map_err(no_digest)?;
    Ok(digest)
}
