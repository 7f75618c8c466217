//! One snapshot, for many readers at once: lookup by path, pages of a directory, ranges of a file.
//!
//! Symbolic links are never followed. A lookup reads one node a level, a range only the blobs that
//! cover it; what was read is kept in bounded caches that several views may share.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::{Arc, Mutex, PoisonError};

use repo_format::BlobId;
use repo_format::content::{Extent, ListNode};
use repo_format::pack::BlobKind;
use repo_format::tree::{Attribute, AttributeList, Attributes, Body, Entry, Metadata, Node, Time};

use super::cache::Cache;
use crate::error::{Context as _, Error, Kind, Result};
use crate::repo::IndexedRepository;
use crate::repo::blobs::BlobReader;
use crate::repo::deltas::Opener;
use crate::repo::history::Taken;

/// Bytes that the caches of a view hold, unless said otherwise.
pub const CACHE_BYTES: usize = 64 << 20;

/// Most long files whose bytes outside holes are remembered.
const COUNTS_MAX: usize = 100_000;

/// What was read lately: opened nodes and plain blobs.
#[derive(Debug)]
pub struct Caches {
    nodes: Cache<Node>,
    pub(super) lists: Cache<ListNode>,
    pub(super) blobs: Cache<Vec<u8>>,
    /// Decompressors that are not at work, to be used again.
    idle: Mutex<Vec<Opener>>,
    /// Bytes outside holes of long files, by content list.
    outside_holes: Mutex<HashMap<BlobId, u64>>,
}

impl Caches {
    /// Makes caches that together hold at most so many bytes.
    pub fn new(budget_bytes: usize) -> Self {
        let share = budget_bytes / 4;
        Self {
            nodes: Cache::new(share),
            lists: Cache::new(share / 2),
            blobs: Cache::new(budget_bytes - share - share / 2),
            idle: Mutex::default(),
            outside_holes: Mutex::default(),
        }
    }

    pub(super) fn outside_holes(&self, root: BlobId) -> Option<u64> {
        let known = self.outside_holes.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&root).copied()
    }

    pub(super) fn set_outside_holes(&self, root: BlobId, bytes: u64) {
        let mut known = self.outside_holes.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= COUNTS_MAX {
            known.clear();
        }
        known.insert(root, bytes);
    }

    /// Lends a reader to `read`, one that was used before if there is one.
    pub(super) fn with_reader<T>(
        &self,
        repo: &IndexedRepository,
        read: impl FnOnce(&mut BlobReader<'_>) -> Result<T>,
    ) -> Result<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let opener = idle().pop();
        let opener = opener.map_or_else(Opener::new, Ok)?;
        let mut reader = BlobReader::with_opener(repo, opener);
        let result = read(&mut reader);
        idle().push(reader.into_opener());
        result
    }

    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        self.nodes.bytes() + self.lists.bytes() + self.blobs.bytes()
    }
}

/// A snapshot of an open repository; may be used from several threads at once.
#[derive(Debug, Clone)]
pub struct View {
    repo: IndexedRepository,
    taken: Arc<Taken>,
    caches: Arc<Caches>,
}

/// Components of a path, from the root; empty ones and `.` are passed over.
pub fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

/// The least name after `name`: where the next page of [`View::list`] starts.
pub fn name_after(name: &[u8]) -> Vec<u8> {
    [name, &[0]].concat()
}

/// The part of a blob's plain bytes that an extent means.
pub(super) fn part_of(extent: Extent, plain: &[u8]) -> Result<&[u8]> {
    let part = match extent {
        Extent::Blob { length, .. } => Some(plain).filter(|all| all.len() == length as usize),
        Extent::Slice { offset, length, .. } => {
            let start = offset as usize;
            plain.get(start..start + length as usize)
        }
        Extent::Hole { .. } => None,
    };
    part.ok_or_else(|| {
        let id = extent.blob().unwrap_or_default();
        let what = format!("blob {} is not as long as the file needs it", id.short());
        Error::new(Kind::Damaged, what)
    })
}

/// Reads the extended attributes of an entry.
pub(super) fn read_attributes(
    reader: &mut BlobReader<'_>,
    attributes: &Attributes,
) -> Result<Vec<Attribute>> {
    match attributes {
        Attributes::None => Ok(Vec::new()),
        Attributes::Inline(list) => Ok(list.clone()),
        Attributes::Blob(id) => {
            let mut plain = Vec::new();
            reader.read(*id, BlobKind::Attributes, &mut plain)?;
            let list = AttributeList::decode(&plain);
            Ok(list.with_context(|| format!("opening attributes {}", id.short()))?.0)
        }
    }
}

