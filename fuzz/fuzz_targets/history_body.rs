//! Fuzzes [`strongroom_fuzz::history_body`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::history_body(data));
