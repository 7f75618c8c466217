//! Files with several names: the first one restored holds the content, the others become links.
//!
//! No name is given to content before it is whole, so what could not be read has none. Names of
//! one group whose content differs (the file changed between them) are files of their own.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use repo_format::codec;
use repo_format::tree::{Body, Entry};

use super::folder::Folder;
use crate::target::files::Inode;

/// Bytes that a group takes, about.
const GROUP_BYTES: u64 = 200;
/// Names that wait for the content of a group.
const WAITING_MAX: usize = 4096;

/// A group of names of one content, in one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 16]);

impl Key {
    /// The group of an entry that has one.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let group = entry.metadata.link_group?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&group.device.to_le_bytes()).update(&group.inode.to_le_bytes());
        match &entry.body {
            Body::Directory { .. } => return None,
            Body::File { size, digest, .. } => {
                hasher.update(&size.to_le_bytes()).update(&codec::encode(digest));
            }
            other => {
                hasher.update(&codec::encode(other));
            }
        }
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        Some(Self(key))
    }
}

/// A name that has the content of its group.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) folder: Arc<Folder>,
    pub(super) name: Box<[u8]>,
    pub(super) inode: Inode,
}

/// A name that waits for the content.
pub(super) type Waiting = (Arc<Folder>, Box<[u8]>);

#[derive(Debug)]
enum Group {
    Written(Vec<Waiting>),
    Made(Made),
    Lost,
}

/// What is to be done about one more name.
#[derive(Debug)]
pub(super) enum Claim {
    /// It is the first: it gets the content.
    First,
    /// It becomes a link to this one.
    Link(Made),
    /// It becomes a link when the content is whole; nothing more is to be done.
    Waits,
    /// So many names wait that the next one must wait itself.
    Crowded,
    /// The content of the group cannot be had.
    Lost,
    /// It becomes a file of its own: there are more groups than are kept.
    Alone,
}

/// All groups of one restore.
#[derive(Debug)]
pub(super) struct Links {
    groups: Mutex<HashMap<Key, Group>>,
    changed: Condvar,
    groups_max: usize,
}

impl Links {
    /// Keeps as many groups as fit in `bytes`.
    pub(super) fn within(bytes: u64) -> Self {
        let groups_max = usize::try_from(bytes / GROUP_BYTES).unwrap_or(usize::MAX).max(1000);
        Self { groups: Mutex::default(), changed: Condvar::new(), groups_max }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is to be done about one more name of a group.
    pub(super) fn claim(&self, key: Key, folder: &Arc<Folder>, name: &[u8]) -> Claim {
        let mut groups = self.lock();
        let is_full = groups.len() >= self.groups_max;
        match groups.entry(key) {
            Slot::Vacant(_) if is_full => Claim::Alone,
            Slot::Vacant(slot) => {
                slot.insert(Group::Written(Vec::new()));
                Claim::First
            }
            Slot::Occupied(mut slot) => match slot.get_mut() {
                Group::Written(waiting) if waiting.len() >= WAITING_MAX => Claim::Crowded,
                Group::Written(waiting) => {
                    waiting.push((Arc::clone(folder), name.into()));
                    Claim::Waits
                }
                Group::Made(made) => Claim::Link(made.clone()),
                Group::Lost => Claim::Lost,
            },
        }
    }

    /// Takes note that the content has a name, and gives the names that waited for it.
    pub(super) fn made(&self, key: Key, made: Made) -> Vec<Waiting> {
        self.settle(key, Group::Made(made))
    }

    /// Takes note that the content cannot be had, and gives the names that waited for it.
    pub(super) fn lost(&self, key: Key) -> Vec<Waiting> {
        self.settle(key, Group::Lost)
    }

    fn settle(&self, key: Key, group: Group) -> Vec<Waiting> {
        let before = self.lock().insert(key, group);
        self.changed.notify_all();
        match before {
            Some(Group::Written(waiting)) => waiting,
            _ => Vec::new(),
        }
    }

    /// Waits a little for some group to be settled.
    pub(super) fn wait(&self) {
        let groups = self.lock();
        // The time is a bound, since a restore that stops settles nothing more.
        let _ = self.changed.wait_timeout(groups, Duration::from_millis(50));
    }

    /// Ends all groups, and gives the folders that they held.
    pub(super) fn end(&self) -> Vec<Arc<Folder>> {
        let groups = std::mem::take(&mut *self.lock());
        let made = groups.into_values().filter_map(|group| match group {
            Group::Made(made) => Some(made.folder),
            Group::Written(_) | Group::Lost => None,
        });
        made.collect()
    }
}
