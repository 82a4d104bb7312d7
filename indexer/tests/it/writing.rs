//! What is written, and that it is written once.

use crate::{
    chain::{Chain, GRANT, GRANTING, IDLE, key},
    database::Database,
    kinds::everything_else,
    source::{Script, index},
};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use rebate_client::{
    chain::Commitment,
    event::{Event, OracleKeyRegistered, OutcomeEntry},
};
use rebate_core::journal;
use rebate_indexer::{
    IndexError,
    source::BlockRef,
    stretch::{Stretch, StretchError},
    write::{WriteError, Writer, Written},
};
use sha2::Sha256;
use sqlx::{Row, postgres::PgListener};

fn writer(database: &Database, chain: &Chain) -> Writer {
    Writer::new(database.pool().clone(), chain.genesis_hash(), Commitment::Finalized)
}

/// A chain on which something of everything happened.
pub fn eventful_chain() -> Chain {
    let (mut chain, platform) = Chain::with_platform();
    let other = chain.create_platform(2);
    chain.pay(platform, 1, 500);
    chain.seal();
    chain.skip(3);
    chain.pay(platform, 1, 700);
    chain.pay(platform, 2, u64::MAX);
    chain.pause(platform, true);
    chain.pause(platform, false);
    chain.pause(other, true);
    let both =
        [Event::PaymentRecorded(chain.payment(platform, 3, 1)), Event::PaymentRecorded(chain.payment(platform, 1, 2))];
    chain.emit(&both);
    chain.seal();
    chain.seal();
    chain.publish(platform, GRANTING, 2, 1_800_000_000);
    chain.pay(platform, 3, 9);
    chain.seal();
    let evening = chain.create_platform(3);
    chain.publish(evening, GRANTING, 1, 0);
    chain.publish(evening, IDLE, 1, 0);
    chain.register_oracle(evening);
    everything_else(&mut chain, evening);
    chain
}

#[tokio::test]
async fn what_events_say_is_in_the_tables() {
    let (database, chain) = (Database::new().await, eventful_chain());
    index(&database, Script::of(&chain)).await.unwrap();

    let counts = [
        ("events", 42),
        ("platforms", 3),
        ("assets", 4),
        ("vaults", 1),
        ("utc_offsets", 4),
        ("order_shards", 4),
        ("oracle_keys", 2),
        ("rules", 6),
        ("payments", 8),
        ("refunds", 2),
        ("redemptions", 1),
        ("wallet_links", 1),
        ("claims", 1),
        ("outcomes", 21),
        ("entries", 16),
        ("users", 4),
        ("balances", 5),
    ];
    for (table, count) in counts {
        assert_eq!(database.count(table).await, count, "{table}");
    }
    let user = sqlx::query(
        "SELECT balance::text, entries, payments, paid::text, last_paid_at > first_paid_at
         FROM balances JOIN users USING (platform, user_key) WHERE user_key = $1",
    )
    .bind(key(1).as_slice())
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert_eq!(user.get::<String, _>(0), (3 * GRANT).to_string());
    assert_eq!((user.get::<i64, _>(1), user.get::<i64, _>(2)), (3, 3));
    assert_eq!(user.get::<String, _>(3), "1202");
    assert!(user.get::<bool, _>(4));
    let rules: Vec<(i32, i32, i64, String, i64)> = sqlx::query_as(
        "SELECT rule, version, superseded_at, granted::text, grants FROM rules
             WHERE platform = (SELECT address FROM platforms WHERE id = 1) ORDER BY rule, version",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    assert_eq!(
        rules,
        [
            (i32::from(GRANTING), 1, 1_800_000_000, (6 * GRANT).to_string(), 6),
            (i32::from(GRANTING), 2, 0, "0".to_owned(), 0),
            (i32::from(IDLE), 1, 0, "0".to_owned(), 0),
        ]
    );
    let paused: Vec<(bool,)> =
        sqlx::query_as("SELECT paused FROM platforms ORDER BY id").fetch_all(database.pool()).await.unwrap();
    assert_eq!(paused, [(false,), (true,), (false,)]);
    let (amount, streamer, segments): (String, String, i64) =
        sqlx::query_as("SELECT amount::text, streamer::text, segments FROM payments WHERE user_key = $1")
            .bind(key(2).as_slice())
            .fetch_one(database.pool())
            .await
            .unwrap();
    assert_eq!((amount, streamer), (u64::MAX.to_string(), u64::MAX.to_string()));
    assert_eq!(segments, i64::from(u32::MAX));
    let definition: serde_json::Value =
        sqlx::query_scalar("SELECT definition FROM rules WHERE rule = $1 AND version = 1")
            .bind(i32::from(IDLE))
            .fetch_one(database.pool())
            .await
            .unwrap();
    assert_eq!(
        definition,
        serde_json::json!({
            "condition": [{
                "clause": 0, "negated": false, "field": "amount", "operator": ">=", "value": u64::MAX.to_string(),
            }],
            "effect": {"kind": "fixed", "asset": 1, "amount": GRANT.to_string()},
        })
    );
}

