//! From the queue to the chain: every stored record ends recorded, refused with the reason, or dead with the reason, and none
//! is on chain twice, whatever fails on the way.
//!
//! One process at a time works for a platform; others stand by on an advisory lock. In rounds it looks what became of what was
//! sent, and makes new transactions of what is due. A transaction is written down, together with its records' state, before
//! it is sent for the first time. Killed at any step, the process finds it again: sends the very same transaction until it
//! is confirmed or its blockhash has expired, and only then builds another. Where even that is lost, with a database
//! restored from a backup, the program refuses the order it took before, and the outbox looks up what that was.
//!
//! Records of one user go one after the other. Batches that are under way at the same time share no user.
//!
//! Why no job library: those for Postgres (apalis-postgres, underway, graphile_worker, pgmq) take, lock and acknowledge one job
//! at a time in tables and transactions of their own. Here many records share one transaction of the chain, which has to
//! be written down in the same SQL transaction that takes them, and settled together with it; and a record must wait for
//! the user's one before. What such a library would add is a lock with a lease and a pause, which `SKIP LOCKED` and a
//! column are.

pub mod landing;
pub mod metrics;
pub mod queue;
pub mod record;
pub mod refunds;
pub mod sender;
pub mod settings;

use crate::{fees::FeePolicy, signer::Sign};
use backon::{BackoffBuilder, ExponentialBuilder};
use landing::Word;
use metrics::Metrics;
use queue::{Due, Fate, Submission};
use rebate_client::{
    Pubkey,
    chain::{ChainError, Dispatch, SIGNATURES_AT_ONCE, SubmitError},
    event,
    oracle::SignedMessage,
    plan::{Missing, Plan},
    recorder::RecordError,
};
use rebate_core::payment::Payment;
use record::Record;
use refunds::{Proof, ProveError, Prover};
use sender::{SendError, Sender};
use solana_program::instruction::Instruction;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use sqlx::{Connection, PgConnection, PgPool, postgres::PgListener};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use thiserror::Error;
use time::OffsetDateTime;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// The first half of the advisory lock's key; the second is made of the platform's address.
const LOCK: i32 = 0x6f75_7462; // "outb"

/// How many refunds are proved at once.
const PROOFS: usize = 4;

/// After so long without a refund the copy of the journal is let go of.
const REST: Duration = Duration::from_secs(600);

/// How often the metrics are brought up to date.
const MEASURED: Duration = Duration::from_secs(5);

/// A lock's connection that does not answer in this time is lost.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

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
    /// What is paid beyond the base fee.
    pub fees: FeePolicy,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch: 4,
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

/// A transaction under way.
struct Flight {
    submission: Submission,
    transaction: VersionedTransaction,
    sent: Instant,
}

/// What a group of records came to before it was sent.
enum Attempt {
    /// A transaction that succeeds as things are now.
    Ready(Box<Flight>),
    /// It does not fit into a transaction.
    TooLarge,
    /// The program would refuse every record.
    Refused(Vec<(i64, Word)>),
    /// Somebody changed the rules or filled a page meanwhile.
    Outdated(String),
    /// It would fail, perhaps for one record's sake.
    Spoiled {
        /// Why.
        why: String,
        /// Whether it always will.
        for_good: bool,
    },
    /// Nothing can succeed now.
    Hold(String),
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

    /// Waits for its turn and works until something fails or it is over.
    async fn lead(&self, over: &CancellationToken) -> Result<(), OutboxError> {
        let mut lock = loop {
            if let Some(lock) = self.lock().await? {
                break lock;
            }
            tokio::select! {
                () = over.cancelled() => return Ok(()),
                () = sleep(self.options.poll) => {}
            }
        };
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen("oracle_queued").await?;
        let mut round = Round::begin(self).await?;
        let mut checked = Instant::now();
        while !over.is_cancelled() {
            round.look().await?;
            let made = round.fill().await?;
            self.measure(&mut round).await?;
            if checked.elapsed() >= MEASURED {
                checked = Instant::now();
                match timeout(ANSWERS_WITHIN, lock.ping()).await {
                    Ok(Ok(())) => {}
                    _ => return Err(OutboxError::Lock),
                }
            }
            if made {
                continue;
            }
            let is_waiting = !round.flights.is_empty() || !round.proofs.is_empty() || round.is_gathering;
            let pause = if is_waiting { self.options.look } else { self.options.poll };
            tokio::select! {
                () = over.cancelled() => {}
                () = sleep(pause) => {}
                heard = listener.recv() => { heard?; }
            }
        }
        lock.close().await?;
        Ok(())
    }

