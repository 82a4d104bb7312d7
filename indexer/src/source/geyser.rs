//! A validator's stream of blocks by gRPC (Yellowstone Geyser), with a node by JSON-RPC for what the stream does not have.
//!
//! The stream is asked for every block at the wanted commitment, of its transactions only those that name the program.
//! Such a block still says which block it builds on, and is taken iff that is the cursor's: the same proof as by block.
//! Whatever is missing, comes twice or in another order, was dropped because the queue was full, or lies on another fork,
//! therefore does not attach, and what comes next is asked of the node. That is also how a database that is behind catches
//! up: a live block attaches once all before it was handed on, so it is written behind it or in one transaction with it.
//!
//! A stream that breaks is resumed from the cursor's slot if the server still has it, and where it begins otherwise.
//! A stream that is silent while the chain goes on costs a question every other second and no block.
//!
//! What the stream is trusted with is what a node is trusted with: that the transactions of a block are all there, here
//! those that the server's filter lets through. One left out leaves a gap in its platform's journal, at which the writer
//! stops.

mod queue;
mod shown;
mod stream;

use super::{BlockRef, BlockSource, Mined, Next, SourceError, Verdict, rpc::RpcSource};
use async_trait::async_trait;
use prometheus::{IntCounter, Registry};
use queue::Queue;
use rebate_client::chain::Commitment;
use solana_program::hash::Hash;
use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};
use stream::Stream;
use tokio::{select, sync::Mutex, time::Instant, time::sleep};
use tokio_util::task::AbortOnDropHandle;

/// How many blocks of the stream wait at most. While the node is read to catch up, the oldest make room: the node has them.
const QUEUED: usize = 128;

/// A stream that brings nothing for so long may have lost something: the node is asked. A slot takes 0.4 s.
const SILENCE: Duration = Duration::from_secs(2);

/// Which stream to read.
#[derive(Clone)]
pub struct Subscription {
    /// The server's address: `http://` in the clear, `https://` with TLS, trusting the certificates that the machine does.
    pub url: String,
    /// What the server wants as `x-token`. It is in no log and no error.
    pub token: Option<String>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// What a stream tells about itself, registered under `rebate_indexer_`.
#[derive(Clone, Debug)]
pub struct StreamMetrics {
    /// How often the stream was asked for again since the start.
    pub reconnects: IntCounter,
    /// Blocks taken from the stream; the others came from the node.
    pub blocks: IntCounter,
}

impl StreamMetrics {
    fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            reconnects: IntCounter::new("rebate_indexer_reconnects_total", "Times the stream was asked for again")?,
            blocks: IntCounter::new("rebate_indexer_stream_blocks_total", "Blocks taken from the stream")?,
        })
    }

    /// Registers them.
    ///
    /// # Errors
    /// If they are registered there already.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.reconnects.clone()))?;
        registry.register(Box::new(self.blocks.clone()))
    }
}

/// Yields the blocks of a stream, and a node's where the stream has none that follows.
pub struct GeyserSource {
    rpc: RpcSource,
    queue: Arc<Queue>,
    stream: Stream,
    metrics: StreamMetrics,
    poll: Duration,
    /// Since when, as far as is known, there is nothing behind the cursor: the last live block was handed out then, or the
    /// node said so. `None` while the node has more.
    up_to_date: Mutex<Option<Instant>>,
    /// Begun with the first block that is asked for.
    reading: OnceLock<AbortOnDropHandle<()>>,
}

impl GeyserSource {
    /// Reads what `subscription` says, at the commitment of `rpc`, which is read for the rest, at most every `poll`.
    ///
    /// # Errors
    /// [`SourceError::Refused`] unless the address is an http or https one and the token one that can be sent.
    pub fn new(rpc: RpcSource, subscription: Subscription, poll: Duration) -> Result<Self, SourceError> {
        let stream = Stream::new(subscription, rpc.commitment())?;
        let metrics = StreamMetrics::new().map_err(|error| SourceError::Refused {
            node: stream.name().to_owned(),
            what: "its metrics".to_owned(),
            why: error.to_string(),
        })?;
        Ok(Self {
            rpc,
            queue: Arc::new(Queue::new(QUEUED)),
            stream,
            metrics,
            poll,
            up_to_date: Mutex::default(),
            reading: OnceLock::new(),
        })
    }

    /// What it tells about itself.
    pub fn metrics(&self) -> &StreamMetrics {
        &self.metrics
    }
}

#[async_trait]
impl BlockSource for GeyserSource {
    fn commitment(&self) -> Commitment {
        self.rpc.commitment()
    }

    async fn genesis_hash(&self) -> Result<Hash, SourceError> {
        self.rpc.genesis_hash().await
    }

    async fn tip(&self) -> Result<u64, SourceError> {
        self.rpc.tip().await
    }

    async fn require(&self, cursor: &BlockRef) -> Result<(), SourceError> {
        self.rpc.require(cursor).await
    }

    async fn first(&self, from_slot: Option<u64>) -> Result<Next, SourceError> {
        self.rpc.first(from_slot).await
    }

    async fn next_after(&self, cursor: &BlockRef) -> Result<Next, SourceError> {
        let mut up_to_date = self.up_to_date.lock().await;
        self.queue.go_on_after(cursor.slot);
        self.reading.get_or_init(|| {
            let (stream, queue, metrics) = (self.stream.clone(), Arc::clone(&self.queue), self.metrics.clone());
            AbortOnDropHandle::new(tokio::spawn(async move { stream.read_into(&queue, &metrics).await }))
        });
        if let Some(block) = self.queue.take_after(cursor) {
            *up_to_date = Some(Instant::now());
            self.metrics.blocks.inc();
            return Ok(Next::Block(Box::new(block)));
        }
        if self.queue.is_waited_for() && up_to_date.is_some_and(|since| since.elapsed() < SILENCE) {
            return Ok(Next::NothingYet);
        }
        *up_to_date = None;
        let next = self.rpc.next_after(cursor).await?;
        if next == Next::NothingYet {
            *up_to_date = Some(Instant::now());
        }
        Ok(next)
    }

    async fn wait(&self, _slot: Option<u64>) {
        select! {
            () = self.queue.arrived() => {}
            () = sleep(self.poll) => {}
        }
    }

    async fn final_slot(&self) -> Result<u64, SourceError> {
        self.rpc.final_slot().await
    }

    async fn audit(&self, block: &BlockRef, transactions: &[Mined]) -> Result<Verdict, SourceError> {
        self.rpc.audit(block, transactions).await
    }
}
