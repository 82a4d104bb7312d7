use crate::{
    ledger::{Did, Ledger, fixed, user},
    served::Served,
};
use rebate_client::event::{LimitsEntry, RuleDefinition};
use rebate_core::{
    outcome::Reason,
    rule::{GroupMode, OnLimit},
    window::Window,
};
use reqwest::{Response, header};
use serde_json::Value;

async fn get(served: &Served, path: &str, language: &str) -> Response {
    let request = served.client.get(format!("{}{path}", served.url));
    request.header(header::ACCEPT_LANGUAGE, language).send().await.unwrap()
}

async fn json(served: &Served, path: &str, language: &str) -> Value {
    get(served, path, language).await.json().await.unwrap()
}

/// A rule for every reason that needs no counters, and one payment that meets all of them.
async fn evening(served: &Served) {
    let mut ledger = Ledger::new(served.pool()).await;
    let limits = LimitsEntry { user_amount: 500, ..LimitsEntry::none() };
    let weekly = RuleDefinition { window: Window::Week as u8, limits, ..fixed(1, 1, "weekend bonus", 1, 500) };
    ledger.publish(weekly, 0).await;
    let group =
        |id: u16, name| RuleDefinition { group: 3, group_mode: GroupMode::First as u8, ..fixed(id, 1, name, 1, 7) };
    ledger.publish(RuleDefinition { tags: 1, ..group(2, "first come") }, 0).await;
    ledger.publish(group(3, "served later"), 0).await;
    ledger.publish(RuleDefinition { excludes: 1, ..fixed(4, 1, "never both", 1, 7) }, 0).await;
    ledger.publish(fixed(5, 1, "few for all", 2, 9), 0).await;
    let once = LimitsEntry { user_count: 1, on_limit: OnLimit::Reject as u8, ..LimitsEntry::none() };
    ledger.publish(RuleDefinition { limits: once, ..fixed(6, 1, "welcome <b>", 1, 5) }, 0).await;
    let not = |rule, reason| Did { reason, ..Did::granted(rule, 0) };
    ledger
        .pay(
            "A1",
            "ann",
            5_000,
            &[
                not(1, Reason::UserLimit),
                Did::granted(2, 7),
                not(3, Reason::GroupTaken),
                not(4, Reason::Excluded),
                Did { asset: 2, ..not(5, Reason::BudgetSpent) },
                not(6, Reason::UserLimit),
            ],
        )
        .await;
    // The same Saturday, half an hour later.
    served.sql("UPDATE cursor SET block_time = '2026-10-03T04:30:00Z'").await;
}

