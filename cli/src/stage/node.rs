//! The chain inside the process, shown as a node shows a chain: as much of Solana's JSON-RPC as a browser needs that
//! verifies an order or looks at an account, and nothing that changes anything.

use super::Services;
use anyhow::Context;
use axum::{
    Json, Router,
    extract::State,
    http::{Method, header},
    routing::post,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rebate_client::{
    Pubkey,
    chain::{ACCOUNTS_AT_ONCE, AccountAt, ReadAccounts, ReadEvidence, embedded::EmbeddedChain},
};
use serde::Deserialize;
use serde_json::{Value, json};
use solana_signature::Signature;
use std::{
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{Any, CorsLayer};

/// Starts it on a free port and hands back its address.
pub(super) async fn begin(
    chain: EmbeddedChain,
    token: &CancellationToken,
    services: &mut Services,
) -> anyhow::Result<String> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
    let listener = listener.context("cannot listen for whoever reads the chain")?;
    let url = format!("http://{}", listener.local_addr()?);
    let cors = CorsLayer::new().allow_origin(Any).allow_methods([Method::POST]).allow_headers([header::CONTENT_TYPE]);
    let router = Router::new().route("/", post(answer)).layer(cors).with_state(chain);
    let token = token.clone();
    services.spawn(async move {
        // It changes nothing, so that nobody has to be waited for.
        let served = tokio::select! {
            served = axum::serve(listener, router).into_future() => served,
            () = token.cancelled() => Ok(()),
        };
        ("the chain's node", served.map_err(Into::into))
    });
    Ok(url)
}

/// A call by JSON-RPC 2.0.
#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Vec<Value>,
}

/// What JSON-RPC answers with instead of a result.
struct Refused(i64, String);

async fn answer(State(chain): State<EmbeddedChain>, Json(call): Json<Call>) -> Json<Value> {
    Json(match result(&chain, &call).await {
        Ok(result) => json!({"jsonrpc": "2.0", "id": call.id, "result": result}),
        Err(Refused(code, message)) => {
            json!({"jsonrpc": "2.0", "id": call.id, "error": {"code": code, "message": message}})
        }
    })
}

async fn result(chain: &EmbeddedChain, call: &Call) -> Result<Value, Refused> {
    match call.method.as_str() {
        "getHealth" => Ok(json!("ok")),
        "getGenesisHash" => Ok(json!(chain.first_hash().to_string())),
        "getSlot" => Ok(json!(chain.tip())),
        "getAccountInfo" => {
            let addresses = [parameter(call)?];
            let (slot, mut shown) = accounts(chain, &addresses).await?;
            Ok(json!({"context": {"slot": slot}, "value": shown.pop()}))
        }
        "getMultipleAccounts" => {
            let (slot, shown) = accounts(chain, &addresses(call)?).await?;
            Ok(json!({"context": {"slot": slot}, "value": shown}))
        }
        "getTransaction" => transaction(chain, &parameter(call)?).await,
        other => Err(Refused(-32601, format!("{other} is not among what this chain inside a process answers"))),
    }
}

/// The first parameter.
fn parameter<T: FromStr>(call: &Call) -> Result<T, Refused> {
    let text = call.params.first().and_then(Value::as_str).unwrap_or_default();
    text.parse().map_err(|_| Refused(-32602, "the first parameter is not what it should be, in base58".to_owned()))
}

/// The addresses that the first parameter lists.
fn addresses(call: &Call) -> Result<Vec<Pubkey>, Refused> {
    let listed = call.params.first().and_then(Value::as_array).filter(|listed| listed.len() <= ACCOUNTS_AT_ONCE);
    let read = listed.map(|listed| listed.iter().map(|one| one.as_str()?.parse().ok()).collect::<Option<Vec<_>>>());
    read.flatten()
        .ok_or_else(|| Refused(-32602, format!("the first parameter is no list of up to {ACCOUNTS_AT_ONCE} addresses")))
}

/// The last slot, and the accounts as of it; null where there is none.
async fn accounts(chain: &EmbeddedChain, addresses: &[Pubkey]) -> Result<(u64, Vec<Value>), Refused> {
    let read = chain.accounts(addresses).await.map_err(internal)?;
    let shown = |account: Option<AccountAt>| match account {
        None => Value::Null,
        Some(account) => json!({
            "data": [BASE64_STANDARD.encode(&account.data), "base64"],
            "executable": false,
            "lamports": account.lamports,
            "owner": account.owner.to_string(),
            "rentEpoch": 0,
            "space": account.data.len(),
        }),
    };
    Ok((read.slot, read.accounts.into_iter().map(shown).collect()))
}

async fn transaction(chain: &EmbeddedChain, signature: &Signature) -> Result<Value, Refused> {
    let whole = chain.whole(signature).await.map_err(internal)?;
    let (Some(whole), Some(sent)) = (whole, chain.sent(signature)) else { return Ok(Value::Null) };
    let wire = wincode::serialize(&sent).map_err(internal)?;
    let mut from = 0usize;
    let mut inner = Vec::new();
    for (index, own) in whole.instructions.iter().enumerate() {
        let to = from.saturating_add(own.invoked);
        let invoked = whole.transaction.inner.get(from..to).unwrap_or_default();
        from = to;
        let invoked: Vec<_> = invoked
            .iter()
            .map(|inner| {
                let data = bs58::encode(&inner.data).into_string();
                json!({"programIdIndex": inner.program, "accounts": inner.accounts, "data": data, "stackHeight": null})
            })
            .collect();
        if !invoked.is_empty() {
            inner.push(json!({"index": index, "instructions": invoked}));
        }
    }
    // What lookup tables brought stands behind the transaction's own keys.
    let own = sent.message.static_account_keys().len();
    let loaded: Vec<_> = whole.transaction.accounts.iter().skip(own).map(Pubkey::to_string).collect();
    let failed = whole.transaction.failed.then(|| json!("the transaction failed"));
    Ok(json!({
        "slot": whole.slot,
        "blockTime": whole.block_time,
        "transaction": [BASE64_STANDARD.encode(wire), "base64"],
        "meta": {"err": failed, "innerInstructions": inner, "loadedAddresses": {"writable": loaded, "readonly": []}},
    }))
}

fn internal(error: impl std::fmt::Display) -> Refused {
    Refused(-32603, error.to_string())
}
