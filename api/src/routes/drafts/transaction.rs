//! The transactions that publish a draft, for an admin's wallet or the members of a multisig to sign.

use crate::{
    access::operator::{Editor, Operator},
    drafts::Draft,
    problem::{AccessProblems, Kind, Problem},
    request::{Body, OfPlatform},
    routes::operators::Private,
    snapshot::Snapshot,
    state::ApiState,
    value::{Address, Instant},
};
use axum::extract::State;
use base64::{Engine, engine::general_purpose::STANDARD};
use rebate_backtest::check_assets;
use rebate_client::{
    Pubkey,
    account::{Platform, RuleBook},
    address::Addresses,
    chain::ChainError,
    event::RuleDefinition,
    instruction,
    replay::{Ledger, Terms},
    unsigned::unsigned,
};
use rebate_core::{
    rule::Rule,
    units::{RuleId, Timestamp},
};
use rebate_operators::audit::Outcome;
use rebate_rulefile::explain::explained;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use solana_program::instruction::Instruction;
use utoipa::ToSchema;

/// Between asking for a transaction and the program comparing with its own clock lies at most this, in seconds: a blockhash is
/// good for a minute and a half.
const MARGIN: i64 = 120;

/// A draft to publish.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DraftToPublish {
    /// The draft as a rule file, TOML. Either this or `json`.
    #[schema(
        example = "[platform]\nmax_lateness = \"7d\"\n\n[[asset]]\nid = 1\nname = \"coins\"\nkind = \"points\"\n"
    )]
    toml: Option<String>,
    /// The draft as JSON: the keys and values of a rule file, `platform`, and lists of `asset`, `group` and `rule`.
    #[schema(value_type = Option<Object>)]
    json: Option<Value>,
    /// The platform's address. Left out, it is the one this server is configured for, or else the only one on record.
    platform: Option<Address>,
    /// Who signs: the platform's admin, a wallet or a multisig's vault.
    admin: Address,
    /// Who pays the transactions' fees. Left out, the admin.
    fee_payer: Option<Address>,
    /// The first time of payment that the rules are for. Left out, the earliest that the timelock allows.
    effective_at: Option<Instant>,
    /// Whether the rules in the rule book that the draft does not have end then.
    #[serde(default)]
    end_missing: bool,
}

/// Transactions that publish a draft. Nothing of the platform changes before somebody signs and sends them.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnsignedTransactions {
    /// The platform.
    platform: Address,
    /// They are independent of one another; each is whole or not at all.
    transactions: Vec<UnsignedTransaction>,
    /// The rules that are published as the draft has them already.
    unchanged: Vec<u16>,
    /// The first time of payment that the rules are for; null for all there are, before a platform's first payment.
    #[schema(required)]
    effective_at: Option<Instant>,
    /// The earliest that the platform's timelock allows, with two minutes to sign and send; null where there was no payment
    /// yet, and rules may be for all there are.
    #[schema(required)]
    earliest: Option<Instant>,
    /// How far ahead changes must be announced, in seconds.
    #[schema(minimum = 0, example = 86_400)]
    timelock: u32,
    /// What they are built on. A wallet may put a newer one in its place.
    #[schema(example = "9sHcv6xwn9YkB8nxTUGKDwPwNnmqVp5oAXxU8Fdkm4J6")]
    blockhash: String,
    /// The height of the last block that they can be in. Blocks come every 400 ms, and there are at most 150 more.
    #[schema(minimum = 0, example = 290_123_456)]
    last_valid_block_height: u64,
}

/// A transaction without its signatures.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnsignedTransaction {
    /// As it is sent, base64; the places of its signatures hold zeros.
    transaction: String,
    /// Its size in bytes, of 1,232.
    #[schema(minimum = 0, maximum = 1_232, example = 640)]
    bytes: usize,
    /// What it does, a sentence each.
    #[schema(example = json!(["publishes rule 2 version 3 for payments from 2026-10-01T00:00:00Z on: rule 2 \"weekend bonus\": …"]))]
    does: Vec<String>,
}

