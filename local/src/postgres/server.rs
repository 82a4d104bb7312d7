//! The server's process: found or started, and stopped again.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::account::Account;
use super::programs::Programs;
use super::{LocalPostgresError, Settings, socket};

/// How long a start may take: recovery after a crash reads the log of what was not yet written.
const START: Duration = Duration::from_secs(120);
/// How long a server may take to end its connections and to write what it has.
const STOP: Duration = Duration::from_secs(60);
/// Between two looks at a process that starts or stops.
const LOOK: Duration = Duration::from_millis(20);

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    home: PathBuf,
    socket_dir: PathBuf,
    /// What this process has to stop; nothing where another process owns the server.
    owned: Option<Owned>,
}

#[derive(Debug)]
struct Owned {
    pid: Pid,
    /// Nothing where the server was left running by a process that ended without stopping it.
    child: Option<Child>,
    /// Whether the socket's folder goes with the server.
    socket_dir_is_temporary: bool,
    /// Held until the server has stopped.
    _lock: File,
}

impl Server {
    pub fn start(dir: &Path, settings: &Settings) -> Result<Self, LocalPostgresError> {
        let account = Account::choose(&dir.join("data"), settings.as_root)?;
        let home = account.settle(dir)?;
        let (socket_dir, socket_dir_is_temporary) = socket::folder(&home, account.owner())?;
        let cluster = Cluster { data: home.join("data"), log: home.join("postgres.log"), home, socket_dir, account };

        let lock_path = cluster.home.join("owner.lock");
        let lock = File::create(&lock_path).map_err(LocalPostgresError::file("open", &lock_path))?;
        let deadline = Instant::now() + START;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => {
                    return Err(LocalPostgresError::file("lock", &lock_path)(error));
                }
                // Somebody else starts it, runs it or stops it.
                Err(TryLockError::WouldBlock) if cluster.is_ready() => {
                    return Ok(Self { home: cluster.home, socket_dir: cluster.socket_dir, owned: None });
                }
                Err(TryLockError::WouldBlock) => {}
            }
            cluster.wait(deadline)?;
        }

        let (pid, child) = match cluster.adopt(deadline)? {
            Some(pid) => (pid, None),
            None => {
                cluster.initialise(settings)?;
                let child = cluster.spawn_until_ready(settings, deadline)?;
                (Pid::from_child(&child), Some(child))
            }
        };
        let owned = Owned { pid, child, socket_dir_is_temporary, _lock: lock };
        Ok(Self { home: cluster.home, socket_dir: cluster.socket_dir, owned: Some(owned) })
    }

    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    pub fn is_owned(&self) -> bool {
        self.owned.is_some()
    }

    pub fn stop(mut self) -> Result<(), LocalPostgresError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), LocalPostgresError> {
        let Some(mut owned) = self.owned.take() else {
            return Ok(());
        };
        // A "fast" shutdown: transactions are rolled back, what is committed is written.
        let _already_gone = kill_process(owned.pid, Signal::INT);
        let deadline = Instant::now() + STOP;
        while owned.is_running(&self.home.join("data")) {
            if Instant::now() > deadline {
                let pid = owned.pid.as_raw_nonzero().get();
                return Err(LocalPostgresError::DidNotStop { dir: self.home.clone(), pid, seconds: STOP.as_secs() });
            }
            sleep(LOOK);
        }
        if owned.socket_dir_is_temporary {
            // The next start makes it again; one that cannot be removed is found there and used.
            let _left = fs::remove_dir_all(&self.socket_dir);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            let _nobody_listens = writeln!(std::io::stderr(), "{error}");
        }
    }
}

impl Owned {
    fn is_running(&mut self, data: &Path) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => is_server(self.pid, data),
        }
    }
}

/// The places of one cluster.
struct Cluster {
    home: PathBuf,
    data: PathBuf,
    log: PathBuf,
    socket_dir: PathBuf,
    account: Account,
}

impl Cluster {
    /// The server that an ended owner left running, once it is ready. Removes what would keep a new one from starting.
    fn adopt(&self, deadline: Instant) -> Result<Option<Pid>, LocalPostgresError> {
        while let Some(pid) = self.named_process() {
            if !is_server(pid, &self.data) {
                // Connections of a killed server take a moment to notice. Nothing may start before they have ended.
                while is_worked_in(&self.data) {
                    self.wait(deadline)?;
                }
                // Postgres takes any process of that number for itself, a zombie too, and would refuse to start. After
                // a restart of the machine there often is one.
                for stale in [self.pid_file(), self.socket_lock()] {
                    match fs::remove_file(&stale) {
                        Err(error) if error.kind() != ErrorKind::NotFound => {
                            return Err(LocalPostgresError::file("remove", &stale)(error));
                        }
                        _ => {}
                    }
                }
                return Ok(None);
            }
            if self.is_ready() {
                return Ok(Some(pid));
            }
            // It is starting, or stopping.
            self.wait(deadline)?;
        }
        Ok(None)
    }

