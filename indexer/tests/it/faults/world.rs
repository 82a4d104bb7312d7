//! The chain that is indexed in spite of all faults, and what the database must hold after each of its blocks.

use crate::{chain::Chain, database::Database, kinds::everything_else};
use rebate_client::{block::Block, chain::Commitment, event::Event};
use rebate_indexer::{source::BlockRef, stretch::Stretch, write::Writer};
use rebate_tests::draw::Draw;
use std::collections::BTreeMap;

/// A chain and its faithful mirror.
pub struct World {
    pub blocks: Vec<Block>,
    /// What the database holds once the block of a slot is written.
    pub contents: BTreeMap<i64, String>,
}

impl World {
    /// The world of a number.
    pub async fn of(number: u64) -> Self {
        let blocks = chain(&mut Draw::of(number)).blocks;
        let database = Database::new().await;
        let mut contents = BTreeMap::new();
        let writer = Writer::new(database.pool().clone(), blocks[0].hash, Commitment::Finalized);
        let mut after = None;
        for block in &blocks {
            writer.write(&Stretch::of(after, [block]).unwrap()).await.unwrap();
            after = Some(BlockRef::of(block));
            contents.insert(i64::try_from(block.slot).unwrap(), database.content().await);
        }
        Self { blocks, contents }
    }

    /// The last slot.
    pub fn end(&self) -> i64 {
        *self.contents.last_key_value().unwrap().0
    }
}

/// Payments, refunds, redemptions and what else there is on two platforms, in some forty slots.
fn chain(draw: &mut Draw) -> Chain {
    let (mut chain, platform) = Chain::with_platform();
    let other = chain.create_platform(2);
    chain.seal();
    let mut refundable = Vec::new();
    let everything_at = draw.between(5, 25);
    for block in 0..30 {
        for _ in 0..draw.below(4) {
            match draw.below(8) {
                0 => chain.pause(other, draw.once_in(2)),
                1 => {
                    if let Some((payment, part)) = refundable.pop() {
                        let refund = chain.refund(&payment, part);
                        chain.emit(&[Event::RefundRecorded(refund)]);
                    }
                }
                2 => {
                    let events: Vec<Vec<u8>> = vec![b"no event".to_vec()];
                    chain.emit_bytes(true, &events);
                }
                _ => {
                    let (user, amount) = (draw.between(10, 16), draw.between(2, 900));
                    let payment = chain.payment(platform, user, amount);
                    let mut events = vec![Event::PaymentRecorded(payment.clone())];
                    if draw.once_in(3) {
                        let redeemed = chain.redemption(platform, user, 1, draw.between(1, 20));
                        events.push(Event::Redeemed(redeemed));
                    }
                    chain.emit(&events);
                    if draw.once_in(2) {
                        refundable.push((payment, draw.between(1, amount)));
                    }
                }
            }
        }
        if block == everything_at {
            everything_else(&mut chain, platform);
        }
        chain.skip(draw.one(&[0, 0, 0, 1, 3]));
        chain.seal();
    }
    chain
}
