//! What the evening came to: all of it read from the API, and held against the chain's accounts and core.

use super::{
    api::{Asset, Balances},
    evening::Evening,
};
use crate::{
    rule::rule_book,
    stage::oracle::PROVIDER,
    token,
    verify::{Databases, Shown, Verification, verify_all},
};
use anyhow::Context;
use rebate_client::{
    account::{Platform, UserState},
    address::Addresses,
    chain::{Commitment, Dispatch, rpc::RpcChain},
    verify::recomputation::Files,
};
use rebate_core::units::{AssetId, UserKey};
use rebate_oracle::{
    database::{self, Backlog},
    reconcile::{Difference, Export, What, reconcile},
};

impl Evening<'_> {
    /// Shows the summary, and says everything that disagreed.
    pub async fn close(mut self) -> anyhow::Result<Vec<String>> {
        let addresses = *self.recorder.addresses();
        self.show.step("what every rule did");
        self.show.tally(&self.tally);
        self.show.step("reading the balances from the API");
        let assets = self.api.platform(&addresses.platform).await?.assets;
        let users: Vec<_> = self.users.iter().cloned().collect();
        let mut rows = Vec::new();
        for user in &users {
            let key = self.cast.user(user);
            let balances = self.api.balances(&key).await?;
            self.compare_user(user, &key, &balances, &addresses).await?;
            rows.push((user.as_str(), balances));
        }
        self.show.balances(&assets, &rows);
        self.compare_vaults(&assets, &addresses).await?;
        self.compare_book(&addresses).await?;
        self.compare_oracle(&addresses).await?;

        let integrity = self.api.integrity().await?;
        self.show.integrity(&integrity);
        if integrity.status != "agrees" {
            self.differences.push(format!("the integrity check says {:?}", integrity.status));
        }
        self.recompute(&addresses).await;
        self.where_to_look(&addresses);
        Ok(self.differences)
    }

    /// What the oracle has left to do, and its records against the provider's export and the chain.
    async fn compare_oracle(&mut self, addresses: &Addresses) -> anyhow::Result<()> {
        self.show.step("comparing the provider's export, the oracle and the chain, as `rebate oracle reconcile` does");
        self.show.oracle(&self.oracle.counts);
        let pool = self.oracle.pool();
        let Backlog { queued, sent, dead, .. } = database::backlog(pool).await?;
        if (queued, sent, dead) != (0, 0, 0) {
            self.differences.push(format!("the oracle has {queued} records queued, {sent} sent and {dead} dead"));
        }
        let mut export = "order,amount\n".to_owned();
        for (order, amount) in &self.oracle.exported {
            export.push_str(&format!("{order},{amount}\n"));
        }
        let columns = Export { order_column: "order".into(), amount_column: "amount".into(), decimals: 0 };
        let rpc = self.stage.rpc.as_ref().map(|url| RpcChain::new(url, Commitment::Confirmed));
        let chain: &dyn Dispatch = match (&self.stage.embedded, &rpc) {
            (Some(chain), _) => chain,
            (None, Some(chain)) => chain,
            (None, None) => return Ok(()),
        };
        // What the program refused is one, and was held against core before.
        let (mut refused, mut others) = (0usize, Vec::new());
        let known = &self.oracle.refused;
        let tell = |difference: Difference| match difference.what {
            What::Refused(_) if known.contains(&difference.order) => refused = refused.saturating_add(1),
            _ => others.push(format!("reconciling: {difference}")),
        };
        let provider = Some(PROVIDER);
        let summary = reconcile(pool, chain, &addresses.platform, export.as_bytes(), &columns, provider, tell).await?;
        self.show.reconciled(&summary, refused, others.len());
        self.differences.extend(others);
        Ok(())
    }

    /// What `rebate verify --all` says of the evening: from the chain alone, against its accounts and the database.
    async fn recompute(&mut self, addresses: &Addresses) {
        self.show.step("recomputing everything from the chain's transactions alone, as `rebate verify --all` does");
        let verification = Verification {
            platform: addresses.platform,
            cluster: Some(self.stage.cluster.clone()),
            files: Files::default(),
            patience: None,
        };
        let databases = Some(Databases { url: self.stage.database.clone(), scratch: None });
        let (progress, mut out) = (Shown::hidden(), Vec::new());
        let verified = match (&self.stage.embedded, &self.stage.rpc) {
            (Some(chain), _) => verify_all(chain.clone(), &verification, databases, &progress, &mut out).await,
            (None, Some(rpc)) => {
                let chain = RpcChain::new(rpc, Commitment::Confirmed);
                verify_all(chain, &verification, databases, &progress, &mut out).await
            }
            (None, None) => Ok(()),
        };
        self.show.verified(&String::from_utf8_lossy(&out));
        if let Err(error) = verified {
            self.differences.push(format!("rebate verify --all: {error:#}"));
        }
    }

    async fn compare_user(
        &mut self,
        user: &str,
        key: &UserKey,
        balances: &Option<Balances>,
        addresses: &Addresses,
    ) -> anyhow::Result<()> {
        let account = self.stage.chain.account(&addresses.user(key)).await?;
        let on_chain = account.map(|account| UserState::decode(&account.data)).transpose()?;
        let of_core = self.expected.balances(key);
        for (slot, of_core) in of_core.iter().enumerate() {
            let on_chain = on_chain.as_ref().and_then(|user| user.balances.get(slot).copied()).unwrap_or_default();
            let (held, owed) = balances.as_ref().map_or(Ok((0, 0)), |balances| balances.of_slot(slot))?;
            if on_chain.total() != of_core.total() || held != of_core.total().0 {
                let (chain, core) = (on_chain.total(), of_core.total());
                let asset = slot.saturating_add(1);
                self.differences
                    .push(format!("{user}, asset {asset}: the API says {held}, the chain {chain}, core {core}"));
            }
            if on_chain.debt != of_core.debt || owed != of_core.debt.0 {
                let (chain, core) = (on_chain.debt, of_core.debt);
                let asset = slot.saturating_add(1);
                self.differences
                    .push(format!("{user}'s debt, asset {asset}: the API says {owed}, the chain {chain}, core {core}"));
            }
        }
        Ok(())
    }

    /// What is behind the tokens, and what users have of them.
    async fn compare_vaults(&mut self, assets: &[Asset], addresses: &Addresses) -> anyhow::Result<()> {
        let account = self.stage.chain.account(&addresses.platform).await?.context("the chain has no platform")?;
        let platform = Platform::decode(&account.data)?;
        for shown in assets.iter().filter(|asset| asset.vault.is_some()) {
            self.show.vault(shown);
            let asset = AssetId(shown.asset);
            let on_chain = platform.asset(asset).context("the chain does not know the asset")?;
            let of_core = self.expected.vault(asset).unwrap_or_default();
            let held = token::balance(&*self.stage.chain, &addresses.vault(asset)).await?;
            let funds = shown.vault.as_ref().map_or("", |vault| vault.funds.as_str());
            let all = [funds.to_owned(), on_chain.funds.to_string(), held.to_string()];
            if all.iter().any(|funds| *funds != of_core.funds.to_string()) {
                self.differences.push(format!(
                    "the vault of {}: the API says {funds}, the platform {}, its token account {held}, core {}",
                    shown.name, on_chain.funds, of_core.funds
                ));
            }
            if on_chain.liability != of_core.liability || shown.liability != of_core.liability.to_string() {
                self.differences.push(format!(
                    "what users have of {}: the API says {}, the chain {}, core {}",
                    shown.name, shown.liability, on_chain.liability, of_core.liability
                ));
            }
        }
        Ok(())
    }

    /// What the rule book counts.
    async fn compare_book(&mut self, addresses: &Addresses) -> anyhow::Result<()> {
        let (book, rules) = rule_book(&*self.stage.chain, addresses).await?;
        let accepted = self.expected.accepted();
        if book.payments != accepted {
            self.differences.push(format!("the chain accepted {} payments, core {accepted}", book.payments));
        }
        let mut of_core = self.expected.rules().iter();
        for rule in &rules {
            if of_core.next() != Some(rule) {
                self.differences.push(format!("rule {}: the chain's totals are not core's", rule.name()));
            }
        }
        Ok(())
    }

    fn where_to_look(&self, addresses: &Addresses) {
        let api = &self.stage.api;
        let mut places = vec![
            ("console", format!("{api}/")),
            ("its key", self.stage.operator_key.clone()),
            ("API", format!("{api}/openapi.json")),
            ("rules", format!("{api}/v1/rules")),
            ("integrity", format!("{api}/v1/integrity")),
            ("oracle", format!("{}/openapi.json", self.oracle.url())),
        ];
        if let Some(order) = &self.last {
            places.push(("last order", format!("{api}/v1/orders/{order}")));
            places.push(("its page", format!("{api}/orders/{order}?by=number")));
        }
        places.push(("database", self.stage.database_place()));
        if let Some(page) = self.stage.cluster.account(&addresses.platform) {
            places.push(("explorer", page));
        }
        places.push(("node", self.stage.node.clone()));
        self.show.places(&places);
    }
}
