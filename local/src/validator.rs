//! A `solana-test-validator` of our own: a real chain, gone when it is dropped and when its process ends, however that
//! ends.
//!
//! ```text
//! DIR/
//!   validators.lock  held while a folder is made or leftovers are removed
//!   validator-1/     of one running validator
//!     owner.lock     held by the process that started it; free once that has ended
//!     output.log     what the validator printed
//!     ledger/        its chain, and its own log
//! ```

use std::{
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant, UNIX_EPOCH},
};

/// How long it may take until it answers.
const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks at one that starts.
const LOOK: Duration = Duration::from_millis(50);

/// How often to start, where somebody else takes a port between our finding it free and the validator's using it.
const STARTS: u32 = 4;

/// How many of its last words are repeated.
const WORDS: usize = 6;

/// Ends the process with the number `$1` when its own standard input ends, which is when the process that holds the
/// other end does.
const WATCH: &str = r#"read -r _; kill -KILL "$1""#;

/// Why there is no validator.
#[derive(Debug, thiserror::Error)]
pub enum LocalValidatorError {
    /// It is not installed.
    #[error("solana-test-validator is not on PATH; `setup/validator` installs it")]
    NotInstalled,
    /// There is no program to run on it.
    #[error("there is no built program at {}; `make program` builds it", .0.display())]
    NoProgram(PathBuf),
    /// The system did not let us.
    #[error("cannot {what}: {source}")]
    System {
        /// What we wanted.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// It ended, or never answered.
    #[error("solana-test-validator {what}; its last words:\n{words}")]
    Died {
        /// What it did.
        what: String,
        /// The end of what it printed.
        words: String,
    },
}

impl LocalValidatorError {
    fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::System { what, source }
    }

    fn is_a_taken_port(&self) -> bool {
        matches!(self, Self::Died { words, .. } if words.contains("in use"))
    }
}

/// A running validator.
#[derive(Debug)]
pub struct LocalValidator {
    // In this order: the folder goes after the process that writes into it.
    process: Process,
    home: Home,
    ports: Ports,
}

