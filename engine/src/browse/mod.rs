//! Looking into a repository: snapshots by name, what is in them, how they differ, and single files
//! out of them.
//!
//! Nothing here writes to the store but [`tags`]. Every byte that is given out comes from a blob
//! whose keyed name was checked; what cannot be read is an error that names it, never other bytes.

pub mod ahead;
pub mod cache;
pub mod cat;
pub mod catalog;
pub mod checkpoint;
pub mod diff;
pub mod dump;
pub mod find;
pub mod history;
pub mod links;
pub mod place;
pub mod proof;
pub mod range;
pub mod snapshots;
pub mod standing;
pub mod stats;
pub mod tags;
#[cfg(test)]
mod tests;
pub mod view;
pub mod walk;

pub use snapshots::Selector;
pub use view::{Caches, View};
pub use walk::{Visited, Walk};

/// Spells a path for people: bytes that could steer a terminal, or are not UTF-8, escaped.
pub fn shown(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || c == '\\' { text.extend(c.escape_default()) } else { text.push(c) }
        }
        text.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    text
}
