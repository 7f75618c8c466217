//! The snapshots of a repository for someone who keeps looking: new ones appear, and views follow
//! packs that a prune has moved.
//!
//! The history is read again at most once in [`EVERY`], by a thread of its own, and only when its
//! listing has changed; a store that does not answer leaves what is known.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use repo_format::object_name::prefix;
use repo_format::tree::LinkGroup;
use repo_format::{ObjectName, SnapshotId};

use super::links;
use super::standing::{self, Standing};
use super::{Caches, Selector, View};
use crate::Ambient;
use crate::error::Result;
use crate::repo::history::{History, Taken};
use crate::repo::{IndexedRepository, Repository};

/// Shortest time between two looks at the history, or two at the index.
pub const EVERY: Duration = Duration::from_secs(2);
/// Longest time that someone who asks for the snapshots waits for a look.
const PATIENCE: Duration = Duration::from_secs(2);

/// One snapshot, with what is known of it.
#[derive(Debug)]
pub struct Seen {
    /// The snapshot.
    pub taken: Arc<Taken>,
    /// What the history said about it at the last look.
    standing: RwLock<Standing>,
    view: RwLock<Arc<View>>,
    /// Names of each file that has several, once they were counted.
    links: Mutex<Option<HashMap<LinkGroup, u32>>>,
}

fn read<T: Clone>(lock: &RwLock<T>) -> T {
    lock.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn write<T>(lock: &RwLock<T>, value: T) {
    *lock.write().unwrap_or_else(PoisonError::into_inner) = value;
}

impl Seen {
    /// A view of it over the newest index.
    pub fn view(&self) -> Arc<View> {
        read(&self.view)
    }

    /// What the history says about it.
    pub fn standing(&self) -> Standing {
        read(&self.standing)
    }

    /// Names that a file with several names has in the snapshot; counted once, by a walk over all
    /// of it, as far as [`links::ENTRIES_MAX`] goes: behind that a file has two.
    pub fn names_of(&self, group: LinkGroup) -> u32 {
        let mut counts = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.is_none() {
            // A store that does not answer is asked again the next time.
            *counts = links::count(&self.view());
        }
        let known = counts.as_ref().and_then(|counts| counts.get(&group).copied());
        known.unwrap_or(2).max(1)
    }
}

/// The snapshots at one time, oldest first.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// All that fit.
    pub list: Vec<Arc<Seen>>,
    /// Counts up whenever the list changes.
    pub generation: u64,
}

#[derive(Debug)]
struct Look {
    last: Instant,
    is_running: bool,
    last_index: Option<Instant>,
    names: BTreeSet<ObjectName>,
}

/// The snapshots that fit a selection, as they come.
#[derive(Debug)]
pub struct Catalog {
    repo: Repository,
    selector: Selector,
    only: Option<SnapshotId>,
    ambient: Ambient,
    caches: Arc<Caches>,
    indexed: RwLock<IndexedRepository>,
    snapshots: RwLock<Arc<Snapshots>>,
    look: Mutex<Look>,
    looked: Condvar,
}

impl Catalog {
    /// Starts with a history and an index read after it (O-7); `only` narrows it to one snapshot.
    ///
    /// # Errors
    /// What keeps the history from being listed.
    pub fn new(
        indexed: &IndexedRepository,
        history: &History,
        selector: Selector,
        only: Option<SnapshotId>,
        caches: Arc<Caches>,
        ambient: &Ambient,
    ) -> Result<Arc<Self>> {
        let look = Look {
            last: Instant::now(),
            is_running: false,
            last_index: None,
            // Known records only, so that one that came meanwhile is seen as new.
            names: history.records().iter().map(|record| record.name.clone()).collect(),
        };
        let repo: &Repository = indexed;
        let catalog = Self {
            repo: repo.clone(),
            selector,
            only,
            ambient: ambient.clone(),
            caches,
            indexed: RwLock::new(indexed.clone()),
            snapshots: RwLock::default(),
            look: Mutex::new(look),
            looked: Condvar::new(),
        };
        catalog.take_over(indexed, history);
        Ok(Arc::new(catalog))
    }

    fn look(&self) -> MutexGuard<'_, Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The snapshots as of the last look.
    pub fn known(&self) -> Arc<Snapshots> {
        read(&self.snapshots)
    }

