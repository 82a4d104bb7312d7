//! Mints, of SPL Token and of Token-2022.

use crate::error::RebateError;
use anchor_lang::{Ids, prelude::*};
use pinocchio_token::state as spl;
use pinocchio_token_2022::state as token_2022;

/// The two programs whose tokens a vault can hold.
pub struct TokenPrograms;

impl Ids for TokenPrograms {
    fn ids() -> &'static [Address] {
        const { &[pinocchio_token::id(), pinocchio_token_2022::id()] }
    }
}

/// An asset's mint.
pub struct Mint {
    pub account: AccountView,
    /// The token program it belongs to.
    pub program: Address,
    pub decimals: u8,
}

/// A token account of a mint.
pub struct TokenAccount<'a> {
    pub owner: &'a Address,
    pub amount: u64,
}

/// What stands behind a mint with extensions: one byte for what the account is, padding up to where it stands in a token
/// account, then each extension's type and length, two bytes each, and its value.
const EXTENSIONS: usize = token_2022::Account::BASE_LEN + 1;

/// No extension begins here or behind it: `ExtensionType::Uninitialized`.
const END: u16 = 0;
/// `ExtensionType::TransferFeeConfig`: less arrives than was sent. What arrives in a vault is measured; of what leaves it,
/// who receives it pays the fee.
const TRANSFER_FEE: u16 = 1;

/// The extensions a mint may have: none of them lets anybody take tokens out of an account, or stop it, beyond what a freeze
/// authority can. By the numbers of Token-2022's `ExtensionType`.
const SUPPORTED: [u16; 10] = [
    TRANSFER_FEE,
    // MintCloseAuthority. Only a mint without any tokens can be closed, so that its vaults are empty; since it can come back
    // with other extensions, they are looked at again before tokens are counted.
    3,
    10, // InterestBearingConfig
    18, // MetadataPointer
    19, // TokenMetadata
    20, // GroupPointer
    21, // TokenGroup
    22, // GroupMemberPointer
    23, // TokenGroupMember
    25, // ScaledUiAmount
];

impl Mint {
    /// The mint at `address`, which is the asset's.
    ///
    /// # Errors
    /// [`RebateError::WrongMint`] unless `account` stands there and is a mint of `program`.
    pub fn load(
        account: &UncheckedAccount,
        address: &[u8; 32],
        program: &Interface<'_, TokenPrograms>,
    ) -> Result<Self> {
        let (account, program) = (*account.account(), *program.address());
        require!(account.address().as_array() == address, RebateError::WrongMint);
        // SAFETY: no instruction writes to a mint or has it changed by another program.
        let (decimals, initialized) = unsafe {
            if program == pinocchio_token::ID {
                let mint = spl::Mint::from_account_view_unchecked(&account).map_err(|_| RebateError::WrongMint)?;
                (mint.decimals(), mint.is_initialized())
            } else {
                let mint =
                    token_2022::Mint::from_account_view_unchecked(&account).map_err(|_| RebateError::WrongMint)?;
                (mint.decimals(), mint.is_initialized())
            }
        };
        require!(initialized, RebateError::WrongMint);
        Ok(Self { account, program, decimals })
    }

    /// Refuses a mint that could not be relied on, and returns whether transfers of its tokens cost a fee.
    ///
    /// A freeze authority can stop a vault like any other account. Tokens that are worth something have one, USDC among them:
    /// it is for the platform to choose whom it trusts with that, and for its users to see.
    ///
    /// # Errors
    /// [`RebateError::UnsupportedMint`].
    pub fn supported(&self) -> Result<HasFee> {
        // SAFETY: as of `load`.
        let data = unsafe { self.account.borrow_unchecked() };
        let mut rest = data.get(EXTENSIONS..).unwrap_or_default();
        let mut fee = HasFee(false);
        while let Some((kind, body)) = rest.split_first_chunk::<2>() {
            let kind = u16::from_le_bytes(*kind);
            if kind == END {
                break;
            }
            require!(SUPPORTED.contains(&kind), RebateError::UnsupportedMint);
            fee.0 |= kind == TRANSFER_FEE;
            let (length, body) = body.split_first_chunk::<2>().ok_or(RebateError::UnsupportedMint)?;
            rest = body.get(usize::from(u16::from_le_bytes(*length))..).ok_or(RebateError::UnsupportedMint)?;
        }
        Ok(fee)
    }

    /// A token account of this mint. Both libraries check whose the account is and what it is.
    ///
    /// # Errors
    /// [`RebateError::WrongTokenAccount`].
    pub fn token_account<'a>(&self, account: &'a AccountView) -> Result<TokenAccount<'a>> {
        // SAFETY: nothing here writes to a token account; what is returned is gone before another program is called.
        let (mint, owner, amount) = unsafe {
            if self.program == pinocchio_token::ID {
                let token = spl::Account::from_account_view_unchecked(account);
                let token = token.map_err(|_| RebateError::WrongTokenAccount)?;
                (token.mint(), token.owner(), token.amount())
            } else {
                let token = token_2022::Account::from_account_view_unchecked(account);
                let token = token.map_err(|_| RebateError::WrongTokenAccount)?;
                (token.mint(), token.owner(), token.amount())
            }
        };
        // An account that was never initialised has no mint.
        require!(anchor_lang::address_eq(mint, self.account.address()), RebateError::WrongTokenAccount);
        Ok(TokenAccount { owner, amount })
    }
}

/// Whether transfers of a mint's tokens cost a fee.
pub struct HasFee(bool);

impl HasFee {
    /// The size of a token account of the mint: with a fee, it has room for `TransferFeeAmount`, eight bytes with their type
    /// and length. No other extension of [`SUPPORTED`] needs any.
    pub const fn account_space(&self) -> usize {
        if self.0 { EXTENSIONS + 2 + 2 + 8 } else { token_2022::Account::BASE_LEN }
    }
}
