//! The evening itself, record by record.
//!
//! The payment provider tells the oracle of payments and refunds, the platform's server has redemptions and wallets recorded.
//! What the oracle turns away is handed to the program all the same, signed with the oracle's key: the program relies on nobody.

use super::{
    api::{Api, Entry, Order},
    expected::{self, Expected},
    oracle::{Answer, Counter},
    show::{Line, Show},
    tally::Tally,
};
use crate::{
    cast::Cast,
    pay::{self, Fate},
    payment_file::{
        ClaimRecord, DemoRecord, DepositRecord, LinkRecord, PaymentRecord, Record, RedemptionRecord, RefundRecord,
    },
    stage::{Stage, oracle::CURRENCY},
    token,
};
use anyhow::Context;
use rebate_client::{
    Pubkey,
    account::Journal,
    address::Addresses,
    chain::{SubmitError, embedded::EmbeddedChain},
    instruction,
    recorder::{RecordError, Recorder},
};
use rebate_core::{
    payment::Payment,
    refusal::Refusal,
    units::{Amount, AssetId, Timestamp, UserKey},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};
use time::{OffsetDateTime, UtcOffset};
use tokio::time::sleep;

/// What the evening has come to so far.
pub struct Evening<'a> {
    pub stage: &'a Stage,
    pub api: Api,
    pub oracle: Counter<'a>,
    pub cast: &'a Cast,
    pub show: &'a Show,
    /// Hands to the program what the oracle turned away.
    pub recorder: Recorder<'a>,
    pub expected: Expected,
    /// When it began, by the chain's clock.
    pub began: Timestamp,
    /// How long to wait after every record.
    pub pace: Duration,
    /// Local minus UTC, in seconds.
    pub offset: i32,
    /// Everybody who is in it.
    pub users: BTreeSet<String>,
    /// The recorded payments by order number.
    pub paid: HashMap<String, Payment>,
    /// The token accounts of wallets, by user.
    pub wallets: HashMap<String, Pubkey>,
    /// What rules did.
    pub tally: Tally,
    /// What disagreed so far, a sentence each.
    pub differences: Vec<String>,
    /// The order recorded last.
    pub last: Option<String>,
}

