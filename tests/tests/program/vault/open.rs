//! Opening a vault: anybody may, once, for a token that nobody can take out of it.

use super::{another_mint, another_platform, last_event, with};
use rebate_client::{address::PROGRAM, chain::SubmitError, event::Event, instruction};
use rebate_core::units::AssetId;
use rebate_tests::{
    platform::refusal,
    token::{COIN, Extension, SPL_TOKEN, TOKEN_2022, TestToken, TokenPlatform},
};
use solana_keypair::Keypair;
use solana_program::{pubkey::Pubkey, rent::Rent};
use solana_signer::Signer;
use solana_system_interface::instruction::create_account;
use spl_token_2022_interface::{
    extension::{
        ExtensionType, confidential_transfer, default_account_state, group_member_pointer, group_pointer,
        interest_bearing_mint, metadata_pointer, pausable, permissioned_burn, scaled_ui_amount, transfer_fee,
        transfer_hook,
    },
    instruction as token,
    state::AccountState,
};

fn unopened(program: Pubkey) -> TokenPlatform {
    TokenPlatform::without_vault(|platform| TestToken::new(platform, program))
}

/// What becomes of opening a vault of a mint with these extensions.
fn opened(extensions: &[Extension]) -> Result<TokenPlatform, &'static str> {
    let t = TokenPlatform::without_vault(|platform| TestToken::extended(platform, extensions));
    match t.open_vault() {
        Ok(_) => Ok(t),
        refused => Err(refusal(refused)),
    }
}

#[test]
fn a_vault_is_an_empty_token_account_of_the_platform_and_an_event() {
    for program in [SPL_TOKEN, TOKEN_2022] {
        let t = unopened(program);
        assert_eq!(t.asset().has_vault, 0);
        t.open_vault().expect("opened");
        assert_eq!((t.asset().has_vault, t.books(), t.holds()), (1, (0, 0), 0));
        let Event::VaultOpened(event) = last_event(&t.platform) else { panic!("the last event") };
        assert_eq!((event.asset, event.mint, event.vault), (2, t.coin.token.mint.to_bytes(), t.vault().to_bytes()));
        let data = t.platform.data(&t.vault()).expect("the vault");
        assert_eq!(data[..32], t.coin.token.mint.to_bytes());
        assert_eq!(data[32..64], t.addresses().platform.to_bytes());
    }
}

#[test]
fn a_vault_is_opened_once() {
    for program in [SPL_TOKEN, TOKEN_2022] {
        let t = unopened(program);
        t.open_vault().expect("opened");
        t.fill(500);
        let again = t.open_vault().expect_err("opened again");
        assert!(matches!(again, SubmitError::Failed { .. }), "{again}");
        assert_eq!((t.books(), t.holds()), ((500, 0), 500));
    }
}

#[test]
fn lamports_that_somebody_sends_to_the_address_before_do_not_stop_it() {
    for program in [SPL_TOKEN, TOKEN_2022] {
        let t = unopened(program);
        t.platform.fund(&t.vault());
        t.open_vault().expect("opened");
        t.fill(500);
        assert_eq!(t.holds(), 500);
    }
}

#[test]
fn only_token_assets_have_vaults() {
    let t = unopened(SPL_TOKEN);
    let payer = &t.platform.payer;
    for (asset, error) in [(1, "NotAToken"), (3, "UnknownAsset"), (0, "UnknownAsset"), (255, "UnknownAsset")] {
        let open = instruction::open_vault(&payer.pubkey(), t.addresses(), AssetId(asset), &t.coin.token);
        assert_eq!(refusal(t.platform.run(&[open], &[payer])), error, "asset {asset}");
    }
}

#[test]
fn a_vault_stands_only_at_its_own_address_in_its_own_platforms_journal() {
    let t = unopened(SPL_TOKEN);
    let payer = &t.platform.payer;
    let another = another_platform(&t);
    let open = instruction::open_vault(&payer.pubkey(), t.addresses(), COIN, &t.coin.token);
    for (at, account, error) in [
        (3, t.addresses().vault(AssetId(3)), "WrongVault"),
        (3, another.vault(COIN), "WrongVault"),
        (4, another.journal, "WrongPlatform"),
    ] {
        assert_eq!(refusal(t.platform.run(&[with(open.clone(), at, account)], &[payer])), error);
    }
}

