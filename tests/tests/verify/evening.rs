//! A platform on which everything happened that a user can come across, and what `rebate verify` prints of it.

use crate::node::Node;
use rebate_cli::verify::{Databases, Shown, Verification, verify_all, verify_order};
use rebate_client::{
    event::{EffectEntry, RuleDefinition},
    instruction,
    verify::recomputation::Files,
};
use rebate_core::{
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    units::{Amount, AssetId, OrderHash, Timestamp},
    window::Scope,
};
use rebate_tests::{
    platform::{NOON, TestPlatform, always, first_recharge, payment, weekend_bonus},
    token::{SPL_TOKEN, TestToken, TokenPlatform},
};
use std::time::Duration;

/// An order of each kind: a payment that was refunded in part, the refund, a payment of tokens, a redemption.
pub const ORDERS: [&str; 4] = ["A1", "R1", "A2", "D1"];

pub struct Evening {
    pub t: TokenPlatform,
}

impl Evening {
    /// With coins (asset 1) by two rules and tokens (asset 2) by a third.
    pub fn play() -> Self {
        let all = always(3, EffectEntry::Ratio { asset: 2, bps: 1_000, min: 0, max: 0 });
        let t = TokenPlatform::granting(|platform| TestToken::new(platform, SPL_TOKEN), 0, &all);
        let streamers = RuleDefinition {
            scope: Scope::UserStreamer as u8,
            // None of the users here are held out.
            holdout_bps: 1,
            ..always(4, EffectEntry::Fixed { asset: 1, amount: 7 })
        };
        for rule in [first_recharge(), weekend_bonus(), streamers] {
            t.platform.publish(&rule, 0).expect("a rule");
        }
        t.fill(10_000);
        let paid = payment("A1", "amy", 5_000);
        t.platform.pay(&[paid, payment("A2", "ben", 7_000), payment("A3", "amy", 1_234)]).expect("payments");
        let (wallet, account) = t.wallet("ben");
        // Somebody sends the vault something past the program, which the claim counts.
        t.coin.mint_to(&t.platform, &t.vault(), 77);
        t.claim("ben", &wallet, &account, 300).expect("a claim");
        let refund = Refund {
            order: OrderHash::of("R1"),
            of: OrderHash::of("A1"),
            amount: Amount(2_500),
            paid_at: Timestamp(NOON),
        };
        t.platform.refund(&refund, &paid).expect("a refund");
        let redemption = Redemption {
            order: OrderHash::of("D1"),
            user: paid.user,
            asset: AssetId(1),
            amount: Amount(40),
            redeemed_at: Timestamp(NOON),
        };
        t.platform.redeem(&redemption).expect("a redemption");
        t.platform
            .pay(&[Payment { streamer: 9, session: 10, tier: 2, segments: 5, ..payment("A4", "cat", 99) }])
            .expect("a payment");
        let expire = instruction::expire_balances(t.addresses(), &paid.user);
        t.platform.as_payer(&expire).expect("anybody may");
        Self { t }
    }

    pub fn platform(&self) -> &TestPlatform {
        &self.t.platform
    }

    pub fn node(&self) -> Node {
        Node::of(self.platform().chain.clone())
    }
}

pub fn verification(platform: &TestPlatform) -> Verification {
    let patience = Some(Duration::from_millis(300));
    Verification { platform: platform.addresses.platform, cluster: None, files: Files::default(), patience }
}

/// What came of it: what was printed, and the error if there was one.
pub struct Said {
    pub out: String,
    pub error: Option<String>,
}

impl Said {
    #[track_caller]
    pub fn assert_right(&self) {
        assert_eq!(self.error, None, "{}", self.out);
        assert!(self.out.contains('✓') && !self.out.contains('✗'), "{}", self.out);
    }

    /// It failed, and each of these is in a line that says what.
    #[track_caller]
    pub fn assert_wrong(&self, what: &[&str]) {
        let error = self.error.as_deref().unwrap_or_else(|| panic!("nothing was found wrong:\n{}", self.out));
        for what in what {
            assert!(self.out.contains(what) || error.contains(what), "{what:?} is not said:\n{}\n{error}", self.out);
        }
    }
}

fn wait<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(answer)
}

pub fn order(verification: &Verification, node: Node, order: &str) -> Said {
    let mut out = Vec::new();
    let result = wait(verify_order(node, verification, order, &Shown::hidden(), &mut out));
    Said { out: String::from_utf8(out).unwrap(), error: result.err().map(|error| format!("{error:#}")) }
}

pub fn all(verification: &Verification, node: Node, databases: Option<Databases>) -> Said {
    wait(all_async(verification, node, databases))
}

pub async fn all_async(verification: &Verification, node: Node, databases: Option<Databases>) -> Said {
    let mut out = Vec::new();
    let result = verify_all(node, verification, databases, &Shown::hidden(), &mut out).await;
    Said { out: String::from_utf8(out).unwrap(), error: result.err().map(|error| format!("{error:#}")) }
}
