//! What an operator types, from the keys to a payment that anybody can see.

use crate::{
    network::Network,
    process::{Ended, Process, repository},
    services,
};
use rebate_client::chain::Submit;
use rebate_tests::database::TestDatabase;
use std::{fs, path::Path};

/// Runs `rebate` to its end.
async fn rebate(arguments: &[&str]) -> Ended {
    Process::start("rebate", arguments).ended().await
}

/// The same, which must succeed; what it printed.
async fn done(arguments: &[&str]) -> String {
    let ended = rebate(arguments).await;
    ended.assert_success();
    ended.out
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_platform_is_set_up_and_paid_on_with_commands_alone() {
    let database = TestDatabase::new().await.unwrap();
    let network = Network::start().await;
    let folder = tempfile::tempdir().unwrap();
    let [admin, oracle] = ["admin.json", "oracle.json"].map(|name| folder.path().join(name));
    let payer = done(&["key", text(&admin)]).await;
    let oracle_key = done(&["key", text(&oracle)]).await;
    network.chain.airdrop(&payer.trim().parse().unwrap(), 10_000_000_000).await.unwrap();

    let url = network.url();
    let node = ["--rpc", url.as_str(), "--payer", text(&admin)];
    let rules = repository("demo/rules.toml");
    // The mint of wrapped SOL, which every chain has.
    let stars = "stars=So11111111111111111111111111111111111111112";
    let create = ["platform", "create", "--id", "7", "--rules", text(&rules), "--mint", stars];
    let created = done(&[&create[..], &node].concat()).await;
    let platform = created.lines().next().unwrap().rsplit(' ').next().unwrap();
    done(&[&["platform", "add-oracle"][..], &node, &[platform, oracle_key.trim()]].concat()).await;
    done(&[&["rule", "publish"][..], &node, &[platform, text(&rules)]].concat()).await;
    let listed = done(&["rule", "list", "--rpc", &url, platform]).await;
    assert!(listed.contains("first recharge 20%") && listed.contains("weekend bonus"), "{listed}");
    assert!(done(&["platform", "show", "--rpc", &url, platform]).await.contains(oracle_key.trim()));

    let payments = folder.path().join("payments.jsonl");
    let line = |order: &str, user: &str| {
        format!(
            r#"{{"kind":"payment","order":"{order}","user":"{user}","amount":2500,"paid_at":"-1h","product":1,"streamer":"s","session":"t","tier":0,"segments":0}}"#
        )
    };
    fs::write(&payments, [line("C1", "amy"), line("C2", "bo")].join("\n")).unwrap();
    let pay = [&["pay"][..], &node, &["--platform", platform, "--oracle", text(&oracle), text(&payments)]].concat();
    let paid = done(&pay).await;
    assert!(paid.contains("C1: recorded in ") && paid.contains("C2: recorded in "), "{paid}");

    // The same file again, with two more lines: what was recorded stays as it is, and the new ones come to it.
    let redemption = r#"{"kind":"redemption","order":"S1","user":"amy","asset":1,"amount":500,"paid_at":"-1h"}"#;
    let lines = [line("C1", "amy"), line("C2", "bo"), redemption.to_owned(), line("C3", "amy")];
    fs::write(&payments, lines.join("\n")).unwrap();
    let again = rebate(&pay).await;
    again.assert_refused(&["2 of 4 records were refused"]);
    for expected in
        ["C1: refused, DuplicateOrder", "C2: refused, DuplicateOrder", "S1: recorded in ", "C3: recorded in "]
    {
        assert!(again.out.contains(expected), "{expected:?} is not in:\n{}", again.out);
    }

    done(&[&["platform", "pause"][..], &node, &[platform]].concat()).await;
    rebate(&pay).await.assert_refused(&["Paused", "try again once it is unpaused"]);
    let stranger = folder.path().join("stranger.json");
    let key = done(&["key", text(&stranger)]).await;
    network.chain.airdrop(&key.trim().parse().unwrap(), 1_000_000_000).await.unwrap();
    let unpause = ["platform", "unpause", "--rpc", &url, "--payer", text(&stranger), platform];
    rebate(&unpause).await.assert_refused(&["NotPauser"]);

    let _indexer = services::indexer(&network, &database);
    let (_server, api) = services::api(&network, &database).await;
    let entries = crate::deadline::until("amy's first payment is in the API", async || {
        let (_, order) = api.ask(&format!("/v1/orders/C1?by=number&platform={platform}")).await;
        let granted = order["records"][0]["outcomes"][0]["amount"].as_str().map(str::to_owned);
        granted.ok_or(order)
    })
    .await;
    assert_eq!(entries, "500");

    // Anybody can recompute it, with the node's address and nothing else.
    let verify = ["verify", "--rpc", &url, "--platform", platform];
    let order = done(&[&verify[..], &["C1"]].concat()).await;
    for said in [
        "signed exactly this",
        "\"first recharge 20%\": +500 coins, balance 0 -> 500",
        "?cluster=custom",
        "C1 is right",
    ] {
        assert!(order.contains(said), "{said:?} is not in:\n{order}");
    }
    done(&[&verify[..], &["S1"]].concat()).await;
    rebate(&[&verify[..], &["C9"]].concat()).await.assert_refused(&["C9", "check the number"]);
    let neither = rebate(&verify).await;
    assert!(neither.err.contains("--all"), "{neither:?}");
    let saved = folder.path().join("evidence");
    done(&[&verify[..], &["--all", "--save", text(&saved)]].concat()).await;
    let stored = database.url();
    let all = [&verify[..], &["--all", "--from", text(&saved), "--database", &stored]].concat();
    let said = crate::deadline::until("the indexer has all of it", async || {
        let said = done(&all).await;
        if said.contains("behind") { Err(said) } else { Ok(said) }
    })
    .await;
    assert!(said.contains("is right"), "{said}");
    sqlx::query("UPDATE balances SET balance = balance + 1 WHERE debt = 0").execute(database.pool()).await.unwrap();
    let ended = rebate(&all).await;
    ended.assert_refused(&["is wrong in"]);
    assert!(ended.out.contains("balances: the row platform "), "{}", ended.out);
    assert!(ended.out.contains(": balance is "), "{}", ended.out);
}
