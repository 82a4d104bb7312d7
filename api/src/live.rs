//! What is new, as the indexer commits it: one reader for everybody who listens.
//!
//! One task waits for the indexer's notices, reads each platform's new events once, and hands them out as the bytes that
//! clients get. A client has a [`Mark`]: how many events of the journal it has, and the head of the tree over them, which
//! says that it has exactly those. A mark is also the id of a server-sent event, so that whoever comes back, or lags,
//! goes on from the table: with the next event if the journal still begins with what the mark is over, and otherwise from
//! what was final then, after being told that the rest is void.

mod frames;
mod reader;

pub(crate) use frames::{LiveEvent, LiveFrame};

use crate::{
    language::Language,
    page::{Key, List, Scope},
    problem::{Detail, Kind, Problem},
    snapshot::Snapshot,
    state::ApiState,
    value::{Address, Hash},
};
use axum::body::Bytes;
use frames::Batch;
use rebate_core::journal;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

/// How many batches a client may lag behind before it has to read from the table.
const BEHIND: usize = 64;

/// How many events are read at once.
const PAGE: u64 = 500;

/// How often is looked where no notice came: one may be lost with its connection, and what becomes final is not told.
const AT_LEAST_EVERY: Duration = Duration::from_secs(2);

/// The same where the database takes no listeners, as a standby does not.
const WITHOUT_NOTICES: Duration = Duration::from_millis(200);

/// How long a client waits for the reader where the two do not agree on what the journal is.
const DISAGREEMENT: Duration = Duration::from_millis(50);

/// How far somebody is in a platform's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// How many events there are up to here.
    pub count: u64,
    /// How many of them are final: those stay.
    pub last_final: u64,
    /// The first bytes of the head of the tree over them.
    head: [u8; 16],
}

impl Mark {
    fn new(count: u64, last_final: u64, head: &journal::Hash) -> Self {
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(head) {
            *to = *from;
        }
        Self { count, last_final: last_final.min(count), head: short }
    }

    /// Whether it is over the same events as `other`.
    fn is_at(&self, other: &Self) -> bool {
        (self.count, self.head) == (other.count, other.head)
    }

    /// The id of the server-sent event that a client with these events got last.
    pub fn id(&self, platform: Address) -> String {
        scope(platform).cursor(self)
    }

    /// The mark of an id.
    ///
    /// # Errors
    /// Where it is none of this platform's.
    pub fn of_id(id: &str, platform: Address) -> Result<Self, Problem> {
        scope(platform).key(id)
    }
}

fn scope(platform: Address) -> Scope {
    Scope::new(List::Live, &[&platform.0])
}

impl Key for Mark {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.count.to_be_bytes());
        bytes.extend(self.last_final.to_be_bytes());
        bytes.extend(self.head);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk()?;
        let (last_final, head) = rest.split_first_chunk()?;
        let mark = Self {
            count: u64::from_be_bytes(*count),
            last_final: u64::from_be_bytes(*last_final),
            head: head.try_into().ok()?,
        };
        // What no journal can hold was made up.
        (mark.count < 1 << 40 && mark.last_final <= mark.count).then_some(mark)
    }
}

/// One platform's news.
struct Feed {
    news: broadcast::Sender<Arc<News>>,
    /// After the last of them.
    mark: Mark,
}

/// What is new.
enum News {
    /// Events after the ones before.
    Events(Batch),
    /// Everything after this mark is void.
    Reverted(Mark),
}

/// Where clients get what is new.
pub struct Live {
    feeds: Mutex<HashMap<[u8; 32], Feed>>,
    /// Wakes the reader.
    wake: Notify,
    room: Arc<Semaphore>,
    /// Set once the reader is there.
    reads: Mutex<bool>,
    /// Ends everything.
    token: CancellationToken,
}

impl Live {
    /// Room for so many clients.
    pub fn new(most: usize) -> Self {
        Self {
            feeds: Mutex::default(),
            wake: Notify::new(),
            room: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            reads: Mutex::new(false),
            token: CancellationToken::new(),
        }
    }

    /// Ends every client's connection, and the reader.
    pub fn close(&self) {
        self.token.cancel();
    }

    fn feeds(&self) -> MutexGuard<'_, HashMap<[u8; 32], Feed>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The news from now on, and after which mark they come. Both at one moment, so that nothing falls between.
    fn join(&self, platform: Address) -> Option<(broadcast::Receiver<Arc<News>>, Mark)> {
        let feeds = self.feeds();
        let feed = feeds.get(&platform.0)?;
        Some((feed.news.subscribe(), feed.mark))
    }

    /// Begins a platform's news after `mark`, unless somebody did before.
    fn begin(&self, platform: Address, mark: Mark) {
        self.feeds().entry(platform.0).or_insert_with(|| Feed { news: broadcast::Sender::new(BEHIND), mark });
        self.wake.notify_one();
    }

    /// Tells everybody who listens to the platform.
    fn tell(&self, platform: [u8; 32], news: News) {
        if let Some(feed) = self.feeds().get_mut(&platform) {
            feed.mark = match &news {
                News::Events(batch) => batch.end(),
                News::Reverted(mark) => *mark,
            };
            // Where nobody listens just now, there is nobody to tell.
            let _none = feed.news.send(Arc::new(news));
        }
    }

    /// The platforms that somebody listens to, and after which mark their news come. Others are forgotten.
    fn wanted(&self) -> Vec<([u8; 32], Mark)> {
        let mut feeds = self.feeds();
        feeds.retain(|_, feed| feed.news.receiver_count() > 0);
        feeds.iter().map(|(platform, feed)| (*platform, feed.mark)).collect()
    }

