//! What the admin decides: settings, assets, offsets and roles, each behind the timelock where it must be.

use rebate_client::{
    account::{AssetKind, Setting},
    event::{AssetEntry, EffectEntry, Event, OffsetEntry},
    instruction::{self, PlatformSetting},
};
use rebate_core::{
    payment::Payment,
    rule::{Field, Operator},
    time::{DAY, MAX_SPAN},
    units::{AssetId, RuleId, RuleVersion, Timestamp},
};
use rebate_tests::{
    beside::{day, said},
    platform::{NOON, TestPlatform, always, asset, first_recharge, payment, when},
};
use solana_keypair::Keypair;
use solana_program::{instruction::Instruction, pubkey::Pubkey};
use solana_signer::Signer;

const HOUR: i64 = 3_600;
const WEEK: u32 = 7 * 86_400;

/// A platform that has accepted a payment: from then on the timelock counts.
fn running() -> TestPlatform {
    let platform = TestPlatform::with_sample_rules();
    platform.pay(&[payment("A0", "u1", 100)]).expect("a payment");
    platform
}

fn last_event(platform: &TestPlatform) -> Event {
    platform.events_of().pop().expect("an event")
}

// ---- Who may ----

/// Every instruction of the admin, each of which would be taken if it did.
fn of_admin(platform: &TestPlatform, admin: &Pubkey) -> Vec<(&'static str, Instruction)> {
    let addresses = &platform.addresses;
    let later = Timestamp(NOON + DAY);
    let key = platform.oracle.pubkey();
    vec![
        (
            "register_oracle_key",
            instruction::register_oracle_key(admin, addresses, &Pubkey::new_unique(), later, Timestamp(0)),
        ),
        ("retire_oracle_key", instruction::retire_oracle_key(admin, addresses, &key, later)),
        ("add_asset", instruction::add_asset(admin, addresses, &asset("stars"), later)),
        ("add_utc_offset", instruction::add_utc_offset(admin, addresses, OffsetEntry { from: later.0, seconds: 0 })),
        (
            "change_setting",
            instruction::change_setting(admin, addresses, PlatformSetting::Timelock, 7_200, Timestamp(0)),
        ),
        ("set_order_shards", instruction::set_order_shards(admin, addresses, day(1), 2, 8)),
        ("propose_admin", instruction::propose_admin(admin, addresses, &Pubkey::new_unique())),
        ("set_pauser", instruction::set_pauser(admin, addresses, &platform.pauser.pubkey())),
        (
            "publish_rule",
            instruction::publish_rule(admin, addresses, &always(9, EffectEntry::Fixed { asset: 1, amount: 1 }), later),
        ),
        ("end_rule", instruction::end_rule(admin, addresses, RuleId(2), later)),
    ]
}

#[test]
fn nobody_but_the_admin_decides_anything() {
    let platform = running();
    let before = (platform.platform().admin, platform.journal());
    let stranger = platform.stranger();
    for stranger in [&platform.pauser, &platform.oracle, &stranger] {
        for (name, instruction) in of_admin(&platform, &stranger.pubkey()) {
            assert_eq!(said(platform.signed_by(&instruction, stranger)), "NotAdmin", "{name}");
        }
    }
    for (name, mut instruction) in of_admin(&platform, &platform.admin.pubkey()) {
        instruction.accounts[0].is_signer = false;
        assert_eq!(said(platform.as_payer(&instruction)), "failed", "{name}, not signed");
    }
    let drop = instruction::drop_rule(&stranger.pubkey(), &platform.addresses, RuleId(1), RuleVersion(1));
    assert_eq!(said(platform.signed_by(&drop, &stranger)), "NotAdmin");
    assert_eq!((platform.platform().admin, platform.journal()), before);
    for (name, instruction) in of_admin(&platform, &platform.admin.pubkey()) {
        assert_eq!(said(platform.as_admin(&instruction)), "done", "{name}");
    }
    platform.assert_sound();
}

