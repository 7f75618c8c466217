//! One snapshot, for many readers at once: lookup by path, pages of a directory, ranges of a file.
//!
//! Symbolic links are never followed. A lookup reads one node a level, a range only the blobs that
//! cover it; what was read is kept in bounded caches that several views may share.

use std::mem::size_of;
use std::sync::Arc;

use repo_format::BlobId;
use repo_format::content::{Content, Extent, ListNode};
use repo_format::pack::BlobKind;
use repo_format::tree::{Attribute, AttributeList, Attributes, Body, Entry, Metadata, Node, Time};

use super::cache::Cache;
use crate::error::{Context as _, Error, Kind, Result};
use crate::repo::IndexedRepository;
use crate::repo::blobs::BlobReader;
use crate::repo::history::Taken;

/// Bytes that the caches of a view hold, unless said otherwise.
pub const CACHE_BYTES: usize = 64 << 20;

/// What was read lately: opened nodes and plain blobs.
#[derive(Debug)]
pub struct Caches {
    nodes: Cache<Node>,
    lists: Cache<ListNode>,
    blobs: Cache<Vec<u8>>,
}

impl Caches {
    /// Makes caches that together hold at most so many bytes.
    pub fn new(budget_bytes: usize) -> Self {
        let share = budget_bytes / 4;
        Self {
            nodes: Cache::new(share),
            lists: Cache::new(share / 2),
            blobs: Cache::new(budget_bytes - share - share / 2),
        }
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
    fn load(&self, id: BlobId, kind: BlobKind) -> Result<Vec<u8>> {
        let mut plain = Vec::new();
        BlobReader::new(&self.repo)?.read(id, kind, &mut plain)?;
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
        read_attributes(&mut BlobReader::new(&self.repo)?, &entry.metadata.attributes)
    }

    /// Reads at most `length` bytes of a file from `offset`; fewer only where the file ends.
    ///
    /// # Errors
    /// [`Kind::InvalidSetting`] for what is not a file; [`Kind::Damaged`] naming the blob.
    pub fn read_at(&self, entry: &Entry, offset: u64, length: usize) -> Result<Vec<u8>> {
        let Body::File { size, content, .. } = &entry.body else {
            let what = format!("{} is not a file", super::shown(&entry.name));
            return Err(Error::new(Kind::InvalidSetting, what));
        };
        self.read_content(content, *size, offset, length)
    }

    /// Reads at most `length` bytes of a content of `size` bytes from `offset`.
    pub fn read_content(
        &self,
        content: &Content,
        size: u64,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>> {
        let end = offset.saturating_add(length as u64).min(size);
        let count = usize::try_from(end.saturating_sub(offset)).unwrap_or(length);
        let mut out = vec![0; count];
        if count == 0 {
            return Ok(out);
        }
        if let Content::Inline(bytes) = content {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let part = start.checked_add(count).and_then(|end| bytes.get(start..end));
            let part = part.ok_or_else(|| Error::new(Kind::Damaged, "a file is too short"))?;
            out.copy_from_slice(part);
            return Ok(out);
        }
        let mut covered = offset;
        for (at, extent) in self.extents(content, size, offset, end)? {
            let extent_end = at.saturating_add(extent.length()).min(end);
            let start = at.max(offset);
            if start != covered {
                return Err(Error::new(Kind::Damaged, "the extents of a file leave a gap"));
            }
            covered = extent_end;
            // Where there is no blob there are zeros, and `out` holds them already.
            if let Some(id) = extent.blob() {
                let plain = self.blob(id)?;
                let part = part_of(extent, &plain)?;
                let (from, to) = (index(start - at), index(extent_end - at));
                out[index(start - offset)..index(extent_end - offset)]
                    .copy_from_slice(&part[from..to]);
            }
        }
        if covered == end {
            Ok(out)
        } else {
            Err(Error::new(Kind::Damaged, "the extents of a file end before the file"))
        }
    }

    fn blob(&self, id: BlobId) -> Result<Arc<Vec<u8>>> {
        self.caches.blobs.get_or_load(id, || {
            let plain = self.load(id, BlobKind::Data)?;
            let bytes = plain.capacity();
            Ok((plain, bytes))
        })
    }

    /// Extents that touch the bytes from `from` to `to`, in order, each with its offset.
    fn extents(
        &self,
        content: &Content,
        size: u64,
        from: u64,
        to: u64,
    ) -> Result<Vec<(u64, Extent)>> {
        let mut found = Vec::new();
        let mut pending = match content {
            Content::Inline(_) => Vec::new(),
            Content::Extents { extents, .. } => {
                touching(extents, 0, from, to, &mut found);
                Vec::new()
            }
            Content::List { root, .. } => vec![(*root, None, 0, size)],
        };
        while let Some((id, level, at, bytes)) = pending.pop() {
            let list = self.list_node(id)?;
            let found_level = match &*list {
                ListNode::Leaf(_) => 0,
                ListNode::Inner { level, .. } => *level,
            };
            if level.is_some_and(|level| level != found_level) || list.bytes() != bytes {
                let what = format!("content list {} does not fit the file", id.short());
                return Err(Error::new(Kind::Damaged, what));
            }
            match &*list {
                ListNode::Leaf(extents) => touching(extents, at, from, to, &mut found),
                ListNode::Inner { level, children } => {
                    let mut start = at.saturating_add(bytes);
                    for child in children.iter().rev() {
                        let end = start;
                        start = start.saturating_sub(child.bytes);
                        if start < to && end > from {
                            pending.push((child.id, Some(level - 1), start, child.bytes));
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    fn list_node(&self, id: BlobId) -> Result<Arc<ListNode>> {
        self.caches.lists.get_or_load(id, || {
            let plain = self.load(id, BlobKind::ContentList)?;
            let list = ListNode::decode(&plain)
                .with_context(|| format!("opening content list {}", id.short()))?;
            let held = match &list {
                ListNode::Leaf(extents) => size_of_val(&extents[..]),
                ListNode::Inner { children, .. } => size_of_val(&children[..]),
            };
            Ok((list, held))
        })
    }
}

/// Adds the extents that touch the bytes from `from` to `to`.
fn touching(extents: &[Extent], start: u64, from: u64, to: u64, found: &mut Vec<(u64, Extent)>) {
    let mut at = start;
    for extent in extents {
        let end = at.saturating_add(extent.length());
        if at >= to {
            return;
        }
        if end > from {
            found.push((at, *extent));
        }
        at = end;
    }
}

/// Position within a range that is in memory.
fn index(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}
