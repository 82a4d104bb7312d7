//! A key from an environment variable.

use super::{LocalKey, SignError};
use std::env;

/// The key in the environment variable `name`, as JSON or in base58.
///
/// # Errors
/// [`SignError::NoKey`].
pub fn read(name: &str) -> Result<LocalKey, SignError> {
    let source_name = format!("the environment variable {name}");
    let text = env::var(name)
        .map_err(|_| SignError::NoKey { source_name: source_name.clone(), why: "it is not set, or is not text" })?;
    LocalKey::parse(&text, source_name)
}
