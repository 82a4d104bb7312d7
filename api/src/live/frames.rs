//! Events as clients get them: the bytes of `text/event-stream`, made once for everybody.

use super::{Mark, reader::Stored};
use crate::{
    book::Book,
    language::Language,
    problem::Problem,
    routes::{self, Outcome},
    snapshot::{AsOf, Finality},
    value::{Address, Amount, Hash, Instant, Number, Signature},
    words::{self, Operation},
};
use axum::body::Bytes;
use rebate_client::event::{Event, OutcomeEntry};
use rebate_core::units::AssetId;
use rust_decimal::Decimal;
use serde::Serialize;
use utoipa::ToSchema;

/// How many milliseconds a client waits before it comes back.
const RETRY: u32 = 1_000;

/// A server-sent event. Only described: it is written by hand.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is there for its description")]
pub(crate) struct LiveFrame {
    /// What it tells: `ready`, `reverted`, or what happened.
    #[schema(required = false, example = "payment")]
    event: String,
    /// What a client comes back with.
    #[schema(required = false)]
    id: String,
    /// JSON: of what happened, a `LiveEvent`.
    #[schema(required = false)]
    data: String,
    /// In how many milliseconds a client whose connection broke comes back.
    #[schema(required = false, minimum = 0, example = 1_000)]
    retry: u32,
}

/// What a server-sent event says: its `data`.
#[derive(Serialize, ToSchema)]
pub(crate) struct LiveEvent {
    /// The platform.
    platform: Address,
    /// The event's place in the journal.
    #[schema(minimum = 0, example = 41)]
    journal_index: u64,
    /// What kind of event it is, as the program names it.
    #[schema(example = "PaymentRecorded")]
    kind: &'static str,
    /// When, by the chain's clock.
    at: Instant,
    /// The slot of its block.
    #[schema(minimum = 0, example = 312_456_789)]
    slot: i64,
    /// How sure that was when this was sent.
    finality: Finality,
    /// Its transaction.
    signature: Signature,
    #[serde(flatten)]
    what: What,
}

/// What happened.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum What {
    /// `event: payment` or `event: refund`: an order was paid or refunded.
    #[schema(title = "LiveOrder")]
    Order {
        /// SHA-256 of the order's number; of a refund, its own.
        order: Hash,
        /// Of a refund, the order that was refunded.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(required = false)]
        refund_of: Option<Hash>,
        /// The key of the user who paid.
        user: Hash,
        /// What was paid or paid back.
        amount: Amount,
        /// When.
        #[schema(required)]
        paid_at: Option<Instant>,
        /// The streamer it was for; not of a refund.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(required = false)]
        streamer: Option<Number>,
        /// The live session; not of a refund.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(required = false)]
        session: Option<Number>,
        /// What every rule in force did; of a refund, the grants that lose something.
        outcomes: Vec<Outcome>,
    },
    /// `event: redemption`, `event: claim` or `event: expiry`: a balance changed otherwise.
    #[schema(title = "LiveEntry")]
    Entry {
        /// The key of the user.
        user: Hash,
        /// The asset's number.
        #[schema(minimum = 1, maximum = 8, example = 1)]
        asset: u8,
        /// Its name.
        #[schema(example = "coins")]
        asset_name: String,
        /// How much.
        amount: Amount,
        /// The balance before.
        before: Amount,
        /// And after.
        after: Amount,
        /// The same for people.
        #[schema(example = "400 coins redeemed")]
        text: String,
    },
    /// `event: wallet`: a wallet was linked.
    #[schema(title = "LiveWallet")]
    Wallet {
        /// The key of the user.
        user: Hash,
        /// The wallet's address.
        wallet: Address,
    },
    /// `event: rule`: a version was published or dropped, or a rule ends.
    #[schema(title = "LiveRule")]
    Rule {
        /// The rule.
        #[schema(minimum = 0, maximum = 65_535, example = 1)]
        rule: u16,
        /// Its version.
        #[schema(minimum = 1, maximum = 65_535, example = 1)]
        version: u16,
        /// Of a version that was published: the first `paid_at` it is for; null for open.
        #[schema(required)]
        effective_at: Option<Instant>,
        /// Of a rule that ends: the first `paid_at` it is no longer for.
        #[schema(required)]
        ends_at: Option<Instant>,
    },
    /// `event: platform`: something else was decided; `kind` says what, and `/v1/platforms` has it.
    #[schema(title = "LiveDecision")]
    Decision {},
}

