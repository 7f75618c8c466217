//! Fuzzes [`strongroom_fuzz::history_record`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::history_record(data));
