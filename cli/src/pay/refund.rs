//! The refunds of `rebate pay`: the order is looked up in the platform's journal, proved to the program, and refunded.

use super::{Fate, fate};
use crate::payment_file::RefundRecord;
use anyhow::bail;
use rebate_client::{
    account,
    address::Addresses,
    chain::{Landed, ReadAccounts, rpc::RpcChain},
    history::{JournalHistory, RecordedOrder},
    oracle::SignedMessage,
    recorder::Recorder,
};
use rebate_core::{
    payment::Payment,
    refund::Refund,
    refusal::Refusal,
    units::{OrderHash, Timestamp, UserKey},
};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often it is told how far the journal was read.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// How often a proof is begun or goes on where the journal grows meanwhile. Each time it gets to a higher peak, which stays
/// for twice as many events.
const ATTEMPTS: usize = 40;

/// The platform's journal, in which `orders` will be looked up. If that takes long, standard error tells how far it is.
pub(super) fn journal(
    chain: &RpcChain,
    addresses: &Addresses,
    orders: impl IntoIterator<Item = OrderHash>,
) -> JournalHistory<RpcChain> {
    let told = Mutex::new(Instant::now());
    let on_progress = move |read: u64, count: u64| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= TOLD_EVERY {
            *told = Instant::now();
            eprintln!("reading the journal back: {read} of {count} events");
        }
    };
    JournalHistory::new(chain.clone(), *addresses, orders, Box::new(on_progress))
}

/// Proves the order if it is not proved yet, submits the refund, and says what became of it. A refund that would be refused
/// whatever the journal says is not worth a proof, whose rent does not come back.
pub(super) async fn submit(
    recorder: &mut Recorder<'_>,
    journal: &mut JournalHistory<RpcChain>,
    chain: &RpcChain,
    line: &RefundRecord,
    refund: &Refund,
    signed: &SignedMessage,
) -> anyhow::Result<(Fate, Option<Landed>)> {
    let refused = |refusal: Refusal| Ok((Fate::Refused(refusal.name().to_owned()), None));
    let now = Timestamp(chain.now().await?);
    if let Err(refusal) = recorder.platform().admission(now).check(refund.amount, refund.paid_at) {
        return refused(refusal);
    }
    let paid = match recorder.proved(&refund.of).await? {
        Some(account) => paid(&account),
        None => {
            let Some(order) = journal.order(&refund.of).await? else {
                let refusal = Refusal::UnknownOrder.name();
                let why = format!(
                    "{refusal}: no event of this platform is a payment {}; check the order's number and --platform",
                    line.of
                );
                return Ok((Fate::Refused(why), None));
            };
            if refund.amount > order.payment.amount {
                return refused(Refusal::OverRefund);
            }
            prove(recorder, journal, &order).await?;
            order.payment
        }
    };
    Ok(fate(recorder.refund(refund, &paid, signed).await)?)
}

/// Proves an order, however much the journal grows meanwhile.
async fn prove(
    recorder: &Recorder<'_>,
    journal: &mut JournalHistory<RpcChain>,
    order: &RecordedOrder,
) -> anyhow::Result<()> {
    for _ in 0..ATTEMPTS {
        let path = journal.path(order).await?;
        recorder.prove(&order.payment.order, &order.event, &path).await?;
        if recorder.is_proved(&order.payment.order).await? {
            return Ok(());
        }
    }
    bail!("the journal grows faster than the proof is followed; run the command again, it goes on where it stopped")
}

/// What is known of the payment of a proved order.
fn paid(proved: &account::Refund) -> Payment {
    Payment {
        order: OrderHash(proved.order),
        user: UserKey(proved.user),
        amount: proved.paid,
        paid_at: proved.paid_at,
        streamer: proved.streamer,
        session: proved.session,
        ..Payment::default()
    }
}
