use crate::{
    ledger::{Did, Ledger, PLATFORM, user},
    served::Served,
};
use rebate_api::Settings;
use rebate_client::{Pubkey, address::Addresses, explorer::Cluster};

const OTHER: [u8; 32] = [2; 32];

fn address(bytes: [u8; 32]) -> String {
    Pubkey::new_from_array(bytes).to_string()
}

#[tokio::test]
async fn a_platform_shows_its_settings_and_accounts() {
    let served = Served::new().await;
    let _ledger = Ledger::new(served.pool()).await;

    let body = served.json(&format!("/v1/platforms/{}", address(PLATFORM))).await;

    assert_eq!(body["platform"], address(PLATFORM));
    assert_eq!(body["id"], "1");
    assert_eq!(body["paused"], false);
    assert_eq!(body["max_lateness"], 604_800);
    assert_eq!(body["assets"][1]["name"], "stars");
    assert_eq!(body["utc_offsets"][0]["seconds"], 28_800);
    assert!(body["utc_offsets"][0]["from"].is_null());
    assert!(body["oracle_keys"][0]["valid_from"].is_null());
    assert_eq!(body["oracle_keys"][0]["valid_until"], "2026-10-03T04:00:00Z");
    let journal = Addresses::at(Pubkey::new_from_array(PLATFORM)).journal.to_string();
    assert_eq!(body["accounts"][2]["address"], journal);
    assert_eq!(
        body["accounts"][2]["explorer"],
        format!("https://explorer.solana.com/address/{journal}?cluster=devnet")
    );
}

#[tokio::test]
async fn with_several_platforms_a_request_names_one() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 5_000, &[Did::granted(1, 1_000)]).await;
    let path = format!("/v1/users/{}/balances", user("ann"));
    assert_eq!(served.get(&path).await.status(), 200, "the only platform is meant");

    let mut other = Ledger::of(served.pool(), OTHER, 2).await;
    other.two_rules().await;
    other.pay("A1", "ann", 5_000, &[Did::granted(1, 7)]).await;

    let problem = served.problem(&path).await;
    assert_eq!(problem["type"], "urn:rebate:problem:platform-not-named");
    for (platform, balance) in [(PLATFORM, "1000"), (OTHER, "7")] {
        let body = served.json(&format!("{path}?platform={}", address(platform))).await;
        assert_eq!(body["balances"][0]["balance"], balance);
    }
    let list = served.json("/v1/platforms?limit=1").await;
    assert_eq!(list["items"][0]["platform"], address(PLATFORM));
    let cursor = list["next_cursor"].as_str().unwrap();
    let list = served.json(&format!("/v1/platforms?cursor={cursor}")).await;
    assert_eq!(list["items"][0]["platform"], address(OTHER));
    assert!(list["next_cursor"].is_null());
}

#[tokio::test]
async fn the_configured_platform_is_meant_where_none_is_named() {
    let settings = Settings { platform: Some(Pubkey::new_from_array(OTHER)), ..Settings::new(Cluster::Devnet) };
    let served = Served::with(settings).await;
    let _ledger = Ledger::new(served.pool()).await;
    let problem = served.problem("/v1/orders").await;
    assert!(problem["detail"].as_str().unwrap().contains(&address(OTHER)), "{problem:#}");

    let mut other = Ledger::of(served.pool(), OTHER, 2).await;
    other.two_rules().await;
    other.pay("A1", "ann", 5_000, &[Did::granted(1, 7)]).await;

    assert_eq!(served.json("/v1/orders").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_unknown_platform_is_not_on_record() {
    let served = Served::new().await;
    let _ledger = Ledger::new(served.pool()).await;
    for path in ["/v1/platforms/", "/v1/orders?platform="] {
        let path = format!("{path}{}", address(OTHER));
        assert_eq!(served.problem(&path).await["status"], 404);
    }
    for path in ["/v1/platforms/", "/v1/orders?platform="] {
        for wrong in ["0", "abc", &"1".repeat(45), &address(OTHER)[1..]] {
            let problem = served.problem(&format!("{path}{wrong}")).await;
            assert_eq!(problem["status"], 400, "{path}{wrong}");
        }
    }
}
