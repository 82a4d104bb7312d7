//! A journal read back from transactions, of which a node shows some later, some never, and some altered.

use async_trait::async_trait;
use bytemuck::Zeroable;
use rebate_client::{
    Pubkey,
    account::{Journal, VERSION, discriminator},
    address::{Addresses, PROGRAM, event_authority},
    block::{InnerInstruction, Transaction},
    chain::{AccountAt, AccountsAt, ChainError, Mention, ReadAccounts, ReadHistory},
    event::{Event, PauseChanged, PaymentRecorded, TAG},
    history::{HistoryError, JournalHistory},
    proof::JournalTree,
};
use rebate_core::{
    journal::{append, leaf},
    units::{Amount, JournalIndex, OrderHash, UserKey},
};
use solana_program::hash::Hash;
use solana_signature::Signature;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

const OURS: u64 = 1;

struct State {
    journal: Journal,
    /// The oldest first.
    transactions: Vec<Transaction>,
    tree: JournalTree,
    /// So many of the newest are not listed the next time.
    unlisted: usize,
    /// Not shown, however often it is asked.
    hidden: HashSet<Signature>,
    /// Of which signatures the transactions were asked for.
    asked: Vec<Signature>,
    page: usize,
}

#[derive(Clone)]
struct Node(Arc<Mutex<State>>);

fn of() -> Addresses {
    Addresses::of(OURS)
}

fn order(number: u64) -> OrderHash {
    OrderHash::of(&format!("A{number}"))
}

fn signature(number: u64) -> Signature {
    let mut bytes = [0; 64];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Signature::from(bytes)
}

fn payment(platform: Pubkey, journal_index: u64, number: u64) -> Event {
    Event::PaymentRecorded(PaymentRecorded {
        journal_index,
        at: 0,
        platform: platform.to_bytes(),
        oracle: [0; 32],
        order: order(number).0,
        user: [7; 32],
        amount: 1_000 + number,
        paid_at: 50,
        product: 3,
        streamer: 11,
        session: 12,
        tier: 2,
        segments: 5,
        number,
        outcomes: Vec::new(),
    })
}

