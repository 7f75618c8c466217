//! Repeats calls that may succeed later, a bounded number of times, with growing pauses.
//!
//! A write whose outcome is unknown is never believed: the object is read back and compared (O-9).
//! The store below must not repeat writes by itself, else this layer could not tell its own object
//! from somebody else's.

use std::time::Duration;

use bytes::Bytes;
use repo_format::ObjectName;

use crate::store::{Cause, Error, Listed, Put, Result, Store, Traits, random_bytes};

/// How often and how patiently to repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// Pause before the second attempt; it doubles before each further one.
    pub first_pause: Duration,
    /// Longest pause of this layer's own choice.
    pub longest_pause: Duration,
    /// Longest pause that a store may ask for; one that asks for more gets no further attempt.
    pub longest_asked: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 8,
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(30),
            longest_asked: Duration::from_mins(10),
        }
    }
}

impl RetryPolicy {
    /// Pause after the failed attempt number `attempt`, counted from 1, or `None` to give up.
    ///
    /// `jitter` spreads the pauses of many clients: of 256 steps, each as likely, it takes the
    /// pause between one half and all of its length. A pause that the store asks for is a lower
    /// bound and is never cut.
    pub fn pause(&self, attempt: u32, error: &Error, jitter: u8) -> Option<Duration> {
        if attempt >= self.attempts || !error.is_retryable() {
            return None;
        }
        let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        let pause = self.first_pause.saturating_mul(doubled).min(self.longest_pause);
        let pause = pause / 2 + (pause / 512).saturating_mul(u32::from(jitter));
        match error.retry_after {
            Some(asked) if asked > self.longest_asked => None,
            Some(asked) => Some(asked.saturating_add(pause)),
            None => Some(pause),
        }
    }
}

/// A store whose passing failures are repeated.
pub struct Retry<S> {
    inner: S,
    policy: RetryPolicy,
    wait: Box<dyn Fn(Duration) + Send + Sync>,
}

impl<S: Store> Retry<S> {
    /// Wraps a store; pauses block the calling thread.
    pub fn new(inner: S, policy: RetryPolicy) -> Self {
        Self::with_wait(inner, policy, std::thread::sleep)
    }

    /// Wraps a store; `wait` is called for every pause.
    pub fn with_wait(
        inner: S,
        policy: RetryPolicy,
        wait: impl Fn(Duration) + Send + Sync + 'static,
    ) -> Self {
        Self { inner, policy, wait: Box::new(wait) }
    }

    fn repeat<T>(&self, call: impl Fn() -> Result<T>) -> Result<T> {
        repeat(self.policy, &*self.wait, |_| call())
    }

