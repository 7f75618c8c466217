//! A repository in memory, driven through the engine as a library: for cases by the thousand, which
//! a process each would be too slow for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::backup::{self, Source};
use engine::crypto::passphrase::Cost;
use engine::repo::create::{self, Settings};
use engine::repo::history::History;
use engine::repo::{OpenSettings, Repository, Secret, open};
use engine::restore;
use engine::store::{MemoryStore, Put, Store};
use engine::{Ambient, Result};
use repo_format::ObjectName;
use tempfile::TempDir;

use crate::tree::Tree;

/// Files by path, with what is in them.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The cheapest cost of a key slot.
pub const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

/// A repository in memory, and the folder that is backed up into it.
#[derive(Debug)]
pub struct InMemory {
    /// The store; a copy of the handle sees the same objects.
    pub store: MemoryStore,
    /// Counters and clock of every call.
    pub ambient: Ambient,
    folder: TempDir,
}

/// The passphrase that opens it.
pub fn secret() -> Secret {
    Secret::passphrase("secret")
}

impl InMemory {
    /// Makes an empty repository, and a source filled by `build`.
    pub fn new(build: impl FnOnce(&mut Tree)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, ambient) = (MemoryStore::new(), Ambient::default());
        let settings = Settings { cost: CHEAP, ..Settings::default() };
        create::create(Arc::new(store.clone()), &secret(), &settings, &ambient).unwrap();
        let world = Self { store, ambient, folder };
        std::fs::create_dir(world.source()).unwrap();
        let mut tree = Tree::new(world.source());
        build(&mut tree);
        tree.finish();
        world
    }

    /// A path in the folder of the world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Folder to back up.
    pub fn source(&self) -> PathBuf {
        self.path("source")
    }

    /// Backs the source up.
    pub fn back_up(&self) {
        let repo = open_in(&self.store).unwrap().load_index(&self.ambient).unwrap();
        let options = backup::Options {
            sources: vec![Source::Path(self.source())],
            threads: 1,
            ..backup::Options::default()
        };
        let report = backup::backup(&repo, &options, &self.ambient).unwrap();
        assert_eq!(report.unreadable_count, 0, "{:?}", report.unreadable);
    }

    /// Names of the objects whose name starts with `prefix`.
    pub fn names(&self, prefix: &str) -> Vec<ObjectName> {
        let names = self.store.names().into_iter();
        names.filter(|name| name.as_str().starts_with(prefix)).collect()
    }

    /// Bytes of an object.
    pub fn get(&self, name: &ObjectName) -> Vec<u8> {
        self.store.get(name).unwrap().to_vec()
    }

    /// Puts an object, also in the place of another.
    pub fn put(&self, name: &ObjectName, bytes: Vec<u8>) {
        self.store.put(name, bytes.into(), Put::Overwrite).unwrap();
    }

    /// Restores the newest snapshot as a new machine does; none where no snapshot is seen.
    pub fn restore(&self, target: &Path) -> Result<Option<Restored>> {
        restore_from(Arc::new(self.store.clone()), &self.source(), target, &self.ambient)
    }
}

/// What a restore brought back and said.
#[derive(Debug)]
pub struct Restored {
    /// Files below the target.
    pub files: Files,
    /// What it said.
    pub report: restore::Report,
    /// Snapshots that the history shows.
    pub snapshots: usize,
    /// Whether the history told of damage.
    pub has_findings: bool,
}

impl Restored {
    /// Whether the restore claims that everything is back.
    pub fn is_claimed_whole(&self) -> bool {
        self.report.findings.is_empty() && self.report.failures.is_empty()
    }
}

/// Opens the repository in a store.
pub fn open_in(store: &MemoryStore) -> Result<Repository> {
    open(Arc::new(store.clone()), &secret(), &OpenSettings::default())
}

/// Restores the newest snapshot of `source` in a store into an empty target.
pub fn restore_from(
    store: Arc<dyn Store>,
    source: &Path,
    target: &Path,
    ambient: &Ambient,
) -> Result<Option<Restored>> {
    let _ = std::fs::remove_dir_all(target);
    let repo = open(store, &secret(), &OpenSettings::default())?;
    let history = History::load(&repo, ambient)?;
    let repo = repo.load_index(ambient)?;
    let snapshots = history.snapshots();
    let Some(newest) = snapshots.last() else { return Ok(None) };
    let options = restore::Options {
        target: target.to_owned(),
        path: Some(source.to_str().unwrap().as_bytes().to_vec()),
        threads: 1,
        ..restore::Options::default()
    };
    let report = restore::restore(&repo, newest, &options, ambient)?;
    let has_findings = !history.findings.is_empty();
    let files = files(target);
    Ok(Some(Restored { files, report, snapshots: snapshots.len(), has_findings }))
}

/// Content of every file below a folder, those aside that a restore has set aside as damaged.
pub fn files(root: &Path) -> Files {
    let mut found = Files::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.map(std::result::Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                waiting.push(path);
            } else if kind.is_file() && !path.to_string_lossy().contains(".strongroom-damaged") {
                let content = std::fs::read(&path).unwrap();
                found.insert(path.strip_prefix(root).unwrap().to_owned(), content);
            }
        }
    }
    found
}
