//! What holds whatever the rules are and whatever happens.

use crate::{
    given::{NOON, UNLIMITED, key},
    histories::{Draft, Event, History, books, histories, order, paid, redemption, refund},
    platform::{Platform, State, User},
};
use proptest::{prelude::*, sample::Index};
use rebate_core::{
    counters::Counters,
    outcome::{Outcome, Reason},
    payment::Payment,
    refusal::Refusal,
    rule::{Limits, Rule},
    units::{Amount, Months, OrderHash, Seconds, Timestamp, UserKey},
};
use std::collections::BTreeMap;

/// A platform after a history, every answer it gave on the way, and every refusal that changed something.
fn lived(history: &History) -> (Platform, Vec<Result<Vec<Outcome>, Refusal>>) {
    let mut platform = Platform::of(&[]);
    platform.offsets.clone_from(&history.world.offsets);
    platform.max_lateness = Seconds(history.world.max_lateness);
    platform.vaults[1] = history.world.vault;
    platform.periods[2] = Months(history.world.months.0);
    for draft in &history.book {
        platform.publish(&draft.definition(), 0).unwrap();
    }
    let mut orders: Vec<OrderHash> = Vec::new();
    let mut answers = Vec::new();
    for (number, event) in history.events.iter().enumerate() {
        let answer = match event {
            Event::Wait(seconds) => {
                platform.now.0 += seconds;
                continue;
            }
            Event::Publish { .. } => continue,
            Event::Pay { payment, late, .. } => {
                let paid_at = Timestamp(platform.now.0 - late);
                let answer = platform.pay(&Payment { paid_at, order: order(number), ..*payment });
                if answer.is_ok() {
                    orders.push(order(number));
                }
                answer
            }
            Event::Refund { of, part } => {
                let Some(of) = of.filter(|_| !orders.is_empty()) else { continue };
                let of = *of.get(&orders);
                let known = platform.state.orders[&of].refunded;
                platform.refund(&refund(number, of, part.of(known.paid.0, known.refunded.0), platform.now))
            }
            Event::Redeem { user, asset, amount } => {
                let redemption = redemption(number, *user, *asset, amount.unwrap_or(1), platform.now);
                platform.redeem(&redemption).map(|_| Vec::new())
            }
        };
        answers.push(answer);
    }
    (platform, answers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_entries_of_every_ledger_add_up_to_its_balance_less_its_debt(history in histories(40)) {
        let (platform, _) = lived(&history);
        for (key, user) in &platform.state.users {
            for (asset, balance) in (1..).zip(&user.balances) {
                let of = |entry: &&crate::platform::Entry| entry.user == *key && entry.asset.0 == asset;
                let sum: i128 = platform.state.ledger.iter().filter(of).map(|entry| entry.amount).sum();
                prop_assert_eq!(sum, i128::from(balance.total().0) - i128::from(balance.debt.0));
            }
        }
    }

    #[test]
    fn no_more_of_a_grant_is_reversed_than_was_granted_and_all_of_it_where_all_was_refunded(history in histories(40)) {
        let (platform, answers) = lived(&history);
        let (mut granted, mut reversed) = (0u128, 0u128);
        for known in platform.state.orders.values() {
            for grant in &known.grants {
                prop_assert!(grant.reversed <= grant.amount);
                prop_assert!(known.refunded.refunded < known.refunded.paid || grant.reversed == grant.amount);
                prop_assert!(known.refunded.refunded.0 > 0 || grant.reversed.0 == 0);
                granted += u128::from(grant.amount.0);
                reversed += u128::from(grant.reversed.0);
            }
        }
        let told = |reason| {
            let outcomes = answers.iter().flatten().flatten().filter(move |one| one.reason == reason);
            outcomes.map(|one| u128::from(one.amount.0)).sum::<u128>()
        };
        prop_assert_eq!((granted, reversed), (told(Reason::Granted), told(Reason::Reversed)));
        let of_rules = |of: fn(&Rule) -> Amount| platform.state.rules.iter().map(|rule| u128::from(of(rule).0)).sum::<u128>();
        prop_assert_eq!((granted, reversed), (of_rules(|rule| rule.granted), of_rules(|rule| rule.reversed)));
        prop_assert_eq!(granted - reversed, of_rules(|rule| rule.budget_spent));
    }

    #[test]
    fn what_users_have_of_a_token_is_never_more_than_its_vault_holds(history in histories(40)) {
        let (platform, _) = lived(&history);
        let held: u64 = platform.state.users.values().map(|user| user.balances[1].total().0).sum();
        prop_assert!(history.world.vault.is_none_or(|vault| held <= vault));
    }

    #[test]
    fn no_budget_is_ever_overdrawn_and_no_count_is_passed(history in histories(40)) {
        let (platform, _) = lived(&history);
        for rule in &platform.state.rules {
            let Limits { total_amount, total_count, .. } = rule.limits;
            prop_assert!(total_amount.0 == 0 || rule.budget_spent <= total_amount);
            prop_assert!(total_count == 0 || rule.budget_grants <= total_count);
        }
    }

    #[test]
    fn the_same_records_give_the_same_answers_and_the_same_state(history in histories(40)) {
        let (one, other) = (lived(&history), lived(&history));
        prop_assert_eq!(one.1, other.1);
        prop_assert_eq!(one.0.state, other.0.state);
    }

    #[test]
    fn within_a_window_no_user_gets_more_or_more_often_than_the_rule_allows(
        mut history in histories(40), user_amount in 1..200u64, user_count in 0..4u64,
    ) {
        // Without refunds: what a user got in a window is then the sum of its grants.
        history.events.retain(|event| !matches!(event, Event::Refund { .. }));
        for draft in &mut history.book {
            draft.limits = Limits { user_amount: Amount(user_amount), user_count, ..UNLIMITED };
        }
        let (platform, _) = lived(&history);
        let mut got: BTreeMap<(UserKey, u16, u64, i32), (u64, u64)> = BTreeMap::new();
        for known in platform.state.orders.values() {
            for grant in &known.grants {
                let rule = platform.state.rules.iter().find(|rule| rule.id == grant.rule).unwrap();
                let local = rebate_core::time::LocalTime::at(known.payment.paid_at, &platform.offsets);
                let window = rule.window().index(local).0;
                let id = known.payment.scope_id(rule.scope()).0;
                let sum = got.entry((known.payment.user, rule.id.0, id, window)).or_default();
                *sum = (sum.0 + grant.amount.0, sum.1 + 1);
            }
        }
        for (amount, count) in got.into_values() {
            prop_assert!(amount <= user_amount && (user_count == 0 || count <= user_count), "{} in {}", amount, count);
        }
    }
}

/// What a user can see: the answers, the balances, the counters.
type Seen = (Vec<Result<Vec<Outcome>, Refusal>>, Option<User>, Vec<Vec<Counters>>);

/// Something a user does: pay, or have a share of an earlier order refunded.
type Deed = (Payment, Option<(Index, u64)>);

/// An evening of three users on a platform without budgets and vaults.
fn evening(book: &[Draft], deeds: &[Deed]) -> (BTreeMap<u8, Seen>, Vec<Rule>) {
    let definitions: Vec<_> = book.iter().map(Draft::definition).collect();
    let mut platform = Platform::of(&definitions);
    platform.now = Timestamp(NOON.0 + 30 * 86_400);
    let mut seen: BTreeMap<u8, Seen> = BTreeMap::new();
    let mut orders: BTreeMap<u8, Vec<OrderHash>> = BTreeMap::new();
    for (payment, part) in deeds {
        let user = payment.user.0[0];
        let orders = orders.entry(user).or_default();
        let seen = seen.entry(user).or_default();
        let order = OrderHash::of(&format!("{user} {}", seen.0.len()));
        let answer = match part.as_ref().filter(|_| !orders.is_empty()) {
            None => platform.pay(&Payment { order, ..*payment }),
            Some((of, part)) => {
                let of = *of.get(orders);
                let known = platform.state.orders[&of].refunded;
                let amount = Amount((known.paid.0 - known.refunded.0) * part / 100);
                platform.refund(&rebate_core::refund::Refund { order, of, amount, paid_at: platform.now })
            }
        };
        if answer.is_ok() && part.is_none() {
            orders.push(order);
        }
        seen.0.push(answer);
    }
    let State { users, counters, rules, .. } = platform.state;
    for (user, seen) in &mut seen {
        seen.1 = users.get(&key(*user)).cloned();
        seen.2 = counters.iter().filter(|((of, ..), _)| *of == key(*user)).map(|(_, place)| place.clone()).collect();
    }
    (seen, rules)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn in_which_order_unrelated_users_pay_does_not_matter(
        mut book in books(8),
        deeds in prop::collection::vec(
            (paid(), 0..86_400 * 20i64, prop::option::weighted(0.2, (any::<Index>(), 1..=100u64))), 1..24,
        ),
        keys in prop::collection::vec(any::<u64>(), 24),
    ) {
        for draft in &mut book {
            draft.limits = Limits { total_amount: Amount(0), total_count: 0, ..draft.limits };
        }
        let deeds: Vec<Deed> = deeds
            .into_iter()
            // Below a million, so that nobody overflows a rule's total for the others.
            .map(|(payment, after, part)| {
                let amount = Amount(payment.amount.0 % 1_000_000);
                (Payment { amount, paid_at: Timestamp(NOON.0 + after), ..payment }, part)
            })
            .collect();
        // The same deeds with the users interleaved otherwise: each user's own keep their order.
        let mut order: Vec<_> = (0..deeds.len()).collect();
        order.sort_by_key(|at| keys[*at]);
        let mut turns = [0, 1, 2].map(|user| deeds.iter().filter(move |(payment, _)| payment.user == key(user)));
        let interleaved: Vec<_> =
            order.iter().filter_map(|at| turns[usize::from(deeds[*at].0.user.0[0])].next()).cloned().collect();
        prop_assert_eq!(interleaved.len(), deeds.len());
        prop_assert_eq!(evening(&book, &deeds), evening(&book, &interleaved));
    }
}
