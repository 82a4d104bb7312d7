//! Refunds: proving an order, and what a refund takes back.

use rebate_client::{
    account::{Counter, Refund as RefundAccount},
    chain::{SubmitError, embedded::Executed},
    event::{EffectEntry, Event, LimitsEntry, RuleDefinition},
    instruction::{self, RecordAccounts},
    platform_id,
    proof::{self, JournalTree},
};
use rebate_core::{
    journal::Hash,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    rule::{Limits, OnLimit},
    time::DAY,
    units::{Amount, AssetId, JournalIndex, OrderHash, RuleId, RuleVersion, ScopeId, Timestamp, UserKey},
    window::{Scope, Window},
};
use rebate_tests::{
    beside::{logs, said},
    platform::{NOON, TestPlatform, always, payment},
};
use solana_keypair::Keypair;
use solana_program::pubkey::Pubkey;
use solana_signer::Signer;

const TEN_PERCENT: EffectEntry = EffectEntry::Ratio { asset: 1, bps: 1_000, min: 0, max: 0 };

fn key() -> UserKey {
    platform_id::unkeyed_user("u1")
}

/// A refund of `of` at [`NOON`].
fn refund(order: &str, of: &str, amount: u64) -> Refund {
    Refund { order: OrderHash::of(order), of: OrderHash::of(of), amount: Amount(amount), paid_at: Timestamp(NOON) }
}

/// A platform that grants a tenth of everything, with so many payments of 1 000 recorded, `A0` and on.
fn paid(count: usize) -> TestPlatform {
    let platform = TestPlatform::start();
    platform.publish(&always(1, TEN_PERCENT), 0).expect("a rule");
    for at in 0..count {
        platform.pay(&[payment(&format!("A{at}"), "u1", 1_000)]).expect("a payment");
    }
    platform
}

/// The instructions that prove orders, one by one.
struct Prover<'a> {
    platform: &'a TestPlatform,
    order: OrderHash,
}

impl Prover<'_> {
    fn of<'a>(platform: &'a TestPlatform, order: &str) -> Prover<'a> {
        Prover { platform, order: OrderHash::of(order) }
    }

    fn event(&self) -> Vec<u8> {
        let index = self.index();
        self.platform.tree().event(index).expect("its event").to_vec()
    }

    fn index(&self) -> JournalIndex {
        let recorded = self.platform.recorded();
        let event = recorded.iter().find(|event| event.order == self.order.0).expect("a recorded order");
        JournalIndex(event.journal_index)
    }

    fn path(&self) -> Vec<Hash> {
        self.platform.tree().path_to_peak(self.index()).expect("its path")
    }

    fn open(&self, length: usize) -> &'static str {
        let payer = self.platform.payer.pubkey();
        let length = u32::try_from(length).expect("a length");
        said(self.platform.as_payer(&instruction::open_refund(&payer, &self.platform.addresses, &self.order, length)))
    }

    fn write(&self, bytes: &[u8]) -> &'static str {
        let payer = self.platform.payer.pubkey();
        said(self.platform.as_payer(&instruction::write_refund(&payer, &self.platform.addresses, &self.order, bytes)))
    }

    fn prove(&self, path: &[Hash]) -> &'static str {
        let payer = self.platform.payer.pubkey();
        said(self.platform.as_payer(&instruction::prove_refund(&payer, &self.platform.addresses, &self.order, path)))
    }

    fn close(&self) -> &'static str {
        let payer = self.platform.payer.pubkey();
        said(self.platform.as_payer(&instruction::close_refund(&payer, &self.platform.addresses, &self.order, &payer)))
    }

    fn address(&self) -> Pubkey {
        self.platform.addresses.refund(&self.order)
    }

    fn account(&self) -> RefundAccount {
        RefundAccount::decode(&self.platform.data(&self.address()).expect("a refund")).expect("a refund's account")
    }

    /// Opens the account and writes `event` into it.
    fn begin(&self, event: &[u8]) {
        assert_eq!((self.open(event.len()), self.write(event)), ("done", "done"));
    }
}

/// Refunds with the accounts that are named.
fn refund_with(platform: &TestPlatform, refund: &Refund, accounts: RecordAccounts) -> Result<Executed, SubmitError> {
    let signed = platform.sign(&[*refund]);
    platform.run(&instruction::record_refunds(&platform.addresses, &[accounts], &signed), &[&platform.payer])
}

fn refunded(platform: &TestPlatform) -> Vec<rebate_client::event::RefundRecorded> {
    let events = platform.events_of().into_iter();
    events
        .filter_map(|event| match event {
            Event::RefundRecorded(event) => Some(event),
            _ => None,
        })
        .collect()
}

// ---- Taking back ----

