//! An indexer's database, held against the chain: its tables are written once more, by the indexer's own writer, from the
//! transactions that were read from the chain, into a database that is removed at the end; and then every row of every table
//! is compared. What the writer could get wrong in both is compared with what replaying the events comes to.

mod replayed;
mod scratch;
mod tables;

use super::Databases;
use anyhow::{Context, bail};
use rebate_client::{
    Pubkey,
    chain::ReadEvidence,
    verify::{follower::Follower, read::Read},
};
use rebate_indexer::database;
use scratch::Scratch;
use sqlx::{PgPool, Postgres, Transaction};

/// How many differences of a table are named; the rest is counted.
const NAMED: usize = 30;

/// What a comparison of tables came to.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// How many tables were compared.
    pub tables: u64,
    /// How many rows, of the database that is compared.
    pub rows: u64,
    /// The first differences, by table and primary key.
    pub differences: Vec<String>,
    /// How many there are.
    pub count: u64,
    /// Tables and columns that were not compared, each with the reason.
    pub left_out: Vec<String>,
    /// How many events the database has.
    pub events: u64,
}

impl Tables {
    /// One more difference of a table of which `in_table` were found before.
    fn differs(&mut self, in_table: &mut usize, what: String) {
        self.count = self.count.saturating_add(1);
        if *in_table < NAMED {
            self.differences.push(what);
        }
        *in_table = in_table.saturating_add(1);
    }
}

/// The database that is compared, as it was at one moment, and the one beside it.
pub struct Comparison {
    platform: Pubkey,
    /// Reads only, and sees the same all the time.
    stored: Transaction<'static, Postgres>,
    pool: PgPool,
    scratch: Scratch,
    /// Why the writer did not take the chain's events.
    refused: Option<String>,
    /// How many events of the platform are stored.
    pub events: u64,
}

impl Comparison {
    /// Opens both.
    ///
    /// # Errors
    /// What keeps them from being opened, also a database of another chain.
    pub async fn open<C: ReadEvidence>(databases: &Databases, platform: Pubkey, chain: &C) -> anyhow::Result<Self> {
        let genesis = chain.genesis_hash().await?;
        let pool = database::connect(&databases.url).await?;
        database::check(&pool).await?;
        let mut stored = pool.begin().await.context("the database")?;
        // The zone so that times read the same in both.
        for setting in ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", "SET LOCAL TIME ZONE 'UTC'"] {
            sqlx::query(setting).execute(&mut *stored).await.context("the database")?;
        }
        let held: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT genesis_hash FROM cursor").fetch_optional(&mut *stored).await?;
        match held {
            None => bail!("the database is empty; let rebate-indexer fill it first"),
            Some(held) if held != genesis.as_ref() => {
                bail!("the database holds another chain than the node's; name another one with --database, or --rpc")
            }
            Some(_) => {}
        }
        // By the events, not by what is said of them.
        let events: i64 =
            sqlx::query_scalar("SELECT coalesce(max(journal_index) + 1, 0) FROM events WHERE platform = $1")
                .bind(platform.to_bytes())
                .fetch_one(&mut *stored)
                .await?;
        let events = u64::try_from(events).context("events.journal_index")?;
        let scratch = Scratch::make(databases, genesis).await?;
        Ok(Self { platform, stored, pool, scratch, refused: None, events })
    }

    /// Writes transactions, the next ones of the journal. Events that contradict each other, a writer does not take; that is a
    /// difference like any other.
    pub async fn write(&mut self, read: &[Read]) {
        if self.refused.is_none()
            && let Err(error) = self.scratch.write(read).await
        {
            self.refused = Some(format!("{error:#}"));
        }
    }

    /// Compares every table, `follower` being at the events that are stored and that the chain has.
    ///
    /// # Errors
    /// What a database says.
    pub async fn compare<C: ReadEvidence>(
        &mut self,
        follower: &Follower,
        chain: &C,
        on_rows: &(dyn Fn(u64) + Send + Sync),
    ) -> anyhow::Result<Tables> {
        if self.refused.is_none() {
            self.refused = self.scratch.end().await.err().map(|error| format!("{error:#}"));
        }
        let mut found = Tables { events: follower.count(), ..Tables::default() };
        if self.scratch.guessed_positions() {
            found.left_out.push("transactions.position: the node does not say it".to_owned());
        }
        match self.refused.take() {
            Some(why) => found.differs(&mut 0, why),
            None => {
                let mut written = self.scratch.begin().await?;
                tables::compare(&mut self.stored, &mut written, &self.platform, &mut found, on_rows).await?;
            }
        }
        replayed::compare(&mut self.stored, follower, &self.platform, &mut found).await?;
        replayed::compare_cursor(&mut self.stored, chain, &mut found).await?;
        Ok(found)
    }

    /// Closes both and removes the one beside.
    ///
    /// # Errors
    /// If that cannot be removed.
    pub async fn remove(self) -> anyhow::Result<()> {
        // It wrote nothing.
        let _ = self.stored.rollback().await;
        self.pool.close().await;
        self.scratch.remove().await
    }
}
