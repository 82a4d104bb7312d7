//! What became of records: of those that were sent, of refunds whose orders were being proved, and what follows from it.

use super::{
    Outbox, OutboxError,
    landing::{self, Word},
    queue::{self, Due, Fate, Submission},
    refunds::{Proof, ProveError},
    round::{Flight, Round},
    sender::SendError,
};
use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::future::join_all;
use rebate_client::{
    chain::{Dispatch, Ended, SIGNATURES_AT_ONCE, SubmitError},
    recorder::RecordError,
};
use solana_signature::Signature;
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

/// How many transactions are read at once.
const READ_AT_ONCE: usize = 16;

impl<C: Dispatch + Clone + 'static> Outbox<C> {
    /// What becomes of a record that was tried once more in vain.
    pub(super) fn again(&self, attempts: i32, reason: String) -> Fate {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.options.shortest_pause)
            .with_max_delay(self.options.longest_pause)
            .with_max_times(usize::try_from(self.options.attempts).unwrap_or(usize::MAX).saturating_sub(1));
        match pauses.build().nth(usize::try_from(attempts).unwrap_or_default()) {
            Some(pause) => Fate::Again { reason, pause, counts: true },
            None => Fate::Dead(format!("{reason} (given up after {} attempts)", attempts.saturating_add(1))),
        }
    }

    /// What becomes of a record while the program does not take the key that it is to be signed with.
    pub(super) fn without_key(&self, due: &Due, why: &str) -> Fate {
        match due.age < self.options.key_patience {
            // Nothing of that is the record's fault.
            true => Fate::Again { reason: why.to_owned(), pause: self.options.hold.saturating_mul(15), counts: false },
            false => Fate::Dead(why.to_owned()),
        }
    }

    pub(super) fn count(&self, fates: &[(i64, Fate)]) {
        for (id, fate) in fates {
            match fate {
                Fate::Recorded { .. } => self.metrics.recorded.inc(),
                Fate::Refused(reason) => {
                    self.metrics.refused.inc();
                    tracing::info!(record = id, reason, "refused");
                }
                Fate::Dead(reason) => {
                    self.metrics.died.inc();
                    tracing::error!(record = id, reason, "needs an operator");
                }
                Fate::Again { reason, .. } => tracing::info!(record = id, reason, "tried again later"),
            }
        }
    }
}

impl<C: Dispatch + Clone + 'static> Round<'_, C> {
    /// Finds out what became of what was sent.
    pub(super) async fn look(&mut self) -> Result<(), OutboxError> {
        let Outbox { chain, pool, options, metrics, .. } = self.outbox;
        if self.flights.is_empty() {
            return Ok(());
        }
        // First the height, then the transactions: what is not seen after the last block it can be in was is in none.
        let is_time = self.height_at.is_none_or(|asked| asked.elapsed() >= options.look.saturating_mul(5));
        let height = if is_time { chain.block_height().await? } else { 0 };
        if is_time {
            self.height_at = Some(Instant::now());
        }
        let signatures: Vec<_> = self.flights.iter().map(|flight| flight.submission.signature).collect();
        let mut seen = Vec::new();
        for chunk in signatures.chunks(SIGNATURES_AT_ONCE) {
            seen.extend(chain.seen(chunk, false).await?);
        }
        // What is confirmed is read all at once.
        let confirmed = signatures.iter().zip(&seen).filter(|(_, seen)| seen.is_some_and(|seen| seen.is_confirmed));
        let confirmed: Vec<_> = confirmed.map(|(signature, _)| *signature).collect();
        let mut ended = HashMap::new();
        for some in confirmed.chunks(READ_AT_ONCE) {
            let read = join_all(some.iter().map(|signature| chain.ended(signature))).await;
            for (signature, read) in some.iter().zip(read) {
                ended.insert(*signature, read?);
            }
        }
        let mut still = Vec::new();
        for (mut flight, seen) in std::mem::take(&mut self.flights).into_iter().zip(seen) {
            let signature = flight.submission.signature;
            let is_over = height > flight.submission.last_block_height;
            let seen = match seen {
                None if is_over => chain.seen(&[signature], true).await?.pop().flatten(),
                seen => seen,
            };
            match seen {
                Some(seen) if seen.is_confirmed => {
                    let ended = match ended.remove(&signature) {
                        Some(ended) => ended,
                        None => chain.ended(&signature).await?,
                    };
                    match ended {
                        Some(ended) => self.end(&flight, ended).await?,
                        // The node does not show it yet.
                        None => still.push(flight),
                    }
                }
                None if is_over => {
                    metrics.expired.inc();
                    self.plan.forget();
                    let reason = "its transaction did not land before its blockhash expired".to_owned();
                    // That is the chain's or the node's affair, not the record's: it does not count.
                    let again = Fate::Again { reason, pause: Duration::ZERO, counts: false };
                    let fates: Vec<_> = flight.submission.records.iter().map(|due| (due.id, again.clone())).collect();
                    queue::end(pool, &signature, &fates).await?;
                }
                seen => {
                    if seen.is_none() && flight.sent.elapsed() >= options.resend {
                        flight.sent = Instant::now();
                        metrics.resent.inc();
                        chain.send(&flight.transaction).await?;
                    }
                    still.push(flight);
                }
            }
        }
        self.flights = still;
        Ok(())
    }

