//! Bytes and values of every record that a repository stores, and nothing else.
//!
//! This crate knows no files, network, clocks, randomness, threads or ciphers: it turns bytes into
//! values and back, and refuses what SPEC.md does not allow before it allocates for it.
//! Start with [`object_name`] (what there is), then [`envelope`] (the frame round it), then the
//! records in the order in which a backup writes them.
#![forbid(unsafe_code)]

pub mod codec;
pub mod config;
pub mod content;
pub mod envelope;
pub mod error;
pub mod gc;
pub mod history;
pub mod id;
pub mod index;
pub mod key_slot;
pub mod limits;
pub mod marker;
pub mod object_name;
pub mod pack;
pub mod retention;
pub mod snapshot;
pub mod tree;
pub mod writer_card;

pub use codec::{Bytes, Text};
pub use error::{DecodeError, Reason};
pub use id::{BlobId, ObjectHash, RepositoryId, SlotId, SnapshotId, WriterId};
pub use object_name::{ObjectKind, ObjectName};
