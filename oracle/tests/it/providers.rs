//! Adapters on notices made by another implementation of the documented algorithms.

use crate::fixtures::{AT, Notice, alipay, hmac, notice, stripe, wechat};
use rebate_oracle::{
    order::{About, Order, PaymentOrder, RefundOrder, Refunded},
    provider::{
        FieldNames, Provider, Reading, Rejection, RsaKey,
        stripe::Stripe,
        wechat_pay::{Merchant, WechatPay},
    },
};
use std::collections::BTreeMap;

fn order(reading: Result<Reading, Rejection>) -> (String, Order) {
    match reading {
        Ok(Reading::Order { event, order }) => (event, *order),
        other => panic!("no order: {other:?}"),
    }
}

fn about(product: u16, streamer: Option<&str>, session: Option<&str>) -> About {
    About { product, streamer: streamer.map(str::to_owned), session: session.map(str::to_owned), ..About::default() }
}

fn payment(number: &str, user: &str, amount: u64, paid_at: i64, about: About) -> Order {
    Order::Payment(PaymentOrder { number: number.into(), user: user.into(), amount, paid_at, about })
}

fn refund(number: &str, of: &str, amount: Refunded, paid_at: i64) -> Order {
    Order::Refund(RefundOrder { number: number.into(), of: of.into(), amount, paid_at })
}

#[test]
fn a_generic_notice_is_read_as_signed() {
    let expected = About { tier: 2, segments: 5, ..about(7, Some("s1"), Some("e1")) };
    let read = order(notice("hmac payment").read(&hmac(), 0));
    assert_eq!(read, ("evt-H1".into(), payment("H1", "u1", 600, AT, expected)));
    let read = order(notice("hmac refund").read(&hmac(), 0));
    assert_eq!(read, ("evt-HR1".into(), refund("HR1", "H1", Refunded::This(200), AT)));
}

#[test]
fn stripes_payment_is_the_payment_intent_when_it_succeeded() {
    let expected = payment("pi_3Test", "u1", 2_000, AT - 2, about(7, Some("s1"), None));
    assert_eq!(order(notice("stripe payment").read(&stripe(), 0)), ("evt_1".into(), expected.clone()));
    // While a secret is rolled, one signature of several is enough, by either secret.
    let rolled = notice("stripe payment, secret rolled");
    assert_eq!(order(rolled.read(&stripe(), 0)).1, expected);
    let other = Stripe::new(&["whsec_other"], 300, "CNY", FieldNames::default());
    assert_eq!(order(rolled.read(&other, 0)).1, expected);
}

#[test]
fn a_scheme_of_stripes_other_than_v1_does_not_count() {
    let read = notice("stripe payment, scheme v0 alone").read(&stripe(), 0);
    assert!(matches!(read, Err(Rejection::Forged(_))), "{read:?}");
}

#[test]
fn all_that_stripe_tells_of_one_refund_is_one_record() {
    let expected = refund("re_1Test", "pi_3Test", Refunded::This(500), AT - 30);
    assert_eq!(order(notice("stripe refund").read(&stripe(), 0)), ("evt_2".into(), expected.clone()));
    assert_eq!(order(notice("stripe refund, told once more").read(&stripe(), 0)), ("evt_3".into(), expected));
}

#[test]
fn alipays_payment_is_in_fen_and_in_beijings_time_and_a_finished_trade_is_the_same_order() {
    let expected = payment("A1", "用户1", 8_888, AT - 2, about(7, None, None));
    let read = order(notice("alipay payment").read(&alipay(), 0));
    assert_eq!(read, ("ac05099524730693a8b330c5ecf72da9786".into(), expected.clone()));
    assert_eq!(order(notice("alipay payment, finished").read(&alipay(), 0)).1, expected);
}

#[test]
fn alipays_refund_is_what_was_refunded_so_far() {
    let read = order(notice("alipay refund, a part").read(&alipay(), 0));
    assert_eq!(read, ("refund1".into(), refund("AR1", "A1", Refunded::SoFar(1_000), AT + 1)));
    let read = order(notice("alipay refund, the rest").read(&alipay(), 0));
    assert_eq!(read, ("refund2".into(), refund("AR2", "A1", Refunded::SoFar(8_888), AT + 600)));
}

#[test]
fn wechat_pays_resource_is_opened_and_read() {
    let read = order(notice("wechat payment").read(&wechat(), 0));
    assert_eq!(read, ("EV-1".into(), payment("W1", "u1", 600, AT - 2, about(7, None, Some("e1")))));
    let read = order(notice("wechat refund").read(&wechat(), 0));
    assert_eq!(read, ("EV-2".into(), refund("WR1", "W1", Refunded::This(200), AT)));
}

/// The notice, certificate and signature that WeChat Pay's own library for Go is tested with, core/notify/notify_test.go of
/// wechatpay-apiv3/wechatpay-go. It is about a contract, so nothing is recorded of it.
#[test]
fn the_notice_that_wechat_pay_publishes_has_a_valid_signature() {
    let published: Notice = serde_json::from_str(include_str!("../fixtures/wechatpay_go.json")).unwrap();
    let certificate = RsaKey::parse(include_bytes!("../fixtures/wechatpay_go.pem")).unwrap();
    let keys = BTreeMap::from([("D7CE59D1F522D701".to_owned(), certificate.clone())]);
    let merchant = Merchant { mchid: "1", appid: None, api_v3_key: &[1; 32] };
    let provider = WechatPay::new(keys, &merchant, 300, "CNY", FieldNames::default()).unwrap();
    let late = 1_624_523_846 - AT;
    let read = published.read(&provider, late);
    assert_eq!(read, Ok(Reading::Nothing("a notice of type PAYSCORE.USER_OPEN_SERVICE".into())));
    let read = published.altered("3119dfba", "3119dfbb").read(&provider, late);
    assert!(matches!(read, Err(Rejection::Forged(_))), "{read:?}");
    assert_eq!(certificate.serial(), Some("D7CE59D1F522D701"));
}

