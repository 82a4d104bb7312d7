//! Everything a program outside the chain needs to talk to the rebate program: addresses, instructions, accounts,
//! events, signing records, and submitting them to a chain.

pub mod account;
pub mod address;
pub mod block;
pub mod chain;
pub mod definition;
pub mod error;
pub mod event;
pub mod explorer;
pub mod history;
pub mod instruction;
pub mod lookup;
pub mod merkle;
pub mod oracle;
pub mod plan;
pub mod platform_id;
pub mod proof;
pub mod recorder;
pub mod replay;
pub mod unsigned;
pub mod verify;

pub use solana_program::pubkey::Pubkey;
