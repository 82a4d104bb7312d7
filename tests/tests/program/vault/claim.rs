//! Claims: a user's tokens go to the linked wallet, and to nobody else.

use super::{another_mint, another_platform, other_vaults, token_program_says, with};
use rebate_client::{
    event::{BalanceExpired, Claimed, Event, LimitsEntry},
    instruction, platform_id,
};
use rebate_core::{
    outcome::Reason,
    refund::Refund,
    rule::{Limits, OnLimit},
    units::{Amount, AssetId, OrderHash, Timestamp},
};
use rebate_tests::{
    platform::{NOON, payment, refusal},
    token::{COIN, SPL_TOKEN, TOKEN_2022, TestToken, TokenPlatform, one_for_one},
};
use solana_keypair::Keypair;
use solana_program::pubkey::Pubkey;
use solana_signer::Signer;
use spl_token_2022_interface::instruction as token;

/// From 2026-10-03 to 2026-11-03.
const OCTOBER: i64 = 31 * 86_400;
/// From 2026-11-03 to 2026-12-03.
const NOVEMBER: i64 = 30 * 86_400;

/// The user has 500 of the vault's 1000, and a wallet with a token account.
fn with_500(program: Pubkey) -> (TokenPlatform, Keypair, Pubkey) {
    let t = TokenPlatform::start(program);
    t.fill(1_000);
    t.pay("u1", 500);
    let (wallet, account) = t.wallet("u1");
    (t, wallet, account)
}

fn with_500_of_either_program(test: impl Fn(TokenPlatform, Keypair, Pubkey)) {
    for program in [SPL_TOKEN, TOKEN_2022] {
        let (t, wallet, account) = with_500(program);
        test(t, wallet, account);
    }
}

/// Nothing of it has changed.
fn unclaimed(t: &TokenPlatform) -> bool {
    (t.has("u1"), t.holds(), t.books()) == (500, 1_000, (1_000, 500))
}

#[test]
fn a_claim_moves_tokens_balance_and_books_together() {
    with_500_of_either_program(|t, wallet, account| {
        t.claim("u1", &wallet, &account, 200).expect("claimed");
        assert_eq!((t.has("u1"), t.holds(), t.books()), (300, 800, (800, 300)));
        assert_eq!(t.coin.balance(&t.platform, &account), 200);
        let Event::Claimed(event) = super::last_event(&t.platform) else { panic!("the last event") };
        let expected = Claimed {
            journal_index: event.journal_index,
            at: NOON,
            platform: t.addresses().platform.to_bytes(),
            user: platform_id::unkeyed_user("u1").0,
            wallet: wallet.pubkey().to_bytes(),
            asset: 2,
            amount: 200,
            before: 500,
            after: 300,
            destination: account.to_bytes(),
        };
        assert_eq!(event, expected);
    });
}

#[test]
fn zero_claims_all_there_is() {
    with_500_of_either_program(|t, wallet, account| {
        t.claim("u1", &wallet, &account, 0).expect("claimed");
        assert_eq!((t.has("u1"), t.holds(), t.books()), (0, 500, (500, 0)));
        assert_eq!(t.coin.balance(&t.platform, &account), 500);
        assert_eq!(refusal(t.claim("u1", &wallet, &account, 0)), "NothingToClaim");
    });
}

#[test]
fn nobody_claims_more_than_there_is() {
    with_500_of_either_program(|t, wallet, account| {
        for amount in [501, 1_000, u64::MAX] {
            assert_eq!(refusal(t.claim("u1", &wallet, &account, amount)), "NothingToClaim");
        }
        assert!(unclaimed(&t));
        t.claim("u1", &wallet, &account, 500).expect("claimed");
        assert_eq!(refusal(t.claim("u1", &wallet, &account, 1)), "NothingToClaim");
    });
}

