//! Recording what the oracle signed: opens what it needs, keeps within a transaction, submits.

use crate::{
    account::{Counter, DecodeError, OrderPage, PROVED, Platform, Refund as RefundAccount, RuleBook, User},
    address::{Addresses, day_of},
    chain::{AccountAt, ChainError, Landed, Submit, SubmitError},
    instruction::{self, RecordAccounts},
    oracle::SignedMessage,
    proof,
};
use rebate_core::{
    journal::Hash,
    order,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    rule::Rule,
    units::{Amount, Day, OrderHash, Timestamp, UserKey},
    wallet::WalletLink,
    window::Scope,
};
use solana_keypair::Keypair;
use solana_message::Message;
use solana_program::{instruction::Instruction, pubkey::Pubkey};
use solana_signer::Signer;
use std::{
    collections::{HashMap, HashSet},
    slice,
};
use thiserror::Error;

/// The most bytes a legacy transaction can have on the wire.
pub const LEGACY_TRANSACTION: usize = 1_232;

/// How many slots an order page gets when it is opened on the way, unless the platform says more: 8 kB.
const PAGE_SLOTS: u16 = 1_024;

/// For how long nobody but who began a proof can give it up, in seconds, as the program has it.
const STALE: i64 = 3_600;

/// How many accounts one transaction opens: what a legacy transaction has room for.
const OPENED_AT_ONCE: usize = 6;

/// Why payments were not recorded.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// There is no platform at the address.
    #[error("there is no platform at {0} on this chain; create it first, with `rebate platform create`")]
    NoPlatform(Pubkey),
    /// The platform's account cannot be read.
    #[error("the platform at {0}: {1}")]
    Platform(Pubkey, DecodeError),
    /// An account cannot be read.
    #[error("the account {0}: {1}")]
    Account(Pubkey, DecodeError),
    /// Somebody else proves the order now.
    #[error(
        "{prover} is proving the order already; wait until that is done, or begin anew once its time is over, \
         at {until} (Unix seconds)"
    )]
    Proving {
        /// Who.
        prover: Pubkey,
        /// From when on anybody may give that proof up, Unix seconds.
        until: i64,
    },
    /// The chain did not take it.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl From<ChainError> for RecordError {
    fn from(error: ChainError) -> Self {
        Self::Submit(error.into())
    }
}

/// Submits payments of one platform.
pub struct Recorder<'a> {
    chain: &'a dyn Submit,
    payer: &'a Keypair,
    addresses: Addresses,
    platform: Platform,
    rules: Vec<Rule>,
    /// Users and counters that are open, and for the counters of how many rules each has room.
    room: HashMap<Pubkey, u8>,
    /// How many pages there are of each day and shard.
    pages: HashMap<(Day, u16), u16>,
    /// Whether `room` and `pages` tell of something that was to be opened, and it is not known that it was.
    is_opening: bool,
}

/// An account to be opened or grown.
struct Missing {
    address: Pubkey,
    /// Whether it is there and only too small.
    grows: bool,
    instruction: Instruction,
}

impl<'a> Recorder<'a> {
    /// A recorder for the platform at `platform`; `payer` pays fees and rent.
    ///
    /// # Errors
    /// [`RecordError::NoPlatform`], or what the chain answered.
    pub async fn new(chain: &'a dyn Submit, platform: Pubkey, payer: &'a Keypair) -> Result<Self, RecordError> {
        let addresses = Addresses::at(platform);
        let (platform, rules) = read(chain, &addresses).await?;
        let (room, pages) = (HashMap::new(), HashMap::new());
        Ok(Self { chain, payer, addresses, platform, rules, room, pages, is_opening: false })
    }

