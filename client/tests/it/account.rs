//! Accounts: bytes that are not the account they should be are told apart.

use crate::given::{definition, effects};
use bytemuck::Zeroable;
use proptest::{collection::vec, prelude::*};
use rebate_client::account::{
    Asset, AssetKind, Counter, DecodeError, Journal, MAX_ORACLES, MAX_SHARD_ROWS, OracleKey, OrderPage, OrderShards,
    Platform, Refund, RuleBook, Setting, User, UserState, VERSION, discriminator,
};
use rebate_core::{
    balance::Balance,
    counters::Counters,
    rule::Rule,
    units::{
        Amount, AssetId, Day, LocalDay, Months, PeriodIndex, RuleId, RuleVersion, Seconds, Timestamp, WindowIndex,
    },
};
use solana_program::hash::hash;

/// The account's data as it lies on chain.
fn data<T: bytemuck::Pod>(name: &str, layout: &T) -> Vec<u8> {
    [&discriminator(name)[..], bytemuck::bytes_of(layout)].concat()
}

/// What of an account the tests need whichever it is.
struct Kind {
    name: &'static str,
    /// The header's size, without the discriminator.
    size: usize,
    /// Where the header has its version.
    version_at: usize,
    /// The header's bytes, read and written again.
    decode: fn(&[u8]) -> Result<Vec<u8>, DecodeError>,
}

macro_rules! kinds {
    ($($name:ident),*) => {
        [$(Kind {
            name: stringify!($name),
            size: size_of::<$name>(),
            version_at: std::mem::offset_of!($name, version),
            decode: |data| $name::decode(data).map(|layout| bytemuck::bytes_of(&layout).to_vec()),
        }),*]
    };
}

const KINDS: [Kind; 7] = kinds!(Platform, Journal, User, Counter, OrderPage, Refund, RuleBook);

impl Kind {
    /// The account's data with these bytes for the header, of a version this code reads.
    fn data(&self, header: &[u8]) -> Vec<u8> {
        let mut data = [&discriminator(self.name)[..], &header[..self.size]].concat();
        data[8 + self.version_at] = VERSION;
        data
    }
}

/// Bytes for the header of any account.
fn headers() -> impl Strategy<Value = Vec<u8>> {
    let longest = KINDS.iter().map(|kind| kind.size).max().unwrap_or(0);
    vec(any::<u8>(), longest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_account_is_read_as_it_lies_on_chain_whatever_stands_behind_it(
        header in headers(), behind in vec(any::<u8>(), 0..100),
    ) {
        for kind in KINDS {
            let bytes = kind.data(&header);
            prop_assert_eq!((kind.decode)(&bytes).unwrap(), &bytes[8..], "{}", kind.name);
            let longer = [&bytes[..], &behind].concat();
            prop_assert_eq!((kind.decode)(&longer).unwrap(), &bytes[8..], "{}", kind.name);
        }
    }

    #[test]
    fn no_account_is_taken_for_another(header in headers()) {
        for of in KINDS {
            // Long enough for every account.
            let bytes = [of.data(&header), vec![VERSION; header.len()]].concat();
            for kind in KINDS.into_iter().filter(|kind| kind.name != of.name) {
                prop_assert_eq!((kind.decode)(&bytes), Err(DecodeError::AnotherAccount(kind.name)), "{}", of.name);
            }
        }
    }
}

#[test]
fn an_account_with_a_bit_of_its_discriminator_turned_is_another_account() {
    for kind in KINDS {
        let bytes = kind.data(&vec![7; kind.size]);
        for bit in 0..64 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let expected = Err(DecodeError::AnotherAccount(kind.name));
            assert_eq!((kind.decode)(&flipped), expected, "{}, bit {bit}", kind.name);
        }
    }
}

#[test]
fn every_truncation_of_every_account_is_refused() {
    for kind in KINDS {
        let bytes = kind.data(&vec![7; kind.size]);
        for length in 0..bytes.len() {
            let refused = (kind.decode)(&bytes[..length]);
            assert_eq!(refused, Err(DecodeError::Truncated(kind.name, length)), "{}, {length} bytes", kind.name);
        }
    }
}

