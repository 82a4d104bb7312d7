//! From a step to a transaction.

use super::{
    invariants::MOST_INSTRUCTIONS,
    stage::{ADMIN, COIN, ORACLE, PAUSER, PAYER, Stage},
    step::{self, Account, Govern, How, Page, Pay, Proof, Rarely, Rule, Step, Twist, Vault, What, When},
};
use rebate_client::{
    account::{Counter, OrderPage, Refund as RefundAccount},
    address::day_of,
    event::{AssetEntry, OffsetEntry},
    instruction::{self, PlatformSetting, RecordAccounts},
    oracle,
};
use rebate_core::{
    book,
    message::Record,
    order::shard,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    rule::Rule as BookRule,
    time,
    units::{Amount, AssetId, Day, JournalIndex, OrderHash, RuleId, ScopeId, Timestamp, UserKey},
    wallet::WalletLink,
    window::Scope,
};
use rebate_tests::{
    beside::TODAY,
    draw::{Draw, rule},
    platform::{asset, settings},
};
use solana_program::{
    instruction::{AccountMeta, Instruction},
    pubkey::Pubkey,
};
use solana_signer::Signer;
use solana_system_interface::instruction::transfer;

/// A record that an oracle signed for the platform.
#[derive(Clone, Copy, Debug)]
pub enum Signed {
    Payment(Payment),
    Refund(Refund),
    Redemption(Redemption),
    Link(WalletLink),
}

impl Signed {
    /// Its bytes in the message.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Payment(record) => record.encode(&mut bytes),
            Self::Refund(record) => record.encode(&mut bytes),
            Self::Redemption(record) => record.encode(&mut bytes),
            Self::Link(record) => record.encode(&mut bytes),
        }
        bytes
    }
}

/// A transaction.
#[derive(Clone, Debug)]
pub struct Action {
    pub instructions: Vec<Instruction>,
    /// What it carries to the platform, signed by `oracle`.
    pub records: Vec<Signed>,
    pub oracle: [u8; 32],
    /// Whether it arrives as it was meant.
    pub is_twisted: bool,
}

impl From<Instruction> for Action {
    fn from(instruction: Instruction) -> Self {
        Self { instructions: vec![instruction], records: Vec::new(), oracle: [0; 32], is_twisted: false }
    }
}

impl Action {
    /// What the step sends; `None` where there is nothing it could be about.
    pub fn of(stage: &Stage, step: &Step) -> Option<Self> {
        let by = step.by.0;
        match &step.what {
            What::Pay(pay) => Some(payments(stage, pay, by)),
            What::Refund(refund) => self::refund(stage, refund, by),
            What::Redeem(redeem) => Some(redemption(stage, redeem, by)),
            What::Link(link) => Some(self::link(stage, link, by)),
            What::Rule(rule) => about_rules(stage, rule, by),
            What::Page(page) => about_pages(stage, page, by).map(Into::into),
            What::Account(account) => about_accounts(stage, account, by).map(Into::into),
            What::Proof(proof) => about_proofs(stage, proof, by).map(Into::into),
            What::Vault(vault) => about_vaults(stage, vault, by).map(Into::into),
            What::Govern(govern) => Some(by_the_admin(stage, govern, by).into()),
            What::Again(which) => {
                let again = stage.sent.get(usize::from(*which) % stage.sent.len().max(1))?;
                Some(Self { is_twisted: true, ..again.clone() })
            }
            What::Wait(_) => None,
        }
    }

