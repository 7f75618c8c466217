//! Small repositories in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use repo_format::codec::Text;
use repo_format::content::{Chunker, Content, Extent};
use repo_format::history::{Event, Snapshot, Statistics};
use repo_format::object_name::prefix;
use repo_format::pack::BlobKind;
use repo_format::tree::{
    Attribute, AttributeList, Attributes, Body, Digest, Entry, LinkGroup, Metadata, Time,
};
use repo_format::{BlobId, SnapshotId};

use crate::chunk::compression::Level;
use crate::crypto::passphrase::Cost;
use crate::repo::contents::ContentBuilder;
use crate::repo::create::{Actor, Settings, create};
use crate::repo::history::{History, Taken};
use crate::repo::packer::{BlobWriter, PackSettings, Scratch};
use crate::repo::trees::{Directory, DirectoryBuilder};
use crate::repo::{IndexedRepository, Repository, Secret};
use crate::store::{MemoryStore, Put, Store as _};
use crate::{Ambient, Clock};

/// Something to save.
#[derive(Clone)]
pub(super) enum Thing {
    /// Content cut into pieces of 4096 bytes; below 64 bytes held in the entry.
    File(Vec<u8>),
    /// Data and holes.
    Sparse(Vec<Part>),
    /// Data and holes, each data between holes, with the digest of files with long holes.
    Holey(Vec<Part>),
    /// A file that shares a blob: the whole blob, first byte, bytes.
    Slice(Vec<u8>, u32, u32),
    Folder(BTreeMap<Vec<u8>, Node>),
    Link(Vec<u8>),
    Other(Body),
    /// A file whose entry has another digest than its content.
    Lying(Vec<u8>),
}

#[derive(Clone)]
pub(super) enum Part {
    Data(Vec<u8>),
    Hole(u64),
}

#[derive(Clone)]
pub(super) struct Node {
    pub(super) thing: Thing,
    pub(super) metadata: Metadata,
}

pub(super) fn node(thing: Thing) -> Node {
    let mode = if matches!(thing, Thing::Folder(_)) { 0o755 } else { 0o644 };
    let mtime = Time { seconds: 1_700_000_000, nanos: 5_000_000 };
    let user = Text::new("ann");
    let metadata = Metadata { mode, mtime, uid: 1000, gid: 1000, user, ..Metadata::default() };
    Node { thing, metadata }
}

pub(super) fn file(bytes: impl Into<Vec<u8>>) -> Node {
    node(Thing::File(bytes.into()))
}

pub(super) fn folder<const N: usize>(entries: [(&str, Node); N]) -> Node {
    let entries = entries.into_iter().map(|(name, node)| (name.as_bytes().to_vec(), node));
    node(Thing::Folder(entries.collect()))
}

impl Node {
    pub(super) fn linked(mut self, inode: u64) -> Self {
        self.metadata.link_group = Some(LinkGroup { device: 1, inode });
        self
    }
    pub(super) fn with_attribute(mut self, name: &str, value: &[u8]) -> Self {
        let name = name.as_bytes().into();
        let one = Attribute { name, value: value.into() };
        self.metadata.attributes = Attributes::Inline(vec![one]);
        self
    }
    pub(super) fn at(mut self, seconds: i64) -> Self {
        self.metadata.mtime = Time { seconds, nanos: 0 };
        self
    }
    pub(super) fn mode(mut self, mode: u32) -> Self {
        self.metadata.mode = mode;
        self
    }
    /// What lies below, by path.
    pub(super) fn put(&mut self, path: &str, thing: Node) {
        let Thing::Folder(entries) = &mut self.thing else { panic!("not a folder") };
        match path.split_once('/') {
            None => drop(entries.insert(path.as_bytes().to_vec(), thing)),
            Some((first, rest)) => entries.get_mut(first.as_bytes()).unwrap().put(rest, thing),
        }
    }
    pub(super) fn remove(&mut self, path: &str) {
        let Thing::Folder(entries) = &mut self.thing else { panic!("not a folder") };
        match path.split_once('/') {
            None => drop(entries.remove(path.as_bytes()).unwrap()),
            Some((first, rest)) => entries.get_mut(first.as_bytes()).unwrap().remove(rest),
        }
    }
}

/// Bytes that do not compress and never repeat.
pub(super) fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut out);
    out
}

