//! Oracle keys over time: changing them without a gap, and taking one away.

use rebate_client::{event::Event, instruction, oracle, platform_id};
use rebate_core::{
    payment::Payment,
    redemption::Redemption,
    units::{Amount, AssetId, OrderHash, Timestamp},
    wallet::WalletLink,
};
use rebate_tests::{
    beside::said,
    platform::{NOON, TestPlatform, payment},
};
use solana_keypair::Keypair;
use solana_program::pubkey::Pubkey;
use solana_signer::Signer;

const HOUR: i64 = 3_600;

fn register(platform: &TestPlatform, key: &Pubkey, from: i64, until: i64) -> &'static str {
    let (from, until) = (Timestamp(from), Timestamp(until));
    let admin = platform.admin.pubkey();
    said(platform.as_admin(&instruction::register_oracle_key(&admin, &platform.addresses, key, from, until)))
}

fn retire(platform: &TestPlatform, key: &Pubkey, until: i64) -> &'static str {
    let admin = platform.admin.pubkey();
    said(platform.as_admin(&instruction::retire_oracle_key(&admin, &platform.addresses, key, Timestamp(until))))
}

/// A payment that `key` signed, so many seconds after [`NOON`].
fn pay(platform: &TestPlatform, key: &Keypair, order: &str, seconds: i64) -> &'static str {
    platform.wait_until(0, seconds);
    let paid = Payment { paid_at: Timestamp(NOON + seconds), ..payment(order, "u1", 100) };
    platform.open_for(&paid);
    let signed = oracle::sign(key, &platform.addresses.platform, &[paid]).expect("a message");
    said(platform.submit(&[paid], &signed))
}

#[test]
fn keys_are_rotated_with_an_overlap() {
    let platform = TestPlatform::with_sample_rules();
    let (old, new) = (platform.oracle.insecure_clone(), Keypair::new());
    assert_eq!(pay(&platform, &old, "A0", 0), "done");
    assert_eq!(register(&platform, &new.pubkey(), NOON + 2 * HOUR, 0), "done");
    assert_eq!(retire(&platform, &old.pubkey(), NOON + 4 * HOUR), "done");
    for (order, seconds, of_old, of_new) in [
        ("A1", 2 * HOUR - 1, "done", "OracleNotValid"),
        ("A2", 2 * HOUR, "done", "done"),
        ("A3", 4 * HOUR - 1, "done", "done"),
        ("A4", 4 * HOUR, "OracleNotValid", "done"),
    ] {
        assert_eq!(pay(&platform, &old, order, seconds), of_old, "the old key, {order}");
        assert_eq!(pay(&platform, &new, &format!("{order} again"), seconds), of_new, "the new key, {order}");
    }
    let oracles: Vec<_> = platform.recorded().iter().map(|event| event.oracle == new.pubkey().to_bytes()).collect();
    assert_eq!(oracles, [false, false, false, true, false, true, true]);
    platform.assert_sound();
}

#[test]
fn once_a_payment_was_accepted_a_key_waits_for_the_timelock() {
    let platform = TestPlatform::with_sample_rules();
    assert_eq!(register(&platform, &Pubkey::new_unique(), 0, 0), "done", "before the first payment");
    assert_eq!(pay(&platform, &platform.oracle, "A0", 0), "done");
    for from in [0, NOON, NOON + HOUR - 1] {
        assert_eq!(register(&platform, &Pubkey::new_unique(), from, 0), "TooEarly", "from {from}");
    }
    assert_eq!(register(&platform, &Pubkey::new_unique(), NOON + HOUR, 0), "done");
}

