//! Finds out how far a store's create-only writes can be relied on. SPEC 10.4.
//!
//! Servers that ignore the condition, and servers that let several racing writers win, are common.
//! A probe can disprove, never prove: nothing that keeps data safe may rest on its answer.

use std::sync::{Barrier, Mutex, PoisonError};

use bytes::Bytes;
use repo_format::ObjectName;
use repo_format::id::to_hex;

use super::{Cause, CreateOnly, Error, Put, Result, Store, random_bytes};

/// Writers of the race.
const RACERS: usize = 8;

/// Probes a store with two names of its own, and removes them.
///
/// Fails when the store cannot be written at all. An object that cannot be removed, as on a store
/// that only takes additions, is left behind: its name means nothing to a repository.
pub fn create_only(store: &dyn Store) -> Result<CreateOnly> {
    let twice = probe_name()?;
    let answer = create_twice(store, &twice);
    let _ = store.delete(&twice);
    if !answer? {
        return Ok(CreateOnly::None);
    }
    let race = probe_name()?;
    let winners = race_to_create(store, &race);
    let _ = store.delete(&race);
    Ok(if winners? > 1 { CreateOnly::Racy } else { CreateOnly::Atomic })
}

/// Says whether a second create is refused.
fn create_twice(store: &dyn Store, name: &ObjectName) -> Result<bool> {
    store.put(name, Bytes::from_static(b"first probe\n"), Put::Create)?;
    match store.put(name, Bytes::from_static(b"second probe\n"), Put::Create) {
        Ok(()) => Ok(false),
        Err(error) if error.cause == Cause::AlreadyExists => Ok(true),
        Err(error) => Err(error),
    }
}

/// Lets several writers create one name at the same moment and counts those that succeed.
fn race_to_create(store: &dyn Store, name: &ObjectName) -> Result<usize> {
    let barrier = Barrier::new(RACERS);
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let race = |racer: usize| {
        // Different bytes, so that no layer takes another's object for its own.
        let bytes = Bytes::from(format!("racing probe {racer}\n"));
        barrier.wait();
        match store.put(name, bytes, Put::Create) {
            Ok(()) => true,
            Err(error) => {
                if error.cause != Cause::AlreadyExists {
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
                false
            }
        }
    };
    let winners = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS).map(|racer| scope.spawn(move || race(racer))).collect();
        racers.into_iter().filter_map(|racer| racer.join().ok()).filter(|won| *won).count()
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        // A racer may be turned away for the moment; with no winner at all something is wrong.
        Some(error) if winners == 0 => Err(error),
        _ => Ok(winners),
    }
}

fn probe_name() -> Result<ObjectName> {
    let name = format!("probe-{}", to_hex(&random_bytes::<8>()?));
    ObjectName::parse(&name).ok_or_else(|| Error::new(Cause::Other, "opening", name, "not a name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::faulty::{Fault, Faulty};
    use crate::store::{Listed, LocalStore, MemoryStore};

    /// A store that ignores, or races on, the condition.
    #[derive(Debug)]
    struct Careless(MemoryStore, Option<Barrier>);

    impl Store for Careless {
        fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
            if let (Some(barrier), Put::Create, true) =
                (&self.1, mode, bytes.starts_with(b"racing"))
            {
                let exists = self.0.get(name).is_ok();
                barrier.wait();
                if !exists {
                    return self.0.put(name, bytes, Put::Overwrite);
                }
            }
            let mode = if self.1.is_some() { mode } else { Put::Overwrite };
            self.0.put(name, bytes, mode)
        }
        fn get(&self, name: &ObjectName) -> Result<Bytes> {
            self.0.get(name)
        }
        fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
            self.0.get_range(name, offset, length)
        }
        fn size(&self, name: &ObjectName) -> Result<u64> {
            self.0.size(name)
        }
        fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
            self.0.list(prefix)
        }
        fn delete(&self, name: &ObjectName) -> Result<()> {
            self.0.delete(name)
        }
        fn describe(&self) -> String {
            "careless".to_owned()
        }
    }

    #[test]
    fn honest_stores_are_atomic_and_left_clean() {
        let memory = MemoryStore::new();
        assert_eq!(create_only(&memory).unwrap(), CreateOnly::Atomic);
        assert!(memory.names().is_empty());
        let folder = tempfile::tempdir().unwrap();
        let local = LocalStore::create(folder.path()).unwrap();
        assert_eq!(create_only(&local).unwrap(), CreateOnly::Atomic);
        assert!(local.list("").unwrap().is_empty());
    }

    #[test]
    fn a_store_that_overwrites_is_found_out() {
        let memory = MemoryStore::new();
        assert_eq!(create_only(&Careless(memory.clone(), None)).unwrap(), CreateOnly::None);
        assert!(memory.names().is_empty());
    }

    #[test]
    fn a_store_that_lets_several_writers_win_is_found_out() {
        let careless = Careless(MemoryStore::new(), Some(Barrier::new(RACERS)));
        assert_eq!(create_only(&careless).unwrap(), CreateOnly::Racy);
    }

    #[test]
    fn a_store_that_cannot_be_written_is_an_error() {
        let store = Faulty::new(MemoryStore::new());
        store.inject(0, Fault::ErrorBefore);
        assert_eq!(create_only(&store).unwrap_err().cause, Cause::Unavailable);
    }
}
