//! What the platform should have come to: every event was allowed, and the simulator comes to the same.

use super::action::{Action, Signed};
use rebate_client::{
    account::{AssetKind, Counter, Platform, Refund as RefundAccount, UserState},
    chain::{SubmitError, embedded::Executed},
    event::{BalanceExpired, Event, LimitsEntry, OutcomeEntry, RuleDefinition},
    replay::{Replay, Terms},
};
use rebate_core::{
    balance::{Balance, Balances},
    counters::Counters,
    expiry::Expired,
    outcome::Outcome,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    refusal::Refusal,
    time::DAY,
    units::{Amount, AssetId, OrderHash, PeriodIndex, RuleId, RuleVersion, ScopeId, Timestamp, UserKey},
    wallet::WalletLink,
    window::Scope,
};
use rebate_tests::platform::TestPlatform;
use solana_program::pubkey::Pubkey;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    sync::OnceLock,
};

/// Who has the role of admin, in `RoleChanged`.
const ADMIN: u8 = 1;

pub struct Books {
    replay: Replay,
    /// What oracle keys signed for the platform, by key.
    signed: HashSet<([u8; 32], Vec<u8>)>,
    /// The widest limits that any version of a rule had.
    limits: BTreeMap<u16, LimitsEntry>,
    links: BTreeMap<[u8; 32], i64>,
}

/// A transaction that is looked at.
struct Looked<'a> {
    before: &'a Platform,
    signed_by: &'a BTreeSet<[u8; 32]>,
    now: Timestamp,
}

impl Books {
    pub fn open(platform: &Platform) -> Self {
        let mut books = Self {
            replay: Replay::new(Terms::of_platform(platform, Timestamp(0))),
            signed: HashSet::new(),
            limits: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        books.see_vaults(platform);
        books
    }

    pub fn balances(&self, user: &UserKey) -> Balances {
        self.replay.balances(user)
    }

    /// One of the users who have a wallet, and something of the asset if anybody does.
    pub fn linked(&self, which: u8, asset: AssetId) -> Option<UserKey> {
        let slot = asset.slot()?;
        let linked: Vec<_> = self.links.keys().copied().map(UserKey).collect();
        let holders: Vec<_> = linked.iter().filter(|user| self.balances(user)[slot].total().0 > 0).copied().collect();
        let of = if holders.is_empty() { linked } else { holders };
        of.get(usize::from(which) % of.len().max(1)).copied()
    }

    /// Follows a transaction. Returns the payments that were accepted.
    #[expect(clippy::too_many_arguments, reason = "what a transaction is")]
    pub fn follow(
        &mut self,
        action: &Action,
        result: &Result<Executed, SubmitError>,
        events: &[Event],
        before: &Platform,
        signed_by: &BTreeSet<[u8; 32]>,
        now: Timestamp,
        platform: &TestPlatform,
    ) -> Vec<Payment> {
        self.signed.extend(action.records.iter().map(|record| (action.oracle, record.bytes())));
        self.replay.ledger_mut().set_terms(Terms::of_platform(before, now));
        let looked = Looked { before, signed_by, now };
        let mut events: VecDeque<_> = events.iter().collect();
        let mut paid = Vec::new();
        if !action.is_twisted && !action.records.is_empty() {
            paid = self.follow_records(&action.records, result, &mut events, &looked, platform);
        }
        while !events.is_empty() {
            paid.extend(self.next(&mut events, &looked));
        }
        if result.is_ok() {
            self.see_vaults(&platform.platform());
        }
        paid
    }

    /// What the vaults hold, the ledger is told; what users have of it, it knows.
    pub fn see_vaults(&mut self, platform: &Platform) {
        for (asset, id) in platform.assets().iter().zip(1..) {
            if asset.kind != AssetKind::Token as u8 {
                continue;
            }
            self.replay.ledger_mut().set_funds(AssetId(id), asset.funds);
            let vault = self.replay.ledger().vault(AssetId(id)).expect("a vault");
            assert_eq!(vault.liability, asset.liability, "what users have of asset {id}");
        }
    }
}

// ---- Records that arrive as they were meant ----

impl Books {
    /// Every record of a message is accepted or refused by the simulator as by the program.
    fn follow_records(
        &mut self,
        records: &[Signed],
        result: &Result<Executed, SubmitError>,
        events: &mut VecDeque<&Event>,
        looked: &Looked<'_>,
        platform: &TestPlatform,
    ) -> Vec<Payment> {
        let logs = match result {
            Ok(executed) => &executed.landed.logs,
            // The whole message failed, for another reason than its records.
            Err(SubmitError::Refused { error, logs }) if error.is_refusal() => logs,
            Err(_) => return Vec::new(),
        };
        let refused = logs.iter().filter_map(|line| Some(line.split_once(": refused, ")?.1));
        let mut refused: VecDeque<_> = refused.collect();
        let mut paid = Vec::new();
        for record in records {
            let next = events.iter().find(|event| !matches!(event, Event::BalanceExpired(_)));
            if next.and_then(|event| recorded(event)).is_some_and(|next| next.bytes() == record.bytes()) {
                paid.extend(self.next(events, looked));
            } else {
                let reason = refused.pop_front().expect("a record is accepted, or the log says why not");
                self.refuses(record, reason, looked, platform);
            }
        }
        assert!(refused.is_empty(), "refused without being there: {refused:?}");
        assert!(events.is_empty(), "accepted without being there: {events:?}");
        paid
    }

