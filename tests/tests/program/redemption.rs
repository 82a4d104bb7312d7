//! Redemptions: points and vouchers that users spend with the platform.

use rebate_client::{
    account::AssetKind,
    event::{AssetEntry, EffectEntry, Event},
    instruction::{self, RecordAccounts},
    platform_id,
};
use rebate_core::{
    payment::Payment,
    redemption::Redemption,
    time::DAY,
    units::{Amount, AssetId, OrderHash, Timestamp, UserKey},
};
use rebate_tests::{
    beside::said,
    platform::{NOON, TestPlatform, always, asset, payment},
};
use solana_program::pubkey::Pubkey;
use solana_signer::Signer;

fn key() -> UserKey {
    platform_id::unkeyed_user("u1")
}

/// A redemption of asset 1 at [`NOON`].
fn redemption(order: &str, amount: u64) -> Redemption {
    Redemption {
        order: OrderHash::of(order),
        user: key(),
        asset: AssetId(1),
        amount: Amount(amount),
        redeemed_at: Timestamp(NOON),
    }
}

/// A platform with points, vouchers and a token, where a payment of 1 000 has granted 100 of each of the first two.
fn granted() -> TestPlatform {
    let platform = TestPlatform::start();
    let voucher = AssetEntry { kind: AssetKind::Voucher as u8, ..asset("vouchers") };
    let token = AssetEntry { kind: AssetKind::Token as u8, mint: [7; 32], ..asset("token") };
    for entry in [voucher, token] {
        let add = instruction::add_asset(&platform.admin.pubkey(), &platform.addresses, &entry, Timestamp(0));
        platform.as_admin(&add).expect("an asset");
    }
    for id in [1, 2] {
        let ratio = EffectEntry::Ratio { asset: id as u8, bps: 1_000, min: 0, max: 0 };
        platform.publish(&always(id, ratio), 0).expect("a rule");
    }
    platform.pay(&[payment("A1", "u1", 1_000)]).expect("a payment");
    platform
}

/// Redeems with the accounts that are named.
fn redeem_with(platform: &TestPlatform, redemption: &Redemption, accounts: RecordAccounts) -> &'static str {
    let signed = platform.sign(&[*redemption]);
    let record = instruction::record_redemptions(&platform.addresses, &[accounts], &signed);
    said(platform.run(&record, &[&platform.payer]))
}

fn accounts(platform: &TestPlatform, pages: Vec<Pubkey>) -> RecordAccounts {
    RecordAccounts { user: platform.addresses.user(&key()), pages, refund: None, counters: vec![] }
}

#[test]
fn points_and_vouchers_are_redeemed_and_the_journal_says_so() {
    let platform = granted();
    for (asset, order, amount, left) in [(1, "S1", 30, 70), (2, "S2", 100, 0), (1, "S3", 70, 0)] {
        let redemption = Redemption { asset: AssetId(asset), ..redemption(order, amount) };
        let logs = platform.redeem(&redemption).expect("a redemption").landed.logs;
        let name = ["coins", "vouchers"][usize::from(asset) - 1];
        let order = redemption.order.to_string();
        let line = format!("Program log: order {}: redeemed {amount} {name}", &order[..16]);
        assert!(logs.contains(&line), "{logs:?}");
        let Some(Event::Redeemed(event)) = platform.events_of().pop() else { panic!("an event") };
        assert_eq!((event.asset, event.amount, event.before, event.after), (asset, amount, left + amount, left));
        assert_eq!((event.order, event.user, event.redeemed_at), (redemption.order.0, key().0, NOON));
        assert_eq!(event.oracle, platform.oracle.pubkey().to_bytes());
    }
    platform.assert_sound();
}

#[test]
fn more_than_the_user_has_is_refused_to_the_unit() {
    let platform = granted();
    for (order, amount, expected) in [
        ("S1", 101, "InsufficientBalance"),
        ("S2", u64::MAX, "InsufficientBalance"),
        ("S3", 0, "ZeroAmount"),
        ("S4", 100, "done"),
        ("S5", 1, "InsufficientBalance"),
    ] {
        assert_eq!(said(platform.redeem(&redemption(order, amount))), expected, "{order}");
    }
    assert_eq!(platform.balance("u1"), 0);
    platform.assert_sound();
}

#[test]
fn a_token_and_an_asset_that_does_not_exist_are_not_redeemed() {
    let platform = granted();
    for asset in [0, 3, 4, 8, 9, u8::MAX] {
        let redemption = Redemption { asset: AssetId(asset), ..redemption("S1", 1) };
        assert_eq!(said(platform.redeem(&redemption)), "NotRedeemable", "asset {asset}");
    }
    platform.redeem(&redemption("S1", 1)).expect("a refused order was not taken");
    platform.assert_sound();
}

