//! One platform twice: on the chain, and in the simulator.

use crate::scenario::{Scenario, Step, What};
use rebate_client::{
    account::{Counter, UserState},
    address::Addresses,
    chain::{
        SubmitError,
        embedded::{EmbeddedChain, Executed},
    },
    event::{Event, OutcomeEntry},
    instruction::{self, PlatformSettings},
    recorder,
    replay::{Replay, Terms},
};
use rebate_core::{
    counters::Counters,
    expiry::Expired,
    outcome::{Outcome, Reason},
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    refusal::Refusal,
    units::{Amount, AssetId, RuleId, Seconds, Timestamp, UserKey},
    window::Scope,
};
use rebate_tests::platform::TestPlatform;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::collections::{BTreeMap, HashMap};

/// What the scenarios came to, so that a test can say that none was left out.
#[derive(Debug, Default)]
pub struct Seen {
    pub reasons: HashMap<Reason, u64>,
    pub refusals: HashMap<Refusal, u64>,
    pub debts: u64,
    pub expired: u64,
}

pub struct Pair {
    platform: TestPlatform,
    replay: Replay,
    /// What was accepted, by order.
    paid: HashMap<[u8; 32], Payment>,
    /// The slot up to which events were looked at.
    looked: u64,
}

type Difference = Result<(), String>;

impl Pair {
    pub fn create(chain: &EmbeddedChain, id: u64, scenario: &Scenario) -> Self {
        chain.set_clock(Some(rebate_tests::platform::NOON));
        let keys = [(); 4].map(|()| Keypair::new());
        let [payer, admin, pauser, oracle] = keys;
        let platform = TestPlatform {
            addresses: Addresses::of(id),
            chain: chain.clone(),
            since: chain.tip(),
            payer,
            admin,
            pauser,
            oracle,
        };
        platform.fund(&platform.payer.pubkey());
        platform.fund(&platform.admin.pubkey());
        let settings = PlatformSettings {
            id,
            admin: platform.admin.pubkey().to_bytes(),
            pauser: platform.pauser.pubkey().to_bytes(),
            max_lateness: scenario.max_lateness,
            timelock: 0,
            order_shards: 1,
            page_slots: 256,
            offsets: scenario.offsets.clone(),
            assets: scenario.assets.clone(),
        };
        platform
            .run(&[instruction::create_platform(&platform.payer.pubkey(), &settings)], &[&platform.payer])
            .expect("a platform");
        let (admin, addresses) = (platform.admin.pubkey(), &platform.addresses);
        let key = platform.oracle.pubkey();
        let register = instruction::register_oracle_key(&admin, addresses, &key, Timestamp(0), Timestamp(0));
        platform.run(&[register], &[&platform.admin]).expect("an oracle key");

        let terms = Terms::new(&scenario.offsets, Seconds(scenario.max_lateness), &scenario.assets);
        let mut replay = Replay::new(terms);
        replay.ledger_mut().set_funds(AssetId(3), Amount(0));
        for rule in &scenario.rules {
            platform.publish(rule, 0).expect("a rule");
            replay.ledger_mut().publish(rule, Timestamp(0)).expect("a rule");
        }
        let looked = chain.tip();
        Self { platform, replay, paid: HashMap::new(), looked }
    }

    pub fn take(&mut self, step: &Step, seen: &mut Seen) -> Difference {
        self.platform.chain.set_clock(Some(step.now));
        let now = Timestamp(step.now);
        match &step.what {
            What::Payments(payments) => self.payments(payments, now, seen),
            What::Refund(refund) => self.refund(refund, now, seen),
            What::Redemption(redemption) => self.redemption(redemption, now, seen),
            What::RedemptionOfAll(redemption) => {
                let balances = self.replay.balances(&redemption.user);
                let amount = redemption.asset.slot().map_or(Amount(0), |slot| balances[slot].total());
                self.redemption(&Redemption { amount, ..*redemption }, now, seen)
            }
            What::Publish(rule) => {
                let chain = self.platform.publish(rule, now.0).map_err(|error| error.to_string());
                let replay = self.replay.ledger_mut().publish(rule, now).map_err(|error| error.to_string());
                self.skip();
                same("publishing", &chain.is_ok(), &replay.is_ok())
            }
            What::End(rule) => {
                let (admin, addresses) = (self.platform.admin.pubkey(), &self.platform.addresses);
                let end = instruction::end_rule(&admin, addresses, RuleId(*rule), now);
                let chain = self.platform.run(&[end], &[&self.platform.admin]);
                let replay = self.replay.ledger_mut().end_rule(RuleId(*rule), now);
                self.skip();
                same("ending", &chain.is_ok(), &replay.is_ok())
            }
        }
    }

