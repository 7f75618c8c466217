//! A folder under way: places for its entries in order of their names, filled in any order.
//!
//! Entries go to the tree as soon as everything before them is there, so that memory follows what
//! is in flight and not the size of the folder. The last one to be filled closes the folder, and so
//! on upwards.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use repo_format::codec::Bytes;
use repo_format::tree::{Body, Entry, Metadata};

use super::run::Run;
use crate::error::Result;
use crate::repo::packer::Scratch;
use crate::repo::trees::{Directory, DirectoryBuilder};

/// Places that may wait for one before them, in one folder.
const WAITING_MAX: usize = 16_384;

#[derive(Debug)]
enum Place {
    Pending,
    /// Nothing comes here: it could not be read.
    Empty,
    Ready(Box<Entry>),
}

#[derive(Debug)]
struct State {
    /// Number of the first place that waits.
    first: u64,
    places: VecDeque<Place>,
    builder: Option<DirectoryBuilder>,
    is_closed: bool,
}

/// A folder under way.
#[derive(Debug)]
pub(super) struct Folder {
    /// Folder above, and the place there.
    above: Option<(Arc<Self>, u64)>,
    name: Vec<u8>,
    metadata: Metadata,
    state: Mutex<State>,
    moved: Condvar,
}

impl Folder {
    /// Starts a folder; the root has nothing above.
    pub(super) fn new(
        run: &Run<'_>,
        above: Option<(Arc<Self>, u64)>,
        name: &[u8],
        metadata: Metadata,
    ) -> Arc<Self> {
        let builder = Some(DirectoryBuilder::new(run.repo));
        let state = State { first: 0, places: VecDeque::new(), builder, is_closed: false };
        Arc::new(Self {
            above,
            name: name.to_vec(),
            metadata,
            state: Mutex::new(state),
            moved: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next place.
    pub(super) fn reserve(&self) -> u64 {
        let mut state = self.lock();
        state.places.push_back(Place::Pending);
        state.first + state.places.len() as u64 - 1
    }

    /// Says whether so many places wait that no more should be taken.
    pub(super) fn is_crowded(&self) -> bool {
        self.lock().places.len() >= WAITING_MAX
    }

    /// Waits until the folder is less crowded, or the run has failed.
    pub(super) fn wait_for_room(&self, run: &Run<'_>) {
        let mut state = self.lock();
        while state.places.len() >= WAITING_MAX && !run.queue.has_failed() {
            let wait = std::time::Duration::from_millis(200);
            state = self.moved.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Fills a place, and closes whatever is complete by that.
    pub(super) fn fill(
        self: &Arc<Self>,
        run: &Run<'_>,
        scratch: &mut Scratch,
        place: u64,
        entry: Option<Entry>,
    ) -> Result<()> {
        self.settle(run, scratch, |state| {
            let at = usize::try_from(place - state.first).unwrap_or(usize::MAX);
            if let Some(waiting) = state.places.get_mut(at) {
                *waiting = match entry {
                    Some(entry) => Place::Ready(Box::new(entry)),
                    None => Place::Empty,
                };
            }
        })
    }

    /// Says that no more places will be taken.
    pub(super) fn close(self: &Arc<Self>, run: &Run<'_>, scratch: &mut Scratch) -> Result<()> {
        self.settle(run, scratch, |state| state.is_closed = true)
    }

    /// Changes this folder, then moves on upwards as long as folders become complete.
    fn settle(
        self: &Arc<Self>,
        run: &Run<'_>,
        scratch: &mut Scratch,
        change: impl FnOnce(&mut State),
    ) -> Result<()> {
        let mut folder = Arc::clone(self);
        let mut finished = {
            let mut state = folder.lock();
            change(&mut state);
            folder.advance(state, run, scratch)?
        };
        while let Some(directory) = finished {
            let Some((above, place)) = &folder.above else {
                run.set_root(directory);
                return Ok(());
            };
            let entry = folder.entry(directory);
            let (above, place) = (Arc::clone(above), *place);
            finished = {
                let mut state = above.lock();
                let at = usize::try_from(place - state.first).unwrap_or(usize::MAX);
                if let Some(waiting) = state.places.get_mut(at) {
                    *waiting = Place::Ready(Box::new(entry));
                }
                above.advance(state, run, scratch)?
            };
            folder = above;
        }
        Ok(())
    }

    /// Hands on what is ready; gives the directory when the folder is complete.
    fn advance(
        &self,
        mut state: MutexGuard<'_, State>,
        run: &Run<'_>,
        scratch: &mut Scratch,
    ) -> Result<Option<Directory>> {
        while let Some(Place::Ready(_) | Place::Empty) = state.places.front() {
            let place = state.places.pop_front();
            state.first += 1;
            if let (Some(Place::Ready(entry)), Some(builder)) = (place, &mut state.builder) {
                builder.push(run.writer, scratch, &entry)?;
            }
        }
        self.moved.notify_all();
        if state.is_closed && state.places.is_empty() {
            let builder = state.builder.take();
            drop(state);
            return builder.map(|builder| builder.finish(run.writer, scratch)).transpose();
        }
        Ok(None)
    }

    fn entry(&self, directory: Directory) -> Entry {
        Entry {
            name: Bytes(self.name.clone()),
            metadata: self.metadata.clone(),
            body: Body::Directory {
                tree: directory.tree,
                entries: directory.entries,
                totals: directory.totals,
            },
        }
    }
}