    /// Changes it on its way.
    pub fn twist(&mut self, twist: &Twist, known: &[Pubkey]) {
        self.is_twisted = true;
        let last = self.instructions.len() - 1;
        if let How::Double = twist.how {
            self.instructions.extend(self.instructions.clone());
            self.instructions.truncate(MOST_INSTRUCTIONS);
            return;
        }
        let at = if twist.first.0.is_some() { 0 } else { last };
        let Instruction { accounts, data, .. } = &mut self.instructions[at];
        let count = accounts.len();
        let place = |at: u8| usize::from(at) % count.max(1);
        let other = |with: u8| known[usize::from(with) % known.len()];
        match twist.how {
            How::Data { at, xor } => {
                let at = usize::from(at) % data.len().max(1);
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= xor;
                }
            }
            How::Cut { bytes } => data.truncate(data.len().saturating_sub(usize::from(bytes) + 1)),
            How::Longer { bytes } => data.resize(data.len() + usize::from(bytes) + 1, 0),
            How::Insert { at, with } => {
                accounts.insert(usize::from(at) % (count + 1), AccountMeta::new(other(with), false));
            }
            _ if count == 0 => {}
            How::Swap { at, with } => accounts[place(at)].pubkey = other(with),
            How::Exchange { at, with } => accounts.swap(place(at), place(with)),
            How::Twice { at, of } => accounts[place(at)] = accounts[place(of)].clone(),
            How::Without { at } => drop(accounts.remove(place(at))),
            How::Flags { at, signer, writable } => {
                let account = &mut accounts[place(at)];
                (account.is_signer, account.is_writable) = (signer, writable);
            }
            How::Double => {}
        }
    }
}

impl Stage {
    /// Who signs for a role: who has it, or somebody else.
    fn who(&self, by: Option<u8>, role: usize) -> Pubkey {
        let platform = self.platform.platform();
        let holder = match role {
            ADMIN => platform.admin.into(),
            PAUSER => platform.pauser.into(),
            _ => self.people[role].pubkey(),
        };
        by.map_or(holder, |by| self.people[usize::from(by) % self.people.len()].pubkey())
    }

    fn moment(&self, when: When) -> Timestamp {
        match when {
            When::Zero => Timestamp(0),
            When::FromNow(seconds) => Timestamp(self.now + seconds),
        }
    }

    fn before(&self, late: i64) -> Timestamp {
        Timestamp(self.now.saturating_sub(late))
    }

    fn day(&self, from_today: i64) -> Day {
        Day(u32::try_from(self.now.div_euclid(time::DAY) + from_today).unwrap_or(TODAY))
    }

    /// The accounts of the platform beside and of the own that `decode` knows, by address.
    fn opened<T>(&self, decode: impl Fn(&[u8]) -> Option<T>) -> Vec<(Pubkey, T)> {
        let opened = |address: &Pubkey| Some((*address, decode(&self.platform.data(address)?)?));
        self.known.iter().filter_map(opened).collect()
    }

    /// Which of the payments that were accepted.
    fn payment(&self, of: u8) -> Option<Payment> {
        self.paid.get(usize::from(of) % self.paid.len().max(1)).copied()
    }

    /// Opens a payment's first page with the least room, where there is none and one can be.
    fn open_small_page(&self, payment: &Payment) {
        let (payer, addresses) = (self.people[PAYER].pubkey(), &self.platform.addresses);
        let day = day_of(payment.paid_at);
        let shard = shard(&payment.order, self.platform.platform().order_shards(day));
        if self.platform.data(&addresses.order_page(day, shard, 0)).is_none() {
            let _ = self.platform.as_payer(&instruction::open_order_page(&payer, addresses, day, shard, 0, 8));
        }
    }

    /// Signs records as the oracle, or as somebody else.
    fn sign<R: Record>(&self, records: &[R], by: Option<u8>, platform: &Pubkey) -> oracle::SignedMessage {
        let key = &self.people[by.map_or(ORACLE, |by| usize::from(by) % self.people.len())];
        oracle::sign(key, platform, records).expect("a few records")
    }
}

/// An order is taken once for its day: the platform remembers orders by days. Order 0 is one that there never was.
fn order(stage: &Stage, number: u8, part: usize, at: Timestamp) -> OrderHash {
    let day = time::utc_day(at).unwrap_or(Day(0)).0;
    OrderHash::of(&match number {
        0 => format!("{} of {} on {day}", part, stage.sent.len()),
        _ => format!("{number} on {day}"),
    })
}

