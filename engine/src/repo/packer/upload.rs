//! Packs on their way to the store, and the segments over those that arrived.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use repo_format::index::PackRef;
use repo_format::pack::Directory;

use super::{BlobWriter, lock};
use crate::error::Result;
use crate::repo::blobs::pack_name;
use crate::repo::index;
use crate::store::Put;

/// Packs after which a segment is written, so that an interrupted backup resumes from there.
const PACKS_A_SEGMENT: usize = 64;
/// Time after which a segment is written over what landed, in milliseconds.
const SEGMENT_AFTER_MS: u128 = 300_000;

/// A pack ready for the store.
pub(super) struct Finished {
    pub(super) pack: PackRef,
    pub(super) bytes: Bytes,
    pub(super) directory: Directory,
    /// Whether a copy of it is to stay here.
    pub(super) is_lasting: bool,
}

/// Packs that are stored and that no segment names yet.
#[derive(Default)]
pub(super) struct Landed {
    packs: Vec<(PackRef, Directory)>,
    since: Option<std::time::Instant>,
}

fn packs_a_segment() -> usize {
    #[cfg(any(test, feature = "testkit"))]
    if let Some(packs) = crate::planted::packs_a_segment() {
        return packs;
    }
    PACKS_A_SEGMENT
}

impl BlobWriter<'_> {
    /// Tells the uploads to finish.
    pub(super) fn stop(&self) {
        for _ in 0..self.settings.uploads {
            let empty = Finished {
                pack: PackRef {
                    hash: repo_format::ObjectHash::default(),
                    is_metadata: false,
                    class: 0,
                    epoch: 0,
                    total_bytes: 0,
                },
                bytes: Bytes::new(),
                directory: Directory::default(),
                is_lasting: false,
            };
            // Each upload takes exactly one empty pack.
            let _ = self.queue.send(empty);
        }
    }

    pub(super) fn upload(&self) {
        while let Ok(finished) = self.receiver.recv() {
            if finished.bytes.is_empty() {
                return;
            }
            if lock(&self.failure).is_some() {
                continue;
            }
            if let Err(error) = self.put(finished) {
                lock(&self.failure).get_or_insert(error);
            }
        }
    }

    fn put(&self, finished: Finished) -> Result<()> {
        let name = pack_name(&finished.pack);
        // Noted first: a run killed between the two must not upload the pack again.
        self.session.will_land(&name);
        if planted!(IndexBeforePack) {
            index::write_segment(self.repo, &[(finished.pack, finished.directory.clone())], &[])?;
        }
        let stored = self.repo.store.put(&name, finished.bytes.clone(), Put::Overwrite);
        if !planted!(UploadErrorIgnored) {
            stored?;
        }
        if let Some(kept) = self.kept.as_ref().filter(|_| finished.is_lasting) {
            kept.keep(&finished.pack.hash, &finished.bytes);
        }
        self.take_back(finished.bytes);
        let bytes = finished.pack.total_bytes;
        self.progress.bytes_stored.fetch_add(bytes, Ordering::Relaxed);
        {
            let mut landed = lock(&self.landed);
            landed.since.get_or_insert_with(std::time::Instant::now);
            landed.packs.push((finished.pack, finished.directory));
        }
        self.write_segment(packs_a_segment())
    }

    /// Writes a segment when at least `least` packs landed since the last one, or long ago.
    pub(super) fn write_segment(&self, least: usize) -> Result<()> {
        let packs = {
            let mut landed = lock(&self.landed);
            let waited = landed.since.map_or(0, |since| since.elapsed().as_millis());
            if landed.packs.is_empty() || (landed.packs.len() < least && waited < SEGMENT_AFTER_MS)
            {
                return Ok(());
            }
            landed.since = None;
            std::mem::take(&mut landed.packs)
        };
        index::write_segment(self.repo, &packs, &[]).map(|_| ())
    }
}
