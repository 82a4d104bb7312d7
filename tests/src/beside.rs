//! Platforms with other settings, several of them on one chain, and what tests of single instructions do with them.

#![expect(clippy::expect_used, reason = "this is how a test fails")]

use crate::platform::{NOON, TestPlatform, settings};
use rebate_client::{
    account::OrderPage,
    address::Addresses,
    chain::{ReadAccounts, SubmitError, embedded::Executed},
    instruction::{self, PlatformSetting, PlatformSettings},
};
use rebate_core::{
    time::DAY,
    units::{Day, Timestamp},
};
use solana_keypair::Keypair;
use solana_program::{instruction::Instruction, pubkey::Pubkey};
use solana_signer::Signer;

/// The day of [`NOON`], UTC.
pub const TODAY: u32 = (NOON / DAY) as u32;

/// What became of a submission: `done`, the name of the program's own error, or `failed` where the framework or the runtime
/// refused it.
pub fn said(result: Result<Executed, SubmitError>) -> &'static str {
    match result {
        Ok(_) => "done",
        Err(SubmitError::Refused { error, .. }) if error.code >= rebate_client::error::FIRST => error.name(),
        Err(_) => "failed",
    }
}

/// What a failed submission logged.
pub fn logs(result: Result<Executed, SubmitError>) -> Vec<String> {
    match result {
        Ok(executed) => executed.landed.logs,
        Err(SubmitError::Refused { logs, .. } | SubmitError::Failed { logs, .. }) => logs,
        Err(_) => Vec::new(),
    }
}

impl TestPlatform {
    /// A platform with other settings, on a new chain.
    pub fn start_with(change: impl FnOnce(&mut PlatformSettings)) -> Self {
        Self::start().beside(2, change)
    }

    /// Another platform on the same chain with the same people, its settings changed.
    pub fn beside(&self, id: u64, change: impl FnOnce(&mut PlatformSettings)) -> Self {
        let mut settings = settings(id, &self.admin.pubkey(), &self.pauser.pubkey());
        change(&mut settings);
        let other = Self {
            chain: self.chain.clone(),
            payer: self.payer.insecure_clone(),
            admin: self.admin.insecure_clone(),
            pauser: self.pauser.insecure_clone(),
            oracle: self.oracle.insecure_clone(),
            addresses: Addresses::of(id),
            since: self.chain.tip(),
        };
        other.as_payer(&instruction::create_platform(&other.payer.pubkey(), &settings)).expect("a platform");
        let (always, never) = (Timestamp(0), Timestamp(0));
        let key = other.oracle.pubkey();
        let register = instruction::register_oracle_key(&other.admin.pubkey(), &other.addresses, &key, always, never);
        other.as_admin(&register).expect("an oracle key");
        other
    }

    /// Runs an instruction that the payer signs.
    pub fn as_payer(&self, instruction: &Instruction) -> Result<Executed, SubmitError> {
        self.run(std::slice::from_ref(instruction), &[&self.payer])
    }

    /// Runs an instruction that the admin signs.
    pub fn as_admin(&self, instruction: &Instruction) -> Result<Executed, SubmitError> {
        self.run(std::slice::from_ref(instruction), &[&self.admin])
    }

    /// Runs an instruction that `signer` signs, at the payer's cost.
    pub fn signed_by(&self, instruction: &Instruction, signer: &Keypair) -> Result<Executed, SubmitError> {
        self.run(std::slice::from_ref(instruction), &[&self.payer, signer])
    }

    /// Somebody with lamports and without a role.
    pub fn stranger(&self) -> Keypair {
        let stranger = Keypair::new();
        self.fund(&stranger.pubkey());
        stranger
    }

    /// What an account holds, in lamports.
    pub fn lamports(&self, address: &Pubkey) -> u64 {
        let account = self.wait(self.chain.account(address)).expect("the embedded chain always answers");
        account.map_or(0, |account| account.lamports)
    }

    /// Whether there is an account.
    pub fn exists(&self, address: &Pubkey) -> bool {
        self.data(address).is_some_and(|data| !data.is_empty())
    }

    /// Sets the chain's clock to `days` and `seconds` after [`NOON`].
    pub fn wait_until(&self, days: i64, seconds: i64) {
        self.chain.set_clock(Some(NOON + days * DAY + seconds));
    }

    /// Opens page `number` of the first shard of a day, counted from [`TODAY`].
    pub fn open_page(&self, days: i64, number: u16, slots: u16) -> Result<Executed, SubmitError> {
        let open = instruction::open_order_page(&self.payer.pubkey(), &self.addresses, day(days), 0, number, slots);
        self.as_payer(&open)
    }

    /// A page's address, of the first shard of a day counted from [`TODAY`].
    pub fn page(&self, days: i64, number: u16) -> Pubkey {
        self.addresses.order_page(day(days), 0, number)
    }

    /// A page's header.
    pub fn page_header(&self, page: &Pubkey) -> OrderPage {
        OrderPage::decode(&self.data(page).expect("a page")).expect("a page's account")
    }

    /// Closes first pages of days counted from [`TODAY`] that the payer opened.
    pub fn close_days(&self, days: &[i64]) -> Result<Executed, SubmitError> {
        let payer = self.payer.pubkey();
        let pages: Vec<_> = days.iter().map(|days| (self.page(*days, 0), payer)).collect();
        self.as_payer(&instruction::close_order_pages(&payer, &self.addresses, &pages))
    }

    /// Changes a setting as the admin; 0 for now.
    pub fn change(&self, setting: PlatformSetting, seconds: u32, from: i64) -> Result<Executed, SubmitError> {
        let admin = self.admin.pubkey();
        self.as_admin(&instruction::change_setting(&admin, &self.addresses, setting, seconds, Timestamp(from)))
    }
}

/// A day counted from [`TODAY`].
pub fn day(days: i64) -> Day {
    Day(u32::try_from(i64::from(TODAY) + days).expect("a day"))
}
