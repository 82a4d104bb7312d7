//! Counters towards streamers and in sessions, and room in users' accounts.

use rebate_client::{
    account::Counter,
    chain::{SubmitError, embedded::Executed},
    event::{EffectEntry, LimitsEntry, RuleDefinition},
    instruction::{self, PlatformSetting, RecordAccounts},
    platform_id,
};
use rebate_core::{
    counters::Counters,
    outcome::Reason,
    payment::Payment,
    rule::{Field, Limits, OnLimit, Operator},
    time::DAY,
    units::{Amount, OrderHash, RuleId, RuleVersion, ScopeId, Timestamp, UserKey},
    window::{Scope, Window},
};
use rebate_tests::{
    beside::{logs, said},
    platform::{NOON, TestPlatform, always, asset, payment, when},
};
use solana_program::pubkey::Pubkey;
use solana_signer::Signer;

const STREAMER: u64 = 9;
const SESSION: u64 = 7;

/// 10 % once per window of one scope.
fn once(id: u16, window: Window, scope: Scope) -> RuleDefinition {
    RuleDefinition {
        window: window as u8,
        scope: scope as u8,
        limits: LimitsEntry::new(Limits { user_count: 1, ..Limits::default() }, OnLimit::Clip),
        ..always(id, EffectEntry::Ratio { asset: 1, bps: 1_000, min: 0, max: 0 })
    }
}

/// A platform with these rules since ever.
fn with_rules(rules: &[RuleDefinition]) -> TestPlatform {
    let platform = TestPlatform::start();
    for rule in rules {
        platform.publish(rule, 0).expect("a rule");
    }
    platform
}

/// A payment to [`STREAMER`] in [`SESSION`], so many days after [`NOON`].
fn paid_on(days: i64, order: &str) -> Payment {
    let paid_at = Timestamp(NOON + days * DAY);
    Payment { paid_at, streamer: STREAMER, session: SESSION, ..payment(order, "u1", 1_000) }
}

fn key() -> UserKey {
    platform_id::unkeyed_user("u1")
}

fn open(platform: &TestPlatform, scope: Scope, id: u64, slots: u8) -> &'static str {
    let payer = platform.payer.pubkey();
    said(platform.as_payer(&instruction::open_counter(&payer, &platform.addresses, &key(), scope, ScopeId(id), slots)))
}

fn counter(platform: &TestPlatform, scope: Scope, id: u64) -> Pubkey {
    platform.addresses.counter(&key(), scope, ScopeId(id))
}

fn counted(platform: &TestPlatform, scope: Scope, id: u64) -> (Counter, Vec<Counters>) {
    let data = platform.data(&counter(platform, scope, id)).expect("counters");
    Counter::decode_with_counters(&data).expect("a counter's account")
}

/// Records a payment with the counters that are named.
fn pay_with(platform: &TestPlatform, payment: &Payment, counters: Vec<Pubkey>) -> Result<Executed, SubmitError> {
    let accounts = RecordAccounts {
        user: platform.addresses.user(&payment.user),
        pages: vec![platform.addresses.order_page(rebate_client::address::day_of(payment.paid_at), 0, 0)],
        refund: None,
        counters,
    };
    let record = instruction::record_payments(&platform.addresses, &[accounts], &platform.sign(&[*payment]));
    platform.run(&record, &[&platform.payer])
}

fn close(platform: &TestPlatform, scope: Scope, id: u64) -> &'static str {
    let payer = platform.payer.pubkey();
    let close = instruction::close_counter(&payer, &platform.addresses, &key(), scope, ScopeId(id), &payer);
    said(platform.as_payer(&close))
}

fn reason(platform: &TestPlatform) -> Reason {
    let recorded = platform.recorded();
    let outcome = recorded.last().and_then(|event| event.outcomes.first()).expect("an outcome");
    Reason::from_number(outcome.reason).expect("a known reason")
}

// ---- What is missing ----

