//! The platform that things happen to, another one beside it, and everybody who has to do with them.

use super::{
    action::Action,
    books::Books,
    invariants::{self, Named},
    step::{Scenario, Step},
};
use crate::coverage::reached;
use rebate_client::{
    account::Platform,
    address::Addresses,
    chain::ReadAccounts,
    event::{AssetEntry, EffectEntry, Event, OffsetEntry, PaymentRecorded, RefundRecorded, RuleDefinition},
    instruction,
};
use rebate_core::{
    payment::Payment,
    rule::GroupMode,
    units::{Amount, AssetId, Timestamp, UserKey},
};
use rebate_tests::{
    beside::said,
    draw::{Draw, rule},
    platform::{NOON, TestPlatform, always, asset, first_recharge, payment, settings},
    token::{SPL_TOKEN, TestToken},
};
use solana_keypair::Keypair;
use solana_program::{instruction::Instruction, pubkey::Pubkey};
use solana_signer::Signer;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

/// The token of the platform.
pub const COIN: AssetId = AssetId(3);

/// How many tokens who deposits has at first.
const COINS: u64 = 1_000_000;

/// What every scenario begins with.
struct Template {
    /// With the platform beside; the one that things happen to is created for each scenario.
    beside: TestPlatform,
    coin: TestToken,
    people: Vec<Keypair>,
    purses: Vec<Pubkey>,
}

static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
    let start = TestPlatform::start();
    // Every run has the same people.
    let people: Vec<_> = (1..=7).map(|number| Keypair::new_from_array([number; 32])).collect();
    people.iter().for_each(|person| start.fund(&person.pubkey()));
    let coin = TestToken::new(&start, SPL_TOKEN);
    let purses = people.iter().map(|person| coin.account_with(&start, &person.pubkey(), COINS)).collect();
    let beside = start.beside(2, |settings| settings.assets = vec![asset("coins"), coin.entry("tokens")]);
    beside.publish(&first_recharge(), 0).expect("a rule");
    beside.pay(&[payment("beside", "beside", 1_000)]).expect("a payment");
    let open = instruction::open_vault(&beside.payer.pubkey(), &beside.addresses, AssetId(2), &coin.token);
    beside.as_payer(&open).expect("a vault");
    Template { beside, coin, people, purses }
});

pub struct Stage {
    pub platform: TestPlatform,
    pub beside: TestPlatform,
    pub coin: TestToken,
    /// Who may sign: first the payer, the admin, the pauser, the oracle.
    pub people: Vec<Keypair>,
    /// A token account of each.
    pub purses: Vec<Pubkey>,
    /// How the groups of rules compete.
    pub modes: [GroupMode; 4],
    /// Whether pages are opened with so little room that they fill.
    pub small_pages: bool,
    /// The clock.
    pub now: i64,
    /// What was paid and accepted, in order.
    pub paid: Vec<Payment>,
    /// What was sent.
    pub sent: Vec<Action>,
    /// Every address that was named, in order.
    pub known: Vec<Pubkey>,
    pub books: Books,
    /// The slot up to which events were looked at.
    looked: u64,
}

pub const PAYER: usize = 0;
pub const ADMIN: usize = 1;
pub const PAUSER: usize = 2;
pub const ORACLE: usize = 3;

