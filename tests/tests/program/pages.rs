//! Order pages: opened ahead, grown, succeeded, closed; and that no order is taken twice whatever is done to them.

use rebate_client::{
    account::OrderPage,
    event::Event,
    instruction::{self, PlatformSetting, RecordAccounts},
};
use rebate_core::{
    order,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    time::DAY,
    units::{Amount, AssetId, Day, OrderHash, Timestamp, UserKey},
};
use rebate_tests::{
    beside::{TODAY, day, said},
    platform::{NOON, TestPlatform, payment},
};
use solana_program::{instruction::AccountMeta, pubkey::Pubkey};
use solana_signer::Signer;

const WEEK: i64 = 7;

/// A payment so many days after [`NOON`].
fn paid_on(days: i64, order: &str) -> Payment {
    Payment { paid_at: Timestamp(NOON + days * DAY), ..payment(order, "u1", 100) }
}

/// Submits a payment with the accounts that `accounts` names instead of those it should have.
fn with_pages(platform: &TestPlatform, payment: &Payment, pages: Vec<Pubkey>) -> &'static str {
    let user = platform.addresses.user(&payment.user);
    let accounts = RecordAccounts { user, pages, refund: None, counters: Vec::new() };
    let record = instruction::record_payments(&platform.addresses, &[accounts], &platform.sign(&[*payment]));
    said(platform.run(&record, &[&platform.payer]))
}

/// A page of 8 slots for today with so many orders in it, `A0` and on.
fn small_page(orders: usize) -> TestPlatform {
    let platform = TestPlatform::with_sample_rules();
    platform.open_page(0, 0, 8).expect("a page of 8 slots");
    for at in 0..orders {
        platform.pay(&[paid_on(0, &format!("A{at}"))]).expect("room");
    }
    platform
}

// ---- Opening ahead and growing ----

#[test]
fn a_page_opened_ahead_takes_the_orders_of_its_day_when_it_comes() {
    let platform = TestPlatform::with_sample_rules();
    platform.open_page(32, 0, 16).expect("32 days ahead");
    assert_eq!(said(platform.open_page(33, 0, 16)), "InvalidOrderPage");
    assert_eq!(platform.platform().last_opened, TODAY + 32);
    platform.open_page(5, 0, 16).expect("a day between");
    assert_eq!(platform.platform().last_opened, TODAY + 32, "the last one stays the last one");
    platform.wait_until(32, 0);
    platform.pay(&[paid_on(32, "A1")]).expect("a payment");
    let page = platform.page_header(&platform.page(32, 0));
    assert_eq!((page.taken, page.day, page.shard, page.number, page.sealed), (1, TODAY + 32, 0, 0, 0));
    assert_eq!(page.payer, platform.payer.pubkey().to_bytes());
    platform.assert_sound();
}

#[test]
fn an_empty_page_grows_beyond_what_an_account_is_created_with() {
    let platform = TestPlatform::with_sample_rules();
    let grow = |slots| {
        said(platform.as_payer(&instruction::grow_order_page(
            &platform.payer.pubkey(),
            &platform.addresses,
            day(0),
            0,
            0,
            slots,
        )))
    };
    platform.open_page(0, 0, 8).expect("a page");
    assert_eq!(grow(8 + 1_280 + 1), "failed", "by more than an account grows in one instruction");
    assert_eq!(grow(8 + 1_280), "done");
    assert_eq!(grow(8 + 2 * 1_280), "done");
    let page = platform.page(0, 0);
    assert_eq!(OrderPage::slots(&platform.data(&page).expect("a page")), 2_568);
    platform.pay(&[paid_on(0, "A1"), paid_on(0, "A2")]).expect("payments");
    assert_eq!(said(platform.pay(&[paid_on(0, "A1")])), "DuplicateOrder");

    platform.wait_until(1 + WEEK, 0);
    let (before, held) = (platform.lamports(&platform.payer.pubkey()), platform.lamports(&page));
    platform.close_days(&[0]).expect("closed");
    assert_eq!(platform.lamports(&platform.payer.pubkey()) + 5_000, before + held, "all of the rent, less the fee");
    platform.assert_sound();
}

