//! What is said of a node.

use rebate_client::chain::{
    ChainError, Commitment, ReadAccounts,
    rpc::{RpcChain, without_secrets},
};

#[test]
fn a_nodes_address_is_told_without_the_places_where_keys_are_put() {
    for (url, expected) in [
        ("http://127.0.0.1:8899", "http://127.0.0.1:8899"),
        ("https://node.example", "https://node.example"),
        ("https://node.example/", "https://node.example"),
        ("https://node.example/v2/s3cret", "https://node.example"),
        ("https://node.example/?api-key=s3cret", "https://node.example"),
        ("https://node.example?api-key=s3cret", "https://node.example"),
        ("https://node.example#s3cret", "https://node.example"),
        ("https://s3cret@node.example", "https://node.example"),
        ("https://user:s3cret@node.example:443/x", "https://node.example:443"),
        ("https://user:s3cret@s3cret@node.example/x@s3cret", "https://node.example"),
        ("http://user:s3cret@[::1]:8899/x", "http://[::1]:8899"),
        ("user:s3cret@node.example/s3cret", "http://node.example"),
        ("wss://node.example/s3cret", "wss://node.example"),
        ("", "http://"),
    ] {
        let told = without_secrets(url);
        assert_eq!(told, expected, "{url}");
        assert!(!told.contains("s3cret"), "{told}");
    }
}

#[tokio::test]
async fn a_node_that_is_not_there_is_named_without_its_secrets() {
    let chain = RpcChain::new("http://user:s3cret@127.0.0.1:1/s3cret?key=s3cret", Commitment::Confirmed);
    let error = chain.genesis_hash().await.unwrap_err();
    let expected =
        ChainError::Unreachable { node: "http://127.0.0.1:1".to_owned(), why: "connection refused".to_owned() };
    assert_eq!(error, expected);
}
