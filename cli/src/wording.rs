//! What the TOML reader says, in the words of people who write rule files rather than programs.

/// The reader's names for what it expected, and what to write.
const EXPECTED: [(&str, &str); 7] = [
    ("expected u8", "expected a whole number from 0 to 255"),
    ("expected u16", "expected a whole number from 0 to 65535"),
    ("expected u32", "expected a whole number from 0 to 4294967295"),
    ("expected u64", "expected a whole number from 0 to 18446744073709551615"),
    ("expected a sequence", "expected a list, like [ … ]"),
    ("expected a string", "expected a text in quotes"),
    ("expected any value", "expected a whole number up to 18446744073709551615"),
];

/// The message `said` about the stretch `of` of the file.
pub fn of(said: &str, of: &str) -> String {
    let said = said.trim_end();
    let table = of.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(name) = table.filter(|name| ["asset", "group", "rule"].contains(name)) {
        return format!("there can be several of these; expected [[{name}]]");
    }
    for (theirs, ours) in [("unknown field", "unknown key"), ("missing field", "missing key")] {
        if let Some(rest) = said.strip_prefix(theirs) {
            return format!("{ours}{rest}");
        }
    }
    for (theirs, ours) in EXPECTED {
        if let Some(begin) = said.strip_suffix(theirs) {
            return format!("{begin}{ours}");
        }
    }
    said.to_owned()
}
