//! From the ids a platform uses to what stands on chain for them.

use hmac::{Hmac, Mac};
use rebate_core::units::UserKey;
use sha2::Sha256;
use solana_program::hash::hash;

/// A streamer or a session on chain: the first 8 bytes, little-endian, of SHA-256 of its platform id.
pub fn number(id: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash(id.as_bytes()).to_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The key of a user where no platform secret is at hand, as the simulator has it: SHA-256 of the user id.
pub fn unkeyed_user(id: &str) -> UserKey {
    UserKey(hash(id.as_bytes()).to_bytes())
}

/// The key of a user: HMAC-SHA256(platform secret, user id). The chain never sees the id.
pub fn user(secret: &[u8], id: &str) -> UserKey {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104 §2)")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes any key");
    mac.update(id.as_bytes());
    UserKey(mac.finalize().into_bytes().into())
}
