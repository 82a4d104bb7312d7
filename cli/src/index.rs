//! `rebate index`.

use crate::{arguments::IndexCommand, platform::reach};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use rebate_client::chain::rpc::RpcChain;
use rebate_indexer::{
    database,
    status::{self, PlatformStatus, Position, Status},
};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// Does what the command says.
///
/// # Errors
/// One clear reason.
pub async fn run(command: IndexCommand) -> anyhow::Result<()> {
    match command {
        IndexCommand::Status { database_url, rpc } => {
            let chain = rpc.as_deref().map(reach).transpose()?;
            show(&database_url, chain.as_ref()).await
        }
        IndexCommand::Resume { database_url } => resume(&database_url).await,
    }
}

async fn show(database_url: &str, chain: Option<&RpcChain>) -> anyhow::Result<()> {
    let pool = database::connect(database_url).await?;
    database::check(&pool).await?;
    let status = Status::read(&pool).await?;
    match &status.position {
        Some(position) => show_position(position, chain).await,
        None => println!("nothing was indexed yet: start rebate-indexer"),
    }
    let writer =
        if status.is_writing { "an indexer is writing" } else { "no indexer is writing: start rebate-indexer" };
    println!("{writer}; the database takes {} MiB", status.bytes / (1 << 20));
    if status.platforms.is_empty() {
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(["platform", "events", "compared with the chain"]);
    for platform in &status.platforms {
        table.add_row([platform.platform.to_string(), platform.events.to_string(), verdict(platform)]);
    }
    println!("{table}");
    let differing: Vec<&PlatformStatus> =
        status.platforms.iter().filter(|of| of.compared.as_ref().is_some_and(|(_, found)| !found.is_empty())).collect();
    for platform in &differing {
        println!("\nof platform {}:", platform.platform);
        for difference in platform.compared.iter().flat_map(|(_, found)| found) {
            println!("  {}", difference.detail);
        }
    }
    if !differing.is_empty() {
        println!(
            "\nNothing is written until this is mended. `rebate verify --all --database` finds all that differs; mend it, or \
             index into an empty database, and then say so with `rebate index resume`."
        );
    }
    Ok(())
}

async fn show_position(position: &Position, chain: Option<&RpcChain>) {
    let now = OffsetDateTime::now_utc();
    let age = position.block_time.map_or_else(String::new, |time| format!(", produced {} ago", ago(now - time)));
    let sure = match position.final_slot {
        Some(last) if last == position.slot => "final".to_owned(),
        Some(last) => format!("final up to {last}"),
        None => "nothing final yet".to_owned(),
    };
    println!(
        "read up to slot {} ({sure}){age}, written {} ago, of the chain with genesis hash {}",
        position.slot,
        ago(now - position.written_at),
        position.genesis_hash
    );
    let Some(chain) = chain else { return };
    match chain.client().get_slot().await {
        Ok(tip) => println!("the node is at slot {tip}: {} to go", tip.saturating_sub(position.slot)),
        Err(_) => println!("the node does not answer, so how far behind the index is cannot be told"),
    }
}

fn verdict(platform: &PlatformStatus) -> String {
    match &platform.compared {
        None => "not yet".to_owned(),
        Some((at, found)) if found.is_empty() => format!("agrees, {}", moment(*at)),
        Some((at, found)) => format!("DIFFERS in {}, {}", found.len(), moment(*at)),
    }
}

fn moment(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}

fn ago(span: time::Duration) -> String {
    match span.whole_seconds().max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

async fn resume(database_url: &str) -> anyhow::Result<()> {
    let pool = database::connect(database_url).await?;
    database::check(&pool).await?;
    match status::resume(&pool).await? {
        0 => println!("nothing stands in an indexer's way: no mismatch is on record"),
        count => println!("{count} withdrawn; start rebate-indexer, which compares again while it writes"),
    }
    Ok(())
}