#[test]
fn another_layout_version_is_refused_and_says_to_update() {
    for kind in KINDS {
        let mut bytes = kind.data(&vec![7; kind.size]);
        for version in (0..=u8::MAX).filter(|version| *version != VERSION) {
            bytes[8 + kind.version_at] = version;
            let refused = (kind.decode)(&bytes).unwrap_err();
            assert_eq!(refused, DecodeError::Version { account: kind.name, found: version, known: VERSION });
            let name = kind.name;
            let expected = format!("the {name} account has layout version {version}, this software knows 1; update it");
            assert_eq!(refused.to_string(), expected);
        }
    }
}

#[test]
fn tails_are_not_read_behind_a_header_that_is_another_accounts_or_another_versions() {
    let other = data("Journal", &Journal { version: VERSION, ..Journal::zeroed() });
    assert_eq!(UserState::decode(&other).err(), Some(DecodeError::AnotherAccount("User")));
    assert_eq!(Counter::decode_with_counters(&other).err(), Some(DecodeError::AnotherAccount("Counter")));
    assert_eq!(RuleBook::decode_with_rules(&other).err(), Some(DecodeError::AnotherAccount("RuleBook")));
    let later = |account| Some(DecodeError::Version { account, found: 2, known: VERSION });
    let user = data("User", &User { version: 2, ..User::zeroed() });
    assert_eq!(UserState::decode(&user).err(), later("User"));
    let counter = data("Counter", &Counter { version: 2, ..Counter::zeroed() });
    assert_eq!(Counter::decode_with_counters(&counter).err(), later("Counter"));
    let book = data("RuleBook", &RuleBook { version: 2, ..RuleBook::zeroed() });
    assert_eq!(RuleBook::decode_with_rules(&book).err(), later("RuleBook"));
}

#[test]
fn discriminators_are_those_of_anchor() {
    assert_eq!(discriminator("User"), hash(b"account:User").to_bytes()[..8]);
    assert_eq!(discriminator("Platform"), [0x4d, 0x5c, 0xcc, 0x3a, 0xbb, 0x62, 0x5b, 0x0c], "as `sha256sum` says it");
}

// ---- Platform ----

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
fn only_what_a_platform_has_is_shown() {
    let platform = platform();
    assert_eq!((platform.oracles().len(), platform.offsets().len(), platform.assets().len()), (1, 2, 2));
    assert_eq!(platform.asset_name(AssetId(1)).as_deref(), Some("coins"));
    assert_eq!(platform.asset_name(AssetId(2)).as_deref(), Some("stars"));
    assert_eq!(platform.asset(AssetId(2)).map(|asset| asset.name), Some(platform.assets[1].name));
    for id in [0, 3, 8, 9, 255] {
        assert_eq!(platform.asset_name(AssetId(id)), None, "asset {id}");
        assert!(platform.asset(AssetId(id)).is_none(), "asset {id}");
    }
    // A count that cannot be shows what there is rather than end the program.
    let odd = Platform { oracle_count: 200, offset_count: 200, asset_count: 200, shard_rows: 200, ..platform };
    assert_eq!((odd.oracles().len(), odd.offsets().len(), odd.assets().len()), (MAX_ORACLES, 16, 8));
    assert_eq!(odd.asset_name(AssetId(3)).as_deref(), Some("ghost"));
    assert_eq!(odd.asset_name(AssetId(9)), None);
    assert_eq!(odd.order_shards(Day(5)), 0, "four empty rows");
}

#[test]
fn the_keys_a_platform_shows_are_its_first() {
    let mut platform = Platform { oracle_count: 2, ..Platform::zeroed() };
    let key = |byte| OracleKey { key: [byte; 32], valid_from: 1, valid_until: 2 };
    (platform.oracles[0], platform.oracles[1], platform.oracles[2]) = (key(1), key(2), key(3));
    assert_eq!(platform.oracles(), [key(1), key(2)]);
}

#[test]
fn a_setting_holds_until_the_next_one_takes_its_place() {
    let setting = Setting { value: 10, next: 20, next_from: 1_000 };
    for (now, expected) in [(i64::MIN, 10), (0, 10), (999, 10), (1_000, 20), (1_001, 20), (i64::MAX, 20)] {
        assert_eq!(setting.at(Timestamp(now)), expected, "at {now}");
    }
    let alone = Setting { next_from: 0, ..setting };
    for now in [i64::MIN, -1, 0, 1, i64::MAX] {
        assert_eq!(alone.at(Timestamp(now)), 10, "nothing is to follow at {now}");
    }
}