#[test]
fn a_refund_takes_back_in_proportion_and_is_in_the_journal() {
    let platform = paid(3);
    let paid = payment("A1", "u1", 1_000);
    platform.refund(&refund("R1", "A1", 333), &paid).expect("a third");
    let event = refunded(&platform).pop().expect("an event");
    assert_eq!((event.order, event.of, event.user), (OrderHash::of("R1").0, paid.order.0, paid.user.0));
    assert_eq!((event.amount, event.refunded, event.paid_at, event.at), (333, 333, NOON, NOON));
    assert_eq!(event.oracle, platform.oracle.pubkey().to_bytes());
    let outcomes: Vec<_> =
        event.outcomes.iter().map(|o| (o.rule, o.version, o.reason, o.amount, o.before, o.after)).collect();
    assert_eq!(outcomes, [(1, 1, 10, 33, 300, 267)], "100 × 333 / 1000, rounded down");

    platform.refund(&refund("R2", "A1", 667), &paid).expect("the rest");
    assert_eq!(platform.balance("u1"), 200);
    assert_eq!(refunded(&platform)[1].refunded, 1_000);
    let (_, rules) = platform.rule_book();
    assert_eq!((rules[0].granted, rules[0].reversed, rules[0].budget_spent), (Amount(300), Amount(100), Amount(200)));
    assert_eq!(platform.user("u1").counters[0].granted, Amount(200));
    assert_eq!(platform.user("u1").counters[0].spend, Amount(2_000));
    assert_eq!(platform.user("u1").user.payments, 3, "what was paid was paid");
    platform.assert_sound();
}

#[test]
fn an_orders_refunds_never_exceed_it() {
    let platform = paid(2);
    let paid = payment("A1", "u1", 1_000);
    for (order, amount, expected) in [
        ("R1", 1_001, "OverRefund"),
        ("R2", u64::MAX, "OverRefund"),
        ("R3", 600, "done"),
        ("R4", 401, "OverRefund"),
        ("R5", u64::MAX - 599, "OverRefund"),
        ("R6", 0, "ZeroAmount"),
        ("R7", 400, "done"),
        ("R8", 1, "OverRefund"),
    ] {
        assert_eq!(said(platform.refund(&refund(order, "A1", amount), &paid)), expected, "{order}");
    }
    assert_eq!(platform.balance("u1"), 100);
    platform.assert_sound();
}

#[test]
fn a_refund_is_recorded_once_and_shares_its_numbers_with_payments() {
    let platform = paid(3);
    let paid = payment("A1", "u1", 1_000);
    platform.refund(&refund("R1", "A1", 100), &paid).expect("a refund");
    for (order, of) in [("R1", "A1"), ("R1", "A2"), ("A1", "A1"), ("A2", "A1")] {
        let again = refund(order, of, 100);
        assert_eq!(said(platform.refund(&again, &payment(of, "u1", 1_000))), "DuplicateOrder", "{order} of {of}");
    }
    assert_eq!(said(platform.pay(&[payment("R1", "u1", 1_000)])), "DuplicateOrder");
    assert_eq!(refunded(&platform).len(), 1);
    platform.assert_sound();
}

#[test]
fn in_a_batch_a_refused_refund_changes_nothing_and_the_others_go_on() {
    let platform = paid(3);
    let refunds = [refund("R1", "A0", 500), refund("R2", "A0", 501), refund("R3", "A2", 1_000)];
    let accounts: Vec<_> = refunds
        .iter()
        .map(|refund| {
            platform.prove(&refund.of);
            platform.refund_accounts(refund, &payment("A0", "u1", 1_000))
        })
        .map(|accounts| RecordAccounts { ..accounts })
        .collect();
    let signed = platform.sign(&refunds);
    let record = instruction::record_refunds(&platform.addresses, &accounts, &signed);
    let executed = platform.run(&record, &[&platform.payer]).expect("two of three");
    let line = format!("Program log: order {}: refused, OverRefund", &refunds[1].order.to_string()[..16]);
    assert!(executed.landed.logs.contains(&line), "{:?}", executed.landed.logs);
    let line = format!(
        "Program log: order {}: refunded 500; -50 coins of rule 1, balance 300 -> 250",
        &refunds[0].order.to_string()[..16]
    );
    assert!(executed.landed.logs.contains(&line), "{:?}", executed.landed.logs);
    assert_eq!(platform.balance("u1"), 150);
    platform.assert_sound();
}

#[test]
fn what_was_spent_becomes_a_debt_that_the_next_grants_pay_first() {
    let platform = paid(1);
    let redeem = |order: &str, amount| Redemption {
        order: OrderHash::of(order),
        user: key(),
        asset: AssetId(1),
        amount: Amount(amount),
        redeemed_at: Timestamp(NOON),
    };
    platform.redeem(&redeem("S1", 70)).expect("spent");
    platform.refund(&refund("R1", "A0", 1_000), &payment("A0", "u1", 1_000)).expect("all of it");
    let balance = platform.user("u1").balances[0];
    assert_eq!((balance.total(), balance.debt), (Amount(0), Amount(70)));
    assert_eq!(refunded(&platform)[0].outcomes[0].amount, 100, "what is due, not what was there");
    platform.assert_sound();

    platform.pay(&[payment("A1", "u1", 500)]).expect("50 of 70");
    let balance = platform.user("u1").balances[0];
    assert_eq!((balance.total(), balance.debt), (Amount(0), Amount(20)));
    assert_eq!(said(platform.redeem(&redeem("S2", 1))), "InsufficientBalance");
    platform.pay(&[payment("A2", "u1", 500)]).expect("20 and 30");
    let outcome = platform.recorded().last().expect("it").outcomes[0];
    assert_eq!((outcome.amount, outcome.before, outcome.after), (50, 0, 30));
    assert_eq!(platform.user("u1").balances[0].debt, Amount(0));
    platform.assert_sound();
}

