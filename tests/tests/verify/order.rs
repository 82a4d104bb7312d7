//! One order.

use crate::evening::{self, Evening, ORDERS, verification};
use rebate_client::{
    chain::ReadHistory,
    event::{Event, OutcomeEntry},
    oracle,
};
use rebate_core::units::OrderHash;
use rebate_tests::platform::payment;
use solana_keypair::Keypair;

#[test]
fn every_kind_of_order_is_right_step_by_step_by_number_and_by_hash() {
    let evening = Evening::play();
    let verification = verification(evening.platform());
    let mut outs = Vec::new();
    for order in ORDERS {
        let said = evening::order(&verification, evening.node(), order);
        said.assert_right();
        outs.push(said.out);
    }
    let [paid, refund, tokens, redeemed] = outs.as_slice() else { panic!("{outs:?}") };
    assert!(paid.contains("rule 1 version 1 \"first recharge 20%\": +1000 coins, balance 0 -> 1000"), "{paid}");
    assert!(paid.contains("a refund of it, 2500"), "{paid}");
    assert!(paid.contains("signed exactly this"), "{paid}");
    assert!(refund.contains("-500 coins"), "{refund}");
    assert!(tokens.contains("the user claims 300"), "{tokens}");
    assert!(redeemed.contains("redeems 40 coins"), "{redeemed}");
    let hash: String = OrderHash::of("A1").0.iter().map(|byte| format!("{byte:02x}")).collect();
    evening::order(&verification, evening.node(), &hash).assert_right();
}

#[test]
fn an_order_that_nobody_recorded_is_no_right_order() {
    let evening = Evening::play();
    let said = evening::order(&verification(evening.platform()), evening.node(), "A99");
    said.assert_wrong(&["is order A99", "check the number"]);
}

#[test]
fn an_outcome_that_the_node_altered_is_named_with_its_rule_and_leads_to_no_tree_head() {
    let evening = Evening::play();
    let node = evening.node().altering_events(|event| {
        if let Event::PaymentRecorded(event) = event
            && event.order == OrderHash::of("A1").0
        {
            let outcome: &mut OutcomeEntry = &mut event.outcomes[1];
            outcome.amount += 1;
            outcome.after += 1;
        }
    });
    let said = evening::order(&verification(evening.platform()), node, "A1");
    said.assert_wrong(&[
        "✗ what each of the 4 rules in force",
        "\"first recharge 20%\"",
        "the event says",
        "✗ all ",
        "the node altered something",
        "no path leads",
    ]);
}

#[test]
fn a_payment_that_the_node_altered_was_not_signed() {
    let evening = Evening::play();
    let node = evening.node().altering_events(|event| {
        if let Event::PaymentRecorded(event) = event {
            event.amount += 1;
        }
    });
    let said = evening::order(&verification(evening.platform()), node, "A1");
    said.assert_wrong(&["✗", "does not hold what the event says"]);
}

#[test]
fn a_transaction_that_the_node_hides_is_missed_by_the_index_of_its_event() {
    let evening = Evening::play();
    let platform = evening.platform();
    let mentions = platform.wait(platform.chain.mentions(&platform.addresses.journal, None)).unwrap();
    let emits = |signature| {
        let transaction = platform.wait(platform.chain.transaction(signature)).unwrap().unwrap();
        !transaction.events().unwrap().is_empty()
    };
    let landed: Vec<_> = mentions.iter().filter(|mention| emits(&mention.signature)).collect();
    // The newest, one in the middle, and the one that created the platform.
    for at in [0, landed.len() / 2, landed.len() - 1] {
        let node = evening.node().hiding(landed[at].signature);
        let said = evening::order(&verification(platform), node, "A1");
        said.assert_wrong(&["the node does not show the transaction of event"]);
    }
}

#[test]
fn a_forged_signature_is_named() {
    let evening = Evening::play();
    // One bit of the signature; then a message that somebody else signed.
    let node = evening.node().altering_signatures(|data| data[50] ^= 1);
    let said = evening::order(&verification(evening.platform()), node, "A1");
    said.assert_wrong(&["✗", "the oracle's signature does not verify"]);

    let stranger = Keypair::new();
    let address = evening.platform().addresses.platform;
    let payments = ["A1", "A2", "A3"].map(|order| payment(order, "amy", 5_000));
    let node = evening.node().altering_signatures(move |data| {
        let signed = oracle::sign(&stranger, &address, &payments).unwrap();
        data.truncate(16);
        data.extend_from_slice(&signed.key);
        data.extend_from_slice(&signed.signature);
        data.extend_from_slice(&signed.message);
        let size = (signed.message.len() as u16).to_le_bytes();
        data[12..14].copy_from_slice(&size);
    });
    let said = evening::order(&verification(evening.platform()), node, "A1");
    said.assert_wrong(&["✗", "signed by", "where the event says"]);
}

#[test]
fn an_oracle_key_out_of_its_validity_is_named() {
    let evening = Evening::play();
    let node = evening.node().altering_events(|event| {
        if let Event::OracleKeyRegistered(event) = event {
            event.valid_from = i64::MAX;
        }
    });
    let said = evening::order(&verification(evening.platform()), node, "A1");
    said.assert_wrong(&["✗", "was not valid at"]);
    let node = evening.node().altering_events(|event| {
        if let Event::OracleKeyRegistered(event) = event {
            event.key = [9; 32];
        }
    });
    let said = evening::order(&verification(evening.platform()), node, "A1");
    said.assert_wrong(&["✗", "was no oracle key of the platform"]);
}

#[test]
fn a_wrong_rule_version_is_named() {
    let evening = Evening::play();
    let node = evening.node().altering_events(|event| {
        if let Event::PaymentRecorded(event) = event {
            event.outcomes.iter_mut().filter(|outcome| outcome.rule == 2).for_each(|outcome| outcome.version = 2);
        }
    });
    let said = evening::order(&verification(evening.platform()), node, "A1");
    said.assert_wrong(&["✗", "by the rules rule 2 version 1 \"weekend bonus\"", "the event says rule 2 version 2"]);
}
