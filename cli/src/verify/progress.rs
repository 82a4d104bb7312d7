//! How far a verification has come, on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rebate_client::verify::reader::Progress as Reading;
use std::io::{IsTerminal, stderr};

/// A bar on standard error.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Shown where standard error is a terminal.
    pub fn on_terminal() -> Self {
        if !stderr().is_terminal() {
            return Self::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg:<22} {wide_bar} {pos}/{len}, {per_sec}, {eta} left") {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// Never shown.
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden() }
    }

    /// The journal is read.
    pub(super) fn read(&self, reading: Reading) {
        match reading {
            Reading::Listed(listed) => self.at("listing transactions", listed, listed),
            Reading::Read(read, count) => self.at("events", read, count),
        }
    }

    /// So many of so many.
    pub(super) fn at(&self, what: &'static str, done: u64, of: u64) {
        if self.bar.is_hidden() {
            return;
        }
        if self.bar.message() != what {
            self.bar.reset();
            self.bar.set_message(what);
        }
        self.bar.set_length(of);
        self.bar.set_position(done);
    }

    /// Nothing is shown any more.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
