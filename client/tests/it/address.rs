//! Addresses: each account has its own.

use rebate_client::{
    Pubkey,
    address::{Addresses, PROGRAM, event_authority},
};
use rebate_core::{
    payment::Payment,
    units::{Day, OrderHash, Timestamp, UserKey},
};
use std::collections::HashSet;

#[test]
fn no_two_accounts_of_any_platforms_share_an_address() {
    let mut all = HashSet::from([PROGRAM, event_authority()]);
    for id in [0, 1, 2, 256, u64::MAX] {
        let addresses = Addresses::of(id);
        let mut of_platform = vec![addresses.platform, addresses.rule_book, addresses.journal];
        for key in [[0; 32], [1; 32], addresses.platform.to_bytes()] {
            of_platform.push(addresses.user(&UserKey(key)));
        }
        for (day, shard) in [(0, 0), (0, 1), (1, 0), (256, 0), (0, 256), (u32::MAX, u16::MAX)] {
            of_platform.push(addresses.order_page(Day(day), shard));
        }
        for address in of_platform {
            assert!(all.insert(address), "{address} of platform {id} is another account's too");
            assert!(!address.is_on_curve(), "{address} has no key that could sign for it");
        }
    }
}

#[test]
fn addresses_are_derived_from_the_seeds_that_the_interface_names() {
    let derived = |seeds: &[&[u8]]| Pubkey::find_program_address(seeds, &PROGRAM).0;
    let addresses = Addresses::of(0x0102);
    let platform = derived(&[b"platform", &[2, 1, 0, 0, 0, 0, 0, 0]]);
    assert_eq!(addresses.platform, platform);
    assert_eq!(addresses, Addresses::at(platform));
    assert_eq!(addresses.rule_book, derived(&[b"rules", platform.as_ref()]));
    assert_eq!(addresses.journal, derived(&[b"journal", platform.as_ref()]));
    assert_eq!(addresses.user(&UserKey([7; 32])), derived(&[b"user", platform.as_ref(), &[7; 32]]));
    let page = derived(&[b"orders", platform.as_ref(), &[4, 3, 2, 1], &[6, 5]]);
    assert_eq!(addresses.order_page(Day(0x0102_0304), 0x0506), page);
    assert_eq!(addresses.event_authority, derived(&[b"__event_authority"]));
}

#[test]
fn a_payments_page_is_that_of_its_utc_day_and_its_orders_shard() {
    let mut order = [0; 32];
    order[8] = 5;
    let payment = |paid_at| Payment { order: OrderHash(order), paid_at: Timestamp(paid_at), ..Payment::default() };
    assert_eq!(Addresses::page_of(&payment(86_399), 4), (Day(0), 1));
    assert_eq!(Addresses::page_of(&payment(86_400), 4), (Day(1), 1));
    assert_eq!(Addresses::page_of(&payment(86_400), 1), (Day(1), 0));
    assert_eq!(Addresses::page_of(&payment(-1), 4), (Day(0), 1), "the program refuses it as too late");
    assert_eq!(Addresses::page_of(&payment(i64::MAX), 4), (Day(0), 1));
}
