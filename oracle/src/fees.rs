//! What a transaction pays beyond the base fee, so that a leader takes it.

/// How much is paid for a compute unit, in millionths of a lamport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeePolicy {
    /// Which of the recent fees for the same accounts is paid, in percent from the lowest: 75 is more than three quarters paid.
    pub percentile: u8,
    /// Never less than this.
    pub least: u64,
    /// Never more than this, whatever others pay.
    pub most: u64,
}

impl Default for FeePolicy {
    fn default() -> Self {
        // 200,000 units at the most are then 0.0002 SOL at most.
        Self { percentile: 75, least: 0, most: 1_000_000 }
    }
}

/// The most compute units that a transaction can ask for.
pub const MOST_UNITS: u32 = 1_400_000;

impl FeePolicy {
    /// The price of a compute unit where others recently paid these.
    pub fn price(&self, recent: &[u64]) -> u64 {
        let mut recent = recent.to_vec();
        recent.sort_unstable();
        let last = recent.len().saturating_sub(1);
        let at = last.saturating_mul(usize::from(self.percentile.min(100))).div_euclid(100);
        recent.get(at).copied().unwrap_or_default().max(self.least).min(self.most)
    }
}

/// How many units to ask for where a simulation took `units`: a tenth more, since what the transaction meets can differ a
/// little from what the simulation met.
pub fn limit(units: u64) -> u32 {
    let with_room = units.saturating_add(units / 10).saturating_add(1_000);
    u32::try_from(with_room).unwrap_or(MOST_UNITS).min(MOST_UNITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_is_the_percentile_of_recent_fees_within_bounds() {
        let policy = FeePolicy { percentile: 75, least: 10, most: 100 };
        assert_eq!(policy.price(&[]), 10);
        assert_eq!(policy.price(&[0, 0, 0]), 10);
        assert_eq!(policy.price(&[50, 20, 30, 40, 60]), 50);
        assert_eq!(policy.price(&[1_000_000; 150]), 100);
    }

    #[test]
    fn the_limit_leaves_room_and_is_never_more_than_a_transaction_may_take() {
        assert_eq!(limit(50_000), 56_000);
        assert_eq!(limit(u64::MAX), MOST_UNITS);
    }
}