/// What one instruction does.
struct Step {
    instruction: Instruction,
    does: String,
}

fn invalid(what: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::InvalidBody, format!("in the body: {what}"))
}

/// Make the transactions that publish a draft
///
/// Unsigned: this server holds no admin key. The program checks everything again; what differs by then is refused as a whole.
#[utoipa::path(
    post,
    path = "/v1/rules/transaction",
    tag = "rules",
    operation_id = "publishRules",
    security(("operator_key" = ["editor"])),
    request_body = DraftToPublish,
    responses((status = 200, description = "The transactions.", body = UnsignedTransactions), AccessProblems),
)]
pub(crate) async fn transaction(
    State(state): State<ApiState>,
    operator: Operator<Editor>,
    Body(sent): Body<DraftToPublish>,
) -> Result<Private<UnsignedTransactions>, Problem> {
    let file = Draft { toml: sent.toml, json: sent.json }.read()?;
    let mut snapshot = Snapshot::take(state.pool(), state.settings().platform.map(|of| Address(of.to_bytes()))).await?;
    let platform = snapshot.platform(OfPlatform { platform: sent.platform }).await?;
    // The node is asked next, and nobody else's connection is kept meanwhile.
    drop(snapshot);
    let addresses = Addresses::at(Pubkey::new_from_array(platform.0));
    let (account, book, rules) = accounts(&state, &addresses).await?;
    if sent.admin.0 != account.admin {
        return Err(invalid(format!("{} is not the platform's admin, {}", sent.admin, Address(account.admin))));
    }
    let assets: Vec<_> = account.assets().iter().map(Into::into).collect();
    check_assets(&file, &assets).map_err(invalid)?;
    let now = state.chain().now().await.map_err(unavailable)?;
    let timelock = account.timelock.at(Timestamp(now));
    let earliest = match book.payments {
        0 => 0,
        _ => now.saturating_add(timelock.into()).saturating_add(MARGIN),
    };
    let effective_at = sent.effective_at.map_or(earliest, |at| at.0.unix_timestamp());
    if effective_at < earliest {
        let earliest = Instant::of_unix(earliest).map_or_else(String::new, |at| at.to_string());
        return Err(invalid(format!("effective_at is before the timelock's earliest, {earliest}")));
    }
    let effective_at = Timestamp(effective_at);
    let admin = Pubkey::new_from_array(sent.admin.0);
    let sentences = explained(&file);
    let sentence = |rule: u16| sentences.iter().find(|(id, _)| *id == rule).map_or("", |(_, sentence)| sentence);
    let when = match effective_at.0 {
        0 => "for all payments".to_owned(),
        at => format!("for payments from {} on", Instant::of_unix(at).map_or_else(String::new, |at| at.to_string())),
    };
    let mut steps = Vec::new();
    let mut unchanged = Vec::new();
    // As the program would go on, one after the other.
    let mut ledger = Ledger::new(Terms::default());
    ledger.set_rules(rules);
    for rule in &file.rules {
        match next(rule, ledger.rules(), &book)? {
            None => unchanged.push(rule.id),
            Some(next) => {
                ledger.publish(&next, effective_at).map_err(|error| {
                    invalid(format!("rule {} \"{}\" cannot be published then: {error}", next.id, next.name))
                })?;
                let instruction = instruction::publish_rule(&admin, &addresses, &next, effective_at);
                let does = format!("publishes rule {} version {} {when}: {}", next.id, next.version, sentence(next.id));
                steps.push(Step { instruction, does });
            }
        }
    }
    if sent.end_missing {
        let mut missing: Vec<_> = ledger.rules().iter().map(|rule| (rule.id, rule.name().to_owned())).collect();
        missing.retain(|(id, _)| !file.rules.iter().any(|rule| rule.id == id.0));
        missing.sort_unstable();
        missing.dedup_by_key(|(id, _)| *id);
        for (id, name) in missing {
            // One that ends before anyway needs nothing.
            if effective_at.0 != 0 && ledger.end_rule(id, effective_at).is_ok() {
                let instruction = instruction::end_rule(&admin, &addresses, id, effective_at);
                steps.push(Step { instruction, does: format!("ends rule {id} \"{name}\" {when}") });
            }
        }
    }
    let lifetime = state.chain().newest_blockhash().await.map_err(unavailable)?;
    let payer = sent.fee_payer.map_or(admin, |payer| Pubkey::new_from_array(payer.0));
    let made = UnsignedTransactions {
        platform,
        transactions: packed(&steps, |some| unsigned(some, &payer, &lifetime.hash))?,
        unchanged,
        effective_at: Instant::unless_open(effective_at.0),
        earliest: Instant::unless_open(earliest),
        timelock,
        blockhash: lifetime.hash.to_string(),
        last_valid_block_height: lifetime.last_block_height,
    };
    operator.log("rules.transaction", &platform.to_string(), Outcome::Done, None).await?;
    Ok(Private(made))
}