#[test]
fn only_the_linked_wallet_claims() {
    with_500_of_either_program(|t, wallet, account| {
        let (thief, thiefs) = {
            t.pay("thief", 1);
            t.wallet("thief")
        };
        for destination in [account, thiefs] {
            assert_eq!(refusal(t.claim("u1", &thief, &destination, 1)), "NotWallet");
        }
        assert_eq!(refusal(t.claim("u1", &t.platform.admin, &account, 1)), "NotWallet");
        let mut unsigned = t.claim_of("u1", &wallet, &account, 1);
        unsigned.accounts[0].is_signer = false;
        assert!(t.platform.run(&[unsigned], &[&t.platform.payer]).is_err());
        assert_eq!((t.has("u1"), t.holds()), (500, 1_000));
    });
}

#[test]
fn a_user_without_a_wallet_claims_nothing() {
    let t = TokenPlatform::start(SPL_TOKEN);
    t.fill(1_000);
    t.pay("u1", 500);
    let account = t.coin.account(&t.platform, &t.platform.payer.pubkey());
    assert_eq!(refusal(t.claim("u1", &t.platform.payer, &account, 1)), "NotWallet");
    // Nobody has the key to the zero address, so that it cannot sign either.
    let mut zero = t.claim_of("u1", &t.platform.payer, &account, 1);
    zero.accounts[0].pubkey = Pubkey::default();
    zero.accounts[0].is_signer = false;
    assert!(t.platform.run(&[zero], &[&t.platform.payer]).is_err());
    assert!(unclaimed(&t));
}

#[test]
fn the_wallet_that_was_linked_before_claims_no_more() {
    with_500_of_either_program(|t, old, account| {
        let (new, of_new) = t.wallet("u1");
        assert_eq!(refusal(t.claim("u1", &old, &account, 500)), "NotWallet");
        t.claim("u1", &new, &of_new, 500).expect("claimed");
        assert_eq!(t.coin.balance(&t.platform, &of_new), 500);
    });
}

#[test]
fn the_destination_is_a_token_account_of_the_wallet() {
    with_500_of_either_program(|t, wallet, account| {
        let somebodys = t.coin.account(&t.platform, &t.platform.payer.pubkey());
        let another = another_mint(&t);
        let of_another_mint = another.account(&t.platform, &wallet.pubkey());
        for destination in
            [somebodys, of_another_mint, another.token.mint, t.addresses().rule_book, Pubkey::new_unique()]
        {
            assert_eq!(refusal(t.claim("u1", &wallet, &destination, 500)), "WrongTokenAccount");
        }
        assert!(t.claim("u1", &wallet, &t.vault(), 500).is_err(), "the vault twice");
        assert!(unclaimed(&t));
        t.claim("u1", &wallet, &account, 500).expect("claimed");
    });
}

#[test]
fn a_destination_that_the_wallet_gave_away_is_its_no_more() {
    with_500_of_either_program(|t, wallet, account| {
        let program = &t.coin.token.program;
        let give = token::set_authority(
            program,
            &account,
            Some(&t.platform.payer.pubkey()),
            token::AuthorityType::AccountOwner,
            &wallet.pubkey(),
            &[],
        );
        t.platform.run(&[give.expect("an instruction")], &[&wallet]).expect("given away");
        assert_eq!(refusal(t.claim("u1", &wallet, &account, 500)), "WrongTokenAccount");
        assert!(unclaimed(&t));
    });
}

#[test]
fn only_the_assets_vault_pays() {
    with_500_of_either_program(|t, wallet, account| {
        let another = another_platform(&t);
        let [third, opened] = other_vaults(&t);
        t.coin.mint_to(&t.platform, &third, 500);
        t.coin.mint_to(&t.platform, &opened, 500);
        let own = t.coin.account(&t.platform, &wallet.pubkey());
        let claim = t.claim_of("u1", &wallet, &account, 500);
        for vault in [another.vault(COIN), third, opened, own, t.addresses().rule_book] {
            let wrong = with(claim.clone(), 4, vault);
            assert_eq!(refusal(t.platform.run(&[wrong], &[&wallet])), "WrongVault");
        }
        assert!(unclaimed(&t));
    });
}

