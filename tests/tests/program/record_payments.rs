//! Recording payments.

use rebate_client::{
    address::{Addresses, day_of},
    chain::SubmitError,
    event::{EffectEntry, RuleDefinition},
    instruction::{self, RecordAccounts},
    platform_id,
};
use rebate_core::{
    balance::{Balance, Balances},
    counters::Counters,
    evaluate::{self, CountersByScope, Evaluation},
    journal, order,
    outcome::Reason,
    payment::Payment,
    units::{Day, OrderHash, PaymentNumber, Timestamp},
    window::Scope,
};
use rebate_tests::platform::{NOON, TestPlatform, always, asset, payment, refusal, settings};
use solana_signer::Signer;

const DAY: i64 = 86_400;

#[test]
fn the_first_recharge_and_the_weekend_are_granted_and_reported_with_balances() {
    let platform = TestPlatform::with_sample_rules();
    let paid = Payment { product: 3, streamer: 4, session: 5, tier: 6, segments: 7, ..payment("A1", "u1", 5_000) };
    platform.pay(&[paid]).expect("a payment");

    let recorded = platform.recorded();
    let [event] = recorded.as_slice() else { panic!("one payment: {recorded:?}") };
    assert_eq!(event.order, paid.order.0);
    assert_eq!(event.user, paid.user.0);
    assert_eq!(event.oracle, platform.oracle.pubkey().to_bytes());
    assert_eq!(event.platform, platform.addresses.platform.to_bytes());
    assert_eq!((event.amount, event.paid_at, event.at, event.number), (5_000, NOON, NOON, 1));
    assert_eq!((event.product, event.streamer, event.session, event.tier, event.segments), (3, 4, 5, 6, 7));
    let outcomes: Vec<_> =
        event.outcomes.iter().map(|o| (o.rule, o.version, o.reason, o.asset, o.amount, o.before, o.after)).collect();
    assert_eq!(outcomes, [(1, 1, 0, 1, 1_000, 0, 1_000), (2, 1, 0, 1, 1_000, 1_000, 2_000)]);

    let (book, rules) = platform.rule_book();
    assert_eq!(book.payments, 1);
    assert_eq!(rules.iter().map(|rule| (rule.granted.0, rule.grants)).collect::<Vec<_>>(), [(1_000, 1), (1_000, 1)]);
}

#[test]
fn a_second_payment_on_a_weekday_says_why_nothing_is_granted() {
    let platform = TestPlatform::with_sample_rules();
    let friday = Payment { paid_at: Timestamp(NOON - DAY), ..payment("A2", "u1", 5_000) };
    platform.pay(&[payment("A1", "u1", 5_000)]).expect("the first");
    platform.pay(&[friday]).expect("the second");

    let recorded = platform.recorded();
    let last = recorded.last().expect("the second payment");
    let reasons: Vec<_> = last.outcomes.iter().map(|o| (o.rule, o.reason, o.clause, o.before, o.after)).collect();
    let not_matched = Reason::NotMatched as u8;
    assert_eq!(reasons, [(1, not_matched, 0, 2_000, 2_000), (2, not_matched, 0, 2_000, 2_000)]);
    assert_eq!(platform.balance("u1"), 2_000);
}

#[test]
fn a_duplicate_order_is_refused_and_changes_nothing() {
    let platform = TestPlatform::with_sample_rules();
    platform.pay(&[payment("A1", "u1", 5_000)]).expect("the first");
    let (before, journal) = (platform.user("u1"), platform.journal());

    let dearer = payment("A1", "u1", 500_000);
    assert_eq!(refusal(platform.pay(&[dearer])), "DuplicateOrder");
    assert_eq!(platform.user("u1"), before);
    assert_eq!(platform.journal(), journal);
    assert_eq!(platform.rule_book().0.payments, 1);
}

#[test]
fn an_order_of_another_user_is_a_duplicate_too() {
    let platform = TestPlatform::with_sample_rules();
    platform.pay(&[payment("A1", "u1", 5_000)]).expect("the first");
    assert_eq!(refusal(platform.pay(&[payment("A1", "u2", 5_000)])), "DuplicateOrder");
    assert_eq!(platform.balance("u2"), 0);
}

