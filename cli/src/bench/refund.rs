//! What a refund costs: proving the order, and reversing what it was granted.

use super::{
    program::{Platform, SATURDAY},
    report::{Figure, Goal, Report},
};
use crate::arguments::BenchArguments;
use anyhow::Context;
use rebate_client::{
    instruction::{self, RecordAccounts},
    oracle,
    proof::{self, JournalTree},
};
use rebate_core::{
    refund::Refund,
    units::{Amount, JournalIndex, OrderHash, Timestamp},
};
use rebate_rulefile::RuleFile;
use solana_signer::Signer;

/// How many orders are in the journal when one of them is refunded.
const ORDERS: u64 = 200;

/// Measures a refund of half an order.
///
/// # Errors
/// If the program refuses what it should take.
pub async fn measure(arguments: &BenchArguments, rules: &RuleFile, report: &mut Report) -> anyhow::Result<()> {
    let mut platform = Platform::start(&arguments.program, rules).await?;
    let mut paid = Vec::new();
    for order in 0..ORDERS {
        let payment = platform.payment(&order.to_string(), "0");
        platform.pay(&[payment]).await?;
        paid.push(payment);
    }
    let refunded = *paid.get(100).context("an order in the middle")?;
    let mut tree = JournalTree::default();
    let mut at = None;
    for emitted in platform.events()? {
        if matches!(&emitted.event, rebate_client::event::Event::PaymentRecorded(event) if event.order == refunded.order.0)
        {
            at = Some(JournalIndex(tree.len()));
        }
        tree.push(emitted.bytes);
    }
    let at = at.context("the order's event")?;
    let (event, path) = (tree.event(at).context("the event")?, tree.path_to_peak(at).context("its path")?);
    let payer = platform.cast.payer.pubkey();
    let steps = proof::transactions(&payer, &platform.addresses, &refunded.order, event, &path);
    let mut proving = 0;
    for step in &steps {
        proving += platform.chain.execute(std::slice::from_ref(step), &[&platform.cast.payer])?.compute_units;
    }
    let refund = Refund {
        order: OrderHash::of("the refund"),
        of: refunded.order,
        amount: Amount(refunded.amount.0 / 2),
        paid_at: Timestamp(SATURDAY),
    };
    let mut recorder = platform.recorder().await?;
    recorder.open_user_and_page(&refunded.user, &refund.order, refund.paid_at).await?;
    let accounts = RecordAccounts {
        user: platform.addresses.user(&refunded.user),
        pages: recorder.pages_of(&refund.order, refund.paid_at),
        refund: Some(platform.addresses.refund(&refunded.order)),
        counters: recorder.counters_of_refund(&refunded),
    };
    let signed = oracle::sign(&platform.cast.oracle, &platform.addresses.platform, &[refund])
        .map_err(|_| anyhow::anyhow!("a message has more than 255 records"))?;
    let record = instruction::record_refunds(&platform.addresses, &[accounts], &signed);
    let executed = platform.chain.execute(&record, &[&platform.cast.payer])?;
    report.add(
        Figure {
            name: "program.refund_cu",
            value: executed.compute_units as f64,
            unit: "CU",
            note: format!(
                "half of an order with several grants, proved before in {} transactions of {proving} units together \
                 (an event of {} bytes, a path of {} nodes)",
                steps.len(),
                event.len(),
                path.len()
            ),
        },
        Goal::AtMost(15_000.0),
    );
    Ok(())
}
