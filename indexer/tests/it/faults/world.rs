//! The chain that is indexed in spite of all faults, the forks it leaves behind, and what the database must hold after each
//! block of any of them.

use crate::{chain::Chain, database::Database, kinds::everything_else};
use rebate_client::{block::Block, chain::Commitment, event::Event};
use rebate_indexer::{source::BlockRef, stretch::Stretch, write::Writer};
use rebate_tests::draw::Draw;
use std::collections::HashMap;

/// How many blocks may be confirmed and not final.
const AHEAD: usize = 8;

/// A chain with forks, and its faithful mirror.
pub struct World {
    /// The chain that stays.
    pub main: Vec<Block>,
    /// What was confirmed for a while and did not stay.
    pub forks: Vec<Fork>,
    /// What the database holds once the block with a hash is written.
    pub contents: HashMap<Vec<u8>, String>,
}

/// Blocks that the chain takes back.
pub struct Fork {
    /// How many blocks of the chain that stays it builds on.
    pub on: usize,
    pub blocks: Vec<Block>,
}

/// What a node shows at a time.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// How many blocks of the chain that stays.
    pub main: usize,
    /// And on top of them, how many of a fork.
    pub fork: Option<(usize, usize)>,
    /// How many blocks are final.
    pub finals: usize,
}

impl World {
    /// The world of a number.
    pub async fn of(number: u64) -> Self {
        let (main, forks) = chain(&mut Draw::of(number));
        let mut world = Self { main: main.blocks, forks, contents: HashMap::new() };
        world.mirror(None).await;
        for fork in 0..world.forks.len() {
            world.mirror(Some(fork)).await;
        }
        world
    }

    async fn mirror(&mut self, fork: Option<usize>) {
        let database = Database::new().await;
        let writer = Writer::new(database.pool().clone(), self.main[0].hash, Commitment::Finalized);
        let blocks: Vec<&Block> = match fork.map(|fork| &self.forks[fork]) {
            None => self.main.iter().collect(),
            Some(fork) => self.main[..fork.on].iter().chain(&fork.blocks).collect(),
        };
        let mut after = None;
        for block in blocks {
            writer.write(&Stretch::of(after, [block]).unwrap()).await.unwrap();
            after = Some(BlockRef::of(block));
            let hash = block.hash.to_bytes().to_vec();
            if let std::collections::hash_map::Entry::Vacant(entry) = self.contents.entry(hash) {
                entry.insert(database.content_at_once().await.1);
            }
        }
    }

    /// The last block.
    pub fn end(&self) -> &Block {
        self.main.last().unwrap()
    }

    /// What a node shows one time after the other; in the end, all of it as final.
    pub fn views(&self, draw: &mut Draw) -> Vec<View> {
        let mut view = View { main: 3, fork: None, finals: 1 };
        let mut views = vec![view];
        let mut left: Vec<usize> = (0..self.forks.len()).collect();
        while view.finals < self.main.len() {
            let end = self.main.len().min(view.finals + AHEAD);
            view.main = end.min(view.main + usize::try_from(draw.below(3)).unwrap());
            view.finals = view.main.min(view.finals + usize::try_from(draw.below(2)).unwrap());
            views.push(view);
            let builds_here = |fork: &usize| (view.finals..=view.main).contains(&self.forks[*fork].on);
            let Some(place) = left.iter().position(builds_here) else { continue };
            let fork = left.remove(place);
            let on = self.forks[fork].on;
            for blocks in 1..=self.forks[fork].blocks.len() {
                let finals = on.min(view.finals + usize::try_from(draw.below(2)).unwrap());
                view.finals = finals;
                // Now and then it stays a while.
                for _ in 0..draw.between(1, 3) {
                    views.push(View { main: on, fork: Some((fork, blocks)), finals });
                }
            }
            // The chain that stays goes on from further back.
            view.main = on.max(view.finals);
        }
        views
    }
}

/// Payments, refunds, redemptions and what else there is on two platforms, in some forty slots.
fn chain(draw: &mut Draw) -> (Chain, Vec<Fork>) {
    let (mut chain, platform) = Chain::with_platform();
    let other = chain.create_platform(2);
    chain.seal();
    let (mut refundable, mut forks) = (Vec::new(), Vec::new());
    let everything_at = draw.between(5, 25);
    for block in 0..30 {
        if block % 7 == 3 {
            forks.push(fork(draw, &chain, platform));
        }
        for _ in 0..draw.below(4) {
            match draw.below(8) {
                0 => chain.pause(other, draw.once_in(2)),
                1 => {
                    if let Some((payment, part)) = refundable.pop() {
                        let refund = chain.refund(&payment, part);
                        chain.emit(&[Event::RefundRecorded(refund)]);
                    }
                }
                2 => chain.emit_bytes(true, &[b"no event".to_vec()]),
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
    (chain, forks)
}

/// Some blocks that leave the chain here.
fn fork(draw: &mut Draw, chain: &Chain, platform: [u8; 32]) -> Fork {
    let on = chain.blocks.len();
    let mut fork = chain.clone();
    fork.fork = draw.any().to_le_bytes().to_vec();
    for _ in 0..draw.between(1, 4) {
        fork.skip(draw.below(2));
        for _ in 0..draw.below(4) {
            fork.pay(platform, draw.between(10, 20), draw.between(2, 900));
        }
        fork.seal();
    }
    Fork { on, blocks: fork.blocks[on..].to_vec() }
}