#[test]
fn an_admin_decides_nothing_of_another_platform_nor_writes_into_its_journal() {
    let platform = running();
    let somebody = platform.stranger();
    let other = platform.beside(2, |_| {});
    let theirs = platform.beside(3, |settings| settings.pauser = somebody.pubkey().to_bytes());
    let propose = instruction::propose_admin(&theirs.admin.pubkey(), &theirs.addresses, &somebody.pubkey());
    theirs.as_admin(&propose).expect("proposed");
    platform.wait_until(0, HOUR);
    theirs.signed_by(&instruction::accept_admin(&somebody.pubkey(), &theirs.addresses), &somebody).expect("accepted");

    let journals = [platform.journal(), other.journal(), theirs.journal()];
    let (mine, here) = (&other.addresses, &platform.addresses);
    for (name, instruction) in of_admin(&platform, &platform.admin.pubkey()) {
        for (of_mine, of_theirs) in [
            (here.platform, theirs.addresses.platform),
            (here.journal, theirs.addresses.journal),
            (here.rule_book, theirs.addresses.rule_book),
            (here.journal, mine.journal),
            (here.rule_book, mine.rule_book),
            (here.platform, mine.platform),
        ] {
            let mut wrong = instruction.clone();
            let Some(account) = wrong.accounts.iter_mut().find(|account| account.pubkey == of_mine) else { continue };
            account.pubkey = of_theirs;
            let expected = if of_theirs == theirs.addresses.platform { "NotAdmin" } else { "WrongPlatform" };
            assert_eq!(said(platform.as_admin(&wrong)), expected, "{name}");
        }
    }
    assert_eq!([platform.journal(), other.journal(), theirs.journal()], journals);
    theirs.assert_sound();
}

#[test]
fn an_account_in_the_wrong_place_or_twice_is_refused_by_every_instruction_of_the_admin() {
    let platform = running();
    let before = platform.journal();
    let addresses = platform.addresses;
    let own = [addresses.platform, addresses.rule_book, addresses.journal, addresses.event_authority];
    for (name, instruction) in of_admin(&platform, &platform.admin.pubkey()) {
        for at in 1..instruction.accounts.len() {
            for wrong in own.into_iter().chain([platform.payer.pubkey(), platform.admin.pubkey()]) {
                let mut altered = instruction.clone();
                if altered.accounts[at].pubkey == wrong {
                    continue;
                }
                altered.accounts[at].pubkey = wrong;
                assert_ne!(said(platform.as_admin(&altered)), "done", "{name}: {wrong} as account {at}");
            }
            let mut closed = instruction.clone();
            if closed.accounts[at].is_writable {
                closed.accounts[at].is_writable = false;
                assert_eq!(said(platform.as_admin(&closed)), "failed", "{name}: account {at} not to be written to");
            }
        }
    }
    assert_eq!(platform.journal(), before);
}

// ---- Settings ----

#[test]
fn a_longer_span_counts_at_once_and_a_shorter_one_after_the_timelock() {
    let platform = running();
    use PlatformSetting::{MaxLateness, Timelock};
    for (setting, held) in [(MaxLateness, WEEK), (Timelock, 3_600)] {
        for early in [0, NOON, NOON + HOUR - 1, -1, i64::MIN] {
            assert_eq!(said(platform.change(setting, held - 1, early)), "TooEarly", "{setting:?} at {early}");
        }
        for past in [NOON - 1, -1, i64::MIN] {
            assert_eq!(said(platform.change(setting, held + 1, past)), "TooEarly", "{setting:?} at {past}");
        }
        assert_eq!(said(platform.change(setting, held, 0)), "done", "as long as it is");
        assert_eq!(said(platform.change(setting, held - 1, NOON + HOUR)), "done");
        let Event::SettingChanged(event) = last_event(&platform) else { panic!("an event") };
        let expected = (setting as u8, held - 1, NOON + HOUR);
        assert_eq!((event.setting, event.value, event.effective_at), expected);
        // Saying so again takes what was announced back.
        assert_eq!(said(platform.change(setting, held, 0)), "done");
    }
    let account = platform.platform();
    assert_eq!(account.max_lateness, Setting { value: WEEK, next: 0, next_from: 0 });
    assert_eq!(account.timelock, Setting { value: 3_600, next: 0, next_from: 0 });
    assert_eq!(said(platform.change(MaxLateness, MAX_SPAN, 0)), "done");
    let late = Payment { paid_at: Timestamp(NOON - 100 * DAY), ..payment("A1", "u1", 100) };
    platform.pay(&[late]).expect("it is taken at once");
    platform.assert_sound();
}

