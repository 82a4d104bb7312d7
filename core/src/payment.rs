//! A payment, as the platform's oracle signs it.

use crate::{
    units::{Amount, OrderHash, ScopeId, Timestamp, UserKey},
    window::Scope,
};

/// One paid order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payment {
    /// SHA-256 of the order number.
    pub order: OrderHash,
    /// Who paid.
    pub user: UserKey,
    /// What was paid, in the platform's minor currency unit; more than 0.
    pub amount: Amount,
    /// When it was paid.
    pub paid_at: Timestamp,
    /// What was bought.
    pub product: u16,
    /// To whom: the first 8 bytes, little-endian, of SHA-256 of the streamer's platform id; 0 for nobody.
    pub streamer: u64,
    /// In which live session: likewise; 0 for none.
    pub session: u64,
    /// The user's tier with the platform, 0 for none.
    pub tier: u8,
    /// The user's segments, a bit set.
    pub segments: u32,
}

impl Payment {
    /// Whose counters a rule of the scope `scope` uses.
    pub fn scope_id(&self, scope: Scope) -> ScopeId {
        match scope {
            Scope::User => ScopeId(0),
            Scope::UserStreamer => ScopeId(self.streamer),
            Scope::UserSession => ScopeId(self.session),
        }
    }
}
