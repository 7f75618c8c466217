//! Keeps whole small objects in a local folder, so that opening a repository costs few round trips.
//!
//! Objects are written once, so a copy can only be right or damaged, never outdated: a copy is
//! served only after its trailer, and its name where that is a hash, agree with its bytes. What
//! exists is asked of the store alone; no failure of the folder fails a call.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use repo_format::ObjectName;
use repo_format::object_name::{Meaning, prefix};

use crate::store::{Cause, Error, Listed, LocalStore, Put, Result, Store, Traits, slice};

/// Folders whose objects are kept: those whose bytes prove which name they belong to, since a wrong
/// answer of the store must not stay. Key slots are not: a removed slot must be gone everywhere,
/// and a copy of one would let its passphrase be guessed at leisure.
const KEPT: [&str; 4] = [prefix::METADATA, prefix::INDEX, prefix::HISTORY, prefix::WRITERS];

/// Bytes of the hash that ends every object but the marker. SPEC 2.2.
const TRAILER_BYTES: usize = 32;

/// Bytes of the header that begins every object but the marker. SPEC 2.2.
const HEADER_BYTES: usize = 64;

/// Locks that keep two threads from fetching one object twice.
const LANES: usize = 64;

/// A store with copies of its metadata in a local folder.
///
/// The folder must belong to one repository alone, and may be deleted at any time.
#[derive(Debug)]
pub struct Cache<S> {
    inner: S,
    copies: Option<LocalStore>,
    /// Copies that this process has checked or written.
    checked: Mutex<HashSet<ObjectName>>,
    fetching: [Mutex<()>; LANES],
    /// The folder took no copy; fetching whole objects for a few bytes no longer pays.
    is_failing: AtomicBool,
}

impl<S: Store> Cache<S> {
    /// Wraps a store; a folder that cannot be made or used is done without.
    pub fn new(inner: S, folder: &Path) -> Self {
        let copies = LocalStore::create_without_syncs(folder).ok();
        let checked = Mutex::default();
        let is_failing = AtomicBool::new(copies.is_none());
        Self {
            inner,
            copies,
            checked,
            fetching: std::array::from_fn(|_| Mutex::default()),
            is_failing,
        }
    }

    /// The store below.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Drops the copies below `prefix` that are not in `listed`, a listing of the store for that
    /// prefix.
    ///
    /// Every listing of a whole kept folder does this, so that copies of objects that were deleted
    /// elsewhere do not stay.
    fn retain(&self, prefix: &str, listed: &[Listed]) {
        let Some(copies) = &self.copies else { return };
        let there: HashSet<(&ObjectName, u64)> =
            listed.iter().map(|object| (&object.name, object.bytes)).collect();
        for copy in copies.list(prefix).unwrap_or_default() {
            if !there.contains(&(&copy.name, copy.bytes)) {
                self.forget(&copy.name);
            }
        }
        // An hour is longer than any write of a copy takes.
        let _ = copies.remove_stale_temporaries(3600);
    }