#[test]
fn nothing_of_another_platform_is_taken() {
    with_500_of_either_program(|t, wallet, account| {
        let another = another_platform(&t);
        let key = platform_id::unkeyed_user("u1");
        let payer = &t.platform.payer;
        let open = instruction::open_user(&payer.pubkey(), &another, &key, 0);
        t.platform.run(&[open], &[payer]).expect("the same user there");
        let claim = t.claim_of("u1", &wallet, &account, 500);
        // The user there has no wallet, which is what is looked at first.
        for (at, account, error) in [
            (1, another.platform, "WrongPlatform"),
            (2, another.user(&key), "NotWallet"),
            (6, another.journal, "WrongPlatform"),
        ] {
            assert_eq!(refusal(t.platform.run(&[with(claim.clone(), at, account)], &[&wallet])), error);
        }
        assert!(unclaimed(&t));
    });
}

#[test]
fn the_same_wallet_claims_from_each_platform_what_it_has_there() {
    let (t, wallet, account) = with_500(SPL_TOKEN);
    let another = another_platform(&t);
    let claim = t.claim_of("u1", &wallet, &account, 500);
    // All of it the other platform's, but the user who has something.
    let mut mixed = instruction::claim(
        &wallet.pubkey(),
        &another,
        &platform_id::unkeyed_user("u1"),
        COIN,
        &t.coin.token,
        &account,
        Amount(500),
    );
    mixed.accounts[2].pubkey = claim.accounts[2].pubkey;
    assert_eq!(refusal(t.platform.run(&[mixed], &[&wallet])), "WrongPlatform");
    assert!(unclaimed(&t));
}

#[test]
fn the_mint_and_the_program_are_the_vaults() {
    with_500_of_either_program(|t, wallet, account| {
        let other_program = if t.coin.token.program == SPL_TOKEN { TOKEN_2022 } else { SPL_TOKEN };
        let claim = t.claim_of("u1", &wallet, &account, 500);
        for (at, account) in [(3, another_mint(&t).token.mint), (3, account), (7, other_program)] {
            assert!(t.platform.run(&[with(claim.clone(), at, account)], &[&wallet]).is_err());
        }
        let mint = with(claim.clone(), 3, another_mint(&t).token.mint);
        assert_eq!(refusal(t.platform.run(&[mint], &[&wallet])), "WrongMint");
        let program = with(claim.clone(), 7, other_program);
        assert_eq!(refusal(t.platform.run(&[program], &[&wallet])), "WrongMint");
        assert!(t.platform.run(&[with(claim, 7, rebate_client::address::PROGRAM)], &[&wallet]).is_err());
        assert!(unclaimed(&t));
    });
}

#[test]
fn only_tokens_are_claimed() {
    let (t, wallet, account) = with_500(SPL_TOKEN);
    for (asset, error) in [(1, "NotAToken"), (3, "UnknownAsset"), (0, "UnknownAsset")] {
        let user = platform_id::unkeyed_user("u1");
        let (token, asset) = (&t.coin.token, AssetId(asset));
        let claim = instruction::claim(&wallet.pubkey(), t.addresses(), &user, asset, token, &account, Amount(1));
        assert_eq!(refusal(t.platform.run(&[claim], &[&wallet])), error);
    }
}

#[test]
fn a_token_that_the_users_account_has_no_room_for_is_not_the_users() {
    let (t, wallet, _) = with_500(SPL_TOKEN);
    let [vault, _] = other_vaults(&t);
    t.coin.mint_to(&t.platform, &vault, 500);
    let account = t.coin.account(&t.platform, &wallet.pubkey());
    let user = platform_id::unkeyed_user("u1");
    let claim =
        instruction::claim(&wallet.pubkey(), t.addresses(), &user, AssetId(3), &t.coin.token, &account, Amount(0));
    assert_eq!(refusal(t.platform.run(&[claim], &[&wallet])), "NothingToClaim");
}