#[test]
fn in_a_batch_a_refused_record_changes_nothing_and_the_others_go_on() {
    let platform = TestPlatform::with_sample_rules();
    let batch =
        [payment("A1", "u1", 5_000), payment("A1", "u1", 7_000), payment("A2", "u2", 0), payment("A3", "u1", 100)];
    let executed = platform.pay(&batch).expect("two of four");

    let orders: Vec<_> = platform.recorded().iter().map(|event| event.order).collect();
    assert_eq!(orders, [batch[0].order.0, batch[3].order.0]);
    assert_eq!(platform.balance("u1"), 1_000 + 1_000 + 1_000);
    assert_eq!(platform.user("u2").user.payments, 0);
    let logged = |text: &str| executed.landed.logs.iter().any(|line| line.contains(text));
    let short = |payment: &Payment| payment.order.to_string()[..16].to_owned();
    assert!(logged(&format!("order {}: refused, DuplicateOrder", short(&batch[1]))), "{:?}", executed.landed.logs);
    assert!(logged(&format!("order {}: refused, ZeroAmount", short(&batch[2]))));
}

#[test]
fn a_batch_of_refused_records_fails_with_the_first_ones_error() {
    let platform = TestPlatform::with_sample_rules();
    let stale = Payment { paid_at: Timestamp(NOON - 8 * DAY), ..payment("A2", "u1", 100) };
    platform.open_for(&payment("A0", "u1", 0));
    let batch = [payment("A1", "u1", 0), stale];
    let signed = platform.sign(&batch);
    assert_eq!(refusal(platform.submit(&batch, &signed)), "ZeroAmount");
}

#[test]
fn a_payment_is_taken_until_max_lateness_and_no_second_longer() {
    let platform = TestPlatform::with_sample_rules();
    let last = Payment { paid_at: Timestamp(NOON - 7 * DAY), ..payment("A1", "u1", 100) };
    let late = Payment { paid_at: Timestamp(NOON - 7 * DAY - 1), ..payment("A2", "u1", 100) };
    platform.pay(&[last]).expect("just in time");
    let signed = platform.sign(&[late]);
    assert_eq!(refusal(platform.submit(&[late], &signed)), "TooLate");
}

#[test]
fn a_payment_may_be_a_minute_ahead_of_the_chains_clock_and_no_second_more() {
    let platform = TestPlatform::with_sample_rules();
    let ahead = |order, seconds| Payment { paid_at: Timestamp(NOON + seconds), ..payment(order, "u1", 100) };
    platform.pay(&[ahead("A1", 60)]).expect("within the minute");
    assert_eq!(refusal(platform.pay(&[ahead("A2", 61)])), "FromTheFuture");
}

#[test]
fn the_readable_log_line_names_order_grants_assets_rules_and_balances() {
    let platform = TestPlatform::with_sample_rules();
    let stars = instruction::add_asset(&platform.admin.pubkey(), &platform.addresses, &asset("stars"), Timestamp(0));
    platform.as_admin(&stars).expect("a second asset");
    let line = |paid: Payment| {
        let logs = platform.pay(&[paid]).expect("a payment").landed.logs;
        let begin = format!("Program log: order {}", &paid.order.to_string()[..16]);
        let lines: Vec<_> = logs.iter().filter_map(|line| line.strip_prefix(&begin)).map(str::to_owned).collect();
        assert_eq!(lines.len(), 1, "{logs:?}");
        lines[0].clone()
    };
    let first = line(payment("A1", "u1", 5_000));
    assert_eq!(first, ": +1000 coins by rule 1, +1000 by rule 2, balance 0 -> 2000");
    for (id, effect) in
        [(30, EffectEntry::Fixed { asset: 2, amount: 5 }), (31, EffectEntry::Fixed { asset: 1, amount: 7 })]
    {
        let later = RuleDefinition { priority: 30, ..always(id, effect) };
        platform.publish(&later, NOON + 3_600).expect("a rule");
    }
    platform.chain.set_clock(Some(NOON + 3_600));
    let at = |order, paid_at| Payment { paid_at: Timestamp(paid_at), ..payment(order, "u1", 100) };
    let mixed = line(at("A2", NOON + 3_600));
    assert_eq!(
        mixed,
        ": +1000 coins by rule 2, balance 2000 -> 3000; +5 stars by rule 30, balance 0 -> 5; +7 coins by rule 31, balance 3000 -> 3007"
    );
    assert_eq!(line(at("A3", NOON - DAY)), ": no rebate");
    platform.assert_sound();
}

