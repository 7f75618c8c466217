//! Counts what a thread has allocated, so that a body can be held to a limit.
//!
//! The counts are kept by the thread itself, so tests beside each other do not meet; others are of
//! all threads together, for what works on several. What C code allocates is not seen.
#![expect(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering};

/// What a decoder may take: so many bytes for each of its input, and so many beside.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Bytes for each byte of input.
    pub per_byte: usize,
    /// Bytes beside.
    pub slack_bytes: usize,
}

/// The limit for what anyone can put into a store.
pub const STRANGER: Limit = Limit { per_byte: 4, slack_bytes: 1 << 20 };
/// The limit for what stood under a seal, so was made by someone with the keys: two bytes of a list
/// of holes are 40 in memory, and a list that grows is there twice; a list that claims to be long
/// is given up to 1 MiB before it is read, and lists lie in lists.
pub const KEY_HOLDER: Limit = Limit { per_byte: 80, slack_bytes: 4 << 20 };

impl Limit {
    /// Most bytes for an input.
    pub const fn bytes(self, input_bytes: usize) -> usize {
        self.per_byte * input_bytes + self.slack_bytes
    }
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

static ALL_NOW: AtomicIsize = AtomicIsize::new(0);
static ALL_PEAK: AtomicIsize = AtomicIsize::new(0);

fn count(change: isize) {
    let all = ALL_NOW.fetch_add(change, Ordering::Relaxed).wrapping_add(change);
    if change > 0 {
        ALL_PEAK.fetch_max(all, Ordering::Relaxed);
    }
    // A thread that is ending counts no more.
    let _ = NOW.try_with(|now| {
        now.set(now.get().wrapping_add(change));
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now.get())));
    });
}

/// Bytes of an allocation; none is larger than half the address space.
fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of it
// and allocates nothing, since the counters are constants that need no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller keeps the promises of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Old and new may both be there while bytes are copied.
        count(signed(new_size));
        count(-signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// Runs something and gives the most bytes that this thread had allocated for it at once.
pub fn peak_of<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.get();
    PEAK.set(before);
    let result = run();
    (result, usize::try_from(PEAK.get() - before).unwrap_or(0))
}

/// Runs something and gives the most bytes that all threads had allocated for it at once.
pub fn peak_of_all<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = ALL_NOW.load(Ordering::Relaxed);
    ALL_PEAK.store(before, Ordering::Relaxed);
    let result = run();
    (result, usize::try_from(ALL_PEAK.load(Ordering::Relaxed) - before).unwrap_or(0))
}

/// Runs a decoder on `input_bytes` bytes within a limit.
///
/// # Panics
/// Where it takes more.
pub fn within<T>(limit: Limit, input_bytes: usize, run: impl FnOnce() -> T) -> T {
    let (result, peak) = peak_of(run);
    let most = limit.bytes(input_bytes);
    assert!(peak <= most, "{peak} bytes were taken for an input of {input_bytes}");
    result
}
