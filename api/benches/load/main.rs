//! How the API answers beside a Postgres with a year of a platform in it, and a load generator: three processes on the same
//! cores, which bound them.
//!
//! `DATABASE_URL=… cargo bench --bench load` prints one line of JSON per figure; the API's command must be built in the same
//! profile. The databases it makes on that server go at the end. REBATE_BENCH_USERS says how many users there are (a million;
//! 10,000 to try it), REBATE_BENCH_SECONDS for how long each thing is asked. With REBATE_BENCH set to the beginning of a
//! figure's name, only what that takes is measured. What the API does not serve is left out.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench may fail by any panic")]

#[path = "../../../indexer/tests/it/chain.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod chain;
mod client;
mod live;
mod server;
mod year;

use client::{Connection, Times};
use rebate_core::units::OrderHash;
use rebate_local::LocalPostgres;
use serde_json::json;
use server::Server;
use std::{
    env,
    net::SocketAddr,
    time::{Duration, Instant},
};
use year::Year;

/// Connections that ask, each for one answer after the other.
const CONNECTIONS: u64 = 64;

fn main() {
    let wanted = env::var("REBATE_BENCH").unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = env::var("DATABASE_URL").expect("DATABASE_URL names a Postgres");
    let postgres = LocalPostgres::named(&url).unwrap();
    let number = |name: &str, otherwise| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let span = Duration::from_secs(number("REBATE_BENCH_SECONDS", 15));
    let is_wanted = |name: &str| name.starts_with(&wanted) || wanted.starts_with(name);
    if ["api.balance", "api.order", "api.analytics"].into_iter().any(is_wanted) {
        runtime.block_on(ask(&postgres, number("REBATE_BENCH_USERS", 1_000_000), span, is_wanted));
    }
    if is_wanted("api.sse") {
        runtime.block_on(listen(&postgres, number("REBATE_BENCH_LISTENERS", 1_000), span));
    }
}

fn print(name: &str, value: f64, unit: &str, note: &str) {
    let value = if value < 100.0 { (value * 10.0).round() / 10.0 } else { value.round() };
    println!("{}", json!({ "name": name, "value": value, "unit": unit, "note": note }));
}

/// Balances, orders and analytics of a year.
async fn ask(postgres: &LocalPostgres, users: u64, span: Duration, is_wanted: impl Fn(&str) -> bool) {
    let name = format!("bench_api_{}", std::process::id());
    postgres.create_database(&name).await.unwrap();
    let begun = Instant::now();
    let year = Year::fill(&postgres.url(&name), users).await;
    eprintln!("{} users and {} entries stored in {:.0} s", year.users, year.entries(), begun.elapsed().as_secs_f64());
    let server = Server::start(&postgres.url(&name)).await;
    let at = server.address();
    let about = format!(
        "{} users, {} payments, {} entries over a year; Postgres, API and load generator share the cores, which bound it",
        year.users,
        year.payments,
        year.entries()
    );
    let draw = |seed: u64| {
        move |at: u64| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed).wrapping_mul(0xd134_2543_de82_ef95) >> 16
    };
    if is_wanted("api.balance") {
        let path = move |place: u64| format!("/v1/users/{}/balances", hex::encode(year.user(place % year.users)));
        report("balance", at, span, path, draw(1), &format!("a user's balances, drawn at random; {about}")).await;
    }
    if is_wanted("api.order") {
        let path = move |place: u64| {
            let order = OrderHash::of(&Year::number(place % year.payments));
            format!("/v1/orders/{}", hex::encode(order.0))
        };
        report(
            "order",
            at,
            span,
            path,
            draw(2),
            &format!("an order with its three outcomes, drawn at random; {about}"),
        )
        .await;
    }
    if is_wanted("api.analytics") {
        let month = "from=2026-03-01T00:00:00%2B08:00&to=2026-04-01T00:00:00%2B08:00";
        let of_year = "from=2025-06-01T00:00:00%2B08:00&to=2026-06-01T00:00:00%2B08:00";
        for (name, paths) in [
            (
                "month_by_day",
                ["payers", "arppu", "grants", "cost"].map(|it| format!("/v1/analytics/{it}?every=day&{month}")),
            ),
            (
                "year_by_rule",
                ["participation", "grants", "cost", "roi"]
                    .map(|it| format!("/v1/analytics/{it}?every=month&by=rule&{of_year}")),
            ),
        ] {
            analytics(&format!("api.analytics_{name}_ms"), at, &paths, &about).await;
        }
    }
    drop(server);
    postgres.drop_database(&name).await.unwrap();
}

/// Asks for `span` on every connection; how many answers a second, and how long they took.
async fn report(
    what: &str,
    at: SocketAddr,
    span: Duration,
    path: impl Fn(u64) -> String + Copy + 'static,
    draw: impl Fn(u64) -> u64 + Copy + 'static,
    note: &str,
) {
    let path = move |place| path(draw(place));
    let note = format!("{note}; {CONNECTIONS} connections, each asking for one after the other");
    // The first answers meet cold caches and connections that are being made.
    client::ask(at, CONNECTIONS, span / 5, path).await;
    let (times, took) = client::ask(at, CONNECTIONS, span, path).await;
    print(&format!("api.{what}_rps"), times.count() as f64 / took.as_secs_f64(), "/s", &note);
    for percent in [50, 99] {
        print(&format!("api.{what}_ms.p{percent}"), times.percentile(percent), "ms", &note);
    }
}

/// One connection asks for each path in turn; the slowest path's median counts.
async fn analytics(name: &str, at: SocketAddr, paths: &[String], about: &str) {
    let mut connection = Connection::open(at).await;
    let mut slowest: Option<(f64, f64, &String)> = None;
    for path in paths {
        let mut times = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            let status = connection.get(path).await;
            if status == 404 {
                return eprintln!("{name}: the API does not serve {path}");
            }
            assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(connection.body()));
            times.push(begun.elapsed());
        }
        let times = Times::of(times);
        let (half, most) = (times.percentile(50), times.percentile(99));
        if slowest.is_none_or(|(known, ..)| half > known) {
            slowest = Some((half, most, path));
        }
    }
    if let Some((half, most, path)) = slowest {
        let measure = path.split(['?', '/']).nth(3).unwrap_or_default();
        let note = format!("{measure}, the slowest of {}: p50 of 20, the slowest {most:.0} ms; {about}", paths.len());
        print(name, half, "ms", &note);
    }
}

/// Clients that are told what is new.
async fn listen(postgres: &LocalPostgres, listeners: u64, span: Duration) {
    let name = format!("bench_live_{}", std::process::id());
    postgres.create_database(&name).await.unwrap();
    let heard = live::measure(&postgres.url(&name), listeners, span).await;
    if let Some(heard) = heard {
        let note = format!(
            "{listeners} clients of /v1/live, 50 events a second for {} s, {} heard, from the indexer's beginning to write an event; \
             indexer, Postgres, API and clients share the cores",
            span.as_secs(),
            heard.times.count()
        );
        for percent in [50, 99] {
            print(&format!("api.sse_latency_ms.p{percent}"), heard.times.percentile(percent), "ms", &note);
        }
        print("api.sse_rss_mib", heard.mebibytes, "MiB", &format!("the API's most, {listeners} clients of /v1/live"));
    }
    postgres.drop_database(&name).await.unwrap();
}
