//! Whatever happens, in whatever order, a vault holds at least what users have of it.

use proptest::prelude::*;
use rebate_client::platform_id;
use rebate_core::{
    payment::Payment,
    refund::Refund,
    units::{Amount, OrderHash, Timestamp},
};
use rebate_tests::{
    platform::{NOON, payment},
    token::{SPL_TOKEN, TOKEN_2022, TestToken, TokenPlatform, one_for_one},
};
use solana_keypair::Keypair;
use solana_program::pubkey::Pubkey;
use solana_signer::Signer;

const USERS: [&str; 3] = ["u1", "u2", "u3"];
const MONTH: i64 = 31 * 86_400;

#[derive(Clone, Debug)]
enum Step {
    Deposit(u64),
    /// To the vault, past the program.
    Send(u64),
    Pay(usize, u64),
    /// The n-th payment accepted, or as much of it.
    Refund(prop::sample::Index, u64),
    Claim(usize, u64),
    Withdraw(u64),
    MonthsPass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let (amount, user) = (0..1_000u64, 0..USERS.len());
    prop_oneof![
        2 => amount.clone().prop_map(Step::Deposit),
        1 => amount.clone().prop_map(Step::Send),
        4 => (user.clone(), amount.clone()).prop_map(|(user, amount)| Step::Pay(user, amount)),
        2 => (any::<prop::sample::Index>(), amount.clone()).prop_map(|(which, amount)| Step::Refund(which, amount)),
        4 => (user, amount.clone()).prop_map(|(user, amount)| Step::Claim(user, amount)),
        2 => amount.prop_map(Step::Withdraw),
        1 => (1..3i64).prop_map(Step::MonthsPass),
    ]
}

struct World {
    t: TokenPlatform,
    now: i64,
    wallets: Vec<(Keypair, Pubkey)>,
    admins: Pubkey,
    paid: Vec<Payment>,
    orders: u64,
    /// What was minted into the vault's reach.
    minted: u64,
}

impl World {
    fn new(program: Pubkey) -> Self {
        let t = TokenPlatform::granting(|platform| TestToken::new(platform, program), 1, &one_for_one());
        let mut paid = Vec::new();
        let wallets = USERS.iter().map(|user| {
            paid.push(t.pay(user, 1));
            t.wallet(user)
        });
        let wallets = wallets.collect();
        let admins = t.coin.account(&t.platform, &t.platform.admin.pubkey());
        Self { t, now: NOON, wallets, admins, paid, orders: 0, minted: 0 }
    }

    fn order(&mut self) -> String {
        self.orders += 1;
        format!("order {}", self.orders)
    }

    /// Takes a step, or has it refused.
    fn take(&mut self, step: &Step) {
        match step {
            Step::Deposit(amount) => {
                self.t.fill(*amount);
                self.minted += amount;
            }
            Step::Send(amount) => {
                self.t.coin.mint_to(&self.t.platform, &self.t.vault(), *amount);
                self.minted += amount;
            }
            Step::Pay(user, amount) => {
                let paid = Payment { paid_at: Timestamp(self.now), ..payment(&self.order(), USERS[*user], *amount) };
                if self.t.platform.pay(&[paid]).is_ok() {
                    self.paid.push(paid);
                }
            }
            Step::Refund(which, amount) => {
                let paid = *which.get(&self.paid);
                let order = OrderHash::of(&self.order());
                let (amount, paid_at) = (Amount(paid.amount.0.min(*amount)), Timestamp(self.now));
                let _ = self.t.platform.refund(&Refund { order, of: paid.order, amount, paid_at }, &paid);
            }
            Step::Claim(user, amount) => {
                let (wallet, account) = &self.wallets[*user];
                let before = self.t.coin.balance(&self.t.platform, account);
                let had = self.t.has(USERS[*user]);
                if self.t.claim(USERS[*user], wallet, account, *amount).is_ok() {
                    let got = self.t.coin.balance(&self.t.platform, account) - before;
                    assert!(got > 0 && got <= had && (*amount == 0 || got == *amount));
                }
            }
            Step::Withdraw(amount) => {
                let _ = self.t.withdraw(&self.admins, *amount);
            }
            Step::MonthsPass(months) => {
                self.now += months * MONTH;
                self.t.platform.chain.set_clock(Some(self.now));
            }
        }
    }

    fn check(&self) {
        let (t, platform) = (&self.t, &self.t.platform);
        let (funds, liability) = t.books();
        let users: u64 = USERS.iter().map(|user| t.has(user)).sum();
        assert_eq!(liability, users, "what users have is owed to them");
        assert!(t.holds() >= liability && funds >= liability && t.holds() >= funds);
        let accounts = self.wallets.iter().map(|(_, account)| account).chain([&self.admins]);
        let paid_out: u64 = accounts.map(|account| t.coin.balance(platform, account)).sum();
        assert_eq!(t.holds() + paid_out, self.minted, "nothing comes from nowhere, and nothing is lost");
    }

    /// All that users have can be claimed, and the rest withdrawn.
    fn end(&self) {
        let t = &self.t;
        for (user, (wallet, account)) in USERS.iter().zip(&self.wallets) {
            let _ = t.claim(user, wallet, account, 0);
            let key = platform_id::unkeyed_user(user);
            let left = t.platform.user_of(&key).balances[1].total().0;
            assert!(left == 0 || self.expired(user), "{user} has {left} left");
        }
        let _ = t.withdraw(&self.admins, 0);
        let left: u64 = USERS.iter().map(|user| t.has(user)).sum();
        assert_eq!((t.holds(), t.books()), (left, (left, left)));
    }

    /// Whether what a user has left is gone once somebody looks.
    fn expired(&self, user: &str) -> bool {
        let payer = &self.t.platform.payer;
        let key = platform_id::unkeyed_user(user);
        let expire = rebate_client::instruction::expire_balances(self.t.addresses(), &key);
        self.t.platform.run(&[expire], &[payer]).expect("anybody may");
        self.t.has(user) == 0
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_vault_holds_what_users_have(
        program in prop::sample::select(vec![SPL_TOKEN, TOKEN_2022]),
        steps in prop::collection::vec(step(), 10..40),
    ) {
        let mut world = World::new(program);
        for step in &steps {
            world.take(step);
            world.check();
        }
        prop_assert_eq!(world.t.platform.recompute(), Ok(()), "recomputed, whatever was sent past the program");
        world.end();
        world.check();
        prop_assert_eq!(world.t.platform.recompute(), Ok(()));
    }
}
