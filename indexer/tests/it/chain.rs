//! Blocks made by hand: what a chain with the rebate program would produce.

use rebate_client::{
    Pubkey,
    address::{Addresses, PROGRAM, event_authority},
    block::{Block, InnerInstruction, Transaction},
    event::{
        AssetEntry, BalanceExpired, Claimed, EffectEntry, Event, LimitsEntry, OffsetEntry, OracleKeyRegistered,
        OutcomeEntry, PauseChanged, PaymentRecorded, PlatformCreated, PredicateEntry, Redeemed, RefundRecorded,
        RuleDefinition, RulePublished, TAG,
    },
};
use rebate_core::{
    balance::{Balance, Balances},
    outcome::Reason,
    refund::{Grant, RefundedOrder, Reversal},
    rule::{Field, GroupMode, Operator},
    units::{Amount, AssetId, RuleId, RuleVersion, Timestamp},
    window::{Scope, Window},
};
use rebate_indexer::source::BlockRef;
use solana_program::hash::{Hash, hash};
use solana_signature::Signature;
use std::collections::HashMap;

/// 2025-06-01, a Sunday.
const BEGIN: i64 = 1_748_736_000;

/// The rule that grants and the one that never does.
pub const GRANTING: u16 = 1;
pub const IDLE: u16 = 2;

/// What `GRANTING` grants each time.
pub const GRANT: u64 = 1_000;

/// A chain as far as it was made.
#[derive(Clone)]
pub struct Chain {
    pub blocks: Vec<Block>,
    /// Blocks of another fork have other hashes, also where all else is the same.
    pub fork: Vec<u8>,
    pending: Vec<Transaction>,
    slot: u64,
    signatures: u64,
    platforms: HashMap<[u8; 32], Platform>,
}

#[derive(Clone, Default)]
struct Platform {
    events: u64,
    payments: HashMap<[u8; 32], u64>,
    balances: HashMap<[u8; 32], Balances>,
    orders: HashMap<[u8; 32], (RefundedOrder, Vec<Grant>)>,
}

impl Platform {
    fn balance(&mut self, user: [u8; 32], asset: u8) -> &mut Balance {
        &mut self.balances.entry(user).or_default()[usize::from(asset) - 1]
    }
}

pub fn key(number: u64) -> [u8; 32] {
    hash(&number.to_le_bytes()).to_bytes()
}

/// The transaction that emits these bytes as the program does.
fn emitting(signature: u64, failed: bool, events: &[Vec<u8>]) -> Transaction {
    let mut first = [0; 64];
    first[..32].copy_from_slice(&key(signature));
    first[32..].copy_from_slice(&key(!signature));
    Transaction {
        signature: Signature::from(first),
        position: None,
        failed,
        accounts: vec![Pubkey::new_from_array(key(7)), PROGRAM, event_authority()],
        inner: events
            .iter()
            .map(|bytes| InnerInstruction {
                program: 1,
                accounts: vec![2],
                data: [TAG.as_slice(), bytes.as_slice()].concat(),
            })
            .collect(),
    }
}

impl Chain {
    /// A chain with its first block, which is empty.
    pub fn new() -> Self {
        Self::named("a chain")
    }

    /// Chains of other names have other hashes.
    pub fn named(name: &str) -> Self {
        let genesis = Block {
            slot: 0,
            hash: hash(name.as_bytes()),
            parent_slot: 0,
            parent_hash: Hash::default(),
            time: Some(BEGIN),
            transactions: Vec::new(),
        };
        Self {
            blocks: vec![genesis],
            fork: Vec::new(),
            pending: Vec::new(),
            slot: 0,
            signatures: 0,
            platforms: HashMap::new(),
        }
    }

    /// A chain with one platform, an oracle key and two rules, in three blocks.
    pub fn with_platform() -> (Self, [u8; 32]) {
        let mut chain = Self::new();
        let platform = chain.create_platform(1);
        chain.seal();
        chain.register_oracle(platform);
        chain.publish(platform, GRANTING, 1, 0);
        chain.publish(platform, IDLE, 1, 0);
        chain.seal();
        (chain, platform)
    }

    /// Its first blocks, to be read only.
    pub fn up_to(&self, blocks: usize) -> Self {
        let mut chain = Self::new();
        chain.blocks = self.blocks[..blocks].to_vec();
        chain
    }

    pub fn genesis_hash(&self) -> Hash {
        self.blocks[0].hash
    }

    pub fn tip(&self) -> BlockRef {
        BlockRef::of(self.blocks.last().unwrap())
    }

    pub fn now(&self) -> i64 {
        BEGIN + i64::try_from(self.slot).unwrap() * 400 / 1000
    }

    /// Lets slots pass without a block.
    pub fn skip(&mut self, slots: u64) {
        self.slot += slots;
    }

    /// Hands over its blocks but the last, and forgets which payments could be refunded: a long chain then takes little
    /// memory.
    pub fn take_blocks(&mut self) -> Vec<Block> {
        for platform in self.platforms.values_mut() {
            platform.orders.clear();
        }
        let last = self.blocks.len() - 1;
        self.blocks.drain(..last).collect()
    }

