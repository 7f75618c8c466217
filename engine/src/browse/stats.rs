//! Sizes: what snapshots would restore to, what they share, what the store holds.
//!
//! [`whole`] reads the index only. [`of_snapshots`] walks every tree of the snapshots, each at most
//! twice, and keeps about 60 bytes of memory for each distinct blob that they use.

use hashbrown::HashMap;
use repo_format::content::{Content, Extent, ListNode};
use repo_format::pack::BlobKind;
use repo_format::tree::{Attributes, Body, Entry, Node};
use repo_format::{BlobId, SnapshotId};

use crate::Ambient;
use crate::error::{Context as _, Result};
use crate::repo::IndexedRepository;
use crate::repo::blobs::BlobReader;
use crate::repo::history::Taken;

/// A number of blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Blobs {
    /// How many.
    pub count: u64,
    /// Their plain bytes.
    pub plain_bytes: u64,
    /// Bytes of their frames in packs.
    pub stored_bytes: u64,
}

impl Blobs {
    fn add(&mut self, plain_bytes: u32, stored_bytes: u32) {
        self.count += 1;
        self.plain_bytes += u64::from(plain_bytes);
        self.stored_bytes += u64::from(stored_bytes);
    }

    /// Plain bytes by stored bytes; `None` where nothing is stored.
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn compression(&self) -> Option<f64> {
        (self.stored_bytes > 0).then(|| self.plain_bytes as f64 / self.stored_bytes as f64)
    }
}

/// What the store holds, by the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Whole {
    /// Blobs of file content, each place counted.
    pub data: Blobs,
    /// Blobs of trees, lists and attributes, each place counted.
    pub metadata: Blobs,
    /// Data packs.
    pub data_packs: u64,
    /// Metadata packs.
    pub metadata_packs: u64,
    /// Bytes of all packs.
    pub pack_bytes: u64,
}

/// Counts what the index knows; no object is read.
pub fn whole(repo: &IndexedRepository) -> Whole {
    let mut whole = Whole::default();
    repo.index().for_each(|_, place| {
        let entry = &place.entry;
        let blobs = if entry.kind.is_metadata() { &mut whole.metadata } else { &mut whole.data };
        blobs.add(entry.plain_bytes, entry.stored_bytes);
    });
    for pack in repo.index().packs() {
        let packs =
            if pack.is_metadata { &mut whole.metadata_packs } else { &mut whole.data_packs };
        *packs += 1;
        whole.pack_bytes += pack.total_bytes;
    }
    whole
}

/// Sizes of one snapshot among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Snapshot.
    pub id: SnapshotId,
    /// Time that it stands for, in milliseconds since 1970.
    pub time_ms: i64,
    /// Bytes of its files, as its record has it.
    pub restore_bytes: u64,
    /// Its files, as its record has it.
    pub files: u64,
    /// Plain bytes of blobs that its backup added, as its record has it.
    pub added_plain_bytes: u64,
    /// Bytes that its backup added to the store, as its record has it.
    pub added_stored_bytes: u64,
    /// Blobs that no other of the snapshots uses.
    pub unique: Blobs,
}

/// Sizes of several snapshots together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Each snapshot, in the order given.
    pub rows: Vec<Row>,
    /// Bytes of the files of all snapshots.
    pub restore_bytes: u64,
    /// Distinct blobs of file content that they use.
    pub data: Blobs,
    /// Distinct blobs of trees, lists and attributes that they use.
    pub metadata: Blobs,
}

impl Sizes {
    /// Bytes of all files of all snapshots by the plain bytes of the distinct blobs of content.
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn deduplication(&self) -> Option<f64> {
        let plain = self.data.plain_bytes;
        (plain > 0).then(|| self.restore_bytes as f64 / plain as f64)
    }
}

/// Used by more than one snapshot.
const SHARED: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Use {
    /// Number of the only snapshot that uses the blob, or [`SHARED`].
    owner: u32,
    plain_bytes: u32,
    stored_bytes: u32,
    is_metadata: bool,
}

