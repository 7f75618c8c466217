//! Fuzzes [`strongroom_fuzz::index_head`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::index_head(data));
