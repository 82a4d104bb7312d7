use crate::{
    evening::Evening,
    ledger::{Did, Ledger, fixed, user},
    served::{Served, problem},
};
use rebate_api::Settings;
use rebate_client::{event::OffsetEntry, explorer::Cluster};
use rebate_tests::platform::{NOON, asset, first_recharge, payment};
use reqwest::{Response, header};
use serde_json::Value;
use std::time::Duration;

/// A server-sent event.
#[derive(Debug)]
struct Told {
    event: String,
    id: String,
    data: Value,
}

/// A client that listens.
struct Listener {
    response: Response,
    read: String,
    /// The id it has to come back with.
    last: String,
}

impl Listener {
    async fn at(served: &Served, query: &str, last: Option<&str>) -> Self {
        let mut request = served.client.get(format!("{}/v1/live{query}", served.url));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
        Self { response, read: String::new(), last: String::new() }
    }

    /// The next event; `None` where the connection ended.
    async fn next(&mut self) -> Option<Told> {
        loop {
            while let Some((block, rest)) = self.read.split_once("\n\n") {
                let field = |name: &str| {
                    let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    lines.collect::<Vec<_>>().join("\n")
                };
                let told = (field("event"), field("id"), field("data"));
                self.read = rest.to_owned();
                if !told.1.is_empty() {
                    self.last.clone_from(&told.1);
                }
                if !told.2.is_empty() {
                    let data = serde_json::from_str(&told.2).unwrap();
                    return Some(Told { event: told.0, id: told.1, data });
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("nothing within 20 s")).unwrap_or_default()?;
            self.read.push_str(str::from_utf8(&chunk).unwrap());
        }
    }

    async fn expect(&mut self, event: &str, index: i64) -> Told {
        let told = self.next().await.unwrap();
        assert_eq!((told.event.as_str(), &told.data["journal_index"]), (event, &Value::from(index)), "{told:?}");
        told
    }

    async fn ready(&mut self) -> i64 {
        let told = self.next().await.unwrap();
        assert_eq!(told.event, "ready");
        told.data["next_index"].as_i64().unwrap()
    }
}

#[tokio::test]
async fn a_client_is_told_everything_once_and_in_order() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    let mut listener = Listener::at(&served, "", None).await;
    let next = listener.ready().await;
    let paid = ledger.pay("A1", "ann", 5_000, &[Did::granted(1, 1_000)]).await;
    assert_eq!(paid, next);
    let told = listener.expect("payment", paid).await;
    assert_eq!(told.data["user"], user("ann"));
    assert_eq!(told.data["outcomes"][0]["text"], "granted: 1000 coins by ‘first recharge 20%’");
    let refunded = ledger.refund("R1", "A1", 5_000).await;
    let told = listener.expect("refund", refunded).await;
    assert_eq!(told.data["refund_of"], crate::ledger::order("A1"));
    ledger.publish(fixed(3, 1, "third", 2, 5), 0).await;
    let told = listener.expect("rule", refunded + 1).await;
    assert_eq!((&told.data["rule"], &told.data["kind"]), (&Value::from(3), &Value::from("RulePublished")));
    // A rule that is new is known by its name at once.
    let third = Did { asset: 2, ..Did::granted(3, 5) };
    let paid = ledger.pay("A2", "ann", 100, &[third]).await;
    let told = listener.expect("payment", paid).await;
    assert_eq!(told.data["outcomes"][0]["text"], "granted: 5 stars by ‘third’");
}

#[tokio::test]
async fn who_comes_back_with_the_last_id_gets_exactly_what_is_missing() {
    let served = Served::new().await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    let mut listener = Listener::at(&served, "", None).await;
    listener.ready().await;
    let first = ledger.pay("A1", "ann", 5_000, &[Did::granted(1, 1_000)]).await;
    let second = ledger.pay("A2", "ann", 5_000, &[]).await;
    let told = listener.expect("payment", first).await;
    listener.expect("payment", second).await;
    drop(listener);
    // Nobody listens, and more than one page happens.
    ledger.fillers(1_300).await;
    let third = ledger.pay("A3", "bob", 5_000, &[]).await;

    for (query, last) in [(String::new(), Some(told.id.as_str())), (format!("?cursor={}", told.id), None)] {
        let mut listener = Listener::at(&served, &query, last).await;
        assert_eq!(listener.ready().await, second);
        listener.expect("payment", second).await;
        for index in second + 1..third {
            listener.expect("platform", index).await;
        }
        listener.expect("payment", third).await;
    }
    let fourth = ledger.pay("A4", "bob", 1, &[]).await;
    let mut listener = Listener::at(&served, &format!("?user={}", user("bob")), Some(&told.id)).await;
    listener.ready().await;
    for index in second + 1..third {
        listener.expect("platform", index).await;
    }
    listener.expect("payment", third).await;
    listener.expect("payment", fourth).await;
}

