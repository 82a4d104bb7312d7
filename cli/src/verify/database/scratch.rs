//! The database that the tables are written into once more.

use super::super::Databases;
use anyhow::Context;
use rebate_client::{
    address::{PROGRAM, event_authority},
    block::{Block, InnerInstruction, Transaction as ChainTransaction},
    chain::Commitment,
    event::TAG,
    verify::{evidence::Evidence, read::Read},
};
use rebate_indexer::{database, source::BlockRef, stretch::Stretch, write::Writer};
use rebate_local::LocalPostgres;
use solana_program::hash::Hash;
use sqlx::{PgPool, Postgres, Transaction};
use std::time::UNIX_EPOCH;

/// How many events are written at once at least.
const AT_ONCE: usize = 2_000;

pub(super) struct Scratch {
    postgres: LocalPostgres,
    name: String,
    pool: PgPool,
    writer: Writer,
    last: Option<BlockRef>,
    stretch: Stretch,
    /// The block that is being put together: more of its transactions can follow.
    open: Option<Block>,
    guessed_positions: bool,
    removed: bool,
}

impl Scratch {
    /// A new database with the indexer's schema.
    pub async fn make(databases: &Databases, genesis: Hash) -> anyhow::Result<Self> {
        let postgres = LocalPostgres::named(databases.scratch.as_ref().unwrap_or(&databases.url))?;
        // The process alone would do until its number comes round again, and where one Postgres serves several machines.
        let now = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_micros());
        let name = format!("rebate_verify_{now}_{}", std::process::id());
        postgres.create_database(&name).await.context("--scratch names a server to make it on where it is allowed")?;
        let pool = database::pool(&postgres.url(&name))?;
        let writer = Writer::new(pool.clone(), genesis, Commitment::Finalized);
        let made = Self {
            postgres,
            name,
            pool,
            writer,
            last: None,
            stretch: Stretch::default(),
            open: None,
            guessed_positions: false,
            removed: false,
        };
        match database::migrate(&made.pool).await {
            Ok(()) => Ok(made),
            Err(error) => {
                made.remove().await?;
                Err(error.into())
            }
        }
    }

    /// Whether the node did not say where in their blocks transactions stand.
    pub fn guessed_positions(&self) -> bool {
        self.guessed_positions
    }

    pub async fn write(&mut self, read: &[Read]) -> anyhow::Result<()> {
        for Read { evidence, .. } in read {
            if self.open.as_ref().is_some_and(|open| open.slot != evidence.slot) {
                self.close()?;
                if self.stretch.events().len() >= AT_ONCE {
                    self.flush().await?;
                }
            }
            self.add(evidence);
        }
        Ok(())
    }

    /// Writes what is left.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        self.close()?;
        self.flush().await
    }

    /// The transactions of one slot are one block. Which other blocks there were makes no difference to any table but the
    /// cursor, so that each follows the one before.
    fn add(&mut self, evidence: &Evidence) {
        let last = self.stretch.end().or(self.last);
        let open = self.open.get_or_insert_with(|| Block {
            slot: evidence.slot,
            hash: hash_of(evidence.slot),
            parent_slot: last.map_or(0, |last| last.slot),
            parent_hash: last.map_or_else(Hash::default, |last| last.hash),
            time: evidence.block_time,
            transactions: Vec::new(),
        });
        match evidence.position.and_then(|position| usize::try_from(position).ok()) {
            // Those between are of no interest, but they count.
            Some(position) if position >= open.transactions.len() => open.transactions.resize(position, nothing()),
            _ => self.guessed_positions = true,
        }
        open.transactions.push(transaction(evidence));
    }

    fn close(&mut self) -> anyhow::Result<()> {
        let Some(block) = self.open.take() else { return Ok(()) };
        Ok(self.stretch.push(&block)?)
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        let stretch = std::mem::take(&mut self.stretch);
        self.last = stretch.end().or(self.last);
        self.stretch = Stretch::after(self.last);
        self.writer.write(&stretch).await.context("the chain's events, written once more")?;
        Ok(())
    }

    /// What was written, to be read.
    pub async fn begin(&self) -> anyhow::Result<Transaction<'static, Postgres>> {
        let mut reading = self.pool.begin().await?;
        sqlx::query("SET LOCAL TIME ZONE 'UTC'").execute(&mut *reading).await?;
        Ok(reading)
    }

    pub async fn remove(mut self) -> anyhow::Result<()> {
        self.removed = true;
        self.pool.close().await;
        Ok(self.postgres.drop_database(&self.name).await?)
    }
}

impl Drop for Scratch {
    /// Where the work was dropped in the middle, the database goes all the same.
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        // The runtime may be ending and cannot wait for anything here, so another one does, in another thread.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
                // What stays behind has a name that tells what it is.
                let _left = runtime.block_on(self.postgres.drop_database(&self.name));
            });
        });
    }
}

fn hash_of(slot: u64) -> Hash {
    let mut bytes = [0xff; 32];
    for (byte, of_slot) in bytes.iter_mut().zip(slot.to_be_bytes()) {
        *byte = of_slot;
    }
    Hash::new_from_array(bytes)
}

fn nothing() -> ChainTransaction {
    ChainTransaction {
        signature: Default::default(),
        position: None,
        failed: true,
        accounts: Vec::new(),
        inner: Vec::new(),
    }
}

fn transaction(evidence: &Evidence) -> ChainTransaction {
    let events = evidence.parts.iter().flat_map(|part| &part.events);
    let inner =
        events.map(|bytes| InnerInstruction { program: 0, accounts: vec![1], data: [&TAG, &bytes[..]].concat() });
    let (signature, accounts) = (evidence.signature(), vec![PROGRAM, event_authority()]);
    ChainTransaction { signature, position: None, failed: false, accounts, inner: inner.collect() }
}