    /// This platform's lock, unless another process has it. It goes with its connection, however the process ends.
    async fn lock(&self) -> Result<Option<PgConnection>, OutboxError> {
        let mut connection = self.pool.acquire().await?.detach();
        let [a, b, c, d, ..] = self.platform.to_bytes();
        let is_ours = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_lock($1, $2) AS "is_ours!""#,
            LOCK,
            i32::from_le_bytes([a, b, c, d])
        )
        .fetch_one(&mut connection)
        .await?;
        if is_ours {
            return Ok(Some(connection));
        }
        connection.close().await?;
        Ok(None)
    }

    async fn measure(&self, round: &mut Round<'_, C>) -> Result<(), OutboxError> {
        if round.measured.is_some_and(|measured| measured.elapsed() < MEASURED) {
            return Ok(());
        }
        round.measured = Some(Instant::now());
        let depth = queue::depth(&self.pool, &self.platform).await?;
        let age = depth.oldest.map_or(0, |oldest| (OffsetDateTime::now_utc() - oldest).whole_seconds().max(0));
        self.metrics.queued.set(depth.queued);
        self.metrics.sent.set(depth.sent);
        self.metrics.dead.set(depth.dead);
        self.metrics.overdue.set(depth.overdue);
        self.metrics.oldest_seconds.set(age);
        if depth.overdue > 0 {
            tracing::warn!(
                overdue = depth.overdue,
                oldest_seconds = age,
                "orders stored over a minute ago are not on chain"
            );
        }
        let funds = self.funds().await?;
        self.metrics.payer_lamports.set(i64::try_from(funds).unwrap_or(i64::MAX));
        if round.used_journal.is_some_and(|used| used.elapsed() > REST) {
            round.prover.rest();
            round.used_journal = None;
        }
        Ok(())
    }

    async fn funds(&self) -> Result<u64, ChainError> {
        Ok(self.chain.account(&self.payer.key()).await?.map_or(0, |account| account.lamports))
    }

    /// What becomes of a record that was tried once more in vain.
    fn again(&self, attempts: i32, reason: String) -> Fate {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.options.shortest_pause)
            .with_max_delay(self.options.longest_pause)
            .with_max_times(usize::try_from(self.options.attempts).unwrap_or(usize::MAX).saturating_sub(1));
        match pauses.build().nth(usize::try_from(attempts).unwrap_or_default()) {
            Some(pause) => Fate::Again { reason, pause, counts: true },
            None => Fate::Dead(format!("{reason} (given up after {} attempts)", attempts.saturating_add(1))),
        }
    }

    fn count(&self, fates: &[(i64, Fate)]) {
        for (id, fate) in fates {
            match fate {
                Fate::Recorded { .. } => self.metrics.recorded.inc(),
                Fate::Refused(reason) => {
                    self.metrics.refused.inc();
                    tracing::info!(record = id, reason, "refused");
                }
                Fate::Dead(reason) => {
                    self.metrics.died.inc();
                    tracing::error!(record = id, reason, "needs an operator");
                }
                Fate::Again { reason, .. } => tracing::info!(record = id, reason, "tried again later"),
            }
        }
    }
}

/// What one process knows while it has the lock. All of it can be found out again.
struct Round<'a, C> {
    outbox: &'a Outbox<C>,
    plan: Plan,
    sender: Sender<C>,
    prover: Prover<C>,
    flights: Vec<Flight>,
    /// Refunds whose orders are being proved.
    proofs: JoinSet<(i64, i32, Result<Proof, ProveError>)>,
    proving: Vec<i64>,
    /// And those that are proved.
    proved: HashMap<i64, Payment>,
    used_journal: Option<Instant>,
    held_until: Option<Instant>,
    is_gathering: bool,
    measured: Option<Instant>,
    height_at: Option<Instant>,
}

