//! Where a restore writes.
//!
//! Nothing here follows a symbolic link below the target, whoever made it and whenever.
