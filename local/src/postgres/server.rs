//! The server's process: found or started, and stopped again.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::account::Account;
use super::programs::Programs;
use super::socket::{self, SocketFolder};
use super::{LocalPostgresError, Settings};

/// How long a start may take: recovery after a crash reads the log of what was not yet written.
const START: Duration = Duration::from_secs(120);
/// How long a server may take to end its connections and to write what it has.
const STOP: Duration = Duration::from_secs(60);
/// Between two looks at a process that starts or stops.
const LOOK: Duration = Duration::from_millis(20);

/// Held by whoever starts, joins or stops the server.
const CHANGE: &str = "change.lock";
/// Shared by all who use the server.
const USERS: &str = "users.lock";

/// A running server, and our part in it.
#[derive(Debug)]
pub(super) struct Server {
    cluster: Cluster,
    /// Holds the shared lock for as long as we use the server.
    users: Option<File>,
    /// Nothing where another process started it.
    child: Option<Child>,
}

impl Server {
    pub fn start(dir: &Path, settings: &Settings) -> Result<Self, LocalPostgresError> {
        let account = Account::choose(&dir.join("data"), settings.as_root)?;
        let home = account.settle(dir)?;
        let socket = socket::folder(&home)?;
        let cluster = Cluster { data: home.join("data"), log: home.join("postgres.log"), home, socket, account };

        let deadline = Instant::now() + START;
        let _change = cluster.lock(CHANGE, File::try_lock, deadline)?;
        let users = cluster.lock(USERS, File::try_lock_shared, deadline)?;
        cluster.socket.make(cluster.account.owner())?;
        let child = if cluster.adopt(deadline)? {
            None
        } else {
            cluster.initialise(settings)?;
            Some(cluster.spawn_until_ready(settings, deadline)?)
        };
        Ok(Self { cluster, users: Some(users), child })
    }

    pub fn socket_dir(&self) -> &Path {
        self.cluster.socket.dir()
    }

    pub fn stop(mut self) -> Result<(), LocalPostgresError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), LocalPostgresError> {
        let Some(users) = self.users.take() else {
            return Ok(());
        };
        // Closing it would not do: a child that is being forked has it too, for a moment.
        users.unlock().map_err(LocalPostgresError::file("unlock", &self.cluster.home.join(USERS)))?;
        // Whoever starts it now may take as long as a start may take.
        let _change = self.cluster.lock(CHANGE, File::try_lock, Instant::now() + START)?;
        if self.cluster.is_used()? {
            // The last one stops it, but only its parent can keep it from staying as a zombie.
            if let Some(mut child) = self.child.take() {
                let _detached = thread::Builder::new().spawn(move || child.wait());
            }
            return Ok(());
        }
        self.stop_process()?;
        self.cluster.socket.remove();
        Ok(())
    }

    fn stop_process(&mut self) -> Result<(), LocalPostgresError> {
        let deadline = Instant::now() + STOP;
        let mut told = None;
        while let Some(pid) = self.running_process() {
            if told.replace(pid) != Some(pid) {
                // A "fast" shutdown: transactions are rolled back, what is committed is written.
                let _already_gone = kill_process(pid, Signal::INT);
            }
            if Instant::now() > deadline {
                let (dir, pid) = (self.cluster.home.clone(), pid.as_raw_nonzero().get());
                return Err(LocalPostgresError::DidNotStop { dir, pid, seconds: STOP.as_secs() });
            }
            sleep(LOOK);
        }
        Ok(())
    }

    /// The process to stop: the one we started, or the one that another process started before us or after a crash.
    fn running_process(&mut self) -> Option<Pid> {
        if let Some(child) = &mut self.child
            && matches!(child.try_wait(), Ok(None))
        {
            return Some(Pid::from_child(child));
        }
        self.cluster.named_process().filter(|pid| is_server(*pid, &self.cluster.data))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            let _nobody_listens = writeln!(std::io::stderr(), "{error}");
        }
    }
}

/// The places of one cluster.
#[derive(Debug)]
struct Cluster {
    home: PathBuf,
    data: PathBuf,
    log: PathBuf,
    socket: SocketFolder,
    account: Account,
}

impl Cluster {
    /// The lock file of that name, once `try_lock` has locked it.
    fn lock(
        &self,
        name: &str,
        try_lock: fn(&File) -> Result<(), TryLockError>,
        deadline: Instant,
    ) -> Result<File, LocalPostgresError> {
        let file = self.open(name)?;
        loop {
            match try_lock(&file) {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => self.wait(deadline)?,
                Err(TryLockError::Error(error)) => {
                    return Err(LocalPostgresError::file("lock", &self.home.join(name))(error));
                }
            }
        }
    }

    /// Whether anybody uses the server. Nobody begins to while we hold the lock for changes.
    fn is_used(&self) -> Result<bool, LocalPostgresError> {
        match self.open(USERS)?.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(LocalPostgresError::file("lock", &self.home.join(USERS))(error)),
        }
    }

    fn open(&self, name: &str) -> Result<File, LocalPostgresError> {
        let path = self.home.join(name);
        // Some file systems share a lock only on what may be read, and lock only what may be written.
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        opened.map_err(LocalPostgresError::file("open", &path))
    }

    /// Whether there is a server to join, once it is ready. Removes what would keep a new one from starting.
    fn adopt(&self, deadline: Instant) -> Result<bool, LocalPostgresError> {
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
                return Ok(false);
            }
            if self.is_ready() {
                return Ok(true);
            }
            // Whoever started it was killed, or somebody else stops it.
            self.wait(deadline)?;
        }
        Ok(false)
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
        command.arg("-D").arg(&self.data).arg("-k").arg(self.socket.dir()).args([
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
            && UnixStream::connect(self.socket.file()).is_ok()
    }

    /// The process that the cluster's file names, alive or not.
    fn named_process(&self) -> Option<Pid> {
        Pid::from_raw(fs::read_to_string(self.pid_file()).ok()?.lines().next()?.trim().parse().ok()?)
    }

    fn pid_file(&self) -> PathBuf {
        self.data.join("postmaster.pid")
    }

    fn socket_lock(&self) -> PathBuf {
        let mut name = self.socket.file().into_os_string();
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