    /// Makes the cluster if there is none. One that is there is whole: it got its name when it was.
    fn initialise(&self, settings: &Settings) -> Result<(), LocalPostgresError> {
        if self.data.exists() {
            return Ok(());
        }
        let unfinished = self.home.join("data.new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(LocalPostgresError::file("remove", &unfinished))?;
        }
        let initdb = Programs::find(&self.data)?.initdb();
        let mut command = self.account.command(&initdb);
        command
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--pgdata"])
            .arg(&unfinished);
        if settings.is("fsync", "off") {
            command.arg("--no-sync");
        }
        let made = command
            .current_dir(&self.home)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .map_err(|source| LocalPostgresError::Program { program: initdb.display().to_string(), source })?;
        if !made.status.success() {
            let said = last_lines(&String::from_utf8_lossy(&made.stderr));
            let _half_made = fs::remove_dir_all(&unfinished);
            return Err(LocalPostgresError::Initdb { dir: self.home.clone(), said });
        }
        fs::rename(&unfinished, &self.data).map_err(LocalPostgresError::file("rename", &unfinished))
    }

    fn spawn_until_ready(&self, settings: &Settings, deadline: Instant) -> Result<Child, LocalPostgresError> {
        let mut child = self.spawn(settings)?;
        loop {
            if self.named_process() == Some(Pid::from_child(&child)) && self.is_ready() {
                return Ok(child);
            }
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(_)) => break,
                Err(error) => {
                    return Err(LocalPostgresError::file("wait for the server of", &self.data)(error));
                }
            }
            if let Err(late) = self.wait(deadline) {
                let _ended = child.kill();
                let _reaped = child.wait();
                return Err(late);
            }
        }
        let said = last_lines(&fs::read_to_string(&self.log).unwrap_or_default());
        Err(LocalPostgresError::DidNotStart { dir: self.home.clone(), log: self.log.clone(), said })
    }

    fn spawn(&self, settings: &Settings) -> Result<Child, LocalPostgresError> {
        let postgres = Programs::find(&self.data)?.postgres();
        let log = File::create(&self.log).map_err(LocalPostgresError::file("write", &self.log))?;
        let also = log.try_clone().map_err(LocalPostgresError::file("write", &self.log))?;
        let mut command = self.account.command(&postgres);
        command.arg("-D").arg(&self.data).arg("-k").arg(&self.socket_dir).args([
            "-p",
            "5432",
            "-c",
            "listen_addresses=",
        ]);
        for (name, value) in &settings.parameters {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command
            .current_dir(&self.home)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(also)
            // Ctrl-C in a terminal is for us, who stop the server when its users are done.
            .process_group(0)
            .spawn()
            .map_err(|source| LocalPostgresError::Program { program: postgres.display().to_string(), source })
    }

    /// Whether a server accepts connections: it says so in its file, and somebody listens.
    fn is_ready(&self) -> bool {
        let Ok(file) = fs::read_to_string(self.pid_file()) else {
            return false;
        };
        file.lines().nth(7).is_some_and(|status| status.trim() == "ready")
            && UnixStream::connect(socket::socket(&self.socket_dir)).is_ok()
    }

    /// The process that the cluster's file names, alive or not.
    fn named_process(&self) -> Option<Pid> {
        Pid::from_raw(fs::read_to_string(self.pid_file()).ok()?.lines().next()?.trim().parse().ok()?)
    }

    fn pid_file(&self) -> PathBuf {
        self.data.join("postmaster.pid")
    }

    fn socket_lock(&self) -> PathBuf {
        let mut name = socket::socket(&self.socket_dir).into_os_string();
        name.push(".lock");
        name.into()
    }

    /// One more look later, unless it is too late.
    fn wait(&self, deadline: Instant) -> Result<(), LocalPostgresError> {
        if Instant::now() > deadline {
            let (dir, log) = (self.home.clone(), self.log.clone());
            return Err(LocalPostgresError::Slow { dir, log, seconds: START.as_secs() });
        }
        sleep(LOOK);
        Ok(())
    }
}

/// Whether this process is the server of the cluster in `data`, and not one that got the number of one that ended.
fn is_server(pid: Pid, data: &Path) -> bool {
    match fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())) {
        Ok(arguments) => {
            let mut arguments = arguments.split(|byte| *byte == 0);
            let program = arguments.next().unwrap_or_default();
            program.ends_with(b"postgres") && arguments.any(|argument| argument == data.as_os_str().as_encoded_bytes())
        }
        // No such process, or a system without /proc, where its being alive has to do.
        Err(_) => !Path::new("/proc/self").exists() && test_kill_process(pid).is_ok(),
    }
}

/// Whether a process of the cluster in `data` is left: every one works in that folder, and nothing else does.
fn is_worked_in(data: &Path) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| fs::read_link(process.path().join("cwd")).ok()).any(|folder| folder == data)
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(6)..].join("\n")
}
