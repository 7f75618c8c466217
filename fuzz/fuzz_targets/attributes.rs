//! Fuzzes [`strongroom_fuzz::attributes`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::attributes(data));
