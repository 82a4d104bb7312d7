//! What a receiver gets by webhook: a real HTTP server, with the signatures checked by the library of those who specified them.

use crate::{deadline::until, fanout::Place, process::Process};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustix::process::Signal;
use serde_json::Value;
use standardwebhooks::Webhook;
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    future::pending,
    path::PathBuf,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::block_in_place};

/// What a receiver does with the how-manieth attempt of an event, from 1.
type Behaviour = Box<dyn Fn(usize) -> Answer + Send + Sync>;

/// What it answers.
enum Answer {
    Status(u16),
    /// To another address.
    Redirect(String),
    Never,
}

/// One request.
#[derive(Clone, Debug)]
struct Got {
    headers: HeaderMap,
    body: Vec<u8>,
    taken: bool,
}

/// A receiver of webhooks.
#[derive(Clone)]
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<Got>>>,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Receiver {
    async fn start(behaviour: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=of-the-receiver", listener.local_addr().unwrap());
        let behaviour: Behaviour = Box::new(behaviour);
        let receiver = Self { url, got: Arc::default(), behaviour: Arc::new(Mutex::new(behaviour)) };
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        receiver
    }

    fn behave(&self, behaviour: impl Fn(usize) -> Answer + Send + Sync + 'static) {
        *self.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// How often it took each event.
    fn taken(&self) -> BTreeMap<String, usize> {
        let mut taken = BTreeMap::new();
        for got in self.got().iter().filter(|got| got.taken) {
            *taken.entry(got.id()).or_default() += 1;
        }
        taken
    }

    async fn takes(&self, events: usize) {
        until(&format!("the receiver takes {events} events"), async || match self.taken().len() {
            taken if taken >= events => Ok(()),
            taken => Err(format!("it took {taken}")),
        })
        .await;
    }
}

impl Got {
    fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let mut got = Got { headers, body: body.to_vec(), taken: false };
    let attempt = receiver.got().iter().filter(|other| other.id() == got.id()).count() + 1;
    let answer = receiver.behaviour.lock().unwrap()(attempt);
    let response = match &answer {
        Answer::Status(status) => (StatusCode::from_u16(*status).unwrap(), "says the receiver").into_response(),
        Answer::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to.clone())]).into_response(),
        Answer::Never => StatusCode::OK.into_response(),
    };
    got.taken = matches!(answer, Answer::Status(200..=299));
    receiver.got.lock().unwrap().push(got);
    if matches!(answer, Answer::Never) {
        pending::<()>().await;
    }
    response
}

/// A place with a publisher and a key.
struct Hooks {
    place: Place,
    publisher: Process,
    folder: TempDir,
}

/// An endpoint as its receiver knows it.
struct Added {
    id: String,
    secret: String,
}

