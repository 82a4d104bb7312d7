//! Proofs that the API gives, checked with a library that is not ours against the Journal account on the chain.

use crate::api::Api;
use rebate_api::{ApiState, Settings};
use rebate_client::{event::Event, explorer::Cluster, instruction};
use rebate_indexer::{Indexer, Options, source::embedded::EmbeddedSource};
use rebate_tests::{
    database::TestDatabase,
    platform::{TestPlatform, payment},
    transparency::{Head, bytes},
};
use serde_json::Value;
use solana_signer::Signer;
use std::sync::Arc;
use tokio::{net::TcpListener, task::block_in_place};
use tokio_util::sync::CancellationToken;

/// A platform with its indexer and its API, all in this process.
struct Service {
    platform: TestPlatform,
    api: Api,
    token: CancellationToken,
    running: Vec<tokio::task::JoinHandle<()>>,
    _database: TestDatabase,
}

impl Service {
    async fn start() -> Self {
        let database = TestDatabase::new().await.unwrap();
        // The platform waits for what it does, which only a thread of its own may.
        let platform = block_in_place(TestPlatform::with_sample_rules);
        let token = CancellationToken::new();
        let source = Arc::new(EmbeddedSource::new(platform.chain.clone()));
        let registry = prometheus::Registry::new();
        let indexer = Indexer::new(database.pool().clone(), source, Options::default(), &registry).unwrap();
        let stop = token.clone();
        let indexing = tokio::spawn(async move { indexer.run(stop).await.unwrap() });

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Api::new(&format!("http://{}", listener.local_addr().unwrap()));
        let settings = Settings::new(Cluster::Embedded);
        let state =
            ApiState::new(database.pool().clone(), Arc::new(platform.chain.clone()), settings, registry).unwrap();
        let stop = token.clone();
        let serving = tokio::spawn(async move { rebate_api::serve(listener, state, stop).await.unwrap() });
        Self { platform, api, token, running: vec![indexing, serving], _database: database }
    }

    /// Records a payment and waits until the API has it.
    async fn pay(&self, number: &str) {
        block_in_place(|| self.platform.pay(&[payment(number, "amy", 5_000)])).unwrap();
        self.api.order(number).await;
    }

    /// Many events, as small as there are.
    fn pause_and_go_on(&self, times: usize) {
        let pauser = &self.platform.pauser;
        for time in 0..times {
            let pause = instruction::set_paused(&pauser.pubkey(), &self.platform.addresses, time % 2 == 0);
            block_in_place(|| self.platform.run(&[pause], &[pauser])).unwrap();
        }
    }

    /// The tree head that follows from the Journal account, read from the chain.
    fn head(&self) -> Head {
        let journal = block_in_place(|| self.platform.journal());
        Head::new(journal.count, &journal.root())
    }

    async fn end(self) {
        self.token.cancel();
        for running in self.running {
            running.await.unwrap();
        }
    }
}

fn nodes(path: &Value) -> Vec<String> {
    path.as_array().unwrap().iter().map(|node| node.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_checks_an_order_and_that_the_journal_only_grew_against_the_account_on_chain() {
    let service = Service::start().await;
    service.pay("P1").await;
    service.pay("P2").await;
    let before = service.head();
    // So that the tree has a full tile of 256 events, and more.
    service.pause_and_go_on(280);
    service.pay("P3").await;
    let after = service.head();
    assert!(after.size > 280 && before.size < 20);

    for number in ["P1", "P2", "P3"] {
        let proof = service.api.get(&format!("/v1/orders/{number}/proof")).await;
        let event = bytes(proof["event"].as_str().unwrap());
        let (index, path) = (proof["journal_index"].as_u64().unwrap(), nodes(&proof["path"]));
        assert!(after.includes(&event, index, &path), "{proof:#}");
        let Event::PaymentRecorded(payment) = Event::decode(&event).unwrap() else { panic!("{proof:#}") };
        assert_eq!(payment.order, rebate_core::units::OrderHash::of(number).0);

        let mut altered = event.clone();
        *altered.last_mut().unwrap() ^= 1;
        assert!(!after.includes(&altered, index, &path), "one byte of the event altered");
        assert!(!after.includes(&event, index, &path[..path.len() - 1]), "the path shortened");
        assert!(!after.includes(&event, index ^ 1, &path), "another index");
        assert!(!before.includes(&event, index, &path), "another tree");
    }

    let between = format!("/v1/consistency?from={}&to={}", before.size, after.size);
    let answer = service.api.get(&between).await;
    for (tree, head) in [(&answer["from"], &before), (&answer["to"], &after)] {
        assert_eq!((&tree["leaf_count"], &tree["head"]), (&head.size.into(), &head.hash.as_str().into()));
    }
    let proof = nodes(&answer["proof"]);
    assert!(after.goes_on_from(&before, &proof), "{answer:#}");
    assert!(!after.goes_on_from(&before, &proof[1..]), "the proof shortened");
    let other = Head { size: before.size, ..after.clone() };
    assert!(!after.goes_on_from(&other, &proof), "another head");
    service.end().await;
}
