//! Opening users' accounts and order pages: anybody may, and nobody gains anything by it.

use rebate_client::{account::OrderPage, address::day_of, instruction, platform_id};
use rebate_core::{
    time::DAY,
    units::{Day, UserKey},
};
use rebate_tests::platform::{NOON, TestPlatform, payment, refusal};
use solana_signer::Signer;

fn open_page(platform: &TestPlatform, day: i64, shard: u16, slots: u16) -> &'static str {
    let day = Day(u32::try_from(day).expect("a day"));
    let open = instruction::open_order_page(&platform.payer.pubkey(), &platform.addresses, day, shard, 0, slots);
    match platform.run(&[open], &[&platform.payer]) {
        Ok(_) => "opened",
        refused => refusal(refused),
    }
}

#[test]
fn a_user_is_opened_empty_and_once() {
    let platform = TestPlatform::start();
    let key = platform_id::unkeyed_user("u1");
    let open = instruction::open_user(&platform.payer.pubkey(), &platform.addresses, &key, 0);
    platform.run(std::slice::from_ref(&open), &[&platform.payer]).expect("opened");
    let user = platform.user("u1");
    assert_eq!((UserKey(user.user.key), user.user.payments, user.balances), (key, 0, Default::default()));

    platform.pay(&[payment("A1", "u1", 1)]).expect("a payment");
    assert!(platform.run(&[open], &[&platform.payer]).is_err(), "opened again");
    assert_eq!(platform.user("u1").user.payments, 1);
}

#[test]
fn a_user_stands_only_at_its_own_address() {
    let platform = TestPlatform::start();
    let key = platform_id::unkeyed_user("u1");
    let mut open = instruction::open_user(&platform.payer.pubkey(), &platform.addresses, &key, 0);
    open.accounts[2].pubkey = platform.addresses.user(&platform_id::unkeyed_user("u2"));
    assert!(platform.run(&[open], &[&platform.payer]).is_err());
}

#[test]
fn a_page_can_be_opened_for_the_days_a_record_can_still_come_for() {
    let platform = TestPlatform::start();
    let today = NOON / DAY;
    for day in [today - 7, today, today + 1, today + 32] {
        assert_eq!(open_page(&platform, day, 0, 8), "opened", "day {day}");
    }
    for day in [today - 8, today + 33, 0, i64::from(u32::MAX)] {
        assert_eq!(open_page(&platform, day, 0, 8), "InvalidOrderPage", "day {day}");
    }
}

#[test]
fn a_page_has_a_shard_of_the_platform_and_a_bounded_size() {
    let platform = TestPlatform::start();
    let today = NOON / DAY;
    assert_eq!(open_page(&platform, today, 1, 8), "InvalidOrderPage");
    assert_eq!(open_page(&platform, today, 0, 7), "InvalidOrderPage");
    // An account is created with 10 kB at most.
    let day = Day(u32::try_from(today).expect("a day"));
    let huge = instruction::open_order_page(&platform.payer.pubkey(), &platform.addresses, day, 0, 0, 1_268);
    assert!(platform.run(&[huge], &[&platform.payer]).is_err());
    assert_eq!(open_page(&platform, today, 0, 1_267), "opened");
}

#[test]
fn a_page_is_opened_once_and_keeps_its_orders() {
    let platform = TestPlatform::start();
    let paid = payment("A1", "u1", 1);
    platform.pay(&[paid]).expect("a payment");
    let day = day_of(paid.paid_at);
    let open = instruction::open_order_page(&platform.payer.pubkey(), &platform.addresses, day, 0, 0, 64);
    assert!(platform.run(&[open], &[&platform.payer]).is_err(), "opened again");
    let page = platform.data(&platform.addresses.order_page(day, 0, 0)).expect("a page");
    assert_eq!(OrderPage::decode(&page).expect("decodes").taken, 1);
}
