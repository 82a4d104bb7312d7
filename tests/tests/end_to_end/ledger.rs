//! What the chain itself says happened, read transaction by transaction over plain JSON-RPC: nothing here goes through the
//! code that the indexer reads with.

use crate::{deadline::until, network::Network};
use rebate_client::event::{self, Event, PaymentRecorded};
use rebate_core::{
    journal::{self, Hash, MAX_PEAKS},
    outcome::Reason,
    units::UserKey,
};
use serde_json::{Value, json};

/// Everything that touched the platform's journal.
pub struct Ledger {
    /// Every event in order of the journal, with the bytes that were hashed.
    pub events: Vec<(Event, Vec<u8>)>,
}

impl Ledger {
    pub async fn read(network: &Network) -> Self {
        let confirmed = json!({ "commitment": "confirmed", "limit": 1000 });
        let journal = network.addresses.journal.to_string();
        let signatures = ask(network, "getSignaturesForAddress", json!([journal, confirmed])).await;
        let signatures = signatures.as_array().unwrap();
        assert!(signatures.len() < 1000, "more than one page of transactions");
        let mut events = Vec::new();
        for entry in signatures.iter().filter(|entry| entry["err"].is_null()) {
            let how = json!({ "commitment": "confirmed", "encoding": "json", "maxSupportedTransactionVersion": 0 });
            let mut transaction = ask(network, "getTransaction", json!([entry["signature"], how])).await;
            if transaction.is_null() {
                // A node that was killed makes its last slots anew, and still lists what was in them before. What the block
                // of that slot has not is not on the chain.
                let block = until("the node has the block", async || {
                    let block = ask(network, "getBlock", json!([entry["slot"], how])).await;
                    if block.is_null() { Err(format!("not that of {entry}")) } else { Ok(block) }
                })
                .await;
                let mut all = block["transactions"].as_array().unwrap().iter();
                match all.find(|one| one["transaction"]["signatures"][0] == entry["signature"]) {
                    Some(found) => transaction = found.clone(),
                    None => continue,
                }
            }
            let groups = transaction["meta"]["innerInstructions"].as_array().unwrap();
            for inner in groups.iter().flat_map(|group| group["instructions"].as_array().unwrap()) {
                let data = bs58::decode(inner["data"].as_str().unwrap()).into_vec().unwrap();
                if let Some(bytes) = data.strip_prefix(&event::TAG) {
                    events.push((Event::decode(bytes).unwrap(), bytes.to_vec()));
                }
            }
        }
        events.sort_by_key(|(event, _)| event.journal_index());
        Self { events }
    }

    /// Journal indices, ascending.
    pub fn indices(&self) -> Vec<u64> {
        self.events.iter().map(|(event, _)| event.journal_index()).collect()
    }

    /// The tree head over all events.
    pub fn head(&self) -> Hash {
        let (mut count, mut peaks) = (0, [[0; 32]; MAX_PEAKS]);
        for (_, bytes) in &self.events {
            journal::append(&mut count, &mut peaks, journal::leaf(bytes)).unwrap();
        }
        journal::root(count, &peaks)
    }

    pub fn payments(&self) -> impl Iterator<Item = &PaymentRecorded> {
        self.events.iter().filter_map(|(event, _)| match event {
            Event::PaymentRecorded(recorded) => Some(recorded),
            _ => None,
        })
    }

    /// The amounts granted to a user, in order.
    pub fn grants(&self, user: &UserKey) -> Vec<u64> {
        self.payments()
            .filter(|payment| payment.user == user.0)
            .flat_map(|payment| &payment.outcomes)
            .filter(|outcome| outcome.reason == Reason::Granted as u8)
            .map(|outcome| outcome.amount)
            .collect()
    }
}

async fn ask(network: &Network, method: &str, parameters: Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
    let answer = reqwest::Client::new().post(network.url()).json(&request).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert!(answer["error"].is_null(), "{method}: {answer}");
    answer["result"].clone()
}