#[test]
fn a_missing_counter_is_refused_and_the_log_names_rule_and_scope() {
    let platform = with_rules(&[
        once(4, Window::Day, Scope::User),
        once(5, Window::Day, Scope::UserStreamer),
        once(6, Window::Day, Scope::UserSession),
    ]);
    let paid = paid_on(0, "A1");
    platform.open_for(&paid);
    let (streamer, session) =
        (counter(&platform, Scope::UserStreamer, STREAMER), counter(&platform, Scope::UserSession, SESSION));
    for (counters, line) in [
        (vec![], "rule 5 needs user_streamer counters, or room in them"),
        (vec![session], "rule 5 needs user_streamer counters, or room in them"),
        (vec![streamer], "rule 6 needs user_session counters, or room in them"),
    ] {
        let refused = pay_with(&platform, &paid, counters);
        assert_eq!(said(refused.clone()), "CounterMissing");
        assert!(logs(refused).contains(&format!("Program log: {line}")), "{line}");
    }
    assert_eq!(said(pay_with(&platform, &paid, vec![session, streamer])), "done", "in any order");
    assert_eq!(platform.balance("u1"), 300);
    platform.assert_sound();
}

#[test]
fn an_account_without_room_for_a_rules_counters_is_refused_and_the_log_names_the_rule() {
    let platform = with_rules(&[once(4, Window::Day, Scope::User), once(5, Window::Day, Scope::UserStreamer)]);
    let payer = platform.payer.pubkey();
    let paid = paid_on(0, "A1");
    platform.open_page(0, 0, 64).expect("a page");
    platform.as_payer(&instruction::open_user(&payer, &platform.addresses, &key(), 0)).expect("a user without room");
    assert_eq!(open(&platform, Scope::UserStreamer, STREAMER, 0), "done");
    let streamer = counter(&platform, Scope::UserStreamer, STREAMER);

    let refused = pay_with(&platform, &paid, vec![streamer]);
    assert_eq!(said(refused.clone()), "NoRoom");
    assert!(logs(refused).contains(&"Program log: rule 4 needs user counters, or room in them".to_owned()));
    platform.as_payer(&instruction::grow_user(&payer, &platform.addresses, &key(), 1)).expect("room");

    let refused = pay_with(&platform, &paid, vec![streamer]);
    assert_eq!(said(refused.clone()), "NoRoom");
    assert!(logs(refused).contains(&"Program log: rule 5 needs user_streamer counters, or room in them".to_owned()));
    let grow =
        instruction::grow_counter(&payer, &platform.addresses, &key(), Scope::UserStreamer, ScopeId(STREAMER), 1);
    platform.as_payer(&grow).expect("room");
    assert_eq!(said(pay_with(&platform, &paid, vec![streamer])), "done");
    platform.assert_sound();
}

#[test]
fn an_account_without_room_for_an_asset_is_refused_and_the_log_names_rule_and_asset() {
    let platform = with_rules(&[]);
    let payer = platform.payer.pubkey();
    platform.open_page(0, 0, 64).expect("a page");
    platform.as_payer(&instruction::open_user(&payer, &platform.addresses, &key(), 2)).expect("a user");
    let add = instruction::add_asset(&platform.admin.pubkey(), &platform.addresses, &asset("stars"), Timestamp(0));
    platform.as_admin(&add).expect("a second asset");
    for (id, asset) in [(1, 1), (2, 2)] {
        platform.publish(&always(id, EffectEntry::Fixed { asset, amount: 5 }), 0).expect("a rule");
    }
    let refused = pay_with(&platform, &paid_on(0, "A1"), vec![]);
    assert_eq!(said(refused.clone()), "NoRoom");
    assert!(logs(refused).contains(&"Program log: rule 2 needs room for asset 2".to_owned()));
    platform.assert_sound();

    platform.pay(&[paid_on(0, "A1")]).expect("the recorder makes room");
    let state = platform.user("u1");
    assert_eq!((state.user.balance_slots, state.user.counter_slots), (2, 2));
    assert_eq!((state.balances[0].total(), state.balances[1].total()), (Amount(5), Amount(5)));
    platform.assert_sound();
}