    /// Says whether the object is there with exactly these bytes; `None` when it is not there.
    fn read_back(&self, name: &ObjectName, bytes: &Bytes) -> Result<Option<bool>> {
        // The length alone often settles it, without a transfer.
        match self.inner.size(name) {
            Ok(size) if size != bytes.len() as u64 => return Ok(Some(false)),
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        }
        match self.inner.get(name) {
            Ok(found) => Ok(Some(found == *bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Calls `call` with the number of the attempt until it succeeds or `policy` gives up.
fn repeat<T>(
    policy: RetryPolicy,
    wait: &dyn Fn(Duration),
    mut call: impl FnMut(u32) -> Result<T>,
) -> Result<T> {
    let mut attempt = 1;
    loop {
        let error = match call(attempt) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let jitter = random_bytes::<1>().map_or(128, |[byte]| byte);
        match policy.pause(attempt, &error, jitter) {
            Some(pause) => wait(pause),
            None if attempt > 1 && error.is_retryable() => {
                let message = format!("{} (gave up after {attempt} attempts)", error.message);
                return Err(Error { message, ..error });
            }
            None => return Err(error),
        }
        attempt += 1;
    }
}

impl<S: Store> Store for Retry<S> {
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
        // Once one attempt may have happened, an object that exists may be our own.
        let mut may_be_ours = false;
        repeat(self.policy, &*self.wait, |_| {
            let error = match self.inner.put(name, bytes.clone(), mode) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let exists = error.cause == Cause::AlreadyExists;
            let is_unsure = error.cause == Cause::Ambiguous || (exists && may_be_ours);
            may_be_ours |= error.is_retryable();
            if !is_unsure {
                return Err(error);
            }
            if planted!(DoubtIsDone) {
                return Ok(());
            }
            if planted!(DoubtIsFailed) {
                return Err(Error { cause: Cause::Other, ..error });
            }
            match self.read_back(name, &bytes) {
                Ok(Some(true)) => Ok(()),
                Ok(Some(false)) if mode == Put::Create => Err(Error::new(
                    Cause::AlreadyExists,
                    "writing",
                    name.as_str(),
                    "exists already, with other bytes",
                )),
                // Whatever was seen, only an attempt with a known outcome ends this.
                Ok(_) | Err(_) => Err(Error { cause: Cause::Ambiguous, ..error }),
            }
        })
    }

    fn get(&self, name: &ObjectName) -> Result<Bytes> {
        self.repeat(|| self.inner.get(name))
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
        self.repeat(|| self.inner.get_range(name, offset, length))
    }

    fn size(&self, name: &ObjectName) -> Result<u64> {
        self.repeat(|| self.inner.size(name))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        self.repeat(|| self.inner.list(prefix))
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        self.repeat(|| self.inner.delete(name))
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

impl<S: std::fmt::Debug> std::fmt::Debug for Retry<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retry")
            .field("inner", &self.inner)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::store::faulty::{Fault, Faulty};
    use crate::store::{LocalStore, MemoryStore, conformance};

    type Pauses = Arc<Mutex<Vec<Duration>>>;

    fn retrying(faults: &[(u64, Fault)]) -> (Retry<Faulty<MemoryStore>>, MemoryStore, Pauses) {
        let memory = MemoryStore::new();
        let faulty = Faulty::new(memory.clone());
        for (call, fault) in faults {
            faulty.inject(*call, *fault);
        }
        let pauses = Pauses::default();
        let seen = Arc::clone(&pauses);
        let wait = move |pause| seen.lock().unwrap().push(pause);
        (Retry::with_wait(faulty, RetryPolicy::default(), wait), memory, pauses)
    }

    fn name() -> ObjectName {
        ObjectName::parse("packs/ab/1").unwrap()
    }

    const BYTES: Bytes = Bytes::from_static(b"some bytes");

    #[test]
    fn every_promise_is_kept() {
        let policy = RetryPolicy::default();
        conformance::run_all(&Retry::new(MemoryStore::new(), policy)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let local = LocalStore::create(folder.path()).unwrap();
        conformance::run_all(&Retry::new(local, policy)).unwrap();
    }

    #[test]
    fn passing_failures_are_repeated_with_growing_pauses() {
        let faults = [(0, Fault::ErrorBefore), (1, Fault::ErrorBefore), (2, Fault::ErrorBefore)];
        let (store, memory, pauses) = retrying(&faults);
        store.put(&name(), BYTES, Put::Create).unwrap();
        assert_eq!(memory.names().len(), 1);
        let pauses = pauses.lock().unwrap();
        assert_eq!(pauses.len(), 3);
        for (pause, longest) in pauses.iter().zip([250, 500, 1000]) {
            assert!((longest / 2..=longest).contains(&pause.as_millis()), "{pause:?}");
        }
    }

    #[test]
    fn an_ambiguous_write_that_happened_is_read_back_and_believed() {
        for mode in [Put::Create, Put::Overwrite] {
            let (store, memory, pauses) = retrying(&[(0, Fault::ErrorAfter)]);
            store.put(&name(), BYTES, mode).unwrap();
            assert_eq!(memory.get(&name()).unwrap(), BYTES);
            assert!(pauses.lock().unwrap().is_empty());
        }
    }

    #[test]
    fn an_ambiguous_write_that_did_not_happen_is_repeated() {
        let (store, memory, _) = retrying(&[(0, Fault::Ambiguous)]);
        store.put(&name(), BYTES, Put::Create).unwrap();
        assert_eq!(memory.get(&name()).unwrap(), BYTES);
    }

    #[test]
    fn a_torn_write_is_not_taken_for_the_object() {
        let (store, memory, _) = retrying(&[(0, Fault::TornPut)]);
        store.put(&name(), BYTES, Put::Overwrite).unwrap();
        assert_eq!(memory.get(&name()).unwrap(), BYTES);
        // A create may not replace it, and must not call it done.
        let (store, _, _) = retrying(&[(0, Fault::TornPut)]);
        let error = store.put(&name(), BYTES, Put::Create).unwrap_err();
        assert_eq!(error.cause, Cause::AlreadyExists);
    }

    #[test]
    fn a_create_that_meets_its_own_object_succeeds() {
        // The first attempt happens but is reported as not answered; the second meets its object.
        let (store, _, _) = retrying(&[(0, Fault::ErrorAfterUnavailable)]);
        store.put(&name(), BYTES, Put::Create).unwrap();
    }

    #[test]
    fn a_create_that_meets_somebody_elses_object_fails() {
        let (store, memory, pauses) = retrying(&[]);
        memory.put(&name(), BYTES, Put::Create).unwrap();
        // Even the same bytes: no attempt of ours was in doubt.
        let error = store.put(&name(), BYTES, Put::Create).unwrap_err();
        assert_eq!(error.cause, Cause::AlreadyExists);
        let (store, memory, _) = retrying(&[(0, Fault::Ambiguous)]);
        memory.put(&name(), Bytes::from_static(b"others"), Put::Create).unwrap();
        let error = store.put(&name(), BYTES, Put::Create).unwrap_err();
        assert_eq!(error.cause, Cause::AlreadyExists);
        assert!(pauses.lock().unwrap().is_empty());
    }

    #[test]
    fn attempts_are_bounded_and_counted() {
        let faults: Vec<_> = (0..100).map(|call| (call, Fault::ErrorBefore)).collect();
        let (store, _, pauses) = retrying(&faults);
        let error = store.get(&name()).unwrap_err();
        assert_eq!(error.cause, Cause::Unavailable);
        assert!(error.message.contains("8 attempts"), "{error}");
        assert_eq!(pauses.lock().unwrap().len(), 7);
        assert_eq!(store.inner.calls(), 8);
    }

    #[test]
    fn lasting_failures_are_not_repeated() {
        let (store, _, pauses) = retrying(&[]);
        assert!(store.get(&name()).unwrap_err().is_not_found());
        assert!(pauses.lock().unwrap().is_empty());
    }

    #[test]
    fn a_pause_that_the_store_asks_for_is_kept() {
        let policy = RetryPolicy::default();
        let mut error = Error::new(Cause::Throttled, "reading", "x", "slow down");
        error.retry_after = Some(Duration::from_secs(77));
        let pause = policy.pause(1, &error, 0).unwrap();
        assert!(pause >= Duration::from_secs(77) && pause < Duration::from_secs(79));
        error.retry_after = Some(Duration::from_secs(601));
        assert_eq!(policy.pause(1, &error, 0), None);
        assert_eq!(policy.pause(8, &Error::new(Cause::Throttled, "reading", "x", ""), 0), None);
        let late = policy.pause(7, &Error::new(Cause::Throttled, "reading", "x", ""), 255).unwrap();
        assert!(late <= policy.longest_pause);
    }
}