impl Evening<'_> {
    /// Plays everything.
    pub async fn play(&mut self, records: &[Record]) -> anyhow::Result<()> {
        let mut rest = records;
        while let Some((first, behind)) = rest.split_first() {
            rest = behind;
            match first {
                Record::Payment(line) => {
                    let payments = behind.iter().map_while(|record| match record {
                        Record::Payment(line) => Some(line),
                        _ => None,
                    });
                    let lines: Vec<_> = std::iter::once(line).chain(payments).take(pay::BATCH).collect();
                    self.payments(&lines).await?;
                    rest = behind.get(lines.len().saturating_sub(1)..).unwrap_or_default();
                }
                Record::Refund(line) => self.refund(line).await?,
                Record::Redemption(line) => self.redemption(line).await?,
                Record::Demo(DemoRecord::Forged(line)) => self.forged(line).await?,
                Record::Demo(DemoRecord::Link(line)) => self.link(line).await?,
                Record::Demo(DemoRecord::Claim(line)) => self.claim(line).await?,
                Record::Demo(DemoRecord::Deposit(line)) => self.deposit(line).await?,
                Record::Demo(DemoRecord::MonthEnd) => match &self.stage.embedded {
                    Some(chain) => self.month_end(chain).await?,
                    None => {
                        self.show.step("no month ends here, and nothing expires: nobody can move a validator's clock");
                        let more = behind.iter().take_while(|record| **record == Record::Demo(DemoRecord::MonthEnd));
                        rest = behind.get(more.count()..).unwrap_or_default();
                    }
                },
            }
            let played = u32::try_from(behind.len().saturating_add(1).saturating_sub(rest.len())).unwrap_or(1);
            sleep(self.pace.saturating_mul(played)).await;
        }
        Ok(())
    }

    async fn now(&self) -> anyhow::Result<Timestamp> {
        Ok(Timestamp(self.stage.chain.now().await?))
    }

    fn addresses(&self) -> Addresses {
        *self.recorder.addresses()
    }

    fn payment(&self, line: &PaymentRecord) -> anyhow::Result<Payment> {
        line.payment(self.cast.user(&line.user), self.began).map_err(anyhow::Error::msg)
    }

    /// Plays these payments: the provider's notices go in one after the other, and then all are waited for.
    async fn payments(&mut self, lines: &[&PaymentRecord]) -> anyhow::Result<()> {
        let mut answers = Vec::new();
        for line in lines {
            let payment = self.payment(line)?;
            answers.push((*line, payment, self.oracle.notify(&line.order, line.amount, notice(line, &payment)).await?));
        }
        let (mut recorded, mut refused): (Vec<(_, _, Order)>, Vec<_>) = (Vec::new(), Vec::new());
        for (line, payment, answer) in &answers {
            let Answer::Taken(number) = answer else { continue };
            match self.oracle.decided(number).await? {
                Fate::Recorded => recorded.push((*line, payment, self.api.order(&line.order).await?)),
                fate => refused.push((*line, payment, fate)),
            }
        }
        // Users do not wait for one another, and a rule's budget is whose order comes first: the journal says which did.
        recorded.sort_by_key(|(.., order)| order.journal_index);
        for (line, payment, order) in recorded {
            let shown = of_payment(line, payment);
            let expected = self.expected.pay(payment, Timestamp(order.recorded_at.unix_timestamp()));
            if let Some(outcomes) = self.settle(shown, &Fate::Recorded, expected) {
                self.show.recorded(shown, &order);
                self.tally.add(&order.outcomes);
                self.differences.extend(expected::compare_order(&line.order, &outcomes, &order));
                self.paid.insert(line.order.clone(), *payment);
                self.last = Some(line.order.clone());
            }
        }
        for (line, payment, fate) in refused {
            let now = self.now().await?;
            let expected = self.expected.pay(payment, now);
            self.settle(of_payment(line, payment), &fate, expected);
        }
        for (line, payment, answer) in &answers {
            let shown = of_payment(line, payment);
            if !self.is_turned_away(shown, answer) {
                continue;
            }
            let signed = pay::sign(&self.cast.oracle, &self.addresses().platform, &[*payment])?;
            self.recorder.refresh().await?;
            let now = self.now().await?;
            let (fates, _) = pay::submit(&mut self.recorder, &[*payment], &signed).await?;
            let expected = self.expected.pay(payment, now);
            if let Some(fate) = fates.first() {
                self.settle(shown, fate, expected);
            }
        }
        Ok(())
    }

    /// Whether the oracle does nothing about it; says so.
    fn is_turned_away(&self, line: Line<'_>, answer: &Answer) -> bool {
        match answer {
            Answer::Taken(_) => return false,
            Answer::Again => self.show.again(line),
            Answer::TurnedAway(status, why) => self.show.turned_away(line, status.as_u16(), why),
        }
        true
    }

    /// Holds what became of a record against what core says; what core has for one that was recorded.
    fn settle<T>(&mut self, line: Line<'_>, fate: &Fate, expected: Result<T, Refusal>) -> Option<T> {
        let of_core = match &expected {
            Ok(_) => "core accepts it".to_owned(),
            Err(refusal) => format!("core refuses it as {refusal}"),
        };
        let of_program = match fate {
            Fate::Recorded => "the program recorded it".to_owned(),
            Fate::Refused(reason) => {
                self.show.refused(line, reason);
                format!("the program refused it as {reason}")
            }
        };
        let agreed = match (fate, &expected) {
            (Fate::Recorded, Ok(_)) => true,
            (Fate::Refused(reason), Err(refusal)) => refusal.name() == reason,
            _ => false,
        };
        if !agreed {
            self.differences.push(format!("{} {}: {of_program}, {of_core}", line.user, line.order));
        }
        expected.ok().filter(|_| agreed)
    }

    /// A payment that nobody made: a notice that the provider did not sign, and a record with a stranger's signature under
    /// the oracle's key.
    async fn forged(&mut self, line: &PaymentRecord) -> anyhow::Result<()> {
        let payment = self.payment(line)?;
        let (status, why) = self.oracle.forge(&line.order, notice(line, &payment)).await?;
        self.show.turned_away(of_payment(line, &payment), status.as_u16(), &why);
        if status != StatusCode::UNAUTHORIZED {
            self.differences.push(format!("order {}: the oracle answered a forged notice with {status}", line.order));
        }
        let mut signed = pay::sign(&self.cast.stranger, &self.addresses().platform, &[payment])?;
        signed.key = self.cast.oracle.pubkey().to_bytes();
        self.recorder.refresh().await?;
        match self.recorder.record(&[payment], &signed).await {
            Err(RecordError::Submit(SubmitError::Failed { why, .. })) => {
                self.show.refused(of_payment(line, &payment), &format!("forged: {why}"));
            }
            Err(other) => return Err(other.into()),
            Ok(_) => self.differences.push(format!("order {}: a forged signature was accepted", line.order)),
        }
        Ok(())
    }

    /// A refund. The oracle proves the order to the program by its event in the journal.
    async fn refund(&mut self, line: &RefundRecord) -> anyhow::Result<()> {
        let refund = line.refund(self.began).map_err(anyhow::Error::msg)?;
        // Of an order that nobody recorded there is no user.
        let paid = self.paid.get(&line.of).copied();
        let user = self.name_of(paid.map(|payment| payment.user));
        let shown = Line {
            at: Some(refund.paid_at),
            user: &user,
            paid: Some(i128::from(line.amount).saturating_neg()),
            order: &line.order,
        };
        let notice = json!({
            "kind": "refund",
            "order": line.order,
            "of": line.of,
            "amount": line.amount,
            "currency": CURRENCY,
            "paid_at": refund.paid_at.0,
        });
        let answer = self.oracle.notify(&line.order, line.amount, notice).await?;
        let fate = match &answer {
            Answer::Taken(number) => self.oracle.decided(number).await?,
            _ => {
                self.is_turned_away(shown, &answer);
                // Without a payment there is nothing that the program could be asked.
                let Some(payment) = paid else { return Ok(()) };
                let signed = pay::sign(&self.cast.oracle, &self.addresses().platform, &[refund])?;
                self.recorder.refresh().await?;
                pay::fate(self.recorder.refund(&refund, &payment, &signed).await)?.0
            }
        };
        let found = match fate {
            Fate::Recorded => Some(self.api.refund(&line.order).await?),
            Fate::Refused(_) => None,
        };
        let now = self.decided_at(found.as_ref().map(|found| found.recorded_at)).await?;
        let expected = self.expected.refund(&refund, now);
        if let (Some(outcomes), Some(found)) = (self.settle(shown, &fate, expected), found) {
            self.show.refunded(shown, &found);
            self.tally.add(&found.outcomes);
            self.differences.extend(expected::compare_refund(&line.order, &outcomes, &found));
        }
        Ok(())
    }

    /// The chain's clock when it recorded something; of what it refused, as it is now.
    async fn decided_at(&self, recorded_at: Option<OffsetDateTime>) -> anyhow::Result<Timestamp> {
        match recorded_at {
            Some(at) => Ok(Timestamp(at.unix_timestamp())),
            None => self.now().await,
        }
    }

    fn name_of(&self, user: Option<UserKey>) -> String {
        let name = |user: UserKey| self.users.iter().find(|name| self.cast.user(name) == user).cloned();
        user.and_then(name).unwrap_or_default()
    }

    /// How many events the chain has.
    async fn events(&self) -> anyhow::Result<u64> {
        let account = self.stage.chain.account(&self.addresses().journal).await?.context("the chain has no journal")?;
        Ok(Journal::decode(&account.data)?.count)
    }

    async fn redemption(&mut self, line: &RedemptionRecord) -> anyhow::Result<()> {
        let redemption = line.redemption(self.cast.user(&line.user), self.began).map_err(anyhow::Error::msg)?;
        let shown = Line { at: Some(redemption.redeemed_at), user: &line.user, order: &line.order, ..Line::default() };
        let order = json!({
            "kind": "redemption",
            "order": line.order,
            "user": line.user,
            "asset": line.asset,
            "amount": line.amount,
            "redeemed_at": redemption.redeemed_at.0,
        });
        let answer = self.oracle.post(&order).await?;
        let fate = match &answer {
            Answer::Taken(number) => self.oracle.decided(number).await?,
            _ => {
                self.is_turned_away(shown, &answer);
                let signed = pay::sign(&self.cast.oracle, &self.addresses().platform, &[redemption])?;
                self.recorder.refresh().await?;
                pay::fate(self.recorder.redeem(&redemption, &signed).await)?.0
            }
        };
        let found = match fate {
            Fate::Recorded => Some(self.api.redemption(&line.order).await?),
            Fate::Refused(_) => None,
        };
        let now = self.decided_at(found.as_ref().map(|found| found.recorded_at)).await?;
        let expected = self.expected.redeem(&redemption, now);
        if let (Some(balances), Some(found)) = (self.settle(shown, &fate, expected), found) {
            self.show.redeemed(shown, &found);
            self.differences.extend(expected::compare_redemption(&line.order, balances, &found));
        }
        Ok(())
    }

    async fn link(&mut self, line: &LinkRecord) -> anyhow::Result<()> {
        let wallet = self.cast.wallet(&line.user).pubkey();
        let linked_at = line.linked_at(self.began).map_err(anyhow::Error::msg)?;
        let user = self.cast.user(&line.user);
        let order = json!({
            "kind": "wallet_link",
            "user": line.user,
            "wallet": wallet.to_string(),
            "linked_at": linked_at.0,
        });
        let fate = match self.oracle.post(&order).await? {
            Answer::Taken(number) => self.oracle.decided(&number).await?,
            other => Fate::Refused(format!("{other:?}")),
        };
        if let Fate::Refused(why) = fate {
            self.differences.push(format!("{}: the wallet {wallet} is not linked: {why}", line.user));
            return Ok(());
        }
        self.expected.link(user);
        self.api.reaches(self.events().await?).await?;
        let shown = self.api.balances(&user).await?.and_then(|balances| balances.wallet);
        match shown.filter(|shown| shown.address == wallet.to_string()) {
            Some(_) => {
                self.show.linked(Line { at: Some(linked_at), user: &line.user, ..Line::default() }, &wallet);
            }
            None => self.differences.push(format!("{}: linked to {wallet}, and the API does not say so", line.user)),
        }
        Ok(())
    }

    /// A claim of all that a user has of a token, signed by the user's wallet.
    async fn claim(&mut self, line: &ClaimRecord) -> anyhow::Result<()> {
        let (wallet, token, user) = (self.cast.wallet(&line.user), self.cast.token(), self.cast.user(&line.user));
        let (asset, payer) = (AssetId(line.asset), &self.cast.payer);
        let destination = self.destination(&line.user, &wallet).await?;
        let shown = Line { user: &line.user, ..Line::default() };
        let claim =
            instruction::claim(&wallet.pubkey(), &self.addresses(), &user, asset, &token, &destination, Amount(0));
        let (since, now) = (self.events().await?, self.now().await?);
        let claimed = self.stage.chain.submit(&[claim], &[payer, &wallet]).await;
        let expected = self.expected.claim(&user, asset, now);
        match (claimed, expected) {
            (Ok(_), Ok(balances)) => {
                let entries = self.entries_since(&user, since, "claim").await?;
                let Some(entry) = entries.first() else {
                    self.differences.push(format!("{}: claimed, and the API does not say so", line.user));
                    return Ok(());
                };
                let held = token::balance(&*self.stage.chain, &destination).await?;
                self.show.claimed(shown, entry, held);
                let what = format!("{}'s claim", line.user);
                self.differences.extend(expected::compare_balances(&what, balances, &entry.before, &entry.after));
            }
            (Err(SubmitError::Refused { error, .. }), expected) => {
                self.show.refused(shown, error.name());
                if expected != Err(error.name()) {
                    let refused = error.name();
                    self.differences
                        .push(format!("{}'s claim: refused as {refused}, core says {expected:?}", line.user));
                }
            }
            (Ok(_), Err(refusal)) => {
                self.differences.push(format!("{}: claimed, though core says {refusal}", line.user));
            }
            (Err(other), _) => return Err(other.into()),
        }
        Ok(())
    }

    /// Where a user's claims go: a token account of the user's wallet.
    async fn destination(&mut self, user: &str, wallet: &Keypair) -> anyhow::Result<Pubkey> {
        if let Some(account) = self.wallets.get(user) {
            return Ok(*account);
        }
        let (payer, token) = (&self.cast.payer, self.cast.token());
        let account = token::open_account(&*self.stage.chain, payer, &token, &wallet.pubkey()).await?;
        self.wallets.insert(user.to_owned(), account);
        Ok(account)
    }

    async fn deposit(&mut self, line: &DepositRecord) -> anyhow::Result<()> {
        let (asset, amount) = (AssetId(line.asset), Amount(line.amount));
        let addresses = self.addresses();
        self.cast.deposit(&*self.stage.chain, &addresses, asset, amount).await?;
        self.expected.deposit(asset, amount);
        self.api.reaches(self.events().await?).await?;
        let shown = self.api.platform(&addresses.platform).await?;
        match shown.assets.iter().find(|shown| shown.asset == line.asset) {
            Some(shown) => self.show.deposited(shown, line.amount),
            None => self.differences.push(format!("the API does not know asset {asset}")),
        }
        Ok(())
    }

    /// The chain's clock goes on to the first second of the next month, and everybody's balances are looked at.
    async fn month_end(&mut self, chain: &EmbeddedChain) -> anyhow::Result<()> {
        let now = next_month(self.now().await?, self.offset).context("the calendar ends here")?;
        chain.set_clock(Some(now.0));
        self.show.clock(now);
        let (since, addresses) = (self.events().await?, self.addresses());
        let users: Vec<_> = self.users.iter().map(|user| (user.clone(), self.cast.user(user))).collect();
        for (_, key) in &users {
            if self.stage.chain.account(&addresses.user(key)).await?.is_some() {
                let expire = instruction::expire_balances(&addresses, key);
                self.stage.chain.submit(&[expire], &[&self.cast.payer]).await?;
            }
        }
        let mut nothing = true;
        for (user, key) in &users {
            let expired = self.expected.expire(key, now);
            let entries = self.entries_since(key, since, "expiry").await?;
            if expired.len() != entries.len() {
                self.differences.push(format!(
                    "{user}: of {} assets something expires by core, of {} by the API",
                    expired.len(),
                    entries.len()
                ));
            }
            // Entries come newest first.
            for (expired, entry) in expired.iter().zip(entries.iter().rev()) {
                nothing = false;
                self.show.expired(user, entry);
                let (what, balances) = (format!("what expires of {user}'s"), (expired.before, expired.after));
                self.differences.extend(expected::compare_balances(&what, balances, &entry.before, &entry.after));
                if entry.asset != expired.asset.0 {
                    self.differences
                        .push(format!("{what} is asset {} by core, {} by the API", expired.asset, entry.asset));
                }
            }
        }
        if nothing {
            self.show.nothing_expired();
        }
        Ok(())
    }

    /// What an operation changed for a user, by events from index `since` on, once the API has all there are.
    async fn entries_since(&self, user: &UserKey, since: u64, operation: &str) -> anyhow::Result<Vec<Entry>> {
        self.api.reaches(self.events().await?).await?;
        let entries = self.api.entries_since(user, since).await?;
        Ok(entries.into_iter().filter(|entry| entry.operation == operation).collect())
    }
}

