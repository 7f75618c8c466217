//! File systems as targets: everything happens below an open directory, by handle.
//!
//! No path is ever put together: each call names one component below a directory that was opened
//! the same way, and the kernel is told to refuse links. What a hostile snapshot names, or a
//! process races to put in the way, can be refused or replaced, never followed.

mod attributes;
pub mod directory;
pub mod links;
pub mod metadata;
pub mod remove;
pub mod root;
pub mod writer;

pub use directory::{Directory, Existing};
pub use links::{Inode, create_hard_link, create_special, create_symlink};
pub use metadata::{Applier, ApplyOptions, Aspect, Owners, Place, Problem};
pub use remove::remove_tree;
pub use root::Root;
pub use writer::{FileWriter, create_file};

#[cfg(test)]
mod tests;
