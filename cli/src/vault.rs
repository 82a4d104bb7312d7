//! `rebate vault`.

use crate::{
    arguments::{NodeArguments, VaultCommand},
    platform::{connect, reach, read},
    token,
};
use anyhow::{Context, bail};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use rebate_client::{
    Pubkey,
    account::{Asset, AssetKind, Platform},
    address::Addresses,
    chain::{ReadAccounts, Submit, rpc::RpcChain},
    instruction::{self, Token},
};
use rebate_core::units::{Amount, AssetId};
use solana_keypair::Keypair;
use solana_signer::Signer;

/// Does what the command says.
///
/// # Errors
/// One clear reason.
pub async fn run(command: VaultCommand) -> anyhow::Result<()> {
    match command {
        VaultCommand::Open { node, platform, asset } => open(&Desk::at(&node, platform, &asset).await?).await,
        VaultCommand::Deposit { node, platform, asset, amount, from } => {
            deposit(&Desk::at(&node, platform, &asset).await?, amount, from).await
        }
        VaultCommand::WithdrawSurplus { node, platform, asset, amount, to } => {
            withdraw_surplus(&Desk::at(&node, platform, &asset).await?, amount, to).await
        }
        VaultCommand::Show { rpc, platform } => show(&reach(&rpc)?, platform).await,
    }
}

/// A platform's token, and who does something about it.
struct Desk {
    chain: RpcChain,
    payer: Keypair,
    addresses: Addresses,
    platform: Platform,
    id: AssetId,
    asset: Asset,
    name: String,
    token: Token,
}

impl Desk {
    async fn at(node: &NodeArguments, address: Pubkey, wanted: &str) -> anyhow::Result<Self> {
        let (chain, payer) = connect(node)?;
        let platform = read(&chain, address).await?;
        let (id, name) = find(&platform, wanted)?;
        let asset = *platform.asset(id).context("an asset that was found is there")?;
        if asset.kind != AssetKind::Token as u8 {
            bail!("{name} is no token; only tokens have a vault");
        }
        let mint = Pubkey::new_from_array(asset.mint);
        let account = chain.account(&mint).await?;
        let account = account.with_context(|| format!("there is no mint at {mint}, which is that of {name}"))?;
        if ![token::SPL_TOKEN, token::TOKEN_2022].contains(&account.owner) {
            bail!("the account at {mint}, which should be the mint of {name}, belongs to no token program");
        }
        let token = Token { mint, program: account.owner };
        Ok(Self { chain, payer, addresses: Addresses::at(address), platform, id, asset, name, token })
    }

    fn vault(&self) -> Pubkey {
        self.addresses.vault(self.id)
    }

    fn require_open(&self) -> anyhow::Result<()> {
        if self.asset.has_vault == 0 {
            let Self { name, addresses, .. } = self;
            bail!("{name} has no vault yet; `rebate vault open {} {name}` opens it", addresses.platform);
        }
        Ok(())
    }

    /// What is in the vault now, also what was not counted yet.
    async fn held(&self) -> anyhow::Result<u64> {
        token::balance(&self.chain, &self.vault()).await
    }
}

/// An asset of the platform by its name or its number.
fn find(platform: &Platform, wanted: &str) -> anyhow::Result<(AssetId, String)> {
    let all: Vec<_> = assets(platform).collect();
    let by_name = all.iter().find(|(_, name)| name == wanted);
    let by_number = || all.iter().find(|(id, _)| id.0.to_string() == wanted);
    by_name.or_else(by_number).cloned().with_context(|| {
        let known: Vec<_> = all.iter().map(|(id, name)| format!("{name} ({})", id.0)).collect();
        format!("the platform has no asset {wanted:?}; it has {}", known.join(", "))
    })
}

fn assets(platform: &Platform) -> impl Iterator<Item = (AssetId, String)> {
    let ids = (1..=platform.asset_count).map(AssetId);
    ids.map(|id| (id, platform.asset_name(id).unwrap_or_default()))
}

async fn open(desk: &Desk) -> anyhow::Result<()> {
    let Desk { chain, payer, addresses, name, .. } = desk;
    if desk.asset.has_vault != 0 {
        bail!("the vault of {name} is open already, at {}", desk.vault());
    }
    let open = instruction::open_vault(&payer.pubkey(), addresses, desk.id, &desk.token);
    chain.submit(&[open], &[payer]).await?;
    println!("the vault of {name} is at {}", desk.vault());
    println!("next: rebate vault deposit {} {name} AMOUNT", addresses.platform);
    Ok(())
}

