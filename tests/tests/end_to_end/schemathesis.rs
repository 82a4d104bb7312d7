//! Requests that somebody else's program makes up from the description, right ones and wrong ones.

use crate::{
    demo::Demo,
    process::{binary, repository},
};
use std::{env, process::Stdio, time::UNIX_EPOCH};
use tokio::process::Command;

/// How long it tries.
const SECONDS: &str = "25";

/// `positive_data_acceptance` is left out: it takes for right whatever fits a pattern, and no pattern says that base58 is of 32
/// bytes, or which cursors a list gave out.
const WITHOUT: &str = "positive_data_acceptance";

#[tokio::test]
async fn schemathesis_finds_nothing() {
    let mut demo = Demo::start(&[]);
    let line = demo.process.said_line_with("everything stays up until Ctrl-C; the console is at ").await;
    let base = line.rsplit(" is at ").next().unwrap().trim_end_matches('/').to_owned();
    let now = UNIX_EPOCH.elapsed().unwrap().subsec_nanos().to_string();
    let seed = env::var("REBATE_SCHEMATHESIS_SEED").unwrap_or(now);
    let tool = binary("rebate").parent().unwrap().join("../schemathesis/bin/schemathesis");
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(&tool);
    command.args(["run", &format!("{base}/openapi.json"), "--checks", "all", "--exclude-checks", WITHOUT]);
    command.args(["--max-time", SECONDS, "--max-examples", "30", "--workers", "1", "--seed", &seed, "--no-color"]);
    command.arg("--continue-on-failure").current_dir(folder.path()).stdin(Stdio::null()).kill_on_drop(true);
    let ended = command.output().await.unwrap_or_else(|error| {
        panic!("{}: {error}; {} installs it", tool.display(), repository("setup/schemathesis").display())
    });
    let said = [ended.stdout, ended.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(ended.status.success(), "REBATE_SCHEMATHESIS_SEED={seed} plays the same again\n{said}");
    println!("schemathesis found nothing with seed {seed}");
}