// ---- Whose counters ----

#[test]
fn counters_of_anybody_or_anything_else_are_refused() {
    let platform = with_rules(&[once(5, Window::Day, Scope::UserStreamer), once(6, Window::Day, Scope::UserSession)]);
    let paid = paid_on(0, "A1");
    platform.open_for(&paid);
    let stranger = Payment { user: platform_id::unkeyed_user("u2"), ..paid };
    platform.open_for(&stranger);
    // The same numbers in the other scope.
    assert_eq!(open(&platform, Scope::UserStreamer, SESSION, 2), "done");
    assert_eq!(open(&platform, Scope::UserSession, STREAMER, 2), "done");
    let other = platform.beside(2, |_| {});
    assert_eq!(open(&other, Scope::UserStreamer, STREAMER, 2), "done");

    let streamer = counter(&platform, Scope::UserStreamer, STREAMER);
    let session = counter(&platform, Scope::UserSession, SESSION);
    let of_stranger = platform.addresses.counter(&stranger.user, Scope::UserStreamer, ScopeId(STREAMER));
    for (counters, expected) in [
        (vec![of_stranger, session], "WrongCounter"),
        (vec![counter(&platform, Scope::UserStreamer, SESSION), session], "WrongCounter"),
        (vec![streamer, counter(&platform, Scope::UserSession, STREAMER)], "WrongCounter"),
        (vec![counter(&other, Scope::UserStreamer, STREAMER), session], "WrongCounter"),
        (vec![streamer, session, streamer], "WrongCounter"),
        (vec![streamer, streamer, session], "WrongCounter"),
        (vec![streamer, session, of_stranger], "WrongCounter"),
        (vec![streamer, session, platform.addresses.user(&paid.user)], "WrongAccounts"),
        (vec![streamer, session, platform.page(0, 0)], "WrongCounter"),
        (vec![streamer, session, platform.addresses.journal], "failed"),
        (vec![streamer, session, platform.payer.pubkey()], "WrongCounter"),
        (vec![counter(&platform, Scope::UserStreamer, 1_000), session], "WrongCounter"),
    ] {
        assert_eq!(said(pay_with(&platform, &paid, counters.clone())), expected, "{counters:?}");
    }
    assert!(platform.recorded().is_empty());
    assert_eq!(counted(&platform, Scope::UserStreamer, STREAMER).1, [Counters::default()]);
    assert_eq!(said(pay_with(&platform, &paid, vec![streamer, session])), "done");
    platform.assert_sound();
}

#[test]
fn counters_that_no_rule_needs_are_taken_and_left_as_they_are() {
    let platform = with_rules(&[]);
    let paid = paid_on(0, "A1");
    platform.open_for(&paid);
    assert_eq!(open(&platform, Scope::UserStreamer, STREAMER, 1), "done");
    let streamer = counter(&platform, Scope::UserStreamer, STREAMER);
    let before = counted(&platform, Scope::UserStreamer, STREAMER);
    assert_eq!(said(pay_with(&platform, &paid, vec![streamer])), "done");
    assert_eq!(counted(&platform, Scope::UserStreamer, STREAMER), before);
}

#[test]
fn a_streamers_and_a_sessions_counters_go_on_by_themselves() {
    let platform =
        with_rules(&[once(5, Window::Lifetime, Scope::UserStreamer), once(6, Window::Lifetime, Scope::UserSession)]);
    let with = |order: &str, streamer, session| Payment { streamer, session, ..paid_on(0, order) };
    let mut granted = Vec::new();
    for (order, streamer, session) in [("A1", 1, 1), ("A2", 1, 2), ("A3", 2, 2), ("A4", 0, 0), ("A5", 0, 0)] {
        platform.pay(&[with(order, streamer, session)]).expect("a payment");
        let recorded = platform.recorded();
        let event = recorded.last().expect("it");
        granted.push(event.outcomes.iter().map(|outcome| outcome.amount).collect::<Vec<_>>());
    }
    assert_eq!(granted, [[100, 100], [0, 100], [100, 0], [100, 100], [0, 0]], "nobody and none are a scope too");
    let (header, counters) = counted(&platform, Scope::UserStreamer, 1);
    assert_eq!((header.scope, header.scope_id, header.user), (2, ScopeId(1), key().0));
    assert_eq!((counters[0].rule, counters[0].payments, counters[0].grants), (RuleId(5), 2, 1));
    platform.assert_sound();
}