#[test]
fn a_page_grows_only_and_only_while_it_is_empty() {
    let platform = TestPlatform::with_sample_rules();
    let grow = |slots| {
        let payer = platform.payer.pubkey();
        said(platform.as_payer(&instruction::grow_order_page(&payer, &platform.addresses, day(0), 0, 0, slots)))
    };
    platform.open_page(0, 0, 64).expect("a page");
    for slots in [0, 8, 63, 64, (1 << 20) + 1, u32::MAX] {
        assert_eq!(grow(slots), "OrderPageInUse", "{slots} slots");
    }
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    assert_eq!(grow(128), "OrderPageInUse", "places of orders follow from the page's size");
    assert_eq!(said(platform.pay(&[paid_on(0, "A1")])), "DuplicateOrder");
}

#[test]
fn nobody_but_who_opened_a_page_grows_it() {
    let platform = TestPlatform::with_sample_rules();
    platform.open_page(0, 0, 8).expect("a page");
    let stranger = platform.stranger();
    let grow = instruction::grow_order_page(&stranger.pubkey(), &platform.addresses, day(0), 0, 0, 64);
    assert_eq!(said(platform.signed_by(&grow, &stranger)), "NotPayer");
    let mut unsigned = instruction::grow_order_page(&platform.payer.pubkey(), &platform.addresses, day(0), 0, 0, 64);
    unsigned.accounts[0].is_signer = false;
    assert_eq!(said(platform.signed_by(&unsigned, &stranger).and(platform.run(&[unsigned], &[&stranger]))), "failed");

    let other = platform.beside(2, |_| {});
    let mut foreign = instruction::grow_order_page(&platform.payer.pubkey(), &platform.addresses, day(0), 0, 0, 64);
    foreign.accounts[1].pubkey = other.addresses.platform;
    assert_eq!(said(platform.as_payer(&foreign)), "WrongPlatform");
}

// ---- Successors ----

#[test]
fn a_page_three_quarters_full_is_sealed_by_its_successor() {
    let platform = small_page(5);
    assert_eq!(said(platform.open_page(0, 1, 16)), "OrderPageInUse", "5 of 7");
    platform.pay(&[paid_on(0, "A5")]).expect("room");
    platform.open_page(0, 1, 16).expect("6 of 7");
    platform.pay(&[paid_on(0, "A6")]).expect("the successor takes it");
    let (first, second) = (platform.page_header(&platform.page(0, 0)), platform.page_header(&platform.page(0, 1)));
    assert_eq!((first.sealed, first.taken), (1, 6));
    assert_eq!((second.sealed, second.taken, second.number), (0, 1, 1));
    for at in 0..7 {
        assert_eq!(said(platform.pay(&[paid_on(0, &format!("A{at}"))])), "DuplicateOrder", "A{at}");
    }
    assert_eq!(platform.recorded().len(), 7);
    platform.assert_sound();
}

#[test]
fn every_page_of_the_day_and_shard_must_be_brought_in_order() {
    let platform = small_page(6);
    platform.open_page(0, 1, 16).expect("a successor");
    platform.open_page(-1, 0, 8).expect("yesterday's");
    let page = |number| platform.page(0, number);
    let again = paid_on(0, "A3");
    for (pages, expected) in [
        // Where the order stands, what would come behind does not matter.
        (vec![page(0)], "DuplicateOrder"),
        (vec![page(0), page(0)], "DuplicateOrder"),
        (vec![page(1)], "WrongOrderPage"),
        (vec![page(1), page(0)], "WrongOrderPage"),
        (vec![], "WrongAccounts"),
    ] {
        assert_eq!(with_pages(&platform, &again, pages), expected);
    }
    let new = paid_on(0, "B1");
    for (pages, expected) in [
        (vec![page(0)], "WrongAccounts"),
        (vec![page(1)], "WrongOrderPage"),
        (vec![page(0), page(0)], "WrongOrderPage"),
        (vec![page(0), platform.page(-1, 0)], "WrongOrderPage"),
        (vec![page(0), platform.addresses.user(&new.user)], "WrongAccounts"),
        (vec![page(0), platform.addresses.journal], "failed"),
        (vec![page(0), page(1), page(1)], "WrongCounter"),
        (vec![page(0), page(1)], "done"),
    ] {
        assert_eq!(with_pages(&platform, &new, pages.clone()), expected, "{pages:?}");
    }
    assert_eq!(platform.recorded().len(), 7);
    platform.assert_sound();
}

