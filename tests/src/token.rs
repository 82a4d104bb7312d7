//! Tokens on the chain inside the process, and a platform that grants one.

#![expect(clippy::expect_used, reason = "this is how a test fails")]

use crate::platform::{TestPlatform, always, asset, payment};
use rebate_client::{
    account::{Asset, AssetKind},
    address::Addresses,
    chain::{ReadAccounts, SubmitError, embedded::Executed},
    event::{AssetEntry, EffectEntry, RuleDefinition},
    instruction::{self, Token},
    platform_id,
};
use rebate_core::{
    payment::Payment,
    units::{Amount, AssetId, Timestamp},
    wallet::WalletLink,
};
use solana_keypair::Keypair;
use solana_program::{instruction::Instruction, program_error::ProgramError, pubkey::Pubkey, rent::Rent};
use solana_signer::Signer;
use spl_token_2022_interface::{
    extension::{BaseStateWithExtensions, ExtensionType, StateWithExtensions},
    instruction as token,
    state::{Account, Mint},
};

/// SPL Token, and the program with extensions.
pub const SPL_TOKEN: Pubkey = Pubkey::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
/// Token-2022.
pub const TOKEN_2022: Pubkey = spl_token_2022_interface::ID;

/// The decimals of every mint here.
const DECIMALS: u8 = 6;

/// A mint that its issuer can mint, freeze and close.
pub struct TestToken {
    /// What the client needs of it.
    pub token: Token,
    /// Its every authority.
    pub issuer: Keypair,
}

/// An extension, and what initialises it for a mint that its issuer has authority over.
pub type Extension = (ExtensionType, fn(&Pubkey, &Pubkey) -> Result<Instruction, ProgramError>);

impl TestToken {
    /// A mint of `program` without extensions.
    pub fn new(platform: &TestPlatform, program: Pubkey) -> Self {
        Self::at(platform, program, &Keypair::new(), &[])
    }

    /// A mint of Token-2022.
    pub fn extended(platform: &TestPlatform, extensions: &[Extension]) -> Self {
        Self::at(platform, TOKEN_2022, &Keypair::new(), extensions)
    }

    /// A mint at a given address.
    pub fn at(platform: &TestPlatform, program: Pubkey, mint: &Keypair, extensions: &[Extension]) -> Self {
        let (address, issuer) = (mint.pubkey(), Keypair::new());
        let types: Vec<_> = extensions.iter().map(|(kind, _)| *kind).collect();
        let space = ExtensionType::try_calculate_account_len::<Mint>(&types).expect("extensions of a mint");
        let mut instructions = vec![allocate(platform, &address, space, &program)];
        instructions
            .extend(extensions.iter().map(|(_, extend)| extend(&address, &issuer.pubkey()).expect("an extension")));
        let initialize =
            token::initialize_mint2(&program, &address, &issuer.pubkey(), Some(&issuer.pubkey()), DECIMALS);
        instructions.push(initialize.expect("a mint"));
        platform.run(&instructions, &[&platform.payer, mint]).expect("a mint");
        platform.fund(&issuer.pubkey());
        Self { token: Token { mint: address, program }, issuer }
    }

    /// The asset entry of it.
    pub fn entry(&self, name: &str) -> AssetEntry {
        AssetEntry { kind: AssetKind::Token as u8, mint: self.token.mint.to_bytes(), ..asset(name) }
    }

    /// A new token account of `owner`.
    pub fn account(&self, platform: &TestPlatform, owner: &Pubkey) -> Pubkey {
        let account = Keypair::new();
        let address = account.pubkey();
        let mint = platform.data(&self.token.mint).expect("the mint");
        let mint = StateWithExtensions::<Mint>::unpack(&mint).expect("a mint");
        let fee = mint.get_extension_types().expect("extensions").contains(&ExtensionType::TransferFeeConfig);
        let needed: &[_] = if fee { &[ExtensionType::TransferFeeAmount] } else { &[] };
        let space = ExtensionType::try_calculate_account_len::<Account>(needed).expect("a size");
        let program = &self.token.program;
        let initialize = token::initialize_account3(program, &address, &self.token.mint, owner);
        let instructions = [allocate(platform, &address, space, program), initialize.expect("an account")];
        platform.run(&instructions, &[&platform.payer, &account]).expect("a token account");
        address
    }