fn payments(stage: &Stage, pay: &Pay, by: Option<u8>) -> Action {
    let payments: Vec<_> = pay
        .payments
        .iter()
        .zip(0..)
        .map(|(paid, part)| {
            let paid_at = stage.before(paid.late);
            Payment {
                order: order(stage, paid.order, part, paid_at),
                user: stage.user(paid.user),
                amount: Amount(paid.amount),
                paid_at,
                product: paid.product.into(),
                streamer: paid.streamer.into(),
                session: paid.session.into(),
                tier: paid.tier,
                segments: paid.segments.into(),
            }
        })
        .collect();
    let mut recorder = stage.platform.recorder();
    // What cannot be opened is missing; then the program says so.
    let _ = if pay.unprepared.0.is_some() {
        stage.platform.wait(recorder.look(&payments))
    } else {
        if stage.small_pages {
            payments.iter().for_each(|payment| stage.open_small_page(payment));
        }
        stage.platform.wait(recorder.open_for(&payments))
    };
    let elsewhere = pay.elsewhere;
    let platform = if elsewhere { stage.beside.addresses.platform } else { stage.platform.addresses.platform };
    let signed = stage.sign(&payments, by, &platform);
    let records = if elsewhere { Vec::new() } else { payments.iter().copied().map(Signed::Payment).collect() };
    let oracle = signed.key;
    Action { instructions: recorder.instructions(&payments, &signed).into(), records, oracle, is_twisted: elsewhere }
}

fn refund(stage: &Stage, refund: &step::Refund, by: Option<u8>) -> Option<Action> {
    let paid = stage.payment(refund.of)?;
    let paid_at = stage.before(refund.late);
    let quarters = u128::from(refund.quarters) * u128::from(paid.amount.0) / 4;
    let record = Refund {
        order: order(stage, refund.order, 0, paid_at),
        of: paid.order,
        amount: Amount(u64::try_from(quarters).unwrap_or(u64::MAX)),
        paid_at,
    };
    let (platform, addresses) = (&stage.platform, &stage.platform.addresses);
    let mut recorder = platform.recorder();
    if refund.unprepared.0.is_none() {
        let _ = platform.wait(recorder.open_user_and_page(&paid.user, &record.order, paid_at));
        // Somebody else's proof may stand in the way.
        if platform.data(&addresses.refund(&paid.order)).is_none_or(|data| data.is_empty()) {
            platform.prove(&paid.order);
        }
    }
    let accounts = RecordAccounts {
        user: addresses.user(&paid.user),
        pages: recorder.pages_of(&record.order, paid_at),
        refund: Some(addresses.refund(&paid.order)),
        counters: recorder.counters_of_refund(&paid),
    };
    let signed = stage.sign(&[record], by, &addresses.platform);
    Some(Action {
        instructions: instruction::record_refunds(addresses, &[accounts], &signed).into(),
        records: vec![Signed::Refund(record)],
        oracle: signed.key,
        is_twisted: false,
    })
}

fn redemption(stage: &Stage, redeem: &step::Redeem, by: Option<u8>) -> Action {
    let (user, redeemed_at, asset) = (stage.user(redeem.user), stage.before(redeem.late), AssetId(redeem.asset));
    let all = || asset.slot().map_or(0, |slot| stage.books.balances(&user)[slot].total().0);
    let record = Redemption {
        order: order(stage, redeem.order, 0, redeemed_at),
        user,
        asset,
        amount: Amount(redeem.amount.unwrap_or_else(all)),
        redeemed_at,
    };
    let addresses = &stage.platform.addresses;
    let mut recorder = stage.platform.recorder();
    let _ = stage.platform.wait(recorder.open_user_and_page(&user, &record.order, redeemed_at));
    let pages = recorder.pages_of(&record.order, redeemed_at);
    let accounts = RecordAccounts { user: addresses.user(&user), pages, refund: None, counters: Vec::new() };
    let signed = stage.sign(&[record], by, &addresses.platform);
    Action {
        instructions: instruction::record_redemptions(addresses, &[accounts], &signed).into(),
        records: vec![Signed::Redemption(record)],
        oracle: signed.key,
        is_twisted: false,
    }
}

