//! A real evening: the program on the embedded chain, the indexer, Postgres, and the API over it.

use crate::served::Served;
use rebate_api::Settings;
use rebate_client::{
    address::Addresses,
    chain::{Commitment, SubmitError, embedded::EmbeddedChain},
    event::{AssetEntry, Event, OffsetEntry, PaymentRecorded, RuleDefinition},
    explorer::Cluster,
    instruction::{self, PlatformSettings},
};
use rebate_core::{payment::Payment, units::Timestamp};
use rebate_indexer::{source::BlockRef, stretch::Stretch, write::Writer};
use rebate_tests::{
    artifacts,
    platform::{NOON, TestPlatform},
};
use serde_json::Value;
use solana_keypair::Keypair;
use solana_signer::Signer;
use tokio::runtime::Runtime;

/// A platform on the embedded chain, and an API over what the indexer wrote of it.
pub struct Evening {
    pub runtime: Runtime,
    pub served: Served,
    pub writer: Writer,
    pub platform: TestPlatform,
    /// What was accepted, by order.
    pub paid: Vec<Payment>,
}

impl Evening {
    pub fn begin(offsets: Vec<OffsetEntry>, assets: Vec<AssetEntry>, rules: &[RuleDefinition]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let chain = EmbeddedChain::start(&artifacts::program()).unwrap();
        chain.set_clock(Some(NOON));
        let [payer, admin, pauser, oracle] = [(); 4].map(|()| Keypair::new());
        let platform = TestPlatform { addresses: Addresses::of(1), chain, since: 0, payer, admin, pauser, oracle };
        platform.fund(&platform.payer.pubkey());
        platform.fund(&platform.admin.pubkey());
        let settings = PlatformSettings {
            id: 1,
            admin: platform.admin.pubkey().to_bytes(),
            pauser: platform.pauser.pubkey().to_bytes(),
            max_lateness: 3 * 86_400,
            timelock: 0,
            order_shards: 1,
            page_slots: 256,
            offsets,
            assets,
        };
        platform.run(&[instruction::create_platform(&platform.payer.pubkey(), &settings)], &[&platform.payer]).unwrap();
        let (admin, key) = (platform.admin.pubkey(), platform.oracle.pubkey());
        let register = instruction::register_oracle_key(&admin, &platform.addresses, &key, Timestamp(0), Timestamp(0));
        platform.run(&[register], &[&platform.admin]).unwrap();
        for rule in rules {
            platform.publish(rule, 0).unwrap();
        }
        let settings = Settings { max_lag: None, ..Settings::new(Cluster::Devnet) };
        let served = runtime.block_on(Served::with(settings));
        let writer = Writer::new(served.pool().clone(), platform.chain.first_hash(), Commitment::Finalized);
        Self { runtime, served, writer, platform, paid: Vec::new() }
    }

    /// Goes on to `now`, and lets the indexer read everything.
    pub fn index(&mut self, now: i64) {
        self.platform.chain.set_clock(Some(now));
        self.platform.chain.pass();
        self.write(true);
    }

    /// Lets the indexer read everything, as final or not. Returns where that ends.
    pub fn write(&mut self, is_final: bool) -> BlockRef {
        let chain = &self.platform.chain;
        let writer = &self.writer;
        let end = self.runtime.block_on(async {
            let after = writer.cursor().await.unwrap().map(|cursor| cursor.at);
            let from = after.map_or(0, |after| after.slot + 1);
            let blocks: Vec<_> = (from..=chain.tip()).filter_map(|slot| chain.block(slot)).collect();
            let stretch = Stretch::of(after, &blocks).unwrap();
            let written =
                if is_final { writer.write(&stretch).await } else { writer.write_provisional(&stretch).await };
            written.unwrap();
            stretch.end()
        });
        end.unwrap()
    }

    pub fn json(&self, path: &str) -> Value {
        self.runtime.block_on(self.served.json(path))
    }

    pub fn preview(&self, payment: &Payment) -> Value {
        let Payment { user, amount, paid_at, product, streamer, session, tier, segments, .. } = payment;
        self.json(&format!(
            "/v1/users/{user}/preview?amount={amount}&at={paid_at}&product={product}&streamer={streamer}\
             &session={session}&tier={tier}&segments={segments}"
        ))
    }

    /// What the chain did with a payment; the name of its refusal where it did nothing.
    pub fn pay(&mut self, payment: &Payment) -> Result<PaymentRecorded, String> {
        let from = self.platform.chain.tip() + 1;
        if let Err(error) = self.platform.pay(&[*payment]) {
            return match error {
                SubmitError::Refused { error, .. } => Err(error.name().to_owned()),
                other => panic!("{other}"),
            };
        }
        self.paid.push(*payment);
        let emitted = self.platform.events_between(from, self.platform.chain.tip());
        let recorded = emitted.into_iter().find_map(|emitted| match emitted.event {
            Event::PaymentRecorded(recorded) => Some(recorded),
            _ => None,
        });
        Ok(recorded.unwrap())
    }
}
