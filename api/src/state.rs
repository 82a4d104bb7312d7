//! What every request works with.

use crate::{
    access::Access,
    backtests::Backtests,
    book::Books,
    connections::Bounds,
    limit::{Limits, Rate},
    live::Live,
    metrics::Metrics,
};
use rebate_client::{Pubkey, chain::ReadAccounts, explorer::Cluster};
use rebate_integrity::Comparer;
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};

/// How an API answers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The chain, as explorers know it.
    pub cluster: Cluster,
    /// A node of this chain that browsers reach, for whoever verifies there; without it, the one that follows from `cluster`.
    pub node: Option<String>,
    /// The platform of requests that name none; without it, the only one on record.
    pub platform: Option<Pubkey>,
    /// How old the last block read may be before this server says it is not ready; `None` for a chain that stands still
    /// between transactions.
    pub max_lag: Option<Duration>,
    /// How long an answer may take.
    pub request_timeout: Duration,
    /// How many requests are answered at once; more are refused.
    pub max_concurrency: usize,
    /// How often one client may ask for what is not about the server itself; `None` for as often as it likes.
    pub rate: Option<Rate>,
    /// How many proxies of our own requests come through. So many of the last addresses in `X-Forwarded-For` are believed.
    pub trusted_proxies: usize,
    /// What bounds connections.
    pub bounds: Bounds,
    /// How many clients are told what is new at once; more are refused.
    pub max_live: usize,
    /// How often a client is sent something where nothing happens.
    pub heartbeat: Duration,
    /// For how long a client may take nothing of what it is sent, before its connection ends.
    pub patience: Duration,
    /// How long requests under way may go on once the server is told to stop.
    pub drain_timeout: Duration,
}

impl Settings {
    /// Settings for `cluster` that suit most.
    pub fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            node: None,
            platform: None,
            max_lag: Some(Duration::from_secs(60)),
            request_timeout: Duration::from_secs(10),
            max_concurrency: 512,
            rate: None,
            trusted_proxies: 0,
            bounds: Bounds::default(),
            max_live: 2_048,
            heartbeat: Duration::from_secs(15),
            patience: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// What every request works with. Cloning it is cheap.
#[derive(Clone)]
pub struct ApiState {
    inner: Arc<Inner>,
    access: Arc<Access>,
}

struct Inner {
    pool: PgPool,
    chain: Arc<dyn ReadAccounts>,
    settings: Settings,
    metrics: Metrics,
    comparer: Comparer,
    limits: Option<Limits>,
    backtests: Backtests,
    live: Arc<Live>,
    books: Books,
}

impl ApiState {
    /// An API over the database behind `pool`, which compares with `chain` and counts in `registry`.
    ///
    /// # Errors
    /// Where the registry has metrics of these names already.
    pub fn new(
        pool: PgPool,
        chain: Arc<dyn ReadAccounts>,
        settings: Settings,
        registry: prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new(registry)?;
        let (live, limits) = (Arc::new(Live::new(settings.max_live)), settings.rate.map(Limits::new));
        let (comparer, backtests, books) = (Comparer::default(), Backtests::default(), Books::default());
        let inner = Inner { pool, chain, settings, metrics, comparer, limits, backtests, live, books };
        Ok(Self { inner: Arc::new(inner), access: Arc::new(Access::default()) })
    }

    /// The same for operators and users, too. Without it, only what is public is answered.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self { access: Arc::new(access), ..self }
    }

    /// Connections to the database.
    pub fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    /// The chain.
    pub fn chain(&self) -> &dyn ReadAccounts {
        &*self.inner.chain
    }

    /// How to answer.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// What operators and users are told apart by.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// How often clients may ask, where that is bounded.
    pub(crate) fn limits(&self) -> Option<&Limits> {
        self.inner.limits.as_ref()
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// The back-tests of this process.
    pub(crate) fn backtests(&self) -> &Backtests {
        &self.inner.backtests
    }

    /// Who is told what is new.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.inner.live
    }

    /// Rules as texts need them.
    pub(crate) fn books(&self) -> &Books {
        &self.inner.books
    }

    /// Compares the tables with the chain.
    pub(crate) fn comparer(&self) -> &Comparer {
        &self.inner.comparer
    }
}