impl<'a, C: Dispatch + Clone + 'static> Round<'a, C> {
    async fn begin(outbox: &'a Outbox<C>) -> Result<Self, OutboxError> {
        let plan = Plan::new(&outbox.chain, outbox.platform, outbox.payer.key()).await?;
        let addresses = *plan.addresses();
        let contended = vec![addresses.platform, addresses.rule_book, addresses.journal];
        let Options { fees, look, resend, .. } = outbox.options;
        let payer = Arc::clone(&outbox.payer);
        let sender = Sender::new(outbox.chain.clone(), payer, fees, contended, look, resend);
        let prover = Prover::new(outbox.pool.clone(), outbox.chain.clone(), sender.clone(), addresses);
        let mut flights = Vec::new();
        for submission in queue::open(&outbox.pool, &outbox.platform).await? {
            let transaction = wincode::deserialize(&submission.transaction)
                .map_err(|_| OutboxError::Unreadable(submission.signature))?;
            // Nobody knows whether it was ever sent.
            outbox.chain.send(&transaction).await?;
            flights.push(Flight { submission, transaction, sent: Instant::now() });
        }
        Ok(Self {
            outbox,
            plan,
            sender,
            prover,
            flights,
            proofs: JoinSet::new(),
            proving: Vec::new(),
            proved: HashMap::new(),
            used_journal: None,
            held_until: None,
            is_gathering: false,
            measured: None,
            height_at: None,
        })
    }

    /// Finds out what became of what was sent.
    async fn look(&mut self) -> Result<(), OutboxError> {
        let Outbox { chain, pool, options, metrics, .. } = self.outbox;
        if self.flights.is_empty() {
            return Ok(());
        }
        // First the height, then the transactions: what is not seen after the last block it can be in was is in none.
        let is_time = self.height_at.is_none_or(|asked| asked.elapsed() >= options.look.saturating_mul(5));
        let height = if is_time { chain.block_height().await? } else { 0 };
        if is_time {
            self.height_at = Some(Instant::now());
        }
        let signatures: Vec<_> = self.flights.iter().map(|flight| flight.submission.signature).collect();
        let mut seen = Vec::new();
        for chunk in signatures.chunks(SIGNATURES_AT_ONCE) {
            seen.extend(chain.seen(chunk, false).await?);
        }
        let mut still = Vec::new();
        for (mut flight, seen) in std::mem::take(&mut self.flights).into_iter().zip(seen) {
            let signature = flight.submission.signature;
            let is_over = height > flight.submission.last_block_height;
            let seen = match seen {
                None if is_over => chain.seen(&[signature], true).await?.pop().flatten(),
                seen => seen,
            };
            match seen {
                Some(seen) if seen.is_confirmed => {
                    if !self.end(&flight).await? {
                        still.push(flight);
                    }
                }
                None if is_over => {
                    metrics.expired.inc();
                    self.plan.forget();
                    let reason = "its transaction did not land before its blockhash expired".to_owned();
                    // That is the chain's or the node's affair, not the record's: it does not count.
                    let again = Fate::Again { reason, pause: Duration::ZERO, counts: false };
                    let fates: Vec<_> = flight.submission.records.iter().map(|due| (due.id, again.clone())).collect();
                    queue::end(pool, &signature, &fates).await?;
                }
                seen => {
                    if seen.is_none() && flight.sent.elapsed() >= options.resend {
                        flight.sent = Instant::now();
                        metrics.resent.inc();
                        chain.send(&flight.transaction).await?;
                    }
                    still.push(flight);
                }
            }
        }
        self.flights = still;
        Ok(())
    }

    /// Says what became of the records of a transaction that is in a confirmed block; `false` if the node does not show it
    /// yet.
    async fn end(&mut self, flight: &Flight) -> Result<bool, OutboxError> {
        let outbox = self.outbox;
        let Submission { signature, records, .. } = &flight.submission;
        let Some(ended) = outbox.chain.ended(signature).await? else { return Ok(false) };
        let words = match &ended.failed {
            None => landing::words(records, &ended).map_err(|error| OutboxError::Event(*signature, error))?,
            Some(SubmitError::Refused { error, .. }) if error.is_refusal() => {
                landing::refused(records, &ended.logs, error.name())
            }
            Some(failed) => {
                // It would have succeeded when it was simulated: things changed on the way, and are looked up again.
                self.plan.forget();
                let again = |due: &Due| (due.id, outbox.again(due.attempts, failed.to_string()));
                let fates: Vec<_> = records.iter().map(again).collect();
                if queue::end(&outbox.pool, signature, &fates).await? {
                    outbox.count(&fates);
                }
                return Ok(true);
            }
        };
        let at = Some((*signature, ended.slot));
        let fates = self.fates(records, words, at).await?;
        if queue::end(&outbox.pool, signature, &fates).await? {
            outbox.count(&fates);
        }
        Ok(true)
    }

    async fn fates(
        &self,
        records: &[Due],
        words: Vec<(i64, Word)>,
        at: Option<(Signature, u64)>,
    ) -> Result<Vec<(i64, Fate)>, OutboxError> {
        let outbox = self.outbox;
        let mut fates = Vec::new();
        for (due, (id, word)) in records.iter().zip(words) {
            let again = |reason| outbox.again(due.attempts, reason);
            let fate = landing::fate(&outbox.chain, self.plan.addresses(), due, word, at, again).await?;
            fates.push((id, fate));
        }
        Ok(fates)
    }

    /// Makes transactions of what is due, writes them down and sends them. Whether there may be more.
    async fn fill(&mut self) -> Result<bool, OutboxError> {
        let outbox = self.outbox;
        let Outbox { chain, pool, options, metrics, .. } = outbox;
        self.collect_proofs().await?;
        self.is_gathering = false;
        if self.held_until.is_some_and(|until| Instant::now() < until) {
            return Ok(false);
        }
        let room = options.under_way.saturating_sub(self.flights.len());
        if room == 0 {
            return Ok(false);
        }
        let most = room.saturating_mul(options.batch);
        let wanted = queue::Wanted {
            busy: &self.proving,
            refunds: self.proving.len() < PROOFS,
            proved: &self.proved.keys().copied().collect::<Vec<_>>(),
            most: i64::try_from(most).unwrap_or(i64::MAX),
        };
        let due = queue::due(pool, &outbox.platform, wanted).await?;
        if due.is_empty() {
            metrics.held.set(0);
            return Ok(false);
        }
        let is_all = due.len() < most;
        let mut groups = self.groups(due, is_all);
        if groups.is_empty() {
            return Ok(false);
        }
        let lifetime = chain.lifetime().await?;
        let (mut made, mut fates) = (Vec::new(), Vec::new());
        let mut refreshed = false;
        while let Some(mut group) = groups.pop_front() {
            if made.len() >= room {
                break;
            }
            let attempt = self.attempt(&group, &lifetime).await?;
            match attempt {
                Attempt::Ready(flight) => made.push(*flight),
                Attempt::Refused(words) => {
                    // The word on records that were not sent: where one is said to be recorded, it was before.
                    fates.extend(self.fates(&group, words, None).await?);
                }
                Attempt::Outdated(_) if !refreshed => {
                    refreshed = true;
                    self.plan.refresh(chain).await?;
                    groups.push_front(group);
                }
                Attempt::TooLarge | Attempt::Outdated(_) | Attempt::Spoiled { .. } if group.len() > 1 => {
                    // One that spoils it must not keep the others: halves, down to single ones.
                    let second = group.split_off(group.len() / 2);
                    groups.push_front(second);
                    groups.push_front(group);
                }
                Attempt::TooLarge => {
                    let dead = |due: &Due| (due.id, Fate::Dead("it does not fit into a transaction".to_owned()));
                    fates.extend(group.iter().map(dead));
                }
                Attempt::Outdated(why) | Attempt::Spoiled { why, for_good: false } => {
                    self.plan.forget();
                    fates.extend(group.iter().map(|due| (due.id, outbox.again(due.attempts, why.clone()))));
                }
                Attempt::Spoiled { why, for_good: true } => {
                    fates.extend(group.iter().map(|due| (due.id, Fate::Dead(why.clone()))));
                }
                Attempt::Hold(why) => {
                    tracing::error!(why, "nothing can be sent");
                    metrics.held.set(1);
                    self.held_until = Some(Instant::now() + options.hold);
                    self.plan.forget();
                    break;
                }
            }
        }
        if self.held_until.is_none_or(|until| Instant::now() >= until) {
            self.held_until = None;
            metrics.held.set(0);
        }
        if !fates.is_empty() {
            queue::settle(pool, &fates).await?;
            outbox.count(&fates);
        }
        let has_made = !made.is_empty();
        self.dispatch(made).await?;
        Ok((has_made || !fates.is_empty()) && !is_all)
    }

    /// Writes down what is ready, then sends it.
    async fn dispatch(&mut self, made: Vec<Flight>) -> Result<(), OutboxError> {
        if made.is_empty() {
            return Ok(());
        }
        let Outbox { chain, pool, platform, metrics, .. } = self.outbox;
        let submissions = made.iter().map(|flight| flight.submission.clone()).collect();
        let written = queue::write(pool, platform, submissions).await?;
        for flight in made {
            if !written.iter().any(|written| written.signature == flight.submission.signature) {
                continue;
            }
            flight.submission.records.iter().for_each(|due| {
                self.proved.remove(&due.id);
            });
            let sent = chain.send(&flight.transaction).await;
            metrics.transactions.inc();
            self.flights.push(flight);
            // It is written down, and sent again later.
            if let Err(error) = sent {
                tracing::warn!(%error, "a transaction was perhaps not sent");
            }
        }
        Ok(())
    }

    /// What goes into one transaction each: payments together, everything else by itself. Payments too few for a whole
    /// transaction wait a little for others.
    fn groups(&mut self, due: Vec<Due>, is_all: bool) -> VecDeque<Vec<Due>> {
        let Options { batch, gather, .. } = self.outbox.options;
        let (mut groups, mut payments) = (VecDeque::new(), Vec::new());
        for due in due {
            match due.bytes.first() {
                Some(1) if due.signed.is_none() => payments.push(due),
                Some(2) if !self.proved.contains_key(&due.id) => self.prove(due),
                _ => groups.push_back(vec![due]),
            }
        }
        let batch = batch.clamp(1, 255);
        while !payments.is_empty() {
            let rest = payments.split_off(payments.len().min(batch));
            let is_fresh = |due: &Due| due.age < gather && due.attempts == 0;
            if is_all && rest.is_empty() && payments.len() < batch && payments.iter().all(is_fresh) {
                self.is_gathering = true;
                break;
            }
            groups.push_back(std::mem::replace(&mut payments, rest));
        }
        groups
    }

    /// Begins to prove the order of a refund, unless enough are.
    fn prove(&mut self, due: Due) {
        let Some(Record::Refund(refund)) = Record::decode(&due.bytes) else { return };
        if self.proving.len() >= PROOFS {
            return;
        }
        self.proving.push(due.id);
        self.used_journal = Some(Instant::now());
        let prover = self.prover.clone();
        self.proofs.spawn(async move { (due.id, due.attempts, prover.prove(&refund).await) });
    }

    async fn collect_proofs(&mut self) -> Result<(), OutboxError> {
        let mut fates = Vec::new();
        while let Some(joined) = self.proofs.try_join_next() {
            // Nobody aborts these tasks.
            let Ok((id, attempts, proof)) = joined else { continue };
            self.proving.retain(|proving| *proving != id);
            match proof {
                Ok(Proof::Proved(payment)) => {
                    self.proved.insert(id, payment);
                }
                Ok(Proof::Refused(reason)) => fates.push((id, Fate::Refused(reason))),
                // The node is away, or the database is: that is not the record's fault.
                Err(ProveError::Database(error)) => return Err(error.into()),
                Err(
                    error @ (ProveError::Record(RecordError::Submit(SubmitError::Chain(_)))
                    | ProveError::Send(
                        SendError::Submit(SubmitError::Chain(_)) | SendError::Expired | SendError::Sign(_),
                    )
                    | ProveError::History(rebate_client::history::HistoryError::Chain(_))),
                ) => {
                    let again =
                        Fate::Again { reason: error.to_string(), pause: self.outbox.options.hold, counts: false };
                    fates.push((id, again));
                }
                Err(error) => {
                    let is_poor = self.outbox.funds().await? < self.outbox.options.least_funds;
                    let fate = match is_poor {
                        true => {
                            let reason = format!("the payer is out of funds: {error}");
                            Fate::Again { reason, pause: self.outbox.options.hold, counts: false }
                        }
                        false => self.outbox.again(attempts, error.to_string()),
                    };
                    fates.push((id, fate));
                }
            }
        }
        if !fates.is_empty() {
            queue::settle(&self.outbox.pool, &fates).await?;
            self.outbox.count(&fates);
        }
        Ok(())
    }

    /// Makes a transaction of records, all payments or a single one.
    async fn attempt(
        &mut self,
        group: &[Due],
        lifetime: &rebate_client::chain::Lifetime,
    ) -> Result<Attempt, OutboxError> {
        let chain = &self.outbox.chain;
        let records: Option<Vec<_>> = group.iter().map(|due| Record::decode(&due.bytes)).collect();
        let spoiled = |why: &str, for_good| Attempt::Spoiled { why: why.to_owned(), for_good };
        let Some(records) = records else { return Ok(spoiled("the stored record cannot be read", true)) };
        let payments = || {
            let payment = |record: &Record| match record {
                Record::Payment(payment) => Some(*payment),
                _ => None,
            };
            records.iter().filter_map(payment).collect::<Vec<_>>()
        };
        let paid = group.first().and_then(|due| self.proved.get(&due.id)).copied();
        let missing = match (records.first(), &paid) {
            (Some(Record::Payment(_)), _) => self.plan.for_payments(chain, &payments()).await?,
            (Some(Record::Redemption(redemption)), _) => self.plan.for_redemption(chain, redemption).await?,
            (Some(Record::Refund(refund)), Some(paid)) => self.plan.for_refund(chain, refund, paid).await?,
            (Some(Record::Link(link)), _) => self.plan.for_user(chain, &link.user).await?,
            _ => return Ok(spoiled("the order that is refunded is not proved", false)),
        };
        let (own, shared): (Vec<_>, Vec<_>) = missing.into_iter().partition(|missing| missing.of_one_user);
        if let Some(trouble) = self.open(shared).await? {
            return Ok(trouble);
        }
        let message = record::message(&self.outbox.platform.to_bytes(), group.iter().map(|due| due.bytes.as_slice()));
        let instructions = |plan: &Plan, signed: &SignedMessage| -> Vec<Instruction> {
            let record = match (records.first(), &paid) {
                (Some(Record::Redemption(redemption)), _) => plan.redemption(redemption, signed),
                (Some(Record::Refund(refund)), Some(paid)) => plan.refund(refund, paid, signed),
                (Some(Record::Link(link)), _) => plan.link(link, signed),
                _ => plan.payments(&payments(), signed),
            };
            record.into()
        };
        let opening: Vec<_> = own.iter().map(|missing| missing.instruction.clone()).collect();
        // Sized before it is signed: the signer may be far away.
        let (key, signature) = (self.outbox.oracle.key().to_bytes(), [0; 64]);
        let mut signed = SignedMessage { key, signature, message };
        let bare = instructions(&self.plan, &signed);
        let fits = |plan: &Plan, instructions: &[Instruction]| plan.fits(&Sender::<C>::sized(instructions));
        if !fits(&self.plan, &bare) {
            return Ok(Attempt::TooLarge);
        }
        let with_opening = [opening.as_slice(), bare.as_slice()].concat();
        let is_inline = fits(&self.plan, &with_opening);
        if !is_inline {
            if group.len() > 1 {
                return Ok(Attempt::TooLarge);
            }
            if let Some(trouble) = self.open(own).await? {
                return Ok(trouble);
            }
        }
        match group.first().and_then(|due| due.signed.clone()) {
            Some((key, signature)) => {
                signed.key = key.try_into().unwrap_or_default();
                signed.signature = signature.try_into().unwrap_or([0; 64]);
            }
            None => match self.outbox.oracle.sign(&signed.message).await {
                Ok(signature) => signed.signature = signature.into(),
                Err(error) => return Ok(Attempt::Hold(error.to_string())),
            },
        }
        let record = instructions(&self.plan, &signed);
        let all = if is_inline { [opening, record].concat() } else { record };
        let attempt = match self.sender.make(&all, lifetime).await {
            Ok((made, _)) => {
                let Ok(bytes) = wincode::serialize(&made.transaction) else {
                    return Ok(spoiled("the transaction cannot be written down", true));
                };
                let submission = Submission {
                    signature: made.signature,
                    transaction: bytes,
                    last_block_height: made.last_block_height,
                    records: group.to_vec(),
                };
                Attempt::Ready(Box::new(Flight { submission, transaction: made.transaction, sent: Instant::now() }))
            }
            Err(error) => return self.trouble(group, error).await,
        };
        self.plan.opened();
        Ok(attempt)
    }

    /// Opens accounts, each by itself; says what to do with the records that need them where that does not succeed.
    async fn open(&mut self, missing: Vec<Missing>) -> Result<Option<Attempt>, OutboxError> {
        let chain = &self.outbox.chain;
        for missing in missing {
            let Err(error) = self.sender.deliver(std::slice::from_ref(&missing.instruction)).await else { continue };
            if let SendError::Submit(error) = &error
                && self.plan.is_done(chain, &missing, error).await?
            {
                continue;
            }
            self.plan.forget();
            // The program's word is on the account here, not on a record.
            return Ok(Some(match self.trouble(&[], error).await? {
                Attempt::Refused(_) => {
                    Attempt::Spoiled { why: "an account cannot be opened".to_owned(), for_good: false }
                }
                trouble => trouble,
            }));
        }
        Ok(None)
    }

    /// What to do where a transaction could not be made.
    async fn trouble(&self, group: &[Due], error: SendError) -> Result<Attempt, OutboxError> {
        Ok(match error {
            SendError::Submit(SubmitError::Chain(error)) => return Err(error.into()),
            SendError::Sign(error) => Attempt::Hold(error.to_string()),
            SendError::TooLarge => Attempt::TooLarge,
            SendError::Expired => Attempt::Hold(error.to_string()),
            SendError::Submit(SubmitError::Refused { error, logs }) if error.is_refusal() => {
                Attempt::Refused(landing::refused(group, &logs, error.name()))
            }
            SendError::Submit(SubmitError::Refused { error, .. }) if error.is_outdated() => {
                Attempt::Outdated(error.to_string())
            }
            SendError::Submit(SubmitError::Refused { error, .. }) if error.name() == "Paused" => {
                Attempt::Hold(error.to_string())
            }
            SendError::Submit(error) => {
                let funds = self.outbox.funds().await?;
                if funds < self.outbox.options.least_funds {
                    let payer = self.outbox.payer.key();
                    return Ok(Attempt::Hold(format!(
                        "the payer {payer} is out of funds, it has {funds} lamports; fund it: {error}"
                    )));
                }
                let for_good = matches!(&error, SubmitError::Refused { error, .. } if is_for_good(error.name()));
                Attempt::Spoiled { why: error.to_string(), for_good }
            }
        })
    }
}

/// Whether an error says that the message itself is wrong, which it always will be.
fn is_for_good(error: &str) -> bool {
    [
        "MessageTruncated",
        "WrongDomain",
        "MessageForAnotherProgram",
        "MessageForAnotherPlatform",
        "EmptyMessage",
        "UnknownRecord",
        "NotCanonical",
        "TrailingBytes",
    ]
    .contains(&error)
}
