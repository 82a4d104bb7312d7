//! Deposits: what counts is what the vault holds.

use super::{another_mint, another_platform, last_event, other_vaults, token_program_says, with, with_either_program};
use rebate_client::{event::Event, instruction};
use rebate_core::units::{Amount, AssetId};
use rebate_tests::{
    platform::refusal,
    token::{Extension, SPL_TOKEN, TOKEN_2022, TestToken, TokenPlatform, one_for_one},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use spl_token_2022_interface::{
    extension::{ExtensionType, transfer_fee},
    instruction as token,
};

#[test]
fn anybody_deposits_and_it_can_be_granted_at_once() {
    with_either_program(|t| {
        let somebody = Keypair::new();
        t.platform.fund(&somebody.pubkey());
        let source = t.coin.account_with(&t.platform, &somebody.pubkey(), 700);
        t.deposit(&somebody, &source, 500).expect("a deposit");
        assert_eq!((t.holds(), t.books(), t.coin.balance(&t.platform, &source)), (500, (500, 0), 200));
        let Event::Deposited(event) = last_event(&t.platform) else { panic!("the last event") };
        assert_eq!((event.asset, event.by, event.amount, event.funds), (2, somebody.pubkey().to_bytes(), 500, 500));
        t.pay("u1", 500);
        assert_eq!((t.has("u1"), t.books()), (500, (500, 500)));
    });
}

#[test]
fn what_somebody_sent_otherwise_counts_once_it_is_looked_at() {
    with_either_program(|t| {
        t.fill(100);
        t.coin.mint_to(&t.platform, &t.vault(), 250);
        assert_eq!(t.books(), (100, 0));
        // Nothing is taken, so that it does not matter from where.
        let payer = &t.platform.payer;
        t.deposit(payer, &payer.pubkey(), 0).expect_err("the payer's own account is no third account");
        t.deposit(payer, &t.coin.issuer.pubkey(), 0).expect("counted");
        assert_eq!(t.books(), (350, 0));
        let Event::Deposited(event) = last_event(&t.platform) else { panic!("the last event") };
        assert_eq!((event.by, event.amount, event.funds), (payer.pubkey().to_bytes(), 250, 350));
    });
}

#[test]
fn a_deposit_counts_what_was_sent_before_it_too() {
    with_either_program(|t| {
        t.coin.mint_to(&t.platform, &t.vault(), 250);
        t.fill(100);
        assert_eq!(t.books(), (350, 0));
        let Event::Deposited(event) = last_event(&t.platform) else { panic!("the last event") };
        assert_eq!((event.amount, event.funds), (350, 350));
    });
}

#[test]
fn where_nothing_arrived_nothing_is_written() {
    let t = TokenPlatform::start(SPL_TOKEN);
    t.fill(100);
    let events = t.platform.journal().count;
    t.deposit(&t.platform.payer, &t.coin.issuer.pubkey(), 0).expect("looked");
    assert_eq!((t.platform.journal().count, t.books()), (events, (100, 0)));
}

#[test]
fn of_a_mint_with_a_fee_what_arrives_counts() {
    let fee: Extension = (ExtensionType::TransferFeeConfig, |mint, issuer| {
        transfer_fee::instruction::initialize_transfer_fee_config(
            &TOKEN_2022,
            mint,
            Some(issuer),
            Some(issuer),
            100,
            1_000_000,
        )
    });
    let t = TokenPlatform::granting(|platform| TestToken::extended(platform, &[fee]), 0, &one_for_one());
    t.fill(10_000);
    assert_eq!((t.holds(), t.books()), (9_900, (9_900, 0)));
    let Event::Deposited(event) = last_event(&t.platform) else { panic!("the last event") };
    assert_eq!((event.amount, event.funds), (9_900, 9_900));

    // What leaves the vault is what the user had; who receives it pays the fee.
    t.pay("u1", 9_900);
    let (wallet, account) = t.wallet("u1");
    t.claim("u1", &wallet, &account, 5_000).expect("claimed");
    assert_eq!((t.holds(), t.books(), t.has("u1")), (4_900, (4_900, 4_900), 4_900));
    assert_eq!(t.coin.balance(&t.platform, &account), 4_950);
}

#[test]
fn as_much_as_a_mint_can_have() {
    with_either_program(|t| {
        t.fill(u64::MAX);
        assert_eq!(t.books(), (u64::MAX, 0));
        t.pay("u1", u64::MAX);
        assert_eq!(t.books(), (u64::MAX, u64::MAX));
        let (wallet, account) = t.wallet("u1");
        t.claim("u1", &wallet, &account, u64::MAX).expect("claimed");
        assert_eq!((t.holds(), t.books(), t.coin.balance(&t.platform, &account)), (0, (0, 0), u64::MAX));
    });
}

#[test]
fn more_than_the_source_holds_is_refused() {
    with_either_program(|t| {
        let issuer = &t.coin.issuer;
        let source = t.coin.account_with(&t.platform, &issuer.pubkey(), 100);
        for amount in [101, u64::MAX] {
            token_program_says(t.deposit(issuer, &source, amount));
        }
        assert_eq!((t.holds(), t.books()), (0, (0, 0)));
    });
}

#[test]
fn the_source_is_a_token_account_of_who_signs() {
    with_either_program(|t| {
        let (issuer, payer) = (&t.coin.issuer, &t.platform.payer);
        let somebodys = t.coin.account_with(&t.platform, &payer.pubkey(), 500);
        let another = another_mint(&t);
        let of_another_mint = another.account_with(&t.platform, &issuer.pubkey(), 500);
        for source in [somebodys, of_another_mint, payer.pubkey(), another.token.mint, t.addresses().rule_book] {
            assert_eq!(refusal(t.deposit(issuer, &source, 500)), "WrongTokenAccount");
        }
        assert_eq!(t.coin.balance(&t.platform, &somebodys), 500);
    });
}

#[test]
fn an_account_that_was_never_initialised_is_no_source() {
    with_either_program(|t| {
        let (program, account) = (t.coin.token.program, Keypair::new());
        let lamports = solana_program::rent::Rent::default().minimum_balance(165);
        let payer = &t.platform.payer;
        let create = solana_system_interface::instruction::create_account(
            &payer.pubkey(),
            &account.pubkey(),
            lamports,
            165,
            &program,
        );
        t.platform.run(&[create], &[payer, &account]).expect("an account");
        assert_eq!(refusal(t.deposit(payer, &account.pubkey(), 1)), "WrongTokenAccount");
    });
}

#[test]
fn the_owner_must_sign() {
    with_either_program(|t| {
        let issuer = &t.coin.issuer;
        let source = t.coin.account_with(&t.platform, &issuer.pubkey(), 500);
        let mut deposit = t.deposit_of(issuer, &source, 500);
        deposit.accounts[0].is_signer = false;
        assert!(t.platform.run(&[deposit], &[&t.platform.payer]).is_err());
        assert_eq!(t.holds(), 0);
    });
}

#[test]
fn only_the_assets_vault_counts() {
    with_either_program(|t| {
        t.fill(100);
        let issuer = &t.coin.issuer;
        let source = t.coin.account_with(&t.platform, &issuer.pubkey(), 500);
        let another = another_platform(&t);
        let [third, opened] = other_vaults(&t);
        let own = t.coin.account(&t.platform, &issuer.pubkey());
        for amount in [0, 500] {
            let deposit = t.deposit_of(issuer, &source, amount);
            for vault in [another.vault(AssetId(2)), third, opened, own, t.addresses().rule_book] {
                let wrong = with(deposit.clone(), 3, vault);
                assert_eq!(refusal(t.platform.run(&[wrong], &[issuer])), "WrongVault");
            }
        }
        assert_eq!(t.books(), (100, 0));
    });
}

#[test]
fn the_mint_the_program_and_the_journal_are_the_vaults() {
    with_either_program(|t| {
        let issuer = &t.coin.issuer;
        let source = t.coin.account_with(&t.platform, &issuer.pubkey(), 500);
        let another = another_platform(&t);
        let other_program = if t.coin.token.program == SPL_TOKEN { TOKEN_2022 } else { SPL_TOKEN };
        let deposit = t.deposit_of(issuer, &source, 500);
        for (at, account, error) in [
            (2, another_mint(&t).token.mint, "WrongMint"),
            (5, another.journal, "WrongPlatform"),
            (6, other_program, "WrongMint"),
        ] {
            assert_eq!(refusal(t.platform.run(&[with(deposit.clone(), at, account)], &[issuer])), error);
        }
        let own = with(deposit, 6, rebate_client::address::PROGRAM);
        assert!(t.platform.run(&[own], &[issuer]).is_err());
        assert_eq!((t.holds(), t.books()), (0, (0, 0)));
    });
}

#[test]
fn there_is_nothing_to_deposit_into_before_the_vault_is_open() {
    let t = TokenPlatform::without_vault(|platform| TestToken::new(platform, SPL_TOKEN));
    let issuer = &t.coin.issuer;
    let source = t.coin.account_with(&t.platform, &issuer.pubkey(), 500);
    assert_eq!(refusal(t.deposit(issuer, &source, 500)), "NotAToken");
    for (asset, error) in [(1, "NotAToken"), (3, "UnknownAsset"), (0, "UnknownAsset")] {
        let (token, asset) = (&t.coin.token, AssetId(asset));
        let deposit = instruction::deposit(&issuer.pubkey(), t.addresses(), asset, token, &source, Amount(500));
        assert_eq!(refusal(t.platform.run(&[deposit], &[issuer])), error);
    }
}

#[test]
fn a_frozen_vault_takes_nothing_and_loses_nothing() {
    with_either_program(|t| {
        t.fill(100);
        t.coin.freeze(&t.platform, &t.vault());
        let issuer = &t.coin.issuer;
        let source = t.coin.account_with(&t.platform, &issuer.pubkey(), 500);
        token_program_says(t.deposit(issuer, &source, 500));
        assert_eq!((t.holds(), t.books()), (100, (100, 0)));
    });
}

#[test]
fn a_delegate_of_the_source_does_not_deposit_from_it() {
    with_either_program(|t| {
        let (issuer, delegate) = (&t.coin.issuer, &t.platform.payer);
        let source = t.coin.account_with(&t.platform, &issuer.pubkey(), 500);
        let program = &t.coin.token.program;
        t.coin.issue(&t.platform, token::approve(program, &source, &delegate.pubkey(), &issuer.pubkey(), &[], 500));
        assert_eq!(refusal(t.deposit(delegate, &source, 500)), "WrongTokenAccount");
    });
}
