//! Random bytes that are the same in every run, for tests that must be repeatable; not compiled
//! into what is shipped.
//!
//! Each thread draws from a stream of its own, numbered in the order in which threads draw first,
//! so a run whose threads start in the same order draws the same.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

static SEED: AtomicU64 = AtomicU64::new(0);
/// 0 while nothing is pinned; otherwise a number that every pin changes.
static TURN: AtomicU64 = AtomicU64::new(0);
static TURNS: AtomicU64 = AtomicU64::new(0);
static STREAMS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static STREAM: RefCell<Option<(u64, blake3::OutputReader)>> = const { RefCell::new(None) };
}

/// Starts the random bytes of this process anew from a seed; without one they are random again.
///
/// No other thread of the process may draw meanwhile.
pub fn pin(seed: Option<u64>) {
    SEED.store(seed.unwrap_or(0), Ordering::SeqCst);
    STREAMS.store(0, Ordering::SeqCst);
    let turn = TURNS.fetch_add(1, Ordering::SeqCst) + 1;
    TURN.store(if seed.is_some() { turn } else { 0 }, Ordering::SeqCst);
}

/// Fills `out` where randomness is pinned.
pub(super) fn fill(out: &mut [u8]) -> bool {
    let turn = TURN.load(Ordering::Relaxed);
    if turn == 0 {
        return false;
    }
    STREAM.with_borrow_mut(|stream| {
        if stream.as_ref().is_none_or(|(of, _)| *of != turn) {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&SEED.load(Ordering::Relaxed).to_le_bytes());
            hasher.update(&STREAMS.fetch_add(1, Ordering::SeqCst).to_le_bytes());
            *stream = Some((turn, hasher.finalize_xof()));
        }
        if let Some((_, reader)) = stream {
            reader.fill(out);
        }
    });
    true
}
