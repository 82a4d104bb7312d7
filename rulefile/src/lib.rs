//! Rule files: read, explained rule by rule in plain sentences, and searched for what is odd about them.

pub mod explain;
pub mod file;
pub mod findings;
pub mod span;
pub mod text;
mod values;
pub mod wording;

pub use file::{RuleFile, RuleFileError};
