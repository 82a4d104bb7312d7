//! The program's events, decoded. Field for field what `idl/rebate.json` says.

use crate::account::AssetKind;
use borsh::{BorshDeserialize, BorshSerialize};
use rebate_core::{
    payment::Payment,
    units::{Amount, OrderHash, Timestamp, UserKey},
};
use solana_program::hash::hash;
use std::sync::LazyLock;
use thiserror::Error;

/// What the data of an event's self-CPI begins with: Anchor's event tag, little-endian.
pub const TAG: [u8; 8] = 0x1d9a_cb51_2ea5_45e4_u64.to_le_bytes();

/// Bytes that are no event this code knows.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// The first eight bytes name no event.
    #[error("unknown event {discriminator:02x?}: the program is newer than this software; update it")]
    UnknownEvent {
        /// What they are.
        discriminator: [u8; 8],
    },
    /// The event is known, its bytes are not what it should look like.
    #[error("malformed event {name}: {why}; the program is newer than this software, or the node altered it")]
    Malformed {
        /// The event.
        name: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// A platform was created.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PlatformCreated {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The number it was created with.
    pub id: u64,
    /// Who may change rules, assets and oracle keys.
    pub admin: [u8; 32],
    /// Who may pause.
    pub pauser: [u8; 32],
    /// How far back a payment may lie, in seconds.
    pub max_lateness: u32,
    /// How far ahead a rule version must be published, in seconds.
    pub timelock: u32,
    /// Into how many pages a day's orders are spread.
    pub order_shards: u16,
    /// The least slots that the first page of a day and shard has.
    pub page_slots: u16,
    /// Local time, by date.
    pub offsets: Vec<OffsetEntry>,
    /// What can be granted; the first is asset 1.
    pub assets: Vec<AssetEntry>,
}

/// A row of the table of UTC offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OffsetEntry {
    /// The first second of this offset, Unix time.
    pub from: i64,
    /// Local minus UTC, in seconds.
    pub seconds: i32,
}

/// An asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AssetEntry {
    /// UTF-8, zero-padded.
    pub name: [u8; 16],
    /// 1 points, 2 token, 3 voucher.
    pub kind: u8,
    /// The calendar period it expires by, 1 to 24; 0 for never.
    pub expiry_months: u8,
    /// The mint of a token; zero for others.
    pub mint: [u8; 32],
}

impl AssetEntry {
    /// An asset by its parts; `None` where the name has more than 16 bytes.
    pub fn new(name: &str, kind: AssetKind, expiry_months: u8, mint: Option<[u8; 32]>) -> Option<Self> {
        let mut padded = [0; 16];
        padded.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self { name: padded, kind: kind as u8, expiry_months, mint: mint.unwrap_or_default() })
    }

    /// The name without its padding.
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.name).trim_end_matches('\0').to_owned()
    }
}

/// An oracle key may sign from now on.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OracleKeyRegistered {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The Ed25519 key.
    pub key: [u8; 32],
    /// Unix seconds; 0 for always.
    pub valid_from: i64,
    /// Unix seconds, exclusive; 0 for never.
    pub valid_until: i64,
}

/// A rule version was published.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RulePublished {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The first `paid_at` it is for, Unix seconds; 0 for open.
    pub effective_at: i64,
    /// All of it.
    pub rule: RuleDefinition,
}

