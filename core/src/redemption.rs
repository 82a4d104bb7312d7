//! Redemption: points and vouchers that a user spends with the platform.

use crate::{
    balance::Balances,
    refusal::Refusal,
    units::{Amount, AssetId, OrderHash, Timestamp, UserKey},
};

/// One redemption, as the oracle signs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redemption {
    /// SHA-256 of the redemption's own order number.
    pub order: OrderHash,
    /// Who redeems.
    pub user: UserKey,
    /// What; points or a voucher.
    pub asset: AssetId,
    /// How much, in the asset's smallest unit; more than 0.
    pub amount: Amount,
    /// When.
    pub redeemed_at: Timestamp,
}

/// Takes `amount` of `asset`, the older part first. Returns the balance before and after.
///
/// # Errors
/// [`Refusal::InsufficientBalance`] if the user has less; nothing was changed.
pub fn redeem(balances: &mut Balances, asset: AssetId, amount: Amount) -> Result<(Amount, Amount), Refusal> {
    let balance = asset.slot().and_then(|slot| balances.get_mut(slot)).ok_or(Refusal::NotRedeemable)?;
    let before = balance.total();
    if before < amount {
        return Err(Refusal::InsufficientBalance);
    }
    balance.debit(amount);
    Ok((before, balance.total()))
}
