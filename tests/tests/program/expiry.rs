//! Expiry by calendar period, by an instruction of its own and with every record.

use rebate_client::{
    event::{AssetEntry, BalanceExpired, EffectEntry, Event},
    instruction, platform_id,
};
use rebate_core::{
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    units::{Amount, AssetId, OrderHash, Timestamp, UserKey},
};
use rebate_tests::{
    beside::said,
    platform::{TestPlatform, always, asset, payment},
};
use solana_signer::Signer;

/// Midnight in Shanghai at the beginning of October, November, December 2026, January, February and March 2027.
const MONTHS: [i64; 6] = [1_790_784_000, 1_793_462_400, 1_796_054_400, 1_798_732_800, 1_801_411_200, 1_803_830_400];

fn key() -> UserKey {
    platform_id::unkeyed_user("u1")
}

/// A platform whose asset 1 expires monthly and whose asset 2 never does; both are granted 1 : 10.
fn monthly() -> TestPlatform {
    let platform = TestPlatform::start_with(|settings| {
        settings.max_lateness = 365 * 86_400;
        settings.assets = vec![AssetEntry { expiry_months: 1, ..asset("coins") }, asset("stars")];
    });
    for id in [1, 2] {
        let ratio = EffectEntry::Ratio { asset: id as u8, bps: 1_000, min: 0, max: 0 };
        platform.publish(&always(id, ratio), 0).expect("a rule");
    }
    platform
}

/// Sets the clock into a month, so many seconds after it began.
fn enter(platform: &TestPlatform, month: usize, seconds: i64) -> Timestamp {
    let now = MONTHS[month] + seconds;
    platform.chain.set_clock(Some(now));
    Timestamp(now)
}

fn pay(platform: &TestPlatform, order: &str, paid_at: Timestamp, amount: u64) {
    platform.pay(&[Payment { paid_at, ..payment(order, "u1", amount) }]).expect("a payment");
}

fn expire(platform: &TestPlatform) -> &'static str {
    // Signed by nobody but who pays the fee.
    let stranger = platform.stranger();
    let expire = instruction::expire_balances(&platform.addresses, &key());
    said(platform.run(&[expire], &[&stranger]))
}

fn expired(platform: &TestPlatform) -> Vec<(u8, u64, u64, u64)> {
    let of = |event: BalanceExpired| (event.asset, event.amount, event.before, event.after);
    let events = platform.events_of().into_iter();
    events
        .filter_map(|event| match event {
            Event::BalanceExpired(event) => Some(of(event)),
            _ => None,
        })
        .collect()
}

#[test]
fn what_is_left_of_last_month_expires_when_this_one_closes() {
    let platform = monthly();
    pay(&platform, "A1", enter(&platform, 0, 0), 1_000);
    pay(&platform, "A2", enter(&platform, 1, 0), 500);
    assert_eq!(expired(&platform), [], "October's 100 may still be spent in November");
    enter(&platform, 2, -1);
    assert_eq!(expire(&platform), "done");
    assert_eq!(expired(&platform), [], "a second before December");
    enter(&platform, 2, 0);
    assert_eq!(expire(&platform), "done");
    assert_eq!(expired(&platform), [(1, 100, 150, 50)]);
    assert_eq!(expire(&platform), "done");
    assert_eq!(expired(&platform).len(), 1, "nothing is left to expire");
    let user = platform.user("u1");
    assert_eq!((user.balances[0].total(), user.balances[1].total()), (Amount(50), Amount(150)));
    platform.assert_sound();
}

#[test]
fn two_months_without_a_payment_expire_everything_at_once() {
    let platform = monthly();
    pay(&platform, "A1", enter(&platform, 0, 0), 1_000);
    pay(&platform, "A2", enter(&platform, 1, 0), 500);
    enter(&platform, 3, 0);
    assert_eq!(expire(&platform), "done");
    assert_eq!(expired(&platform), [(1, 150, 150, 0)]);
    platform.assert_sound();
}

