//! A platform replayed in memory: what is checked in which order, what changes and what does not, and that it all adds up.

use proptest::prelude::*;
use rebate_client::{
    event::{EffectEntry, LimitsEntry, PredicateEntry, RuleDefinition, StepEntry},
    replay::{AssetTerms, NoSuchRule, NotPublished, Replay, Terms, UserIndex, Vault},
};
use rebate_core::{
    book::NotNext,
    outcome::{Outcome, Reason},
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    refusal::Refusal,
    rule::{Field, InvalidRule, Operator},
    time::UtcOffset,
    units::{Amount, AssetId, Day, Months, OrderHash, RuleId, RuleVersion, ScopeId, Seconds, Timestamp, UserKey},
    window::Scope,
};
use std::collections::BTreeMap;

/// Saturday, 2026-10-03, noon in Shanghai.
const NOON: Timestamp = Timestamp(1_791_000_000);

const DAY: i64 = 86_400;

const COINS: AssetId = AssetId(1);
const TOKEN: AssetId = AssetId(2);

/// Coins that expire each month, a token, and a voucher.
fn terms() -> Terms {
    let asset = |redeemable, expiry| AssetTerms { redeemable, expiry: Months(expiry) };
    Terms {
        offsets: vec![UtcOffset::new(Timestamp(0), 8 * 3_600)],
        max_lateness: Seconds(7 * 86_400),
        open_from: Day(0),
        assets: vec![asset(true, 1), asset(false, 0), asset(true, 0)],
    }
}

/// A rule that always grants `effect`.
fn always(id: u16, effect: EffectEntry) -> RuleDefinition {
    RuleDefinition {
        id,
        version: 1,
        name: format!("rule {id}"),
        priority: id,
        starts_at: 0,
        ends_at: 0,
        group: 0,
        group_mode: 1,
        tags: 0,
        excludes: 0,
        condition: Vec::new(),
        window: 4,
        scope: 1,
        effect,
        limits: LimitsEntry::none(),
        holdout_bps: 0,
    }
}

fn fixed(id: u16, asset: AssetId, amount: u64) -> RuleDefinition {
    always(id, EffectEntry::Fixed { asset: asset.0, amount })
}

fn platform(rules: &[RuleDefinition]) -> Replay {
    let mut replay = Replay::new(terms());
    for rule in rules {
        replay.ledger_mut().publish(rule, Timestamp(0)).unwrap();
    }
    replay
}

const USER: UserKey = UserKey([1; 32]);

fn payment(order: &str, amount: u64) -> Payment {
    Payment { order: OrderHash::of(order), user: USER, amount: Amount(amount), paid_at: NOON, ..Payment::default() }
}

fn refund(order: &str, of: &str, amount: u64) -> Refund {
    Refund { order: OrderHash::of(order), of: OrderHash::of(of), amount: Amount(amount), paid_at: NOON }
}

fn redemption(order: &str, asset: AssetId, amount: u64) -> Redemption {
    Redemption { order: OrderHash::of(order), user: USER, asset, amount: Amount(amount), redeemed_at: NOON }
}

fn refused<T>(result: Result<T, Refusal>) -> Refusal {
    result.err().unwrap()
}

fn later(days: i64) -> Timestamp {
    Timestamp(NOON.0 + days * DAY)
}

#[test]
fn a_payment_is_checked_for_its_amount_then_its_time_then_its_order() {
    let mut replay = platform(&[fixed(1, COINS, 10)]);
    replay.pay(&payment("A", 100), NOON).unwrap();
    let mut wrong = |amount, days| {
        let payment = Payment { paid_at: later(days), ..payment("A", amount) };
        refused(replay.pay(&payment, NOON))
    };
    assert_eq!(wrong(0, -8), Refusal::ZeroAmount);
    assert_eq!(wrong(5, -8), Refusal::TooLate);
    assert_eq!(wrong(5, 1), Refusal::FromTheFuture);
    assert_eq!(wrong(5, 0), Refusal::DuplicateOrder);
    assert_eq!(wrong(5, -3), Refusal::DuplicateOrder, "on whatever day");
}

