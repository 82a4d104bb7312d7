//! The API as a process of its own.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
};
use tokio::sync::oneshot;

/// A running API; it ends with this.
pub struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts it on a database and waits until it listens.
    pub async fn start(database_url: &str) -> Self {
        // target/release/deps/load-…
        let bench = env::current_exe().unwrap();
        let command = bench.ancestors().nth(2).unwrap().join("rebate-api");
        assert!(command.is_file(), "no command at {}: cargo build --release --workspace --bins", command.display());
        let mut process = Command::new(command)
            // No node is asked in what is measured.
            .args(["--listen", "127.0.0.1:0", "--rpc", "http://127.0.0.1:1"])
            .args(env::var("REBATE_BENCH_API").unwrap_or_default().split_whitespace())
            .env("DATABASE_URL", database_url)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, told) = oneshot::channel();
        let log = BufReader::new(process.stderr.take().unwrap());
        thread::spawn(move || {
            let mut tell = Some(tell);
            for line in log.lines().map_while(Result::ok) {
                let address = line.split_once("listening on http://").map(|(_, address)| address.trim().to_owned());
                match (address, tell.is_some()) {
                    (Some(address), true) => drop(tell.take().map(|tell| tell.send(address))),
                    _ => eprintln!("rebate-api: {line}"),
                }
            }
        });
        let address = told.await.expect("the API ended; what it said is above");
        Self { process, address: address.parse().unwrap() }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The most it ever had in memory, in MiB.
    pub fn mebibytes(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