#[tokio::test]
async fn how_blocks_are_put_together_makes_no_difference() {
    let chain = eventful_chain();
    let one_by_one = Database::new().await;
    index(&one_by_one, Script::of(&chain)).await.unwrap();
    let at_once = Database::new().await;
    let written = writer(&at_once, &chain).write(&Stretch::of(None, &chain.blocks).unwrap()).await.unwrap();
    assert_eq!(written, Written { events: 42 });
    assert_eq!(at_once.content().await, one_by_one.content().await);
}

#[tokio::test]
async fn a_block_taken_twice_changes_nothing() {
    let (database, chain) = (Database::new().await, eventful_chain());
    index(&database, Script::of(&chain)).await.unwrap();
    let content = database.content().await;
    let before = BlockRef::of(&chain.blocks[3]);
    let again = Stretch::of(Some(before), &chain.blocks[4..]).unwrap();

    // The cursor has moved on.
    let fenced = writer(&database, &chain).write(&again).await;
    assert!(matches!(fenced, Err(WriteError::Fenced { .. })), "{fenced:?}");
    assert_eq!(database.content().await, content);

    // And even if it had not, the events are there.
    sqlx::query("UPDATE cursor SET slot = $1, blockhash = $2, final_slot = $1, final_hash = $2")
        .bind(i64::try_from(before.slot).unwrap())
        .bind(before.hash.as_ref())
        .execute(database.pool())
        .await
        .unwrap();
    let written = writer(&database, &chain).write(&again).await.unwrap();
    assert_eq!(written, Written { events: 0 });
    assert_eq!(database.content().await, content);
}

#[tokio::test]
async fn an_event_stored_with_other_bytes_stops_the_indexer() {
    let (database, chain) = (Database::new().await, eventful_chain());
    index(&database, Script::of(&chain)).await.unwrap();
    let before = BlockRef::of(&chain.blocks[3]);
    sqlx::query("UPDATE cursor SET slot = $1, blockhash = $2, final_slot = $1, final_hash = $2")
        .bind(i64::try_from(before.slot).unwrap())
        .bind(before.hash.as_ref())
        .execute(database.pool())
        .await
        .unwrap();
    database.execute(r"UPDATE events SET bytes = bytes || '\x00' WHERE journal_index = 6").await;
    let content = database.content().await;

    let error = index(&database, Script::of(&chain)).await.unwrap_err();
    assert!(error.to_string().contains("event 6 of platform"), "{error}");
    assert!(error.to_string().contains("other bytes"), "{error}");
    assert_eq!(database.content().await, content);
}

