//! Saving blobs: from plain bytes to packs in the store, then the index segment over them.
//!
//! Nothing is announced before it is stored: a pack's blobs are named by a segment only when its
//! `put` has returned (O-1). Every frame is opened and compared before it leaves (a fault of the
//! compressor or of memory must not become a backup).

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use repo_format::envelope::{self, Header};
use repo_format::index::PackRef;
use repo_format::pack::{BlobKind, Directory, Entry, FRAME_OVERHEAD, blob_context};
use repo_format::{BlobId, ObjectKind};

use super::IndexedRepository;
use super::blobs::pack_name;
use super::index::{self, Located};
use super::keys::domain;
use super::session::Session;
use crate::chunk::compression::{Compressor, Decompressor, Level};
use crate::crypto::{blob, random, seal};
use crate::error::{Error, Kind, Result};
use crate::store::Put;

/// Packs after which a segment is written, so that an interrupted backup resumes from there.
const PACKS_A_SEGMENT: usize = 64;
/// Time after which a segment is written over what landed, in milliseconds.
const SEGMENT_AFTER_MS: u128 = 300_000;
const SHARDS: usize = 64;

/// How packs are made.
#[derive(Debug, Clone, Copy)]
pub struct PackSettings {
    /// Bytes that a data pack aims at.
    pub data_bytes: usize,
    /// Bytes that a metadata pack aims at.
    pub metadata_bytes: usize,
    /// How hard to compress.
    pub level: Level,
    /// Packs that may be on their way to the store at once.
    pub uploads: usize,
    /// Whether to count only, and store nothing.
    pub is_dry: bool,
}

impl PackSettings {
    /// Settings that keep packs, open and on their way, within half of the budget.
    pub fn within(
        budget: u64,
        pack_bytes: u64,
        threads: usize,
        uploads: usize,
        level: Level,
    ) -> Self {
        // Two open data packs, those on their way, and one in the hands of each thread.
        let uploads = uploads.clamp(1, 8);
        let share = budget / 2 / (uploads + threads + 2) as u64;
        // A store that asks for smaller packs than any budget would give gets them.
        let data_bytes = pack_bytes.min(share).clamp(pack_bytes.min(1 << 20), 128 << 20);
        let metadata_bytes = data_bytes.min(8 << 20);
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(32 << 20);
        let (data_bytes, metadata_bytes) = (size(data_bytes), size(metadata_bytes));
        Self { data_bytes, metadata_bytes, level, uploads, is_dry: false }
    }
}

struct OpenPack {
    bytes: Vec<u8>,
    directory: Directory,
}

/// A pack ready for the store.
struct Finished {
    pack: PackRef,
    bytes: Bytes,
    directory: Directory,
}

#[derive(Default)]
struct Landed {
    packs: Vec<(PackRef, Directory)>,
    since: Option<std::time::Instant>,
}

/// Counts of what was saved.
#[derive(Debug, Default)]
pub struct Saved {
    /// Blobs that were not known.
    pub blobs_new: AtomicU64,
    /// Their plain bytes.
    pub bytes_new: AtomicU64,
}

/// What one thread needs for saving: contexts and buffers that are used again.
#[derive(Debug)]
pub struct Scratch {
    compressor: Compressor,
    decompressor: Decompressor,
    encoded: Vec<u8>,
    frame: Vec<u8>,
    check: Vec<u8>,
    plain: Vec<u8>,
}

/// Saves blobs for several threads at once.
pub struct BlobWriter<'a> {
    repo: &'a IndexedRepository,
    settings: PackSettings,
    claimed: Vec<Mutex<HashSet<BlobId>>>,
    open: [Mutex<Option<OpenPack>>; 3],
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

