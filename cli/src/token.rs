//! A token of the cast's own: its mint, its accounts, what they hold.

use rebate_client::{
    Pubkey,
    address::SYSTEM,
    chain::{ReadAccounts, Submit, SubmitError},
    instruction::Token,
};
use solana_keypair::Keypair;
use solana_program::{
    instruction::{AccountMeta, Instruction},
    program_error::ProgramError,
    program_pack::Pack,
    rent::Rent,
};
use solana_signer::Signer;
use spl_token_2022_interface::{
    instruction as spl,
    state::{Account, Mint},
};

/// SPL Token.
pub const SPL_TOKEN: Pubkey = Pubkey::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");

/// The same with extensions.
pub const TOKEN_2022: Pubkey = spl_token_2022_interface::ID;

/// Its smallest unit is the whole token, so that amounts read as they are.
const DECIMALS: u8 = 0;

/// The program of associated token accounts: every owner has one account of a token whose address follows from both.
const ASSOCIATED: Pubkey = Pubkey::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");

/// The address of the associated token account of `owner`.
pub fn associated(owner: &Pubkey, token: &Token) -> Pubkey {
    let seeds = [owner.as_ref(), token.program.as_ref(), token.mint.as_ref()];
    Pubkey::find_program_address(&seeds, &ASSOCIATED).0
}

/// The instruction that opens the associated token account of `owner`, unless it is open; `payer` pays the rent.
pub fn open_associated(payer: &Pubkey, owner: &Pubkey, token: &Token) -> Instruction {
    /// `CreateIdempotent` of the program's instructions.
    const CREATE_IDEMPOTENT: u8 = 1;
    let accounts = vec![
        AccountMeta::new(*payer, true),
        AccountMeta::new(associated(owner, token), false),
        AccountMeta::new_readonly(*owner, false),
        AccountMeta::new_readonly(token.mint, false),
        AccountMeta::new_readonly(SYSTEM, false),
        AccountMeta::new_readonly(token.program, false),
    ];
    Instruction { program_id: ASSOCIATED, accounts, data: vec![CREATE_IDEMPOTENT] }
}

/// Makes `mint` a mint of the token program `program`, whose tokens `payer` issues.
///
/// # Errors
/// What the chain answered.
pub async fn create_mint(
    chain: &dyn Submit,
    payer: &Keypair,
    mint: &Keypair,
    program: &Pubkey,
) -> Result<Token, SubmitError> {
    let issuer = payer.pubkey();
    let initialize = spl::initialize_mint2(program, &mint.pubkey(), &issuer, None, DECIMALS);
    let create = [create_account(&issuer, &mint.pubkey(), Mint::LEN, program), built(initialize)?];
    chain.submit(&create, &[payer, mint]).await?;
    Ok(Token { mint: mint.pubkey(), program: *program })
}

/// Opens a new account of `owner` for a token; `payer` pays the rent.
///
/// # Errors
/// What the chain answered.
pub async fn open_account(
    chain: &dyn Submit,
    payer: &Keypair,
    token: &Token,
    owner: &Pubkey,
) -> Result<Pubkey, SubmitError> {
    let account = Keypair::new();
    let initialize = spl::initialize_account3(&token.program, &account.pubkey(), &token.mint, owner);
    let create = [create_account(&payer.pubkey(), &account.pubkey(), Account::LEN, &token.program), built(initialize)?];
    chain.submit(&create, &[payer, &account]).await?;
    Ok(account.pubkey())
}

/// The instruction by which `issuer` mints `amount` into an account.
///
/// # Errors
/// [`SubmitError::Unbuildable`].
pub fn mint_to(issuer: &Pubkey, token: &Token, account: &Pubkey, amount: u64) -> Result<Instruction, SubmitError> {
    built(spl::mint_to(&token.program, &token.mint, account, issuer, &[], amount))
}

/// What a token account holds.
///
/// # Errors
/// What the chain answered, or that it is no token account.
pub async fn balance(chain: &dyn ReadAccounts, account: &Pubkey) -> anyhow::Result<u64> {
    let held = chain.account(account).await?;
    let held = held.ok_or_else(|| anyhow::anyhow!("there is no token account at {account}"))?;
    Ok(Account::unpack(held.data.get(..Account::LEN).unwrap_or(&held.data))?.amount)
}

fn create_account(payer: &Pubkey, address: &Pubkey, size: usize, owner: &Pubkey) -> Instruction {
    let lamports = Rent::default().minimum_balance(size);
    solana_system_interface::instruction::create_account(payer, address, lamports, size as u64, owner)
}

fn built(instruction: Result<Instruction, ProgramError>) -> Result<Instruction, SubmitError> {
    instruction.map_err(|error| SubmitError::Unbuildable(error.to_string()))
}
