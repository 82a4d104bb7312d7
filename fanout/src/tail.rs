//! What the end of a stream has already: its own memory of ids ends with its duplicate window, and a publisher may have
//! been away for longer, between publishing and noting that it did.

use crate::nats::NatsError;
use async_nats::{
    header::NATS_MESSAGE_ID,
    jetstream::stream::{RawMessageErrorKind, Stream},
};
use futures_util::{StreamExt, stream};
use std::collections::HashSet;
use tracing::warn;

/// Marks the last message of a batch; its value is the slot through which the stream has everything.
pub(crate) const COMPLETE_THROUGH: &str = "Rebate-Complete-Through";

/// At most so many messages are looked at: several batches.
const AT_MOST: u64 = 65_536;

/// How many are asked for at once.
const AT_ONCE: u64 = 256;

/// What a stream has.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    through: Option<i64>,
    ids: HashSet<String>,
}

impl Tail {
    /// Reads the end of a stream back to the end of the last whole batch.
    pub async fn read(stream: &Stream) -> Result<Self, NatsError> {
        let info = stream.get_info().await.map_err(|error| NatsError::unreachable("show the stream")(&error))?;
        let (first, mut last) = (info.state.first_sequence.max(1), info.state.last_sequence);
        let floor = last.saturating_sub(AT_MOST).max(first.saturating_sub(1));
        let mut tail = Self::default();
        // The newest alone first: mostly it ends a batch.
        let mut chunk = 1;
        while last > floor {
            let from = last.saturating_sub(chunk).max(floor);
            let mut messages = stream::iter((from.saturating_add(1)..=last).rev())
                .map(|sequence| stream.get_raw_message(sequence))
                .buffered(AT_ONCE as usize);
            while let Some(message) = messages.next().await {
                let message = match message {
                    Ok(message) => message,
                    Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => continue,
                    Err(error) => return Err(NatsError::unreachable("show a message")(&error)),
                };
                if let Some(slot) = message.headers.get(COMPLETE_THROUGH).and_then(|slot| slot.as_str().parse().ok()) {
                    tail.through = Some(slot);
                    return Ok(tail);
                }
                if let Some(id) = message.headers.get(NATS_MESSAGE_ID) {
                    tail.ids.insert(id.as_str().to_owned());
                }
            }
            (last, chunk) = (from, AT_ONCE);
        }
        if floor >= first {
            warn!("the stream's last {AT_MOST} messages end no batch; what lies before them may be repeated");
        }
        Ok(tail)
    }

    /// The slot through which the stream has everything; `None` where its messages do not say.
    pub fn through(&self) -> Option<i64> {
        self.through
    }

    /// Whether the stream has all of a slot.
    pub fn is_past(&self, slot: i64) -> bool {
        self.through.is_some_and(|through| slot <= through)
    }

    /// Whether it has the message `id`.
    pub fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }
}
