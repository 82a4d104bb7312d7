//! What the demo prints.

use super::{
    api::{Asset, Balances, Entry, Integrity, Order, Outcome, Redemption, Refund},
    oracle::Counts,
    tally::Tally,
};
use crate::wording;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use rebate_client::Pubkey;
use rebate_core::units::Timestamp;
use rebate_oracle::reconcile::Summary;
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

/// What a line of the evening begins with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line<'a> {
    /// When it happened.
    pub at: Option<Timestamp>,
    /// To whom.
    pub user: &'a str,
    /// What was paid, or paid back, in the platform's minor currency unit.
    pub paid: Option<i128>,
    /// The order number.
    pub order: &'a str,
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

    /// The head of the list of records; times are shown at `offset` seconds from UTC.
    pub fn head(&self, offset: i32) {
        self.offset.set(UtcOffset::from_whole_seconds(offset).unwrap_or(UtcOffset::UTC));
        let line = format!("  {:<16}  {:<8} {:>9}  {:<8}  {}", "when", "user", "amount", "order", "what came of it");
        say!("{}", self.paint("1", &line));
    }

    fn moment(&self, at: Timestamp) -> String {
        let format = format_description!("[weekday repr:short] [day] [month repr:short] [hour]:[minute]");
        let moment = OffsetDateTime::from_unix_timestamp(at.0).ok();
        moment.and_then(|moment| moment.to_offset(self.offset.get()).format(format).ok()).unwrap_or_default()
    }

    fn line(&self, line: Line<'_>, text: &str) {
        let at = line.at.map_or_else(String::new, |at| self.moment(at));
        let amount = line.paid.map_or_else(String::new, money);
        say!("  {at:<16}  {:<8} {amount:>9}  {:<8}  {text}", line.user, line.order);
    }

    /// A recorded payment and what every rule did with it.
    pub fn recorded(&self, line: Line<'_>, order: &Order) {
        let granted: Vec<_> = order.outcomes.iter().filter(|outcome| outcome.reason == "Granted").collect();
        let text = match granted.as_slice() {
            [] => self.paint("2", "no rebate"),
            granted => self.changes(granted, "+", "32"),
        };
        let short: Vec<_> = order.outcomes.iter().filter(|outcome| NOTED.contains(&outcome.reason.as_str())).collect();
        let notes: String =
            short.iter().map(|outcome| format!("; {}: {}", outcome.rule_name, outcome.reason)).collect();
        self.line(line, &format!("{text}{}", self.paint("2", &notes)));
    }

    /// A refund and what every grant lost.
    pub fn refunded(&self, line: Line<'_>, refund: &Refund) {
        let reversed: Vec<_> = refund.outcomes.iter().collect();
        let text = match reversed.as_slice() {
            [] => self.paint("2", "paid back, no rebate to take back"),
            reversed => self.changes(reversed, "-", "33"),
        };
        self.line(line, &text);
    }

    /// What outcomes come to, asset by asset.
    fn changes(&self, outcomes: &[&Outcome], sign: &str, colour: &str) -> String {
        let mut assets: Vec<&str> = Vec::new();
        for outcome in outcomes {
            if !assets.contains(&outcome.asset_name.as_str()) {
                assets.push(&outcome.asset_name);
            }
        }
        let of_asset = |asset: &&str| {
            let outcomes: Vec<_> = outcomes.iter().filter(|outcome| outcome.asset_name == **asset).collect();
            let amounts: Vec<_> = outcomes.iter().map(|outcome| format!("{sign}{}", outcome.amount)).collect();
            let names: Vec<_> = outcomes.iter().map(|outcome| outcome.rule_name.as_str()).collect();
            let now = outcomes.last().map_or("?", |outcome| outcome.after.as_str());
            // What the balance did not change by is a debt, or paid one.
            let beside: u64 = outcomes.iter().map(|outcome| beside(outcome)).sum();
            let debt = match (beside, sign) {
                (0, _) => String::new(),
                (debt, "+") => format!(", {debt} of it pays what was owed"),
                (debt, _) => format!(", {debt} more is owed"),
            };
            let change = self.paint(colour, &format!("{} {asset}", amounts.join(" ")));
            format!("{change} ({}{debt}, now {now})", names.join(", "))
        };
        assets.iter().map(of_asset).collect::<Vec<_>>().join(", ")
    }

    /// A redemption.
    pub fn redeemed(&self, line: Line<'_>, redemption: &Redemption) {
        let Redemption { asset_name, amount, after, .. } = redemption;
        let text = self.paint("36", &format!("redeems {amount} {asset_name}"));
        self.line(line, &format!("{text} (now {after})"));
    }

    /// A linked wallet.
    pub fn linked(&self, line: Line<'_>, wallet: &Pubkey) {
        self.line(line, &format!("links the wallet {wallet}"));
    }

    /// A claim, and what the wallet holds afterwards.
    pub fn claimed(&self, line: Line<'_>, entry: &Entry, held: u64) {
        let amount = entry.change.trim_start_matches('-');
        let text = self.paint("36", &format!("claims {amount} {}", entry.asset_name));
        self.line(line, &format!("{text} (now {}); the wallet holds {held}", entry.after));
    }

    /// Tokens for a vault.
    pub fn deposited(&self, asset: &Asset, amount: u64) {
        let funds = asset.vault.as_ref().map_or("?", |vault| vault.funds.as_str());
        self.line(Line::default(), &format!("{amount} {} into the vault, which holds {funds}", asset.name));
    }

    /// The clock goes on.
    pub fn clock(&self, now: Timestamp) {
        self.step(&format!("a month ends: the chain's clock goes on to {}", self.moment(now)));
    }

    /// What expired of a user's balances.
    pub fn expired(&self, user: &str, entry: &Entry) {
        let amount = entry.change.trim_start_matches('-');
        let text = self.paint("33", &format!("loses {amount} {}, expired", entry.asset_name));
        self.line(Line { user, ..Line::default() }, &format!("{text} (now {})", entry.after));
    }

    /// Nothing expired.
    pub fn nothing_expired(&self) {
        self.line(
            Line::default(),
            &self.paint("2", "nothing expires: what was granted last month is good for this one"),
        );
    }

    /// A record that was refused.
    pub fn refused(&self, line: Line<'_>, reason: &str) {
        self.line(line, &self.paint("31", &format!("refused, {reason}{}", wording::refusal(reason))));
    }

    /// What the oracle has already.
    pub fn again(&self, line: Line<'_>) {
        let text = "sent again: the oracle answers 200 and records it once; past the oracle, straight to the program:";
        self.line(line, &self.paint("2", text));
    }

    /// What the oracle says no to.
    pub fn turned_away(&self, line: Line<'_>, status: u16, why: &str) {
        let text = format!("the oracle answers {status}: {why}; past the oracle, straight to the program:");
        self.line(line, &self.paint("31", &text));
    }

    /// What came of everything that was sent to the oracle.
    pub fn oracle(&self, counts: &Counts) {
        let Counts { callbacks, records, again, turned_away, recorded, refused, dead } = counts;
        let colour = if *dead == 0 { "32" } else { "31" };
        say!(
            "{}: {callbacks} callbacks and {records} records of the platform's server taken, {again} of them sent again; \
             {turned_away} turned away",
            self.paint(colour, "oracle"),
        );
        say!("  {recorded} recorded, {refused} refused by the program, {dead} dead");
    }

    /// What comparing the provider's export with the oracle and the chain came to.
    pub fn reconciled(&self, summary: &Summary, refused: usize, others: usize) {
        let Summary { exported, recorded, .. } = summary;
        let text = match others {
            0 => self.paint("32", "no other difference"),
            others => self.paint("31", &format!("{others} other differences")),
        };
        say!(
            "  reconciled: {exported} orders in the provider's export, {recorded} on chain, {refused} refused by the program; \
             {text}"
        );
    }

    /// The table of what every rule did.
    pub fn tally(&self, tally: &Tally) {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(["rule", "granted", "in grants", "taken back", "why not otherwise"]);
        for rule in tally.rules() {
            let granted = format!("{} {}", rule.granted, rule.asset);
            let reversed = if rule.reversed == 0 { String::new() } else { rule.reversed.to_string() };
            let reasons: Vec<_> = rule.reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            table.add_row([rule.name.clone(), granted, rule.grants.to_string(), reversed, reasons.join(", ")]);
        }
        align_right(&mut table, 1..4);
        say!("{table}");
    }

    /// The table of balances.
    pub fn balances(&self, assets: &[Asset], rows: &[(&str, Option<Balances>)]) {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        let names = assets.iter().map(|asset| asset.name.as_str());
        let head: Vec<_> = ["user", "payments", "paid", "refunded"].into_iter().chain(names).collect();
        let columns = head.len().saturating_add(2);
        table.set_header(head.into_iter().chain(["owes", "entries"]));
        for (user, balances) in rows {
            let Some(balances) = balances else {
                table.add_row([*user, "0"]);
                continue;
            };
            let held = balances.balances.iter().map(|balance| balance.balance.clone());
            let owed = balances.balances.iter().filter(|balance| balance.debt != "0");
            let owed: Vec<_> = owed.map(|balance| format!("{} {}", balance.debt, balance.asset_name)).collect();
            let entries: u64 = balances.balances.iter().map(|balance| balance.entries).sum();
            let first =
                [(*user).to_owned(), balances.payments.to_string(), balances.paid.clone(), balances.refunded.clone()];
            table.add_row(first.into_iter().chain(held).chain([owed.join(", "), entries.to_string()]));
        }
        align_right(&mut table, 1..columns);
        say!("{table}");
    }

    /// What is behind a token.
    pub fn vault(&self, asset: &Asset) {
        let Some(vault) = &asset.vault else { return };
        say!("vault of {}: {} in it, users have a claim to {}", asset.name, vault.funds, asset.liability);
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
            integrity.stored_count,
            field("chain_count"),
            field("chain_head"),
        );
    }

    /// What recomputing said, line by line.
    pub fn verified(&self, said: &str) {
        for line in said.lines() {
            say!("{line}");
        }
    }

    /// Where to look next.
    pub fn places(&self, places: &[(&str, String)]) {
        say!("\n{}", self.paint("1", "Where to look"));
        for (name, place) in places {
            say!("  {name:<11} {place}");
        }
    }
}

/// Why a rule did not pay, where it is worth a word beside what others paid.
const NOTED: [&str; 3] = ["Excluded", "UserLimit", "VaultShort"];

fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// What of an outcome's amount the balance did not change by.
fn beside(outcome: &Outcome) -> u64 {
    let number = |text: &str| text.parse::<u64>().unwrap_or_default();
    number(&outcome.amount).saturating_sub(number(&outcome.before).abs_diff(number(&outcome.after)))
}

/// An amount of money as people read it.
fn money(amount: i128) -> String {
    let minus = if amount < 0 { "-" } else { "" };
    let (whole, part) = (amount.unsigned_abs() / 100, amount.unsigned_abs() % 100);
    format!("{minus}{whole}.{part:02}")
}
