//! A source that follows a script, and an indexer that runs until all of it is written.

use crate::{chain::Chain, database::Database};
use async_trait::async_trait;
use prometheus::Registry;
use rebate_client::{block::Block, chain::Commitment};
use rebate_indexer::{
    IndexError, Indexer, Options,
    source::{BlockRef, BlockSource, Next, SourceError},
};
use solana_program::hash::Hash;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// What the source answers instead of the next block.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing yet.
    Nothing,
    /// The node does not answer.
    Silence,
    /// It does not go on.
    Stop(SourceError),
    /// This block, whether it follows or not.
    Block(Box<Block>),
}

/// Yields a chain's blocks, with faults in between.
pub struct Script {
    genesis: Hash,
    blocks: Vec<Block>,
    /// Before the block with this number, these come first.
    faults: Mutex<Vec<(usize, VecDeque<Fault>)>>,
}

impl Script {
    pub fn of(chain: &Chain) -> Self {
        Self { genesis: chain.genesis_hash(), blocks: chain.blocks.clone(), faults: Mutex::default() }
    }

    pub fn with(self, before: usize, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults.lock().unwrap().push((before, faults.into_iter().collect()));
        self
    }

    fn answer(&self, position: Option<usize>) -> Result<Next, SourceError> {
        let Some(position) = position.filter(|position| *position < self.blocks.len()) else {
            return Ok(Next::NothingYet);
        };
        let fault = self
            .faults
            .lock()
            .unwrap()
            .iter_mut()
            .filter(|(before, _)| *before == position)
            .find_map(|(_, faults)| faults.pop_front());
        match fault {
            None => Ok(Next::Block(Box::new(self.blocks[position].clone()))),
            Some(Fault::Nothing) => Ok(Next::NothingYet),
            Some(Fault::Silence) => Err(SourceError::Unavailable {
                node: "script".to_owned(),
                what: format!("block {position}"),
                why: "the script says so".to_owned(),
            }),
            Some(Fault::Stop(error)) => Err(error),
            Some(Fault::Block(block)) => Ok(Next::Block(block)),
        }
    }
}

#[async_trait]
impl BlockSource for Script {
    fn commitment(&self) -> Commitment {
        Commitment::Finalized
    }

    async fn genesis_hash(&self) -> Result<Hash, SourceError> {
        Ok(self.genesis)
    }

    async fn tip(&self) -> Result<u64, SourceError> {
        Ok(self.blocks.last().map_or(0, |block| block.slot))
    }

    async fn first(&self, from_slot: Option<u64>) -> Result<Next, SourceError> {
        self.answer(self.blocks.iter().position(|block| block.slot >= from_slot.unwrap_or(0)))
    }

    async fn next_after(&self, cursor: &BlockRef) -> Result<Next, SourceError> {
        self.answer(self.blocks.iter().position(|block| BlockRef::of(block) == *cursor).map(|position| position + 1))
    }

    async fn wait(&self, _slot: Option<u64>) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Indexes all of the script into the database, each block in a transaction of its own.
pub async fn index(database: &Database, script: Script) -> Result<(), IndexError> {
    index_with(database.pool().clone(), script, Options { blocks_at_once: 1, ..Options::default() }).await
}

pub async fn index_with(pool: sqlx::PgPool, script: Script, options: Options) -> Result<(), IndexError> {
    let end = script.blocks.last().map_or(0, |block| i64::try_from(block.slot).unwrap());
    index_from(pool, Arc::new(script), end, options).await
}

/// Indexes what the source yields into the database, until slot `end` is written.
pub async fn index_from(
    pool: sqlx::PgPool,
    source: Arc<dyn BlockSource>,
    end: i64,
    options: Options,
) -> Result<(), IndexError> {
    let indexer = Indexer::new(pool, source, options, &Registry::new())?;
    let token = CancellationToken::new();
    let until_written = async {
        // In an empty database the metric is 0 as well, and so is the first slot.
        while indexer.metrics().cursor_slot.get() < end || (end == 0 && indexer.metrics().blocks.get() == 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        token.cancel();
        std::future::pending().await
    };
    let running = async {
        tokio::select! {
            ended = indexer.run(token.clone()) => ended,
            () = until_written => Ok(()),
        }
    };
    tokio::time::timeout(Duration::from_secs(60), running).await.expect("the indexer does not come to an end")
}