#[test]
fn the_mint_is_the_assets() {
    let t = unopened(SPL_TOKEN);
    let payer = &t.platform.payer;
    let open = instruction::open_vault(&payer.pubkey(), t.addresses(), COIN, &t.coin.token);
    let another = with(open, 2, another_mint(&t).token.mint);
    assert_eq!(refusal(t.platform.run(&[another], &[payer])), "WrongMint");
}

#[test]
fn an_asset_whose_mint_is_none_has_no_vault() {
    // The address of a token account, of a mint that was never initialised, of an account without data, and of nothing.
    let t = unopened(TOKEN_2022);
    let wallet = t.platform.payer.pubkey();
    let account = t.coin.account(&t.platform, &wallet);
    let uninitialised = Keypair::new();
    let (lamports, space) = (Rent::default().minimum_balance(82), 82);
    let create = create_account(&wallet, &uninitialised.pubkey(), lamports, space, &TOKEN_2022);
    t.platform.run(&[create], &[&t.platform.payer, &uninitialised]).expect("an account");
    for (asset, mint) in (3..).zip([account, uninitialised.pubkey(), t.coin.issuer.pubkey(), Pubkey::new_unique()]) {
        let token = instruction::Token { mint, program: TOKEN_2022 };
        let mut entry = t.coin.entry("no mint");
        entry.mint = mint.to_bytes();
        t.add_asset(&entry, 0);
        let open = instruction::open_vault(&wallet, t.addresses(), AssetId(asset), &token);
        assert_eq!(refusal(t.platform.run(&[open], &[&t.platform.payer])), "WrongMint");
    }
}

#[test]
fn the_token_program_is_the_mints() {
    let t = unopened(SPL_TOKEN);
    let payer = &t.platform.payer;
    let open = instruction::open_vault(&payer.pubkey(), t.addresses(), COIN, &t.coin.token);
    let other = with(open.clone(), 5, TOKEN_2022);
    assert_eq!(refusal(t.platform.run(&[other], &[payer])), "WrongMint");
    let none = with(open, 5, PROGRAM);
    assert!(t.platform.run(&[none], &[payer]).is_err());
    assert_eq!(t.asset().has_vault, 0);
}

#[test]
fn extensions_that_could_take_or_stop_its_tokens_are_refused() {
    let dangerous: [Extension; 7] = [
        (ExtensionType::PermanentDelegate, |mint, issuer| {
            token::initialize_permanent_delegate(&TOKEN_2022, mint, issuer)
        }),
        (ExtensionType::TransferHook, |mint, issuer| {
            transfer_hook::instruction::initialize(&TOKEN_2022, mint, Some(*issuer), Some(*issuer))
        }),
        (ExtensionType::NonTransferable, |mint, _| token::initialize_non_transferable_mint(&TOKEN_2022, mint)),
        (ExtensionType::DefaultAccountState, |mint, _| {
            default_account_state::instruction::initialize_default_account_state(
                &TOKEN_2022,
                mint,
                &AccountState::Frozen,
            )
        }),
        (ExtensionType::Pausable, |mint, issuer| pausable::instruction::initialize(&TOKEN_2022, mint, issuer)),
        (ExtensionType::ConfidentialTransferMint, |mint, issuer| {
            confidential_transfer::instruction::initialize_mint(&TOKEN_2022, mint, Some(*issuer), true, None)
        }),
        (ExtensionType::PermissionedBurn, |mint, issuer| {
            permissioned_burn::instruction::initialize(&TOKEN_2022, mint, issuer)
        }),
    ];
    for extension in dangerous {
        assert_eq!(opened(&[extension]).err(), Some("UnsupportedMint"), "{:?}", extension.0);
        // Behind one that is harmless.
        assert_eq!(opened(&[POINTER, extension]).err(), Some("UnsupportedMint"), "{:?}", extension.0);
    }
}

const POINTER: Extension = (ExtensionType::MetadataPointer, |mint, issuer| {
    metadata_pointer::instruction::initialize(&TOKEN_2022, mint, Some(*issuer), Some(*mint))
});

