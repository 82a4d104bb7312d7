//! What reads for everybody.

use super::{AT_LEAST_EVERY, Listening, Live, Mark, News, PAGE, WITHOUT_NOTICES, frames::Batch};
use crate::{
    book::Book,
    problem::Problem,
    snapshot::Snapshot,
    tree::Tree,
    value::{Address, Hash, Instant, Signature},
};
use rebate_client::{
    event::Event,
    merkle::{Run, Subtree},
};
use rebate_core::journal::{self, MAX_PEAKS};
use sqlx::{PgPool, postgres::PgListener};
use std::{collections::HashMap, time::Duration};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// What the indexer notifies of every block with events.
const CHANNEL: &str = "rebate_block";

/// An event as it is stored.
pub(super) struct Stored {
    pub journal_index: i64,
    pub at: Instant,
    pub event: Event,
    pub leaf: journal::Hash,
    pub slot: i64,
    pub signature: Signature,
}

/// Reads what is new, and tells everybody, until there is nobody any more.
pub(super) async fn read(live: Listening, pool: PgPool, token: CancellationToken) {
    let mut listener = None;
    let mut books = HashMap::new();
    loop {
        let Some(there) = live.upgrade() else { return };
        for (platform, mark) in there.wanted() {
            if let Err(problem) = tell(&there, &pool, &mut books, (platform, mark)).await {
                tracing::warn!(?problem, "what is new cannot be read just now");
            }
        }
        books.retain(|platform, _| there.feeds().contains_key(platform));
        tokio::select! {
            () = token.cancelled() => return,
            () = there.wake.notified() => {}
            () = notice(&pool, &mut listener) => {}
        }
    }
}

