//! The built program on a chain inside the process, an instruction a file.
#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

mod artifact;
mod counters;
mod create_platform;
mod expiry;
mod governance;
mod idl;
mod open_accounts;
mod oracle_keys;
mod pages;
mod proving;
mod publish_rule;
mod record_payments;
mod recorder;
mod redemption;
mod refund;
mod register_oracle_key;
mod rules;
mod set_paused;
mod signed_message;
mod vault;
mod wallet_link;
