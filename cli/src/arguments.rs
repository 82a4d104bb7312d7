//! What the command line takes.

use crate::platform::PAGE_SLOTS;
use clap::{Args, Parser, Subcommand, ValueEnum};
use rebate_client::Pubkey;
use rebate_core::{
    order::{MAX_OPENED_SLOTS, MIN_SLOTS},
    time::MAX_SPAN,
};
use std::{net::SocketAddr, path::PathBuf};

/// Rebates that nobody has to trust: published rules, executed on Solana, recomputable by anyone.
#[derive(Debug, Parser)]
#[command(name = "rebate", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play a live-stream evening on a chain of its own and show everything.
    Demo(DemoArguments),
    /// Make a key file.
    Key {
        /// Where to; must not exist yet.
        file: PathBuf,
    },
    /// Create, show, pause and resume a platform, and register its oracle's keys.
    #[command(subcommand)]
    Platform(PlatformCommand),
    /// Check, publish and list rules.
    #[command(subcommand)]
    Rule(RuleCommand),
    /// Open, fill and show the vaults of tokens.
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Sign payments, redemptions and refunds as the oracle and submit them.
    Pay(PayArguments),
    /// Recompute an order, or a whole platform, from a node alone, and say what differs. Either reads the platform's whole
    /// history, which takes hours where there are millions of payments.
    Verify(VerifyArguments),
    /// Run a payments file under a rule file, without a chain, and print what every record comes to.
    Simulate(SimulateArguments),
    /// Run a draft of rules over the payments that an index has, and show what it would have granted beside what was granted.
    Backtest(BacktestArguments),
    /// Show where an index stands, and let it go on.
    #[command(subcommand)]
    Index(IndexCommand),
    /// Compare the oracle's orders with the provider's and the chain's, try one again, and play notices.
    #[command(subcommand)]
    Oracle(OracleCommand),
    /// Make, list and revoke operators' keys, and check the log of what operators did.
    Operator(OperatorArguments),
    /// Measure what it costs and how fast it is.
    Bench(BenchArguments),
}

/// `rebate operator`.
#[derive(Debug, Args)]
pub struct OperatorArguments {
    /// The operators' database; it gets the tables it lacks.
    #[arg(long, env = "OPERATORS_DATABASE_URL", hide_env_values = true, global = true)]
    pub database_url: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: OperatorCommand,
}

/// What `rebate operator` does.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Make, list and revoke keys.
    #[command(subcommand)]
    Key(OperatorKeyCommand),
    /// Check that the log of what operators did is as it was written, and print where it ends.
    Audit {
        /// What was printed the last time: the log must still have it.
        #[arg(long)]
        since: Option<rebate_operators::audit::Head>,
    },
}

/// `rebate operator key`.
#[derive(Debug, Subcommand)]
pub enum OperatorKeyCommand {
    /// Make a key and print it. It is kept nowhere: what is printed is all there is of it.
    Create {
        /// Whose it is.
        #[arg(long)]
        name: String,
        /// What it may do: viewer, editor or admin; each may do all that those before it may.
        #[arg(long)]
        role: rebate_operators::role::Role,
        /// Until when it holds, like 2027-01-31 or 2027-01-31T18:00:00+08:00; until it is revoked if left out.
        #[arg(long, value_parser = crate::operator::moment)]
        expires: Option<time::OffsetDateTime>,
    },
    /// Print all keys, those that hold no more among them.
    List,
    /// End a key, from its next request on.
    Revoke {
        /// Its public half, the 16 digits behind rop_.
        id: rebate_operators::key::KeyId,
    },
}