#[test]
fn a_days_orders_are_spread_as_the_last_row_that_begins_by_then_says() {
    let row = |from_day, shards| OrderShards { from_day, shards, page_slots: 8 * shards };
    let mut platform = platform();
    platform.order_shards = [row(100, 2), row(200, 8), row(300, 4), row(400, 16)];
    let on = |platform: &Platform, days: [u32; 9]| days.map(|day| platform.order_shards(Day(day)));
    let days = [0, 99, 100, 199, 200, 299, 300, 400, u32::MAX];
    for (rows, expected) in [
        (0, [1; 9]),
        (1, [1, 1, 2, 2, 2, 2, 2, 2, 2]),
        (2, [1, 1, 2, 2, 8, 8, 8, 8, 8]),
        (3, [1, 1, 2, 2, 8, 8, 4, 4, 4]),
        (4, [1, 1, 2, 2, 8, 8, 4, 16, 16]),
    ] {
        platform.shard_rows = rows;
        assert_eq!(on(&platform, days), expected, "{rows} of {MAX_SHARD_ROWS} rows");
        let slots = days.map(|day| platform.page_slots(Day(day)));
        assert_eq!(slots, expected.map(|shards| 8 * shards), "{rows} of {MAX_SHARD_ROWS} rows");
    }
}

#[test]
fn records_are_let_in_as_settings_and_closed_days_say_at_the_time() {
    let max_lateness = Setting { value: 3_600, next: 60, next_from: 500_000 };
    let platform = Platform { max_lateness, open_from: 5, ..platform() };
    let before = platform.admission(Timestamp(499_999));
    assert_eq!(
        (before.now, before.max_lateness, before.open_from),
        (Timestamp(499_999), Seconds(3_600), Timestamp(5 * 86_400))
    );
    assert_eq!(platform.admission(Timestamp(500_000)).max_lateness, Seconds(60));
}

#[test]
fn each_asset_expires_by_its_own_period() {
    let mut platform = platform();
    for (asset, months) in platform.assets.iter_mut().zip(0..) {
        asset.expiry_months = Months(months);
    }
    assert_eq!(platform.periods(), [0, 1, 2, 3, 4, 5, 6, 7].map(Months));
}

#[test]
fn an_assets_name_of_full_length_is_shown_whole() {
    let mut platform = platform();
    platform.assets[0] = Asset { name: *b"sixteen letters!", name_length: 16, ..Asset::zeroed() };
    assert_eq!(platform.asset_name(AssetId(1)).as_deref(), Some("sixteen letters!"));
    platform.assets[0].name = [0xff; 16];
    assert_eq!(platform.asset_name(AssetId(1)), Some("\u{fffd}".repeat(16)), "whatever the bytes are");
}

#[test]
fn kinds_of_assets_are_known_by_their_numbers() {
    let names = AssetKind::ALL.map(|kind| (kind as u8, kind.name()));
    assert_eq!(names, [(1, "points"), (2, "token"), (3, "voucher")]);
    for number in 0..=u8::MAX {
        let kind = AssetKind::from_number(number);
        assert_eq!(kind.map(|kind| kind as u8), (1..=3).contains(&number).then_some(number));
    }
}

// ---- Journal ----

#[test]
fn the_journals_root_is_put_together_from_its_peaks() {
    let mut peaks = Journal::zeroed().peaks;
    peaks[0] = [7; 32];
    peaks[1] = [8; 32];
    let journal = Journal { platform: [1; 32], count: 3, peaks, version: VERSION, ..Journal::zeroed() };
    assert_eq!(Journal::decode(&data("Journal", &journal)), Ok(journal));
    // Three events: a tree of two, whose root is peak 1, and one more, peak 0.
    let node = hash(&[&[1][..], &[8; 32], &[7; 32]].concat());
    assert_eq!(journal.root(), node.to_bytes());
}

// ---- Users and counters ----

