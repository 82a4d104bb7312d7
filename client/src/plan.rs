//! What records need on chain before they can be recorded, and the instructions that record them. It only reads:
//! who submits, and when, is the affair of the [`Recorder`](crate::recorder::Recorder) or of the oracle's outbox.

use crate::{
    account::{Counter, OrderPage, PROVED, Platform, Refund as RefundAccount, RuleBook, User},
    address::{Addresses, day_of},
    chain::{ACCOUNTS_AT_ONCE, AccountAt, ChainError, ReadAccounts, SubmitError},
    instruction::{self, RecordAccounts},
    oracle::SignedMessage,
    proof,
    recorder::{LEGACY_TRANSACTION, RecordError},
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
use solana_message::Message;
use solana_program::{instruction::Instruction, pubkey::Pubkey};
use std::collections::{HashMap, HashSet};

/// How many slots an order page gets when it is opened on the way, unless the platform says more: 8 kB.
const PAGE_SLOTS: u16 = 1_024;

/// For how long nobody but who began a proof can give it up, in seconds, as the program has it.
const STALE: i64 = 3_600;

/// How many open accounts are remembered. Beyond that all are forgotten, and looked up again as they are needed.
const REMEMBERED: usize = 100_000;

/// What one platform's records need, as far as it was looked up.
pub struct Plan {
    payer: Pubkey,
    addresses: Addresses,
    platform: Platform,
    rules: Vec<Rule>,
    /// Users and counters that are open, and for the counters of how many rules each has room.
    room: HashMap<Pubkey, u8>,
    /// How many pages there are of each day and shard.
    pages: HashMap<(Day, u16), u16>,
    /// Accounts that were read all at once, until they are asked for.
    read: HashMap<Pubkey, Option<AccountAt>>,
    /// Whether `room` and `pages` tell of something that was to be opened, and it is not known that it was.
    is_opening: bool,
}

/// An account to be opened or grown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Where.
    pub address: Pubkey,
    /// Whether it is there and only too small.
    pub grows: bool,
    /// The user whose records alone need it, if only one's do: nobody else opens it at the same time.
    pub user: Option<UserKey>,
    /// What opens or grows it.
    pub instruction: Instruction,
}

/// What is left to be done to prove an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProofSteps {
    /// Gives up what was begun and leads nowhere; goes first, by itself.
    pub close: Option<Instruction>,
    /// One transaction each, in order; none where the order is proved.
    pub transactions: Vec<Vec<Instruction>>,
}

impl Plan {
    /// For the platform at `platform`; `payer` pays fees and rent.
    ///
    /// # Errors
    /// [`RecordError::NoPlatform`], or what the chain answered.
    pub async fn new(chain: &dyn ReadAccounts, platform: Pubkey, payer: Pubkey) -> Result<Self, RecordError> {
        let addresses = Addresses::at(platform);
        let (platform, rules) = read(chain, &addresses).await?;
        let (room, pages, read) = (HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Self { payer, addresses, platform, rules, room, pages, read, is_opening: false })
    }

