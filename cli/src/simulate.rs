//! `rebate simulate`: a rule file over a payments file, without a chain.
//!
//! The file is read twice. First every line is checked, so that a bad one is told before anything is printed, and the orders
//! that are refunded are noted: what an order was granted is kept only for them. Then the records are decided one by one and
//! their answers printed. Memory grows with users and order numbers, not with what was decided.

mod answer;
mod lines;
mod moment;
mod names;
mod platform;
mod progress;
mod quick;
pub mod record;
mod text;

use crate::{arguments::SimulateArguments, pay, payment_file::PaymentFileError};
use answer::Answers;
use anyhow::Context;
use lines::{Blocks, Lines, MAX_LINE};
use names::{Names, TooMany};
use platform::Platform;
pub use progress::Progress;
use rebate_client::replay::{Ledger, NotPublished};
use rebate_rulefile::RuleFile;
use record::{Reader, Record};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    os::fd::AsFd,
    path::Path,
};
use tempfile::{NamedTempFile, tempfile};
use thiserror::Error;

/// How many bytes of answers are written at once.
const CHUNK: usize = 1 << 16;

/// How many records are looked at together before they are decided one by one: they wait for memory together.
const BATCH: usize = 64;

/// What ends a simulation early.
#[derive(Debug, Error)]
pub enum SimulationError {
    /// The payments file is wrong somewhere; nothing was printed, unless the file changed meanwhile.
    #[error(transparent)]
    Payments(#[from] PaymentFileError),
    /// The rules are not those of a rule file.
    #[error(transparent)]
    Rules(#[from] NotPublished),
    /// The answers cannot be written.
    #[error("cannot write the outcomes: {0}")]
    Write(io::Error),
}

/// What a simulation came to.
#[derive(Debug)]
pub struct Simulated {
    /// How many records there were.
    pub records: u64,
    /// How many of them were accepted.
    pub accepted: u64,
    /// How many users there were.
    pub users: usize,
    /// The platform afterwards.
    pub ledger: Ledger,
}

/// Reads the files, simulates, prints.
///
/// # Errors
/// One clear reason; with a bad file nothing is printed.
pub fn run(arguments: &SimulateArguments) -> anyhow::Result<()> {
    let rules = RuleFile::read(&arguments.rules)?;
    let secret = arguments.platform_secret_file.as_deref().map(pay::secret).transpose()?;
    let (mut payments, name) = open(&arguments.payments)?;
    let progress = Progress::on_terminal();
    let Some(out) = &arguments.out else {
        // Not through the standard library's own buffer, which looks for ends of lines.
        let mut out = File::from(io::stdout().as_fd().try_clone_to_owned().context("standard output")?);
        return match simulate(&rules, secret, &mut payments, &name, &mut out, &progress) {
            // Whoever stopped reading, as `head` does, has all there was to be had.
            Err(SimulationError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            simulated => simulated.map(drop).map_err(Into::into),
        };
    };
    let cannot_write = || format!("cannot write {}", out.display());
    if fs::metadata(out).is_ok_and(|metadata| !metadata.is_file()) {
        // A device, or a pipe.
        let mut file = File::options().write(true).open(out).with_context(cannot_write)?;
        simulate(&rules, secret, &mut payments, &name, &mut file, &progress)?;
        return Ok(());
    }
    // In place only when it is whole.
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = new_file(folder).with_context(cannot_write)?;
    simulate(&rules, secret, &mut payments, &name, file.as_file_mut(), &progress)?;
    file.persist(out).map_err(|error| error.error).with_context(cannot_write)?;
    Ok(())
}

/// A file to be put in place later, readable by whom any new file is.
fn new_file(folder: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = fs::Permissions::from_mode(0o666);
    // Said plainly, without the name that it would have had.
    fs::metadata(folder)?;
    tempfile::Builder::new().prefix(".rebate-").permissions(permissions).tempfile_in(folder)
}

/// The payments, from the beginning on and as often as needed, and what errors call them. What comes from a pipe is put into a
/// temporary file first.
fn open(path: &Path) -> Result<(File, String), PaymentFileError> {
    let (name, opened) = match path.to_str() {
        Some("-") => ("standard input".to_owned(), spool(&mut io::stdin().lock())),
        _ => {
            let opened = File::open(path).and_then(|mut file| match file.metadata()?.is_file() {
                true => Ok(file),
                false => spool(&mut file),
            });
            (path.display().to_string(), opened)
        }
    };
    match opened {
        Ok(file) => Ok((file, name)),
        Err(error) => Err(PaymentFileError::Unreadable { file: name, why: error.to_string() }),
    }
}

fn spool(from: &mut impl Read) -> io::Result<File> {
    let mut file = tempfile()?;
    io::copy(from, &mut file)?;
    file.rewind()?;
    Ok(file)
}

/// Decides every record of `payments`, which errors call `name`, under `rules`, and writes the answers to `out`.
///
/// # Errors
/// [`SimulationError`].
pub fn simulate<R: Read + Seek>(
    rules: &RuleFile,
    secret: Option<Vec<u8>>,
    payments: &mut R,
    name: &str,
    out: &mut impl Write,
    progress: &Progress,
) -> Result<Simulated, SimulationError> {
    let unreadable = |error: io::Error| PaymentFileError::Unreadable { file: name.to_owned(), why: error.to_string() };
    let size = payments.seek(io::SeekFrom::End(0)).map_err(unreadable)?;
    let mut refunded = Names::default();
    let (mut orders, mut bytes) = (0usize, 0usize);
    payments.rewind().map_err(unreadable)?;
    progress.begin("checking", size);
    each(payments, name, progress, |batch| {
        orders = orders.saturating_add(batch.len());
        for record in batch {
            bytes = bytes.saturating_add(record.order().len());
            if let Record::Refund(refund) = record {
                refunded.number(&refund.of)?;
            }
        }
        Ok(Ok(()))
    })?;

    let mut platform = Platform::new(rules, secret, refunded)?;
    platform.reserve(orders, bytes);
    let mut answers = Answers::new(platform.ledger().rules(), CHUNK.saturating_mul(2));
    let (mut records, mut accepted) = (0u64, 0u64);
    payments.rewind().map_err(unreadable)?;
    progress.begin("simulating", size);
    each(payments, name, progress, |batch| {
        records = records.saturating_add(batch.len() as u64);
        accepted = accepted.saturating_add(platform.record(batch, &mut answers)?);
        if answers.written().len() >= CHUNK {
            if let Err(error) = out.write_all(answers.written()) {
                return Ok(Err(SimulationError::Write(error)));
            }
            answers.clear();
        }
        Ok(Ok(()))
    })?;
    out.write_all(answers.written()).and_then(|()| out.flush()).map_err(SimulationError::Write)?;
    progress.end(records);
    Ok(Simulated { records, accepted, users: platform.users(), ledger: platform.into_ledger() })
}

/// Hands all records to `act`, up to [`BATCH`] at a time; empty lines are skipped.
fn each(
    payments: &mut impl Read,
    name: &str,
    progress: &Progress,
    mut act: impl FnMut(&[Record<'_>]) -> Result<Result<(), SimulationError>, TooMany>,
) -> Result<(), SimulationError> {
    let wrong = |line, what| PaymentFileError::Wrong { file: name.to_owned(), line, what };
    let mut reader = Reader::default();
    let mut blocks = Blocks::new(payments);
    let mut number = 0usize;
    loop {
        let block = blocks.next_block();
        let block =
            block.map_err(|error| PaymentFileError::Unreadable { file: name.to_owned(), why: error.to_string() })?;
        let Some(block) = block else { return Ok(()) };
        let mut batch = Vec::with_capacity(BATCH);
        let mut lines = Lines(block);
        loop {
            let line = lines.next();
            if let Some(line) = line {
                number = number.saturating_add(1);
                if line.len() > MAX_LINE {
                    return Err(wrong(number, format!("the line is longer than {MAX_LINE} bytes")).into());
                }
                match reader.read(line) {
                    Ok(record) => batch.push(record),
                    Err(_) if line.trim_ascii().is_empty() => {}
                    Err(what) => return Err(wrong(number, what).into()),
                }
            }
            if batch.len() == BATCH || line.is_none() {
                act(&batch)
                    .map_err(|TooMany| wrong(number, "more than 4294967296 order numbers or users".to_owned()))??;
                batch.clear();
            }
            if line.is_none() {
                break;
            }
        }
        progress.at(blocks.read());
    }
}
