//! Refunds by the command, which finds and proves their orders by the node alone.

use crate::{
    network::Network,
    process::{Ended, Process},
};
use rebate_client::{chain::Submit, instruction, platform_id};
use rebate_core::units::OrderHash;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{fs, path::Path};

fn key_file(folder: &Path, name: &str, key: &Keypair) -> String {
    let path = folder.join(name);
    let numbers: Vec<_> = key.to_bytes().iter().map(u8::to_string).collect();
    fs::write(&path, format!("[{}]", numbers.join(","))).unwrap();
    path.display().to_string()
}

/// Runs `rebate pay` on these lines.
async fn pay(network: &Network, folder: &Path, lines: &[String]) -> Ended {
    let records = folder.join("records.jsonl");
    fs::write(&records, lines.join("\n")).unwrap();
    let payer = key_file(folder, "payer.json", &network.cast.payer);
    let oracle = key_file(folder, "oracle.json", &network.cast.oracle);
    let (url, platform) = (network.url(), network.addresses.platform.to_string());
    let arguments = ["pay", "--rpc", &url, "--payer", &payer, "--oracle", &oracle, "--platform", &platform];
    Process::start("rebate", arguments.into_iter().chain([records.to_str().unwrap()])).ended().await
}

fn payment(order: &str, user: &str, amount: u64) -> String {
    format!(r#"{{"kind":"payment","order":"{order}","user":"{user}","amount":{amount},"paid_at":"-1h","product":1}}"#)
}

fn refund(order: &str, of: &str, amount: u64) -> String {
    format!(r#"{{"kind":"refund","order":"{order}","of":"{of}","amount":{amount},"paid_at":"-30m"}}"#)
}

#[tokio::test]
async fn an_order_is_paid_and_refunded_with_the_command_alone() {
    let network = Network::start().await;
    let folder = tempfile::tempdir().unwrap();
    let amy = platform_id::unkeyed_user("amy");

    // 20 % of the first, and 1 % of each.
    let lines = [payment("F1", "amy", 10_000), payment("F2", "amy", 5_000), payment("F3", "bo", 1_000)];
    pay(&network, folder.path(), &lines).await.assert_success();
    assert_eq!(network.balance(&amy).await, 2_000 + 100 + 50);

    let half = pay(&network, folder.path(), &[refund("R1", "F1", 5_000)]).await;
    half.assert_success();
    assert!(half.out.starts_with("R1: recorded in "), "{}", half.out);
    assert_eq!(network.balance(&amy).await, 1_000 + 50 + 50);

    // An attempt that broke off before, in which another order was to be proved.
    let began = instruction::open_refund(&network.cast.payer.pubkey(), &network.addresses, &OrderHash::of("F2"), 10);
    network.chain.submit(&[began], &[&network.cast.payer]).await.unwrap();
    // What was paid a line before is refunded too; the rest is refused, each for a reason of its own.
    let lines = [
        refund("R1", "F1", 5_000),
        refund("R2", "F1", 5_001),
        refund("R3", "F404", 1),
        refund("R4", "F2", 5_001),
        refund("R5", "F2", 5_000),
        payment("F4", "amy", 300),
        refund("R6", "F4", 300),
        refund("R7", "F1", 5_000),
    ];
    let mixed = pay(&network, folder.path(), &lines).await;
    mixed.assert_refused(&["4 of 8 records were refused"]);
    let said: Vec<_> = mixed.out.lines().map(|line| line.split(" in ").next().unwrap()).collect();
    let expected = [
        "R1: refused, DuplicateOrder: this order was recorded before",
        "R2: refused, OverRefund: more than was paid for the order",
        "R3: refused, UnknownOrder: no event of this platform is a payment F404; check the order's number and --platform",
        "R4: refused, OverRefund: more than was paid for the order",
        "R5: recorded",
        "F4: recorded",
        "R6: recorded",
        "R7: recorded",
    ];
    assert_eq!(said, expected);
    assert_eq!(network.balance(&amy).await, 0);
}