#[test]
fn the_journal_is_the_tree_head_over_every_event_ever_emitted() {
    let platform = TestPlatform::with_sample_rules();
    for at in 0..9 {
        platform.pay(&[payment(&format!("A{at}"), "u1", 100 + at)]).expect("a payment");
    }
    let events = platform.events();
    let (mut count, mut peaks) = (0, [[0; 32]; journal::MAX_PEAKS]);
    for (at, emitted) in events.iter().enumerate() {
        assert_eq!(emitted.event.journal_index(), at as u64, "indices have no gap");
        assert_eq!(emitted.event.encode().expect("bytes"), emitted.bytes, "decoding loses nothing");
        journal::append(&mut count, &mut peaks, journal::leaf(&emitted.bytes)).expect("room");
    }
    assert_eq!(platform.journal().count, count);
    assert_eq!(platform.journal().root(), journal::root(count, &peaks));
}

#[test]
fn the_program_decides_what_core_decides() {
    let platform = TestPlatform::with_sample_rules();
    let mut evaluation = Evaluation::default();
    let mut balances = Balances::default();
    let mut counters = [Counters::default(); 2];
    for (at, amount) in [1, 4, 5, 9_999, 123_456_789, 3].into_iter().enumerate() {
        let paid = Payment { paid_at: Timestamp(NOON - at as i64 * DAY), ..payment(&format!("A{at}"), "u1", amount) };
        let (_, mut rules) = platform.rule_book();
        let context = evaluate::Context {
            rules: &rules,
            offsets: &[rebate_core::time::UtcOffset::new(Timestamp(0), 8 * 3_600)],
            number: PaymentNumber(at as u64 + 1),
            free: None,
        };
        let mut by_scope = CountersByScope { user: &mut counters, streamer: None, session: None };
        evaluation.decide(&paid, &context, &mut balances, &by_scope).expect("accepted");
        evaluation.commit(&mut rules, &mut by_scope);
        platform.pay(&[paid]).expect("a payment");

        let recorded = platform.recorded();
        let event = recorded.last().expect("the payment");
        let on_chain: Vec<_> = event.outcomes.iter().map(|o| (o.rule, o.reason, o.clause, o.amount, o.after)).collect();
        let off_chain: Vec<_> =
            evaluation.outcomes().iter().map(|o| (o.rule.0, o.reason as u8, o.clause, o.amount.0, o.after.0)).collect();
        assert_eq!(on_chain, off_chain, "payment of {amount}");
        let user = platform.user("u1");
        assert_eq!((user.balances, user.counters.as_slice()), (balances, counters.as_slice()));
        assert_eq!(platform.rule_book().1, rules);
    }
}

#[test]
fn a_balance_that_would_pass_u64_refuses_the_record_and_changes_nothing() {
    let platform = TestPlatform::start();
    let mut rule = rebate_tests::platform::weekend_bonus();
    rule.condition.clear();
    rule.effect = rebate_client::event::EffectEntry::Fixed { asset: 1, amount: u64::MAX - 1 };
    platform.publish(&rule, 0).expect("a rule");
    platform.pay(&[payment("A1", "u1", 1)]).expect("the first");
    assert_eq!(refusal(platform.pay(&[payment("A2", "u1", 1)])), "AmountOverflow");
    assert_eq!(platform.balance("u1"), u64::MAX - 1);
    assert_eq!(platform.recorded().len(), 1);
}

#[test]
fn counters_that_would_pass_u64_refuse_the_record_and_change_nothing() {
    let platform = TestPlatform::start();
    platform.publish(&always(1, EffectEntry::Fixed { asset: 1, amount: 5 }), 0).expect("a rule");
    platform.pay(&[payment("A1", "u1", u64::MAX)]).expect("the most there is");
    let before = (platform.user("u1"), platform.journal(), platform.rule_book());
    assert_eq!(refusal(platform.pay(&[payment("A2", "u1", 1)])), "AmountOverflow");
    assert_eq!((platform.user("u1"), platform.journal(), platform.rule_book()), before);
    platform.pay(&[payment("A2", "u2", 1)]).expect("somebody else's counters have room, and the order was not taken");
    platform.assert_sound();
}

