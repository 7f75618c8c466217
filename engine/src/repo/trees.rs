//! Directories: built entry by entry, read entry by entry, looked up by name. SPEC 6.

use repo_format::BlobId;
use repo_format::codec::{self, Bytes};
use repo_format::pack::BlobKind;
use repo_format::tree::{self, Child, Entry, Node, Totals};

use super::blobs::BlobReader;
use super::packer::{BlobWriter, Scratch};
use super::prolly::{Builder, Shape};
use crate::error::{Error, Kind, Result};

#[derive(Debug)]
struct Directories;

impl Shape for Directories {
    type Item = Entry;
    type Child = Child;
    const KIND: BlobKind = BlobKind::Tree;

    fn head(level: u8) -> Vec<u8> {
        // The variant of a node, then, for an inner one, its level.
        if level == 0 { vec![tree::VERSION, 0] } else { vec![tree::VERSION, 1, level] }
    }
    fn encode_item(item: &Entry, out: &mut Vec<u8>) {
        codec::encode_into(item, out);
    }
    fn encode_child(child: &Child, out: &mut Vec<u8>) {
        codec::encode_into(child, out);
    }
    fn item_border(item: &Entry) -> &[u8] {
        &item.name
    }
    fn child_border(child: &Child) -> &[u8] {
        &child.first_name
    }
    fn child_of_item(item: &Entry) -> Child {
        Child {
            first_name: item.name.clone(),
            id: BlobId::default(),
            entries: 1,
            totals: item.totals(),
        }
    }
    fn add_item(child: &mut Child, item: &Entry) {
        child.entries += 1;
        child.totals.add(&item.totals());
    }
    fn add_child(child: &mut Child, below: &Child) {
        child.entries = child.entries.saturating_add(below.entries);
        child.totals.add(&below.totals);
    }
    fn set_id(child: &mut Child, id: BlobId) {
        child.id = id;
    }
}

/// A finished directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directory {
    /// Root node.
    pub tree: BlobId,
    /// Entries in the directory itself.
    pub entries: u64,
    /// Everything below.
    pub totals: Totals,
}

/// Builds one directory from its entries in order of their names.
#[derive(Debug)]
pub struct DirectoryBuilder {
    builder: Builder<Directories>,
    last: Option<Bytes>,
}

impl DirectoryBuilder {
    /// Starts an empty directory.
    pub fn new(writer: &super::Repository) -> Self {
        Self { builder: Builder::new(&writer.keys.node_borders), last: None }
    }

    /// Appends an entry; its name must come after the one before.
    pub fn push(
        &mut self,
        writer: &BlobWriter<'_>,
        scratch: &mut Scratch,
        entry: &Entry,
    ) -> Result<()> {
        if self.last.as_ref().is_some_and(|last| *last >= entry.name) {
            return Err(Error::new(Kind::Other, "entries of a directory came out of order"));
        }
        self.last = Some(entry.name.clone());
        self.builder.push(entry, &mut |kind, plain| writer.save(scratch, kind, plain))
    }

    /// Ends the directory; an empty one is an empty leaf.
    pub fn finish(self, writer: &BlobWriter<'_>, scratch: &mut Scratch) -> Result<Directory> {
        let mut save = |kind, plain: &[u8]| writer.save(scratch, kind, plain);
        Ok(match self.builder.finish(&mut save)? {
            Some(root) => Directory { tree: root.id, entries: root.entries, totals: root.totals },
            None => Directory {
                tree: save(BlobKind::Tree, &Node::Leaf(Vec::new()).encode())?,
                entries: 0,
                totals: Totals::default(),
            },
        })
    }
}

/// Reads the entries of a directory in order, a node at a time.
#[derive(Debug, Default)]
pub struct Entries {
    /// References still to be read, the next one last, with the level each must have.
    pending: Vec<(BlobId, Option<u8>)>,
    /// Entries of the current leaf, the next one last.
    leaf: Vec<Entry>,
    last: Option<Bytes>,
    plain: Vec<u8>,
}

impl Entries {
    /// Starts at the first entry of the directory with this root.
    pub fn new(root: BlobId) -> Self {
        Self { pending: vec![(root, None)], ..Self::default() }
    }

    /// Starts at the first entry whose name is `from` or later.
    pub fn starting_at(reader: &mut BlobReader<'_>, root: BlobId, from: &[u8]) -> Result<Self> {
        let mut entries = Self::default();
        let mut next = Some((root, None));
        while let Some((id, level)) = next.take() {
            match entries.node(reader, id, level)? {
                Node::Leaf(mut leaf) => {
                    let start = leaf.partition_point(|entry| entry.name.0.as_slice() < from);
                    leaf.drain(..start);
                    leaf.reverse();
                    entries.leaf = leaf;
                }
                Node::Inner { level, children } => {
                    let after = children.partition_point(|c| c.first_name.0.as_slice() <= from);
                    let start = after.saturating_sub(1);
                    let below = Some(level - 1);
                    entries
                        .pending
                        .extend(children[start + 1..].iter().rev().map(|c| (c.id, below)));
                    next = Some((children[start].id, below));
                }
            }
        }
        Ok(entries)
    }

    fn node(&mut self, reader: &mut BlobReader<'_>, id: BlobId, level: Option<u8>) -> Result<Node> {
        reader.read(id, BlobKind::Tree, &mut self.plain)?;
        let node = Node::decode(&self.plain)?;
        let found = match &node {
            Node::Leaf(_) => 0,
            Node::Inner { level, .. } => *level,
        };
        // Levels fall by one each step, so a tree that bites its tail cannot loop.
        if level.is_some_and(|level| level != found) {
            let what = format!("tree node {} is of the wrong level", id.short());
            return Err(Error::new(Kind::Damaged, what));
        }
        Ok(node)
    }

    /// Next entry; `None` at the end.
    pub fn next(&mut self, reader: &mut BlobReader<'_>) -> Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.leaf.pop() {
                if self.last.as_ref().is_some_and(|last| *last >= entry.name) {
                    return Err(Error::new(Kind::Damaged, "a directory is out of order"));
                }
                self.last = Some(entry.name.clone());
                return Ok(Some(entry));
            }
            let Some((id, level)) = self.pending.pop() else { return Ok(None) };
            match self.node(reader, id, level)? {
                Node::Leaf(mut entries) => {
                    entries.reverse();
                    self.leaf = entries;
                }
                Node::Inner { level, children } => {
                    let below = Some(level - 1);
                    self.pending.extend(children.iter().rev().map(|child| (child.id, below)));
                }
            }
        }
    }

    /// Passes over what could not be read and goes on behind it; for verbs that report damage.
    pub fn has_more(&self) -> bool {
        !self.leaf.is_empty() || !self.pending.is_empty()
    }
}

/// Finds one entry of a directory by name.
pub fn lookup(reader: &mut BlobReader<'_>, root: BlobId, name: &[u8]) -> Result<Option<Entry>> {
    let mut entries = Entries::starting_at(reader, root, name)?;
    let found = entries.next(reader)?;
    Ok(found.filter(|entry| *entry.name == *name))
}
