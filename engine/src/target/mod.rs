//! Where a restore writes.
//!
//! Nothing here follows a symbolic link below a target, whoever made it and whenever.

pub mod files;