    /// A new token account of `owner` with `amount` on it.
    pub fn account_with(&self, platform: &TestPlatform, owner: &Pubkey, amount: u64) -> Pubkey {
        let account = self.account(platform, owner);
        self.mint_to(platform, &account, amount);
        account
    }

    /// Mints `amount` into a token account.
    pub fn mint_to(&self, platform: &TestPlatform, account: &Pubkey, amount: u64) {
        let Token { mint, program } = &self.token;
        self.issue(platform, token::mint_to(program, mint, account, &self.issuer.pubkey(), &[], amount));
    }

    /// Moves tokens from an account of `owner` to another account.
    pub fn transfer(&self, owner: &Pubkey, from: &Pubkey, to: &Pubkey, amount: u64) -> Instruction {
        let Token { mint, program } = &self.token;
        token::transfer_checked(program, from, mint, to, owner, &[], amount, DECIMALS).expect("an instruction")
    }

    /// Freezes a token account.
    pub fn freeze(&self, platform: &TestPlatform, account: &Pubkey) {
        let Token { mint, program } = &self.token;
        self.issue(platform, token::freeze_account(program, account, mint, &self.issuer.pubkey(), &[]));
    }

    /// Runs an instruction of the issuer.
    pub fn issue(&self, platform: &TestPlatform, instruction: Result<Instruction, ProgramError>) {
        platform.run(&[instruction.expect("an instruction")], &[&self.issuer]).expect("the issuer may");
    }

    /// What a token account holds.
    pub fn balance(&self, platform: &TestPlatform, account: &Pubkey) -> u64 {
        let data = platform.data(account).expect("a token account");
        StateWithExtensions::<Account>::unpack(&data).expect("a token account").base.amount
    }
}

fn allocate(platform: &TestPlatform, address: &Pubkey, space: usize, owner: &Pubkey) -> Instruction {
    let lamports = Rent::default().minimum_balance(space);
    let space = u64::try_from(space).expect("a size");
    solana_system_interface::instruction::create_account(&platform.payer.pubkey(), address, lamports, space, owner)
}

/// A platform whose asset 2 is a token.
pub struct TokenPlatform {
    /// The platform.
    pub platform: TestPlatform,
    /// Asset 2.
    pub coin: TestToken,
}

/// The token asset of a [`TokenPlatform`].
pub const COIN: AssetId = AssetId(2);

/// Everybody gets as much of asset 2 as they pay.
pub fn one_for_one() -> RuleDefinition {
    always(1, EffectEntry::Ratio { asset: COIN.0, bps: 10_000, min: 0, max: 0 })
}

impl TokenPlatform {
    /// With a mint of `program` without extensions, an open vault, and [`one_for_one`].
    pub fn start(program: Pubkey) -> Self {
        Self::granting(|platform| TestToken::new(platform, program), 0, &one_for_one())
    }

    /// With an open vault of `coin`, which expires by periods of so many months, and a rule.
    pub fn granting(coin: impl FnOnce(&TestPlatform) -> TestToken, expiry_months: u8, rule: &RuleDefinition) -> Self {
        let platform = TestPlatform::start();
        let coin = coin(&platform);
        let opened = Self { platform, coin };
        opened.add_asset(&AssetEntry { expiry_months, ..opened.coin.entry("coin") }, 0);
        opened.open_vault().expect("a vault");
        opened.platform.publish(rule, 0).expect("a rule");
        opened
    }

    /// With the asset, without its vault and without rules.
    pub fn without_vault(coin: impl FnOnce(&TestPlatform) -> TestToken) -> Self {
        let platform = TestPlatform::start();
        let coin = coin(&platform);
        let unopened = Self { platform, coin };
        unopened.add_asset(&unopened.coin.entry("coin"), 0);
        unopened
    }

    /// Adds an asset that can be granted for payments from `active_from` on.
    pub fn add_asset(&self, entry: &AssetEntry, active_from: i64) {
        let Self { platform, .. } = self;
        let add = instruction::add_asset(&platform.admin.pubkey(), &platform.addresses, entry, Timestamp(active_from));
        platform.run(&[add], &[&platform.admin]).expect("an asset");
    }

    /// The platform's addresses.
    pub fn addresses(&self) -> &Addresses {
        &self.platform.addresses
    }

    /// The vault's address.
    pub fn vault(&self) -> Pubkey {
        self.addresses().vault(COIN)
    }

