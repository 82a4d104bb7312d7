//! The client's recorder, which opens what payments need.

use rebate_client::{
    account::OrderPage,
    chain::SubmitError,
    event::{EffectEntry, RuleDefinition},
    instruction, oracle,
    recorder::{RecordError, Recorder},
};
use rebate_core::{
    payment::Payment,
    units::{Amount, Timestamp},
    window::{Scope, Window},
};
use rebate_tests::{
    beside::said,
    platform::{NOON, TestPlatform, always, payment},
};
use solana_signer::Signer;

const DAY: i64 = 86_400;

async fn refused(recorder: &mut Recorder<'_>, platform: &TestPlatform, payment: Payment) -> &'static str {
    let signed = oracle::sign(&platform.oracle, &platform.addresses.platform, &[payment]).expect("a message");
    match recorder.record(&[payment], &signed).await {
        Err(RecordError::Submit(SubmitError::Refused { error, .. })) => error.name(),
        other => panic!("the program should have refused this: {other:?}"),
    }
}

#[test]
fn a_payment_for_a_day_that_has_no_page_is_refused_for_what_it_is() {
    let platform = TestPlatform::with_sample_rules();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let chain = &platform.chain;
        let mut recorder =
            Recorder::new(chain, platform.addresses.platform, &platform.payer).await.expect("a recorder");
        let at = |seconds| Payment { paid_at: Timestamp(NOON + seconds), ..payment("A1", "u1", 100) };
        assert_eq!(refused(&mut recorder, &platform, at(-30 * DAY)).await, "TooLate");
        assert_eq!(refused(&mut recorder, &platform, at(30 * DAY)).await, "FromTheFuture");
        assert_eq!(refused(&mut recorder, &platform, Payment { amount: Amount(0), ..at(-DAY) }).await, "ZeroAmount");
    });
    assert!(platform.recorded().is_empty());
}

#[test]
fn a_full_page_is_followed_by_one_that_the_recorder_opens() {
    let platform = TestPlatform::with_sample_rules();
    platform.open_page(0, 0, 8).expect("a page of 8 slots");
    for at in 0..10 {
        platform.pay(&[payment(&format!("A{at}"), "u1", 100)]).expect("a payment");
    }
    assert_eq!(platform.page_header(&platform.page(0, 0)).taken, 7);
    assert_eq!(platform.page_header(&platform.page(0, 1)).taken, 3);
    for at in 0..10 {
        let again = payment(&format!("A{at}"), "u1", 100);
        assert_eq!(said(platform.pay(&[again])), "DuplicateOrder");
    }
    platform.assert_sound();
}

#[test]
fn the_recorder_opens_pages_as_large_as_the_platform_asks_for() {
    let platform = TestPlatform::start();
    for (id, asked, opened) in [(2, 8, 1_024), (3, 1_024, 1_024), (4, 1_025, 1_025), (5, 1_267, 1_267)] {
        let beside = platform.beside(id, |settings| settings.page_slots = asked);
        beside.pay(&[payment("A1", "u1", 100)]).expect("a payment");
        let page = beside.data(&beside.page(0, 0)).expect("a page");
        assert_eq!(OrderPage::slots(&page), opened, "where {asked} slots are the least");
    }
}

#[test]
fn what_changed_since_the_recorder_looked_is_looked_at_once_more() {
    let platform = TestPlatform::with_sample_rules();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (chain, payer) = (&platform.chain, &platform.payer);
    let mut recorder = runtime.block_on(Recorder::new(chain, platform.addresses.platform, payer)).expect("a recorder");
    let mut record = |order: &str, seconds: i64| {
        let paid = Payment { paid_at: Timestamp(NOON + seconds), streamer: 9, ..payment(order, "u1", 100) };
        let signed = platform.sign(&[paid]);
        runtime.block_on(recorder.record(&[paid], &signed)).map(drop)
    };
    record("A1", 0).expect("a payment");
    // Somebody publishes rules that need room and counters.
    for (id, scope) in [(3, Scope::User), (4, Scope::UserStreamer)] {
        let rule = RuleDefinition { scope: scope as u8, ..always(id, EffectEntry::Fixed { asset: 1, amount: 5 }) };
        platform.publish(&rule, NOON + 3_600).expect("a rule");
    }
    platform.wait_until(0, 3_600);
    record("A2", 3_600).expect("with the counters that are needed now");
    // Somebody else fills the page and opens the next.
    platform.wait_until(1, 0);
    platform.open_page(1, 0, 8).expect("a page");
    record("B0", 86_400).expect("a payment");
    for at in 1..6 {
        let paid = Payment { paid_at: Timestamp(NOON + DAY), ..payment(&format!("B{at}"), "u1", 100) };
        platform.pay(&[paid]).expect("a payment");
    }
    platform.open_page(1, 1, 16).expect("the next page");
    record("B6", 86_400).expect("into the next page");
    assert_eq!(platform.page_header(&platform.page(1, 1)).taken, 1);
    platform.assert_sound();
}

#[test]
fn counters_that_somebody_closed_are_opened_again() {
    let platform = TestPlatform::start();
    let daily = RuleDefinition {
        scope: Scope::UserStreamer as u8,
        window: Window::Day as u8,
        ..always(1, EffectEntry::Fixed { asset: 1, amount: 5 })
    };
    platform.publish(&daily, 0).expect("a rule");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (chain, payer) = (&platform.chain, &platform.payer);
    let mut recorder = runtime.block_on(Recorder::new(chain, platform.addresses.platform, payer)).expect("a recorder");
    let mut record = |order: &str, days: i64| {
        let paid_at = Timestamp(NOON + days * DAY);
        let paid = Payment { paid_at, streamer: 9, ..payment(order, "u1", 100) };
        let signed = platform.sign(&[paid]);
        runtime.block_on(recorder.record(&[paid], &signed)).map(drop).expect("a payment");
        paid
    };
    let paid = record("A1", 0);
    platform.open_page(2, 0, 8).expect("a page");
    platform.wait_until(10, 0);
    platform.close_days(&[0, 2]).expect("closed");
    let scope = Scope::UserStreamer;
    let (who, id) = (payer.pubkey(), paid.scope_id(scope));
    let close = instruction::close_counter(&who, &platform.addresses, &paid.user, scope, id, &who);
    platform.as_payer(&close).expect("closed");
    record("A2", 10);
    assert_eq!(platform.balance("u1"), 10);
    platform.assert_sound();
}
