//! The console and the page of an order, walked by a browser while a demo is played and when it has ended.

use crate::{demo::Demo, process::repository};
use std::process::Stdio;
use tokio::process::Command;

/// Runs a script of tests/browser against the API at `base`, with the key of an operator.
async fn walk(script: &str, base: &str, key: &str) {
    let mut command = Command::new("node");
    command.args(["--test", script]).current_dir(repository("tests/browser"));
    command.env("REBATE_API", base).env("REBATE_KEY", key).stdin(Stdio::null()).kill_on_drop(true);
    let ended = command.output().await.expect("node, which setup/browser installs");
    let said = [ended.stdout, ended.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(ended.status.success(), "{script}:\n{said}");
}

#[tokio::test]
async fn the_console_shows_an_evening_as_it_happens_and_an_order_verifies_in_the_browser() {
    let mut demo = Demo::start(&["--pace", "100"]);
    let line = demo.process.said_line_with("the evening can be watched as it happens: open ").await;
    let base = line.split("open ").nth(1).unwrap().split("/ in a browser").next().unwrap().to_owned();
    walk("live.test.mjs", &base, "").await;
    let line = demo.process.said_line_with("its key ").await;
    let key = line.split_whitespace().last().unwrap();
    demo.process.said_line_with("everything stays up until Ctrl-C").await;
    tokio::join!(
        walk("words.test.mjs", &base, key),
        walk("console.test.mjs", &base, key),
        walk("order.test.mjs", &base, key)
    );
}
