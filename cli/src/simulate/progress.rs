//! How far a simulation has come, on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{IsTerminal, stderr},
    time::Instant,
};

/// A bar on standard error.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    begun: Instant,
}

impl Progress {
    /// Shown where standard error is a terminal.
    pub fn on_terminal() -> Self {
        if !stderr().is_terminal() {
            return Self::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg:<11} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}") {
            bar.set_style(style);
        }
        Self { bar, begun: Instant::now() }
    }

    /// Never shown.
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), begun: Instant::now() }
    }

    /// Something new begins, over `size` bytes.
    pub(super) fn begin(&self, what: &'static str, size: u64) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.reset();
        self.bar.set_length(size);
        self.bar.set_message(what);
    }

    /// So many bytes were read.
    pub(super) fn at(&self, bytes: u64) {
        if !self.bar.is_hidden() {
            self.bar.set_position(bytes);
        }
    }

    /// All `records` were decided.
    pub(super) fn end(&self, records: u64) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.finish_and_clear();
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = records as f64 / seconds.max(f64::EPSILON);
        eprintln!("{records} records in {seconds:.2} s, {rate:.0} a second");
    }
}
