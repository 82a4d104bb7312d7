//! How fast a platform is recomputed: its events decoded and hashed, the oracle's signatures checked, every rule decided again.

use super::report::{Figure, Goal, Report};
use anyhow::Context;
use rebate_client::{
    address::Addresses,
    event::{Event, OracleKeyRegistered, OutcomeEntry, PaymentRecorded, PlatformCreated, RulePublished},
    instruction, oracle,
    replay::{Replay, Terms},
    verify::{
        evidence::{Evidence, Part},
        follower::Follower,
        read,
    },
};
use rebate_core::{
    payment::Payment,
    units::{Amount, OrderHash, Seconds, Timestamp, UserKey},
};
use rebate_rulefile::RuleFile;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{collections::HashMap, thread, time::Instant};

/// How many payments.
const RECORDS: u64 = 60_000;

/// Of how many users.
const USERS: u64 = 5_000;

/// How many transactions are read at once, as from a node.
const BATCH: usize = 4_096;

/// How many times it is measured; the best counts, what the machine does besides being no part of it.
const RUNS: usize = 5;

/// 2026-10-01T00:00:00+08:00.
const BEGIN: i64 = 1_790_784_000;

/// Measures recomputing a history that is in memory.
///
/// # Errors
/// If the history cannot be made, or does not follow from its rules.
pub fn measure(rules: &RuleFile, report: &mut Report) -> anyhow::Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for (name, per_message, goal) in [
        ("verify.records_per_second", 4, Goal::AtLeast(50_000.0)),
        ("verify.records_per_second.one_per_message", 1, Goal::None),
    ] {
        let (addresses, history) = history(rules, per_message)?;
        let mut best = (0.0f64, 0.0f64);
        for _ in 0..RUNS {
            let (rate, checking) = run(&addresses, history.clone())?;
            if rate > best.0 {
                best = (rate, checking);
            }
        }
        report.add(
            Figure {
                name,
                value: best.0.round(),
                unit: "/s",
                note: format!(
                    "{RECORDS} payments of {USERS} users, {per_message} to a signed message, eight rules in force, from memory: \
                     events decoded, leaves and tree head hashed, every Ed25519 signature checked, every outcome decided again and \
                     compared; {:.0} % of the time is decoding, hashing and above all signatures, on {cores} cores, the rest the \
                     rules on one; from a node, its answers bound it; the best of {RUNS} runs",
                    best.1 * 100.0
                ),
            },
            goal,
        );
    }
    Ok(())
}

