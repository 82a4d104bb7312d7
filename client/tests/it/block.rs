//! Which inner instructions of a transaction are events of the program.

use rebate_client::{
    Pubkey,
    address::{PROGRAM, event_authority},
    block::{InnerInstruction, Transaction},
    event::{DecodeError, Event, PauseChanged, TAG},
};
use solana_signature::Signature;

fn event(journal_index: u64) -> Event {
    Event::PauseChanged(PauseChanged { journal_index, at: 0, platform: [1; 32], paused: true, by: [2; 32] })
}

/// An inner instruction of the program that carries `bytes` as an event.
fn emitted(bytes: &[u8]) -> InnerInstruction {
    InnerInstruction { program: 1, accounts: vec![2], data: [&TAG, bytes].concat() }
}

/// Account 0 pays, 1 is the program, 2 the event authority, 3 another program.
fn transaction(inner: Vec<InnerInstruction>) -> Transaction {
    Transaction {
        signature: Signature::default(),
        position: None,
        failed: false,
        accounts: vec![Pubkey::default(), PROGRAM, event_authority(), Pubkey::new_from_array([9; 32])],
        inner,
    }
}

#[test]
fn events_are_read_in_order_with_exactly_the_bytes_that_were_hashed() {
    let bytes = [event(0).encode().unwrap(), event(1).encode().unwrap()];
    let events = transaction(vec![emitted(&bytes[0]), emitted(&bytes[1])]).events().unwrap();
    assert_eq!(events.len(), 2);
    for (index, (found, bytes)) in (0..).zip(events.iter().zip(bytes)) {
        assert_eq!((&found.event, &found.bytes), (&event(index), &bytes));
    }
}

#[test]
fn what_others_say_is_no_event_of_the_program() {
    let bytes = event(0).encode().unwrap();
    let sound = emitted(&bytes);
    for (what, inner) in [
        ("another program", InnerInstruction { program: 3, ..sound.clone() }),
        ("a program that is not among the accounts", InnerInstruction { program: 4, ..sound.clone() }),
        ("without the authority", InnerInstruction { accounts: vec![], ..sound.clone() }),
        ("with somebody else for the authority", InnerInstruction { accounts: vec![0], ..sound.clone() }),
        ("with an authority that is not among the accounts", InnerInstruction { accounts: vec![4], ..sound.clone() }),
        ("without the tag", InnerInstruction { data: bytes.clone(), ..sound.clone() }),
        ("with less than a tag", InnerInstruction { data: TAG[..7].to_vec(), ..sound.clone() }),
    ] {
        assert_eq!(transaction(vec![inner]).events(), Ok(vec![]), "{what}");
    }
    assert_eq!(transaction(vec![sound.clone()]).events().unwrap().len(), 1, "and the sound one is one");
    let failed = Transaction { failed: true, ..transaction(vec![sound]) };
    assert_eq!(failed.events(), Ok(vec![]), "a failed transaction emitted nothing");
}

#[test]
fn an_event_that_is_not_understood_is_never_skipped() {
    let sound = emitted(&event(0).encode().unwrap());
    let unknown = transaction(vec![sound.clone(), emitted(&[7; 40])]).events();
    assert_eq!(unknown, Err(DecodeError::UnknownEvent { discriminator: [7; 8] }));
    let mut longer = event(1).encode().unwrap();
    longer.push(0);
    let malformed = transaction(vec![sound, emitted(&longer)]).events();
    assert!(matches!(malformed, Err(DecodeError::Malformed { name: "PauseChanged", .. })), "{malformed:?}");
}
