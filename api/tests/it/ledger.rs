//! A platform that lives by its events: the indexer writes them, and the accounts that a node would show are kept
//! beside.

use crate::chain::{Chain, GENESIS};
use rebate_client::{
    Pubkey,
    account::{self, Journal, Platform, RuleBook, User, discriminator},
    address::{Addresses, PROGRAM, event_authority},
    block::{Block, InnerInstruction, Transaction},
    chain::{AccountAt, Commitment},
    event::{
        AssetAdded, AssetEntry, BalanceExpired, Claimed, Deposited, EffectEntry, Event, LimitsEntry, OffsetEntry,
        OutcomeEntry, PauseChanged, PaymentRecorded, PlatformCreated, PredicateEntry, Redeemed, RefundRecorded,
        RuleDefinition, RulePublished, TAG, VaultOpened, WalletLinked,
    },
    platform_id::unkeyed_user,
};
use rebate_core::{
    balance::{Balance, Balances},
    journal,
    outcome::Reason,
    refund::{Grant, RefundedOrder, Reversal},
    rule::{Field, GroupMode, Operator, Predicate, Rule},
    units::{Amount, AssetId, OrderHash, RuleId, RuleVersion, Timestamp, UserKey},
    window::{Scope, Window},
};
use rebate_indexer::{source::BlockRef, stretch::Stretch, write::Writer};
use solana_program::hash::Hash;
use solana_signature::Signature;
use sqlx::PgPool;
use std::collections::{BTreeMap, HashMap};

/// The platform that tests are about.
pub const PLATFORM: [u8; 32] = [1; 32];

/// Saturday, 2026-10-03, 04:00 UTC.
pub const NOON: i64 = 1_791_000_000;

/// A user's key in a path.
pub fn user(id: &str) -> String {
    unkeyed_user(id).to_string()
}

/// An order's hash in a path.
pub fn order(number: &str) -> String {
    OrderHash::of(number).to_string()
}

/// What a rule did, and what of.
#[derive(Clone, Copy)]
pub struct Did {
    pub rule: u16,
    pub version: u16,
    pub reason: Reason,
    pub clause: u8,
    pub asset: u8,
    pub amount: u64,
}

impl Did {
    pub fn granted(rule: u16, amount: u64) -> Self {
        Self { rule, version: 1, reason: Reason::Granted, clause: 0, asset: 1, amount }
    }

    pub fn not_matched(rule: u16, clause: u8) -> Self {
        Self { reason: Reason::NotMatched, clause, ..Self::granted(rule, 0) }
    }
}

/// When a payment was paid, and what for.
#[derive(Clone, Copy)]
pub struct Bought {
    pub at: i64,
    pub product: u16,
    pub streamer: u64,
    pub tier: u8,
    pub segments: u32,
}

/// An asset's entry.
pub fn asset(name: &str, kind: u8) -> AssetEntry {
    let mut padded = [0; 16];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    let mint = if kind == 2 { [5; 32] } else { [0; 32] };
    AssetEntry { name: padded, kind, expiry_months: 0, mint }
}

/// A rule without condition and limits that grants `amount`.
pub fn fixed(id: u16, version: u16, name: &str, asset: u8, amount: u64) -> RuleDefinition {
    RuleDefinition {
        id,
        version,
        name: name.to_owned(),
        priority: id * 10,
        starts_at: 0,
        ends_at: 0,
        group: 0,
        group_mode: GroupMode::Stackable as u8,
        tags: 0,
        excludes: 0,
        condition: Vec::new(),
        window: Window::Lifetime as u8,
        scope: Scope::User as u8,
        effect: EffectEntry::Fixed { asset, amount },
        limits: LimitsEntry::none(),
        holdout_bps: 0,
    }
}

/// What the account of a user holds.
#[derive(Default)]
struct Account {
    payments: u64,
    wallet: [u8; 32],
    balances: Balances,
}

/// A platform, and what its accounts hold.
pub struct Ledger {
    pool: PgPool,
    writer: Writer,
    pub journal: Journal,
    pub slot: i64,
    /// The Platform account, as far as anybody compares it.
    pub account: Platform,
    /// The rule book.
    pub rules: Vec<Rule>,
    users: BTreeMap<[u8; 32], Account>,
    orders: HashMap<[u8; 32], ([u8; 32], RefundedOrder, Vec<Grant>)>,
}