fn balance(number: u64) -> Balance {
    Balance {
        current: Amount(number),
        previous: Amount(number + 100),
        debt: Amount(number + 200),
        period: PeriodIndex(-5),
        reserved: [0; 4],
    }
}

fn counters(rule: u16) -> Counters {
    Counters {
        rule: RuleId(rule),
        epoch: RuleVersion(2),
        window: WindowIndex(-3),
        spend: Amount(1_000 + u64::from(rule)),
        granted: Amount(9),
        payments: 4,
        grants: 3,
        streak: 2,
        streak_day: LocalDay(20_000),
    }
}

/// A user's account with room for so many balances and counters, and these.
fn user(balance_slots: u8, counter_slots: u8, balances: &[Balance], counters: &[Counters]) -> Vec<u8> {
    let header = User {
        platform: [1; 32],
        key: [2; 32],
        payments: 5,
        balance_slots,
        counter_slots,
        version: VERSION,
        ..User::zeroed()
    };
    [&data("User", &header)[..], bytemuck::cast_slice(balances), bytemuck::cast_slice(counters)].concat()
}

#[test]
fn a_users_balances_and_counters_stand_behind_the_header() {
    let all_balances: Vec<_> = (1..=8).map(balance).collect();
    let all_counters: Vec<_> = (1..=5).map(counters).collect();
    for (balance_slots, counter_slots) in [(0, 0), (1, 0), (0, 2), (3, 1), (8, 5)] {
        let balances = &all_balances[..usize::from(balance_slots)];
        let counters = &all_counters[..usize::from(counter_slots)];
        let bytes = user(balance_slots, counter_slots, balances, counters);
        let state = UserState::decode(&bytes).unwrap();
        assert_eq!((state.user.key, state.user.payments), ([2; 32], 5));
        assert_eq!(state.user, User::decode(&bytes).unwrap());
        let (there, rest) = state.balances.split_at(balances.len());
        assert_eq!((there, &state.counters[..]), (balances, counters));
        assert!(rest.iter().all(|balance| *balance == Balance::default()), "nothing where there is no room");
        // What is behind is room that nobody has yet.
        assert_eq!(UserState::decode(&[&bytes[..], &[7; 50]].concat()), Ok(state));
    }
}

#[test]
fn a_user_who_has_less_than_the_header_says_is_refused() {
    let whole = user(2, 2, &[balance(1), balance(2)], &[counters(1), counters(2)]);
    for length in 0..whole.len() {
        let refused = UserState::decode(&whole[..length]);
        assert_eq!(refused, Err(DecodeError::Truncated("User", length)), "{length} bytes");
    }
    let many = user(u8::MAX, u8::MAX, &[balance(1)], &[]);
    assert_eq!(UserState::decode(&many), Err(DecodeError::Truncated("User", many.len())));
}

#[test]
fn balances_beyond_what_a_platform_can_have_are_passed_over_and_the_counters_stand_behind_them() {
    let balances: Vec<_> = (1..=20).map(balance).collect();
    let state = UserState::decode(&user(20, 1, &balances, &[counters(7)])).unwrap();
    assert_eq!((&state.balances[..], &state.counters[..]), (&balances[..8], &[counters(7)][..]));
}

#[test]
fn a_balance_is_that_of_the_asset_and_nothing_for_an_asset_there_cannot_be() {
    let state = UserState::decode(&user(2, 0, &[Balance::default(), balance(1_000)], &[])).unwrap();
    assert_eq!(state.balance(AssetId(2)), balance(1_000));
    for id in [0, 1, 3, 8, 9, 255] {
        assert_eq!(state.balance(AssetId(id)), Balance::default(), "asset {id}");
    }
}

/// A counter's account with room for the counters of so many rules, and these.
fn counter(slots: u8, counters: &[Counters]) -> Vec<u8> {
    let header = Counter { user: [2; 32], payer: [3; 32], scope: 2, slots, version: VERSION, ..Counter::zeroed() };
    [&data("Counter", &header)[..], bytemuck::cast_slice(counters)].concat()
}

