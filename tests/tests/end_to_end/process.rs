//! The project's commands as processes of their own.

use crate::deadline::{PATIENCE, until};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A command of the workspace, where cargo puts it.
pub fn binary(name: &str) -> PathBuf {
    // target/debug/deps/end_to_end-…
    let test = env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(
        path.is_file(),
        "no command at {}: `make test` builds it, and so does `cargo build --workspace --bins`",
        path.display()
    );
    path
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

/// A running command, killed where the test ends before it.
pub struct Process {
    name: String,
    child: Child,
    folder: TempDir,
}

/// What a command came to.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Process {
    /// Starts a command of the workspace in the folder of the repository.
    pub fn start<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) -> Self {
        Self::start_as(name, |command| {
            command.args(arguments);
        })
    }

    /// The same, prepared by the caller.
    pub fn start_as(name: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(binary(name));
        command.current_dir(repository("")).env_remove("RUST_LOG").env("NO_COLOR", "1").stdin(Stdio::null());
        command.stdout(File::create(folder.path().join("out")).unwrap());
        command.stderr(File::create(folder.path().join("err")).unwrap());
        prepare(&mut command);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name: name.to_owned(), child, folder }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap_or_else(|error| panic!("cannot send {signal:?} to {}: {error}", self.name));
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        assert!(
            self.child.try_wait().unwrap().is_none(),
            "{} had ended before it was killed\n{}",
            self.name,
            self.said()
        );
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it printed so far.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("out")).unwrap()).into_owned()
    }

    /// What it logged so far.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("err")).unwrap()).into_owned()
    }

    fn said(&self) -> String {
        format!("--- {}'s output\n{}\n--- and errors\n{}", self.name, self.out(), self.err())
    }

    /// Waits until what it said contains something, and fails if it ends before.
    pub async fn said_line_with(&mut self, text: &str) -> String {
        let what = format!("{} says {text:?}", self.name);
        until(&what, async || {
            let ended = self.child.try_wait().unwrap();
            let said = [self.out(), self.err()].concat();
            match (said.lines().find(|line| line.contains(text)), ended) {
                (Some(line), _) => Ok(line.to_owned()),
                (None, None) => Err(self.said()),
                (None, Some(status)) => panic!("{what}: it ended with {status} instead\n{}", self.said()),
            }
        })
        .await
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        let what = format!("{} ends", self.name);
        let status = until(&what, async || self.child.try_wait().unwrap().ok_or_else(|| self.said())).await;
        Ended { status, out: self.out(), err: self.err() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // It gets the chance to stop what it started.
        self.signal(Signal::TERM);
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begun.elapsed() > PATIENCE {
                let _ = self.child.kill();
            }
            thread::sleep(Duration::from_millis(20));
        }
        if thread::panicking() {
            eprintln!("{}", self.said());
        }
    }
}

impl Ended {
    /// It did what it was asked.
    pub fn assert_success(&self) {
        assert!(
            self.status.success(),
            "it ended with {}\n--- output\n{}\n--- errors\n{}",
            self.status,
            self.out,
            self.err
        );
    }

    /// It ended with one clear line that contains all of `parts`. Before that it may have told how far it was.
    pub fn assert_refused(&self, parts: &[&str]) {
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        let is_progress = |line: &&str| line.starts_with("reading the journal back: ");
        let lines: Vec<_> = self.err.lines().skip_while(is_progress).collect();
        let [line] = lines.as_slice() else { panic!("not one line, but {}:\n{}", lines.len(), self.err) };
        for part in parts {
            assert!(line.contains(part), "{part:?} is not in: {line}");
        }
        assert!(!self.out.contains("panicked"), "{self:?}");
    }
}

/// Whether a process with `text` among its arguments runs.
pub fn runs_with(text: &Path) -> Vec<String> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|arguments| String::from_utf8_lossy(&arguments).replace('\0', " "))
        .filter(|arguments| arguments.contains(text.to_str().unwrap()))
        .collect()
}