#[test]
fn a_refund_gives_the_budget_back() {
    let limits = LimitsEntry::new(Limits { total_amount: Amount(150), ..Limits::default() }, OnLimit::Clip);
    let platform = TestPlatform::start();
    platform.publish(&RuleDefinition { limits, ..always(1, TEN_PERCENT) }, 0).expect("a rule");
    let granted = |order: &str| {
        platform.pay(&[payment(order, "u1", 1_000)]).expect("a payment");
        platform.recorded().last().expect("it").outcomes[0].amount
    };
    assert_eq!((granted("A1"), granted("A2"), granted("A3")), (100, 50, 0));
    platform.refund(&refund("R1", "A1", 600), &payment("A1", "u1", 1_000)).expect("a refund");
    assert_eq!((granted("A4"), granted("A5")), (60, 0));
    platform.assert_sound();
}

#[test]
fn a_refund_of_a_superseded_and_of_a_dropped_version_takes_back_all_the_same() {
    let platform = paid(2);
    let second = RuleDefinition { version: 2, ..always(1, EffectEntry::Fixed { asset: 1, amount: 7 }) };
    platform.publish(&second, NOON + DAY).expect("a version");
    platform.prove(&OrderHash::of("A1"));
    platform.wait_until(1, 0);
    let at = |refund, days| Refund { paid_at: Timestamp(NOON + days * DAY), ..refund };
    platform.refund(&at(refund("R1", "A0", 1_000), 1), &payment("A0", "u1", 1_000)).expect("of version 1");
    let budgets: Vec<_> = platform.rule_book().1.iter().map(|rule| rule.budget_spent.0).collect();
    assert_eq!(budgets, [100, 100], "one budget for all versions");
    platform.assert_sound();

    platform.wait_until(9, 0);
    platform.close_days(&[0, 1]).expect("closed");
    let admin = platform.admin.pubkey();
    let drop = |version| instruction::drop_rule(&admin, &platform.addresses, RuleId(1), RuleVersion(version));
    platform.as_admin(&drop(1)).expect("dropped");
    platform.refund(&at(refund("R2", "A1", 500), 9), &payment("A1", "u1", 1_000)).expect("of a version that is gone");
    let (_, rules) = platform.rule_book();
    assert_eq!((rules[0].version, rules[0].budget_spent, rules[0].reversed), (RuleVersion(2), Amount(50), Amount(0)));

    let end = instruction::end_rule(&admin, &platform.addresses, RuleId(1), Timestamp(NOON + 10 * DAY));
    platform.as_admin(&end).expect("ended");
    platform.wait_until(18, 0);
    platform.close_days(&[9]).expect("closed");
    platform.open_page(11, 0, 8).expect("a page");
    platform.wait_until(19, 0);
    platform.close_days(&[11]).expect("closed");
    platform.as_admin(&drop(2)).expect("dropped");
    platform.refund(&at(refund("R3", "A1", 500), 19), &payment("A1", "u1", 1_000)).expect("of a rule that is gone");
    assert_eq!(platform.balance("u1"), 0);
    platform.assert_sound();
}

// ---- What a refund is refused for ----

#[test]
fn a_refund_of_an_order_that_is_not_proved_is_one_of_an_unknown_order() {
    let platform = paid(6);
    let paid = payment("A1", "u1", 1_000);
    let refund = refund("R1", "A1", 100);
    let attempt = || said(refund_with(&platform, &refund, platform.refund_accounts(&refund, &paid)));
    let prover = Prover::of(&platform, "A1");
    let (event, path) = (prover.event(), prover.path());
    assert!(path.len() > 1);
    assert_eq!(attempt(), "UnknownOrder", "no account");
    assert_eq!(prover.open(event.len()), "done");
    assert_eq!(attempt(), "UnknownOrder", "nothing written");
    assert_eq!(prover.write(&event), "done");
    assert_eq!(attempt(), "UnknownOrder", "written");
    assert_eq!(prover.prove(&path[..1]), "done");
    assert_eq!(attempt(), "UnknownOrder", "a node below the peak");
    assert_eq!(prover.prove(&path[1..]), "done");
    assert_eq!(attempt(), "done");
    platform.assert_sound();
}

#[test]
fn late_and_early_refunds_are_refused_and_a_paused_platform_takes_none() {
    let platform = paid(1);
    let paid = payment("A0", "u1", 1_000);
    platform.prove(&paid.order);
    let at = |order: &str, seconds: i64| Refund { paid_at: Timestamp(NOON + seconds), ..refund(order, "A0", 100) };
    let attempt = |refund: Refund| {
        // There is no page for days that no record can come for.
        let pages = vec![platform.page(0, 0)];
        let user = platform.addresses.user(&paid.user);
        let accounts =
            RecordAccounts { user, pages, refund: Some(platform.addresses.refund(&refund.of)), counters: vec![] };
        said(refund_with(&platform, &refund, accounts))
    };
    assert_eq!(attempt(at("R1", -7 * DAY - 1)), "TooLate");
    assert_eq!(attempt(at("R2", 61)), "FromTheFuture");
    let pause = |paused| instruction::set_paused(&platform.pauser.pubkey(), &platform.addresses, paused);
    platform.signed_by(&pause(true), &platform.pauser).expect("paused");
    assert_eq!(attempt(at("R3", 0)), "Paused");
    platform.signed_by(&pause(false), &platform.pauser).expect("resumed");
    assert_eq!(attempt(at("R3", 60)), "done");
    platform.assert_sound();
}

