//! Restores out of small repositories in memory, built entry by entry.

mod content;
mod damage;
mod placing;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use repo_format::content::{Chunker, Content, Extent};
use repo_format::history::{Event, Snapshot, Statistics};
use repo_format::pack::BlobKind;
use repo_format::tree::{Attribute, Attributes, Body, Entry, LinkGroup, Metadata, Time, Totals};
use repo_format::{Bytes, Text};

use super::*;
use crate::chunk::compression::Level;
use crate::crypto::passphrase::Cost;
use crate::repo::contents::ContentBuilder;
use crate::repo::create::{self, Actor};
use crate::repo::history::{History, Taken};
use crate::repo::packer::{BlobWriter, PackSettings, Scratch};
use crate::repo::trees::DirectoryBuilder;
use crate::repo::{Repository, Secret};
use crate::store::{MemoryStore, Store};
use crate::target::files::ApplyOptions;

/// What a test puts into a snapshot.
#[derive(Debug, Clone)]
enum Node {
    /// Bytes, each part a blob of its own, or a hole.
    File(Vec<Part>),
    /// A part of the bundle of the test: offset and length.
    Slice(u32, u32),
    /// Bytes in the entry.
    Inline(Vec<u8>),
    /// The same as what was built before it.
    Again,
    Folder(Vec<(Vec<u8>, Item)>),
    Other(Body),
}

#[derive(Debug, Clone)]
enum Part {
    Bytes(Vec<u8>),
    Hole(u64),
}

#[derive(Debug, Clone)]
struct Item {
    node: Node,
    metadata: Metadata,
}

impl Item {
    fn new(node: Node) -> Self {
        let mode = if matches!(node, Node::Folder(_)) { 0o755 } else { 0o644 };
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let mtime = Time { seconds: 1_500_000_000, nanos: 123_456_789 };
        Self { node, metadata: Metadata { mode, uid, gid, mtime, ..Metadata::default() } }
    }

    fn mode(mut self, mode: u32) -> Self {
        self.metadata.mode = mode;
        self
    }

    fn link(mut self, inode: u64) -> Self {
        self.metadata.link_group = Some(LinkGroup { device: 1, inode });
        self
    }

    fn attribute(mut self, name: &str, value: &[u8]) -> Self {
        let attribute = Attribute { name: name.as_bytes().into(), value: value.into() };
        self.metadata.attributes = Attributes::Inline(vec![attribute]);
        self
    }
}

fn file(bytes: impl AsRef<[u8]>) -> Item {
    Item::new(Node::File(vec![Part::Bytes(bytes.as_ref().to_vec())]))
}

fn parts(parts: Vec<Part>) -> Item {
    Item::new(Node::File(parts))
}

fn inline(bytes: &[u8]) -> Item {
    Item::new(Node::Inline(bytes.to_vec()))
}

fn symlink(target: &str) -> Item {
    Item::new(Node::Other(Body::Symlink { target: target.as_bytes().into() }))
}

fn folder<N: AsRef<[u8]>>(entries: impl IntoIterator<Item = (N, Item)>) -> Item {
    let entries = entries.into_iter().map(|(name, item)| (name.as_ref().to_vec(), item));
    Item::new(Node::Folder(entries.collect()))
}

/// Bytes that look like nothing and differ by seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A repository with one snapshot, and a folder to restore into.
struct World {
    store: MemoryStore,
    repo: IndexedRepository,
    snapshot: Taken,
    place: tempfile::TempDir,
    ambient: Ambient,
}

impl World {
    /// Takes a snapshot of `/src`, the only source, with these entries.
    fn new<N: AsRef<[u8]>>(entries: impl IntoIterator<Item = (N, Item)>) -> Self {
        Self::with(&folder([("src", folder(entries))]), &["/src"], &[])
    }

    fn with(root: &Item, sources: &[&str], bundle: &[u8]) -> Self {
        let ambient = Ambient::default();
        let store = MemoryStore::new();
        let shared: Arc<dyn Store> = Arc::new(store.clone());
        let cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
        let settings = create::Settings { cost, ..create::Settings::default() };
        let secret = Secret::passphrase("open sesame");
        let repo = create::create(shared, &secret, &settings, &ambient).unwrap();
        let (tree, entries, totals) = {
            let repo = repo.load_index(&ambient).unwrap();
            let packs = PackSettings {
                data_bytes: 1 << 20,
                metadata_bytes: 1 << 20,
                level: Level::Default,
                uploads: 1,
                is_dry: false,
            };
            BlobWriter::with(&repo, packs, &ambient.progress, |writer| {
                let scratch = writer.scratch()?;
                let mut build = Build { repo: &repo, writer, scratch, bundle, last: Body::Fifo };
                let Body::Directory { tree, entries, totals } = build.body(root)? else {
                    panic!("the root is a folder")
                };
                Ok((tree, entries, totals))
            })
            .unwrap()
        };
        let snapshot = snapshot(tree, entries, totals, sources);
        let snapshot = commit(&repo, snapshot, &ambient);
        let repo = repo.load_index(&ambient).unwrap();
        let place = tempfile::tempdir().unwrap();
        Self { store, repo, snapshot, place, ambient }
    }

    fn target(&self) -> PathBuf {
        self.place.path().join("target")
    }

    fn path(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.target().join(OsStr::from_bytes(name.as_ref()))
    }

