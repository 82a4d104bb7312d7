//! The chain's accounts, held against what replaying the events came to.
//!
//! Every answer of the node holds the journal's account beside the others, so that it is known over how many events they are:
//! the follower is brought to exactly that event before they are compared. A platform that goes on recording meanwhile
//! disturbs nothing.

use super::{VerifyError, follower::Follower};
use crate::{
    account::{AssetKind, Counter, DecodeError, Journal, OracleKey, Platform, RuleBook, UserState},
    address::Addresses,
    chain::{ACCOUNTS_AT_ONCE, AccountAt, ChainError, ReadAccounts},
};
use rebate_core::{
    balance::{Balance, Balances},
    book::is_closable,
    counters::Counters,
    expiry::expire,
    journal,
    time::LocalTime,
    units::{Amount, AssetId, ScopeId, Timestamp, UserKey},
    window::Scope,
};
use solana_program::pubkey::Pubkey;
use std::fmt;

/// Something in an account that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The account.
    pub account: Pubkey,
    /// Whose or which it is.
    pub whose: String,
    /// What of it.
    pub what: String,
    /// What the account says.
    pub chain: String,
    /// What replaying the events comes to.
    pub replayed: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, whose, what, chain, replayed } = self;
        write!(
            f,
            "{whose} (account {account}): {what}: the chain has {chain}, replaying the events comes to {replayed}"
        )
    }
}

/// Accounts as of one moment of the journal.
pub struct AccountsOver {
    /// The slot the node answered for.
    pub slot: u64,
    /// The journal then.
    pub journal: Journal,
    /// What was asked for, in that order.
    pub accounts: Vec<Option<AccountAt>>,
}

/// How many accounts [`read`] reads at once: the journal's is one more.
pub const AT_ONCE: usize = ACCOUNTS_AT_ONCE - 1;

/// Reads at most [`AT_ONCE`] accounts together with the journal's.
///
/// # Errors
/// [`VerifyError`].
pub async fn read(
    chain: &dyn ReadAccounts,
    addresses: &Addresses,
    wanted: &[Pubkey],
) -> Result<AccountsOver, VerifyError> {
    let all: Vec<_> = [addresses.journal].iter().chain(wanted).copied().collect();
    let answer = chain.accounts(&all).await?;
    let mut accounts = answer.accounts.into_iter();
    let journal = accounts.next().flatten().ok_or(VerifyError::NoPlatform(addresses.platform))?;
    let journal = Journal::decode(&journal.data).map_err(|error| VerifyError::Account(addresses.journal, error))?;
    let accounts: Vec<_> = accounts.collect();
    if accounts.len() != wanted.len() {
        let what = format!("with {} accounts where {} were asked for", accounts.len(), wanted.len());
        return Err(ChainError::Unusable { node: "asked".to_owned(), what }.into());
    }
    Ok(AccountsOver { slot: answer.slot, journal, accounts })
}

/// What is compared, one account after the other.
pub struct Comparison<'a> {
    follower: &'a Follower,
    /// The chain's clock.
    now: Timestamp,
    differences: Vec<Difference>,
}

impl<'a> Comparison<'a> {
    /// Of accounts over exactly the events that `follower` is at, while the chain's clock shows `now`.
    pub fn new(follower: &'a Follower, now: Timestamp) -> Self {
        Self { follower, now, differences: Vec::new() }
    }

    /// What differs.
    pub fn end(self) -> Vec<Difference> {
        self.differences
    }

    fn differs(
        &mut self,
        account: &Pubkey,
        whose: &str,
        what: &str,
        chain: impl fmt::Display,
        replayed: impl fmt::Display,
    ) {
        let (chain, replayed) = (chain.to_string(), replayed.to_string());
        let (whose, what) = (whose.to_owned(), what.to_owned());
        self.differences.push(Difference { account: *account, whose, what, chain, replayed });
    }

    fn same<T: PartialEq + fmt::Display>(&mut self, account: &Pubkey, whose: &str, what: &str, chain: T, replayed: T) {
        if chain != replayed {
            self.differs(account, whose, what, chain, replayed);
        }
    }

    /// Decodes an account, or says why it is none.
    fn decoded<T>(
        &mut self,
        address: &Pubkey,
        whose: &str,
        account: Option<&AccountAt>,
        decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    ) -> Option<T> {
        let Some(account) = account else {
            self.differs(address, whose, "the account", "none", "one");
            return None;
        };
        match decode(&account.data) {
            Ok(decoded) => Some(decoded),
            Err(error) => {
                self.differs(address, whose, "the account", error, "one of the program");
                None
            }
        }
    }

