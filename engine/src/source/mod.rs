//! What is backed up: file systems and streams, as they are found.
//!
//! Nothing here writes, and nothing here follows a symbolic link that it met below a source.

pub mod files;
pub mod sqlite;
pub mod stream;