/// Waits for the indexer's notice, or until it is time to look without one.
async fn notice(pool: &PgPool, listener: &mut Option<PgListener>) {
    let Some(listening) = listener else {
        let listen = async {
            let mut listener = PgListener::connect_with(pool).await?;
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        match listen.await {
            // What was committed before it listened is found by looking at once.
            Ok(listening) => *listener = Some(listening),
            Err(_) => sleep(WITHOUT_NOTICES).await,
        }
        return;
    };
    match timeout(AT_LEAST_EVERY, listening.try_recv()).await {
        // One look is enough for all that came.
        Ok(Ok(Some(_))) => while listening.next_buffered().is_some() {},
        // The connection broke, and some notices with it.
        Ok(Ok(None) | Err(_)) => {
            *listener = None;
            sleep(Duration::from_millis(20)).await;
        }
        Err(_) => {}
    }
}

/// Tells what one platform has that is new, in one state of the database.
async fn tell(
    live: &Live,
    pool: &PgPool,
    books: &mut HashMap<[u8; 32], Book>,
    (platform, mut told): ([u8; 32], Mark),
) -> Result<(), Problem> {
    let of = Address(platform);
    let mut snapshot = Snapshot::take(pool, None).await?;
    let now = mark(&mut snapshot, of).await?;
    if now.is_at(&told) {
        live.settle(platform, now);
        return Ok(());
    }
    if !begins_with(&mut snapshot, of, &told).await? {
        // The journal begins with what was final then; a chain that began anew has nothing of it.
        let valid = if told.last_final <= now.count { told.last_final } else { 0 };
        told = mark_at(&mut snapshot, of, valid, now.last_final).await?;
        books.remove(&platform);
        live.tell(platform, News::Reverted(told));
    }
    while told.count < now.count {
        let end = now.count.min(told.count.saturating_add(PAGE));
        let events = events(&mut snapshot, of, told.count, end).await?;
        if events.iter().any(|stored| changes_book(&stored.event)) || !books.contains_key(&platform) {
            books.insert(platform, Book::of(&mut snapshot, of).await?);
        }
        let Some(book) = books.get(&platform) else { return Ok(()) };
        let batch = make(&mut snapshot, of, book, &events, (told, now.last_final)).await?;
        told = batch.end();
        live.tell(platform, News::Events(batch));
    }
    Ok(())
}

/// Whether what outcomes are called can be other after the event.
fn changes_book(event: &Event) -> bool {
    matches!(
        event,
        Event::RulePublished(_)
            | Event::RuleEnded(_)
            | Event::RuleDropped(_)
            | Event::AssetAdded(_)
            | Event::OffsetAdded(_)
    )
}

/// The mark after the last event.
pub(super) async fn mark(snapshot: &mut Snapshot, platform: Address) -> Result<Mark, Problem> {
    let tree = Tree::of(snapshot, platform).await?;
    let as_of = snapshot.as_of();
    let last_final = if as_of.final_slot.is_some_and(|slot| slot >= as_of.as_of_slot) {
        tree.count()
    } else {
        // What can be taken back is what undo knows the journal without.
        let kept = sqlx::query_scalar!(
            "SELECT min(CASE operation WHEN 'INSERT' THEN 0 ELSE (content ->> 'leaf_count')::bigint END)
             FROM undo WHERE relation LIKE '%.journals' AND (content ->> 'platform')::bytea = $1",
            &platform.0
        )
        .fetch_one(snapshot.connection())
        .await?;
        kept.map_or(tree.count(), |kept| u64::try_from(kept).unwrap_or_default())
    };
    Ok(Mark::new(tree.count(), last_final, &tree.head().head.0))
}

/// The mark after the first `count` events.
pub(super) async fn mark_at(
    snapshot: &mut Snapshot,
    platform: Address,
    count: u64,
    last_final: u64,
) -> Result<Mark, Problem> {
    let mut tree = Tree::of(snapshot, platform).await?;
    let head = head_at(&mut tree, snapshot, count).await?;
    Ok(Mark::new(count, last_final, &head.0))
}

async fn head_at(tree: &mut Tree, snapshot: &mut Snapshot, count: u64) -> Result<Hash, Problem> {
    if count == 0 {
        return Ok(Hash(journal::root(0, &[])));
    }
    if count == tree.count() {
        return Ok(tree.head().head);
    }
    let heads = tree.heads(snapshot, &[Run::whole(count)]).await?;
    heads.first().copied().ok_or_else(|| Problem::internal(&"fewer heads than runs"))
}

/// Whether the journal begins with what the mark is over.
pub(super) async fn begins_with(snapshot: &mut Snapshot, platform: Address, mark: &Mark) -> Result<bool, Problem> {
    let mut tree = Tree::of(snapshot, platform).await?;
    if mark.count > tree.count() {
        return Ok(false);
    }
    let head = head_at(&mut tree, snapshot, mark.count).await?;
    Ok(Mark::new(mark.count, mark.last_final, &head.0).is_at(mark))
}

/// The events after `mark` up to the first `end`, of a journal that begins with what the mark is over.
pub(super) async fn batch(
    snapshot: &mut Snapshot,
    platform: Address,
    (mark, end, last_final): (Mark, u64, u64),
) -> Result<Batch, Problem> {
    let book = Book::of(snapshot, platform).await?;
    let events = events(snapshot, platform, mark.count, end).await?;
    make(snapshot, platform, &book, &events, (mark, last_final)).await
}

async fn make(
    snapshot: &mut Snapshot,
    platform: Address,
    book: &Book,
    events: &[Stored],
    (mark, last_final): (Mark, u64),
) -> Result<Batch, Problem> {
    let mut tree = Tree::of(snapshot, platform).await?;
    let standing = (0..MAX_PEAKS as u8).filter(|height| mark.count >> height & 1 == 1);
    // Below 2^39, as every journal index is below 2^40.
    let subtrees: Vec<Subtree> =
        standing.map(|height| Subtree { height, position: mark.count >> height >> 1 << 1 }).collect();
    let runs: Vec<Run> = subtrees.iter().map(|subtree| Run::of(*subtree)).collect();
    let heads = tree.heads(snapshot, &runs).await?;
    let mut peaks = [[0; 32]; MAX_PEAKS];
    for (subtree, head) in subtrees.iter().zip(heads) {
        if let Some(peak) = peaks.get_mut(usize::from(subtree.height)) {
            *peak = head.0;
        }
    }
    let mut count = mark.count;
    let mut marks = Vec::with_capacity(events.len());
    for stored in events {
        journal::append(&mut count, &mut peaks, stored.leaf).map_err(|_| Problem::internal(&"the journal is full"))?;
        marks.push(Mark::new(count, last_final, &journal::root(count, &peaks)));
    }
    Batch::new(platform, book, &snapshot.as_of(), mark, events, &marks)
}

async fn events(snapshot: &mut Snapshot, platform: Address, from: u64, end: u64) -> Result<Vec<Stored>, Problem> {
    let rows = sqlx::query!(
        r#"SELECT e.journal_index, e.at AS "at: Instant", e.bytes, t.slot, e.signature AS "signature: Signature"
           FROM events e JOIN transactions t ON t.signature = e.signature AND t.month = e.month
           WHERE e.platform = $1 AND e.journal_index >= $2 AND e.journal_index < $3
                 AND e.month BETWEEN month_of($1, $2) AND month_of($1, $3)
           ORDER BY e.journal_index"#,
        &platform.0,
        i64::try_from(from).unwrap_or(i64::MAX),
        i64::try_from(end).unwrap_or(i64::MAX),
    )
    .fetch_all(snapshot.connection())
    .await?;
    if u64::try_from(rows.len()).ok() != Some(end.saturating_sub(from)) {
        return Err(Problem::internal(&format_args!("of events {from} to {end} some are not stored")));
    }
    rows.into_iter()
        .map(|row| {
            Ok(Stored {
                journal_index: row.journal_index,
                at: row.at,
                event: Event::decode(&row.bytes).map_err(|error| Problem::internal(&error))?,
                leaf: journal::leaf(&row.bytes),
                slot: row.slot,
                signature: row.signature,
            })
        })
        .collect()
}
