//! Fuzzes [`strongroom_fuzz::cuts`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::cuts(data));
