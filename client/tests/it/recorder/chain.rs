//! A chain that keeps accounts, opens and grows them as the program does, and answers otherwise where it is told to.

use async_trait::async_trait;
use bytemuck::Zeroable;
use rebate_client::{
    Pubkey,
    account::{Counter, OrderPage, Platform, RuleBook, User, VERSION, discriminator},
    address::{Addresses, PROGRAM},
    chain::{AccountAt, AccountsAt, ChainError, Landed, ReadAccounts, Submit, SubmitError},
    error::{ERRORS, FIRST, ProgramError},
};
use rebate_core::{rule::Rule, units::AssetId};
use solana_keypair::Keypair;
use solana_program::{
    hash::{Hash, hash},
    instruction::Instruction,
};
use solana_signature::Signature;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard},
};

/// The chain's clock: a noon.
pub const NOON: i64 = 1_800_014_400;

/// The account's data as it lies on chain, and what stands behind it.
pub fn data<T: bytemuck::Pod>(name: &str, layout: &T, behind: &[u8]) -> Vec<u8> {
    [&discriminator(name)[..], bytemuck::bytes_of(layout), behind].concat()
}

/// The program's refusal of this name.
pub fn refused(name: &str) -> SubmitError {
    let at = ERRORS.iter().position(|(error, _)| *error == name).unwrap();
    SubmitError::Refused { error: ProgramError { code: FIRST + u32::try_from(at).unwrap() }, logs: Vec::new() }
}

/// A node that is not there.
pub fn unreachable() -> ChainError {
    ChainError::Unreachable { node: "http://node".to_owned(), why: "gone".to_owned() }
}

/// What happens on the chain just before a transaction gets there, and what it answers instead of running it.
type Event = Box<dyn FnOnce(&mut State) -> Option<SubmitError> + Send>;

#[derive(Default)]
pub struct State {
    pub accounts: HashMap<Pubkey, Vec<u8>>,
    /// Accounts a node does not answer for.
    pub unanswered: HashSet<Pubkey>,
    /// Of the next transactions, one each.
    events: VecDeque<Event>,
    /// The transactions that succeeded.
    landed: Vec<Vec<Instruction>>,
    /// How often an account was asked for.
    pub asked: usize,
}

pub struct TestChain {
    state: Mutex<State>,
}

impl TestChain {
    /// With a platform of these rules that accepts records of the last week.
    pub fn with(addresses: &Addresses, rules: &[Rule]) -> Self {
        let chain = Self { state: Mutex::default() };
        let mut platform = Platform { id: 1, asset_count: 2, version: VERSION, ..Platform::zeroed() };
        platform.max_lateness.value = 7 * 86_400;
        chain.put(addresses.platform, data("Platform", &platform, &[]));
        chain.publish(addresses, rules);
        chain
    }

    /// Puts these rules, and no others, into the book.
    pub fn publish(&self, addresses: &Addresses, rules: &[Rule]) {
        self.put(addresses.rule_book, book(rules));
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn put(&self, address: Pubkey, data: Vec<u8>) {
        self.state().accounts.insert(address, data);
    }

    /// Lets something happen just before the next transaction for which nothing is to happen yet.
    pub fn next(&self, event: impl FnOnce(&mut State) -> Option<SubmitError> + Send + 'static) {
        self.state().events.push_back(Box::new(event));
    }

    /// Lets the next one fail like this.
    pub fn fail_next(&self, error: SubmitError) {
        self.next(|_| Some(error));
    }

    /// What landed since it was last asked, each transaction by the names of its instructions.
    pub fn landed(&self) -> Vec<Vec<&'static str>> {
        let landed = std::mem::take(&mut self.state().landed);
        landed.iter().map(|instructions| instructions.iter().map(name).collect()).collect()
    }

    /// The same, each with all it says; they can be asked for again.
    pub fn transactions(&self) -> Vec<Vec<Instruction>> {
        self.state().landed.clone()
    }

    /// The last instruction that landed.
    pub fn last(&self) -> Instruction {
        self.state().landed.last().and_then(|instructions| instructions.last()).unwrap().clone()
    }
}

pub fn book(rules: &[Rule]) -> Vec<u8> {
    let header = RuleBook { version: VERSION, ..RuleBook::zeroed() };
    let count = u64::try_from(rules.len()).unwrap().to_le_bytes();
    data("RuleBook", &header, &[&count, bytemuck::cast_slice(rules)].concat())
}

/// A user's account with room for these.
pub fn user(key: [u8; 32], balance_slots: u8, counter_slots: u8) -> Vec<u8> {
    let header = User { key, balance_slots, counter_slots, version: VERSION, ..User::zeroed() };
    data("User", &header, &vec![0; usize::from(balance_slots) * 32 + usize::from(counter_slots) * 40])
}

