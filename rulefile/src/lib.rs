//! Rule files: read and written, explained rule by rule in plain sentences, compared, and searched for what is odd about them.

pub mod compare;
pub mod explain;
pub mod export;
pub mod file;
pub mod findings;
pub mod json;
pub mod span;
pub mod text;
mod values;
pub mod wording;

pub use file::{RuleFile, RuleFileError};