fn link(stage: &Stage, link: &step::Link, by: Option<u8>) -> Action {
    let record = WalletLink {
        user: stage.user(link.user),
        wallet: stage.people[4 + usize::from(link.wallet)].pubkey().to_bytes(),
        linked_at: stage.before(link.late),
    };
    let addresses = &stage.platform.addresses;
    let user = addresses.user(&record.user);
    let accounts = RecordAccounts { user, pages: Vec::new(), refund: None, counters: Vec::new() };
    let signed = stage.sign(&[record], by, &addresses.platform);
    Action {
        instructions: instruction::link_wallets(addresses, &[accounts], &signed).into(),
        records: vec![Signed::Link(record)],
        oracle: signed.key,
        is_twisted: false,
    }
}

fn about_rules(stage: &Stage, step: &Rule, by: Option<u8>) -> Option<Action> {
    let (admin, addresses) = (stage.who(by, ADMIN), &stage.platform.addresses);
    let (_, rules) = stage.platform.rule_book();
    let which = |which: u8| rules.get(usize::from(which) % rules.len().max(1));
    let drop_rule = |rule: &BookRule| instruction::drop_rule(&admin, addresses, rule.id, rule.version);
    let instruction = match *step {
        Rule::Publish { id, lot, from, version } => {
            let id = u16::from(id) + 1;
            let last = rules.iter().filter(|rule| rule.id.0 == id).map(|rule| rule.version.0).max();
            let mut rule = rule(&mut Draw::of(lot.into()), id, stage.modes);
            rule.version = version.0.unwrap_or_else(|| last.unwrap_or(0) + 1);
            instruction::publish_rule(&admin, addresses, &rule, stage.moment(from))
        }
        Rule::End { which: at, at: when } => {
            instruction::end_rule(&admin, addresses, which(at).map_or(RuleId(1), |rule| rule.id), stage.moment(when))
        }
        Rule::DropOver => {
            let open_from = Timestamp(i64::from(stage.platform.platform().open_from) * time::DAY);
            drop_rule(rules.iter().find(|rule| book::is_over(rule, open_from))?)
        }
        Rule::Drop { which: at } => drop_rule(which(at)?),
    };
    Some(instruction.into())
}

fn about_pages(stage: &Stage, step: &Page, by: Option<u8>) -> Option<Instruction> {
    let (payer, addresses) = (stage.who(by, PAYER), &stage.platform.addresses);
    let pages = stage.opened(|data| OrderPage::decode(data).ok());
    let page = |which: u8| pages.get(usize::from(which) % pages.len().max(1));
    Some(match step {
        Page::Open { at, slots } => {
            let (day, number) = (stage.day(at.day), at.number.into());
            instruction::open_order_page(&payer, addresses, day, at.shard.into(), number, *slots)
        }
        Page::Grow { which, slots } => {
            let (_, page) = page(*which)?;
            instruction::grow_order_page(&payer, addresses, Day(page.day), page.shard, page.number, *slots)
        }
        Page::CloseOver => {
            let platform = stage.platform.platform();
            let lateness = i64::from(platform.max_lateness.at(Timestamp(stage.now)));
            let is_over = |page: &OrderPage| (i64::from(page.day) + 1) * time::DAY + lateness <= stage.now;
            let own = |page: &OrderPage| page.platform == addresses.platform.to_bytes();
            let over = pages.iter().filter(|(_, page)| own(page) && is_over(page));
            let over: Vec<_> = over.map(|(address, page)| (*address, page.payer.into())).collect();
            instruction::close_order_pages(&payer, addresses, over.get(..over.len().min(10))?)
        }
        Page::Close { which } => {
            let pair = |which: &u8| page(*which).map(|(address, page)| (*address, page.payer.into()));
            let pages: Option<Vec<_>> = which.iter().map(pair).collect();
            instruction::close_order_pages(&payer, addresses, &pages?)
        }
    })
}

