//! What the indexer makes of a source's answers.

use crate::{
    chain::{Chain, GRANTING, IDLE},
    database::Database,
    source::{Fault, Script, index, index_with},
    writing::eventful_chain,
};
use rebate_client::chain::Commitment;
use rebate_indexer::{
    IndexError, Options,
    source::{BlockRef, SourceError},
    stretch::StretchError,
    write::{WriteError, Writer},
};

async fn cursor(database: &Database, chain: &Chain) -> Option<BlockRef> {
    let writer = Writer::new(database.pool().clone(), chain.genesis_hash(), Commitment::Finalized);
    writer.cursor().await.unwrap().map(|cursor| cursor.at)
}

#[tokio::test]
async fn a_source_that_falters_is_asked_until_it_answers() {
    let chain = eventful_chain();
    let faults = || [Fault::Silence, Fault::Nothing, Fault::Silence, Fault::Silence, Fault::Nothing];
    let script = Script::of(&chain).with(0, faults()).with(3, faults()).with(5, faults());
    let (database, undisturbed) = (Database::new().await, Database::new().await);
    index(&database, script).await.unwrap();
    index(&undisturbed, Script::of(&chain)).await.unwrap();
    assert_eq!(database.content().await, undisturbed.content().await);
}

#[tokio::test]
async fn a_fork_is_not_taken_and_what_came_before_is_written() {
    let chain = eventful_chain();
    let mut fork = chain.blocks[4].clone();
    fork.parent_hash = Chain::named("a fork").genesis_hash();
    let database = Database::new().await;
    let error = index(&database, Script::of(&chain).with(4, [Fault::Block(Box::new(fork))])).await.unwrap_err();
    assert!(matches!(error, IndexError::Stretch(StretchError::DoesNotFollow { .. })), "{error}");
    assert_eq!(cursor(&database, &chain).await, Some(BlockRef::of(&chain.blocks[3])));

    // With a source that follows the chain, it goes on.
    index(&database, Script::of(&chain)).await.unwrap();
    assert_eq!(cursor(&database, &chain).await, Some(chain.tip()));
}

#[tokio::test]
async fn blocks_out_of_order_are_not_taken() {
    let chain = eventful_chain();
    for (wrong, before) in [(1, 4), (3, 4), (5, 4), (0, 1)] {
        let database = Database::new().await;
        let block = Fault::Block(Box::new(chain.blocks[wrong].clone()));
        let error = index(&database, Script::of(&chain).with(before, [block])).await.unwrap_err();
        assert!(matches!(error, IndexError::Stretch(StretchError::DoesNotFollow { .. })), "{error}");
        assert_eq!(cursor(&database, &chain).await, Some(BlockRef::of(&chain.blocks[before - 1])));
    }
}

#[tokio::test]
async fn a_first_block_before_which_events_are_missing_is_not_taken() {
    let chain = eventful_chain();
    let database = Database::new().await;
    let later = Fault::Block(Box::new(chain.blocks[4].clone()));
    let error = index(&database, Script::of(&chain).with(0, [later])).await.unwrap_err();
    assert!(matches!(error, IndexError::Write(WriteError::Gap { expected: 0, .. })), "{error}");
    assert_eq!(cursor(&database, &chain).await, None);

    // With a source that begins where the chain does, it goes on.
    index(&database, Script::of(&chain)).await.unwrap();
    assert_eq!(cursor(&database, &chain).await, Some(chain.tip()));
}

#[tokio::test]
async fn a_source_that_cannot_go_on_stops_the_indexer_and_says_why() {
    let chain = eventful_chain();
    let stops = [
        SourceError::Pruned { node: "n".to_owned(), needed: 1, first_available: 9 },
        SourceError::Unreadable { node: "n".to_owned(), slot: 1, why: "no meta".to_owned() },
        SourceError::Refused { node: "n".to_owned(), what: "getBlock".to_owned(), why: "no history".to_owned() },
    ];
    for stop in stops {
        let database = Database::new().await;
        let error = index(&database, Script::of(&chain).with(4, [Fault::Stop(stop.clone())])).await.unwrap_err();
        assert!(matches!(&error, IndexError::Source(error) if *error == stop), "{error}");
        assert_eq!(cursor(&database, &chain).await, Some(BlockRef::of(&chain.blocks[3])));
    }
}

