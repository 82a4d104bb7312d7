//! Before a refund can be recorded, its order is proved to the program: by the event of the payment, which stands in the
//! transaction that the queue remembers, and by the event's path to a peak of the journal.

use super::{
    queue,
    sender::{SendError, Sender},
};
use rebate_client::{
    account,
    address::Addresses,
    chain::{ChainError, Dispatch},
    event::Event,
    history::{HistoryError, JournalHistory, RecordedOrder},
    plan::{Plan, ProofSteps},
    recorder::RecordError,
};
use rebate_core::{
    payment::Payment,
    refund::Refund,
    refusal::Refusal,
    units::{JournalIndex, OrderHash, Timestamp, UserKey},
};
use solana_signature::Signature;
use sqlx::PgPool;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::Mutex;

/// How often a proof goes on where the journal grows meanwhile. Each time it gets to a higher peak, which stays for twice as
/// many events.
const ATTEMPTS: usize = 40;

/// What a proof came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The order is proved; this is what was paid.
    Proved(Payment),
    /// The refund would be refused whatever the journal says, for this reason.
    Refused(String),
}

/// Why an order is not proved yet.
#[derive(Debug, Error)]
pub enum ProveError {
    /// The queue cannot be asked.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The accounts cannot be read, or somebody else is at it.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The journal cannot be read back.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A transaction did not succeed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It never ended.
    #[error("the journal grows faster than the proof is followed")]
    Grows,
    /// The payment is dead: it may still be brought onto the chain.
    #[error("the payment that it refunds is not on chain: {0}")]
    PaymentDead(String),
}

impl From<ChainError> for ProveError {
    fn from(error: ChainError) -> Self {
        Self::Record(error.into())
    }
}

/// Proves orders, one at a time: all paths come from one copy of the journal, which is read back once.
#[derive(Clone)]
pub struct Prover<C> {
    pool: PgPool,
    chain: C,
    sender: Sender<C>,
    addresses: Addresses,
    journal: Arc<Mutex<Option<JournalHistory<C>>>>,
}

impl<C: Dispatch + Clone + 'static> Prover<C> {
    /// For the platform at `addresses`.
    pub fn new(pool: PgPool, chain: C, sender: Sender<C>, addresses: Addresses) -> Self {
        Self { pool, chain, sender, addresses, journal: Arc::default() }
    }

    /// Proves the order that `refund` refunds, unless it is proved. Broken off, it goes on where it stopped the next time.
    ///
    /// # Errors
    /// [`ProveError`]; trying again helps.
    pub async fn prove(&self, refund: &Refund) -> Result<Proof, ProveError> {
        let plan = Plan::new(&self.chain, self.addresses.platform, self.sender.payer()).await?;
        let refused = |refusal: Refusal| Ok(Proof::Refused(refusal.name().to_owned()));
        let now = Timestamp(self.chain.now().await?);
        match plan.platform().admission(now).check(refund.amount, refund.paid_at) {
            // A clock that is off passes; the program is asked. Too late may be what is on chain already: it is asked as well.
            Ok(()) | Err(Refusal::FromTheFuture | Refusal::TooLate) => {}
            Err(refusal) => return refused(refusal),
        }
        if let Some(account) = plan.proved(&self.chain, &refund.of).await? {
            return Ok(Proof::Proved(paid(&account)));
        }
        let known = queue::paid(&self.pool, &self.addresses.platform, &refund.of.0).await?;
        let stored = match &known {
            Some(queue::Paid { state: 3, signature: Some(signature), .. }) => self.event(signature, &refund.of).await?,
            Some(queue::Paid { state: 4, reason, .. }) => {
                let why = reason.as_deref().unwrap_or("no reason");
                return Ok(Proof::Refused(format!("{}: its payment was refused: {why}", Refusal::UnknownOrder.name())));
            }
            Some(queue::Paid { state: 5, reason, .. }) => {
                return Err(ProveError::PaymentDead(reason.clone().unwrap_or_default()));
            }
            _ => None,
        };
        let recorded = match stored {
            Some(recorded) => recorded,
            None => {
                // Another oracle's payment, or one from before a restored backup: the whole journal is looked through.
                let wanted = [refund.of];
                let mut journal = JournalHistory::new(self.chain.clone(), self.addresses, wanted, Box::new(|_, _| {}));
                match journal.order(&refund.of).await? {
                    Some(recorded) => recorded,
                    None => return refused(Refusal::UnknownOrder),
                }
            }
        };
        if refund.amount > recorded.payment.amount {
            return refused(Refusal::OverRefund);
        }
        for _ in 0..ATTEMPTS {
            let path = self.path(&recorded).await?;
            let steps = plan.proof(&self.chain, &refund.of, &recorded.event, &path).await;
            let ProofSteps { close, transactions } = steps?;
            for instructions in close.map(|close| vec![close]).into_iter().chain(transactions) {
                self.sender.deliver(&instructions).await?;
            }
            if plan.proved(&self.chain, &refund.of).await?.is_some() {
                return Ok(Proof::Proved(recorded.payment));
            }
        }
        Err(ProveError::Grows)
    }

    async fn path(&self, recorded: &RecordedOrder) -> Result<Vec<rebate_core::journal::Hash>, ProveError> {
        let mut journal = self.journal.lock().await;
        let history = journal
            .get_or_insert_with(|| JournalHistory::new(self.chain.clone(), self.addresses, [], Box::new(|_, _| {})));
        Ok(history.path(recorded).await?)
    }

    /// Lets go of the copy of the journal.
    pub fn rest(&self) {
        if let Ok(mut journal) = self.journal.try_lock() {
            *journal = None;
        }
    }

    /// The payment's event in the transaction that recorded it; `None` if the node does not show that any more.
    async fn event(&self, signature: &Signature, order: &OrderHash) -> Result<Option<RecordedOrder>, ProveError> {
        let Some(ended) = self.chain.ended(signature).await? else { return Ok(None) };
        let events = ended.transaction.events().map_err(|error| HistoryError::Event(*signature, error))?;
        let found = events.into_iter().find_map(|emitted| match emitted.event {
            Event::PaymentRecorded(event)
                if event.order == order.0 && event.platform == self.addresses.platform.to_bytes() =>
            {
                Some(RecordedOrder {
                    index: JournalIndex(event.journal_index),
                    payment: Payment::from(&event),
                    event: emitted.bytes,
                })
            }
            _ => None,
        });
        Ok(found)
    }
}

/// What is known of the payment of a proved order.
fn paid(proved: &account::Refund) -> Payment {
    Payment {
        order: OrderHash(proved.order),
        user: UserKey(proved.user),
        amount: proved.paid,
        paid_at: proved.paid_at,
        streamer: proved.streamer,
        session: proved.session,
        ..Payment::default()
    }
}