#[test]
fn a_key_is_retired_at_once_and_only_ever_earlier() {
    let platform = TestPlatform::with_sample_rules();
    let key = platform.oracle.insecure_clone();
    let address = key.pubkey();
    assert_eq!(pay(&platform, &key, "A0", 0), "done");
    assert_eq!(retire(&platform, &Pubkey::new_unique(), 0), "UnknownOracle");
    assert_eq!(retire(&platform, &address, NOON + 100), "done");
    for later in [NOON + 100, NOON + 101, i64::MAX] {
        assert_eq!(retire(&platform, &address, later), "OracleNotValid", "until {later}");
    }
    assert_eq!(pay(&platform, &key, "A1", 10), "done");
    assert_eq!(retire(&platform, &address, i64::MIN), "done", "the past is now");
    let Some(Event::OracleKeyRetired(event)) = platform.events_of().pop() else { panic!("an event") };
    assert_eq!((event.key, event.valid_until), (address.to_bytes(), NOON + 10));
    assert_eq!(pay(&platform, &key, "A2", 10), "OracleNotValid");
    assert_eq!(retire(&platform, &address, 0), "OracleNotValid", "it is over");
    platform.assert_sound();
}

#[test]
fn a_retired_key_signs_nothing_of_any_kind() {
    let platform = TestPlatform::with_sample_rules();
    assert_eq!(pay(&platform, &platform.oracle, "A0", 0), "done");
    platform.prove(&OrderHash::of("A0"));
    assert_eq!(retire(&platform, &platform.oracle.pubkey(), 0), "done");
    let user = platform_id::unkeyed_user("u1");
    let redemption = Redemption {
        order: OrderHash::of("S1"),
        user,
        asset: AssetId(1),
        amount: Amount(1),
        redeemed_at: Timestamp(NOON),
    };
    let refund = rebate_core::refund::Refund {
        order: OrderHash::of("R1"),
        of: OrderHash::of("A0"),
        amount: Amount(1),
        paid_at: Timestamp(NOON),
    };
    let link = WalletLink { user, wallet: [1; 32], linked_at: Timestamp(NOON) };
    assert_eq!(said(platform.redeem(&redemption)), "OracleNotValid");
    assert_eq!(said(platform.refund(&refund, &payment("A0", "u1", 100))), "OracleNotValid");
    assert_eq!(said(platform.link(&link)), "OracleNotValid");
    assert_eq!(said(platform.pay(&[payment("A1", "u1", 100)])), "OracleNotValid");
    platform.assert_sound();
}

#[test]
fn a_key_that_is_over_makes_room_and_comes_back_only_behind_the_timelock() {
    let platform = TestPlatform::with_sample_rules();
    assert_eq!(pay(&platform, &platform.oracle, "A0", 0), "done");
    let keys: Vec<_> = (0..7).map(|_| Pubkey::new_unique()).collect();
    for key in &keys {
        assert_eq!(register(&platform, key, NOON + HOUR, 0), "done");
    }
    let another = Pubkey::new_unique();
    assert_eq!(register(&platform, &another, NOON + HOUR, 0), "OracleKeys", "there are eight");
    assert_eq!(register(&platform, &keys[2], NOON + HOUR, 0), "OracleKeys", "it is one of them");
    assert_eq!(retire(&platform, &keys[2], NOON + 10), "done");
    assert_eq!(register(&platform, &another, NOON + HOUR, 0), "OracleKeys", "it is not over yet");
    platform.wait_until(0, 10);
    assert_eq!(register(&platform, &keys[2], NOON + HOUR, 0), "TooEarly");
    assert_eq!(register(&platform, &another, NOON + HOUR + 10, 0), "done");
    let account = platform.platform();
    assert_eq!(account.oracle_count, 8);
    assert_eq!(account.oracles()[3].key, another.to_bytes());
    assert_eq!(retire(&platform, &another, 0), "done");
    assert_eq!(register(&platform, &another, NOON + HOUR + 10, NOON + 2 * HOUR), "done", "the same key anew");
    let key = platform.platform().oracles()[3];
    assert_eq!((key.valid_from, key.valid_until), (NOON + HOUR + 10, NOON + 2 * HOUR));
    platform.assert_sound();
}
