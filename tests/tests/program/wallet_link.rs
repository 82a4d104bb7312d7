//! Wallet links: to whom a user's tokens go.

use rebate_client::{
    event::Event,
    instruction::{self, PlatformSetting, RecordAccounts},
    platform_id,
};
use rebate_core::{
    time::{DAY, MAX_SPAN},
    units::{Timestamp, UserKey},
    wallet::WalletLink,
};
use rebate_tests::{
    beside::said,
    platform::{NOON, TestPlatform},
};
use solana_program::pubkey::Pubkey;
use solana_signer::Signer;

fn key(user: &str) -> UserKey {
    platform_id::unkeyed_user(user)
}

/// A link of `u1` to the wallet of so many, at [`NOON`] and so many seconds.
fn link(wallet: u8, seconds: i64) -> WalletLink {
    WalletLink { user: key("u1"), wallet: [wallet; 32], linked_at: Timestamp(NOON + seconds) }
}

fn with_user() -> TestPlatform {
    let platform = TestPlatform::start();
    open_user(&platform, "u1");
    platform
}

fn open_user(platform: &TestPlatform, user: &str) {
    let open = instruction::open_user(&platform.payer.pubkey(), &platform.addresses, &key(user), 0);
    platform.as_payer(&open).expect("a user");
}

fn linked(platform: &TestPlatform) -> (u8, i64) {
    let user = platform.user("u1").user;
    (user.wallet[0], user.wallet_linked_at)
}

fn link_with(platform: &TestPlatform, link: &WalletLink, user: Pubkey, more: Vec<Pubkey>) -> &'static str {
    let accounts = RecordAccounts { user, pages: more, refund: None, counters: vec![] };
    let record = instruction::link_wallets(&platform.addresses, &[accounts], &platform.sign(&[*link]));
    said(platform.run(&record, &[&platform.payer]))
}

#[test]
fn a_link_counts_only_where_it_is_newer_than_the_one_in_effect() {
    let platform = with_user();
    for (wallet, seconds, expected) in [
        (1, 0, "done"),
        (2, 0, "StaleLink"),
        (1, 0, "StaleLink"),
        (3, -1, "StaleLink"),
        (4, 1, "done"),
        (1, 0, "StaleLink"),
        (5, 60, "done"),
    ] {
        assert_eq!(said(platform.link(&link(wallet, seconds))), expected, "wallet {wallet} at {seconds}");
    }
    assert_eq!(linked(&platform), (5, NOON + 60));
    let Some(Event::WalletLinked(event)) = platform.events_of().pop() else { panic!("an event") };
    assert_eq!((event.user, event.wallet, event.linked_at), (key("u1").0, [5; 32], NOON + 60));
    assert_eq!(event.oracle, platform.oracle.pubkey().to_bytes());
    platform.assert_sound();
}

#[test]
fn a_link_that_is_too_late_or_from_the_future_is_refused() {
    let platform = with_user();
    for (seconds, expected) in [
        (-7 * DAY - 1, "TooLate"),
        (61, "FromTheFuture"),
        (i64::MAX - NOON, "FromTheFuture"),
        (-NOON, "TooLate"),
        (i64::MIN + NOON, "TooLate"),
        (-7 * DAY, "done"),
    ] {
        assert_eq!(said(platform.link(&link(1, seconds))), expected, "at {seconds}");
    }
    platform.assert_sound();
}

#[test]
fn a_link_of_before_cannot_come_back_however_long_the_lateness() {
    let platform = with_user();
    for (wallet, seconds) in [(1, 0), (2, 10)] {
        platform.link(&link(wallet, seconds)).expect("a link");
    }
    platform.change(PlatformSetting::MaxLateness, MAX_SPAN, 0).expect("longer");
    platform.wait_until(200, 0);
    for (wallet, seconds) in [(1, 0), (2, 10), (9, -100 * DAY)] {
        assert_eq!(said(platform.link(&link(wallet, seconds))), "StaleLink");
    }
    assert_eq!(linked(&platform), (2, NOON + 10));
    platform.assert_sound();
}

#[test]
fn a_link_of_a_closed_day_is_refused() {
    let platform = with_user();
    platform.open_page(0, 0, 8).expect("a page");
    platform.wait_until(8, 0);
    platform.close_days(&[0]).expect("closed");
    platform.change(PlatformSetting::MaxLateness, MAX_SPAN, 0).expect("longer");
    assert_eq!(said(platform.link(&link(1, 0))), "TooLate");
    assert_eq!(said(platform.link(&link(1, 72_000))), "done", "the day after");
}

#[test]
fn a_paused_platform_links_no_wallets() {
    let platform = with_user();
    let pause = instruction::set_paused(&platform.pauser.pubkey(), &platform.addresses, true);
    platform.signed_by(&pause, &platform.pauser).expect("paused");
    assert_eq!(said(platform.link(&link(1, 0))), "Paused");
}

#[test]
fn only_the_account_of_the_links_user_is_linked() {
    let platform = with_user();
    open_user(&platform, "u2");
    let other = platform.beside(2, |_| {});
    open_user(&other, "u1");
    let user = |key: &UserKey| platform.addresses.user(key);
    assert_eq!(link_with(&platform, &link(1, 0), user(&key("u2")), vec![]), "WrongUser");
    assert_eq!(link_with(&platform, &link(1, 0), other.addresses.user(&key("u1")), vec![]), "WrongUser");
    assert_eq!(link_with(&platform, &link(1, 0), user(&key("u3")), vec![]), "failed");
    assert_eq!(link_with(&platform, &link(1, 0), platform.payer.pubkey(), vec![]), "failed");
    let more = vec![platform.payer.pubkey()];
    assert_eq!(link_with(&platform, &link(1, 0), user(&key("u1")), more), "WrongAccounts");
    let more = vec![user(&key("u1"))];
    assert_eq!(link_with(&platform, &link(1, 0), user(&key("u1")), more), "WrongAccounts");
    assert_eq!(linked(&platform), (0, 0));
    assert_eq!(link_with(&platform, &link(1, 0), user(&key("u1")), vec![]), "done");
    assert_eq!(platform.user("u2").user.wallet, [0; 32]);
}

#[test]
fn in_a_batch_a_stale_link_changes_nothing_and_the_others_go_on() {
    let platform = with_user();
    open_user(&platform, "u2");
    let batch = [link(1, 5), link(2, 5), WalletLink { user: key("u2"), ..link(3, 0) }, link(4, 6)];
    let accounts: Vec<_> = batch
        .iter()
        .map(|link| RecordAccounts {
            user: platform.addresses.user(&link.user),
            pages: vec![],
            refund: None,
            counters: vec![],
        })
        .collect();
    let record = instruction::link_wallets(&platform.addresses, &accounts, &platform.sign(&batch));
    let logs = platform.run(&record, &[&platform.payer]).expect("three of four").landed.logs;
    let line = format!("Program log: wallet link of user {}: refused, StaleLink", &key("u1").to_string()[..16]);
    assert!(logs.contains(&line), "{logs:?}");
    assert_eq!(linked(&platform), (4, NOON + 6));
    assert_eq!(platform.user("u2").user.wallet, [3; 32]);
    platform.assert_sound();
}
