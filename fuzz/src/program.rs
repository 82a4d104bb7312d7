//! The built program on a chain inside the process: whatever is done to a platform, what must hold of it holds after every
//! transaction.
//!
//! Bytes say what happens ([`step`]); a share of it is signed by the wrong people or twisted on its way to the chain. What
//! must hold is in [`invariants`], and that the simulator comes to the same in [`books`].

mod action;
mod books;
mod invariants;
mod stage;
mod step;

use arbitrary::{Arbitrary, Unstructured};
use stage::Stage;
use step::Scenario;

/// Plays the scenario that the bytes are. With `REBATE_FUZZ_INPUT` set, it says what it does.
pub fn check(bytes: &[u8]) {
    let Ok(scenario) = Scenario::arbitrary(&mut Unstructured::new(bytes)) else { return };
    let aloud = std::env::var_os("REBATE_FUZZ_INPUT").is_some();
    let mut stage = Stage::set(&scenario);
    for (at, step) in scenario.steps.iter().enumerate() {
        if aloud {
            eprintln!("{at}: {step:?}");
        }
        let said = stage.take(step);
        if aloud {
            eprintln!("   {said}");
        }
    }
    stage.end();
}