    /// Ends the block.
    pub fn seal(&mut self) -> &Block {
        let parent = self.tip();
        self.slot += 1;
        let seed = [parent.hash.as_ref(), &self.slot.to_le_bytes(), &self.fork].concat();
        self.blocks.push(Block {
            slot: self.slot,
            hash: hash(&seed),
            parent_slot: parent.slot,
            parent_hash: parent.hash,
            time: Some(self.now()),
            transactions: std::mem::take(&mut self.pending),
        });
        self.blocks.last().unwrap()
    }

    /// A transaction with these bytes as events.
    pub fn emit_bytes(&mut self, failed: bool, events: &[Vec<u8>]) {
        self.signatures += 1;
        self.pending.push(emitting(self.signatures, failed, events));
    }

    /// A transaction with these events.
    pub fn emit(&mut self, events: &[Event]) {
        let bytes: Vec<_> = events.iter().map(|event| event.encode().unwrap()).collect();
        self.emit_bytes(false, &bytes);
    }

    /// The position of the platform's next event in its journal, which is thereby taken.
    pub fn take_index(&mut self, platform: [u8; 32]) -> u64 {
        let platform = self.platforms.entry(platform).or_default();
        platform.events += 1;
        platform.events - 1
    }

    pub fn create_platform(&mut self, id: u64) -> [u8; 32] {
        let platform = Addresses::of(id).platform.to_bytes();
        let event = self.platform_created(id, platform);
        self.emit(&[Event::PlatformCreated(event)]);
        platform
    }

    pub fn platform_created(&mut self, id: u64, platform: [u8; 32]) -> PlatformCreated {
        let mut name = [0; 16];
        name[..5].copy_from_slice(b"coins");
        PlatformCreated {
            journal_index: self.take_index(platform),
            at: self.now(),
            platform,
            id,
            admin: key(1),
            pauser: key(2),
            max_lateness: 604_800,
            timelock: 60,
            order_shards: 1,
            page_slots: 256,
            offsets: vec![OffsetEntry { from: 0, seconds: 28_800 }],
            assets: vec![AssetEntry { name, kind: 1, expiry_months: 0, mint: [0; 32] }],
        }
    }

    pub fn register_oracle(&mut self, platform: [u8; 32]) {
        let event = OracleKeyRegistered {
            journal_index: self.take_index(platform),
            at: self.now(),
            platform,
            key: key(3),
            valid_from: 0,
            valid_until: i64::MAX,
        };
        self.emit(&[Event::OracleKeyRegistered(event)]);
    }

    pub fn pause(&mut self, platform: [u8; 32], paused: bool) {
        let event =
            PauseChanged { journal_index: self.take_index(platform), at: self.now(), platform, paused, by: key(2) };
        self.emit(&[Event::PauseChanged(event)]);
    }

    /// What a platform's people, or anybody, decided: the event that `make` makes of its index and the chain's clock.
    pub fn decide(&mut self, platform: [u8; 32], make: impl FnOnce(u64, i64) -> Event) {
        let event = make(self.take_index(platform), self.now());
        self.emit(&[event]);
    }

    pub fn publish(&mut self, platform: [u8; 32], id: u16, version: u16, effective_at: i64) {
        self.publish_for(platform, id, version, effective_at, 1);
    }

    /// A rule that grants `asset`.
    pub fn publish_for(&mut self, platform: [u8; 32], id: u16, version: u16, effective_at: i64, asset: u8) {
        let condition = vec![PredicateEntry {
            clause: 0,
            negated: false,
            field: Field::Amount as u8,
            operator: Operator::Ge as u8,
            value: u64::MAX,
        }];
        let rule = RuleDefinition {
            id,
            version,
            name: format!("rule {id}"),
            priority: id,
            starts_at: 0,
            ends_at: 0,
            group: 0,
            group_mode: GroupMode::Stackable as u8,
            tags: 0,
            excludes: 0,
            condition: if id == IDLE { condition } else { Vec::new() },
            window: Window::Lifetime as u8,
            scope: Scope::User as u8,
            effect: EffectEntry::Fixed { asset, amount: GRANT },
            limits: LimitsEntry::none(),
            holdout_bps: 0,
        };
        let event =
            RulePublished { journal_index: self.take_index(platform), at: self.now(), platform, effective_at, rule };
        self.emit(&[Event::RulePublished(event)]);
    }

    /// The event of a payment with two outcomes, one of them a grant.
    pub fn payment(&mut self, platform: [u8; 32], user: u64, amount: u64) -> PaymentRecorded {
        self.payment_under(platform, user, amount, &[(GRANTING, 1, 1)])
    }

