//! Expiry by calendar period.

use crate::{
    balance::Balances,
    time::LocalTime,
    units::{Amount, AssetId, MAX_ASSETS, Months, PeriodIndex},
};

/// The longest period an asset can expire by.
pub const MAX_MONTHS: u8 = 24;

impl Months {
    /// The period that `now` lies in: months since January of the year 0, divided by the length of a period, so that three
    /// months are quarters and twelve are years; `None` where nothing expires.
    pub fn period(self, now: LocalTime) -> Option<PeriodIndex> {
        /// From January of the year 0 to January 1970.
        const BEFORE_1970: i32 = 1_970 * 12;
        let months = u32::try_from(now.month().saturating_add(BEFORE_1970)).unwrap_or(0);
        // At most 2^31: `months` was an i32.
        months.checked_div(u32::from(self.0)).map(|period| PeriodIndex(period.cast_signed()))
    }
}

/// What expired of one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The asset.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
    /// The balance before.
    pub before: Amount,
    /// And after.
    pub after: Amount,
}

/// When each asset of a platform expires, by asset slot.
pub type Periods = [Months; MAX_ASSETS];

/// Closes every period that is over at `now` and hands out what expired, asset by asset.
pub fn expire(balances: &mut Balances, periods: &Periods, now: LocalTime, mut expired: impl FnMut(Expired)) {
    for ((balance, months), id) in balances.iter_mut().zip(periods).zip(1..) {
        if let Some(period) = months.period(now) {
            let before = balance.total();
            let amount = balance.expire(period);
            if amount.0 > 0 {
                expired(Expired { asset: AssetId(id), amount, before, after: balance.total() });
            }
        }
    }
}