impl LocalValidator {
    /// Starts a validator on free ports with the program at `so` under `address` (base58), with a new ledger in a
    /// folder of its own under `dir`. Folders that ended processes left there are removed.
    ///
    /// Its JSON-RPC, its websocket and its faucet listen on every interface: the test validator knows no other way.
    ///
    /// Blocks until it answers, some seconds.
    ///
    /// # Errors
    /// [`LocalValidatorError`].
    pub fn start(dir: &Path, address: &str, so: &Path) -> Result<Self, LocalValidatorError> {
        if !so.is_file() {
            return Err(LocalValidatorError::NoProgram(so.to_owned()));
        }
        let home = Home::make(dir)?;
        let mut starts = 1;
        loop {
            let ports = Ports::find().map_err(LocalValidatorError::system("find free ports"))?;
            let new = ["--reset", "--bpf-program", address].map(OsStr::new);
            match Process::start(&home, ports, new.into_iter().chain([so.as_os_str()])) {
                Ok(process) => return Ok(Self { process, home, ports }),
                Err(error) if error.is_a_taken_port() && starts < STARTS => starts += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Kills it, as a power cut would, and starts it again where it was, with the chain it had.
    ///
    /// Blocks until it answers, some seconds.
    ///
    /// # Errors
    /// [`LocalValidatorError`]; then there is none any more.
    pub fn restart(&mut self) -> Result<(), LocalValidatorError> {
        self.process.end();
        self.process = Process::start(&self.home, self.ports, [])?;
        Ok(())
    }

    /// The address of its JSON-RPC.
    pub fn rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.rpc)
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Looks whether it still runs.
    ///
    /// # Errors
    /// [`LocalValidatorError::Died`] if it ended by itself.
    pub fn check(&mut self) -> Result<(), LocalValidatorError> {
        self.process.check(&self.home)
    }
}

/// The folder of one validator.
#[derive(Debug)]
struct Home {
    path: PathBuf,
    /// Goes with our process.
    _lock: File,
}

impl Home {
    fn make(dir: &Path) -> Result<Self, LocalValidatorError> {
        let failed = |what: &str, path: &Path| LocalValidatorError::system(format!("{what} {}", path.display()));
        fs::create_dir_all(dir).map_err(failed("make the folder", dir))?;
        // The validator gets absolute paths: what it makes of others is its own business.
        let dir = fs::canonicalize(dir).map_err(failed("find the folder", dir))?;
        let gate = dir.join("validators.lock");
        let gate = File::create(&gate).and_then(|file| file.lock().map(|()| file)).map_err(failed("lock", &gate))?;
        remove_leftovers(&dir);
        let mut number = 1u32;
        let path = loop {
            let path = dir.join(format!("validator-{number}"));
            match fs::create_dir(&path) {
                Ok(()) => break path,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number = number.saturating_add(1),
                Err(error) => return Err(failed("make the folder", &path)(error)),
            }
        };
        let lock = path.join("owner.lock");
        let lock = File::create(&lock).and_then(|file| file.lock().map(|()| file)).map_err(failed("lock", &lock))?;
        drop(gate);
        Ok(Self { path, _lock: lock })
    }

    fn output(&self) -> PathBuf {
        self.path.join("output.log")
    }

    /// The end of what it printed; of its log where it printed nothing of use.
    fn last_words(&self) -> String {
        let read = |path: PathBuf| {
            let bytes = fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty() && !is_greeting(line)).collect();
            lines.get(lines.len().saturating_sub(WORDS)..).unwrap_or_default().join("\n")
        };
        let printed = read(self.output());
        let words = if printed.is_empty() { read(self.path.join("ledger/validator.log")) } else { printed };
        if words.is_empty() { "(none)".to_owned() } else { words }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next start.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// What it prints to everybody who has no wallet.
fn is_greeting(line: &str) -> bool {
    line.starts_with("Notice! No wallet available")
}

/// Removes the folders of processes that have ended.
fn remove_leftovers(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if !entry.file_name().to_string_lossy().starts_with("validator-") || !path.is_dir() {
            continue;
        }
        let is_used = File::open(path.join("owner.lock"))
            .is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
        if !is_used {
            // The number of one that stays is skipped.
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// The validator's process, and the one that ends it should ours be killed.
#[derive(Debug)]
struct Process {
    child: Child,
    watchdog: Option<Child>,
}

impl Process {
    /// Starts it and waits until it answers. Unless `arguments` ask for a new ledger, it goes on with the one in its folder.
    fn start<'a>(
        home: &Home,
        ports: Ports,
        arguments: impl IntoIterator<Item = &'a OsStr>,
    ) -> Result<Self, LocalValidatorError> {
        let log = home.output();
        let written = || LocalValidatorError::system(format!("write {}", log.display()));
        let output = File::create(&log).map_err(written())?;
        let errors = output.try_clone().map_err(written())?;
        let child = Command::new("solana-test-validator")
            .arg("--ledger")
            .arg(home.path.join("ledger"))
            .args(["--quiet", "--bind-address", "127.0.0.1"])
            .args(ports.arguments())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C in a terminal is for us, who stop the validator when its users are done.
            .process_group(0)
            .spawn()
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => LocalValidatorError::NotInstalled,
                _ => LocalValidatorError::system("start solana-test-validator")(source),
            })?;
        let mut process = Self { child, watchdog: None };
        // Not by the parent-death signal: that comes with the end of the thread that started the child, and threads of
        // a pool come and go.
        let watchdog = Command::new("/bin/sh")
            .args(["-c", WATCH, "watchdog", &process.child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(LocalValidatorError::system("start what watches solana-test-validator"))?;
        process.watchdog = Some(watchdog);
        process.wait_until_it_answers(home, ports.rpc)?;
        Ok(process)
    }

    fn check(&mut self, home: &Home) -> Result<(), LocalValidatorError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                Err(LocalValidatorError::Died { what: format!("ended with {status}"), words: home.last_words() })
            }
            Err(source) => Err(LocalValidatorError::system("ask after solana-test-validator")(source)),
        }
    }

    fn wait_until_it_answers(&mut self, home: &Home, port: u16) -> Result<(), LocalValidatorError> {
        let begun = Instant::now();
        loop {
            self.check(home)?;
            if is_healthy(port) {
                // Where another process had the port, that one answered.
                return self.check(home);
            }
            if begun.elapsed() > PATIENCE {
                let what = format!("did not answer within {} s", PATIENCE.as_secs());
                return Err(LocalValidatorError::Died { what, words: home.last_words() });
            }
            sleep(LOOK);
        }
    }

    /// Kills it and waits until it is gone.
    fn end(&mut self) {
        // Either may have ended by itself; there is nobody left to tell. The watchdog goes before the validator's number
        // is free for another process.
        let _ = self.child.kill();
        if let Some(mut watchdog) = self.watchdog.take() {
            let _ = watchdog.kill();
            let _ = watchdog.wait();
        }
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The node's `/health` answers `ok` once it has made its first blocks.
fn is_healthy(port: u16) -> bool {
    let ask = || -> io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.trim_end().ends_with("ok"))
}

/// Where a validator listens: `WIDTH` ports in a row, none of which anybody else had a moment ago.
#[derive(Clone, Copy, Debug)]
struct Ports {
    /// For JSON-RPC; the next one is the websocket's.
    rpc: u16,
}

impl Ports {
    /// JSON-RPC, websocket, faucet, gossip, and the rest for what the validator assigns itself, at least 25.
    const WIDTH: u16 = 64;

    /// From a place where few others look: below what systems give to outgoing connections, and not the validator's own
    /// default, where a second one takes the first one's.
    fn find() -> io::Result<Self> {
        const FIRST: u16 = 10_240;
        const PLACES: u16 = 320;
        // Two that start at the same moment begin to look at different places.
        let now = UNIX_EPOCH.elapsed().unwrap_or_default().subsec_micros();
        let seed = now.wrapping_add(std::process::id().wrapping_mul(7_919)) % u32::from(PLACES);
        let places = (0..PLACES).map(|step| (seed as u16 + step) % PLACES);
        places
            .map(|place| Self { rpc: FIRST + place * Self::WIDTH })
            .find(|ports| ports.are_free())
            .ok_or_else(|| io::Error::other(format!("no {} in a row are free", Self::WIDTH)))
    }

    fn are_free(self) -> bool {
        let is_free = |port| {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
                && UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
        };
        (self.rpc..self.rpc.saturating_add(Self::WIDTH)).all(is_free)
    }

    fn arguments(self) -> [String; 8] {
        let [faucet, gossip, first, end] = [2, 3, 4, Self::WIDTH].map(|offset| self.rpc.saturating_add(offset));
        [
            "--rpc-port".to_owned(),
            self.rpc.to_string(),
            "--faucet-port".to_owned(),
            faucet.to_string(),
            "--gossip-port".to_owned(),
            gossip.to_string(),
            "--dynamic-port-range".to_owned(),
            format!("{first}-{end}"),
        ]
    }
}