/// The version of a rule to publish, `None` where the last one says the same and goes on.
fn next(rule: &RuleDefinition, book: &[Rule], account: &RuleBook) -> Result<Option<RuleDefinition>, Problem> {
    let last = book.iter().filter(|other| other.id == RuleId(rule.id)).max_by_key(|other| other.version);
    match last {
        Some(last) if last.superseded_at.0 == 0 && rule.says_the_same(last) => Ok(None),
        Some(last) => Ok(Some(RuleDefinition { version: last.version.0.saturating_add(1), ..rule.clone() })),
        None if u32::from(rule.id) < account.first_new_id => Err(invalid(format!(
            "the number {} was a rule's that left the rule book; give a new rule {} or more",
            rule.id, account.first_new_id
        ))),
        None => Ok(Some(RuleDefinition { version: 1, ..rule.clone() })),
    }
}

/// As many instructions to a transaction as it has room for.
fn packed(
    steps: &[Step],
    made: impl Fn(&[Instruction]) -> Option<Vec<u8>>,
) -> Result<Vec<UnsignedTransaction>, Problem> {
    let mut transactions = Vec::new();
    let mut rest = steps;
    while !rest.is_empty() {
        let fitting = (1..=rest.len()).map_while(|count| {
            let some: Vec<_> = rest.iter().take(count).map(|step| step.instruction.clone()).collect();
            made(&some).map(|bytes| (count, bytes))
        });
        let (count, bytes) = fitting.last().ok_or_else(|| Problem::internal(&"a rule is longer than a transaction"))?;
        let (some, more) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        transactions.push(UnsignedTransaction {
            bytes: bytes.len(),
            transaction: STANDARD.encode(bytes),
            does: some.iter().map(|step| step.does.clone()).collect(),
        });
        rest = more;
    }
    Ok(transactions)
}

fn unavailable(error: ChainError) -> Problem {
    tracing::error!(%error, "the node does not answer");
    Problem::new(Kind::NodeUnavailable, "the node behind this server does not answer; try again in a moment")
}

/// The platform and its rule book, as the chain has them.
async fn accounts(state: &ApiState, addresses: &Addresses) -> Result<(Box<Platform>, RuleBook, Vec<Rule>), Problem> {
    let asked = [addresses.platform, addresses.rule_book];
    let mut accounts = state.chain().accounts(&asked).await.map_err(unavailable)?.accounts.into_iter();
    let mut data = || accounts.next().flatten().map(|account| account.data);
    let (Some(platform), Some(book)) = (data(), data()) else {
        return Err(Problem::new(
            Kind::NodeUnavailable,
            "the node behind this server does not have this platform; it may be behind, or of another chain",
        ));
    };
    let platform = Platform::decode(&platform).map_err(|error| Problem::internal(&error))?;
    let (book, rules) = RuleBook::decode_with_rules(&book).map_err(|error| Problem::internal(&error))?;
    Ok((Box::new(platform), book, rules))
}
