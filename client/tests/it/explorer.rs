//! Links to an explorer.

use rebate_client::{Pubkey, explorer::Cluster};
use solana_signature::Signature;

#[test]
fn every_cluster_has_its_links_and_an_embedded_chain_has_none() {
    let (signature, address) = (Signature::default(), Pubkey::default());
    let (tx, account) = ("1".repeat(64), "1".repeat(32));
    for (cluster, query) in [
        ("mainnet", ""),
        ("mainnet-beta", ""),
        ("devnet", "?cluster=devnet"),
        ("testnet", "?cluster=testnet"),
        ("http://127.0.0.1:8899", "?cluster=custom&customUrl=http%3A%2F%2F127.0.0.1%3A8899"),
        (
            "https://node.example/a-b_c.d~e?key=1&x=ü #+%",
            "?cluster=custom&customUrl=https%3A%2F%2Fnode.example%2Fa-b_c.d~e%3Fkey%3D1%26x%3D%C3%BC%20%23%2B%25",
        ),
    ] {
        let parsed: Cluster = cluster.parse().unwrap();
        let expected = format!("https://explorer.solana.com/tx/{tx}{query}");
        assert_eq!(parsed.transaction(&signature), Some(expected), "{cluster}");
        let expected = format!("https://explorer.solana.com/address/{account}{query}");
        assert_eq!(parsed.account(&address), Some(expected), "{cluster}");
    }
    assert_eq!(Cluster::Embedded.transaction(&signature), None);
    assert_eq!(Cluster::Embedded.account(&address), None);
}

#[test]
fn a_cluster_reads_as_it_is_written() {
    let custom = Cluster::Custom("https://node.example:1/x?y".to_owned());
    for cluster in [Cluster::Mainnet, Cluster::Devnet, Cluster::Testnet, Cluster::Embedded, custom] {
        assert_eq!(cluster.to_string().parse(), Ok(cluster));
    }
}

#[test]
fn what_is_no_cluster_says_which_there_are() {
    for text in ["", "Mainnet", "main", "localnet", "127.0.0.1:8899", "ftp://node", "ws://node"] {
        let refused = text.parse::<Cluster>().unwrap_err().to_string();
        let known = "use mainnet, devnet, testnet, embedded, or the http(s) address of a node";
        assert_eq!(refused, format!("{text:?} is no cluster; {known}"));
    }
}
