//! libFuzzer's way in.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rebate_fuzz::program::check(bytes));
