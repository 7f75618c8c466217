//! Fuzzes [`strongroom_fuzz::excludes`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::excludes(data));
