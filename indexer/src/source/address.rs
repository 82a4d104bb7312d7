//! A node, by JSON-RPC, by the program's address. For public nodes, which do not show every block whole for little money.
//!
//! The node lists the transactions that name the program, the newest first, and shows them one by one. A list proves
//! nothing: a page can be short or empty, and behind one address there can be two nodes that disagree. So nothing is taken
//! for there because it was listed, nor for absent because it was not. What is yielded goes in rounds, each up to a final
//! slot `T`:
//!
//! 1. The accounts of the journals say how many events each platform has, all as of one slot. That slot is `T`. The node
//!    must have the cursor's (`minContextSlot`), and shows the head of the block at `T`, which it does once it has written
//!    down the transactions of that block and all before it.
//! 2. The list is paged back, from a node that has `T`, until the anchor itself is seen: the newest transaction known to
//!    be written, which is in the database with the cursor, so that a restart finds it. A list that ends before is asked
//!    for again, or the node no longer has that slot, which is said. What lies between is the transactions of the slots
//!    behind the cursor, in order; only what marks the pages is kept of a long list, and pages are taken from the oldest,
//!    whole slots only.
//! 3. The transactions that did not fail are fetched. They come in the order of their positions in their block, which the
//!    list says or else the block itself, never in the order of the list. Every event must be the next one of its
//!    platform's journal, from what is in the database on.
//! 4. Before anything of the last page is yielded, and before the cursor may pass it, each platform must have as many events
//!    as its journal had at `T`: these are then the events 0 to n-1, and those are all there are. A platform first met in
//!    this round had not been asked for in 1, so there is another round. The last block yielded is the one at `T`, empty
//!    if need be, so that the cursor moves although nothing happens.
//!
//! Therefore: an event that is left out, by whatever node and for whatever reason, leaves a gap before a later event of its
//! platform or a count too small at `T`. Either is asked again, and in the end said and stopped at; nothing behind it was
//! yielded unless the list had more than one page, where a gap that only a later page shows stops before that page. There the
//! writer would say the same ([`WriteError::Gap`](crate::write::WriteError::Gap)). What no account can tell is a platform
//! of which no event was ever listed; its first event that is, does.
//!
//! The blocks yielded are those of slots with transactions that succeeded, with their own hash and of their transactions
//! those that name the program. Their parent is the block yielded before: that nothing of the program lies between is what
//! was proved, and no more. In an empty database there is no anchor; the list is read to the slot to begin
//! at or to its end, which the node that says so must know by its last transaction, and every journal begins with event 0.

mod questions;
mod stored;

use super::{BlockRef, BlockSource, Next, SourceError, rpc::node::Node};
use async_trait::async_trait;
use questions::{Header, Mention};
use rebate_client::{
    Pubkey,
    block::{Block, Transaction},
    chain::Commitment,
};
use solana_program::hash::Hash;
use solana_signature::Signature;
use sqlx::PgPool;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    future::Future,
    sync::Arc,
    time::Duration,
};
use stored::Stored;
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, sleep},
};

/// How many transactions or blocks are asked for at once.
const AT_ONCE: usize = 8;

/// For how long a list may contradict the journals before that counts as what the node has to say.
const PATIENCE: Duration = Duration::from_secs(5);

/// Yields the blocks of a node in which the program's transactions are, and the last final one.
pub struct AddressSource {
    node: Arc<Node>,
    pool: PgPool,
    poll: Duration,
    work: Mutex<Work>,
}

#[derive(Default)]
struct Work {
    state: Option<State>,
    /// Since when the list contradicts the journals.
    contradicted: Option<Instant>,
}

/// How far the list was read.
struct State {
    /// The last block handed out, or the cursor it began with.
    given: Option<BlockRef>,
    /// The last block made ready.
    end: Option<BlockRef>,
    /// The first slot that is still needed.
    from: u64,
    /// How many events each platform has up to `end`.
    counts: BTreeMap<Pubkey, u64>,
    /// The newest transaction known that is not behind `end`.
    anchor: Option<Signature>,
    /// Platforms met in transactions that were not made ready yet.
    met: BTreeSet<Pubkey>,
    begun: Option<Instant>,
    round: Option<Round>,
    ready: VecDeque<Block>,
    /// What was fetched for the page that is being read.
    transactions: HashMap<Signature, Transaction>,
    headers: HashMap<(u64, bool), Header>,
}