    /// The journal's count and tree head.
    pub fn journal(&mut self, journal: &Journal) {
        let follower = self.follower;
        let address = follower.addresses().journal;
        self.same(&address, "the journal", "how many events", journal.count, follower.count());
        let head = hexadecimal(&journal::root(journal.count, &journal.peaks));
        self.same(&address, "the journal", "the tree head", head, hexadecimal(&follower.head()));
    }

    /// The platform's account.
    pub fn platform(&mut self, account: Option<&AccountAt>) {
        let follower = self.follower;
        let address = follower.addresses().platform;
        let whose = "the platform";
        let Some(platform) = self.decoded(&address, whose, account, Platform::decode) else { return };
        let Some(settings) = follower.settings() else {
            self.differs(&address, whose, "the account", "one", "none: no event created it");
            return;
        };
        let key = Pubkey::new_from_array;
        self.same(&address, whose, "its admin", key(platform.admin), key(settings.admin));
        self.same(&address, whose, "its pauser", key(platform.pauser), key(settings.pauser));
        self.same(&address, whose, "whether it is paused", platform.paused != 0, settings.paused);
        let terms = follower.ledger().terms();
        self.same(&address, whose, "the first day still open", platform.open_from, terms.open_from.0);
        let (chain, replayed) = (platform.max_lateness.at(self.now), settings.max_lateness.at(self.now));
        self.same(&address, whose, "max_lateness", chain, replayed);
        let (chain, replayed) = (platform.timelock.at(self.now), settings.timelock.at(self.now));
        self.same(&address, whose, "the timelock", chain, replayed);
        if platform.offsets() != terms.offsets {
            let text = |offsets: &[rebate_core::time::UtcOffset]| format!("{offsets:?}");
            self.differs(&address, whose, "its UTC offsets", text(platform.offsets()), text(&terms.offsets));
        }
        self.oracles(&platform);
        self.assets(&platform);
    }

    fn oracles(&mut self, platform: &Platform) {
        let Some(settings) = self.follower.settings() else { return };
        let (address, now) = (self.follower.addresses().platform, self.now);
        let span = |key: &OracleKey| {
            format!("{} from {} until {}", Pubkey::new_from_array(key.key), key.valid_from, key.valid_until)
        };
        for key in platform.oracles() {
            match settings.oracles.get(&key.key) {
                Some(known) if known == key => {}
                known => {
                    let known = known.map_or_else(|| "none".to_owned(), span);
                    self.differs(&address, "the platform", "an oracle key", span(key), known);
                }
            }
        }
        for known in settings.oracles.values() {
            // One that is over makes room for another.
            let is_over = known.valid_until != 0 && known.valid_until <= now.0;
            if !is_over && platform.oracles().iter().all(|key| key.key != known.key) {
                self.differs(&address, "the platform", "an oracle key", "none", span(known));
            }
        }
    }

    fn assets(&mut self, platform: &Platform) {
        let follower = self.follower;
        let Some(settings) = follower.settings() else { return };
        let address = follower.addresses().platform;
        let (chain, replayed) = (platform.assets().len(), settings.assets.len());
        self.same(&address, "the platform", "how many assets", chain, replayed);
        for ((asset, entry), id) in platform.assets().iter().zip(&settings.assets).zip(1..) {
            let whose = format!("asset {id} ({})", entry.name());
            let same = (asset.name, asset.kind, asset.expiry_months.0, asset.mint)
                == (entry.name, entry.kind, entry.expiry_months, entry.mint);
            if !same {
                self.differs(&address, &whose, "what it is", "something else", "what the events say");
            }
            if asset.kind != AssetKind::Token as u8 {
                continue;
            }
            let vault = follower.ledger().vault(AssetId(id)).unwrap_or_default();
            self.same(&address, &whose, "what users have of it", asset.liability, vault.liability);
            let (chain, replayed) = (asset.funds, vault.funds);
            if follower.knows_least_funds(AssetId(id)) {
                if chain < replayed {
                    let least = format!("at least {replayed}");
                    self.differs(&address, &whose, "what its vault held when last looked at", chain, least);
                }
            } else {
                self.same(&address, &whose, "what its vault held when last looked at", chain, replayed);
            }
        }
    }