/// Records a second, and which share of the time goes without the rules.
fn run(addresses: &Addresses, mut history: Vec<Evidence>) -> anyhow::Result<(f64, f64)> {
    let mut follower = Follower::new(*addresses);
    let begun = Instant::now();
    let mut checking = 0.0;
    while !history.is_empty() {
        let rest = history.split_off(history.len().min(BATCH));
        let some = std::mem::replace(&mut history, rest);
        let before = Instant::now();
        let read = read::read(some, &addresses.platform)?;
        checking += before.elapsed().as_secs_f64();
        for read in &read {
            follower.follow(read, |_| {});
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    if let Some(finding) = follower.findings().first() {
        anyhow::bail!("the history does not follow from its rules: {finding}");
    }
    anyhow::ensure!(follower.records() == RECORDS, "{} records were recomputed", follower.records());
    Ok((RECORDS as f64 / seconds, checking / seconds))
}

/// A platform's transactions: its creation, its oracle's key, its rules, and payments, so many to a message.
fn history(rules: &RuleFile, per_message: usize) -> anyhow::Result<(Addresses, Vec<Evidence>)> {
    let (addresses, oracle) = (Addresses::of(1), Keypair::new());
    let mut history = History { events: 0, all: Vec::new() };
    let platform = addresses.platform.to_bytes();
    let (admin, at) = ([1; 32], BEGIN);
    history.alone(|journal_index| {
        Event::PlatformCreated(PlatformCreated {
            journal_index,
            at,
            platform,
            id: 1,
            admin,
            pauser: admin,
            max_lateness: rules.max_lateness,
            timelock: 0,
            order_shards: 1,
            page_slots: 256,
            offsets: rules.offsets.clone(),
            assets: rules.assets.clone(),
        })
    })?;
    let key = oracle.pubkey().to_bytes();
    history.alone(|journal_index| {
        Event::OracleKeyRegistered(OracleKeyRegistered {
            journal_index,
            at,
            platform,
            key,
            valid_from: 0,
            valid_until: 0,
        })
    })?;
    let mut replay = Replay::new(Terms::new(&rules.offsets, Seconds(rules.max_lateness), &rules.assets));
    for rule in &rules.rules {
        replay.ledger_mut().publish(rule, Timestamp(0)).context("a rule of the benchmark")?;
        history.alone(|journal_index| {
            Event::RulePublished(RulePublished { journal_index, at, platform, effective_at: 0, rule: rule.clone() })
        })?;
    }
    let payments: Vec<Payment> = (0..RECORDS).map(payment).collect();
    let mut numbers: HashMap<UserKey, u64> = HashMap::new();
    for some in payments.chunks(per_message) {
        let signed =
            oracle::sign(&oracle, &addresses.platform, some).map_err(|_| anyhow::anyhow!("a message too long"))?;
        let mut events = Vec::with_capacity(some.len());
        for payment in some {
            let now = payment.paid_at;
            let decided =
                replay.pay(payment, now).map_err(|refusal| anyhow::anyhow!("the benchmark's payment: {refusal}"))?;
            let outcomes = decided.outcomes.iter().map(|outcome| OutcomeEntry {
                rule: outcome.rule.0,
                version: outcome.version.0,
                reason: outcome.reason as u8,
                clause: outcome.clause,
                asset: outcome.asset.0,
                amount: outcome.amount.0,
                before: outcome.before.0,
                after: outcome.after.0,
            });
            let number = numbers.entry(payment.user).or_default();
            *number = number.saturating_add(1);
            let event = Event::PaymentRecorded(PaymentRecorded {
                journal_index: history.events.saturating_add(events.len() as u64),
                at: now.0,
                platform,
                oracle: key,
                order: payment.order.0,
                user: payment.user.0,
                amount: payment.amount.0,
                paid_at: payment.paid_at.0,
                product: payment.product,
                streamer: payment.streamer,
                session: payment.session,
                tier: payment.tier,
                segments: payment.segments,
                number: *number,
                outcomes: outcomes.collect(),
            });
            events.push(event.encode()?);
        }
        history.push(Some(instruction::ed25519(&signed).data), events);
    }
    Ok((addresses, history.all))
}

/// A payment like any other: a minute's worth of them in each second.
fn payment(number: u64) -> Payment {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let mut user = [0; 32];
    for (byte, of_user) in user.iter_mut().zip((mixed % USERS).to_le_bytes()) {
        *byte = of_user;
    }
    Payment {
        order: OrderHash::of(&number.to_string()),
        user: UserKey(user),
        amount: Amount(600 + mixed % 64_000),
        paid_at: Timestamp(BEGIN.saturating_add((number / 60).cast_signed())),
        product: 1,
        ..Payment::default()
    }
}

struct History {
    events: u64,
    all: Vec<Evidence>,
}

impl History {
    /// A transaction with one event that no oracle signs.
    fn alone(&mut self, event: impl Fn(u64) -> Event) -> anyhow::Result<()> {
        let bytes = event(self.events).encode()?;
        self.push(None, vec![bytes]);
        Ok(())
    }

    fn push(&mut self, signed: Option<Vec<u8>>, events: Vec<Vec<u8>>) {
        self.events = self.events.saturating_add(events.len() as u64);
        let slot = self.all.len() as u64;
        let mut signature = [0; 64];
        for (byte, of_slot) in signature.iter_mut().zip(slot.to_le_bytes()) {
            *byte = of_slot;
        }
        let parts = vec![Part { signed, events }];
        self.all.push(Evidence { signature, slot, position: Some(0), block_time: Some(BEGIN), parts });
    }
}
