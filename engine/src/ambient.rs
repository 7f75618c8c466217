//! What every verb is given last: the clock, a place to report to, and a flag that stops it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Time of day. Only labels and policies read it; no correctness rule does.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Milliseconds since 1970 UTC.
    fn now_ms(&self) -> i64;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        jiff::Timestamp::now().as_millisecond()
    }
}

/// A flag that every loop asks; set once, never cleared.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the verb to finish what is in flight and stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Says whether it was asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What happened to one thing, as a verb goes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something was not as hoped and the verb goes on; the object and a line about it.
    Warning {
        /// Path or object, as bytes.
        object: Vec<u8>,
        /// What was wrong.
        message: String,
    },
    /// A file was handled, for verbose output; the word says how: new, changed, unchanged.
    File {
        /// Path.
        path: Vec<u8>,
        /// How it was handled.
        action: &'static str,
    },
    /// A new step of the verb began.
    Step(&'static str),
}

type Listener = Box<dyn Fn(&Event) + Send + Sync>;

/// Counters of a running verb, read by whoever shows them, and a listener for single events.
#[derive(Default)]
pub struct Progress {
    /// Things to handle, as far as known.
    pub files_total: AtomicU64,
    /// Bytes to handle, as far as known.
    pub bytes_total: AtomicU64,
    /// Things handled.
    pub files_done: AtomicU64,
    /// Bytes handled.
    pub bytes_done: AtomicU64,
    /// Bytes sent to the store.
    pub bytes_stored: AtomicU64,
    /// Things that could not be handled.
    pub errors: AtomicU64,
    current: Mutex<Vec<u8>>,
    listener: Option<Listener>,
    /// Whether [`Event::File`] is wanted; it costs a call a file.
    pub is_verbose: bool,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("files_done", &self.files_done).finish_non_exhaustive()
    }
}

impl Progress {
    /// Makes counters whose events go to `listener`.
    pub fn new(is_verbose: bool, listener: Listener) -> Self {
        Self { listener: Some(listener), is_verbose, ..Self::default() }
    }

    /// Tells the listener.
    pub fn event(&self, event: &Event) {
        if let Event::Warning { .. } = event {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }

    /// Tells of something that was not as hoped.
    pub fn warn(&self, object: &[u8], message: impl Into<String>) {
        self.event(&Event::Warning { object: object.to_vec(), message: message.into() });
    }

    /// Counts things and bytes handled.
    pub fn done(&self, files: u64, bytes: u64) {
        self.files_done.fetch_add(files, Ordering::Relaxed);
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Remembers what is being handled, for display.
    pub fn set_current(&self, path: &[u8]) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clear();
        current.extend_from_slice(path);
    }

    /// What is being handled.
    pub fn current(&self) -> Vec<u8> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Clock, progress and cancel together: always the last argument of a verb.
#[derive(Debug, Clone)]
pub struct Ambient {
    /// Time of day.
    pub clock: Arc<dyn Clock>,
    /// Where to report to.
    pub progress: Arc<Progress>,
    /// Whether to stop.
    pub cancel: Cancel,
}

impl Default for Ambient {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            progress: Arc::new(Progress::default()),
            cancel: Cancel::default(),
        }
    }
}

impl Ambient {
    /// Fails with an interruption when the verb was asked to stop.
    pub fn go_on(&self) -> crate::Result<()> {
        if self.cancel.is_cancelled() {
            Err(crate::Error::new(crate::error::Kind::Interrupted, "interrupted"))
        } else {
            Ok(())
        }
    }
}