#[test]
fn a_page_that_is_not_sealed_has_no_others_behind_it() {
    let platform = small_page(6);
    let page = platform.page(0, 0);
    assert_eq!(with_pages(&platform, &paid_on(0, "B1"), vec![page, page]), "WrongCounter");
    assert_eq!(with_pages(&platform, &paid_on(0, "B1"), vec![page]), "done");
}

#[test]
fn a_successor_names_the_page_it_follows() {
    let platform = small_page(6);
    platform.open_page(-1, 0, 8).expect("yesterday's");
    let payer = platform.payer.pubkey();
    let open = |number, before: &[Pubkey]| {
        let mut open = instruction::open_order_page(&payer, &platform.addresses, day(0), 0, number, 16);
        open.accounts.truncate(4);
        open.accounts.extend(before.iter().map(|page| AccountMeta::new(*page, false)));
        said(platform.as_payer(&open))
    };
    let page = |number| platform.page(0, number);
    let other = platform.beside(2, |_| {});
    other.open_page(0, 0, 8).expect("the other platform's");
    assert_eq!(open(1, &[]), "WrongAccounts");
    assert_eq!(open(1, &[page(0), page(0)]), "WrongAccounts");
    assert_eq!(open(1, &[platform.page(-1, 0)]), "WrongOrderPage");
    assert_eq!(open(1, &[other.page(0, 0)]), "WrongOrderPage");
    assert_eq!(open(1, &[page(1)]), "failed", "itself");
    assert_eq!(open(1, &[platform.addresses.platform]), "failed");
    assert_eq!(open(1, &[platform.addresses.user(&payment("A", "u1", 1).user)]), "failed");
    assert_eq!(open(2, &[page(0)]), "WrongOrderPage");
    assert_eq!(open(2, &[page(1)]), "failed", "there is none");
    assert_eq!(open(u16::MAX, &[page(0)]), "WrongOrderPage");
    assert_eq!(open(1, &[page(0)]), "done");
    assert_eq!(open(1, &[page(0)]), "failed", "it is there");
    assert_eq!(open(2, &[page(1)]), "OrderPageInUse", "it is empty");
    let tomorrow = instruction::open_order_page(&payer, &platform.addresses, day(1), 0, 0, 8);
    let mut followed = tomorrow;
    followed.accounts.push(AccountMeta::new(page(0), false));
    assert_eq!(said(platform.as_payer(&followed)), "WrongAccounts", "the first page follows none");
    assert_eq!(platform.page_header(&page(0)).sealed, 1);
}

#[test]
fn a_page_is_not_sealed_by_a_successor_that_was_not_opened() {
    let platform = small_page(6);
    let mut open = instruction::open_order_page(&platform.payer.pubkey(), &platform.addresses, day(0), 0, 1, 16);
    open.accounts[4].is_writable = false;
    assert_eq!(said(platform.as_payer(&open)), "failed");
    assert_eq!(said(platform.open_page(0, 1, 7)), "InvalidOrderPage");
    assert_eq!(platform.page_header(&platform.page(0, 0)).sealed, 0);
    assert!(!platform.exists(&platform.page(0, 1)));
}

#[test]
fn a_stranger_cannot_make_a_days_pages_so_many_that_a_record_has_no_room_for_them() {
    let platform = small_page(6);
    for slots in [8, 15] {
        assert_eq!(said(platform.open_page(0, 1, slots)), "InvalidOrderPage", "a successor of {slots} slots");
    }
    // Twice as many each time, until an account has no more to begin with.
    let (mut number, mut slots, mut order) = (0, 8u16, 6);
    while slots < 128 {
        number += 1;
        slots *= 2;
        platform.open_page(0, number, slots).expect("a successor");
        let limit = order::page_limit(usize::from(slots));
        for _ in 0..limit - limit / 4 {
            platform.pay(&[paid_on(0, &format!("A{order}"))]).expect("a payment");
            order += 1;
        }
    }
    assert_eq!(said(platform.pay(&[paid_on(0, "A1")])), "DuplicateOrder");
    platform.assert_sound();
}