fn about_accounts(stage: &Stage, step: &Account, by: Option<u8>) -> Option<Instruction> {
    let (payer, addresses) = (stage.who(by, PAYER), &stage.platform.addresses);
    let counter = |which: u8| {
        let counters = stage.opened(|data| Counter::decode(data).ok());
        let (_, counter) = *counters.get(usize::from(which) % counters.len().max(1))?;
        let scope = Scope::from_number(counter.scope).expect("a scope");
        Some((UserKey(counter.user), scope, counter.scope_id, Pubkey::from(counter.payer)))
    };
    Some(match step {
        Account::OpenUser { user, slots } => instruction::open_user(&payer, addresses, &stage.user(*user), *slots),
        Account::GrowUser { user, slots } => instruction::grow_user(&payer, addresses, &stage.user(*user), *slots),
        Account::Expire { user } => instruction::expire_balances(addresses, &stage.user(*user)),
        Account::OpenCounter { at, slots } => {
            let scope = if at.of_session { Scope::UserSession } else { Scope::UserStreamer };
            let user = stage.user(at.user);
            instruction::open_counter(&payer, addresses, &user, scope, ScopeId(at.id.into()), *slots)
        }
        Account::GrowCounter { which, slots } => {
            let (user, scope, id, _) = counter(*which)?;
            instruction::grow_counter(&payer, addresses, &user, scope, id, *slots)
        }
        Account::CloseCounter { which } => {
            let (user, scope, id, opened_by) = counter(*which)?;
            instruction::close_counter(&payer, addresses, &user, scope, id, &opened_by)
        }
        Account::Gift { to } => {
            let to = stage.known[usize::from(*to) % stage.known.len()];
            transfer(&payer, &to, 2_000_000)
        }
    })
}

fn about_proofs(stage: &Stage, step: &Proof, by: Option<u8>) -> Option<Instruction> {
    let (payer, addresses) = (stage.who(by, PAYER), &stage.platform.addresses);
    let (Proof::Next { of }
    | Proof::Open { of, .. }
    | Proof::Write { of, .. }
    | Proof::Prove { of, .. }
    | Proof::Close { of }) = step;
    let order = stage.payment(*of)?.order;
    let tree = stage.platform.tree();
    let recorded = stage.platform.recorded();
    let index = JournalIndex(recorded.iter().find(|recorded| recorded.order == order.0)?.journal_index);
    let event = tree.event(index)?;
    let account = stage.platform.data(&addresses.refund(&order));
    let account = account.and_then(|data| RefundAccount::decode(&data).ok());
    let path = tree.path_to_peak(index)?;
    let next = |step: &Proof| match (step, account) {
        (Proof::Next { of }, None) => Proof::Open { of: *of, more: Rarely(None) },
        (Proof::Next { of }, Some(account)) if account.written < account.event_length => {
            Proof::Write { of: *of, bytes: u8::MAX, wrong: Rarely(None) }
        }
        (Proof::Next { of }, Some(_)) => Proof::Prove { of: *of, nodes: u8::MAX },
        (step, _) => *step,
    };
    Some(match next(step) {
        Proof::Open { more, .. } => {
            let length = u32::try_from(event.len()).ok()? + u32::from(more.0.unwrap_or(0));
            instruction::open_refund(&payer, addresses, &order, length)
        }
        Proof::Write { bytes, wrong, .. } => {
            let written = account.map_or(0, |account| account.written as usize);
            // Most events are shorter than four times that.
            let count = 4 * usize::from(bytes);
            let mut piece: Vec<_> = event.iter().skip(written).take(count).copied().collect();
            if let (Some(wrong), Some(byte)) = (wrong.0, piece.first_mut()) {
                *byte ^= wrong;
            }
            instruction::write_refund(&payer, addresses, &order, &piece)
        }
        Proof::Prove { nodes, .. } => {
            let climbed = account.map_or(0, |account| usize::from(account.height));
            let next: Vec<_> = path.iter().skip(climbed).take(usize::from(nodes)).copied().collect();
            instruction::prove_refund(&payer, addresses, &order, &next)
        }
        Proof::Close { .. } | Proof::Next { .. } => {
            let opened_by = account.map_or(payer, |account| account.payer.into());
            instruction::close_refund(&payer, addresses, &order, &opened_by)
        }
    })
}