impl Hooks {
    async fn new() -> Self {
        let place = Place::new().await;
        let publisher = place.fanout(&["publish", "--poll-ms", "50"]);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key"), "0123456789abcdefghijklmnopqrstuvwxyz\n").unwrap();
        // An endpoint gets what comes after the block that was read last.
        let hooks = Self { place, publisher, folder };
        hooks.indexed().await;
        hooks
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    /// Waits until the database has all that is on the chain.
    async fn indexed(&self) {
        let tip = i64::try_from(self.place.platform.chain.tip()).unwrap();
        until("the database is at the chain's tip", async || {
            let slot: Option<i64> =
                sqlx::query_scalar("SELECT slot FROM cursor").fetch_optional(self.place.database.pool()).await.unwrap();
            if slot >= Some(tip) { Ok(()) } else { Err(format!("it is at {slot:?} of {tip}")) }
        })
        .await;
    }

    fn command(&self, arguments: &[&str]) -> Process {
        let key = self.key();
        Process::start_as("rebate-fanout", |command| {
            command
                .arg("webhooks")
                .args(arguments)
                .env("DATABASE_URL", self.place.database.url())
                .env("REBATE_NATS", self.place.nats.url())
                .env("REBATE_WEBHOOK_KEY_FILE", key);
        })
    }

    /// What a command that ends by itself prints.
    async fn told(&self, arguments: &[&str]) -> String {
        let ended = self.command(arguments).ended().await;
        ended.assert_success();
        ended.out
    }

    async fn add(&self, receiver: &Receiver, more: &[&str]) -> Added {
        let arguments: Vec<_> = ["add", &receiver.url].into_iter().chain(more.iter().copied()).collect();
        let out = self.told(&arguments).await;
        let word = |line: usize| out.lines().nth(line).unwrap().split_whitespace().last().unwrap().to_owned();
        Added { id: word(0), secret: word(1) }
    }

    /// A sender that is quick to try again.
    fn sender(&self, more: &[&str]) -> Process {
        let quick = ["run", "--first-pause-ms", "50", "--timeout-ms", "1000"];
        self.command(&quick.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    }

    /// Everything in the tables of webhooks.
    async fn tables(&self) -> String {
        sqlx::query_scalar(
            "SELECT concat((SELECT json_agg(e) FROM webhook_endpoints e), (SELECT json_agg(d) FROM webhook_deliveries d))",
        )
        .fetch_one(self.place.database.pool())
        .await
        .unwrap()
    }

    async fn end(self, sender: Process) {
        for process in [sender, self.publisher] {
            process.signal(Signal::TERM);
            process.ended().await.assert_success();
        }
        self.place.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_gets_the_event_again_with_the_same_id_and_a_signature_that_others_verify() {
    let hooks = Hooks::new().await;
    let receiver = Receiver::start(|attempt| Answer::Status(if attempt < 3 { 500 } else { 204 })).await;
    let endpoint = hooks.add(&receiver, &[]).await;
    let sender = hooks.sender(&[]);
    let before = hooks.place.platform.chain.tip();
    hooks.place.pay("P1");
    hooks.place.pause_and_go_on(4);
    let emitted = hooks.place.platform.events_between(before + 1, hooks.place.platform.chain.tip());
    receiver.takes(emitted.len()).await;

    let platform = hooks.place.platform.addresses.platform;
    let right = Webhook::new(&endpoint.secret).unwrap();
    let other = Webhook::new(&hooks.add(&receiver, &["--kind", "DayClosed"]).await.secret).unwrap();
    for event in &emitted {
        let id = format!("{platform}/{}", event.event.journal_index());
        let attempts: Vec<_> = receiver.got().into_iter().filter(|got| got.id() == id).collect();
        assert_eq!(attempts.len(), 3, "{id}");
        for attempt in &attempts {
            right.verify(&attempt.body, &attempt.headers).unwrap();
            assert!(other.verify(&attempt.body, &attempt.headers).is_err(), "another endpoint's secret verifies");
            let altered = [attempt.body.as_slice(), b" "].concat();
            assert!(right.verify(&altered, &attempt.headers).is_err(), "an altered body verifies");
            assert_eq!(attempt.body, attempts[0].body);
            let body = attempt.json();
            assert_eq!((&body["id"], &body["kind"]), (&id.as_str().into(), &event.event.name().into()));
            assert_eq!(BASE64_STANDARD.decode(body["bytes"].as_str().unwrap()).unwrap(), event.bytes);
        }
    }
    let paid = receiver.got().iter().find(|got| got.json()["kind"] == "PaymentRecorded").unwrap().json();
    assert_eq!(paid["event"]["amount"], "5000");
    assert_eq!(
        paid["event"]["order"],
        rebate_core::units::OrderHash::of("P1").0.map(|byte| format!("{byte:02x}")).concat()
    );
    assert_eq!(paid["event"]["outcomes"][0]["reason"], "Granted");

    // What signs is nowhere but with the receiver.
    let secret = endpoint.secret.strip_prefix("whsec_").unwrap().to_owned();
    let key = fs::read_to_string(hooks.key()).unwrap().trim().to_owned();
    let said = [sender.out(), sender.err(), hooks.tables().await].concat();
    assert!(!said.contains(&secret) && !said.contains(&key), "{said}");
    assert!(!sender.err().contains("of-the-receiver"), "{}", sender.err());
    assert_eq!(hooks.told(&["secret", &endpoint.id]).await.trim(), endpoint.secret);
    hooks.end(sender).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_never_answers_holds_nobody_back_and_its_events_are_given_up_and_can_be_sent_again() {
    let hooks = Hooks::new().await;
    let (dead, other) = (Receiver::start(|_| Answer::Never).await, Receiver::start(|_| Answer::Status(200)).await);
    let dead_one = hooks.add(&dead, &[]).await;
    let other_one = hooks.add(&other, &[]).await;
    let mut sender = hooks.sender(&["--concurrency", "2", "--attempts", "2"]);
    hooks.place.pause_and_go_on(20);
    other.takes(20).await;
    let waiting: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM webhook_deliveries WHERE endpoint = $1 AND next_attempt_at IS NOT NULL",
    )
    .bind(&dead_one.id)
    .fetch_one(hooks.place.database.pool())
    .await
    .unwrap();
    assert!(waiting >= 10, "the dead endpoint had its turn {} times before the other was done", 20 - waiting);

    let line = sender.said_line_with("is given up for endpoint").await;
    assert!(line.contains(&dead_one.id) && line.contains("after 2 attempts") && !line.contains("token"), "{line}");
    until("all events are given up", async || {
        let list = hooks.told(&["list"]).await;
        let line = list.lines().find(|line| line.contains(&dead_one.id)).unwrap().to_owned();
        if line.contains("0 waiting, 0 delivered, 20 failed") { Ok(()) } else { Err(line) }
    })
    .await;
    dead.behave(|_| Answer::Status(200));
    assert!(hooks.told(&["replay", "--endpoint", &dead_one.id, "--failed"]).await.contains("20 events"));
    dead.takes(20).await;

    // One that was taken long ago, also when the stream has forgotten it.
    let id = other.got()[3].id();
    let before = other.taken()[&id];
    let stream = async_nats::jetstream::new(async_nats::connect(hooks.place.nats.url()).await.unwrap());
    stream.get_stream("rebate").await.unwrap().purge().await.unwrap();
    hooks.told(&["replay", "--endpoint", &other_one.id, "--id", &id]).await;
    until("it is sent again", async || match other.taken()[&id] {
        times if times > before => Ok(()),
        times => Err(format!("it was taken {times} times")),
    })
    .await;
    let again: Vec<_> = other.got().into_iter().filter(|got| got.id() == id).collect();
    assert_eq!(again[0].body, again[1].body);
    Webhook::new(&other_one.secret).unwrap().verify(&again[1].body, &again[1].headers).unwrap();
    let unknown = hooks.command(&["replay", "--endpoint", &other_one.id, "--id", &id.replace('/', "/9")]);
    unknown.ended().await.assert_refused(&["no final event"]);
    hooks.end(sender).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_or_a_nats_that_is_killed_leaves_nothing_unsent_and_each_endpoint_gets_the_kinds_it_asked_for() {
    let mut hooks = Hooks::new().await;
    let (all, payments) =
        (Receiver::start(|_| Answer::Status(200)).await, Receiver::start(|_| Answer::Status(200)).await);
    hooks.add(&all, &[]).await;
    hooks.add(&payments, &["--kind", "PaymentRecorded"]).await;
    let before = hooks.place.platform.chain.tip();
    let mut sender = hooks.sender(&["--concurrency", "1"]);
    for round in 0..4 {
        hooks.place.pay(&format!("P{round}"));
        hooks.place.pause_and_go_on(30);
        all.takes(31 * round + 10).await;
        sender.kill();
        sender = hooks.sender(&["--concurrency", "1"]);
    }
    // What brings the events may go away, too.
    block_in_place(|| hooks.place.nats.kill());
    hooks.place.pause_and_go_on(4);
    block_in_place(|| hooks.place.nats.restart().unwrap());
    let emitted = hooks.place.platform.events_between(before + 1, hooks.place.platform.chain.tip());
    all.takes(emitted.len()).await;
    payments.takes(4).await;
    let mut times: HashMap<usize, usize> = HashMap::new();
    for taken in all.taken().values() {
        *times.entry(*taken).or_default() += 1;
    }
    // A sender that was killed between the answer and noting it sends that event once more, and no other.
    assert!(times.keys().all(|times| *times <= 2) && times.get(&2).is_none_or(|events| *events <= 4), "{times:?}");
    assert!(payments.got().iter().all(|got| got.json()["kind"] == "PaymentRecorded"));
    hooks.end(sender).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_not_followed_and_what_cannot_be_safe_is_not_added() {
    let hooks = Hooks::new().await;
    let elsewhere = Receiver::start(|_| Answer::Status(200)).await;
    let to = elsewhere.url.clone();
    let receiver = Receiver::start(move |_| Answer::Redirect(to.clone())).await;
    let endpoint = hooks.add(&receiver, &[]).await;
    let mut sender = hooks.sender(&["--attempts", "2"]);
    hooks.place.pause_and_go_on(1);
    let line = sender.said_line_with("is given up").await;
    assert!(line.contains(&endpoint.id) && line.contains("307"), "{line}");
    assert_eq!((receiver.got().len(), elsewhere.got().len()), (2, 0));

    for (arguments, parts) in [
        (&["add", "http://receiver.example/hook"][..], &["not https", "--allow-http"][..]),
        (&["add", "https://me:secret@receiver.example/hook"], &["user or a password"]),
        (&["add", "https://receiver.example/", "--kind", "Payment"], &["\"Payment\"", "PaymentRecorded"]),
        (&["add", "https://receiver.example/", "--key-file", "nowhere/key"], &["nowhere/key", "openssl"]),
        (&["remove", "ep_0"], &["ep_0", "list"]),
    ] {
        hooks.command(arguments).ended().await.assert_refused(parts);
    }
    hooks.told(&["remove", &endpoint.id]).await;
    assert_eq!(hooks.told(&["list"]).await, "");
    hooks.end(sender).await;
}
