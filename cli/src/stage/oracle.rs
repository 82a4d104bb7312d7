//! The oracle on a stage, as in production: a database of its own, its HTTP server, and its outbox on the stage's chain.

use super::{Services, Stage, service_ended, stopped};
use crate::cast::Cast;
use anyhow::Context;
use rebate_client::{
    Pubkey,
    chain::{Commitment, Dispatch, rpc::RpcChain},
};
use rebate_oracle::{
    OracleState, Settings, api_key, database, http,
    outbox::{Options, Outbox, metrics::Metrics},
    settings::{ApiKey, Limits, Place, ProviderSettings, UserSecret},
    signer::LocalKey,
};
use solana_keypair::Keypair;
use sqlx::PgPool;
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::Mutex};
use tokio_util::sync::CancellationToken;

/// The name of the payment provider, whose notices are of the generic kind.
pub const PROVIDER: &str = "demo";

/// The currency of all orders.
pub const CURRENCY: &str = "CNY";

/// How old a notice may be, in seconds.
const TOLERANCE: u32 = 300;

/// Connections to the oracle's database, of the server and of the outbox each.
const CONNECTIONS: u32 = 6;

/// How long a payment waits for others to share a transaction with: whoever plays notices sends them in a row.
const GATHER: Duration = Duration::from_millis(30);

/// How often the outbox looks for what it sent. It is alone with its node.
const LOOK: Duration = Duration::from_millis(20);

/// A running oracle.
pub struct Oracle {
    /// Its address, without a slash at the end.
    pub url: String,
    /// The key of the platform's server.
    pub api_key: String,
    /// What the provider signs its notices with.
    pub secret: String,
    /// Connections to its database.
    pub pool: PgPool,
    token: CancellationToken,
    services: Mutex<Services>,
}

impl Oracle {
    /// Starts the oracle of the platform at `platform` on the database at `url`: it signs with the cast's oracle key, and
    /// the cast's payer pays.
    pub(super) async fn begin(stage: &Stage, url: &str, cast: &Cast, platform: Pubkey) -> anyhow::Result<Self> {
        let pool = database::connect(url, CONNECTIONS).await?;
        let (api_key, sha256) = api_key::make().map_err(|_| anyhow::anyhow!("the system has no randomness"))?;
        let secret = hex::encode(Keypair::new().secret_bytes());
        let registry = prometheus::Registry::new();
        // The settings say where secrets are; they are read once.
        let folder = tempfile::tempdir().context("a folder for the oracle's secrets")?;
        let settings = Settings {
            platform,
            currency: CURRENCY.to_owned(),
            user_secrets: vec![UserSecret { number: 1, secret: place(&folder, "users", cast.secret())? }],
            api_keys: vec![ApiKey { name: "the platform's server".to_owned(), sha256: digest(&sha256)? }],
            providers: [(
                PROVIDER.to_owned(),
                ProviderSettings::Hmac { secrets: vec![place(&folder, PROVIDER, &secret)?], tolerance: TOLERANCE },
            )]
            .into(),
            keep_notices: 0,
            webhook: None,
            outbox: None,
            limits: Limits { connections: CONNECTIONS, ..Limits::default() },
        };
        let (state, writers) = OracleState::new(&settings, pool.clone(), registry.clone()).await?;
        drop(folder);

        let token = CancellationToken::new();
        let mut services = Services::new();
        let metrics = Metrics::new(&registry)?;
        let outbox = database::connect(url, CONNECTIONS).await?;
        match (&stage.embedded, &stage.rpc) {
            (Some(chain), _) => send(&mut services, outbox, chain.clone(), cast, platform, metrics, &token),
            (None, Some(url)) => {
                let chain = RpcChain::new(url, Commitment::Confirmed);
                send(&mut services, outbox, chain, cast, platform, metrics, &token);
            }
            (None, None) => anyhow::bail!("the stage has no chain that transactions can be handed to"),
        }
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
        let listener = listener.context("cannot listen for the oracle")?;
        let url = format!("http://{}", listener.local_addr()?);
        let serving = token.clone();
        services.spawn(async move {
            let served = http::serve(listener, state, serving).await;
            writers.finish().await;
            ("the oracle's server", served.map_err(Into::into))
        });
        Ok(Self { url, api_key, secret, pool, token, services: Mutex::new(services) })
    }

    /// Why one of its services has ended.
    pub(super) async fn ended(&self) -> anyhow::Error {
        service_ended(&self.services).await
    }

    /// Stops it; what is under way is finished.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.token.cancel();
        let ended = stopped(self.services.into_inner()).await;
        self.pool.close().await;
        ended
    }
}

/// Brings what the oracle takes onto the chain.
fn send<C: Dispatch + Clone + 'static>(
    services: &mut Services,
    pool: PgPool,
    chain: C,
    cast: &Cast,
    platform: Pubkey,
    metrics: Metrics,
    token: &CancellationToken,
) {
    let key = |key: &Keypair| Arc::new(LocalKey::new(key.insecure_clone()));
    let (oracle, payer) = (key(&cast.oracle), key(&cast.payer));
    // One transaction after the other: an evening is played in the order of its file, and looks the same each time.
    let options = Options { gather: GATHER, look: LOOK, under_way: 1, ..Options::default() };
    let outbox = Outbox::new(pool.clone(), chain, oracle, payer, platform, options, metrics);
    let token = token.clone();
    services.spawn(async move {
        outbox.run(token).await;
        pool.close().await;
        ("the oracle's outbox", Ok(()))
    });
}

/// A secret in a file of its own.
fn place(folder: &TempDir, name: &str, secret: &str) -> anyhow::Result<Place> {
    let file = Path::new(folder.path()).join(name);
    fs::write(&file, secret).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(Place::File(file))
}

fn digest(text: &str) -> anyhow::Result<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest)?;
    Ok(digest)
}
