//! Registering an oracle key.

use rebate_client::{account::Platform, address::Addresses, event::Event, instruction};
use rebate_core::units::Timestamp;
use rebate_tests::platform::{TestPlatform, refusal, settings};
use solana_keypair::Keypair;
use solana_program::pubkey::Pubkey;
use solana_signer::Signer;

fn register(platform: &TestPlatform, signer: &Keypair, key: &Pubkey, from: i64, until: i64) -> &'static str {
    let register =
        instruction::register_oracle_key(&signer.pubkey(), &platform.addresses, key, Timestamp(from), Timestamp(until));
    match platform.run(&[register], &[&platform.payer, signer]) {
        Ok(_) => "registered",
        refused => refusal(refused),
    }
}

#[test]
fn a_registered_key_stands_in_the_platform_and_in_an_event() {
    let platform = TestPlatform::start();
    let key = Keypair::new().pubkey();
    assert_eq!(register(&platform, &platform.admin, &key, 5, 9), "registered");
    let account = Platform::decode(&platform.data(&platform.addresses.platform).expect("a platform")).expect("decodes");
    let last = account.oracles()[1];
    assert_eq!((last.key, last.valid_from, last.valid_until), (key.to_bytes(), 5, 9));
    let events = platform.events();
    let Some(Event::OracleKeyRegistered(event)) = events.last().map(|emitted| emitted.event.clone()) else {
        panic!("the last event: {events:?}")
    };
    assert_eq!((event.key, event.valid_from, event.valid_until), (key.to_bytes(), 5, 9));
}

#[test]
fn nobody_but_the_admin_registers_a_key() {
    let platform = TestPlatform::start();
    for stranger in [&platform.pauser, &platform.oracle] {
        assert_eq!(register(&platform, stranger, &stranger.pubkey(), 0, 0), "NotAdmin");
    }
}

#[test]
fn the_admin_must_sign() {
    let platform = TestPlatform::start();
    let mut register = instruction::register_oracle_key(
        &platform.admin.pubkey(),
        &platform.addresses,
        &Pubkey::new_unique(),
        Timestamp(0),
        Timestamp(0),
    );
    register.accounts[0].is_signer = false;
    assert!(platform.run(&[register], &[&platform.payer]).is_err());
}

#[test]
fn a_key_is_registered_once() {
    let platform = TestPlatform::start();
    assert_eq!(register(&platform, &platform.admin, &platform.oracle.pubkey(), 0, 0), "OracleKeys");
}

#[test]
fn a_ninth_key_is_refused() {
    let platform = TestPlatform::start();
    for _ in 0..7 {
        assert_eq!(register(&platform, &platform.admin, &Pubkey::new_unique(), 0, 0), "registered");
    }
    assert_eq!(register(&platform, &platform.admin, &Pubkey::new_unique(), 0, 0), "OracleKeys");
}

#[test]
fn a_key_that_ends_before_it_begins_is_refused() {
    let platform = TestPlatform::start();
    assert_eq!(register(&platform, &platform.admin, &Pubkey::new_unique(), 9, 9), "InvalidSettings");
    assert_eq!(register(&platform, &platform.admin, &Pubkey::new_unique(), -1, 9), "InvalidSettings");
}

#[test]
fn the_rule_book_or_journal_of_another_platform_is_refused() {
    let platform = TestPlatform::start();
    let create = instruction::create_platform(
        &platform.payer.pubkey(),
        &settings(2, &platform.admin.pubkey(), &platform.pauser.pubkey()),
    );
    platform.run(&[create], &[&platform.payer]).expect("another platform");
    let other = Addresses::of(2);
    for (at, address) in [(2, other.rule_book), (3, other.journal)] {
        let mut register = instruction::register_oracle_key(
            &platform.admin.pubkey(),
            &platform.addresses,
            &Pubkey::new_unique(),
            Timestamp(0),
            Timestamp(0),
        );
        register.accounts[at].pubkey = address;
        let refused = platform.run(&[register], &[&platform.payer, &platform.admin]);
        assert_eq!(refusal(refused), "WrongPlatform", "account {at}");
    }
}