async fn deposit(desk: &Desk, amount: u64, from: Option<Pubkey>) -> anyhow::Result<()> {
    let Desk { chain, payer, addresses, name, token, .. } = desk;
    desk.require_open()?;
    let owner = payer.pubkey();
    let source = from.unwrap_or_else(|| token::associated(&owner, token));
    if amount > 0 {
        if chain.account(&source).await?.is_none_or(|account| account.owner != token.program) {
            bail!(
                "there is no token account at {source} to take {name} from; name one of {owner}, of the mint {}, \
                 with --from",
                token.mint
            );
        }
        let held = token::balance(chain, &source).await?;
        if held < amount {
            bail!("{source} holds {held} {name}, which is less than {amount}");
        }
    }
    let deposit = instruction::deposit(&owner, addresses, desk.id, token, &source, Amount(amount));
    chain.submit(&[deposit], &[payer]).await?;
    let entry = read(chain, addresses.platform).await?;
    let entry = entry.asset(desk.id).context("an asset stays")?;
    println!("the vault of {name} has {}, of which {} are free", entry.funds, free(entry));
    Ok(())
}

async fn withdraw_surplus(desk: &Desk, amount: u64, to: Option<Pubkey>) -> anyhow::Result<()> {
    let Desk { chain, payer, addresses, name, token, .. } = desk;
    desk.require_open()?;
    let admin = payer.pubkey();
    if admin.to_bytes() != desk.platform.admin {
        bail!("{admin} is not the admin of {}; name the admin's key with --payer", addresses.platform);
    }
    // What somebody sent to the vault is the platform's as well.
    let surplus = desk.held().await?.saturating_sub(desk.asset.liability.0);
    if surplus == 0 || surplus < amount {
        bail!("{surplus} {name} in the vault are free; what users have of the rest stays");
    }
    let mut instructions = Vec::new();
    let destination = match to {
        Some(account) => account,
        None => {
            instructions.push(token::open_associated(&admin, &admin, token));
            token::associated(&admin, token)
        }
    };
    let amount = Amount(amount);
    instructions.push(instruction::withdraw_surplus(&admin, addresses, desk.id, token, &destination, amount));
    chain.submit(&instructions, &[payer]).await?;
    let taken = if amount.0 == 0 { surplus } else { amount.0 };
    println!("{taken} {name} went to {destination}");
    Ok(())
}

/// What no user has a claim to.
fn free(asset: &Asset) -> u64 {
    asset.funds.0.saturating_sub(asset.liability.0)
}

async fn show(chain: &RpcChain, address: Pubkey) -> anyhow::Result<()> {
    let platform = read(chain, address).await?;
    let addresses = Addresses::at(address);
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["asset", "token", "vault", "funds", "of users", "free"]);
    let mut notes = Vec::new();
    for (id, name) in assets(&platform) {
        let Some(asset) = platform.asset(id).filter(|asset| asset.kind == AssetKind::Token as u8) else { continue };
        let mint = Pubkey::new_from_array(asset.mint).to_string();
        let number = id.0.to_string();
        if asset.has_vault == 0 {
            table.add_row([number, name.clone(), "none".to_owned()]);
            notes.push(format!(
                "{name} cannot be granted without a vault; `rebate vault open {address} {name}` opens it"
            ));
            continue;
        }
        let vault = addresses.vault(id);
        table.add_row([
            number,
            name.clone(),
            vault.to_string(),
            asset.funds.to_string(),
            asset.liability.to_string(),
            free(asset).to_string(),
        ]);
        notes.push(format!("{name} is the token of the mint {mint}"));
        let uncounted = token::balance(chain, &vault).await?.saturating_sub(asset.funds.0);
        if uncounted > 0 {
            notes.push(format!(
                "{uncounted} more {name} were sent to the vault; `rebate vault deposit {address} {name} 0` counts them"
            ));
        }
    }
    if table.row_count() == 0 {
        println!("the platform has no tokens");
        return Ok(());
    }
    println!("{table}");
    notes.iter().for_each(|note| println!("{note}"));
    Ok(())
}
