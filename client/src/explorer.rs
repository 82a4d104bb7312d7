//! Where people look a transaction or an account up.

use crate::chain::rpc::without_secrets;
use solana_program::{hash::Hash, pubkey::Pubkey};
use solana_signature::Signature;
use std::{fmt, str::FromStr};
use thiserror::Error;

/// The cluster an explorer is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// Mainnet beta.
    Mainnet,
    /// The public devnet.
    Devnet,
    /// The public testnet.
    Testnet,
    /// A node of one's own, by its RPC address; explorers in a browser on the same machine reach it.
    Custom(String),
    /// A chain inside a process: no explorer can reach it.
    Embedded,
}

/// Not a cluster.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0:?} is no cluster; use mainnet, devnet, testnet, embedded, or the http(s) address of a node")]
pub struct UnknownCluster(String);

impl FromStr for Cluster {
    type Err = UnknownCluster;

    fn from_str(text: &str) -> Result<Self, UnknownCluster> {
        match text {
            "mainnet" | "mainnet-beta" => Ok(Self::Mainnet),
            "devnet" => Ok(Self::Devnet),
            "testnet" => Ok(Self::Testnet),
            "embedded" => Ok(Self::Embedded),
            url if url.starts_with("http://") || url.starts_with("https://") => Ok(Self::Custom(url.to_owned())),
            other => Err(UnknownCluster(other.to_owned())),
        }
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mainnet => f.write_str("mainnet"),
            Self::Devnet => f.write_str("devnet"),
            Self::Testnet => f.write_str("testnet"),
            Self::Embedded => f.write_str("embedded"),
            Self::Custom(url) => f.write_str(url),
        }
    }
}

impl Cluster {
    /// The cluster of a node, by the hash of its chain's first block and its address. An address that may hold a key is left
    /// out of links: then no explorer is known.
    pub fn of(genesis: &Hash, rpc: &str) -> Option<Self> {
        /// By the Solana documentation, "Clusters".
        const PUBLIC: [(&str, Cluster); 3] = [
            ("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d", Cluster::Mainnet),
            ("EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxkrZBG", Cluster::Devnet),
            ("4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY", Cluster::Testnet),
        ];
        let genesis = genesis.to_string();
        if let Some((_, public)) = PUBLIC.into_iter().find(|(hash, _)| *hash == genesis) {
            return Some(public);
        }
        (without_secrets(rpc) == rpc.trim_end_matches('/')).then(|| Self::Custom(rpc.to_owned()))
    }

    /// The page of a transaction; `None` on an embedded chain.
    pub fn transaction(&self, signature: &Signature) -> Option<String> {
        self.page("tx", &signature.to_string())
    }

    /// The page of an account; `None` on an embedded chain.
    pub fn account(&self, address: &Pubkey) -> Option<String> {
        self.page("address", &address.to_string())
    }

    /// The address of a node that anybody's browser may ask; `None` on an embedded chain.
    pub fn public_node(&self) -> Option<&str> {
        match self {
            Self::Mainnet => Some("https://api.mainnet-beta.solana.com"),
            Self::Devnet => Some("https://api.devnet.solana.com"),
            Self::Testnet => Some("https://api.testnet.solana.com"),
            Self::Custom(url) => Some(url),
            Self::Embedded => None,
        }
    }

    fn page(&self, kind: &str, id: &str) -> Option<String> {
        let base = format!("https://explorer.solana.com/{kind}/{id}");
        match self {
            Self::Mainnet => Some(base),
            Self::Devnet | Self::Testnet => Some(format!("{base}?cluster={self}")),
            Self::Custom(url) => Some(format!("{base}?cluster=custom&customUrl={}", percent_encode(url))),
            Self::Embedded => None,
        }
    }
}

/// RFC 3986 §2.1 for a query value: everything but unreserved characters.
fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
