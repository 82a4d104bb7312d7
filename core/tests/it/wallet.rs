//! Wallet links.

use crate::given::key;
use proptest::prelude::*;
use rebate_core::{refusal::Refusal, units::Timestamp, wallet::WalletLink};

fn newer(linked_at: i64, than: i64) -> Result<(), Refusal> {
    WalletLink { user: key(1), wallet: [2; 32], linked_at: Timestamp(linked_at) }.check_newer(Timestamp(than))
}

#[test]
fn a_link_counts_only_where_it_is_newer_than_the_one_in_effect() {
    for (linked_at, than, expected) in [
        (101, 100, Ok(())),
        (100, 100, Err(Refusal::StaleLink)),
        (99, 100, Err(Refusal::StaleLink)),
        (1, 0, Ok(())),
        (0, 0, Err(Refusal::StaleLink)),
        (i64::MAX, i64::MAX - 1, Ok(())),
        (i64::MAX, i64::MAX, Err(Refusal::StaleLink)),
        (i64::MIN, 0, Err(Refusal::StaleLink)),
    ] {
        assert_eq!(newer(linked_at, than), expected, "{linked_at} after {than}");
    }
}

proptest! {
    #[test]
    fn of_two_links_at_most_one_is_newer(one: i64, other: i64) {
        prop_assert_eq!(newer(one, other).is_ok(), one > other);
    }
}
