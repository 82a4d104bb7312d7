//! What the readers of TOML and JSON say, in the words of people who write such files rather than programs.

/// The readers' names for what they expected, and what to write.
const EXPECTED: [(&str, &str); 9] = [
    ("expected u8", "expected a whole number from 0 to 255"),
    ("expected u16", "expected a whole number from 0 to 65535"),
    ("expected u32", "expected a whole number from 0 to 4294967295"),
    ("expected u64", "expected a whole number from 0 to 18446744073709551615"),
    ("expected i64", "expected a whole number"),
    ("expected a boolean", "expected true or false"),
    ("expected a sequence", "expected a list, like [ … ]"),
    ("expected a string", "expected a text in quotes"),
    ("expected any value", "expected a whole number up to 18446744073709551615"),
];

/// A reader's message, without the place it may end with.
pub fn plain(said: &str) -> String {
    // The TOML reader calls a number too long for it "as i128".
    let said = said.trim_end().replace("` as i128,", "`,");
    for (theirs, ours) in
        [("unknown field", "unknown key"), ("missing field", "missing key"), ("duplicate field", "duplicate key")]
    {
        if let Some(rest) = said.strip_prefix(theirs) {
            return format!("{ours}{rest}");
        }
    }
    for (theirs, ours) in EXPECTED {
        if let Some(begin) = said.strip_suffix(theirs) {
            return format!("{begin}{ours}");
        }
    }
    said
}