// ---- Opening and growing ----

#[test]
fn counters_are_opened_once_for_a_streamer_or_a_session() {
    let platform = with_rules(&[]);
    assert_eq!(open(&platform, Scope::User, 0, 1), "WrongCounter", "a user's own stand with the user");
    assert_eq!(open(&platform, Scope::UserSession, u64::MAX, u8::MAX), "failed", "more than an account begins with");
    assert_eq!(open(&platform, Scope::UserSession, u64::MAX, 200), "done");
    assert_eq!(open(&platform, Scope::UserSession, u64::MAX, 1), "failed", "they are there");
    let payer = platform.payer.pubkey();
    for scope in [0u8, 4, u8::MAX] {
        let mut unknown =
            instruction::open_counter(&payer, &platform.addresses, &key(), Scope::UserStreamer, ScopeId(STREAMER), 1);
        unknown.data[40] = scope;
        let seeds: &[&[u8]] =
            &[b"counter", platform.addresses.platform.as_ref(), &key().0, &[scope], &STREAMER.to_le_bytes()];
        unknown.accounts[2].pubkey = Pubkey::find_program_address(seeds, &rebate_client::address::PROGRAM).0;
        assert_eq!(said(platform.as_payer(&unknown)), "WrongCounter", "scope {scope}");
    }
    let mut elsewhere =
        instruction::open_counter(&payer, &platform.addresses, &key(), Scope::UserStreamer, ScopeId(1), 1);
    elsewhere.accounts[2].pubkey = counter(&platform, Scope::UserStreamer, 2);
    assert_eq!(said(platform.as_payer(&elsewhere)), "failed");
}

#[test]
fn an_address_that_somebody_sent_lamports_to_can_still_be_opened() {
    let platform = with_rules(&[once(5, Window::Day, Scope::UserStreamer)]);
    let paid = paid_on(0, "A1");
    for address in [
        platform.addresses.user(&key()),
        platform.page(0, 0),
        counter(&platform, Scope::UserStreamer, STREAMER),
        platform.addresses.refund(&paid.order),
    ] {
        platform.fund(&address);
    }
    platform.pay(&[paid]).expect("all of them opened");
    let length = u32::try_from(platform.events().last().expect("its event").bytes.len()).expect("a length");
    let open = instruction::open_refund(&platform.payer.pubkey(), &platform.addresses, &paid.order, length);
    platform.as_payer(&open).expect("this one too");
    platform.assert_sound();
}

#[test]
fn counters_grow_and_keep_what_they_have() {
    let platform = with_rules(&[once(5, Window::Lifetime, Scope::UserStreamer)]);
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    let grow = |slots| {
        let payer = platform.payer.pubkey();
        let (scope, id) = (Scope::UserStreamer, ScopeId(STREAMER));
        said(platform.as_payer(&instruction::grow_counter(&payer, &platform.addresses, &key(), scope, id, slots)))
    };
    let (_, before) = counted(&platform, Scope::UserStreamer, STREAMER);
    assert_eq!(grow(0), "NoRoom", "they never shrink");
    assert_eq!(grow(1), "done", "nothing changes");
    assert_eq!(grow(200), "done");
    assert_eq!(grow(u8::MAX), "done");
    let (header, after) = counted(&platform, Scope::UserStreamer, STREAMER);
    assert_eq!((header.slots, after.len()), (u8::MAX, 255));
    assert_eq!(after[..1], before);
    assert!(after[1..].iter().all(Counters::is_free));
    platform.pay(&[paid_on(0, "A2")]).expect("a payment");
    assert_eq!(reason(&platform), Reason::UserLimit, "it still knows of the first");
    platform.assert_sound();
}