/// What the provider says of a payment.
fn notice(line: &PaymentRecord, payment: &Payment) -> Value {
    let named = |id: &str| if id.is_empty() { Value::Null } else { json!(id) };
    json!({
        "kind": "payment",
        "order": line.order,
        "user": line.user,
        "amount": line.amount,
        "currency": CURRENCY,
        "paid_at": payment.paid_at.0,
        "product": line.product,
        "streamer": named(&line.streamer),
        "session": named(&line.session),
        "tier": line.tier,
        "segments": line.segments,
    })
}

fn of_payment<'a>(line: &'a PaymentRecord, payment: &Payment) -> Line<'a> {
    let (at, paid) = (Some(payment.paid_at), Some(i128::from(line.amount)));
    Line { at, user: &line.user, paid, order: &line.order }
}

/// The first second of the month after that of `now`, `offset` seconds from UTC.
fn next_month(now: Timestamp, offset: i32) -> Option<Timestamp> {
    let offset = UtcOffset::from_whole_seconds(offset).ok()?;
    let date = OffsetDateTime::from_unix_timestamp(now.0).ok()?.to_offset(offset).date();
    let last = date.month().length(date.year());
    let next = date.replace_day(last).ok()?.next_day()?;
    Some(Timestamp(next.midnight().assume_offset(offset).unix_timestamp()))
}
