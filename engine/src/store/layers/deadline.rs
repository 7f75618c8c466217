//! Gives up on a read that takes too long, for callers that must answer in time.
//!
//! The call itself goes on in a thread of its own and its outcome is dropped. For a while after
//! that, further reads fail at once, so that many waiting callers are not served one after another.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use repo_format::ObjectName;

use crate::store::{Cause, Error, Listed, Put, Result, Store, Traits};

/// Calls that may be under way at once, those that were given up among them.
const CALLS_MAX: usize = 128;

/// A store whose reads end in time, one way or the other. Writes are passed on as they are: what
/// becomes of one must be known.
#[derive(Debug, Clone)]
pub struct Deadline {
    inner: Arc<dyn Store>,
    patience: Duration,
    /// After a read that was given up, for how long others are not even tried.
    pause: Duration,
    silent_since: Arc<Mutex<Option<Instant>>>,
    calls: Arc<AtomicUsize>,
}

/// Counts a call for as long as it is under way.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Deadline {
    /// Wraps a store whose reads are given up after `patience`.
    pub fn new(inner: Arc<dyn Store>, patience: Duration, pause: Duration) -> Self {
        Self { inner, patience, pause, silent_since: Arc::default(), calls: Arc::default() }
    }

    fn silent_since(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.silent_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<T: Send + 'static>(
        &self,
        action: &'static str,
        object: &str,
        read: impl FnOnce(&dyn Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let silent = |message: String| Err(Error::new(Cause::Unavailable, action, object, message));
        if self.silent_since().is_some_and(|since| since.elapsed() < self.pause) {
            return silent("the store has not answered for a while".to_owned());
        }
        let counted = Counted(Arc::clone(&self.calls));
        if self.calls.fetch_add(1, Ordering::SeqCst) >= CALLS_MAX {
            return silent(format!("{CALLS_MAX} calls wait for the store already"));
        }
        let (sender, answer) = channel();
        let inner = Arc::clone(&self.inner);
        let started = std::thread::Builder::new().name("read".into()).spawn(move || {
            let _counted = counted;
            // Nobody listens any more to a call that was given up.
            let _ = sender.send(read(&*inner));
        });
        if let Err(error) = started {
            return Err(Error::new(Cause::Other, action, object, error.to_string()));
        }
        match answer.recv_timeout(self.patience) {
            Ok(result) => {
                *self.silent_since() = None;
                result
            }
            Err(RecvTimeoutError::Timeout) => {
                *self.silent_since() = Some(Instant::now());
                silent(format!("no answer within {} s", self.patience.as_secs()))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::new(Cause::Other, action, object, "the call ended without an answer"))
            }
        }
    }
}

impl Store for Deadline {
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
        self.inner.put(name, bytes, mode)
    }
    fn get(&self, name: &ObjectName) -> Result<Bytes> {
        let own = name.clone();
        self.call("reading", name.as_str(), move |store| store.get(&own))
    }
    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
        let own = name.clone();
        self.call("reading", name.as_str(), move |store| store.get_range(&own, offset, length))
    }
    fn size(&self, name: &ObjectName) -> Result<u64> {
        let own = name.clone();
        self.call("reading", name.as_str(), move |store| store.size(&own))
    }
    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let own = prefix.to_owned();
        self.call("listing", prefix, move |store| store.list(&own))
    }
    fn delete(&self, name: &ObjectName) -> Result<()> {
        self.inner.delete(name)
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
    use crate::store::MemoryStore;
    use std::sync::Condvar;

    /// A store whose reads wait until they are let go.
    #[derive(Debug, Default)]
    struct Stuck {
        inner: MemoryStore,
        waits: Mutex<bool>,
        changed: Condvar,
        reads: AtomicUsize,
    }

    impl Stuck {
        fn set(&self, is_stuck: bool) {
            *self.waits.lock().unwrap() = is_stuck;
            self.changed.notify_all();
        }
    }

    impl Store for Stuck {
        fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
            self.inner.put(name, bytes, mode)
        }
        fn get(&self, name: &ObjectName) -> Result<Bytes> {
            self.reads.fetch_add(1, Ordering::SeqCst);
            let stuck = self.waits.lock().unwrap();
            drop(self.changed.wait_while(stuck, |stuck| *stuck).unwrap());
            self.inner.get(name)
        }
        fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
            self.inner.get_range(name, offset, length)
        }
        fn size(&self, name: &ObjectName) -> Result<u64> {
            self.inner.size(name)
        }
        fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
            self.inner.list(prefix)
        }
        fn delete(&self, name: &ObjectName) -> Result<()> {
            self.inner.delete(name)
        }
        fn describe(&self) -> String {
            self.inner.describe()
        }
    }

    #[test]
    fn a_silent_store_is_given_up_and_an_answering_one_is_asked_again() {
        let stuck = Arc::new(Stuck::default());
        let name = ObjectName::marker();
        stuck.put(&name, Bytes::from_static(b"here"), Put::Create).unwrap();
        let patience = Duration::from_millis(20);
        let store = Deadline::new(stuck.clone(), patience, Duration::from_hours(1));
        stuck.set(true);
        assert_eq!(store.get(&name).unwrap_err().cause, Cause::Unavailable);
        // Nobody asks a store that has just been silent.
        assert_eq!(store.get(&name).unwrap_err().cause, Cause::Unavailable);
        assert_eq!(stuck.reads.load(Ordering::SeqCst), 1);
        stuck.set(false);
        let store = Deadline::new(stuck.clone(), Duration::from_hours(1), Duration::ZERO);
        assert_eq!(&store.get(&name).unwrap()[..], b"here");
    }
}