/// A rule version, as an operator publishes it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RuleDefinition {
    /// The rule.
    pub id: u16,
    /// One more than the last published, from 1.
    pub version: u16,
    /// 1 to 32 bytes of UTF-8.
    pub name: String,
    /// Smaller is evaluated first; ties by id.
    pub priority: u16,
    /// Against `paid_at`, Unix seconds; 0 for open.
    pub starts_at: i64,
    /// Against `paid_at`, Unix seconds, exclusive; 0 for open.
    pub ends_at: i64,
    /// With which rules it competes.
    pub group: u8,
    /// How: 1 stackable, 2 first, 3 best; the same for all rules of the group.
    pub group_mode: u8,
    /// What others can exclude it by, a bit set.
    pub tags: u32,
    /// By what it is excluded, a bit set.
    pub excludes: u32,
    /// Clause by clause; empty for always.
    pub condition: Vec<PredicateEntry>,
    /// Over which time its counters run: 1 day, 2 week, 3 month, 4 lifetime, 5 schedule.
    pub window: u8,
    /// Whose counters it uses: 1 user, 2 user_streamer, 3 user_session.
    pub scope: u8,
    /// What it grants.
    pub effect: EffectEntry,
    /// How much and how often at most.
    pub limits: LimitsEntry,
    /// The basis points of users who are never granted.
    pub holdout_bps: u16,
}

/// One comparison: predicates of one clause are OR-ed, clauses AND-ed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PredicateEntry {
    /// 0, 1, 2 … in order.
    pub clause: u8,
    /// Whether the comparison must not hold.
    pub negated: bool,
    /// 1 amount, 2 product, 3 weekday, 4 payment_number, 5 hour, 6 date, 7 spend, 8 payments, 9 streak_days, 10 tier, 11 segments, 12
    /// streamer, 13 session.
    pub field: u8,
    /// 1 ==, 2 !=, 3 <, 4 <=, 5 >, 6 >=, 7 any.
    pub operator: u8,
    /// What the field is compared with.
    pub value: u64,
}

/// What a rule grants.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum EffectEntry {
    /// The same amount each time.
    Fixed {
        /// What is granted.
        asset: u8,
        /// How much.
        amount: u64,
    },
    /// A share of the payment, in basis points, clamped; `max` 0 for no limit.
    Ratio {
        /// What is granted.
        asset: u8,
        /// Basis points.
        bps: u32,
        /// At least this.
        min: u64,
        /// At most this; 0 for no limit.
        max: u64,
    },
    /// What the spend in the window entitles to, less what was granted in it: `mode` 1 fixed, 2 slab, 3 marginal; 1 to 8
    /// steps by ascending threshold.
    Tiers {
        /// What is granted.
        asset: u8,
        /// 1 fixed, 2 slab, 3 marginal.
        mode: u8,
        /// By ascending threshold.
        steps: Vec<StepEntry>,
    },
    /// `amount` on the payment that makes the streak `days` long, or every multiple of it.
    Streak {
        /// What is granted.
        asset: u8,
        /// How long a streak.
        days: u32,
        /// How much.
        amount: u64,
        /// Whether every multiple counts.
        recurring: bool,
    },
    /// On what the other rules of the group granted in the asset, in basis points above 10 000.
    Multiplier {
        /// What is granted.
        asset: u8,
        /// Basis points.
        bps: u32,
    },
}

/// A step of tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StepEntry {
    /// The spend from which on it counts.
    pub threshold: u64,
    /// An amount, or basis points.
    pub value: u64,
}

/// A rule's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LimitsEntry {
    /// How much a user gets in one window; 0 for no limit.
    pub user_amount: u64,
    /// How often a user gets something in one window; 0 for no limit.
    pub user_count: u64,
    /// How much the rule grants in all; 0 for no limit.
    pub total_amount: u64,
    /// How often it grants in all; 0 for no limit.
    pub total_count: u64,
    /// What happens to a grant that passes a limit: 1 clip, 2 reject.
    pub on_limit: u8,
}

/// Recording was stopped or resumed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PauseChanged {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// Stopped or resumed.
    pub paused: bool,
    /// Who did it.
    pub by: [u8; 32],
}

