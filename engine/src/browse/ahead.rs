//! Reading ahead: blobs that will be wanted soon are fetched, opened and checked by threads of
//! their own, in small steps, so that who reads in order finds them in the cache.
//!
//! Neighbours in a pack are fetched in one read. Whatever goes wrong here is left to the reader
//! that really wants the blob.

use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use repo_format::BlobId;
use repo_format::pack::BlobKind;

use super::view::{Caches, View};
use crate::error::Result;
use crate::repo::IndexedRepository;
use crate::repo::blobs::pack_name;
use crate::repo::index::Located;

/// Most stored bytes that one thread fetches in one step: little enough that the first reader need
/// not wait for the last blob.
const STEP_BYTES: u64 = 1 << 20;
/// Bytes between two frames that are cheaper to read than to ask again.
const GAP_BYTES: u64 = 64 << 10;
/// Steps that wait for a thread; what comes on top is not read ahead.
const STEPS_MAX: usize = 64;

struct Step {
    repo: IndexedRepository,
    caches: Arc<Caches>,
    /// Places in one pack, in order.
    places: Vec<Located>,
}

/// Threads that read ahead; they end when this and its clones are gone.
#[derive(Debug, Clone)]
pub struct Ahead {
    steps: Sender<Step>,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step").field("places", &self.places.len()).finish_non_exhaustive()
    }
}

impl Ahead {
    /// Starts so many threads.
    ///
    /// # Errors
    /// What keeps a thread from being started.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let (steps, queue) = bounded::<Step>(STEPS_MAX);
        for number in 0..threads.max(1) {
            let queue = queue.clone();
            let name = format!("ahead-{number}");
            std::thread::Builder::new().name(name).spawn(move || work(&queue))?;
        }
        Ok(Self { steps })
    }

    /// Asks for blobs, in the order in which they will be wanted; never waits.
    pub fn fetch(&self, view: &View, ids: &[BlobId]) {
        let mut places: Vec<Located> = ids
            .iter()
            .filter(|id| !view.caches().blobs.is_coming(**id))
            .filter_map(|id| view.repo().index().find(id))
            .filter(|located| located.entry.kind == BlobKind::Data)
            .collect();
        while !places.is_empty() {
            let step = next_step(&mut places);
            let caches = Arc::clone(view.caches());
            let step = Step { repo: view.repo().clone(), caches, places: step };
            if self.steps.try_send(step).is_err() {
                return;
            }
        }
    }
}

/// Takes the first place, and of the others those that one read can fetch with it.
fn next_step(places: &mut Vec<Located>) -> Vec<Located> {
    let mut step = vec![places.remove(0)];
    let pack = step[0].pack.hash;
    let start = u64::from(step[0].entry.offset);
    let mut end = start + u64::from(step[0].entry.stored_bytes);
    places.retain(|located| {
        let offset = u64::from(located.entry.offset);
        let is_near = located.pack.hash == pack
            && offset >= end
            && offset - end <= GAP_BYTES
            && offset + u64::from(located.entry.stored_bytes) - start <= STEP_BYTES;
        if is_near {
            end = offset + u64::from(located.entry.stored_bytes);
            step.push(located.clone());
        }
        !is_near
    });
    step
}

fn work(queue: &Receiver<Step>) {
    while let Ok(step) = queue.recv() {
        // The reader that wants the blob meets the same trouble and reports it.
        let _ = step.run();
    }
}

impl Step {
    fn run(&self) -> Result<()> {
        let mut claimed = Vec::new();
        for located in &self.places {
            if let Some(loading) = self.caches.blobs.begin(located.entry.id) {
                claimed.push((located, loading));
            }
        }
        let (Some((first, _)), Some((last, _))) = (claimed.first(), claimed.last()) else {
            return Ok(());
        };
        let start = u64::from(first.entry.offset);
        let end = u64::from(last.entry.offset) + u64::from(last.entry.stored_bytes);
        let name = pack_name(&first.pack);
        let bytes: Bytes = self.repo.store().get_range(&name, start, end - start)?;
        // Alone, the bytes are opened where they are.
        let mut all = bytes.try_into_mut().unwrap_or_else(|shared| shared[..].into());
        self.caches.with_reader(&self.repo, |reader| {
            for (located, loading) in claimed {
                let from = usize::try_from(u64::from(located.entry.offset) - start);
                let from = from.unwrap_or(usize::MAX);
                let to = from.saturating_add(located.entry.stored_bytes as usize);
                let Some(frame) = all.get_mut(from..to) else { continue };
                let mut plain = Vec::new();
                if reader.open(located, frame, &mut plain).is_ok() {
                    let held = plain.capacity();
                    loading.finish(plain, held);
                }
            }
            Ok(())
        })
    }
}
