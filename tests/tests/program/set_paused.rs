//! Pausing.

use rebate_client::{address::Addresses, event::Event, instruction};
use rebate_tests::platform::{TestPlatform, refusal, settings};
use solana_signer::Signer;

#[test]
fn pausing_takes_effect_at_once_and_is_an_event() {
    let platform = TestPlatform::start();
    let pause = instruction::set_paused(&platform.pauser.pubkey(), &platform.addresses, true);
    platform.run(&[pause], &[&platform.payer, &platform.pauser]).expect("paused");
    let events = platform.events();
    let Some(Event::PauseChanged(event)) = events.last().map(|emitted| emitted.event.clone()) else {
        panic!("the last event: {events:?}")
    };
    assert!(event.paused);
    assert_eq!(event.by, platform.pauser.pubkey().to_bytes());
}

#[test]
fn nobody_but_the_pauser_pauses() {
    let platform = TestPlatform::start();
    for stranger in [&platform.admin, &platform.oracle] {
        let pause = instruction::set_paused(&stranger.pubkey(), &platform.addresses, true);
        assert_eq!(refusal(platform.run(&[pause], &[&platform.payer, stranger])), "NotPauser");
    }
}

#[test]
fn the_pauser_must_sign() {
    let platform = TestPlatform::start();
    let mut pause = instruction::set_paused(&platform.pauser.pubkey(), &platform.addresses, true);
    pause.accounts[0].is_signer = false;
    assert!(platform.run(&[pause], &[&platform.payer]).is_err());
}

#[test]
fn the_journal_of_another_platform_is_refused() {
    let platform = TestPlatform::start();
    let create = instruction::create_platform(
        &platform.payer.pubkey(),
        &settings(2, &platform.admin.pubkey(), &platform.pauser.pubkey()),
    );
    platform.run(&[create], &[&platform.payer]).expect("another platform");
    let mut pause = instruction::set_paused(&platform.pauser.pubkey(), &platform.addresses, true);
    pause.accounts[2].pubkey = Addresses::of(2).journal;
    assert_eq!(refusal(platform.run(&[pause], &[&platform.payer, &platform.pauser])), "WrongPlatform");
}