/// Whose event it is, if it is somebody's.
fn user(event: &Event) -> Option<[u8; 32]> {
    match event {
        Event::PaymentRecorded(event) => Some(event.user),
        Event::RefundRecorded(event) => Some(event.user),
        Event::Redeemed(event) => Some(event.user),
        Event::BalanceExpired(event) => Some(event.user),
        Event::WalletLinked(event) => Some(event.user),
        Event::Claimed(event) => Some(event.user),
        _ => None,
    }
}

/// What clients tell events apart by.
fn name(event: &Event) -> &'static str {
    match event {
        Event::PaymentRecorded(_) => "payment",
        Event::RefundRecorded(_) => "refund",
        Event::Redeemed(_) => "redemption",
        Event::BalanceExpired(_) => "expiry",
        Event::WalletLinked(_) => "wallet",
        Event::Claimed(_) => "claim",
        Event::RulePublished(_) | Event::RuleEnded(_) | Event::RuleDropped(_) => "rule",
        Event::PlatformCreated(_)
        | Event::OracleKeyRegistered(_)
        | Event::OracleKeyRetired(_)
        | Event::PauseChanged(_)
        | Event::AssetAdded(_)
        | Event::OffsetAdded(_)
        | Event::RoleChanged(_)
        | Event::SettingChanged(_)
        | Event::OrderShardsChanged(_)
        | Event::DayClosed(_)
        | Event::VaultOpened(_)
        | Event::Deposited(_)
        | Event::SurplusWithdrawn(_) => "platform",
    }
}

struct Teller<'a> {
    book: &'a Book,
    language: Language,
    now: i64,
}

impl Teller<'_> {
    fn outcomes(&self, entries: &[OutcomeEntry], paid_at: i64) -> Result<Vec<Outcome>, Problem> {
        routes::said(self.book, self.language.words(), (paid_at, self.now), entries)
    }

    fn entry(&self, user: [u8; 32], asset: u8, operation: Operation<'_>, amounts: [u64; 3]) -> What {
        let [amount, before, after] = amounts.map(Decimal::from);
        let asset_name = self.book.asset(AssetId(asset));
        let entry = words::Entry { operation, asset: asset_name, changed: amount, debt: Decimal::ZERO };
        What::Entry {
            user: Hash(user),
            asset,
            asset_name: asset_name.to_owned(),
            amount: Amount(amount),
            before: Amount(before),
            after: Amount(after),
            text: self.language.words().entry(&entry),
        }
    }

    fn what(&self, event: &Event) -> Result<What, Problem> {
        Ok(match event {
            Event::PaymentRecorded(event) => What::Order {
                order: Hash(event.order),
                refund_of: None,
                user: Hash(event.user),
                amount: Amount(event.amount.into()),
                paid_at: Instant::of_unix(event.paid_at),
                streamer: Some(Number(event.streamer.into())),
                session: Some(Number(event.session.into())),
                outcomes: self.outcomes(&event.outcomes, event.paid_at)?,
            },
            Event::RefundRecorded(event) => What::Order {
                order: Hash(event.order),
                refund_of: Some(Hash(event.of)),
                user: Hash(event.user),
                amount: Amount(event.amount.into()),
                paid_at: Instant::of_unix(event.paid_at),
                streamer: None,
                session: None,
                outcomes: self.outcomes(&event.outcomes, event.paid_at)?,
            },
            Event::Redeemed(event) => {
                let amounts = [event.amount, event.before, event.after];
                self.entry(event.user, event.asset, Operation::Redemption, amounts)
            }
            Event::Claimed(event) => {
                let amounts = [event.amount, event.before, event.after];
                self.entry(event.user, event.asset, Operation::Claim, amounts)
            }
            Event::BalanceExpired(event) => {
                let amounts = [event.amount, event.before, event.after];
                self.entry(event.user, event.asset, Operation::Expiry, amounts)
            }
            Event::WalletLinked(event) => What::Wallet { user: Hash(event.user), wallet: Address(event.wallet) },
            Event::RulePublished(event) => What::Rule {
                rule: event.rule.id,
                version: event.rule.version,
                effective_at: Instant::unless_open(event.effective_at),
                ends_at: None,
            },
            Event::RuleEnded(event) => What::Rule {
                rule: event.rule,
                version: event.version,
                effective_at: None,
                ends_at: Instant::of_unix(event.ends_at),
            },
            Event::RuleDropped(event) => {
                What::Rule { rule: event.rule, version: event.version, effective_at: None, ends_at: None }
            }
            _ => What::Decision {},
        })
    }
}

