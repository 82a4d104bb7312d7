//! A `solana-test-validator` of our own: a real chain on loopback, gone when it is dropped.

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long it may take until it answers.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why there is no validator.
#[derive(Debug, thiserror::Error)]
pub enum LocalValidatorError {
    /// It is not installed.
    #[error("solana-test-validator is not on PATH; `setup/validator` installs it")]
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
    #[error("solana-test-validator {what}; its last words, from {}:\n{words}", log.display())]
    Died {
        /// What it did.
        what: String,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        words: String,
    },
}

/// A running validator.
#[derive(Debug)]
pub struct LocalValidator {
    child: Child,
    ledger: PathBuf,
    rpc_port: u16,
}

impl LocalValidator {
    /// Starts a validator on free ports with the program at `so` under `address` (base58), with a new ledger in a
    /// folder of its own under `dir`.
    ///
    /// Blocks until it answers, some seconds.
    ///
    /// # Errors
    /// [`LocalValidatorError`].
    pub fn start(dir: &Path, address: &str, so: &Path) -> Result<Self, LocalValidatorError> {
        let system = |what: String| move |source| LocalValidatorError::System { what, source };
        let ledger = dir.join(format!("validator-{}", std::process::id()));
        fs::create_dir_all(&ledger).map_err(system(format!("make the folder {}", ledger.display())))?;
        let log = ledger.join("output.log");
        let output = File::create(&log).map_err(system(format!("write {}", log.display())))?;
        let errors = output.try_clone().map_err(system(format!("write {}", log.display())))?;
        let (rpc_port, faucet_port) = free_ports().map_err(system("find free ports on 127.0.0.1".to_owned()))?;
        let child = Command::new("solana-test-validator")
            .arg("--ledger")
            .arg(ledger.join("ledger"))
            .args(["--reset", "--quiet", "--bind-address", "127.0.0.1"])
            .args(["--rpc-port", &rpc_port.to_string(), "--faucet-port", &faucet_port.to_string()])
            .args(["--bpf-program", address])
            .arg(so)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => LocalValidatorError::NotInstalled,
                _ => LocalValidatorError::System { what: "start solana-test-validator".to_owned(), source },
            })?;
        let mut validator = Self { child, ledger, rpc_port };
        validator.wait_until_it_answers(&log)?;
        Ok(validator)
    }

    /// The address of its JSON-RPC.
    pub fn rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.rpc_port)
    }

    fn wait_until_it_answers(&mut self, log: &Path) -> Result<(), LocalValidatorError> {
        let begun = Instant::now();
        let died = |what: String| LocalValidatorError::Died { what, log: log.to_owned(), words: last_words(log) };
        loop {
            match self.child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => return Err(died(format!("ended with {status}"))),
                Err(source) => {
                    return Err(LocalValidatorError::System { what: "ask after solana-test-validator".to_owned(), source });
                }
            }
            if healthy(self.rpc_port) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(died(format!("did not answer within {} s", PATIENCE.as_secs())));
            }
            sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for LocalValidator {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.ledger);
    }
}

/// The node's `/health` answers `ok` once it has made its first blocks.
fn healthy(port: u16) -> bool {
    use std::io::{Read, Write};
    let ask = || -> io::Result<String> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.trim_end().ends_with("ok"))
}

/// A port for JSON-RPC whose neighbour, which its websocket takes, is free too, and one for the faucet.
fn free_ports() -> io::Result<(u16, u16)> {
    loop {
        let rpc = TcpListener::bind(("127.0.0.1", 0))?;
        let port = rpc.local_addr()?.port();
        let Some(next) = port.checked_add(1) else { continue };
        let Ok(_websocket) = TcpListener::bind(("127.0.0.1", next)) else { continue };
        let faucet = TcpListener::bind(("127.0.0.1", 0))?;
        return Ok((port, faucet.local_addr()?.port()));
    }
}

fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
}
