//! Creating a platform.

use rebate_client::{
    account::{OrderShards, Platform, Setting},
    address::Addresses,
    chain::SubmitError,
    event::{AssetEntry, Event, OffsetEntry},
    instruction::{self, PlatformSettings},
};
use rebate_core::time::MAX_SPAN;
use rebate_tests::platform::{TestPlatform, refusal, settings};
use solana_signer::Signer;

fn create(platform: &TestPlatform, settings: &PlatformSettings) -> Result<(), &'static str> {
    let create = instruction::create_platform(&platform.payer.pubkey(), settings);
    match platform.run(&[create], &[&platform.payer]) {
        Ok(_) => Ok(()),
        refused => Err(refusal(refused)),
    }
}

fn sound(platform: &TestPlatform) -> PlatformSettings {
    settings(2, &platform.admin.pubkey(), &platform.pauser.pubkey())
}

#[test]
fn a_platform_is_what_its_settings_say_and_its_first_event_says_it_too() {
    let platform = TestPlatform::start();
    let account = Platform::decode(&platform.data(&platform.addresses.platform).expect("a platform")).expect("decodes");
    assert_eq!(account.id, 1);
    assert_eq!(account.admin, platform.admin.pubkey().to_bytes());
    assert_eq!(account.pauser, platform.pauser.pubkey().to_bytes());
    let setting = |value| Setting { value, next: 0, next_from: 0 };
    assert_eq!((account.max_lateness, account.timelock), (setting(604_800), setting(3_600)));
    assert_eq!(account.shard_rows, 1);
    assert_eq!(account.order_shards[0], OrderShards { from_day: 0, shards: 1, page_slots: 8 });
    assert_eq!((account.open_from, account.last_opened, account.paused), (0, 0, 0));
    assert_eq!((account.next_admin, account.next_admin_from), ([0; 32], 0));
    assert_eq!(account.offsets().len(), 1);
    assert_eq!(account.asset_name(rebate_core::units::AssetId(1)).as_deref(), Some("coins"));
    assert_eq!(account.asset_name(rebate_core::units::AssetId(2)), None);

    let events = platform.events();
    let Some(Event::PlatformCreated(created)) = events.first().map(|emitted| emitted.event.clone()) else {
        panic!("the first event: {events:?}")
    };
    assert_eq!(created.journal_index, 0);
    assert_eq!(created.platform, platform.addresses.platform.to_bytes());
    assert_eq!(created.offsets, [OffsetEntry { from: 0, seconds: 28_800 }]);
    assert_eq!(created.assets[0].name(), "coins");
}

#[test]
fn a_platform_is_created_once() {
    let platform = TestPlatform::start();
    let again = settings(1, &platform.payer.pubkey(), &platform.payer.pubkey());
    let create = instruction::create_platform(&platform.payer.pubkey(), &again);
    let failed = platform.run(&[create], &[&platform.payer]);
    assert!(matches!(failed, Err(SubmitError::Failed { .. } | SubmitError::Refused { .. })), "{failed:?}");
    let account = Platform::decode(&platform.data(&platform.addresses.platform).expect("a platform")).expect("decodes");
    assert_eq!(account.admin, platform.admin.pubkey().to_bytes());
}

#[test]
fn settings_out_of_range_are_refused() {
    let platform = TestPlatform::start();
    let good = sound(&platform);
    let asset = good.assets[0];
    let offset = |from, seconds| OffsetEntry { from, seconds };
    let bad = [
        PlatformSettings { max_lateness: 0, ..good.clone() },
        PlatformSettings { max_lateness: MAX_SPAN + 1, ..good.clone() },
        PlatformSettings { max_lateness: u32::MAX, ..good.clone() },
        PlatformSettings { timelock: MAX_SPAN + 1, ..good.clone() },
        PlatformSettings { timelock: u32::MAX, ..good.clone() },
        PlatformSettings { order_shards: 0, ..good.clone() },
        PlatformSettings { page_slots: 0, ..good.clone() },
        PlatformSettings { page_slots: 7, ..good.clone() },
        PlatformSettings { page_slots: 1_268, ..good.clone() },
        PlatformSettings { page_slots: u16::MAX, ..good.clone() },
        PlatformSettings { assets: vec![], ..good.clone() },
        PlatformSettings { assets: vec![asset; 9], ..good.clone() },
        PlatformSettings { assets: vec![AssetEntry { kind: 9, ..asset }], ..good.clone() },
        PlatformSettings { assets: vec![AssetEntry { name: [0; 16], ..asset }], ..good.clone() },
        PlatformSettings { assets: vec![AssetEntry { name: [0xff; 16], ..asset }], ..good.clone() },
        PlatformSettings { offsets: vec![offset(5, 0), offset(5, 60)], ..good.clone() },
        PlatformSettings { offsets: vec![offset(9, 0), offset(5, 60)], ..good.clone() },
        PlatformSettings { offsets: vec![offset(0, 14 * 3_600 + 1)], ..good.clone() },
        PlatformSettings { offsets: (0..17).map(|at| offset(at, 0)).collect(), ..good.clone() },
    ];
    for settings in bad {
        assert_eq!(create(&platform, &settings), Err("InvalidSettings"), "{settings:?}");
        assert!(platform.data(&Addresses::of(2).platform).is_none_or(|data| data.is_empty()));
    }
    assert_eq!(create(&platform, &good), Ok(()));
}

#[test]
fn spans_and_first_pages_can_be_as_long_and_as_large_as_the_limits_say() {
    assert_eq!(MAX_SPAN, 31_622_400, "366 days");
    let platform = TestPlatform::start();
    let widest = PlatformSettings {
        max_lateness: MAX_SPAN,
        timelock: MAX_SPAN,
        order_shards: u16::MAX,
        page_slots: 1_267,
        ..sound(&platform)
    };
    assert_eq!(create(&platform, &widest), Ok(()));
    let created = Platform::decode(&platform.data(&Addresses::of(2).platform).expect("a platform")).expect("decodes");
    let setting = Setting { value: MAX_SPAN, next: 0, next_from: 0 };
    assert_eq!((created.max_lateness, created.timelock), (setting, setting));
    assert_eq!(created.order_shards[0], OrderShards { from_day: 0, shards: u16::MAX, page_slots: 1_267 });
    let Some(Event::PlatformCreated(event)) = platform.events().pop().map(|emitted| emitted.event) else {
        panic!("an event")
    };
    assert_eq!((event.max_lateness, event.timelock), (MAX_SPAN, MAX_SPAN));
    assert_eq!((event.order_shards, event.page_slots), (u16::MAX, 1_267));
}

#[test]
fn accounts_that_are_not_the_platforms_own_addresses_are_refused() {
    let platform = TestPlatform::start();
    for at in [1, 2, 3, 5] {
        let mut create = instruction::create_platform(&platform.payer.pubkey(), &sound(&platform));
        create.accounts[at].pubkey = Addresses::of(77).journal;
        assert!(platform.run(&[create], &[&platform.payer]).is_err(), "account {at}");
    }
}
