//! Counts calls and bytes, by kind of call and by folder.
//!
//! The counts are sums over all threads; each is exact, though two read at once may be a call
//! apart.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use repo_format::ObjectName;
use repo_format::object_name::prefix;

use crate::store::{Listed, Put, Result, Store, Traits};

/// Kinds of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// Writes.
    Put,
    /// Reads of whole objects.
    Get,
    /// Reads of ranges.
    GetRange,
    /// Questions for a length.
    Size,
    /// Listings.
    List,
    /// Removals.
    Delete,
}

/// What calls of one kind came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallCounts {
    /// Calls, with those that failed.
    pub calls: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Bytes of the objects written or read; none for sizes, listings and removals.
    pub bytes: u64,
}

/// Counts of every kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    by_call: [CallCounts; CALLS],
}

const CALLS: usize = 6;
const FOLDERS: [&str; 8] = [
    prefix::CONFIG,
    prefix::KEYS,
    prefix::WRITERS,
    prefix::PACKS,
    prefix::METADATA,
    prefix::INDEX,
    prefix::HISTORY,
    prefix::GC,
];

impl Counts {
    /// Counts of one kind of call.
    pub fn of(&self, call: Call) -> CallCounts {
        self.by_call[call as usize]
    }

    /// Calls of every kind.
    pub fn calls(&self) -> u64 {
        self.by_call.iter().map(|counts| counts.calls).sum()
    }

    /// Bytes written.
    pub fn bytes_written(&self) -> u64 {
        self.of(Call::Put).bytes
    }

    /// Bytes read, whole objects and ranges.
    pub fn bytes_read(&self) -> u64 {
        self.of(Call::Get).bytes + self.of(Call::GetRange).bytes
    }

    fn add(&mut self, call: usize, counts: &AtomicCounts) {
        let sum = &mut self.by_call[call];
        sum.calls += counts.calls.load(Relaxed);
        sum.failed += counts.failed.load(Relaxed);
        sum.bytes += counts.bytes.load(Relaxed);
    }
}

#[derive(Debug, Default)]
struct AtomicCounts {
    calls: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
}

/// A store that counts what is asked of it.
#[derive(Debug)]
pub struct Trace<S> {
    inner: S,
    /// One row a folder, and a last one for everything else.
    counts: [[AtomicCounts; CALLS]; FOLDERS.len() + 1],
}

impl<S: Store> Trace<S> {
    /// Wraps a store; all counts start at 0.
    pub fn new(inner: S) -> Self {
        Self { inner, counts: Default::default() }
    }

    /// The store below.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Counts over every object.
    pub fn counts(&self) -> Counts {
        sum(&self.counts)
    }

    /// Counts over the objects of one folder, named by its prefix with the slash; any other text
    /// means the objects that lie in no folder of a repository.
    pub fn counts_of(&self, prefix: &str) -> Counts {
        sum(std::slice::from_ref(&self.counts[row(prefix)]))
    }

    fn count<T>(
        &self,
        call: Call,
        name: &str,
        result: Result<T>,
        bytes: impl Fn(&T) -> usize,
    ) -> Result<T> {
        let counts = &self.counts[row(name)][call as usize];
        counts.calls.fetch_add(1, Relaxed);
        match &result {
            Ok(value) => counts.bytes.fetch_add(bytes(value) as u64, Relaxed),
            Err(_) => counts.failed.fetch_add(1, Relaxed),
        };
        result
    }
}

fn sum(rows: &[[AtomicCounts; CALLS]]) -> Counts {
    let mut sum = Counts::default();
    for row in rows {
        for (call, counts) in row.iter().enumerate() {
            sum.add(call, counts);
        }
    }
    sum
}

fn row(name: &str) -> usize {
    FOLDERS.iter().position(|folder| name.starts_with(folder)).unwrap_or(FOLDERS.len())
}

impl<S: Store> Store for Trace<S> {
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
        let length = bytes.len();
        self.count(Call::Put, name.as_str(), self.inner.put(name, bytes, mode), |()| length)
    }

    fn get(&self, name: &ObjectName) -> Result<Bytes> {
        self.count(Call::Get, name.as_str(), self.inner.get(name), Bytes::len)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
        let read = self.inner.get_range(name, offset, length);
        self.count(Call::GetRange, name.as_str(), read, Bytes::len)
    }

    fn size(&self, name: &ObjectName) -> Result<u64> {
        self.count(Call::Size, name.as_str(), self.inner.size(name), |_| 0)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        self.count(Call::List, prefix, self.inner.list(prefix), |_| 0)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        self.count(Call::Delete, name.as_str(), self.inner.delete(name), |()| 0)
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
mod tests {
    use super::*;
    use crate::store::{LocalStore, MemoryStore, conformance};

    #[test]
    fn every_promise_is_kept() {
        conformance::run_all(&Trace::new(MemoryStore::new())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        conformance::run_all(&Trace::new(LocalStore::create(folder.path()).unwrap())).unwrap();
    }

    #[test]
    fn calls_and_bytes_are_counted_by_kind_and_folder() {
        let store = Trace::new(MemoryStore::new());
        let pack = ObjectName::parse("packs/ab/1").unwrap();
        let marker = ObjectName::marker();
        store.put(&pack, Bytes::from_static(b"0123456789"), Put::Create).unwrap();
        store.put(&marker, Bytes::from_static(b"abc"), Put::Create).unwrap();
        store.put(&marker, Bytes::from_static(b"abc"), Put::Create).unwrap_err();
        store.get(&marker).unwrap();
        store.get_range(&pack, 2, 4).unwrap();
        store.list("packs/").unwrap();
        store.delete(&pack).unwrap();
        assert!(store.size(&pack).is_err());
        let counts = store.counts();
        assert_eq!(counts.of(Call::Put), CallCounts { calls: 3, failed: 1, bytes: 13 });
        assert_eq!((counts.calls(), counts.bytes_written(), counts.bytes_read()), (8, 13, 7));
        let packs = store.counts_of("packs/");
        assert_eq!((packs.calls(), packs.bytes_written(), packs.bytes_read()), (5, 10, 4));
        assert_eq!(packs.of(Call::Size).failed, 1);
        assert_eq!(store.counts_of("").calls(), 3);
    }
}