/// `rebate backtest`.
#[derive(Debug, Args)]
pub struct BacktestArguments {
    /// The draft, a rule file.
    #[arg(long, required_unless_present = "published", conflicts_with = "published")]
    pub rules: Option<PathBuf>,
    /// The rules as they were published, instead of a draft: they come to what was granted.
    #[arg(long)]
    pub published: bool,
    /// The first time of payment to test, like 2026-10-01T00:00:00+08:00. Before it the published rules decide. Without it, the
    /// draft is in force from the first payment on.
    #[arg(long)]
    pub from: Option<String>,
    /// The first time of payment that is no longer tested. Without it, all there are.
    #[arg(long)]
    pub to: Option<String>,
    /// The platform's address. Without it, the only one the index has.
    #[arg(long, env = "REBATE_PLATFORM")]
    pub platform: Option<Pubkey>,
    /// The database that an indexer writes to, or a replica of it.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// `rebate oracle`.
#[derive(Debug, Subcommand)]
pub enum OracleCommand {
    /// Compare a provider's export with what is stored, and that with the chain; print the differences.
    Reconcile {
        /// The export, a CSV file whose first line names the columns.
        export: PathBuf,
        /// The platform's address.
        #[arg(long, env = "REBATE_PLATFORM")]
        platform: Pubkey,
        /// The oracle's database.
        #[arg(long, env = "ORACLE_DATABASE_URL", hide_env_values = true)]
        database_url: String,
        /// A node.
        #[arg(long, env = "REBATE_RPC", hide_env_values = true)]
        rpc: String,
        /// The column with the orders' numbers.
        #[arg(long, default_value = "order")]
        order_column: String,
        /// The column with what was paid.
        #[arg(long, default_value = "amount")]
        amount_column: String,
        /// Digits behind the point that make a minor unit: 2 where the export says 12.34.
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=9))]
        decimals: u32,
        /// The provider whose export this is; then what is stored of it and not in the export is a difference too.
        #[arg(long)]
        provider: Option<String>,
    },
    /// Queue a refused or dead order again.
    Retry {
        /// Its number.
        order: String,
        /// The platform's address.
        #[arg(long, env = "REBATE_PLATFORM")]
        platform: Pubkey,
        /// The oracle's database.
        #[arg(long, env = "ORACLE_DATABASE_URL", hide_env_values = true)]
        database_url: String,
    },
    /// Play a provider's notices at a steady rate, and print how long the oracle took.
    Load {
        /// Where notices go: http://HOST/v1/callbacks/NAME, of a provider of the kind hmac.
        #[arg(long)]
        url: String,
        /// The file with that provider's secret.
        #[arg(long)]
        secret_file: PathBuf,
        /// Notices a second.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        rate: u32,
        /// For how many seconds.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
        seconds: u32,
        /// Of how many users, in turn.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
        users: u32,
        /// The platform's currency.
        #[arg(long, default_value = "CNY")]
        currency: String,
        /// The oracle's database: with it, the way to the chain is measured as well.
        #[arg(long, env = "ORACLE_DATABASE_URL", hide_env_values = true)]
        database_url: Option<String>,
    },
}

/// `rebate index`.
#[derive(Debug, Subcommand)]
pub enum IndexCommand {
    /// How far it read, what it has of each platform, and whether that is what the chain has.
    Status {
        /// The database that an indexer writes to.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: String,
        /// A node, to tell how far behind the index is.
        #[arg(long, env = "REBATE_RPC", hide_env_values = true)]
        rpc: Option<String>,
    },
    /// Let the indexer write again once what differed from the chain is mended.
    Resume {
        /// The database that an indexer writes to.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: String,
    },
}

/// The chain of a demonstration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChainKind {
    /// Inside the process; needs no validator.
    Embedded,
    /// A solana-test-validator.
    Validator,
}

/// `rebate demo`.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Which chain to run on.
    #[arg(long, value_enum, default_value_t = ChainKind::Embedded)]
    pub chain: ChainKind,
    /// End after the summary, with a status other than 0 if anything disagreed.
    #[arg(long)]
    pub once: bool,
    /// How many milliseconds to wait after every record, for whoever watches the evening in a browser.
    #[arg(long, default_value_t = 0)]
    pub pace: u64,
    /// The built program.
    #[arg(long, env = "REBATE_PROGRAM_SO", default_value = "target/program/rebate.so")]
    pub program: PathBuf,
    /// The rules to publish.
    #[arg(long, default_value = "demo/rules.toml")]
    pub rules: PathBuf,
    /// The records to play.
    #[arg(long, default_value = "demo/payments.jsonl")]
    pub payments: PathBuf,
    /// Where the private Postgres and the validator keep their files.
    #[arg(long, default_value = ".local")]
    pub local: PathBuf,
    /// Where the API listens; a free port if this one is taken.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
}

