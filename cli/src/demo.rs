//! `rebate demo`: a live-stream evening on a chain of its own, from the rules to the balances.
//!
//! It plays the payments of a file, shows what each came to as the API tells it, and in the end holds three things
//! against each other: what the API says, what the chain's accounts say, and what `rebate-core` decides by itself.

mod api;
mod expected;
mod show;

use crate::{
    arguments::DemoArguments,
    cast::Cast,
    pay::{self, Fate},
    payment_file::{self, Record},
    rule::{rule_book, table},
    rule_file::RuleFile,
    stage::{Stage, StageOptions},
};
use anyhow::Context;
use api::Api;
use expected::Expected;
use rebate_client::{
    account::UserState,
    address::Addresses,
    chain::SubmitError,
    oracle,
    recorder::{RecordError, Recorder},
};
use rebate_core::{
    payment::Payment,
    time::UtcOffset,
    units::{Timestamp, UserKey},
};
use show::Show;
use solana_signer::Signer;
use std::collections::BTreeMap;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Plays the evening.
///
/// # Errors
/// What could not be set up, or what disagreed.
pub async fn run(arguments: DemoArguments) -> anyhow::Result<()> {
    // Whatever is wrong with the files is said before anything is started.
    let rules = RuleFile::read(&arguments.rules)?;
    let records = payment_file::read(&arguments.payments)?;
    let show = Show::new();
    show.title("A live-stream evening: payments in, rebates out, and nothing to be believed");
    let options = StageOptions {
        chain: arguments.chain,
        program: arguments.program,
        local: arguments.local,
        listen: arguments.listen,
    };
    let stop = stop_on_signals().context("cannot listen for Ctrl-C and SIGTERM")?;
    let stage = Stage::set_unless(&options, &stop, |what| show.step(what)).await?;
    let played = tokio::select! {
        played = play(&stage, &rules, &records, &show) => played,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted before the end")),
        error = stage.broken() => Err(error),
    };
    let result = match played {
        Ok(differences) if arguments.once || !differences.is_empty() => match differences.as_slice() {
            [] => Ok(()),
            differences => Err(anyhow::anyhow!("{} things disagree:\n{}", differences.len(), differences.join("\n"))),
        },
        Ok(_) => {
            show.step("everything stays up until Ctrl-C");
            tokio::select! {
                () = stop.cancelled() => Ok(()),
                error = stage.broken() => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    let struck = stage.strike().await;
    result.and(struck)
}

/// A token that Ctrl-C and SIGTERM cancel.
fn stop_on_signals() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut told = signal(kind)?;
        let stop = stop.clone();
        tokio::spawn(async move {
            told.recv().await;
            stop.cancel();
        });
    }
    Ok(stop)
}

async fn play(stage: &Stage, rules: &RuleFile, records: &[Record], show: &Show) -> anyhow::Result<Vec<String>> {
    let cast = Cast::new();
    let api = Api::new(&stage.api)?;
    show.step("creating the platform, registering its oracle's key, publishing the rules");
    let addresses = cast.publish(&*stage.chain, rules).await?;
    let (_, on_chain) = rule_book(&*stage.chain, &addresses).await?;
    show.rules(&table(&on_chain).to_string());

    let now = Timestamp(stage.chain.now().await?);
    let mut payments = Vec::new();
    for record in records {
        let line = record.payment();
        payments.push(line.payment(cast.user(&line.user), now).map_err(anyhow::Error::msg)?);
    }
    let offsets: Vec<_> = rules.offsets.iter().map(|row| UtcOffset::new(Timestamp(row.from), row.seconds)).collect();
    let mut evening = Evening {
        stage,
        api,
        cast: &cast,
        show,
        recorder: Recorder::new(&*stage.chain, addresses.platform, &cast.payer).await?,
        expected: Expected::new(on_chain, offsets.clone(), rules.max_lateness),
        differences: Vec::new(),
        last: None,
    };
    show.step(&format!("playing {} records of {} users", records.len(), users(records).len()));
    show.head(offsets.last().map_or(0, |offset| offset.seconds));
    let mut at = 0;
    while let (Some(rest), Some(lines)) = (payments.get(at..), records.get(at..)) {
        if rest.is_empty() {
            break;
        }
        let count = match lines.first() {
            Some(Record::Forged(_)) => 1,
            _ => {
                let honest = lines.iter().zip(rest).take_while(|(record, _)| matches!(record, Record::Payment(_)));
                pay::batch(&evening.recorder, &cast.oracle, honest.map(|(_, payment)| *payment))?
            }
        };
        evening.records(lines.get(..count).unwrap_or(lines), rest.get(..count).unwrap_or(rest)).await?;
        at = at.saturating_add(count);
    }
    evening.close(records, &addresses).await
}

fn users(records: &[Record]) -> BTreeMap<&str, ()> {
    records.iter().map(|record| (record.payment().user.as_str(), ())).collect()
}

struct Evening<'a> {
    stage: &'a Stage,
    api: Api,
    cast: &'a Cast,
    show: &'a Show,
    recorder: Recorder<'a>,
    expected: Expected,
    /// What disagreed so far, a sentence each.
    differences: Vec<String>,
    /// The order recorded last.
    last: Option<String>,
}