#[test]
fn counters_of_another_platform_do_not_grow() {
    let platform = with_rules(&[]);
    let other = platform.beside(2, |_| {});
    assert_eq!(open(&platform, Scope::UserStreamer, STREAMER, 1), "done");
    let payer = platform.payer.pubkey();
    let mut grow =
        instruction::grow_counter(&payer, &platform.addresses, &key(), Scope::UserStreamer, ScopeId(STREAMER), 2);
    grow.accounts[1].pubkey = other.addresses.platform;
    assert_eq!(said(platform.as_payer(&grow)), "WrongPlatform");
}

#[test]
fn who_does_not_grow_counters_cannot_keep_others_from_it() {
    // Somebody opens a user's counters before the relayer does, with room for one rule.
    let platform = with_rules(&[once(5, Window::Lifetime, Scope::UserStreamer)]);
    let stranger = platform.stranger();
    let (scope, id) = (Scope::UserStreamer, ScopeId(STREAMER));
    let open = instruction::open_counter(&stranger.pubkey(), &platform.addresses, &key(), scope, id, 1);
    platform.signed_by(&open, &stranger).expect("anybody may");
    platform.pay(&[paid_on(0, "A1")]).expect("there is room for one");

    platform.publish(&once(6, Window::Lifetime, Scope::UserStreamer), NOON + 3_600).expect("a second rule");
    platform.wait_until(1, 0);
    platform.pay(&[paid_on(1, "A2")]).expect("the recorder makes room");
    assert_eq!(counted(&platform, scope, STREAMER).0.slots, 2);
    assert_eq!(platform.recorded().last().map(|event| event.outcomes[1].amount), Some(100));
    platform.assert_sound();
}

#[test]
fn a_user_grows_and_keeps_balances_and_counters() {
    let platform = with_rules(&[once(4, Window::Lifetime, Scope::User), once(5, Window::Day, Scope::User)]);
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    let before = platform.user("u1");
    let grow = |slots| {
        said(platform.as_payer(&instruction::grow_user(&platform.payer.pubkey(), &platform.addresses, &key(), slots)))
    };
    assert_eq!(grow(1), "NoRoom", "it never shrinks");
    assert_eq!(grow(2), "done", "nothing changes");
    assert_eq!(platform.user("u1"), before);
    for name in ["stars", "moons"] {
        let add = instruction::add_asset(
            &platform.admin.pubkey(),
            &platform.addresses,
            &asset(name),
            Timestamp(NOON + 3_600),
        );
        platform.as_admin(&add).expect("an asset");
    }
    assert_eq!(grow(200), "done");
    assert_eq!(grow(255), "done");
    let after = platform.user("u1");
    assert_eq!((after.user.balance_slots, after.user.counter_slots), (3, 255));
    assert_eq!((after.user.payments, after.user.key), (before.user.payments, before.user.key));
    assert_eq!(after.balances, before.balances);
    assert_eq!(after.counters[..2], before.counters);
    assert!(after.counters[2..].iter().all(Counters::is_free));
    platform.pay(&[paid_on(0, "A2")]).expect("a payment");
    assert_eq!(reason(&platform), Reason::UserLimit);
    platform.assert_sound();

    let other = platform.beside(2, |_| {});
    let mut foreign = instruction::grow_user(&platform.payer.pubkey(), &platform.addresses, &key(), 255);
    foreign.accounts[1].pubkey = other.addresses.platform;
    assert_eq!(said(platform.as_payer(&foreign)), "WrongPlatform");
}