#[test]
fn accounts_of_others_are_refused() {
    let platform = paid(2);
    platform.pay(&[payment("B0", "u2", 1_000)]).expect("somebody else's");
    let (paid, refund) = (payment("A1", "u1", 1_000), refund("R1", "A1", 100));
    for order in ["A0", "A1", "B0"] {
        platform.prove(&OrderHash::of(order));
    }
    let other = platform.beside(2, |_| {});
    other.publish(&always(1, TEN_PERCENT), 0).expect("a rule");
    other.pay(&[paid]).expect("the same order there");
    other.prove(&paid.order);
    let good = platform.refund_accounts(&refund, &paid);
    let attempt = |accounts| said(refund_with(&platform, &refund, accounts));
    let proof = |address| RecordAccounts { refund: Some(address), ..good.clone() };
    assert_eq!(attempt(proof(platform.addresses.refund(&OrderHash::of("A0")))), "WrongRefund");
    assert_eq!(attempt(proof(platform.addresses.refund(&OrderHash::of("B0")))), "WrongRefund");
    assert_eq!(attempt(proof(other.addresses.refund(&paid.order))), "WrongRefund");
    assert_eq!(attempt(proof(platform.page(0, 0))), "failed");
    assert_eq!(attempt(proof(platform.addresses.user(&paid.user))), "WrongAccounts");
    assert_eq!(attempt(RecordAccounts { refund: None, ..good.clone() }), "WrongAccounts");
    let user = |key: &str| platform.addresses.user(&platform_id::unkeyed_user(key));
    assert_eq!(attempt(RecordAccounts { user: user("u2"), ..good.clone() }), "WrongUser");
    assert_eq!(attempt(RecordAccounts { user: other.addresses.user(&paid.user), ..good.clone() }), "WrongUser");
    assert_eq!(attempt(RecordAccounts { user: platform.page(0, 0), ..good.clone() }), "failed");
    assert_eq!(attempt(RecordAccounts { pages: vec![other.page(0, 0)], ..good.clone() }), "WrongOrderPage");
    assert_eq!(attempt(RecordAccounts { pages: vec![], ..good.clone() }), "WrongOrderPage");
    let proof_twice = vec![platform.addresses.refund(&refund.of)];
    assert_eq!(attempt(RecordAccounts { counters: proof_twice, ..good.clone() }), "WrongCounter");
    assert!(refunded(&platform).is_empty());
    assert_eq!(attempt(good), "done");
    platform.assert_sound();
}

#[test]
fn a_message_of_another_kind_is_refused_by_each_instruction() {
    let platform = paid(1);
    let (paid, refund) = (payment("A0", "u1", 1_000), refund("R1", "A0", 100));
    platform.prove(&paid.order);
    let accounts = [platform.refund_accounts(&refund, &paid)];
    let signed = platform.sign(&[refund]);
    let addresses = &platform.addresses;
    for record in [
        instruction::record_payments(addresses, &accounts, &signed),
        instruction::record_redemptions(addresses, &accounts, &signed),
        instruction::link_wallets(addresses, &accounts, &signed),
        instruction::record_refunds(addresses, &accounts, &platform.sign(&[paid])),
    ] {
        assert_eq!(said(platform.run(&record, &[&platform.payer])), "UnknownRecord");
    }
    platform.assert_sound();
}

// ---- Counters ----

fn scoped(id: u16, scope: Scope, window: Window) -> RuleDefinition {
    RuleDefinition { scope: scope as u8, window: window as u8, ..always(id, TEN_PERCENT) }
}

fn to_streamer(order: &str) -> Payment {
    Payment { streamer: 9, session: 7, ..payment(order, "u1", 1_000) }
}

fn with_scopes() -> TestPlatform {
    let platform = TestPlatform::start();
    for rule in [scoped(5, Scope::UserStreamer, Window::Day), scoped(6, Scope::UserSession, Window::Day)] {
        platform.publish(&rule, 0).expect("a rule");
    }
    platform.pay(&[to_streamer("A1")]).expect("a payment");
    platform.prove(&OrderHash::of("A1"));
    platform
}

