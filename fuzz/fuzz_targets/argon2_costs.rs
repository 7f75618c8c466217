//! Fuzzes [`strongroom_fuzz::argon2_costs`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::argon2_costs(data));