/// Neighbouring events, as everybody gets them.
pub(super) struct Batch {
    begin: Mark,
    end: Mark,
    /// By language.
    all: [Bytes; Language::ALL.len()],
    /// Of each event: whose it is, and where it ends in those bytes.
    parts: Vec<(Option<[u8; 32]>, [usize; Language::ALL.len()])>,
}

impl Batch {
    /// The events after `begin`, each of which leads to its mark.
    pub fn new(
        platform: Address,
        book: &Book,
        as_of: &AsOf,
        begin: Mark,
        events: &[Stored],
        marks: &[Mark],
    ) -> Result<Self, Problem> {
        let mut all = Language::ALL.map(|_| Vec::new());
        let mut parts = Vec::with_capacity(events.len());
        for (stored, mark) in events.iter().zip(marks) {
            let mut ends = [0; Language::ALL.len()];
            for ((bytes, language), end) in all.iter_mut().zip(Language::ALL).zip(&mut ends) {
                let teller = Teller { book, language, now: stored.at.0.unix_timestamp() };
                let said = LiveEvent {
                    platform,
                    journal_index: u64::try_from(stored.journal_index).unwrap_or_default(),
                    kind: stored.event.name(),
                    at: stored.at,
                    slot: stored.slot,
                    finality: as_of.finality_of(stored.slot),
                    signature: stored.signature,
                    what: teller.what(&stored.event)?,
                };
                let data = serde_json::to_string(&said).map_err(|error| Problem::internal(&error))?;
                bytes.extend(frame(name(&stored.event), &mark.id(platform), &data).into_bytes());
                *end = bytes.len();
            }
            parts.push((user(&stored.event), ends));
        }
        let end = marks.last().copied().unwrap_or(begin);
        Ok(Self { begin, end, all: all.map(Bytes::from), parts })
    }

    /// After which mark it goes on.
    pub fn begin(&self) -> Mark {
        self.begin
    }

    /// The mark after its last event.
    pub fn end(&self) -> Mark {
        self.end
    }

    /// The bytes for a client: of every event, or of those of one user and of nobody's.
    pub fn bytes(&self, language: Language, of: Option<&[u8; 32]>) -> Bytes {
        let at = language as usize;
        let Some(all) = self.all.get(at) else { return Bytes::new() };
        let Some(of) = of else { return all.clone() };
        let mut chosen = Vec::new();
        let mut from = 0;
        for (user, ends) in &self.parts {
            let end = ends.get(at).copied().unwrap_or(from);
            if user.as_ref().is_none_or(|user| user == of) {
                chosen.extend_from_slice(all.get(from..end).unwrap_or_default());
            }
            from = end;
        }
        Bytes::from(chosen)
    }
}

/// JSON has no line breaks of its own.
fn frame(event: &str, id: &str, data: &str) -> String {
    format!("event: {event}\nid: {id}\ndata: {data}\n\n")
}

/// What a client gets first.
pub(super) fn ready(platform: Address, mark: &Mark, as_of: &AsOf) -> Bytes {
    let data = serde_json::json!({
        "platform": platform,
        "next_index": mark.count,
        "as_of_slot": as_of.as_of_slot,
        "final_slot": as_of.final_slot,
    });
    Bytes::from(format!("retry: {RETRY}\n{}", frame("ready", &mark.id(platform), &data.to_string())))
}

/// What a client gets that has events which are void.
pub(super) fn reverted(platform: Address, mark: &Mark) -> Bytes {
    let data = serde_json::json!({ "platform": platform, "from_index": mark.count });
    Bytes::from(frame("reverted", &mark.id(platform), &data.to_string()))
}

/// What a client gets where nothing happens: an id without an event, which it keeps.
pub(super) fn heartbeat(platform: Address, mark: &Mark) -> Bytes {
    Bytes::from(format!(": still here\nid: {}\n\n", mark.id(platform)))
}