    /// Reads settings, rules and pages anew: somebody else may have changed them.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn refresh(&mut self) -> Result<(), RecordError> {
        (self.platform, self.rules) = read(self.chain, &self.addresses).await?;
        self.forget();
        Ok(())
    }

    fn forget(&mut self) {
        self.room.clear();
        self.pages.clear();
        self.is_opening = false;
    }

    /// Before anything is looked up: what the last call was to open, and broke off before it was, has to be looked up again.
    fn begin(&mut self) {
        if self.is_opening {
            self.forget();
        }
    }

    /// The platform's settings.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The platform's addresses.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The instructions that record `payments`.
    pub fn instructions(&self, payments: &[Payment], signed: &SignedMessage) -> [Instruction; 2] {
        let accounts: Vec<_> = payments.iter().map(|payment| self.accounts(payment)).collect();
        instruction::record_payments(&self.addresses, &accounts, signed)
    }

    /// What a payment needs.
    fn accounts(&self, payment: &Payment) -> RecordAccounts {
        let counters = self.scopes(payment.paid_at);
        RecordAccounts {
            user: self.addresses.user(&payment.user),
            pages: self.pages_of(&payment.order, payment.paid_at),
            refund: None,
            counters: counters
                .into_iter()
                .map(|scope| self.addresses.counter(&payment.user, scope, payment.scope_id(scope)))
                .collect(),
        }
    }

    /// Every page that may know an order of the time `at`.
    pub fn pages_of(&self, order: &OrderHash, at: Timestamp) -> Vec<Pubkey> {
        let (day, shard) = self.shard_of(order, at);
        let count = self.pages.get(&(day, shard)).copied().unwrap_or(1);
        (0..count).map(|number| self.addresses.order_page(day, shard, number)).collect()
    }

    fn shard_of(&self, order: &OrderHash, at: Timestamp) -> (Day, u16) {
        let day = day_of(at);
        (day, order::shard(order, self.platform.order_shards(day)))
    }

    /// The counters that refunding `paid` needs, also where they were closed: of every scope that a rule in the book uses.
    pub fn counters_of_refund(&self, paid: &Payment) -> Vec<Pubkey> {
        [Scope::UserStreamer, Scope::UserSession]
            .into_iter()
            .filter(|scope| self.rules.iter().any(|rule| rule.scope() == *scope))
            .map(|scope| self.addresses.counter(&paid.user, scope, paid.scope_id(scope)))
            .collect()
    }

    /// Finds out how many pages the days and shards of `payments` have, and opens nothing.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn look(&mut self, payments: &[Payment]) -> Result<(), RecordError> {
        self.begin();
        for payment in payments {
            let mut missing = Vec::new();
            self.page(&payment.order, payment.paid_at, 1, &mut missing).await?;
            if let (false, Some(count)) =
                (missing.is_empty(), self.pages.get_mut(&self.shard_of(&payment.order, payment.paid_at)))
            {
                *count = count.saturating_sub(1).max(1);
            }
        }
        Ok(())
    }

    /// The scopes other than the user's own of which a rule in force at `at` needs counters.
    fn scopes(&self, at: Timestamp) -> Vec<Scope> {
        let in_force = |scope: &Scope| self.rules.iter().any(|rule| rule.scope() == *scope && rule.in_force(at));
        [Scope::UserStreamer, Scope::UserSession].into_iter().filter(in_force).collect()
    }

    /// For how many rules there has to be room in counters of a scope.
    fn slots(&self, scope: Scope) -> u8 {
        let rules: HashSet<_> = self.rules.iter().filter(|rule| rule.scope() == scope).map(|rule| rule.id).collect();
        u8::try_from(rules.len()).unwrap_or(u8::MAX)
    }

    /// Whether a transaction with these instructions fits on the wire.
    pub fn fits(&self, instructions: &[Instruction]) -> bool {
        let message = Message::new(instructions, Some(&self.payer.pubkey()));
        // One signature behind a length of one byte.
        message.serialize().len().saturating_add(65) <= LEGACY_TRANSACTION
    }

    /// Opens the accounts of users, their counters and the order pages that `payments` need and that are not open yet, and
    /// makes room where there is not enough.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn open_for(&mut self, payments: &[Payment]) -> Result<(), RecordError> {
        self.begin();
        let mut missing: Vec<Missing> = Vec::new();
        for payment in payments {
            self.user(&payment.user, &mut missing).await?;
            // A payment that is refused as it is has no page: the program opens none for its day, nor asks for it.
            if !self.is_admitted(payment.amount, payment.paid_at).await? {
                continue;
            }
            let shard = self.shard_of(&payment.order, payment.paid_at);
            let in_shard = payments.iter().filter(|other| self.shard_of(&other.order, other.paid_at) == shard).count();
            self.page(&payment.order, payment.paid_at, in_shard, &mut missing).await?;
            for scope in self.scopes(payment.paid_at) {
                self.counter(payment, scope, &mut missing).await?;
            }
        }
        self.open(missing).await
    }

    /// Opens the account of a user and the page of an order of the time `at`.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn open_user_and_page(
        &mut self,
        user: &UserKey,
        order: &OrderHash,
        at: Timestamp,
    ) -> Result<(), RecordError> {
        self.begin();
        let mut missing = Vec::new();
        self.user(user, &mut missing).await?;
        self.page(order, at, 1, &mut missing).await?;
        self.open(missing).await
    }

    /// The account at `address`, if it was opened. Lamports that somebody sent there open nothing.
    async fn opened(&self, address: &Pubkey) -> Result<Option<AccountAt>, ChainError> {
        Ok(self.chain.account(address).await?.filter(|account| !account.data.is_empty()))
    }

    async fn user(&mut self, key: &UserKey, missing: &mut Vec<Missing>) -> Result<(), RecordError> {
        let (address, slots) = (self.addresses.user(key), self.slots(Scope::User));
        if self.room.get(&address).is_some_and(|room| *room >= slots) {
            return Ok(());
        }
        let payer = self.payer.pubkey();
        let account = self.opened(&address).await?;
        let grows = account.is_some();
        let instruction = match account {
            None => Some(instruction::open_user(&payer, &self.addresses, key, slots)),
            Some(account) => {
                let user = User::decode(&account.data).map_err(|error| RecordError::Account(address, error))?;
                let narrow = user.counter_slots < slots || user.balance_slots < self.platform.asset_count;
                narrow.then(|| instruction::grow_user(&payer, &self.addresses, key, slots.max(user.counter_slots)))
            }
        };
        if let Some(instruction) = instruction {
            self.is_opening = true;
            missing.push(Missing { address, grows, instruction });
        }
        self.room.insert(address, slots);
        Ok(())
    }

    async fn counter(
        &mut self,
        payment: &Payment,
        scope: Scope,
        missing: &mut Vec<Missing>,
    ) -> Result<(), RecordError> {
        let (key, id) = (&payment.user, payment.scope_id(scope));
        let (address, slots) = (self.addresses.counter(key, scope, id), self.slots(scope));
        if self.room.get(&address).is_some_and(|room| *room >= slots) {
            return Ok(());
        }
        let payer = self.payer.pubkey();
        let account = self.opened(&address).await?;
        let grows = account.is_some();
        let instruction = match account {
            None => Some(instruction::open_counter(&payer, &self.addresses, key, scope, id, slots)),
            Some(account) => {
                let counter = Counter::decode(&account.data).map_err(|error| RecordError::Account(address, error))?;
                let narrow = counter.slots < slots;
                narrow.then(|| instruction::grow_counter(&payer, &self.addresses, key, scope, id, slots))
            }
        };
        if let Some(instruction) = instruction {
            self.is_opening = true;
            missing.push(Missing { address, grows, instruction });
        }
        self.room.insert(address, slots);
        Ok(())
    }

    /// Finds out how many pages the order's day and shard have, and opens the next one where there is none or the last one
    /// has no place for `wanted` orders.
    async fn page(
        &mut self,
        order: &OrderHash,
        at: Timestamp,
        wanted: usize,
        missing: &mut Vec<Missing>,
    ) -> Result<(), RecordError> {
        let (day, shard) = self.shard_of(order, at);
        if self.pages.contains_key(&(day, shard)) {
            return Ok(());
        }
        let mut count = 0u16;
        let full = loop {
            let address = self.addresses.order_page(day, shard, count);
            let Some(account) = self.opened(&address).await? else { break true };
            let page = OrderPage::decode(&account.data).map_err(|error| RecordError::Account(address, error))?;
            count = count.saturating_add(1);
            if page.sealed == 0 {
                break is_short(page.taken as usize, order::page_limit(OrderPage::slots(&account.data)), wanted);
            }
        };
        if full {
            let payer = self.payer.pubkey();
            let slots = PAGE_SLOTS.max(self.platform.page_slots(day));
            let instruction = instruction::open_order_page(&payer, &self.addresses, day, shard, count, slots);
            self.is_opening = true;
            let address = self.addresses.order_page(day, shard, count);
            missing.push(Missing { address, grows: false, instruction });
            count = count.saturating_add(1);
        }
        self.pages.insert((day, shard), count);
        Ok(())
    }

    async fn open(&mut self, missing: Vec<Missing>) -> Result<(), RecordError> {
        for chunk in missing.chunks(OPENED_AT_ONCE) {
            let instructions: Vec<_> = chunk.iter().map(|missing| missing.instruction.clone()).collect();
            match self.chain.submit(&instructions, &[self.payer]).await {
                Ok(_) => {}
                Err(SubmitError::Chain(error)) => return Err(error.into()),
                // Somebody else may have opened one of them meanwhile, and then none was: each by itself.
                Err(_) => {
                    for missing in chunk {
                        self.open_one(missing).await?;
                    }
                }
            }
        }
        self.is_opening = false;
        Ok(())
    }

    /// Opens or grows an account, unless somebody else did meanwhile.
    async fn open_one(&self, missing: &Missing) -> Result<(), RecordError> {
        let Err(error) = self.chain.submit(slice::from_ref(&missing.instruction), &[self.payer]).await else {
            return Ok(());
        };
        let is_done = match &error {
            // There is more room than was to be made.
            SubmitError::Refused { error, .. } if missing.grows => error.name() == "NoRoom",
            _ => !missing.grows && self.opened(&missing.address).await?.is_some(),
        };
        if is_done { Ok(()) } else { Err(error.into()) }
    }

    async fn is_admitted(&self, amount: Amount, at: Timestamp) -> Result<bool, ChainError> {
        let now = Timestamp(self.chain.now().await?);
        Ok(self.platform.admission(now).check(amount, at).is_ok())
    }

    /// Opens what is missing and records `payments` with a message that is already signed. Where somebody changed the rules
    /// or filled a page meanwhile, it looks again once.
    ///
    /// # Errors
    /// [`RecordError`]; a program's refusal means that every record was refused, and is the first one's.
    pub async fn record(&mut self, payments: &[Payment], signed: &SignedMessage) -> Result<Landed, RecordError> {
        self.open_for(payments).await?;
        match self.chain.submit(&self.instructions(payments, signed), &[self.payer]).await {
            Err(SubmitError::Refused { error, .. }) if error.is_outdated() => {
                self.refresh().await?;
                self.open_for(payments).await?;
                Ok(self.chain.submit(&self.instructions(payments, signed), &[self.payer]).await?)
            }
            landed => Ok(landed?),
        }
    }

    /// Opens what is missing and records a redemption with a message that is already signed. Where somebody filled a page
    /// meanwhile, it looks again once.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn redeem(&mut self, redemption: &Redemption, signed: &SignedMessage) -> Result<Landed, RecordError> {
        match self.redeem_once(redemption, signed).await {
            Err(RecordError::Submit(SubmitError::Refused { error, .. })) if error.is_outdated() => {
                self.refresh().await?;
                self.redeem_once(redemption, signed).await
            }
            landed => landed,
        }
    }

    async fn redeem_once(&mut self, redemption: &Redemption, signed: &SignedMessage) -> Result<Landed, RecordError> {
        let Redemption { order, user, amount, redeemed_at, .. } = redemption;
        self.begin();
        let mut missing = Vec::new();
        self.user(user, &mut missing).await?;
        if self.is_admitted(*amount, *redeemed_at).await? {
            self.page(order, *redeemed_at, 1, &mut missing).await?;
        }
        self.open(missing).await?;
        let accounts = RecordAccounts {
            user: self.addresses.user(user),
            pages: self.pages_of(order, *redeemed_at),
            refund: None,
            counters: Vec::new(),
        };
        let record = instruction::record_redemptions(&self.addresses, &[accounts], signed);
        Ok(self.chain.submit(&record, &[self.payer]).await?)
    }

    /// Opens what is missing and records a refund of the recorded payment `paid`, which is proved, with a message that is
    /// already signed. Where somebody changed the rules or filled a page meanwhile, it looks again once.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn refund(
        &mut self,
        refund: &Refund,
        paid: &Payment,
        signed: &SignedMessage,
    ) -> Result<Landed, RecordError> {
        match self.refund_once(refund, paid, signed).await {
            Err(RecordError::Submit(SubmitError::Refused { error, .. })) if error.is_outdated() => {
                self.refresh().await?;
                self.refund_once(refund, paid, signed).await
            }
            landed => landed,
        }
    }

    async fn refund_once(
        &mut self,
        refund: &Refund,
        paid: &Payment,
        signed: &SignedMessage,
    ) -> Result<Landed, RecordError> {
        self.begin();
        let mut missing = Vec::new();
        self.user(&paid.user, &mut missing).await?;
        if self.is_admitted(refund.amount, refund.paid_at).await? {
            self.page(&refund.order, refund.paid_at, 1, &mut missing).await?;
        }
        self.open(missing).await?;
        let accounts = RecordAccounts {
            user: self.addresses.user(&paid.user),
            pages: self.pages_of(&refund.order, refund.paid_at),
            refund: Some(self.addresses.refund(&refund.of)),
            counters: self.counters_of_refund(paid),
        };
        let record = instruction::record_refunds(&self.addresses, &[accounts], signed);
        Ok(self.chain.submit(&record, &[self.payer]).await?)
    }

    /// Whether `order` was proved before.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn is_proved(&self, order: &OrderHash) -> Result<bool, RecordError> {
        Ok(self.proved(order).await?.is_some())
    }

    /// What is known of `order`, if it was proved before.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn proved(&self, order: &OrderHash) -> Result<Option<RefundAccount>, RecordError> {
        let address = self.addresses.refund(order);
        let Some(account) = self.opened(&address).await? else { return Ok(None) };
        let account = RefundAccount::decode(&account.data).map_err(|error| RecordError::Account(address, error))?;
        Ok(Some(account).filter(|account| account.stage == PROVED))
    }

    /// Proves `order` by its event and the event's path to a peak of the journal, in as few transactions as hold it. A
    /// proof that was begun before goes on where it stopped; one that leads nowhere is given up first.
    ///
    /// Where the journal grows meanwhile, the peak may have become part of a larger one: unless the order
    /// [is proved](Self::is_proved) afterwards, prove it again with the longer path.
    ///
    /// # Errors
    /// [`RecordError::Proving`] where somebody else is at it, or what the chain answered.
    pub async fn prove(&self, order: &OrderHash, event: &[u8], path: &[Hash]) -> Result<(), RecordError> {
        let payer = self.payer.pubkey();
        let address = self.addresses.refund(order);
        let steps = match self.opened(&address).await? {
            None => proof::transactions(&payer, &self.addresses, order, event, path),
            Some(account) => {
                let (begun, written) = RefundAccount::decode_with_event(&account.data)
                    .map_err(|error| RecordError::Account(address, error))?;
                if begun.stage == PROVED {
                    return Ok(());
                }
                let own = begun.payer == payer.to_bytes();
                match proof::rest(&payer, &self.addresses, order, event, path, &begun, written).filter(|_| own) {
                    Some(steps) => steps,
                    None => {
                        let until = begun.opened_at.0.saturating_add(STALE);
                        if !own && self.chain.now().await? < until {
                            let prover = Pubkey::new_from_array(begun.payer);
                            return Err(RecordError::Proving { prover, until });
                        }
                        let opened_by = Pubkey::new_from_array(begun.payer);
                        let close = instruction::close_refund(&payer, &self.addresses, order, &opened_by);
                        self.chain.submit(&[close], &[self.payer]).await?;
                        proof::transactions(&payer, &self.addresses, order, event, path)
                    }
                }
            }
        };
        let mut batch: Vec<Instruction> = Vec::new();
        for step in steps {
            batch.push(step);
            if !self.fits(&batch)
                && let Some(step) = batch.pop()
            {
                self.chain.submit(&batch, &[self.payer]).await?;
                batch = vec![step];
            }
        }
        self.chain.submit(&batch, &[self.payer]).await?;
        Ok(())
    }

    /// Links a wallet with a message that is already signed; opens the user's account where it is missing.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn link(&mut self, link: &WalletLink, signed: &SignedMessage) -> Result<Landed, RecordError> {
        self.begin();
        let mut missing = Vec::new();
        self.user(&link.user, &mut missing).await?;
        self.open(missing).await?;
        let accounts = RecordAccounts {
            user: self.addresses.user(&link.user),
            pages: Vec::new(),
            refund: None,
            counters: Vec::new(),
        };
        let record = instruction::link_wallets(&self.addresses, &[accounts], signed);
        Ok(self.chain.submit(&record, &[self.payer]).await?)
    }
}

