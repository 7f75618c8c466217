//! Writes the first inputs of every target into the folder that `STRONGROOM_FUZZ_SEEDS` names; a
//! target itself, since it is built as they are.
#![no_main]
libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::seeds::write_where_asked(), |_data: &[u8]| {});
