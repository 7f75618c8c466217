//! What the suite shares: a pinned world, the shipped program, odd trees and an independent look at
//! them, and real servers.
//!
//! Nothing here uses `engine::source` or `engine::target`: what they do is judged by other code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a harness fails its test at once"
)]

pub mod code;
pub mod compare;
pub mod everything;
pub mod in_memory;
pub mod manifest;
pub mod mount;
pub mod objects;
pub mod output;
pub mod process;
pub mod random;
pub mod reader;
pub mod repository_tree;
pub mod servers;
pub mod tree;
pub mod walker;
pub mod world;

pub use compare::assert_same_tree;
pub use mount::Mount;
pub use output::Output;
pub use process::is_root;
pub use tree::Tree;
pub use world::World;