impl Stage {
    pub fn set(scenario: &Scenario) -> Self {
        let Template { beside, coin, people, purses } = &*TEMPLATE;
        let chain = beside.chain.fork();
        chain.set_clock(Some(NOON));
        let person = |at: usize| people[at].insecure_clone();
        let beside = TestPlatform {
            chain: chain.clone(),
            payer: beside.payer.insecure_clone(),
            admin: beside.admin.insecure_clone(),
            pauser: beside.pauser.insecure_clone(),
            oracle: beside.oracle.insecure_clone(),
            ..*beside
        };
        let platform = TestPlatform {
            since: chain.tip(),
            chain,
            addresses: Addresses::of(3),
            payer: person(PAYER),
            admin: person(ADMIN),
            pauser: person(PAUSER),
            oracle: person(ORACLE),
        };
        let mut settings = settings(3, &platform.admin.pubkey(), &platform.pauser.pubkey());
        settings.timelock = scenario.timelock;
        settings.max_lateness = 3 * 86_400;
        settings.order_shards = scenario.order_shards;
        settings.page_slots = if scenario.small_pages { 8 } else { 256 };
        settings.offsets = vec![OffsetEntry { from: 0, seconds: 5 * 3_600 + 1_800 }];
        let expiry_months = scenario.expiry_months;
        let coins = AssetEntry { expiry_months, ..coin.entry("tokens") };
        let cups = AssetEntry { kind: 3, expiry_months, ..asset("cups") };
        settings.assets = vec![AssetEntry { expiry_months, ..asset("points") }, cups, coins];
        platform.as_payer(&instruction::create_platform(&platform.payer.pubkey(), &settings)).expect("a platform");
        let (admin, oracle) = (platform.admin.pubkey(), platform.oracle.pubkey());
        let (since, until) = (Timestamp(0), Timestamp(0));
        let register = instruction::register_oracle_key(&admin, &platform.addresses, &oracle, since, until);
        platform.as_admin(&register).expect("an oracle key");

        let mut books = Books::open(&platform.platform());
        let mut rules: Vec<_> = scenario
            .lots
            .iter()
            .zip(1..)
            .map(|(lot, id)| rule(&mut Draw::of((*lot).into()), id, scenario.modes))
            .collect();
        if scenario.grants_tokens {
            let quarter = EffectEntry::Ratio { asset: COIN.0, bps: 2_500, min: 0, max: 0 };
            rules.push(RuleDefinition { group: 9, ..always(9, quarter) });
        }
        for rule in rules {
            platform.publish(&rule, 0).expect("a rule");
            books.publish(&rule, Timestamp(0));
        }
        if let Some(funds) = scenario.funds {
            let (payer, token) = (platform.payer.pubkey(), &coin.token);
            let open = instruction::open_vault(&payer, &platform.addresses, COIN, token);
            platform.as_payer(&open).expect("a vault");
            let purse = &purses[PAYER];
            let fill = instruction::deposit(&payer, &platform.addresses, COIN, token, purse, Amount(funds));
            platform.as_payer(&fill).expect("a deposit");
            books.see_vaults(&platform.platform());
        }
        let looked = platform.chain.tip();
        let mut stage = Self {
            coin: TestToken { token: coin.token, issuer: coin.issuer.insecure_clone() },
            people: people.iter().map(Keypair::insecure_clone).collect(),
            purses: purses.clone(),
            modes: scenario.modes,
            small_pages: scenario.small_pages,
            now: NOON,
            paid: Vec::new(),
            sent: Vec::new(),
            known: Vec::new(),
            books,
            looked,
            platform,
            beside,
        };
        stage.know_beside();
        stage
    }

    /// What belongs to the platform beside is known from the beginning: it comes in the place of the own.
    fn know_beside(&mut self) {
        let (beside, paid) = (self.beside.addresses, payment("beside", "beside", 1_000));
        let mut recorder = self.beside.recorder();
        self.beside.wait(recorder.look(&[paid])).expect("accounts");
        self.known = vec![
            beside.platform,
            beside.rule_book,
            beside.journal,
            beside.user(&paid.user),
            beside.vault(AssetId(2)),
            self.coin.token.mint,
            self.platform.addresses.platform,
            self.platform.addresses.rule_book,
            self.platform.addresses.journal,
            rebate_client::address::PROGRAM,
            rebate_client::address::SYSTEM,
        ];
        self.known.extend(recorder.pages_of(&paid.order, paid.paid_at));
        self.known.extend(self.people.iter().map(Signer::pubkey));
        self.known.extend(&self.purses);
    }