fn packs_a_segment() -> usize {
    #[cfg(any(test, feature = "testkit"))]
    if let Some(packs) = crate::planted::packs_a_segment() {
        return packs;
    }
    PACKS_A_SEGMENT
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
            Ok(value)
        })
        .inspect_err(|_| {
            // What landed is worth keeping: the next run resumes from it.
            let _ = writer.write_segment(1);
        })
    }

    /// Makes what one thread needs.
    pub fn scratch(&self) -> Result<Scratch> {
        let fail = |error| Error::caused(Kind::Other, "starting zstd", error);
        Ok(Scratch {
            compressor: Compressor::new(self.settings.level).map_err(fail)?,
            decompressor: Decompressor::new().map_err(fail)?,
            encoded: Vec::new(),
            frame: Vec::new(),
            check: Vec::new(),
            plain: Vec::new(),
        })
    }

    /// Saves a blob, unless it is known already; gives its id.
    pub fn save(&self, scratch: &mut Scratch, kind: BlobKind, plain: &[u8]) -> Result<BlobId> {
        let id = blob::blob_id(&self.repo.keys.id_key, kind, plain);
        if !self.claim(id) {
            return Ok(id);
        }
        self.check()?;
        self.saved.blobs_new.fetch_add(1, Ordering::Relaxed);
        self.saved.bytes_new.fetch_add(plain.len() as u64, Ordering::Relaxed);
        if self.settings.is_dry {
            return Ok(id);
        }
        let entry = self.encode(scratch, id, kind, plain)?;
        self.append(entry, &[], &scratch.frame)?;
        Ok(id)
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
        self.append(located.entry, &located.bases, frame)
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

    /// Makes the frame of a blob, and proves that it opens to the same bytes.
    fn encode(
        &self,
        scratch: &mut Scratch,
        id: BlobId,
        kind: BlobKind,
        plain: &[u8],
    ) -> Result<Entry> {
        let plain_bytes = u32::try_from(plain.len())
            .ok()
            .filter(|&bytes| bytes <= repo_format::limits::BLOB_BYTES_MAX)
            .ok_or_else(|| Error::new(Kind::Other, "a blob is over the limit of the format"))?;
        let keys = self.repo.keys.current();
        let key = if kind.is_metadata() { &keys.metadata } else { &keys.data };
        let mut encoding = scratch.compressor.encode(plain, &mut scratch.encoded);
        #[cfg(any(test, feature = "testkit"))]
        crate::planted::strike(&mut scratch.encoded);
        for attempt in 0.. {
            let context = blob_context(self.repo.id(), id, kind, encoding, plain_bytes, &[]);
            scratch.frame.clear();
            blob::seal_frame(&mut scratch.frame, key, id, &context, &scratch.encoded)?;
            scratch.check.clear();
            scratch.check.extend_from_slice(&scratch.frame);
            let is_sound = planted!(IdUnchecked)
                || blob::open_frame(&mut scratch.check, key, id, &context).is_ok_and(|encoded| {
                    let decoder = &mut scratch.decompressor;
                    decoder.decode(encoding, encoded, plain_bytes, &mut scratch.plain).is_ok()
                }) && scratch.plain == plain
                    && blob::blob_id(&self.repo.keys.id_key, kind, plain) == id;
            if is_sound {
                break;
            }
            if attempt == 1 {
                let what =
                    "this machine does not compute reliably: a sealed blob did not open again";
                return Err(Error::new(Kind::Other, what));
            }
            // The compressor may be at fault: store the bytes as they are.
            encoding = repo_format::pack::encoding::RAW;
            scratch.encoded.clear();
            scratch.encoded.extend_from_slice(plain);
        }
        Ok(Entry {
            id,
            offset: 0,
            stored_bytes: u32::try_from(scratch.frame.len()).unwrap_or(u32::MAX),
            plain_bytes,
            kind,
            encoding,
            depth: 0,
            envelope: 0,
            base_count: 0,
            base_first: 0,
        })
    }

    /// Appends a frame to an open pack: metadata to its own, data to one of two at random, so that
    /// the order in a pack says little about the order in a file.
    fn append(&self, mut entry: Entry, bases: &[BlobId], frame: &[u8]) -> Result<()> {
        let is_metadata = entry.kind.is_metadata();
        let number = if is_metadata { 2 } else { usize::from(random::array::<1>()?[0] & 1) };
        let (kind, target) = if is_metadata {
            (ObjectKind::MetadataPack, self.settings.metadata_bytes)
        } else {
            (ObjectKind::DataPack, self.settings.data_bytes)
        };
        let full = {
            let mut slot = lock(&self.open[number]);
            let is_full = slot.as_ref().is_some_and(|pack| pack.bytes.len() + frame.len() > target);
            let full = if is_full { slot.take() } else { None };
            let pack = slot.get_or_insert_with(|| {
                let epoch = self.repo.keys.current().number;
                let mut bytes = self.buffer(target);
                bytes.extend_from_slice(&Header::new(kind, epoch, self.repo.id()).encode());
                OpenPack { bytes, directory: Directory::default() }
            });
            entry.offset = u32::try_from(pack.bytes.len()).unwrap_or(u32::MAX);
            if !bases.is_empty() {
                entry.base_first = u32::try_from(pack.directory.bases.len()).unwrap_or(u32::MAX);
                pack.directory.bases.extend_from_slice(bases);
            }
            pack.bytes.extend_from_slice(frame);
            pack.directory.entries.push(entry);
            full
        };
        match full {
            Some(pack) => self.send(pack, is_metadata),
            None => Ok(()),
        }
    }

    /// Room for a pack and its directory.
    const fn room(target: usize) -> usize {
        target + target / 16 + (64 << 10)
    }

    /// An empty buffer for a pack, used before where one is free.
    fn buffer(&self, target: usize) -> Vec<u8> {
        let room = Self::room(target);
        let used = {
            let mut buffers = lock(&self.buffers);
            let fitting = buffers.iter().position(|buffer| buffer.capacity() == room);
            fitting.map(|at| buffers.swap_remove(at))
        };
        let mut bytes = used.unwrap_or_else(|| Vec::with_capacity(room));
        bytes.clear();
        bytes
    }

    /// Keeps the buffer of a pack that has landed; one that grew is given back to the system.
    fn take_back(&self, bytes: Bytes) {
        let Ok(bytes) = bytes.try_into_mut() else { return };
        let bytes = Vec::from(bytes);
        let is_plain = bytes.capacity() == Self::room(self.settings.data_bytes);
        let mut buffers = lock(&self.buffers);
        if is_plain && buffers.len() < self.settings.uploads {
            buffers.push(bytes);
        }
    }

    /// Completes a pack and hands it to the uploads; waits while all of them are busy.
    fn send(&self, mut pack: OpenPack, is_metadata: bool) -> Result<()> {
        let epoch = self.repo.keys.current();
        let kind = if is_metadata { ObjectKind::MetadataPack } else { ObjectKind::DataPack };
        let context = Header::new(kind, epoch.number, self.repo.id()).context(0);
        let plain = pack.directory.encode();
        let sealed = seal::seal(&epoch.directory, domain::PACK_DIRECTORY, &context, &plain)?;
        let length = u32::try_from(sealed.len())
            .map_err(|_| Error::new(Kind::Other, "a pack directory is over the limit"))?;
        pack.bytes.extend_from_slice(&sealed);
        pack.bytes.extend_from_slice(&length.to_le_bytes());
        let hash = envelope::finish(&mut pack.bytes);
        let total_bytes = pack.bytes.len() as u64;
        let finished = Finished {
            pack: PackRef { hash, is_metadata, class: 0, epoch: epoch.number, total_bytes },
            bytes: Bytes::from(pack.bytes),
            directory: pack.directory,
        };
        self.check()?;
        self.queue
            .send(finished)
            .map_err(|_| Error::new(Kind::Store, "the uploads have stopped"))?;
        self.check()
    }

    /// Sends the open packs, however full.
    fn flush(&self) -> Result<()> {
        for (number, slot) in self.open.iter().enumerate() {
            let pack = lock(slot).take();
            if let Some(pack) = pack {
                self.send(pack, number == 2)?;
            }
        }
        Ok(())
    }

    /// Tells the uploads to finish.
    fn stop(&self) {
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
            };
            // Each upload takes exactly one empty pack.
            let _ = self.queue.send(empty);
        }
    }

    fn upload(&self) {
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
    fn write_segment(&self, least: usize) -> Result<()> {
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

    /// Fails once an upload has failed.
    fn check(&self) -> Result<()> {
        match lock(&self.failure).as_ref() {
            None => Ok(()),
            Some(error) => Err(Error::new(error.kind(), error.to_string())),
        }
    }
}

const _: () = assert!(FRAME_OVERHEAD as usize == seal::OVERHEAD);
