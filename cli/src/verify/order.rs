//! What an order's verification prints.

use super::{Verification, checklist::Checklist};
use rebate_client::{
    Pubkey,
    account::OracleKey,
    address::Addresses,
    event::Event,
    verify::{
        accounts::hexadecimal,
        follower::{Finding, Follower, Named, Step},
        order::{AboutOrder, OrderReport, Relation},
    },
};
use rebate_core::{journal, outcome::Reason};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Prints every step.
///
/// # Errors
/// If it cannot be printed.
pub fn print(
    report: &OrderReport,
    follower: &Follower,
    verification: &Verification,
    order: &str,
    list: &mut Checklist<'_>,
) -> anyhow::Result<()> {
    list.say(&format!(
        "order {order} of platform {}, SHA-256 {}",
        verification.platform,
        hexadecimal(&report.order.0)
    ))?;
    let on_chain = journal::root(report.journal.count, &report.journal.peaks);
    let wrong = (!report.is_whole()).then(|| {
        format!(
            "{} events were read and lead to {}; the account has {} and {}: the node altered something, read from another one",
            report.count,
            hexadecimal(&report.head),
            report.journal.count,
            hexadecimal(&on_chain)
        )
    });
    let head = hexadecimal(&on_chain);
    list.check(
        &format!("all {} events of the journal are there and lead to its tree head {head}", report.count),
        wrong,
    )?;
    if report.events.is_empty() {
        return list.check("the order's event", Some("no event that was read is this order".to_owned()));
    }
    for about in &report.events {
        print_event(about, report, follower, verification, list)?;
    }
    let count = report.others.len() as u64;
    list.step("everything that was recorded before follows from the rules as well", &report.others, count)?;
    where_to_look(report, verification, list)
}

fn print_event(
    about: &AboutOrder,
    report: &OrderReport,
    follower: &Follower,
    verification: &Verification,
    list: &mut Checklist<'_>,
) -> anyhow::Result<()> {
    let index = about.event.journal_index();
    list.say(&format!("event {index}, {}", title(about, follower)))?;
    let page = verification.cluster.as_ref().and_then(|cluster| cluster.transaction(&about.signature));
    list.say(&format!("  transaction {} in slot {}", about.signature, about.slot))?;
    if let Some(page) = page {
        list.say(&format!("  {page}"))?;
    }
    if let Some(oracle) = &about.oracle {
        let key = Pubkey::new_from_array(oracle.key);
        let what = format!("{key} signed exactly this, and could: {}", validity(oracle));
        step(about, Step::Signature, &what, list)?;
    } else if rebate_client::verify::read::oracle_of(&about.event).is_some() {
        step(about, Step::Signature, "an oracle key of the platform signed exactly this", list)?;
    }
    match &about.event {
        Event::PaymentRecorded(_) => {
            let rules = about.decided.len();
            step(about, Step::Rules, &format!("what each of the {rules} rules in force then did with it"), list)?;
            for outcome in &about.decided {
                list.say(&format!("    {}", said(outcome)))?;
            }
        }
        Event::RefundRecorded(_) => {
            step(about, Step::Rules, "what the refund takes back of the order's grants", list)?;
            for outcome in &about.decided {
                list.say(&format!("    {}", said(outcome)))?;
            }
        }
        _ => {}
    }
    let what = match &about.event {
        Event::Redeemed(event) => {
            format!("the balance of {} goes from {} to {}", follower.asset_name(event.asset), event.before, event.after)
        }
        Event::Claimed(event) => format!(
            "the balance of {} goes from {} to {}, to the wallet linked by the oracle",
            follower.asset_name(event.asset),
            event.before,
            event.after
        ),
        _ => "the user's balances before and after, and what of them expired".to_owned(),
    };
    step(about, Step::Balances, &what, list)?;
    let nodes = about.path.as_ref().map_or(0, Vec::len);
    let wrong = about.path.is_none().then(|| "no path leads from the event's bytes to the tree head".to_owned());
    let count = report.journal.count;
    list.check(
        &format!("the event is leaf {index} of {count} under the tree head, by a path of {nodes} hashes (RFC 6962)"),
        wrong,
    )?;
    let rest: Vec<&Finding> = about
        .findings
        .iter()
        .filter(|finding| matches!(finding.wrong.step(), Step::Journal | Step::Governance))
        .collect();
    if rest.is_empty() { Ok(()) } else { list.step("the event's place", &rest, rest.len() as u64) }
}

