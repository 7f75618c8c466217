//! A small repository in memory with one of everything, for tests of the verbs.

use repo_format::codec::Text;
use repo_format::content::{Chunker, Content, Extent};
use repo_format::history::{Event, Snapshot, Statistics};
use repo_format::pack::BlobKind;
use repo_format::tree::{Attribute, AttributeList, Attributes, Body, Digest, Entry, Metadata};
use repo_format::{ObjectName, SnapshotId};

use super::contents::ContentBuilder;
use super::create::{self, Actor};
use super::history::History;
use super::packer::{BlobWriter, PackSettings, Scratch};
use super::trees::{Directory, DirectoryBuilder};
use super::{IndexedRepository, Repository, Secret};
use crate::Ambient;
use crate::chunk::compression::Level;
use crate::crypto::passphrase::Cost;
use crate::store::{MemoryStore, Put, Store};

/// The cheapest cost.
pub(crate) const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

/// A repository in memory, the folder that holds its pins, and its snapshots, oldest first.
pub(crate) struct Fixture {
    pub(crate) store: MemoryStore,
    pub(crate) repo: Repository,
    pub(crate) ambient: Ambient,
    pub(crate) snapshots: Vec<SnapshotId>,
    _cache: tempfile::TempDir,
}

impl Fixture {
    /// Makes an empty repository.
    pub(crate) fn empty() -> Self {
        let cache = tempfile::tempdir().unwrap();
        let store = MemoryStore::new();
        let ambient = Ambient::default();
        let settings = create::Settings {
            cost: CHEAP,
            cache: Some(cache.path()),
            ..create::Settings::default()
        };
        let secret = Secret::passphrase("secret");
        let shared = std::sync::Arc::new(store.clone());
        let repo = create::create(shared, &secret, &settings, &ambient).unwrap();
        Self { store, repo, ambient, snapshots: Vec::new(), _cache: cache }
    }

    /// Makes a repository with two snapshots that share most of their files.
    pub(crate) fn small() -> Self {
        let mut fixture = Self::empty();
        fixture.back_up(b"first");
        fixture.back_up(b"second");
        fixture
    }

    /// Commits a snapshot: a folder of fixed files, and one file that holds `content`.
    pub(crate) fn back_up(&mut self, content: &[u8]) -> SnapshotId {
        self.commit(|writer, scratch, repo| {
            let entries = inner_entries(writer, scratch, repo);
            let inner = directory(writer, scratch, repo, &entries);
            let mut entries = vec![
                folder(b"d", inner),
                file(b"new", content.len() as u64, stored(writer, scratch, repo, content)),
            ];
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            directory(writer, scratch, repo, &entries)
        })
    }