#[tokio::test]
async fn an_id_that_is_none_is_a_problem() {
    let served = Served::new().await;
    let _ledger = Ledger::new(served.pool()).await;
    for id in ["x", "AQIAAAAAAAAAKgABc4LrFyhZ-wE", "%00", "0"] {
        let refused = problem(served.get(&format!("/v1/live?cursor={id}")).await).await;
        assert_eq!((&refused["status"], &refused["type"]), (&400.into(), &"urn:rebate:problem:invalid-cursor".into()));
    }
}

#[tokio::test]
async fn no_more_clients_are_told_than_there_is_room_for() {
    let served = Served::with(Settings { max_live: 2, ..Settings::new(Cluster::Devnet) }).await;
    let _ledger = Ledger::new(served.pool()).await;
    let mut one = Listener::at(&served, "", None).await;
    let two = Listener::at(&served, "", None).await;
    one.ready().await;
    let refused = problem(served.get("/v1/live").await).await;
    assert_eq!((&refused["status"], &refused["type"]), (&503.into(), &"urn:rebate:problem:overloaded".into()));
    drop(two);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while served.get("/v1/live").await.status() != 200 {
        assert!(tokio::time::Instant::now() < deadline, "the room of who left stays taken");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_client_that_gets_little_is_kept_up_to_date_by_heartbeats() {
    let settings = Settings { heartbeat: Duration::from_millis(50), ..Settings::new(Cluster::Devnet) };
    let served = Served::with(settings).await;
    let mut ledger = Ledger::new(served.pool()).await;
    ledger.two_rules().await;
    let mut listener = Listener::at(&served, &format!("?user={}", user("bob")), None).await;
    let next = listener.ready().await;
    let begun = listener.last.clone();
    ledger.pay("A1", "ann", 5_000, &[]).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while listener.last == begun {
        assert!(tokio::time::Instant::now() < deadline, "no heartbeat with a newer id");
        let chunk = listener.response.chunk().await.unwrap().unwrap();
        for line in str::from_utf8(&chunk).unwrap().lines() {
            assert!(!line.starts_with("data"), "bob is told of ann");
            if let Some(id) = line.strip_prefix("id: ") {
                listener.last = id.to_owned();
            }
        }
    }
    let mut again = Listener::at(&served, "", Some(&listener.last)).await;
    assert_eq!(again.ready().await, next + 1);
}

#[tokio::test]
async fn a_server_that_stops_ends_its_live_connections_at_once() {
    let served = Served::new().await;
    let _ledger = Ledger::new(served.pool()).await;
    let mut listener = Listener::at(&served, "", None).await;
    listener.ready().await;
    let began = tokio::time::Instant::now();
    served.token.cancel();
    assert!(listener.next().await.is_none());
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_a_fork_takes_back_is_told_and_what_takes_its_place_follows() {
    let mut evening =
        Evening::begin(vec![OffsetEntry { from: 0, seconds: 28_800 }], vec![asset("coins")], &[first_recharge()]);
    evening.index(NOON);
    evening.pay(&payment("A1", "ann", 5_000)).unwrap();
    evening.write(true);
    let fork = evening.platform.chain.fork();
    let mut here = evening.runtime.block_on(Listener::at(&evening.served, "", None));
    let next = evening.runtime.block_on(here.ready());

    // Two payments in two blocks that are not final.
    evening.pay(&payment("B1", "bob", 100)).unwrap();
    let first_end = evening.write(false);
    evening.pay(&payment("B2", "bob", 200)).unwrap();
    evening.write(false);
    let order = |told: &Told| told.data["order"].as_str().unwrap().to_owned();
    let hash = crate::ledger::order;
    let (void, away) = evening.runtime.block_on(async {
        let told = here.expect("payment", next).await;
        assert_eq!((order(&told), &told.data["finality"]), (hash("B1"), &"confirmed".into()));
        let last = here.expect("payment", next + 1).await;
        assert_eq!(order(&last), hash("B2"));
        (last.id, told.id)
    });

    // The fork has another one in their place.
    evening.runtime.block_on(evening.writer.revert(&first_end)).unwrap().unwrap();
    evening.platform.chain = fork;
    evening.pay(&payment("C1", "cat", 300)).unwrap();
    evening.write(true);
    evening.runtime.block_on(async {
        let told = here.next().await.unwrap();
        assert_eq!((told.event.as_str(), &told.data["from_index"]), ("reverted", &next.into()));
        let told = here.expect("payment", next).await;
        assert_eq!((order(&told), &told.data["finality"]), (hash("C1"), &"finalized".into()));
        // Who was away then is told the same.
        for id in [void, away] {
            let mut back = Listener::at(&evening.served, "", Some(&id)).await;
            back.ready().await;
            let told = back.next().await.unwrap();
            assert_eq!((told.event.as_str(), &told.data["from_index"]), ("reverted", &next.into()));
            assert_eq!(order(&back.expect("payment", next).await), hash("C1"));
        }
    });
}
