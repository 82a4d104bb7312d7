//! The report: figures with their goals and with what bounds them, as JSON.

use anyhow::Context;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::{fs, path::Path};

/// What a goal asks for.
#[derive(Clone, Copy)]
pub enum Goal {
    /// No goal.
    None,
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

/// The figures so far.
pub struct Report {
    figures: Vec<Value>,
}

/// One figure.
#[derive(Serialize)]
pub struct Figure<'a> {
    /// What is measured.
    pub name: &'a str,
    /// How much it is.
    pub value: f64,
    /// Of what.
    pub unit: &'a str,
    /// How it was measured and what bounds it.
    pub note: String,
}

impl Report {
    /// An empty report.
    pub fn new() -> Self {
        Self { figures: Vec::new() }
    }

    /// Announces what is measured next.
    pub fn section(&self, what: &str) {
        println!("\n{what}");
    }

    /// Prints a figure and keeps it.
    pub fn add(&mut self, figure: Figure<'_>, goal: Goal) {
        let value = serde_json::to_value(&figure).unwrap_or_default();
        self.keep(value, goal);
    }

    fn keep(&mut self, mut figure: Value, goal: Goal) {
        let value = figure.get("value").and_then(Value::as_f64).unwrap_or(f64::NAN);
        let (goal, met) = match goal {
            Goal::None => (Value::Null, None),
            Goal::AtMost(most) => (json!({ "at_most": most }), Some(value <= most)),
            Goal::AtLeast(least) => (json!({ "at_least": least }), Some(value >= least)),
        };
        let text = |name: &str| figure.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let verdict = match met {
            None => String::new(),
            Some(true) => format!("  goal met: {goal}"),
            Some(false) => format!("  GOAL MISSED: {goal}"),
        };
        println!("  {:<44} {value:>12} {:<6}{verdict}", text("name"), text("unit"));
        if !text("note").is_empty() {
            println!("    {}", text("note"));
        }
        if let Some(figure) = figure.as_object_mut() {
            figure.insert("goal".to_owned(), goal);
            figure.insert("met".to_owned(), met.into());
        }
        self.figures.push(figure);
    }

    /// Takes over figures that another benchmark printed, one JSON object a line.
    ///
    /// # Errors
    /// If the file cannot be read or a line is no figure.
    pub fn include(&mut self, path: &Path) -> anyhow::Result<()> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read the figures in {}", path.display()))?;
        for line in text.lines().filter(|line| line.starts_with('{')) {
            let mut figure: Map<String, Value> =
                serde_json::from_str(line).with_context(|| format!("{}: not a figure: {line}", path.display()))?;
            let details: Vec<_> = figure
                .iter()
                .filter(|(name, _)| !["name", "value", "unit", "note"].contains(&name.as_str()))
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            figure.entry("note").or_insert_with(|| details.join(", ").into());
            let goal = match figure.get("name").and_then(Value::as_str) {
                Some("indexer.backfill_events_per_second") => Goal::AtLeast(20_000.0),
                Some("indexer.write_ms_per_block") => Goal::AtMost(30.0),
                Some("indexer.rss_mib") => Goal::AtMost(300.0),
                Some("backtest.payments_per_second") => Goal::AtLeast(300_000.0),
                Some("oracle.callbacks_per_second") => Goal::AtLeast(1_500.0),
                Some("oracle.callback_ms.p99") => Goal::AtMost(50.0),
                Some("oracle.callback_to_confirmed_ms.p50") => Goal::AtMost(1_200.0),
                Some("oracle.callback_to_confirmed_ms.p99") => Goal::AtMost(2_500.0),
                Some("api.balance_rps") => Goal::AtLeast(10_000.0),
                Some("api.balance_ms.p99") => Goal::AtMost(20.0),
                Some("api.order_rps") => Goal::AtLeast(3_000.0),
                Some("api.analytics_month_by_day_ms") => Goal::AtMost(150.0),
                Some("api.analytics_year_by_rule_ms") => Goal::AtMost(400.0),
                Some("api.sse_latency_ms.p99") => Goal::AtMost(250.0),
                Some("api.sse_rss_mib") => Goal::AtMost(150.0),
                _ => Goal::None,
            };
            self.keep(Value::Object(figure), goal);
        }
        Ok(())
    }

    /// Writes the report.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let write = || -> std::io::Result<()> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, format!("{:#}\n", json!({ "figures": self.figures })))
        };
        write().with_context(|| format!("cannot write the report {}", path.display()))?;
        println!("\nthe report is in {}", path.display());
        Ok(())
    }
}