impl Ledger {
    /// A platform with assets `coins` and `stars` and an oracle key, and a cursor at slot 100.
    pub async fn new(pool: &PgPool) -> Self {
        Self::of(pool, PLATFORM, 1).await
    }

    /// A platform at `platform`.
    pub async fn of(pool: &PgPool, platform: [u8; 32], id: u64) -> Self {
        let mut journal: Journal = bytemuck::Zeroable::zeroed();
        journal.platform = platform;
        journal.version = account::VERSION;
        let mut account: Platform = bytemuck::Zeroable::zeroed();
        account.version = account::VERSION;
        account.asset_count = 2;
        let mut ledger = Self {
            pool: pool.clone(),
            writer: Writer::new(pool.clone(), Hash::new_from_array(GENESIS), Commitment::Finalized),
            journal,
            slot: 100,
            account,
            rules: Vec::new(),
            users: BTreeMap::new(),
            orders: HashMap::new(),
        };
        ledger
            .decide(|journal_index, at, platform| {
                Event::PlatformCreated(PlatformCreated {
                    journal_index,
                    at,
                    platform,
                    id,
                    admin: [3; 32],
                    pauser: [3; 32],
                    max_lateness: 604_800,
                    timelock: 0,
                    order_shards: 4,
                    page_slots: 256,
                    offsets: vec![OffsetEntry { from: 0, seconds: 28_800 }],
                    assets: vec![asset("coins", 1), asset("stars", 1)],
                })
            })
            .await;
        // As if with the platform, so that tests can count events without it.
        sqlx::query("INSERT INTO oracle_keys VALUES ($1, $2, 0, $3)")
            .bind(platform)
            .bind([4u8; 32])
            .bind(NOON)
            .execute(pool)
            .await
            .unwrap();
        ledger
    }

    /// Says that the indexer has read up to `slot`, just now.
    pub async fn move_cursor(&mut self, slot: i64) {
        self.slot = slot;
        self.cursor(slot).await;
    }

    async fn cursor(&self, slot: i64) {
        sqlx::query(
            "UPDATE cursor SET slot = $1, blockhash = $2, block_time = now(), written_at = now(), final_slot = $1,
                               final_hash = $2",
        )
        .bind(slot)
        .bind(blockhash(slot).to_bytes())
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Shows the platform's accounts on `chain` as of the ledger's slot.
    pub fn show(&self, chain: &Chain) {
        let slot = u64::try_from(self.slot).unwrap();
        chain.hold_journal(slot, &self.journal);
        let addresses = Addresses::at(Pubkey::new_from_array(self.journal.platform));
        let hold = |address, name: &str, parts: &[&[u8]]| {
            let data = [&discriminator(name), parts.concat().as_slice()].concat();
            chain.hold(address, AccountAt { slot, owner: PROGRAM, lamports: 1, data });
        };
        hold(addresses.platform, "Platform", &[bytemuck::bytes_of(&self.account)]);
        let mut book: RuleBook = bytemuck::Zeroable::zeroed();
        book.version = account::VERSION;
        let count = u64::try_from(self.rules.len()).unwrap().to_le_bytes();
        hold(addresses.rule_book, "RuleBook", &[bytemuck::bytes_of(&book), &count, bytemuck::cast_slice(&self.rules)]);
        for (key, state) in &self.users {
            let mut user: User = bytemuck::Zeroable::zeroed();
            user.version = account::VERSION;
            user.payments = state.payments;
            user.wallet = state.wallet;
            user.balance_slots = 8;
            let parts: [&[u8]; 2] = [bytemuck::bytes_of(&user), bytemuck::bytes_of(&state.balances)];
            hold(addresses.user(&UserKey(*key)), "User", &parts);
        }
    }

    /// The signature of the transaction with event `index`.
    pub fn signature(index: u64) -> [u8; 64] {
        let half = journal::leaf(&index.to_le_bytes());
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&half);
        signature[32..].copy_from_slice(&half);
        signature
    }

