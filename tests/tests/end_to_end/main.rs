//! Everything together: a real validator, a real Postgres, and the project's commands as processes of their own.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by any panic")]

mod api;
mod backtest;
mod console;
mod deadline;
mod demo;
mod examples;
mod fanout;
mod ledger;
mod mismatch;
mod network;
mod postgres_restart;
mod process;
mod proof;
mod schemathesis;
mod services;
mod unreachable;
mod validator_address;
mod validator_commands;
mod validator_demo;
mod validator_finality;
mod validator_kill;
mod validator_once;
mod validator_oracle;
mod validator_payment;
mod validator_process;
mod validator_refund;
mod validator_refusal;
mod validator_vault;
mod webhooks;
