//! Accounts: bytes that are not the account they should be are told apart.

use bytemuck::Zeroable;
use rebate_client::account::{DecodeError, Journal, OrderPage, Platform, RuleBook, User, VERSION, discriminator};
use rebate_core::{
    rule::{Definition, Effect, Rule},
    units::{Amount, AssetId, RuleId, RuleVersion, Timestamp},
};
use solana_program::hash::hash;

/// The account's data as it lies on chain.
fn data<T: bytemuck::Pod>(name: &str, layout: &T) -> Vec<u8> {
    [&discriminator(name)[..], bytemuck::bytes_of(layout)].concat()
}

fn journal() -> Journal {
    let mut peaks = Journal::zeroed().peaks;
    peaks[0] = [7; 32];
    peaks[1] = [8; 32];
    Journal { platform: [1; 32], count: 3, peaks, version: VERSION, ..Journal::zeroed() }
}

fn user() -> User {
    let mut balances = User::zeroed().balances;
    balances[1] = Amount(1_000);
    User { key: [2; 32], balances, payments: 5, version: VERSION, ..User::zeroed() }
}

fn platform() -> Platform {
    let mut platform = Platform { id: 7, version: VERSION, asset_count: 2, ..Platform::zeroed() };
    platform.oracle_count = 1;
    platform.offset_count = 2;
    platform.assets[0].name[..5].copy_from_slice(b"coins");
    platform.assets[1].name[..5].copy_from_slice(b"stars");
    platform.assets[2].name[..5].copy_from_slice(b"ghost");
    platform
}

#[test]
fn what_lies_on_chain_is_what_is_read() {
    assert_eq!(Journal::decode(&data("Journal", &journal())), Ok(journal()));
    assert_eq!(User::decode(&data("User", &user())), Ok(user()));
    let page = OrderPage { day: 20_729, taken: 3, shard: 1, version: VERSION, ..OrderPage::zeroed() };
    let with_slots = [data("OrderPage", &page), vec![9; 64]].concat();
    assert_eq!(OrderPage::decode(&with_slots), Ok(page), "the slots behind the header are none of its business");
    assert_eq!(Platform::decode(&data("Platform", &platform())).unwrap().id, 7);
}

#[test]
fn another_accounts_bytes_are_refused() {
    let bytes = data("User", &user());
    assert_eq!(Journal::decode(&bytes), Err(DecodeError::AnotherAccount("Journal")));
    assert_eq!(Platform::decode(&bytes).err(), Some(DecodeError::AnotherAccount("Platform")));
    assert_eq!(RuleBook::decode_with_rules(&bytes).err(), Some(DecodeError::AnotherAccount("RuleBook")));
    for bit in 0..64 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(User::decode(&flipped), Err(DecodeError::AnotherAccount("User")), "bit {bit}");
    }
}

#[test]
fn every_truncation_is_refused() {
    let bytes = data("User", &user());
    for length in 0..bytes.len() {
        assert_eq!(User::decode(&bytes[..length]), Err(DecodeError::Truncated("User", length)), "{length} bytes");
    }
}

#[test]
fn another_layout_version_is_refused_and_says_to_update() {
    for version in [0, VERSION + 1, u8::MAX] {
        let refused = User::decode(&data("User", &User { version, ..user() })).unwrap_err();
        assert_eq!(refused, DecodeError::Version { account: "User", found: version, known: VERSION });
        let expected = format!("the User account has layout version {version}, this software knows 1; update it");
        assert_eq!(refused.to_string(), expected);
    }
}

#[test]
fn discriminators_are_those_of_anchor() {
    assert_eq!(discriminator("User"), hash(b"account:User").to_bytes()[..8]);
    assert_eq!(discriminator("Platform"), [0x4d, 0x5c, 0xcc, 0x3a, 0xbb, 0x62, 0x5b, 0x0c], "as `sha256sum` says it");
}

fn rule(id: u16) -> Rule {
    let definition = Definition {
        id: RuleId(id),
        version: RuleVersion(1),
        name: "a rule",
        priority: 0,
        starts_at: Timestamp(0),
        ends_at: Timestamp(0),
        condition: &[],
        effect: Effect::Fixed { asset: AssetId(1), amount: Amount(1) },
    };
    Rule::new(&definition, Timestamp(0)).unwrap()
}

/// A rule book that says it has `count` rules and has these.
fn book(count: u32, rules: &[Rule]) -> Vec<u8> {
    let header = RuleBook { payments: 9, version: VERSION, ..RuleBook::zeroed() };
    [&data("RuleBook", &header)[..], &count.to_le_bytes(), &[0; 4], bytemuck::cast_slice(rules)].concat()
}

#[test]
fn a_rule_book_has_as_many_rules_as_it_says_and_room_for_more_is_not_read() {
    let rules = [rule(1), rule(2), rule(3)];
    for count in 0..=3 {
        let (header, read) = RuleBook::decode_with_rules(&book(count, &rules)).unwrap();
        assert_eq!((header.payments, &read[..]), (9, &rules[..count as usize]));
    }
}

#[test]
fn a_rule_book_that_says_it_has_more_rules_than_it_has_is_refused() {
    let rules = [rule(1), rule(2)];
    for count in [3, 1_000, u32::MAX] {
        let bytes = book(count, &rules);
        let refused = RuleBook::decode_with_rules(&bytes).unwrap_err();
        assert_eq!(refused, DecodeError::Truncated("RuleBook", bytes.len()), "{count} rules");
    }
    let whole = book(2, &rules);
    for length in 0..whole.len() {
        assert!(RuleBook::decode_with_rules(&whole[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn only_what_a_platform_has_is_shown() {
    let platform = platform();
    assert_eq!((platform.oracles().len(), platform.offsets().len()), (1, 2));
    assert_eq!(platform.asset_name(AssetId(1)).as_deref(), Some("coins"));
    assert_eq!(platform.asset_name(AssetId(2)).as_deref(), Some("stars"));
    for id in [0, 3, 8, 9, 255] {
        assert_eq!(platform.asset_name(AssetId(id)), None, "asset {id}");
    }
    // A count that cannot be shows what there is rather than end the program.
    let odd = Platform { oracle_count: 200, offset_count: 200, asset_count: 200, ..platform };
    assert_eq!((odd.oracles().len(), odd.offsets().len()), (8, 16));
    assert_eq!(odd.asset_name(AssetId(3)).as_deref(), Some("ghost"));
}

#[test]
fn a_balance_is_that_of_the_asset_and_nothing_for_an_asset_there_cannot_be() {
    let user = user();
    assert_eq!(user.balance(AssetId(2)), Amount(1_000));
    for id in [0, 1, 3, 8, 9, 255] {
        assert_eq!(user.balance(AssetId(id)), Amount(0), "asset {id}");
    }
}

#[test]
fn the_journals_root_is_put_together_from_its_peaks() {
    // Three events: a tree of two, whose root is peak 1, and one more, peak 0.
    let node = hash(&[&[1][..], &[8; 32], &[7; 32]].concat());
    assert_eq!(journal().root(), node.to_bytes());
}