#[test]
fn records_let_expire_first_what_is_over() {
    let platform = monthly();
    let october = enter(&platform, 0, 0);
    pay(&platform, "A1", october, 1_000);
    let december = enter(&platform, 2, 0);
    let redeem = |order: &str, amount| Redemption {
        order: OrderHash::of(order),
        user: key(),
        asset: AssetId(1),
        amount: Amount(amount),
        redeemed_at: december,
    };
    assert_eq!(said(platform.redeem(&redeem("S1", 1))), "InsufficientBalance", "it expired with November");
    assert_eq!(expired(&platform), [], "a refused record changes nothing");
    // A late payment of October is granted into the period of the clock.
    pay(&platform, "A2", october, 700);
    assert_eq!(expired(&platform), [(1, 100, 100, 0)]);
    let outcome = platform.recorded().last().expect("it").outcomes[0];
    assert_eq!((outcome.before, outcome.after), (0, 70));
    platform.redeem(&redeem("S2", 30)).expect("what is left is enough");
    platform.assert_sound();

    // What a refund takes back after it expired becomes a debt.
    let refund =
        Refund { order: OrderHash::of("R1"), of: OrderHash::of("A1"), amount: Amount(1_000), paid_at: december };
    let paid = Payment { paid_at: october, ..payment("A1", "u1", 1_000) };
    platform.refund(&refund, &paid).expect("a refund");
    let balance = platform.user("u1").balances[0];
    assert_eq!((balance.total(), balance.debt), (Amount(0), Amount(60)));
    platform.assert_sound();

    enter(&platform, 5, 0);
    assert_eq!(expire(&platform), "done");
    assert_eq!(platform.user("u1").balances[0].debt, Amount(60), "a debt does not expire");
    platform.assert_sound();
}

#[test]
fn the_older_part_is_spent_first() {
    let platform = monthly();
    pay(&platform, "A1", enter(&platform, 0, 0), 1_000);
    let november = enter(&platform, 1, 0);
    pay(&platform, "A2", november, 500);
    let redemption = Redemption {
        order: OrderHash::of("S1"),
        user: key(),
        asset: AssetId(1),
        amount: Amount(120),
        redeemed_at: november,
    };
    platform.redeem(&redemption).expect("100 of October, 20 of November");
    enter(&platform, 2, 0);
    assert_eq!(expire(&platform), "done");
    assert_eq!(expired(&platform), [], "nothing of October was left");
    assert_eq!(platform.balance("u1"), 30);
    enter(&platform, 3, 0);
    assert_eq!(expire(&platform), "done");
    assert_eq!(expired(&platform), [(1, 30, 30, 0)]);
    platform.assert_sound();
}

#[test]
fn where_nothing_expires_nothing_happens() {
    let platform = TestPlatform::with_sample_rules();
    platform.pay(&[payment("A1", "u1", 5_000)]).expect("a payment");
    let before = (platform.user("u1"), platform.journal());
    platform.wait_until(1_000, 0);
    assert_eq!(expire(&platform), "done");
    assert_eq!((platform.user("u1"), platform.journal()), before);
}

#[test]
fn a_user_or_a_journal_of_another_platform_is_refused() {
    let platform = monthly();
    pay(&platform, "A1", enter(&platform, 0, 0), 1_000);
    let other = platform.beside(3, |_| {});
    other.as_payer(&instruction::open_user(&platform.payer.pubkey(), &other.addresses, &key(), 0)).expect("a user");
    let page = platform.addresses.order_page(rebate_client::address::day_of(Timestamp(MONTHS[0])), 0, 0);
    enter(&platform, 4, 0);
    for (at, address, expected) in [
        (0, other.addresses.platform, "WrongPlatform"),
        (1, other.addresses.user(&key()), "WrongPlatform"),
        (2, other.addresses.journal, "WrongPlatform"),
        (1, platform.addresses.journal, "failed"),
        (1, page, "failed"),
        (1, platform.payer.pubkey(), "failed"),
    ] {
        let mut expire = instruction::expire_balances(&platform.addresses, &key());
        expire.accounts[at].pubkey = address;
        assert_eq!(said(platform.as_payer(&expire)), expected, "account {at}");
    }
    for at in 0..3 {
        let mut expire = instruction::expire_balances(&platform.addresses, &key());
        expire.accounts[at].is_writable = false;
        assert_eq!(said(platform.as_payer(&expire)), "failed", "account {at} is not to be written to");
    }
    assert_eq!(platform.balance("u1"), 100);
    assert_eq!(expire(&platform), "done");
    assert_eq!(platform.balance("u1"), 0);
    platform.assert_sound();
}
