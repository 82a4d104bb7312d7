//! The one way into the database: a stretch of blocks, or nothing of it.

mod assets;
mod copy;
mod cursor;
mod events;
mod journals;
mod ledger;
mod month;
mod oracle_keys;
mod outcomes;
mod payments;
mod platforms;
mod provisional;
mod redemptions;
mod refunds;
mod rollups;
mod rules;
mod tree;
mod users;
mod vaults;
mod wallets;

pub use cursor::Cursor;
pub use provisional::{Provisional, Reverted};

use crate::{
    database::DatabaseError,
    source::BlockRef,
    stretch::{Found, Stretch},
};
use month::{Made, Month, Months};
use rebate_client::{Pubkey, chain::Commitment, event::Event};
use rust_decimal::Decimal;
use solana_program::hash::Hash;
use sqlx::{PgConnection, PgPool};
use thiserror::Error;
use time::OffsetDateTime;

/// Why a stretch was not written. Nothing of it was.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The cursor is not where the stretch begins. Stop: somebody else writes to this database.
    #[error(
        "the cursor is no longer at {expected}: another indexer writes to this database; \
         stop one of them, nothing was written"
    )]
    Fenced {
        /// Where it should be.
        expected: String,
    },
    /// An event contradicts what is stored. Stop: either something was missed or the program is newer than this code.
    #[error(
        "event {journal_index} of platform {platform} ({name}) contradicts what is stored: {what}; nothing of its \
         block was written. Compare the database with the chain, and rebuild it from the platform's first block if it \
         is the database that is wrong"
    )]
    Contradiction {
        /// The platform.
        platform: Pubkey,
        /// The event's position in its journal.
        journal_index: u64,
        /// What kind of event it is.
        name: &'static str,
        /// What differs.
        what: String,
    },
    /// Events are missing. Stop: they lie before the blocks that were read.
    #[error(
        "the journal of platform {platform} goes on with event {found}, but the database has only those before \
         {expected}; index into an empty database from the slot in which the platform was created (--from-slot) or \
         earlier"
    )]
    Gap {
        /// The platform.
        platform: Pubkey,
        /// The event that should come next.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// From this many new events on, COPY is faster than UNNEST: for each table it is two round trips where that is one, and it
/// costs less for each row.
const COPY_FROM: usize = 50;

/// What writing a stretch added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Events that were not there yet.
    pub events: usize,
}

/// Writes stretches of one chain's blocks.
#[derive(Clone, Debug)]
pub struct Writer {
    pool: PgPool,
    genesis_hash: Hash,
    commitment: Commitment,
    copy_from: usize,
    months: Made,
    rollups: rollups::Filled,
}

impl Writer {
    /// Writes blocks of the chain that begins with `genesis_hash`, which are as sure as `commitment` says.
    pub fn new(pool: PgPool, genesis_hash: Hash, commitment: Commitment) -> Self {
        Self {
            pool,
            genesis_hash,
            commitment,
            copy_from: COPY_FROM,
            months: Made::default(),
            rollups: rollups::Filled::default(),
        }
    }

    /// Writes stretches of so many new events or more by COPY, shorter ones by UNNEST. The tables are the same; only a
    /// measurement or a test has a reason to set it.
    pub fn copying_from(self, events: usize) -> Self {
        Self { copy_from: events, ..self }
    }

    /// Which chain's blocks it writes.
    pub fn genesis_hash(&self) -> Hash {
        self.genesis_hash
    }

    /// How sure the blocks are.
    pub fn commitment(&self) -> Commitment {
        self.commitment
    }