#[test]
fn a_first_page_has_at_least_as_many_slots_as_the_platform_says() {
    let platform = TestPlatform::start().beside(2, |settings| {
        settings.page_slots = 256;
        settings.order_shards = 2;
    });
    let payer = platform.payer.pubkey();
    let open = |days, shard, slots| {
        let open = instruction::open_order_page(&payer, &platform.addresses, day(days), shard, 0, slots);
        said(platform.as_payer(&open))
    };
    for (days, shard) in [(0, 0), (0, 1), (-7, 0), (32, 1)] {
        for slots in [0, 8, 255] {
            assert_eq!(open(days, shard, slots), "InvalidOrderPage", "{slots} slots on day {days}, shard {shard}");
        }
        assert!(!platform.exists(&platform.addresses.order_page(day(days), shard, 0)));
    }
    assert_eq!(platform.platform().last_opened, 0, "a refused page is none that was opened");
    assert_eq!((open(0, 0, 256), open(0, 1, 257), open(1, 0, 1_267)), ("done", "done", "done"));
    let slots = |days, shard| {
        let page = platform.data(&platform.addresses.order_page(day(days), shard, 0)).expect("a page");
        OrderPage::slots(&page)
    };
    assert_eq!((slots(0, 0), slots(0, 1), slots(1, 0)), (256, 257, 1_267));
}

#[test]
fn a_successor_has_twice_the_slots_of_a_first_page_of_the_least_size() {
    let platform = TestPlatform::start().beside(2, |settings| settings.page_slots = 24);
    platform.open_page(0, 0, 24).expect("a page of the least size");
    for at in 0..16 {
        platform.pay(&[paid_on(0, &format!("A{at}"))]).expect("room");
    }
    for slots in [24, 47] {
        assert_eq!(said(platform.open_page(0, 1, slots)), "InvalidOrderPage", "a successor of {slots} slots");
    }
    assert_eq!(platform.page_header(&platform.page(0, 0)).sealed, 0);
    platform.open_page(0, 1, 48).expect("twice as many");
    platform.pay(&[paid_on(0, "B1")]).expect("the successor takes it");
    assert_eq!(said(platform.pay(&[paid_on(0, "A1")])), "DuplicateOrder");
    platform.assert_sound();
}

// ---- Closing ----

#[test]
fn a_page_closes_once_its_day_is_beyond_max_lateness_and_the_rent_goes_to_who_paid_it() {
    let platform = TestPlatform::with_sample_rules();
    let (opener, closer) = (platform.stranger(), platform.stranger());
    let open = instruction::open_order_page(&opener.pubkey(), &platform.addresses, day(0), 0, 0, 64);
    platform.signed_by(&open, &opener).expect("opened by somebody");
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    let page = platform.page(0, 0);
    let rent = platform.lamports(&page);
    let close = instruction::close_order_pages(&closer.pubkey(), &platform.addresses, &[(page, opener.pubkey())]);

    // Today ends 72 000 seconds after noon in Shanghai.
    platform.wait_until(WEEK, 72_000 - 1);
    assert_eq!(said(platform.signed_by(&close, &closer)), "OrderPageInUse", "a second before");
    platform.wait_until(WEEK, 72_000);
    let (opened, closed) = (platform.lamports(&opener.pubkey()), platform.lamports(&closer.pubkey()));
    platform.signed_by(&close, &closer).expect("closed by somebody else");
    assert_eq!(platform.lamports(&opener.pubkey()), opened + rent);
    assert_eq!(platform.lamports(&closer.pubkey()), closed, "the closer gets nothing");
    assert!(!platform.exists(&page));
    assert_eq!(platform.lamports(&page), 0);
    assert_eq!(platform.platform().open_from, TODAY + 1);
    let Some(Event::DayClosed(event)) = platform.events_of().pop() else { panic!("an event") };
    assert_eq!((event.day, event.at), (TODAY, NOON + WEEK * DAY + 72_000));
    platform.assert_sound();
}