#[test]
fn a_refund_takes_back_from_the_counters_of_the_orders_scopes_and_they_cannot_be_left_out() {
    let platform = with_scopes();
    let refund = refund("R1", "A1", 500);
    let good = platform.refund_accounts(&refund, &to_streamer("A1"));
    let [streamer, session] = [Scope::UserStreamer, Scope::UserSession].map(|scope| {
        let id = to_streamer("A1").scope_id(scope);
        platform.addresses.counter(&key(), scope, id)
    });
    assert_eq!(good.counters, [streamer, session]);
    let attempt = |counters: &[Pubkey]| {
        let accounts = RecordAccounts { counters: counters.to_vec(), ..good.clone() };
        refund_with(&platform, &refund, accounts)
    };
    let elsewhere = platform.addresses.counter(&key(), Scope::UserStreamer, ScopeId(10));
    for (counters, line) in [
        (vec![], "rule 5 needs user_streamer counters, or room in them"),
        (vec![session], "rule 5 needs user_streamer counters, or room in them"),
        (vec![streamer], "rule 6 needs user_session counters, or room in them"),
    ] {
        let refused = attempt(&counters);
        assert_eq!(said(refused.clone()), "CounterMissing");
        assert!(logs(refused).contains(&format!("Program log: {line}")), "{line}");
    }
    for counters in [
        vec![elsewhere, session],
        vec![Pubkey::new_unique(), session],
        vec![streamer, session, streamer],
        vec![streamer, session, elsewhere],
    ] {
        assert_eq!(said(attempt(&counters)), "WrongCounter", "{counters:?}");
    }
    assert_eq!(said(attempt(&[session, streamer])), "done");
    for address in [streamer, session] {
        let (_, counters) =
            Counter::decode_with_counters(&platform.data(&address).expect("counters")).expect("decodes");
        assert_eq!((counters[0].granted, counters[0].spend, counters[0].payments), (Amount(50), Amount(500), 1));
    }
    platform.assert_sound();
}

#[test]
fn closed_counters_are_passed_as_addresses() {
    let platform = with_scopes();
    platform.open_page(2, 0, 8).expect("a page");
    platform.wait_until(10, 0);
    platform.close_days(&[0, 2]).expect("closed");
    let payer = platform.payer.pubkey();
    let close = |scope| {
        let id = to_streamer("A1").scope_id(scope);
        let close = instruction::close_counter(&payer, &platform.addresses, &key(), scope, id, &payer);
        said(platform.as_payer(&close))
    };
    assert_eq!(close(Scope::UserStreamer), "done");
    let later = |order: &str, amount| Refund { paid_at: Timestamp(NOON + 10 * DAY), ..refund(order, "A1", amount) };
    let good = platform.refund_accounts(&later("R1", 500), &to_streamer("A1"));
    let [streamer, session] = [good.counters[0], good.counters[1]];
    let attempt = |refund: &Refund, counters: &[Pubkey]| {
        said(refund_with(&platform, refund, RecordAccounts { counters: counters.to_vec(), ..good.clone() }))
    };
    assert_eq!(attempt(&later("R1", 500), &[session]), "CounterMissing", "closed or not, it is named");
    assert_eq!(attempt(&later("R1", 500), &[streamer, streamer, session]), "WrongCounter");
    assert_eq!(attempt(&later("R1", 500), &[streamer, session]), "done");
    assert_eq!(close(Scope::UserSession), "done");
    assert_eq!(attempt(&later("R2", 250), &[session, streamer]), "done", "both are closed");
    assert_eq!(platform.balance("u1"), 200 - 150);

    // Opened anew, they know nothing of the order, and lose nothing to it.
    platform.pay(&[Payment { paid_at: Timestamp(NOON + 10 * DAY), ..to_streamer("A2") }]).expect("a payment");
    platform.refund(&later("R3", 250), &to_streamer("A1")).expect("the rest");
    let (_, counters) = Counter::decode_with_counters(&platform.data(&streamer).expect("counters")).expect("decodes");
    assert_eq!((counters[0].granted, counters[0].spend), (Amount(100), Amount(1_000)));
    platform.assert_sound();
}

// ---- Proofs ----

#[test]
fn every_order_of_a_journal_can_be_proved() {
    let platform = paid(12);
    for at in 0..12 {
        let order = format!("A{at}");
        platform.refund(&refund(&format!("R{at}"), &order, 1_000), &payment(&order, "u1", 1_000)).expect("a refund");
    }
    assert_eq!(platform.balance("u1"), 0);
    platform.assert_sound();
}

#[test]
fn a_proved_order_keeps_what_refunds_need_and_nothing_else_of_its_event() {
    let platform = TestPlatform::with_sample_rules();
    let paid = Payment { streamer: 4, session: 5, ..payment("A1", "u1", 5_000) };
    platform.pay(&[paid]).expect("a payment");
    platform.prove(&paid.order);
    let prover = Prover::of(&platform, "A1");
    let account = prover.account();
    assert_eq!((account.order, account.user, account.stage), (paid.order.0, paid.user.0, 2));
    assert_eq!((account.paid, account.paid_at, account.refunded), (paid.amount, paid.paid_at, Amount(0)));
    assert_eq!((account.streamer, account.session, account.grants), (4, 5, 2));
    assert_eq!(account.payer, platform.payer.pubkey().to_bytes());
    assert_eq!(account.opened_at, Timestamp(NOON));
}