#[test]
fn a_refund_is_checked_for_amount_time_own_order_refunded_order_and_what_is_left() {
    let mut replay = platform(&[fixed(1, COINS, 10)]);
    replay.pay(&payment("A", 100), NOON).unwrap();
    replay.refund(&refund("R", "A", 60), NOON).unwrap();
    let mut wrong = |order, of, amount, days| {
        let refund = Refund { paid_at: later(days), ..refund(order, of, amount) };
        refused(replay.refund(&refund, NOON))
    };
    assert_eq!(wrong("R", "B", 0, -8), Refusal::ZeroAmount);
    assert_eq!(wrong("R", "B", 99, -8), Refusal::TooLate);
    assert_eq!(wrong("R", "B", 99, 1), Refusal::FromTheFuture);
    assert_eq!(wrong("R", "B", 99, 0), Refusal::DuplicateOrder);
    assert_eq!(wrong("A", "B", 99, 0), Refusal::DuplicateOrder, "payments and refunds share their numbers");
    assert_eq!(wrong("S", "B", 99, 0), Refusal::UnknownOrder);
    assert_eq!(wrong("S", "R", 99, 0), Refusal::UnknownOrder, "a refund is no payment");
    assert_eq!(wrong("S", "A", 41, 0), Refusal::OverRefund);
    replay.refund(&refund("S", "A", 40), NOON).unwrap();
    assert_eq!(refused(replay.pay(&payment("S", 5), NOON)), Refusal::DuplicateOrder);
}

#[test]
fn a_redemption_is_checked_for_amount_time_order_asset_and_balance() {
    let mut replay = platform(&[fixed(1, COINS, 10), fixed(2, TOKEN, 10)]);
    replay.pay(&payment("A", 100), NOON).unwrap();
    let mut wrong = |order, asset, amount, days| {
        let redemption = Redemption { redeemed_at: later(days), ..redemption(order, asset, amount) };
        refused(replay.redeem(&redemption, NOON))
    };
    assert_eq!(wrong("A", TOKEN, 0, -8), Refusal::ZeroAmount);
    assert_eq!(wrong("A", TOKEN, 99, -8), Refusal::TooLate);
    assert_eq!(wrong("A", TOKEN, 99, 1), Refusal::FromTheFuture);
    assert_eq!(wrong("A", TOKEN, 99, 0), Refusal::DuplicateOrder);
    assert_eq!(wrong("D", TOKEN, 99, 0), Refusal::NotRedeemable, "a token is claimed");
    assert_eq!(wrong("D", AssetId(4), 99, 0), Refusal::NotRedeemable, "there is no such asset");
    assert_eq!(wrong("D", AssetId(0), 99, 0), Refusal::NotRedeemable);
    assert_eq!(wrong("D", COINS, 11, 0), Refusal::InsufficientBalance);
    let redeemed = replay.redeem(&redemption("D", COINS, 10), NOON).unwrap();
    assert_eq!((redeemed.before, redeemed.after), (Amount(10), Amount(0)));
    assert_eq!(refused(replay.refund(&refund("D", "A", 1), NOON)), Refusal::DuplicateOrder);
    let stranger = Redemption { user: UserKey([9; 32]), ..redemption("E", COINS, 1) };
    assert_eq!(refused(replay.redeem(&stranger, NOON)), Refusal::InsufficientBalance);
}

#[test]
fn a_closed_day_is_too_late_whatever_the_lateness() {
    let mut replay = platform(&[]);
    let day = Day(u32::try_from(NOON.0 / DAY).unwrap());
    replay.ledger_mut().set_terms(Terms { open_from: day, ..terms() });
    let before = Payment { paid_at: Timestamp(i64::from(day.0) * DAY - 1), ..payment("A", 1) };
    assert_eq!(refused(replay.pay(&before, NOON)), Refusal::TooLate);
    replay.pay(&Payment { paid_at: Timestamp(i64::from(day.0) * DAY), ..before }, NOON).unwrap();
}

