//! What the vaults hold, as far as events tell.
//!
//! Anybody can send tokens to a vault without an event. The platform takes note of them with the next deposit, withdrawal or
//! claim. The first two say in their events what the vault holds then; a claim does not, so that after one the vault may hold
//! more than is known. What is granted out of it then shows that there is at least so much.

use super::Ledger;
use crate::event::{BalanceExpired, OutcomeEntry};
use rebate_core::{
    outcome::Reason,
    units::{Amount, AssetId, MAX_ASSETS},
};

/// Which vaults may hold more than is known, by asset slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownFunds {
    at_least: [bool; MAX_ASSETS],
}

impl KnownFunds {
    /// Whether what is known of a vault's funds is only the least there can be.
    pub fn is_at_least(&self, asset: AssetId) -> bool {
        asset.slot().and_then(|slot| self.at_least.get(slot)).copied().unwrap_or_default()
    }

    /// A claim took note of whatever was sent there.
    pub fn claimed(&mut self, asset: AssetId) {
        self.set(asset, true);
    }

    /// An event said what the vault holds.
    pub fn told(&mut self, asset: AssetId) {
        self.set(asset, false);
    }

    fn set(&mut self, asset: AssetId, at_least: bool) {
        if let Some(known) = asset.slot().and_then(|slot| self.at_least.get_mut(slot)) {
            *known = at_least;
        }
    }

    /// Before a payment is decided: a vault of which the least is known holds what the payment was granted out of it.
    pub fn allow(&self, ledger: &mut Ledger, outcomes: &[OutcomeEntry], expired: &[BalanceExpired]) {
        for id in 1..=MAX_ASSETS as u8 {
            let asset = AssetId(id);
            if !self.is_at_least(asset) {
                continue;
            }
            let Some(vault) = ledger.vault(asset) else { continue };
            let mut granted =
                outcomes.iter().filter(|outcome| outcome.asset == id && outcome.reason == Reason::Granted as u8);
            let Some(first) = granted.next() else { continue };
            let last = granted.next_back().unwrap_or(first);
            let credited = last.after.saturating_sub(first.before);
            let over = expired.iter().filter(|expired| expired.asset == id).map(|expired| expired.amount);
            let owed = vault.liability.0.saturating_sub(over.fold(0, u64::saturating_add));
            let least = owed.saturating_add(credited);
            if vault.funds.0 < least {
                ledger.set_funds(asset, Amount(least));
            }
        }
    }
}
