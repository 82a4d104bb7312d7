//! `rebate demo`: a live-stream evening on a chain of its own, from the rules to the balances.
//!
//! It plays the records of a file, shows what each came to as the API tells it, and in the end holds three things
//! against each other: what the API says, what the chain's accounts say, and what `rebate-core` decides by itself.

mod api;
mod evening;
mod expected;
mod oracle;
mod show;
mod summary;
mod tally;

use crate::{
    arguments::DemoArguments,
    cast::Cast,
    payment_file::{self, Record},
    rule::{rule_book, table},
    stage::{Stage, StageOptions},
};
use anyhow::Context;
use api::Api;
use evening::Evening;
use expected::Expected;
use oracle::Counter;
use rebate_client::recorder::Recorder;
use rebate_core::units::Timestamp;
use rebate_rulefile::RuleFile;
use show::Show;
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};
use tally::Tally;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Plays the evening.
///
/// # Errors
/// What could not be set up, or what disagreed.
pub async fn run(arguments: DemoArguments) -> anyhow::Result<()> {
    // Whatever is wrong with the files is said before anything is started.
    let rules = RuleFile::read(&arguments.rules)?;
    let records = payment_file::read(&arguments.payments)?;
    let show = Show::new();
    show.title("A live-stream evening: callbacks in, grants out, and nothing to be believed");
    let options = StageOptions {
        chain: arguments.chain,
        program: arguments.program,
        local: arguments.local,
        listen: arguments.listen,
    };
    let stop = stop_on_signals().context("cannot listen for Ctrl-C and SIGTERM")?;
    let stage = Stage::set_unless(&options, &stop, |what| show.step(what)).await?;
    let played = tokio::select! {
        played = play(&stage, &rules, &records, Duration::from_millis(arguments.pace), &show) => played,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted before the end")),
        error = stage.broken() => Err(error),
    };
    let result = match played {
        Ok(differences) if arguments.once || !differences.is_empty() => match differences.as_slice() {
            [] => Ok(()),
            differences => Err(anyhow::anyhow!("{} things disagree:\n{}", differences.len(), differences.join("\n"))),
        },
        Ok(_) => {
            show.step(&format!("everything stays up until Ctrl-C; the console is at {}/", stage.api));
            tokio::select! {
                () = stop.cancelled() => Ok(()),
                error = stage.broken() => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    let struck = stage.strike().await;
    result.and(struck)
}

/// A token that Ctrl-C and SIGTERM cancel.
fn stop_on_signals() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut told = signal(kind)?;
        let stop = stop.clone();
        tokio::spawn(async move {
            told.recv().await;
            stop.cancel();
        });
    }
    Ok(stop)
}

async fn play(
    stage: &Stage,
    rules: &RuleFile,
    records: &[Record],
    pace: Duration,
    show: &Show,
) -> anyhow::Result<Vec<String>> {
    let cast = Cast::new();
    show.step(&format!("the evening can be watched as it happens: open {}/ in a browser", stage.api));
    show.step("creating the platform, registering its oracle's key, publishing the rules");
    let addresses = cast.publish(&*stage.chain, rules).await?;
    let (_, on_chain) = rule_book(&*stage.chain, &addresses).await?;
    show.rules(&table(&on_chain).to_string());

    show.step("starting the oracle of that platform: its server, its queue, its outbox to the chain");
    let oracle = stage.begin_oracle(&cast, addresses.platform).await?;

    let began = Timestamp(stage.chain.now().await?);
    let recorder = Recorder::new(&*stage.chain, addresses.platform, &cast.payer).await?;
    let users: BTreeSet<_> = records.iter().filter_map(Record::user).map(str::to_owned).collect();
    let mut evening = Evening {
        stage,
        api: Api::new(&stage.api)?,
        oracle: Counter::new(oracle)?,
        cast: &cast,
        show,
        expected: Expected::new(recorder.platform(), on_chain, began),
        recorder,
        began,
        pace,
        offset: rules.offsets.last().map_or(0, |offset| offset.seconds),
        users,
        paid: HashMap::new(),
        wallets: HashMap::new(),
        tally: Tally::default(),
        differences: Vec::new(),
        last: None,
    };
    show.step(&format!("playing {} records of {} users", records.len(), evening.users.len()));
    show.head(evening.offset);
    evening.play(records).await?;
    evening.close().await
}
