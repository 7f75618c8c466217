//! Fuzzes [`strongroom_fuzz::marker`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::marker(data));
