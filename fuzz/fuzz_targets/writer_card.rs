//! Fuzzes [`strongroom_fuzz::writer_card`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::writer_card(data));