#[test]
fn nothing_is_claimed_while_the_platform_is_paused() {
    with_500_of_either_program(|t, wallet, account| {
        let pause = |paused| {
            let pauser = &t.platform.pauser;
            let pause = instruction::set_paused(&pauser.pubkey(), t.addresses(), paused);
            t.platform.run(&[pause], &[pauser]).expect("the pauser may");
        };
        pause(true);
        assert_eq!(refusal(t.claim("u1", &wallet, &account, 1)), "Paused");
        assert!(unclaimed(&t));
        // Money comes in while nothing goes out.
        t.fill(100);
        pause(false);
        t.claim("u1", &wallet, &account, 500).expect("claimed");
    });
}

#[test]
fn a_frozen_vault_pays_once_it_is_thawed() {
    with_500_of_either_program(|t, wallet, account| {
        t.coin.freeze(&t.platform, &t.vault());
        token_program_says(t.claim("u1", &wallet, &account, 500));
        assert!(unclaimed(&t));
        let (vault, issuer) = (t.vault(), t.coin.issuer.pubkey());
        let thaw = token::thaw_account(&t.coin.token.program, &vault, &t.coin.token.mint, &issuer, &[]);
        t.coin.issue(&t.platform, thaw);
        t.claim("u1", &wallet, &account, 500).expect("claimed");
    });
}

#[test]
fn a_frozen_destination_gets_nothing() {
    with_500_of_either_program(|t, wallet, account| {
        t.coin.freeze(&t.platform, &account);
        token_program_says(t.claim("u1", &wallet, &account, 500));
        assert!(unclaimed(&t));
    });
}

#[test]
fn what_was_sent_to_the_vault_otherwise_counts_with_the_next_claim() {
    with_500_of_either_program(|t, wallet, account| {
        t.coin.mint_to(&t.platform, &t.vault(), 70);
        t.claim("u1", &wallet, &account, 500).expect("claimed");
        assert_eq!((t.holds(), t.books()), (570, (570, 0)));
    });
}

#[test]
fn what_was_claimed_and_is_refunded_becomes_a_debt_that_grants_pay_first() {
    with_500_of_either_program(|t, wallet, account| {
        t.claim("u1", &wallet, &account, 500).expect("claimed");
        let paid = payment("u1 500", "u1", 500);
        let refund =
            Refund { order: OrderHash::of("back"), of: paid.order, amount: Amount(500), paid_at: Timestamp(NOON) };
        t.platform.refund(&refund, &paid).expect("refunded");
        assert_eq!((t.platform.user("u1").balances[1].debt, t.books()), (Amount(500), (500, 0)));
        assert_eq!(refusal(t.claim("u1", &wallet, &account, 0)), "NothingToClaim");

        t.pay("u1", 400);
        assert_eq!(refusal(t.claim("u1", &wallet, &account, 0)), "NothingToClaim");
        t.pay("u1", 300);
        assert_eq!((t.has("u1"), t.books()), (200, (500, 200)));
        t.claim("u1", &wallet, &account, 0).expect("claimed");
        assert_eq!((t.holds(), t.books(), t.coin.balance(&t.platform, &account)), (300, (300, 0), 700));
    });
}

fn expiring() -> TokenPlatform {
    let t = TokenPlatform::granting(|platform| TestToken::new(platform, SPL_TOKEN), 1, &one_for_one());
    t.fill(10_000);
    t
}

fn pay_at(t: &TokenPlatform, order: &str, amount: u64, at: i64) {
    t.platform.chain.set_clock(Some(at));
    let paid = rebate_core::payment::Payment { paid_at: Timestamp(at), ..payment(order, "u1", amount) };
    t.platform.pay(&[paid]).expect("a payment");
}

