//! bench placeholder
use crate::arguments::BenchArguments;
/// x
pub async fn run(_arguments: BenchArguments) -> anyhow::Result<()> { Ok(()) }
