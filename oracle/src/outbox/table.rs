//! The platform's lookup table: found again by the database, read back and tried before it is used, made where there is none,
//! looked at now and then. Whatever is wrong with it, transactions go without one.

use super::{
    Options,
    metrics::Metrics,
    sender::{SendError, Sender},
};
use rebate_client::{
    Pubkey,
    address::Addresses,
    chain::{ChainError, Dispatch, SubmitError},
    lookup::{LookupTable, TABLES, Unusable},
};
use solana_program::sysvar::slot_hashes;
use sqlx::PgPool;
use std::time::Duration;
use thiserror::Error;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// How often a table in use is looked at.
const LOOKED_AT: Duration = Duration::from_secs(60);

/// How long a new table is waited for: a slot is enough.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no table now.
#[derive(Debug, Error)]
enum TableError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The chain has no program for tables.
    #[error("the chain has no program {TABLES}")]
    NoProgram,
    #[error("it cannot be made: {0}")]
    NotMade(SendError),
    #[error("a transaction that names it does not succeed: {0}")]
    NotTaken(SubmitError),
    #[error("{0}, and that passed")]
    NotYet(Unusable),
}

/// Keeps the table.
pub(super) struct Keeper<C> {
    maker: Maker<C>,
    is_wanted: bool,
    /// How long after a failure it is tried again.
    pause: Duration,
    metrics: Metrics,
    current: Option<LookupTable>,
    looked: Option<Instant>,
    looking: JoinSet<Result<LookupTable, TableError>>,
}

impl<C: Dispatch + Clone + 'static> Keeper<C> {
    pub(super) fn new(
        pool: PgPool,
        chain: C,
        sender: Sender<C>,
        addresses: Addresses,
        options: &Options,
        metrics: Metrics,
    ) -> Self {
        let Options { look, hold, lookup_table, .. } = *options;
        metrics.lookup_table.set(0);
        Self {
            maker: Maker { pool, chain, sender, addresses, look },
            is_wanted: lookup_table,
            pause: hold.saturating_mul(15),
            metrics,
            current: None,
            looked: None,
            looking: JoinSet::new(),
        }
    }

    /// What transactions may name now.
    pub(super) fn table(&self) -> Option<&LookupTable> {
        self.current.as_ref()
    }

    /// Takes what was found out, and looks again where it is time. Nothing waits for it.
    pub(super) fn tend(&mut self) {
        // Nobody aborts this task.
        while let Some(Ok(found)) = self.looking.try_join_next() {
            self.current = match found {
                Ok(table) => {
                    if self.current.as_ref() != Some(&table) {
                        tracing::info!(table = %table.address(), "transactions name accounts by a lookup table");
                    }
                    Some(table)
                }
                Err(error) => {
                    tracing::warn!(%error, "no lookup table, so that fewer records fit into a transaction");
                    None
                }
            };
            self.metrics.lookup_table.set(i64::from(self.current.is_some()));
        }
        let pause = if self.current.is_some() { LOOKED_AT } else { self.pause };
        let is_time = self.looked.is_none_or(|looked| looked.elapsed() >= pause);
        if self.is_wanted && self.looking.is_empty() && is_time {
            self.looked = Some(Instant::now());
            let maker = self.maker.clone();
            self.looking.spawn(async move { maker.table().await });
        }
    }

    /// The chain does not take it any more. It is looked at again after a pause, and another one made where it is gone.
    pub(super) fn lost(&mut self, why: &str) {
        if let Some(table) = self.current.take() {
            tracing::warn!(table = %table.address(), why, "the lookup table is not named any more");
        }
        self.metrics.lookup_table.set(0);
        self.looked = Some(Instant::now());
    }
}

#[derive(Clone)]
struct Maker<C> {
    pool: PgPool,
    chain: C,
    sender: Sender<C>,
    addresses: Addresses,
    look: Duration,
}

impl<C: Dispatch> Maker<C> {
    /// The platform's table, as the chain shows it and takes it; a new one where there is none.
    async fn table(&self) -> Result<LookupTable, TableError> {
        let known = known(&self.pool, &self.addresses.platform).await?;
        let found = match known {
            Some(address) => self.found(address).await?,
            None => None,
        };
        let table = match found {
            Some(table) => table,
            None => self.made().await?,
        };
        // A node may be too old for transactions that name tables.
        self.sender.try_table(&table).await.map_err(TableError::NotTaken)?;
        Ok(table)
    }

    /// The table at `address`; `None` where there is none that can ever be used.
    async fn found(&self, address: Pubkey) -> Result<Option<LookupTable>, TableError> {
        let begun = Instant::now();
        loop {
            let Some(account) = self.chain.account(&address).await? else { return Ok(None) };
            match LookupTable::read(address, &account, &self.addresses) {
                Ok(table) => return Ok(Some(table)),
                Err(unusable @ Unusable::Never { .. }) => {
                    tracing::warn!("{unusable}; another one is made");
                    return Ok(None);
                }
                Err(unusable @ Unusable::NotYet(_)) if begun.elapsed() > PATIENCE => {
                    return Err(TableError::NotYet(unusable));
                }
                Err(Unusable::NotYet(_)) => sleep(self.look).await,
            }
        }
    }

    async fn made(&self) -> Result<LookupTable, TableError> {
        let found = self.chain.accounts(&[TABLES, slot_hashes::ID]).await?.accounts;
        let [Some(_), Some(recent)] = found.as_slice() else { return Err(TableError::NoProgram) };
        let recent = newest(&recent.data).ok_or(TableError::NoProgram)?;
        let payer = self.sender.payer();
        let (address, instructions) = LookupTable::make(&payer, &self.addresses, recent);
        // Before it is made, so that it is found again whatever happens then: its rent is paid once.
        keep(&self.pool, &self.addresses.platform, &address).await?;
        self.sender.deliver(&instructions).await.map_err(TableError::NotMade)?;
        match self.found(address).await? {
            Some(table) => Ok(table),
            None => Err(TableError::NotYet(Unusable::NotYet(address))),
        }
    }
}

/// The newest slot that programs know of. The answer's own slot is none of them yet.
fn newest(slot_hashes: &[u8]) -> Option<u64> {
    // How many there are, then slot and hash of each, newest first.
    slot_hashes.get(8..)?.first_chunk().map(|slot| u64::from_le_bytes(*slot))
}

async fn known(pool: &PgPool, platform: &Pubkey) -> sqlx::Result<Option<Pubkey>> {
    let address = sqlx::query_scalar!("SELECT address FROM lookup_tables WHERE platform = $1", platform.as_ref())
        .fetch_optional(pool)
        .await?;
    Ok(address.and_then(|address| Pubkey::try_from(address).ok()))
}

async fn keep(pool: &PgPool, platform: &Pubkey, address: &Pubkey) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO lookup_tables (platform, address) VALUES ($1, $2)
         ON CONFLICT (platform) DO UPDATE SET address = excluded.address, made_at = now()",
        platform.as_ref(),
        address.as_ref(),
    )
    .execute(pool)
    .await?;
    Ok(())
}