    /// A vault's token account: it holds no less than is known, and than the platform's account counts on.
    pub fn vault(&mut self, asset: AssetId, account: Option<&AccountAt>, platform: Option<&AccountAt>) {
        let follower = self.follower;
        let address = follower.addresses().vault(asset);
        let platform = platform.and_then(|account| Platform::decode(&account.data).ok());
        let counted = platform.and_then(|platform| Some(platform.asset(asset)?.funds)).unwrap_or_default();
        let funds = follower.ledger().vault(asset).unwrap_or_default().funds.max(counted);
        let whose = format!("the vault of {}", follower.asset_name(asset.0));
        // Of a token account of either program: mint, owner, amount.
        let amount = account.and_then(|account| account.data.get(64..72)?.first_chunk().copied());
        let held = amount.map(u64::from_le_bytes);
        match held {
            Some(held) if held >= funds.0 => {}
            Some(held) => self.differs(&address, &whose, "what it holds", held, format!("at least {funds}")),
            None if funds.0 == 0 => {}
            None => self.differs(&address, &whose, "the token account", "none", format!("one with {funds} at least")),
        }
    }

    /// The rule book: every version in it, with all its totals.
    pub fn rule_book(&mut self, account: Option<&AccountAt>) {
        let follower = self.follower;
        let address = follower.addresses().rule_book;
        let whose = "the rule book";
        let Some((book, rules)) = self.decoded(&address, whose, account, RuleBook::decode_with_rules) else { return };
        self.same(&address, whose, "how many payments were accepted", book.payments, follower.ledger().payments());
        let replayed = follower.ledger().rules();
        self.same(&address, whose, "how many rule versions", rules.len(), replayed.len());
        for rule in &rules {
            let whose = format!("rule {} version {} \"{}\"", rule.id, rule.version, rule.name());
            let known = replayed.iter().find(|known| known.id == rule.id && known.version == rule.version);
            let Some(known) = known else {
                self.differs(&address, &whose, "the version", "there", "not in the book");
                continue;
            };
            self.same(&address, &whose, "what it granted", rule.granted, known.granted);
            self.same(&address, &whose, "how often it granted", rule.grants, known.grants);
            self.same(&address, &whose, "what was reversed of it", rule.reversed, known.reversed);
            self.same(&address, &whose, "what its budget is held against", rule.budget_spent, known.budget_spent);
            self.same(&address, &whose, "how often all its versions granted", rule.budget_grants, known.budget_grants);
            let mut definition = *rule;
            (definition.granted, definition.grants, definition.reversed) =
                (known.granted, known.grants, known.reversed);
            (definition.budget_spent, definition.budget_grants) = (known.budget_spent, known.budget_grants);
            if definition != *known {
                self.differs(&address, &whose, "its definition", "another", "the one that was published");
            }
        }
    }

    /// A user's account: balances, payments, wallet and counters.
    pub fn user(&mut self, key: &UserKey, address: &Pubkey, account: Option<&AccountAt>) {
        let follower = self.follower;
        let whose = format!("user {}", hexadecimal(&key.0));
        let Some(state) = self.decoded(address, &whose, account, UserState::decode) else { return };
        let number = follower.user(key);
        let (payments, balances) = number.map_or_else(Default::default, |user| {
            (follower.ledger().payments_of(user).0, follower.ledger().balances(user))
        });
        self.same(address, &whose, "how many payments", state.user.payments, payments);
        let wallet = follower.wallets().get(key);
        let (linked, at) = wallet.map_or(([0; 32], 0), |wallet| (wallet.wallet, wallet.linked_at));
        let key_of = Pubkey::new_from_array;
        self.same(address, &whose, "the wallet", key_of(state.user.wallet), key_of(linked));
        self.same(address, &whose, "when the wallet was linked", state.user.wallet_linked_at, at);
        self.balances(address, &whose, &state.balances, &balances);
        let counted = number.map(|user| follower.ledger().counters(user, Scope::User, 0)).unwrap_or_default();
        self.counters(address, &whose, &state.counters, counted, false);
    }

