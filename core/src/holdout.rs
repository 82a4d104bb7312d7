//! The control group of a rule: users who are never granted, so that its uplift can be measured.

use crate::units::{BasisPoints, RuleId, UserKey};
use solana_sha256_hasher::hashv;

/// Whether the rule never grants to this user, where `share` of all users are held out:
/// `u64_le(SHA-256("holdout" ‖ rule id ‖ user key)[0..8]) mod 10 000 < share`, the rule's id in 2 bytes, little-endian.
pub fn is_held_out(rule: RuleId, user: &UserKey, share: BasisPoints) -> bool {
    if share.0 == 0 {
        return false;
    }
    let [a, b, c, d, e, f, g, h, ..] = hashv(&[b"holdout", &rule.0.to_le_bytes(), &user.0]).to_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) % BasisPoints::WHOLE < u64::from(share.0)
}
