//! Fuzzes [`strongroom_fuzz::tree_node`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| strongroom_fuzz::tree_node(data));
