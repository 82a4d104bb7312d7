//! An indexer that reads what is not final yet, on a chain that changes its mind.

use crate::{
    chain::Chain,
    database::Database,
    kinds::chain_of_everything,
    reading::Dice,
    source::{Script, index, index_with},
};
use async_trait::async_trait;
use prometheus::Registry;
use rebate_client::{
    Pubkey,
    account::{self, Journal, discriminator},
    address::{Addresses, PROGRAM},
    block::Block,
    chain::{AccountAt, AccountsAt, ChainError, Commitment, ReadAccounts},
};
use rebate_core::journal;
use rebate_indexer::{
    IndexError, Indexer, Options,
    source::{BlockRef, BlockSource, Mined, Next, SourceError, Verdict},
    write::Writer,
};
use solana_program::hash::Hash;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

/// What a node of the chain says now.
struct State {
    blocks: Vec<Block>,
    final_slot: u64,
    /// Whether it answers what became of a block.
    answers: bool,
}

/// A node that yields what is confirmed.
struct Node {
    genesis: Hash,
    commitment: Commitment,
    state: Mutex<State>,
}

impl Node {
    fn of(chain: &Chain, final_slot: u64) -> Arc<Self> {
        Self::at(Commitment::Confirmed, chain, final_slot)
    }

    fn at(commitment: Commitment, chain: &Chain, final_slot: u64) -> Arc<Self> {
        let state = Mutex::new(State { blocks: chain.blocks.clone(), final_slot, answers: true });
        Arc::new(Self { genesis: chain.genesis_hash(), commitment, state })
    }

    /// From now on this is the chain, and final to this slot.
    fn show(&self, chain: &Chain, final_slot: u64) {
        let mut state = self.state.lock().unwrap();
        state.blocks.clone_from(&chain.blocks);
        state.final_slot = final_slot;
    }

    fn answer(&self, answers: bool) {
        self.state.lock().unwrap().answers = answers;
    }
}

fn silence(what: &str) -> SourceError {
    SourceError::Unavailable { node: "n".to_owned(), what: what.to_owned(), why: "it does not say".to_owned() }
}

#[async_trait]
impl BlockSource for Node {
    fn commitment(&self) -> Commitment {
        self.commitment
    }

    async fn genesis_hash(&self) -> Result<Hash, SourceError> {
        Ok(self.genesis)
    }

    async fn tip(&self) -> Result<u64, SourceError> {
        Ok(self.state.lock().unwrap().blocks.last().map_or(0, |block| block.slot))
    }

    async fn first(&self, from_slot: Option<u64>) -> Result<Next, SourceError> {
        let state = self.state.lock().unwrap();
        let first = state.blocks.iter().find(|block| block.slot >= from_slot.unwrap_or(0));
        Ok(first.map_or(Next::NothingYet, |block| Next::Block(Box::new(block.clone()))))
    }

    async fn next_after(&self, cursor: &BlockRef) -> Result<Next, SourceError> {
        let state = self.state.lock().unwrap();
        let is_shown = |block: &&Block| self.commitment == Commitment::Confirmed || block.slot <= state.final_slot;
        let Some(block) = state.blocks.iter().filter(is_shown).find(|block| block.slot > cursor.slot) else {
            return Ok(Next::NothingYet);
        };
        if cursor.precedes(block) {
            return Ok(Next::Block(Box::new(block.clone())));
        }
        Err(SourceError::Forked {
            node: "n".to_owned(),
            cursor: *cursor,
            slot: block.slot,
            parent: BlockRef { slot: block.parent_slot, hash: block.parent_hash },
        })
    }

    async fn wait(&self, _slot: Option<u64>) {
        sleep(Duration::from_millis(1)).await;
    }

    async fn final_slot(&self) -> Result<u64, SourceError> {
        Ok(self.state.lock().unwrap().final_slot)
    }

    async fn audit(&self, block: &BlockRef, _transactions: &[Mined]) -> Result<Verdict, SourceError> {
        let state = self.state.lock().unwrap();
        if !state.answers || block.slot > state.final_slot {
            return Err(silence("what became of a block"));
        }
        Ok(match state.blocks.iter().any(|shown| BlockRef::of(shown) == *block) {
            true => Verdict::Final,
            false => Verdict::Vanished { why: "the test says so".to_owned() },
        })
    }
}

/// The journal's account, as of the end of a chain.
struct Shown {
    platform: [u8; 32],
    chain: Chain,
}

