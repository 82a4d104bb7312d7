//! A node that shows the embedded chain, and lies where it is told to.

use async_trait::async_trait;
use rebate_client::{
    Pubkey,
    address::ED25519,
    block::{Transaction, WholeTransaction},
    chain::{AccountsAt, ChainError, Mention, ReadAccounts, ReadEvidence, ReadHistory, embedded::EmbeddedChain},
    event::{Event, TAG},
};
use solana_program::hash::Hash;
use solana_signature::Signature;
use std::sync::Arc;

type Alter = Arc<dyn Fn(&mut WholeTransaction) + Send + Sync>;
type AlterAccount = Arc<dyn Fn(&Pubkey, &mut Vec<u8>) + Send + Sync>;

#[derive(Clone)]
pub struct Node {
    chain: EmbeddedChain,
    hidden: Option<Signature>,
    alter: Option<Alter>,
    alter_account: Option<AlterAccount>,
}

impl Node {
    pub fn of(chain: EmbeddedChain) -> Self {
        Self { chain, hidden: None, alter: None, alter_account: None }
    }

    /// Does not show a transaction.
    pub fn hiding(self, signature: Signature) -> Self {
        Self { hidden: Some(signature), ..self }
    }

    /// Shows transactions otherwise than they are.
    pub fn altering(self, alter: impl Fn(&mut WholeTransaction) + Send + Sync + 'static) -> Self {
        Self { alter: Some(Arc::new(alter)), ..self }
    }

    /// Shows accounts otherwise than they are.
    pub fn altering_accounts(self, alter: impl Fn(&Pubkey, &mut Vec<u8>) + Send + Sync + 'static) -> Self {
        Self { alter_account: Some(Arc::new(alter)), ..self }
    }

    /// Shows events otherwise than they were emitted.
    pub fn altering_events(self, alter: impl Fn(&mut Event) + Send + Sync + 'static) -> Self {
        self.altering(move |whole| {
            for inner in &mut whole.transaction.inner {
                let Some(Ok(mut event)) = inner.data.strip_prefix(&TAG).map(Event::decode) else { continue };
                alter(&mut event);
                inner.data = [&TAG[..], &event.encode().unwrap()].concat();
            }
        })
    }

    /// Shows the data of Ed25519 instructions otherwise.
    pub fn altering_signatures(self, alter: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> Self {
        self.altering(move |whole| {
            let accounts = whole.transaction.accounts.clone();
            for own in &mut whole.instructions {
                if accounts[usize::from(own.program)] == ED25519 {
                    alter(&mut own.data);
                }
            }
        })
    }
}

#[async_trait]
impl ReadAccounts for Node {
    async fn accounts(&self, addresses: &[Pubkey]) -> Result<AccountsAt, ChainError> {
        let mut shown = self.chain.accounts(addresses).await?;
        if let Some(alter) = &self.alter_account {
            for (address, account) in addresses.iter().zip(&mut shown.accounts) {
                if let Some(account) = account {
                    alter(address, &mut account.data);
                }
            }
        }
        Ok(shown)
    }

    async fn genesis_hash(&self) -> Result<Hash, ChainError> {
        self.chain.genesis_hash().await
    }

    async fn now(&self) -> Result<i64, ChainError> {
        self.chain.now().await
    }
}

#[async_trait]
impl ReadHistory for Node {
    async fn mentions(&self, address: &Pubkey, before: Option<&Signature>) -> Result<Vec<Mention>, ChainError> {
        let mut shown = self.chain.mentions(address, before).await?;
        shown.retain(|mention| Some(mention.signature) != self.hidden);
        // Small pages, as if there were many.
        shown.truncate(3);
        Ok(shown)
    }

    async fn transaction(&self, signature: &Signature) -> Result<Option<Transaction>, ChainError> {
        Ok(self.whole(signature).await?.map(|whole| whole.transaction))
    }
}

#[async_trait]
impl ReadEvidence for Node {
    async fn whole(&self, signature: &Signature) -> Result<Option<WholeTransaction>, ChainError> {
        let mut shown = self.chain.whole(signature).await?;
        if let (Some(whole), Some(alter)) = (&mut shown, &self.alter) {
            alter(whole);
        }
        Ok(shown)
    }

    async fn block_at(&self, slot: u64) -> Result<Option<(Hash, Option<i64>)>, ChainError> {
        self.chain.block_at(slot).await
    }
}