#[tokio::test]
async fn it_begins_at_the_slot_given_and_only_in_an_empty_database() {
    let chain = eventful_chain();
    let database = Database::new().await;
    let options = |from_slot| Options { from_slot: Some(from_slot), ..Options::default() };
    // Slots 4 to 6 have no block; the platform's creation lies before.
    let error = index_with(database.pool().clone(), Script::of(&chain), options(4)).await.unwrap_err();
    assert!(error.to_string().contains("--from-slot"), "{error}");
    assert_eq!(cursor(&database, &chain).await, None);

    index_with(database.pool().clone(), Script::of(&chain), options(1)).await.unwrap();
    assert_eq!(database.count("events").await, 42);
    index_with(database.pool().clone(), Script::of(&chain), options(1_000)).await.unwrap();
    assert_eq!(cursor(&database, &chain).await, Some(chain.tip()));
}

#[tokio::test]
async fn it_goes_on_where_it_stopped() {
    let chain = eventful_chain();
    let database = Database::new().await;
    for blocks in 1..=chain.blocks.len() {
        let so_far = chain.up_to(blocks);
        index(&database, Script::of(&so_far)).await.unwrap();
        assert_eq!(cursor(&database, &chain).await, Some(so_far.tip()));
    }
    let at_once = Database::new().await;
    index(&at_once, Script::of(&chain)).await.unwrap();
    assert_eq!(database.content().await, at_once.content().await);
}

/// Numbers that look random and are the same for the same seed (xorshift64*).
pub struct Dice(u64);

impl Dice {
    /// SEED=… repeats a run.
    pub fn new() -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let seed =
            seed.unwrap_or_else(|| u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap() | 1);
        println!("SEED={seed}");
        Self(seed)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    pub fn size(&mut self, limit: u64) -> usize {
        usize::try_from(self.below(limit)).unwrap()
    }
}

/// A chain on which things happen by chance.
fn chain_by_chance(dice: &mut Dice) -> Chain {
    let (mut chain, first) = Chain::with_platform();
    let mut platforms = vec![first];
    for block in 0..40 {
        for _ in 0..dice.below(6) {
            let platform = platforms[dice.size(platforms.len() as u64)];
            match dice.below(10) {
                0 => chain.pause(platform, block % 2 == 0),
                1 if platforms.len() < 4 => {
                    let id = 100 + platforms.len() as u64;
                    let platform = chain.create_platform(id);
                    chain.publish(platform, GRANTING, 1, 0);
                    chain.publish(platform, IDLE, 1, 0);
                    platforms.push(platform);
                }
                2 => chain.emit_bytes(true, &[b"of a failed transaction".to_vec()]),
                _ => chain.pay(platform, dice.below(5), 1 + dice.below(1_000)),
            }
        }
        chain.seal();
        chain.skip(dice.below(4));
    }
    chain
}

#[tokio::test]
async fn whatever_happens_on_the_way_the_end_is_the_same() {
    let mut dice = Dice::new();
    for _ in 0..3 {
        let chain = chain_by_chance(&mut dice);
        let undisturbed = Database::new().await;
        index(&undisturbed, Script::of(&chain)).await.unwrap();

        let database = Database::new().await;
        let mut blocks = 0;
        while blocks < chain.blocks.len() {
            // Stopped and started again somewhere.
            blocks = (blocks + 1 + dice.size(20)).min(chain.blocks.len());
            let mut script = Script::of(&chain.up_to(blocks));
            for _ in 0..dice.below(8) {
                let before = dice.size(chain.blocks.len() as u64);
                let stale = Fault::Block(Box::new(chain.blocks[dice.size(chain.blocks.len() as u64)].clone()));
                let faults = (0..1 + dice.below(3)).map(|_| [Fault::Silence, Fault::Nothing][dice.size(2)].clone());
                let mut faults: Vec<Fault> = faults.collect();
                // That the very first block is the right one, the source proves; there is nothing it could follow.
                if before > 0 && dice.below(4) == 0 {
                    faults.push(stale);
                }
                script = script.with(before, faults);
            }
            let options = Options {
                ahead: 1 + dice.size(5),
                blocks_at_once: 1 + dice.size(8),
                events_at_once: 1 + dice.size(10),
                ..Options::default()
            };
            let ended = index_with(database.pool().clone(), script, options).await;
            // A stale block is refused; started again, it goes on from the cursor.
            if let Err(error) = ended {
                assert!(matches!(error, IndexError::Stretch(StretchError::DoesNotFollow { .. })), "{error}");
                index(&database, Script::of(&chain.up_to(blocks))).await.unwrap();
            }
        }
        assert_eq!(database.content().await, undisturbed.content().await);
    }
}
