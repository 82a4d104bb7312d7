//! A `nats-server` of our own with JetStream: it can be killed and started again on the same port with what it stored, and
//! is gone when it is dropped and when its process ends, however that ends.

use std::{
    env,
    fs::File,
    io::{self, BufRead, BufReader},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long it may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at one that starts.
const LOOK: Duration = Duration::from_millis(20);

/// How often to start, where somebody else takes the port between our finding it free and the server's using it.
const STARTS: u32 = 4;

/// Ends the process with the number `$1` when its own standard input ends, which is when the process that holds the
/// other end does.
const WATCH: &str = r#"read -r _; kill -KILL "$1""#;

/// Why there is no NATS.
#[derive(Debug, thiserror::Error)]
pub enum LocalNatsError {
    /// It is not installed.
    #[error("nats-server is not on PATH; `setup/nats` installs it")]
    NotInstalled,
    /// The system did not let us.
    #[error("cannot {what}: {source}")]
    System {
        /// What we wanted.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// It ended, or never answered.
    #[error("nats-server did not answer within {} s; see {}", PATIENCE.as_secs(), log.display())]
    Silent {
        /// Where its log is.
        log: PathBuf,
    },
}

impl LocalNatsError {
    fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::System { what, source }
    }
}

/// A running server, or one that was killed and can be started again.
#[derive(Debug)]
pub struct LocalNats {
    dir: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl LocalNats {
    /// Starts a server on a free port, for this machine only, which stores in `dir`.
    ///
    /// # Errors
    /// [`LocalNatsError`].
    pub fn start(dir: &Path) -> Result<Self, LocalNatsError> {
        let mut starts = 1;
        loop {
            let port = free_port().map_err(LocalNatsError::system("find a free port"))?;
            match Process::start(dir, port) {
                Ok(process) => return Ok(Self { dir: dir.to_owned(), port, process: Some(process) }),
                Err(LocalNatsError::Silent { .. }) if starts < STARTS => starts += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it as a power cut would. What it stored stays.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again after [`kill`](Self::kill), on the same port with what it stored.
    ///
    /// # Errors
    /// [`LocalNatsError`].
    pub fn restart(&mut self) -> Result<(), LocalNatsError> {
        self.kill();
        self.process = Some(Process::start(&self.dir, self.port)?);
        Ok(())
    }
}

/// The server's process, and the one that ends it should ours be killed.
#[derive(Debug)]
struct Process {
    child: Child,
    watchdog: Option<Child>,
}

impl Process {
    fn start(dir: &Path, port: u16) -> Result<Self, LocalNatsError> {
        let log = dir.join("nats.log");
        let written = || LocalNatsError::system(format!("write {}", log.display()));
        let output = File::create(&log).map_err(written())?;
        let errors = output.try_clone().map_err(written())?;
        let child = Command::new(program())
            .args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream", "--store_dir"])
            .arg(dir.join("jetstream"))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => LocalNatsError::NotInstalled,
                _ => LocalNatsError::system("start nats-server")(source),
            })?;
        let mut process = Self { child, watchdog: None };
        let watchdog = Command::new("/bin/sh")
            .args(["-c", WATCH, "watchdog", &process.child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(LocalNatsError::system("start what watches nats-server"))?;
        process.watchdog = Some(watchdog);
        let begun = Instant::now();
        while !answers(port) {
            let has_ended = !matches!(process.child.try_wait(), Ok(None));
            if has_ended || begun.elapsed() > PATIENCE {
                return Err(LocalNatsError::Silent { log });
            }
            sleep(LOOK);
        }
        Ok(process)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either may have ended by itself; there is nobody left to tell. The watchdog goes before the server's number is
        // free for another process.
        let _ = self.child.kill();
        if let Some(watchdog) = &mut self.watchdog {
            let _ = watchdog.kill();
            let _ = watchdog.wait();
        }
        let _ = self.child.wait();
    }
}

/// Debian puts it where only root's PATH leads.
fn program() -> PathBuf {
    const NAME: &str = "nats-server";
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    places.find(|place| place.join(NAME).is_file()).map_or_else(|| NAME.into(), |place| place.join(NAME))
}

/// One that nobody had a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A server greets whoever connects with `INFO` and what it can do.
fn answers(port: u16) -> bool {
    let ask = || -> io::Result<String> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut greeting = String::new();
        BufReader::new(stream).read_line(&mut greeting)?;
        Ok(greeting)
    };
    ask().is_ok_and(|greeting| greeting.starts_with("INFO ") && greeting.contains("\"jetstream\":true"))
}