#[test]
fn a_proof_in_parts_goes_on_while_the_journal_grows() {
    let platform = paid(5);
    let prover = Prover::of(&platform, "A2");
    let event = prover.event();
    assert_eq!(prover.open(event.len()), "done");
    // The event in three pieces, with payments between them.
    for piece in event.chunks(event.len() / 2) {
        assert_eq!(prover.write(piece), "done");
        platform.pay(&[payment(&format!("P{}", platform.journal().count), "u1", 1_000)]).expect("a payment");
    }
    let mut done = 0;
    while prover.account().stage != 2 {
        let path = prover.path();
        assert!(done < path.len(), "{done} nodes of {}", path.len());
        assert_eq!(prover.prove(&path[done..=done]), "done");
        done += 1;
        if done < 4 {
            for _ in 0..3 {
                platform.pay(&[payment(&format!("P{}", platform.journal().count), "u1", 1_000)]).expect("a payment");
            }
        }
    }
    assert!(done > 2);
    platform.refund(&refund("R1", "A2", 1_000), &payment("A2", "u1", 1_000)).expect("a refund");
    platform.assert_sound();
}

#[test]
fn the_clients_transactions_prove_an_order_with_many_outcomes() {
    let platform = TestPlatform::start();
    for id in 1..=64 {
        platform.publish(&always(id, EffectEntry::Fixed { asset: 1, amount: 1 }), 0).expect("a rule");
    }
    let paid = payment("A1", "u1", 1_000);
    platform.pay(&[paid]).expect("a payment");
    let prover = Prover::of(&platform, "A1");
    let (event, path) = (prover.event(), prover.path());
    assert!(event.len() > 1_232, "more than a transaction holds");
    for step in proof::transactions(&platform.payer.pubkey(), &platform.addresses, &paid.order, &event, &path) {
        let executed = platform.as_payer(&step).expect("a step");
        assert!(executed.bytes <= 1_232);
    }
    assert_eq!(prover.account().grants, 64);
    platform.refund(&refund("R1", "A1", 1_000), &paid).expect("a refund");
    assert_eq!(platform.balance("u1"), 0);
    platform.assert_sound();
}

#[test]
fn a_forged_event_never_reaches_a_peak() {
    let platform = paid(6);
    let prover = Prover::of(&platform, "A1");
    let (event, path) = (prover.event(), prover.path());
    let place = |field: &[u8]| event.windows(field.len()).position(|bytes| bytes == field).expect("it is there");
    // A larger amount, a larger grant, another user, another place in the journal.
    let amount = place(&1_000u64.to_le_bytes());
    let mut grant = event.clone();
    let at = event.len() - 24;
    assert_eq!(grant[at..at + 8], 100u64.to_le_bytes());
    grant[at] += 1;
    let mut forged = vec![grant];
    for at in [amount, place(&key().0), 8, 16] {
        let mut other = event.clone();
        other[at] ^= 1;
        forged.push(other);
    }
    for forged in forged {
        prover.begin(&forged);
        assert_eq!(prover.prove(&path), "done", "every step is one");
        assert_eq!(prover.account().stage, 1, "and none leads to the peak");
        let refund = refund("R1", "A1", 100);
        let accounts = platform.refund_accounts(&refund, &payment("A1", "u1", 1_000));
        assert_eq!(said(refund_with(&platform, &refund, accounts)), "UnknownOrder");
        assert_eq!(prover.close(), "done");
    }
    platform.refund(&refund("R1", "A1", 100), &payment("A1", "u1", 1_000)).expect("the true one");
    platform.assert_sound();
}

#[test]
fn an_event_that_is_not_this_orders_payment_is_refused() {
    let platform = paid(3);
    platform.refund(&refund("R1", "A0", 100), &payment("A0", "u1", 1_000)).expect("a refund");
    let other = platform.beside(2, |_| {});
    other.publish(&always(1, TEN_PERCENT), 0).expect("a rule");
    other.pay(&[payment("A1", "u1", 1_000)]).expect("the same order there");
    let prover = Prover::of(&platform, "A1");
    let event = prover.event();
    let events = platform.events();
    let of_kind = |name: &str| {
        events.iter().find(|emitted| emitted.event.name() == name).expect("one of each kind").bytes.clone()
    };
    let mut no_outcomes = event.clone();
    no_outcomes.truncate(event.len() - 31);
    let refused = [
        Prover::of(&platform, "A2").event(),
        Prover::of(&other, "A1").event(),
        of_kind("RefundRecorded"),
        of_kind("RulePublished"),
        of_kind("PlatformCreated"),
        event[..event.len() - 1].to_vec(),
        [event.as_slice(), &[0]].concat(),
        no_outcomes,
        Vec::new(),
        vec![0; 7],
    ];
    for bytes in refused {
        assert_eq!(prover.open(bytes.len()), "done");
        if !bytes.is_empty() {
            bytes.chunks(800).for_each(|piece| assert_eq!(prover.write(piece), "done"));
        }
        assert_eq!(prover.prove(&prover.path()), "InvalidProof", "{} bytes", bytes.len());
        assert_eq!(prover.prove(&[]), "InvalidProof");
        assert_eq!(prover.account().stage, 0);
        assert_eq!(prover.close(), "done");
    }

    // A refund is no payment: what it is known by cannot be refunded again.
    let of_refund = Prover { platform: &platform, order: OrderHash::of("R1") };
    of_refund.begin(&of_kind("RefundRecorded"));
    assert_eq!(of_refund.prove(&[]), "InvalidProof");
    platform.assert_sound();
}

