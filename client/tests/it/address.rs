//! Addresses: each account has its own.

use rebate_client::{
    Pubkey,
    address::{Addresses, PROGRAM, day_of, event_authority},
};
use rebate_core::{
    order,
    units::{AssetId, Day, OrderHash, ScopeId, Timestamp, UserKey},
    window::Scope,
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
            of_platform.push(addresses.refund(&OrderHash(key)));
            for scope in Scope::ALL {
                for id in [0, 1, 256, u64::MAX] {
                    of_platform.push(addresses.counter(&UserKey(key), scope, ScopeId(id)));
                }
            }
        }
        for (day, shard) in [(0, 0), (0, 1), (1, 0), (256, 0), (0, 256), (u32::MAX, u16::MAX)] {
            for number in [0, 1, 2, 256, u16::MAX] {
                of_platform.push(addresses.order_page(Day(day), shard, number));
            }
        }
        of_platform.extend((0..=9).map(|asset| addresses.vault(AssetId(asset))));
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
    let page = derived(&[b"orders", platform.as_ref(), &[4, 3, 2, 1], &[6, 5], &[8, 7]]);
    assert_eq!(addresses.order_page(Day(0x0102_0304), 0x0506, 0x0708), page);
    let id = ScopeId(0x0102_0304_0506_0708);
    for (scope, number) in [(Scope::User, 1), (Scope::UserStreamer, 2), (Scope::UserSession, 3)] {
        let counter = derived(&[b"counter", platform.as_ref(), &[7; 32], &[number], &[8, 7, 6, 5, 4, 3, 2, 1]]);
        assert_eq!(addresses.counter(&UserKey([7; 32]), scope, id), counter);
    }
    assert_eq!(addresses.refund(&OrderHash([7; 32])), derived(&[b"refund", platform.as_ref(), &[7; 32]]));
    assert_eq!(addresses.vault(AssetId(3)), derived(&[b"vault", platform.as_ref(), &[3]]));
    assert_eq!(addresses.event_authority, derived(&[b"__event_authority"]));
}

#[test]
fn a_records_page_is_that_of_its_utc_day_and_its_orders_shard() {
    let mut order = [0; 32];
    order[8] = 5;
    let page_of = |at, shards| (day_of(Timestamp(at)), order::shard(&OrderHash(order), shards));
    assert_eq!(page_of(86_399, 4), (Day(0), 1));
    assert_eq!(page_of(86_400, 4), (Day(1), 1));
    assert_eq!(page_of(86_400, 1), (Day(1), 0));
    assert_eq!(page_of(-1, 4), (Day(0), 1), "the program refuses it as too late");
    assert_eq!(page_of(i64::MAX, 4), (Day(0), 1));
}
