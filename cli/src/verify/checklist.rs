//! Steps with ✓ or ✗, and what failed.

use anyhow::bail;
use std::io::Write;

/// How many things that are wrong with one step are printed.
const SHOWN: usize = 50;

/// What is printed step by step.
pub struct Checklist<'a> {
    out: &'a mut (dyn Write + Send),
    failed: u64,
}

impl<'a> Checklist<'a> {
    /// An empty one.
    pub fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self { out, failed: 0 }
    }

    /// A line that is no step.
    ///
    /// # Errors
    /// If it cannot be printed.
    pub fn say(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// A step, and what is wrong with it, of which there may be more than are named.
    ///
    /// # Errors
    /// If it cannot be printed.
    pub fn step<W: ToString>(&mut self, what: &str, wrong: &[W], count: u64) -> anyhow::Result<()> {
        let mark = if count == 0 { '✓' } else { '✗' };
        writeln!(self.out, "{mark} {what}")?;
        for wrong in wrong.iter().take(SHOWN) {
            writeln!(self.out, "    {}", wrong.to_string())?;
        }
        let shown = wrong.len().min(SHOWN) as u64;
        if count > shown {
            writeln!(self.out, "    and {} more", count.saturating_sub(shown))?;
        }
        self.failed = self.failed.saturating_add(count);
        Ok(())
    }

    /// A step that holds or does not.
    ///
    /// # Errors
    /// If it cannot be printed.
    pub fn check(&mut self, what: &str, wrong: Option<String>) -> anyhow::Result<()> {
        let wrong: Vec<_> = wrong.into_iter().collect();
        self.step(what, &wrong, wrong.len() as u64)
    }

    /// The verdict.
    ///
    /// # Errors
    /// If anything failed.
    pub fn end(self, what: &str) -> anyhow::Result<()> {
        match self.failed {
            0 => Ok(writeln!(self.out, "{what} is right")?),
            1 => bail!("{what} is wrong in one thing, marked ✗ above"),
            failed => bail!("{what} is wrong in {failed} things, marked ✗ above"),
        }
    }
}
