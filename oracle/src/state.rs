//! What every request works with.

use crate::{
    OracleError, Settings,
    intake::{Bounds, Intake, Writers},
    metrics::Metrics,
    provider::Provider,
    settings::{ApiKey, Limits},
    user_key::UserSecrets,
};
use prometheus::Registry;
use rebate_client::Pubkey;
use sqlx::PgPool;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What every request works with. Cloning it is cheap.
#[derive(Clone)]
pub struct OracleState {
    inner: Arc<Inner>,
}

struct Inner {
    pool: PgPool,
    platform: Pubkey,
    currency: String,
    providers: BTreeMap<Arc<str>, Box<dyn Provider>>,
    api_keys: Vec<ApiKey>,
    secrets: UserSecrets,
    limits: Limits,
    intake: Intake,
    metrics: Metrics,
    registry: Registry,
}

impl OracleState {
    /// An oracle with `settings` on the database behind `pool`, which counts in `registry`; and what stores notices, to be
    /// waited for once every state is gone. Must be called in a runtime.
    ///
    /// # Errors
    /// [`OracleError`].
    pub async fn new(settings: &Settings, pool: PgPool, registry: Registry) -> Result<(Self, Writers), OracleError> {
        let secrets = settings.user_secrets()?;
        let platform = settings.platform.to_bytes();
        secrets.check(&pool, &platform).await?.map_err(crate::settings::SettingsError::from)?;
        let metrics = Metrics::register(&registry)?;
        let providers = settings.providers()?;
        let limits = settings.limits;
        let bounds = Bounds { waiting: limits.waiting, batch: limits.batch, writers: limits.writers };
        let (intake, writers) = Intake::start(&pool, platform, bounds, metrics.clone());
        let inner = Inner {
            pool,
            platform: settings.platform,
            currency: settings.currency.clone(),
            providers,
            api_keys: settings.api_keys.clone(),
            secrets,
            limits,
            intake,
            metrics,
            registry,
        };
        Ok((Self { inner: Arc::new(inner) }, writers))
    }

    /// Connections to the database.
    pub fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    /// The platform.
    pub fn platform(&self) -> &Pubkey {
        &self.inner.platform
    }

    /// The currency of all orders.
    pub(crate) fn currency(&self) -> &str {
        &self.inner.currency
    }

    /// The adapter of this name, and the name.
    pub(crate) fn provider(&self, name: &str) -> Option<(&Arc<str>, &dyn Provider)> {
        self.inner.providers.get_key_value(name).map(|(name, provider)| (name, &**provider))
    }

    /// Who may post records and ask.
    pub(crate) fn api_keys(&self) -> &[ApiKey] {
        &self.inner.api_keys
    }

    /// The secrets of users' keys.
    pub fn secrets(&self) -> &UserSecrets {
        &self.inner.secrets
    }

    /// Stores notices.
    pub fn intake(&self) -> &Intake {
        &self.inner.intake
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Where it is counted.
    pub(crate) fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// Requests answered at once.
    pub(crate) fn requests(&self) -> usize {
        self.inner.limits.requests
    }

    /// How long an answer may take.
    pub(crate) fn answer_within(&self) -> Duration {
        Duration::from_millis(self.inner.limits.answer_within_ms)
    }
}
