//! Things read and opened, kept up to a number of bytes; the longest unused go first.
//!
//! A thing that several threads want at once is loaded by one of them; a load that fails is kept by
//! nobody.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use repo_format::BlobId;

use crate::error::Result;

/// A bounded cache of things by blob.
pub struct Cache<V> {
    budget_bytes: usize,
    state: Mutex<State<V>>,
    loaded: Condvar,
}

struct State<V> {
    slots: HashMap<BlobId, Slot<V>>,
    /// The slots by age, the longest unused first.
    ages: BTreeMap<u64, BlobId>,
    next_age: u64,
    bytes: usize,
    loading: HashSet<BlobId>,
}

struct Slot<V> {
    value: Arc<V>,
    bytes: usize,
    age: u64,
}

impl<V> std::fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let held = self.lock().bytes;
        f.debug_struct("Cache").field("bytes", &held).finish_non_exhaustive()
    }
}

/// Mark of a load under way; taken back however the load ends.
pub(super) struct Loading<'a, V> {
    cache: &'a Cache<V>,
    id: BlobId,
}

impl<V> Loading<'_, V> {
    /// Keeps what was loaded, where it fits, and ends the load.
    pub(super) fn finish(self, value: V, bytes: usize) -> Arc<V> {
        let value = Arc::new(value);
        if bytes <= self.cache.budget_bytes {
            self.cache.lock().insert(self.id, &value, bytes, self.cache.budget_bytes);
        }
        value
    }
}

impl<V> Drop for Loading<'_, V> {
    fn drop(&mut self) {
        self.cache.lock().loading.remove(&self.id);
        self.cache.loaded.notify_all();
    }
}

impl<V> Cache<V> {
    /// Makes a cache that holds at most so many bytes.
    pub fn new(budget_bytes: usize) -> Self {
        let state = State {
            slots: HashMap::new(),
            ages: BTreeMap::new(),
            next_age: 0,
            bytes: 0,
            loading: HashSet::new(),
        };
        Self { budget_bytes, state: Mutex::new(state), loaded: Condvar::new() }
    }

    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a load of its own; none where the thing is there, or is being loaded.
    pub(super) fn begin(&self, id: BlobId) -> Option<Loading<'_, V>> {
        let mut state = self.lock();
        let is_wanted = !state.slots.contains_key(&id) && state.loading.insert(id);
        drop(state);
        // Made only where the mark is ours, since dropping it takes the mark back.
        is_wanted.then(|| Loading { cache: self, id })
    }

    /// Says whether the thing is there, or is being loaded.
    pub(super) fn is_coming(&self, id: BlobId) -> bool {
        let state = self.lock();
        state.slots.contains_key(&id) || state.loading.contains(&id)
    }

    /// Gives the thing of a blob, from the cache or from `load`, which also says how many bytes it
    /// takes.
    pub fn get_or_load(
        &self,
        id: BlobId,
        load: impl FnOnce() -> Result<(V, usize)>,
    ) -> Result<Arc<V>> {
        let mut state = self.lock();
        loop {
            if let Some(value) = state.touch(id) {
                return Ok(value);
            }
            if state.loading.insert(id) {
                break;
            }
            state = self.loaded.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let loading = Loading { cache: self, id };
        let (value, bytes) = load()?;
        Ok(loading.finish(value, bytes))
    }
}

impl<V> State<V> {
    fn touch(&mut self, id: BlobId) -> Option<Arc<V>> {
        let slot = self.slots.get_mut(&id)?;
        self.ages.remove(&slot.age);
        slot.age = self.next_age;
        self.ages.insert(slot.age, id);
        self.next_age += 1;
        Some(Arc::clone(&slot.value))
    }

    fn insert(&mut self, id: BlobId, value: &Arc<V>, bytes: usize, budget: usize) {
        while self.bytes + bytes > budget
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.bytes -= self.slots.remove(&oldest).map_or(0, |slot| slot.bytes);
        }
        let age = self.next_age;
        self.next_age += 1;
        self.bytes += bytes;
        self.ages.insert(age, id);
        self.slots.insert(id, Slot { value: Arc::clone(value), bytes, age });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::{Error, Kind};

    fn id(n: u8) -> BlobId {
        BlobId([n; 32])
    }

    #[test]
    fn the_budget_holds_and_the_longest_unused_goes_first() {
        let cache = Cache::new(100);
        for n in 0..10 {
            cache.get_or_load(id(n), || Ok((n, 25))).unwrap();
            cache.get_or_load(id(0), || Ok((n, 25))).unwrap();
            assert!(cache.bytes() <= 100);
        }
        let zero = cache.get_or_load(id(0), || Err(Error::new(Kind::Other, "gone"))).unwrap();
        assert_eq!(*zero, 0);
        assert!(cache.get_or_load(id(1), || Err(Error::new(Kind::Other, "gone"))).is_err());
    }

    #[test]
    fn what_is_over_the_budget_is_given_and_not_kept() {
        let cache = Cache::new(10);
        assert_eq!(*cache.get_or_load(id(1), || Ok((7, 11))).unwrap(), 7);
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn a_thing_wanted_by_many_is_loaded_once_and_a_failed_load_is_tried_again() {
        let cache = Cache::new(100);
        let loads = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    cache.get_or_load(id(1), || {
                        // The first load fails, for one of the threads alone.
                        if loads.fetch_add(1, Ordering::SeqCst) == 0 {
                            return Err(Error::new(Kind::Store, "away"));
                        }
                        Ok((5, 1))
                    })
                });
            }
        });
        assert_eq!(loads.load(Ordering::SeqCst), 2);
    }
}