#[test]
fn a_span_is_366_days_at_most_whenever_it_is_to_count() {
    for setting in [PlatformSetting::MaxLateness, PlatformSetting::Timelock] {
        let platform = running();
        let before = (platform.data(&platform.addresses.platform), platform.journal().count);
        for from in [0, NOON + HOUR, NOON + 1_000 * DAY] {
            for seconds in [MAX_SPAN + 1, u32::MAX] {
                let refused = said(platform.change(setting, seconds, from));
                assert_eq!(refused, "InvalidSettings", "{setting:?} of {seconds} s from {from}");
            }
        }
        assert_eq!((platform.data(&platform.addresses.platform), platform.journal().count), before);
        assert_eq!(said(platform.change(setting, MAX_SPAN, NOON + HOUR)), "done", "announced");
        assert_eq!(said(platform.change(setting, MAX_SPAN, 0)), "done", "at once");
        platform.assert_sound();
    }
}

#[test]
fn what_was_announced_counts_from_its_second_on() {
    let platform = running();
    platform.change(PlatformSetting::MaxLateness, 60, NOON + HOUR).expect("announced");
    let late = |order: &str| Payment { paid_at: Timestamp(NOON + HOUR - 61), ..payment(order, "u1", 100) };
    platform.wait_until(0, HOUR - 1);
    platform.pay(&[late("A1")]).expect("not yet");
    platform.wait_until(0, HOUR);
    assert_eq!(said(platform.pay(&[late("A2")])), "TooLate");
    platform.change(PlatformSetting::MaxLateness, 61, NOON + 2 * HOUR).expect("longer, later");
    assert_eq!(said(platform.pay(&[late("A2")])), "TooLate");
    let account = platform.platform();
    assert_eq!(account.max_lateness, Setting { value: 60, next: 61, next_from: NOON + 2 * HOUR });
}

#[test]
fn a_shorter_timelock_shortens_nothing_before_it_counts() {
    let platform = running();
    platform.change(PlatformSetting::Timelock, 0, NOON + HOUR).expect("announced");
    let publish =
        |effective_at| said(platform.publish(&always(9, EffectEntry::Fixed { asset: 1, amount: 1 }), effective_at));
    platform.wait_until(0, HOUR - 1);
    assert_eq!(publish(NOON + 2 * HOUR - 2), "TooEarly");
    assert_eq!(said(platform.change(PlatformSetting::MaxLateness, 60, NOON + 2 * HOUR - 2)), "TooEarly");
    platform.wait_until(0, HOUR);
    assert_eq!(publish(NOON + HOUR - 1), "TooEarly", "never for what was paid before");
    assert_eq!(publish(NOON + HOUR), "done");
    // Lengthened again, it counts at once.
    platform.change(PlatformSetting::Timelock, 86_400, 0).expect("longer");
    assert_eq!(said(platform.change(PlatformSetting::Timelock, 0, NOON + HOUR + DAY - 1)), "TooEarly");
    assert_eq!(said(platform.change(PlatformSetting::Timelock, 0, NOON + HOUR + DAY)), "done");
    platform.assert_sound();
}

#[test]
fn settings_that_do_not_exist_or_let_nothing_in_are_refused() {
    let platform = running();
    assert_eq!(said(platform.change(PlatformSetting::MaxLateness, 0, NOON + DAY)), "InvalidSettings");
    for number in [0, 3, u8::MAX] {
        let (admin, setting) = (platform.admin.pubkey(), PlatformSetting::Timelock);
        let mut unknown = instruction::change_setting(&admin, &platform.addresses, setting, 9_999, Timestamp(0));
        unknown.data[8] = number;
        assert_eq!(said(platform.as_admin(&unknown)), "InvalidSettings", "setting {number}");
    }
}

// ---- Assets ----

