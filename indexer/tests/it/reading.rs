//! What the indexer makes of a source's answers.

use crate::{
    chain::Chain,
    database::Database,
    source::{Fault, Script, index, index_with},
    writing::eventful_chain,
};
use rebate_client::chain::Commitment;
use rebate_indexer::{
    IndexError, Options,
    source::{BlockRef, SourceError},
    stretch::StretchError,
    write::Writer,
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
    assert_eq!(database.count("events").await, 15);
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