#[test]
fn what_is_no_payment_and_no_refund_is_taken_and_not_recorded() {
    for (name, provider) in [
        ("stripe refund pending", &stripe() as &dyn Provider),
        ("stripe checkout", &stripe()),
        ("alipay waiting", &alipay()),
        ("wechat refund closed", &wechat()),
    ] {
        assert!(matches!(notice(name).read(provider, 0), Ok(Reading::Nothing(_))), "{name}");
    }
}

#[test]
fn a_genuine_notice_that_no_record_can_stand_for_is_refused_with_why() {
    for (name, provider, why) in [
        ("stripe other currency", &stripe() as &dyn Provider, "usd"),
        ("stripe no user", &stripe(), "user"),
        ("alipay other application", &alipay(), "app_id"),
        ("wechat other merchant", &wechat(), "mchid"),
    ] {
        let error = notice(name).read(provider, 0).unwrap_err();
        assert!(matches!(&error, Rejection::Unusable(said) if said.contains(why)), "{name}: {error}");
    }
    // Sealed with another API v3 key: it was changed and the settings were not.
    let error = notice("wechat other key").read(&wechat(), 0).unwrap_err();
    assert!(matches!(&error, Rejection::Malformed(said) if said.contains("API v3 key")), "{error}");
}

/// Each provider's notice, and what to change in its body.
fn genuine() -> Vec<(Notice, Box<dyn Provider>, &'static str, &'static str)> {
    vec![
        (notice("hmac payment"), Box::new(hmac()), "600", "601"),
        (notice("stripe payment"), Box::new(stripe()), "2000", "2001"),
        (notice("alipay payment"), Box::new(alipay()), "88.88", "88.89"),
        (notice("wechat payment"), Box::new(wechat()), "EV-1", "EV-2"),
    ]
}

#[test]
fn a_notice_with_one_character_changed_is_forged() {
    for (notice, provider, from, to) in genuine() {
        let read = notice.altered(from, to).read(&*provider, 0);
        assert!(matches!(read, Err(Rejection::Forged(_))), "{read:?}");
    }
}

#[test]
fn a_truncated_notice_is_forged() {
    for (notice, provider, ..) in genuine() {
        for length in [0, 1, notice.body.len() / 2, notice.body.len() - 1] {
            let mut cut = notice.clone();
            // In the middle of a character, the text is cut before it.
            cut.body.truncate(cut.body.floor_char_boundary(length));
            let read = cut.read(&*provider, 0);
            assert!(matches!(read, Err(Rejection::Forged(_) | Rejection::Malformed(_))), "{length}: {read:?}");
        }
    }
}

#[test]
fn a_notice_without_or_with_another_signature_is_forged() {
    for (notice, provider, ..) in genuine() {
        for name in
            notice.headers.keys().filter(|name| !["content-type", "wechatpay-signature-type"].contains(&name.as_str()))
        {
            for value in [None, Some(""), Some("00"), Some("v1=,t="), Some("WECHATPAY/SIGNTEST/x")] {
                let mut changed = notice.clone();
                match value {
                    None => changed.headers.remove(name),
                    Some(value) => changed.headers.insert(name.clone(), value.to_owned()),
                };
                let read = changed.read(&*provider, 0);
                assert!(matches!(read, Err(Rejection::Forged(_))), "{name}: {value:?}: {read:?}");
            }
        }
    }
    let unsigned = notice("alipay payment").altered("sign_type=RSA2", "sign_type=RSA");
    assert!(matches!(unsigned.read(&alipay(), 0), Err(Rejection::Forged(_))));
}

#[test]
fn a_notice_signed_with_another_providers_key_is_forged() {
    let other = rebate_oracle::provider::hmac::Hmac::new(&["other", ""], 300, "CNY");
    assert!(matches!(notice("hmac payment").read(&other, 0), Err(Rejection::Forged(_))));
}

#[test]
fn a_notice_is_stale_once_it_is_older_than_allowed_or_from_the_future() {
    for (notice, provider, ..) in genuine().into_iter().filter(|(notice, ..)| !notice.body.contains("app_id")) {
        for late in [-300, 0, 300] {
            assert!(notice.read(&*provider, late).is_ok(), "{late}");
        }
        // A clock that is off by minutes is told by how much.
        for late in [-301, 301, 600, i64::from(u32::MAX)] {
            let read = notice.read(&*provider, late);
            assert_eq!(read, Err(Rejection::Stale { age: late, tolerance: 300 }));
        }
    }
    // Alipay signs no time of sending; what it sends again after a day is on record.
    assert!(notice("alipay payment").read(&alipay(), 90_000).is_ok());
}

#[test]
fn a_notice_in_another_encoding_is_refused() {
    let read = notice("alipay in GBK").read(&alipay(), 0);
    assert!(matches!(&read, Err(Rejection::Malformed(why)) if why.contains("utf-8")), "{read:?}");
}

#[test]
fn nothing_secret_is_shown() {
    let shown = format!("{:?} {:?} {:?} {:?}", hmac(), stripe(), alipay(), wechat());
    for secret in ["generic", "whsec", "0123456789abcdef"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