#[async_trait]
impl ReadAccounts for Shown {
    async fn accounts(&self, addresses: &[Pubkey]) -> Result<AccountsAt, ChainError> {
        let mut journal: Journal = bytemuck::Zeroable::zeroed();
        (journal.platform, journal.version) = (self.platform, account::VERSION);
        for event in
            self.chain.blocks.iter().flat_map(|block| &block.transactions).flat_map(|sent| sent.events().unwrap())
        {
            journal::append(&mut journal.count, &mut journal.peaks, journal::leaf(&event.bytes)).unwrap();
        }
        let (slot, data) = (self.chain.tip().slot, [&discriminator("Journal"), bytemuck::bytes_of(&journal)].concat());
        let address = Addresses::at(Pubkey::new_from_array(self.platform)).journal;
        let account = AccountAt { slot, owner: PROGRAM, lamports: 1, data };
        let shown = |asked: &Pubkey| (*asked == address).then(|| account.clone());
        Ok(AccountsAt { slot, accounts: addresses.iter().map(shown).collect() })
    }

    async fn genesis_hash(&self) -> Result<Hash, ChainError> {
        Ok(self.chain.genesis_hash())
    }

    async fn now(&self) -> Result<i64, ChainError> {
        Ok(self.chain.now())
    }
}

#[tokio::test]
async fn that_the_chain_differs_from_what_is_not_final_is_no_mismatch_until_it_is_final() {
    let (base, platform) = Chain::with_platform();
    let ours = with_payments(&base, platform, 1, 4);
    let theirs = with_payments(&base, platform, 2, 4);
    let database = Database::new().await;
    let node = Node::of(&ours, base.tip().slot);
    let source = Arc::clone(&node) as Arc<dyn BlockSource>;
    let indexer = Indexer::new(database.pool().clone(), source, options(), &Registry::new()).unwrap();
    let shown = Arc::new(Shown { platform, chain: theirs });
    let indexer = Arc::new(indexer.comparing(shown, Duration::from_millis(10)));
    let running = Running::of(indexer, Writer::new(database.pool().clone(), node.genesis, Commitment::Confirmed));
    running.reaches(ours.tip(), Some(base.tip())).await;

    let differs = running.indexer.metrics().comparisons.with_label_values(&["differs"]);
    until(async || if differs.get() > 5 { Ok(()) } else { Err(format!("{} differ", differs.get())) }).await;
    assert_eq!(database.count("integrity WHERE NOT agrees").await, 0);
    running.reaches(ours.tip(), Some(base.tip())).await;
    node.show(&ours, ours.tip().slot);
    let error = running.fails().await;
    assert!(matches!(error, IndexError::Mismatch(_)), "{error}");
    assert_eq!(database.count("integrity WHERE NOT agrees").await, 1);
}

/// An indexer at work.
struct Running {
    indexer: Arc<Indexer>,
    writer: Writer,
    token: CancellationToken,
    task: JoinHandle<Result<(), IndexError>>,
}

fn options() -> Options {
    Options { blocks_at_once: 1, audit_every: Duration::from_millis(5), ..Options::default() }
}

impl Running {
    fn start(database: &Database, node: &Arc<Node>) -> Self {
        Self::with(database, node, options())
    }

    fn with(database: &Database, node: &Arc<Node>, options: Options) -> Self {
        let source = Arc::clone(node) as Arc<dyn BlockSource>;
        let indexer = Arc::new(Indexer::new(database.pool().clone(), source, options, &Registry::new()).unwrap());
        Self::of(indexer, Writer::new(database.pool().clone(), node.genesis, Commitment::Confirmed))
    }

    fn of(indexer: Arc<Indexer>, writer: Writer) -> Self {
        let token = CancellationToken::new();
        let task = tokio::spawn({
            let (indexer, token) = (Arc::clone(&indexer), token.clone());
            async move { indexer.run(token).await }
        });
        Self { indexer, writer, token, task }
    }

    fn reverts(&self) -> u64 {
        self.indexer.metrics().reverts.get()
    }

    /// Until the database stands at `at`, and knows that `last_final` is final.
    async fn reaches(&self, at: BlockRef, last_final: Option<BlockRef>) {
        until(async || match self.writer.cursor().await.unwrap() {
            Some(cursor) if cursor.at == at && cursor.last_final == last_final => Ok(()),
            other => Err(format!("{other:?} is not {at} with {last_final:?}; running: {}", !self.task.is_finished())),
        })
        .await;
    }

