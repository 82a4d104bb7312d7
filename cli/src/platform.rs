//! `rebate platform`.

use crate::{
    arguments::{NodeArguments, PlatformCommand},
    cast, keys,
};
use anyhow::{Context, bail};
use rebate_client::{
    Pubkey,
    account::{AssetKind, Journal, Platform},
    address::{Addresses, day_of},
    chain::{Commitment, Landed, ReadAccounts, Submit, rpc::RpcChain},
    event::AssetEntry,
    instruction::{self, PlatformSettings},
};
use rebate_core::units::Timestamp;
use rebate_rulefile::RuleFile;
use solana_keypair::Keypair;
use solana_program::instruction::Instruction;
use solana_signer::Signer;

/// How many slots the first page of a day and shard has at least where nothing else is said: 2 kB, room for 224 orders.
pub const PAGE_SLOTS: u16 = 256;

/// Does what the command says.
///
/// # Errors
/// One clear reason.
pub async fn run(command: PlatformCommand) -> anyhow::Result<()> {
    match command {
        PlatformCommand::Create { node, id, rules, mints, pauser, timelock, order_shards, page_slots } => {
            let mut file = RuleFile::read(&rules)?;
            name_mints(&mut file.assets, &mints)?;
            let (chain, payer) = connect(&node)?;
            let addresses = Addresses::of(id);
            if chain.account(&addresses.platform).await?.is_some() {
                bail!("platform {id} exists already, at {}; choose another --id", addresses.platform);
            }
            let settings = PlatformSettings {
                timelock,
                order_shards,
                page_slots,
                ..settings(id, &payer.pubkey(), &pauser.unwrap_or(payer.pubkey()), &file)
            };
            chain.submit(&[instruction::create_platform(&payer.pubkey(), &settings)], &[&payer]).await?;
            println!("platform {id} is at {}", addresses.platform);
            println!("next: rebate platform add-oracle {} KEY, then rebate rule publish", addresses.platform);
            for asset in settings.assets.iter().filter(|asset| asset.kind == AssetKind::Token as u8) {
                println!("for {} to be granted: rebate vault open {} {0}", asset.name(), addresses.platform);
            }
            Ok(())
        }
        PlatformCommand::Show { rpc, platform } => show(&reach(&rpc)?, platform).await,
        PlatformCommand::AddOracle { node, platform, key } => {
            let (chain, payer) = connect(&node)?;
            let addresses = Addresses::at(platform);
            let register =
                instruction::register_oracle_key(&payer.pubkey(), &addresses, &key, Timestamp(0), Timestamp(0));
            submit(&chain, &[register], &payer).await?;
            println!("{key} may sign for {platform}");
            Ok(())
        }
        PlatformCommand::Pause { node, platform } => set_paused(&node, platform, true).await,
        PlatformCommand::Unpause { node, platform } => set_paused(&node, platform, false).await,
    }
}

/// The node and who pays.
pub(crate) fn connect(node: &NodeArguments) -> anyhow::Result<(RpcChain, Keypair)> {
    Ok((reach(&node.rpc)?, keys::read(&node.payer)?))
}

/// The node at an address. The address is not repeated where it is none: there may be a key in it all the same.
pub(crate) fn reach(rpc: &str) -> anyhow::Result<RpcChain> {
    match reqwest::Url::parse(rpc) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) => Ok(RpcChain::new(rpc, Commitment::Confirmed)),
        _ => bail!("--rpc is no address of a node; expected one like http://127.0.0.1:8899"),
    }
}

async fn submit(chain: &RpcChain, instructions: &[Instruction], payer: &Keypair) -> anyhow::Result<Landed> {
    Ok(chain.submit(instructions, &[payer]).await?)
}

async fn set_paused(node: &NodeArguments, platform: Pubkey, paused: bool) -> anyhow::Result<()> {
    let (chain, payer) = connect(node)?;
    let pause = instruction::set_paused(&payer.pubkey(), &Addresses::at(platform), paused);
    submit(&chain, &[pause], &payer).await?;
    println!("{platform} is {}", if paused { "paused" } else { "running" });
    Ok(())
}

/// The platform at an address.
pub(crate) async fn read(chain: &dyn ReadAccounts, platform: Pubkey) -> anyhow::Result<Platform> {
    let account = chain
        .account(&platform)
        .await?
        .with_context(|| format!("there is no platform at {platform}; `rebate platform create` makes one"))?;
    Platform::decode(&account.data).with_context(|| format!("the account at {platform}"))
}

async fn show(chain: &dyn ReadAccounts, address: Pubkey) -> anyhow::Result<()> {
    let platform = read(chain, address).await?;
    let addresses = Addresses::at(address);
    println!("platform      {address} (number {})", platform.id);
    println!("state         {}", if platform.paused == 0 { "running" } else { "paused" });
    println!("admin         {}", Pubkey::new_from_array(platform.admin));
    println!("pauser        {}", Pubkey::new_from_array(platform.pauser));
    let now = Timestamp(chain.now().await?);
    println!("lateness      {} s at most", platform.max_lateness.at(now));
    println!("timelock      {} s", platform.timelock.at(now));
    let today = day_of(now);
    println!(
        "order shards  {}, first pages of {} slots or more",
        platform.order_shards(today),
        platform.page_slots(today)
    );
    for offset in platform.offsets() {
        println!("UTC offset    {} s from {} on", offset.seconds, offset.from);
    }
    for id in 1..=platform.asset_count {
        println!("asset {id}       {}", platform.asset_name(rebate_core::units::AssetId(id)).unwrap_or_default());
    }
    for oracle in platform.oracles() {
        println!("oracle key    {}", Pubkey::new_from_array(oracle.key));
    }
    println!("rule book     {}", addresses.rule_book);
    if let Some(account) = chain.account(&addresses.journal).await? {
        let journal = Journal::decode(&account.data)?;
        println!("journal       {} with {} events", addresses.journal, journal.count);
    }
    Ok(())
}

/// Writes the mints of tokens down for which the rule file names none.
fn name_mints(assets: &mut [AssetEntry], mints: &[(String, Pubkey)]) -> anyhow::Result<()> {
    for (name, mint) in mints {
        let asset = assets.iter_mut().find(|asset| asset.name() == *name && cast::is_without_mint(asset));
        let asset = asset.with_context(|| format!("--mint {name}: the rule file has no such token without a mint"))?;
        asset.mint = mint.to_bytes();
    }
    match assets.iter().find(|asset| cast::is_without_mint(asset)) {
        None => Ok(()),
        Some(asset) => {
            let name = asset.name();
            bail!(
                "{name} is a token without a mint; write `mint = \"…\"` into the rule file, or say --mint {name}=ADDRESS"
            )
        }
    }
}

/// A platform with the settings of a rule file, an hour of timelock, and one shard with first pages of the usual size.
pub fn settings(id: u64, admin: &Pubkey, pauser: &Pubkey, file: &RuleFile) -> PlatformSettings {
    PlatformSettings {
        id,
        admin: admin.to_bytes(),
        pauser: pauser.to_bytes(),
        max_lateness: file.max_lateness,
        timelock: 3_600,
        order_shards: 1,
        page_slots: PAGE_SLOTS,
        offsets: file.offsets.clone(),
        assets: file.assets.clone(),
    }
}
