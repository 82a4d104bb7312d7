//! The nodes that proofs are made of, against an independent library.

use crate::{
    chain::{Chain, GRANTING, IDLE},
    database::Database,
    source::{Script, index},
};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use rebate_client::chain::Commitment;
use rebate_indexer::{
    database::migrate,
    source::BlockRef,
    stretch::Stretch,
    write::{WriteError, Writer, Written},
};
use sha2::Sha256;

/// Height, position and hash.
type Node = (i16, i64, Vec<u8>);

async fn nodes(database: &Database, platform: &[u8]) -> Vec<Node> {
    sqlx::query_as("SELECT height, position, hash FROM tree_nodes WHERE platform = $1 ORDER BY height, position")
        .bind(platform)
        .fetch_all(database.pool())
        .await
        .unwrap()
}

/// The roots of the complete subtrees of these heights, as the library has them.
async fn expected(database: &Database, platform: &[u8], heights: &[i16]) -> Vec<Node> {
    let events: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT bytes FROM events WHERE platform = $1 ORDER BY journal_index")
            .bind(platform)
            .fetch_all(database.pool())
            .await
            .unwrap();
    let mut expected = Vec::new();
    for height in heights {
        for (position, events) in events.chunks_exact(1 << height).enumerate() {
            let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
            events.iter().for_each(|event| tree.push(event.clone()));
            expected.push((*height, position.try_into().unwrap(), tree.root().as_bytes().to_vec()));
        }
    }
    expected
}

/// A chain with 600 events of one platform and 256 of another, in blocks of up to 61.
fn long_chain() -> (Chain, [[u8; 32]; 2]) {
    let (mut chain, platform) = Chain::with_platform();
    let other = chain.create_platform(2);
    chain.publish(other, GRANTING, 1, 0);
    chain.publish(other, IDLE, 1, 0);
    for number in 0..596 {
        chain.pay(platform, number % 9, 100);
        if number < 253 {
            chain.pay(other, number % 9, 100);
        }
        if number % 30 == 29 {
            chain.seal();
        }
    }
    chain.seal();
    (chain, [platform, other])
}

/// Writes blocks in one transaction.
async fn write(database: &Database, chain: &Chain, from: usize, to: usize) -> Result<Written, WriteError> {
    let after = from.checked_sub(1).map(|last| BlockRef::of(&chain.blocks[last]));
    let stretch = Stretch::of(after, &chain.blocks[from..to]).unwrap();
    Writer::new(database.pool().clone(), chain.genesis_hash(), Commitment::Finalized).write(&stretch).await
}

#[tokio::test]
async fn every_256_events_of_a_journal_leave_a_node_however_blocks_are_put_together() {
    let (chain, [platform, other]) = long_chain();
    let one_by_one = Database::new().await;
    index(&one_by_one, Script::of(&chain)).await.unwrap();
    let at_once = Database::new().await;
    assert_eq!(write(&at_once, &chain, 0, chain.blocks.len()).await.unwrap(), Written { events: 856 });

    for database in [&one_by_one, &at_once] {
        let found = nodes(database, &platform).await;
        assert_eq!(found, expected(database, &platform, &[8]).await);
        assert_eq!(found.len(), 2);
        let found = nodes(database, &other).await;
        assert_eq!(found, expected(database, &other, &[8]).await);
        assert_eq!(found.len(), 1, "256 events and not one more");
        assert_eq!(database.count("tree_nodes").await, 3);
    }
}

#[tokio::test]
async fn a_block_that_is_not_written_leaves_no_node_and_one_taken_twice_no_second() {
    let (chain, [platform, _]) = long_chain();
    let (database, last) = (Database::new().await, chain.blocks.len());
    write(&database, &chain, 0, 5).await.unwrap();
    let content = database.content().await;
    // Long after the nodes were.
    database
        .execute(
            "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
             CREATE TRIGGER fill BEFORE UPDATE ON rules EXECUTE FUNCTION fill()",
        )
        .await;
    let error = write(&database, &chain, 5, last).await.unwrap_err();
    assert!(error.to_string().contains("disk is full"), "{error}");
    assert_eq!(database.content().await, content);
    assert_eq!(database.count("tree_nodes").await, 0);

    database.execute("DROP TRIGGER fill ON rules").await;
    write(&database, &chain, 5, last).await.unwrap();
    assert_eq!(nodes(&database, &platform).await, expected(&database, &platform, &[8]).await);
    let content = database.content().await;
    let before = BlockRef::of(&chain.blocks[4]);
    sqlx::query("UPDATE cursor SET slot = $1, blockhash = $2, final_slot = $1, final_hash = $2")
        .bind(i64::try_from(before.slot).unwrap())
        .bind(before.hash.as_ref())
        .execute(database.pool())
        .await
        .unwrap();
    assert_eq!(write(&database, &chain, 5, last).await.unwrap(), Written { events: 0 });
    assert_eq!(database.content().await, content);
}

#[tokio::test]
async fn a_database_from_before_the_tree_gets_its_nodes_and_goes_on_as_if_it_had_always_had_them() {
    let (chain, _) = long_chain();
    let (database, half) = (Database::new().await, chain.blocks.len() - 5);
    write(&database, &chain, 0, half).await.unwrap();
    let content = database.content().await;
    database.execute("DROP TABLE tree_nodes; DELETE FROM _sqlx_migrations WHERE version = 8").await;
    migrate(database.pool()).await.unwrap();
    assert_eq!(database.content().await, content);
    assert_eq!(database.count("tree_nodes").await, 2);

    write(&database, &chain, half, chain.blocks.len()).await.unwrap();
    let undisturbed = Database::new().await;
    write(&undisturbed, &chain, 0, chain.blocks.len()).await.unwrap();
    assert_eq!(database.content().await, undisturbed.content().await);
}

#[tokio::test]
async fn the_migration_makes_the_nodes_of_nodes_too_and_none_of_what_lacks_an_event() {
    let database = Database::without_schema().await;
    static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");
    MIGRATIONS.run_to(7, database.pool()).await.unwrap();
    database
        .execute(
            r"
            INSERT INTO transactions VALUES (decode(repeat('01', 64), 'hex'), 1, 0, now());
            CREATE FUNCTION fill(platform text, count integer) RETURNS void LANGUAGE sql AS $$
                INSERT INTO journals VALUES (decode(repeat(platform, 32), 'hex'), count, '{}');
                INSERT INTO events SELECT decode(repeat(platform, 32), 'hex'), n, 'kind', now(),
                    decode(repeat('01', 64), 'hex'), int8send(n) || decode(platform, 'hex')
                FROM generate_series(0, count - 1) AS n;
            $$;
            SELECT fill('02', 66000), fill('03', 255), fill('04', 256), fill('05', 1000);
            DELETE FROM events WHERE platform = decode(repeat('05', 32), 'hex') AND journal_index = 300;
            ",
        )
        .await;
    migrate(database.pool()).await.unwrap();

    let large = nodes(&database, &[2; 32]).await;
    assert_eq!(large, expected(&database, &[2; 32], &[8, 16]).await);
    assert_eq!(large.len(), 257 + 1);
    assert_eq!(nodes(&database, &[3; 32]).await, []);
    assert_eq!(nodes(&database, &[4; 32]).await, expected(&database, &[4; 32], &[8]).await);
    let positions = |nodes: Vec<Node>| nodes.into_iter().map(|(_, position, _)| position).collect::<Vec<_>>();
    assert_eq!(positions(nodes(&database, &[5; 32]).await), [0, 2]);
}
