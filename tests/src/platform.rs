//! A platform on a chain inside the process, for tests that read like prose.

#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

use crate::artifacts;
use rebate_client::{
    account::{Journal, Platform, RuleBook, UserState},
    address::Addresses,
    block::Emitted,
    chain::{
        SubmitError,
        embedded::{EmbeddedChain, Executed},
    },
    event::{
        AssetEntry, EffectEntry, Event, LimitsEntry, OffsetEntry, PaymentRecorded, PredicateEntry, RuleDefinition,
    },
    instruction::{self, PlatformSettings, RecordAccounts},
    oracle::{self, SignedMessage},
    platform_id,
    proof::{self, JournalTree},
    recorder::Recorder,
};
use rebate_core::{
    message::Record,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    rule::{Field, GroupMode, Operator, Predicate, Rule},
    units::{Amount, JournalIndex, OrderHash, Timestamp, UserKey},
    wallet::WalletLink,
    window::{Scope, Window},
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
    /// The slot it was created after: nothing of it is in a block before.
    pub since: u64,
}

/// Settings of a platform with one asset (`coins`), UTC+8 and a week of lateness; its pages may be of 8 slots.
pub fn settings(id: u64, admin: &Pubkey, pauser: &Pubkey) -> PlatformSettings {
    PlatformSettings {
        id,
        admin: admin.to_bytes(),
        pauser: pauser.to_bytes(),
        max_lateness: 7 * 86_400,
        timelock: 3_600,
        order_shards: 1,
        page_slots: 8,
        offsets: vec![OffsetEntry { from: 0, seconds: 8 * 3_600 }],
        assets: vec![asset("coins")],
    }
}

/// Points that do not expire.
pub fn asset(name: &str) -> AssetEntry {
    let mut padded = [0; 16];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    AssetEntry { name: padded, kind: 1, expiry_months: 0, mint: [0; 32] }
}

/// The first version of a rule that always grants `effect`, stackable, over a lifetime, without limits.
pub fn always(id: u16, effect: EffectEntry) -> RuleDefinition {
    RuleDefinition {
        id,
        version: 1,
        name: format!("rule {id}"),
        priority: 10,
        starts_at: 0,
        ends_at: 0,
        group: 0,
        group_mode: GroupMode::Stackable as u8,
        tags: 0,
        excludes: 0,
        condition: Vec::new(),
        window: Window::Lifetime as u8,
        scope: Scope::User as u8,
        effect,
        limits: LimitsEntry::none(),
        holdout_bps: 0,
    }
}

/// `payment_number == 1`: 20 % of it in asset 1.
pub fn first_recharge() -> RuleDefinition {
    RuleDefinition {
        name: "first recharge 20%".to_owned(),
        condition: vec![Predicate::new(0, false, Field::PaymentNumber, Operator::Eq, 1).into()],
        ..always(1, EffectEntry::Ratio { asset: 1, bps: 2_000, min: 0, max: 100_000 })
    }
}