#[test]
fn who_opened_a_page_closes_it() {
    let platform = TestPlatform::with_sample_rules();
    let opener = platform.stranger();
    let open = instruction::open_order_page(&opener.pubkey(), &platform.addresses, day(0), 0, 0, 64);
    platform.signed_by(&open, &opener).expect("opened");
    platform.wait_until(WEEK + 1, 0);
    let page = platform.page(0, 0);
    let (before, rent) = (platform.lamports(&opener.pubkey()), platform.lamports(&page));
    let close = instruction::close_order_pages(&opener.pubkey(), &platform.addresses, &[(page, opener.pubkey())]);
    platform.signed_by(&close, &opener).expect("closed");
    assert_eq!(platform.lamports(&opener.pubkey()), before + rent);
}

#[test]
fn pages_of_several_days_close_at_once_with_one_event() {
    let platform = small_page(6);
    platform.open_page(0, 1, 16).expect("a successor");
    for days in [-2, -1] {
        platform.open_page(days, 0, 8).expect("a page");
    }
    platform.wait_until(WEEK + 1, 0);
    let payer = platform.payer.pubkey();
    let events = platform.events_of().len();
    let pages = [(0, 1), (-2, 0), (0, 0)].map(|(days, number)| (platform.page(days, number), payer));
    platform.as_payer(&instruction::close_order_pages(&payer, &platform.addresses, &pages)).expect("closed");
    let told = platform.events_of();
    assert_eq!(told.len(), events + 1);
    assert!(matches!(&told[events], Event::DayClosed(closed) if closed.day == TODAY), "the last of them");
    platform.close_days(&[-1]).expect("one that was left over");
    assert_eq!(platform.events_of().len(), events + 1, "no later day was closed");
    assert_eq!(platform.platform().open_from, TODAY + 1);
    platform.assert_sound();
}

#[test]
fn what_is_closed_must_be_pages_of_the_platform_each_with_who_opened_it() {
    let platform = TestPlatform::with_sample_rules();
    let other = platform.beside(2, |_| {});
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    other.open_page(0, 0, 8).expect("the other platform's");
    platform.wait_until(WEEK + 1, 0);
    let (payer, page) = (platform.payer.pubkey(), platform.page(0, 0));
    let close = |accounts: &[Pubkey]| {
        let mut close = instruction::close_order_pages(&payer, &platform.addresses, &[]);
        close.accounts.extend(accounts.iter().map(|account| AccountMeta::new(*account, false)));
        said(platform.as_payer(&close))
    };
    let user = platform.addresses.user(&payment("A1", "u1", 1).user);
    assert_eq!(close(&[]), "WrongAccounts");
    assert_eq!(close(&[page]), "WrongAccounts");
    assert_eq!(close(&[page, payer, page]), "WrongAccounts");
    assert_eq!(close(&[page, platform.admin.pubkey()]), "NotPayer");
    assert_eq!(close(&[page, page]), "NotPayer");
    assert_eq!(close(&[other.page(0, 0), payer]), "WrongPlatform");
    assert_eq!(close(&[user, payer]), "failed");
    assert_eq!(close(&[platform.addresses.rule_book, payer]), "failed");
    assert_eq!(close(&[platform.addresses.journal, payer]), "failed");
    assert_eq!(close(&[platform.page(5, 0), payer]), "failed", "there is none");
    let twice = close(&[page, payer, page, payer]);
    assert_ne!(twice, "done", "the same page twice");
    let mut closed = instruction::close_order_pages(&payer, &platform.addresses, &[(page, payer)]);
    closed.accounts[5].is_writable = false;
    assert_eq!(said(platform.as_payer(&closed)), "failed", "a page that is not to be written to");
    assert_eq!(platform.page_header(&page).taken, 1);
    assert_eq!(platform.platform().open_from, 0);

    let mut journal = instruction::close_order_pages(&payer, &platform.addresses, &[(page, payer)]);
    journal.accounts[2].pubkey = other.addresses.journal;
    assert_eq!(said(platform.as_payer(&journal)), "WrongPlatform");
    assert_eq!(close(&[page, payer]), "done");
}