#[test]
fn times_at_the_ends_of_time_are_too_late_or_from_the_future() {
    let platform = TestPlatform::with_sample_rules();
    for (at, expected) in [
        (i64::MIN, "TooLate"),
        (i64::MIN + 1, "TooLate"),
        (-1, "TooLate"),
        (0, "TooLate"),
        (i64::from(u32::MAX) * DAY, "FromTheFuture"),
        (i64::MAX - 1, "FromTheFuture"),
        (i64::MAX, "FromTheFuture"),
    ] {
        let paid = Payment { paid_at: Timestamp(at), ..payment("A1", "u1", 100) };
        assert_eq!(refusal(platform.pay(&[paid])), expected, "at {at}");
    }
    assert!(platform.recorded().is_empty());
}

#[test]
fn a_stranger_who_makes_an_account_large_stops_no_payment() {
    let platform = TestPlatform::start();
    for id in 1..=64 {
        let scope = if id % 2 == 0 { Scope::User } else { Scope::UserStreamer } as u8;
        let rule = RuleDefinition { scope, ..always(id, EffectEntry::Fixed { asset: 1, amount: 5 }) };
        platform.publish(&rule, 0).expect("a rule");
    }
    let paid = Payment { streamer: 9, ..payment("A1", "u1", 100) };
    platform.open_for(&paid);
    let (stranger, addresses) = (platform.stranger(), &platform.addresses);
    let who = stranger.pubkey();
    let id = paid.scope_id(Scope::UserStreamer);
    platform.signed_by(&instruction::grow_user(&who, addresses, &paid.user, 255), &stranger).expect("anybody may");
    let grow = instruction::grow_counter(&who, addresses, &paid.user, Scope::UserStreamer, id, 255);
    platform.signed_by(&grow, &stranger).expect("anybody may");
    platform.pay(&[paid]).expect("within the compute units that everybody has");
    platform.pay(&[Payment { order: OrderHash::of("A2"), ..paid }]).expect("and again");
    assert_eq!(platform.balance("u1"), 2 * 64 * 5);
    platform.assert_sound();
}

#[test]
fn a_paused_platform_records_nothing() {
    let platform = TestPlatform::with_sample_rules();
    let pause = |paused| instruction::set_paused(&platform.pauser.pubkey(), &platform.addresses, paused);
    platform.run(&[pause(true)], &[&platform.payer, &platform.pauser]).expect("paused");
    assert_eq!(refusal(platform.pay(&[payment("A1", "u1", 100)])), "Paused");
    platform.run(&[pause(false)], &[&platform.payer, &platform.pauser]).expect("resumed");
    platform.pay(&[payment("A1", "u1", 100)]).expect("running again");
}

#[test]
fn another_users_account_is_refused() {
    let platform = TestPlatform::with_sample_rules();
    let (mine, theirs) = (payment("A1", "u1", 100), payment("A2", "u2", 100));
    platform.open_for(&mine);
    platform.open_for(&theirs);
    let [ed25519, mut record] = platform.record(&[mine], &platform.sign(&[mine]));
    record.accounts[6].pubkey = platform.addresses.user(&theirs.user);
    assert_eq!(refusal(platform.run(&[ed25519, record], &[&platform.payer])), "WrongUser");
}

#[test]
fn the_same_user_of_another_platform_is_refused() {
    let platform = TestPlatform::with_sample_rules();
    let create = instruction::create_platform(
        &platform.payer.pubkey(),
        &settings(2, &platform.admin.pubkey(), &platform.pauser.pubkey()),
    );
    let other = Addresses::of(2);
    let key = platform_id::unkeyed_user("u1");
    let open = instruction::open_user(&platform.payer.pubkey(), &other, &key, 0);
    platform.run(&[create, open], &[&platform.payer]).expect("the other platform's user");
    let mine = payment("A1", "u1", 100);
    platform.open_for(&mine);
    let [ed25519, mut record] = platform.record(&[mine], &platform.sign(&[mine]));
    record.accounts[6].pubkey = other.user(&key);
    assert_eq!(refusal(platform.run(&[ed25519, record], &[&platform.payer])), "WrongUser");
}