#[test]
fn what_expired_is_taken_off_before_an_accepted_record_and_never_before_a_refused_one() {
    let mut replay = platform(&[fixed(1, COINS, 10)]);
    replay.pay(&payment("A", 100), NOON).unwrap();
    // Two months on, what was granted in October is over.
    let december = Timestamp(1_796_054_400);
    let late = Redemption { redeemed_at: december, ..redemption("D", COINS, 10) };
    assert_eq!(refused(replay.redeem(&late, december)), Refusal::InsufficientBalance);
    let over = Refund { paid_at: december, ..refund("R", "A", 101) };
    assert_eq!(refused(replay.refund(&over, december)), Refusal::OverRefund);
    assert_eq!(replay.balances(&USER)[0].total(), Amount(10), "a refused record changes nothing");

    let paid = Payment { paid_at: december, ..payment("B", 100) };
    let decided = replay.pay(&paid, december).unwrap();
    let expired: Vec<_> = decided
        .expired
        .iter()
        .map(|expired| (expired.asset, expired.amount.0, expired.before.0, expired.after.0))
        .collect();
    assert_eq!(expired, [(COINS, 10, 10, 0)]);
    assert_eq!((decided.outcomes[0].before, decided.outcomes[0].after), (Amount(0), Amount(10)));
    let again = Payment { order: OrderHash::of("C"), ..paid };
    assert_eq!(replay.pay(&again, december).unwrap().expired, []);
}

#[test]
fn counters_are_kept_for_what_counts_and_for_nothing_else() {
    let when = |field: Field, value| {
        vec![PredicateEntry { clause: 0, negated: false, field: field as u8, operator: Operator::Eq as u8, value }]
    };
    let mut replay = platform(&[
        fixed(1, COINS, 1),
        RuleDefinition { condition: when(Field::Product, 7), ..fixed(2, COINS, 1) },
        RuleDefinition { scope: Scope::UserStreamer as u8, ..fixed(3, COINS, 1) },
        RuleDefinition { scope: Scope::UserSession as u8, condition: when(Field::Product, 7), ..fixed(4, COINS, 1) },
        RuleDefinition { window: 1, condition: when(Field::Product, 8), ..fixed(5, COINS, 1) },
    ]);
    let counted = |replay: &Replay, scope, id| {
        replay.counters(&USER, scope, ScopeId(id)).iter().map(|counters| counters.rule.0).collect::<Vec<_>>()
    };
    replay.pay(&Payment { streamer: 5, ..payment("A", 100) }, NOON).unwrap();
    let user = counted(&replay, Scope::User, 0);
    assert_eq!(user.first(), Some(&1), "{user:?}");
    assert!(!user.contains(&2), "what nothing was counted into is not kept: {user:?}");
    assert_eq!(counted(&replay, Scope::UserStreamer, 5), [3]);
    assert_eq!(counted(&replay, Scope::UserSession, 0), [0; 0]);
    replay.pay(&Payment { product: 7, ..payment("B", 100) }, NOON).unwrap();
    assert!(counted(&replay, Scope::User, 0).contains(&2));
    assert_eq!(counted(&replay, Scope::UserStreamer, 0), [3], "nobody is a streamer of their own");
    assert_eq!(counted(&replay, Scope::UserSession, 0), [4]);
    let kept = replay.ledger().counters_kept();
    for order in 0..100 {
        replay.pay(&Payment { product: 7, ..payment(&order.to_string(), 100) }, NOON).unwrap();
    }
    assert_eq!(replay.ledger().counters_kept(), kept);
    assert_eq!(replay.counters(&USER, Scope::UserStreamer, ScopeId(0))[0].payments, 101);
}