#[test]
fn an_announced_change_of_max_lateness_closes_nothing_before_it_counts() {
    let platform = TestPlatform::with_sample_rules();
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    let counts = NOON + 2 * DAY;
    platform.change(PlatformSetting::MaxLateness, 60, counts).expect("announced");
    platform.wait_until(1, 72_000 + 60);
    assert_eq!(said(platform.close_days(&[0])), "OrderPageInUse");
    assert_eq!(said(platform.pay(&[paid_on(0, "A1")])), "DuplicateOrder", "the day is still open");
    platform.wait_until(2, 0);
    assert_eq!(said(platform.pay(&[paid_on(0, "A1")])), "TooLate");
    platform.close_days(&[0]).expect("beyond a minute");
    assert_eq!(said(with_closed(&platform, &paid_on(0, "A1"))), "TooLate");
    platform.assert_sound();
}

/// Submits a payment with the address of the page its day would have.
fn with_closed(
    platform: &TestPlatform,
    payment: &Payment,
) -> Result<rebate_client::chain::embedded::Executed, rebate_client::chain::SubmitError> {
    let accounts = RecordAccounts {
        user: platform.addresses.user(&payment.user),
        pages: vec![platform.addresses.order_page(day_of(payment.paid_at), 0, 0)],
        refund: None,
        counters: Vec::new(),
    };
    let record = instruction::record_payments(&platform.addresses, &[accounts], &platform.sign(&[*payment]));
    platform.run(&record, &[&platform.payer])
}

fn day_of(at: Timestamp) -> Day {
    rebate_client::address::day_of(at)
}

/// One record of each kind that has an order number, for one day.
struct DaysRecords {
    payment: Payment,
    refund: Refund,
    redemption: Redemption,
}

fn records_of(days: i64, user: UserKey) -> DaysRecords {
    let at = Timestamp(NOON + days * DAY);
    let order = |kind| OrderHash::of(&format!("{kind} {days}"));
    DaysRecords {
        payment: Payment { paid_at: at, user, ..payment(&format!("payment {days}"), "u1", 1_000) },
        refund: Refund { order: order("refund"), of: order("payment"), amount: Amount(100), paid_at: at },
        redemption: Redemption {
            order: order("redemption"),
            user,
            asset: AssetId(1),
            amount: Amount(1),
            redeemed_at: at,
        },
    }
}

#[test]
fn every_record_of_a_closed_day_is_refused_whatever_max_lateness_says_later() {
    let platform = TestPlatform::with_sample_rules();
    let user = payment("A", "u1", 1).user;
    let days: Vec<i64> = (-6..=0).collect();
    for days in &days {
        let records = records_of(*days, user);
        platform.pay(&[records.payment]).expect("a payment");
        platform.refund(&records.refund, &records.payment).expect("a refund");
        platform.redeem(&records.redemption).expect("a redemption");
    }
    platform.assert_sound();

    // All but the last two days are over and closed.
    platform.wait_until(6, 0);
    let (closed, open): (Vec<i64>, Vec<i64>) = days.iter().partition(|days| **days < -1);
    platform.close_days(&closed).expect("closed");
    platform.change(PlatformSetting::MaxLateness, 365 * 86_400, 0).expect("longer at once");
    let (user_before, journal) = (platform.user("u1"), platform.journal());

    let replay = |days: i64| {
        let records = records_of(days, user);
        let accounts = |refund| RecordAccounts {
            user: platform.addresses.user(&user),
            pages: vec![platform.page(days, 0)],
            refund,
            counters: Vec::new(),
        };
        let (plain, refunded) = ([accounts(None)], [accounts(Some(platform.addresses.refund(&records.refund.of)))]);
        let addresses = &platform.addresses;
        let submit =
            |record: [solana_program::instruction::Instruction; 2]| said(platform.run(&record, &[&platform.payer]));
        [
            submit(instruction::record_payments(addresses, &plain, &platform.sign(&[records.payment]))),
            submit(instruction::record_refunds(addresses, &refunded, &platform.sign(&[records.refund]))),
            submit(instruction::record_redemptions(addresses, &plain, &platform.sign(&[records.redemption]))),
        ]
    };
    for days in &closed {
        assert_eq!(said(platform.open_page(*days, 0, 64)), "InvalidOrderPage", "no page for a closed day");
        assert_eq!(replay(*days), ["TooLate"; 3], "records of the closed day {days}");
        let new = Payment { order: OrderHash::of("new"), ..records_of(*days, user).payment };
        assert_eq!(said(with_closed(&platform, &new)), "TooLate", "nor is a new one taken");
    }
    for days in &open {
        assert_eq!(replay(*days), ["DuplicateOrder"; 3], "records of the open day {days}");
    }
    assert_eq!(said(platform.open_page(-7, 0, 64)), "InvalidOrderPage", "a day before, which never had a page");
    assert_eq!((platform.user("u1"), platform.journal().count), (user_before, journal.count));
    platform.assert_sound();
}

