use crate::{
    ledger::{Did, Ledger, NOON, PLATFORM, fixed, user},
    served::Served,
};
use rebate_api::Settings;
use rebate_client::{
    Pubkey,
    address::Addresses,
    event::{
        DayClosed, Event, OffsetAdded, OffsetEntry, OracleKeyRetired, OrderShardsChanged, RoleChanged, SettingChanged,
    },
    explorer::Cluster,
};
use serde_json::json;
use time::OffsetDateTime;

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
async fn a_platform_shows_what_its_people_decided() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    let path = format!("/v1/platforms/{}", address(PLATFORM));
    let body = served.json(&path).await;
    assert_eq!(body["order_shards"], json!([{"from_day": 0, "from": "1970-01-01", "shards": 4, "page_slots": 256}]));
    assert_eq!(body["announced"], json!([]));
    for unset in ["closed_through", "next_admin"] {
        assert!(body[unset].is_null(), "{unset}");
    }

    // The cursor's block is of now, and the tests' clock stands still before that.
    let later = OffsetDateTime::now_utc().unix_timestamp() + 3_600;
    for (setting, value, effective_at) in [(1, 86_400, later), (2, 60, 0), (2, 30, NOON + 1)] {
        ledger
            .decide(|journal_index, at, platform| {
                Event::SettingChanged(SettingChanged { journal_index, at, platform, setting, value, effective_at })
            })
            .await;
    }
    for (role, holder, effective_at) in [(1, [7; 32], NOON), (2, [8; 32], 0)] {
        ledger
            .decide(|journal_index, at, platform| {
                Event::RoleChanged(RoleChanged { journal_index, at, platform, role, holder, effective_at })
            })
            .await;
    }
    ledger
        .decide(|journal_index, at, platform| {
            let (key, valid_until) = ([4; 32], NOON - 60);
            Event::OracleKeyRetired(OracleKeyRetired { journal_index, at, platform, key, valid_until })
        })
        .await;
    ledger
        .decide(|journal_index, at, platform| {
            let offset = OffsetEntry { from: NOON, seconds: 32_400 };
            Event::OffsetAdded(OffsetAdded { journal_index, at, platform, offset })
        })
        .await;
    for (from_day, shards, page_slots) in [(20_729, 8, 1_267), (u32::MAX, 1, 8)] {
        ledger
            .decide(|journal_index, at, platform| {
                Event::OrderShardsChanged(OrderShardsChanged {
                    journal_index,
                    at,
                    platform,
                    from_day,
                    shards,
                    page_slots,
                })
            })
            .await;
    }
    ledger
        .decide(|journal_index, at, platform| Event::DayClosed(DayClosed { journal_index, at, platform, day: 20_720 }))
        .await;

    let body = served.json(&path).await;
    assert_eq!((body["max_lateness"].as_i64(), body["timelock"].as_i64()), (Some(604_800), Some(30)));
    let announced = body["announced"].as_array().unwrap();
    assert_eq!(announced.len(), 1, "the other has come: {announced:?}");
    assert_eq!(announced[0]["setting"], "max_lateness");
    assert_eq!(announced[0]["seconds"], 86_400);
    assert_eq!(body["next_admin"], json!({"address": address([7; 32]), "from": "2026-10-03T04:00:00Z"}));
    assert_eq!((&body["admin"], &body["pauser"]), (&json!(address([3; 32])), &json!(address([8; 32]))));
    assert_eq!(body["oracle_keys"][0]["valid_until"], "2026-10-03T03:59:00Z");
    assert_eq!(body["oracle_keys"][0]["retired_at"], "2026-10-03T04:00:00Z");
    assert_eq!(body["utc_offsets"][1], json!({"from": "2026-10-03T04:00:00Z", "seconds": 32_400}));
    assert_eq!(
        body["order_shards"][1],
        json!({"from_day": 20_729, "from": "2026-10-03", "shards": 8, "page_slots": 1_267})
    );
    assert_eq!(body["order_shards"][2], json!({"from_day": u32::MAX, "from": null, "shards": 1, "page_slots": 8}));
    assert_eq!(body["closed_through"], "2026-09-24");
}

#[tokio::test]
async fn a_token_shows_its_vault_and_what_it_must_hold() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.tokens(3).await;
    ledger.two_rules().await;
    ledger.publish(fixed(3, 1, "gems", 3, 40), 0).await;
    ledger.pay("A1", "ann", 100, &[Did { asset: 3, ..Did::granted(3, 40) }, Did::granted(1, 5)]).await;

    let body = served.json(&format!("/v1/platforms/{}", address(PLATFORM))).await;

    let vault = address([6; 32]);
    assert_eq!(
        body["assets"][2],
        json!({
            "asset": 3, "name": "gems", "kind": "token", "expiry_months": 0, "mint": address([5; 32]),
            "active_from": "2026-10-03T04:00:00Z", "liability": "40",
            "vault": {
                "address": vault, "funds": "1000", "opened_at": "2026-10-03T04:00:00Z",
                "explorer": format!("https://explorer.solana.com/address/{vault}?cluster=devnet"),
            },
        })
    );
    assert_eq!(body["assets"][0]["liability"], "5");
    assert!(body["assets"][0]["vault"].is_null());
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
