//! Some seconds of every target on random bytes, or the one input that the environment names.
#![expect(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use rebate_fuzz::{program, records};
use std::{env, fmt};

/// Bytes that a failure prints as `REBATE_FUZZ_INPUT` takes them.
#[derive(Clone)]
struct Bytes(Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "REBATE_FUZZ_INPUT=")?;
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// The input that the environment names: a file, or bytes in hexadecimal.
fn named() -> Option<Vec<u8>> {
    let named = env::var("REBATE_FUZZ_INPUT").ok()?;
    Some(std::fs::read(&named).unwrap_or_else(|_| {
        let digits = named.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("hexadecimal"));
        digits.map(|pair| u8::from_str_radix(pair, 16).expect("a file, or hexadecimal")).collect()
    }))
}

/// Gives `target` so many inputs of up to so many bytes.
fn run(cases: u32, most: usize, target: fn(&[u8])) {
    if let Some(bytes) = named() {
        return target(&bytes);
    }
    let config = ProptestConfig {
        cases,
        max_shrink_iters: u32::MAX,
        max_shrink_time: 30_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let bytes = vec(any::<u8>(), 0..=most).prop_map(Bytes);
    // The same bytes every time: what nobody has seen yet is for the long run to find.
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let ran = TestRunner::new_with_rng(config, random).run(&bytes, |bytes| {
        target(&bytes.0);
        Ok(())
    });
    if let Err(failure) = ran {
        panic!("{failure}");
    }
}

#[test]
fn what_the_record_parser_reads_has_one_encoding() {
    run(10_000, 700, records::check);
}

#[test]
fn whatever_happens_the_program_keeps_its_word() {
    run(200, 600, program::check);
}

#[test]
fn every_event_is_known() {
    for name in records::EVENTS {
        let mut bytes = records::event_discriminator(name).to_vec();
        bytes.resize(2_000, 0);
        let error = rebate_client::event::Event::decode(&bytes).expect_err("too many bytes");
        assert!(error.to_string().contains(name), "{error}");
    }
}