/// A payment was accepted.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PaymentRecorded {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The oracle key that signed it.
    pub oracle: [u8; 32],
    /// SHA-256 of the order number.
    pub order: [u8; 32],
    /// The user's key.
    pub user: [u8; 32],
    /// The platform's minor currency unit.
    pub amount: u64,
    /// Unix seconds.
    pub paid_at: i64,
    /// What was bought.
    pub product: u16,
    /// 0 for none.
    pub streamer: u64,
    /// 0 for none.
    pub session: u64,
    /// The user's tier, 0 for none.
    pub tier: u8,
    /// The user's segments, a bit set.
    pub segments: u32,
    /// The how-manieth payment of this user it is, from 1.
    pub number: u64,
    /// Of every rule in force, in order of evaluation.
    pub outcomes: Vec<OutcomeEntry>,
}

impl From<&PaymentRecorded> for Payment {
    /// What the oracle signed.
    fn from(event: &PaymentRecorded) -> Self {
        Self {
            order: OrderHash(event.order),
            user: UserKey(event.user),
            amount: Amount(event.amount),
            paid_at: Timestamp(event.paid_at),
            product: event.product,
            streamer: event.streamer,
            session: event.session,
            tier: event.tier,
            segments: event.segments,
        }
    }
}

/// What one rule did with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OutcomeEntry {
    /// The rule.
    pub rule: u16,
    /// Its version.
    pub version: u16,
    /// 0 Granted, 1 NotMatched, 2 NothingDue, 3 LateForWindow, 4 Holdout, 5 UserLimit, 6 BudgetSpent, 7 GroupTaken, 8 Excluded,
    /// 9 VaultShort, 10 Reversed.
    pub reason: u8,
    /// With NotMatched, the first clause that fails.
    pub clause: u8,
    /// What it grants.
    pub asset: u8,
    /// How much it granted, or a refund reversed, in the asset's smallest unit.
    pub amount: u64,
    /// The user's balance before.
    pub before: u64,
    /// And after.
    pub after: u64,
}

/// An oracle key may sign no longer than until then.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OracleKeyRetired {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The Ed25519 key.
    pub key: [u8; 32],
    /// Unix seconds, exclusive.
    pub valid_until: i64,
}

/// The last version of a rule ends without a successor.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RuleEnded {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The rule.
    pub rule: u16,
    /// Its version.
    pub version: u16,
    /// The first `paid_at` it is no longer for, Unix seconds.
    pub ends_at: i64,
}

/// A version that is over left the rule book; these are its totals.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RuleDropped {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The rule.
    pub rule: u16,
    /// Its version.
    pub version: u16,
    /// What it granted, in the asset's smallest unit.
    pub granted: u64,
    /// How often.
    pub grants: u64,
    /// What of it refunds took back.
    pub reversed: u64,
}

/// A platform can grant one more thing.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AssetAdded {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// Its number.
    pub asset: u8,
    /// What it is.
    pub entry: AssetEntry,
    /// The first `paid_at` a rule may grant it for, Unix seconds; 0 for open.
    pub active_from: i64,
}

/// The platform's clocks will be set otherwise from then on.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OffsetAdded {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The row added to the table.
    pub offset: OffsetEntry,
}

/// A role has a new holder, or is to get one.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RoleChanged {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// 1 admin, 2 pauser.
    pub role: u8,
    /// Who holds it, or will.
    pub holder: [u8; 32],
    /// From when on the holder may take it up, Unix seconds; 0 where the holder has it now.
    pub effective_at: i64,
}

/// A setting changes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SettingChanged {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// 1 max_lateness, 2 timelock.
    pub setting: u8,
    /// Seconds.
    pub value: u32,
    /// From when on, Unix seconds; 0 for now.
    pub effective_at: i64,
}

/// The orders of later days are spread into another number of pages, or into larger or smaller ones.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OrderShardsChanged {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The first day, days since 1970-01-01, UTC.
    pub from_day: u32,
    /// How many pages.
    pub shards: u16,
    /// The least slots that the first page of a day and shard has.
    pub page_slots: u16,
}

/// Records of this day and all before it are refused for good.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DayClosed {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// Days since 1970-01-01, UTC.
    pub day: u32,
}

