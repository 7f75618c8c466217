//! What a snapshot record says of one finished backup. SPEC 8.4.

use serde::{Deserialize, Serialize};

use crate::codec::{Bytes, Text};
use crate::id::{BlobId, SnapshotId};
use crate::tree::Totals;

/// One finished backup. SPEC 8.4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Root node of the root directory.
    pub root: BlobId,
    /// Entries of the root directory.
    pub root_entries: u64,
    /// Everything below the root.
    pub totals: Totals,
    /// Pack set of everything that the snapshot needs, where it was recorded.
    pub pack_set: Option<BlobId>,
    /// Plans of prunes that the writer knew and obeyed.
    pub prune_basis: Vec<Text>,
    /// Time that the snapshot stands for, in milliseconds since 1970.
    pub time_ms: i64,
    /// Host.
    pub host: Text,
    /// User.
    pub user: Text,
    /// Program and version that made it.
    pub program: Text,
    /// What was backed up, as absolute paths or stream names.
    pub sources: Vec<Bytes>,
    /// Tags at the time of the commit.
    pub tags: Vec<Text>,
    /// Label; may be empty.
    pub label: Text,
    /// Snapshot that unchanged files were taken from.
    pub parent: Option<SnapshotId>,
    /// Whether the backup was interrupted, so that some of the sources is missing.
    pub is_partial: bool,
    /// Things that could not be read, and so are missing or older than the snapshot says.
    pub unreadable: u64,
    /// Streams, with how their source ended.
    pub streams: Vec<Stream>,
    /// What the backup did.
    pub statistics: Statistics,
}

/// How a stream was captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Name below `@streams/`.
    pub name: Bytes,
    /// Command or address that gave it; empty for standard input.
    pub origin: Text,
    /// Exit status of its source; 0 is success.
    pub exit_status: i32,
    /// Bytes captured.
    pub bytes: u64,
}

/// Counts of one backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// Files that the parent does not have.
    pub files_new: u64,
    /// Files that differ from the parent.
    pub files_changed: u64,
    /// Files taken from the parent unread.
    pub files_unchanged: u64,
    /// Directories.
    pub directories: u64,
    /// Bytes read from the sources.
    pub bytes_read: u64,
    /// Plain bytes of new blobs.
    pub bytes_new: u64,
    /// Bytes that were added to the store for blobs.
    pub bytes_stored: u64,
    /// New blobs.
    pub blobs_new: u64,
    /// Time from start to commit, in milliseconds.
    pub duration_ms: u64,
}
