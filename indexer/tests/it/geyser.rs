//! The stream source against a server that speaks the published protocol and plays recorded blocks.

use crate::{
    by_address::{busy_chain, content_by_block},
    chain::Chain,
    database::Database,
    node::Node,
    source::index_from,
};
use futures::{StreamExt, stream};
use rebate_client::{
    address::PROGRAM,
    block::{Block, Transaction},
    chain::Commitment,
};
use rebate_indexer::{
    Options,
    source::{
        BlockRef, BlockSource, Next, SourceError,
        geyser::{GeyserSource, Subscription},
        rpc::RpcSource,
    },
};
use solana_program::hash::{Hash, hash};
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};
use tonic::{Code, Request, Response, Status, Streaming};
use yellowstone_grpc_proto::{
    geyser::{
        CommitmentLevel, GetBlockHeightRequest, GetBlockHeightResponse, GetLatestBlockhashRequest,
        GetLatestBlockhashResponse, GetSlotRequest, GetSlotResponse, GetVersionRequest, GetVersionResponse,
        IsBlockhashValidRequest, IsBlockhashValidResponse, PingRequest, PongResponse, SubscribeDeshredRequest,
        SubscribeGossipRequest, SubscribeReplayInfoRequest, SubscribeReplayInfoResponse, SubscribeRequest,
        SubscribeUpdate, SubscribeUpdateBlock, SubscribeUpdateDeshred, SubscribeUpdateGossip, SubscribeUpdatePing,
        SubscribeUpdateTransactionInfo,
        geyser_server::{Geyser, GeyserServer},
        subscribe_update::UpdateOneof,
    },
    prelude as wire,
};

const TOKEN: &str = "s3cret-t0ken";

type Updates<T> = Pin<Box<dyn futures::Stream<Item = Result<T, Status>> + Send>>;

/// What a connection brings; then it stays open, unless it ends with an error.
#[derive(Clone, Debug, Default)]
struct Script {
    updates: Vec<Update>,
    /// How the connection ends: with this status, or not at all.
    end: Option<(Code, String)>,
}

#[derive(Clone, Debug)]
enum Update {
    Block(Block),
    /// The block, with something of its transactions spoilt.
    Spoilt(Block, fn(&mut SubscribeUpdateTransactionInfo)),
    Ping,
}

/// A server. Each connection plays the next script; when there is none left, it is silent.
#[derive(Clone, Default)]
struct Server {
    scripts: Arc<Mutex<VecDeque<Script>>>,
    /// The requests that opened a connection.
    requests: Arc<Mutex<Vec<SubscribeRequest>>>,
    /// How many pings clients sent.
    pinged: Arc<Mutex<usize>>,
}

fn shown_transaction((place, found): (usize, &Transaction)) -> SubscribeUpdateTransactionInfo {
    let inner = found.inner.iter().map(|inner| wire::InnerInstruction {
        program_id_index: inner.program.into(),
        accounts: inner.accounts.clone(),
        data: inner.data.clone(),
        stack_height: Some(2),
    });
    let message = wire::Message {
        account_keys: found.accounts.iter().map(|account| account.to_bytes().to_vec()).collect(),
        ..wire::Message::default()
    };
    SubscribeUpdateTransactionInfo {
        signature: found.signature.as_ref().to_vec(),
        is_vote: false,
        transaction: Some(wire::Transaction {
            signatures: vec![found.signature.as_ref().to_vec()],
            message: Some(message),
        }),
        meta: Some(wire::TransactionStatusMeta {
            err: found.failed.then(|| wire::TransactionError { err: vec![1] }),
            inner_instructions: vec![wire::InnerInstructions { index: 0, instructions: inner.collect() }],
            ..wire::TransactionStatusMeta::default()
        }),
        index: place as u64,
    }
}

/// The block as the server's filter leaves it.
fn shown(block: &Block) -> SubscribeUpdateBlock {
    let ours = block.transactions.iter().enumerate().filter(|(_, found)| found.accounts.contains(&PROGRAM));
    SubscribeUpdateBlock {
        slot: block.slot,
        blockhash: block.hash.to_string(),
        block_time: block.time.map(|timestamp| wire::UnixTimestamp { timestamp }),
        parent_slot: block.parent_slot,
        parent_blockhash: block.parent_hash.to_string(),
        executed_transaction_count: block.transactions.len() as u64,
        transactions: ours.map(shown_transaction).collect(),
        ..SubscribeUpdateBlock::default()
    }
}