/// An order was refunded, in whole or in part.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RefundRecorded {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The oracle key that signed it.
    pub oracle: [u8; 32],
    /// SHA-256 of the refund's own order number.
    pub order: [u8; 32],
    /// SHA-256 of the order refunded.
    pub of: [u8; 32],
    /// The user's key.
    pub user: [u8; 32],
    /// The platform's minor currency unit.
    pub amount: u64,
    /// When it was paid back, Unix seconds.
    pub paid_at: i64,
    /// What of the order was refunded so far, this refund included.
    pub refunded: u64,
    /// Of every grant that loses something, in the order granted.
    pub outcomes: Vec<OutcomeEntry>,
}

/// A user spent points or vouchers with the platform.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Redeemed {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The oracle key that signed it.
    pub oracle: [u8; 32],
    /// SHA-256 of the redemption's order number.
    pub order: [u8; 32],
    /// The user's key.
    pub user: [u8; 32],
    /// What.
    pub asset: u8,
    /// In the asset's smallest unit.
    pub amount: u64,
    /// Unix seconds.
    pub redeemed_at: i64,
    /// The balance before.
    pub before: u64,
    /// And after.
    pub after: u64,
}

/// What was left of a closed period expired.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BalanceExpired {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The user's key.
    pub user: [u8; 32],
    /// What.
    pub asset: u8,
    /// In the asset's smallest unit.
    pub amount: u64,
    /// The balance before.
    pub before: u64,
    /// And after.
    pub after: u64,
}

/// A user's tokens go to this wallet.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct WalletLinked {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The oracle key that signed it.
    pub oracle: [u8; 32],
    /// The user's key.
    pub user: [u8; 32],
    /// The wallet's address.
    pub wallet: [u8; 32],
    /// Unix seconds.
    pub linked_at: i64,
}

/// A user took tokens out of a vault.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Claimed {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// The user's key.
    pub user: [u8; 32],
    /// The wallet that signed.
    pub wallet: [u8; 32],
    /// What.
    pub asset: u8,
    /// In the asset's smallest unit.
    pub amount: u64,
    /// The balance before.
    pub before: u64,
    /// And after.
    pub after: u64,
    /// The token account they went to.
    pub destination: [u8; 32],
}

/// A token asset has a vault.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct VaultOpened {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// What it holds.
    pub asset: u8,
    /// The token's mint.
    pub mint: [u8; 32],
    /// The vault's address.
    pub vault: [u8; 32],
}

/// A vault received tokens.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Deposited {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// What.
    pub asset: u8,
    /// Who gave them.
    pub by: [u8; 32],
    /// What arrived, in the asset's smallest unit.
    pub amount: u64,
    /// What the vault holds now.
    pub funds: u64,
}

/// Tokens left a vault that no user has a claim to.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SurplusWithdrawn {
    /// Position in the journal.
    pub journal_index: u64,
    /// The chain's clock, Unix seconds.
    pub at: i64,
    /// The platform's address.
    pub platform: [u8; 32],
    /// What.
    pub asset: u8,
    /// The token account they went to.
    pub destination: [u8; 32],
    /// In the asset's smallest unit.
    pub amount: u64,
    /// What the vault holds now.
    pub funds: u64,
    /// What users have of it.
    pub liability: u64,
}

