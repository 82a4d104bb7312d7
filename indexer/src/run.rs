//! Reading, checking and writing, until told to stop.

use crate::{
    database::{self, DatabaseError},
    error::IndexError,
    finality::{Heard, Vanished},
    metrics::{DATABASE, Metrics, SOURCE},
    retry::{Outage, until_it_answers},
    source::{BlockRef, BlockSource, Next, SourceError},
    standby::Turn,
    stretch::{Stretch, StretchError},
    watch::Watch,
    write::{Cursor, WriteError, Writer},
};
use prometheus::Registry;
use rebate_client::{block::Block, chain::ReadAccounts};
use rebate_integrity::verdict::{self, Mismatch};
use sqlx::PgPool;
use std::{
    future::{Future, pending},
    mem::replace,
    panic::resume_unwind,
    sync::Arc,
    time::Duration,
};
use time::OffsetDateTime;
use tokio::{
    join, select, spawn,
    sync::mpsc::{Receiver, Sender, channel},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{info, warn};

/// How often the source is asked for its tip while catching up; it costs a question.
const TIP_EVERY: Duration = Duration::from_secs(5);

/// A node that was silent for this long is checked again for being the same one.
const SILENCE: Duration = Duration::from_secs(2);

/// A node without news is checked this often for being the same one.
const IDLE: Duration = Duration::from_secs(10);

/// How the indexer goes about its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// In an empty database, begin at this slot; the source's first block otherwise. Events before it are not read, so it
    /// must not be later than the creation of the first platform that is to be indexed.
    pub from_slot: Option<u64>,
    /// How many blocks may be read ahead of the one being written.
    pub ahead: usize,
    /// At most this many blocks are written in one transaction while catching up.
    pub blocks_at_once: usize,
    /// While catching up, a transaction that has this many events gets no further block.
    pub events_at_once: usize,
    /// How long node and database may be silent at the start. Later they are waited for without end.
    pub patience: Duration,
    /// Of a source that yields what is not final yet: how many transactions of the database may be provisional. With more,
    /// writing waits for the audit. At the tip there is one for each block.
    pub provisional_at_most: u64,
    /// How often to look whether what is provisional has become final.
    pub audit_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            from_slot: None,
            ahead: 64,
            blocks_at_once: 256,
            events_at_once: 10_000,
            patience: Duration::from_secs(10),
            provisional_at_most: 1_000,
            audit_every: Duration::from_millis(500),
        }
    }
}

/// Mirrors a source's events into a database.
pub struct Indexer {
    pool: PgPool,
    pub(crate) source: Arc<dyn BlockSource>,
    pub(crate) options: Options,
    pub(crate) metrics: Metrics,
    watch: Option<Watch>,
}

impl Indexer {
    /// An indexer that reads `source` and writes to `pool`. Its metrics go to `registry`.
    ///
    /// # Errors
    /// [`IndexError::Metrics`] if another one's metrics are in that registry.
    pub fn new(
        pool: PgPool,
        source: Arc<dyn BlockSource>,
        options: Options,
        registry: &Registry,
    ) -> Result<Self, IndexError> {
        Ok(Self { pool, source, options, metrics: Metrics::register(registry)?, watch: None })
    }

    /// The same, that compares the tables with the accounts of `chain` every so often while it writes, and stops where they
    /// differ.
    pub fn comparing(self, chain: Arc<dyn ReadAccounts>, every: Duration) -> Self {
        Self { watch: Some(Watch::new(chain, every)), ..self }
    }

    /// What it tells about itself.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Goes on from where the database stands until `token` is cancelled, then finishes what it has begun to write. While
    /// another indexer writes to the database, it stands by.
    ///
    /// A node or a database that goes away meanwhile is waited for.
    ///
    /// # Errors
    /// [`IndexError`] for what waiting does not mend. What was written is whole, and running again goes on from there.
    pub async fn run(&self, token: CancellationToken) -> Result<(), IndexError> {
        let Some(writer) = unless(&token, self.begin()).await.transpose()? else { return Ok(()) };
        let mut patience = Some(self.options.patience);
        loop {
            let turn = self.ask_database(patience.take(), || Turn::take(&self.pool));
            let Some(mut turn) = unless(&token, turn).await.transpose()? else { return Ok(()) };
            self.metrics.writing.set(1);
            // Whether a transaction under way is committed when the turn is over is not known: the cursor tells.
            let ended = select! {
                ended = self.follow_on(&writer, &token) => Ok(ended),
                mismatch = self.watch(&token) => Ok(Err(mismatch)),
                over = turn.over() => Err(over),
            };
            self.metrics.writing.set(0);
            turn.end().await;
            match ended {
                Ok(Err(IndexError::Write(fenced @ WriteError::Fenced { .. }))) => warn!("{fenced}; standing by"),
                Ok(ended) => return ended,
                Err(over) => warn!("{over}: what keeps other indexers from writing is gone; standing by"),
            }
        }
    }

