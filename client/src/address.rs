//! The addresses of one platform's accounts.

use rebate_core::{
    order,
    payment::Payment,
    time,
    units::{Day, UserKey},
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

    /// The page of a day's orders.
    pub fn order_page(&self, day: Day, shard: u16) -> Pubkey {
        derive(&[b"orders", self.platform.as_ref(), &day.0.to_le_bytes(), &shard.to_le_bytes()])
    }

    /// Day and shard of the page that knows `payment`, on a platform with `shards` shards. A payment from before 1970
    /// belongs to day 0; the program refuses it as too late.
    pub fn page_of(payment: &Payment, shards: u16) -> (Day, u16) {
        (time::utc_day(payment.paid_at).unwrap_or(Day(0)), order::shard(&payment.order, shards))
    }
}