    /// Appends the event that `make` makes of its index, the chain's clock and the platform, and writes it.
    pub async fn decide(&mut self, make: impl FnOnce(u64, i64, [u8; 32]) -> Event) -> i64 {
        let event = make(self.journal.count, NOON, self.journal.platform);
        self.append(&event).await
    }

    /// Appends `event` to the journal, and writes it.
    pub async fn append(&mut self, event: &Event) -> i64 {
        let index = self.append_only(event);
        self.write(event).await;
        index
    }

    /// Appends `event` to the journal; the indexer has not seen it.
    pub fn append_only(&mut self, event: &Event) -> i64 {
        let bytes = event.encode().unwrap();
        let Journal { count, peaks, .. } = &mut self.journal;
        let index = journal::append(count, peaks, journal::leaf(&bytes)).unwrap();
        i64::try_from(index.0).unwrap()
    }

    /// Lets the indexer write `event`, in a block at the ledger's slot, whatever the journal says.
    pub async fn write(&self, event: &Event) {
        self.write_all(std::slice::from_ref(event)).await;
    }

    /// The same of several in one transaction, which is found by the first.
    async fn write_all(&self, events: &[Event]) {
        let first = &events[0];
        self.cursor(self.slot - 1).await;
        let after = self.writer.cursor().await.unwrap().map(|cursor| cursor.at);
        let parent = after.unwrap_or(BlockRef { slot: 0, hash: Hash::default() });
        let index = first.journal_index() ^ u64::from(first.platform()[0]) << 32;
        let inner = |event: &Event| InnerInstruction {
            program: 0,
            accounts: vec![1],
            data: [TAG.as_slice(), &event.encode().unwrap()].concat(),
        };
        let block = Block {
            slot: u64::try_from(self.slot).unwrap(),
            hash: blockhash(self.slot),
            parent_slot: parent.slot,
            parent_hash: parent.hash,
            time: Some(NOON),
            transactions: vec![Transaction {
                signature: Signature::from(Self::signature(index)),
                position: None,
                failed: false,
                accounts: vec![PROGRAM, event_authority()],
                inner: events.iter().map(inner).collect(),
            }],
        };
        self.writer.write(&Stretch::of(after, [&block]).unwrap()).await.unwrap();
        self.cursor(self.slot).await;
    }

    /// The next event, of the shortest kind.
    pub fn next_filler(&self) -> Event {
        Event::PauseChanged(PauseChanged {
            journal_index: self.journal.count,
            at: NOON,
            platform: self.journal.platform,
            paused: false,
            by: [3; 32],
        })
    }

    /// Appends and writes an event of the shortest kind.
    pub async fn filler(&mut self) -> i64 {
        let event = self.next_filler();
        self.append(&event).await
    }

    /// Appends and writes that many of them, in one transaction.
    pub async fn fillers(&mut self, count: usize) {
        let mut events = Vec::new();
        for _ in 0..count {
            let event = self.next_filler();
            self.append_only(&event);
            events.push(event);
        }
        self.write_all(&events).await;
    }

    /// Publishes a rule version for payments from `effective_at` on.
    pub async fn publish(&mut self, rule: RuleDefinition, effective_at: i64) {
        self.rules.push(rule.rule(Timestamp(effective_at)).unwrap());
        self.decide(|journal_index, at, platform| {
            Event::RulePublished(RulePublished { journal_index, at, platform, effective_at, rule })
        })
        .await;
    }

    /// Rule 1: a fifth of the first payment; rule 2: 30 for every other.
    pub async fn two_rules(&mut self) {
        let when = |clause, field, operator, value| -> PredicateEntry {
            Predicate::new(clause, false, field, operator, value).into()
        };
        let first = RuleDefinition {
            condition: vec![
                when(0, Field::PaymentNumber, Operator::Eq, 1),
                when(1, Field::Product, Operator::Eq, 1),
                when(1, Field::Product, Operator::Eq, 2),
            ],
            effect: EffectEntry::Ratio { asset: 1, bps: 2_000, min: 0, max: u64::MAX },
            ..fixed(1, 1, "first recharge 20%", 1, 1)
        };
        self.publish(first, 0).await;
        let weekend = RuleDefinition {
            condition: vec![when(0, Field::Weekday, Operator::Any, 192)],
            ..fixed(2, 1, "weekend", 1, 30)
        };
        self.publish(weekend, 0).await;
    }

