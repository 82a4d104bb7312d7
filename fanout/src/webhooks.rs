//! Webhooks: the first consumer of the stream. Every event that an endpoint wants is posted to it, signed as Standard
//! Webhooks (standardwebhooks.com) has it, until the endpoint says yes or the attempts are used up.
//!
//! [`queue::Queue`] turns the stream's messages into rows, one for each endpoint: once a row is committed, the message is
//! acknowledged. [`sender::Sender`] takes rows that are due and posts their events, which it reads from the indexer's tables,
//! so that what is sent again is the same bytes, also after the stream forgot them. Each endpoint has a turn of its own: a
//! slow one keeps nobody else waiting.

pub mod delivery;
pub mod endpoint;
pub mod queue;
pub mod secret;
pub mod sender;
