//! Writing and reading [`PaymentRecorded`](super::PaymentRecorded): field by field into fixed arrays: the general serialiser asks at
//! every field whether there is room, at half as many compute units again. A test holds the two against each other.

use alloc::vec::Vec;
use anchor_lang::Discriminator;
use core::mem::MaybeUninit;
use rebate_core::{
    outcome::Outcome,
    payment::Payment,
    units::{Amount, AssetId, JournalIndex, PaymentNumber, RuleId, RuleVersion, Timestamp},
};

/// What the event says besides the payment and its outcomes.
pub struct Context<'a> {
    pub journal_index: JournalIndex,
    pub at: Timestamp,
    pub platform: &'a [u8; 32],
    pub oracle: &'a [u8; 32],
    pub number: PaymentNumber,
}

/// The bytes before the outcomes: index, clock, platform, oracle, order, user, amount, paid_at, product, streamer,
/// session, tier, segments, number, and how many outcomes follow.
const HEAD: usize = 8 + 8 + 4 * 32 + 8 + 8 + 2 + 8 + 8 + 1 + 4 + 8 + 4;

/// The bytes of an outcome: rule, version, reason, clause, asset, amount, before, after.
const OUTCOME: usize = 2 + 2 + 1 + 1 + 1 + 3 * 8;

/// Room being filled from its beginning. All lengths are known when the program is built, so that the checks for room
/// disappear.
struct Fields<'a, const N: usize> {
    room: &'a mut [MaybeUninit<u8>; N],
    length: usize,
}

impl<'a, const N: usize> Fields<'a, N> {
    #[inline(always)]
    fn of(room: &'a mut [MaybeUninit<u8>; N]) -> Self {
        Self { room, length: 0 }
    }

    #[inline(always)]
    fn put<const M: usize>(mut self, field: &[u8; M]) -> Self {
        if let Some(room) = self.room.get_mut(self.length..).and_then(|rest| rest.first_chunk_mut::<M>()) {
            *room = field.map(MaybeUninit::new);
            self.length = self.length.saturating_add(M);
        }
        self
    }

    /// Whether all of it was filled.
    #[inline(always)]
    fn is_full(&self) -> bool {
        self.length == N
    }
}

/// Appends the event's fields to `buffer`.
#[inline(always)]
pub fn write(buffer: &mut Vec<u8>, context: &Context<'_>, payment: &Payment, outcomes: &[Outcome]) {
    let length = HEAD.saturating_add(outcomes.len().saturating_mul(OUTCOME));
    buffer.reserve(length);
    let Some((head, rest)) = buffer.spare_capacity_mut().split_first_chunk_mut::<HEAD>() else { return };
    let mut is_full = Fields::of(head)
        .put(&context.journal_index.0.to_le_bytes())
        .put(&context.at.0.to_le_bytes())
        .put(context.platform)
        .put(context.oracle)
        .put(&payment.order.0)
        .put(&payment.user.0)
        .put(&payment.amount.0.to_le_bytes())
        .put(&payment.paid_at.0.to_le_bytes())
        .put(&payment.product.to_le_bytes())
        .put(&payment.streamer.to_le_bytes())
        .put(&payment.session.to_le_bytes())
        .put(&payment.tier.to_le_bytes())
        .put(&payment.segments.to_le_bytes())
        .put(&context.number.0.to_le_bytes())
        .put(&(outcomes.len() as u32).to_le_bytes())
        .is_full();
    let (entries, _) = rest.as_chunks_mut::<OUTCOME>();
    for (entry, outcome) in entries.iter_mut().zip(outcomes) {
        is_full &= Fields::of(entry)
            .put(&outcome.rule.0.to_le_bytes())
            .put(&outcome.version.0.to_le_bytes())
            .put(&[outcome.reason as u8, outcome.clause, outcome.asset.0])
            .put(&outcome.amount.0.to_le_bytes())
            .put(&outcome.before.0.to_le_bytes())
            .put(&outcome.after.0.to_le_bytes())
            .is_full();
    }
    if is_full {
        // SAFETY: room for the head and every outcome was reserved above, and all of it was filled.
        unsafe { buffer.set_len(buffer.len().saturating_add(length)) };
    }
}

/// What an event says of an order.
pub struct Order<'a> {
    pub journal_index: JournalIndex,
    pub platform: &'a [u8; 32],
    pub order: &'a [u8; 32],
    pub user: &'a [u8; 32],
    pub amount: Amount,
    pub paid_at: Timestamp,
    pub streamer: u64,
    pub session: u64,
    outcomes: &'a [u8],
}

