//! Answers as tables of comma-separated values.

use super::measure::{Figure, Figures};
use crate::problem::Problem;

/// The media type of [`csv`].
pub(crate) const CSV: &str = "text/csv; charset=utf-8; header=present";

/// What every row has, before its details.
const COLUMNS: [&str; 9] = ["from", "to", "key", "label", "asset", "asset_name", "numerator", "denominator", "value"];

/// The rows, with a line of names first (RFC 4180).
pub(crate) fn csv(figures: &Figures) -> Result<String, Problem> {
    // All rows of an answer have the same details.
    let details: Vec<&str> = figures.rows.first().map(|row| row.details.keys().copied().collect()).unwrap_or_default();
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let failed = |error: csv::Error| Problem::internal(&error);
    writer.write_record(COLUMNS.iter().chain(&details)).map_err(failed)?;
    for row in &figures.rows {
        writer.write_record(record(row, &details)).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| Problem::internal(&error))?;
    String::from_utf8(bytes).map_err(|error| Problem::internal(&error))
}

fn record(row: &Figure, details: &[&str]) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut record = vec![
        text(&row.from),
        text(&row.to),
        text(&row.key),
        harmless(&text(&row.label)),
        row.asset.map(|asset| asset.to_string()).unwrap_or_default(),
        harmless(&text(&row.asset_name)),
        row.numerator.clone(),
        text(&row.denominator),
        text(&row.value),
    ];
    record.extend(details.iter().map(|name| row.details.get(name).cloned().flatten().unwrap_or_default()));
    record
}

/// A name as spreadsheets take it for text and no formula (OWASP, "CSV Injection").
fn harmless(name: &str) -> String {
    match name.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n') => format!("'{name}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_formula() {
        assert_eq!(harmless("=1+1"), "'=1+1");
        assert_eq!(harmless("@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(harmless("first recharge 20%"), "first recharge 20%");
    }
}
