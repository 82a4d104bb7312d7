//! A chain that is what a test says.

use async_trait::async_trait;
use rebate_client::{
    Pubkey,
    account::{Journal, discriminator},
    address::{Addresses, PROGRAM},
    chain::{AccountAt, AccountsAt, ChainError, ReadAccounts},
};
use solana_program::hash::Hash;
use std::{collections::HashMap, sync::Mutex};

/// The hash of its first block.
pub const GENESIS: [u8; 32] = [9; 32];

#[derive(Default)]
pub struct Chain {
    accounts: Mutex<HashMap<Pubkey, AccountAt>>,
    away: Mutex<bool>,
}

impl Chain {
    pub fn hold(&self, address: Pubkey, account: AccountAt) {
        self.accounts.lock().unwrap().insert(address, account);
    }

    pub fn forget(&self, address: &Pubkey) {
        self.accounts.lock().unwrap().remove(address);
    }

    pub fn hold_journal(&self, slot: u64, journal: &Journal) {
        let mut data = discriminator("Journal").to_vec();
        data.extend(bytemuck::bytes_of(journal));
        let platform = Pubkey::new_from_array(journal.platform);
        let account = AccountAt { slot, owner: PROGRAM, lamports: 1, data };
        self.hold(Addresses::at(platform).journal, account);
    }

    pub fn go_away(&self) {
        *self.away.lock().unwrap() = true;
    }

    fn answer<T>(&self, answer: T) -> Result<T, ChainError> {
        if *self.away.lock().unwrap() {
            return Err(ChainError::Unreachable {
                node: "http://secret.example".into(),
                why: "connection refused".into(),
            });
        }
        Ok(answer)
    }
}

#[async_trait]
impl ReadAccounts for Chain {
    async fn accounts(&self, addresses: &[Pubkey]) -> Result<AccountsAt, ChainError> {
        let held = self.accounts.lock().unwrap();
        let accounts: Vec<_> = addresses.iter().map(|address| held.get(address).cloned()).collect();
        let slot = accounts.iter().flatten().map(|account| account.slot).max().unwrap_or_default();
        self.answer(AccountsAt { slot, accounts })
    }

    async fn genesis_hash(&self) -> Result<Hash, ChainError> {
        self.answer(Hash::new_from_array(GENESIS))
    }

    async fn now(&self) -> Result<i64, ChainError> {
        self.answer(0)
    }
}
