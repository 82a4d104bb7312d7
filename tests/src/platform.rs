//! A platform on a chain inside the process, for tests that read like prose.

#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

use crate::artifacts;
use rebate_client::{
    account::{Journal, RuleBook, User},
    address::Addresses,
    block::Emitted,
    chain::{
        SubmitError,
        embedded::{EmbeddedChain, Executed},
    },
    event::Event,
    event::{AssetEntry, EffectEntry, OffsetEntry, PaymentRecorded, PredicateEntry, RuleDefinition},
    instruction::{self, PlatformSettings},
    oracle::{self, SignedMessage},
    platform_id,
};
use rebate_core::{
    payment::Payment,
    rule::{Field, Operator, Predicate, Rule},
    units::{Amount, OrderHash, Timestamp, UserKey},
};
use solana_keypair::Keypair;
use solana_program::{instruction::Instruction, pubkey::Pubkey};
use solana_signer::Signer;

/// The chain's clock in tests: Saturday, 2026-10-03, 12:00 in Shanghai.
pub const NOON: i64 = 1_791_000_000;

/// A platform with one asset (`coins`), UTC+8, a week of lateness, and one oracle key.
pub struct TestPlatform {
    /// The chain it is on; its clock stands at [`NOON`].
    pub chain: EmbeddedChain,
    /// Pays for everything.
    pub payer: Keypair,
    /// Its admin.
    pub admin: Keypair,
    /// Its pauser.
    pub pauser: Keypair,
    /// Its oracle.
    pub oracle: Keypair,
    /// Its addresses.
    pub addresses: Addresses,
}

/// Settings of a platform with one asset (`coins`), UTC+8 and a week of lateness.
pub fn settings(id: u64, admin: &Pubkey, pauser: &Pubkey) -> PlatformSettings {
    let mut name = [0; 16];
    name[..5].copy_from_slice(b"coins");
    PlatformSettings {
        id,
        admin: admin.to_bytes(),
        pauser: pauser.to_bytes(),
        max_lateness: 7 * 86_400,
        timelock: 3_600,
        order_shards: 1,
        offsets: vec![OffsetEntry { from: 0, seconds: 8 * 3_600 }],
        assets: vec![AssetEntry { name, kind: 1 }],
    }
}

/// `payment_number == 1`: 20 % of it in asset 1.
pub fn first_recharge() -> RuleDefinition {
    RuleDefinition {
        id: 1,
        version: 1,
        name: "first recharge 20%".to_owned(),
        priority: 10,
        starts_at: 0,
        ends_at: 0,
        condition: vec![Predicate::new(0, false, Field::PaymentNumber, Operator::Eq, 1).into()],
        effect: EffectEntry::Ratio { asset: 1, bps: 2_000, min: 0, max: 100_000 },
    }
}

/// `weekday in [6, 7]`: ten yuan in asset 1.
pub fn weekend_bonus() -> RuleDefinition {
    RuleDefinition {
        id: 2,
        version: 1,
        name: "weekend bonus".to_owned(),
        priority: 20,
        starts_at: 0,
        ends_at: 0,
        condition: vec![Predicate::new(0, false, Field::Weekday, Operator::Any, 1 << 6 | 1 << 7).into()],
        effect: EffectEntry::Fixed { asset: 1, amount: 1_000 },
    }
}

/// A payment by `user` of `amount` at [`NOON`].
pub fn payment(order: &str, user: &str, amount: u64) -> Payment {
    Payment {
        order: OrderHash::of(order),
        user: platform_id::unkeyed_user(user),
        amount: Amount(amount),
        paid_at: Timestamp(NOON),
        ..Payment::default()
    }
}

impl TestPlatform {
    /// A new chain with the built program and platform 1 on it, without rules.
    pub fn start() -> Self {
        let chain = EmbeddedChain::start(&artifacts::program()).expect("the built program");
        chain.set_clock(Some(NOON));
        let (payer, admin, pauser, oracle) = (Keypair::new(), Keypair::new(), Keypair::new(), Keypair::new());
        let platform = Self { addresses: Addresses::of(1), chain, payer, admin, pauser, oracle };
        for key in [&platform.payer, &platform.admin, &platform.pauser] {
            platform.fund(&key.pubkey());
        }
        let create = instruction::create_platform(
            &platform.payer.pubkey(),
            &settings(1, &platform.admin.pubkey(), &platform.pauser.pubkey()),
        );
        platform.run(&[create], &[&platform.payer]).expect("a platform");
        let register = instruction::register_oracle_key(
            &platform.admin.pubkey(),
            &platform.addresses,
            &platform.oracle.pubkey(),
            Timestamp(0),
            Timestamp(0),
        );
        platform.run(&[register], &[&platform.admin]).expect("an oracle key");
        platform
    }