#[test]
fn a_counters_account_has_room_for_as_many_rules_as_it_says() {
    let all: Vec<_> = (1..=5).map(counters).collect();
    for slots in 0..=5 {
        let (header, read) = Counter::decode_with_counters(&counter(slots, &all)).unwrap();
        assert_eq!((header.user, header.payer, header.scope, header.slots), ([2; 32], [3; 32], 2, slots));
        assert_eq!(read, &all[..usize::from(slots)]);
    }
}

#[test]
fn a_counters_account_that_has_less_room_than_it_says_is_refused() {
    let whole = counter(2, &[counters(1), counters(2)]);
    for length in 0..whole.len() {
        let refused = Counter::decode_with_counters(&whole[..length]);
        assert_eq!(refused, Err(DecodeError::Truncated("Counter", length)), "{length} bytes");
    }
    let many = counter(u8::MAX, &[counters(1)]);
    assert_eq!(Counter::decode_with_counters(&many), Err(DecodeError::Truncated("Counter", many.len())));
}

// ---- Order pages ----

#[test]
fn a_page_has_as_many_slots_as_stand_behind_its_header() {
    let page = OrderPage { day: 20_729, taken: 3, shard: 1, number: 2, version: VERSION, ..OrderPage::zeroed() };
    let header = data("OrderPage", &page);
    for slots in [0, 1, 8, 1_024] {
        let bytes = [&header[..], &vec![9; slots * 8]].concat();
        assert_eq!(OrderPage::decode(&bytes), Ok(page), "the slots behind the header are none of its business");
        assert_eq!(OrderPage::slots(&bytes), slots);
    }
    for length in 0..header.len() {
        assert_eq!(OrderPage::slots(&header[..length]), 0, "{length} bytes");
    }
    assert_eq!(OrderPage::slots(&[&header[..], &[9; 15]].concat()), 1, "part of a slot is none");
}

// ---- Rule books ----

/// Rules with an effect of each kind.
fn rules() -> Vec<Rule> {
    effects().into_iter().map(|effect| definition(effect).rule(Timestamp(0)).unwrap()).collect()
}

/// A rule book that says it has `count` rules and has these.
fn book(count: u32, rules: &[Rule]) -> Vec<u8> {
    let header = RuleBook { payments: 9, first_new_id: 3, version: VERSION, ..RuleBook::zeroed() };
    [&data("RuleBook", &header)[..], &count.to_le_bytes(), &[0; 4], bytemuck::cast_slice(rules)].concat()
}

#[test]
fn a_rule_book_has_as_many_rules_as_it_says_and_room_for_more_is_not_read() {
    let rules = rules();
    for count in 0..=5 {
        let (header, read) = RuleBook::decode_with_rules(&book(count, &rules)).unwrap();
        assert_eq!((header.payments, header.first_new_id), (9, 3));
        assert_eq!(read, &rules[..count as usize]);
    }
}

#[test]
fn a_rule_book_that_says_it_has_more_rules_than_it_has_is_refused() {
    let rules = &rules()[..2];
    for count in [3, 1_000, u32::MAX] {
        let bytes = book(count, rules);
        let refused = RuleBook::decode_with_rules(&bytes).unwrap_err();
        assert_eq!(refused, DecodeError::Truncated("RuleBook", bytes.len()), "{count} rules");
    }
    let whole = book(2, rules);
    for length in 0..whole.len() {
        let refused = RuleBook::decode_with_rules(&whole[..length]).unwrap_err();
        assert_eq!(refused, DecodeError::Truncated("RuleBook", length), "{length} bytes");
    }
}

#[test]
fn a_refunds_account_says_how_far_its_proof_has_come() {
    let refund = Refund {
        order: [4; 32],
        payer: [5; 32],
        journal_index: 6,
        paid: Amount(7),
        refunded: Amount(8),
        event_length: 900,
        written: 450,
        grants: 2,
        stage: 1,
        height: 9,
        version: VERSION,
        ..Refund::zeroed()
    };
    let read = Refund::decode(&[data("Refund", &refund), vec![1; 900]].concat()).unwrap();
    assert_eq!((read.order, read.payer, read.journal_index), ([4; 32], [5; 32], 6));
    assert_eq!((read.paid, read.refunded, read.event_length, read.written), (Amount(7), Amount(8), 900, 450));
    assert_eq!((read.grants, read.stage, read.height), (2, 1, 9));
}
