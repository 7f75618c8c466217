//! Fuzzes [`strongroom_fuzz::values`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::values(data));
