//! What a claim costs: a user's tokens out of the vault, into the wallet's account.

use super::{
    program::{Platform, RUNS, SATURDAY, Spread},
    report::{Figure, Goal, Report},
};
use crate::{arguments::BenchArguments, cast::Cast, pay, token};
use rebate_client::{Pubkey, instruction};
use rebate_core::{
    time::DAY,
    units::{Amount, AssetId, Timestamp},
    wallet::WalletLink,
};
use rebate_rulefile::RuleFile;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// The token of the rule file.
const STARS: AssetId = AssetId(1);

/// Who claims.
const USER: &str = "0";

/// How much of the 5,000 that a payment grants each claim takes.
const CLAIMED: Amount = Amount(50);

/// Measures claims of a token of SPL Token and of one of Token-2022.
///
/// # Errors
/// If the program refuses what it should take.
pub async fn measure(arguments: &BenchArguments, report: &mut Report) -> anyhow::Result<()> {
    let mut claimant = Claimant::start(arguments, token::SPL_TOKEN).await?;
    let claims = claimant.claims()?;
    report.add(
        Figure {
            name: "program.claim_cu",
            value: claims.mean,
            unit: "CU",
            note: format!("a claim of a part of a user's tokens, of SPL Token, by the linked wallet; {claims}"),
        },
        Goal::AtMost(8_000.0),
    );
    let mut other = Claimant::start(arguments, token::TOKEN_2022).await?;
    let claims = other.claims()?;
    report.add(
        Figure {
            name: "program.claim_cu.token_2022",
            value: claims.mean,
            unit: "CU",
            note: format!("the same of a mint of Token-2022 without extensions; {claims}"),
        },
        Goal::None,
    );
    report.add(
        Figure {
            name: "program.claim_cu.expiring",
            value: claimant.expiring()? as f64,
            unit: "CU",
            note: "one of SPL Token that finds the user's vouchers expired, and says so in an event of its own"
                .to_owned(),
        },
        Goal::None,
    );
    Ok(())
}

/// A platform whose vault is full, and a user who has tokens and a wallet.
struct Claimant {
    platform: Platform,
    wallet: Keypair,
    destination: Pubkey,
}

impl Claimant {
    async fn start(arguments: &BenchArguments, token_program: Pubkey) -> anyhow::Result<Self> {
        let rules = RuleFile::parse("cli/src/bench/claim.toml", include_str!("claim.toml"))?;
        let mut cast = Cast::new();
        cast.token_program = token_program;
        let mut platform = Platform::start_with(&arguments.program, &rules, cast).await?;
        platform.cast.deposit(&platform.chain, &platform.addresses, STARS, Amount(1_000_000)).await?;
        let payment = platform.payment("0", USER);
        platform.pay(&[payment]).await?;
        let wallet = platform.cast.wallet(USER);
        let link = WalletLink {
            user: platform.cast.user(USER),
            wallet: wallet.pubkey().to_bytes(),
            linked_at: Timestamp(SATURDAY),
        };
        let signed = pay::sign(&platform.cast.oracle, &platform.addresses.platform, &[link])?;
        platform.recorder().await?.link(&link, &signed).await?;
        let (payer, token) = (&platform.cast.payer, platform.cast.token());
        let destination = token::open_account(&platform.chain, payer, &token, &wallet.pubkey()).await?;
        Ok(Self { platform, wallet, destination })
    }

    /// The compute units of one claim.
    fn claim(&mut self) -> anyhow::Result<u64> {
        let Self { platform, wallet, destination } = self;
        let (user, token) = (platform.cast.user(USER), platform.cast.token());
        let claim =
            instruction::claim(&wallet.pubkey(), &platform.addresses, &user, STARS, &token, destination, CLAIMED);
        Ok(platform.chain.execute(&[claim], &[&platform.cast.payer, wallet])?.compute_units)
    }

    fn claims(&mut self) -> anyhow::Result<Spread> {
        let costs: Vec<_> = (0..RUNS).map(|_| self.claim()).collect::<anyhow::Result<_>>()?;
        Ok(Spread::of(&costs))
    }

    /// The compute units of a claim two months later.
    fn expiring(&mut self) -> anyhow::Result<u64> {
        self.platform.chain.set_clock(Some(SATURDAY + 62 * DAY));
        self.claim()
    }
}
