//! Saving blobs: from plain bytes to packs in the store, then the index segment over them.
//!
//! Nothing is announced before it is stored: a pack's blobs are named by a segment only when its
//! `put` has returned (O-1). Every frame is opened and compared before it leaves (a fault of the
//! compressor or of memory must not become a backup).

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use repo_format::BlobId;
use repo_format::pack::BlobKind;

use super::IndexedRepository;
use super::index::Located;
use super::kept::KeptPacks;
use super::session::Session;
use crate::crypto::blob;
use crate::error::{Error, Result};

mod basis;
mod deltas;
mod encode;
mod filling;
mod settings;
mod upload;

pub use basis::{Basis, DEPTH_MAX};
pub use deltas::Run;
pub use encode::Scratch;
pub use settings::PackSettings;

use deltas::{Frames, Runs};
use filling::OpenPack;
use upload::{Finished, Landed};

const SHARDS: usize = 64;

/// Counts of what was saved.
#[derive(Debug, Default)]
pub struct Saved {
    /// Blobs that were not known.
    pub blobs_new: AtomicU64,
    /// Their plain bytes.
    pub bytes_new: AtomicU64,
}

/// Saves blobs for several threads at once.
pub struct BlobWriter<'a> {
    repo: &'a IndexedRepository,
    settings: PackSettings,
    claimed: Vec<Mutex<HashSet<BlobId>>>,
    open: [Mutex<Option<OpenPack>>; 3],
    runs: Runs,
    kept: Option<KeptPacks>,
    landed: Mutex<Landed>,
    failure: Mutex<Option<Error>>,
    session: Session,
    /// Buffers of packs that have landed, to be used again.
    buffers: Mutex<Vec<Vec<u8>>>,
    queue: Sender<Finished>,
    receiver: Receiver<Finished>,
    /// What was saved so far.
    pub saved: Saved,
    progress: &'a crate::Progress,
}

impl std::fmt::Debug for BlobWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobWriter").field("saved", &self.saved).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> BlobWriter<'a> {
    /// Runs `body` with a writer whose uploads happen beside it; when this returns `Ok`, every blob
    /// that was saved is in a pack that is stored, and named by a segment that is stored.
    pub fn with<T>(
        repo: &'a IndexedRepository,
        settings: PackSettings,
        progress: &'a crate::Progress,
        body: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        let (queue, receiver) = bounded(0);
        let writer = Self {
            repo,
            settings,
            claimed: (0..SHARDS).map(|_| Mutex::default()).collect(),
            open: [Mutex::new(None), Mutex::new(None), Mutex::new(None)],
            runs: Runs::default(),
            kept: KeptPacks::of(repo),
            landed: Mutex::default(),
            failure: Mutex::default(),
            session: Session::begin(repo)?,
            buffers: Mutex::default(),
            queue,
            receiver,
            saved: Saved::default(),
            progress,
        };
        std::thread::scope(|scope| {
            for _ in 0..settings.uploads {
                scope.spawn(|| writer.upload());
            }
            let result = body(&writer).and_then(|value| writer.flush().map(|()| value));
            writer.stop();
            result
        })
        .and_then(|value| {
            writer.check()?;
            if !planted!(SnapshotBeforeIndex) {
                writer.write_segment(1)?;
                writer.session.end();
            }
            if let Some(kept) = &writer.kept {
                kept.trim();
            }
            Ok(value)
        })
        .inspect_err(|_| {
            // What landed is worth keeping: the next run resumes from it.
            let _ = writer.write_segment(1);
        })
    }

    /// Saves a blob, unless it is known already; gives its id.
    pub fn save(&self, scratch: &mut Scratch, kind: BlobKind, plain: &[u8]) -> Result<BlobId> {
        let (id, is_wanted) = self.begin_blob(kind, plain)?;
        if is_wanted {
            self.store_alone(scratch, id, kind, plain, false)?;
        }
        Ok(id)
    }

    /// Names a blob, claims it, and counts it where it was not known; says whether it is to be
    /// stored.
    fn begin_blob(&self, kind: BlobKind, plain: &[u8]) -> Result<(BlobId, bool)> {
        let id = blob::blob_id(&self.repo.keys.id_key, kind, plain);
        if !self.claim(id) {
            return Ok((id, false));
        }
        self.check()?;
        self.saved.blobs_new.fetch_add(1, Ordering::Relaxed);
        self.saved.bytes_new.fetch_add(plain.len() as u64, Ordering::Relaxed);
        Ok((id, !self.settings.is_dry))
    }

    /// Stores a blob that stands alone.
    fn store_alone(
        &self,
        scratch: &mut Scratch,
        id: BlobId,
        kind: BlobKind,
        plain: &[u8],
        is_lasting: bool,
    ) -> Result<()> {
        let entry = self.encode(scratch, id, kind, plain)?;
        let mut frames = Frames { is_lasting, ..Frames::default() };
        std::mem::swap(&mut frames.bytes, &mut scratch.frame);
        frames.entries.push((entry, Vec::new()));
        let appended = self.append(&frames);
        scratch.frame = frames.bytes;
        appended
    }

    /// Copies the frame of a blob into a pack of its own epoch as it is, unless the blob is known
    /// already; the frame must be one that opens.
    pub(crate) fn copy(&self, located: &Located, frame: &[u8]) -> Result<()> {
        if !self.claim(located.entry.id) {
            return Ok(());
        }
        self.check()?;
        self.saved.blobs_new.fetch_add(1, Ordering::Relaxed);
        let bytes = u64::from(located.entry.plain_bytes);
        self.saved.bytes_new.fetch_add(bytes, Ordering::Relaxed);
        if self.settings.is_dry {
            return Ok(());
        }
        let mut frames = Frames::default();
        frames.push(located.entry, located.bases.clone(), frame);
        self.append(&frames)
    }

    /// Says whether the caller is the first to need the blob stored.
    fn claim(&self, id: BlobId) -> bool {
        // Blobs of this session first: a set in memory is nearer than the table.
        let shard = &self.claimed[usize::from(id.0[0]) % SHARDS];
        if lock(shard).contains(&id) || self.repo.holds(&id) {
            return false;
        }
        lock(shard).insert(id)
    }

    /// Fails once an upload has failed.
    fn check(&self) -> Result<()> {
        match lock(&self.failure).as_ref() {
            None => Ok(()),
            Some(error) => Err(Error::new(error.kind(), error.to_string())),
        }
    }
}