impl Update {
    fn shown(&self) -> SubscribeUpdate {
        let update = match self {
            Self::Block(block) => UpdateOneof::Block(shown(block)),
            Self::Spoilt(block, spoil) => {
                let mut shown = shown(block);
                shown.transactions.iter_mut().for_each(spoil);
                UpdateOneof::Block(shown)
            }
            Self::Ping => UpdateOneof::Ping(SubscribeUpdatePing {}),
        };
        SubscribeUpdate { filters: vec!["rebate".to_owned()], update_oneof: Some(update), created_at: None }
    }
}

fn blocks(blocks: &[Block]) -> Vec<Update> {
    blocks.iter().cloned().map(Update::Block).collect()
}

/// What the source has no use for.
fn unused<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("the test's server has only blocks"))
}

#[tonic::async_trait]
impl Geyser for Server {
    type SubscribeStream = Updates<SubscribeUpdate>;
    type SubscribeDeshredStream = Updates<SubscribeUpdateDeshred>;
    type SubscribeGossipStream = Updates<SubscribeUpdateGossip>;

    async fn subscribe(
        &self,
        request: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let token = request.metadata().get("x-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
        if token != TOKEN {
            return Err(Status::unauthenticated(format!("the token {token} is wrong")));
        }
        let mut incoming = request.into_inner();
        let first = incoming.message().await?.ok_or_else(|| Status::invalid_argument("nothing is asked for"))?;
        let filter = first.blocks.values().next().ok_or_else(|| Status::invalid_argument("no blocks"))?;
        assert_eq!(filter.account_include, [PROGRAM.to_string()]);
        assert_eq!((filter.include_transactions, filter.include_accounts), (Some(true), Some(false)));
        assert_eq!(first.commitment, Some(CommitmentLevel::Finalized.into()));
        self.requests.lock().unwrap().push(first);
        let pinged = Arc::clone(&self.pinged);
        tokio::spawn(async move {
            while let Ok(Some(request)) = incoming.message().await {
                if request.ping.is_some() {
                    *pinged.lock().unwrap() += 1;
                }
            }
        });
        let script = self.scripts.lock().unwrap().pop_front().unwrap_or_default();
        let updates = stream::iter(script.updates.iter().map(|update| Ok(update.shown())).collect::<Vec<_>>());
        let stream: Self::SubscribeStream = match script.end {
            Some((code, why)) => Box::pin(updates.chain(stream::iter([Err(Status::new(code, why))]))),
            None => Box::pin(updates.chain(stream::pending())),
        };
        Ok(Response::new(stream))
    }

    async fn subscribe_deshred(
        &self,
        _: Request<Streaming<SubscribeDeshredRequest>>,
    ) -> Result<Response<Self::SubscribeDeshredStream>, Status> {
        unused()
    }

    async fn subscribe_gossip(
        &self,
        _: Request<SubscribeGossipRequest>,
    ) -> Result<Response<Self::SubscribeGossipStream>, Status> {
        unused()
    }

    async fn subscribe_replay_info(
        &self,
        _: Request<SubscribeReplayInfoRequest>,
    ) -> Result<Response<SubscribeReplayInfoResponse>, Status> {
        unused()
    }

    async fn ping(&self, _: Request<PingRequest>) -> Result<Response<PongResponse>, Status> {
        unused()
    }

    async fn get_latest_blockhash(
        &self,
        _: Request<GetLatestBlockhashRequest>,
    ) -> Result<Response<GetLatestBlockhashResponse>, Status> {
        unused()
    }

    async fn get_block_height(
        &self,
        _: Request<GetBlockHeightRequest>,
    ) -> Result<Response<GetBlockHeightResponse>, Status> {
        unused()
    }

    async fn get_slot(&self, _: Request<GetSlotRequest>) -> Result<Response<GetSlotResponse>, Status> {
        unused()
    }

    async fn is_blockhash_valid(
        &self,
        _: Request<IsBlockhashValidRequest>,
    ) -> Result<Response<IsBlockhashValidResponse>, Status> {
        unused()
    }

    async fn get_version(&self, _: Request<GetVersionRequest>) -> Result<Response<GetVersionResponse>, Status> {
        unused()
    }
}

impl Server {
    /// Serves these connections, and the address.
    async fn with(scripts: impl IntoIterator<Item = Script>) -> (Self, String) {
        let server = Self::default();
        server.scripts.lock().unwrap().extend(scripts);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = GeyserServer::new(server.clone());
        let incoming = stream::unfold(listener, |listener| async {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        tokio::spawn(async move {
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await
        });
        (server, url)
    }
}

fn source(node: &Node, url: &str) -> Arc<GeyserSource> {
    let poll = Duration::from_millis(10);
    let rpc = RpcSource::new(node.url(), Commitment::Finalized, poll).unwrap();
    let subscription = Subscription { url: url.to_owned(), token: Some(TOKEN.to_owned()) };
    Arc::new(GeyserSource::new(rpc, subscription, poll).unwrap())
}

/// Indexes from the source until the chain's last block is written.
async fn index(database: &Database, chain: &Chain, source: Arc<GeyserSource>) {
    let end = i64::try_from(chain.tip().slot).unwrap();
    index_from(database.pool().clone(), source, end, Options::default()).await.unwrap();
}

#[tokio::test]
async fn live_blocks_attach_to_what_the_node_had_and_the_tables_end_as_by_block() {
    let chain = busy_chain();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    // The node stands still: without the stream there is no end.
    node.ledger().shown = 3;
    let mut updates = blocks(&chain.blocks);
    // What comes twice or in another order does no harm.
    updates.insert(5, updates[2].clone());
    updates.swap(6, 7);
    updates.push(Update::Ping);
    let (server, url) = Server::with([Script { updates, end: None }]).await;
    let source = source(&node, &url);
    index(&database, &chain, Arc::clone(&source)).await;
    assert_eq!(database.content().await, content_by_block(&chain).await);
    // The first three come from whichever is quicker.
    assert!(source.metrics().blocks.get() >= (chain.blocks.len() - 3) as u64);
    assert_eq!(source.metrics().reconnects.get(), 0);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while *server.pinged.lock().unwrap() == 0 {
        assert!(std::time::Instant::now() < deadline, "a ping is not answered");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn while_the_stream_brings_what_follows_the_node_is_not_asked_for_blocks() {
    let chain = busy_chain();
    let node = Node::of(&chain).await;
    let (_server, url) = Server::with([Script { updates: blocks(&chain.blocks), end: None }]).await;
    let source = source(&node, &url);
    let mut cursor = BlockRef::of(&chain.blocks[0]);
    node.ledger().shown = 1;
    assert_eq!(source.next_after(&cursor).await.unwrap(), Next::NothingYet);
    // From here on the node could answer.
    node.ledger().shown = chain.blocks.len();
    node.ledger().asked.clear();
    while cursor != chain.tip() {
        match source.next_after(&cursor).await.unwrap() {
            Next::Block(block) => cursor = BlockRef::of(&block),
            Next::NothingYet => source.wait(Some(cursor.slot)).await,
        }
    }
    // The stream may begin a moment after it was asked for; then the node is asked in its place, at most for what it
    // shows at once.
    assert!(source.metrics().blocks.get() >= 1);
    assert_eq!(source.next_after(&cursor).await.unwrap(), Next::NothingYet);
    assert!(node.times_asked("getBlocksWithLimit") <= 2, "{:?}", node.ledger().asked);
}

#[tokio::test]
async fn a_stream_that_breaks_is_resumed_from_the_cursor_or_where_the_server_begins() {
    let chain = busy_chain();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    node.ledger().shown = 2;
    let lost = || Some((Code::Unavailable, "restarting".to_owned()));
    let gone = Some((Code::OutOfRange, "broadcast from 1 is not available, last available: 4".to_owned()));
    let scripts = [
        Script { updates: blocks(&chain.blocks[..4]), end: lost() },
        Script { updates: Vec::new(), end: gone },
        Script { updates: blocks(&chain.blocks[4..6]), end: lost() },
        Script { updates: blocks(&chain.blocks[6..]), end: None },
    ];
    let (server, url) = Server::with(scripts).await;
    let source = source(&node, &url);
    index(&database, &chain, Arc::clone(&source)).await;
    assert_eq!(database.content().await, content_by_block(&chain).await);
    assert_eq!(source.metrics().reconnects.get(), 3);
    let from: Vec<Option<u64>> = server.requests.lock().unwrap().iter().map(|request| request.from_slot).collect();
    assert_eq!(from.len(), 4);
    assert!(from[0].is_some() && from[1].is_some() && from[2].is_none(), "{from:?}");
    assert!(from[3] > from[1], "{from:?}");
}

#[tokio::test]
async fn what_the_stream_does_not_show_whole_comes_from_the_node() {
    let chain = busy_chain();
    let spoils: [fn(&mut SubscribeUpdateTransactionInfo); 6] = [
        |shown| shown.meta = None,
        |shown| shown.transaction = None,
        |shown| shown.signature.clear(),
        |shown| shown.meta.as_mut().unwrap().inner_instructions_none = true,
        |shown| shown.meta.as_mut().unwrap().loaded_readonly_addresses.push(vec![1; 32]),
        |shown| shown.transaction.as_mut().unwrap().message.as_mut().unwrap().account_keys.push(vec![1; 31]),
    ];
    let expected = content_by_block(&chain).await;
    for spoil in spoils {
        let (database, node) = (Database::new().await, Node::of(&chain).await);
        let updates = chain.blocks.iter().map(|block| Update::Spoilt(block.clone(), spoil)).collect();
        let (_server, url) = Server::with([Script { updates, end: None }]).await;
        let source = source(&node, &url);
        index(&database, &chain, Arc::clone(&source)).await;
        assert_eq!(database.content().await, expected);
        assert_eq!(source.metrics().blocks.get(), 0);
    }
}

#[tokio::test]
async fn without_a_server_or_with_another_token_the_node_is_read() {
    let chain = busy_chain();
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    let nobody = source(&node, "http://127.0.0.1:1");
    index(&database, &chain, Arc::clone(&nobody)).await;
    assert_eq!(database.content().await, content_by_block(&chain).await);

    let (server, url) = Server::with([]).await;
    let poll = Duration::from_millis(10);
    let rpc = || RpcSource::new(node.url(), Commitment::Finalized, poll).unwrap();
    let subscription = |url: &str, token: &str| Subscription { url: url.to_owned(), token: Some(token.to_owned()) };
    let stranger = GeyserSource::new(rpc(), subscription(&url, "wrong"), poll).unwrap();
    assert_eq!(stranger.next_after(&chain.tip()).await.unwrap(), Next::NothingYet);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while stranger.metrics().reconnects.get() < 2 {
        assert!(std::time::Instant::now() < deadline, "it does not try again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(server.requests.lock().unwrap().is_empty());

    assert!(!format!("{:?}", subscription(&url, TOKEN)).contains(TOKEN));
    for (url, token) in [("ftp://somewhere", TOKEN), ("http://", TOKEN), (url.as_str(), "s3cret-t0ken\n")] {
        let refused = GeyserSource::new(rpc(), subscription(url, token), poll).err().unwrap();
        assert!(matches!(refused, SourceError::Refused { .. }), "{refused}");
        assert!(!refused.to_string().contains(TOKEN), "{refused}");
    }
}

#[tokio::test]
async fn more_live_blocks_than_the_queue_holds_come_from_the_node() {
    let mut chain = busy_chain();
    for _ in 0..400 {
        chain.seal();
    }
    let (database, node) = (Database::new().await, Node::of(&chain).await);
    let (_server, url) = Server::with([Script { updates: blocks(&chain.blocks), end: None }]).await;
    index(&database, &chain, source(&node, &url)).await;
    assert_eq!(database.content().await, content_by_block(&chain).await);
}

/// Numbers that look random and are the same for the same seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit as u64).unwrap()
    }
}

/// A block of the same slot on a fork, which builds on something that is not on this chain.
fn forked(block: &Block) -> Block {
    let other = |of: &Hash| hash(&[of.as_ref(), b"fork"].concat());
    Block { hash: other(&block.hash), parent_hash: other(&block.parent_hash), ..block.clone() }
}

#[tokio::test]
async fn whatever_the_stream_does_the_tables_end_as_by_block() {
    // SEED=… repeats a run.
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap() | 1);
    println!("SEED={seed}");
    let mut dice = Dice(seed);
    let chain = busy_chain();
    let expected = content_by_block(&chain).await;
    for round in 0..5 {
        let (database, node) = (Database::new().await, Node::of(&chain).await);
        node.ledger().shown = 1 + dice.below(chain.blocks.len());
        let mut scripts = Vec::new();
        for _ in 0..1 + dice.below(4) {
            let mut updates = Vec::new();
            for block in &chain.blocks {
                match dice.below(8) {
                    0 => {}
                    1 => updates.extend([Update::Block(block.clone()), Update::Block(block.clone())]),
                    2 => updates.extend([Update::Block(forked(block)), Update::Block(block.clone())]),
                    3 => updates.push(Update::Block(forked(block))),
                    4 => updates.insert(dice.below(updates.len() + 1), Update::Block(block.clone())),
                    _ => updates.push(Update::Block(block.clone())),
                }
            }
            updates.truncate(dice.below(2 * updates.len() + 1));
            scripts.push(Script { updates, end: Some((Code::Unavailable, "by chance".to_owned())) });
        }
        let (_server, url) = Server::with(scripts).await;
        let source = source(&node, &url);
        let growing = async {
            // The node comes up with the chain little by little.
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let mut ledger = node.ledger();
                ledger.shown = (ledger.shown + 1).min(chain.blocks.len());
            }
        };
        tokio::select! {
            () = index(&database, &chain, source) => {}
            () = growing => {}
        }
        assert_eq!(database.content().await, expected, "round {round}");
    }
}