/// Any event of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A platform was created.
    PlatformCreated(PlatformCreated),
    /// An oracle key may sign from now on.
    OracleKeyRegistered(OracleKeyRegistered),
    /// A rule version was published.
    RulePublished(RulePublished),
    /// Recording was stopped or resumed.
    PauseChanged(PauseChanged),
    /// A payment was accepted.
    PaymentRecorded(PaymentRecorded),
    /// An oracle key may sign no longer than until then.
    OracleKeyRetired(OracleKeyRetired),
    /// The last version of a rule ends without a successor.
    RuleEnded(RuleEnded),
    /// A version that is over left the rule book; these are its totals.
    RuleDropped(RuleDropped),
    /// A platform can grant one more thing.
    AssetAdded(AssetAdded),
    /// The platform's clocks will be set otherwise from then on.
    OffsetAdded(OffsetAdded),
    /// A role has a new holder, or is to get one.
    RoleChanged(RoleChanged),
    /// A setting changes.
    SettingChanged(SettingChanged),
    /// The orders of later days are spread into another number of pages, or into larger or smaller ones.
    OrderShardsChanged(OrderShardsChanged),
    /// Records of this day and all before it are refused for good.
    DayClosed(DayClosed),
    /// An order was refunded, in whole or in part.
    RefundRecorded(RefundRecorded),
    /// A user spent points or vouchers with the platform.
    Redeemed(Redeemed),
    /// What was left of a closed period expired.
    BalanceExpired(BalanceExpired),
    /// A user's tokens go to this wallet.
    WalletLinked(WalletLinked),
    /// A user took tokens out of a vault.
    Claimed(Claimed),
    /// A token asset has a vault.
    VaultOpened(VaultOpened),
    /// A vault received tokens.
    Deposited(Deposited),
    /// Tokens left a vault that no user has a claim to.
    SurplusWithdrawn(SurplusWithdrawn),
}

/// Anchor's discriminator of an event: the first 8 bytes of SHA-256 of `event:Name`.
fn discriminator(name: &str) -> [u8; 8] {
    let digest = hash(format!("event:{name}").as_bytes()).to_bytes();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h]
}

macro_rules! events {
    ($($name:ident),*) => {
        impl Event {
            /// The names of all kinds.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// Decodes an event from its canonical bytes; every byte must be used.
            ///
            /// # Errors
            /// [`DecodeError`].
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                let (head, body) = bytes.split_first_chunk::<8>().ok_or_else(|| DecodeError::Malformed {
                    name: "event",
                    why: format!("{} bytes, fewer than a discriminator has", bytes.len()),
                })?;
                $(
                    {
                        static DISCRIMINATOR: LazyLock<[u8; 8]> = LazyLock::new(|| discriminator(stringify!($name)));
                        if *head == *DISCRIMINATOR {
                            return borsh::from_slice(body).map(Self::$name).map_err(|error| DecodeError::Malformed {
                                name: stringify!($name),
                                why: error.to_string(),
                            });
                        }
                    }
                )*
                Err(DecodeError::UnknownEvent { discriminator: *head })
            }

            /// The canonical bytes.
            ///
            /// # Errors
            /// Only what writing into memory can fail with.
            pub fn encode(&self) -> std::io::Result<Vec<u8>> {
                match self {
                    $(Self::$name(event) => {
                        let mut bytes = discriminator(stringify!($name)).to_vec();
                        event.serialize(&mut bytes)?;
                        Ok(bytes)
                    })*
                }
            }

            /// Its name.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }

            /// The address of the platform it is about.
            pub fn platform(&self) -> [u8; 32] {
                match self {
                    $(Self::$name(event) => event.platform,)*
                }
            }

            /// Its position in the platform's journal.
            pub fn journal_index(&self) -> u64 {
                match self {
                    $(Self::$name(event) => event.journal_index,)*
                }
            }

            /// The chain's clock when it was emitted, Unix seconds.
            pub fn at(&self) -> i64 {
                match self {
                    $(Self::$name(event) => event.at,)*
                }
            }
        }
    };
}

events!(
    PlatformCreated,
    OracleKeyRegistered,
    RulePublished,
    PauseChanged,
    PaymentRecorded,
    OracleKeyRetired,
    RuleEnded,
    RuleDropped,
    AssetAdded,
    OffsetAdded,
    RoleChanged,
    SettingChanged,
    OrderShardsChanged,
    DayClosed,
    RefundRecorded,
    Redeemed,
    BalanceExpired,
    WalletLinked,
    Claimed,
    VaultOpened,
    Deposited,
    SurplusWithdrawn
);
