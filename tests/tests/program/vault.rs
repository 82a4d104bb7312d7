//! Vaults: the tokens behind token assets.

mod claim;
mod deposit;
mod history;
mod open;
mod withdraw;

use rebate_client::{
    address::Addresses,
    chain::{SubmitError, embedded::Executed},
    event::Event,
    instruction::{self, PlatformSettings},
};
use rebate_tests::{
    platform::{NOON, TestPlatform, asset, settings},
    token::{COIN, SPL_TOKEN, TOKEN_2022, TestToken, TokenPlatform},
};
use solana_program::{instruction::Instruction, pubkey::Pubkey};
use solana_signer::Signer;

/// Runs a test with either token program.
fn with_either_program(test: impl Fn(TokenPlatform)) {
    [SPL_TOKEN, TOKEN_2022].into_iter().for_each(|program| test(TokenPlatform::start(program)));
}

/// The same instruction with another account in place `at`.
fn with(mut instruction: Instruction, at: usize, account: Pubkey) -> Instruction {
    instruction.accounts[at].pubkey = account;
    instruction
}

/// Platform 2 on the same chain with the same token as asset 2, its vault open.
fn another_platform(t: &TokenPlatform) -> Addresses {
    let TokenPlatform { platform, coin } = t;
    let settings = PlatformSettings {
        assets: vec![asset("points"), coin.entry("coin")],
        ..settings(2, &platform.admin.pubkey(), &platform.pauser.pubkey())
    };
    let addresses = Addresses::of(2);
    let create = instruction::create_platform(&platform.payer.pubkey(), &settings);
    let open = instruction::open_vault(&platform.payer.pubkey(), &addresses, COIN, &coin.token);
    platform.run(&[create], &[&platform.payer]).expect("another platform");
    platform.run(&[open], &[&platform.payer]).expect("its vault");
    addresses
}

/// Two vaults that are not asset 2's, although their tokens are the platform's: that of asset 3, of the same mint, and a token
/// account that somebody opened for the platform's address.
fn other_vaults(t: &TokenPlatform) -> [Pubkey; 2] {
    let TokenPlatform { platform, coin } = t;
    t.add_asset(&coin.entry("the same"), NOON + 7_200);
    let third = rebate_core::units::AssetId(3);
    let open = instruction::open_vault(&platform.payer.pubkey(), t.addresses(), third, &coin.token);
    platform.run(&[open], &[&platform.payer]).expect("a second vault of the mint");
    [t.addresses().vault(third), coin.account(platform, &t.addresses().platform)]
}

/// The last event.
fn last_event(platform: &TestPlatform) -> Event {
    platform.events().pop().expect("an event").event
}

/// What the log says of a submission that a token program failed.
fn token_program_says(result: Result<Executed, SubmitError>) -> String {
    match result {
        Err(SubmitError::Refused { logs, .. } | SubmitError::Failed { logs, .. }) => logs.join("\n"),
        other => panic!("a token program should have refused this: {other:?}"),
    }
}

/// A mint of the same program that is not the asset's.
fn another_mint(t: &TokenPlatform) -> TestToken {
    TestToken::new(&t.platform, t.coin.token.program)
}