    fn refuses(&mut self, record: &Signed, reason: &str, looked: &Looked<'_>, platform: &TestPlatform) {
        let now = looked.now;
        let refusal = match record {
            Signed::Payment(payment) => self.replay.pay(payment, now).err(),
            Signed::Refund(refund) => {
                let proof = platform.data(&platform.addresses.refund(&refund.of));
                let proof = proof.and_then(|data| RefundAccount::decode(&data).ok());
                if reason == Refusal::UnknownOrder.name() && proof.is_none_or(|proof| proof.stage < 2) {
                    return;
                }
                self.replay.refund(refund, now).err()
            }
            Signed::Redemption(redemption) => self.replay.redeem(redemption, now).err(),
            Signed::Link(link) => {
                let newest = Timestamp(self.links.get(&link.user.0).copied().unwrap_or(0));
                let admitted = looked.before.admission(now).check_time(link.linked_at);
                admitted.and_then(|()| link.check_newer(newest)).err()
            }
        };
        let refusal = refusal.map(Refusal::name);
        assert_eq!(refusal, Some(reason), "why {record:?} is refused: by the simulator, and by the program");
    }
}

/// The record that an event is about.
fn recorded(event: &Event) -> Option<Signed> {
    Some(match event {
        Event::PaymentRecorded(event) => Signed::Payment(Payment {
            order: OrderHash(event.order),
            user: UserKey(event.user),
            amount: Amount(event.amount),
            paid_at: Timestamp(event.paid_at),
            product: event.product,
            streamer: event.streamer,
            session: event.session,
            tier: event.tier,
            segments: event.segments,
        }),
        Event::RefundRecorded(event) => Signed::Refund(Refund {
            order: OrderHash(event.order),
            of: OrderHash(event.of),
            amount: Amount(event.amount),
            paid_at: Timestamp(event.paid_at),
        }),
        Event::Redeemed(event) => Signed::Redemption(Redemption {
            order: OrderHash(event.order),
            user: UserKey(event.user),
            asset: AssetId(event.asset),
            amount: Amount(event.amount),
            redeemed_at: Timestamp(event.redeemed_at),
        }),
        Event::WalletLinked(event) => Signed::Link(WalletLink {
            user: UserKey(event.user),
            wallet: event.wallet,
            linked_at: Timestamp(event.linked_at),
        }),
        _ => return None,
    })
}

// ---- Events, whatever brought them about ----

impl Books {
    /// Takes the next event, with what expired before it, and does the same in the simulator. Returns an accepted payment.
    fn next(&mut self, events: &mut VecDeque<&Event>, looked: &Looked<'_>) -> Option<Payment> {
        let mut expired = Vec::new();
        let event = loop {
            match events.pop_front() {
                Some(Event::BalanceExpired(event)) => expired.push(event.clone()),
                event => break event,
            }
        };
        let Some(event) = event else {
            self.expires(&expired, looked.now);
            return None;
        };
        assert_eq!(event.at(), looked.now.0, "the chain's clock");
        self.assert_allowed(event, looked);
        let (now, expected) = (looked.now, entries(&expired));
        match (event, recorded(event)) {
            (Event::PaymentRecorded(event), Some(Signed::Payment(payment))) => {
                let decided = self.replay.pay(&payment, now);
                let decided = decided.unwrap_or_else(|refusal| panic!("the simulator refuses {payment:?}: {refusal}"));
                assert_eq!(event.outcomes, outcomes(decided.outcomes), "by the program, and by the simulator");
                assert_eq!(expected, decided.expired, "what expired by the program, and by the simulator");
                return Some(payment);
            }
            (Event::RefundRecorded(event), Some(Signed::Refund(refund))) => {
                let decided = self.replay.refund(&refund, now);
                let decided = decided.unwrap_or_else(|refusal| panic!("the simulator refuses {refund:?}: {refusal}"));
                assert_eq!(event.outcomes, outcomes(decided.outcomes), "by the program, and by the simulator");
                assert_eq!(expected, decided.expired, "what expired by the program, and by the simulator");
            }
            (Event::Redeemed(event), Some(Signed::Redemption(record))) => {
                let redeemed = self.replay.redeem(&record, now);
                let redeemed = redeemed.unwrap_or_else(|refusal| panic!("the simulator refuses {record:?}: {refusal}"));
                assert_eq!((event.before, event.after), (redeemed.before.0, redeemed.after.0));
                assert_eq!(expected, redeemed.expired, "what expired by the program, and by the simulator");
            }
            (Event::Claimed(event), _) => {
                let user = UserKey(event.user);
                assert_eq!(
                    expected,
                    self.replay.expire(&user, now),
                    "what expired by the program, and by the simulator"
                );
                let claimed = self.replay.claim(&user, AssetId(event.asset), Amount(event.amount));
                assert_eq!(claimed, Ok((Amount(event.before), Amount(event.after))));
            }
            (event, record) => {
                self.expires(&expired, now);
                self.other(event, record);
            }
        }
        None
    }