#[tokio::test]
async fn a_block_that_does_not_follow_the_cursor_is_not_taken() {
    let (chain, other) = (eventful_chain(), Chain::named("another chain"));
    let tip = Some(BlockRef::of(&chain.blocks[1]));
    let mut foreign = other.blocks[0].clone();
    foreign.slot = chain.blocks[2].slot;
    foreign.parent_slot = chain.blocks[1].slot;
    for block in [&chain.blocks[3], &chain.blocks[1], &chain.blocks[0], &foreign] {
        let mut stretch = Stretch::after(tip);
        let refused = stretch.push(block);
        assert!(matches!(refused, Err(StretchError::DoesNotFollow { .. })), "{refused:?}");
        assert_eq!(stretch, Stretch::after(tip));
    }
}

#[tokio::test]
async fn two_writers_are_fenced_by_the_cursor() {
    let (database, chain) = (Database::new().await, eventful_chain());
    let start = Stretch::of(None, &chain.blocks[..3]).unwrap();
    let (one, two) = (writer(&database, &chain), writer(&database, &chain));
    for stretch in [start.clone(), Stretch::of(start.end(), &chain.blocks[3..]).unwrap()] {
        let (first, second) = tokio::join!(one.write(&stretch), two.write(&stretch));
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        let fenced = first.and(second).unwrap_err();
        assert!(matches!(fenced, WriteError::Fenced { .. }), "{fenced}");
    }
    let alone = Database::new().await;
    index(&alone, Script::of(&chain)).await.unwrap();
    assert_eq!(database.content().await, alone.content().await);
}

#[tokio::test]
async fn an_unknown_event_stops_the_indexer_and_leaves_the_cursor() {
    let (mut chain, platform) = Chain::with_platform();
    chain.pay(platform, 1, 1);
    let good = chain.seal().slot;
    chain.pay(platform, 1, 1);
    chain.emit_bytes(false, &[b"no event of ours".to_vec()]);
    chain.seal();
    chain.seal();

    let database = Database::new().await;
    let error = index(&database, Script::of(&chain)).await.unwrap_err();
    assert!(matches!(error, IndexError::Stretch(StretchError::Undecodable { .. })), "{error}");
    assert!(error.to_string().contains("update it"), "{error}");
    let cursor = writer(&database, &chain).cursor().await.unwrap().unwrap();
    assert_eq!(cursor.at.slot, good);
    assert_eq!(database.count("payments").await, 1);
}

#[tokio::test]
async fn a_malformed_event_stops_the_indexer_and_leaves_the_cursor() {
    let (mut chain, platform) = Chain::with_platform();
    let mut bytes = Event::PaymentRecorded(chain.payment(platform, 1, 1)).encode().unwrap();
    bytes.push(0);
    let before = chain.tip();
    chain.emit_bytes(false, &[bytes]);
    chain.seal();

    let database = Database::new().await;
    let error = index(&database, Script::of(&chain)).await.unwrap_err();
    assert!(matches!(error, IndexError::Stretch(StretchError::Undecodable { .. })), "{error}");
    assert_eq!(writer(&database, &chain).cursor().await.unwrap().unwrap().at, before);
}

#[tokio::test]
async fn a_gap_in_the_journal_stops_the_indexer() {
    let (mut chain, platform) = Chain::with_platform();
    let before = chain.tip();
    let _lost = chain.payment(platform, 1, 1);
    chain.pay(platform, 2, 1);
    chain.seal();

    let database = Database::new().await;
    let error = index(&database, Script::of(&chain)).await.unwrap_err();
    assert!(matches!(error, IndexError::Write(WriteError::Gap { expected: 4, found: 5, .. })), "{error}");
    assert_eq!(writer(&database, &chain).cursor().await.unwrap().unwrap().at, before);
    assert_eq!(database.count("payments").await, 0);
}

#[tokio::test]
async fn an_index_that_comes_twice_stops_the_indexer() {
    let (mut chain, platform) = Chain::with_platform();
    let event = Event::PaymentRecorded(chain.payment(platform, 1, 1));
    chain.emit(std::slice::from_ref(&event));
    chain.emit(&[event]);
    chain.seal();
    let error = index(&Database::new().await, Script::of(&chain)).await.unwrap_err();
    assert!(error.to_string().contains("it came twice"), "{error}");
}