#[test]
fn a_vault_grants_what_nobody_has_a_claim_to_and_no_more() {
    let mut replay = platform(&[fixed(1, TOKEN, 30), fixed(2, TOKEN, 30), fixed(3, COINS, 1)]);
    let amounts =
        |outcomes: &[Outcome]| outcomes.iter().map(|outcome| (outcome.reason, outcome.amount.0)).collect::<Vec<_>>();
    let granted = (Reason::Granted, 30);
    let coin = (Reason::Granted, 1);
    assert_eq!(
        amounts(replay.pay(&payment("A", 1), NOON).unwrap().outcomes),
        [granted, granted, coin],
        "without a bound"
    );
    replay.ledger_mut().set_funds(TOKEN, Amount(100));
    let vault =
        |replay: &Replay| replay.ledger().vault(TOKEN).map(|vault| (vault.funds.0, vault.liability.0, vault.free().0));
    assert_eq!(vault(&replay), Some((100, 60, 40)), "what was granted before is counted");
    let outcomes = amounts(replay.pay(&payment("B", 1), NOON).unwrap().outcomes);
    assert_eq!(outcomes, [granted, (Reason::Granted, 10), coin], "the second is cut to what the first left");
    let outcomes = amounts(replay.pay(&payment("C", 1), NOON).unwrap().outcomes);
    let short = (Reason::VaultShort, 0);
    assert_eq!(outcomes, [short, short, coin]);
    assert_eq!(vault(&replay), Some((100, 100, 0)));

    assert_eq!(replay.claim(&USER, TOKEN, Amount(101)), Err(Refusal::InsufficientBalance));
    assert_eq!(replay.claim(&USER, TOKEN, Amount(90)), Ok((Amount(100), Amount(10))));
    assert_eq!(vault(&replay), Some((10, 10, 0)));
    // Refunded in full: 60 were granted for A, 10 are there, 50 are owed.
    replay.refund(&refund("R", "A", 1), NOON).unwrap();
    assert_eq!(vault(&replay), Some((10, 0, 10)));
    assert_eq!(replay.balances(&USER)[1].debt, Amount(50));
    // What pays a debt goes to nobody, and needs no funds.
    let outcomes = amounts(replay.pay(&payment("D", 1), NOON).unwrap().outcomes);
    assert_eq!(outcomes, [granted, granted, coin]);
    assert_eq!(replay.ledger().vault(TOKEN), Some(Vault { funds: Amount(10), liability: Amount(10) }));
    assert_eq!(replay.ledger().vault(COINS), None);
}

#[test]
fn a_later_version_takes_over_and_an_ended_one_pays_no_more() {
    let mut replay = platform(&[fixed(1, COINS, 10)]);
    let second = RuleDefinition { version: 2, ..fixed(1, COINS, 20) };
    let ledger = replay.ledger_mut();
    assert_eq!(ledger.publish(&fixed(1, COINS, 5), NOON), Err(NotPublished::NotNext(NotNext::Version)));
    assert_eq!(ledger.publish(&fixed(2, COINS, 0), NOON), Err(NotPublished::Invalid(InvalidRule::Effect)));
    let other_mode = RuleDefinition { group_mode: 2, ..fixed(2, COINS, 1) };
    assert_eq!(ledger.publish(&other_mode, NOON), Err(NotPublished::NotNext(NotNext::GroupMode)));
    ledger.publish(&second, later(1)).unwrap();
    assert_eq!(ledger.rules().len(), 2);

    let mut paid = |order: &str, days| {
        let at = later(days);
        let payment = Payment { paid_at: at, ..payment(order, 100) };
        let outcomes = replay.pay(&payment, later(7)).unwrap().outcomes;
        outcomes.iter().map(|outcome| (outcome.version.0, outcome.amount.0)).collect::<Vec<_>>()
    };
    assert_eq!(paid("A", 0), [(1, 10)]);
    assert_eq!(paid("B", 1), [(2, 20)]);
    assert_eq!(
        replay.ledger().rules().iter().map(|rule| rule.budget_spent.0).collect::<Vec<_>>(),
        [30, 30],
        "one budget"
    );

    let ledger = replay.ledger_mut();
    assert_eq!(ledger.end_rule(RuleId(9), later(2)), Err(NoSuchRule));
    ledger.end_rule(RuleId(1), later(2)).unwrap();
    assert_eq!(ledger.end_rule(RuleId(1), later(3)), Err(NoSuchRule), "it ends already");
    let after = Payment { paid_at: later(2), ..payment("C", 100) };
    assert_eq!(replay.pay(&after, later(7)).unwrap().outcomes, []);

    let ledger = replay.ledger_mut();
    assert_eq!(ledger.drop_rule(RuleId(1), RuleVersion(3)), Err(NoSuchRule));
    ledger.drop_rule(RuleId(1), RuleVersion(1)).unwrap();
    // Its grants are reversed all the same, and the other version keeps the budget.
    let reversed = replay.refund(&refund("R", "A", 100), later(7)).unwrap().outcomes.to_vec();
    assert_eq!((reversed[0].version, reversed[0].amount), (RuleVersion(1), Amount(10)));
    assert_eq!(replay.ledger().rules()[0].budget_spent, Amount(20));
    assert_eq!((replay.ledger().rules()[0].reversed, replay.ledger().rules()[0].has_siblings), (Amount(0), 0));
}

