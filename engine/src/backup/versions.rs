//! Which earlier snapshot the versions of files in a new one are stored against.
//!
//! Versions stand on each other like the digits of a number to the base eight: the version of
//! ordinal `n` on the one that has the lowest digit of `n` other than zero one lower. So hundreds
//! of versions are a few steps deep, and none is stored in full only because a chain is long.

use std::collections::{HashMap, HashSet};

use repo_format::history::Event;
use repo_format::{BlobId, SnapshotId};

use crate::repo::history::{History, Taken};

/// Snapshots that are followed back.
const ORDINAL_MAX: usize = 1 << 20;

/// Root of the snapshot that versions in the child of `parent` stand on.
pub(super) fn root_to_stand_on(history: &History, parent: &Taken) -> BlobId {
    let records = history.records();
    let snapshots: HashMap<SnapshotId, (Option<SnapshotId>, BlobId)> = records
        .iter()
        .filter_map(|record| match &record.body.event {
            Event::Snapshot(snapshot) => Some((record.hash, (snapshot.parent, snapshot.root))),
            _ => None,
        })
        .collect();
    let live: HashSet<SnapshotId> = history.snapshots().into_iter().map(|taken| taken.id).collect();
    // The parent first; forgotten ones count, so that ordinals stay what they are.
    let mut line = Vec::new();
    let mut next = Some(parent.id);
    while let Some(id) = next
        && let Some((above, root)) = snapshots.get(&id)
        && line.len() < ORDINAL_MAX
    {
        line.push(live.contains(&id).then_some(*root));
        next = *above;
    }
    let ordinal = line.len();
    let wanted = stands_on(ordinal);
    let distance = |back: usize| (ordinal - 1 - back).abs_diff(wanted);
    let nearest = (0..ordinal)
        .filter(|&back| line[back].is_some())
        .min_by_key(|&back| (distance(back), std::cmp::Reverse(back)));
    nearest.and_then(|back| line[back]).unwrap_or(parent.snapshot.root)
}

/// Ordinal that the version of an ordinal above zero stands on.
pub(super) fn stands_on(ordinal: usize) -> usize {
    let mut step = 1;
    while ordinal >= step && ordinal.is_multiple_of(step * 8) {
        step *= 8;
    }
    ordinal.saturating_sub(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_of_hours_is_a_few_steps_deep() {
        assert_eq!(
            [1, 2, 7, 8, 9, 16, 64, 65, 72, 512].map(stands_on),
            [0, 1, 6, 0, 8, 8, 0, 64, 64, 0]
        );
        let depth = |mut ordinal: usize| {
            let mut depth = 0;
            while ordinal > 0 {
                ordinal = stands_on(ordinal);
                depth += 1;
            }
            depth
        };
        assert_eq!((0..720).map(depth).max(), Some(21));
    }
}