#[tokio::test]
async fn the_stored_tree_head_is_that_of_an_independent_library() {
    let (mut chain, platform) = Chain::with_platform();
    let database = Database::new().await;
    for number in 0..70 {
        chain.pay(platform, number % 5, 1 + number);
        if number % 3 == 0 {
            chain.seal();
        }
    }
    chain.seal();
    let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut last = None;
    for block in &chain.blocks {
        let stretch = Stretch::of(last, [block]).unwrap();
        writer(&database, &chain).write(&stretch).await.unwrap();
        last = stretch.end();
        for event in stretch.events() {
            tree.push(event.bytes.clone());
        }
        let Some((count, peaks)) = sqlx::query_as::<_, (i64, Vec<Vec<u8>>)>("SELECT leaf_count, peaks FROM journals")
            .fetch_optional(database.pool())
            .await
            .unwrap()
        else {
            continue;
        };
        let count = u64::try_from(count).unwrap();
        let peaks: Vec<[u8; 32]> = peaks.iter().map(|peak| peak.as_slice().try_into().unwrap()).collect();
        assert_eq!(count, tree.len());
        assert_eq!(journal::root(count, &peaks).as_slice(), tree.root().as_bytes().as_slice());
    }
    assert_eq!(tree.len(), 74);
}

#[tokio::test]
async fn a_failed_transaction_emits_nothing() {
    let (mut chain, platform) = Chain::with_platform();
    let mut copy = Chain::with_platform().0;
    let event = Event::PaymentRecorded(copy.payment(platform, 1, 1)).encode().unwrap();
    chain.emit_bytes(true, &[event, b"whatever".to_vec()]);
    chain.seal();
    let database = Database::new().await;
    index(&database, Script::of(&chain)).await.unwrap();
    assert_eq!((database.count("events").await, database.count("transactions").await), (4, 4));
    assert_eq!(writer(&database, &chain).cursor().await.unwrap().unwrap().at, chain.tip());
}

#[tokio::test]
async fn a_balance_that_differs_stops_the_indexer() {
    let (mut chain, platform) = Chain::with_platform();
    chain.pay(platform, 1, 1);
    chain.seal();
    let database = Database::new().await;
    index(&database, Script::of(&chain)).await.unwrap();
    database.execute("UPDATE balances SET balance = 7").await;
    let content = database.content().await;
    chain.pay(platform, 1, 1);
    chain.seal();
    let error = index(&database, Script::of(&chain)).await.unwrap_err();
    assert!(matches!(error, IndexError::Write(WriteError::Contradiction { journal_index: 5, .. })), "{error}");
    assert!(error.to_string().contains("a balance of 1000 in asset 1 before, and it is 7"), "{error}");
    assert_eq!(database.content().await, content);
}

#[tokio::test]
async fn a_payment_number_that_differs_stops_the_indexer() {
    let (mut chain, platform) = Chain::with_platform();
    let mut payment = chain.payment(platform, 1, 1);
    payment.number = 2;
    chain.emit(&[Event::PaymentRecorded(payment)]);
    chain.seal();
    let error = index(&Database::new().await, Script::of(&chain)).await.unwrap_err();
    assert!(error.to_string().contains("it is payment 2 of its user, who has 0 before it"), "{error}");
}

