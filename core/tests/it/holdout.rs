//! The control group: users whom a rule never grants.

use crate::{
    given::{always, fixed, key, payment, when},
    platform::Platform,
};
use proptest::prelude::*;
use rebate_core::{
    holdout::is_held_out,
    outcome::Reason,
    rule::{Definition, Field, Operator},
    units::{BasisPoints, RuleId, UserKey},
};
use sha2::{Digest, Sha256};

/// Where a user falls, 0 to 9 999.
fn bucket(rule: u16, user: &UserKey) -> u32 {
    let hash = Sha256::digest([&b"holdout"[..], &rule.to_le_bytes(), &user.0].concat());
    (u64::from_le_bytes(hash[..8].try_into().unwrap()) % 10_000) as u32
}

proptest! {
    #[test]
    fn a_user_is_held_out_below_its_own_share_and_not_at_it(rule: u16, user: [u8; 32], share in 0..=10_000u32) {
        let user = UserKey(user);
        let bucket = bucket(rule, &user);
        prop_assert_eq!(is_held_out(RuleId(rule), &user, BasisPoints(share)), bucket < share);
        prop_assert!(!is_held_out(RuleId(rule), &user, BasisPoints(bucket)));
        prop_assert!(is_held_out(RuleId(rule), &user, BasisPoints(bucket + 1)));
        prop_assert!(!is_held_out(RuleId(rule), &user, BasisPoints(0)));
        prop_assert!(is_held_out(RuleId(rule), &user, BasisPoints(10_000)));
    }
}

#[test]
fn about_the_share_of_all_users_is_held_out_and_others_by_another_rule() {
    let held = |rule: u16| -> Vec<bool> {
        let users = (0..10_000u32).map(|number| UserKey(Sha256::digest(number.to_le_bytes()).into()));
        users.map(|user| is_held_out(RuleId(rule), &user, BasisPoints(2_000))).collect()
    };
    let (one, other) = (held(1), held(2));
    let count = |held: &[bool]| held.iter().filter(|held| **held).count();
    // Five standard deviations are 200.
    assert!((1_800..2_200).contains(&count(&one)) && (1_800..2_200).contains(&count(&other)));
    let both = one.iter().zip(&other).filter(|(one, other)| **one && **other).count();
    assert!((300..500).contains(&both), "of each rule's, a fifth is the other's too: {both}");
}

#[test]
fn who_is_held_out_gets_nothing_and_the_others_do() {
    let users: Vec<u8> = (1..=255).collect();
    let (held, others): (Vec<u8>, Vec<u8>) = users.iter().partition(|user| bucket(1, &key(**user)) < 3_000);
    let mut platform = Platform::of(&[Definition { holdout: BasisPoints(3_000), ..always(1, fixed(1, 5)) }]);
    assert!(held.len() > 40 && others.len() > 100);
    for (users, expected) in [(held, (Reason::Holdout, 0)), (others, (Reason::Granted, 5))] {
        for user in users {
            assert_eq!(platform.told(&payment(&user.to_string(), user, 1)), [expected], "user {user}");
        }
    }
}

#[test]
fn who_would_get_nothing_anyway_is_not_matched_rather_than_held_out() {
    let condition = [when(0, Field::Product, Operator::Eq, 1)];
    let rule = Definition { holdout: BasisPoints(10_000), condition: &condition, ..always(1, fixed(1, 5)) };
    assert_eq!(Platform::of(&[rule]).told(&payment("A1", 1, 1)), [(Reason::NotMatched, 0)]);
}

#[test]
fn the_control_group_is_the_rules_and_so_the_same_for_all_its_versions() {
    let first = Definition { holdout: BasisPoints(5_000), ..always(1, fixed(1, 5)) };
    let second = Definition { version: rebate_core::units::RuleVersion(2), ..first };
    let mut platform = Platform::of(&[first]);
    for user in 1..=50 {
        platform.told(&payment(&format!("A{user}"), user, 1));
    }
    platform.publish(&second, crate::given::NOON.0).unwrap();
    for user in 1..=50 {
        let expected = if bucket(1, &key(user)) < 5_000 { (Reason::Holdout, 0) } else { (Reason::Granted, 5) };
        assert_eq!(platform.told(&payment(&format!("B{user}"), user, 1)), [expected], "user {user}");
    }
}