    /// Tries a step; says what became of it. Whatever that is, what must hold holds.
    pub fn take(&mut self, step: &Step) -> &'static str {
        if let super::step::What::Wait(seconds) = step.what {
            self.now += seconds;
            self.platform.chain.set_clock(Some(self.now));
            return "later";
        }
        let Some(mut action) = Action::of(self, step) else { return "nothing to do" };
        if let Some(twist) = &step.twist.0 {
            action.twist(twist, &self.known);
        }
        let said = self.submit(&action);
        self.sent.push(action);
        said
    }

    /// What must hold at the end.
    pub fn end(&self) {
        self.platform.assert_sound();
        self.beside.assert_sound();
        self.books.compare_state(&self.platform);
        for platform in [&self.platform, &self.beside] {
            let recomputed = platform.recompute();
            assert_eq!(recomputed, Ok(()), "recomputed from its transactions alone");
        }
    }

    fn submit(&mut self, action: &Action) -> &'static str {
        let mut signers = vec![&self.people[PAYER]];
        for account in action.instructions.iter().flat_map(|instruction| &instruction.accounts) {
            let signer = self.people.iter().find(|person| account.is_signer && person.pubkey() == account.pubkey);
            signers.extend(signer.filter(|signer| signers.iter().all(|other| other.pubkey() != signer.pubkey())));
        }
        let signed_by: BTreeSet<_> = signers.iter().map(|signer| signer.pubkey().to_bytes()).collect();
        let named: BTreeSet<_> = action
            .instructions
            .iter()
            .flat_map(|instruction| instruction.accounts.iter().map(|account| account.pubkey))
            .chain([self.people[PAYER].pubkey()])
            .collect();

        let terms = self.platform.platform();
        let before = self.look_at(&named);
        let result = self.platform.run(&action.instructions, &signers);
        let after = self.look_at(&named);
        let events = self.news();
        for address in named {
            if !self.known.contains(&address) {
                self.known.push(address);
            }
        }

        let payer = self.people[PAYER].pubkey();
        match &result {
            Err(_) => {
                assert!(events.is_empty(), "a failed transaction emits nothing");
                invariants::nothing_changed(&before, &after, &payer);
            }
            Ok(_) => {
                invariants::lamports_are_where_they_belong(&before, &after, &payer, &signed_by);
                invariants::accounts_are_sound(&after);
                self.assert_terms(&terms);
            }
        }
        let paid = self.books.follow(action, &result, &events, &terms, &signed_by, Timestamp(self.now), &self.platform);
        self.paid.extend(paid);
        if !events.is_empty() {
            self.platform.assert_sound();
            self.books.assert_limits(&self.platform);
        }
        self.assert_vault();
        self.reached(action, &events, result.as_ref().map_or(0, |executed| executed.compute_units));
        let said = said(result);
        for Instruction { data, .. } in &action.instructions {
            reached((data.first_chunk::<8>(), said));
        }
        said
    }

    /// How far a transaction came: which instructions did what, and by a way of about which length.
    fn reached(&self, action: &Action, events: &[Event], compute_units: u64) {
        // To an eighth of the power of two below.
        let length = compute_units.checked_ilog2().map_or(0, |log| compute_units >> log.saturating_sub(3));
        let length = (compute_units.checked_ilog2(), length);
        for Instruction { data, .. } in &action.instructions {
            reached((data.first_chunk::<8>(), length));
        }
        for event in events {
            reached(event.name());
            if let Event::PaymentRecorded(PaymentRecorded { outcomes, .. })
            | Event::RefundRecorded(RefundRecorded { outcomes, .. }) = event
            {
                outcomes.iter().for_each(|outcome| reached((event.name(), outcome.reason)));
            }
        }
    }

    fn look_at(&self, named: &BTreeSet<Pubkey>) -> Named {
        let look = |address: &Pubkey| {
            let account = self.platform.wait(self.platform.chain.account(address)).expect("the chain answers");
            account.map(|account| (*address, account))
        };
        named.iter().filter_map(look).collect::<BTreeMap<_, _>>()
    }

    /// The platform's events since the last look.
    fn news(&mut self) -> Vec<Event> {
        let tip = self.platform.chain.tip();
        let news = self.platform.events_between(self.looked + 1, tip);
        self.looked = tip;
        let own = self.platform.addresses.platform.to_bytes();
        news.into_iter().map(|emitted| emitted.event).filter(|event| event.platform() == own).collect()
    }

    /// What never goes back.
    fn assert_terms(&self, before: &Platform) {
        let after = self.platform.platform();
        assert!(after.open_from >= before.open_from, "a closed day was opened again");
        assert!(after.last_opened >= before.last_opened);
        assert!(after.assets().len() >= before.assets().len());
        assert_eq!(after.id, before.id);
        for (asset, before) in after.assets().iter().zip(before.assets()) {
            let kept =
                |asset: &rebate_client::account::Asset| (asset.name, asset.kind, asset.expiry_months, asset.mint);
            assert_eq!(kept(asset), kept(before), "an asset became another one");
            assert!(asset.has_vault >= before.has_vault);
        }
    }

    /// A vault has what users have a claim to.
    fn assert_vault(&self) {
        let asset = *self.platform.platform().asset(COIN).expect("the token");
        if asset.has_vault != 0 {
            let holds = self.coin.balance(&self.platform, &self.platform.addresses.vault(COIN));
            assert!(holds >= asset.liability.0, "the vault holds {holds}, users have {}", asset.liability.0);
            assert!(holds >= asset.funds.0, "the vault holds {holds}, the platform counts on {}", asset.funds.0);
        } else {
            assert_eq!((asset.liability.0, asset.funds.0), (0, 0), "there is no vault");
        }
    }

    /// The key of one of a few users.
    pub fn user(&self, number: u8) -> UserKey {
        UserKey([number + 1; 32])
    }
}