#[test]
fn the_page_of_another_day_is_refused() {
    let platform = TestPlatform::with_sample_rules();
    let today = payment("A1", "u1", 100);
    let yesterday = Payment { paid_at: Timestamp(NOON - DAY), ..payment("A2", "u1", 100) };
    platform.open_for(&today);
    platform.open_for(&yesterday);
    let [ed25519, mut record] = platform.record(&[today], &platform.sign(&[today]));
    record.accounts[7].pubkey = platform.addresses.order_page(day_of(yesterday.paid_at), 0, 0);
    assert_eq!(refusal(platform.run(&[ed25519, record], &[&platform.payer])), "WrongOrderPage");
}

#[test]
fn the_page_of_another_shard_is_refused() {
    let platform = TestPlatform::start();
    let mut sharded = settings(3, &platform.admin.pubkey(), &platform.pauser.pubkey());
    sharded.order_shards = 2;
    let addresses = Addresses::of(3);
    let payer = platform.payer.pubkey();
    let paid = payment("A1", "u1", 100);
    let (day, shard) = (day_of(paid.paid_at), order::shard(&paid.order, 2));
    let setup = [
        instruction::create_platform(&payer, &sharded),
        instruction::register_oracle_key(
            &platform.admin.pubkey(),
            &addresses,
            &platform.oracle.pubkey(),
            Timestamp(0),
            Timestamp(0),
        ),
        instruction::open_user(&payer, &addresses, &paid.user, 0),
        instruction::open_order_page(&payer, &addresses, day, 0, 0, 8),
        instruction::open_order_page(&payer, &addresses, day, 1, 0, 8),
    ];
    platform.run(&setup, &[&platform.payer, &platform.admin]).expect("a sharded platform");
    let signed = rebate_client::oracle::sign(&platform.oracle, &addresses.platform, &[paid]).expect("a message");
    let accounts = [RecordAccounts::of(addresses.user(&paid.user), addresses.order_page(day, shard, 0))];
    let [ed25519, record] = instruction::record_payments(&addresses, &accounts, &signed);
    let mut wrong = record.clone();
    wrong.accounts[7].pubkey = addresses.order_page(day, 1 - shard, 0);
    assert_eq!(refusal(platform.run(&[ed25519.clone(), wrong], &[&platform.payer])), "WrongOrderPage");
    platform.run(&[ed25519, record], &[&platform.payer]).expect("the right shard");
}

#[test]
fn a_full_order_page_takes_no_more_and_keeps_what_it_has() {
    let platform = TestPlatform::with_sample_rules();
    let day = day_of(Timestamp(NOON));
    let small = instruction::open_order_page(&platform.payer.pubkey(), &platform.addresses, day, 0, 0, 8);
    platform.run(&[small], &[&platform.payer]).expect("a page of 8 slots");
    for at in 0..7 {
        platform.pay(&[payment(&format!("A{at}"), "u1", 1)]).expect("seven eighths");
    }
    let submit = |order| {
        let paid = [payment(order, "u1", 1)];
        refusal(platform.submit(&paid, &platform.sign(&paid)))
    };
    assert_eq!(submit("A7"), "OrderPageFull");
    assert_eq!(submit("A3"), "DuplicateOrder");
}

#[test]
fn too_few_or_too_many_accounts_are_refused() {
    let platform = TestPlatform::with_sample_rules();
    let paid = payment("A1", "u1", 100);
    platform.open_for(&paid);
    let [ed25519, record] = platform.record(&[paid], &platform.sign(&[paid]));
    let mut few = record.clone();
    few.accounts.pop();
    assert_eq!(refusal(platform.run(&[ed25519.clone(), few], &[&platform.payer])), "WrongAccounts");
    let mut many = record.clone();
    many.accounts.push(many.accounts[6].clone());
    assert_eq!(refusal(platform.run(&[ed25519.clone(), many], &[&platform.payer])), "WrongAccounts");
    // Behind the pages come counters, and nothing else.
    let mut twice = record.clone();
    twice.accounts.push(twice.accounts[7].clone());
    assert_eq!(refusal(platform.run(&[ed25519, twice], &[&platform.payer])), "WrongCounter");
    assert!(platform.recorded().is_empty());
}