    fn balances(&mut self, address: &Pubkey, whose: &str, chain: &Balances, replayed: &Balances) {
        // Who lets balances expire when nothing is over yet moves them into the next period without an event. At one moment of
        // the clock both are in the same.
        let (chain_now, replayed_now) = (self.at_now(chain), self.at_now(replayed));
        for slot in 0..chain.len() {
            let at = |balances: &Balances| balances.get(slot).copied().unwrap_or_default();
            let (chain, replayed) = (at(chain), at(replayed));
            let (chain_now, replayed_now) = (at(&chain_now), at(&replayed_now));
            if chain.total() != replayed.total()
                || chain.debt != replayed.debt
                || !same_parts(&chain_now, &replayed_now)
            {
                let name = self.follower.asset_name(u8::try_from(slot.saturating_add(1)).unwrap_or_default());
                self.differs(address, whose, &format!("the balance of {name}"), text(&chain), text(&replayed));
            }
        }
    }

    fn at_now(&self, balances: &Balances) -> Balances {
        let terms = self.follower.ledger().terms();
        let mut periods = rebate_core::expiry::Periods::default();
        for (period, asset) in periods.iter_mut().zip(&terms.assets) {
            *period = asset.expiry;
        }
        let mut balances = *balances;
        expire(&mut balances, &periods, LocalTime::at(self.now, &terms.offsets), |_| {});
        balances
    }

    /// Counters of rules in the book are the same, wherever they stand. Those that were closed are gone for good reason.
    fn counters(
        &mut self,
        address: &Pubkey,
        whose: &str,
        chain: &[Counters],
        replayed: &[Counters],
        may_be_closed: bool,
    ) {
        let rules = self.follower.ledger().rules();
        let terms = self.follower.ledger().terms();
        let mut ids: Vec<_> = rules.iter().map(|rule| rule.id).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let of = |counters: &[Counters]| {
                counters.iter().find(|counters| counters.rule == id && !counters.is_free()).copied().unwrap_or_default()
            };
            let (chain, replayed) = (of(chain), of(replayed));
            let is_closed =
                may_be_closed && chain.is_free() && is_closable(&replayed, rules, &terms.offsets, terms.open_from);
            if chain != replayed && !is_closed {
                let what = format!("what rule {id} counts");
                self.differs(address, whose, &what, format!("{chain:?}"), format!("{replayed:?}"));
            }
        }
    }

    /// What is counted of a user towards a streamer or in a session.
    pub fn scoped(&mut self, scoped: &Scoped, account: Option<&AccountAt>) {
        let Scoped { user, scope, id, address } = scoped;
        let what = if *scope == Scope::UserStreamer { "towards streamer" } else { "in session" };
        let whose = format!("user {} {what} {id}", hexadecimal(&user.0));
        let chain = match account {
            None => Vec::new(),
            some => match self.decoded(address, &whose, some, Counter::decode_with_counters) {
                Some((_, counters)) => counters,
                None => return,
            },
        };
        let follower = self.follower;
        let number = follower.user(user);
        let counted = number.map(|user| follower.ledger().counters(user, *scope, id.0)).unwrap_or_default();
        self.counters(address, &whose, &chain, counted, true);
    }
}

/// Counters of one user in a scope other than the user's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scoped {
    /// Whose.
    pub user: UserKey,
    /// Towards a streamer, or in a session.
    pub scope: Scope,
    /// Its number.
    pub id: ScopeId,
    /// Where the account is, if it is open.
    pub address: Pubkey,
}

/// Every counter of the platform, in scopes other than the users' own.
pub fn scoped(follower: &Follower) -> Vec<Scoped> {
    let mut all = Vec::new();
    for scope in [Scope::UserStreamer, Scope::UserSession] {
        for (user, id, _) in follower.ledger().scoped(scope) {
            let Some(user) = follower.users().get(user.0).copied() else { continue };
            let id = ScopeId(id);
            all.push(Scoped { user, scope, id, address: follower.addresses().counter(&user, scope, id) });
        }
    }
    all
}

/// Where a balance is empty, its period makes no difference.
fn same_parts(chain: &Balance, replayed: &Balance) -> bool {
    (chain.current, chain.previous, chain.debt) == (replayed.current, replayed.previous, replayed.debt)
        && (chain.period == replayed.period || chain.total() == Amount(0))
}

fn text(balance: &Balance) -> String {
    let Balance { current, previous, debt, .. } = balance;
    match (previous.0, debt.0) {
        (0, 0) => current.to_string(),
        (0, _) => format!("a debt of {debt}"),
        _ => format!("{} ({previous} of it of the period before)", balance.total()),
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
