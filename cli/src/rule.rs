//! `rebate rule`.

use crate::{arguments::RuleCommand, platform};
use anyhow::{Context, bail};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use rebate_client::{
    account::RuleBook,
    address::Addresses,
    chain::{ReadAccounts, Submit},
    instruction,
};
use rebate_core::{rule::Rule, units::Timestamp};
use rebate_rulefile::{
    RuleFile, explain, findings,
    text::{condition_text, effect_text, open_or},
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
            let effective_at = effective_at.as_deref().map(|text| moment("--effective-at", text)).transpose()?;
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
                match definition.next_version(&rules) {
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

/// A date and time that the option `name` was given.
pub(crate) fn moment(name: &str, text: &str) -> anyhow::Result<Timestamp> {
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .with_context(|| format!("{name} {text:?} is no date and time; expected one like 2026-10-01T00:00:00+08:00"))?;
    Ok(Timestamp(moment.unix_timestamp()))
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