    fn payments(&mut self, payments: &[Payment], now: Timestamp, seen: &mut Seen) -> Difference {
        let chain = self.platform.pay(payments);
        let mut recorded = self.news();
        let mut refused = refusals(&chain)?;
        for payment in payments {
            match self.replay.pay(payment, now) {
                Ok(decided) => {
                    for expected in decided.expired {
                        seen.expired += 1;
                        same("expired", &recorded.next().map(|event| expired(&event)), &Some(Some(*expected)))?;
                    }
                    let Some(Event::PaymentRecorded(event)) = recorded.next() else {
                        return Err(format!("core accepts order {}, the program did not", payment.order));
                    };
                    same("the order", &event.order, &payment.order.0)?;
                    same("the outcomes", &event.outcomes, &entries(decided.outcomes))?;
                    decided.outcomes.iter().for_each(|outcome| *seen.reasons.entry(outcome.reason).or_default() += 1);
                    self.paid.insert(payment.order.0, *payment);
                }
                Err(refusal) => {
                    *seen.refusals.entry(refusal).or_default() += 1;
                    let name = if refused.is_empty() { None } else { Some(refused.remove(0)) };
                    same("the refusal", &name.as_deref(), &Some(refusal.name()))?;
                }
            }
        }
        nothing_left(&mut recorded)
    }

    fn refund(&mut self, refund: &Refund, now: Timestamp, seen: &mut Seen) -> Difference {
        let Some(paid) = self.paid.get(&refund.of.0).copied() else {
            // Nobody can prove an order that was never recorded.
            let refused = self.replay.refund(refund, now).expect_err("an order that was never recorded");
            *seen.refusals.entry(refused).or_default() += 1;
            return Ok(());
        };
        let chain = self.platform.refund(refund, &paid);
        let mut recorded = self.news();
        let mut refused = refusals(&chain)?;
        match self.replay.refund(refund, now) {
            Ok(decided) => {
                for expected in decided.expired {
                    seen.expired += 1;
                    same("expired", &recorded.next().map(|event| expired(&event)), &Some(Some(*expected)))?;
                }
                let Some(Event::RefundRecorded(event)) = recorded.next() else {
                    return Err(format!("core accepts refund {}, the program did not: {chain:?}", refund.order));
                };
                same("the order", &(event.order, event.of), &(refund.order.0, refund.of.0))?;
                same("the outcomes", &event.outcomes, &entries(decided.outcomes))?;
                for outcome in decided.outcomes {
                    *seen.reasons.entry(outcome.reason).or_default() += 1;
                    seen.debts += u64::from(outcome.before.0 - outcome.after.0 < outcome.amount.0);
                }
            }
            Err(refusal) => {
                *seen.refusals.entry(refusal).or_default() += 1;
                same("the refusal", &refused.pop().as_deref(), &Some(refusal.name()))?;
            }
        }
        nothing_left(&mut recorded)
    }

