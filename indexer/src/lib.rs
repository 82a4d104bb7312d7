//! Mirrors every event of the rebate program into Postgres: lossless, exactly once, provable.
//!
//! A [`source::BlockSource`] yields blocks, each proved to follow the one before by its parent's slot and hash.
//! [`stretch::Stretch`] decodes consecutive blocks, [`write::Writer`] writes a stretch in one transaction that moves the
//! cursor too, and [`run::Indexer`] drives both until it is told to stop. What was not written is read again. What was written before it
//! was final is audited once it should be, and taken back if the chain passes it by.

pub mod database;
pub mod error;
mod finality;
pub mod metrics;
mod retry;
pub mod run;
pub mod source;
mod standby;
pub mod status;
pub mod stretch;
mod watch;
pub mod write;

pub use error::IndexError;
pub use run::{Indexer, Options};