    /// Reads settings, rules and pages anew: somebody else may have changed them.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn refresh(&mut self, chain: &dyn ReadAccounts) -> Result<(), RecordError> {
        (self.platform, self.rules) = read(chain, &self.addresses).await?;
        self.forget();
        Ok(())
    }

    /// Forgets what is open: it is looked up again.
    pub fn forget(&mut self) {
        self.room.clear();
        self.pages.clear();
        self.read.clear();
        self.is_opening = false;
    }

    /// Forgets that these are open, where they were not opened after all.
    pub fn unopened<'a>(&mut self, missing: impl IntoIterator<Item = &'a Missing>) {
        for missing in missing {
            if self.room.remove(&missing.address).is_none() {
                self.pages.clear();
            }
        }
        self.is_opening = false;
    }

    /// Reads the accounts of these users that are not known, all at once: what needs them asks no more for each by itself.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn read_users(&mut self, chain: &dyn ReadAccounts, users: &[UserKey]) -> Result<(), ChainError> {
        self.begin();
        self.read.clear();
        let unknown: HashSet<_> = users.iter().map(|user| self.addresses.user(user)).collect();
        let unknown: Vec<_> = unknown.into_iter().filter(|address| !self.room.contains_key(address)).collect();
        for some in unknown.chunks(ACCOUNTS_AT_ONCE) {
            let found = chain.accounts(some).await?.accounts;
            self.read.extend(some.iter().copied().zip(found));
        }
        Ok(())
    }

    async fn account(&mut self, chain: &dyn ReadAccounts, address: &Pubkey) -> Result<Option<AccountAt>, ChainError> {
        match self.read.remove(address) {
            Some(read) => Ok(read.filter(|account| !account.data.is_empty())),
            None => opened(chain, address).await,
        }
    }

    /// Before anything is looked up: what the last call was to open, and broke off before it was, has to be looked up again.
    fn begin(&mut self) {
        if self.is_opening || self.room.len() > REMEMBERED || self.pages.len() > REMEMBERED {
            self.forget();
        }
    }

    /// To be said once everything that was missing is open, or will be by the transaction that needs it. Where that then does
    /// not land, [`forget`](Self::forget).
    pub fn opened(&mut self) {
        self.is_opening = false;
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
    pub fn payments(&self, payments: &[Payment], signed: &SignedMessage) -> [Instruction; 2] {
        let accounts: Vec<_> = payments.iter().map(|payment| self.accounts(payment)).collect();
        instruction::record_payments(&self.addresses, &accounts, signed)
    }

    /// The instructions that record a redemption.
    pub fn redemption(&self, redemption: &Redemption, signed: &SignedMessage) -> [Instruction; 2] {
        let accounts = RecordAccounts {
            user: self.addresses.user(&redemption.user),
            pages: self.pages_of(&redemption.order, redemption.redeemed_at),
            refund: None,
            counters: Vec::new(),
        };
        instruction::record_redemptions(&self.addresses, &[accounts], signed)
    }

    /// The instructions that record a refund of the recorded payment `paid`, which is proved.
    pub fn refund(&self, refund: &Refund, paid: &Payment, signed: &SignedMessage) -> [Instruction; 2] {
        let accounts = RecordAccounts {
            user: self.addresses.user(&paid.user),
            pages: self.pages_of(&refund.order, refund.paid_at),
            refund: Some(self.addresses.refund(&refund.of)),
            counters: self.counters_of_refund(paid),
        };
        instruction::record_refunds(&self.addresses, &[accounts], signed)
    }

    /// The instructions that link a wallet.
    pub fn link(&self, link: &WalletLink, signed: &SignedMessage) -> [Instruction; 2] {
        let accounts = RecordAccounts {
            user: self.addresses.user(&link.user),
            pages: Vec::new(),
            refund: None,
            counters: Vec::new(),
        };
        instruction::link_wallets(&self.addresses, &[accounts], signed)
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

    /// Which of the day's shards knows an order of the time `at`: orders of the same one share their pages.
    pub fn shard_of(&self, order: &OrderHash, at: Timestamp) -> (Day, u16) {
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
    pub async fn look(&mut self, chain: &dyn ReadAccounts, payments: &[Payment]) -> Result<(), RecordError> {
        self.begin();
        for payment in payments {
            let mut missing = Vec::new();
            self.page(chain, &payment.order, payment.paid_at, 1, &mut missing).await?;
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
        let message = Message::new(instructions, Some(&self.payer));
        // One signature behind a length of one byte.
        message.serialize().len().saturating_add(65) <= LEGACY_TRANSACTION
    }

    /// What `payments` need and is not open yet or has not enough room: the accounts of users, their counters and the order
    /// pages. Say [`opened`](Self::opened) once it is.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn for_payments(
        &mut self,
        chain: &dyn ReadAccounts,
        payments: &[Payment],
    ) -> Result<Vec<Missing>, RecordError> {
        self.begin();
        let mut missing: Vec<Missing> = Vec::new();
        let now = Timestamp(chain.now().await?);
        for payment in payments {
            self.user(chain, &payment.user, &mut missing).await?;
            // A payment that is refused as it is has no page: the program opens none for its day, nor asks for it.
            if self.platform.admission(now).check(payment.amount, payment.paid_at).is_err() {
                continue;
            }
            let shard = self.shard_of(&payment.order, payment.paid_at);
            let in_shard = payments.iter().filter(|other| self.shard_of(&other.order, other.paid_at) == shard).count();
            self.page(chain, &payment.order, payment.paid_at, in_shard, &mut missing).await?;
            for scope in self.scopes(payment.paid_at) {
                self.counter(chain, payment, scope, &mut missing).await?;
            }
        }
        Ok(missing)
    }

    /// What a redemption needs.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn for_redemption(
        &mut self,
        chain: &dyn ReadAccounts,
        redemption: &Redemption,
    ) -> Result<Vec<Missing>, RecordError> {
        let Redemption { order, user, amount, redeemed_at, .. } = redemption;
        self.for_order(chain, user, order, *amount, *redeemed_at).await
    }

    /// What a refund of the recorded payment `paid` needs.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn for_refund(
        &mut self,
        chain: &dyn ReadAccounts,
        refund: &Refund,
        paid: &Payment,
    ) -> Result<Vec<Missing>, RecordError> {
        self.for_order(chain, &paid.user, &refund.order, refund.amount, refund.paid_at).await
    }

    async fn for_order(
        &mut self,
        chain: &dyn ReadAccounts,
        user: &UserKey,
        order: &OrderHash,
        amount: Amount,
        at: Timestamp,
    ) -> Result<Vec<Missing>, RecordError> {
        let mut missing = self.for_user(chain, user).await?;
        if self.is_admitted(chain, amount, at).await? {
            self.page(chain, order, at, 1, &mut missing).await?;
        }
        Ok(missing)
    }

    /// What a user needs.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn for_user(&mut self, chain: &dyn ReadAccounts, user: &UserKey) -> Result<Vec<Missing>, RecordError> {
        self.begin();
        let mut missing = Vec::new();
        self.user(chain, user, &mut missing).await?;
        Ok(missing)
    }

    /// What a user and an order of the time `at` need.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn for_user_and_page(
        &mut self,
        chain: &dyn ReadAccounts,
        user: &UserKey,
        order: &OrderHash,
        at: Timestamp,
    ) -> Result<Vec<Missing>, RecordError> {
        let mut missing = self.for_user(chain, user).await?;
        self.page(chain, order, at, 1, &mut missing).await?;
        Ok(missing)
    }

    /// Whether an account that could not be opened or grown is as it was to be all the same: somebody else did it meanwhile.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn is_done(
        &self,
        chain: &dyn ReadAccounts,
        missing: &Missing,
        error: &SubmitError,
    ) -> Result<bool, ChainError> {
        Ok(match error {
            // There is more room than was to be made.
            SubmitError::Refused { error, .. } if missing.grows => error.name() == "NoRoom",
            _ => !missing.grows && opened(chain, &missing.address).await?.is_some(),
        })
    }

    async fn is_admitted(&self, chain: &dyn ReadAccounts, amount: Amount, at: Timestamp) -> Result<bool, ChainError> {
        let now = Timestamp(chain.now().await?);
        Ok(self.platform.admission(now).check(amount, at).is_ok())
    }

    async fn user(
        &mut self,
        chain: &dyn ReadAccounts,
        key: &UserKey,
        missing: &mut Vec<Missing>,
    ) -> Result<(), RecordError> {
        let (address, slots) = (self.addresses.user(key), self.slots(Scope::User));
        if self.room.get(&address).is_some_and(|room| *room >= slots) {
            return Ok(());
        }
        let payer = self.payer;
        let account = self.account(chain, &address).await?;
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
            missing.push(Missing { address, grows, user: Some(*key), instruction });
        }
        self.room.insert(address, slots);
        Ok(())
    }

    async fn counter(
        &mut self,
        chain: &dyn ReadAccounts,
        payment: &Payment,
        scope: Scope,
        missing: &mut Vec<Missing>,
    ) -> Result<(), RecordError> {
        let (key, id) = (&payment.user, payment.scope_id(scope));
        let (address, slots) = (self.addresses.counter(key, scope, id), self.slots(scope));
        if self.room.get(&address).is_some_and(|room| *room >= slots) {
            return Ok(());
        }
        let payer = self.payer;
        let account = opened(chain, &address).await?;
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
            missing.push(Missing { address, grows, user: Some(*key), instruction });
        }
        self.room.insert(address, slots);
        Ok(())
    }

    /// Finds out how many pages the order's day and shard have, and opens the next one where there is none or the last one
    /// has no place for `wanted` orders.
    async fn page(
        &mut self,
        chain: &dyn ReadAccounts,
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
            let Some(account) = opened(chain, &address).await? else { break true };
            let page = OrderPage::decode(&account.data).map_err(|error| RecordError::Account(address, error))?;
            count = count.saturating_add(1);
            if page.sealed == 0 {
                break is_short(page.taken as usize, order::page_limit(OrderPage::slots(&account.data)), wanted);
            }
        };
        if full {
            let payer = self.payer;
            let slots = PAGE_SLOTS.max(self.platform.page_slots(day));
            let instruction = instruction::open_order_page(&payer, &self.addresses, day, shard, count, slots);
            self.is_opening = true;
            let address = self.addresses.order_page(day, shard, count);
            missing.push(Missing { address, grows: false, user: None, instruction });
            count = count.saturating_add(1);
        }
        self.pages.insert((day, shard), count);
        Ok(())
    }

    /// What is known of `order`, if it was proved before.
    ///
    /// # Errors
    /// What the chain answered.
    pub async fn proved(
        &self,
        chain: &dyn ReadAccounts,
        order: &OrderHash,
    ) -> Result<Option<RefundAccount>, RecordError> {
        let address = self.addresses.refund(order);
        let Some(account) = opened(chain, &address).await? else { return Ok(None) };
        let account = RefundAccount::decode(&account.data).map_err(|error| RecordError::Account(address, error))?;
        Ok(Some(account).filter(|account| account.stage == PROVED))
    }

    /// What is left to be done to prove `order` by its event and the event's path to a peak of the journal, in as few
    /// transactions as hold it. A proof that was begun before goes on where it stopped; one that leads nowhere is given up
    /// first.
    ///
    /// Where the journal grows meanwhile, the peak may have become part of a larger one: unless the order
    /// [is proved](Self::proved) afterwards, prove it again with the longer path.
    ///
    /// # Errors
    /// [`RecordError::Proving`] where somebody else is at it, or what the chain answered.
    pub async fn proof(
        &self,
        chain: &dyn ReadAccounts,
        order: &OrderHash,
        event: &[u8],
        path: &[Hash],
    ) -> Result<ProofSteps, RecordError> {
        let payer = self.payer;
        let address = self.addresses.refund(order);
        let mut close = None;
        let steps = match opened(chain, &address).await? {
            None => proof::transactions(&payer, &self.addresses, order, event, path),
            Some(account) => {
                let (begun, written) = RefundAccount::decode_with_event(&account.data)
                    .map_err(|error| RecordError::Account(address, error))?;
                if begun.stage == PROVED {
                    return Ok(ProofSteps::default());
                }
                let own = begun.payer == payer.to_bytes();
                match proof::rest(&payer, &self.addresses, order, event, path, &begun, written).filter(|_| own) {
                    Some(steps) => steps,
                    None => {
                        let until = begun.opened_at.0.saturating_add(STALE);
                        if !own && chain.now().await? < until {
                            let prover = Pubkey::new_from_array(begun.payer);
                            return Err(RecordError::Proving { prover, until });
                        }
                        let opened_by = Pubkey::new_from_array(begun.payer);
                        close = Some(instruction::close_refund(&payer, &self.addresses, order, &opened_by));
                        proof::transactions(&payer, &self.addresses, order, event, path)
                    }
                }
            }
        };
        let mut transactions = Vec::new();
        let mut batch: Vec<Instruction> = Vec::new();
        for step in steps {
            batch.push(step);
            if !self.fits(&batch)
                && let Some(step) = batch.pop()
            {
                transactions.push(std::mem::replace(&mut batch, vec![step]));
            }
        }
        transactions.push(batch);
        Ok(ProofSteps { close, transactions })
    }
}

