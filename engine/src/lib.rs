//! The strongroom engine: stores, keys, chunks, index, history, and the verbs that stand on them.
#![deny(unsafe_code)]

#[macro_use]
#[doc(hidden)]
pub mod planted;

pub mod ambient;
pub mod backup;
pub mod browse;
pub mod check;
pub mod chunk;
pub mod crypto;
pub mod error;
pub mod finding;
pub mod forget;
pub mod keys;
pub mod prune;
pub mod records;
pub mod repair;
pub mod repo;
pub mod restore;
pub mod source;
pub mod store;
pub mod target;

pub use ambient::{Ambient, Cancel, Clock, Progress};
pub use error::{Error, Result};
pub use finding::{Finding, Severity};