    /// Where to go on; `None` in an empty database.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn cursor(&self) -> Result<Option<Cursor>, DatabaseError> {
        cursor::read(&self.pool).await
    }

    /// Makes the partitions for what comes next, where the chain stands at `now`. What a stretch needs is made with it; this
    /// only keeps that from being while somebody waits for it.
    ///
    /// # Errors
    /// [`DatabaseError`]; then nothing was made.
    pub async fn make_ready(&self, now: OffsetDateTime) -> Result<(), DatabaseError> {
        Ok(self.months.make_ahead(&self.pool, now).await?)
    }

    /// Writes a stretch and moves the cursor behind it, in one transaction. Its last block must be final; then everything
    /// before it is, and what was provisional of that is so no more.
    ///
    /// A stretch whose events are there already only moves the cursor. The cursor's row is taken first and kept to the
    /// end, so that two writers come one after the other and the second finds itself fenced.
    ///
    /// # Errors
    /// [`WriteError`]; then nothing was written. If the connection breaks at the very end, the database may
    /// nevertheless have committed: read the cursor again.
    pub async fn write(&self, stretch: &Stretch) -> Result<Written, WriteError> {
        self.write_as(stretch, true).await
    }

    /// As [`Self::write`], of a stretch that the chain can still take back: so can [`Self::revert`], until
    /// [`Self::settle`].
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_provisional(&self, stretch: &Stretch) -> Result<Written, WriteError> {
        self.write_as(stretch, false).await
    }

    async fn write_as(&self, stretch: &Stretch, is_final: bool) -> Result<Written, WriteError> {
        let written = self.write_once(stretch, is_final).await;
        if written.is_err() {
            self.months.forget();
            self.rollups.forget();
        }
        written
    }

    async fn write_once(&self, stretch: &Stretch, is_final: bool) -> Result<Written, WriteError> {
        let Some(end) = stretch.end().filter(|_| stretch.blocks() > 0) else { return Ok(Written::default()) };
        self.months.make(&self.pool, stretch).await?;
        self.rollups.ensure(&self.pool).await?;
        let mut transaction = self.pool.begin().await?;
        let to = cursor::Step {
            genesis_hash: self.genesis_hash,
            commitment: self.commitment,
            from: stretch.start(),
            to: end,
            time: stretch.time(),
            is_final,
            month: stretch.events().iter().map(|found| Month::of(found.at)).max(),
        };
        let before = if is_final {
            cursor::advance(&mut transaction, &to).await?
        } else {
            provisional::begin(&mut transaction, &to, stretch).await?
        };
        let written = if stretch.events().is_empty() {
            Written::default()
        } else {
            let months = Months::of(stretch, before);
            write_events(&mut transaction, stretch, months, self.copy_from).await?
        };
        transaction.commit().await?;
        Ok(written)
    }

    /// How many stretches are provisional.
    ///
    /// # Errors
    /// [`WriteError::Database`].
    pub async fn provisional(&self) -> Result<u64, WriteError> {
        provisional::count(&self.pool).await
    }

    /// The first `limit` provisional stretches that end at `slot` or before, in order.
    ///
    /// # Errors
    /// [`WriteError::Database`].
    pub async fn provisional_up_to(&self, slot: u64, limit: u32) -> Result<Vec<Provisional>, WriteError> {
        provisional::up_to(&self.pool, slot, limit).await
    }

    /// Notes that the provisional stretch that ends with `end` is final, and all before it with it. Returns how many these
    /// were: none if there is no such stretch any more.
    ///
    /// # Errors
    /// [`WriteError::Database`]; then nothing has changed.
    pub async fn settle(&self, end: &BlockRef) -> Result<u64, WriteError> {
        provisional::settle(&self.pool, end).await
    }

    /// Takes the provisional stretch that ends with `end` back, and all after it, in one transaction: every table is as it
    /// was before, and the cursor with them. Without such a stretch nothing happens, and `None` is returned.
    ///
    /// # Errors
    /// [`WriteError`]; then nothing has changed.
    pub async fn revert(&self, end: &BlockRef) -> Result<Option<Reverted>, WriteError> {
        provisional::revert(&self.pool, end).await
    }
}

/// How a stretch's rows are written.
struct Plan {
    months: Months,
    /// By COPY rather than by UNNEST.
    copies: bool,
}