fn texts(order: &Value) -> Vec<&str> {
    let outcomes = order["records"][0]["outcomes"].as_array().unwrap();
    outcomes.iter().map(|outcome| outcome["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_outcome_says_in_plain_words_what_happened_and_when_a_limit_resets() {
    let served = Served::new().await;
    evening(&served).await;
    let order = json(&served, "/v1/orders/A1", "en").await;
    assert_eq!(
        texts(&order),
        [
            "not granted: your weekly limit for ‘weekend bonus’ (500 coins) is reached; it resets on Monday 00:00 +08:00",
            "granted: 7 coins by ‘first come’",
            "not granted: of ‘first come’ and ‘served later’ only one pays, and it was ‘first come’",
            "not granted: ‘never both’ does not pay where ‘first come’ has paid",
            "not granted: the budget of ‘few for all’ is spent",
            "not granted: your limit for ‘welcome <b>’ (1 time) is reached",
        ]
    );
    let order = json(&served, "/v1/orders/A1", "zh-CN,zh;q=0.9,en;q=0.8").await;
    assert_eq!(
        texts(&order),
        [
            "未发放：您在“weekend bonus”的每周上限（500 coins）已到；周一 00:00 +08:00 重置",
            "已发放：“first come”发放 7 coins",
            "未发放：“first come”与“served later”只发放其一，此次由“first come”发放",
            "未发放：“first come”已发放，“never both”不与其叠加",
            "未发放：“few for all”的预算已用完",
            "未发放：您在“welcome <b>”的上限（1 次）已到",
        ]
    );
    // Weeks later, the limit was reset long ago.
    served.sql("UPDATE cursor SET block_time = '2026-11-03T04:30:00Z'").await;
    let order = json(&served, "/v1/orders/A1", "en").await;
    assert!(texts(&order)[0].ends_with("; it was reset on 2026-10-05 00:00 +08:00"), "{order:#}");
}

#[tokio::test]
async fn every_entry_says_in_plain_words_what_changed_the_balance() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    ledger.pay("A1", "ann", 5_000, &[Did::granted(1, 1_000)]).await;
    ledger.redeem("S1", "ann", 1, 400).await;
    ledger.refund("R1", "A1", 5_000).await;
    ledger.pay("A2", "ann", 100, &[Did::granted(2, 30)]).await;
    ledger.pay("A3", "bob", 100, &[Did::granted(2, 30)]).await;
    ledger.expire("bob", 1, 30).await;
    let path = |name| format!("/v1/users/{}/entries", user(name));
    let said = |body: &Value| -> Vec<String> {
        body["items"].as_array().unwrap().iter().map(|entry| entry["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        said(&json(&served, &path("ann"), "en").await),
        [
            "30 coins granted by ‘weekend’, of which 30 paid what you owed",
            "1000 coins of ‘first recharge 20%’ taken back after a refund, of which you owe 400",
            "400 coins redeemed",
            "1000 coins granted by ‘first recharge 20%’",
        ]
    );
    assert_eq!(
        said(&json(&served, &path("ann"), "zh").await),
        [
            "“weekend”发放 30 coins，其中 30 用于偿还欠额",
            "因退款收回“first recharge 20%”发放的 1000 coins，其中 400 记为欠额",
            "兑换 400 coins",
            "“first recharge 20%”发放 1000 coins",
        ]
    );
    assert_eq!(said(&json(&served, &path("bob"), "en").await)[0], "30 coins expired");
}

#[tokio::test]
async fn an_answer_names_its_language_and_has_an_etag_of_its_own() {
    let served = Served::new().await;
    evening(&served).await;
    let (english, chinese) = (get(&served, "/v1/orders", "en").await, get(&served, "/v1/orders", "zh").await);
    assert_eq!(english.headers()[header::CONTENT_LANGUAGE], "en");
    assert_eq!(chinese.headers()[header::CONTENT_LANGUAGE], "zh-CN");
    let vary = |response: &Response| {
        let all: Vec<_> = response.headers().get_all(header::VARY).iter().map(|one| one.to_str().unwrap()).collect();
        all.join(", ")
    };
    assert!(vary(&english).contains("accept-language"), "{}", vary(&english));
    let tag = english.headers()[header::ETAG].clone();
    assert_ne!(tag, chinese.headers()[header::ETAG]);
    let again = async |language: &str| {
        let request = served.client.get(format!("{}/v1/orders", served.url)).header(header::IF_NONE_MATCH, &tag);
        request.header(header::ACCEPT_LANGUAGE, language).send().await.unwrap()
    };
    let unchanged = again("en-GB").await;
    assert_eq!(unchanged.status(), 304);
    assert!(vary(&unchanged).contains("accept-language"));
    assert_eq!(again("zh").await.status(), 200, "a client that has the English answer gets the Chinese one");
}

#[tokio::test]
async fn problems_are_told_in_the_language_asked_for() {
    let served = Served::new().await;
    let _ledger = Ledger::new(served.pool()).await;
    let nobody = user("nobody");
    for (path, title, detail) in [
        (
            format!("/v1/users/{nobody}/balances"),
            "没有记录",
            format!("截至 slot 100 没有记录：用户 {nobody} 的支付；如果是刚发生的，请稍后再试"),
        ),
        ("/v1/orders?limit=0".to_owned(), "参数无效", "查询参数 limit：0 不在 1 到 200 之间".to_owned()),
        (
            "/v1/orders?cursor=x".to_owned(),
            "游标不属于此列表",
            "查询参数 cursor：不是本服务器发出的游标；请去掉游标从头开始".to_owned(),
        ),
        ("/nowhere".to_owned(), "路径不存在", "此路径没有内容；/openapi.json 列出所有路径".to_owned()),
    ] {
        let response = get(&served, &path, "zh-Hans").await;
        assert_eq!(response.headers()[header::CONTENT_LANGUAGE], "zh-CN", "{path}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!((problem["title"].as_str().unwrap(), problem["detail"].as_str().unwrap()), (title, detail.as_str()));
        let english = get(&served, &path, "fr").await;
        assert_eq!(english.headers()[header::CONTENT_LANGUAGE], "en", "{path}");
    }
}