    fn redemption(&mut self, redemption: &Redemption, now: Timestamp, seen: &mut Seen) -> Difference {
        let chain = self.platform.redeem(redemption);
        let mut recorded = self.news();
        let mut refused = refusals(&chain)?;
        match self.replay.redeem(redemption, now) {
            Ok(redeemed) => {
                for expected in redeemed.expired {
                    seen.expired += 1;
                    same("expired", &recorded.next().map(|event| expired(&event)), &Some(Some(*expected)))?;
                }
                let Some(Event::Redeemed(event)) = recorded.next() else {
                    return Err(format!("core accepts redemption {}, the program did not", redemption.order));
                };
                same("the balances", &(event.before, event.after), &(redeemed.before.0, redeemed.after.0))?;
            }
            Err(refusal) => {
                *seen.refusals.entry(refusal).or_default() += 1;
                same("the refusal", &refused.pop().as_deref(), &Some(refusal.name()))?;
            }
        }
        nothing_left(&mut recorded)
    }

    /// Events that were emitted since the last look.
    fn news(&mut self) -> std::vec::IntoIter<Event> {
        let tip = self.platform.chain.tip();
        let news = self.platform.events_between(self.looked + 1, tip);
        self.looked = tip;
        news.into_iter().map(|emitted| emitted.event).collect::<Vec<_>>().into_iter()
    }

    /// Every event since the platform was created.
    pub fn history(&self) -> Vec<Event> {
        self.platform.events_of()
    }

    fn skip(&mut self) {
        let _seen = self.news();
    }

    /// Balances, debts, counters and totals at the end.
    pub fn compare_state(&self) -> Difference {
        for user in [1u8, 2, 3].map(|user| UserKey([user; 32])) {
            let Some(data) = self.platform.data(&self.platform.addresses.user(&user)) else { continue };
            let state = UserState::decode(&data).expect("a user's account");
            same("the balances", &state.balances, &self.replay.balances(&user))?;
            let own = rebate_core::units::ScopeId(0);
            let kept = by_rule(self.replay.counters(&user, Scope::User, own));
            same("the user's counters", &by_rule(&state.counters), &kept)?;
            for scope in [Scope::UserStreamer, Scope::UserSession] {
                for id in (0..3).map(rebate_core::units::ScopeId) {
                    let Some(data) = self.platform.data(&self.platform.addresses.counter(&user, scope, id)) else {
                        continue;
                    };
                    let (_, counters) = Counter::decode_with_counters(&data).expect("counters");
                    let kept = by_rule(self.replay.counters(&user, scope, id));
                    same("the scope's counters", &by_rule(&counters), &kept)?;
                }
            }
        }
        same("the rules", &self.platform.rule_book().1.as_slice(), &self.replay.ledger().rules())?;
        self.platform.recompute().map_err(|why| format!("recomputed from its transactions alone: {why}"))
    }
}

fn by_rule(counters: &[Counters]) -> BTreeMap<RuleId, Counters> {
    counters.iter().filter(|counters| !counters.is_free()).map(|counters| (counters.rule, *counters)).collect()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, chain: &T, core: &T) -> Difference {
    if chain == core { Ok(()) } else { Err(format!("{what}: on chain {chain:?}\nby core {core:?}")) }
}

fn nothing_left(recorded: &mut impl Iterator<Item = Event>) -> Difference {
    recorded.next().map_or(Ok(()), |event| Err(format!("the program accepted what core does not: {event:?}")))
}

/// The reasons for which records of a message were refused.
fn refusals(chain: &Result<Executed, SubmitError>) -> Result<Vec<String>, String> {
    let logs = match chain {
        Ok(executed) => &executed.landed.logs,
        Err(SubmitError::Refused { logs, .. }) => logs,
        Err(other) => return Err(other.to_string()),
    };
    let refused: Vec<_> = recorder::refusals(logs).into_iter().map(|(_, reason)| reason).collect();
    match chain {
        Err(error) if refused.is_empty() => Err(format!("{error}: {logs:?}")),
        _ => Ok(refused),
    }
}

fn expired(event: &Event) -> Option<Expired> {
    match event {
        Event::BalanceExpired(event) => Some(Expired {
            asset: AssetId(event.asset),
            amount: Amount(event.amount),
            before: Amount(event.before),
            after: Amount(event.after),
        }),
        _ => None,
    }
}

fn entries(outcomes: &[Outcome]) -> Vec<OutcomeEntry> {
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
