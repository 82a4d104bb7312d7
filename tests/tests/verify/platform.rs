//! A whole platform, without a database.

use crate::evening::{self, Evening, verification};
use rebate_cli::verify::Verification;
use rebate_client::{event::Event, verify::recomputation::Files};
use rebate_core::units::{OrderHash, UserKey};
use rebate_tests::platform::payment;

#[test]
fn a_platform_whose_node_tells_the_truth_agrees_in_every_account() {
    let evening = Evening::play();
    let said = evening::all(&verification(evening.platform()), evening.node(), None);
    said.assert_right();
    assert!(said.out.contains("3 users"), "{}", said.out);
}

#[test]
fn one_byte_of_any_event_is_noticed() {
    let evening = Evening::play();
    let count = evening.platform().journal().count;
    for wanted in 0..count {
        let node = evening.node().altering_events(move |event| {
            if event.journal_index() == wanted {
                alter(event);
            }
        });
        let said = evening::all(&verification(evening.platform()), node, None);
        said.assert_wrong(&["the tree head"]);
    }
}

/// Something of it that is no index and no platform.
fn alter(event: &mut Event) {
    match event {
        Event::PlatformCreated(event) => event.pauser[0] ^= 1,
        Event::OracleKeyRegistered(event) => event.valid_until ^= 1 << 40,
        Event::AssetAdded(event) => event.active_from ^= 1,
        Event::RulePublished(event) => event.rule.tags ^= 1,
        Event::PaymentRecorded(event) => event.product ^= 1,
        Event::RefundRecorded(event) => event.refunded ^= 1,
        Event::Redeemed(event) => event.after ^= 1,
        Event::WalletLinked(event) => event.wallet[0] ^= 1,
        Event::Claimed(event) => event.destination[0] ^= 1,
        Event::VaultOpened(event) => event.vault[0] ^= 1,
        Event::Deposited(event) => event.by[0] ^= 1,
        other => panic!("the evening has a {} now; say here how it is altered", other.name()),
    }
}

#[test]
fn an_event_whose_balance_is_altered_is_named() {
    let evening = Evening::play();
    let node = evening.node().altering_events(|event| {
        if let Event::PaymentRecorded(event) = event
            && event.order == OrderHash::of("A2").0
        {
            event.outcomes[0].after += 5;
        }
    });
    let said = evening::all(&verification(evening.platform()), node, None);
    said.assert_wrong(&["(PaymentRecorded): by the rules", "✗ "]);
}

#[test]
fn an_account_that_the_node_altered_is_named() {
    let evening = Evening::play();
    let platform = evening.platform();
    let user = payment("", "amy", 1).user;
    let UserKey(key) = user;
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let addresses = platform.addresses;
    // The wallet's first byte; how many payments; the pauser; the amount.
    for (account, at, what) in [
        (addresses.user(&user), 72, format!("user {hex}")),
        (addresses.rule_book, 40, "how many payments were accepted".to_owned()),
        (addresses.platform, 72, "its pauser".to_owned()),
        (addresses.vault(rebate_core::units::AssetId(2)), 64, "the vault of coin".to_owned()),
        (addresses.journal, 48, "the journal (account".to_owned()),
    ] {
        let node = evening.node().altering_accounts(move |address, data| {
            if *address == account {
                data[at] = data[at].wrapping_sub(1);
            }
        });
        let said = evening::all(&verification(platform), node, None);
        said.assert_wrong(&[&what]);
    }
}

#[test]
fn what_was_saved_is_checked_like_what_is_read_and_only_the_rest_is_read() {
    let evening = Evening::play();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evidence");
    let plain = verification(evening.platform());
    let with = |from: bool, save: bool| Verification {
        files: Files { from: from.then(|| file.clone()), save: save.then(|| file.clone()) },
        ..plain.clone()
    };
    evening::all(&with(false, true), evening.node(), None).assert_right();
    evening.platform().pay(&[payment("A5", "dan", 10)]).unwrap();
    // The node shows nothing of what is in the file.
    let last = evening.platform().journal().count - 1;
    let node = evening.node().altering_events(move |event| {
        assert_eq!(event.journal_index(), last, "read from the node although it is in the file");
    });
    evening::all(&with(true, false), node, None).assert_right();

    let mut bytes = std::fs::read(&file).unwrap();
    let order = OrderHash::of("A1").0;
    let at = bytes.windows(32).rposition(|window| window == order).unwrap();
    bytes[at + 70] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    evening::all(&with(true, false), evening.node(), None).assert_wrong(&["✗"]);
    std::fs::write(&file, &bytes[..at]).unwrap();
    evening::all(&with(true, false), evening.node(), None).assert_wrong(&["cut off or altered"]);
}
