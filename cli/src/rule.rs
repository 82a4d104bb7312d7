//! `rebate rule`.

pub mod explain;
pub mod findings;
mod values;

use crate::{arguments::RuleCommand, platform, rule_file::RuleFile};
use anyhow::{Context, bail};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use rebate_client::{
    account::RuleBook,
    address::Addresses,
    chain::{ReadAccounts, Submit},
    event::RuleDefinition,
    instruction,
};
use rebate_core::{
    rule::{Effect, Field, Operator, Predicate, Rule},
    units::{RuleId, Timestamp},
};
use solana_signer::Signer;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Does what the command says.
///
/// # Errors
/// One clear reason.
pub async fn run(command: RuleCommand) -> anyhow::Result<()> {
    match command {
        RuleCommand::Check { file } => {
            let rules = RuleFile::read(&file)?;
            println!("{} is sound: {} rules, {} assets", file.display(), rules.rules.len(), rules.assets.len());
            for sentence in explain::explanations(&rules) {
                println!("{sentence}");
            }
            for finding in findings::findings(&rules, Timestamp(OffsetDateTime::now_utc().unix_timestamp())) {
                println!("{finding}");
            }
            Ok(())
        }
        RuleCommand::Publish { node, platform, file, effective_at } => {
            let file = RuleFile::read(&file)?;
            let effective_at = effective_at.as_deref().map(moment).transpose()?;
            let (chain, payer) = platform::connect(&node)?;
            let addresses = Addresses::at(platform);
            let account = platform::read(&chain, platform).await?;
            if payer.pubkey().to_bytes() != account.admin {
                bail!("{} is not the admin of {platform}; name the admin's key with --payer", payer.pubkey());
            }
            let (book, rules) = rule_book(&chain, &addresses).await?;
            // Some seconds pass until the program compares with its own clock.
            let earliest = match book.payments {
                0 => Timestamp(0),
                _ => {
                    let now = chain.now().await?;
                    let timelock = account.timelock.at(Timestamp(now));
                    Timestamp(now.saturating_add(i64::from(timelock)).saturating_add(60))
                }
            };
            let effective_at = effective_at.unwrap_or(earliest);
            for definition in file.rules {
                match next_version(definition, &rules) {
                    None => {}
                    Some(next) => {
                        let publish = instruction::publish_rule(&payer.pubkey(), &addresses, &next, effective_at);
                        let landed = chain.submit(&[publish], &[&payer]).await?;
                        println!(
                            "published rule {} version {} ({}), for payments from {} on: {}",
                            next.id,
                            next.version,
                            next.name,
                            open_or(effective_at),
                            landed.signature
                        );
                    }
                }
            }
            println!("{platform} has every rule of the file");
            Ok(())
        }
        RuleCommand::List { rpc, platform } => {
            let (_, rules) = rule_book(&platform::reach(&rpc)?, &Addresses::at(platform)).await?;
            println!("{}", table(&rules));
            Ok(())
        }
    }
}

/// The rule book of a platform.
pub(crate) async fn rule_book(
    chain: &dyn ReadAccounts,
    addresses: &Addresses,
) -> anyhow::Result<(RuleBook, Vec<Rule>)> {
    let account = chain.account(&addresses.rule_book).await?;
    let account = account.with_context(|| format!("there is no platform at {}", addresses.platform))?;
    Ok(RuleBook::decode_with_rules(&account.data)?)
}

/// The version of `definition` to publish, or `None` if the last one published says the same.
fn next_version(definition: RuleDefinition, published: &[Rule]) -> Option<RuleDefinition> {
    let last = published.iter().filter(|rule| rule.id == RuleId(definition.id)).max_by_key(|rule| rule.version);
    let Some(last) = last else { return Some(definition) };
    let same = definition.rule(last.effective_at).is_ok_and(|mut rule| {
        // What is no part of a definition is as with the published one.
        (rule.version, rule.epoch, rule.has_siblings) = (last.version, last.epoch, last.has_siblings);
        rule.superseded_at = last.superseded_at;
        (rule.granted, rule.grants, rule.reversed) = (last.granted, last.grants, last.reversed);
        (rule.budget_spent, rule.budget_grants) = (last.budget_spent, last.budget_grants);
        rule == *last
    });
    if same { None } else { Some(RuleDefinition { version: last.version.0.saturating_add(1), ..definition }) }
}