#[test]
fn the_last_second_of_a_closed_day_is_refused_and_the_next_is_taken() {
    let platform = TestPlatform::with_sample_rules();
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    platform.wait_until(WEEK + 1, 0);
    platform.close_days(&[0]).expect("closed");
    platform.change(PlatformSetting::MaxLateness, 365 * 86_400, 0).expect("longer at once");
    let at = |order, seconds| Payment { paid_at: Timestamp(NOON + seconds), ..payment(order, "u1", 100) };
    assert_eq!(said(with_closed(&platform, &at("A2", 72_000 - 1))), "TooLate");
    platform.pay(&[at("A3", 72_000)]).expect("the first second of the next day");
    platform.assert_sound();
}

// ---- Shards ----

fn spread(platform: &TestPlatform, from: i64, shards: u16, page_slots: u16) -> &'static str {
    said(platform.as_admin(&instruction::set_order_shards(
        &platform.admin.pubkey(),
        &platform.addresses,
        day(from),
        shards,
        page_slots,
    )))
}

fn shards(platform: &TestPlatform, from: i64, shards: u16) -> &'static str {
    spread(platform, from, shards, 8)
}

#[test]
fn first_pages_become_larger_or_smaller_only_from_a_day_that_is_not_opened_yet() {
    let platform = TestPlatform::start();
    platform.open_page(2, 0, 8).expect("a page ahead");
    assert_eq!(spread(&platform, 2, 1, 64), "InvalidOrderShards", "a day that is opened");
    assert_eq!(spread(&platform, 3, 1, 64), "done");
    let Some(Event::OrderShardsChanged(event)) = platform.events_of().pop() else { panic!("an event") };
    assert_eq!((event.from_day, event.shards, event.page_slots), (day(3).0, 1, 64));
    let account = platform.platform();
    assert_eq!((account.page_slots(day(2)), account.page_slots(day(3))), (8, 64));
    let open = |days, slots| said(platform.open_page(days, 0, slots));
    assert_eq!(
        (open(1, 8), open(3, 8), open(3, 63), open(3, 64)),
        ("done", "InvalidOrderPage", "InvalidOrderPage", "done")
    );
    assert_eq!(spread(&platform, 4, 1, 16), "done", "smaller again");
    assert_eq!((open(4, 15), open(4, 16)), ("InvalidOrderPage", "done"));
    assert_eq!(open(32, 16), "done", "what comes last holds from then on");
}

#[test]
fn a_first_page_of_a_size_that_nobody_could_open_is_refused() {
    let platform = TestPlatform::start();
    let before = (platform.data(&platform.addresses.platform), platform.journal().count);
    for page_slots in [0, 7, 1_268, u16::MAX] {
        assert_eq!(spread(&platform, 1, 1, page_slots), "InvalidOrderShards", "{page_slots} slots");
    }
    assert_eq!((platform.data(&platform.addresses.platform), platform.journal().count), before);
    assert_eq!((spread(&platform, 1, 1, 8), spread(&platform, 2, 1, 1_267)), ("done", "done"));
    let open = |days, slots| said(platform.open_page(days, 0, slots));
    assert_eq!((open(1, 8), open(2, 1_266), open(2, 1_267)), ("done", "InvalidOrderPage", "done"));
}

