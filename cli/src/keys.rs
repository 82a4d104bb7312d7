//! Key files: the JSON arrays of 64 numbers that Solana's own tools write. What is in them is never shown.

use anyhow::{Context, bail};
use solana_keypair::{Keypair, read_keypair};
use solana_signer::Signer;
use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Reads a key.
///
/// # Errors
/// If the file cannot be read or holds no key.
pub fn read(path: &Path) -> anyhow::Result<Keypair> {
    let file = File::open(path).with_context(|| format!("cannot read the key file {}", path.display()))?;
    read_keypair(&mut BufReader::new(file))
        .map_err(|_| anyhow::anyhow!("{} holds no key; `rebate key FILE` or solana-keygen makes one", path.display()))
}

/// Makes a key in a new file that only its owner may read, and prints its address.
///
/// # Errors
/// If the file exists or cannot be written.
pub fn make(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        bail!("{} exists; a key is never overwritten, choose another name", path.display());
    }
    let key = Keypair::new();
    let numbers: Vec<String> = key.to_bytes().iter().map(u8::to_string).collect();
    let cannot_write = || format!("cannot write the key file {}", path.display());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(cannot_write)?;
    if let Err(error) = writeln!(file, "[{}]", numbers.join(",")).and_then(|()| file.sync_all()) {
        // Half a key, say on a full disk, would be in the way of the next attempt.
        let _ = fs::remove_file(path);
        return Err(error).with_context(cannot_write);
    }
    println!("{}", key.pubkey());
    Ok(())
}