/// A step, with what of it is wrong.
fn step(about: &AboutOrder, step: Step, what: &str, list: &mut Checklist<'_>) -> anyhow::Result<()> {
    let wrong: Vec<_> = about.findings.iter().filter(|finding| finding.wrong.step() == step).collect();
    let wrong: Vec<_> = wrong.iter().map(|finding| finding.wrong.to_string()).collect();
    list.step(what, &wrong, wrong.len() as u64)
}

fn title(about: &AboutOrder, follower: &Follower) -> String {
    match (&about.event, about.relation) {
        (Event::PaymentRecorded(event), _) => format!(
            "{}: payment {} of user {}, {} paid at {}",
            moment(event.at),
            event.number,
            hexadecimal(&event.user),
            event.amount,
            moment(event.paid_at)
        ),
        (Event::RefundRecorded(event), relation) => format!(
            "{}: {} {} of user {}",
            moment(event.at),
            if relation == Relation::Refund { "a refund of it," } else { "refund of" },
            event.amount,
            hexadecimal(&event.user)
        ),
        (Event::Redeemed(event), _) => format!(
            "{}: user {} redeems {} {}",
            moment(event.at),
            hexadecimal(&event.user),
            event.amount,
            follower.asset_name(event.asset)
        ),
        (Event::Claimed(event), _) => format!(
            "{}: the user claims {} {}, of this and other orders, into token account {}",
            moment(event.at),
            event.amount,
            follower.asset_name(event.asset),
            Pubkey::new_from_array(event.destination)
        ),
        (event, _) => event.name().to_owned(),
    }
}

fn said(named: &Named) -> String {
    let Named { outcome, rule, asset } = named;
    let what = match Reason::from_number(outcome.reason) {
        Some(Reason::Granted) => {
            format!("+{} {asset}, balance {} -> {}", outcome.amount, outcome.before, outcome.after)
        }
        Some(Reason::Reversed) => {
            format!("-{} {asset}, balance {} -> {}", outcome.amount, outcome.before, outcome.after)
        }
        Some(Reason::NotMatched) => format!("NotMatched, clause {}", outcome.clause),
        Some(reason) => reason.to_string(),
        None => format!("reason {}", outcome.reason),
    };
    format!("rule {} version {} \"{rule}\": {what}", outcome.rule, outcome.version)
}

fn validity(oracle: &OracleKey) -> String {
    let from = if oracle.valid_from == 0 { "always".to_owned() } else { format!("from {}", moment(oracle.valid_from)) };
    match oracle.valid_until {
        0 => format!("valid {from}"),
        until => format!("valid {from} until {}", moment(until)),
    }
}

/// A moment of Unix time as people write it.
pub(super) fn moment(seconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(seconds).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| seconds.to_string())
}

fn where_to_look(report: &OrderReport, verification: &Verification, list: &mut Checklist<'_>) -> anyhow::Result<()> {
    let addresses = Addresses::at(verification.platform);
    let page = |address: &Pubkey| {
        let page = verification.cluster.as_ref().and_then(|cluster| cluster.account(address));
        page.unwrap_or_else(|| address.to_string())
    };
    list.say(&format!("journal   {} with {} events", page(&addresses.journal), report.journal.count))?;
    list.say(&format!("rules     {}", page(&addresses.rule_book)))?;
    for about in &report.events {
        let page = verification.cluster.as_ref().and_then(|cluster| cluster.transaction(&about.signature));
        list.say(&format!(
            "event {:<4}{}",
            about.event.journal_index(),
            page.unwrap_or_else(|| about.signature.to_string())
        ))?;
    }
    Ok(())
}
