//! Tells others what the indexer wrote: to NATS JetStream, and from there to webhooks.
//!
//! [`publish::Publisher`] reads final events from the indexer's database and publishes each once, deduplicated by its
//! message id. [`webhooks::sender::Sender`] consumes them and posts each, signed, to who wants it.

pub mod database;
pub mod error;
pub mod events;
pub mod fields;
pub mod message;
pub mod metrics;
pub mod nats;
mod pauses;
pub mod positions;
pub mod publish;
mod tail;
mod wake;
pub mod webhooks;

pub use error::FanoutError;
