//! The connection to the server, and its next one when it breaks.

use super::{super::SourceError, StreamMetrics, Subscription, queue::Queue, shown};
use crate::retry::Outage;
use futures::{SinkExt, StreamExt};
use rebate_client::{
    address::PROGRAM,
    chain::{Commitment, rpc::without_secrets},
};
use std::{collections::HashMap, time::Duration};
use thiserror::Error;
use tokio::time::timeout;
use tonic::metadata::AsciiMetadataValue;
use tracing::{debug, warn};
use yellowstone_grpc_client::{ClientTlsConfig, GeyserGrpcBuilder, GeyserGrpcBuilderError, GeyserGrpcClientError};
use yellowstone_grpc_proto::geyser::{
    CommitmentLevel, SubscribeRequest, SubscribeRequestFilterBlocks, SubscribeRequestPing,
    subscribe_update::UpdateOneof,
};

/// The name of the only filter.
const FILTER: &str = "rebate";

/// How long connecting may take.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);

/// How often the connection is tried, and how long an answer to that may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// A server says something every 10 to 15 seconds, if only that it is there.
const SPEAKS_WITHIN: Duration = Duration::from_secs(40);

/// A block of nothing but the program's transactions, with what they logged, is some megabytes.
const LARGEST: usize = 64 << 20;

/// Why a stream ended.
#[derive(Debug, Error)]
#[error("the stream {name} ended: {why}; until it is back, blocks are read by RPC")]
struct Ended {
    name: String,
    why: String,
}

/// A server's stream.
#[derive(Clone)]
pub struct Stream {
    url: String,
    token: Option<AsciiMetadataValue>,
    name: String,
    commitment: Commitment,
}

impl Stream {
    pub fn new(subscription: Subscription, commitment: Commitment) -> Result<Self, SourceError> {
        let Subscription { url, token } = subscription;
        let name = without_secrets(&url);
        let refused =
            |why: &str| SourceError::Refused { node: name.clone(), what: "the stream".to_owned(), why: why.to_owned() };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(refused("its address must begin with http:// or https://"));
        }
        if GeyserGrpcBuilder::from_shared(url.clone()).is_err() {
            return Err(refused("its address is none"));
        }
        let token = token.map(AsciiMetadataValue::try_from).transpose();
        let mut token = token.map_err(|_| refused("its token has characters that no token can have"))?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        Ok(Self { url, token, name, commitment })
    }

    /// The server's address, without credentials.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fills the queue for as long as it is polled; a stream that breaks is asked for again, later each time.
    pub async fn read_into(&self, queue: &Queue, metrics: &StreamMetrics) {
        let mut outage = Outage::new();
        let mut received = 0_u64;
        let mut resumes = true;
        loop {
            let before = received;
            let why = match self.read_once(queue, resumes.then(|| queue.after()), &mut received).await {
                Ok(()) => "the server closed it".to_owned(),
                Err(why) => why,
            };
            queue.set_fed(false);
            // A server that no longer has the slot says so at once; then what it does have. What lies between is read by RPC.
            resumes = !resumes || received > before;
            metrics.reconnects.inc();
            outage.pause(received, &Ended { name: self.name.clone(), why }).await;
        }
    }

    /// Reads a stream to its end.
    async fn read_once(&self, queue: &Queue, from_slot: Option<u64>, received: &mut u64) -> Result<(), String> {
        let mut client = self.builder().map_err(|error| self.describe_builder(&error))?;
        client.x_token = self.token.clone();
        let mut client = client.connect().await.map_err(|error| self.describe_builder(&error))?;
        let subscribing = client.subscribe_with_request(Some(self.request(from_slot)));
        let (mut requests, mut updates) = timeout(CONNECTS_WITHIN, subscribing)
            .await
            .map_err(|_| "it does not answer".to_owned())?
            .map_err(|error| self.describe(&error))?;
        queue.set_fed(true);
        debug!("the stream {} is there", self.name);
        loop {
            let update = timeout(SPEAKS_WITHIN, updates.next()).await.map_err(|_| "it says nothing".to_owned())?;
            let Some(update) = update else { return Ok(()) };
            let update = update.map_err(|status| self.describe(&status.into()))?;
            match update.update_oneof {
                Some(UpdateOneof::Block(block)) => {
                    *received = received.saturating_add(1);
                    let slot = block.slot;
                    match shown::block(block) {
                        Ok(block) => queue.push(block),
                        Err(why) => warn!("the stream {} has block {slot}, but {why}; it is read by RPC", self.name),
                    }
                }
                // Balancers close a connection on which only one side speaks.
                Some(UpdateOneof::Ping(_)) => {
                    let ping = SubscribeRequest { ping: Some(SubscribeRequestPing { id: 1 }), ..Default::default() };
                    requests.send(ping).await.map_err(|_| "it takes no more requests".to_owned())?;
                }
                _ => {}
            }
        }
    }

    fn builder(&self) -> Result<GeyserGrpcBuilder, GeyserGrpcBuilderError> {
        let builder = GeyserGrpcBuilder::from_shared(self.url.clone())?
            .connect_timeout(CONNECTS_WITHIN)
            .http2_keep_alive_interval(KEEPALIVE.0)
            .keep_alive_timeout(KEEPALIVE.1)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .max_decoding_message_size(LARGEST);
        if self.url.starts_with("https://") {
            return builder.tls_config(ClientTlsConfig::new().with_native_roots());
        }
        Ok(builder)
    }

    fn request(&self, from_slot: Option<u64>) -> SubscribeRequest {
        let blocks = SubscribeRequestFilterBlocks {
            account_include: vec![PROGRAM.to_string()],
            include_transactions: Some(true),
            include_accounts: Some(false),
            include_entries: Some(false),
            ..SubscribeRequestFilterBlocks::default()
        };
        let commitment = match self.commitment {
            Commitment::Confirmed => CommitmentLevel::Confirmed,
            Commitment::Finalized => CommitmentLevel::Finalized,
        };
        SubscribeRequest {
            blocks: HashMap::from([(FILTER.to_owned(), blocks)]),
            commitment: Some(commitment.into()),
            from_slot,
            ..SubscribeRequest::default()
        }
    }

    fn describe(&self, error: &GeyserGrpcClientError) -> String {
        match error {
            GeyserGrpcClientError::TonicStatus(status) => {
                self.without_token(format!("{:?}: {}", status.code(), status.message()))
            }
            GeyserGrpcClientError::TransportError(_) => "the connection broke".to_owned(),
        }
    }

    fn describe_builder(&self, error: &GeyserGrpcBuilderError) -> String {
        match error {
            GeyserGrpcBuilderError::MetadataValueError(_) => "its token cannot be sent".to_owned(),
            // What lies underneath can name the address, which may hold a key.
            GeyserGrpcBuilderError::TonicError(_) => "no connection".to_owned(),
        }
    }

    /// A server can repeat what it was sent.
    fn without_token(&self, text: String) -> String {
        match self.token.as_ref().and_then(|token| token.to_str().ok()).filter(|token| !token.is_empty()) {
            Some(token) => text.replace(token, "…"),
            None => text,
        }
    }
}
