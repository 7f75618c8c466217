//! Contents of files: extents collected in order, and read back from any offset. SPEC 7.

use repo_format::BlobId;
use repo_format::codec;
use repo_format::content::{self, Chunker, Content, Extent, ListChild, ListNode};
use repo_format::pack::BlobKind;

use super::blobs::BlobReader;
use super::packer::{BlobWriter, Scratch};
use super::prolly::{Builder, Shape};
use crate::error::{Error, Kind, Result};

/// Most extents that an entry holds itself.
const EXTENTS_IN_ENTRY_MAX: usize = 64;

#[derive(Debug)]
struct Lists;

impl Shape for Lists {
    type Item = Extent;
    type Child = ListChild;
    const KIND: BlobKind = BlobKind::ContentList;

    fn head(level: u8) -> Vec<u8> {
        if level == 0 { vec![content::VERSION, 0] } else { vec![content::VERSION, 1, level] }
    }
    fn encode_item(item: &Extent, out: &mut Vec<u8>) {
        codec::encode_into(item, out);
    }
    fn encode_child(child: &ListChild, out: &mut Vec<u8>) {
        codec::encode_into(child, out);
    }
    fn item_border(item: &Extent) -> &[u8] {
        match item {
            Extent::Blob { id, .. } | Extent::Slice { id, .. } => &id.0,
            Extent::Hole { .. } => &[],
        }
    }
    fn child_border(child: &ListChild) -> &[u8] {
        &child.id.0
    }
    fn child_of_item(item: &Extent) -> ListChild {
        ListChild { id: BlobId::default(), bytes: item.length() }
    }
    fn add_item(child: &mut ListChild, item: &Extent) {
        child.bytes = child.bytes.saturating_add(item.length());
    }
    fn add_child(child: &mut ListChild, below: &ListChild) {
        child.bytes = child.bytes.saturating_add(below.bytes);
    }
    fn set_id(child: &mut ListChild, id: BlobId) {
        child.id = id;
    }
}

/// Collects the extents of one file in order.
#[derive(Debug)]
pub struct ContentBuilder {
    few: Vec<Extent>,
    many: Option<Builder<Lists>>,
}

impl Default for ContentBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ContentBuilder {
    /// Starts an empty content.
    pub const fn new() -> Self {
        Self { few: Vec::new(), many: None }
    }

    /// Appends an extent; neighbouring holes become one.
    pub fn push(
        &mut self,
        writer: &BlobWriter<'_>,
        scratch: &mut Scratch,
        repo: &super::Repository,
        extent: Extent,
    ) -> Result<()> {
        if let (Some(Extent::Hole { length }), Extent::Hole { length: more }) =
            (self.few.last_mut(), extent)
        {
            *length += more;
            return Ok(());
        }
        self.few.push(extent);
        if self.few.len() > EXTENTS_IN_ENTRY_MAX {
            // The newest stays back: a hole may still grow.
            let keep = self.few.pop();
            let list = self.many.get_or_insert_with(|| Builder::new(&repo.keys.node_borders));
            for extent in self.few.drain(..) {
                list.push(&extent, &mut |kind, plain| writer.save(scratch, kind, plain))?;
            }
            self.few.extend(keep);
        }
        Ok(())
    }

    /// Ends the content.
    pub fn finish(
        self,
        writer: &BlobWriter<'_>,
        scratch: &mut Scratch,
        chunker: Chunker,
    ) -> Result<Content> {
        let Some(mut list) = self.many else {
            return Ok(if self.few.is_empty() {
                Content::inline(b"")
            } else {
                Content::Extents { chunker, extents: self.few }
            });
        };
        let mut save = |kind, plain: &[u8]| writer.save(scratch, kind, plain);
        for extent in &self.few {
            list.push(extent, &mut save)?;
        }
        match list.finish(&mut save)? {
            Some(root) => Ok(Content::List { chunker, root: root.id }),
            None => Err(Error::new(Kind::Other, "a content list came out empty")),
        }
    }
}

/// Reads the extents of a content in order, with the offset in the file of each.
#[derive(Debug, Default)]
pub struct Extents {
    /// Nodes still to be read, the next one last: id, level, offset, bytes.
    pending: Vec<(BlobId, Option<u8>, u64, Option<u64>)>,
    /// Extents that are known, the next one last.
    ready: Vec<(u64, Extent)>,
    plain: Vec<u8>,
}

impl Extents {
    /// Starts at the extent that covers `from`; inline content has no extents.
    pub fn new(
        reader: &mut BlobReader<'_>,
        content: &Content,
        size: u64,
        from: u64,
    ) -> Result<Self> {
        let mut extents = Self::default();
        match content {
            Content::Inline(_) => {}
            Content::Extents { extents: list, .. } => extents.ready = placed(list, 0, from),
            Content::List { root, .. } => {
                extents.pending.push((*root, None, 0, Some(size)));
                // From the beginning there is nothing to pass over, so that damage of the first
                // node is met by `next`, which goes on behind it.
                if from > 0 {
                    extents.seek(reader, from)?;
                }
            }
        }
        Ok(extents)
    }

    fn seek(&mut self, reader: &mut BlobReader<'_>, from: u64) -> Result<()> {
        while self.ready.is_empty() && !self.pending.is_empty() {
            self.step(reader, from)?;
        }
        Ok(())
    }

    /// Reads one pending node, and passes over what ends before `from`.
    fn step(&mut self, reader: &mut BlobReader<'_>, from: u64) -> Result<()> {
        let Some((id, level, offset, bytes)) = self.pending.pop() else { return Ok(()) };
        if bytes.is_some_and(|bytes| offset.saturating_add(bytes) <= from) {
            return Ok(());
        }
        reader.read(id, BlobKind::ContentList, &mut self.plain)?;
        let node = ListNode::decode(&self.plain)?;
        let fail = |what: &str| {
            Err(Error::new(Kind::Damaged, format!("content list {}: {what}", id.short())))
        };
        if bytes.is_some_and(|bytes| bytes != node.bytes()) {
            return fail("it does not cover what it should");
        }
        match node {
            ListNode::Leaf(_) if level.is_some_and(|level| level != 0) => fail("wrong level"),
            ListNode::Leaf(list) => {
                self.ready = placed(&list, offset, from);
                Ok(())
            }
            ListNode::Inner { level: found, .. } if level.is_some_and(|level| level != found) => {
                fail("wrong level")
            }
            ListNode::Inner { level, children } => {
                let mut at = offset.saturating_add(bytes.unwrap_or(0));
                for child in children.iter().rev() {
                    at -= child.bytes;
                    self.pending.push((child.id, Some(level - 1), at, Some(child.bytes)));
                }
                Ok(())
            }
        }
    }

    /// Next extent and its offset in the file; `None` at the end.
    pub fn next(&mut self, reader: &mut BlobReader<'_>) -> Result<Option<(u64, Extent)>> {
        self.seek(reader, 0)?;
        Ok(self.ready.pop())
    }
}

/// Extents with their offsets, last first, without those that end before `from`.
fn placed(list: &[Extent], start: u64, from: u64) -> Vec<(u64, Extent)> {
    let mut at = start;
    let mut placed: Vec<(u64, Extent)> = Vec::new();
    for extent in list {
        let end = at.saturating_add(extent.length());
        if end > from {
            placed.push((at, *extent));
        }
        at = end;
    }
    placed.reverse();
    placed
}