#[test]
fn an_asset_is_added_behind_the_timelock() {
    let platform = running();
    let admin = platform.admin.pubkey();
    let add = |entry: &AssetEntry, from| {
        said(platform.as_admin(&instruction::add_asset(&admin, &platform.addresses, entry, Timestamp(from))))
    };
    let stars = AssetEntry { expiry_months: 24, ..asset("stars") };
    for early in [0, NOON, NOON + HOUR - 1] {
        assert_eq!(add(&stars, early), "TooEarly", "from {early}");
    }
    assert_eq!(add(&stars, NOON + HOUR), "done");
    let Event::AssetAdded(event) = last_event(&platform) else { panic!("an event") };
    assert_eq!((event.asset, event.entry, event.active_from), (2, stars, NOON + HOUR));
    let account = platform.platform();
    assert_eq!(account.asset_name(AssetId(2)).as_deref(), Some("stars"));
    let kept = account.asset(AssetId(2)).expect("asset 2");
    assert_eq!((kept.active_from, kept.expiry_months.0, kept.liability.0, kept.has_vault), (NOON + HOUR, 24, 0, 0));
    platform.assert_sound();
}

#[test]
fn an_asset_that_is_none_is_refused_and_so_is_a_ninth() {
    let platform = TestPlatform::start();
    let admin = platform.admin.pubkey();
    let add = |entry: &AssetEntry| {
        said(platform.as_admin(&instruction::add_asset(&admin, &platform.addresses, entry, Timestamp(0))))
    };
    let good = asset("stars");
    for bad in [
        AssetEntry { kind: 0, ..good },
        AssetEntry { kind: 4, ..good },
        AssetEntry { name: [0; 16], ..good },
        AssetEntry { name: [0xff; 16], ..good },
        AssetEntry { name: *b"a\0b\0\0\0\0\0\0\0\0\0\0\0\0\0", ..good },
        AssetEntry { expiry_months: 25, ..good },
        AssetEntry { mint: [1; 32], ..good },
        AssetEntry { kind: AssetKind::Token as u8, ..good },
        AssetEntry { kind: AssetKind::Voucher as u8, mint: [1; 32], ..good },
    ] {
        assert_eq!(add(&bad), "AssetsFull", "{bad:?}");
    }
    for number in 2..=8 {
        assert_eq!(add(&good), "done", "asset {number}");
    }
    assert_eq!(add(&good), "AssetsFull");
    assert_eq!(platform.platform().asset_count, 8);
    platform.assert_sound();
}

// ---- Offsets ----

fn add_offset(platform: &TestPlatform, from: i64, seconds: i32) -> &'static str {
    let add = instruction::add_utc_offset(&platform.admin.pubkey(), &platform.addresses, OffsetEntry { from, seconds });
    said(platform.as_admin(&add))
}

#[test]
fn an_offset_is_added_behind_the_timelock_and_clocks_follow_it() {
    let platform = TestPlatform::start();
    // On Sundays only. In Shanghai it is Sunday from 57 600 seconds after noon in UTC terms of this test: 16:00 UTC.
    let sundays = rebate_client::event::RuleDefinition {
        condition: vec![when(0, Field::Weekday, Operator::Eq, 7)],
        ..always(1, EffectEntry::Fixed { asset: 1, amount: 1 })
    };
    platform.publish(&sundays, 0).expect("a rule");
    platform.pay(&[payment("A0", "u1", 100)]).expect("a payment");
    for early in [0, NOON, NOON + HOUR - 1] {
        assert_eq!(add_offset(&platform, early, 0), "TooEarly", "from {early}");
    }
    // Saturday noon in Shanghai; from two hours later on the clocks show 14 hours ahead of UTC: 20:00 on Saturday.
    assert_eq!(add_offset(&platform, NOON + 2 * HOUR, 14 * 3_600), "done");
    let Event::OffsetAdded(event) = last_event(&platform) else { panic!("an event") };
    assert_eq!(event.offset, OffsetEntry { from: NOON + 2 * HOUR, seconds: 14 * 3_600 });
    platform.wait_until(0, 7 * HOUR);
    let at = |order: &str, hours: i64, balance| {
        platform
            .pay(&[Payment { paid_at: Timestamp(NOON + hours * HOUR), ..payment(order, "u1", 100) }])
            .expect("taken");
        assert_eq!(platform.balance("u1"), balance, "{hours} hours after noon");
    };
    at("A1", 5, 0);
    at("A2", 6, 1);
    platform.assert_sound();
}

