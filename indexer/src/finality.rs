//! What is written before it is final. When the chain's final slot has passed it, it is audited: then it is final, or the
//! chain passes it by and it is taken back. That the node does not answer only puts that off.

use crate::{
    error::IndexError,
    run::{Indexer, gauge},
    source::{BlockRef, Mined, SourceError, Verdict},
    stretch::Stretch,
    write::{Provisional, Writer},
};
use rebate_client::chain::Commitment;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tracing::{info, warn};

/// How many stretches one audit takes at most. At the tip these are blocks.
const AT_ONCE: u32 = 64;

/// What the audit lets the writing know.
pub(crate) struct Heard {
    /// What the source knows to be final.
    final_slot: AtomicU64,
    /// Something was settled.
    settled: Notify,
}

impl Heard {
    pub fn new(final_slot: u64) -> Self {
        Self { final_slot: AtomicU64::new(final_slot), settled: Notify::new() }
    }
}

/// A stretch that the final chain passes by.
pub(crate) struct Vanished {
    end: BlockRef,
    why: String,
}

impl Indexer {
    /// Whether what the source yields can still be taken back.
    pub(crate) fn is_provisional(&self) -> bool {
        self.source.commitment() != Commitment::Finalized
    }

    /// Audits until something has vanished.
    pub(crate) async fn audit(&self, writer: &Writer, heard: &Heard) -> Result<Vanished, IndexError> {
        loop {
            let slot = self.ask_source(None, || self.source.final_slot()).await?;
            heard.final_slot.fetch_max(slot, Ordering::Relaxed);
            let passed = writer.provisional_up_to(slot, AT_ONCE).await?;
            if let Some(vanished) = self.settle(writer, &passed).await? {
                return Ok(vanished);
            }
            self.metrics.provisional.set(gauge(writer.provisional().await?));
            heard.settled.notify_waiters();
            if passed.len() < AT_ONCE as usize {
                sleep(self.options.audit_every).await;
            }
        }
    }

    /// Settles what of `passed` is final. Returns the first that has vanished.
    async fn settle(&self, writer: &Writer, passed: &[Provisional]) -> Result<Option<Vanished>, IndexError> {
        let Some(last) = passed.last() else { return Ok(None) };
        // What the last builds on is final if it is.
        let mined: Vec<Mined> = passed.iter().flat_map(|stretch| stretch.transactions.iter().copied()).collect();
        if self.ask_source(None, || self.source.audit(&last.end, &mined)).await? == Verdict::Final {
            self.note_final(writer, &last.end).await?;
            return Ok(None);
        }
        for stretch in passed {
            match self.ask_source(None, || self.source.audit(&stretch.end, &stretch.transactions)).await? {
                Verdict::Final => self.note_final(writer, &stretch.end).await?,
                Verdict::Vanished { why } => return Ok(Some(Vanished { end: stretch.end, why })),
            }
        }
        Ok(None)
    }

    async fn note_final(&self, writer: &Writer, end: &BlockRef) -> Result<(), IndexError> {
        if writer.settle(end).await? > 0 {
            self.metrics.final_slot.set(gauge(end.slot));
        }
        Ok(())
    }

    /// Whether what is to be written is final already, as it is while catching up. That its slot is passed does not say so:
    /// the chain may have passed it by.
    pub(crate) async fn is_final(&self, stretch: &Stretch, heard: &Heard) -> bool {
        match stretch.end() {
            Some(end) if end.slot <= heard.final_slot.load(Ordering::Relaxed) => {
                // Where the source does not say so now, the audit will find out.
                matches!(self.source.audit(&end, &[]).await, Ok(Verdict::Final))
            }
            _ => false,
        }
    }

    /// Waits while too much is provisional.
    pub(crate) async fn wait_for_room(&self, writer: &Writer, heard: &Heard) -> Result<(), IndexError> {
        let mut told = false;
        loop {
            let settled = heard.settled.notified();
            let provisional = writer.provisional().await?;
            self.metrics.provisional.set(gauge(provisional));
            if provisional < self.options.provisional_at_most {
                if told {
                    info!("the chain's final slot moves again; going on");
                }
                return Ok(());
            }
            if !told {
                told = true;
                warn!(
                    provisional,
                    "what was written is too far ahead of what is final; waiting until the audit gets on"
                );
            }
            // Another may settle it too.
            let _ = timeout(self.options.audit_every, settled).await;
        }
    }

    /// Takes back what has vanished.
    pub(crate) async fn revert_vanished(&self, writer: &Writer, vanished: &Vanished) -> Result<(), IndexError> {
        self.revert(writer, &vanished.end, &vanished.why).await?;
        Ok(())
    }

    /// Takes back the last stretch where the source's chain has left ours before it was final. Reading has `begun` after this
    /// block.
    ///
    /// # Errors
    /// The error itself where the database stands at that block and it is final.
    pub(crate) async fn revert_forked(
        &self,
        writer: &Writer,
        begun: Option<BlockRef>,
        error: SourceError,
    ) -> Result<(), IndexError> {
        let SourceError::Forked { cursor, slot, parent, .. } = &error else { return Err(error.into()) };
        let why = format!("the node's block at slot {slot} builds on {parent}");
        if self.revert(writer, cursor, &why).await? {
            return Ok(());
        }
        // Another indexer may have taken it back already; or it was read in this go and has become final since, while it waited
        // to be written: then the node was on a fork when it was asked, and is asked again.
        let stands = self.ask_database(None, || writer.cursor()).await?.map(|stands| stands.at);
        if stands == Some(*cursor) && begun == stands { Err(error.into()) } else { Ok(()) }
    }

    async fn revert(&self, writer: &Writer, end: &BlockRef, why: &str) -> Result<bool, IndexError> {
        let Some(reverted) = writer.revert(end).await? else { return Ok(false) };
        self.metrics.reverts.inc();
        let to = reverted.to.map_or_else(|| "the beginning".to_owned(), |block| format!("block {block}"));
        warn!(
            from_slot = reverted.from.slot,
            to_slot = reverted.to.map_or(0, |block| block.slot),
            stretches = reverted.stretches,
            "the chain passed block {end} by before it was final ({why}); what was written from it to block {} is taken \
             back, going on from {to}",
            reverted.from,
        );
        Ok(true)
    }
}