/// Whether a page that took `taken` orders of `limit` is to be followed by another, so that `wanted` more find a place: the
/// program takes a successor once three quarters are taken.
fn is_short(taken: usize, limit: usize, wanted: usize) -> bool {
    let nearly = limit.saturating_sub(limit / 4);
    taken >= nearly && taken.saturating_add(wanted) > limit
}

async fn read(chain: &dyn Submit, addresses: &Addresses) -> Result<(Platform, Vec<Rule>), RecordError> {
    let Addresses { platform, rule_book, .. } = *addresses;
    let account = chain.account(&platform).await?.ok_or(RecordError::NoPlatform(platform))?;
    let settings = Platform::decode(&account.data).map_err(|error| RecordError::Platform(platform, error))?;
    let account = chain.account(&rule_book).await?.ok_or(RecordError::NoPlatform(platform))?;
    let (_, rules) =
        RuleBook::decode_with_rules(&account.data).map_err(|error| RecordError::Account(rule_book, error))?;
    Ok((settings, rules))
}

/// The refusals among a transaction's log lines: the order's first 8 bytes in hexadecimal, and the reason.
pub fn refusals(logs: &[String]) -> Vec<(String, String)> {
    logs.iter()
        .filter_map(|line| {
            let (order, reason) = line.strip_prefix("Program log: order ")?.split_once(": refused, ")?;
            Some((order.to_owned(), reason.to_owned()))
        })
        .collect()
}