#[test]
fn offsets_ascend_and_stay_within_fourteen_hours() {
    let platform = running();
    assert_eq!(add_offset(&platform, NOON + DAY, 14 * 3_600 + 1), "InvalidSettings");
    assert_eq!(add_offset(&platform, NOON + DAY, -14 * 3_600 - 1), "InvalidSettings");
    assert_eq!(add_offset(&platform, NOON + DAY, i32::MIN), "InvalidSettings");
    assert_eq!(add_offset(&platform, NOON + DAY, -14 * 3_600), "done");
    assert_eq!(add_offset(&platform, NOON + DAY, 0), "InvalidSettings", "the same moment");
    assert_eq!(add_offset(&platform, NOON + DAY - 1, 0), "InvalidSettings", "before the last row");
    assert_eq!(platform.platform().offset_count, 2);
}

#[test]
fn a_full_table_loses_its_oldest_row_once_no_record_can_come_for_it() {
    let platform = running();
    // Rows 0, then one for each of the next 15 days from tomorrow's midnight, UTC, on.
    let midnight = |days: i64| i64::from(day(days).0) * DAY;
    for days in 1..=15 {
        assert_eq!(add_offset(&platform, midnight(days), days as i32 * 60), "done");
    }
    assert_eq!(platform.platform().offset_count, 16);
    assert_eq!(add_offset(&platform, midnight(16), 0), "OffsetsFull");
    platform.wait_until(8, 0);
    assert_eq!(add_offset(&platform, midnight(16), 0), "OffsetsFull", "nothing was closed");
    platform.close_days(&[0]).expect("closed");
    assert_eq!(add_offset(&platform, midnight(16), 960), "done", "the first row was for days that are closed");
    let account = platform.platform();
    let rows: Vec<_> = account.offsets().iter().map(|row| (row.from.0, row.seconds)).collect();
    let expected: Vec<_> = (1..=16).map(|days| (midnight(days), days as i32 * 60)).collect();
    assert_eq!(rows, expected);
    assert_eq!(add_offset(&platform, midnight(17), 0), "OffsetsFull", "tomorrow is still open");
    platform.assert_sound();
}

// ---- Roles ----

#[test]
fn the_role_of_admin_is_taken_up_by_who_was_proposed_after_the_timelock() {
    let platform = running();
    let (next, stranger) = (platform.stranger(), platform.stranger());
    let accept =
        |who: &Keypair| said(platform.signed_by(&instruction::accept_admin(&who.pubkey(), &platform.addresses), who));
    let propose = |next: &Pubkey| {
        said(platform.as_admin(&instruction::propose_admin(&platform.admin.pubkey(), &platform.addresses, next)))
    };
    assert_eq!(accept(&stranger), "NotNextAdmin", "nobody was proposed");
    assert_eq!(propose(&next.pubkey()), "done");
    let Event::RoleChanged(event) = last_event(&platform) else { panic!("an event") };
    assert_eq!((event.role, event.holder, event.effective_at), (1, next.pubkey().to_bytes(), NOON + HOUR));
    platform.wait_until(0, HOUR - 1);
    assert_eq!(accept(&next), "NotNextAdmin", "a second before");
    assert_eq!(accept(&stranger), "NotNextAdmin");
    assert_eq!(accept(&platform.admin), "NotNextAdmin");
    // Proposed again, the time begins anew.
    assert_eq!(propose(&next.pubkey()), "done");
    platform.wait_until(0, HOUR);
    assert_eq!(accept(&next), "NotNextAdmin");
    // Taken back, there is nobody.
    assert_eq!(propose(&Pubkey::default()), "done");
    platform.wait_until(1, 0);
    assert_eq!(accept(&next), "NotNextAdmin");
    assert_eq!(propose(&next.pubkey()), "done");
    platform.wait_until(1, HOUR);
    assert_eq!(accept(&stranger), "NotNextAdmin");
    let mut unsigned = instruction::accept_admin(&next.pubkey(), &platform.addresses);
    unsigned.accounts[0].is_signer = false;
    assert_eq!(said(platform.as_payer(&unsigned)), "failed");
    assert_eq!(accept(&next), "done");
    let Event::RoleChanged(event) = last_event(&platform) else { panic!("an event") };
    assert_eq!((event.role, event.holder, event.effective_at), (1, next.pubkey().to_bytes(), 0));

    let account = platform.platform();
    assert_eq!((account.admin, account.next_admin), (next.pubkey().to_bytes(), [0; 32]));
    assert_eq!(accept(&next), "NotNextAdmin", "once");
    assert_eq!(propose(&stranger.pubkey()), "NotAdmin", "the old admin is none any more");
    let publish = instruction::publish_rule(
        &next.pubkey(),
        &platform.addresses,
        &always(9, EffectEntry::Fixed { asset: 1, amount: 1 }),
        Timestamp(NOON + 3 * DAY),
    );
    assert_eq!(said(platform.signed_by(&publish, &next)), "done");
    platform.assert_sound();
}

