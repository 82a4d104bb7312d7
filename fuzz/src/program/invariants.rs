//! What a transaction does to the accounts it names, whatever it is.

use rebate_client::{
    account::{Counter, Journal, OrderPage, Platform, Refund, RuleBook, UserState, discriminator},
    address::PROGRAM,
    chain::AccountAt,
};
use solana_program::{pubkey::Pubkey, rent::Rent};
use std::collections::{BTreeMap, BTreeSet};

/// The accounts that a transaction names, as far as there are any.
pub type Named = BTreeMap<Pubkey, AccountAt>;

/// How many instructions a transaction has at most.
pub const MOST_INSTRUCTIONS: usize = 4;

/// What a signature costs, in lamports.
const FEE: u64 = 5_000;

/// The most signatures that a transaction's fee can be for: its own, and those that its Ed25519 instructions announce, which
/// are a byte each.
const MOST_SIGNATURES: u64 = 8 + 255 * MOST_INSTRUCTIONS as u64;

/// A failed transaction costs its fee and does nothing else.
pub fn nothing_changed(before: &Named, after: &Named, payer: &Pubkey) {
    for (address, account) in before {
        let after = after.get(address).expect("an account is gone");
        assert_eq!((&account.data, account.owner), (&after.data, after.owner), "{address} changed");
        if address == payer {
            assert_is_fee(account.lamports - after.lamports);
        } else {
            assert_eq!(account.lamports, after.lamports, "the lamports of {address} changed");
        }
    }
    assert_eq!(before.len(), after.len(), "there is an account that was not there before");
}

fn assert_is_fee(lamports: u64) {
    assert!(lamports.is_multiple_of(FEE) && lamports / FEE <= MOST_SIGNATURES, "{lamports} lamports are no fee");
}

/// Lamports only move, apart from the fee; what an account cost goes back to who paid for it once it closes.
pub fn lamports_are_where_they_belong(before: &Named, after: &Named, payer: &Pubkey, signed_by: &BTreeSet<[u8; 32]>) {
    let sum = |named: &Named| named.values().map(|account| u128::from(account.lamports)).sum::<u128>();
    let fee = u64::try_from(sum(before) - sum(after)).expect("a fee");
    assert_is_fee(fee);

    let mut refunds: BTreeMap<[u8; 32], u64> = BTreeMap::new();
    for (address, account) in before.iter().filter(|(_, account)| account.owner == PROGRAM) {
        if after.get(address).is_none_or(|after| after.data.is_empty()) {
            *refunds.entry(opened_by(&account.data)).or_default() += account.lamports;
        }
    }
    for (opened_by, refund) in &refunds {
        let opened_by = Pubkey::from(*opened_by);
        let had = before.get(&opened_by).map_or(0, |account| account.lamports);
        let has = after.get(&opened_by).map_or(0, |account| account.lamports);
        let fee = if opened_by == *payer { fee } else { 0 };
        assert_eq!(has + fee, had + refund, "{opened_by} gets back what closed accounts held");
    }

    for (address, account) in after.iter().filter(|(_, account)| account.owner == PROGRAM) {
        let least = Rent::default().minimum_balance(account.data.len());
        assert!(account.lamports >= least, "{address} of {} bytes holds less than its rent", account.data.len());
        let is_new = before.get(address).is_none_or(|before| before.owner != PROGRAM);
        if is_new && is_closable(&account.data) {
            assert!(signed_by.contains(&opened_by(&account.data)), "{address} would pay back to who did not pay");
        }
    }
}

fn is(data: &[u8], name: &str) -> bool {
    data.starts_with(&discriminator(name))
}

fn is_closable(data: &[u8]) -> bool {
    ["Counter", "OrderPage", "Refund"].iter().any(|name| is(data, name))
}

/// Who opened an account that can be closed.
fn opened_by(data: &[u8]) -> [u8; 32] {
    if is(data, "Counter") {
        Counter::decode(data).expect("counters").payer
    } else if is(data, "OrderPage") {
        OrderPage::decode(data).expect("a page").payer
    } else if is(data, "Refund") {
        let refund = Refund::decode(data).expect("a refund");
        assert!(refund.stage < 2, "an order's proof was given up");
        refund.payer
    } else {
        panic!("an account was closed that stays for good: {:?}", data.first_chunk::<8>())
    }
}

/// What the program leaves behind can be read.
pub fn accounts_are_sound(named: &Named) {
    for (address, AccountAt { data, .. }) in named.iter().filter(|(_, account)| account.owner == PROGRAM) {
        let sound = if is(data, "Platform") {
            Platform::decode(data).is_ok()
        } else if is(data, "Journal") {
            Journal::decode(data).is_ok()
        } else if is(data, "User") {
            UserState::decode(data).is_ok()
        } else if is(data, "Counter") {
            Counter::decode_with_counters(data).is_ok()
        } else if is(data, "OrderPage") {
            OrderPage::decode(data).is_ok_and(|page| page.taken as usize <= OrderPage::slots(data))
        } else if is(data, "Refund") {
            Refund::decode(data).is_ok_and(|refund| refund.refunded <= refund.paid)
        } else {
            is(data, "RuleBook") && RuleBook::decode_with_rules(data).is_ok()
        };
        assert!(sound, "{address} is no sound account: {data:?}");
    }
}