/// A clock that goes on by a second each time it is asked, so that records have an order.
#[derive(Debug, Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now_ms(&self) -> i64 {
        self.0.fetch_add(1000, Ordering::SeqCst)
    }
}

pub(super) struct World {
    pub(super) store: MemoryStore,
    pub(super) repo: Repository,
    pub(super) ambient: Ambient,
    pub(super) actor: Actor,
}

impl World {
    pub(super) fn new() -> Self {
        let store = MemoryStore::new();
        let actor =
            Actor { host: "till".into(), user: "ann".into(), program: "strongroom test".into() };
        let cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
        let settings = Settings { cost, actor: actor.clone(), ..Settings::default() };
        let ambient = Ambient { clock: Arc::new(Ticking::default()), ..Ambient::default() };
        let secret = Secret::passphrase("pass");
        let repo = create(Arc::new(store.clone()), &secret, &settings, &ambient).unwrap();
        Self { store, repo, ambient, actor }
    }

    pub(super) fn history(&self) -> History {
        History::load(&self.repo, &self.ambient).unwrap()
    }

    pub(super) fn indexed(&self) -> IndexedRepository {
        self.repo.load_index(&self.ambient).unwrap()
    }

    /// Saves a snapshot of `root` for a host and a time, in seconds.
    pub(super) fn snapshot(&self, root: &Node, host: &str, seconds: i64) -> SnapshotId {
        self.snapshot_with(root, |snapshot| {
            snapshot.host = Text::new(host);
            snapshot.time_ms = seconds * 1000;
        })
    }

    /// Saves as many snapshots as are wanted until `is_enough`.
    pub(super) fn snapshots_until(&self, is_enough: impl Fn(&[SnapshotId]) -> bool) {
        let mut ids = vec![self.snapshot(&node(Thing::Folder(BTreeMap::new())), "till", 1)];
        let mut snapshot = self.taken(ids[0]).snapshot;
        let mut history = self.history();
        while !is_enough(&ids) {
            snapshot.time_ms += 1;
            let event = Event::Snapshot(Box::new(snapshot.clone()));
            ids.push(history.commit(&self.repo, event, 0, &self.actor, &self.ambient).unwrap());
        }
    }

    pub(super) fn snapshot_with(
        &self,
        root: &Node,
        change: impl FnOnce(&mut Snapshot),
    ) -> SnapshotId {
        let repo = self.indexed();
        let settings = PackSettings::within(64 << 20, 4 << 20, 1, 1, Level::default());
        let progress = crate::Progress::default();
        let directory = BlobWriter::with(&repo, settings, &progress, |writer| {
            let mut scratch = writer.scratch()?;
            Ok(save(&repo, writer, &mut scratch, root))
        })
        .unwrap();
        let mut snapshot = Snapshot {
            root: directory.tree,
            root_entries: directory.entries,
            totals: directory.totals,
            pack_set: None,
            prune_basis: Vec::new(),
            time_ms: 0,
            host: Text::new("till"),
            user: Text::new("ann"),
            program: Text::new("strongroom test"),
            sources: vec![b"/home"[..].into()],
            tags: Vec::new(),
            label: Text::default(),
            parent: None,
            is_partial: false,
            unreadable: 0,
            streams: Vec::new(),
            statistics: Statistics { bytes_new: 7, ..Statistics::default() },
        };
        change(&mut snapshot);
        let event = Event::Snapshot(Box::new(snapshot));
        self.history().commit(&self.repo, event, 0, &self.actor, &self.ambient).unwrap()
    }

    pub(super) fn taken(&self, id: SnapshotId) -> Taken {
        self.history().snapshots().into_iter().find(|taken| taken.id == id).unwrap()
    }

    /// Flips a bit in every frame of a blob.
    pub(super) fn damage(&self, id: BlobId) {
        let repo = self.indexed();
        for located in repo.index().find_all(&id) {
            let name = crate::repo::blobs::pack_name(&located.pack);
            let mut bytes = self.store.get(&name).unwrap().to_vec();
            bytes[located.entry.offset as usize + 30] ^= 1;
            self.store.put(&name, Bytes::from(bytes), Put::Overwrite).unwrap();
        }
    }

    pub(super) fn packs(&self) -> usize {
        self.store.list(prefix::PACKS).unwrap().len()
    }
}