async fn write_events(
    connection: &mut PgConnection,
    stretch: &Stretch,
    months: Months,
    copy_from: usize,
) -> Result<Written, WriteError> {
    // From here on only what was not there before: whatever sums something up must not see an event twice.
    let fresh = journals::advance(connection, stretch, &months).await?;
    let plan = Plan { months, copies: fresh.len() >= copy_from };
    events::add(connection, stretch, &fresh, &plan).await?;
    for found in &fresh {
        decide(connection, found).await?;
    }
    let paid = payments::of(&fresh)?;
    payments::add(connection, &paid, &plan).await?;
    users::add(connection, &paid).await?;
    refunds::add(connection, &fresh, &plan).await?;
    redemptions::add(connection, &fresh, &plan).await?;
    wallets::add(connection, &fresh).await?;
    let (mut outcomes, mut steps) = (Vec::new(), Vec::new());
    for found in &fresh {
        let of_event = outcomes::of(found)?;
        steps.extend(ledger::steps(found, &of_event));
        outcomes.extend(of_event);
    }
    let facts = rules::require(connection, &outcomes).await?;
    outcomes::add(connection, &outcomes, &plan).await?;
    let entries = ledger::add(connection, &steps, &plan).await?;
    rules::count(connection, &fresh, &entries).await?;
    assets::owe(connection, &fresh, &entries).await?;
    rollups::add(connection, &fresh, &facts).await?;
    cursor::tell(connection, stretch.slots_with_events()).await?;
    Ok(Written { events: fresh.len() })
}

/// Writes what is no user's record: what the platform's people decide, and what moves in its vaults. There is little of it,
/// and one can build on the other, so it goes one by one.
async fn decide(connection: &mut PgConnection, found: &Found) -> Result<(), WriteError> {
    match &found.event {
        Event::PlatformCreated(event) => platforms::create(connection, found, event).await,
        Event::RoleChanged(event) => platforms::change_role(connection, found, event).await,
        Event::SettingChanged(event) => platforms::change_setting(connection, found, event).await,
        Event::PauseChanged(event) => platforms::set_paused(connection, event).await,
        Event::OffsetAdded(event) => platforms::add_offset(connection, event).await,
        Event::OrderShardsChanged(event) => platforms::change_order_shards(connection, event).await,
        Event::DayClosed(event) => platforms::close_day(connection, event).await,
        Event::OracleKeyRegistered(event) => oracle_keys::register(connection, event).await,
        Event::OracleKeyRetired(event) => oracle_keys::retire(connection, found, event).await,
        Event::AssetAdded(event) => assets::add(connection, found, event).await,
        Event::VaultOpened(event) => vaults::open(connection, found, event).await,
        Event::Deposited(event) => vaults::deposit(connection, found, event).await,
        Event::SurplusWithdrawn(event) => vaults::withdraw(connection, found, event).await,
        Event::Claimed(event) => vaults::pay_out(connection, found, event).await,
        Event::RulePublished(event) => rules::publish(connection, found, event).await,
        Event::RuleEnded(event) => rules::end(connection, found, event).await,
        Event::RuleDropped(event) => rules::drop_version(connection, found, event).await,
        Event::PaymentRecorded(_)
        | Event::RefundRecorded(_)
        | Event::Redeemed(_)
        | Event::BalanceExpired(_)
        | Event::WalletLinked(_) => Ok(()),
    }
}

/// The moment at Unix time `seconds`, which an event says of something.
fn moment(found: &Found, what: &str, seconds: i64) -> Result<OffsetDateTime, WriteError> {
    OffsetDateTime::from_unix_timestamp(seconds)
        .map_err(|_| contradiction(found, format!("{what} at {seconds}, which is no date")))
}

/// The error about one event.
fn contradiction(found: &Found, what: impl Into<String>) -> WriteError {
    WriteError::Contradiction {
        platform: Pubkey::new_from_array(found.event.platform()),
        journal_index: found.event.journal_index(),
        name: found.event.name(),
        what: what.into(),
    }
}

fn decimal(amount: u64) -> Decimal {
    Decimal::from(amount)
}

fn start_text(start: Option<BlockRef>) -> String {
    start.map_or_else(|| "the start of an empty database".to_owned(), |at| format!("block {at}"))
}
