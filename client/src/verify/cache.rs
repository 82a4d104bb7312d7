//! Evidence in a file, so that reading a long journal from a node is done once.
//!
//! ```text
//! magic     16  "rebate-evidence1"
//! genesis   32  the hash of the chain's first block
//! platform  32  the platform's address
//! evidence  …   each one's length (4 bytes, little-endian), then its Borsh
//! ```
//!
//! The file is believed in nothing that the chain can confirm: every event is hashed again and must lead to the journal's tree
//! head, every signature is checked again. Only slots, times and signatures of transactions nobody signed for.

use super::{VerifyError, evidence::Evidence};
use solana_program::{hash::Hash, pubkey::Pubkey};
use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

const MAGIC: [u8; 16] = *b"rebate-evidence1";

/// A transaction has 1,232 bytes, or 4,096 of version 1, and what it emits is not much more.
const LONGEST: usize = 1 << 20;

/// A file that is written.
pub struct Save {
    path: PathBuf,
    /// Beside it, so that the file is there whole or not at all.
    partial: PathBuf,
    out: BufWriter<File>,
}

impl Save {
    /// Begins a file of the platform's evidence.
    ///
    /// # Errors
    /// [`VerifyError::File`].
    pub fn begin(path: &Path, genesis: &Hash, platform: &Pubkey) -> Result<Self, VerifyError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let failed = |error: std::io::Error| cannot(path, "written", &error);
        let mut out = BufWriter::new(File::create(&partial).map_err(failed)?);
        for bytes in [&MAGIC[..], genesis.as_ref(), platform.as_ref()] {
            out.write_all(bytes).map_err(failed)?;
        }
        Ok(Self { path: path.to_owned(), partial, out })
    }

    /// Adds the next transaction.
    ///
    /// # Errors
    /// [`VerifyError::File`].
    pub fn add(&mut self, evidence: &Evidence) -> Result<(), VerifyError> {
        let mut write = || -> std::io::Result<()> {
            let bytes = borsh::to_vec(evidence)?;
            let length = u32::try_from(bytes.len()).map_err(|_| ErrorKind::FileTooLarge)?;
            self.out.write_all(&length.to_le_bytes())?;
            self.out.write_all(&bytes)
        };
        write().map_err(|error| cannot(&self.path, "written", &error))
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// [`VerifyError::File`].
    pub fn end(self) -> Result<(), VerifyError> {
        let Self { path, partial, mut out } = self;
        let put = out.flush().and_then(|()| out.get_ref().sync_all()).and_then(|()| std::fs::rename(partial, &path));
        put.map_err(|error| cannot(&path, "written", &error))
    }
}

/// A file that is read.
pub struct Saved {
    path: PathBuf,
    input: BufReader<File>,
}

impl Saved {
    /// Opens a file of the platform's evidence.
    ///
    /// # Errors
    /// [`VerifyError::File`], also for one of another chain or platform.
    pub fn open(path: &Path, genesis: &Hash, platform: &Pubkey) -> Result<Self, VerifyError> {
        let failed = |error: std::io::Error| cannot(path, "read", &error);
        let mut input = BufReader::new(File::open(path).map_err(failed)?);
        let mut head = [[0; 16].as_slice(), &[0; 32], &[0; 32]].concat();
        input.read_exact(&mut head).map_err(failed)?;
        let wrong = |why: &str| Err(VerifyError::File { file: path.to_owned(), why: why.to_owned() });
        if !head.starts_with(&MAGIC) {
            return wrong("no file of `rebate verify --save`; name another one");
        }
        if head.get(16..48) != Some(genesis.as_ref()) {
            return wrong("saved from another chain; name another file, or another node with --rpc");
        }
        if head.get(48..) != Some(platform.as_ref()) {
            return wrong("saved of another platform; name another file, or another --platform");
        }
        Ok(Self { path: path.to_owned(), input })
    }

    /// The next transactions, at most so many; none at the end.
    ///
    /// # Errors
    /// [`VerifyError::File`].
    pub fn next(&mut self, at_most: usize) -> Result<Vec<Evidence>, VerifyError> {
        let mut read = || -> std::io::Result<Option<Evidence>> {
            if self.input.fill_buf()?.is_empty() {
                return Ok(None);
            }
            let mut length = [0; 4];
            self.input.read_exact(&mut length)?;
            let length = u32::from_le_bytes(length) as usize;
            if length > LONGEST {
                return Err(ErrorKind::InvalidData.into());
            }
            let mut bytes = vec![0; length];
            self.input.read_exact(&mut bytes)?;
            borsh::from_slice(&bytes).map(Some)
        };
        let mut all = Vec::new();
        while all.len() < at_most
            && let Some(evidence) = read().map_err(|error| cannot(&self.path, "read", &error))?
        {
            all.push(evidence);
        }
        Ok(all)
    }
}

fn cannot(path: &Path, what: &str, error: &std::io::Error) -> VerifyError {
    let why = match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData => {
            "cut off or altered; leave it out and save it again".to_owned()
        }
        _ => format!("cannot be {what}: {error}"),
    };
    VerifyError::File { file: path.to_owned(), why }
}
