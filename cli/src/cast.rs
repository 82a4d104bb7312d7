//! Who takes part where a platform is made for an evening: in the demonstration, the benchmark and the tests.

use crate::{pay, platform, rule_file::RuleFile};
use rebate_client::{
    address::Addresses,
    chain::{Submit, SubmitError},
    instruction,
};
use rebate_core::units::{Timestamp, UserKey};
use solana_keypair::Keypair;
use solana_signer::Signer;

/// The number of the platform.
const PLATFORM: u64 = 1;

/// What the payer gets from the faucet: a hundred SOL.
const LAMPORTS: u64 = 100_000_000_000;

/// All keys are made for the evening and forgotten with it.
pub struct Cast {
    /// Pays for everything and is the platform's admin.
    pub payer: Keypair,
    /// May pause.
    pub pauser: Keypair,
    /// Signs payments.
    pub oracle: Keypair,
    /// Has no right to anything.
    pub stranger: Keypair,
    secret: [u8; 32],
}

impl Cast {
    /// New keys for everybody.
    #[expect(clippy::new_without_default, reason = "every cast is another one; a default would be the same")]
    pub fn new() -> Self {
        Self {
            payer: Keypair::new(),
            pauser: Keypair::new(),
            oracle: Keypair::new(),
            stranger: Keypair::new(),
            secret: *Keypair::new().secret_bytes(),
        }
    }

    /// The key of a user, by the platform's secret.
    pub fn user(&self, id: &str) -> UserKey {
        pay::user_key(Some(&self.secret), id)
    }

    /// Creates the platform, registers its oracle and publishes the rules, in force since ever.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn publish(&self, chain: &dyn Submit, rules: &RuleFile) -> Result<Addresses, SubmitError> {
        let (payer, admin) = (&self.payer, self.payer.pubkey());
        chain.airdrop(&admin, LAMPORTS).await?;
        let settings = platform::settings(PLATFORM, &admin, &self.pauser.pubkey(), rules);
        let addresses = Addresses::of(PLATFORM);
        let create = instruction::create_platform(&admin, &settings);
        let oracle = self.oracle.pubkey();
        let register = instruction::register_oracle_key(&admin, &addresses, &oracle, Timestamp(0), Timestamp(0));
        chain.submit(&[create, register], &[payer]).await?;
        for rule in &rules.rules {
            chain.submit(&[instruction::publish_rule(&admin, &addresses, rule, Timestamp(0))], &[payer]).await?;
        }
        Ok(addresses)
    }
}
