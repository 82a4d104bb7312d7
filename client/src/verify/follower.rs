//! Going from event to event: what the program should have done, by `rebate-core`, beside what it says it did.

mod govern;
mod records;
mod wrong;

pub use wrong::{Finding, Named, Step, Wrong};

use super::{
    read::{Read, ReadPart, oracle_of},
    signature::SignedRecord,
};
use crate::{
    account::{OracleKey, Setting},
    address::Addresses,
    event::{AssetEntry, BalanceExpired, Event, OutcomeEntry},
    replay::{KnownFunds, Ledger, OrderIndex, Terms, UserIndex},
};
use rebate_core::{
    journal::{self, Hash, MAX_PEAKS},
    units::{Day, OrderHash, RuleId, RuleVersion, Timestamp, UserKey},
};
use std::collections::HashMap;

/// How many findings are kept; the rest is counted.
const KEPT: usize = 1_000;

/// One event, followed.
#[derive(Clone, Copy, Debug)]
pub struct Followed<'a> {
    /// Its transaction.
    pub read: &'a Read,
    /// The event.
    pub event: &'a Event,
    /// Its canonical bytes.
    pub bytes: &'a [u8],
    /// Its leaf.
    pub leaf: &'a Hash,
    /// What is wrong with it.
    pub findings: &'a [Finding],
    /// What the rules in force did by `rebate-core`, of a payment or a refund.
    pub decided: &'a [OutcomeEntry],
}

/// A wallet that is linked to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// Its address.
    pub wallet: [u8; 32],
    /// When it was linked, Unix seconds.
    pub linked_at: i64,
}

/// Who may do what, and what holds, apart from rules and records.
#[derive(Clone, Debug)]
pub struct Settings {
    /// May change rules, assets and oracle keys.
    pub admin: [u8; 32],
    /// May stop and resume recording.
    pub pauser: [u8; 32],
    /// Whether recording is stopped.
    pub paused: bool,
    /// How far back a record may lie, in seconds.
    pub max_lateness: Setting,
    /// How far ahead changes must be announced, in seconds.
    pub timelock: Setting,
    /// The oracle keys ever registered.
    pub oracles: HashMap<[u8; 32], OracleKey>,
    /// The assets; the first is asset 1.
    pub assets: Vec<AssetEntry>,
}

/// An order that was taken, on one day.
#[derive(Clone, Copy, Debug)]
struct Taken {
    index: OrderIndex,
    day: Day,
}

/// A platform, recomputed up to some event.
pub struct Follower {
    addresses: Addresses,
    ledger: Ledger,
    settings: Option<Settings>,
    count: u64,
    peaks: [Hash; MAX_PEAKS],
    users: HashMap<UserKey, UserIndex>,
    /// By number.
    keys: Vec<UserKey>,
    wallets: HashMap<UserKey, Wallet>,
    orders: HashMap<OrderHash, Taken>,
    /// Orders of a number that an oracle signed for other days as well.
    repeated: HashMap<OrderHash, Vec<Taken>>,
    order_count: usize,
    /// The payments that are refunded, of orders with several.
    proved: HashMap<OrderHash, OrderIndex>,
    vaults: KnownFunds,
    names: HashMap<(RuleId, RuleVersion), String>,
    expired: Vec<BalanceExpired>,
    decided: Vec<OutcomeEntry>,
    /// Of the event that is followed.
    found: Vec<Finding>,
    findings: Vec<Finding>,
    finding_count: u64,
    records: u64,
    signatures: u64,
}

impl Follower {
    /// The platform at `addresses` before its first event.
    pub fn new(addresses: Addresses) -> Self {
        Self {
            addresses,
            ledger: Ledger::new(Terms::default()),
            settings: None,
            count: 0,
            peaks: [[0; 32]; MAX_PEAKS],
            users: HashMap::new(),
            keys: Vec::new(),
            wallets: HashMap::new(),
            orders: HashMap::new(),
            repeated: HashMap::new(),
            order_count: 0,
            proved: HashMap::new(),
            vaults: KnownFunds::default(),
            names: HashMap::new(),
            expired: Vec::new(),
            decided: Vec::new(),
            found: Vec::new(),
            findings: Vec::new(),
            finding_count: 0,
            records: 0,
            signatures: 0,
        }
    }