#[test]
fn the_rule_book_or_journal_of_another_platform_is_refused() {
    let platform = TestPlatform::with_sample_rules();
    let create = instruction::create_platform(
        &platform.payer.pubkey(),
        &settings(2, &platform.admin.pubkey(), &platform.pauser.pubkey()),
    );
    platform.run(&[create], &[&platform.payer]).expect("another platform");
    let other = Addresses::of(2);
    let paid = payment("A1", "u1", 100);
    platform.open_for(&paid);
    for (at, address) in [(1, other.rule_book), (2, other.journal)] {
        let [ed25519, mut record] = platform.record(&[paid], &platform.sign(&[paid]));
        record.accounts[at].pubkey = address;
        assert_eq!(refusal(platform.run(&[ed25519, record], &[&platform.payer])), "WrongPlatform", "account {at}");
    }
}

#[test]
fn an_account_of_another_kind_or_owner_is_refused_everywhere() {
    let platform = TestPlatform::with_sample_rules();
    let paid = payment("A1", "u1", 100);
    platform.open_for(&paid);
    let journal = platform.journal();
    for at in [0, 1, 2, 4, 6, 7] {
        for wrong in [platform.payer.pubkey(), platform.addresses.user(&paid.user), platform.addresses.platform] {
            let [ed25519, mut record] = platform.record(&[paid], &platform.sign(&[paid]));
            if record.accounts[at].pubkey == wrong {
                continue;
            }
            record.accounts[at].pubkey = wrong;
            let failed = platform.run(&[ed25519, record], &[&platform.payer]);
            assert!(
                matches!(failed, Err(SubmitError::Failed { .. } | SubmitError::Refused { .. })),
                "account {at} as {wrong}: {failed:?}"
            );
        }
    }
    assert_eq!(platform.journal(), journal);
    assert_eq!(platform.balance("u1"), 0);
}

#[test]
fn an_account_that_is_not_writable_is_refused() {
    let platform = TestPlatform::with_sample_rules();
    let paid = payment("A1", "u1", 100);
    platform.open_for(&paid);
    for at in [0, 1, 2, 6, 7] {
        let [ed25519, mut record] = platform.record(&[paid], &platform.sign(&[paid]));
        record.accounts[at].is_writable = false;
        assert!(platform.run(&[ed25519, record], &[&platform.payer]).is_err(), "account {at}");
    }
    assert!(platform.recorded().is_empty());
}

#[test]
fn nobody_but_the_program_can_emit_an_event() {
    let platform = TestPlatform::with_sample_rules();
    platform.pay(&[payment("A1", "u1", 100)]).expect("a payment");
    let bytes = platform.events().last().expect("its event").bytes.clone();
    let forged = solana_program::instruction::Instruction {
        program_id: rebate_client::address::PROGRAM,
        accounts: vec![solana_program::instruction::AccountMeta::new_readonly(
            platform.addresses.event_authority,
            false,
        )],
        data: [&rebate_client::event::TAG, bytes.as_slice()].concat(),
    };
    assert!(platform.run(&[forged], &[&platform.payer]).is_err());
    assert_eq!(platform.recorded().len(), 1);
}

#[test]
fn the_same_payment_in_any_order_of_submission_grants_once() {
    let platform = TestPlatform::with_sample_rules();
    let (first, second) = (payment("A1", "u1", 5_000), payment("A2", "u1", 700));
    platform.pay(&[second, first]).expect("both");
    assert_eq!(refusal(platform.pay(&[first, second])), "DuplicateOrder");
    assert_eq!(platform.balance("u1"), 140 + 1_000 + 1_000, "the first recharge is the one recorded first");
    assert_eq!(platform.user("u1").balances[1..], [Balance::default(); 7]);
    assert_eq!(day_of(first.paid_at), Day(u32::try_from(NOON / DAY).expect("a day")));
}
