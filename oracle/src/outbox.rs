//! From the queue to the chain: every stored record ends recorded, refused with the reason, or dead with the reason, and none
//! is on chain twice, whatever fails on the way.
//!
//! One process at a time works for a platform; others stand by on an advisory lock. In rounds it looks what became of what was
//! sent, and makes new transactions of what is due. A transaction is written down, together with its records' state, before
//! it is sent for the first time. Killed at any step, the process finds it again: sends the very same transaction until it
//! is confirmed or its blockhash has expired, and only then builds another. Where even that is lost, with a database
//! restored from a backup, the program refuses the order it took before, and the outbox looks up what that was.
//!
//! Records of one user go one after the other: payments in one transaction in order, or what comes later once what came
//! before is through. Transactions that are under way at the same time share no user.
//!
//! Why no job library: those for Postgres (apalis-postgres, underway, graphile_worker, pgmq) take, lock and acknowledge one job
//! at a time in tables and transactions of their own. Here many records share one transaction of the chain, which has to
//! be written down in the same SQL transaction that takes them, and settled together with it; and a record must wait for
//! the user's one before. What such a library would add is a lock with a lease and a pause, which `SKIP LOCKED` and a
//! column are.

mod grouping;
pub mod landing;
mod leading;
mod making;
pub mod metrics;
pub mod queue;
pub mod record;
pub mod refunds;
mod round;
pub mod sender;
pub mod settings;
mod settling;
mod table;

use crate::{fees::FeePolicy, signer::Sign};
use backon::{BackoffBuilder, ExponentialBuilder};
use metrics::Metrics;
use rebate_client::{
    Pubkey,
    chain::{ChainError, Dispatch},
    event,
    recorder::RecordError,
};
use solana_signature::Signature;
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};
use thiserror::Error;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How the outbox works.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many payments go into one transaction at most; what does not fit goes into the next.
    pub batch: usize,
    /// How long a payment waits for others to share a transaction with.
    pub gather: Duration,
    /// How many transactions may be under way at once.
    pub under_way: usize,
    /// How often sent transactions are looked for.
    pub look: Duration,
    /// How often one that was not seen is sent again.
    pub resend: Duration,
    /// How often the queue is looked at where nobody says that there is something.
    pub poll: Duration,
    /// How often a record is tried before it is dead.
    pub attempts: u32,
    /// The first pause before a record is tried again; each is twice the one before.
    pub shortest_pause: Duration,
    /// The longest.
    pub longest_pause: Duration,
    /// How long nothing is sent where nothing can succeed: no node, no funds, no signer, a paused platform.
    pub hold: Duration,
    /// With less than this, in lamports, the payer counts as out of funds where a transaction fails.
    pub least_funds: u64,
    /// For how long records wait where the program does not take the oracle's key, before they are dead.
    pub key_patience: Duration,
    /// Whether transactions name what every record needs by a lookup table, which is made where there is none.
    pub lookup_table: bool,
    /// What is paid beyond the base fee.
    pub fees: FeePolicy,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch: 8,
            gather: Duration::from_millis(60),
            under_way: 64,
            look: Duration::from_millis(100),
            resend: Duration::from_secs(2),
            poll: Duration::from_secs(1),
            // With these pauses, some five hours.
            attempts: 30,
            shortest_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(900),
            hold: Duration::from_secs(2),
            least_funds: 100_000_000,
            // Over a weekend.
            key_patience: Duration::from_secs(3 * 86_400),
            lookup_table: true,
            fees: FeePolicy::default(),
        }
    }
}

/// Why the outbox began anew.
#[derive(Debug, Error)]
pub enum OutboxError {
    /// The database cannot be asked.
    #[error("the oracle's database failed: {0}; check that Postgres runs and that ORACLE_DATABASE_URL is right")]
    Database(#[from] sqlx::Error),
    /// The chain did not answer, or there is no such platform.
    #[error(transparent)]
    Chain(#[from] RecordError),
    /// An event that this code does not know.
    #[error("transaction {0}: {1}")]
    Event(Signature, event::DecodeError),
    /// A transaction that was written down cannot be read.
    #[error("the transaction {0} in the table submissions cannot be read")]
    Unreadable(Signature),
    /// The lock is lost.
    #[error("the connection that held this platform's lock is lost")]
    Lock,
}

impl From<ChainError> for OutboxError {
    fn from(error: ChainError) -> Self {
        Self::Chain(error.into())
    }
}

/// Brings one platform's records onto the chain.
#[derive(Clone)]
pub struct Outbox<C> {
    pool: PgPool,
    chain: C,
    oracle: Arc<dyn Sign>,
    payer: Arc<dyn Sign>,
    platform: Pubkey,
    options: Options,
    metrics: Metrics,
}

impl<C: Dispatch + Clone + 'static> Outbox<C> {
    /// Brings the records of the platform at `platform` onto `chain`, which must be read at confirmed. `oracle` signs
    /// records, `payer` transactions; the pool needs at least three connections.
    pub fn new(
        pool: PgPool,
        chain: C,
        oracle: Arc<dyn Sign>,
        payer: Arc<dyn Sign>,
        platform: Pubkey,
        options: Options,
        metrics: Metrics,
    ) -> Self {
        Self { pool, chain, oracle, payer, platform, options, metrics }
    }

    /// Runs until `over`. What breaks off, a database or a node that is away, is begun anew after a pause.
    pub async fn run(&self, over: CancellationToken) {
        let pauses = || {
            let pauses = ExponentialBuilder::default().with_min_delay(self.options.look).with_jitter();
            pauses.with_max_delay(self.options.hold).without_max_times().build()
        };
        let mut pause = pauses();
        while !over.is_cancelled() {
            let begun = Instant::now();
            let Err(error) = self.lead(&over).await else { return };
            self.metrics.held.set(1);
            tracing::warn!(%error, "the outbox begins anew");
            if begun.elapsed() > self.options.hold {
                pause = pauses();
            }
            let pause = pause.next().unwrap_or(self.options.hold);
            tokio::select! {
                () = over.cancelled() => return,
                () = sleep(pause) => {}
            }
        }
    }
}