    /// Says what became of the records of a transaction that is in a confirmed block.
    async fn end(&mut self, flight: &Flight, ended: Ended) -> Result<(), OutboxError> {
        let outbox = self.outbox;
        let Submission { signature, records, .. } = &flight.submission;
        let words = match &ended.failed {
            None => landing::words(records, &ended).map_err(|error| OutboxError::Event(*signature, error))?,
            Some(SubmitError::Refused { error, .. }) if error.is_refusal() => {
                landing::refused(records, &ended.logs, error.name())
            }
            Some(failed) => {
                // It would have succeeded when it was simulated: things changed on the way, and are looked up again.
                self.plan.forget();
                let again = |due: &Due| (due.id, outbox.again(due.attempts, failed.to_string()));
                let fates: Vec<_> = records.iter().map(again).collect();
                if queue::end(&outbox.pool, signature, &fates).await? {
                    outbox.count(&fates);
                }
                return Ok(());
            }
        };
        let at = Some((*signature, ended.slot));
        let fates = self.fates(records, words, at).await?;
        if queue::end(&outbox.pool, signature, &fates).await? {
            outbox.count(&fates);
        }
        Ok(())
    }

    pub(super) async fn fates(
        &self,
        records: &[Due],
        words: Vec<(i64, Word)>,
        at: Option<(Signature, u64)>,
    ) -> Result<Vec<(i64, Fate)>, OutboxError> {
        let outbox = self.outbox;
        let mut fates = Vec::new();
        for (due, (id, word)) in records.iter().zip(words) {
            let again = |reason| outbox.again(due.attempts, reason);
            let fate = landing::fate(&outbox.chain, self.plan.addresses(), due, word, at, again).await?;
            fates.push((id, fate));
        }
        Ok(fates)
    }

    pub(super) async fn collect_proofs(&mut self) -> Result<(), OutboxError> {
        let mut fates = Vec::new();
        while let Some(joined) = self.proofs.try_join_next() {
            // Nobody aborts these tasks.
            let Ok((id, attempts, proof)) = joined else { continue };
            self.proving.retain(|proving| *proving != id);
            match proof {
                Ok(Proof::Proved(payment)) => {
                    self.proved.insert(id, payment);
                }
                Ok(Proof::Refused(reason)) => fates.push((id, Fate::Refused(reason))),
                // The node is away, or the database is: that is not the record's fault.
                Err(ProveError::Database(error)) => return Err(error.into()),
                Err(
                    error @ (ProveError::Record(RecordError::Submit(SubmitError::Chain(_)))
                    | ProveError::Send(
                        SendError::Submit(SubmitError::Chain(_)) | SendError::Expired | SendError::Sign(_),
                    )
                    | ProveError::History(rebate_client::history::HistoryError::Chain(_))),
                ) => {
                    let again =
                        Fate::Again { reason: error.to_string(), pause: self.outbox.options.hold, counts: false };
                    fates.push((id, again));
                }
                Err(error) => {
                    let is_poor = self.outbox.funds().await? < self.outbox.options.least_funds;
                    let fate = match is_poor {
                        true => {
                            let reason = format!("the payer is out of funds: {error}");
                            Fate::Again { reason, pause: self.outbox.options.hold, counts: false }
                        }
                        false => self.outbox.again(attempts, error.to_string()),
                    };
                    fates.push((id, fate));
                }
            }
        }
        if !fates.is_empty() {
            queue::settle(&self.outbox.pool, &fates).await?;
            self.outbox.count(&fates);
        }
        Ok(())
    }
}
