//! One file over all snapshots: each content that it ever had, with the first and the last day.

use std::collections::{BTreeSet, HashMap, HashSet};

use std::sync::Arc;

use engine::Result;
use engine::browse::catalog::Seen;
use jiff::tz::TimeZone;
use repo_format::BlobId;
use repo_format::tree::{Body, Digest, Entry};

use crate::inodes::Version;
use crate::names;

/// What lies at one path over all snapshots.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Names of what is below it, where it was ever a directory.
    pub(crate) below: BTreeSet<Vec<u8>>,
    /// Versions, where it was ever a file: name and version, oldest first.
    pub(crate) versions: Vec<(Vec<u8>, Arc<Version>)>,
}

struct Run {
    seen: Arc<Seen>,
    entry: Entry,
    first_ms: i64,
    last_ms: i64,
}

fn key(entry: &Entry) -> Option<(u64, [u8; 32])> {
    match &entry.body {
        Body::File { size, digest, .. } => {
            let (Digest::Plain(hash) | Digest::Sparse(hash)) = digest;
            Some((*size, *hash))
        }
        _ => None,
    }
}

/// Walks through the snapshots, oldest first, with what lies at a path in each; snapshots that are
/// equal to the one before share its answer.
fn over_all(
    snapshots: &[Arc<Seen>],
    path: &[u8],
    mut visit: impl FnMut(&Arc<Seen>, &Entry) -> Result<bool>,
) -> Result<()> {
    let mut last: Option<(BlobId, Option<Entry>)> = None;
    for seen in snapshots {
        let root = seen.taken.snapshot.root;
        let entry = match last.take() {
            Some((before, entry)) if before == root => entry,
            _ => seen.view().lookup(path)?,
        };
        if let Some(entry) = &entry
            && !visit(seen, entry)?
        {
            return Ok(());
        }
        last = Some((root, entry));
    }
    Ok(())
}

/// Says whether a path was ever a directory or a file.
pub(crate) fn is_there(snapshots: &[Arc<Seen>], path: &[u8]) -> Result<bool> {
    let mut is_there = false;
    over_all(snapshots, path, |_, entry| {
        is_there = matches!(entry.body, Body::Directory { .. } | Body::File { .. });
        Ok(!is_there)
    })?;
    Ok(is_there)
}

/// Gathers the versions of the file at a path.
pub(crate) fn versions(
    snapshots: &[Arc<Seen>],
    path: &[u8],
    zone: &TimeZone,
) -> Result<Vec<(Vec<u8>, Arc<Version>)>> {
    let mut runs: Vec<Run> = Vec::new();
    let mut known: HashMap<(u64, [u8; 32]), usize> = HashMap::new();
    over_all(snapshots, path, |seen, entry| {
        if let Some(key) = key(entry) {
            let time_ms = seen.taken.snapshot.time_ms;
            let at = *known.entry(key).or_insert(runs.len());
            if let Some(run) = runs.get_mut(at) {
                run.last_ms = time_ms;
            } else {
                let (seen, entry) = (Arc::clone(seen), entry.clone());
                runs.push(Run { seen, entry, first_ms: time_ms, last_ms: time_ms });
            }
        }
        Ok(true)
    })?;
    let named = runs.into_iter().enumerate().map(|(at, run)| {
        let (first, last) = (names::day(run.first_ms, zone), names::day(run.last_ms, zone));
        let version = Version { seen: run.seen, path: path.to_vec(), entry: run.entry };
        (names::version(at + 1, first, last), Arc::new(version))
    });
    Ok(named.collect())
}

/// Gathers everything that ever was at a path.
pub(crate) fn gather(snapshots: &[Arc<Seen>], path: &[u8], zone: &TimeZone) -> Result<History> {
    let mut history = History { versions: versions(snapshots, path, zone)?, ..History::default() };
    let mut trees: HashSet<BlobId> = HashSet::new();
    over_all(snapshots, path, |seen, entry| {
        if let Body::Directory { tree, .. } = entry.body
            && trees.insert(tree)
        {
            seen.view().visit(tree, 0, |_, entry| {
                if matches!(entry.body, Body::Directory { .. } | Body::File { .. }) {
                    history.below.insert(entry.name.0.clone());
                }
                true
            })?;
        }
        Ok(true)
    })?;
    Ok(history)
}
