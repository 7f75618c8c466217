//! Fuzzes [`strongroom_fuzz::index_body`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::index_body(data));