    fn expires(&mut self, expired: &[BalanceExpired], now: Timestamp) {
        if let Some(first) = expired.first() {
            let by_the_simulator = self.replay.expire(&UserKey(first.user), now);
            assert_eq!(entries(expired), by_the_simulator, "what expired by the program, and by the simulator");
        }
    }

    pub fn publish(&mut self, rule: &RuleDefinition, effective_at: Timestamp) {
        assert_eq!(self.replay.ledger_mut().publish(rule, effective_at), Ok(()), "the simulator publishes {rule:?}");
        let limits = self.limits.entry(rule.id).or_insert(rule.limits);
        *limits = wider(limits, &rule.limits);
    }

    fn other(&mut self, event: &Event, record: Option<Signed>) {
        let ledger = self.replay.ledger_mut();
        match event {
            Event::RulePublished(event) => self.publish(&event.rule, Timestamp(event.effective_at)),
            Event::RuleEnded(event) => {
                assert_eq!(ledger.end_rule(RuleId(event.rule), Timestamp(event.ends_at)), Ok(()));
            }
            Event::RuleDropped(event) => {
                assert_eq!(ledger.drop_rule(RuleId(event.rule), RuleVersion(event.version)), Ok(()));
            }
            Event::WalletLinked(event) => {
                assert!(matches!(record, Some(Signed::Link(_))));
                let before = self.links.insert(event.user, event.linked_at);
                assert!(before.unwrap_or(0) < event.linked_at, "an older link took a newer one's place");
            }
            _ => {}
        }
    }

