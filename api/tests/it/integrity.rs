use crate::{
    chain::Chain,
    ledger::{Did, Ledger, NOON, PLATFORM, fixed, user},
    served::Served,
};
use rebate_api::Settings;
use rebate_client::{Pubkey, address::Addresses, chain::AccountAt, explorer::Cluster, platform_id::unkeyed_user};
use rebate_core::{journal, units::Amount};
use serde_json::{Value, json};
use std::time::Duration;

async fn filled(served: &Served, payments: u64) -> Ledger {
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    for number in 0..payments {
        ledger.pay(&format!("A{number}"), "ann", 100, &[Did::granted(1, 20)]).await;
    }
    ledger.show(&served.chain);
    ledger
}

/// The one difference of an answer that says `differs`.
fn difference(body: &Value) -> &Value {
    assert_eq!(body["status"], "differs", "{body:#}");
    let differences = body["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 1, "{body:#}");
    &differences[0]
}

#[tokio::test]
async fn integrity_agrees_where_the_database_holds_what_the_chain_holds() {
    let served = Served::new().await;
    let ledger = filled(&served, 10).await;

    for _ in 0..2 {
        let body = served.json("/v1/integrity").await;
        assert_eq!(body["status"], "agrees", "{body:#}");
        assert_eq!(body["chain_count"], 13);
        assert_eq!(body["stored_count"], 13);
        assert_eq!(body["hashed_count"], 13);
        assert_eq!(body["chain_slot"], 100);
        let head: String = ledger.journal.root().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(body["chain_head"], head);
        assert_eq!(body["stored_head"], head);
        assert_eq!(body["differences"], json!([]));
        let journal = Addresses::at(Pubkey::new_from_array(PLATFORM)).journal.to_string();
        assert_eq!(body["journal"], journal);
    }
}

/// A platform on which something of everything happened.
async fn lived(served: &Served) -> Ledger {
    let mut ledger = filled(served, 3).await;
    ledger.tokens(3).await;
    ledger.publish(fixed(3, 1, "gems", 3, 40), 0).await;
    ledger.pay("G1", "bob", 100, &[Did { asset: 3, ..Did::granted(3, 40) }, Did::granted(1, 20)]).await;
    ledger.redeem("V1", "bob", 1, 15).await;
    ledger.refund("R1", "G1", 50).await;
    ledger.link("bob", [8; 32]).await;
    ledger.claim("bob", 3, 12).await;
    ledger.account.assets[2].liability = Amount(8);
    ledger.show(&served.chain);
    ledger
}

#[tokio::test]
async fn integrity_compares_rules_vaults_and_users_with_their_accounts() {
    let served = Served::new().await;
    let _ledger = lived(&served).await;
    let body = served.json("/v1/integrity").await;
    assert_eq!(body["status"], "agrees", "{body:#}");
    assert_eq!(body["accounts"], json!({"compared": true, "rules": 3, "users": 2}));
}

#[tokio::test]
async fn integrity_names_what_the_tables_have_otherwise_than_the_accounts() {
    let served = Served::new().await;
    let _ledger = lived(&served).await;
    let bob = user("bob");
    let cases: [(&'static str, &'static str, &str, String); 10] = [
        (
            "UPDATE rules SET reversed = reversed + 1 WHERE rule = 3",
            "UPDATE rules SET reversed = reversed - 1 WHERE rule = 3",
            "rule_totals",
            "are 40, 1, 20, 20, 1 on chain and 40, 1, 21, 19, 1 on record".to_owned(),
        ),
        (
            "UPDATE rules SET grants = 9 WHERE rule = 2",
            "UPDATE rules SET grants = 0 WHERE rule = 2",
            "rule_totals",
            "rule 2 version 1".to_owned(),
        ),
        (
            "UPDATE rules SET dropped_at = now() WHERE rule = 2",
            "UPDATE rules SET dropped_at = NULL WHERE rule = 2",
            "rule_totals",
            "rule 2 version 1 is in the rule book, and not on record".to_owned(),
        ),
        (
            "UPDATE rules SET rule = 9 WHERE rule = 2",
            "UPDATE rules SET rule = 2 WHERE rule = 9",
            "rule_totals",
            "rule 9 version 1 is on record as in force or to be, and not in the rule book".to_owned(),
        ),
        (
            "UPDATE balances SET balance = 7 WHERE asset = 3",
            "UPDATE balances SET balance = 8 WHERE asset = 3",
            "user_balances",
            format!("user {bob} has 8 and owes 0 of asset 3 on chain, 7 and 0 on record"),
        ),
        (
            "UPDATE balances SET debt = 6 WHERE debt = 5",
            "UPDATE balances SET debt = 5 WHERE debt = 6",
            "user_balances",
            format!("user {bob} has 0 and owes 5 of asset 1 on chain, 0 and 6 on record"),
        ),
        (
            "UPDATE users SET payments = payments + 1 WHERE paid = 100",
            "UPDATE users SET payments = payments - 1 WHERE paid = 100",
            "user_balances",
            format!("user {bob} has 1 payments on chain and 2 on record"),
        ),
        (
            "UPDATE wallet_links SET wallet = decode(repeat('09', 32), 'hex')",
            "UPDATE wallet_links SET wallet = decode(repeat('08', 32), 'hex')",
            "user_balances",
            format!("user {bob} has the wallet {}", Pubkey::new_from_array([8; 32])),
        ),
        (
            "UPDATE assets SET liability = 9 WHERE asset = 3",
            "UPDATE assets SET liability = 8 WHERE asset = 3",
            "liability",
            "asset 3 (gems): users have 8 and the vault holds 1000 on chain, 9 and 988 on record".to_owned(),
        ),
        (
            "UPDATE vaults SET funds = 1001",
            "UPDATE vaults SET funds = 988",
            "liability",
            "users have 8 and the vault holds 1000 on chain, 8 and 1001 on record".to_owned(),
        ),
    ];
    for (spoil, mend, kind, detail) in cases {
        served.sql(spoil).await;
        let body = served.json("/v1/integrity").await;
        assert_eq!(body["status"], "differs", "{spoil}: {body:#}");
        let found = body["differences"].as_array().unwrap();
        assert!(found.iter().all(|found| found["kind"] == kind), "{spoil}: {body:#}");
        let said = found.iter().any(|found| found["detail"].as_str().unwrap().contains(&detail));
        assert!(said, "{spoil}: {body:#}\nshould say: {detail}");
        served.sql(mend).await;
        assert_eq!(served.json("/v1/integrity").await["status"], "agrees", "{mend}");
    }
}

#[tokio::test]
async fn a_user_without_an_account_is_noticed() {
    let served = Served::new().await;
    let _ledger = lived(&served).await;
    let address = Addresses::at(Pubkey::new_from_array(PLATFORM)).user(&unkeyed_user("bob"));
    served.chain.forget(&address);
    let body = served.json("/v1/integrity").await;
    let found = difference(&body);
    assert_eq!(found["kind"], "no_account");
    assert!(found["detail"].as_str().unwrap().contains(&user("bob")), "{body:#}");
}

#[tokio::test]
async fn every_user_has_a_turn_and_one_can_be_asked_for() {
    let served = Served::new().await;
    let mut ledger = filled(&served, 1).await;
    for number in 0..30 {
        ledger.pay(&format!("U{number}"), &format!("user {number}"), 10, &[]).await;
    }
    // The last payments are of somebody else.
    ledger.pay("Z", "zoe", 10, &[Did::granted(1, 2)]).await;
    ledger.show(&served.chain);
    served
        .sql("UPDATE users SET payments = 2 WHERE user_key = (SELECT user_key FROM users ORDER BY 1 DESC LIMIT 1)")
        .await;
    let last: Vec<u8> = sqlx::query_scalar("SELECT user_key FROM users ORDER BY 1 DESC LIMIT 1")
        .fetch_one(served.pool())
        .await
        .unwrap();
    let last: String = last.iter().map(|byte| format!("{byte:02x}")).collect();

    let body = served.json("/v1/integrity").await;
    assert_eq!(body["status"], "agrees", "it is not this user's turn: {body:#}");
    assert!(body["accounts"]["users"].as_u64().unwrap() <= 16);
    let body = served.json(&format!("/v1/integrity?user={last}")).await;
    assert_eq!(difference(&body)["kind"], "user_balances");
    let mut answers = 2;
    while served.json("/v1/integrity").await["status"] == "agrees" {
        answers += 1;
        assert!(answers < 6, "every user has a turn");
    }
    let nobody = "00".repeat(32);
    let body = served.json(&format!("/v1/integrity?user={nobody}")).await;
    assert!(body.to_string().contains("is neither on chain nor on record"), "{body:#}");
    let problem = served.problem("/v1/integrity?user=bob").await;
    assert!(problem["detail"].as_str().unwrap().contains("64 hexadecimal digits"), "{problem:#}");
}

#[tokio::test]
async fn accounts_are_compared_with_the_tables_as_of_the_events_they_come_from() {
    let served = Served::new().await;
    let mut ledger = lived(&served).await;
    // The tables go on, and the node has not shown it yet.
    ledger.pay("G2", "bob", 100, &[Did { asset: 3, ..Did::granted(3, 40) }, Did::granted(1, 20)]).await;
    ledger.redeem("V2", "bob", 1, 5).await;
    ledger.refund("R2", "G2", 50).await;
    ledger.claim("bob", 3, 4).await;
    ledger.pay("N1", "new", 100, &[Did::granted(1, 20)]).await;
    ledger.link("new", [7; 32]).await;
    ledger.move_cursor(101).await;

    let body = served.json("/v1/integrity").await;

    assert_eq!(body["status"], "agrees", "{body:#}");
    assert_eq!(body["accounts"]["compared"], true);
    assert_eq!(body["accounts"]["rules"], 3);
    assert!(body["chain_count"].as_u64() < body["stored_count"].as_u64());
    for spoil in [
        "UPDATE rules SET granted = granted + 1 WHERE rule = 3",
        "UPDATE rules SET grants = grants + 1 WHERE rule = 3; UPDATE rules SET granted = granted - 1 WHERE rule = 3",
    ] {
        served.sql(spoil).await;
        assert_eq!(served.json("/v1/integrity").await["status"], "differs", "{spoil}");
    }
}

#[tokio::test]
async fn what_was_decided_since_about_rules_is_compared_next_time() {
    let served = Served::new().await;
    let mut ledger = lived(&served).await;
    ledger.publish(fixed(4, 1, "late", 1, 40), 0).await;
    ledger.move_cursor(101).await;
    let body = served.json("/v1/integrity").await;
    assert_eq!(body["status"], "agrees", "{body:#}");
    assert_eq!(body["accounts"], json!({"compared": false, "rules": 0, "users": 2}));
    ledger.show(&served.chain);
    assert_eq!(served.json("/v1/integrity").await["accounts"]["compared"], true);
}

#[tokio::test]
async fn bytes_altered_while_the_chain_is_ahead_are_held_against_what_the_indexer_wrote() {
    let served = Served::new().await;
    let mut ledger = filled(&served, 10).await;
    let unseen = ledger.next_filler();
    ledger.append_only(&unseen);
    ledger.slot = 101;
    ledger.show(&served.chain);
    assert_eq!(served.json("/v1/integrity").await["status"], "behind");
    served
        .sql("UPDATE events SET bytes = set_byte(bytes, 100, get_byte(bytes, 100) # 1) WHERE journal_index = 9")
        .await;
    let body = served.json("/v1/integrity").await;
    let found = difference(&body);
    assert_eq!(found["kind"], "altered_events");
    assert_eq!((&found["first_index"], &found["last_index"]), (&json!(8), &json!(11)));
}

#[tokio::test]
async fn integrity_names_the_difference_when_one_stored_byte_is_altered() {
    let served = Served::new().await;
    let _ledger = filled(&served, 10).await;
    assert_eq!(served.json("/v1/integrity").await["status"], "agrees");

    // Of 13 events, 8 to 11 make one peak. Byte 100 is within the oracle key: the event still looks like one.
    served
        .sql("UPDATE events SET bytes = set_byte(bytes, 100, get_byte(bytes, 100) # 1) WHERE journal_index = 9")
        .await;
    let body = served.json("/v1/integrity").await;
    let found = difference(&body);
    assert_eq!(found["kind"], "altered_events");
    assert_eq!(found["first_index"], 8);
    assert_eq!(found["last_index"], 11);
    assert_ne!(body["chain_head"], body["stored_head"]);

    // One in the journal index gives the event away.
    served
        .sql(
            "UPDATE events SET bytes = set_byte(bytes, 100, get_byte(bytes, 100) # 1) WHERE journal_index = 9;
             UPDATE events SET bytes = set_byte(bytes, 8, 77) WHERE journal_index = 10",
        )
        .await;
    let body = served.json("/v1/integrity").await;
    let detail = difference(&body)["detail"].as_str().unwrap();
    assert!(detail.contains("event 10 names itself event 77"), "{detail}");

    served.sql("UPDATE events SET bytes = set_byte(bytes, 8, 10) WHERE journal_index = 10").await;
    assert_eq!(served.json("/v1/integrity").await["status"], "agrees", "what is mended is mended");
}

#[tokio::test]
async fn integrity_names_an_event_that_is_missing() {
    let served = Served::new().await;
    let mut ledger = filled(&served, 3).await;
    // Nothing refers to it, so it can go.
    ledger.filler().await;
    ledger.filler().await;
    ledger.show(&served.chain);
    assert_eq!(served.json("/v1/integrity").await["status"], "agrees");
    served.sql("DELETE FROM events WHERE journal_index = 6").await;

    let body = served.json("/v1/integrity").await;

    let found = difference(&body);
    assert_eq!(found["kind"], "missing_events");
    assert_eq!(found["first_index"], 6);
    assert_eq!(found["last_index"], 6);
    assert_eq!(body["hashed_count"], 6);
}

#[tokio::test]
async fn events_that_the_indexer_read_past_are_missing_not_late() {
    let served = Served::new().await;
    let mut ledger = filled(&served, 3).await;
    let lost = ledger.next_filler();
    ledger.append_only(&lost);
    ledger.show(&served.chain);

    let body = served.json("/v1/integrity").await;

    let found = difference(&body);
    assert_eq!(found["kind"], "missing_events");
    assert_eq!(found["first_index"], 6);
    assert_eq!(body["chain_count"], 7);
    assert_eq!(body["stored_count"], 6);
}

#[tokio::test]
async fn integrity_names_an_event_that_the_chain_never_emitted() {
    let served = Served::new().await;
    let ledger = filled(&served, 3).await;
    ledger.write(&ledger.next_filler()).await;

    let body = served.json("/v1/integrity").await;

    let found = difference(&body);
    assert_eq!(found["kind"], "invented_events");
    assert_eq!(found["first_index"], 6);
    assert_eq!(body["hashed_count"], 6);
}

#[tokio::test]
async fn while_the_indexer_is_behind_integrity_says_so_with_both_counts() {
    let served = Served::new().await;
    let mut ledger = filled(&served, 3).await;
    let unseen = ledger.next_filler();
    ledger.append_only(&unseen);
    ledger.slot = 101;
    ledger.show(&served.chain);

    let body = served.json("/v1/integrity").await;

    assert_eq!(body["status"], "behind", "{body:#}");
    assert_eq!(body["chain_count"], 7);
    assert_eq!(body["stored_count"], 6);
    assert_eq!(body["hashed_count"], 6);
    assert_eq!(body["chain_slot"], 101);
    assert_eq!(body["as_of_slot"], 100);
}

#[tokio::test]
async fn integrity_waits_a_moment_for_the_indexer() {
    let served = Served::new().await;
    let mut ledger = filled(&served, 3).await;
    let late = ledger.next_filler();
    ledger.append_only(&late);
    ledger.slot = 101;
    ledger.show(&served.chain);

    let indexer = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        ledger.write(&late).await;
        ledger.move_cursor(101).await;
    };
    let (body, ()) = tokio::join!(served.json("/v1/integrity"), indexer);

    assert_eq!(body["status"], "agrees", "{body:#}");
    assert_eq!(body["stored_count"], 7);
}

#[tokio::test]
async fn a_node_that_is_behind_the_database_is_compared_with_what_both_have() {
    let served = Served::new().await;
    let mut ledger = filled(&served, 3).await;
    ledger.filler().await;
    ledger.move_cursor(101).await;

    let body = served.json("/v1/integrity").await;

    assert_eq!(body["status"], "agrees", "{body:#}");
    assert_eq!(body["chain_count"], 6);
    assert_eq!(body["stored_count"], 7);
    assert_eq!(body["hashed_count"], 6);

    // And forward again, and back, as with two nodes behind one address.
    ledger.show(&served.chain);
    assert_eq!(served.json("/v1/integrity").await["hashed_count"], 7);
}

#[tokio::test]
async fn an_unreachable_node_is_a_503_problem_that_says_so() {
    let served = Served::new().await;
    let _ledger = filled(&served, 1).await;
    served.chain.go_away();

    let problem = served.problem("/v1/integrity").await;

    assert_eq!(problem["status"], 503);
    assert_eq!(problem["type"], "urn:rebate:problem:node-unavailable");
    assert!(!problem.to_string().contains("secret"), "the node's address is the operator's business");
    assert_eq!(served.get("/v1/orders").await.status(), 200, "all else is still answered");
}

#[tokio::test]
async fn a_node_of_another_chain_is_noticed() {
    let served = Served::new().await;
    let _ledger = filled(&served, 1).await;
    served.sql("UPDATE cursor SET genesis_hash = decode(repeat('08', 32), 'hex')").await;

    let body = served.json("/v1/integrity").await;

    assert_eq!(difference(&body)["kind"], "another_chain");
}

#[tokio::test]
async fn a_journal_account_that_is_none_is_noticed() {
    let served = Served::new().await;
    let ledger = filled(&served, 1).await;
    let address = Addresses::at(Pubkey::new_from_array(PLATFORM)).journal;
    let account = |owner, data| AccountAt { slot: 100, owner, lamports: 1, data };

    served.chain.hold(address, account(Pubkey::default(), Vec::new()));
    let body = served.json("/v1/integrity").await;
    assert_eq!(difference(&body)["kind"], "no_journal");
    assert!(body["chain_count"].is_null());
    assert_eq!(body["stored_count"], 4);

    let program = rebate_client::address::PROGRAM;
    served.chain.hold(address, account(program, vec![1; 2_000]));
    assert_eq!(difference(&served.json("/v1/integrity").await)["kind"], "no_journal");

    let mut foreign = ledger.journal;
    foreign.platform = [2; 32];
    let other = Chain::default();
    other.hold_journal(100, &foreign);
    let foreign_address = Addresses::at(Pubkey::new_from_array([2; 32])).journal;
    let bytes = rebate_client::chain::ReadAccounts::account(&other, &foreign_address).await.unwrap().unwrap();
    served.chain.hold(address, bytes);
    assert_eq!(difference(&served.json("/v1/integrity").await)["kind"], "no_journal");
}

/// More events than are hashed anew for every answer.
const MANY: u64 = 45_000;

async fn filled_with_many() -> (Served, Ledger) {
    let settings = Settings { request_timeout: Duration::from_secs(60), ..Settings::new(Cluster::Devnet) };
    let served = Served::with(settings).await;
    let mut ledger = Ledger::new(served.pool()).await;
    let mut bytes = Vec::new();
    while ledger.journal.count < MANY {
        let event = ledger.next_filler();
        bytes.push(event.encode().unwrap());
        ledger.append_only(&event);
    }
    sqlx::query(
        "INSERT INTO events (platform, journal_index, kind, at, signature, bytes, month)
         SELECT $1, index, 'PauseChanged', to_timestamp($2::bigint), $3, bytes, (SELECT month FROM cursor)
         FROM UNNEST($4::bytea[]) WITH ORDINALITY AS e (bytes, index)",
    )
    .bind(PLATFORM)
    .bind(NOON)
    .bind(Ledger::signature(1 << 32))
    .bind(bytes)
    .execute(served.pool())
    .await
    .unwrap();
    ledger.show(&served.chain);
    let body = served.json("/v1/integrity").await;
    assert_eq!(body["status"], "agrees", "{body:#}");
    assert_eq!(body["hashed_count"], MANY);
    (served, ledger)
}

#[tokio::test]
async fn bytes_altered_behind_what_was_hashed_are_found_within_a_few_answers() {
    let (served, _ledger) = filled_with_many().await;

    served.sql("UPDATE events SET bytes = set_byte(bytes, 60, 1) WHERE journal_index = 30000").await;
    let mut answers = 0;
    let body = loop {
        let body = served.json("/v1/integrity").await;
        answers += 1;
        if body["status"] != "agrees" || answers == 5 {
            break body;
        }
    };
    let found = difference(&body);
    assert_eq!(found["kind"], "altered_events");
    assert!(found["first_index"].as_u64().unwrap() <= 30_000);
    assert!(found["last_index"].as_u64().unwrap() >= 30_000);
    assert_eq!(served.json("/v1/integrity").await["status"], "differs", "and it stays found");
}

#[tokio::test]
async fn what_a_fork_took_back_is_no_difference() {
    let (served, mut ledger) = filled_with_many().await;

    // The last event turns out to be another, on the chain and in the database.
    let mut other: Vec<u8> = sqlx::query_scalar("SELECT bytes FROM events WHERE journal_index = 44999")
        .fetch_one(served.pool())
        .await
        .unwrap();
    other[60] ^= 1;
    served
        .sql("UPDATE events SET bytes = set_byte(bytes, 60, get_byte(bytes, 60) # 1) WHERE journal_index = 44999")
        .await;
    // 45,000 is divisible by 8 and not by 16: its lowest peak is over the last eight.
    let last: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT bytes FROM events WHERE journal_index >= 44992 ORDER BY journal_index")
            .fetch_all(served.pool())
            .await
            .unwrap();
    assert_eq!(last.last(), Some(&other));
    let (mut count, mut peaks) = (0, [[0; 32]; 4]);
    for bytes in &last {
        journal::append(&mut count, &mut peaks, journal::leaf(bytes)).unwrap();
    }
    ledger.journal.peaks[3] = peaks[3];
    ledger.show(&served.chain);

    assert_eq!(served.json("/v1/integrity").await["status"], "agrees");
}