#[test]
fn who_was_proposed_for_one_platform_takes_up_no_other() {
    let platform = TestPlatform::start();
    let next = platform.stranger();
    let other = platform.beside(2, |_| {});
    platform
        .as_admin(&instruction::propose_admin(&platform.admin.pubkey(), &platform.addresses, &next.pubkey()))
        .expect("proposed");
    platform.wait_until(1, 0);
    let mut accept = instruction::accept_admin(&next.pubkey(), &platform.addresses);
    accept.accounts[1].pubkey = other.addresses.platform;
    assert_eq!(said(platform.signed_by(&accept, &next)), "NotNextAdmin");
    let mut accept = instruction::accept_admin(&next.pubkey(), &platform.addresses);
    accept.accounts[2].pubkey = other.addresses.journal;
    assert_eq!(said(platform.signed_by(&accept, &next)), "WrongPlatform");
}

#[test]
fn a_pauser_is_replaced_at_once() {
    let platform = running();
    let next = platform.stranger();
    let pause = |who: &Keypair, paused| {
        said(platform.signed_by(&instruction::set_paused(&who.pubkey(), &platform.addresses, paused), who))
    };
    assert_eq!(pause(&next, true), "NotPauser");
    assert_eq!(pause(&platform.pauser, true), "done");
    let set = instruction::set_pauser(&platform.admin.pubkey(), &platform.addresses, &next.pubkey());
    assert_eq!(said(platform.as_admin(&set)), "done", "also while it is paused");
    let Event::RoleChanged(event) = last_event(&platform) else { panic!("an event") };
    assert_eq!((event.role, event.holder, event.effective_at), (2, next.pubkey().to_bytes(), 0));
    assert_eq!(pause(&platform.pauser, false), "NotPauser");
    assert_eq!(pause(&next, false), "done");
    platform.pay(&[payment("A1", "u1", 100)]).expect("it runs again");
    platform.assert_sound();
}

#[test]
fn a_pause_stops_records_and_neither_rules_nor_pages_nor_proofs() {
    let platform = TestPlatform::start();
    platform.publish(&first_recharge(), 0).expect("a rule");
    let paid = payment("A0", "u1", 100);
    platform.pay(&[paid]).expect("a payment");
    let pause = instruction::set_paused(&platform.pauser.pubkey(), &platform.addresses, true);
    platform.signed_by(&pause, &platform.pauser).expect("paused");
    assert_eq!(said(platform.pay(&[payment("A1", "u1", 100)])), "Paused");
    platform.prove(&paid.order);
    let rule = always(9, EffectEntry::Fixed { asset: 1, amount: 1 });
    assert_eq!(said(platform.publish(&rule, NOON + DAY)), "done");
    assert_eq!(said(platform.open_page(1, 0, 8)), "done");
    platform.wait_until(9, 0);
    assert_eq!(said(platform.close_days(&[0, 1])), "done");
    platform.assert_sound();
}
