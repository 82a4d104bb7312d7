//! The client's recorder, which opens what payments need.

use rebate_client::{
    chain::SubmitError,
    oracle,
    recorder::{RecordError, Recorder},
};
use rebate_core::{
    payment::Payment,
    units::{Amount, Timestamp},
};
use rebate_tests::platform::{NOON, TestPlatform, payment};

const DAY: i64 = 86_400;

async fn refused(recorder: &mut Recorder<'_>, platform: &TestPlatform, payment: Payment) -> &'static str {
    let signed = oracle::sign(&platform.oracle, &platform.addresses.platform, &[payment]).expect("a message");
    match recorder.record(&[payment], &signed).await {
        Err(RecordError::Submit(SubmitError::Refused { error, .. })) => error.name(),
        other => panic!("the program should have refused this: {other:?}"),
    }
}

#[test]
fn a_payment_for_a_day_that_has_no_page_is_refused_for_what_it_is() {
    let platform = TestPlatform::with_sample_rules();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let chain = &platform.chain;
        let mut recorder =
            Recorder::new(chain, platform.addresses.platform, &platform.payer).await.expect("a recorder");
        let at = |seconds| Payment { paid_at: Timestamp(NOON + seconds), ..payment("A1", "u1", 100) };
        assert_eq!(refused(&mut recorder, &platform, at(-30 * DAY)).await, "TooLate");
        assert_eq!(refused(&mut recorder, &platform, at(30 * DAY)).await, "FromTheFuture");
        assert_eq!(refused(&mut recorder, &platform, Payment { amount: Amount(0), ..at(-DAY) }).await, "ZeroAmount");
    });
    assert!(platform.recorded().is_empty());
}
