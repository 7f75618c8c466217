//! Fuzzes [`strongroom_fuzz::repository`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::repository(data));