impl Evening<'_> {
    /// Plays one batch: honest records together, or one forged one.
    async fn records(&mut self, records: &[Record], payments: &[Payment]) -> anyhow::Result<()> {
        if let [Record::Forged(line)] = records {
            return self.forged(line, payments).await;
        }
        let platform = self.recorder.addresses().platform;
        let signed = oracle::sign(&self.cast.oracle, &platform, payments)
            .map_err(|_| anyhow::anyhow!("a batch has more than 255 records"))?;
        let now = Timestamp(self.stage.chain.now().await?);
        let (fates, _) = pay::submit(&mut self.recorder, payments, &signed).await?;
        for ((record, payment), fate) in records.iter().zip(payments).zip(fates) {
            let line = record.payment();
            let expected = self.expected.record(payment, now);
            match (fate, expected) {
                (Fate::Recorded, Ok(expected)) => {
                    let order = self.api.order(&line.order).await?;
                    self.show.recorded(line, payment, &order);
                    self.differences.extend(expected::compare(&line.order, &expected, &order));
                    self.last = Some(line.order.clone());
                }
                (Fate::Refused(reason), expected) => {
                    self.show.refused(line, payment, &reason);
                    match expected {
                        Err(refusal) if refusal.name() == reason => {}
                        Err(refusal) => self.differences.push(format!(
                            "order {}: the program refused it as {reason}, core as {refusal}",
                            line.order
                        )),
                        Ok(_) => self
                            .differences
                            .push(format!("order {}: the program refused it as {reason}, core accepts it", line.order)),
                    }
                }
                (Fate::Recorded, Err(refusal)) => {
                    self.differences
                        .push(format!("order {}: recorded, though core refuses it as {refusal}", line.order));
                }
            }
        }
        Ok(())
    }

    /// A payment whose signature is a stranger's under the oracle's key.
    async fn forged(&mut self, line: &payment_file::PaymentRecord, payments: &[Payment]) -> anyhow::Result<()> {
        let platform = self.recorder.addresses().platform;
        let mut signed = oracle::sign(&self.cast.stranger, &platform, payments)
            .map_err(|_| anyhow::anyhow!("a batch has more than 255 records"))?;
        signed.key = self.cast.oracle.pubkey().to_bytes();
        match self.recorder.record(payments, &signed).await {
            Err(RecordError::Submit(SubmitError::Failed { why, .. })) => {
                if let Some(payment) = payments.first() {
                    self.show.refused(line, payment, &format!("forged: {why}"));
                }
            }
            Err(other) => return Err(other.into()),
            Ok(_) => self.differences.push(format!("order {}: a forged signature was accepted", line.order)),
        }
        Ok(())
    }

    /// The summary, all of it read from the API, and everything that disagreed.
    async fn close(mut self, records: &[Record], addresses: &Addresses) -> anyhow::Result<Vec<String>> {
        self.show.step("reading the balances from the API");
        let mut rows = Vec::new();
        for (user, ()) in users(records) {
            let key = self.cast.user(user);
            let balances = self.api.balances(&key).await?;
            self.compare_with_chain(user, &key, &balances, addresses).await?;
            rows.push((user, balances));
        }
        self.show.balances(&rows);

        let integrity = self.api.integrity().await?;
        self.show.integrity(&integrity);
        if integrity.status != "agrees" {
            self.differences.push(format!("the integrity check says {:?}", integrity.status));
        }
        let (book, _) = rule_book(&*self.stage.chain, addresses).await?;
        if book.payments != self.expected.accepted() {
            self.differences.push(format!(
                "the chain accepted {} payments, core {}",
                book.payments,
                self.expected.accepted()
            ));
        }
        self.where_to_look(addresses);
        Ok(self.differences)
    }

    async fn compare_with_chain(
        &mut self,
        user: &str,
        key: &UserKey,
        balances: &Option<api::Balances>,
        addresses: &Addresses,
    ) -> anyhow::Result<()> {
        let account = self.stage.chain.account(&addresses.user(key)).await?;
        let on_chain = account.map(|account| UserState::decode(&account.data)).transpose()?;
        let of_core = self.expected.balances(key);
        for (slot, of_core) in of_core.iter().enumerate() {
            let on_chain = on_chain.as_ref().and_then(|user| user.balances.get(slot).copied()).unwrap_or_default();
            let in_api = balances.as_ref().map_or(Ok(0), |balances| balances.of_slot(slot))?;
            let (on_chain, of_core) = (on_chain.total(), of_core.total());
            if on_chain != of_core || in_api != of_core.0 {
                self.differences.push(format!(
                    "{user}, asset {}: the API says {in_api}, the chain {on_chain}, core {of_core}",
                    slot.saturating_add(1)
                ));
            }
        }
        Ok(())
    }

    fn where_to_look(&self, addresses: &Addresses) {
        let api = &self.stage.api;
        let mut places = vec![
            ("API", format!("{api}/openapi.json")),
            ("rules", format!("{api}/v1/rules")),
            ("integrity", format!("{api}/v1/integrity")),
        ];
        if let Some(order) = &self.last {
            places.push(("last order", format!("{api}/v1/orders/{order}")));
        }
        places.push(("database", self.stage.database_place()));
        if let Some(page) = self.stage.cluster.account(&addresses.platform) {
            places.push(("explorer", page));
        }
        if let Some(rpc) = &self.stage.rpc {
            places.push(("node", rpc.clone()));
        }
        self.show.places(&places);
    }
}
