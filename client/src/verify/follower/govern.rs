//! What the platform's people decide, and what moves in its vaults besides claims.

use super::{Follower, Settings, wrong::Wrong};
use crate::{
    account::{AssetKind, MAX_OFFSETS, OracleKey, Setting},
    address::Addresses,
    event::{AssetAdded, AssetEntry, Deposited, Event, PlatformCreated, RuleDropped, SettingChanged, SurplusWithdrawn},
    replay::Terms,
};
use rebate_core::{
    time::UtcOffset,
    units::{Amount, AssetId, Day, RuleId, RuleVersion, Seconds, Timestamp},
};

/// The numbers of `SettingChanged` and `RoleChanged`.
const MAX_LATENESS: u8 = 1;
const TIMELOCK: u8 = 2;
const ADMIN: u8 = 1;

impl Follower {
    pub(super) fn govern(&mut self, event: &Event) {
        match event {
            Event::PlatformCreated(created) => self.create(event, created),
            Event::OracleKeyRegistered(key) => {
                let key = OracleKey { key: key.key, valid_from: key.valid_from, valid_until: key.valid_until };
                self.set(|settings| {
                    settings.oracles.insert(key.key, key);
                });
            }
            Event::OracleKeyRetired(retired) => {
                let known = self.settings.as_mut().and_then(|settings| settings.oracles.get_mut(&retired.key));
                match known {
                    Some(key) => key.valid_until = retired.valid_until,
                    None => self.wrong(event, Wrong::UnknownOracle { oracle: retired.key }),
                }
            }
            Event::PauseChanged(pause) => self.set(|settings| settings.paused = pause.paused),
            Event::RoleChanged(role) if role.effective_at == 0 => self.set(|settings| {
                if role.role == ADMIN {
                    settings.admin = role.holder;
                } else {
                    settings.pauser = role.holder;
                }
            }),
            Event::SettingChanged(changed) => self.change(changed),
            Event::DayClosed(closed) => self.terms(|terms| terms.open_from = Day(closed.day.saturating_add(1))),
            Event::OffsetAdded(added) => self.terms(|terms| {
                // As the program does: a full table loses its oldest row.
                if terms.offsets.len() >= MAX_OFFSETS {
                    terms.offsets.remove(0);
                }
                terms.offsets.push(UtcOffset::new(Timestamp(added.offset.from), added.offset.seconds));
            }),
            Event::AssetAdded(added) => self.add_asset(event, added),
            Event::RulePublished(published) => {
                let rule = &published.rule;
                self.names.insert((RuleId(rule.id), RuleVersion(rule.version)), rule.name.clone());
                if let Err(error) = self.ledger.publish(rule, Timestamp(published.effective_at)) {
                    let what = format!("rule {} version {} cannot be published: {error}", rule.id, rule.version);
                    self.wrong(event, Wrong::Decision(what));
                }
            }
            Event::RuleEnded(ended) => {
                if self.ledger.end_rule(RuleId(ended.rule), Timestamp(ended.ends_at)).is_err() {
                    let what = format!("rule {} has no version that could end then", ended.rule);
                    self.wrong(event, Wrong::Decision(what));
                }
            }
            Event::RuleDropped(dropped) => self.drop_rule(event, dropped),
            Event::VaultOpened(opened) => {
                let address = self.addresses.vault(AssetId(opened.asset)).to_bytes();
                let asset = self.asset(opened.asset);
                if address != opened.vault || asset.is_none_or(|asset| asset.mint != opened.mint) {
                    let what =
                        format!("the vault of {} is not there or of another mint", self.asset_name(opened.asset));
                    self.wrong(event, Wrong::Decision(what));
                }
            }
            Event::Deposited(deposited) => self.deposit(event, deposited),
            Event::SurplusWithdrawn(withdrawn) => self.withdraw(event, withdrawn),
            // What is only proposed changes nothing yet; how orders are spread over pages decides nothing here; records are
            // elsewhere.
            Event::RoleChanged(_)
            | Event::OrderShardsChanged(_)
            | Event::PaymentRecorded(_)
            | Event::RefundRecorded(_)
            | Event::Redeemed(_)
            | Event::BalanceExpired(_)
            | Event::WalletLinked(_)
            | Event::Claimed(_) => {}
        }
    }

    fn create(&mut self, event: &Event, created: &PlatformCreated) {
        if self.settings.is_some() || Addresses::of(created.id).platform != self.addresses.platform {
            self.wrong(event, Wrong::Created);
            return;
        }
        let setting = |value| Setting { value, next: 0, next_from: 0 };
        self.settings = Some(Settings {
            admin: created.admin,
            pauser: created.pauser,
            paused: false,
            max_lateness: setting(created.max_lateness),
            timelock: setting(created.timelock),
            oracles: Default::default(),
            assets: created.assets.clone(),
        });
        self.ledger.set_terms(Terms::new(&created.offsets, Seconds(created.max_lateness), &created.assets));
        for (asset, id) in created.assets.iter().zip(1..) {
            self.back(asset, AssetId(id));
        }
    }