#[test]
fn a_redemption_is_recorded_once_and_shares_its_numbers_with_payments() {
    let platform = granted();
    platform.redeem(&redemption("S1", 10)).expect("a redemption");
    assert_eq!(said(platform.redeem(&redemption("S1", 10))), "DuplicateOrder");
    assert_eq!(said(platform.redeem(&redemption("S1", 1_000))), "DuplicateOrder", "before the balance is looked at");
    assert_eq!(said(platform.redeem(&redemption("A1", 10))), "DuplicateOrder");
    assert_eq!(said(platform.pay(&[payment("S1", "u1", 1_000)])), "DuplicateOrder");
    assert_eq!(platform.balance("u1"), 90);
    platform.assert_sound();
}

#[test]
fn late_and_early_redemptions_are_refused_and_a_paused_platform_takes_none() {
    let platform = granted();
    let at = |order: &str, seconds: i64| Redemption { redeemed_at: Timestamp(NOON + seconds), ..redemption(order, 10) };
    let attempt = |redemption| redeem_with(&platform, &redemption, accounts(&platform, vec![platform.page(0, 0)]));
    assert_eq!(attempt(at("S1", -7 * DAY - 1)), "TooLate");
    assert_eq!(attempt(at("S2", 61)), "FromTheFuture");
    assert_eq!(attempt(at("S3", -DAY)), "WrongOrderPage", "yesterday's page knows it");
    let pause = |paused| instruction::set_paused(&platform.pauser.pubkey(), &platform.addresses, paused);
    platform.signed_by(&pause(true), &platform.pauser).expect("paused");
    assert_eq!(attempt(at("S4", 0)), "Paused");
    platform.signed_by(&pause(false), &platform.pauser).expect("resumed");
    assert_eq!(attempt(at("S4", 60)), "done");
    platform.assert_sound();
}

#[test]
fn accounts_of_others_and_accounts_too_many_are_refused() {
    let platform = granted();
    platform.pay(&[payment("A2", "u2", 1_000)]).expect("somebody else's");
    let other = platform.beside(2, |_| {});
    other.publish(&always(1, EffectEntry::Fixed { asset: 1, amount: 100 }), 0).expect("a rule");
    other.pay(&[payment("A1", "u1", 1_000)]).expect("the same user there");
    let good = accounts(&platform, vec![platform.page(0, 0)]);
    let attempt = |accounts| redeem_with(&platform, &redemption("S1", 10), accounts);
    let user = |key: &str| platform.addresses.user(&platform_id::unkeyed_user(key));
    assert_eq!(attempt(RecordAccounts { user: user("u2"), ..good.clone() }), "WrongUser");
    assert_eq!(attempt(RecordAccounts { user: other.addresses.user(&key()), ..good.clone() }), "WrongUser");
    assert_eq!(attempt(RecordAccounts { user: platform.page(0, 0), ..good.clone() }), "failed");
    assert_eq!(attempt(RecordAccounts { pages: vec![other.page(0, 0)], ..good.clone() }), "WrongOrderPage");
    assert_eq!(attempt(RecordAccounts { pages: vec![], ..good.clone() }), "WrongAccounts");
    let twice = vec![platform.page(0, 0), platform.page(0, 0)];
    assert_eq!(attempt(RecordAccounts { pages: twice, ..good.clone() }), "WrongAccounts");
    assert_eq!(attempt(RecordAccounts { counters: vec![user("u2")], ..good.clone() }), "WrongAccounts");
    let nobody = Redemption { user: platform_id::unkeyed_user("u3"), ..redemption("S2", 10) };
    let unopened = RecordAccounts { user: user("u3"), ..good.clone() };
    assert_eq!(redeem_with(&platform, &nobody, unopened), "failed", "a user without an account");
    assert_eq!(attempt(good), "done");
    platform.assert_sound();
}

#[test]
fn in_a_batch_a_refused_redemption_changes_nothing_and_the_others_go_on() {
    let platform = granted();
    let batch = [redemption("S1", 60), redemption("S2", 60), redemption("S1", 1), redemption("S3", 40)];
    let accounts = vec![accounts(&platform, vec![platform.page(0, 0)]); 4];
    let record = instruction::record_redemptions(&platform.addresses, &accounts, &platform.sign(&batch));
    let executed = platform.run(&record, &[&platform.payer]).expect("two of four");
    let refused: Vec<_> =
        rebate_client::recorder::refusals(&executed.landed.logs).into_iter().map(|(_, reason)| reason).collect();
    assert_eq!(refused, ["InsufficientBalance", "DuplicateOrder"]);
    assert_eq!(platform.balance("u1"), 0);
    platform.assert_sound();
}

#[test]
fn a_redeemed_grant_is_not_granted_again_by_paying_the_same_order() {
    let platform = granted();
    platform.redeem(&redemption("S1", 100)).expect("all of it");
    let again = Payment { amount: Amount(9_999), ..payment("A1", "u1", 1_000) };
    assert_eq!(said(platform.pay(&[again])), "DuplicateOrder");
    assert_eq!(platform.balance("u1"), 0);
    platform.assert_sound();
}
