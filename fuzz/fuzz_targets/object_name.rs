//! Fuzzes [`strongroom_fuzz::object_name`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::object_name(data));