#[test]
fn an_event_is_written_in_order_and_whole() {
    let platform = paid(1);
    let prover = Prover::of(&platform, "A0");
    let event = prover.event();
    assert_eq!(prover.open(10_001), "InvalidProof", "longer than any");
    assert_eq!(prover.open(u32::MAX as usize), "InvalidProof");
    assert!(!platform.exists(&prover.address()));
    assert_eq!(prover.open(event.len()), "done");
    assert_eq!(prover.open(event.len()), "failed", "it is there");
    assert_eq!(prover.write(&event[..100]), "done");
    assert_eq!(prover.prove(&prover.path()), "InvalidProof", "not whole");
    assert_eq!(prover.write(&[]), "done");
    assert_eq!(prover.write(&[&event[100..], &[0]].concat()), "InvalidProof", "more than was announced");
    assert_eq!(prover.write(&event[100..]), "done");
    assert_eq!(prover.write(&[0]), "InvalidProof");
    assert_eq!(prover.prove(&prover.path()), "done");
    assert_eq!(prover.write(&[0]), "InvalidProof", "it is proved");
    assert_eq!(prover.prove(&[]), "RefundInUse", "it is proved");
    assert_eq!(prover.account().stage, 2);
    platform.assert_sound();
}

#[test]
fn a_proof_that_has_begun_takes_no_other_event() {
    let platform = paid(6);
    let prover = Prover::of(&platform, "A1");
    prover.begin(&prover.event());
    assert_eq!(prover.prove(&prover.path()[..1]), "done");
    assert_eq!(prover.write(&[0]), "InvalidProof");
    assert_eq!(prover.account().stage, 1);
}

#[test]
fn a_path_that_is_wrong_short_or_long_proves_nothing() {
    let platform = paid(6);
    let prover = Prover::of(&platform, "A1");
    let (event, path) = (prover.event(), prover.path());
    let wrong = |at: usize| {
        let mut wrong = path.clone();
        wrong[at][0] ^= 1;
        wrong
    };
    let reversed: Vec<_> = path.iter().rev().copied().collect();
    let long = [path.as_slice(), &[[7; 32]]].concat();
    let short = path[..path.len() - 1].to_vec();
    for path in [wrong(0), wrong(path.len() - 1), reversed, long, short, Vec::new()] {
        prover.begin(&event);
        assert_eq!(prover.prove(&path), "done");
        assert_eq!(prover.account().stage, 1);
        assert_eq!(prover.close(), "done");
    }
    prover.begin(&event);
    assert_eq!(prover.prove(&[[7; 32]; 20]), "done");
    assert_eq!(prover.prove(&[[7; 32]; 20]), "done");
    assert_eq!(prover.account().height, 40);
    assert_eq!(prover.prove(&[[7; 32]]), "InvalidProof", "above every peak there can be");
    assert_eq!(prover.prove(&[]), "done");
    assert_eq!(prover.account().stage, 1);
}

#[test]
fn the_journal_of_another_platform_proves_nothing() {
    let platform = paid(1);
    let other = platform.beside(2, |_| {});
    let prover = Prover::of(&platform, "A0");
    prover.begin(&prover.event());
    let payer = platform.payer.pubkey();
    let prove = instruction::prove_refund(&payer, &platform.addresses, &prover.order, &prover.path());
    let mut journal = prove.clone();
    journal.accounts[2].pubkey = other.addresses.journal;
    assert_eq!(said(platform.as_payer(&journal)), "WrongPlatform");
    let mut both = journal;
    both.accounts[1].pubkey = other.addresses.platform;
    assert_eq!(said(platform.as_payer(&both)), "WrongPlatform");
    let mut rules = prove.clone();
    rules.accounts[2].pubkey = platform.addresses.rule_book;
    assert_eq!(said(platform.as_payer(&rules)), "failed");
    assert_eq!(said(platform.as_payer(&prove)), "done");
}

#[test]
fn a_refund_account_stands_only_at_its_orders_address() {
    let platform = paid(2);
    let payer = platform.payer.pubkey();
    let mut open = instruction::open_refund(&payer, &platform.addresses, &OrderHash::of("A0"), 300);
    open.accounts[2].pubkey = platform.addresses.refund(&OrderHash::of("A1"));
    assert_eq!(said(platform.as_payer(&open)), "failed");
}

// ---- Whose proof it is ----

fn by(platform: &TestPlatform, who: &Keypair, order: &OrderHash, event: &[u8], path: &[Hash]) -> [&'static str; 4] {
    let (key, payer, addresses) = (who.pubkey(), platform.payer.pubkey(), &platform.addresses);
    [
        instruction::write_refund(&key, addresses, order, event),
        instruction::prove_refund(&key, addresses, order, path),
        instruction::close_refund(&key, addresses, order, &payer),
        instruction::close_refund(&key, addresses, order, &key),
    ]
    .map(|instruction| said(platform.signed_by(&instruction, who)))
}

