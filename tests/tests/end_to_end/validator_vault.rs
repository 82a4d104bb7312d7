//! A token's vault, by commands alone: opened, filled, looked at, and what is free taken out again.

use crate::{
    network::Network,
    process::{Ended, Process},
};
use rebate_cli::token;
use rebate_client::{
    Pubkey,
    chain::{ReadAccounts, Submit},
    instruction::Token,
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{fs, path::Path};

/// A star for each cent.
const RULES: &str = r#"
[platform]
utc_offsets = [{ from = 0, offset = "+08:00" }]
max_lateness = "7d"

[[asset]]
id = 1
name = "coins"
kind = "points"

[[asset]]
id = 2
name = "stars"
kind = "token"

[[rule]]
id = 1
name = "a star for each cent"
priority = 10
effect = { kind = "ratio", asset = 2, bps = 10000 }
"#;

/// A key in a file, with some SOL.
struct Holder {
    key: Keypair,
    file: String,
}

impl Holder {
    async fn new(network: &Network, folder: &Path, name: &str) -> Self {
        let key = Keypair::new();
        let file = folder.join(name);
        let numbers: Vec<_> = key.to_bytes().iter().map(u8::to_string).collect();
        fs::write(&file, format!("[{}]", numbers.join(","))).unwrap();
        network.chain.airdrop(&key.pubkey(), 10_000_000_000).await.unwrap();
        Self { key, file: file.display().to_string() }
    }

    /// Runs `rebate`, with this one as the payer.
    async fn rebate(&self, network: &Network, command: &[&str], arguments: &[&str]) -> Ended {
        let url = network.url();
        let node = ["--rpc", url.as_str(), "--payer", &self.file];
        Process::start("rebate", [command, &node, arguments].concat()).ended().await
    }

    /// The same, which must succeed; what it printed.
    async fn done(&self, network: &Network, command: &[&str], arguments: &[&str]) -> String {
        let ended = self.rebate(network, command, arguments).await;
        ended.assert_success();
        ended.out
    }

    /// Issues tokens into the associated account of `owner`.
    async fn issue(&self, network: &Network, token: &Token, owner: &Pubkey, amount: u64) {
        let payer = self.key.pubkey();
        let open = token::open_associated(&payer, owner, token);
        let issue = token::mint_to(&payer, token, &token::associated(owner, token), amount).unwrap();
        network.chain.submit(&[open, issue], &[&self.key]).await.unwrap();
    }
}

/// The last columns of the table's row of stars: funds, what users have, and what is free.
async fn shown(network: &Network, platform: &str) -> (Vec<String>, String) {
    let ended = Process::start("rebate", ["vault", "show", "--rpc", &network.url(), platform]).ended().await;
    ended.assert_success();
    let row = ended.out.lines().find(|line| line.contains("stars") && line.contains('│')).unwrap().to_owned();
    let cells = row.split(['│', '┆']).map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty());
    (cells.skip(3).collect(), ended.out)
}

