//! `rebate bench`: measures, prints, and writes the report. It judges nothing: goals stand beside the figures.

mod claim;
mod latency;
mod profile;
mod program;
mod refund;
mod rent;
mod report;
mod simulate;
mod verify;

use crate::arguments::BenchArguments;
use rebate_rulefile::RuleFile;
use report::Report;

/// Measures everything and writes the report.
///
/// # Errors
/// What could not be measured.
pub async fn run(arguments: BenchArguments) -> anyhow::Result<()> {
    let rules = RuleFile::parse("cli/src/bench/rules.toml", include_str!("bench/rules.toml"))?;
    let demo = RuleFile::read(&arguments.rules)?;
    let mut report = Report::new();
    // First, while the process has used little memory.
    report.section("the simulator, on one core");
    simulate::measure(&mut report)?;
    report.section("a platform recomputed, as `rebate verify --all` does");
    verify::measure(&rules, &mut report)?;
    report.section("the built program on the embedded chain");
    program::measure(&arguments, &rules, &demo, &mut report).await?;
    refund::measure(&arguments, &rules, &mut report).await?;
    claim::measure(&arguments, &mut report).await?;
    rent::measure(&arguments, &rules, &mut report).await?;
    if let Some(figures) = &arguments.figures {
        report.section(
            "the indexer's write path, the oracle's intake and the API on Postgres, fsync on; the oracle to the validator",
        );
        report.include(figures)?;
    }
    report.section("from submitting to the API, on solana-test-validator at confirmed");
    latency::measure(&arguments, &rules, &mut report).await?;
    report.write(&arguments.report)
}