fn save(
    repo: &Repository,
    writer: &BlobWriter<'_>,
    scratch: &mut Scratch,
    node: &Node,
) -> Directory {
    let Thing::Folder(entries) = &node.thing else { panic!("not a folder") };
    let mut builder = DirectoryBuilder::new(repo);
    for (name, node) in entries {
        let body = body(repo, writer, scratch, node);
        let mut metadata = node.metadata.clone();
        if let Attributes::Inline(list) = &metadata.attributes
            && list[0].value.len() > 500
        {
            let plain = AttributeList(list.clone()).encode();
            let id = writer.save(scratch, BlobKind::Attributes, &plain).unwrap();
            metadata.attributes = Attributes::Blob(id);
        }
        let entry = Entry { name: name.clone().into(), metadata, body };
        builder.push(writer, scratch, &entry).unwrap();
    }
    builder.finish(writer, scratch).unwrap()
}

fn body(repo: &Repository, writer: &BlobWriter<'_>, scratch: &mut Scratch, node: &Node) -> Body {
    let whole = |bytes: &[u8], content| Body::File {
        size: bytes.len() as u64,
        content,
        digest: Digest::Plain(*blake3::hash(bytes).as_bytes()),
    };
    match &node.thing {
        Thing::File(bytes) if bytes.len() < 64 => whole(bytes, Content::inline(bytes)),
        Thing::File(bytes) => {
            whole(bytes, cut(repo, writer, scratch, &[Part::Data(bytes.clone())]))
        }
        Thing::Lying(bytes) => {
            let content = cut(repo, writer, scratch, &[Part::Data(bytes.clone())]);
            Body::File { size: bytes.len() as u64, content, digest: Digest::Plain([7; 32]) }
        }
        Thing::Sparse(parts) => {
            let content = cut(repo, writer, scratch, parts);
            whole(&flat(parts), content)
        }
        Thing::Holey(parts) => {
            let content = cut(repo, writer, scratch, parts);
            let (mut hasher, mut at) = (blake3::Hasher::new(), 0);
            for part in parts {
                match part {
                    Part::Hole(length) => at += length,
                    Part::Data(bytes) => {
                        let length = bytes.len() as u64;
                        hasher
                            .update(&at.to_le_bytes())
                            .update(bytes)
                            .update(&length.to_le_bytes());
                        at += length;
                    }
                }
            }
            Body::File { size: at, content, digest: Digest::Sparse(*hasher.finalize().as_bytes()) }
        }
        Thing::Slice(blob, offset, length) => {
            let id = writer.save(scratch, BlobKind::Data, blob).unwrap();
            let extents = vec![Extent::Slice { id, offset: *offset, length: *length }];
            let bytes = &blob[*offset as usize..(*offset + *length) as usize];
            whole(bytes, Content::Extents { chunker: Chunker::Whole, extents })
        }
        Thing::Folder(_) => {
            let saved = save(repo, writer, scratch, node);
            Body::Directory { tree: saved.tree, entries: saved.entries, totals: saved.totals }
        }
        Thing::Link(target) => Body::Symlink { target: target.clone().into() },
        Thing::Other(body) => body.clone(),
    }
}

/// The bytes of parts, holes as zeros.
pub(super) fn flat(parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        match part {
            Part::Data(bytes) => out.extend_from_slice(bytes),
            Part::Hole(length) => out.resize(out.len() + usize::try_from(*length).unwrap(), 0),
        }
    }
    out
}

fn cut(
    repo: &Repository,
    writer: &BlobWriter<'_>,
    scratch: &mut Scratch,
    parts: &[Part],
) -> Content {
    let mut builder = ContentBuilder::new();
    for part in parts {
        match part {
            Part::Hole(length) => {
                let hole = Extent::Hole { length: *length };
                builder.push(writer, scratch, repo, hole).unwrap();
            }
            Part::Data(bytes) => {
                for piece in bytes.chunks(4096) {
                    let id = writer.save(scratch, BlobKind::Data, piece).unwrap();
                    let length = u32::try_from(piece.len()).unwrap();
                    builder.push(writer, scratch, repo, Extent::Blob { id, length }).unwrap();
                }
            }
        }
    }
    builder.finish(writer, scratch, Chunker::Fixed { size: 4096 }).unwrap()
}