/// What an event says of a rule.
pub struct RuleOutcome {
    pub rule: RuleId,
    pub version: RuleVersion,
    pub reason: u8,
    pub asset: AssetId,
    pub amount: Amount,
}

/// Reads an event from its canonical bytes; `None` if they are no whole `PaymentRecorded`.
pub fn read(bytes: &[u8]) -> Option<Order<'_>> {
    let bytes = bytes.strip_prefix(super::PaymentRecorded::DISCRIMINATOR)?;
    let (head, outcomes) = bytes.split_first_chunk::<HEAD>()?;
    let mut rest = head.as_slice();
    let journal_index = JournalIndex(u64::from_le_bytes(*field(&mut rest)?));
    let _at = field::<8>(&mut rest)?;
    let platform = field(&mut rest)?;
    let _oracle = field::<32>(&mut rest)?;
    let order = field(&mut rest)?;
    let user = field(&mut rest)?;
    let amount = Amount(u64::from_le_bytes(*field(&mut rest)?));
    let paid_at = Timestamp(i64::from_le_bytes(*field(&mut rest)?));
    let _product = field::<2>(&mut rest)?;
    let streamer = u64::from_le_bytes(*field(&mut rest)?);
    let session = u64::from_le_bytes(*field(&mut rest)?);
    let _tier_segments_number = field::<13>(&mut rest)?;
    let count = u32::from_le_bytes(*field(&mut rest)?) as usize;
    let order = Order { journal_index, platform, order, user, amount, paid_at, streamer, session, outcomes };
    (outcomes.len() == count.checked_mul(OUTCOME)?).then_some(order)
}

fn field<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (field, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(field)
}

impl<'a> Order<'a> {
    /// Of every rule that was in force.
    pub fn outcomes(&self) -> impl Iterator<Item = RuleOutcome> + use<'a> {
        self.outcomes.chunks_exact(OUTCOME).filter_map(|mut rest| {
            let rule = RuleId(u16::from_le_bytes(*field(&mut rest)?));
            let version = RuleVersion(u16::from_le_bytes(*field(&mut rest)?));
            let [reason, _clause, asset] = *field::<3>(&mut rest)?;
            let amount = Amount(u64::from_le_bytes(*field(&mut rest)?));
            Some(RuleOutcome { rule, version, reason, asset: AssetId(asset), amount })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{OutcomeEntry, PaymentRecorded};
    use anchor_lang::{Discriminator, Event};
    use rebate_core::{
        outcome::Reason,
        units::{Amount, AssetId, OrderHash, RuleId, RuleVersion, UserKey},
    };

    #[test]
    fn the_event_written_by_hand_is_the_event_the_idl_describes() {
        let payment = Payment {
            order: OrderHash([1; 32]),
            user: UserKey([2; 32]),
            amount: Amount(0x0102_0304_0506_0708),
            paid_at: Timestamp(-5),
            product: 0x090a,
            streamer: 0x0b0c_0d0e_0f10_1112,
            session: 0x1314_1516_1718_191a,
            tier: 0x1b,
            segments: 0x1c1d_1e1f,
        };
        let outcome = Outcome {
            slot: 3,
            rule: RuleId(0x2021),
            version: RuleVersion(0x2223),
            reason: Reason::NothingDue,
            clause: 0x24,
            asset: AssetId(0x25),
            amount: Amount(0x26),
            before: Amount(u64::MAX),
            after: Amount(0x27),
        };
        let (platform, oracle) = ([4; 32], [5; 32]);
        for count in 0..3 {
            let context = Context {
                journal_index: JournalIndex(6),
                at: Timestamp(i64::MAX),
                platform: &platform,
                oracle: &oracle,
                number: PaymentNumber(7),
            };
            let mut written = PaymentRecorded::DISCRIMINATOR.to_vec();
            write(&mut written, &context, &payment, &alloc::vec![outcome; count]);

            let entry = OutcomeEntry {
                rule: outcome.rule.0,
                version: outcome.version.0,
                reason: outcome.reason as u8,
                clause: outcome.clause,
                asset: outcome.asset.0,
                amount: outcome.amount.0,
                before: outcome.before.0,
                after: outcome.after.0,
            };
            let event = PaymentRecorded {
                journal_index: 6,
                at: i64::MAX,
                platform,
                oracle,
                order: payment.order.0,
                user: payment.user.0,
                amount: payment.amount.0,
                paid_at: payment.paid_at.0,
                product: payment.product,
                streamer: payment.streamer,
                session: payment.session,
                tier: payment.tier,
                segments: payment.segments,
                number: 7,
                outcomes: alloc::vec![entry; count],
            };
            assert_eq!(written, event.data(), "with {count} outcomes");
        }
    }
}