#[tokio::test]
async fn a_vault_is_opened_filled_and_emptied_with_commands_alone() {
    let network = Network::start().await;
    let folder = tempfile::tempdir().unwrap();
    let admin = Holder::new(&network, folder.path(), "admin.json").await;
    let other = Holder::new(&network, folder.path(), "other.json").await;
    let own = admin.key.pubkey();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let rules = file("rules.toml", RULES);
    for (id, program) in [("7", token::SPL_TOKEN), ("8", token::TOKEN_2022)] {
        let mint = Keypair::new();
        let token = token::create_mint(&network.chain, &admin.key, &mint, &program).await.unwrap();
        let stars = format!("stars={}", token.mint);
        let create = ["--id", id, "--rules", &rules, "--mint", &stars];
        let created = admin.done(&network, &["platform", "create"], &create).await;
        let platform = created.lines().next().unwrap().rsplit(' ').next().unwrap();
        assert!(created.contains(&format!("rebate vault open {platform} stars")), "{created}");

        // Nothing goes into a vault that is not there, nor into one of something that has none.
        let early = admin.rebate(&network, &["vault", "deposit"], &[platform, "stars", "5"]).await;
        early.assert_refused(&["stars has no vault yet", &format!("rebate vault open {platform} stars")]);
        let (_, said) = shown(&network, platform).await;
        assert!(said.contains("stars cannot be granted without a vault"), "{said}");
        let points = admin.rebate(&network, &["vault", "open"], &[platform, "coins"]).await;
        points.assert_refused(&["coins is no token"]);
        let unknown = admin.rebate(&network, &["vault", "open"], &[platform, "moons"]).await;
        unknown.assert_refused(&["no asset \"moons\"; it has coins (1), stars (2)"]);

        let opened = admin.done(&network, &["vault", "open"], &[platform, "stars"]).await;
        assert!(opened.contains(&format!("rebate vault deposit {platform} stars AMOUNT")), "{opened}");
        let again = admin.rebate(&network, &["vault", "open"], &[platform, "2"]).await;
        again.assert_refused(&["the vault of stars is open already, at "]);

        let none = admin.rebate(&network, &["vault", "deposit"], &[platform, "stars", "5"]).await;
        none.assert_refused(&["there is no token account at ", "--from"]);
        admin.issue(&network, &token, &own, 1_000).await;
        let more = admin.rebate(&network, &["vault", "deposit"], &[platform, "stars", "1001"]).await;
        more.assert_refused(&["holds 1000 stars, which is less than 1001"]);
        let filled = admin.done(&network, &["vault", "deposit"], &[platform, "stars", "600"]).await;
        assert_eq!(filled, "the vault of stars has 600, of which 600 are free\n");
        // Anybody may, from any account of theirs.
        let account = token::open_account(&network.chain, &other.key, &token, &other.key.pubkey()).await.unwrap();
        let issue = token::mint_to(&own, &token, &account, 50).unwrap();
        network.chain.submit(&[issue], &[&admin.key]).await.unwrap();
        let from = account.to_string();
        let filled = other.done(&network, &["vault", "deposit"], &[platform, "2", "50", "--from", &from]).await;
        assert_eq!(filled, "the vault of stars has 650, of which 650 are free\n");

        // What is sent there otherwise is told, and counted when somebody asks for it.
        let vault =
            rebate_client::address::Addresses::at(platform.parse().unwrap()).vault(rebate_core::units::AssetId(2));
        let issue = token::mint_to(&own, &token, &vault, 7).unwrap();
        network.chain.submit(&[issue], &[&admin.key]).await.unwrap();
        let (cells, said) = shown(&network, platform).await;
        assert_eq!(cells, ["650", "0", "650"]);
        assert!(said.contains(&vault.to_string()) && said.contains("7 more stars were sent to the vault"), "{said}");
        admin.done(&network, &["vault", "deposit"], &[platform, "stars", "0"]).await;
        assert_eq!(shown(&network, platform).await.0, ["657", "0", "657"]);

        let stranger = other.rebate(&network, &["vault", "withdraw-surplus"], &[platform, "stars", "1"]).await;
        stranger.assert_refused(&["is not the admin of", "--payer"]);
        let too_much = admin.rebate(&network, &["vault", "withdraw-surplus"], &[platform, "stars", "658"]).await;
        too_much.assert_refused(&["657 stars in the vault are free"]);
        let taken = admin.done(&network, &["vault", "withdraw-surplus"], &[platform, "stars", "57"]).await;
        let associated = token::associated(&own, &token);
        assert_eq!(taken, format!("57 stars went to {associated}\n"));
        assert_eq!(token::balance(&network.chain, &associated).await.unwrap(), 457);
        // What users have stays.
        let key = other.key.pubkey().to_string();
        admin.done(&network, &["platform", "add-oracle"], &[platform, &key]).await;
        admin.done(&network, &["rule", "publish"], &[platform, &rules]).await;
        let paid = r#"{"kind":"payment","order":"V1","user":"amy","amount":40,"paid_at":"-1h"}"#;
        let pay = ["--platform", platform, "--oracle", &other.file, &file("payments.jsonl", paid)];
        other.done(&network, &["pay"], &pay).await;
        assert_eq!(shown(&network, platform).await.0, ["600", "40", "560"]);
        let too_much = admin.rebate(&network, &["vault", "withdraw-surplus"], &[platform, "stars", "561"]).await;
        too_much.assert_refused(&["560 stars in the vault are free"]);
        // All that is left, to somebody else.
        let to = [platform, "stars", "0", "--to", &from];
        let taken = admin.done(&network, &["vault", "withdraw-surplus"], &to).await;
        assert_eq!(taken, format!("560 stars went to {account}\n"));
        assert_eq!(token::balance(&network.chain, &account).await.unwrap(), 560);
        let nothing = admin.rebate(&network, &["vault", "withdraw-surplus"], &[platform, "stars", "0"]).await;
        nothing.assert_refused(&["0 stars in the vault are free"]);
        assert_eq!(shown(&network, platform).await.0, ["40", "40", "0"]);
        assert!(network.chain.account(&vault).await.unwrap().is_some());
    }
}