/// What happens, by chance.
#[derive(Clone, Debug)]
enum Happening {
    Pay { user: u8, amount: u64, streamer: u64, product: u16, order: u8 },
    Refund { of: u8, amount: u64, order: u8 },
    Redeem { user: u8, asset: u8, amount: u64, order: u8 },
    Claim { user: u8, amount: u64 },
}

fn happenings() -> impl Strategy<Value = Vec<(i64, Happening)>> {
    let happening = prop_oneof![
        4 => (0..3u8, 0..500u64, 0..3u64, 0..3u16, any::<u8>())
            .prop_map(|(user, amount, streamer, product, order)| Happening::Pay { user, amount, streamer, product, order }),
        2 => (any::<u8>(), 0..300u64, any::<u8>()).prop_map(|(of, amount, order)| Happening::Refund { of, amount, order }),
        1 => (0..3u8, 0..4u8, 0..100u64, any::<u8>())
            .prop_map(|(user, asset, amount, order)| Happening::Redeem { user, asset, amount, order }),
        1 => (0..3u8, 1..50u64).prop_map(|(user, amount)| Happening::Claim { user, amount }),
    ];
    // Orders are numbers below 256, so that they meet; days pass, so that balances expire.
    prop::collection::vec((0..6 * DAY, happening), 1..120)
}

