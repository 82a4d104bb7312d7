//! What accounts cost to keep, by the chain's own rent.

use super::{
    program::{Platform, SATURDAY},
    report::{Figure, Goal, Report},
};
use crate::arguments::BenchArguments;
use anyhow::{Context, ensure};
use rebate_client::{account::OrderPage, address::day_of, chain::ReadAccounts, instruction};
use rebate_core::{order::page_limit, time::DAY};
use rebate_rulefile::RuleFile;
use solana_signer::Signer;

/// What a signature costs, in lamports.
const SIGNATURE_FEE: u64 = 5_000;

/// Measures a page's rent per order, open and closed, and the size of a user's account.
///
/// # Errors
/// If the program refuses what it should take.
pub async fn measure(arguments: &BenchArguments, rules: &RuleFile, report: &mut Report) -> anyhow::Result<()> {
    let mut platform = Platform::start(&arguments.program, rules).await?;
    let payment = platform.payment("0", "0");
    platform.pay(&[payment]).await?;
    let user = platform.chain.account(&platform.addresses.user(&payment.user)).await?.context("the user's account")?;
    let counted = rebate_client::account::UserState::decode(&user.data)?;
    let met = counted.counters.iter().filter(|counters| !counters.is_free()).count();

    let page = platform.addresses.order_page(day_of(payment.paid_at), 0, 0);
    let open = platform.chain.account(&page).await?.context("the order page")?;
    let orders = page_limit(OrderPage::slots(&open.data));
    report.add(
        Figure {
            name: "program.rent_lamports_per_order",
            value: open.lamports as f64 / orders as f64,
            unit: "lamports",
            note: format!("while its page is open: {} for {orders} orders in {} bytes", open.lamports, open.data.len()),
        },
        Goal::AtMost(70_000.0),
    );

    let payer = &platform.cast.payer;
    let before = platform.chain.account(&payer.pubkey()).await?.context("the payer")?.lamports;
    platform.chain.set_clock(Some(SATURDAY + 9 * DAY));
    let close = instruction::close_order_pages(&payer.pubkey(), &platform.addresses, &[(page, payer.pubkey())]);
    platform.chain.execute(&[close], &[payer])?;
    let after = platform.chain.account(&payer.pubkey()).await?.context("the payer")?.lamports;
    let left = open.lamports.saturating_sub(after.saturating_add(SIGNATURE_FEE).saturating_sub(before));
    ensure!(platform.chain.account(&page).await?.is_none(), "the page is still there after it was closed");
    report.add(
        Figure {
            name: "program.rent_lamports_per_order.closed",
            value: left as f64 / orders as f64,
            unit: "lamports",
            note: "once its day is beyond max_lateness and its page closed: what did not come back".to_owned(),
        },
        Goal::AtMost(0.0),
    );
    report.add(
        Figure {
            name: "program.user_bytes",
            value: user.data.len() as f64,
            unit: "bytes",
            note: format!(
                "a user of a platform with {} asset, with the counters of {met} rules, room for {}",
                counted.user.balance_slots, counted.user.counter_slots
            ),
        },
        Goal::AtMost(640.0),
    );
    Ok(())
}
