//! Ranges of files: which blobs cover them, their bytes, and where the holes are. SPEC 7.
//!
//! A blob is fetched, opened and checked once and then served from the cache; a range within one
//! blob is lent from there without a copy.

use std::ops::{Deref, Range};
use std::sync::Arc;

use repo_format::BlobId;
use repo_format::content::{Content, Extent, ListNode};
use repo_format::pack::BlobKind;
use repo_format::tree::{Body, Entry};

use super::view::{View, part_of};
use crate::error::{Context as _, Error, Kind, Result};

/// Bytes of a file whose extents are looked at in one step when all of them are wanted.
const STEP_BYTES: u64 = 1 << 30;

/// Bytes of a file, its own or lent by the cache.
#[derive(Debug, Clone)]
pub enum Part {
    /// Part of a blob.
    Lent(Arc<Vec<u8>>, Range<usize>),
    /// Put together of several parts.
    Own(Vec<u8>),
}

impl Deref for Part {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Lent(blob, range) => &blob[range.clone()],
            Self::Own(bytes) => bytes,
        }
    }
}

impl Part {
    /// The bytes, copied where they are lent.
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Own(bytes) => bytes,
            Self::Lent(..) => self.to_vec(),
        }
    }
}

/// What is looked for from an offset on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Bytes that are stored.
    Data,
    /// A hole; the end of the file counts as one.
    Hole,
}

impl View {
    /// Reads at most `length` bytes of a file from `offset`; fewer only where the file ends.
    ///
    /// # Errors
    /// [`Kind::InvalidSetting`] for what is not a file; [`Kind::Damaged`] naming the blob.
    pub fn read_at(&self, entry: &Entry, offset: u64, length: usize) -> Result<Vec<u8>> {
        self.part_at(entry, offset, length).map(Part::into_vec)
    }

    /// Like [`View::read_at`], without a copy where one blob holds all of it.
    ///
    /// # Errors
    /// As [`View::read_at`].
    pub fn part_at(&self, entry: &Entry, offset: u64, length: usize) -> Result<Part> {
        let (size, content) = file(entry)?;
        self.part_of_content(content, size, offset, length)
    }