/// Rules of every effect, window and scope.
fn every_rule() -> Vec<RuleDefinition> {
    let step = |threshold, value| StepEntry { threshold, value };
    let clip = |user_amount, total_amount, on_limit| LimitsEntry {
        user_amount,
        total_amount,
        on_limit,
        ..LimitsEntry::none()
    };
    vec![
        RuleDefinition { limits: clip(40, 300, 1), window: 2, ..fixed(1, COINS, 15) },
        RuleDefinition {
            group: 1,
            group_mode: 3,
            ..always(2, EffectEntry::Ratio { asset: 2, bps: 1_000, min: 1, max: 40 })
        },
        RuleDefinition { group: 1, group_mode: 3, limits: clip(0, 200, 2), ..fixed(3, TOKEN, 20) },
        RuleDefinition {
            scope: 2,
            window: 3,
            ..always(4, EffectEntry::Tiers { asset: 1, mode: 3, steps: vec![step(100, 1_000), step(400, 2_000)] })
        },
        always(5, EffectEntry::Streak { asset: 3, days: 2, amount: 3, recurring: true }),
        RuleDefinition { group: 1, group_mode: 3, ..always(6, EffectEntry::Multiplier { asset: 2, bps: 15_000 }) },
        RuleDefinition {
            holdout_bps: 5_000,
            condition: vec![PredicateEntry { clause: 0, negated: false, field: 2, operator: 1, value: 1 }],
            ..always(7, EffectEntry::Tiers { asset: 3, mode: 1, steps: vec![step(200, 2), step(500, 5)] })
        },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every balance is what was granted less what was reversed, redeemed, claimed and expired; the rules' totals are the
    /// sums of what they did; a vault owes what users have; and a refused record changes nothing.
    #[test]
    fn the_ledger_adds_up(happenings in happenings(), funds in prop::option::of(0..400u64)) {
        let mut replay = platform(&every_rule());
        if let Some(funds) = funds {
            replay.ledger_mut().set_funds(TOKEN, Amount(funds));
        }
        let users = [0, 1, 2].map(|user| UserKey([user; 32]));
        let mut expected: BTreeMap<(UserKey, u8), i128> = BTreeMap::new();
        let (mut granted, mut reversed, mut accepted) = (BTreeMap::new(), BTreeMap::new(), 0u64);
        let mut payers: BTreeMap<u8, UserKey> = BTreeMap::new();
        let mut now = NOON;
        for (passed, happening) in happenings {
            now = Timestamp(now.0 + passed);
            let before = snapshot(&replay, &users);
            let hash = |order: u8| OrderHash([order; 32]);
            let mut add = |user: UserKey, asset: AssetId, amount: i128| {
                *expected.entry((user, asset.0)).or_default() += amount;
            };
            let result = match happening {
                Happening::Pay { user, amount, streamer, product, order } => {
                    let user = users[usize::from(user)];
                    let payment = Payment {
                        order: hash(order), user, amount: Amount(amount), paid_at: now, product, streamer,
                        ..Payment::default()
                    };
                    replay.pay(&payment, now).map(|decided| {
                        accepted += 1;
                        payers.insert(order, user);
                        for expired in decided.expired {
                            add(user, expired.asset, -i128::from(expired.amount.0));
                        }
                        for outcome in decided.outcomes {
                            add(user, outcome.asset, i128::from(outcome.amount.0));
                            *granted.entry(outcome.rule).or_insert(0) += outcome.amount.0;
                            assert_eq!(outcome.reason == Reason::Granted, outcome.amount.0 > 0);
                        }
                    })
                }
                Happening::Refund { of, amount, order } => {
                    let refund = Refund { order: hash(order), of: hash(of), amount: Amount(amount), paid_at: now };
                    replay.refund(&refund, now).map(|decided| {
                        let user = payers[&of];
                        for expired in decided.expired {
                            add(user, expired.asset, -i128::from(expired.amount.0));
                        }
                        for outcome in decided.outcomes {
                            assert_eq!(outcome.reason, Reason::Reversed);
                            add(user, outcome.asset, -i128::from(outcome.amount.0));
                            *reversed.entry(outcome.rule).or_insert(0) += outcome.amount.0;
                        }
                    })
                }
                Happening::Redeem { user, asset, amount, order } => {
                    let user = users[usize::from(user)];
                    let redemption = Redemption {
                        order: hash(order), user, asset: AssetId(asset), amount: Amount(amount), redeemed_at: now,
                    };
                    replay.redeem(&redemption, now).map(|redeemed| {
                        for expired in redeemed.expired {
                            add(user, expired.asset, -i128::from(expired.amount.0));
                        }
                        assert_eq!(redeemed.before.0 - redeemed.after.0, amount);
                        add(user, AssetId(asset), -i128::from(amount));
                    })
                }
                Happening::Claim { user, amount } => {
                    let user = users[usize::from(user)];
                    replay.claim(&user, TOKEN, Amount(amount)).map(|_| add(user, TOKEN, -i128::from(amount)))
                }
            };
            if result.is_err() {
                prop_assert_eq!(snapshot(&replay, &users), before);
            }
            for user in users {
                for (id, balance) in (1..).zip(replay.balances(&user)) {
                    let net = i128::from(balance.total().0) - i128::from(balance.debt.0);
                    prop_assert_eq!(net, expected.get(&(user, id)).copied().unwrap_or_default());
                    prop_assert!(balance.debt.0 == 0 || balance.total().0 == 0);
                }
            }
            for rule in replay.ledger().rules() {
                let (granted, reversed) = (granted.get(&rule.id).copied(), reversed.get(&rule.id).copied());
                prop_assert_eq!(rule.granted.0, granted.unwrap_or(0));
                prop_assert_eq!(rule.reversed.0, reversed.unwrap_or(0));
                prop_assert_eq!(rule.budget_spent.0, granted.unwrap_or(0) - reversed.unwrap_or(0));
                prop_assert!(rule.limits.total_amount.0 == 0 || rule.budget_spent <= rule.limits.total_amount);
            }
            if let Some(vault) = replay.ledger().vault(TOKEN) {
                let owed: u64 = users.iter().map(|user| replay.balances(user)[1].total().0).sum();
                prop_assert_eq!(vault.liability.0, owed);
                prop_assert!(vault.liability <= vault.funds);
            }
            prop_assert_eq!(replay.ledger().payments(), accepted);
        }
    }
}

/// Everything that a refused record must leave as it is.
fn snapshot(replay: &Replay, users: &[UserKey]) -> String {
    let ledger = replay.ledger();
    let users: Vec<_> = users
        .iter()
        .enumerate()
        .map(|(at, user)| {
            let scopes: Vec<_> = (0..3)
                .flat_map(|id| Scope::ALL.map(|scope| replay.counters(user, scope, ScopeId(id)).to_vec()))
                .collect();
            (replay.balances(user), scopes, ledger.payments_of(UserIndex(at)))
        })
        .collect();
    format!(
        "{users:?} {:?} {:?} {} {} {}",
        ledger.rules(),
        ledger.vault(TOKEN),
        ledger.payments(),
        ledger.counters_kept(),
        ledger.orders_kept()
    )
}