#[test]
fn a_user_whose_counters_are_of_dropped_rules_has_room_for_new_ones() {
    let platform = with_rules(&[once(1, Window::Lifetime, Scope::User), once(2, Window::Lifetime, Scope::User)]);
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    let end = |rule| {
        let (admin, ends_at) = (platform.admin.pubkey(), Timestamp(NOON + 3_600));
        platform.as_admin(&instruction::end_rule(&admin, &platform.addresses, RuleId(rule), ends_at)).expect("ended");
    };
    (1..=2).for_each(end);
    platform.wait_until(8, 0);
    platform.close_days(&[0]).expect("closed");
    for rule in 1..=2 {
        let admin = platform.admin.pubkey();
        let drop = instruction::drop_rule(&admin, &platform.addresses, RuleId(rule), RuleVersion(1));
        platform.as_admin(&drop).expect("dropped");
    }
    let from = NOON + 8 * DAY + 3_600;
    platform.publish(&once(3, Window::Lifetime, Scope::User), from).expect("a new rule");
    platform.wait_until(9, 0);
    assert_eq!(said(platform.pay(&[paid_on(9, "A2")])), "done");
    assert_eq!(platform.balance("u1"), 300);
    platform.assert_sound();
}

// ---- Closing ----

#[test]
fn counters_close_once_their_windows_days_are_closed_and_the_rent_goes_to_who_opened_them() {
    let platform = with_rules(&[once(5, Window::Day, Scope::UserStreamer)]);
    let (opener, closer) = (platform.stranger(), platform.stranger());
    let (scope, id) = (Scope::UserStreamer, ScopeId(STREAMER));
    let opening = instruction::open_counter(&opener.pubkey(), &platform.addresses, &key(), scope, id, 1);
    platform.signed_by(&opening, &opener).expect("opened");
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    let address = counter(&platform, scope, STREAMER);
    let rent = platform.lamports(&address);
    let closing =
        |to: &Pubkey| instruction::close_counter(&closer.pubkey(), &platform.addresses, &key(), scope, id, to);
    let close = closing(&opener.pubkey());

    assert_eq!(said(platform.signed_by(&close, &closer)), "CounterInUse");
    platform.wait_until(8, 0);
    assert_eq!(said(platform.signed_by(&close, &closer)), "CounterInUse", "its day is over, and not closed");
    platform.close_days(&[0]).expect("closed");
    assert_eq!(said(platform.signed_by(&close, &closer)), "CounterInUse", "it may still be that day somewhere");
    platform.open_page(2, 0, 8).expect("a page");
    platform.wait_until(10, 0);
    platform.close_days(&[2]).expect("closed");

    assert_eq!(said(platform.signed_by(&closing(&closer.pubkey()), &closer)), "NotPayer");
    assert_eq!(said(platform.signed_by(&closing(&address), &closer)), "failed", "itself");
    let (opened, closed) = (platform.lamports(&opener.pubkey()), platform.lamports(&closer.pubkey()));
    platform.signed_by(&close, &closer).expect("closed");
    assert_eq!(platform.lamports(&opener.pubkey()), opened + rent);
    assert_eq!(platform.lamports(&closer.pubkey()), closed);
    assert_eq!((platform.exists(&address), platform.lamports(&address)), (false, 0));
    platform.assert_sound();
}

#[test]
fn who_opened_counters_closes_them() {
    let platform = with_rules(&[]);
    assert_eq!(open(&platform, Scope::UserSession, SESSION, 3), "done");
    let address = counter(&platform, Scope::UserSession, SESSION);
    let (before, rent) = (platform.lamports(&platform.payer.pubkey()), platform.lamports(&address));
    assert_eq!(close(&platform, Scope::UserSession, SESSION), "done", "nothing was counted");
    assert_eq!(platform.lamports(&platform.payer.pubkey()) + 5_000, before + rent);
}

