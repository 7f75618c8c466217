//! Index segments: those that name deleted packs are replaced, and many small ones become few.
//!
//! A segment is removed only when one that repeats the rest of it is stored and supersedes it.

use std::collections::{BTreeMap, HashSet};

use repo_format::index::{PackRef, SegmentHead};
use repo_format::pack::Directory;
use repo_format::{ObjectHash, ObjectName};

use super::survey::Heads;
use crate::Ambient;
use crate::error::Result;
use crate::repo::{Repository, index};

/// Entries that a merged segment holds at most, unless a single one held more.
const ENTRIES_MAX: u64 = 250_000;
/// Segments with fewer entries than this are small.
const SMALL_ENTRIES: u32 = 50_000;
/// Small segments that are worth making one of.
const SMALL_MIN: usize = 16;

/// Groups of segments to be replaced by one each.
pub(super) fn groups(heads: &Heads, deleted: &HashSet<ObjectHash>) -> Vec<Vec<ObjectHash>> {
    let is_stale = |head: &SegmentHead| head.packs.iter().any(|pack| deleted.contains(&pack.hash));
    let is_small = |head: &SegmentHead| head.entry_count < SMALL_ENTRIES;
    let small = heads.heads.values().filter(|head| is_small(head)).count();
    let chosen = heads
        .heads
        .iter()
        .filter(|(_, head)| is_stale(head) || (small >= SMALL_MIN && is_small(head)));
    let mut groups: Vec<Vec<ObjectHash>> = Vec::new();
    let mut entries = 0;
    for (hash, head) in chosen {
        let more = u64::from(head.entry_count);
        match groups.last_mut() {
            Some(group) if entries + more <= ENTRIES_MAX => {
                group.push(*hash);
                entries += more;
            }
            _ => {
                groups.push(vec![*hash]);
                entries = more;
            }
        }
    }
    groups
}

/// Replaces each group by one segment without the deleted packs, and removes what others repeat.
pub(super) fn replace(
    repo: &Repository,
    heads: &Heads,
    groups: &[Vec<ObjectHash>],
    deleted: &HashSet<ObjectHash>,
    ambient: &Ambient,
) -> Result<u64> {
    let mut replaced = 0;
    for group in groups {
        ambient.go_on()?;
        let mut packs: BTreeMap<ObjectHash, (PackRef, Directory)> = BTreeMap::new();
        for hash in group {
            for (pack, directory) in index::read_segment(repo, *hash)?.directories()? {
                if !deleted.contains(&pack.hash) {
                    packs.insert(pack.hash, (pack, directory));
                }
            }
        }
        let packs: Vec<(PackRef, Directory)> = packs.into_values().collect();
        let merged = index::write_segment(repo, &packs, group)?;
        for hash in group.iter().filter(|hash| **hash != merged) {
            repo.store().delete(&ObjectName::index_segment(*hash))?;
            replaced += 1;
        }
    }
    for hash in &heads.superseded {
        repo.store().delete(&ObjectName::index_segment(*hash))?;
        replaced += 1;
    }
    Ok(replaced)
}
