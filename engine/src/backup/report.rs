//! What a backup did.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use repo_format::history::{Statistics, Stream};
use repo_format::tree::Totals;
use repo_format::{BlobId, SnapshotId};

/// Most things that could not be read that a report names one by one.
const UNREADABLE_NAMED_MAX: usize = 1000;

/// Something that could not be read, or changed while it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Absolute path.
    pub path: Vec<u8>,
    /// What was wrong.
    pub message: String,
}

/// What a backup did.
#[derive(Debug, Clone)]
pub struct Report {
    /// The snapshot; none after a dry run.
    pub snapshot: Option<SnapshotId>,
    /// Snapshot that unchanged files were taken from.
    pub parent: Option<SnapshotId>,
    /// Root node.
    pub root: BlobId,
    /// Entries of the root folder.
    pub root_entries: u64,
    /// Everything in the snapshot.
    pub totals: Totals,
    /// Counts.
    pub statistics: Statistics,
    /// Whether some of the sources is missing: it was interrupted, or a stream failed.
    pub is_partial: bool,
    /// Whether it was interrupted.
    pub is_interrupted: bool,
    /// Number of things that could not be read.
    pub unreadable_count: u64,
    /// The first of them.
    pub unreadable: Vec<Unreadable>,
    /// Streams.
    pub streams: Vec<Stream>,
    /// Packs adopted from a run that was killed.
    pub packs_adopted: usize,
}

/// Counts while a backup runs.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) files_new: AtomicU64,
    pub(super) files_changed: AtomicU64,
    pub(super) files_unchanged: AtomicU64,
    pub(super) directories: AtomicU64,
    pub(super) bytes_read: AtomicU64,
    pub(super) unreadable: AtomicU64,
    named: Mutex<Vec<Unreadable>>,
}

/// Adds to a counter.
pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Counts {
    /// Notes something that could not be read.
    pub(super) fn unreadable(&self, progress: &crate::Progress, path: &[u8], message: String) {
        count(&self.unreadable, 1);
        progress.warn(path, message.clone());
        if let Ok(mut named) = self.named.lock()
            && named.len() < UNREADABLE_NAMED_MAX
        {
            named.push(Unreadable { path: path.to_vec(), message });
        }
    }

    /// Takes the named ones out.
    pub(super) fn take_unreadable(&self) -> Vec<Unreadable> {
        self.named.lock().map(|mut named| std::mem::take(&mut *named)).unwrap_or_default()
    }
}
