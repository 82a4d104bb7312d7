//! What the tests that cross folders share.

pub mod artifacts;
pub mod beside;
pub mod database;
pub mod draw;
pub mod platform;
pub mod proxy;
pub mod recomputed;
pub mod sound;
pub mod token;
pub mod transparency;
