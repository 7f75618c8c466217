//! Data packs that were sent to a store far away and of which a copy stays here for a while: the
//! next version of what is in them is stored against it without fetching anything.
//!
//! Copies only serve speed. What is read from one is proven by its id like everything else.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::PathBuf;
use std::time::SystemTime;

use bytes::BytesMut;
use repo_format::{BlobId, ObjectHash};

use super::blobs::read_frame;
use super::deltas::Bases;
use super::index::Located;
use super::{IndexedRepository, Repository};
use crate::error::{Error, Kind, Result};

const FOLDER: &str = "packs";
/// Bytes of copies that stay.
const KEPT_BYTES_MAX: u64 = 1 << 30;

/// Copies of packs in the state folder.
#[derive(Debug, Clone)]
pub(crate) struct KeptPacks {
    folder: PathBuf,
}

impl KeptPacks {
    /// Opens the copies; none where the store is near, or where nothing is to be kept.
    pub(crate) fn of(repo: &Repository) -> Option<Self> {
        let folder = repo.state.path(FOLDER).filter(|_| repo.store.traits().is_remote)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
        Some(Self { folder })
    }

    /// Keeps a copy of a pack, if there is room for it.
    pub(crate) fn keep(&self, hash: &ObjectHash, bytes: &[u8]) {
        let path = self.folder.join(hash.to_hex());
        let aside = path.with_extension("new");
        // A copy that cannot be written costs bytes later, nothing else.
        let written = File::create(&aside)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&aside, path));
        if written.is_err() {
            let _ = fs::remove_file(aside);
        }
    }

    /// Reads a frame from a copy.
    fn frame(&self, located: &Located) -> Option<BytesMut> {
        let file = File::open(self.folder.join(located.pack.hash.to_hex())).ok()?;
        let mut frame = BytesMut::zeroed(located.entry.stored_bytes as usize);
        file.read_exact_at(&mut frame, u64::from(located.entry.offset)).ok()?;
        // What is used stays the longest.
        let _ = file.set_modified(SystemTime::now());
        Some(frame)
    }

    /// Removes what was unused the longest, down to the bytes that may stay.
    pub(crate) fn trim(&self) {
        self.trim_to(KEPT_BYTES_MAX);
    }

    fn trim_to(&self, most: u64) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut copies: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let found = entry.metadata().ok()?;
                Some((found.modified().ok()?, found.len(), entry.path()))
            })
            .collect();
        copies.sort_unstable_by(|a, b| b.cmp(a));
        let mut bytes = 0_u64;
        for (_, length, path) in copies {
            bytes = bytes.saturating_add(length);
            if bytes > most {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Bases that can be had without fetching anything from far away.
#[derive(Debug)]
pub(crate) struct NearBases<'a> {
    repo: &'a IndexedRepository,
    is_remote: bool,
    kept: Option<KeptPacks>,
}

impl<'a> NearBases<'a> {
    /// Opens what is near.
    pub(crate) fn new(repo: &'a IndexedRepository) -> Self {
        let is_remote = repo.store.traits().is_remote;
        Self { repo, is_remote, kept: KeptPacks::of(repo) }
    }

    /// Says whether there may be any.
    pub(crate) const fn has_some(&self) -> bool {
        !self.is_remote || self.kept.is_some()
    }
}

impl Bases for NearBases<'_> {
    fn places(&self, id: &BlobId) -> Vec<Located> {
        self.repo.index().find_all(id)
    }

    fn frame(&self, located: &Located) -> Result<BytesMut> {
        if !self.is_remote {
            return read_frame(self.repo, located);
        }
        let found = self.kept.as_ref().and_then(|kept| kept.frame(located));
        found.ok_or_else(|| Error::new(Kind::NotFound, "no copy of its pack is kept here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_stay_within_their_bound_and_the_longest_unused_goes() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptPacks { folder: folder.path().to_path_buf() };
        for n in 0..4_u8 {
            kept.keep(&ObjectHash([n; 32]), &[n; 100]);
            let file = File::open(folder.path().join(ObjectHash([n; 32]).to_hex())).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(n) + 1);
            file.set_modified(time).unwrap();
        }
        kept.trim_to(250);
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [2, 3].map(|n| std::ffi::OsString::from(ObjectHash([n; 32]).to_hex())));
    }
}
