//! Surplus: the admin takes out what no user has a claim to, and not one unit more.

use super::{another_mint, another_platform, last_event, other_vaults, token_program_says, with};
use rebate_client::{event::Event, instruction};
use rebate_core::units::{Amount, AssetId};
use rebate_tests::{
    platform::refusal,
    token::{COIN, SPL_TOKEN, TOKEN_2022, TokenPlatform},
};
use solana_program::pubkey::Pubkey;
use solana_signer::Signer;

/// Users have 600 of the vault's 1000; and a token account of the admin.
fn with_surplus_of_either_program(test: impl Fn(TokenPlatform, Pubkey)) {
    for program in [SPL_TOKEN, TOKEN_2022] {
        let t = TokenPlatform::start(program);
        t.fill(1_000);
        t.pay("u1", 500);
        t.pay("u2", 100);
        let account = t.coin.account(&t.platform, &t.platform.admin.pubkey());
        test(t, account);
    }
}

/// Nothing of it has changed.
fn untouched(t: &TokenPlatform) -> bool {
    (t.holds(), t.books()) == (1_000, (1_000, 600))
}

#[test]
fn exactly_the_surplus_can_be_withdrawn() {
    with_surplus_of_either_program(|t, account| {
        t.withdraw(&account, 400).expect("withdrawn");
        assert_eq!((t.holds(), t.books(), t.coin.balance(&t.platform, &account)), (600, (600, 600), 400));
        let Event::SurplusWithdrawn(event) = last_event(&t.platform) else { panic!("the last event") };
        assert_eq!((event.asset, event.destination), (2, account.to_bytes()));
        assert_eq!((event.amount, event.funds, event.liability), (400, 600, 600));
        // And users still get all they have.
        for (user, has) in [("u1", 500), ("u2", 100)] {
            let (wallet, account) = t.wallet(user);
            t.claim(user, &wallet, &account, 0).expect("claimed");
            assert_eq!(t.coin.balance(&t.platform, &account), has);
        }
        assert_eq!((t.holds(), t.books()), (0, (0, 0)));
    });
}

#[test]
fn one_more_than_the_surplus_cannot() {
    with_surplus_of_either_program(|t, account| {
        for amount in [401, 1_000, u64::MAX] {
            assert_eq!(refusal(t.withdraw(&account, amount)), "BelowLiability");
        }
        assert!(untouched(&t));
        t.withdraw(&account, 399).expect("withdrawn");
        assert_eq!(refusal(t.withdraw(&account, 2)), "BelowLiability");
        t.withdraw(&account, 1).expect("withdrawn");
        assert_eq!(t.books(), (600, 600));
    });
}

#[test]
fn zero_withdraws_all_of_it_with_what_was_sent_otherwise() {
    with_surplus_of_either_program(|t, account| {
        t.coin.mint_to(&t.platform, &t.vault(), 70);
        t.withdraw(&account, 0).expect("withdrawn");
        assert_eq!((t.holds(), t.books(), t.coin.balance(&t.platform, &account)), (600, (600, 600), 470));
        assert_eq!(refusal(t.withdraw(&account, 0)), "BelowLiability");
    });
}

#[test]
fn only_the_admin_withdraws() {
    with_surplus_of_either_program(|t, account| {
        for stranger in [&t.platform.pauser, &t.platform.payer, &t.coin.issuer] {
            let withdraw = t.withdraw_of(stranger, &account, 400);
            assert_eq!(refusal(t.platform.run(&[withdraw], &[stranger])), "NotAdmin");
        }
        let mut unsigned = t.withdraw_of(&t.platform.admin, &account, 400);
        unsigned.accounts[0].is_signer = false;
        assert!(t.platform.run(&[unsigned], &[&t.platform.payer]).is_err());
        assert!(untouched(&t));
    });
}

#[test]
fn it_goes_to_any_token_account_of_the_mint_and_to_nothing_else() {
    with_surplus_of_either_program(|t, _| {
        let another = another_mint(&t);
        let of_another_mint = another.account(&t.platform, &t.platform.admin.pubkey());
        for destination in [of_another_mint, another.token.mint, t.addresses().rule_book, Pubkey::new_unique()] {
            assert_eq!(refusal(t.withdraw(&destination, 400)), "WrongTokenAccount");
        }
        assert!(t.withdraw(&t.vault(), 400).is_err(), "the vault twice");
        assert!(untouched(&t));
        let issuers = t.coin.account(&t.platform, &t.coin.issuer.pubkey());
        t.withdraw(&issuers, 400).expect("withdrawn");
        assert_eq!(t.coin.balance(&t.platform, &issuers), 400);
    });
}

#[test]
fn only_out_of_the_assets_own_vault() {
    with_surplus_of_either_program(|t, account| {
        let another = another_platform(&t);
        let [third, opened] = other_vaults(&t);
        for vault in [another.vault(COIN), third, opened] {
            t.coin.mint_to(&t.platform, &vault, 500);
            let withdraw = with(t.withdraw_of(&t.platform.admin, &account, 400), 3, vault);
            assert_eq!(refusal(t.platform.run(&[withdraw], &[&t.platform.admin])), "WrongVault");
            assert_eq!(t.coin.balance(&t.platform, &vault), 500);
        }
        assert!(untouched(&t));
    });
}

#[test]
fn the_mint_the_program_and_the_journal_are_the_vaults() {
    with_surplus_of_either_program(|t, account| {
        let another = another_platform(&t);
        let other_program = if t.coin.token.program == SPL_TOKEN { TOKEN_2022 } else { SPL_TOKEN };
        let withdraw = t.withdraw_of(&t.platform.admin, &account, 400);
        for (at, account, error) in [
            (2, another_mint(&t).token.mint, "WrongMint"),
            (5, another.journal, "WrongPlatform"),
            (6, other_program, "WrongMint"),
        ] {
            let wrong = with(withdraw.clone(), at, account);
            assert_eq!(refusal(t.platform.run(&[wrong], &[&t.platform.admin])), error);
        }
        assert!(untouched(&t));
    });
}

#[test]
fn only_tokens_have_a_surplus() {
    let t = TokenPlatform::start(SPL_TOKEN);
    let (admin, account) = (&t.platform.admin, t.coin.account(&t.platform, &t.platform.admin.pubkey()));
    for (asset, error) in [(1, "NotAToken"), (3, "UnknownAsset"), (0, "UnknownAsset")] {
        let (token, asset) = (&t.coin.token, AssetId(asset));
        let withdraw = instruction::withdraw_surplus(&admin.pubkey(), t.addresses(), asset, token, &account, Amount(1));
        assert_eq!(refusal(t.platform.run(&[withdraw], &[admin])), error);
    }
    assert_eq!(refusal(t.withdraw(&account, 0)), "BelowLiability", "an empty vault");
}

#[test]
fn a_frozen_vault_keeps_what_it_has() {
    with_surplus_of_either_program(|t, account| {
        t.coin.freeze(&t.platform, &t.vault());
        token_program_says(t.withdraw(&account, 400));
        assert!(untouched(&t));
    });
}

#[test]
fn what_was_withdrawn_is_not_granted_any_more() {
    with_surplus_of_either_program(|t, account| {
        t.withdraw(&account, 300).expect("withdrawn");
        t.pay("u3", 400);
        assert_eq!((t.has("u3"), t.books()), (100, (700, 700)));
    });
}