/// Counts what snapshots use together and each alone.
///
/// # Errors
/// What keeps a tree from being read: sizes without it would be wrong.
pub fn of_snapshots(repo: &IndexedRepository, taken: &[Taken], ambient: &Ambient) -> Result<Sizes> {
    let mut count = Count { repo, reader: BlobReader::new(repo)?, uses: HashMap::new(), ambient };
    for (number, one) in taken.iter().enumerate() {
        let owner = u32::try_from(number).unwrap_or(SHARED);
        count
            .tree(one.snapshot.root, owner)
            .with_context(|| format!("counting snapshot {}", one.id.short()))?;
    }
    let mut sizes = Sizes { rows: taken.iter().map(row).collect(), ..Sizes::default() };
    sizes.restore_bytes =
        taken.iter().fold(0, |sum, one| sum.saturating_add(one.snapshot.totals.bytes));
    for found in count.uses.values() {
        let blobs = if found.is_metadata { &mut sizes.metadata } else { &mut sizes.data };
        blobs.add(found.plain_bytes, found.stored_bytes);
        if let Some(row) = sizes.rows.get_mut(found.owner as usize) {
            row.unique.add(found.plain_bytes, found.stored_bytes);
        }
    }
    Ok(sizes)
}

fn row(taken: &Taken) -> Row {
    let snapshot = &taken.snapshot;
    Row {
        id: taken.id,
        time_ms: snapshot.time_ms,
        restore_bytes: snapshot.totals.bytes,
        files: snapshot.totals.files,
        added_plain_bytes: snapshot.statistics.bytes_new,
        added_stored_bytes: snapshot.statistics.bytes_stored,
        unique: Blobs::default(),
    }
}

struct Count<'a> {
    repo: &'a IndexedRepository,
    reader: BlobReader<'a>,
    /// By the first half of the id, which no two blobs share but by a chance of 2^-64 and less.
    uses: HashMap<[u8; 16], Use>,
    ambient: &'a Ambient,
}

impl Count<'_> {
    /// Counts one use of a blob; says whether what hangs on it must be counted too.
    fn count(&mut self, id: BlobId, kind: BlobKind, owner: u32) -> bool {
        let mut key = [0; 16];
        key.copy_from_slice(&id.0[..16]);
        if let Some(found) = self.uses.get_mut(&key) {
            // What is shared already was counted as shared with all that hangs on it.
            if found.owner == owner || found.owner == SHARED {
                return false;
            }
            found.owner = SHARED;
            return true;
        }
        let (plain_bytes, stored_bytes) = self
            .repo
            .index()
            .find(&id)
            .map_or((0, 0), |located| (located.entry.plain_bytes, located.entry.stored_bytes));
        let is_metadata = kind.is_metadata();
        self.uses.insert(key, Use { owner, plain_bytes, stored_bytes, is_metadata });
        true
    }

    /// Counts a directory and everything below it, a node at a time.
    fn tree(&mut self, root: BlobId, owner: u32) -> Result<()> {
        let mut pending = vec![root];
        let mut plain = Vec::new();
        while let Some(id) = pending.pop() {
            self.ambient.go_on()?;
            if !self.count(id, BlobKind::Tree, owner) {
                continue;
            }
            self.reader.read(id, BlobKind::Tree, &mut plain)?;
            let node = Node::decode(&plain);
            match node.with_context(|| format!("opening tree node {}", id.short()))? {
                Node::Inner { children, .. } => pending.extend(children.iter().map(|c| c.id)),
                Node::Leaf(entries) => {
                    for entry in &entries {
                        if let Body::Directory { tree, .. } = entry.body {
                            pending.push(tree);
                        }
                        self.entry(entry, owner)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, owner: u32) -> Result<()> {
        if let Attributes::Blob(id) = entry.metadata.attributes {
            self.count(id, BlobKind::Attributes, owner);
        }
        match &entry.body {
            Body::File { content: Content::Extents { extents, .. }, .. } => {
                for extent in extents {
                    self.extent(extent, owner);
                }
                Ok(())
            }
            Body::File { content: Content::List { root, .. }, .. } => self.list(*root, owner),
            _ => Ok(()),
        }
    }

    /// Counts a content list and the blobs in it.
    fn list(&mut self, root: BlobId, owner: u32) -> Result<()> {
        let mut pending = vec![root];
        let mut plain = Vec::new();
        while let Some(id) = pending.pop() {
            if !self.count(id, BlobKind::ContentList, owner) {
                continue;
            }
            self.reader.read(id, BlobKind::ContentList, &mut plain)?;
            let list = ListNode::decode(&plain);
            match list.with_context(|| format!("opening content list {}", id.short()))? {
                ListNode::Inner { children, .. } => pending.extend(children.iter().map(|c| c.id)),
                ListNode::Leaf(extents) => {
                    for extent in &extents {
                        self.extent(extent, owner);
                    }
                }
            }
        }
        Ok(())
    }

    fn extent(&mut self, extent: &Extent, owner: u32) {
        if let Some(id) = extent.blob() {
            self.count(id, BlobKind::Data, owner);
        }
    }
}