    fn checked(&self) -> MutexGuard<'_, HashSet<ObjectName>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lane(&self, name: &ObjectName) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        let lane = usize::try_from(hash % LANES as u64).unwrap_or(0);
        self.fetching[lane].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, name: &ObjectName) {
        self.checked().remove(name);
        if let Some(copies) = &self.copies {
            let _ = copies.delete(name);
        }
    }

    fn keep(&self, name: &ObjectName, bytes: &Bytes) {
        let Some(copies) = &self.copies else { return };
        if !is_sound(name, bytes) {
            // A damaged object is the caller's to report, and not worth keeping.
            self.forget(name);
            return;
        }
        let is_kept = copies.put(name, bytes.clone(), Put::Overwrite).is_ok();
        self.is_failing.store(!is_kept, Relaxed);
        if is_kept {
            self.checked().insert(name.clone());
        } else {
            self.forget(name);
        }
    }

    /// Reads a copy whole and checks it, unless that was done before and a range is enough.
    fn copy_of(&self, name: &ObjectName, range: Option<(u64, u64)>) -> Option<Result<Bytes>> {
        let copies = self.copies.as_ref()?;
        if let Some((offset, length)) = range.filter(|_| self.checked().contains(name)) {
            match copies.get_range(name, offset, length) {
                Err(error) if error.cause != Cause::OutOfRange => self.forget(name),
                read => return Some(read),
            }
        }
        let bytes = copies.get(name).ok()?;
        if !is_sound(name, &bytes) {
            self.forget(name);
            return None;
        }
        self.checked().insert(name.clone());
        Some(cut(name, bytes, range))
    }

    fn read(&self, name: &ObjectName, range: Option<(u64, u64)>) -> Result<Bytes> {
        if let Some(read) = self.copy_of(name, range) {
            return read;
        }
        if let Some((offset, length)) = range.filter(|_| self.is_failing.load(Relaxed)) {
            return self.inner.get_range(name, offset, length);
        }
        let _others_wait = self.lane(name);
        if let Some(read) = self.copy_of(name, range) {
            return read;
        }
        let bytes = self.inner.get(name)?;
        self.keep(name, &bytes);
        cut(name, bytes, range)
    }
}

fn cut(name: &ObjectName, bytes: Bytes, range: Option<(u64, u64)>) -> Result<Bytes> {
    match range {
        Some((offset, length)) => slice(name, &bytes, offset, length),
        None => Ok(bytes),
    }
}

fn is_kept(name: &ObjectName) -> bool {
    KEPT.iter().any(|folder| name.as_str().starts_with(folder))
}

/// Says whether the trailer is the hash of what precedes it, and the name fits the trailer.
fn is_sound(name: &ObjectName, bytes: &Bytes) -> bool {
    let Some(body) = bytes.len().checked_sub(TRAILER_BYTES) else { return false };
    let (body, trailer) = bytes.split_at(body);
    if blake3::hash(body).as_bytes() != trailer {
        return false;
    }
    match name.meaning() {
        Some(Meaning::MetadataPack(hash) | Meaning::IndexSegment(hash)) => trailer == hash.0,
        Some(Meaning::HistoryRecord { hash_start, .. }) => trailer.starts_with(&hash_start),
        // The id opens what follows the header. SPEC 8.1.
        Some(Meaning::WriterCard(writer)) => {
            body.get(HEADER_BYTES..).is_some_and(|rest| rest.starts_with(&writer.0))
        }
        _ => false,
    }
}

impl<S: Store> Store for Cache<S> {
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
        if !is_kept(name) {
            return self.inner.put(name, bytes, mode);
        }
        let put = self.inner.put(name, bytes.clone(), mode);
        match &put {
            Ok(()) => self.keep(name, &bytes),
            Err(Error { cause: Cause::AlreadyExists, .. }) => {}
            // Which bytes are there now is not known.
            Err(_) => self.forget(name),
        }
        put
    }

    fn get(&self, name: &ObjectName) -> Result<Bytes> {
        if is_kept(name) { self.read(name, None) } else { self.inner.get(name) }
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
        if is_kept(name) {
            self.read(name, Some((offset, length)))
        } else {
            self.inner.get_range(name, offset, length)
        }
    }

    fn size(&self, name: &ObjectName) -> Result<u64> {
        self.inner.size(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let listed = self.inner.list(prefix)?;
        if KEPT.contains(&prefix) {
            self.retain(prefix, &listed);
        }
        Ok(listed)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        if is_kept(name) {
            self.forget(name);
        }
        let deleted = self.inner.delete(name);
        if is_kept(name) {
            // A reader may have fetched it again in between.
            self.forget(name);
        }
        deleted
    }

    fn settle(&self) -> Result<()> {
        self.inner.settle()
    }

    fn traits(&self) -> Traits {
        self.inner.traits()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[cfg(test)]
mod tests;