#[tokio::test]
async fn an_outcome_that_does_not_add_up_stops_the_indexer() {
    type Spoil = fn(&mut OutcomeEntry);
    let cases: [(Spoil, &str); 5] = [
        (|outcome| outcome.after += 1, "a balance of 0 before and 1001 after"),
        (|outcome| outcome.reason = 1, "NotMatched 1000"),
        (|outcome| outcome.reason = 250, "reason 250 is none this software knows"),
        (|outcome| outcome.rule = 77, "it names rule 77 version 1, which is not stored"),
        (|outcome| outcome.before = u64::MAX, "a balance of 18446744073709551615 before"),
    ];
    for (spoil, complaint) in cases {
        let (mut chain, platform) = Chain::with_platform();
        let before = chain.tip();
        let mut payment = chain.payment(platform, 1, 1);
        spoil(&mut payment.outcomes[0]);
        chain.emit(&[Event::PaymentRecorded(payment)]);
        chain.seal();
        let database = Database::new().await;
        let error = index(&database, Script::of(&chain)).await.unwrap_err();
        assert!(error.to_string().contains(complaint), "{error}");
        assert_eq!(writer(&database, &chain).cursor().await.unwrap().unwrap().at, before);
        assert_eq!(database.count("payments").await, 0);
    }
}

#[tokio::test]
async fn nobody_stops_the_indexer_with_a_platform_of_his_own() {
    let mut chain = Chain::new();
    let platform = key(99);
    let mut created = chain.platform_created(u64::MAX, platform);
    created.assets[0].name = *b"a\0\xff\0b\xfe\0\0\0\0\0\0\0\0\0c";
    created.max_lateness = u32::MAX;
    created.timelock = u32::MAX;
    created.offsets[0].from = i64::MIN;
    chain.emit(&[Event::PlatformCreated(created)]);
    let oracle = OracleKeyRegistered {
        journal_index: chain.take_index(platform),
        at: chain.now(),
        platform,
        key: key(1),
        valid_from: i64::MAX - 1,
        valid_until: i64::MAX,
    };
    chain.emit(&[Event::OracleKeyRegistered(oracle)]);
    chain.publish(platform, u16::MAX, 1, i64::MIN);
    let Some(rule) = chain.seal().transactions.last().cloned() else { panic!("no transaction") };
    let Event::RulePublished(mut rule) = rule.events().unwrap()[0].event.clone() else { panic!("no rule") };
    rule.journal_index = chain.take_index(platform);
    rule.rule.version = 2;
    rule.rule.name = "\0".to_owned();
    rule.rule.starts_at = i64::MIN;
    rule.rule.ends_at = i64::MAX;
    rule.effective_at = i64::MAX;
    chain.emit(&[Event::RulePublished(rule)]);
    chain.seal();
    let database = Database::new().await;
    index(&database, Script::of(&chain)).await.unwrap();
    let name: String = sqlx::query_scalar("SELECT name FROM assets").fetch_one(database.pool()).await.unwrap();
    assert_eq!(name, "a");
}

#[tokio::test]
async fn listeners_are_told_the_slots_of_blocks_with_events() {
    let (database, chain) = (Database::new().await, eventful_chain());
    let mut listener = PgListener::connect_with(database.pool()).await.unwrap();
    listener.listen("rebate_block").await.unwrap();
    writer(&database, &chain).write(&Stretch::of(None, &chain.blocks).unwrap()).await.unwrap();
    let with_events =
        chain.blocks.iter().filter(|block| !block.transactions.is_empty()).map(|block| block.slot.to_string());
    for slot in with_events {
        assert_eq!(listener.recv().await.unwrap().payload(), slot);
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_nothing_is_half_done() {
    let (database, chain) = (Database::new().await, eventful_chain());
    index(&database, Script::of(&chain.up_to(3))).await.unwrap();
    let content = database.content().await;
    // What Postgres says when it cannot extend a file.
    database
        .execute(
            "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
             CREATE TRIGGER fill BEFORE INSERT ON entries EXECUTE FUNCTION fill()",
        )
        .await;
    let error = index(&database, Script::of(&chain)).await.unwrap_err();
    assert!(error.to_string().contains("disk is full"), "{error}");
    assert_eq!(database.content().await, content);

    database.execute("DROP TRIGGER fill ON entries").await;
    index(&database, Script::of(&chain)).await.unwrap();
    assert_eq!(database.count("entries").await, 16);
}