    /// A token is backed by its vault, which holds nothing before the first deposit.
    fn back(&mut self, asset: &AssetEntry, id: AssetId) {
        if asset.kind == AssetKind::Token as u8 {
            self.ledger.set_funds(id, Amount(0));
        }
    }

    fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        if let Some(settings) = &mut self.settings {
            change(settings);
        }
    }

    fn terms(&mut self, change: impl FnOnce(&mut Terms)) {
        let mut terms = self.ledger.terms().clone();
        change(&mut terms);
        self.ledger.set_terms(terms);
    }

    fn asset(&self, id: u8) -> Option<&AssetEntry> {
        self.settings.as_ref()?.assets.get(usize::from(id).checked_sub(1)?)
    }

    fn change(&mut self, changed: &SettingChanged) {
        let now = Timestamp(changed.at);
        let from = if changed.effective_at == 0 { changed.at } else { changed.effective_at };
        self.set(|settings| {
            let setting = match changed.setting {
                MAX_LATENESS => &mut settings.max_lateness,
                TIMELOCK => &mut settings.timelock,
                _ => return,
            };
            *setting = if from == changed.at {
                Setting { value: changed.value, next: 0, next_from: 0 }
            } else {
                Setting { value: setting.at(now), next: changed.value, next_from: from }
            };
        });
    }

    fn add_asset(&mut self, event: &Event, added: &AssetAdded) {
        let count = self.settings.as_ref().map_or(0, |settings| settings.assets.len());
        if usize::from(added.asset) != count.saturating_add(1) {
            let what = format!("asset {} is added where there are {count}", added.asset);
            self.wrong(event, Wrong::Decision(what));
            return;
        }
        self.set(|settings| settings.assets.push(added.entry));
        self.terms(|terms| terms.assets.push((&added.entry).into()));
        self.back(&added.entry, AssetId(added.asset));
    }

    fn drop_rule(&mut self, event: &Event, dropped: &RuleDropped) {
        let (id, version) = (RuleId(dropped.rule), RuleVersion(dropped.version));
        let rule = self.ledger.rules().iter().find(|rule| rule.id == id && rule.version == version);
        let totals = rule.map(|rule| (rule.granted.0, rule.grants, rule.reversed.0));
        let said = (dropped.granted, dropped.grants, dropped.reversed);
        if totals != Some(said) {
            let name = self.rule_name(id, version);
            let expected = totals.map_or_else(
                || "is not in the book".to_owned(),
                |(granted, grants, reversed)| {
                    format!("granted {granted} in {grants} grants, of which {reversed} was reversed")
                },
            );
            let what = format!(
                "rule {id} version {version} \"{name}\" {expected}; the event says {} in {}, {} reversed",
                said.0, said.1, said.2
            );
            self.wrong(event, Wrong::Decision(what));
        }
        if totals.is_some() {
            // It was found just now.
            let _ = self.ledger.drop_rule(id, version);
        }
    }

    fn deposit(&mut self, event: &Event, deposited: &Deposited) {
        let asset = AssetId(deposited.asset);
        self.compare_funds(event, asset, deposited.funds.saturating_sub(deposited.amount));
        self.ledger.set_funds(asset, Amount(deposited.funds));
        self.vaults.told(asset);
    }

    fn withdraw(&mut self, event: &Event, withdrawn: &SurplusWithdrawn) {
        let asset = AssetId(withdrawn.asset);
        let vault = self.ledger.vault(asset).unwrap_or_default();
        // It counts what somebody sent there as well, so that there can be more.
        let before = withdrawn.funds.saturating_add(withdrawn.amount);
        if before < vault.funds.0 {
            let name = self.asset_name(withdrawn.asset);
            self.wrong(event, Wrong::Funds { asset: name, expected: vault.funds.0, said: before });
        }
        if withdrawn.liability != vault.liability.0 {
            let name = self.asset_name(withdrawn.asset);
            let (expected, said) = (vault.liability.0, withdrawn.liability);
            self.wrong(event, Wrong::Liability { asset: name, expected, said });
        }
        self.ledger.set_funds(asset, Amount(withdrawn.funds));
        self.vaults.told(asset);
    }

    /// What the vault held before, by this event, is what is known of it.
    fn compare_funds(&mut self, event: &Event, asset: AssetId, said: u64) {
        let known = self.ledger.vault(asset).unwrap_or_default().funds.0;
        let agrees = if self.vaults.is_at_least(asset) { said >= known } else { said == known };
        if !agrees {
            let name = self.asset_name(asset.0);
            self.wrong(event, Wrong::Funds { asset: name, expected: known, said });
        }
    }
}