    /// The rule that an outcome is of, as the rule book has it.
    fn of_outcome(&mut self, outcome: &OutcomeEntry) -> Option<&mut Rule> {
        self.rules.iter_mut().find(|rule| rule.id.0 == outcome.rule && rule.version.0 == outcome.version)
    }

    pub fn balance(&mut self, user: [u8; 32], asset: u8) -> &mut Balance {
        &mut self.users.entry(user).or_default().balances[usize::from(asset) - 1]
    }

    /// A payment with what the rules did, at 04:00 UTC.
    pub async fn pay(&mut self, number: &str, user: &str, amount: u64, did: &[Did]) -> i64 {
        let bought = Bought { at: NOON, product: 1, streamer: u64::MAX, tier: 0, segments: 0 };
        self.buy(number, user, amount, bought, did).await
    }

    /// A payment with what the rules did.
    pub async fn buy(&mut self, number: &str, user: &str, amount: u64, bought: Bought, did: &[Did]) -> i64 {
        let Bought { at: paid_at, product, streamer, tier, segments } = bought;
        let (order, user) = (OrderHash::of(number).0, unkeyed_user(user).0);
        let state = self.users.entry(user).or_default();
        state.payments += 1;
        let nth = state.payments;
        let (mut outcomes, mut grants) = (Vec::new(), Vec::new());
        for Did { rule, version, reason, clause, asset, amount } in did.iter().copied() {
            let balance = self.balance(user, asset);
            let before = balance.total().0;
            if reason == Reason::Granted {
                balance.credit(Amount(amount)).unwrap();
                grants.push(Grant::new(RuleId(rule), RuleVersion(version), AssetId(asset), Amount(amount)));
            }
            let after = balance.total().0;
            let outcome = OutcomeEntry { rule, version, reason: reason as u8, clause, asset, amount, before, after };
            if let Some(rule) = self.of_outcome(&outcome).filter(|_| reason == Reason::Granted) {
                rule.granted.0 += amount;
                rule.grants += 1;
                rule.budget_spent.0 += amount;
                rule.budget_grants += 1;
            }
            outcomes.push(outcome);
        }
        let paid = RefundedOrder { paid: Amount(amount), paid_at: Timestamp(paid_at), refunded: Amount(0) };
        self.orders.insert(order, (user, paid, grants));
        self.decide(|journal_index, at, platform| {
            Event::PaymentRecorded(PaymentRecorded {
                journal_index,
                at,
                platform,
                oracle: [4; 32],
                order,
                user,
                amount,
                paid_at,
                product,
                streamer,
                session: 0,
                tier,
                segments,
                number: nth,
                outcomes,
            })
        })
        .await
    }

    /// A refund with an order number of its own, at 04:00 UTC.
    pub async fn refund(&mut self, number: &str, of: &str, amount: u64) -> i64 {
        self.refund_at(number, of, amount, NOON).await
    }

    /// A refund with an order number of its own.
    pub async fn refund_at(&mut self, number: &str, of: &str, amount: u64, paid_at: i64) -> i64 {
        let (order, of) = (OrderHash::of(number).0, OrderHash::of(of).0);
        let (user, paid, grants) = self.orders.get_mut(&of).unwrap();
        let (user, mut reversal) = (*user, Reversal::default());
        let balances = &mut self.users.entry(user).or_default().balances;
        reversal.decide(Amount(amount), paid, grants, balances).unwrap();
        *balances = *reversal.balances();
        paid.refunded = reversal.refunded();
        let mut outcomes = Vec::new();
        for outcome in reversal.outcomes() {
            grants[outcome.slot].reversed.0 += outcome.amount.0;
            outcomes.push(OutcomeEntry {
                rule: outcome.rule.0,
                version: outcome.version.0,
                reason: outcome.reason as u8,
                clause: outcome.clause,
                asset: outcome.asset.0,
                amount: outcome.amount.0,
                before: outcome.before.0,
                after: outcome.after.0,
            });
        }
        for outcome in &outcomes {
            if let Some(rule) = self.of_outcome(outcome) {
                rule.reversed.0 += outcome.amount;
                rule.budget_spent.0 -= outcome.amount;
            }
        }
        let refunded = reversal.refunded().0;
        self.decide(|journal_index, at, platform| {
            Event::RefundRecorded(RefundRecorded {
                journal_index,
                at,
                platform,
                oracle: [4; 32],
                order,
                of,
                user,
                amount,
                paid_at,
                refunded,
                outcomes,
            })
        })
        .await
    }

