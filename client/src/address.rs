//! The addresses of one platform's accounts.

use rebate_core::{
    time,
    units::{AssetId, Day, OrderHash, ScopeId, Timestamp, UserKey},
    window::Scope,
};
use solana_program::pubkey::Pubkey;
use std::sync::LazyLock;

/// The rebate program.
pub const PROGRAM: Pubkey = Pubkey::from_str_const("ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u");

/// The Ed25519 precompile.
pub const ED25519: Pubkey = Pubkey::from_str_const("Ed25519SigVerify111111111111111111111111111");

/// The instructions sysvar.
pub const INSTRUCTIONS_SYSVAR: Pubkey = Pubkey::from_str_const("Sysvar1nstructions1111111111111111111111111");

/// The system program.
pub const SYSTEM: Pubkey = Pubkey::from_str_const("11111111111111111111111111111111");

/// The address that signs the program's self-CPI events.
pub fn event_authority() -> Pubkey {
    // Deriving it costs microseconds, and the indexer asks for every transaction of the chain.
    static ADDRESS: LazyLock<Pubkey> = LazyLock::new(|| derive(&[b"__event_authority"]));
    *ADDRESS
}

fn derive(seeds: &[&[u8]]) -> Pubkey {
    Pubkey::find_program_address(seeds, &PROGRAM).0
}

/// The addresses of one platform, derived once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The platform itself.
    pub platform: Pubkey,
    /// Its rules.
    pub rule_book: Pubkey,
    /// Its journal.
    pub journal: Pubkey,
    /// What signs its events.
    pub event_authority: Pubkey,
}

impl Addresses {
    /// The addresses of the platform created with number `id`.
    pub fn of(id: u64) -> Self {
        Self::at(derive(&[b"platform", &id.to_le_bytes()]))
    }

    /// The addresses that belong to the platform at `platform`.
    pub fn at(platform: Pubkey) -> Self {
        Self {
            platform,
            rule_book: derive(&[b"rules", platform.as_ref()]),
            journal: derive(&[b"journal", platform.as_ref()]),
            event_authority: event_authority(),
        }
    }

    /// A user's account.
    pub fn user(&self, key: &UserKey) -> Pubkey {
        derive(&[b"user", self.platform.as_ref(), &key.0])
    }

    /// Page `number` of a day's orders, from 0.
    pub fn order_page(&self, day: Day, shard: u16, number: u16) -> Pubkey {
        let (day, shard, number) = (day.0.to_le_bytes(), shard.to_le_bytes(), number.to_le_bytes());
        derive(&[b"orders", self.platform.as_ref(), &day, &shard, &number])
    }

    /// A user's counters towards one streamer or in one session.
    pub fn counter(&self, key: &UserKey, scope: Scope, id: ScopeId) -> Pubkey {
        derive(&[b"counter", self.platform.as_ref(), &key.0, &[scope as u8], &id.0.to_le_bytes()])
    }

    /// What proves an order, and what was refunded of it.
    pub fn refund(&self, order: &OrderHash) -> Pubkey {
        derive(&[b"refund", self.platform.as_ref(), &order.0])
    }

    /// The tokens behind an asset.
    pub fn vault(&self, asset: AssetId) -> Pubkey {
        derive(&[b"vault", self.platform.as_ref(), &[asset.0]])
    }
}

/// The day whose pages know an order of the time `at`. One from before 1970 belongs to day 0; the program refuses it as too
/// late.
pub fn day_of(at: Timestamp) -> Day {
    time::utc_day(at).unwrap_or(Day(0))
}
