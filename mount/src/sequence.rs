//! Notices who reads in order, and has the next bytes fetched before they are asked for: the rest
//! of a long file, or the files behind a short one in its directory.
//!
//! Who reads here and there gets nothing ahead: it would be work for nobody.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use engine::browse::View;
use engine::browse::ahead::Ahead;
use repo_format::BlobId;
use repo_format::tree::{Body, Entry};

use crate::inodes::Folder;

/// Bytes of a long file that are fetched ahead.
const WINDOW_BYTES: u64 = 4 << 20;
/// Bytes by which a call may come too early or too late, since several are under way at once.
const SLACK_BYTES: u64 = 1 << 20;
/// Files up to this length are taken to be read whole, one after another.
const SHORT_BYTES: u64 = 1 << 20;
/// Bytes of short files that are fetched ahead, and most entries that are looked at for them.
const SHORT_WINDOW_BYTES: u64 = 3 << 20;
const SHORT_WINDOW_ENTRIES: u64 = 256;
/// Entries that a reader may pass over and still be said to read in order.
const PASSED_OVER: u64 = 16;
/// Long files whose readers are remembered.
const FILES_MAX: usize = 256;

#[derive(Debug, Clone, Copy, Default)]
struct Reader {
    /// Behind the last byte that was read.
    at: u64,
    /// Up to here was asked for ahead.
    asked_to: u64,
}

/// Readers of long files.
#[derive(Debug)]
pub(crate) struct Sequences {
    ahead: Ahead,
    readers: Mutex<HashMap<u64, Reader>>,
}

impl Sequences {
    /// Starts without any reader.
    pub(crate) fn new(ahead: Ahead) -> Self {
        Self { ahead, readers: Mutex::default() }
    }

    /// Notes that a range of a file, known by its number, is read.
    pub(crate) fn note(&self, number: u64, view: &View, entry: &Entry, offset: u64, length: u64) {
        let Body::File { size, .. } = entry.body else { return };
        let end = offset.saturating_add(length).min(size);
        if end >= size && offset == 0 {
            return;
        }
        let range = {
            let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
            if readers.len() >= FILES_MAX && !readers.contains_key(&number) {
                readers.clear();
            }
            let is_new = !readers.contains_key(&number);
            let reader = readers.entry(number).or_default();
            let is_in_order = if is_new {
                offset == 0
            } else {
                offset <= reader.at.saturating_add(SLACK_BYTES)
                    && end.saturating_add(SLACK_BYTES) >= reader.at
            };
            if is_in_order {
                reader.at = reader.at.max(end);
            } else {
                *reader = Reader { at: end, asked_to: end };
            }
            let wanted = reader.at.saturating_add(WINDOW_BYTES).min(size);
            let from = reader.asked_to.max(reader.at);
            // Half a window at a time: steps that pay, and none for every call.
            let is_due = is_in_order
                && wanted > from
                && (from.saturating_sub(reader.at) <= WINDOW_BYTES / 2);
            is_due.then(|| {
                reader.asked_to = wanted;
                (from, wanted)
            })
        };
        if let Some((from, to)) = range
            && let Ok(ids) = view.blobs_between(entry, from, to)
        {
            self.ahead.fetch(view, &ids);
        }
    }

    /// Notes that a file of a directory is read from its beginning.
    pub(crate) fn note_file(&self, folder: &Folder, view: &View, place: u64, size: u64) {
        if size > SHORT_BYTES {
            folder.read_to.store(place + 1, Ordering::Relaxed);
            return;
        }
        let before = folder.read_to.swap(place + 1, Ordering::Relaxed);
        let is_in_order = place >= before.saturating_sub(PASSED_OVER / 2)
            && place <= before.saturating_add(PASSED_OVER);
        if !is_in_order {
            folder.asked_to.store(place + 1, Ordering::Relaxed);
            folder.due_at.store(place + 1, Ordering::Relaxed);
            return;
        }
        if place < folder.due_at.load(Ordering::Relaxed) {
            return;
        }
        let from = folder.asked_to.load(Ordering::Relaxed).max(place + 1);
        let (mut bytes, mut to) = (0, from);
        let mut ids: Vec<BlobId> = Vec::new();
        let known = view.visit(folder.tree, place + 1, |at, entry| {
            let size = match entry.body {
                Body::File { size, .. } if size <= SHORT_BYTES => size,
                _ => 0,
            };
            bytes += size;
            to = at + 1;
            if at >= from
                && size > 0
                && let Ok(more) = view.blobs_between(entry, 0, size)
            {
                ids.extend(more);
            }
            bytes < SHORT_WINDOW_BYTES && at - place < SHORT_WINDOW_ENTRIES
        });
        // Again when half of what was asked for is behind.
        folder.asked_to.store(to.max(from), Ordering::Relaxed);
        folder.due_at.store(place + 1 + to.saturating_sub(place) / 2, Ordering::Relaxed);
        ids.dedup();
        if known.is_ok() && !ids.is_empty() {
            self.ahead.fetch(view, &ids);
        }
    }
}
