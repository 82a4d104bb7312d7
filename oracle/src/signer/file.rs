//! A key from a file.

use super::{LocalKey, SignError};
use std::{fs, path::Path};

/// The key in the file at `path`, as `solana-keygen` writes it, or in base58.
///
/// # Errors
/// [`SignError::NoKey`].
pub fn read(path: &Path) -> Result<LocalKey, SignError> {
    let source_name = format!("the file {}", path.display());
    let text = fs::read_to_string(path)
        .map_err(|_| SignError::NoKey { source_name: source_name.clone(), why: "it cannot be read" })?;
    LocalKey::parse(&text, source_name)
}
