//! A proof that somebody begins, or that was begun before.

use rebate_client::{
    account::{CLIMBING, Refund as RefundAccount},
    chain::{ReadAccounts, embedded::EmbeddedChain},
    event::EffectEntry,
    history::{JournalHistory, RecordedOrder},
    instruction,
    recorder::{RecordError, Recorder},
};
use rebate_core::{
    journal::Hash,
    refund::Refund,
    units::{Amount, OrderHash, Timestamp},
};
use rebate_tests::platform::{NOON, TestPlatform, always, payment};
use solana_keypair::Keypair;
use solana_signer::Signer;

const TEN_PERCENT: EffectEntry = EffectEntry::Ratio { asset: 1, bps: 1_000, min: 0, max: 0 };

/// A platform with so many payments recorded, `A0` and on.
fn paid(count: usize) -> TestPlatform {
    let platform = TestPlatform::start();
    platform.publish(&always(1, TEN_PERCENT), 0).expect("a rule");
    pay(&platform, 0..count);
    platform
}

fn pay(platform: &TestPlatform, orders: std::ops::Range<usize>) {
    for at in orders {
        platform.pay(&[payment(&format!("A{at}"), "u1", 1_000)]).expect("a payment");
    }
}

/// Runs what reads the chain's transactions.
fn wait<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(answer)
}

fn history(platform: &TestPlatform, order: &str) -> JournalHistory<EmbeddedChain> {
    let (chain, addresses) = (platform.chain.clone(), platform.addresses);
    JournalHistory::new(chain, addresses, [OrderHash::of(order)], Box::new(|_, _| ()))
}

/// An order as it stands in the journal, and its path.
fn found(platform: &TestPlatform, order: &str) -> (RecordedOrder, Vec<Hash>) {
    let mut history = history(platform, order);
    wait(async {
        let found = history.order(&OrderHash::of(order)).await.expect("the journal").expect("the order");
        let path = history.path(&found).await.expect("its path");
        (found, path)
    })
}

async fn recorder<'a>(platform: &'a TestPlatform, payer: &'a Keypair) -> Recorder<'a> {
    Recorder::new(&platform.chain, platform.addresses.platform, payer).await.expect("a platform")
}

fn account(platform: &TestPlatform, order: &str) -> RefundAccount {
    let address = platform.addresses.refund(&OrderHash::of(order));
    RefundAccount::decode(&platform.data(&address).expect("an account")).expect("a refund's")
}

#[test]
fn an_order_is_found_by_the_chain_s_own_transactions_proved_and_refunded() {
    let platform = paid(20);
    let (order, path) = found(&platform, "A7");
    assert_eq!(platform.tree().path_to_peak(order.index).as_ref(), Some(&path));
    assert_eq!(order.payment, payment("A7", "u1", 1_000));
    let refund =
        Refund { order: OrderHash::of("R1"), of: order.payment.order, amount: Amount(1_000), paid_at: Timestamp(NOON) };
    let signed = platform.sign(&[refund]);
    wait(async {
        let mut recorder = recorder(&platform, &platform.payer).await;
        recorder.prove(&refund.of, &order.event, &path).await.expect("a proof");
        // Once more is no harm.
        recorder.prove(&refund.of, &order.event, &path).await.expect("proved before");
        let proved = recorder.proved(&refund.of).await.expect("an answer").expect("proved");
        assert_eq!((proved.paid, proved.user), (Amount(1_000), order.payment.user.0));
        recorder.refund(&refund, &order.payment, &signed).await.expect("a refund");
    });
    assert_eq!(platform.balance("u1"), 1_900);
}