/// `weekday in [6, 7]`: ten yuan in asset 1.
pub fn weekend_bonus() -> RuleDefinition {
    RuleDefinition {
        name: "weekend bonus".to_owned(),
        priority: 20,
        condition: vec![Predicate::new(0, false, Field::Weekday, Operator::Any, 1 << 6 | 1 << 7).into()],
        ..always(2, EffectEntry::Fixed { asset: 1, amount: 1_000 })
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
        let platform = Self { addresses: Addresses::of(1), chain, since: 0, payer, admin, pauser, oracle };
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
        self.wait(rebate_client::chain::Submit::airdrop(&self.chain, address, 100_000_000_000)).expect("an airdrop");
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

    /// Waits for what the chain inside the process answers at once.
    pub fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(answer)
    }

    /// Who opens what records need, as things are now.
    pub fn recorder(&self) -> Recorder<'_> {
        self.wait(Recorder::new(&self.chain, self.addresses.platform, &self.payer)).expect("a platform")
    }

    /// Opens the accounts of a payment's user, the counters and the order page it needs, where they are not open yet.
    pub fn open_for(&self, payment: &Payment) {
        self.wait(self.recorder().open_for(&[*payment])).expect("accounts");
    }

    /// The oracle's signature over records of one kind.
    pub fn sign<R: Record>(&self, records: &[R]) -> SignedMessage {
        oracle::sign(&self.oracle, &self.addresses.platform, records).expect("a message")
    }

    /// Opens what is missing, signs as the oracle, and records the payments.
    pub fn pay(&self, payments: &[Payment]) -> Result<Executed, SubmitError> {
        self.wait(self.recorder().open_for(payments)).expect("accounts");
        self.submit(payments, &self.sign(payments))
    }

    /// Records payments with a message that is already signed.
    pub fn submit(&self, payments: &[Payment], signed: &SignedMessage) -> Result<Executed, SubmitError> {
        self.run(&self.record(payments, signed), &[&self.payer])
    }

    /// The instructions that record payments with a message that is already signed.
    pub fn record(&self, payments: &[Payment], signed: &SignedMessage) -> [Instruction; 2] {
        let mut recorder = self.recorder();
        self.wait(recorder.look(payments)).expect("accounts");
        recorder.instructions(payments, signed)
    }

    /// Redeems as the oracle, on pages that are opened where they are missing.
    pub fn redeem(&self, redemption: &Redemption) -> Result<Executed, SubmitError> {
        let mut recorder = self.recorder();
        let open = recorder.open_user_and_page(&redemption.user, &redemption.order, redemption.redeemed_at);
        self.wait(open).expect("accounts");
        let accounts = RecordAccounts {
            user: self.addresses.user(&redemption.user),
            pages: recorder.pages_of(&redemption.order, redemption.redeemed_at),
            refund: None,
            counters: Vec::new(),
        };
        let signed = self.sign(&[*redemption]);
        self.run(&instruction::record_redemptions(&self.addresses, &[accounts], &signed), &[&self.payer])
    }

    /// Links a wallet as the oracle.
    pub fn link(&self, link: &WalletLink) -> Result<Executed, SubmitError> {
        let accounts = RecordAccounts {
            user: self.addresses.user(&link.user),
            pages: Vec::new(),
            refund: None,
            counters: Vec::new(),
        };
        let signed = self.sign(&[*link]);
        self.run(&instruction::link_wallets(&self.addresses, &[accounts], &signed), &[&self.payer])
    }

    /// The journal's events as a tree that knows paths.
    pub fn tree(&self) -> JournalTree {
        let platform = self.addresses.platform.to_bytes();
        let own = self.events().into_iter().filter(|emitted| emitted.event.platform() == platform);
        JournalTree::of(own.map(|emitted| emitted.bytes))
    }

    /// Proves an order that was recorded, unless it was proved before.
    pub fn prove(&self, order: &OrderHash) {
        if self.data(&self.addresses.refund(order)).is_some() {
            return;
        }
        let tree = self.tree();
        let recorded =
            self.recorded().into_iter().find(|recorded| recorded.order == order.0).expect("a recorded order");
        let index = JournalIndex(recorded.journal_index);
        let event = tree.event(index).expect("its event");
        let path = tree.path_to_peak(index).expect("its path");
        for step in proof::transactions(&self.payer.pubkey(), &self.addresses, order, event, &path) {
            self.run(&[step], &[&self.payer]).expect("a step of the proof");
        }
    }

    /// What a refund of the recorded payment `paid` needs.
    pub fn refund_accounts(&self, refund: &Refund, paid: &Payment) -> RecordAccounts {
        let mut recorder = self.recorder();
        self.wait(recorder.open_user_and_page(&paid.user, &refund.order, refund.paid_at)).expect("accounts");
        RecordAccounts {
            user: self.addresses.user(&paid.user),
            pages: recorder.pages_of(&refund.order, refund.paid_at),
            refund: Some(self.addresses.refund(&refund.of)),
            counters: recorder.counters_of_refund(paid),
        }
    }

    /// Proves the order and refunds as the oracle.
    pub fn refund(&self, refund: &Refund, paid: &Payment) -> Result<Executed, SubmitError> {
        self.prove(&refund.of);
        let accounts = self.refund_accounts(refund, paid);
        let signed = self.sign(&[*refund]);
        self.run(&instruction::record_refunds(&self.addresses, &[accounts], &signed), &[&self.payer])
    }

    /// An account's data.
    pub fn data(&self, address: &Pubkey) -> Option<Vec<u8>> {
        let account = self.wait(rebate_client::chain::ReadAccounts::account(&self.chain, address));
        account.expect("the embedded chain always answers").map(|account| account.data)
    }

    /// A user's account.
    pub fn user(&self, user: &str) -> UserState {
        self.user_of(&platform_id::unkeyed_user(user))
    }

    /// A user's account, by key.
    pub fn user_of(&self, key: &UserKey) -> UserState {
        UserState::decode(&self.data(&self.addresses.user(key)).expect("a user")).expect("a user's account")
    }

    /// The balance of asset 1.
    pub fn balance(&self, user: &str) -> u64 {
        self.user(user).balances[0].total().0
    }

    /// The platform's account.
    pub fn platform(&self) -> Platform {
        Platform::decode(&self.data(&self.addresses.platform).expect("a platform")).expect("a platform's account")
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
        self.events_between(self.since, self.chain.tip())
    }

    /// The events of the blocks from `first` to `last`, in order.
    pub fn events_between(&self, first: u64, last: u64) -> Vec<Emitted> {
        (first..=last)
            .filter_map(|slot| self.chain.block(slot))
            .flat_map(|block| block.transactions)
            .flat_map(|transaction| transaction.events().expect("known events"))
            .collect()
    }

    /// The events of this platform alone, of a chain with several, in order.
    pub fn events_of(&self) -> Vec<Event> {
        let platform = self.addresses.platform.to_bytes();
        self.events().into_iter().map(|emitted| emitted.event).filter(|event| event.platform() == platform).collect()
    }

    /// Every recorded payment so far, in order.
    pub fn recorded(&self) -> Vec<PaymentRecorded> {
        self.events_of()
            .into_iter()
            .filter_map(|event| match event {
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