const CLOSE_AUTHORITY: Extension = (ExtensionType::MintCloseAuthority, |mint, issuer| {
    token::initialize_mint_close_authority(&TOKEN_2022, mint, Some(issuer))
});

#[test]
fn extensions_that_could_not_are_taken() {
    let harmless: [Extension; 7] = [
        POINTER,
        CLOSE_AUTHORITY,
        (ExtensionType::TransferFeeConfig, |mint, issuer| {
            transfer_fee::instruction::initialize_transfer_fee_config(
                &TOKEN_2022,
                mint,
                Some(issuer),
                Some(issuer),
                100,
                1_000,
            )
        }),
        (ExtensionType::InterestBearingConfig, |mint, issuer| {
            interest_bearing_mint::instruction::initialize(&TOKEN_2022, mint, Some(*issuer), 500)
        }),
        (ExtensionType::GroupPointer, |mint, issuer| {
            group_pointer::instruction::initialize(&TOKEN_2022, mint, Some(*issuer), Some(*mint))
        }),
        (ExtensionType::GroupMemberPointer, |mint, issuer| {
            group_member_pointer::instruction::initialize(&TOKEN_2022, mint, Some(*issuer), Some(*mint))
        }),
        (ExtensionType::ScaledUiAmount, |mint, issuer| {
            scaled_ui_amount::instruction::initialize(&TOKEN_2022, mint, Some(*issuer), 2.0)
        }),
    ];
    for extension in harmless {
        let t = opened(&[extension]).unwrap_or_else(|error| panic!("{:?}: {error}", extension.0));
        t.fill(100_000);
        assert_eq!(t.books(), (t.holds(), 0), "{:?}", extension.0);
    }
    opened(&harmless[..6]).expect("all of them but interest and scale, which exclude each other");
}

#[test]
fn metadata_that_a_mint_gets_later_changes_nothing() {
    let t = opened(&[POINTER]).expect("opened");
    let (mint, issuer) = (t.coin.token.mint, t.coin.issuer.pubkey());
    let text = |text: &str| text.to_owned();
    let metadata = spl_token_metadata_interface::instruction::initialize(
        &TOKEN_2022,
        &mint,
        &issuer,
        &mint,
        &issuer,
        text("Coin"),
        text("COIN"),
        text("https://example.org/coin"),
    );
    t.platform.fund(&mint);
    t.coin.issue(&t.platform, Ok(metadata));
    t.fill(500);
    assert_eq!(t.books(), (500, 0));
}

#[test]
fn a_mint_that_comes_back_with_other_extensions_counts_no_more() {
    let mint = Keypair::new();
    let t = TokenPlatform::without_vault(|platform| TestToken::at(platform, TOKEN_2022, &mint, &[CLOSE_AUTHORITY]));
    t.open_vault().expect("opened");
    let close =
        token::close_account(&TOKEN_2022, &mint.pubkey(), &t.coin.issuer.pubkey(), &t.coin.issuer.pubkey(), &[]);
    t.coin.issue(&t.platform, close);
    let delegate: Extension = (ExtensionType::PermanentDelegate, |mint, issuer| {
        token::initialize_permanent_delegate(&TOKEN_2022, mint, issuer)
    });
    let coin = TestToken::at(&t.platform, TOKEN_2022, &mint, &[delegate]);
    let t = TokenPlatform { coin, ..t };
    t.coin.mint_to(&t.platform, &t.vault(), 500);

    let issuer = &t.coin.issuer;
    let source = t.coin.account_with(&t.platform, &issuer.pubkey(), 500);
    for amount in [0, 500] {
        assert_eq!(refusal(t.deposit(issuer, &source, amount)), "UnsupportedMint");
    }
    assert_eq!(refusal(t.withdraw(&source, 1)), "UnsupportedMint");
    assert_eq!(t.books(), (0, 0));
}

#[test]
fn somebody_must_pay_for_it() {
    let t = unopened(SPL_TOKEN);
    let mut open = instruction::open_vault(&t.platform.payer.pubkey(), t.addresses(), COIN, &t.coin.token);
    open.accounts[0].is_signer = false;
    open.accounts[0].pubkey = t.coin.issuer.pubkey();
    assert!(t.platform.run(&[open], &[&t.platform.payer]).is_err());
}