/// The root directory of a snapshot as an entry without a name.
pub fn root_of(taken: &Taken) -> Entry {
    let snapshot = &taken.snapshot;
    let time_ms = snapshot.time_ms;
    let nanos = u32::try_from(time_ms.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    let time = Time { seconds: time_ms.div_euclid(1000), nanos };
    Entry {
        name: Vec::new().into(),
        metadata: Metadata { mode: 0o755, mtime: time, ctime: time, ..Metadata::default() },
        body: Body::Directory {
            tree: snapshot.root,
            entries: snapshot.root_entries,
            totals: snapshot.totals,
        },
    }
}

impl View {
    /// Looks into a snapshot, with caches of [`CACHE_BYTES`].
    pub fn new(repo: &IndexedRepository, taken: &Taken) -> Self {
        Self::with_caches(repo, taken, Arc::new(Caches::new(CACHE_BYTES)))
    }

    /// Looks into a snapshot, with caches that other views of the same repository may share.
    pub fn with_caches(repo: &IndexedRepository, taken: &Taken, caches: Arc<Caches>) -> Self {
        Self { repo: repo.clone(), taken: Arc::new(taken.clone()), caches }
    }

    /// Repository that is read.
    pub const fn repo(&self) -> &IndexedRepository {
        &self.repo
    }

    /// Snapshot that is looked into.
    pub fn taken(&self) -> &Taken {
        &self.taken
    }

    /// Caches, to share them with another view.
    pub const fn caches(&self) -> &Arc<Caches> {
        &self.caches
    }

    /// The root directory, as an entry without a name.
    pub fn root(&self) -> Entry {
        root_of(&self.taken)
    }

    /// Reads a blob that is not kept.
    pub(super) fn load(&self, id: BlobId, kind: BlobKind) -> Result<Vec<u8>> {
        let mut plain = Vec::new();
        self.caches.with_reader(&self.repo, |reader| reader.read(id, kind, &mut plain))?;
        Ok(plain)
    }

    /// Reads a node of a directory that must be of a level, where that is known.
    pub(super) fn node(&self, id: BlobId, level: Option<u8>) -> Result<Arc<Node>> {
        let node = self.caches.nodes.get_or_load(id, || {
            let plain = self.load(id, BlobKind::Tree)?;
            let node = Node::decode(&plain)
                .with_context(|| format!("opening tree node {}", id.short()))?;
            let held = match &node {
                Node::Leaf(entries) => entries.len() * size_of::<Entry>(),
                Node::Inner { children, .. } => size_of_val(&children[..]),
            };
            Ok((node, held + plain.len()))
        })?;
        let found = match &*node {
            Node::Leaf(_) => 0,
            Node::Inner { level, .. } => *level,
        };
        // Levels fall by one each step, so nothing is read twice on one way down.
        if level.is_some_and(|level| level != found) {
            let what = format!("tree node {} is of the wrong level", id.short());
            return Err(Error::new(Kind::Damaged, what));
        }
        Ok(node)
    }

    /// Finds an entry of a directory by its name.
    pub fn lookup_in(&self, tree: BlobId, name: &[u8]) -> Result<Option<Entry>> {
        let (mut id, mut below) = (tree, None);
        loop {
            match &*self.node(id, below)? {
                Node::Leaf(entries) => {
                    let found = entries.binary_search_by(|entry| entry.name.0.as_slice().cmp(name));
                    return Ok(found.ok().map(|at| entries[at].clone()));
                }
                Node::Inner { level, children } => {
                    let after = children.partition_point(|c| c.first_name.0.as_slice() <= name);
                    let Some(child) = after.checked_sub(1).map(|at| &children[at]) else {
                        return Ok(None);
                    };
                    (id, below) = (child.id, Some(level - 1));
                }
            }
        }
    }

    /// Finds what lies at a path from the root; the empty path is the root itself.
    ///
    /// Links are not followed: what is asked for below one is not there.
    pub fn lookup(&self, path: &[u8]) -> Result<Option<Entry>> {
        let mut entry = self.root();
        for name in components(path) {
            let Body::Directory { tree, .. } = entry.body else { return Ok(None) };
            let found = self
                .lookup_in(tree, name)
                .with_context(|| format!("looking up {}", super::shown(path)))?;
            match found {
                Some(found) => entry = found,
                None => return Ok(None),
            }
        }
        Ok(Some(entry))
    }

    /// Gives at most `limit` entries of a directory in order of their names, from the first whose
    /// name is `from` or later; [`name_after`] the last one starts the next page.
    pub fn list(&self, tree: BlobId, from: &[u8], limit: usize) -> Result<Vec<Entry>> {
        let mut page: Vec<Entry> = Vec::new();
        let mut pending = vec![(tree, None)];
        while page.len() < limit
            && let Some((id, level)) = pending.pop()
        {
            match &*self.node(id, level)? {
                Node::Leaf(entries) => {
                    let start = entries.partition_point(|entry| entry.name.0.as_slice() < from);
                    let room = limit - page.len();
                    page.extend(entries[start..].iter().take(room).cloned());
                }
                Node::Inner { level, children } => {
                    let after = children.partition_point(|c| c.first_name.0.as_slice() <= from);
                    let start = after.saturating_sub(1);
                    let below = Some(level - 1);
                    pending.extend(children[start..].iter().rev().map(|child| (child.id, below)));
                }
            }
        }
        if page.windows(2).any(|pair| pair[0].name >= pair[1].name) {
            let what = format!("directory {} is out of order", tree.short());
            return Err(Error::new(Kind::Damaged, what));
        }
        Ok(page)
    }

    /// Reads the extended attributes of an entry.
    pub fn attributes(&self, entry: &Entry) -> Result<Vec<Attribute>> {
        self.caches
            .with_reader(&self.repo, |reader| read_attributes(reader, &entry.metadata.attributes))
    }
}