pub fn counter(slots: u8) -> Vec<u8> {
    let header = Counter { slots, version: VERSION, ..Counter::zeroed() };
    data("Counter", &header, &vec![0; usize::from(slots) * 40])
}

/// A page of so many slots that took so many orders.
pub fn page(slots: usize, taken: u32, sealed: bool) -> Vec<u8> {
    let header = OrderPage { taken, sealed: sealed.into(), version: VERSION, ..OrderPage::zeroed() };
    data("OrderPage", &header, &vec![0; slots * 8])
}

/// The name of an instruction.
fn name(instruction: &Instruction) -> &'static str {
    const NAMES: [&str; 13] = [
        "open_user",
        "grow_user",
        "open_counter",
        "grow_counter",
        "open_order_page",
        "record_payments",
        "record_refunds",
        "record_redemptions",
        "link_wallets",
        "open_refund",
        "write_refund",
        "prove_refund",
        "close_refund",
    ];
    if instruction.program_id != PROGRAM {
        return "ed25519";
    }
    let is = |name: &&str| hash(format!("global:{name}").as_bytes()).to_bytes()[..8] == instruction.data[..8];
    NAMES.into_iter().find(is).unwrap()
}

impl State {
    /// Does what an instruction that opens or grows an account does, and nothing for others.
    fn run(&mut self, instruction: &Instruction) -> Result<(), SubmitError> {
        let arguments = instruction.data.get(8..).unwrap_or_default();
        let asset_count = self.asset_count();
        let address = |at: usize| instruction.accounts[at].pubkey;
        let opened = match name(instruction) {
            "open_user" => user(arguments[..32].try_into().unwrap(), asset_count, arguments[32]),
            "open_counter" => counter(arguments[41]),
            "open_order_page" => {
                let before = instruction.accounts.get(4).map(|meta| self.accounts.get_mut(&meta.pubkey).unwrap());
                if let Some(before) = before {
                    let header = OrderPage::decode(before).unwrap();
                    *before = page(OrderPage::slots(before), header.taken, true);
                }
                page(u16::from_le_bytes(arguments[8..10].try_into().unwrap()).into(), 0, false)
            }
            "grow_user" => {
                let grown = self.accounts.get_mut(&address(2)).unwrap();
                let header = User::decode(grown).unwrap();
                if arguments[0] < header.counter_slots {
                    return Err(refused("NoRoom"));
                }
                *grown = user(header.key, asset_count, arguments[0]);
                return Ok(());
            }
            "grow_counter" => {
                let grown = self.accounts.get_mut(&address(2)).unwrap();
                if arguments[0] < Counter::decode(grown).unwrap().slots {
                    return Err(refused("NoRoom"));
                }
                *grown = counter(arguments[0]);
                return Ok(());
            }
            _ => return Ok(()),
        };
        match self.accounts.insert(address(2), opened) {
            Some(before) if !before.is_empty() => {
                Err(SubmitError::Failed { why: "already in use".to_owned(), logs: Vec::new() })
            }
            _ => Ok(()),
        }
    }

    fn asset_count(&self) -> u8 {
        let platforms = self.accounts.values().filter_map(|data| Platform::decode(data).ok());
        platforms.map(|platform| platform.asset_count).find(|count| AssetId(*count).slot().is_some()).unwrap()
    }
}

#[async_trait]
impl ReadAccounts for TestChain {
    async fn accounts(&self, addresses: &[Pubkey]) -> Result<AccountsAt, ChainError> {
        let mut state = self.state();
        state.asked += 1;
        if addresses.iter().any(|address| state.unanswered.contains(address)) {
            return Err(unreachable());
        }
        let data = addresses.iter().map(|address| state.accounts.get(address).cloned());
        let account = |data| AccountAt { slot: 1, owner: PROGRAM, lamports: 1, data };
        Ok(AccountsAt { slot: 1, accounts: data.map(|data| data.map(account)).collect() })
    }

    async fn genesis_hash(&self) -> Result<Hash, ChainError> {
        Ok(Hash::default())
    }

    async fn now(&self) -> Result<i64, ChainError> {
        Ok(NOON)
    }
}

#[async_trait]
impl Submit for TestChain {
    async fn submit(&self, instructions: &[Instruction], signers: &[&Keypair]) -> Result<Landed, SubmitError> {
        assert_eq!(signers.len(), 1, "the payer alone signs");
        let mut state = self.state();
        let event = state.events.pop_front();
        if let Some(error) = event.and_then(|event| event(&mut state)) {
            return Err(error);
        }
        let before = state.accounts.clone();
        for instruction in instructions {
            if let Err(error) = state.run(instruction) {
                state.accounts = before;
                return Err(error);
            }
        }
        state.landed.push(instructions.to_vec());
        Ok(Landed { signature: Signature::default(), slot: Some(1), logs: Vec::new() })
    }

    async fn airdrop(&self, _: &Pubkey, _: u64) -> Result<(), SubmitError> {
        Ok(())
    }
}