    fn options(&self) -> Options {
        Options { target: self.target(), threads: 2, ..Options::default() }
    }

    fn run(&self, options: &Options) -> Report {
        restore(&self.repo, &self.snapshot, options, &self.ambient).unwrap()
    }

    /// Restores with the defaults, and expects nothing to be wrong.
    fn restore(&self) -> Report {
        let report = self.run(&self.options());
        assert_sound(&report);
        report
    }

    fn read(&self, name: impl AsRef<[u8]>) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn names(&self, name: &str) -> Vec<String> {
        names(&self.path(name))
    }

    /// Changes one byte in the frame of the data blob with these plain bytes.
    fn damage(&self, plain: &[u8]) {
        let id = crate::crypto::blob::blob_id(&self.repo.keys.id_key, BlobKind::Data, plain);
        self.damage_blob(id);
    }

    fn damage_blob(&self, id: repo_format::BlobId) {
        let located = self.repo.index().find(&id).unwrap();
        let name = crate::repo::blobs::pack_name(&located.pack);
        let mut bytes = self.store.get(&name).unwrap().to_vec();
        bytes[located.entry.offset as usize + 30] ^= 1;
        self.store.put(&name, bytes.into(), crate::store::Put::Overwrite).unwrap();
    }
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn assert_sound(report: &Report) {
    assert_eq!(report.findings, []);
    assert_eq!(report.failures, []);
    assert_eq!(report.problems, []);
}

fn snapshot(root: repo_format::BlobId, entries: u64, totals: Totals, sources: &[&str]) -> Snapshot {
    Snapshot {
        root,
        root_entries: entries,
        totals,
        pack_set: None,
        prune_basis: Vec::new(),
        time_ms: 1,
        host: Text::new("till"),
        user: Text::new("ann"),
        program: Text::new("test"),
        sources: sources.iter().map(|source| Bytes(source.as_bytes().to_vec())).collect(),
        tags: Vec::new(),
        label: Text::new(""),
        parent: None,
        is_partial: false,
        unreadable: 0,
        streams: Vec::new(),
        statistics: Statistics::default(),
    }
}

fn commit(repo: &Repository, snapshot: Snapshot, ambient: &Ambient) -> Taken {
    let mut history = History::load(repo, ambient).unwrap();
    let event = Event::Snapshot(Box::new(snapshot));
    history.commit(repo, event, 0, &Actor::default(), ambient).unwrap();
    history.snapshots().pop().unwrap()
}

/// Saves a tree of items, from the leaves up.
struct Build<'a, 'w> {
    repo: &'a Repository,
    writer: &'a BlobWriter<'w>,
    scratch: Scratch,
    bundle: &'a [u8],
    last: Body,
}

impl Build<'_, '_> {
    fn body(&mut self, item: &Item) -> Result<Body> {
        match &item.node {
            Node::Other(body) => Ok(body.clone()),
            Node::Again => Ok(self.last.clone()),
            Node::Inline(bytes) => Ok(Body::File {
                size: bytes.len() as u64,
                content: Content::inline(bytes),
                digest: repo_format::tree::Digest::Plain(*blake3::hash(bytes).as_bytes()),
            }),
            Node::Slice(offset, length) => {
                let id = self.writer.save(&mut self.scratch, BlobKind::Data, self.bundle)?;
                let (offset, length) = (*offset, *length);
                let bytes = &self.bundle[offset as usize..][..length as usize];
                let extents = vec![Extent::Slice { id, offset, length }];
                Ok(Body::File {
                    size: bytes.len() as u64,
                    content: Content::Extents { chunker: Chunker::Whole, extents },
                    digest: repo_format::tree::Digest::Plain(*blake3::hash(bytes).as_bytes()),
                })
            }
            Node::File(parts) => self.file(parts),
            Node::Folder(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                let mut builder = DirectoryBuilder::new(self.repo);
                for (name, item) in entries {
                    let body = self.body(item)?;
                    self.last = body.clone();
                    let name = name.as_slice().into();
                    let entry = Entry { name, metadata: item.metadata.clone(), body };
                    builder.push(self.writer, &mut self.scratch, &entry)?;
                }
                let directory = builder.finish(self.writer, &mut self.scratch)?;
                let (tree, totals) = (directory.tree, directory.totals);
                Ok(Body::Directory { tree, entries: directory.entries, totals })
            }
        }
    }

    fn file(&mut self, parts: &[Part]) -> Result<Body> {
        let mut content = ContentBuilder::new();
        let mut hasher = blake3::Hasher::new();
        let mut size = 0;
        for part in parts {
            let extent = match part {
                Part::Hole(length) => {
                    hasher.update(&vec![0; usize::try_from(*length).unwrap()]);
                    Extent::Hole { length: *length }
                }
                Part::Bytes(bytes) => {
                    hasher.update(bytes);
                    let id = self.writer.save(&mut self.scratch, BlobKind::Data, bytes)?;
                    Extent::Blob { id, length: u32::try_from(bytes.len()).unwrap() }
                }
            };
            size += extent.length();
            content.push(self.writer, &mut self.scratch, self.repo, extent)?;
        }
        let content = content.finish(self.writer, &mut self.scratch, Chunker::Whole)?;
        Ok(Body::File {
            size,
            content,
            digest: repo_format::tree::Digest::Plain(*hasher.finalize().as_bytes()),
        })
    }
}