impl Node {
    fn new() -> Self {
        let journal = Journal { version: VERSION, ..Journal::zeroed() };
        let state = State {
            journal,
            transactions: Vec::new(),
            tree: JournalTree::default(),
            unlisted: 0,
            hidden: HashSet::new(),
            asked: Vec::new(),
            page: 7,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// With the orders `A0` and on, one or two to a transaction, other events and failures between them.
    fn of(orders: u64) -> Self {
        let node = Self::new();
        let mut next = 0;
        while next < orders {
            let batch = 1 + next % 2;
            node.emit(|index| payment(of().platform, index, next), false);
            if batch == 2 && next + 1 < orders {
                node.emit(|index| payment(of().platform, index, next + 1), false);
            }
            next += batch;
            if next % 3 == 0 {
                node.emit(
                    |journal_index| {
                        let platform = of().platform.to_bytes();
                        Event::PauseChanged(PauseChanged { journal_index, at: 0, platform, paused: true, by: [2; 32] })
                    },
                    false,
                );
                node.emit(|index| payment(of().platform, index, 999), true);
            }
        }
        node
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A transaction with the journal's next event, and one of another platform.
    fn emit(&self, event: impl Fn(u64) -> Event, failed: bool) {
        let mut state = self.state();
        let bytes = event(state.journal.count).encode().unwrap();
        let other = payment(Addresses::of(2).platform, 500, 5).encode().unwrap();
        let inner = [&other, &bytes].map(|bytes| InnerInstruction {
            program: 1,
            accounts: vec![2],
            data: [&TAG[..], bytes].concat(),
        });
        let signature = signature(state.transactions.len() as u64);
        let accounts = vec![of().journal, PROGRAM, event_authority()];
        state.transactions.push(Transaction { signature, position: None, failed, accounts, inner: inner.to_vec() });
        if !failed {
            let State { journal, tree, .. } = &mut *state;
            append(&mut journal.count, &mut journal.peaks, leaf(&bytes)).unwrap();
            tree.push(bytes);
        }
    }

    fn history(&self, wanted: impl IntoIterator<Item = OrderHash>) -> JournalHistory<Self> {
        JournalHistory::new(self.clone(), of(), wanted, Box::new(|read, count| assert!(read <= count)))
            .with_patience(Duration::from_secs(1))
    }
}

#[async_trait]
impl ReadAccounts for Node {
    async fn accounts(&self, addresses: &[Pubkey]) -> Result<AccountsAt, ChainError> {
        assert_eq!(addresses, [of().journal]);
        let data = [&discriminator("Journal")[..], bytemuck::bytes_of(&self.state().journal)].concat();
        Ok(AccountsAt { slot: 1, accounts: vec![Some(AccountAt { slot: 1, owner: PROGRAM, lamports: 1, data })] })
    }

    async fn genesis_hash(&self) -> Result<Hash, ChainError> {
        Ok(Hash::default())
    }

    async fn now(&self) -> Result<i64, ChainError> {
        Ok(0)
    }
}

#[async_trait]
impl ReadHistory for Node {
    async fn mentions(&self, address: &Pubkey, before: Option<&Signature>) -> Result<Vec<Mention>, ChainError> {
        assert_eq!(*address, of().journal);
        let mut state = self.state();
        let unlisted = std::mem::take(&mut state.unlisted);
        let newest_first = state.transactions.iter().rev().skip(unlisted);
        let older = newest_first.skip_while(|found| before.is_some_and(|before| found.signature != *before));
        let page = older.skip(usize::from(before.is_some())).take(state.page);
        Ok(page.map(|found| Mention { signature: found.signature, failed: found.failed }).collect())
    }

    async fn transaction(&self, signature: &Signature) -> Result<Option<Transaction>, ChainError> {
        let mut state = self.state();
        state.asked.push(*signature);
        let found = state.transactions.iter().find(|found| found.signature == *signature);
        Ok(found.filter(|_| !state.hidden.contains(signature)).cloned())
    }
}

#[tokio::test]
async fn every_order_is_found_with_the_path_that_the_tree_over_all_events_has() {
    for orders in 1..40 {
        let node = Node::of(orders);
        let mut history = node.history((0..orders).map(order));
        // In an order of their own: the oldest first, then back and forth.
        for number in (0..orders).map(|at| at * 7 % orders) {
            let found = history.order(&order(number)).await.unwrap().unwrap();
            let path = history.path(&found).await.unwrap();
            let state = node.state();
            assert_eq!(state.tree.event(found.index), Some(&found.event[..]), "order {number} of {orders}");
            assert_eq!(state.tree.path_to_peak(found.index), Some(path), "order {number} of {orders}");
            let paid = found.payment;
            assert_eq!((paid.order, paid.user, paid.amount), (order(number), UserKey([7; 32]), Amount(1_000 + number)));
            assert_eq!((paid.streamer, paid.session, paid.product), (11, 12, 3));
        }
        let state = node.state();
        assert_eq!(state.asked.iter().collect::<HashSet<_>>().len(), state.asked.len(), "each is asked for once");
    }
}

#[tokio::test]
async fn an_order_that_nobody_recorded_is_not_found_and_neither_is_that_of_another_platform_or_of_a_failure() {
    let node = Node::of(3);
    for number in [5, 999] {
        assert_eq!(node.history([order(number)]).order(&order(number)).await, Ok(None), "order {number}");
    }
    assert_eq!(Node::new().history([order(0)]).order(&order(0)).await, Ok(None), "an empty journal");
}

#[tokio::test]
async fn a_recent_order_is_found_without_reading_everything_behind_it() {
    let node = Node::of(200);
    let mut history = node.history([order(199)]);
    let found = history.order(&order(199)).await.unwrap().unwrap();
    history.path(&found).await.unwrap();
    assert!(node.state().asked.len() < 60, "{} of {}", node.state().asked.len(), node.state().transactions.len());
}

#[tokio::test]
async fn what_is_recorded_meanwhile_is_read_as_well_and_nothing_twice() {
    let node = Node::of(9);
    let mut history = node.history([order(4), order(40)]);
    let found = history.order(&order(4)).await.unwrap().unwrap();
    for number in 40..80 {
        node.emit(|index| payment(of().platform, index, number), false);
        let path = history.path(&found).await.unwrap();
        assert_eq!(node.state().tree.path_to_peak(found.index), Some(path));
    }
    assert!(history.order(&order(40)).await.unwrap().is_some());
    let state = node.state();
    assert_eq!(state.asked.iter().collect::<HashSet<_>>().len(), state.asked.len());
}

#[tokio::test]
async fn a_transaction_that_the_node_lists_late_is_waited_for() {
    let node = Node::of(9);
    node.state().unlisted = 2;
    let found = node.history([order(8)]).order(&order(8)).await.unwrap().unwrap();
    assert_eq!(found.payment.amount, Amount(1_008));
}

#[tokio::test]
async fn a_node_that_does_not_show_everything_is_told_by_the_event_that_is_missing() {
    let node = Node::of(9);
    let mut history = node.history([order(0)]);
    node.state().hidden.insert(signature(0));
    let count = node.state().journal.count;
    let error = history.order(&order(0)).await.unwrap_err();
    assert_eq!(error, HistoryError::Missing { count, missing: 0 });
    assert!(error.to_string().contains("the whole history"), "{error}");
}

#[tokio::test]
async fn an_event_that_the_node_altered_leads_to_no_path() {
    let node = Node::of(9);
    {
        let mut state = node.state();
        let data = &mut state.transactions[1].inner[1].data;
        *data = [&TAG[..], &payment(of().platform, 1, 77).encode().unwrap()].concat();
    }
    let mut history = node.history([order(0)]);
    let found = history.order(&order(0)).await.unwrap().unwrap();
    assert_eq!(found.index, JournalIndex(0));
    assert_eq!(history.path(&found).await, Err(HistoryError::Contradiction(of().journal)));
}
