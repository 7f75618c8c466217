//! The strongroom engine: stores, keys, chunks, index, history, and the verbs that stand on them.
#![deny(unsafe_code)]

pub mod store;