    /// A platform whose events became final, or not: the mark of its news is over the same events.
    fn settle(&self, platform: [u8; 32], mark: Mark) {
        if let Some(feed) = self.feeds().get_mut(&platform)
            && feed.mark.is_at(&mark)
        {
            feed.mark = mark;
        }
    }

    fn start(live: &Arc<Self>, state: &ApiState) {
        let mut reads = live.reads.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reads {
            *reads = true;
            tokio::spawn(reader::read(Arc::downgrade(live), state.pool().clone(), live.token.clone()));
        }
    }
}

/// A client.
pub struct Client {
    live: Arc<Live>,
    state: ApiState,
    platform: Address,
    /// Whose events; everybody's, if `None`.
    user: Option<[u8; 32]>,
    language: Language,
    mark: Mark,
    news: Option<broadcast::Receiver<Arc<News>>>,
    /// What is to be said first.
    greeting: Option<Bytes>,
    heartbeat: Duration,
    _room: OwnedSemaphorePermit,
}

impl Client {
    /// A client that has what `id` says, or wants what is new from now on.
    ///
    /// # Errors
    /// Where there is no room, the database does not answer, or the id is none.
    pub async fn new(
        state: &ApiState,
        mut snapshot: Snapshot,
        platform: Address,
        user: Option<Hash>,
        id: Option<&str>,
    ) -> Result<Self, Problem> {
        let live = Arc::clone(state.live());
        let room = Arc::clone(&live.room).try_acquire_owned();
        let room = room.map_err(|_| Problem::new(Kind::Overloaded, Detail::TooManyLive))?;
        let asked = id.map(|id| Mark::of_id(id, platform)).transpose()?;
        let now = reader::mark(&mut snapshot, platform).await?;
        let language = snapshot.language();
        live.begin(platform, now);
        Live::start(&live, state);
        let mark = asked.unwrap_or(now);
        Ok(Self {
            live,
            state: state.clone(),
            platform,
            user: user.map(|user| user.0),
            language,
            mark,
            news: None,
            greeting: Some(frames::ready(platform, &mark, &snapshot.as_of())),
            heartbeat: state.settings().heartbeat,
            _room: room,
        })
    }

    /// What the client is to get next; `None` where it is to come back, or the server stops.
    pub async fn next(mut self) -> Option<(Bytes, Self)> {
        if let Some(greeting) = self.greeting.take() {
            return Some((greeting, self));
        }
        let token = self.live.token.clone();
        let bytes = tokio::select! {
            biased;
            () = token.cancelled() => None,
            bytes = self.bytes() => bytes,
        };
        bytes.map(|bytes| (bytes, self))
    }

    async fn bytes(&mut self) -> Option<Bytes> {
        let wait = tokio::time::sleep(self.heartbeat);
        tokio::pin!(wait);
        loop {
            let Some(news) = &mut self.news else {
                match self.catch_up().await {
                    Ok(Some(bytes)) => return Some(bytes),
                    Ok(None) => continue,
                    Err(problem) => {
                        tracing::warn!(?problem, "a live connection ends; its client can come back");
                        return None;
                    }
                }
            };
            let told = tokio::select! {
                told = news.recv() => told,
                // The id alone: so a client that gets little does not have to go back far.
                () = &mut wait => return Some(frames::heartbeat(self.platform, &self.mark)),
            };
            match told.as_deref() {
                Ok(News::Events(batch)) => {
                    if !batch.begin().is_at(&self.mark) {
                        self.news = None;
                        continue;
                    }
                    self.mark = batch.end();
                    let bytes = batch.bytes(self.language, self.user.as_ref());
                    if !bytes.is_empty() {
                        return Some(bytes);
                    }
                }
                Ok(News::Reverted(mark)) => {
                    if mark.count < self.mark.count {
                        self.mark = *mark;
                        return Some(frames::reverted(self.platform, mark));
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => self.news = None,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// One step from the table towards the news: a page of events, what is void, or nothing where the client is there.
    async fn catch_up(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some((news, mark)) = self.live.join(self.platform) else {
            // Nobody listened for a moment.
            let mut snapshot = Snapshot::take(self.state.pool(), None).await?;
            self.live.begin(self.platform, reader::mark(&mut snapshot, self.platform).await?);
            return Ok(None);
        };
        if mark.is_at(&self.mark) {
            self.news = Some(news);
            return Ok(None);
        }
        let mut snapshot = Snapshot::take(self.state.pool(), None).await?;
        if !reader::begins_with(&mut snapshot, self.platform, &mark).await? {
            // The reader has not seen yet what the table is now.
            self.live.wake.notify_one();
            tokio::time::sleep(DISAGREEMENT).await;
            return Ok(None);
        }
        if self.mark.count > mark.count || !reader::begins_with(&mut snapshot, self.platform, &self.mark).await? {
            // A chain that began anew has nothing of what the client has.
            let valid = if self.mark.last_final > mark.count { 0 } else { self.mark.last_final };
            self.mark = reader::mark_at(&mut snapshot, self.platform, valid, mark.last_final).await?;
            return Ok(Some(frames::reverted(self.platform, &self.mark)));
        }
        let end = mark.count.min(self.mark.count.saturating_add(PAGE));
        let batch = reader::batch(&mut snapshot, self.platform, (self.mark, end, mark.last_final)).await?;
        self.mark = batch.end();
        let bytes = batch.bytes(self.language, self.user.as_ref());
        Ok((!bytes.is_empty()).then_some(bytes))
    }
}

/// The live part of a server that may be gone.
type Listening = Weak<Live>;
