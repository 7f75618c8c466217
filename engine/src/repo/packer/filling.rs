//! Packs that are being filled, and what completes them.

use bytes::Bytes;
use repo_format::ObjectKind;
use repo_format::envelope::{self, Header};
use repo_format::index::PackRef;
use repo_format::pack::Directory;

use super::deltas::Frames;
use super::upload::Finished;
use super::{BlobWriter, lock};
use crate::crypto::{random, seal};
use crate::error::{Error, Kind, Result};
use crate::repo::keys::domain;

/// A pack that is being filled.
pub(super) struct OpenPack {
    bytes: Vec<u8>,
    directory: Directory,
    is_lasting: bool,
}

impl OpenPack {
    fn take(&mut self, frames: &Frames) {
        let shift = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&frames.bytes);
        self.is_lasting |= frames.is_lasting;
        for (entry, bases) in &frames.entries {
            let mut entry = *entry;
            entry.offset = entry.offset.saturating_add(shift);
            if !bases.is_empty() {
                entry.base_first = u32::try_from(self.directory.bases.len()).unwrap_or(u32::MAX);
                self.directory.bases.extend_from_slice(bases);
            }
            self.directory.entries.push(entry);
        }
    }
}

impl BlobWriter<'_> {
    /// Appends frames, side by side, to an open pack: metadata to its own, data to one of two at
    /// random, so that the order in a pack says little about the order in a file.
    pub(super) fn append(&self, frames: &Frames) -> Result<()> {
        let is_metadata = frames.entries.first().is_some_and(|(entry, _)| entry.kind.is_metadata());
        let number = if is_metadata { 2 } else { usize::from(random::array::<1>()?[0] & 1) };
        let (kind, target) = if is_metadata {
            (ObjectKind::MetadataPack, self.settings.metadata_bytes)
        } else {
            (ObjectKind::DataPack, self.settings.data_bytes)
        };
        let full = {
            let mut slot = lock(&self.open[number]);
            let is_full =
                slot.as_ref().is_some_and(|pack| pack.bytes.len() + frames.bytes.len() > target);
            let full = if is_full { slot.take() } else { None };
            let pack = slot.get_or_insert_with(|| {
                let epoch = self.repo.keys.current().number;
                let mut bytes = self.buffer(target);
                bytes.extend_from_slice(&Header::new(kind, epoch, self.repo.id()).encode());
                OpenPack { bytes, directory: Directory::default(), is_lasting: false }
            });
            pack.take(frames);
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
    pub(super) fn take_back(&self, bytes: Bytes) {
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
            is_lasting: pack.is_lasting,
        };
        self.check()?;
        self.queue
            .send(finished)
            .map_err(|_| Error::new(Kind::Store, "the uploads have stopped"))?;
        self.check()
    }

    /// Sends the open packs, however full.
    pub(super) fn flush(&self) -> Result<()> {
        for frames in self.runs.take_all() {
            if !frames.entries.is_empty() {
                self.append(&frames)?;
            }
        }
        for (number, slot) in self.open.iter().enumerate() {
            let pack = lock(slot).take();
            if let Some(pack) = pack {
                self.send(pack, number == 2)?;
            }
        }
        Ok(())
    }
}