/// `rebate simulate`.
#[derive(Debug, Args)]
pub struct SimulateArguments {
    /// The rule file.
    #[arg(long)]
    pub rules: PathBuf,
    /// The records, one JSON object a line; - for standard input.
    #[arg(long)]
    pub payments: PathBuf,
    /// The file with the platform's secret, which user ids are hashed with: it decides who is in a rule's control group.
    /// Without it, user keys are the plain SHA-256 of the ids.
    #[arg(long)]
    pub platform_secret_file: Option<PathBuf>,
    /// Where the outcomes go, one JSON object a line; standard output otherwise.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// `rebate bench`.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// The built program.
    #[arg(long, env = "REBATE_PROGRAM_SO", default_value = "target/program/rebate.so")]
    pub program: PathBuf,
    /// The same, built without the readable log line, to tell what that costs.
    #[arg(long, env = "REBATE_SILENT_PROGRAM_SO", default_value = "target/program/rebate-silent.so")]
    pub silent_program: PathBuf,
    /// The same, built with marks between the parts of a payment, to tell where its compute units go.
    #[arg(long, env = "REBATE_PROFILED_PROGRAM_SO", default_value = "target/program/rebate-profile.so")]
    pub profiled_program: PathBuf,
    /// A rule file of one's own to measure the program's cost with as well.
    #[arg(long, default_value = "demo/rules.toml")]
    pub rules: PathBuf,
    /// Figures of other benchmarks to take into the report, one JSON object a line.
    #[arg(long)]
    pub figures: Option<PathBuf>,
    /// Where the private Postgres and the validator keep their files.
    #[arg(long, default_value = ".local")]
    pub local: PathBuf,
    /// Where the report goes.
    #[arg(long, default_value = "target/bench/report.json")]
    pub report: PathBuf,
}

/// The node to talk to and who pays.
#[derive(Debug, Args)]
pub struct NodeArguments {
    /// The node's JSON-RPC.
    #[arg(long, env = "REBATE_RPC", hide_env_values = true, default_value = "http://127.0.0.1:8899")]
    pub rpc: String,
    /// The key file of who pays fees and rent.
    #[arg(long, env = "REBATE_PAYER")]
    pub payer: PathBuf,
}

/// `rebate platform`.
#[derive(Debug, Subcommand)]
pub enum PlatformCommand {
    /// Create a platform with the time zone, lateness and assets of a rule file. The payer becomes its admin.
    Create {
        /// The node and the payer.
        #[command(flatten)]
        node: NodeArguments,
        /// The platform's number; part of its address.
        #[arg(long)]
        id: u64,
        /// The rule file.
        #[arg(long)]
        rules: PathBuf,
        /// The mint of a token for which the rule file names none, by the asset's name.
        #[arg(long = "mint", value_name = "ASSET=ADDRESS", value_parser = mint)]
        mints: Vec<(String, Pubkey)>,
        /// Who may pause; the payer otherwise.
        #[arg(long)]
        pauser: Option<Pubkey>,
        /// How far ahead rules must be published once there are payments, like 24h; at most 366d.
        #[arg(long, default_value = "24h", value_parser = timelock)]
        timelock: u32,
        /// Into how many pages a day's orders are spread.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
        order_shards: u16,
        /// The least slots that the first page of a day and shard has: nobody can open it with less room.
        #[arg(
            long,
            default_value_t = PAGE_SLOTS,
            value_parser = clap::value_parser!(u16).range(i64::from(MIN_SLOTS)..=i64::from(MAX_OPENED_SLOTS))
        )]
        page_slots: u16,
    },
    /// Show a platform.
    Show {
        /// The node's JSON-RPC.
        #[arg(long, env = "REBATE_RPC", hide_env_values = true, default_value = "http://127.0.0.1:8899")]
        rpc: String,
        /// The platform's address.
        platform: Pubkey,
    },
    /// Let an oracle key sign for the platform. The payer must be its admin.
    AddOracle {
        /// The node and the payer.
        #[command(flatten)]
        node: NodeArguments,
        /// The platform's address.
        platform: Pubkey,
        /// The oracle's key.
        key: Pubkey,
    },
    /// Stop recording. The payer must be the platform's pauser.
    Pause {
        /// The node and the payer.
        #[command(flatten)]
        node: NodeArguments,
        /// The platform's address.
        platform: Pubkey,
    },
    /// Resume recording. The payer must be the platform's pauser.
    Unpause {
        /// The node and the payer.
        #[command(flatten)]
        node: NodeArguments,
        /// The platform's address.
        platform: Pubkey,
    },
}

/// `rebate rule`.
#[derive(Debug, Subcommand)]
pub enum RuleCommand {
    /// Check a rule file without a chain.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Publish what is new or changed in a rule file. The payer must be the platform's admin.
    Publish {
        /// The node and the payer.
        #[command(flatten)]
        node: NodeArguments,
        /// The platform's address.
        platform: Pubkey,
        /// The rule file.
        file: PathBuf,
        /// From which time of payment on; as early as the timelock allows otherwise.
        #[arg(long)]
        effective_at: Option<String>,
    },
    /// List the rule versions on chain.
    List {
        /// The node's JSON-RPC.
        #[arg(long, env = "REBATE_RPC", hide_env_values = true, default_value = "http://127.0.0.1:8899")]
        rpc: String,
        /// The platform's address.
        platform: Pubkey,
    },
}

