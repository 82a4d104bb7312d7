//! What one process knows while it has the lock, and what it does again and again: take what is due, write it down, send it.

use super::{
    Options, Outbox, OutboxError, grouping,
    making::{Attempt, Made},
    queue::{self, Due, Fate, Submission},
    record::Record,
    refunds::{Proof, ProveError, Prover},
    sender::Sender,
    table::Keeper,
};
use futures_util::future::join_all;
use rebate_client::{chain::Dispatch, plan::Plan};
use rebate_core::payment::Payment;
use solana_transaction::versioned::VersionedTransaction;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};
use tokio::{task::JoinSet, time::Instant};

/// After so many attempts a payment shares no transaction any more.
const ALONE: i32 = 2;

/// How many refunds are proved at once.
const PROOFS: usize = 4;

/// A transaction under way.
pub(super) struct Flight {
    pub(super) submission: Submission,
    pub(super) transaction: VersionedTransaction,
    pub(super) sent: Instant,
}

/// What one process knows while it has the lock. All of it can be found out again.
pub(super) struct Round<'a, C> {
    pub(super) outbox: &'a Outbox<C>,
    pub(super) plan: Plan,
    pub(super) sender: Sender<C>,
    pub(super) prover: Prover<C>,
    pub(super) keeper: Keeper<C>,
    pub(super) flights: Vec<Flight>,
    /// Refunds whose orders are being proved.
    pub(super) proofs: JoinSet<(i64, i32, Result<Proof, ProveError>)>,
    pub(super) proving: Vec<i64>,
    /// And those that are proved.
    pub(super) proved: HashMap<i64, Payment>,
    pub(super) used_journal: Option<Instant>,
    pub(super) held_until: Option<Instant>,
    pub(super) is_gathering: bool,
    pub(super) measured: Option<Instant>,
    pub(super) height_at: Option<Instant>,
}

