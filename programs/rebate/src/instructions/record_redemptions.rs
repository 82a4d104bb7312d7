//! Records the redemptions of a signed message: points and vouchers that users spent with the platform.

use crate::{
    error::RebateError,
    events::Redeemed,
    log,
    records::{Desk, RecordSigned, Recorded, each},
    state::{order_page, platform::TOKEN, user::holdings},
};
use alloc::vec::Vec;
use anchor_lang::prelude::*;
use rebate_core::{
    redemption::{Redemption, redeem},
    refusal::Refusal,
};

/// - What [`each`] checks of the message.
/// - Each accepted redemption emits `Redeemed`, and before it what expired of the user's balances by then.
pub fn handle(ctx: &mut Context<RecordSigned>) -> Result<()> {
    each(ctx, |desk, user, accounts, redemption: &Redemption| {
        let recorded = record(desk, user, accounts, redemption)?;
        match recorded {
            Ok(()) => log::redeemed(desk.platform, redemption),
            Err(refusal) => log::refused(&redemption.order, refusal),
        }
        Ok(recorded)
    })
}

fn record(
    desk: &mut Desk<'_>,
    account: AccountView,
    mut accounts: &[AccountView],
    redemption: &Redemption,
) -> Recorded {
    let user = desk.user(account, &redemption.user)?;
    if let Err(refusal) = desk.admission.check(redemption.amount, redemption.redeemed_at) {
        return Ok(Err(refusal));
    }
    let (mut page, place) = match desk.page(&mut accounts, &redemption.order, redemption.redeemed_at)? {
        Ok(found) => found,
        Err(refusal) => return Ok(Err(refusal)),
    };
    require!(accounts.is_empty(), RebateError::WrongAccounts);
    if desk.platform.asset(redemption.asset).is_none_or(|asset| asset.kind == TOKEN) {
        return Ok(Err(Refusal::NotRedeemable));
    }
    // SAFETY: the only holdings of the user that this record makes.
    let mut holdings = unsafe { holdings(&user)? };
    let held = holdings.balances();
    let mut balances = held;
    let mut expired = Vec::new();
    desk.expire(&mut balances, &mut expired);
    let (before, after) = match redeem(&mut balances, redemption.asset, redemption.amount) {
        Ok(moved) => moved,
        Err(refusal) => return Ok(Err(refusal)),
    };
    holdings.store(&balances);
    desk.platform.account_for(&held, &balances);
    order_page::take(&mut page, place, &redemption.order)?;

    desk.emit_expired(&redemption.user, &expired)?;
    let platform = desk.platform.address().to_bytes();
    desk.emitter.emit(desk.journal, |index| Redeemed {
        journal_index: index.0,
        at: desk.now.0,
        platform,
        oracle: desk.oracle,
        order: redemption.order.0,
        user: redemption.user.0,
        asset: redemption.asset.0,
        amount: redemption.amount.0,
        redeemed_at: redemption.redeemed_at.0,
        before: before.0,
        after: after.0,
    })?;
    Ok(Ok(()))
}