    /// Compares the tables with the chain until they differ.
    async fn watch(&self, token: &CancellationToken) -> IndexError {
        let Some(watch) = &self.watch else { return pending().await };
        // Whoever is told to stop finishes writing first.
        match unless(token, watch.until_mismatch(&self.pool, &self.metrics)).await {
            Some(mismatch) => IndexError::Mismatch(mismatch),
            None => pending().await,
        }
    }

    /// Goes on from where the database stands for as long as waiting mends what goes wrong.
    async fn follow_on(&self, writer: &Writer, token: &CancellationToken) -> Result<(), IndexError> {
        let mut outage = Outage::new();
        let standing = self.ask_database(None, || async { Ok(verdict::standing(&self.pool).await?) });
        let Some(standing) = unless(token, standing).await.transpose()? else { return Ok(()) };
        for mismatch in standing {
            if let Some(mismatch) = self.still(mismatch).await {
                self.metrics.agrees.set(0);
                return Err(IndexError::Mismatch(Box::new(mismatch)));
            }
        }
        loop {
            let Some(cursor) = unless(token, self.cursor(writer)).await.transpose()? else { return Ok(()) };
            match self.follow_once(writer, cursor, token).await {
                Ok(Ended::Stopped) => return Ok(()),
                // Something was taken back, and the cursor is before it.
                Ok(Ended::Reverted) => {}
                // Whether the transaction under way was committed is not known: the cursor tells.
                Err(error) if error.is_outage_of_database() => {
                    self.metrics.retries.with_label_values(&[DATABASE]).inc();
                    // A database that answers when asked for the cursor and fails when written to must not be asked
                    // without a pause.
                    if unless(token, outage.pause(cursor.map(|cursor| cursor.at), &error)).await.is_none() {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Follows the chain until it leaves what was written, which is taken back then if it is not final.
    async fn follow_once(
        &self,
        writer: &Writer,
        cursor: Option<Cursor>,
        token: &CancellationToken,
    ) -> Result<Ended, IndexError> {
        match self.follow(writer, cursor, token).await {
            Ok(None) => return Ok(Ended::Stopped),
            Ok(Some(vanished)) => self.revert_vanished(writer, &vanished).await?,
            Err(IndexError::Source(error)) => self.revert_forked(writer, cursor.map(|cursor| cursor.at), error).await?,
            Err(error) => return Err(error),
        }
        Ok(Ended::Reverted)
    }

    /// A mismatch that was found before, unless a new look shows that it is mended.
    async fn still(&self, mismatch: Mismatch) -> Option<Mismatch> {
        let Some(watch) = &self.watch else { return Some(mismatch) };
        let mended = watch.is_mended(&self.pool, &mismatch.platform).await;
        if mended {
            info!("what differed of platform {} is mended", mismatch.platform);
        }
        (!mended).then_some(mismatch)
    }

    /// Which chain the source yields, and whether the database is ready for it.
    async fn begin(&self) -> Result<Writer, IndexError> {
        let patience = Some(self.options.patience);
        self.ask_database(patience, || database::check(&self.pool)).await?;
        let genesis_hash = self.ask_source(patience, || self.source.genesis_hash()).await?;
        Ok(Writer::new(self.pool.clone(), genesis_hash, self.source.commitment()))
    }

    /// Where the database stands; it must be of the writer's chain.
    async fn cursor(&self, writer: &Writer) -> Result<Option<Cursor>, IndexError> {
        let cursor = self.ask_database(None, || writer.cursor()).await?;
        match &cursor {
            Some(cursor) if cursor.genesis_hash != writer.genesis_hash() => {
                return Err(IndexError::OtherChain { stored: cursor.genesis_hash, found: writer.genesis_hash() });
            }
            Some(cursor) => {
                info!("going on after block {}", cursor.at);
                let now = cursor.time.and_then(|time| OffsetDateTime::from_unix_timestamp(time).ok());
                if let Some(now) = now {
                    self.ask_database(None, || writer.make_ready(now)).await?;
                }
                self.metrics.note_cursor(gauge(cursor.at.slot));
                self.metrics.final_slot.set(cursor.last_final.map_or(0, |block| gauge(block.slot)));
                self.metrics.note_age(cursor.time);
            }
            None => info!("beginning with an empty database"),
        }
        Ok(cursor)
    }

    /// Reads, puts together, writes and audits at the same time. An error goes down the same way as the blocks before it,
    /// so that these are written first. Returns what has vanished, or nothing once it is told to stop.
    async fn follow(
        &self,
        writer: &Writer,
        cursor: Option<Cursor>,
        token: &CancellationToken,
    ) -> Result<Option<Vanished>, IndexError> {
        let after = cursor.map(|cursor| cursor.at);
        let final_slot = self.ask_source(None, || self.source.final_slot());
        let heard = Heard::new(match self.is_provisional() {
            true => match unless(token, final_slot).await.transpose()? {
                Some(slot) => slot,
                None => return Ok(None),
            },
            false => 0,
        });
        let (blocks_out, blocks_in) = channel(self.options.ahead.max(1));
        let (stretches_out, stretches_in) = channel(1);
        // On a thread of its own, since decoding keeps one busy.
        let put_together = AbortOnDropHandle::new(spawn(put_together(self.options, after, blocks_in, stretches_out)));
        let upstream = async {
            let ((), put_together) = join!(
                async {
                    if let Some(Err(error)) = unless(token, self.read(writer, after, &blocks_out)).await {
                        // If nobody takes it, the writer failed and says why.
                        let _ = blocks_out.send(Err(error)).await;
                    }
                    drop(blocks_out);
                },
                put_together,
            );
            if let Err(ended) = put_together
                && let Ok(panic) = ended.try_into_panic()
            {
                resume_unwind(panic);
            }
            // The writer has the last word.
            pending().await
        };
        let audit = async {
            match self.is_provisional() {
                true => self.audit(writer, &heard).await,
                // What follows settles or refutes what another source left.
                false => pending().await,
            }
        };
        select! {
            ended = self.write(writer, stretches_in, &heard, token) => ended.map(|()| None),
            () = upstream => Ok(None),
            vanished = audit => vanished.map(Some),
        }
    }

    /// Reads block after block into `out`, which is where it waits while writing is slower.
    async fn read(
        &self,
        writer: &Writer,
        after: Option<BlockRef>,
        out: &Sender<Result<Block, IndexError>>,
    ) -> Result<(), IndexError> {
        let from_slot = self.options.from_slot;
        let mut last = after;
        let mut tip_asked = None::<Instant>;
        let mut checked = None::<Instant>;
        let mut must_check = true;
        loop {
            if must_check {
                self.require_chain(writer, last).await?;
                checked = Some(Instant::now());
            }
            let begun = Instant::now();
            let next = self
                .ask_source(None, || async {
                    match &last {
                        Some(cursor) => self.source.next_after(cursor).await,
                        None => self.source.first(from_slot).await,
                    }
                })
                .await?;
            // After a silence there may be another node behind the same address.
            must_check = begun.elapsed() >= SILENCE;
            match next {
                Next::Block(block) => {
                    if let Some(last) = last.filter(|last| !last.precedes(&block)) {
                        let parent = BlockRef { slot: block.parent_slot, hash: block.parent_hash };
                        return Err(StretchError::DoesNotFollow { slot: block.slot, parent, last }.into());
                    }
                    last = Some(BlockRef::of(&block));
                    if tip_asked.is_none_or(|asked| asked.elapsed() >= TIP_EVERY) {
                        tip_asked = Some(Instant::now());
                        // Only for the metric: if it fails, the next question will tell.
                        if let Ok(tip) = self.source.tip().await {
                            self.metrics.note_tip(gauge(tip));
                        }
                    }
                    if out.send(Ok(*block)).await.is_err() {
                        // The writer failed and says why.
                        return Ok(());
                    }
                }
                Next::NothingYet => {
                    if let Some(last) = last {
                        self.metrics.note_tip(gauge(last.slot));
                    }
                    let slot = last.map(|last| last.slot).or(from_slot.map(|slot| slot.saturating_sub(1)));
                    self.source.wait(slot).await;
                    // Nothing may come because the node is a new one that is not as far yet.
                    must_check |= checked.is_none_or(|checked| checked.elapsed() >= IDLE);
                }
            }
        }
    }

    /// Checks that the source still yields the chain that is being written, and from where it is needed.
    async fn require_chain(&self, writer: &Writer, last: Option<BlockRef>) -> Result<(), IndexError> {
        let found = self.ask_source(None, || self.source.genesis_hash()).await?;
        if found != writer.genesis_hash() {
            return Err(IndexError::OtherChain { stored: writer.genesis_hash(), found });
        }
        if let Some(last) = last {
            self.ask_source(None, || self.source.require(&last)).await?;
        }
        Ok(())
    }

    async fn write(
        &self,
        writer: &Writer,
        mut stretches: Receiver<Result<Stretch, IndexError>>,
        heard: &Heard,
        token: &CancellationToken,
    ) -> Result<(), IndexError> {
        while let Some(stretch) = stretches.recv().await {
            let stretch = stretch?;
            let mut is_final = true;
            if self.is_provisional() {
                let asked = async {
                    let is_final = self.is_final(&stretch, heard).await;
                    if !is_final {
                        self.wait_for_room(writer, heard).await?;
                    }
                    Ok::<_, IndexError>(is_final)
                };
                let Some(answer) = unless(token, asked).await.transpose()? else { return Ok(()) };
                is_final = answer;
            }
            let timer = self.metrics.write_seconds.start_timer();
            let written = match is_final {
                true => writer.write(&stretch).await?,
                false => writer.write_provisional(&stretch).await?,
            };
            timer.observe_duration();
            self.metrics.blocks.inc_by(counter(stretch.blocks()));
            self.metrics.events.inc_by(counter(written.events));
            if let Some(end) = stretch.end() {
                self.metrics.note_cursor(gauge(end.slot));
                if is_final {
                    self.metrics.final_slot.set(gauge(end.slot));
                }
            }
            self.metrics.note_age(stretch.time().map(OffsetDateTime::unix_timestamp));
        }
        Ok(())
    }

    pub(crate) async fn ask_source<T, F>(
        &self,
        patience: Option<Duration>,
        call: impl FnMut() -> F,
    ) -> Result<T, SourceError>
    where
        F: Future<Output = Result<T, SourceError>>,
    {
        let failed = || self.metrics.retries.with_label_values(&[SOURCE]).inc();
        until_it_answers(patience, SourceError::is_temporary, failed, call).await
    }

    pub(crate) async fn ask_database<T, F>(
        &self,
        patience: Option<Duration>,
        call: impl FnMut() -> F,
    ) -> Result<T, DatabaseError>
    where
        F: Future<Output = Result<T, DatabaseError>>,
    {
        let failed = || self.metrics.retries.with_label_values(&[DATABASE]).inc();
        until_it_answers(patience, DatabaseError::is_temporary, failed, call).await
    }
}

/// Puts blocks together while the writer is busy; a writer that waits gets what there is.
async fn put_together(
    options: Options,
    after: Option<BlockRef>,
    mut blocks: Receiver<Result<Block, IndexError>>,
    out: Sender<Result<Stretch, IndexError>>,
) {
    let mut stretch = Stretch::after(after);
    loop {
        let is_full = stretch.blocks() >= options.blocks_at_once || stretch.events().len() >= options.events_at_once;
        select! {
            biased;
            block = blocks.recv(), if !is_full => {
                let Some(block) = block else { break };
                if let Err(error) = block.and_then(|block| Ok(stretch.push(&block)?)) {
                    // In this order: what came before is written all the same.
                    if send(&out, &mut stretch).await {
                        let _ = out.send(Err(error)).await;
                    }
                    return;
                }
            }
            permit = out.reserve(), if stretch.blocks() > 0 => match permit {
                Ok(permit) => {
                    let next = Stretch::after(stretch.end());
                    permit.send(Ok(replace(&mut stretch, next)));
                }
                // The writer failed and says why.
                Err(_) => return,
            },
        }
    }
    send(&out, &mut stretch).await;
}

/// How following the chain ended.
enum Ended {
    /// It was told to stop.
    Stopped,
    /// The chain had left what was written, and that was taken back.
    Reverted,
}

/// What `future` yields, unless `token` is cancelled first.
async fn unless<T>(token: &CancellationToken, future: impl Future<Output = T>) -> Option<T> {
    token.run_until_cancelled(future).await
}

/// Sends what has been put together, if anything. False if nobody takes it.
async fn send(out: &Sender<Result<Stretch, IndexError>>, stretch: &mut Stretch) -> bool {
    let next = Stretch::after(stretch.end());
    let stretch = replace(stretch, next);
    stretch.blocks() == 0 || out.send(Ok(stretch)).await.is_ok()
}

pub(crate) fn gauge(slot: u64) -> i64 {
    i64::try_from(slot).unwrap_or(i64::MAX)
}

fn counter(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