    /// The same with [`first_recharge`] and [`weekend_bonus`] in force since ever.
    pub fn with_sample_rules() -> Self {
        let platform = Self::start();
        for rule in [first_recharge(), weekend_bonus()] {
            platform.publish(&rule, 0).expect("a rule");
        }
        platform
    }

    /// Gives somebody lamports.
    pub fn fund(&self, address: &Pubkey) {
        let transfer = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        transfer
            .block_on(rebate_client::chain::Submit::airdrop(&self.chain, address, 100_000_000_000))
            .expect("an airdrop");
    }

    /// Runs instructions as one transaction.
    pub fn run(&self, instructions: &[Instruction], signers: &[&Keypair]) -> Result<Executed, SubmitError> {
        self.chain.execute(instructions, signers)
    }

    /// Publishes a rule version as the admin.
    pub fn publish(&self, rule: &RuleDefinition, effective_at: i64) -> Result<Executed, SubmitError> {
        let publish = instruction::publish_rule(&self.admin.pubkey(), &self.addresses, rule, Timestamp(effective_at));
        self.run(&[publish], &[&self.admin])
    }

    /// Opens the accounts of a payment's user and order page, where they are not open yet.
    pub fn open_for(&self, payment: &Payment) {
        let payer = self.payer.pubkey();
        let (day, shard) = Addresses::page_of(payment, 1);
        if self.data(&self.addresses.user(&payment.user)).is_none() {
            let open = instruction::open_user(&payer, &self.addresses, &payment.user);
            self.run(&[open], &[&self.payer]).expect("a user");
        }
        if self.data(&self.addresses.order_page(day, shard)).is_none() {
            let open = instruction::open_order_page(&payer, &self.addresses, day, shard, 64);
            self.run(&[open], &[&self.payer]).expect("an order page");
        }
    }

    /// The oracle's signature over payments.
    pub fn sign(&self, payments: &[Payment]) -> SignedMessage {
        oracle::sign(&self.oracle, &self.addresses.platform, payments).expect("a message")
    }

    /// Opens what is missing, signs as the oracle, and records the payments.
    pub fn pay(&self, payments: &[Payment]) -> Result<Executed, SubmitError> {
        payments.iter().for_each(|payment| self.open_for(payment));
        self.submit(payments, &self.sign(payments))
    }

    /// Records payments with a message that is already signed.
    pub fn submit(&self, payments: &[Payment], signed: &SignedMessage) -> Result<Executed, SubmitError> {
        self.run(&instruction::record_payments(&self.addresses, 1, payments, signed), &[&self.payer])
    }

    /// An account's data.
    pub fn data(&self, address: &Pubkey) -> Option<Vec<u8>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let account = runtime.block_on(rebate_client::chain::ReadAccounts::account(&self.chain, address));
        account.expect("the embedded chain always answers").map(|account| account.data)
    }

    /// A user's account.
    pub fn user(&self, user: &str) -> User {
        self.user_of(&platform_id::unkeyed_user(user))
    }

    /// A user's account, by key.
    pub fn user_of(&self, key: &UserKey) -> User {
        User::decode(&self.data(&self.addresses.user(key)).expect("a user")).expect("a user's account")
    }

    /// The balance of asset 1.
    pub fn balance(&self, user: &str) -> u64 {
        self.user(user).balances[0].0
    }

    /// The journal.
    pub fn journal(&self) -> Journal {
        Journal::decode(&self.data(&self.addresses.journal).expect("a journal")).expect("a journal's account")
    }

    /// The rule book's header and rules.
    pub fn rule_book(&self) -> (RuleBook, Vec<Rule>) {
        let data = self.data(&self.addresses.rule_book).expect("a rule book");
        RuleBook::decode_with_rules(&data).expect("a rule book's account")
    }

    /// Every event so far, in order.
    pub fn events(&self) -> Vec<Emitted> {
        (0..=self.chain.tip())
            .filter_map(|slot| self.chain.block(slot))
            .flat_map(|block| block.transactions)
            .flat_map(|transaction| transaction.events().expect("known events"))
            .collect()
    }

    /// Every recorded payment so far, in order.
    pub fn recorded(&self) -> Vec<PaymentRecorded> {
        self.events()
            .into_iter()
            .filter_map(|emitted| match emitted.event {
                Event::PaymentRecorded(recorded) => Some(recorded),
                _ => None,
            })
            .collect()
    }
}

/// The name of the program's error a submission failed with; panics if it did not.
pub fn refusal(result: Result<Executed, SubmitError>) -> &'static str {
    match result {
        Err(SubmitError::Refused { error, .. }) => error.name(),
        other => panic!("the program should have refused this: {other:?}"),
    }
}

/// A predicate of a rule definition.
pub fn when(clause: u8, field: Field, operator: Operator, value: u64) -> PredicateEntry {
    Predicate::new(clause, false, field, operator, value).into()
}
