//! From the command line to what it asks for.

use crate::{
    arguments::{Arguments, Command},
    backtest, bench, demo, index, keys, operator, oracle, pay, platform, rule, simulate, vault, verify,
};

/// Does what the arguments say.
///
/// # Errors
/// One clear reason; nothing is half-done.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Key { file } => keys::make(&file),
        Command::Platform(command) => platform::run(command).await,
        Command::Rule(command) => rule::run(command).await,
        Command::Vault(command) => vault::run(command).await,
        Command::Pay(arguments) => pay::run(arguments).await,
        Command::Verify(arguments) => verify::run(arguments).await,
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Backtest(arguments) => backtest::run(arguments).await,
        Command::Index(command) => index::run(command).await,
        Command::Oracle(command) => oracle::run(command).await,
        Command::Operator(arguments) => operator::run(arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
    }
}