#[test]
fn orders_are_spread_otherwise_only_from_a_day_that_is_not_opened_yet() {
    let platform = TestPlatform::with_sample_rules();
    for from in [-1, 0] {
        assert_eq!(shards(&platform, from, 2), "InvalidOrderShards", "day {from}");
    }
    assert_eq!(shards(&platform, 1, 0), "InvalidOrderShards", "into none");
    platform.open_page(5, 0, 8).expect("a page ahead");
    assert_eq!(shards(&platform, 5, 2), "InvalidOrderShards");
    assert_eq!(shards(&platform, 6, 2), "done");
    let account = platform.platform();
    assert_eq!((account.order_shards(day(5)), account.order_shards(day(6))), (1, 2));
    let Some(Event::OrderShardsChanged(event)) = platform.events_of().pop() else { panic!("an event") };
    assert_eq!((event.from_day, event.shards), (day(6).0, 2));

    let open = |days, shard| {
        let payer = platform.payer.pubkey();
        said(platform.as_payer(&instruction::open_order_page(&payer, &platform.addresses, day(days), shard, 0, 8)))
    };
    assert_eq!((open(5, 1), open(6, 1), open(6, 2)), ("InvalidOrderPage", "done", "InvalidOrderPage"));
    platform.wait_until(6, 0);
    // One order of each shard: what decides are bytes 8 and 9 of its hash.
    let of_shard = |shard| {
        let orders = (0..).map(|at| paid_on(6, &format!("S{at}")));
        orders.into_iter().find(|paid| order::shard(&paid.order, 2) == shard).expect("an order")
    };
    for (paid, shard) in [(of_shard(0), 0), (of_shard(1), 1)] {
        let page = |shard| platform.addresses.order_page(day(6), shard, 0);
        platform.open_for(&paid);
        assert_eq!(with_pages(&platform, &paid, vec![page(1 - shard)]), "WrongOrderPage");
        platform.pay(&[paid]).expect("in its own shard");
        assert_eq!(said(platform.pay(&[paid])), "DuplicateOrder");
    }
    assert_eq!(said(platform.pay(&[paid_on(5, "A1")])), "done", "the day before has one shard still");
    assert_eq!(platform.page_header(&platform.page(5, 0)).taken, 1);
    platform.assert_sound();
}

#[test]
fn a_change_that_was_to_come_is_replaced_by_an_earlier_one() {
    let platform = TestPlatform::start();
    assert_eq!(shards(&platform, 9, 4), "done");
    assert_eq!(shards(&platform, 9, 5), "done", "the same day again");
    assert_eq!(platform.platform().shard_rows, 2);
    assert_eq!(shards(&platform, 3, 2), "done");
    let account = platform.platform();
    assert_eq!(account.shard_rows, 2);
    assert_eq!((account.order_shards(day(2)), account.order_shards(day(3)), account.order_shards(day(9))), (1, 2, 2));
}

#[test]
fn the_oldest_number_of_shards_is_forgotten_only_once_its_days_are_closed() {
    let platform = TestPlatform::with_sample_rules();
    platform.pay(&[paid_on(0, "A1")]).expect("a payment");
    for (from, count) in [(1, 2), (2, 3), (3, 4)] {
        assert_eq!(shards(&platform, from, count), "done");
    }
    assert_eq!(shards(&platform, 40, 5), "InvalidOrderShards", "a fifth while the first is needed");
    platform.wait_until(WEEK + 1, 0);
    platform.close_days(&[0]).expect("closed");
    assert_eq!(shards(&platform, 40, 5), "done");
    let account = platform.platform();
    let counts = [1, 2, 3, 39, 40].map(|days| account.order_shards(day(days)));
    assert_eq!(counts, [2, 3, 4, 4, 5]);
    assert_eq!(shards(&platform, 41, 6), "InvalidOrderShards");
}

#[test]
fn nobody_but_the_admin_spreads_orders() {
    let platform = TestPlatform::start();
    for stranger in [&platform.pauser, &platform.oracle] {
        let set = instruction::set_order_shards(&stranger.pubkey(), &platform.addresses, day(1), 2, 8);
        assert_eq!(said(platform.signed_by(&set, stranger)), "NotAdmin");
    }
    let other = platform.beside(2, |_| {});
    let mut set = instruction::set_order_shards(&platform.admin.pubkey(), &platform.addresses, day(1), 2, 8);
    set.accounts[2].pubkey = other.addresses.journal;
    assert_eq!(said(platform.as_admin(&set)), "WrongPlatform");
}
