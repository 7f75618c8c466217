//! Counts the names of files that have several.
//!
//! A snapshot holds of each name which file it is of, but not how many names there are, so all
//! entries are looked at once.

use std::collections::HashMap;

use repo_format::tree::{Body, LinkGroup};

use super::View;
use super::walk::Walk;
use crate::error::Kind;
use crate::repo::blobs::BlobReader;

/// Most entries that are looked at: a few seconds of work.
pub const ENTRIES_MAX: u64 = 2_000_000;

/// Counts the names of each file that has several; damage is passed over, and none is given where
/// the store does not answer.
pub(super) fn count(view: &View) -> Option<HashMap<LinkGroup, u32>> {
    let mut counts = HashMap::new();
    let Body::Directory { tree, .. } = view.root().body else { return Some(counts) };
    let mut reader = BlobReader::new(view.repo()).ok()?;
    let mut walk = Walk::new(tree);
    for _ in 0..ENTRIES_MAX {
        match walk.next(&mut reader) {
            Ok(Some(visited)) => {
                if let Some(group) = visited.entry.metadata.link_group {
                    let count: &mut u32 = counts.entry(group).or_default();
                    *count = count.saturating_add(1);
                }
            }
            Ok(None) => break,
            Err(error) if error.kind() == Kind::Store => return None,
            Err(_) => {}
        }
    }
    Some(counts)
}