#[test]
fn counters_are_not_closed_by_another_platforms_rules() {
    let platform = with_rules(&[once(5, Window::Day, Scope::UserStreamer)]);
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    let other = platform.beside(2, |_| {});
    let payer = platform.payer.pubkey();
    let (scope, id) = (Scope::UserStreamer, ScopeId(STREAMER));
    let closing = instruction::close_counter(&payer, &platform.addresses, &key(), scope, id, &payer);
    let mut rules = closing.clone();
    rules.accounts[2].pubkey = other.addresses.rule_book;
    assert_eq!(said(platform.as_payer(&rules)), "WrongPlatform");
    let mut both = rules;
    both.accounts[1].pubkey = other.addresses.platform;
    assert_eq!(said(platform.as_payer(&both)), "WrongPlatform");
    let mut user = closing;
    user.accounts[3].pubkey = platform.addresses.user(&key());
    assert_eq!(said(platform.as_payer(&user)), "failed");
}

#[test]
fn counters_without_an_end_stay_while_their_rule_is_in_force() {
    let platform = with_rules(&[once(5, Window::Lifetime, Scope::UserStreamer)]);
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    for days in [40, 400] {
        platform.wait_until(days, 0);
        platform.open_page(0, 0, 8).expect_err("it is there");
    }
    platform.close_days(&[0]).expect("closed");
    assert_eq!(close(&platform, Scope::UserStreamer, STREAMER), "CounterInUse");

    let ends_at = Timestamp(NOON + 401 * DAY);
    let end = instruction::end_rule(&platform.admin.pubkey(), &platform.addresses, RuleId(5), ends_at);
    platform.as_admin(&end).expect("ended");
    platform.wait_until(401, 0);
    platform.open_page(401, 0, 8).expect("the day it ends");
    platform.wait_until(408, 72_000 - 1);
    assert_eq!(said(platform.close_days(&[401])), "OrderPageInUse");
    assert_eq!(close(&platform, Scope::UserStreamer, STREAMER), "CounterInUse", "a payment can still come");
    platform.wait_until(408, 72_000);
    platform.close_days(&[401]).expect("closed");
    assert_eq!(close(&platform, Scope::UserStreamer, STREAMER), "done");
    platform.assert_sound();
}

#[test]
fn a_streak_keeps_its_counters_until_it_has_ended() {
    let streak = RuleDefinition {
        window: Window::Day as u8,
        scope: Scope::UserStreamer as u8,
        ..always(5, EffectEntry::Streak { asset: 1, days: 3, amount: 50, recurring: false })
    };
    let platform = with_rules(&[streak]);
    for days in 0..2 {
        platform.wait_until(days, 0);
        platform.pay(&[paid_on(days, &format!("A{days}"))]).expect("a payment");
    }
    // A minute of lateness: days close soon.
    let from = NOON + DAY + 3_600;
    platform.change(PlatformSetting::MaxLateness, 60, from).expect("announced");
    platform.wait_until(2, 0);
    platform.close_days(&[0, 1]).expect("closed");
    assert_eq!(close(&platform, Scope::UserStreamer, STREAMER), "CounterInUse", "the third day is still to come");
    platform.pay(&[paid_on(2, "A2")]).expect("a payment");
    assert_eq!(reason(&platform), Reason::Granted, "the third day in a row");
    platform.wait_until(5, 0);
    platform.open_page(4, 0, 8).expect_err("too late for it");
    platform.open_page(5, 0, 8).expect("a page");
    platform.wait_until(6, 0);
    platform.close_days(&[5]).expect("closed");
    assert_eq!(close(&platform, Scope::UserStreamer, STREAMER), "done");
    platform.assert_sound();
}