    /// Reads at most `length` bytes of a content of `size` bytes from `offset`.
    ///
    /// # Errors
    /// [`Kind::Damaged`] naming the blob.
    pub fn read_content(
        &self,
        content: &Content,
        size: u64,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>> {
        self.part_of_content(content, size, offset, length).map(Part::into_vec)
    }

    fn part_of_content(
        &self,
        content: &Content,
        size: u64,
        offset: u64,
        length: usize,
    ) -> Result<Part> {
        let end = offset.saturating_add(length as u64).min(size);
        let count = usize::try_from(end.saturating_sub(offset)).unwrap_or(length);
        if count == 0 {
            return Ok(Part::Own(Vec::new()));
        }
        if let Content::Inline(bytes) = content {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let part = start.checked_add(count).and_then(|end| bytes.get(start..end));
            let part = part.ok_or_else(|| Error::new(Kind::Damaged, "a file is too short"))?;
            return Ok(Part::Own(part.to_vec()));
        }
        let extents = self.extents(content, size, offset, end)?;
        if let [(at, extent)] = extents[..]
            && at <= offset
            && at.saturating_add(extent.length()) >= end
            && let Some(id) = extent.blob()
        {
            return self.lent(id, extent, index(offset - at), count);
        }
        self.joined(&extents, offset, end, count).map(Part::Own)
    }

    /// Part of one blob: `count` bytes from `from` within what the extent means.
    fn lent(&self, id: BlobId, extent: Extent, from: usize, count: usize) -> Result<Part> {
        let blob = self.blob(id)?;
        part_of(extent, &blob)?;
        let first = match extent {
            Extent::Slice { offset, .. } => offset as usize + from,
            Extent::Blob { .. } | Extent::Hole { .. } => from,
        };
        Ok(Part::Lent(blob, first..first + count))
    }

    /// Bytes from `offset` to `end` that several extents cover.
    fn joined(
        &self,
        extents: &[(u64, Extent)],
        offset: u64,
        end: u64,
        count: usize,
    ) -> Result<Vec<u8>> {
        let mut out = vec![0; count];
        let mut covered = offset;
        for (at, extent) in extents {
            let extent_end = at.saturating_add(extent.length()).min(end);
            let start = (*at).max(offset);
            if start != covered {
                return Err(Error::new(Kind::Damaged, "the extents of a file leave a gap"));
            }
            covered = extent_end;
            // Where there is no blob there are zeros, and `out` holds them already.
            if let Some(id) = extent.blob() {
                let plain = self.blob(id)?;
                let part = part_of(*extent, &plain)?;
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

    /// Blobs that hold the bytes of a file from `from` to `to`, in order.
    ///
    /// # Errors
    /// As [`View::read_at`].
    pub fn blobs_between(&self, entry: &Entry, from: u64, to: u64) -> Result<Vec<BlobId>> {
        let (size, content) = file(entry)?;
        let extents = self.extents(content, size, from, to.min(size))?;
        let mut ids: Vec<BlobId> = extents.iter().filter_map(|(_, e)| e.blob()).collect();
        ids.dedup();
        Ok(ids)
    }

    /// First offset at or behind `offset` where data, or a hole, begins; none where there is no
    /// more data.
    ///
    /// # Errors
    /// As [`View::read_at`].
    pub fn seek(&self, entry: &Entry, offset: u64, wanted: Wanted) -> Result<Option<u64>> {
        let (size, content) = file(entry)?;
        let mut from = offset;
        while from < size {
            let to = from.saturating_add(STEP_BYTES).min(size);
            if let Content::Inline(_) = content {
                return Ok(Some(if wanted == Wanted::Data { offset } else { size }));
            }
            let mut next = to;
            for (at, extent) in self.extents(content, size, from, to)? {
                next = next.max(at.saturating_add(extent.length()));
                let is_hole = matches!(extent, Extent::Hole { .. });
                if is_hole == (wanted == Wanted::Hole) {
                    return Ok(Some(at.max(offset)));
                }
            }
            from = next;
        }
        Ok((wanted == Wanted::Hole).then_some(size))
    }

    /// Bytes of a file that are not in holes.
    ///
    /// # Errors
    /// As [`View::read_at`].
    pub fn bytes_outside_holes(&self, entry: &Entry) -> Result<u64> {
        let (size, content) = file(entry)?;
        let stored = |extents: &[(u64, Extent)], from: u64, to: u64| {
            let covers = |at: u64, length: u64| {
                at.saturating_add(length).min(to).saturating_sub(at.max(from))
            };
            let outside = extents.iter().filter(|(_, extent)| extent.blob().is_some());
            outside.map(|(at, extent)| covers(*at, extent.length())).sum::<u64>()
        };
        let root = match content {
            Content::Inline(_) => return Ok(size),
            Content::Extents { .. } => {
                return Ok(stored(&self.extents(content, size, 0, size)?, 0, size));
            }
            Content::List { root, .. } => *root,
        };
        if let Some(bytes) = self.caches().outside_holes(root) {
            return Ok(bytes);
        }
        let (mut bytes, mut from) = (0, 0);
        while from < size {
            let to = from.saturating_add(STEP_BYTES).min(size);
            let extents = self.extents(content, size, from, to)?;
            // What reaches beyond the step is counted whole, and not again.
            let end = extents.last().map_or(to, |(at, extent)| at.saturating_add(extent.length()));
            bytes += stored(&extents, from, end.max(to));
            from = end.max(to);
        }
        self.caches().set_outside_holes(root, bytes);
        Ok(bytes)
    }

    fn blob(&self, id: BlobId) -> Result<Arc<Vec<u8>>> {
        self.caches().blobs.get_or_load(id, || {
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
        self.caches().lists.get_or_load(id, || {
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

fn file(entry: &Entry) -> Result<(u64, &Content)> {
    if let Body::File { size, content, .. } = &entry.body {
        return Ok((*size, content));
    }
    let what = format!("{} is not a file", super::shown(&entry.name));
    Err(Error::new(Kind::InvalidSetting, what))
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
