//! Reading, checking and writing, until told to stop.

use crate::{
    database::{self, DatabaseError},
    error::IndexError,
    metrics::{DATABASE, Metrics, SOURCE},
    retry::{Outage, until_it_answers},
    source::{BlockRef, BlockSource, Next, SourceError},
    standby::Turn,
    stretch::{Stretch, StretchError},
    write::{Cursor, WriteError, Writer},
};
use prometheus::Registry;
use rebate_client::block::Block;
use sqlx::PgPool;
use std::{
    future::{Future, pending},
    mem::replace,
    sync::Arc,
    time::Duration,
};
use time::OffsetDateTime;
use tokio::{
    join, select,
    sync::mpsc::{Receiver, Sender, channel},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            from_slot: None,
            ahead: 64,
            blocks_at_once: 256,
            events_at_once: 10_000,
            patience: Duration::from_secs(10),
        }
    }
}

/// Mirrors a source's events into a database.
pub struct Indexer {
    pool: PgPool,
    source: Arc<dyn BlockSource>,
    options: Options,
    metrics: Metrics,
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
        Ok(Self { pool, source, options, metrics: Metrics::register(registry)? })
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

    /// Goes on from where the database stands for as long as waiting mends what goes wrong.
    async fn follow_on(&self, writer: &Writer, token: &CancellationToken) -> Result<(), IndexError> {
        let mut outage = Outage::new();
        loop {
            let Some(cursor) = unless(token, self.cursor(writer)).await.transpose()? else { return Ok(()) };
            match self.follow(writer, cursor, token).await {
                // Whether the transaction under way was committed is not known: the cursor tells.
                Err(error) if error.is_outage_of_database() => {
                    self.metrics.retries.with_label_values(&[DATABASE]).inc();
                    // A database that answers when asked for the cursor and fails when written to must not be asked
                    // without a pause.
                    if unless(token, outage.pause(cursor.map(|cursor| cursor.at), &error)).await.is_none() {
                        return Ok(());
                    }
                }
                ended => return ended,
            }
        }
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
                self.metrics.cursor_slot.set(gauge(cursor.at.slot));
                self.metrics.note_age(cursor.time);
            }
            None => info!("beginning with an empty database"),
        }
        Ok(cursor)
    }

    /// Reads, puts together and writes at the same time. An error goes down the same way as the blocks before it, so
    /// that these are written first.
    async fn follow(
        &self,
        writer: &Writer,
        cursor: Option<Cursor>,
        token: &CancellationToken,
    ) -> Result<(), IndexError> {
        let after = cursor.map(|cursor| cursor.at);
        let (blocks_out, blocks_in) = channel(self.options.ahead.max(1));
        let (stretches_out, stretches_in) = channel(1);
        let upstream = async {
            join!(
                async {
                    if let Some(Err(error)) = unless(token, self.read(writer, after, &blocks_out)).await {
                        // If nobody takes it, the writer failed and says why.
                        let _ = blocks_out.send(Err(error)).await;
                    }
                    drop(blocks_out);
                },
                self.put_together(after, blocks_in, stretches_out),
            );
            // The writer has the last word.
            pending().await
        };
        select! {
            ended = self.write(writer, stretches_in) => ended,
            () = upstream => Ok(()),
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
                            self.metrics.tip_slot.set(gauge(tip));
                        }
                    }
                    if out.send(Ok(*block)).await.is_err() {
                        // The writer failed and says why.
                        return Ok(());
                    }
                }
                Next::NothingYet => {
                    if let Some(last) = last {
                        self.metrics.tip_slot.set(gauge(last.slot));
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

    /// Puts blocks together while the writer is busy; a writer that waits gets what there is.
    async fn put_together(
        &self,
        after: Option<BlockRef>,
        mut blocks: Receiver<Result<Block, IndexError>>,
        out: Sender<Result<Stretch, IndexError>>,
    ) {
        let mut stretch = Stretch::after(after);
        loop {
            let is_full = stretch.blocks() >= self.options.blocks_at_once
                || stretch.events().len() >= self.options.events_at_once;
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

    async fn write(
        &self,
        writer: &Writer,
        mut stretches: Receiver<Result<Stretch, IndexError>>,
    ) -> Result<(), IndexError> {
        while let Some(stretch) = stretches.recv().await {
            let stretch = stretch?;
            let timer = self.metrics.write_seconds.start_timer();
            let written = writer.write(&stretch).await?;
            timer.observe_duration();
            self.metrics.blocks.inc_by(counter(stretch.blocks()));
            self.metrics.events.inc_by(counter(written.events));
            if let Some(end) = stretch.end() {
                self.metrics.cursor_slot.set(gauge(end.slot));
            }
            self.metrics.note_age(stretch.time().map(OffsetDateTime::unix_timestamp));
        }
        Ok(())
    }

    async fn ask_source<T, F>(&self, patience: Option<Duration>, call: impl FnMut() -> F) -> Result<T, SourceError>
    where
        F: Future<Output = Result<T, SourceError>>,
    {
        let failed = || self.metrics.retries.with_label_values(&[SOURCE]).inc();
        until_it_answers(patience, SourceError::is_temporary, failed, call).await
    }

    async fn ask_database<T, F>(&self, patience: Option<Duration>, call: impl FnMut() -> F) -> Result<T, DatabaseError>
    where
        F: Future<Output = Result<T, DatabaseError>>,
    {
        let failed = || self.metrics.retries.with_label_values(&[DATABASE]).inc();
        until_it_answers(patience, DatabaseError::is_temporary, failed, call).await
    }
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

fn gauge(slot: u64) -> i64 {
    i64::try_from(slot).unwrap_or(i64::MAX)
}

fn counter(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
