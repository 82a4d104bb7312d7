//! Links the wallets of a signed message: to whom users' tokens go.

use crate::{
    error::RebateError,
    events::WalletLinked,
    log,
    records::{Desk, RecordSigned, Recorded, each},
};
use anchor_lang::prelude::*;
use rebate_core::{units::Timestamp, wallet::WalletLink};

/// - What [`each`] checks of the message.
/// - A link counts only where it is newer than the one in effect.
/// - Each link emits `WalletLinked`.
pub fn handle(ctx: &mut Context<RecordSigned>) -> Result<()> {
    each(ctx, |desk, user, accounts, link: &WalletLink| {
        let recorded = record(desk, user, accounts, link)?;
        if let Err(refusal) = recorded {
            log::link_refused(&link.user, refusal);
        }
        Ok(recorded)
    })
}

fn record(desk: &mut Desk<'_>, account: AccountView, accounts: &[AccountView], link: &WalletLink) -> Recorded {
    let mut user = desk.user(account, &link.user)?;
    require!(accounts.is_empty(), RebateError::WrongAccounts);
    let checked = desk.admission.check_time(link.linked_at);
    if let Err(refusal) = checked.and_then(|()| link.check_newer(Timestamp(user.wallet_linked_at))) {
        return Ok(Err(refusal));
    }
    user.wallet = Address::new_from_array(link.wallet);
    user.wallet_linked_at = link.linked_at.0;

    let platform = desk.platform.address().to_bytes();
    desk.emitter.emit(desk.journal, |index| WalletLinked {
        journal_index: index.0,
        at: desk.now.0,
        platform,
        oracle: desk.oracle,
        user: link.user.0,
        wallet: link.wallet,
        linked_at: link.linked_at.0,
    })?;
    Ok(Ok(()))
}
