//! What the tests that cross folders share.

pub mod artifacts;
pub mod database;
pub mod platform;
pub mod token;