#[test]
fn what_expired_by_now_is_gone_before_anything_is_claimed() {
    let t = expiring();
    pay_at(&t, "october", 500, NOON);
    pay_at(&t, "november", 300, NOON + OCTOBER);
    let (wallet, account) = t.wallet("u1");
    assert_eq!((t.has("u1"), t.books()), (800, (10_000, 800)));

    let december = NOON + OCTOBER + NOVEMBER;
    t.platform.chain.set_clock(Some(december));
    assert_eq!(refusal(t.claim("u1", &wallet, &account, 301)), "NothingToClaim");
    assert_eq!(t.books(), (10_000, 800), "what was refused changed nothing");
    t.claim("u1", &wallet, &account, 0).expect("claimed");
    assert_eq!((t.has("u1"), t.holds(), t.books()), (0, 9_700, (9_700, 0)));

    let events = t.platform.events();
    let [.., expired, claimed] = events.as_slice() else { panic!("two events") };
    let (Event::BalanceExpired(expired), Event::Claimed(claimed)) = (&expired.event, &claimed.event) else {
        panic!("the last two events: {expired:?}, {claimed:?}")
    };
    let expected = BalanceExpired {
        journal_index: claimed.journal_index - 1,
        at: december,
        platform: t.addresses().platform.to_bytes(),
        user: platform_id::unkeyed_user("u1").0,
        asset: 2,
        amount: 500,
        before: 800,
        after: 300,
    };
    assert_eq!(*expired, expected);
    assert_eq!((claimed.amount, claimed.before, claimed.after), (300, 300, 0));
}

#[test]
fn where_all_of_it_expired_there_is_nothing_to_claim() {
    let t = expiring();
    pay_at(&t, "october", 500, NOON);
    let (wallet, account) = t.wallet("u1");
    t.platform.chain.set_clock(Some(NOON + OCTOBER + NOVEMBER));
    for amount in [0, 1, 500] {
        assert_eq!(refusal(t.claim("u1", &wallet, &account, amount)), "NothingToClaim");
    }
}

#[test]
fn the_older_part_is_claimed_first() {
    let t = expiring();
    pay_at(&t, "october", 500, NOON);
    pay_at(&t, "november", 300, NOON + OCTOBER);
    let (wallet, account) = t.wallet("u1");
    t.claim("u1", &wallet, &account, 600).expect("claimed");
    let balance = t.platform.user("u1").balances[1];
    assert_eq!((balance.previous, balance.current), (Amount(0), Amount(200)));
}

#[test]
fn what_the_vault_cannot_back_is_not_granted() {
    let t = TokenPlatform::start(SPL_TOKEN);
    t.fill(300);
    t.pay("u1", 500);
    t.pay("u2", 1);
    let outcomes: Vec<_> =
        t.platform.recorded().iter().map(|paid| (paid.outcomes[0].reason, paid.outcomes[0].amount)).collect();
    assert_eq!(outcomes, [(Reason::Granted as u8, 300), (Reason::VaultShort as u8, 0)]);
    assert_eq!((t.has("u1"), t.has("u2"), t.books()), (300, 0, (300, 300)));

    // What is claimed leaves the vault and the books together, so that there is no more to grant than before.
    let (wallet, account) = t.wallet("u1");
    t.claim("u1", &wallet, &account, 300).expect("claimed");
    t.pay("u2", 2);
    assert_eq!((t.has("u2"), t.books()), (0, (0, 0)));
}

#[test]
fn a_rule_that_rejects_grants_all_or_nothing_of_what_the_vault_has() {
    let reject = rebate_client::event::RuleDefinition {
        limits: LimitsEntry::new(Limits::default(), OnLimit::Reject),
        ..one_for_one()
    };
    let t = TokenPlatform::granting(|platform| TestToken::new(platform, SPL_TOKEN), 0, &reject);
    t.fill(300);
    t.pay("u1", 301);
    t.pay("u1", 300);
    let outcomes: Vec<_> =
        t.platform.recorded().iter().map(|paid| (paid.outcomes[0].reason, paid.outcomes[0].amount)).collect();
    assert_eq!(outcomes, [(Reason::VaultShort as u8, 0), (Reason::Granted as u8, 300)]);
    assert_eq!(t.books(), (300, 300));
}

#[test]
fn a_claim_costs_no_more_than_8000_compute_units() {
    with_500_of_either_program(|t, wallet, account| {
        let part = t.claim("u1", &wallet, &account, 200).expect("claimed").compute_units;
        let rest = t.claim("u1", &wallet, &account, 0).expect("claimed").compute_units;
        assert!(part <= 8_000 && rest <= 8_000, "{part} and {rest}");
    });
}
