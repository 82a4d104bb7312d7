//! Who takes part where a platform is made for an evening: in the demonstration, the benchmark and the tests.

use crate::{pay, platform, token};
use rebate_client::{
    Pubkey,
    account::AssetKind,
    address::Addresses,
    chain::{Submit, SubmitError},
    event::AssetEntry,
    instruction::{self, Token},
};
use rebate_core::units::{Amount, AssetId, Timestamp, UserKey};
use rebate_rulefile::RuleFile;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// The number of the platform.
const PLATFORM: u64 = 1;

/// What the payer gets from the faucet: a hundred SOL.
const LAMPORTS: u64 = 100_000_000_000;

/// All keys are made for the evening and forgotten with it.
pub struct Cast {
    /// Pays for everything, is the platform's admin and issues the token.
    pub payer: Keypair,
    /// May pause.
    pub pauser: Keypair,
    /// Signs payments.
    pub oracle: Keypair,
    /// Has no right to anything.
    pub stranger: Keypair,
    /// The mint of every token for which the rule file names none.
    pub mint: Keypair,
    /// The token program that the mint belongs to.
    pub token_program: Pubkey,
    secret: String,
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
            mint: Keypair::new(),
            token_program: token::SPL_TOKEN,
            // As text: no byte of it is white space that somebody could take away.
            secret: hex::encode(Keypair::new().secret_bytes()),
        }
    }

    /// The platform's secret, which users' keys are made with.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The key of a user, by the platform's secret.
    pub fn user(&self, id: &str) -> UserKey {
        pay::user_key(Some(self.secret.as_bytes()), id)
    }

    /// A user's wallet, the same each time.
    pub fn wallet(&self, id: &str) -> Keypair {
        Keypair::new_from_array(pay::user_key(Some(self.secret.as_bytes()), &format!("the wallet of {id}")).0)
    }

    /// The token that the cast issues.
    pub fn token(&self) -> Token {
        Token { mint: self.mint.pubkey(), program: self.token_program }
    }

    /// Creates the platform, registers its oracle and publishes the rules, in force since ever. A token for which the file
    /// names no mint is the cast's own, and its vault is opened.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn publish(&self, chain: &dyn Submit, rules: &RuleFile) -> Result<Addresses, SubmitError> {
        let (payer, admin) = (&self.payer, self.payer.pubkey());
        chain.airdrop(&admin, LAMPORTS).await?;
        let mut settings = platform::settings(PLATFORM, &admin, &self.pauser.pubkey(), rules);
        let mut own = Vec::new();
        for (asset, id) in settings.assets.iter_mut().zip(1..) {
            if is_without_mint(asset) {
                asset.mint = self.mint.pubkey().to_bytes();
                own.push(AssetId(id));
            }
        }
        if !own.is_empty() {
            token::create_mint(chain, payer, &self.mint, &self.token_program).await?;
        }
        let addresses = Addresses::of(PLATFORM);
        let create = instruction::create_platform(&admin, &settings);
        let oracle = self.oracle.pubkey();
        let register = instruction::register_oracle_key(&admin, &addresses, &oracle, Timestamp(0), Timestamp(0));
        chain.submit(&[create, register], &[payer]).await?;
        for asset in own {
            let open = instruction::open_vault(&admin, &addresses, asset, &self.token());
            chain.submit(&[open], &[payer]).await?;
        }
        for rule in &rules.rules {
            chain.submit(&[instruction::publish_rule(&admin, &addresses, rule, Timestamp(0))], &[payer]).await?;
        }
        Ok(addresses)
    }

    /// Issues `amount` of the cast's own token and puts it into the vault of `asset`.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn deposit(
        &self,
        chain: &dyn Submit,
        addresses: &Addresses,
        asset: AssetId,
        amount: Amount,
    ) -> Result<(), SubmitError> {
        let (payer, owner, token) = (&self.payer, self.payer.pubkey(), self.token());
        let source = token::open_account(chain, payer, &token, &owner).await?;
        let issue = token::mint_to(&owner, &token, &source, amount.0)?;
        let deposit = instruction::deposit(&owner, addresses, asset, &token, &source, amount);
        chain.submit(&[issue, deposit], &[payer]).await?;
        Ok(())
    }
}

/// Whether it is a token for which the rule file names no mint.
pub(crate) fn is_without_mint(asset: &AssetEntry) -> bool {
    asset.kind == AssetKind::Token as u8 && asset.mint == [0; 32]
}