/// `rebate vault`.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Open the vault of a token, so that it can be granted. Anybody may; the payer pays the rent.
    Open {
        /// The node and the payer.
        #[command(flatten)]
        node: NodeArguments,
        /// The platform's address.
        platform: Pubkey,
        /// The token, by its name or its number.
        asset: String,
    },
    /// Put tokens of the payer's into a vault. Anybody may; they are the platform's from then on.
    Deposit {
        /// The node and the payer.
        #[command(flatten)]
        node: NodeArguments,
        /// The platform's address.
        platform: Pubkey,
        /// The token, by its name or its number.
        asset: String,
        /// How many, in the token's smallest unit; 0 counts what was sent to the vault otherwise.
        amount: u64,
        /// The token account they come from; the payer's associated one otherwise.
        #[arg(long, value_name = "TOKEN_ACCOUNT")]
        from: Option<Pubkey>,
    },
    /// Take tokens out of a vault that no user has a claim to. The payer must be the platform's admin.
    WithdrawSurplus {
        /// The node and the payer.
        #[command(flatten)]
        node: NodeArguments,
        /// The platform's address.
        platform: Pubkey,
        /// The token, by its name or its number.
        asset: String,
        /// How many, in the token's smallest unit; 0 for all that are free.
        amount: u64,
        /// The token account they go to; the payer's associated one otherwise, which is opened where there is none.
        #[arg(long, value_name = "TOKEN_ACCOUNT")]
        to: Option<Pubkey>,
    },
    /// Show every token's vault: what is in it, what users have of that, and what is free.
    Show {
        /// The node's JSON-RPC.
        #[arg(long, env = "REBATE_RPC", hide_env_values = true, default_value = "http://127.0.0.1:8899")]
        rpc: String,
        /// The platform's address.
        platform: Pubkey,
    },
}

/// `rebate pay`.
#[derive(Debug, Args)]
pub struct PayArguments {
    /// The node and the payer.
    #[command(flatten)]
    pub node: NodeArguments,
    /// The platform's address.
    #[arg(long)]
    pub platform: Pubkey,
    /// The key file of the oracle.
    #[arg(long, env = "REBATE_ORACLE")]
    pub oracle: PathBuf,
    /// The file with the platform's secret, which user ids are hashed with. Without it, user keys are the plain SHA-256
    /// of the ids, which anybody who guesses an id can recognise.
    #[arg(long, env = "REBATE_PLATFORM_SECRET_FILE")]
    pub platform_secret_file: Option<PathBuf>,
    /// The payments, redemptions and refunds, one JSON object a line. The order of a refund is looked up in the platform's
    /// journal by the node, so that the node must have its whole history.
    pub payments: PathBuf,
}

/// `rebate verify`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["order", "all"]))]
pub struct VerifyArguments {
    /// The order: its number, or the 64 hexadecimal digits of its SHA-256. A payment, a refund or a redemption.
    pub order: Option<String>,
    /// Recompute the whole platform, and compare it with every account.
    #[arg(long)]
    pub all: bool,
    /// The platform's address.
    #[arg(long)]
    pub platform: Pubkey,
    /// The node's JSON-RPC. It must have the platform's whole history.
    #[arg(long, env = "REBATE_RPC", hide_env_values = true, default_value = "http://127.0.0.1:8899")]
    pub rpc: String,
    /// Keep what is read from the node in this file.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Begin with what an earlier run kept, and ask the node only for what follows. It is checked like everything else.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// With --all: compare every table of an indexer's database as well.
    #[arg(long, value_name = "URL", requires = "all")]
    pub database: Option<String>,
    /// Where to make the database that the tables are written into once more; beside the one compared otherwise. It is
    /// removed at the end.
    #[arg(long, value_name = "URL", requires = "database")]
    pub scratch: Option<String>,
}

fn timelock(text: &str) -> Result<u32, String> {
    rebate_rulefile::span::parse(text)
        .filter(|seconds| *seconds <= MAX_SPAN)
        .ok_or_else(|| format!("{text:?} is no span of at most 366d; expected a number with d, h, m or s, like 24h"))
}

fn mint(text: &str) -> Result<(String, Pubkey), String> {
    let parsed = text.split_once('=').and_then(|(asset, mint)| Some((asset.to_owned(), mint.parse().ok()?)));
    parsed.ok_or_else(|| {
        format!(
            "{text:?} is no asset's name and a mint's address, like stars=So11111111111111111111111111111111111111112"
        )
    })
}