fn about_vaults(stage: &Stage, step: &Vault, by: Option<u8>) -> Option<Instruction> {
    let (addresses, token) = (&stage.platform.addresses, &stage.coin.token);
    let purse = |owner: &Pubkey| {
        let place = stage.people.iter().position(|person| person.pubkey() == *owner).unwrap_or(PAYER);
        stage.purses[place]
    };
    Some(match step {
        Vault::Open => instruction::open_vault(&stage.who(by, PAYER), addresses, COIN, token),
        Vault::Deposit { amount } => {
            let owner = stage.who(by, PAYER);
            instruction::deposit(&owner, addresses, COIN, token, &purse(&owner), Amount(*amount))
        }
        Vault::Send { amount } => {
            let owner = stage.who(by, PAYER);
            stage.coin.transfer(&owner, &purse(&owner), &addresses.vault(COIN), (*amount).into())
        }
        Vault::Claim { user, amount } => {
            let user = stage.books.linked(*user, COIN)?;
            let wallet = stage.platform.user_of(&user).user.wallet.into();
            let wallet = by.map_or(wallet, |by| stage.who(Some(by), PAYER));
            instruction::claim(&wallet, addresses, &user, COIN, token, &purse(&wallet), Amount(*amount))
        }
        Vault::Withdraw { amount } => {
            let admin = stage.who(by, ADMIN);
            instruction::withdraw_surplus(&admin, addresses, COIN, token, &purse(&admin), Amount(*amount))
        }
    })
}

fn by_the_admin(stage: &Stage, step: &Govern, by: Option<u8>) -> Instruction {
    let (admin, addresses) = (stage.who(by, ADMIN), &stage.platform.addresses);
    let person = |number: u8| stage.people[usize::from(number) % stage.people.len()].pubkey();
    match *step {
        Govern::Pause(paused) => instruction::set_paused(&stage.who(by, PAUSER), addresses, paused),
        Govern::MaxLateness { seconds, from } => {
            let from = stage.moment(from);
            instruction::change_setting(&admin, addresses, PlatformSetting::MaxLateness, seconds, from)
        }
        Govern::Timelock { seconds, from } => {
            let from = stage.moment(from);
            instruction::change_setting(&admin, addresses, PlatformSetting::Timelock, seconds, from)
        }
        Govern::Shards { day, shards, page_slots } => {
            instruction::set_order_shards(&admin, addresses, stage.day(day), shards.into(), page_slots)
        }
        Govern::Offset { from, seconds } => {
            let from = stage.moment(from).0;
            instruction::add_utc_offset(&admin, addresses, OffsetEntry { from, seconds })
        }
        Govern::Asset { kind, from } => {
            let mint = if kind == 2 { [9; 32] } else { [0; 32] };
            let entry = AssetEntry { kind, mint, ..asset("more") };
            instruction::add_asset(&admin, addresses, &entry, stage.moment(from))
        }
        Govern::Register { key, from, until } => {
            let (from, until) = (stage.moment(from), stage.moment(until));
            instruction::register_oracle_key(&admin, addresses, &person(key), from, until)
        }
        Govern::Retire { key, until } => {
            instruction::retire_oracle_key(&admin, addresses, &person(key), stage.moment(until))
        }
        Govern::Propose { next } => instruction::propose_admin(&admin, addresses, &person(next)),
        Govern::Accept => {
            let next = stage.platform.platform().next_admin.into();
            instruction::accept_admin(&by.map_or(next, |by| stage.who(Some(by), ADMIN)), addresses)
        }
        Govern::Pauser { next } => instruction::set_pauser(&admin, addresses, &person(next)),
        Govern::Create => instruction::create_platform(&stage.who(by, PAYER), &settings(3, &admin, &admin)),
    }
}