    /// Goes on with a transaction, and hands out each of its events with what is wrong with it.
    pub fn follow(&mut self, read: &Read, mut see: impl FnMut(&Followed<'_>)) {
        for (part, raw) in read.parts.iter().zip(&read.evidence.parts) {
            if part.signed.is_ok() {
                self.signatures = self.signatures.saturating_add(1);
            }
            let mut rest = part.signed.as_ref().map(|signed| signed.records.as_slice()).unwrap_or_default();
            for (at, ((event, leaf), bytes)) in part.events.iter().zip(&raw.events).enumerate() {
                self.found.clear();
                self.decided.clear();
                self.append(event, leaf);
                self.check_signature(event, part, &mut rest);
                let is_last = part.events.len() == at.saturating_add(1);
                self.event(event, is_last);
                let found = std::mem::take(&mut self.found);
                see(&Followed { read, event, bytes, leaf, findings: &found, decided: &self.decided });
                self.finding_count = self.finding_count.saturating_add(found.len() as u64);
                let room = KEPT.saturating_sub(self.findings.len());
                self.findings.extend(found.iter().take(room).cloned());
                self.found = found;
            }
        }
    }

    /// How many events there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The peaks over them, as the journal's account has them.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The tree head over them.
    pub fn head(&self) -> Hash {
        journal::root(self.count, &self.peaks)
    }

    /// Its addresses.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What users have, what rules count and granted.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Who may do what, and what holds; `None` before the first event.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// The users with balances or counters, by number.
    pub fn users(&self) -> &[UserKey] {
        &self.keys
    }

    /// A user's number in the ledger.
    pub fn user(&self, key: &UserKey) -> Option<UserIndex> {
        self.users.get(key).copied()
    }

    /// Whose wallets were ever linked.
    pub fn wallets(&self) -> &HashMap<UserKey, Wallet> {
        &self.wallets
    }

    /// Whether what the ledger knows of a vault's funds is only the least there can be.
    pub fn knows_least_funds(&self, asset: rebate_core::units::AssetId) -> bool {
        self.vaults.is_at_least(asset)
    }

    /// What a rule version is called.
    pub fn rule_name(&self, rule: RuleId, version: RuleVersion) -> &str {
        self.names.get(&(rule, version)).map_or("?", String::as_str)
    }

    /// What an asset is called.
    pub fn asset_name(&self, asset: u8) -> String {
        let assets = self.settings.as_ref().map(|settings| settings.assets.as_slice()).unwrap_or_default();
        let entry = usize::from(asset).checked_sub(1).and_then(|slot| assets.get(slot));
        entry.map_or_else(|| format!("asset {asset}"), AssetEntry::name)
    }

    /// What is wrong, the first of it.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How much is wrong in all.
    pub fn finding_count(&self) -> u64 {
        self.finding_count
    }

    /// How many signed records were recomputed.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many oracle signatures verified.
    pub fn signatures(&self) -> u64 {
        self.signatures
    }

    fn wrong(&mut self, event: &Event, wrong: Wrong) {
        self.found.push(Finding { index: event.journal_index(), event: event.name(), wrong });
    }

    /// The event's place in the journal is the next one.
    fn append(&mut self, event: &Event, leaf: &Hash) {
        if event.journal_index() != self.count {
            self.wrong(event, Wrong::Index { expected: self.count });
        }
        if journal::append(&mut self.count, &mut self.peaks, *leaf).is_err() {
            self.wrong(event, Wrong::JournalFull);
        }
    }

    /// An oracle key that may signed exactly what the event says, and what comes later in the message comes later.
    fn check_signature(&mut self, event: &Event, part: &ReadPart, rest: &mut &[SignedRecord]) {
        let (Some(oracle), Some(record)) = (oracle_of(event), SignedRecord::of(event)) else { return };
        self.records = self.records.saturating_add(1);
        match &part.signed {
            Err(unsigned) => self.wrong(event, Wrong::Unsigned(*unsigned)),
            Ok(signed) => {
                if signed.oracle != *oracle {
                    self.wrong(event, Wrong::AnotherOracle { signed: signed.oracle, said: *oracle });
                }
                // Records between were refused: they changed nothing.
                match rest.iter().position(|signed| *signed == record) {
                    Some(at) => *rest = rest.get(at.saturating_add(1)..).unwrap_or_default(),
                    None => self.wrong(event, Wrong::NotSigned),
                }
            }
        }
        let at = Timestamp(event.at());
        let known = self.settings.as_ref().and_then(|settings| settings.oracles.get(oracle)).copied();
        match known {
            None => self.wrong(event, Wrong::UnknownOracle { oracle: *oracle }),
            Some(OracleKey { valid_from, valid_until, .. }) => {
                if valid_from > at.0 || (valid_until != 0 && valid_until <= at.0) {
                    let oracle = *oracle;
                    self.wrong(event, Wrong::OracleNotValid { oracle, valid_from, valid_until, at: at.0 });
                }
            }
        }
        if self.settings.as_ref().is_some_and(|settings| settings.paused) {
            self.wrong(event, Wrong::Paused);
        }
    }

    fn event(&mut self, event: &Event, is_last: bool) {
        if self.settings.is_none() && !matches!(event, Event::PlatformCreated(_)) {
            self.wrong(event, Wrong::BeforeCreation);
            return;
        }
        if let Event::BalanceExpired(expired) = event {
            self.expired.push(expired.clone());
            if is_last {
                self.expire_alone(event);
            }
            return;
        }
        match event {
            Event::PaymentRecorded(payment) => self.pay(event, payment),
            Event::RefundRecorded(refund) => self.refund(event, refund),
            Event::Redeemed(redeemed) => self.redeem(event, redeemed),
            Event::Claimed(claimed) => self.claim(event, claimed),
            Event::WalletLinked(linked) => self.link(event, linked),
            other => self.govern(other),
        }
        if !self.expired.is_empty() {
            self.expire_alone(event);
        }
    }
}
