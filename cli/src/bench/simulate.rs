//! How fast the simulator is: a million records of a month, end to end, from the file to `/dev/null`.

use super::report::{Figure, Goal, Report};
use crate::simulate::{Progress, simulate};
use anyhow::Context;
use rebate_rulefile::RuleFile;
use std::{
    fs::{self, File},
    io::{BufWriter, Seek, Write},
    time::Instant,
};
use tempfile::tempfile;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// How many records.
const RECORDS: u64 = 1_000_000;

/// Of how many users, a few of whom pay often.
const USERS: u64 = 50_000;

/// How many times it is measured; the best counts, what the machine does besides being no part of it.
const RUNS: usize = 5;

/// 2026-10-01T00:00:00+08:00.
const BEGIN: i64 = 1_790_784_000;

/// The month's seconds.
const MONTH: u64 = 30 * 86_400;

/// Measures the simulator.
///
/// # Errors
/// If there is no room for the file.
pub fn measure(report: &mut Report) -> anyhow::Result<()> {
    let rules = RuleFile::parse("cli/src/bench/simulate.toml", include_str!("simulate.toml"))?;
    let mut payments = tempfile().context("a file for a million payments")?;
    write_records(RECORDS, &mut BufWriter::new(&payments)).context("a million payments")?;
    let bytes = payments.stream_position()?;
    let mut nowhere = File::options().write(true).open("/dev/null").context("/dev/null")?;
    let (mut rates, mut accepted) = (Vec::new(), 0);
    let peak = Peak::begin();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let simulated = simulate(&rules, None, &mut payments, "payments", &mut nowhere, &Progress::hidden())?;
        rates.push(simulated.records as f64 / begun.elapsed().as_secs_f64());
        accepted = simulated.accepted;
    }
    let peak = peak.and_then(Peak::megabytes);
    rates.sort_by(f64::total_cmp);
    let rate = |at: usize| rates.get(at).copied().unwrap_or_default().round();
    report.add(
        Figure {
            name: "simulate.records_per_second",
            value: rate(RUNS - 1),
            unit: "/s",
            note: format!(
                "one thread, {RECORDS} records ({accepted} accepted) of {USERS} users in {} MB, eight rules in force, \
                 checked and decided, to /dev/null; the best of {RUNS} runs, the middle one {}, the slowest {}",
                bytes / 1_000_000,
                rate(RUNS / 2),
                rate(0)
            ),
        },
        Goal::AtLeast(1_000_000.0),
    );
    if let Some(peak) = peak {
        report.add(
            Figure {
                name: "simulate.peak_rss_mb",
                value: peak,
                unit: "MB",
                note: "of the process during those runs: every order number, and every user's balances and counters"
                    .to_owned(),
            },
            Goal::None,
        );
    }
    Ok(())
}

/// The most memory that the process had at once since a moment, as Linux counts it.
struct Peak;

impl Peak {
    /// From now on; `None` where it is not counted.
    fn begin() -> Option<Self> {
        fs::write("/proc/self/clear_refs", "5").ok().map(|()| Self)
    }

    fn megabytes(self) -> Option<f64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some((kilobytes / 1_024.0).round())
    }
}

/// A month of live streaming, the same each time: payments as they come in, a few of them late, twice, refunded or redeemed.
fn write_records(count: u64, out: &mut impl Write) -> anyhow::Result<()> {
    const AMOUNTS: [u64; 12] = [600, 600, 1_200, 3_000, 3_000, 6_800, 6_800, 9_800, 12_800, 32_800, 64_800, 500];
    let zone = UtcOffset::from_hms(8, 0, 0)?;
    let mut chance = Chance(2_026);
    for at in 0..count {
        let seconds = i64::try_from(at.saturating_mul(MONTH) / count.max(1))?;
        let late = if chance.below(50) == 0 { i64::try_from(chance.below(86_400))? } else { 0 };
        let moment = OffsetDateTime::from_unix_timestamp(BEGIN.saturating_add(seconds).saturating_sub(late))?;
        let paid_at = moment.to_offset(zone).format(&Rfc3339)?;
        // Many pay a little, few pay a lot.
        let user = chance.below(USERS).saturating_mul(chance.below(USERS)) / USERS;
        let earlier = at.saturating_sub(chance.below(10_000).saturating_add(1));
        match chance.below(200) {
            0 | 1 => writeln!(
                out,
                r#"{{"kind":"refund","order":"R{at:08}","of":"A{earlier:08}","amount":500,"paid_at":"{paid_at}"}}"#
            )?,
            2 => writeln!(
                out,
                r#"{{"kind":"redemption","order":"D{at:08}","user":"u{user}","asset":2,"amount":1,"paid_at":"{paid_at}"}}"#
            )?,
            other => {
                let order = if other == 3 { earlier } else { at };
                let amount = AMOUNTS.get(usize::try_from(chance.below(12))?).copied().unwrap_or(600);
                let (streamer, product) = (chance.below(500), [1, 1, 2, 9][usize::try_from(chance.below(4))?]);
                let day = seconds / 86_400;
                writeln!(
                    out,
                    r#"{{"kind":"payment","order":"A{order:08}","user":"u{user}","amount":{amount},"paid_at":"{paid_at}","product":{product},"streamer":"s{streamer}","session":"s{streamer}-{day}","tier":{},"segments":{}}}"#,
                    chance.below(5),
                    chance.below(16)
                )?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

/// Numbers by chance, the same each time (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31).checked_rem(bound).unwrap_or(0)
    }
}