impl<'a, C: Dispatch + Clone + 'static> Round<'a, C> {
    pub(super) async fn begin(outbox: &'a Outbox<C>) -> Result<Self, OutboxError> {
        let plan = Plan::new(&outbox.chain, outbox.platform, outbox.payer.key()).await?;
        let addresses = *plan.addresses();
        let contended = vec![addresses.platform, addresses.rule_book, addresses.journal];
        let Options { fees, look, resend, .. } = outbox.options;
        let payer = Arc::clone(&outbox.payer);
        let sender = Sender::new(outbox.chain.clone(), payer, fees, contended, look, resend);
        let prover = Prover::new(outbox.pool.clone(), outbox.chain.clone(), sender.clone(), addresses);
        let (pool, metrics) = (outbox.pool.clone(), outbox.metrics.clone());
        let keeper = Keeper::new(pool, outbox.chain.clone(), sender.clone(), addresses, &outbox.options, metrics);
        let mut flights = Vec::new();
        for submission in queue::open(&outbox.pool, &outbox.platform).await? {
            let transaction = wincode::deserialize(&submission.transaction)
                .map_err(|_| OutboxError::Unreadable(submission.signature))?;
            // Nobody knows whether it was ever sent.
            outbox.chain.send(&transaction).await?;
            flights.push(Flight { submission, transaction, sent: Instant::now() });
        }
        Ok(Self {
            outbox,
            plan,
            sender,
            prover,
            keeper,
            flights,
            proofs: JoinSet::new(),
            proving: Vec::new(),
            proved: HashMap::new(),
            used_journal: None,
            held_until: None,
            is_gathering: false,
            measured: None,
            height_at: None,
        })
    }

    /// Makes transactions of what is due, writes them down and sends them. Whether there may be more.
    pub(super) async fn fill(&mut self) -> Result<bool, OutboxError> {
        let outbox = self.outbox;
        let Outbox { chain, pool, options, metrics, .. } = outbox;
        self.collect_proofs().await?;
        self.keeper.tend();
        self.is_gathering = false;
        if self.held_until.is_some_and(|until| Instant::now() < until) {
            return Ok(false);
        }
        let room = options.under_way.saturating_sub(self.flights.len());
        if room == 0 {
            return Ok(false);
        }
        let most = room.saturating_mul(options.batch);
        let wanted = queue::Wanted {
            busy: &self.proving,
            refunds: self.proving.len() < PROOFS,
            proved: &self.proved.keys().copied().collect::<Vec<_>>(),
            most: i64::try_from(most).unwrap_or(i64::MAX),
        };
        let due = queue::due(pool, &outbox.platform, wanted).await?;
        if due.is_empty() {
            metrics.held.set(0);
            return Ok(false);
        }
        let is_all = due.len() < most;
        let mut groups = self.groups(due, is_all).await?;
        if groups.is_empty() {
            return Ok(false);
        }
        let (mut made, mut fates) = (Vec::new(), Vec::new());
        let mut refreshed = false;
        while !groups.is_empty() && made.len() < room {
            let some = groups.drain(..groups.len().min(room.saturating_sub(made.len()))).collect();
            let mut is_outdated = false;
            let mut hold = None;
            let Made { attempts, left } = self.attempts(some).await?;
            for group in self.shared(left) {
                groups.push_front(group);
            }
            for (mut group, attempt) in attempts {
                match attempt {
                    Attempt::Ready(flight) => {
                        metrics.key_refused.set(0);
                        made.push(*flight);
                    }
                    Attempt::Refused(mut words) => {
                        // Who has two in here is told of the second once the first is through.
                        let mut firsts = grouping::firsts(&group).into_iter();
                        words.retain(|_| firsts.next() == Some(true));
                        group.retain(|due| words.iter().any(|(id, _)| *id == due.id));
                        // The word on records that were not sent: where one is said to be recorded, it was before.
                        fates.extend(self.fates(&group, words, None).await?);
                    }
                    Attempt::NoTable(why) => {
                        self.keeper.lost(&why);
                        groups.push_front(group);
                    }
                    Attempt::KeyRefused(why) => {
                        if metrics.key_refused.get() == 0 {
                            tracing::error!(why, "the program does not take the oracle's key");
                        }
                        metrics.key_refused.set(1);
                        fates.extend(group.iter().map(|due| (due.id, outbox.without_key(due, &why))));
                    }
                    Attempt::Outdated(_) if !refreshed => {
                        is_outdated = true;
                        groups.push_front(group);
                    }
                    Attempt::TooLarge | Attempt::Outdated(_) | Attempt::Spoiled { .. } if group.len() > 1 => {
                        // One that spoils it must not keep the others: halves, down to single ones.
                        let half = group.len() / 2;
                        let second = grouping::cut(&mut group, half);
                        if !second.is_empty() {
                            groups.push_front(second);
                        }
                        groups.push_front(group);
                    }
                    Attempt::TooLarge => {
                        let dead = |due: &Due| (due.id, Fate::Dead("it does not fit into a transaction".to_owned()));
                        fates.extend(group.iter().map(dead));
                    }
                    Attempt::Outdated(why) | Attempt::Spoiled { why, for_good: false } => {
                        self.plan.forget();
                        fates.extend(group.iter().map(|due| (due.id, outbox.again(due.attempts, why.clone()))));
                    }
                    Attempt::Spoiled { why, for_good: true } => {
                        fates.extend(group.iter().map(|due| (due.id, Fate::Dead(why.clone()))));
                    }
                    Attempt::Hold(why) => hold = Some(why),
                }
            }
            if is_outdated {
                refreshed = true;
                self.plan.refresh(chain).await?;
            }
            if let Some(why) = hold {
                tracing::error!(why, "nothing can be sent");
                metrics.held.set(1);
                self.held_until = Some(Instant::now() + options.hold);
                self.plan.forget();
                break;
            }
        }
        if self.held_until.is_none_or(|until| Instant::now() >= until) {
            self.held_until = None;
            metrics.held.set(0);
        }
        if !fates.is_empty() {
            queue::settle(pool, &fates).await?;
            outbox.count(&fates);
            // What is decided needs its proof no more.
            fates.iter().filter(|(_, fate)| !matches!(fate, Fate::Again { .. })).for_each(|(id, _)| {
                self.proved.remove(id);
            });
        }
        let has_made = !made.is_empty();
        self.dispatch(made).await?;
        Ok((has_made || !fates.is_empty()) && !is_all)
    }

    /// Writes down what is ready, then sends it.
    pub(super) async fn dispatch(&mut self, made: Vec<Flight>) -> Result<(), OutboxError> {
        if made.is_empty() {
            return Ok(());
        }
        let Outbox { chain, pool, platform, metrics, .. } = self.outbox;
        let submissions = made.iter().map(|flight| flight.submission.clone()).collect();
        let written = queue::write(pool, platform, submissions).await?;
        let written: HashSet<_> = written.iter().map(|written| written.signature).collect();
        let made: Vec<_> = made.into_iter().filter(|flight| written.contains(&flight.submission.signature)).collect();
        let sent = join_all(made.iter().map(|flight| chain.send(&flight.transaction))).await;
        // It is written down, and sent again later.
        for error in sent.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "a transaction was perhaps not sent");
        }
        for flight in made {
            metrics.transactions.inc();
            flight.submission.records.iter().for_each(|due| {
                self.proved.remove(&due.id);
            });
            self.flights.push(flight);
        }
        Ok(())
    }

    /// What goes into one transaction each: payments together, everything else by itself. Payments too few for a whole
    /// transaction wait a little for others.
    async fn groups(&mut self, due: Vec<Due>, is_all: bool) -> Result<VecDeque<Vec<Due>>, OutboxError> {
        let Outbox { pool, platform, options, .. } = self.outbox;
        let (mut groups, mut payments) = (Vec::new(), Vec::new());
        for due in due {
            match due.bytes.first() {
                // One that failed with others before goes by itself: what it fails of is then its own.
                Some(1) if due.signed.is_none() && due.attempts < ALONE => payments.push(due),
                Some(2) if !self.proved.contains_key(&due.id) => self.prove(due),
                _ => groups.push(vec![due]),
            }
        }
        let batch = options.batch.clamp(1, 255);
        if batch > 1 {
            let firsts: Vec<_> =
                payments.iter().filter_map(|due| Some((due.id, grouping::user(due)?.0.to_vec()))).collect();
            let most = i64::try_from(batch).unwrap_or(i64::MAX);
            payments.extend(queue::following(pool, platform, &firsts, most).await?);
        }
        let is_fresh = |due: &Due| due.age < options.gather && due.attempts == 0;
        if is_all && payments.len() < batch && !payments.is_empty() && payments.iter().all(is_fresh) {
            self.is_gathering = true;
        } else {
            groups.extend(self.shared(payments));
        }
        Ok(groups.into())
    }

    /// Payments that are to share transactions.
    fn shared(&self, payments: Vec<Due>) -> Vec<Vec<Due>> {
        let batch = self.outbox.options.batch.clamp(1, 255);
        grouping::groups(grouping::by_user(payments), batch, |order, at| self.plan.shard_of(order, at))
    }

    /// Begins to prove the order of a refund, unless enough are.
    pub(super) fn prove(&mut self, due: Due) {
        let Some(Record::Refund(refund)) = Record::decode(&due.bytes) else { return };
        if self.proving.len() >= PROOFS {
            return;
        }
        self.proving.push(due.id);
        self.used_journal = Some(Instant::now());
        let prover = self.prover.clone();
        self.proofs.spawn(async move { (due.id, due.attempts, prover.prove(&refund).await) });
    }
}
