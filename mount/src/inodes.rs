//! Numbers of files, as the kernel knows them, and what each means.
//!
//! A number is a hash of where a thing is, so it is the same in every mount. A thing in a snapshot
//! is known by its directory and its place in there: some forty bytes, whatever its name. What the
//! kernel has forgotten is forgotten here.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::browse::catalog::Seen;
use repo_format::BlobId;
use repo_format::tree::{Body, Entry};

use crate::views::View;

/// Numbers below are not given to things; 1 is the top.
const FIRST: u64 = 16;
/// Number of the top.
pub(crate) const TOP: u64 = 1;

/// A directory in a snapshot.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Its own number.
    pub(crate) number: u64,
    /// Snapshot.
    pub(crate) seen: Arc<Seen>,
    /// Root node.
    pub(crate) tree: BlobId,
    /// Directory that it is in, and its place there; none for the root of a snapshot.
    pub(crate) up: Option<(Arc<Folder>, u64)>,
    /// Number of what it is in.
    pub(crate) up_number: u64,
    /// Place behind that of the file which was read last, for reading ahead.
    pub(crate) read_to: AtomicU64,
    /// Place up to which files were asked for ahead.
    pub(crate) asked_to: AtomicU64,
    /// Place from which on more is to be asked for.
    pub(crate) due_at: AtomicU64,
}

/// What a number means.
#[derive(Debug, Clone)]
pub(crate) enum Thing {
    /// A directory in a snapshot.
    Folder(Arc<Folder>),
    /// Anything else in a snapshot; whether it has attributes saves looking for none.
    Entry {
        /// Its directory.
        folder: Arc<Folder>,
        /// Its place there.
        place: u64,
        /// Whether it has extended attributes.
        has_attributes: bool,
    },
    /// A view above the snapshots, or a link in one.
    View(Arc<View>),
    /// A version of a file, apart from its directory.
    Version(Arc<Version>),
}

/// A version of a file.
#[derive(Debug)]
pub(crate) struct Version {
    /// First snapshot that holds it.
    pub(crate) seen: Arc<Seen>,
    /// Path in there.
    pub(crate) path: Vec<u8>,
    /// The entry.
    pub(crate) entry: Entry,
}

/// A number that is wanted, and what tells it from another thing with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    number: u64,
    check: u64,
}

impl Wish {
    /// Makes a wish of what says where a thing is.
    pub(crate) fn of(kind: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(kind.as_bytes());
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        let [number, check] = [0, 8].map(|at| {
            bytes[at..at + 8].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        });
        Self { number: number.max(FIRST), check }
    }

    /// Wish of an entry of a directory; the names of one file wish for the same.
    pub(crate) fn of_entry(folder: &Folder, entry: &Entry) -> Self {
        let metadata = &entry.metadata;
        if let (Some(group), Body::File { size, digest, .. }) = (metadata.link_group, &entry.body) {
            // Names of one file that changed while it was read are two files.
            let (repo_format::tree::Digest::Plain(hash) | repo_format::tree::Digest::Sparse(hash)) =
                digest;
            let parts: [&[u8]; 7] = [
                folder.seen.taken.id.0.as_slice(),
                &group.device.to_le_bytes(),
                &group.inode.to_le_bytes(),
                &size.to_le_bytes(),
                &metadata.mtime.seconds.to_le_bytes(),
                &metadata.mtime.nanos.to_le_bytes(),
                hash,
            ];
            return Self::of("link", &parts);
        }
        if let Some(group) = metadata.link_group {
            let snapshot = folder.seen.taken.id.0.as_slice();
            let group = [group.device.to_le_bytes(), group.inode.to_le_bytes()].concat();
            return Self::of("special link", &[snapshot, &group]);
        }
        Self::of("entry", &[&folder.number.to_le_bytes(), &entry.name])
    }
}

#[derive(Debug)]
struct Slot {
    thing: Thing,
    check: u64,
    /// How often the kernel was told of it.
    lookups: u64,
}

/// Everything that the kernel knows.
#[derive(Debug, Default)]
pub(crate) struct Inodes(Mutex<HashMap<u64, Slot>>);

impl Inodes {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a number means.
    pub(crate) fn get(&self, number: u64) -> Option<Thing> {
        self.lock().get(&number).map(|slot| slot.thing.clone())
    }

    /// Sets what the top is; it is never forgotten.
    pub(crate) fn set_top(&self, thing: Thing) {
        self.lock().insert(TOP, Slot { thing, check: 0, lookups: u64::MAX / 2 });
    }

    /// Gives a thing its number, and counts that the kernel is told of it.
    pub(crate) fn tell(&self, wish: Wish, make: impl FnOnce(u64) -> Thing) -> u64 {
        let mut slots = self.lock();
        let mut number = wish.number;
        while let Some(slot) = slots.get_mut(&number) {
            if slot.check == wish.check {
                slot.lookups += 1;
                return number;
            }
            // Another thing with the same number: the next free one is as good.
            number = number.wrapping_add(1).max(FIRST);
        }
        let thing = make(number);
        slots.insert(number, Slot { thing, check: wish.check, lookups: 1 });
        number
    }

    /// The kernel has forgotten `lookups` of the times that it was told.
    pub(crate) fn forget(&self, number: u64, lookups: u64) {
        let mut slots = self.lock();
        if let Some(slot) = slots.get_mut(&number) {
            slot.lookups = slot.lookups.saturating_sub(lookups);
            if slot.lookups == 0
                && let Some(slot) = slots.remove(&number)
            {
                // Dropped outside of the lock: the last one of a branch takes all of it along.
                drop(slots);
                drop(slot);
            }
        }
    }
}