#[test]
fn nobody_but_who_opened_a_proof_goes_on_with_it() {
    let platform = paid(3);
    let prover = Prover::of(&platform, "A1");
    let (event, path) = (prover.event(), prover.path());
    assert_eq!(prover.open(event.len()), "done");
    let stranger = platform.stranger();
    assert_eq!(by(&platform, &stranger, &prover.order, &event, &path), ["NotPayer"; 4]);
    assert_eq!(prover.write(&event), "done");
    assert_eq!(by(&platform, &stranger, &prover.order, &event, &path), ["NotPayer"; 4]);
    assert_eq!(prover.prove(&path), "done");
    assert_eq!(by(&platform, &stranger, &prover.order, &event, &path)[2], "RefundInUse");
}

#[test]
fn a_proof_that_nobody_goes_on_with_can_be_given_up_by_anybody_an_hour_later() {
    let platform = paid(3);
    let stranger = platform.stranger();
    let order = OrderHash::of("A1");
    let open = instruction::open_refund(&stranger.pubkey(), &platform.addresses, &order, 300);
    platform.signed_by(&open, &stranger).expect("anybody may");
    let prover = Prover::of(&platform, "A1");
    assert_eq!(prover.open(300), "failed", "it is there");
    let payer = platform.payer.pubkey();
    let close = instruction::close_refund(&payer, &platform.addresses, &order, &stranger.pubkey());
    platform.wait_until(0, 3_599);
    assert_eq!(said(platform.as_payer(&close)), "NotPayer");
    platform.wait_until(0, 3_600);
    let (rent, before) = (platform.lamports(&prover.address()), platform.lamports(&stranger.pubkey()));
    let event = prover.event();
    let length = u32::try_from(event.len()).expect("a length");
    let mine = instruction::open_refund(&payer, &platform.addresses, &order, length);
    platform.run(&[close, mine], &[&platform.payer]).expect("at once, so that nobody comes between");
    assert_eq!(platform.lamports(&stranger.pubkey()), before + rent);
    assert_eq!((prover.write(&event), prover.prove(&prover.path())), ("done", "done"));
    platform.refund(&refund("R1", "A1", 1_000), &payment("A1", "u1", 1_000)).expect("a refund");
    platform.assert_sound();
}

#[test]
fn a_proof_given_up_gives_the_rent_back_and_can_be_begun_anew() {
    let platform = paid(3);
    let prover = Prover::of(&platform, "A1");
    prover.begin(&prover.event());
    let payer = platform.payer.pubkey();
    let (rent, before) = (platform.lamports(&prover.address()), platform.lamports(&payer));
    assert_eq!(prover.close(), "done");
    assert_eq!(platform.lamports(&payer) + 5_000, before + rent);
    assert_eq!((platform.exists(&prover.address()), platform.lamports(&prover.address())), (false, 0));
    assert_eq!(prover.close(), "failed", "there is none");
    prover.begin(&prover.event());
    assert_eq!(prover.account().written as usize, prover.event().len());
    assert_eq!(prover.prove(&prover.path()), "done");
}

#[test]
fn a_proved_order_is_never_proved_anew() {
    let platform = paid(3);
    let paid = payment("A1", "u1", 1_000);
    platform.refund(&refund("R1", "A1", 1_000), &paid).expect("all of it");
    let prover = Prover::of(&platform, "A1");
    platform.wait_until(300, 0);
    assert_eq!(prover.close(), "RefundInUse");
    assert_eq!(prover.open(prover.event().len()), "failed");
    let close =
        instruction::close_refund(&platform.payer.pubkey(), &platform.addresses, &paid.order, &platform.payer.pubkey());
    let open = instruction::open_refund(&platform.payer.pubkey(), &platform.addresses, &paid.order, 300);
    assert_eq!(said(platform.run(&[close, open], &[&platform.payer])), "RefundInUse");
    let late = Refund { paid_at: Timestamp(NOON + 300 * DAY), ..refund("R2", "A1", 1) };
    assert_eq!(said(platform.refund(&late, &paid)), "OverRefund", "it remembers");
    platform.assert_sound();
}

#[test]
fn an_order_of_a_closed_day_can_still_be_refunded() {
    let platform = paid(2);
    platform.wait_until(100, 0);
    platform.close_days(&[0]).expect("closed");
    let late = Refund { paid_at: Timestamp(NOON + 100 * DAY), ..refund("R1", "A1", 1_000) };
    platform.refund(&late, &payment("A1", "u1", 1_000)).expect("months later");
    assert_eq!(platform.balance("u1"), 100);
    platform.assert_sound();
}

#[test]
fn a_tree_of_leaves_that_are_not_the_journals_proves_nothing() {
    // A journal of somebody's own with the forged event in it has other peaks.
    let platform = paid(6);
    let prover = Prover::of(&platform, "A1");
    let mut forged = prover.event();
    let at = forged.len() - 24;
    forged[at] = 255;
    let index = prover.index();
    let leaves = platform
        .events()
        .into_iter()
        .enumerate()
        .map(|(at, emitted)| if at as u64 == index.0 { forged.clone() } else { emitted.bytes });
    let path = JournalTree::of(leaves).path_to_peak(index).expect("a path");
    prover.begin(&forged);
    assert_eq!(prover.prove(&path), "done");
    assert_eq!(prover.account().stage, 1);
}