#[test]
fn a_proof_goes_on_wherever_it_stopped() {
    let platform = paid(20);
    let payer = platform.payer.pubkey();
    let addresses = &platform.addresses;
    // After opening, after a piece of the event, after all of it, and after so many nodes of the path.
    for (order, pieces, nodes) in
        [("A1", 0, None), ("A2", 1, None), ("A3", 2, None), ("A4", 2, Some(0)), ("A5", 2, Some(2))]
    {
        let (recorded, path) = found(&platform, order);
        let (hash, event) = (recorded.payment.order, &recorded.event);
        let half = event.len() / 2;
        let mut begun = vec![instruction::open_refund(&payer, addresses, &hash, event.len() as u32)];
        begun.extend(
            [&event[..half], &event[half..]][..pieces]
                .iter()
                .map(|piece| instruction::write_refund(&payer, addresses, &hash, piece)),
        );
        begun.extend(nodes.map(|nodes| instruction::prove_refund(&payer, addresses, &hash, &path[..nodes])));
        for step in begun {
            platform.run(&[step], &[&platform.payer]).expect("a step");
        }
        wait(async {
            let recorder = recorder(&platform, &platform.payer).await;
            recorder.prove(&hash, event, &path).await.expect("the rest");
            assert_eq!(recorder.is_proved(&hash).await, Ok(true), "{order}");
        });
    }
}

#[test]
fn a_proof_that_the_journal_outgrows_goes_on_with_the_longer_path() {
    // 2 events and 8 payments: the last two stand under a peak of their own.
    let platform = paid(8);
    let (order, path) = found(&platform, "A7");
    pay(&platform, 8..20);
    let hash = order.payment.order;
    wait(async {
        let recorder = recorder(&platform, &platform.payer).await;
        recorder.prove(&hash, &order.event, &path).await.expect("as far as it goes");
        assert_eq!(recorder.is_proved(&hash).await, Ok(false));
    });
    assert_eq!((account(&platform, "A7").stage, usize::from(account(&platform, "A7").height)), (CLIMBING, path.len()));
    let (order, path) = found(&platform, "A7");
    wait(async {
        let recorder = recorder(&platform, &platform.payer).await;
        recorder.prove(&hash, &order.event, &path).await.expect("the rest");
        assert_eq!(recorder.is_proved(&hash).await, Ok(true));
    });
}

#[test]
fn a_proof_that_leads_nowhere_is_given_up_by_who_began_it() {
    let platform = paid(20);
    let payer = platform.payer.pubkey();
    let addresses = &platform.addresses;
    let (other, _) = found(&platform, "A0");
    for (order, nodes, event) in [("A1", None, b"something else".to_vec()), ("A2", Some([[9; 32]]), Vec::new())] {
        let (recorded, path) = found(&platform, order);
        let hash = recorded.payment.order;
        let event = if event.is_empty() { recorded.event.clone() } else { event };
        let mut begun = vec![
            instruction::open_refund(&payer, addresses, &hash, event.len() as u32),
            instruction::write_refund(&payer, addresses, &hash, &event),
        ];
        begun.extend(nodes.map(|nodes| instruction::prove_refund(&payer, addresses, &hash, &nodes)));
        platform.run(&begun, &[&platform.payer]).expect("a beginning");
        assert_ne!(recorded.event, other.event);
        wait(async {
            let recorder = recorder(&platform, &platform.payer).await;
            recorder.prove(&hash, &recorded.event, &path).await.expect("anew");
            assert_eq!(recorder.is_proved(&hash).await, Ok(true), "{order}");
        });
    }
}

#[test]
fn nobody_takes_over_a_proof_before_its_hour_is_over() {
    let platform = paid(20);
    let (order, path) = found(&platform, "A7");
    let hash = order.payment.order;
    let begin = instruction::open_refund(&platform.payer.pubkey(), &platform.addresses, &hash, 100);
    platform.run(&[begin], &[&platform.payer]).expect("a beginning");
    let other = Keypair::new();
    platform.fund(&other.pubkey());
    wait(async {
        let recorder = recorder(&platform, &other).await;
        let now = platform.chain.now().await.expect("a clock");
        let proving = RecordError::Proving { prover: platform.payer.pubkey(), until: now + 3_600 };
        assert_eq!(recorder.prove(&hash, &order.event, &path).await, Err(proving));
        platform.chain.set_clock(Some(now + 3_600));
        recorder.prove(&hash, &order.event, &path).await.expect("after an hour");
        assert_eq!(recorder.is_proved(&hash).await, Ok(true));
    });
}
