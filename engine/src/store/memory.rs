//! Objects in memory, for tests and for trying things out.
//!
//! One lock guards one map, so every call is atomic; copies of the handle share the map.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use repo_format::ObjectName;

use super::{Cause, Error, Listed, Put, Result, Store, Traits};

/// A store in memory; `clone` gives another handle to the same objects.
#[derive(Clone, Default)]
pub struct MemoryStore {
    objects: Arc<RwLock<Objects>>,
    traits: Traits,
}

#[derive(Clone, Default)]
struct Objects {
    by_name: BTreeMap<ObjectName, (Bytes, i64)>,
    time_ms: Option<i64>,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a second store with the objects of now; later writes to one do not reach the other.
    pub fn copy(&self) -> Self {
        Self { objects: Arc::new(RwLock::new(self.read().clone())), traits: self.traits }
    }

    /// The same objects in a store that says so of itself.
    pub fn with_traits(self, traits: Traits) -> Self {
        Self { traits, ..self }
    }

    /// Pins the clock that stamps the objects written from now on, in milliseconds since 1970;
    /// `None` goes back to the machine's clock.
    pub fn set_time_ms(&self, time_ms: Option<i64>) {
        self.write().time_ms = time_ms;
    }

    /// Names of all objects, in order.
    pub fn names(&self) -> Vec<ObjectName> {
        self.read().by_name.keys().cloned().collect()
    }

    /// Length of all objects together, in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.read().by_name.values().map(|(bytes, _)| bytes.len() as u64).sum()
    }

    fn read(&self) -> RwLockReadGuard<'_, Objects> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.read().by_name.keys()).finish()
    }
}

impl Store for MemoryStore {
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
        let mut objects = self.write();
        if mode == Put::Create && objects.by_name.contains_key(name) {
            let message = "exists already";
            return Err(Error::new(Cause::AlreadyExists, "writing", name.as_str(), message));
        }
        let time_ms = objects.time_ms.unwrap_or_else(machine_time_ms);
        objects.by_name.insert(name.clone(), (bytes, time_ms));
        Ok(())
    }

    fn get(&self, name: &ObjectName) -> Result<Bytes> {
        let objects = self.read();
        let object = objects.by_name.get(name).map(|(bytes, _)| bytes.clone());
        object.ok_or_else(|| Error::new(Cause::NotFound, "reading", name.as_str(), "not found"))
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
        super::slice(name, &self.get(name)?, offset, length)
    }

    fn size(&self, name: &ObjectName) -> Result<u64> {
        self.get(name).map(|bytes| bytes.len() as u64)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let folder = super::folder_of_prefix(prefix)?;
        // The folder's own name sorts just before everything in it.
        let first = ObjectName::parse(folder).map_or(Bound::Unbounded, Bound::Excluded);
        let objects = self.read();
        let listed = objects.by_name.range((first, Bound::Unbounded));
        let listed = listed.skip_while(|(name, _)| !name.as_str().starts_with(prefix));
        let listed = listed.take_while(|(name, _)| name.as_str().starts_with(prefix));
        let listed = listed.map(|(name, (bytes, time_ms))| Listed {
            name: name.clone(),
            bytes: bytes.len() as u64,
            modified_ms: Some(*time_ms),
        });
        Ok(listed.collect())
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        self.write().by_name.remove(name);
        Ok(())
    }

    fn traits(&self) -> Traits {
        self.traits
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

fn machine_time_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[test]
    fn every_promise_is_kept() {
        let store = MemoryStore::new();
        conformance::run_all(&store).unwrap();
        assert!(store.names().is_empty());
    }

    #[test]
    fn handles_share_and_copies_do_not() {
        let store = MemoryStore::new();
        let name = ObjectName::marker();
        store.set_time_ms(Some(1_234));
        store.clone().put(&name, Bytes::from_static(b"abc"), Put::Create).unwrap();
        let copy = store.copy();
        store.delete(&name).unwrap();
        assert_eq!((store.names().len(), copy.names().len(), copy.total_bytes()), (0, 1, 3));
        assert_eq!(copy.list("").unwrap()[0].modified_ms, Some(1_234));
    }
}
