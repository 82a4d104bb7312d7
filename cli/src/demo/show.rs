//! What the demo prints.

use super::api::{Balances, Integrity, Order};
use crate::payment_file::PaymentRecord;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use rebate_core::payment::Payment;
use std::{
    cell::Cell,
    io::{IsTerminal, Write},
};
use time::{OffsetDateTime, UtcOffset, macros::format_description};

/// Prints a line. Whoever stopped reading, as `head` does, stops nothing.
macro_rules! say {
    ($($arguments:tt)*) => {
        let _ = writeln!(std::io::stdout(), $($arguments)*);
    };
}

/// Prints to a terminal in colour, elsewhere plainly.
pub struct Show {
    colour: bool,
    offset: Cell<UtcOffset>,
}

impl Show {
    /// For standard output as it is.
    pub fn new() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour, offset: Cell::new(UtcOffset::UTC) }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The first line.
    pub fn title(&self, text: &str) {
        say!("{}\n", self.paint("1", text));
    }

    /// What is being done now.
    pub fn step(&self, what: &str) {
        say!("{} {what}", self.paint("36", "·"));
    }

    /// The published rules.
    pub fn rules(&self, table: &str) {
        say!("{table}");
    }

    /// The head of the list of payments; times are shown at `offset` seconds from UTC.
    pub fn head(&self, offset: i32) {
        self.offset.set(UtcOffset::from_whole_seconds(offset).unwrap_or(UtcOffset::UTC));
        let line = format!("  {:<16}  {:<8} {:>9}  {:<8}  {}", "paid", "user", "amount", "order", "what came of it");
        say!("{}", self.paint("1", &line));
    }

    fn begin(&self, line: &PaymentRecord, payment: &Payment) -> String {
        let format = format_description!("[weekday repr:short] [day] [month repr:short] [hour]:[minute]");
        let paid = OffsetDateTime::from_unix_timestamp(payment.paid_at.0)
            .ok()
            .and_then(|moment| moment.to_offset(self.offset.get()).format(format).ok())
            .unwrap_or_default();
        let (whole, part) = (payment.amount.0 / 100, payment.amount.0 % 100);
        let amount = format!("{whole}.{part:02}");
        format!("  {paid:<16}  {:<8} {amount:>9}  {:<8}  ", line.user, line.order)
    }

    /// A recorded payment and what every rule did with it.
    pub fn recorded(&self, line: &PaymentRecord, payment: &Payment, order: &Order) {
        let granted: Vec<_> = order
            .outcomes
            .iter()
            .filter(|outcome| outcome.reason == "Granted")
            .map(|outcome| {
                let gain = self.paint("32", &format!("+{} {}", outcome.amount, outcome.asset_name));
                format!("{gain} ({}, now {})", outcome.rule_name, outcome.after)
            })
            .collect();
        let text = if granted.is_empty() { self.paint("2", "no rebate") } else { granted.join(", ") };
        say!("{}{text}", self.begin(line, payment));
    }

    /// A payment that was refused.
    pub fn refused(&self, line: &PaymentRecord, payment: &Payment, reason: &str) {
        let text = self.paint("31", &format!("refused, {reason}{}", explained(reason)));
        say!("{}{text}", self.begin(line, payment));
    }

    /// The table of balances.
    pub fn balances(&self, rows: &[(&str, Option<Balances>)]) {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(["user", "payments", "paid", "balance", "entries"]);
        for (user, balances) in rows {
            match balances {
                None => table.add_row([*user, "0", "0", "nothing recorded", "0"]),
                Some(balances) => table.add_row([
                    (*user).to_owned(),
                    balances.payments.to_string(),
                    balances.paid.clone(),
                    balances
                        .balances
                        .iter()
                        .map(|balance| format!("{} {}", balance.balance, balance.asset_name))
                        .collect::<Vec<_>>()
                        .join(", "),
                    balances.balances.iter().map(|balance| balance.entries).sum::<u64>().to_string(),
                ]),
            };
        }
        for column in 1..5 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        say!("{table}");
    }

    /// The integrity line.
    pub fn integrity(&self, integrity: &Integrity) {
        let colour = if integrity.status == "agrees" { "32" } else { "31" };
        let field = |name: &str| match integrity.rest.get(name) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "?".to_owned(),
        };
        say!(
            "{} {}: {} events in the database, {} on chain, tree head {}",
            self.paint(colour, "integrity"),
            self.paint(colour, &integrity.status),
            field("stored_count"),
            field("chain_count"),
            field("chain_head"),
        );
    }

    /// Where to look next.
    pub fn places(&self, places: &[(&str, String)]) {
        say!("\n{}", self.paint("1", "Where to look"));
        for (name, place) in places {
            say!("  {name:<11} {place}");
        }
    }
}

/// What a refusal means.
fn explained(reason: &str) -> &'static str {
    match reason {
        "ZeroAmount" => ": nothing was paid",
        "TooLate" => ": paid longer ago than the platform takes",
        "FromTheFuture" => ": paid later than the chain's clock shows",
        "DuplicateOrder" => ": this order was recorded before",
        "AmountOverflow" => ": more than a balance can hold",
        _ => "",
    }
}
