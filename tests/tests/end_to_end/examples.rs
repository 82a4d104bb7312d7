//! The examples, as their README runs them: by curl, by a TypeScript client generated from the description, and in Rust.

use crate::{
    demo::Demo,
    process::{binary, repository},
};
use std::{path::Path, process::Stdio};
use tokio::process::Command;

/// What a command said, which succeeded.
async fn said(folder: &Path, program: impl AsRef<Path>, arguments: &[&str]) -> String {
    let program = program.as_ref();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    let ended = command.output().await.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let [out, err] = [ended.stdout, ended.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(ended.status.success(), "{} {arguments:?}: {}\n{out}\n{err}", program.display(), ended.status);
    out
}

#[tokio::test]
async fn the_examples_do_what_they_say_with_a_client_generated_from_the_description() {
    let mut demo = Demo::start(&[]);
    let line = demo.process.said_line_with("everything stays up until Ctrl-C; the console is at ").await;
    let base = line.rsplit(" is at ").next().unwrap().trim_end_matches('/');

    let tour = said(&repository(""), repository("examples/curl/tour.sh"), &[base, "E001"]).await;
    for part in ["\"reason\":\"Granted\"", "\"asset_name\":\"coins\"", "\"leaf_count\":", "status 304"] {
        assert!(tour.contains(part), "{part:?} is not in:\n{tour}");
    }

    let agreed = said(&repository(""), binary("rebate-example"), &[base, "E001"]).await;
    assert_eq!(agreed.lines().filter(|line| line.ends_with("the chain and the API agree")).count(), 3, "{agreed}");

    let typescript = repository("examples/typescript");
    let bin = typescript.join("node_modules/.bin");
    said(&typescript, bin.join("openapi-typescript"), &["../../api/openapi.json", "--output", "api.d.ts"]).await;
    // Whatever the description lacks or has wrong does not compile.
    said(&typescript, bin.join("tsc"), &[]).await;
    let balances = said(&typescript, "node", &["build/balances.js", base, "E001"]).await;
    for part in ["order E001: 600 paid at ", "  first recharge 20%: +120 coins", "an unknown order: 404 Not on record"]
    {
        assert!(balances.contains(part), "{part:?} is not in:\n{balances}");
    }
    let live = said(&typescript, "node", &["build/live.js", base, "1"]).await;
    assert!(live.contains("the latest order so far: ") && live.contains("ready: "), "{live}");
}
