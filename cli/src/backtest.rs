//! `rebate backtest`.

use crate::{arguments::BacktestArguments, rule::moment};
use anyhow::bail;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rebate_backtest::{Budget, Draft, Progress, Range, Report, Request, RuleSide};
use rebate_core::units::Timestamp;
use rebate_indexer::database;
use rebate_rulefile::RuleFile;
use std::{
    io::{IsTerminal, stderr},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// Tests the draft and prints what it came to.
///
/// # Errors
/// One clear reason.
pub async fn run(arguments: BacktestArguments) -> anyhow::Result<()> {
    let draft = match &arguments.rules {
        Some(file) => Draft::File(Box::new(RuleFile::read(file)?)),
        None => Draft::Published,
    };
    let at = |name: &str, text: &Option<String>| match text {
        None => Ok(Timestamp(0)),
        Some(text) => match moment(name, text)? {
            at if at.0 > 0 => Ok(at),
            _ => bail!("{name} {text:?} is before 1970; leave it out for all there are"),
        },
    };
    let range = Range { from: at("--from", &arguments.from)?, to: at("--to", &arguments.to)? };
    let request = Request { platform: arguments.platform, draft, range };
    request.check()?;
    let pool = database::connect(&arguments.database_url).await?;
    database::check(&pool).await?;
    let (progress, begun) = (Arc::new(Progress::default()), Instant::now());
    let cancel = CancellationToken::new();
    let running = rebate_backtest::run(&pool, request, Arc::clone(&progress), &cancel);
    let report = watched(running, &progress).await?;
    pool.close().await;
    if stderr().is_terminal() {
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!(
            "{} events in {seconds:.2} s, {:.0} a second",
            report.events,
            report.events as f64 / seconds.max(f64::EPSILON)
        );
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        show(&report);
    }
    Ok(())
}

/// Shows a bar on a terminal until `running` is done.
async fn watched<T>(running: impl Future<Output = T>, progress: &Progress) -> T {
    if !stderr().is_terminal() {
        return running.await;
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("back-test {wide_bar} {percent} %, {per_sec}, {eta} to go") {
        bar.set_style(style);
    }
    let mut running = std::pin::pin!(running);
    loop {
        if let Ok(done) = tokio::time::timeout(TICK, &mut running).await {
            bar.finish_and_clear();
            return done;
        }
        bar.set_length(progress.total());
        bar.set_position(progress.done());
    }
}

fn table<const N: usize>(header: [&str; N], texts: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(header);
    for column in table.column_iter_mut().skip(texts) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn show(report: &Report) {
    println!(
        "payments from {} until {}: {} of {} users, {} in all; {} refunds of {}",
        report.from.as_deref().unwrap_or("the first"),
        report.to.as_deref().unwrap_or("the last"),
        report.payments,
        report.users,
        report.paid,
        report.refunds,
        report.refunded
    );
    if report.payments_before > 0 {
        println!("{} payments before were decided by the published rules", report.payments_before);
    }
    let mut assets = table(
        [
            "asset",
            "granted by the draft",
            "really",
            "difference",
            "users by the draft",
            "really",
            "reversed by the draft",
            "really",
        ],
        1,
    );
    for asset in &report.assets {
        let (draft, really) = (&asset.draft, &asset.really);
        assets.add_row([
            asset.name.clone(),
            draft.granted.clone(),
            really.granted.clone(),
            asset.difference.clone(),
            draft.users.to_string(),
            really.users.to_string(),
            draft.reversed.clone(),
            really.reversed.clone(),
        ]);
    }
    println!("{assets}");
    let name = |asset: u8| {
        let known = report.assets.iter().find(|known| known.asset == asset);
        known.map_or_else(|| format!("asset {asset}"), |asset| asset.name.clone())
    };
    let mut rules =
        table(["rule", "name", "asset", "", "granted", "grants", "users", "reversed", "budget", "not granted"], 4);
    for rule in &report.rules {
        for (by, side) in [("draft", &rule.draft), ("really", &rule.really)] {
            let budget = rule.budget.as_ref().filter(|_| by == "draft");
            let Some(side) = side else {
                if budget.is_some() {
                    let nothing = || "0".to_owned();
                    rules.add_row([
                        rule.rule.to_string(),
                        rule.name.clone(),
                        name(rule.asset),
                        by.to_owned(),
                        nothing(),
                        nothing(),
                        nothing(),
                        nothing(),
                        budget.map(used).unwrap_or_default(),
                        String::new(),
                    ]);
                }
                continue;
            };
            rules.add_row([
                rule.rule.to_string(),
                rule.name.clone(),
                name(rule.asset),
                by.to_owned(),
                side.side.granted.clone(),
                side.side.grants.to_string(),
                side.side.users.to_string(),
                side.side.reversed.clone(),
                budget.map(used).unwrap_or_default(),
                reasons(side),
            ]);
        }
    }
    println!("{rules}");
    let mut deciles = table(["users", "how many", "paid", "asset", "granted by the draft", "really", "difference"], 1);
    for decile in report.deciles.iter().filter(|decile| decile.users > 0) {
        for asset in &decile.assets {
            deciles.add_row([
                format!("tenth {}", decile.decile),
                decile.users.to_string(),
                decile.spend.clone(),
                name(asset.asset),
                asset.draft.clone(),
                asset.really.clone(),
                asset.difference.clone(),
            ]);
        }
    }
    println!("users by what they paid, those who paid least first\n{deciles}");
    for note in &report.notes {
        println!("note: {note}");
    }
}

/// How much of a budget is used.
fn used(budget: &Budget) -> String {
    let of = |most: Option<String>| most.map_or_else(String::new, |most| format!(" of {most}"));
    let count = budget.total_count.map(|most| format!(", {} of {most} grants", budget.grants));
    format!("{}{}{}", budget.spent, of(budget.total_amount.clone()), count.unwrap_or_default())
}

/// Why a rule granted nothing, and how often.
fn reasons(side: &RuleSide) -> String {
    let reasons = serde_json::to_value(side.not_granted).unwrap_or_default();
    let counted = reasons.as_object().into_iter().flatten().filter(|(_, count)| count.as_u64() != Some(0));
    counted.map(|(reason, count)| format!("{reason} {count}")).collect::<Vec<_>>().join(", ")
}