    /// The same, where each of `granting` grants: rule, version, asset.
    pub fn payment_under(
        &mut self,
        platform: [u8; 32],
        user: u64,
        amount: u64,
        granting: &[(u16, u16, u8)],
    ) -> PaymentRecorded {
        let (journal_index, at, user) = (self.take_index(platform), self.now(), key(user));
        let state = self.platforms.entry(platform).or_default();
        let number = state.payments.entry(user).or_default();
        *number += 1;
        let number = *number;
        let (mut outcomes, mut grants) = (Vec::new(), Vec::new());
        for (rule, version, asset) in granting.iter().copied() {
            let balance = state.balance(user, asset);
            let before = balance.total().0;
            balance.credit(Amount(GRANT)).unwrap();
            let after = balance.total().0;
            let reason = Reason::Granted as u8;
            outcomes.push(OutcomeEntry { rule, version, reason, clause: 0, asset, amount: GRANT, before, after });
            grants.push(Grant::new(RuleId(rule), RuleVersion(version), AssetId(asset), Amount(GRANT)));
        }
        let balance = state.balance(user, 1).total().0;
        outcomes.push(OutcomeEntry {
            rule: IDLE,
            version: 1,
            reason: Reason::NotMatched as u8,
            clause: 0,
            asset: 1,
            amount: 0,
            before: balance,
            after: balance,
        });
        let order = key(u64::MAX - journal_index);
        let paid = RefundedOrder { paid: Amount(amount), paid_at: Timestamp(at - 60), refunded: Amount(0) };
        state.orders.insert(order, (paid, grants));
        PaymentRecorded {
            journal_index,
            at,
            platform,
            oracle: key(3),
            order,
            user,
            amount,
            paid_at: at - 60,
            product: 3,
            streamer: u64::MAX,
            session: 0,
            tier: 255,
            segments: u32::MAX,
            number,
            outcomes,
        }
    }

    /// The event of a refund of `amount` of a payment.
    pub fn refund(&mut self, payment: &PaymentRecorded, amount: u64) -> RefundRecorded {
        let PaymentRecorded { platform, user, order: of, .. } = *payment;
        let (journal_index, at) = (self.take_index(platform), self.now());
        let state = self.platforms.entry(platform).or_default();
        let (order, grants) = state.orders.get_mut(&of).unwrap();
        let balances = state.balances.entry(user).or_default();
        let mut reversal = Reversal::default();
        reversal.decide(Amount(amount), order, grants, balances).unwrap();
        for outcome in reversal.outcomes() {
            grants[outcome.slot].reversed.0 += outcome.amount.0;
        }
        order.refunded = reversal.refunded();
        *balances = *reversal.balances();
        let outcomes = reversal.outcomes().iter().map(|outcome| OutcomeEntry {
            rule: outcome.rule.0,
            version: outcome.version.0,
            reason: outcome.reason as u8,
            clause: outcome.clause,
            asset: outcome.asset.0,
            amount: outcome.amount.0,
            before: outcome.before.0,
            after: outcome.after.0,
        });
        RefundRecorded {
            journal_index,
            at,
            platform,
            oracle: key(3),
            order: key(u64::MAX - journal_index),
            of,
            user,
            amount,
            paid_at: at - 30,
            refunded: order.refunded.0,
            outcomes: outcomes.collect(),
        }
    }

    /// Takes `amount` from a balance, and says what it was and is.
    fn debit(&mut self, platform: [u8; 32], user: u64, asset: u8, amount: u64) -> (u64, u64) {
        let balance = self.platforms.entry(platform).or_default().balance(key(user), asset);
        let before = balance.total().0;
        assert_eq!(balance.debit(Amount(amount)).0, amount);
        (before, balance.total().0)
    }

    pub fn redemption(&mut self, platform: [u8; 32], user: u64, asset: u8, amount: u64) -> Redeemed {
        let (before, after) = self.debit(platform, user, asset, amount);
        let (journal_index, at) = (self.take_index(platform), self.now());
        let (order, redeemed_at) = (key(u64::MAX - journal_index), at - 10);
        let (oracle, user) = (key(3), key(user));
        Redeemed { journal_index, at, platform, oracle, order, user, asset, amount, redeemed_at, before, after }
    }

    pub fn expiry(&mut self, platform: [u8; 32], user: u64, asset: u8, amount: u64) -> BalanceExpired {
        let (before, after) = self.debit(platform, user, asset, amount);
        let (journal_index, at, user) = (self.take_index(platform), self.now(), key(user));
        BalanceExpired { journal_index, at, platform, user, asset, amount, before, after }
    }

    /// A claim by the user's wallet `wallet`.
    pub fn claim(&mut self, platform: [u8; 32], user: u64, asset: u8, amount: u64, wallet: [u8; 32]) -> Claimed {
        let (before, after) = self.debit(platform, user, asset, amount);
        let (journal_index, at, user) = (self.take_index(platform), self.now(), key(user));
        let destination = key(77);
        Claimed { journal_index, at, platform, user, wallet, asset, amount, before, after, destination }
    }

    /// A transaction with one payment.
    pub fn pay(&mut self, platform: [u8; 32], user: u64, amount: u64) {
        let event = self.payment(platform, user, amount);
        self.emit(&[Event::PaymentRecorded(event)]);
    }
}