/// The account at `address`, if it was opened. Lamports that somebody sent there open nothing.
async fn opened(chain: &dyn ReadAccounts, address: &Pubkey) -> Result<Option<AccountAt>, ChainError> {
    Ok(chain.account(address).await?.filter(|account| !account.data.is_empty()))
}

/// Whether a page that took `taken` orders of `limit` is to be followed by another, so that `wanted` more find a place: the
/// program takes a successor once three quarters are taken.
fn is_short(taken: usize, limit: usize, wanted: usize) -> bool {
    let nearly = limit.saturating_sub(limit / 4);
    taken >= nearly && taken.saturating_add(wanted) > limit
}

async fn read(chain: &dyn ReadAccounts, addresses: &Addresses) -> Result<(Platform, Vec<Rule>), RecordError> {
    let Addresses { platform, rule_book, .. } = *addresses;
    let account = chain.account(&platform).await?.ok_or(RecordError::NoPlatform(platform))?;
    let settings = Platform::decode(&account.data).map_err(|error| RecordError::Platform(platform, error))?;
    let account = chain.account(&rule_book).await?.ok_or(RecordError::NoPlatform(platform))?;
    let (_, rules) =
        RuleBook::decode_with_rules(&account.data).map_err(|error| RecordError::Account(rule_book, error))?;
    Ok((settings, rules))
}