    /// Whoever has to had signed.
    fn assert_allowed(&self, event: &Event, looked: &Looked<'_>) {
        let Looked { before, signed_by, now } = looked;
        let by = |who: &[u8; 32], role: &str| {
            assert!(signed_by.contains(who), "{} without the {role}'s signature", event.name());
        };
        match event {
            Event::PaymentRecorded(payment) => self.assert_signed(event, &payment.oracle, looked),
            Event::RefundRecorded(refund) => self.assert_signed(event, &refund.oracle, looked),
            Event::Redeemed(redemption) => self.assert_signed(event, &redemption.oracle, looked),
            Event::WalletLinked(link) => self.assert_signed(event, &link.oracle, looked),
            Event::Claimed(claimed) => {
                assert_eq!(before.paused, 0);
                by(&claimed.wallet, "wallet");
            }
            Event::PauseChanged(_) => by(&before.pauser, "pauser"),
            Event::RoleChanged(role) if role.role == ADMIN && role.effective_at == 0 => {
                by(&before.next_admin, "next admin");
                assert!(role.holder == before.next_admin && now.0 >= before.next_admin_from, "before the timelock");
            }
            Event::OracleKeyRegistered(_)
            | Event::OracleKeyRetired(_)
            | Event::RulePublished(_)
            | Event::RuleEnded(_)
            | Event::RuleDropped(_)
            | Event::AssetAdded(_)
            | Event::OffsetAdded(_)
            | Event::RoleChanged(_)
            | Event::SettingChanged(_)
            | Event::OrderShardsChanged(_)
            | Event::SurplusWithdrawn(_) => by(&before.admin, "admin"),
            Event::DayClosed(closed) => {
                let end = (i64::from(closed.day) + 1) * DAY;
                let lateness = i64::from(before.max_lateness.at(*now));
                assert!(end + lateness <= now.0, "day {} was closed early", closed.day);
            }
            Event::BalanceExpired(_) | Event::VaultOpened(_) | Event::Deposited(_) => {}
            Event::PlatformCreated(_) => panic!("the platform was created a second time"),
        }
    }

    fn assert_signed(&self, event: &Event, oracle: &[u8; 32], looked: &Looked<'_>) {
        let Looked { before, now, .. } = looked;
        assert_eq!(before.paused, 0, "{} while the platform is paused", event.name());
        let key = before.oracles().iter().find(|key| key.key == *oracle).expect("an oracle key");
        let is_valid = key.valid_from <= now.0 && (key.valid_until == 0 || now.0 < key.valid_until);
        assert!(is_valid, "{} by a key that is not valid", event.name());
        let record = recorded(event).expect("a record").bytes();
        assert!(self.signed.contains(&(*oracle, record)), "{} that nobody signed", event.name());
    }
}

fn entries(expired: &[BalanceExpired]) -> Vec<Expired> {
    let entry = |event: &BalanceExpired| Expired {
        asset: AssetId(event.asset),
        amount: Amount(event.amount),
        before: Amount(event.before),
        after: Amount(event.after),
    };
    expired.iter().map(entry).collect()
}

fn outcomes(outcomes: &[Outcome]) -> Vec<OutcomeEntry> {
    let entry = |outcome: &Outcome| OutcomeEntry {
        rule: outcome.rule.0,
        version: outcome.version.0,
        reason: outcome.reason as u8,
        clause: outcome.clause,
        asset: outcome.asset.0,
        amount: outcome.amount.0,
        before: outcome.before.0,
        after: outcome.after.0,
    };
    outcomes.iter().map(entry).collect()
}

// ---- State ----

impl Books {
    /// No rule granted more than any of its versions allowed.
    pub fn assert_limits(&self, platform: &TestPlatform) {
        let within = |value: u64, limit: u64| limit == 0 || value <= limit;
        for rule in platform.rule_book().1 {
            let limits = &self.limits[&rule.id.0];
            let kept =
                within(rule.budget_spent.0, limits.total_amount) && within(rule.budget_grants, limits.total_count);
            assert!(kept, "{rule:?} passed its limits");
        }
        for counters in everybodys_counters(platform).into_iter().flat_map(|(_, _, _, counters)| counters) {
            let Some(limits) = self.limits.get(&counters.rule.0) else { continue };
            let grants = u64::from(counters.grants);
            let kept = within(counters.granted.0, limits.user_amount) && within(grants, limits.user_count);
            assert!(kept, "{counters:?} passed the user's limits {limits:?}");
        }
    }