fn moment(text: &str) -> anyhow::Result<Timestamp> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).with_context(|| {
        format!("--effective-at {text:?} is no date and time; expected one like 2026-10-01T00:00:00+08:00")
    })?;
    Ok(Timestamp(moment.unix_timestamp()))
}

fn open_or(at: Timestamp) -> String {
    match at.0 {
        0 => "ever".to_owned(),
        seconds => OffsetDateTime::from_unix_timestamp(seconds)
            .ok()
            .and_then(|moment| moment.format(&Rfc3339).ok())
            .unwrap_or_else(|| seconds.to_string()),
    }
}

/// The rules in order of evaluation.
pub(crate) fn table(rules: &[Rule]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["rule", "version", "name", "when", "grants", "from", "until", "granted so far"]);
    for rule in rules {
        let until = match (rule.superseded_at.0, rule.ends_at.0) {
            (0, end) => end,
            (end, 0) => end,
            (a, b) => a.min(b),
        };
        table.add_row([
            rule.id.to_string(),
            rule.version.to_string(),
            rule.name().to_owned(),
            condition_text(rule.condition()),
            rule.effect().map_or_else(|| "?".to_owned(), effect_text),
            open_or(rule.effective_at.max(rule.starts_at)),
            if until == 0 { "open".to_owned() } else { open_or(Timestamp(until)) },
            format!("{} in {} grants", rule.granted, rule.grants),
        ]);
    }
    table
}

fn condition_text(condition: &[Predicate]) -> String {
    if condition.is_empty() {
        return "always".to_owned();
    }
    let mut text = String::new();
    let mut clause = 0;
    for (at, predicate) in condition.iter().enumerate() {
        if at > 0 {
            text.push_str(if predicate.clause == clause { " or " } else { " and " });
        }
        clause = predicate.clause;
        text.push_str(&predicate_text(predicate));
    }
    text
}

fn predicate_text(predicate: &Predicate) -> String {
    let not = if predicate.negated() { "not " } else { "" };
    let field = predicate.field().map_or("?", |field| field.name());
    match predicate.operator() {
        Some(Operator::Any) if predicate.field() == Some(Field::Segments) => {
            format!("{not}{field} any {}", predicate.value)
        }
        Some(Operator::Any) => {
            let members: Vec<_> =
                (0..64).filter(|bit| predicate.value >> bit & 1 == 1).map(|bit: u32| bit.to_string()).collect();
            format!("{not}{field} in [{}]", members.join(", "))
        }
        operator => format!("{not}{field} {} {}", operator.map_or("?", |operator| operator.sign()), predicate.value),
    }
}

fn effect_text(effect: Effect) -> String {
    match effect {
        Effect::Fixed { asset, amount } => format!("{amount} of asset {asset}"),
        Effect::Ratio { asset, bps, min, max } => {
            let least = if min.0 == 0 { String::new() } else { format!(", at least {min}") };
            let most = if max.0 == 0 { String::new() } else { format!(", at most {max}") };
            format!("{}.{:02} % of the payment in asset {asset}{least}{most}", bps.0 / 100, bps.0 % 100)
        }
        Effect::Tiers { asset, mode, steps } => {
            let steps: Vec<_> = steps.iter().map(|step| format!("{} from {}", step.value, step.threshold)).collect();
            format!("{} tiers in asset {asset}: {}", mode.name(), steps.join(", "))
        }
        Effect::Streak { asset, days, amount, recurring } => {
            let every = if recurring { "every" } else { "after" };
            format!("{amount} of asset {asset} {every} {days} days in a row")
        }
        Effect::Multiplier { asset, bps } => {
            format!("{}.{:04} times what the group grants in asset {asset}", bps.0 / 10_000, bps.0 % 10_000)
        }
    }
}