    /// Takes `amount` from a balance, and says what it was and is.
    pub fn debit(&mut self, user: &str, asset: u8, amount: u64) -> ([u8; 32], u64, u64) {
        let user = unkeyed_user(user).0;
        let balance = self.balance(user, asset);
        let before = balance.total().0;
        assert_eq!(balance.debit(Amount(amount)).0, amount);
        (user, before, balance.total().0)
    }

    /// A redemption, at 04:00 UTC.
    pub async fn redeem(&mut self, number: &str, user: &str, asset: u8, amount: u64) -> i64 {
        let (order, (user, before, after)) = (OrderHash::of(number).0, self.debit(user, asset, amount));
        self.decide(|journal_index, at, platform| {
            let (oracle, redeemed_at) = ([4; 32], NOON);
            Event::Redeemed(Redeemed {
                journal_index,
                at,
                platform,
                oracle,
                order,
                user,
                asset,
                amount,
                redeemed_at,
                before,
                after,
            })
        })
        .await
    }

    /// Adds the token `gems` as the next asset, `number`, with a vault that holds 1000 of it.
    pub async fn tokens(&mut self, number: u8) {
        let entry = asset("gems", 2);
        self.decide(|journal_index, at, platform| {
            Event::AssetAdded(AssetAdded { journal_index, at, platform, asset: number, entry, active_from: NOON })
        })
        .await;
        self.decide(|journal_index, at, platform| {
            let (mint, vault) = (entry.mint, [6; 32]);
            Event::VaultOpened(VaultOpened { journal_index, at, platform, asset: number, mint, vault })
        })
        .await;
        self.decide(|journal_index, at, platform| {
            let (by, amount, funds) = ([3; 32], 1_000, 1_000);
            Event::Deposited(Deposited { journal_index, at, platform, asset: number, by, amount, funds })
        })
        .await;
        self.account.asset_count = number;
        self.account.assets[usize::from(number) - 1].funds = Amount(1_000);
    }

    /// Links a wallet to a user, at 04:00 UTC.
    pub async fn link(&mut self, user: &str, wallet: [u8; 32]) {
        let user = unkeyed_user(user).0;
        self.users.entry(user).or_default().wallet = wallet;
        self.decide(|journal_index, at, platform| {
            let (oracle, linked_at) = ([4; 32], NOON);
            Event::WalletLinked(WalletLinked { journal_index, at, platform, oracle, user, wallet, linked_at })
        })
        .await;
    }

    /// A claim by the linked wallet.
    pub async fn claim(&mut self, user: &str, asset: u8, amount: u64) -> i64 {
        let (user, before, after) = self.debit(user, asset, amount);
        let wallet = self.users[&user].wallet;
        self.decide(|journal_index, at, platform| {
            let destination = [9; 32];
            Event::Claimed(Claimed {
                journal_index,
                at,
                platform,
                user,
                wallet,
                asset,
                amount,
                before,
                after,
                destination,
            })
        })
        .await
    }

    /// What is left of a closed period expires.
    pub async fn expire(&mut self, user: &str, asset: u8, amount: u64) -> i64 {
        self.expire_at(user, asset, amount, NOON).await
    }

    /// What is left of a closed period expires, by the chain's clock.
    pub async fn expire_at(&mut self, user: &str, asset: u8, amount: u64, at: i64) -> i64 {
        let (user, before, after) = self.debit(user, asset, amount);
        self.decide(|journal_index, _, platform| {
            Event::BalanceExpired(BalanceExpired { journal_index, at, platform, user, asset, amount, before, after })
        })
        .await
    }
}

fn blockhash(slot: i64) -> Hash {
    Hash::new_from_array(journal::leaf(&slot.to_le_bytes()))
}