struct Round {
    /// Up to there.
    slot: u64,
    tip: Header,
    /// How many events the journals have at that slot.
    journals: BTreeMap<Pubkey, u64>,
    /// Whether the list was paged back far enough; until then the next page is what is older than `before`.
    is_listed: bool,
    /// Whether it ended before what was looked for.
    reaches_end: bool,
    before: Option<Mention>,
    /// What is next to `before` on its newer side.
    previous: Option<Signature>,
    /// Pages that are still to be read, the newest first.
    pages: Vec<Page>,
    /// Of the last page read, what is in its newest slot: the next page may have more of it.
    carried: Vec<Mention>,
}

enum Page {
    Held(Vec<Mention>),
    /// What is older than `before`, down to `last`.
    Marked {
        before: Signature,
        last: Signature,
    },
}

/// Why a page was not made ready.
enum Trouble {
    Source(SourceError),
    /// The list and the journals differ.
    Contradiction {
        slot: u64,
        why: String,
    },
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl AddressSource {
    /// Reads the node at `url`, every `poll` once it has come up with it, for the database behind `pool`, which says what
    /// is there already. What it yields is final.
    ///
    /// # Errors
    /// [`SourceError::Refused`] unless `url` is an http or https address.
    pub fn new(url: &str, poll: Duration, pool: PgPool) -> Result<Self, SourceError> {
        let node = Arc::new(Node::new(url, Commitment::Finalized)?);
        Ok(Self { node, pool, poll, work: Mutex::default() })
    }

    async fn next(&self, after: Option<BlockRef>, from_slot: u64) -> Result<Next, SourceError> {
        let mut work = self.work.lock().await;
        let Work { state, contradicted } = &mut *work;
        if state.as_ref().is_none_or(|state| state.given != after) {
            *state = Some(self.resume(after, from_slot).await?);
        }
        loop {
            let Some(going) = state.as_mut() else { return Ok(Next::NothingYet) };
            if let Some(block) = going.ready.pop_front() {
                going.given = Some(BlockRef::of(&block));
                return Ok(Next::Block(Box::new(block)));
            }
            match self.advance(going, contradicted).await {
                Ok(true) => {}
                Ok(false) => return Ok(Next::NothingYet),
                Err(Trouble::Source(error)) => return Err(error),
                Err(Trouble::Contradiction { slot, why }) => {
                    if is_settled(contradicted) {
                        let why = format!("{why}; read from another node");
                        return Err(self.node.unreadable(slot, &why));
                    }
                    contradicted.get_or_insert_with(Instant::now);
                    // What is in the database is certain; from there again.
                    *state = None;
                    return Err(self.node.unavailable(&format!("the program's transactions up to slot {slot}"), why));
                }
            }
        }
    }

    /// Where the database stands, which must be `after`.
    async fn resume(&self, after: Option<BlockRef>, from_slot: u64) -> Result<State, SourceError> {
        let stored = Stored::read(&self.pool).await?;
        if stored.cursor != after {
            let name = |at: Option<BlockRef>| at.map_or_else(|| "nothing".to_owned(), |at| format!("block {at}"));
            let why = format!("it goes to {}, and not yet to {}", name(stored.cursor), name(after));
            return Err(SourceError::Stored { why, is_temporary: true });
        }
        Ok(State {
            given: after,
            end: after,
            from: after.map_or(from_slot, |after| after.slot.saturating_add(1)),
            counts: stored.counts,
            anchor: stored.newest,
            met: BTreeSet::new(),
            begun: None,
            round: None,
            ready: VecDeque::new(),
            transactions: HashMap::new(),
            headers: HashMap::new(),
        })
    }

    /// Reads a page. False if there is nothing to be read now.
    async fn advance(&self, state: &mut State, contradicted: &mut Option<Instant>) -> Result<bool, Trouble> {
        if state.round.is_none() {
            if state.begun.is_some_and(|begun| begun.elapsed() < self.poll) {
                return Ok(false);
            }
            let begun = Instant::now();
            let Some(round) = self.begin(state).await? else { return Ok(false) };
            state.round = Some(round);
            state.begun = Some(begun);
        }
        while state.round.as_ref().is_some_and(|round| !round.is_listed) {
            self.page_back(state).await?;
        }
        self.read_page(state, contradicted).await?;
        Ok(true)
    }

    /// How far this round goes, and what the list has up to there. `None` if there is no final block that is new.
    async fn begin(&self, state: &State) -> Result<Option<Round>, SourceError> {
        let platforms: Vec<Pubkey> = state.counts.keys().chain(&state.met).copied().collect();
        let since = state.end.map_or(0, |end| end.slot);
        let (slot, counts) = self.node.journals(&platforms, since).await?;
        if slot < state.from {
            return Ok(None);
        }
        let tip = self.node.header(slot, false).await?;
        let journals = platforms.into_iter().zip(counts).collect();
        Ok(Some(Round {
            slot,
            tip,
            journals,
            is_listed: false,
            reaches_end: false,
            before: None,
            previous: None,
            pages: Vec::new(),
            carried: Vec::new(),
        }))
    }

    /// Reads one page further back, until the anchor is seen; where there is none, until what is older than needed or the
    /// list's end.
    async fn page_back(&self, state: &mut State) -> Result<(), SourceError> {
        let Some(round) = state.round.as_mut() else { return Ok(()) };
        let unavailable = |why: String| self.node.unavailable("getSignaturesForAddress", why);
        let before = &round.before;
        let page = self.node.mentions(before.as_ref().map(|before| &before.signature), round.slot).await?;
        let Some(last) = page.last().cloned() else {
            let Some(anchor) = state.anchor else {
                self.confirm_end(state).await?;
                let Some(round) = state.round.as_mut() else { return Ok(()) };
                (round.is_listed, round.reaches_end) = (true, true);
                return Ok(());
            };
            // What was left out is on a page that came before.
            state.round = None;
            if let Some(end) = state.end {
                self.node.require_from(end.slot).await?;
            }
            return Err(unavailable(format!("its list ends before transaction {anchor}, which is indexed")));
        };
        if !before.iter().chain(&page).is_sorted_by(|newer, older| newer.slot >= older.slot) {
            state.round = None;
            return Err(unavailable("its list is not in order of slots".to_owned()));
        }
        round.is_listed = page.iter().any(|mention| match &state.anchor {
            Some(anchor) => mention.signature == *anchor,
            None => mention.slot < state.from,
        });
        let page_end = page.iter().rev().nth(1).map(|mention| mention.signature);
        round.pages.push(match before {
            Some(before) if !round.is_listed => Page::Marked { before: before.signature, last: last.signature },
            _ => Page::Held(page),
        });
        let previous = page_end.or_else(|| round.before.take().map(|before| before.signature));
        round.previous = previous;
        round.before = Some(last);
        Ok(())
    }

    /// That nothing is older than the last one listed, a node can say of which that one is not known. One that lists it as
    /// the last knows it.
    async fn confirm_end(&self, state: &mut State) -> Result<(), SourceError> {
        let Some(round) = state.round.as_ref() else { return Ok(()) };
        let Some(last) = &round.before else { return Ok(()) };
        let page = self.node.mentions(round.previous.as_ref(), round.slot).await?;
        if page.iter().map(|mention| mention.signature).eq([last.signature]) {
            return Ok(());
        }
        state.round = None;
        Err(self.node.unavailable("getSignaturesForAddress", "its list ends, and then it does not".to_owned()))
    }

    /// Makes the oldest page of the round ready. Nothing of `state` but what was fetched changes unless all of it is.
    async fn read_page(&self, state: &mut State, contradicted: &mut Option<Instant>) -> Result<(), Trouble> {
        let Some(round) = state.round.as_ref() else { return Ok(()) };
        let is_newest = round.pages.len() <= 1;
        let page = match round.pages.last() {
            None => Vec::new(),
            Some(Page::Held(page)) => page.clone(),
            Some(Page::Marked { before, last }) => {
                let page = self.node.mentions(Some(before), round.slot).await?;
                if page.last().is_none_or(|found| found.signature != *last) {
                    let why = format!("its list, down to transaction {last} before, is another one now");
                    state.round = None;
                    return Err(self.node.unavailable("getSignaturesForAddress", why).into());
                }
                page
            }
        };
        let mut mentions = round.carried.clone();
        mentions.extend(page.into_iter().rev().filter(|mention| (state.from..=round.slot).contains(&mention.slot)));
        let held = match mentions.last().filter(|_| !is_newest).map(|last| last.slot) {
            Some(slot) => mentions.split_off(mentions.partition_point(|mention| mention.slot < slot)),
            None => Vec::new(),
        };
        let blocks = self.blocks(&mentions, &mut state.transactions, &mut state.headers).await?;

        let Some(round) = state.round.as_mut() else { return Ok(()) };
        let mut counts = state.counts.clone();
        let mut is_judged = true;
        for block in &blocks {
            match follow(&mut counts, block) {
                Ok(()) => {}
                Err(Break::Unreadable) => {
                    is_judged = false;
                    break;
                }
                // Where it was said for long enough, the writer says what to do about it.
                Err(Break::Beginning { .. }) if is_settled(contradicted) => {
                    if round.reaches_end {
                        self.node.require_from(state.from).await?;
                    }
                    is_judged = false;
                    break;
                }
                Err(Break::Beginning { why } | Break::Gap { why }) => {
                    return Err(Trouble::Contradiction { slot: block.slot, why });
                }
            }
        }
        // What cannot be decoded stops whoever takes the block; nothing can be said of what comes after.
        if is_newest && is_judged {
            let unknown = counts.keys().filter(|platform| !round.journals.contains_key(platform)).copied();
            let unknown: Vec<Pubkey> = unknown.collect();
            if !unknown.is_empty() {
                state.met.extend(unknown);
                state.round = None;
                state.begun = None;
                return Ok(());
            }
            for (platform, count) in &round.journals {
                let found = counts.get(platform).copied().unwrap_or_default();
                if found != *count {
                    let why = format!(
                        "the transactions in its list make {found} events of platform {platform}, whose journal has {count}"
                    );
                    return Err(Trouble::Contradiction { slot: round.slot, why });
                }
            }
            *contradicted = None;
        }

        let tip = (is_newest && blocks.last().is_none_or(|last| last.slot < round.slot))
            .then(|| round.tip.block(round.slot, Vec::new()));
        for mut block in blocks.into_iter().chain(tip) {
            if let Some(end) = state.end {
                (block.parent_slot, block.parent_hash) = (end.slot, end.hash);
            }
            state.end = Some(BlockRef::of(&block));
            state.from = block.slot.saturating_add(1);
            state.ready.push_back(block);
        }
        state.counts = counts;
        state.anchor = mentions.last().map(|mention| mention.signature).or(state.anchor);
        state.met.clear();
        state.transactions.clear();
        state.headers.clear();
        round.carried = held;
        round.pages.pop();
        if is_newest {
            state.round = None;
        }
        Ok(())
    }

    /// The blocks in which transactions of a list succeeded, with these.
    async fn blocks(
        &self,
        mentions: &[Mention],
        transactions: &mut HashMap<Signature, Transaction>,
        headers: &mut HashMap<(u64, bool), Header>,
    ) -> Result<Vec<Block>, SourceError> {
        let mut by_slot = BTreeMap::<u64, Vec<&Mention>>::new();
        let mut seen = HashSet::new();
        for mention in mentions.iter().filter(|mention| !mention.failed) {
            if seen.insert(mention.signature) {
                by_slot.entry(mention.slot).or_default().push(mention);
            }
        }
        let wanted = by_slot.values().flatten().filter(|mention| !transactions.contains_key(&mention.signature));
        let wanted: Vec<Mention> = wanted.map(|mention| (*mention).clone()).collect();
        self.all(wanted, transactions, |node, mention| async move {
            node.transaction(&mention).await.map(|transaction| (mention.signature, transaction))
        })
        .await?;
        // A slot, and whether its block must say where in it each transaction is.
        let asked = |slot: u64, mentions: &[&Mention]| (slot, mentions.iter().any(|found| found.position.is_none()));
        let wanted = by_slot.iter().map(|(slot, mentions)| asked(*slot, mentions));
        let wanted: Vec<(u64, bool)> = wanted.filter(|asked| !headers.contains_key(asked)).collect();
        self.all(wanted, headers, |node, asked| async move {
            node.header(asked.0, asked.1).await.map(|header| (asked, header))
        })
        .await?;

        let mut blocks = Vec::new();
        for (slot, mentions) in by_slot {
            let what = format!("getBlock {slot}");
            let missing = |why: String| self.node.unavailable(&what, why);
            let header = headers.get(&asked(slot, &mentions)).ok_or_else(|| missing("it is gone".to_owned()))?;
            let mut shown = Vec::with_capacity(mentions.len());
            for mention in mentions {
                let mut transaction = transactions
                    .get(&mention.signature)
                    .cloned()
                    .ok_or_else(|| missing("a transaction of it is gone".to_owned()))?;
                if transaction.position.is_none() {
                    let place = header.signatures.iter().position(|signature| *signature == mention.signature);
                    let place = place.ok_or_else(|| missing(format!("it lacks transaction {}", mention.signature)))?;
                    transaction.position = u32::try_from(place).ok();
                }
                shown.push(transaction);
            }
            shown.sort_by_key(|transaction| transaction.position);
            blocks.push(header.block(slot, shown));
        }
        Ok(blocks)
    }

    /// Asks for all, some at once, and keeps what was answered although something else was not.
    async fn all<Q, K, V, F>(
        &self,
        questions: Vec<Q>,
        answers: &mut HashMap<K, V>,
        ask: impl Fn(Arc<Node>, Q) -> F,
    ) -> Result<(), SourceError>
    where
        K: Eq + std::hash::Hash + Send + 'static,
        V: Send + 'static,
        F: Future<Output = Result<(K, V), SourceError>> + Send + 'static,
    {
        let mut questions = questions.into_iter();
        let mut asked = JoinSet::new();
        for question in questions.by_ref().take(AT_ONCE) {
            asked.spawn(ask(Arc::clone(&self.node), question));
        }
        let mut failed = None;
        while let Some(answer) = asked.join_next().await {
            match answer.map_err(|error| self.node.unavailable("a question", error.to_string())) {
                Ok(Ok((key, value))) => {
                    answers.insert(key, value);
                    if failed.is_none()
                        && let Some(question) = questions.next()
                    {
                        asked.spawn(ask(Arc::clone(&self.node), question));
                    }
                }
                // What does not go away is worth more than what does.
                Ok(Err(error)) | Err(error) => {
                    if failed.as_ref().is_none_or(SourceError::is_temporary) {
                        failed = Some(error);
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Whether the list contradicted the journals for so long that it will not change.
fn is_settled(contradicted: &Option<Instant>) -> bool {
    contradicted.is_some_and(|since| since.elapsed() >= PATIENCE)
}

/// Why a block's events do not go on where their platforms' journals stand.
enum Break {
    /// An event that this code does not know.
    Unreadable,
    /// The first event of a platform that nothing is known of is not its first.
    Beginning { why: String },
    /// An event is left out, or came before.
    Gap { why: String },
}

/// Counts a block's events.
fn follow(counts: &mut BTreeMap<Pubkey, u64>, block: &Block) -> Result<(), Break> {
    for transaction in &block.transactions {
        for found in transaction.events().map_err(|_| Break::Unreadable)? {
            let platform = Pubkey::new_from_array(found.event.platform());
            let index = found.event.journal_index();
            let expected = counts.get(&platform).copied();
            if index != expected.unwrap_or_default() {
                let why = format!(
                    "transaction {} has event {index} of platform {platform}, where event {} is next; a transaction \
                     is not in its list",
                    transaction.signature,
                    expected.unwrap_or_default()
                );
                return Err(match expected {
                    None => Break::Beginning { why },
                    Some(_) => Break::Gap { why },
                });
            }
            counts.insert(platform, index.saturating_add(1));
        }
    }
    Ok(())
}

impl Header {
    fn block(&self, slot: u64, transactions: Vec<Transaction>) -> Block {
        Block {
            slot,
            hash: self.hash,
            parent_slot: self.parent_slot,
            parent_hash: self.parent_hash,
            time: self.time,
            transactions,
        }
    }
}

#[async_trait]
impl BlockSource for AddressSource {
    fn commitment(&self) -> Commitment {
        Commitment::Finalized
    }

    async fn genesis_hash(&self) -> Result<Hash, SourceError> {
        self.node.genesis_hash().await
    }

    async fn tip(&self) -> Result<u64, SourceError> {
        self.node.final_slot_since(0).await
    }

    async fn require(&self, cursor: &BlockRef) -> Result<(), SourceError> {
        let header = match self.node.header(cursor.slot, false).await {
            Ok(header) => header,
            Err(error) if error.is_temporary() => {
                self.node.require_from(cursor.slot).await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        if header.hash == cursor.hash {
            return Ok(());
        }
        Err(SourceError::Forked {
            node: self.node.name().to_owned(),
            cursor: *cursor,
            slot: cursor.slot,
            parent: BlockRef { slot: header.parent_slot, hash: header.parent_hash },
        })
    }

    async fn first(&self, from_slot: Option<u64>) -> Result<Next, SourceError> {
        self.next(None, from_slot.unwrap_or_default()).await
    }

    async fn next_after(&self, cursor: &BlockRef) -> Result<Next, SourceError> {
        self.next(Some(*cursor), 0).await
    }

    async fn wait(&self, _slot: Option<u64>) {
        sleep(self.poll).await;
    }
}
