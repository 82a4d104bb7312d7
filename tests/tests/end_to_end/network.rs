//! A validator with a platform on it.

use rebate_cli::cast::Cast;
use rebate_client::{
    account::{Journal, UserState},
    address::{Addresses, PROGRAM},
    chain::{Commitment, ReadAccounts, rpc::RpcChain},
    oracle::{self, SignedMessage},
    recorder::Recorder,
};
use rebate_core::{
    payment::Payment,
    units::{Amount, OrderHash, Timestamp, UserKey},
};
use rebate_local::validator::LocalValidator;
use rebate_rulefile::RuleFile;
use rebate_tests::artifacts;
use solana_keypair::Keypair;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Every payment grants something, so that nothing depends on the day.
const RULES: &str = r#"
[platform]
utc_offsets = [{ from = 0, offset = "+08:00" }]
max_lateness = "7d"

[[asset]]
id = 1
name = "coins"
kind = "points"

[[rule]]
id = 1
name = "first recharge 20%"
priority = 10
when = ["payment_number == 1"]
effect = { kind = "ratio", asset = 1, bps = 2000, max = 100000 }

[[rule]]
id = 2
name = "one percent"
priority = 20
when = []
effect = { kind = "ratio", asset = 1, bps = 100 }
"#;

/// How many events there are before the first payment: the platform, its oracle's key, two rules.
pub const EVENTS_BEFORE: u64 = 4;

/// A validator of the test's own with a platform on it.
pub struct Network {
    pub chain: RpcChain,
    pub cast: Cast,
    pub addresses: Addresses,
    /// The chain's clock when it began.
    pub began: Timestamp,
    url: String,
    // In this order: the folder goes after the process that writes into it.
    validator: Arc<Mutex<LocalValidator>>,
    _folder: TempDir,
}

impl Network {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (dir, program) = (folder.path().to_owned(), artifacts::program());
        let start = move || LocalValidator::start(&dir, &PROGRAM.to_string(), &program);
        let validator =
            tokio::task::spawn_blocking(start).await.unwrap().unwrap_or_else(|error| panic!("no validator: {error}"));
        let url = validator.rpc_url();
        let chain = RpcChain::new(&url, Commitment::Confirmed);
        let cast = Cast::new();
        let rules = RuleFile::parse("the test's rules", RULES).unwrap();
        let addresses = cast.publish(&chain, &rules).await.unwrap_or_else(|error| panic!("no platform: {error}"));
        let began = Timestamp(chain.now().await.unwrap());
        Self { chain, cast, addresses, began, url, validator: Arc::new(Mutex::new(validator)), _folder: folder }
    }

    /// The address of its JSON-RPC.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Kills the validator and starts it again.
    pub async fn restart_validator(&self) {
        let validator = Arc::clone(&self.validator);
        let restart = move || validator.lock().unwrap().restart();
        tokio::task::spawn_blocking(restart).await.unwrap().unwrap_or_else(|error| panic!("no validator: {error}"));
    }

    /// A payment made when the test began.
    pub fn payment(&self, order: &str, user: &str, amount: u64) -> Payment {
        Payment {
            order: OrderHash::of(order),
            user: self.cast.user(user),
            amount: Amount(amount),
            paid_at: self.began,
            product: 1,
            ..Payment::default()
        }
    }

    pub fn sign(&self, payments: &[Payment]) -> SignedMessage {
        oracle::sign(&self.cast.oracle, &self.addresses.platform, payments).unwrap()
    }

    /// Submits what `payer` pays the fees of.
    pub async fn recorder<'a>(&'a self, payer: &'a Keypair) -> Recorder<'a> {
        Recorder::new(&self.chain, self.addresses.platform, payer).await.unwrap()
    }

    /// The platform's journal, as the chain has it.
    pub async fn journal(&self) -> Journal {
        let account = self.chain.account(&self.addresses.journal).await.unwrap().expect("a journal");
        Journal::decode(&account.data).unwrap()
    }

    /// A user's balance of asset 1, as the chain has it.
    pub async fn balance(&self, user: &UserKey) -> u64 {
        let account = self.chain.account(&self.addresses.user(user)).await.unwrap().expect("a user's account");
        UserState::decode(&account.data).unwrap().balances[0].total().0
    }
}
