use crate::{
    ledger::{Did, Ledger, user},
    served::Served,
};

#[tokio::test]
async fn balances_list_every_asset_of_the_platform() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 5_000, &[Did::granted(1, 1_000), Did::granted(2, 30)]).await;
    let index = ledger.pay("A2", "ann", 700, &[Did::granted(2, 30)]).await;

    let body = served.json(&format!("/v1/users/{}/balances", user("ann"))).await;

    assert_eq!(body["user"], user("ann"));
    assert_eq!(body["payments"], 2);
    assert_eq!(body["paid"], "5700");
    assert_eq!(body["first_paid_at"], "2026-10-03T04:00:00Z");
    let balances = body["balances"].as_array().unwrap();
    assert_eq!(balances.len(), 2);
    assert_eq!(balances[0]["asset_name"], "coins");
    assert_eq!(balances[0]["balance"], "1060");
    assert_eq!(balances[0]["entries"], 3);
    assert_eq!(balances[0]["journal_index"], index);
    assert_eq!(balances[1]["asset_name"], "stars");
    assert_eq!(balances[1]["balance"], "0");
    assert!(balances[1]["journal_index"].is_null());
}

#[tokio::test]
async fn amounts_above_2_pow_53_survive_json() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    let most = u64::MAX;
    ledger.pay("A1", "ann", most, &[Did::granted(1, most)]).await;
    ledger.pay("A2", "ann", most, &[]).await;

    let body = served.json(&format!("/v1/users/{}/balances", user("ann"))).await;
    assert_eq!(body["balances"][0]["balance"], "18446744073709551615");
    assert_eq!(body["paid"], "36893488147419103230");

    let body = served.json(&format!("/v1/users/{}/entries", user("ann"))).await;
    assert_eq!(body["items"][0]["change"], "18446744073709551615");

    let body = served.json("/v1/orders/A1").await;
    assert_eq!(body["records"][0]["amount"], "18446744073709551615");
    assert_eq!(body["records"][0]["streamer"], "18446744073709551615");
    let outcome = &body["records"][0]["outcomes"][0];
    assert_eq!(outcome["after"], "18446744073709551615");
}

#[tokio::test]
async fn a_total_beyond_any_machine_word_is_exact() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 1, &[]).await;
    served.sql("UPDATE users SET paid = 999999999999999999999999999999").await;

    let body = served.json(&format!("/v1/users/{}/balances", user("ann"))).await;

    assert_eq!(body["paid"], "999999999999999999999999999999");
}

#[tokio::test]
async fn a_user_who_never_paid_is_not_on_record() {
    let served = Served::new().await;
    let _ledger = Ledger::new(served.pool()).await;
    for list in ["balances", "entries"] {
        let path = format!("/v1/users/{}/{list}", user("nobody"));
        let problem = served.problem(&path).await;
        assert_eq!(problem["status"], 404);
        assert_eq!(problem["type"], "urn:rebate:problem:not-found");
        assert_eq!(problem["instance"], path);
        assert!(problem["detail"].as_str().unwrap().contains("slot 100"), "{problem:#}");
    }
}

#[tokio::test]
async fn a_user_key_may_be_in_upper_case() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 1, &[]).await;

    let body = served.json(&format!("/v1/users/{}/balances", user("ann").to_uppercase())).await;

    assert_eq!(body["user"], user("ann"));
}
