//! Keeps the bytes sent and received within limits, over all threads together.
//!
//! Each direction is one queue of reservations: a call whose length is known waits for its turn
//! before it starts; one whose length is only known afterwards delays those that follow.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use repo_format::ObjectName;

use crate::store::{Listed, Put, Result, Store, Traits};

/// Bytes a second in each direction; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes a second to the store.
    pub upload: Option<u64>,
    /// Bytes a second from the store.
    pub download: Option<u64>,
}

/// What the layer knows of time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Time since some fixed moment.
    fn now(&self) -> Duration;
    /// Blocks the calling thread.
    fn wait(&self, pause: Duration);
}

/// The clock of this machine.
#[derive(Debug)]
pub struct MachineClock(Instant);

impl Default for MachineClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
    fn wait(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

/// A store that sends and receives no faster than told.
///
/// The limits hold on average: one object goes at the speed of the line, then the line rests.
#[derive(Debug)]
pub struct Throttle<S, C = MachineClock> {
    inner: S,
    clock: C,
    upload: Option<Lane>,
    download: Option<Lane>,
}

#[derive(Debug)]
struct Lane {
    bytes_per_second: u64,
    free_at: Mutex<Duration>,
}

impl Lane {
    fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), free_at: Mutex::default() }
    }

    /// Takes the lane for `bytes` and says how long to wait until it is free for them.
    fn reserve(&self, bytes: u64, now: Duration) -> Duration {
        let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        let taken = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let start = now.max(*free_at);
        *free_at = start.saturating_add(taken);
        start.saturating_sub(now)
    }
}

impl<S: Store> Throttle<S> {
    /// Wraps a store; waits block the calling thread.
    pub fn new(inner: S, limits: Limits) -> Self {
        Self::with_clock(inner, limits, MachineClock::default())
    }
}

impl<S: Store, C: Clock> Throttle<S, C> {
    /// Wraps a store, with a clock of the caller's.
    pub fn with_clock(inner: S, limits: Limits, clock: C) -> Self {
        let upload = limits.upload.map(Lane::new);
        let download = limits.download.map(Lane::new);
        Self { inner, clock, upload, download }
    }

    fn pass(&self, lane: Option<&Lane>, bytes: u64) {
        if let Some(lane) = lane {
            let pause = lane.reserve(bytes, self.clock.now());
            if !pause.is_zero() {
                self.clock.wait(pause);
            }
        }
    }
}

impl<S: Store, C: Clock> Store for Throttle<S, C> {
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
        self.pass(self.upload.as_ref(), bytes.len() as u64);
        self.inner.put(name, bytes, mode)
    }

    fn get(&self, name: &ObjectName) -> Result<Bytes> {
        self.pass(self.download.as_ref(), 0);
        let bytes = self.inner.get(name)?;
        if let Some(lane) = &self.download {
            lane.reserve(bytes.len() as u64, self.clock.now());
        }
        Ok(bytes)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
        // A range that is refused would otherwise block the lane for ages.
        self.pass(self.download.as_ref(), 0);
        let bytes = self.inner.get_range(name, offset, length)?;
        if let Some(lane) = &self.download {
            lane.reserve(bytes.len() as u64, self.clock.now());
        }
        Ok(bytes)
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

    /// A clock that moves only when somebody waits.
    #[derive(Debug, Default)]
    struct Pinned(Mutex<Duration>);

    impl Clock for Pinned {
        fn now(&self) -> Duration {
            *self.0.lock().unwrap()
        }
        fn wait(&self, pause: Duration) {
            *self.0.lock().unwrap() += pause;
        }
    }

    fn name(text: &str) -> ObjectName {
        ObjectName::parse(text).unwrap()
    }

    #[test]
    fn every_promise_is_kept() {
        let limits = Limits { upload: Some(1000), download: Some(1000) };
        let memory = Throttle::with_clock(MemoryStore::new(), limits, Pinned::default());
        conformance::run_all(&memory).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let local = LocalStore::create(folder.path()).unwrap();
        conformance::run_all(&Throttle::new(local, Limits::default())).unwrap();
    }

    #[test]
    fn uploads_and_downloads_keep_to_their_own_limits() {
        let limits = Limits { upload: Some(100), download: Some(1000) };
        let store = Throttle::with_clock(MemoryStore::new(), limits, Pinned::default());
        for i in 0..5 {
            store.put(&name(&format!("a/{i}")), Bytes::from(vec![0; 200]), Put::Create).unwrap();
        }
        // The first goes at once, each further one after 200 bytes at 100 a second.
        assert_eq!(store.clock.now(), Duration::from_secs(8));
        for i in 0..5 {
            store.get(&name(&format!("a/{i}"))).unwrap();
            store.get_range(&name(&format!("a/{i}")), 0, 50).unwrap();
        }
        assert_eq!(store.clock.now(), Duration::from_millis(8000 + 4 * 200 + 4 * 50 + 200));
    }

    #[test]
    fn an_idle_line_saves_nothing_up() {
        let limits = Limits { upload: Some(100), download: None };
        let store = Throttle::with_clock(MemoryStore::new(), limits, Pinned::default());
        store.clock.wait(Duration::from_secs(1000));
        for i in 0..2 {
            store.put(&name(&format!("a/{i}")), Bytes::from(vec![0; 100]), Put::Create).unwrap();
        }
        assert_eq!(store.clock.now(), Duration::from_secs(1001));
    }

    #[test]
    fn hostile_numbers_do_not_overflow() {
        let lane = Lane::new(0);
        assert_eq!(lane.reserve(u64::MAX, Duration::ZERO), Duration::ZERO);
        assert!(lane.reserve(u64::MAX, Duration::ZERO) > Duration::from_secs(1 << 30));
        lane.reserve(u64::MAX, Duration::MAX);
    }
}
