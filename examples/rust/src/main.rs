//! What the user of an order has, read from the chain itself, beside what the API says.

use anyhow::{Context, ensure};
use rebate_client::{
    Pubkey,
    account::UserState,
    address::Addresses,
    chain::{Commitment, ReadAccounts, rpc::RpcChain},
};
use rebate_core::units::{AssetId, UserKey};
use serde_json::Value;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let api = arguments.next().context("the address of the API, and the number of an order")?;
    let order = arguments.next().context("the number of an order")?;
    let get = async |path: String| -> anyhow::Result<Value> {
        Ok(reqwest::get(format!("{api}{path}")).await?.error_for_status()?.json().await?)
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();

    let found = get(format!("/v1/orders/{order}?by=number")).await?;
    let platform: Pubkey = text(&found["platform"]).parse()?;
    let record = found["records"].get(0).with_context(|| format!("{order} is no payment"))?;
    let mut user = UserKey([0; 32]);
    hex::decode_to_slice(text(&record["user"]), &mut user.0)?;

    // Any node of the chain will do; the API names one.
    let node = text(&get("/v1/chain".to_owned()).await?["node"]);
    let chain = RpcChain::new(&node, Commitment::Confirmed);
    let account = chain.account(&Addresses::at(platform).user(&user)).await?.context("the chain has no such user")?;
    let on_chain = UserState::decode(&account.data)?;

    let balances = get(format!("/v1/users/{user}/balances")).await?;
    for balance in balances["balances"].as_array().into_iter().flatten() {
        let asset = u8::try_from(balance["asset"].as_u64().unwrap_or_default())?;
        let (held, shown) = (on_chain.balance(AssetId(asset)).total(), text(&balance["balance"]));
        ensure!(held.to_string() == shown, "the chain says {held}, the API {shown}");
        println!("{held} {}: the chain and the API agree", text(&balance["asset_name"]));
    }
    Ok(())
}
