//! The strongroom engine: stores, keys, chunks, index, history, and the verbs that stand on them.
#![deny(unsafe_code)]

pub mod source;
pub mod store;
pub mod target;