    /// The snapshots; looks again where the last look is long ago, and waits a little for it.
    pub fn current(self: &Arc<Self>) -> Arc<Snapshots> {
        let mut look = self.look();
        if !look.is_running && look.last.elapsed() >= EVERY {
            look.is_running = true;
            let catalog = Arc::clone(self);
            let started = std::thread::Builder::new().name("history".into()).spawn(move || {
                if let Err(error) = catalog.look_again() {
                    let what = format!("new snapshots are not seen: {error}");
                    catalog.ambient.progress.warn(b"", what);
                }
                let mut look = catalog.look();
                look.is_running = false;
                look.last = Instant::now();
                catalog.looked.notify_all();
            });
            look.is_running = started.is_ok();
        }
        let waited = self.looked.wait_timeout_while(look, PATIENCE, |look| look.is_running);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.known()
    }

    /// Reads the history, then the index, if there is anything new.
    fn look_again(&self) -> Result<()> {
        let listed = self.repo.store().list(prefix::HISTORY)?;
        let names: BTreeSet<ObjectName> = listed
            .into_iter()
            .map(|listed| listed.name)
            .filter(|name| name.meaning().is_some())
            .collect();
        if names == self.look().names {
            return Ok(());
        }
        let history = History::load(&self.repo, &self.ambient)?;
        let indexed = self.repo.load_index_of(&history, &self.ambient)?;
        self.take_over(&indexed, &history);
        self.look().names = names;
        Ok(())
    }

    fn take_over(&self, indexed: &IndexedRepository, history: &History) {
        write(&self.indexed, indexed.clone());
        let before = self.known();
        let fits = |taken: &Taken| {
            self.only.map_or_else(|| self.selector.matches(taken), |only| taken.id == only)
        };
        let mut list = Vec::new();
        for taken in history.snapshots().into_iter().filter(fits) {
            let standing = standing::of(history, taken.id);
            let known = before.list.iter().find(|seen| seen.taken.id == taken.id);
            if let Some(seen) = known.filter(|seen| seen.taken.snapshot == taken.snapshot) {
                write(&seen.standing, standing);
                write(&seen.view, Arc::new(self.view_of(indexed, &seen.taken)));
                list.push(Arc::clone(seen));
                continue;
            }
            list.push(Arc::new(Seen {
                view: RwLock::new(Arc::new(self.view_of(indexed, &taken))),
                standing: RwLock::new(standing),
                taken: Arc::new(taken),
                links: Mutex::default(),
            }));
        }
        let generation = before.generation + 1;
        write(&self.snapshots, Arc::new(Snapshots { list, generation }));
    }

    fn view_of(&self, indexed: &IndexedRepository, taken: &Taken) -> View {
        View::with_caches(indexed, taken, Arc::clone(&self.caches))
    }

    /// After something was not where the index has it: reads the index again if its segments are
    /// others by now. Says whether the same read may succeed now.
    pub fn follow_index(&self) -> bool {
        let mut look = self.look();
        if look.last_index.is_some_and(|last| last.elapsed() < EVERY) {
            return false;
        }
        look.last_index = Some(Instant::now());
        drop(look);
        self.reread_index().unwrap_or(false)
    }

    fn reread_index(&self) -> Result<bool> {
        let listed = self.repo.store().list(prefix::INDEX)?;
        let known = read(&self.indexed);
        let known: BTreeSet<String> = known
            .index()
            .segments()
            .iter()
            .map(|hash| ObjectName::index_segment(*hash).to_string())
            .collect();
        let is_same = listed.iter().all(|listed| known.contains(listed.name.as_str()))
            && listed.len() == known.len();
        if is_same {
            return Ok(false);
        }
        let indexed = self.repo.load_index(&self.ambient)?;
        for seen in &self.known().list {
            write(&seen.view, Arc::new(self.view_of(&indexed, &seen.taken)));
        }
        write(&self.indexed, indexed);
        Ok(true)
    }

    /// Where to tell of what goes wrong.
    pub const fn ambient(&self) -> &Ambient {
        &self.ambient
    }

    /// Blob caches that all views share.
    pub const fn caches(&self) -> &Arc<Caches> {
        &self.caches
    }
}