    /// Balances, counters and the rule book are the simulator's.
    pub fn compare_state(&self, platform: &TestPlatform) {
        assert_eq!(platform.rule_book().1, self.replay.ledger().rules(), "the rule book");
        for (user, scope, id, counters) in everybodys_counters(platform) {
            // Counters towards a streamer can have been closed and opened anew since.
            if scope == Scope::User {
                let kept = self.by_rule(self.replay.counters(&user, scope, id));
                assert_eq!(self.by_rule(&counters), kept, "the counters of {user}");
                for (chain, simulator) in platform.user_of(&user).balances.into_iter().zip(self.replay.balances(&user))
                {
                    let period = chain.period.max(simulator.period);
                    assert_eq!(held(chain, period), held(simulator, period), "a balance of {user}");
                }
            }
        }
    }

    /// Those of rules in the book: room of others can be given to somebody else.
    fn by_rule(&self, counters: &[Counters]) -> BTreeMap<RuleId, Counters> {
        let in_book = |counters: &&Counters| self.replay.ledger().rules().iter().any(|rule| rule.id == counters.rule);
        let used = counters.iter().filter(|counters| !counters.is_free()).filter(in_book);
        used.map(|counters| (counters.rule, *counters)).collect()
    }
}

/// What there is of a balance in a period: who has nothing has it in no period. Where nothing expires there is no event,
/// and the simulator's balance stays in the period before until somebody looks at it.
fn held(mut balance: Balance, period: PeriodIndex) -> Option<Balance> {
    assert_eq!(balance.expire(period), Amount(0), "something expired without an event: {balance:?}");
    let is_nothing = balance.total().0 == 0 && balance.debt.0 == 0;
    (!is_nothing).then_some(balance)
}

type Counted = (UserKey, Scope, ScopeId, Vec<Counters>);

fn everybodys_counters(platform: &TestPlatform) -> Vec<Counted> {
    /// Deriving addresses takes longer than all else here, and they are the same in every scenario.
    static ADDRESSES: OnceLock<Vec<(UserKey, Scope, ScopeId, Pubkey)>> = OnceLock::new();
    let addresses = ADDRESSES.get_or_init(|| {
        let of_user = |user: UserKey| {
            let scopes = [Scope::UserStreamer, Scope::UserSession].into_iter();
            let others = scopes.flat_map(move |scope| (0..3).map(move |id| (scope, ScopeId(id))));
            let others = others.map(move |(scope, id)| (user, scope, id, platform.addresses.counter(&user, scope, id)));
            [(user, Scope::User, ScopeId(0), platform.addresses.user(&user))].into_iter().chain(others)
        };
        [1, 2, 3, 4].map(|number| UserKey([number; 32])).into_iter().flat_map(of_user).collect()
    });
    let counters = |(user, scope, id, address): &(UserKey, Scope, ScopeId, Pubkey)| {
        let data = platform.data(address).filter(|data| !data.is_empty())?;
        let counters = match scope {
            Scope::User => UserState::decode(&data).expect("a user").counters,
            _ => Counter::decode_with_counters(&data).expect("counters").1,
        };
        Some((*user, *scope, *id, counters))
    };
    addresses.iter().filter_map(counters).collect()
}

/// Limits that allow what either allows; 0 is no limit.
fn wider(one: &LimitsEntry, other: &LimitsEntry) -> LimitsEntry {
    let wider = |one: u64, other: u64| if one == 0 || other == 0 { 0 } else { one.max(other) };
    LimitsEntry {
        user_amount: wider(one.user_amount, other.user_amount),
        user_count: wider(one.user_count, other.user_count),
        total_amount: wider(one.total_amount, other.total_amount),
        total_count: wider(one.total_count, other.total_count),
        on_limit: one.on_limit,
    }
}