    /// What the vault holds.
    pub fn holds(&self) -> u64 {
        self.coin.balance(&self.platform, &self.vault())
    }

    /// The asset's entry in the platform.
    pub fn asset(&self) -> Asset {
        *self.platform.platform().asset(COIN).expect("asset 2")
    }

    /// What the platform has noted: the vault's funds, and what users have of them.
    pub fn books(&self) -> (u64, u64) {
        let asset = self.asset();
        (asset.funds.0, asset.liability.0)
    }

    /// `user` pays `amount`, for an order of that name and amount.
    pub fn pay(&self, user: &str, amount: u64) -> Payment {
        let paid = payment(&format!("{user} {amount}"), user, amount);
        self.platform.pay(&[paid]).expect("a payment");
        paid
    }

    /// A user's balance of asset 2.
    pub fn has(&self, user: &str) -> u64 {
        self.platform.user(user).balances[1].total().0
    }

    /// Opens the vault.
    pub fn open_vault(&self) -> Result<Executed, SubmitError> {
        let payer = &self.platform.payer;
        let open = instruction::open_vault(&payer.pubkey(), self.addresses(), COIN, &self.coin.token);
        self.platform.run(&[open], &[payer])
    }

    /// Deposits `amount` of a fresh account of the issuer that holds as much.
    pub fn fill(&self, amount: u64) {
        let issuer = &self.coin.issuer;
        let source = self.coin.account_with(&self.platform, &issuer.pubkey(), amount);
        self.deposit(issuer, &source, amount).expect("a deposit");
    }

    /// Deposits `amount` of `source`.
    pub fn deposit(&self, owner: &Keypair, source: &Pubkey, amount: u64) -> Result<Executed, SubmitError> {
        let deposit = self.deposit_of(owner, source, amount);
        self.platform.run(&[deposit], &[owner])
    }

    /// The instruction that does.
    pub fn deposit_of(&self, owner: &Keypair, source: &Pubkey, amount: u64) -> Instruction {
        let token = &self.coin.token;
        instruction::deposit(&owner.pubkey(), self.addresses(), COIN, token, source, Amount(amount))
    }

    /// A new wallet with lamports, and a token account of it. It is linked to `user`, who must have an account.
    pub fn wallet(&self, user: &str) -> (Keypair, Pubkey) {
        let wallet = Keypair::new();
        self.platform.fund(&wallet.pubkey());
        let now =
            self.platform.wait(ReadAccounts::now(&self.platform.chain)).expect("the chain inside the process answers");
        let linked_at = now.max(self.platform.user(user).user.wallet_linked_at.saturating_add(1));
        let link = WalletLink {
            user: platform_id::unkeyed_user(user),
            wallet: wallet.pubkey().to_bytes(),
            linked_at: Timestamp(linked_at),
        };
        self.platform.link(&link).expect("a link");
        let account = self.coin.account(&self.platform, &wallet.pubkey());
        (wallet, account)
    }

    /// Claims `amount` for `user` into `destination`, signed by `wallet`.
    pub fn claim(
        &self,
        user: &str,
        wallet: &Keypair,
        destination: &Pubkey,
        amount: u64,
    ) -> Result<Executed, SubmitError> {
        self.platform.run(&[self.claim_of(user, wallet, destination, amount)], &[wallet])
    }

    /// The instruction that does.
    pub fn claim_of(&self, user: &str, wallet: &Keypair, destination: &Pubkey, amount: u64) -> Instruction {
        let (user, token) = (platform_id::unkeyed_user(user), &self.coin.token);
        instruction::claim(&wallet.pubkey(), self.addresses(), &user, COIN, token, destination, Amount(amount))
    }

    /// Withdraws `amount` of the surplus into `destination`, signed by the admin.
    pub fn withdraw(&self, destination: &Pubkey, amount: u64) -> Result<Executed, SubmitError> {
        let admin = &self.platform.admin;
        self.platform.run(&[self.withdraw_of(admin, destination, amount)], &[admin])
    }

    /// The instruction that does, for anybody to sign.
    pub fn withdraw_of(&self, admin: &Keypair, destination: &Pubkey, amount: u64) -> Instruction {
        let token = &self.coin.token;
        instruction::withdraw_surplus(&admin.pubkey(), self.addresses(), COIN, token, destination, Amount(amount))
    }
}