#[test]
fn counters_closed_and_opened_again_grant_nothing_a_second_time() {
    let platform = with_rules(&[once(5, Window::Day, Scope::UserStreamer)]);
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    platform.pay(&[paid_on(0, "A2")]).expect("a payment");
    assert_eq!(reason(&platform), Reason::UserLimit, "once a day");
    platform.open_page(2, 0, 8).expect("a page");
    platform.wait_until(10, 0);
    platform.close_days(&[0, 2]).expect("closed");
    assert_eq!(close(&platform, Scope::UserStreamer, STREAMER), "done");
    assert_eq!(open(&platform, Scope::UserStreamer, STREAMER, 1), "done");

    // Whatever comes for the days that the closed counters knew is too late, with any lateness.
    platform.change(PlatformSetting::MaxLateness, 365 * 86_400, 0).expect("longer");
    let streamer = counter(&platform, Scope::UserStreamer, STREAMER);
    for days in 0..=2 {
        for order in ["A1", "A2", "new"] {
            let late = Payment { order: OrderHash::of(order), ..paid_on(days, order) };
            assert_eq!(said(pay_with(&platform, &late, vec![streamer])), "TooLate", "{order} on day {days}");
        }
    }
    platform.pay(&[paid_on(3, "A3")]).expect("the first day that is open");
    assert_eq!(reason(&platform), Reason::Granted);
    platform.pay(&[paid_on(3, "A4")]).expect("a payment");
    assert_eq!(reason(&platform), Reason::UserLimit);
    assert_eq!(platform.balance("u1"), 200);
    platform.assert_sound();
}

#[test]
fn counters_closed_within_a_transaction_are_gone_in_it() {
    let platform = with_rules(&[once(5, Window::Day, Scope::UserStreamer)]);
    let paid = paid_on(0, "A1");
    platform.open_for(&paid);
    let payer = platform.payer.pubkey();
    let (scope, id) = (Scope::UserStreamer, ScopeId(STREAMER));
    let closing = instruction::close_counter(&payer, &platform.addresses, &key(), scope, id, &payer);
    let opening = instruction::open_counter(&payer, &platform.addresses, &key(), scope, id, 2);
    let [ed25519, record] = platform.record(&[paid], &platform.sign(&[paid]));
    let gone = platform.run(&[closing.clone(), ed25519.clone(), record.clone()], &[&platform.payer]);
    assert_eq!(said(gone), "WrongCounter");
    assert_eq!(said(platform.run(&[closing.clone(), closing.clone()], &[&platform.payer])), "failed");
    let again = platform.run(&[closing, opening, ed25519, record], &[&platform.payer]);
    assert_eq!(said(again), "done", "closed, opened with more room, and used");
    assert_eq!(counted(&platform, scope, STREAMER).1.len(), 2);
    platform.assert_sound();
}

#[test]
fn a_version_with_another_scope_begins_anew() {
    let platform = with_rules(&[once(5, Window::Lifetime, Scope::UserStreamer)]);
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    let second = RuleDefinition { version: 2, ..once(5, Window::Lifetime, Scope::User) };
    platform.publish(&second, NOON + DAY).expect("a version");
    platform.wait_until(1, 0);
    platform.pay(&[paid_on(1, "A2")]).expect("a payment");
    assert_eq!(reason(&platform), Reason::Granted, "the user's own counters know nothing yet");
    platform.pay(&[paid_on(1, "A3")]).expect("a payment");
    assert_eq!(reason(&platform), Reason::UserLimit);
    // A late payment of the day before is still the first version's, with its counters.
    platform.pay(&[paid_on(0, "A4")]).expect("a late payment");
    assert_eq!(reason(&platform), Reason::UserLimit);
    platform.assert_sound();
}

#[test]
fn a_condition_on_counters_reads_those_of_its_scope() {
    let second = RuleDefinition {
        condition: vec![when(0, Field::Payments, Operator::Eq, 2)],
        scope: Scope::UserStreamer as u8,
        window: Window::Week as u8,
        ..always(5, EffectEntry::Fixed { asset: 1, amount: 9 })
    };
    let platform = with_rules(&[second]);
    let to = |order: &str, streamer| Payment { streamer, ..paid_on(0, order) };
    for (order, streamer, balance) in [("A1", 1, 0), ("A2", 2, 0), ("A3", 1, 9), ("A4", 1, 9), ("A5", 2, 18)] {
        platform.pay(&[to(order, streamer)]).expect("a payment");
        assert_eq!(platform.balance("u1"), balance, "after {order}");
    }
    platform.assert_sound();
}