    /// Commits a snapshot of whatever root `build` makes.
    pub(crate) fn commit(
        &mut self,
        build: impl FnOnce(&BlobWriter<'_>, &mut Scratch, &Repository) -> Directory,
    ) -> SnapshotId {
        let indexed = self.index();
        let settings = PackSettings {
            data_bytes: 1 << 20,
            metadata_bytes: 1 << 20,
            level: Level::Default,
            uploads: 1,
            is_dry: false,
        };
        let root = BlobWriter::with(&indexed, settings, &self.ambient.progress, |writer| {
            Ok(build(writer, &mut writer.scratch()?, &self.repo))
        })
        .unwrap();
        let event = Event::Snapshot(Box::new(snapshot(root)));
        let mut history = History::load(&self.repo, &self.ambient).unwrap();
        let actor = Actor::default();
        let id = history.commit(&self.repo, event, 0, &actor, &self.ambient).unwrap();
        self.snapshots.push(id);
        id
    }

    pub(crate) fn index(&self) -> IndexedRepository {
        self.repo.load_index(&self.ambient).unwrap()
    }

    /// Names of the objects whose name starts with `prefix`.
    pub(crate) fn names(&self, prefix: &str) -> Vec<ObjectName> {
        self.store.names().into_iter().filter(|name| name.as_str().starts_with(prefix)).collect()
    }

    pub(crate) fn get(&self, name: &ObjectName) -> Vec<u8> {
        self.store.get(name).unwrap().to_vec()
    }

    pub(crate) fn put(&self, name: &ObjectName, bytes: Vec<u8>) {
        self.store.put(name, bytes.into(), Put::Overwrite).unwrap();
    }
}

pub(crate) fn snapshot(root: Directory) -> Snapshot {
    Snapshot {
        root: root.tree,
        root_entries: root.entries,
        totals: root.totals,
        pack_set: None,
        prune_basis: vec![],
        time_ms: 1_000,
        host: Text::new("till"),
        user: Text::new("ann"),
        program: Text::new("test"),
        sources: vec![b"/d"[..].into()],
        tags: vec![],
        label: Text::default(),
        parent: None,
        is_partial: false,
        unreadable: 0,
        streams: vec![],
        statistics: Statistics::default(),
    }
}

/// Files of every kind of content, one with attributes in a blob.
fn inner_entries(writer: &BlobWriter<'_>, scratch: &mut Scratch, repo: &Repository) -> Vec<Entry> {
    let shared = writer.save(scratch, BlobKind::Data, b"one and two").unwrap();
    let slice = |offset| {
        let extents = vec![Extent::Slice { id: shared, offset, length: 3 }];
        Content::Extents { chunker: Chunker::Whole, extents }
    };
    let mut list = ContentBuilder::new();
    for _ in 0..70 {
        let blob = Extent::Blob { id: shared, length: 11 };
        list.push(writer, scratch, repo, blob).unwrap();
        list.push(writer, scratch, repo, Extent::Hole { length: 100 }).unwrap();
    }
    let list = list.finish(writer, scratch, Chunker::Whole).unwrap();
    assert!(matches!(list, Content::List { .. }));
    let attribute = Attribute { name: b"user.x"[..].into(), value: b"y"[..].into() };
    let attributes = AttributeList(vec![attribute]).encode();
    let attributes = writer.save(scratch, BlobKind::Attributes, &attributes).unwrap();
    let mut labelled = file(b"inline", 2, Content::inline(b"hi"));
    labelled.metadata.attributes = Attributes::Blob(attributes);
    vec![labelled, file(b"list", 7770, list), file(b"one", 3, slice(0)), file(b"two", 3, slice(8))]
}

/// Content of one blob.
pub(crate) fn stored(
    writer: &BlobWriter<'_>,
    scratch: &mut Scratch,
    repo: &Repository,
    bytes: &[u8],
) -> Content {
    let id = writer.save(scratch, BlobKind::Data, bytes).unwrap();
    let mut content = ContentBuilder::new();
    let length = u32::try_from(bytes.len()).unwrap();
    content.push(writer, scratch, repo, Extent::Blob { id, length }).unwrap();
    content.finish(writer, scratch, Chunker::Whole).unwrap()
}

pub(crate) fn file(name: &[u8], size: u64, content: Content) -> Entry {
    let body = Body::File { size, content, digest: Digest::Plain([0; 32]) };
    Entry { name: name.into(), metadata: Metadata::default(), body }
}

pub(crate) fn folder(name: &[u8], of: Directory) -> Entry {
    let body = Body::Directory { tree: of.tree, entries: of.entries, totals: of.totals };
    Entry { name: name.into(), metadata: Metadata::default(), body }
}

pub(crate) fn directory(
    writer: &BlobWriter<'_>,
    scratch: &mut Scratch,
    repo: &Repository,
    entries: &[Entry],
) -> Directory {
    let mut builder = DirectoryBuilder::new(repo);
    for entry in entries {
        builder.push(writer, scratch, entry).unwrap();
    }
    builder.finish(writer, scratch).unwrap()
}
