//! What the program costs: compute units and bytes. These figures are exact; the machine's speed has no part in them.

use super::{
    profile,
    report::{Figure, Goal, Report},
};
use crate::{arguments::BenchArguments, cast::Cast};
use anyhow::Context;
use rebate_client::{
    address::Addresses,
    block::Emitted,
    chain::embedded::{EmbeddedChain, Executed},
    oracle,
    recorder::Recorder,
};
use rebate_core::{
    payment::Payment,
    units::{Amount, OrderHash, Timestamp},
};
use rebate_rulefile::RuleFile;
use std::{fmt, fs, path::Path};

/// A Saturday noon in Shanghai, so that the weekend's rule grants: 2026-10-03T12:00:00+08:00.
pub const SATURDAY: i64 = 1_791_000_000;

/// How many transactions a figure is the mean of: the journal's share depends on how many peaks an append merges, and
/// over a power of two of them the mean is exact.
pub const RUNS: u64 = 64;

/// Measures the program.
///
/// # Errors
/// If the program is missing or refuses what it should take.
pub async fn measure(
    arguments: &BenchArguments,
    rules: &RuleFile,
    other: &RuleFile,
    report: &mut Report,
) -> anyhow::Result<()> {
    let others = cost(&arguments.program, other, 4).await?;
    let one = cost(&arguments.program, rules, 1).await?;
    let four = cost(&arguments.program, rules, 4).await?;
    let silent = cost(&arguments.silent_program, rules, 1)
        .await
        .context("the program without log lines; `make bench` builds it")?;
    for (part, units) in cost(&arguments.profiled_program, rules, 1).await?.parts {
        report.add(
            Figure { name: "program.profile", value: units as f64, unit: "CU", note: part.to_owned() },
            Goal::None,
        );
    }
    let size = fs::metadata(&arguments.program).context("the size of the program")?.len();
    report.add(
        Figure {
            name: "program.payment_cu",
            value: one.spread.mean,
            unit: "CU",
            note: format!(
                "one payment of an existing user with eight rules in force: two tiers, two ratios, one fixed, one \
                 streak, one multiplier, one that does not match; {}",
                one.spread
            ),
        },
        Goal::AtMost(7_500.0),
    );
    report.add(
        Figure {
            name: "program.batch4_cu_per_payment",
            value: four.spread.mean / 4.0,
            unit: "CU",
            note: format!("four payments of four users in one transaction; whole transactions: {}", four.spread),
        },
        Goal::AtMost(5_500.0),
    );
    report.add(
        Figure {
            name: "program.batch4_cu_per_payment.other_rules",
            value: others.spread.mean / 4.0,
            unit: "CU",
            note: format!("the same with the rules of {}", arguments.rules.display()),
        },
        Goal::None,
    );
    report.add(
        Figure {
            name: "program.log_line_cu",
            value: one.spread.mean - silent.spread.mean,
            unit: "CU",
            note: "the readable log line of a record with its grants: the same program built without it".to_owned(),
        },
        Goal::None,
    );
    report.add(
        Figure {
            name: "program.transaction_bytes",
            value: one.bytes as f64,
            unit: "bytes",
            note: format!("one payment; four: {} of 1232", four.bytes),
        },
        Goal::None,
    );
    report
        .add(Figure { name: "program.size_bytes", value: size as f64, unit: "bytes", note: String::new() }, Goal::None);
    Ok(())
}

/// A platform on an embedded chain, at a Saturday noon.
pub struct Platform {
    /// The chain.
    pub chain: EmbeddedChain,
    /// Who takes part.
    pub cast: Cast,
    /// Its addresses.
    pub addresses: Addresses,
}

impl Platform {
    /// A new chain with the built program at `program` and a platform with `rules` on it.
    ///
    /// # Errors
    /// If the program is missing or refuses what it should take.
    pub async fn start(program: &Path, rules: &RuleFile) -> anyhow::Result<Self> {
        Self::start_with(program, rules, Cast::new()).await
    }

    /// The same with a cast of one's own.
    ///
    /// # Errors
    /// If the program is missing or refuses what it should take.
    pub async fn start_with(program: &Path, rules: &RuleFile, cast: Cast) -> anyhow::Result<Self> {
        let chain = EmbeddedChain::start(program)?;
        chain.set_clock(Some(SATURDAY));
        let addresses = cast.publish(&chain, rules).await?;
        Ok(Self { chain, cast, addresses })
    }

    /// Who opens what payments need.
    ///
    /// # Errors
    /// If the platform cannot be read.
    pub async fn recorder(&self) -> anyhow::Result<Recorder<'_>> {
        Ok(Recorder::new(&self.chain, self.addresses.platform, &self.cast.payer).await?)
    }

    /// A payment of 50.00 by a member.
    pub fn payment(&self, order: &str, user: &str) -> Payment {
        Payment {
            order: OrderHash::of(order),
            user: self.cast.user(user),
            amount: Amount(5_000),
            paid_at: Timestamp(SATURDAY),
            product: 1,
            tier: 2,
            ..Payment::default()
        }
    }

    /// Records payments in one transaction.
    ///
    /// # Errors
    /// If the program refuses it.
    pub async fn pay(&mut self, payments: &[Payment]) -> anyhow::Result<Executed> {
        let mut recorder = self.recorder().await?;
        recorder.open_for(payments).await?;
        let signed = oracle::sign(&self.cast.oracle, &self.addresses.platform, payments)
            .map_err(|_| anyhow::anyhow!("a batch has more than 255 records"))?;
        Ok(self.chain.execute(&recorder.instructions(payments, &signed), &[&self.cast.payer])?)
    }

    /// Every event so far.
    ///
    /// # Errors
    /// An event this code does not know.
    pub fn events(&self) -> anyhow::Result<Vec<Emitted>> {
        let blocks = (0..=self.chain.tip()).filter_map(|slot| self.chain.block(slot));
        let events = blocks.flat_map(|block| block.transactions).map(|transaction| transaction.events());
        Ok(events.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}

/// The compute units of several transactions.
pub struct Spread {
    /// Their mean.
    pub mean: f64,
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
}

impl Spread {
    /// Of these costs.
    pub fn of(costs: &[u64]) -> Self {
        let sum: u64 = costs.iter().sum();
        Self {
            mean: sum as f64 / costs.len() as f64,
            least: costs.iter().copied().min().unwrap_or_default(),
            most: costs.iter().copied().max().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mean of {RUNS} transactions, {} to {}", self.least, self.most)
    }
}

struct Cost {
    spread: Spread,
    bytes: usize,
    /// Of the last transaction, where the program marks its parts.
    parts: Vec<(&'static str, u64)>,
}

/// The cost of transactions of `batch` payments by as many users who have paid before.
async fn cost(program: &Path, rules: &RuleFile, batch: usize) -> anyhow::Result<Cost> {
    let mut platform = Platform::start(program, rules).await?;
    let mut costs = Vec::new();
    let mut bytes = 0;
    let mut parts = Vec::new();
    // The first transaction is every user's first payment, and not counted.
    for run in 0..=RUNS {
        let payments: Vec<_> =
            (0..batch).map(|user| platform.payment(&format!("{run}-{user}"), &user.to_string())).collect();
        let executed = platform.pay(&payments).await?;
        if run > 0 {
            costs.push(executed.compute_units);
            bytes = executed.bytes;
            parts = profile::parts(&executed.landed.logs);
        }
    }
    Ok(Cost { spread: Spread::of(&costs), bytes, parts })
}