    async fn stop(self) {
        self.token.cancel();
        self.task.await.unwrap().unwrap();
    }

    async fn fails(self) -> IndexError {
        tokio::time::timeout(Duration::from_secs(20), self.task).await.expect("it goes on").unwrap().unwrap_err()
    }
}

async fn until(mut holds: impl AsyncFnMut() -> Result<(), String>) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while let Err(why) = holds().await {
        assert!(tokio::time::Instant::now() < deadline, "{why}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// What is in every table when the chain is read undisturbed.
async fn undisturbed(chain: &Chain) -> String {
    let database = Database::new().await;
    index(&database, Script::of(chain)).await.unwrap();
    database.content_but_finality().await
}

/// Eight more blocks with payments, on a fork of its own.
fn with_payments(chain: &Chain, platform: [u8; 32], fork: u8, blocks: u64) -> Chain {
    let mut chain = chain.clone();
    chain.fork = vec![fork];
    for number in 0..blocks {
        chain.pay(platform, number % 3, 100 + u64::from(fork));
        chain.seal();
    }
    chain
}

fn at(chain: &Chain, block: usize) -> BlockRef {
    BlockRef::of(&chain.blocks[block])
}

#[tokio::test]
async fn what_is_confirmed_is_provisional_until_the_final_slot_has_passed_it() {
    let (chain, platform) = Chain::with_platform();
    let chain = with_payments(&chain, platform, 0, 8);
    let database = Database::new().await;
    let node = Node::of(&chain, 0);
    let running = Running::start(&database, &node);
    // The first block is final.
    running.reaches(chain.tip(), Some(at(&chain, 0))).await;
    for block in [3, 4, 7, chain.blocks.len() - 1] {
        node.show(&chain, chain.blocks[block].slot);
        running.reaches(chain.tip(), Some(at(&chain, block))).await;
        let left = u64::try_from(chain.blocks.len() - 1 - block).unwrap();
        assert_eq!(running.writer.provisional().await.unwrap(), left);
        assert_eq!(running.indexer.metrics().final_slot.get(), i64::try_from(chain.blocks[block].slot).unwrap());
    }
    assert_eq!((running.reverts(), database.count("undo").await), (0, 0));
    running.stop().await;
    assert_eq!(database.content_but_finality().await, undisturbed(&chain).await);
}

#[tokio::test]
async fn what_the_final_chain_passes_by_is_taken_back_and_its_place_taken() {
    let (base, platform) = Chain::with_platform();
    let ours = with_payments(&base, platform, 1, 6);
    let theirs = with_payments(&base, platform, 2, 6);
    let database = Database::new().await;
    let node = Node::of(&ours, base.tip().slot);
    let running = Running::start(&database, &node);
    running.reaches(ours.tip(), Some(base.tip())).await;
    // No later block says that the chain is another one: only the audit does.
    node.show(&theirs, theirs.blocks[4].slot);
    running.reaches(theirs.tip(), Some(at(&theirs, 4))).await;
    assert_eq!(running.reverts(), 1);
    node.show(&theirs, theirs.tip().slot);
    running.reaches(theirs.tip(), Some(theirs.tip())).await;
    running.stop().await;
    assert_eq!(database.content_but_finality().await, undisturbed(&theirs).await);
}

#[tokio::test]
async fn what_is_final_before_what_vanished_stays() {
    let (base, platform) = Chain::with_platform();
    let common = with_payments(&base, platform, 1, 3);
    let ours = with_payments(&common, platform, 1, 5);
    let theirs = with_payments(&common, platform, 2, 5);
    let database = Database::new().await;
    let node = Node::of(&ours, base.tip().slot);
    let running = Running::start(&database, &node);
    running.reaches(ours.tip(), Some(base.tip())).await;
    node.show(&theirs, theirs.tip().slot);
    running.reaches(theirs.tip(), Some(theirs.tip())).await;
    assert_eq!(running.reverts(), 1);
    running.stop().await;
    assert_eq!(database.content_but_finality().await, undisturbed(&theirs).await);
}

#[tokio::test]
async fn a_fork_above_the_last_final_block_is_left_stretch_by_stretch() {
    let (base, platform) = Chain::with_platform();
    let ours = with_payments(&base, platform, 1, 6);
    let theirs = with_payments(&base, platform, 2, 9);
    let database = Database::new().await;
    let node = Node::of(&ours, base.tip().slot);
    let running = Running::start(&database, &node);
    running.reaches(ours.tip(), Some(base.tip())).await;
    // The audit has nothing to say: nothing more is final.
    node.show(&theirs, base.tip().slot);
    running.reaches(theirs.tip(), Some(base.tip())).await;
    assert_eq!(running.reverts(), 6);
    running.stop().await;
    assert_eq!(database.content_but_finality().await, undisturbed(&theirs).await);
}

#[tokio::test]
async fn a_fork_at_the_last_final_block_stops_the_indexer_and_says_so() {
    let (base, platform) = Chain::with_platform();
    let ours = with_payments(&base, platform, 1, 4);
    let theirs = with_payments(&base, platform, 2, 7);
    let database = Database::new().await;
    let node = Node::of(&ours, ours.blocks[4].slot);
    let running = Running::start(&database, &node);
    running.reaches(ours.tip(), Some(at(&ours, 4))).await;
    node.show(&theirs, base.tip().slot);
    let writer = running.writer.clone();
    let error = running.fails().await;
    assert!(
        matches!(&error, IndexError::Source(SourceError::Forked { cursor, .. }) if *cursor == at(&ours, 4)),
        "{error}"
    );
    // What was not final is gone, and nothing else.
    assert_eq!(writer.cursor().await.unwrap().unwrap().at, at(&ours, 4));
    assert_eq!(database.content_but_finality().await, undisturbed(&ours.up_to(5)).await);
}

#[tokio::test]
async fn a_node_that_does_not_answer_puts_the_audit_off_and_takes_nothing_back() {
    let (base, platform) = Chain::with_platform();
    let chain = with_payments(&base, platform, 0, 6);
    let database = Database::new().await;
    let node = Node::of(&chain, base.tip().slot);
    let running = Running::start(&database, &node);
    running.reaches(chain.tip(), Some(base.tip())).await;
    node.answer(false);
    let later = with_payments(&chain, platform, 0, 3);
    node.show(&later, later.tip().slot);
    let retries = running.indexer.metrics().retries.with_label_values(&["source"]);
    let asked = retries.get();
    until(async || if retries.get() > asked + 3 { Ok(()) } else { Err("nobody asks again".to_owned()) }).await;
    // Meanwhile it goes on to write.
    running.reaches(later.tip(), Some(base.tip())).await;
    node.answer(true);
    running.reaches(later.tip(), Some(later.tip())).await;
    assert_eq!(running.reverts(), 0);
    running.stop().await;
    assert_eq!(database.content_but_finality().await, undisturbed(&later).await);
}

#[tokio::test]
async fn writing_waits_while_too_much_is_provisional() {
    let (base, platform) = Chain::with_platform();
    let chain = with_payments(&base, platform, 0, 20);
    let database = Database::new().await;
    let node = Node::of(&chain, base.tip().slot);
    let options = Options { provisional_at_most: 5, ..options() };
    let running = Running::with(&database, &node, options);
    let end = base.blocks.len() + 4;
    running.reaches(at(&chain, end), Some(base.tip())).await;
    // It stays there for many rounds of the audit.
    sleep(Duration::from_millis(200)).await;
    running.reaches(at(&chain, end), Some(base.tip())).await;
    node.show(&chain, chain.blocks[end - 2].slot);
    running.reaches(at(&chain, end + 3), Some(at(&chain, end - 2))).await;
    // It stops while it waits.
    running.stop().await;
    let running = Running::start(&database, &node);
    node.show(&chain, chain.tip().slot);
    running.reaches(chain.tip(), Some(chain.tip())).await;
    running.stop().await;
    assert_eq!(database.content_but_finality().await, undisturbed(&chain).await);
}

#[tokio::test]
async fn what_is_final_already_is_written_as_final() {
    let chain = chain_of_everything();
    let database = Database::new().await;
    let node = Node::of(&chain, chain.tip().slot);
    let running = Running::start(&database, &node);
    running.reaches(chain.tip(), Some(chain.tip())).await;
    running.stop().await;
    let used: bool =
        sqlx::query_scalar("SELECT is_called FROM undo_statements").fetch_one(database.pool()).await.unwrap();
    assert!(!used, "it was written as provisional first");
}

#[tokio::test]
async fn what_a_source_does_not_prove_to_be_final_is_provisional_though_its_slot_is_passed() {
    let chain = chain_of_everything();
    let database = Database::new().await;
    let node = Node::of(&chain, chain.tip().slot);
    node.answer(false);
    let running = Running::start(&database, &node);
    running.reaches(chain.tip(), None).await;
    node.answer(true);
    running.reaches(chain.tip(), Some(chain.tip())).await;
    running.stop().await;
    assert_eq!(database.content_but_finality().await, undisturbed(&chain).await);
}

#[tokio::test]
async fn an_indexer_that_reads_what_is_final_settles_or_takes_back_what_another_left() {
    let (base, platform) = Chain::with_platform();
    let ours = with_payments(&base, platform, 1, 4);
    let longer = with_payments(&ours, platform, 1, 3);
    let theirs = with_payments(&base, platform, 2, 9);
    for (chain, reverts) in [(longer, 0), (theirs, 4)] {
        let database = Database::new().await;
        let node = Node::of(&ours, base.tip().slot);
        let running = Running::start(&database, &node);
        running.reaches(ours.tip(), Some(base.tip())).await;
        running.stop().await;

        let node = Node::at(Commitment::Finalized, &ours, base.tip().slot);
        let running = Running::start(&database, &node);
        node.show(&chain, chain.tip().slot);
        running.reaches(chain.tip(), Some(chain.tip())).await;
        assert_eq!((running.reverts(), running.writer.provisional().await.unwrap()), (reverts, 0));
        running.stop().await;
        assert_eq!(database.content_but_finality().await, undisturbed(&chain).await);
    }
}

#[tokio::test]
async fn what_an_older_version_wrote_at_confirmed_becomes_final_with_what_follows() {
    let (base, platform) = Chain::with_platform();
    let chain = with_payments(&base, platform, 0, 4);
    let database = Database::new().await;
    let script = Script::of(&base);
    index_with(database.pool().clone(), script, options()).await.unwrap();
    database.execute("UPDATE cursor SET commitment = 'confirmed', final_slot = NULL, final_hash = NULL").await;
    let node = Node::of(&chain, 0);
    let running = Running::start(&database, &node);
    running.reaches(chain.tip(), None).await;
    node.show(&chain, at(&chain, 4).slot);
    running.reaches(chain.tip(), Some(at(&chain, 4))).await;
    running.stop().await;
    assert_eq!(database.content_but_finality().await, undisturbed(&chain).await);
}

#[tokio::test]
async fn whatever_forks_come_the_end_is_what_the_final_chain_says() {
    let mut dice = Dice::new();
    for _ in 0..3 {
        let (mut chain, platform) = Chain::with_platform();
        let database = Database::new().await;
        let node = Node::of(&chain, 0);
        let options = || Options { blocks_at_once: 3, ..options() };
        let mut running = Running::with(&database, &node, options());
        let (mut last_final, mut forks) = (0, 0_u8);
        // The chain as it was after each of its blocks.
        let mut history: Vec<Chain> = (1..=chain.blocks.len()).map(|_| chain.clone()).collect();
        for _ in 0..60 {
            match dice.below(10) {
                0..4 => {
                    for _ in 0..=dice.below(4) {
                        for _ in 0..dice.below(3) {
                            chain.pay(platform, dice.below(5), 1 + dice.below(1_000));
                        }
                        if dice.below(9) == 0 {
                            chain.pause(platform, dice.below(2) == 0);
                        }
                        chain.skip(dice.below(3));
                        chain.seal();
                        history.push(chain.clone());
                    }
                }
                4 => {
                    // Everything before blocks 3 is the same in all of them.
                    let kept = (last_final + 1 + dice.size((history.len() - last_final) as u64)).max(3);
                    history.truncate(kept);
                    chain = history.last().unwrap().clone();
                    forks += 1;
                    chain.fork = vec![forks];
                    chain.seal();
                    history.push(chain.clone());
                }
                5 | 6 => last_final += dice.size((chain.blocks.len() - last_final) as u64),
                7 => node.answer(dice.below(2) == 0),
                8 if dice.below(4) == 0 => {
                    running.stop().await;
                    running = Running::with(&database, &node, options());
                }
                _ => sleep(Duration::from_millis(dice.below(20))).await,
            }
            node.show(&chain, chain.blocks[last_final].slot);
        }
        node.answer(true);
        // The chain goes on, beyond every fork that there was.
        chain.skip(2_000);
        chain.seal();
        node.show(&chain, chain.tip().slot);
        running.reaches(chain.tip(), Some(chain.tip())).await;
        println!("{forks} forks, {} reverts", running.reverts());
        running.stop().await;
        assert_eq!((database.count("undo").await, database.count("provisional_stretches").await), (0, 0));
        assert_eq!(database.content_but_finality().await, undisturbed(&chain).await);
    }
}
