//! Fuzzes [`strongroom_fuzz::label`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::label(data));
