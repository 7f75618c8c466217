//! A repository in memory, with machines that back up real files, forget and prune, all at a pinned
//! time.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use repo_format::SnapshotId;
use repo_format::pack::BlobKind;

use super::super::{Options, Report, prune};
use crate::ambient::Clock;
use crate::backup::{self, Source, backup};
use crate::crypto::passphrase::Cost;
use crate::error::Result;
use crate::repo::blobs::BlobReader;
use crate::repo::create::{self, Actor};
use crate::repo::history::{History, Taken};
use crate::repo::reachable::{self, Walked};
use crate::repo::{self, OpenSettings, Repository, Secret};
use crate::store::{MemoryStore, Store};
use crate::{Ambient, forget};

pub(super) const DAY: i64 = 24 * 3_600_000;

#[derive(Debug)]
pub(super) struct Pinned(pub(super) AtomicI64);

impl Clock for Pinned {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A store and the time.
pub(super) struct World {
    pub(super) store: MemoryStore,
    pub(super) clock: Arc<Pinned>,
}

impl World {
    pub(super) fn new() -> Self {
        let store = MemoryStore::new();
        let clock = Arc::new(Pinned(AtomicI64::new(1_770_000_000_000)));
        store.set_time_ms(Some(clock.now_ms()));
        let world = Self { store, clock };
        let settings = create::Settings {
            cost: Cost { memory_kib: 64, passes: 1, lanes: 1 },
            ..create::Settings::default()
        };
        let shared = Arc::new(world.store.clone());
        create::create(shared, &Secret::passphrase("secret"), &settings, &world.ambient()).unwrap();
        world
    }

    pub(super) fn ambient(&self) -> Ambient {
        let clock: Arc<dyn Clock> = self.clock.clone();
        Ambient { clock, ..Ambient::default() }
    }

    /// Lets time pass, for the machines and for the store.
    pub(super) fn pass(&self, ms: i64) {
        let now = self.clock.0.fetch_add(ms, Ordering::Relaxed) + ms;
        self.store.set_time_ms(Some(now));
    }

    pub(super) fn machine(&self, host: &str) -> Machine {
        self.machine_at(host, Arc::new(self.store.clone()))
    }

    /// A machine that reaches the store its own way.
    pub(super) fn machine_at(&self, host: &str, store: Arc<dyn Store>) -> Machine {
        Machine::open(host, store, self.ambient()).unwrap()
    }

    /// Everything that is stored, by name.
    pub(super) fn names(&self, prefix: &str) -> Vec<String> {
        let names = self.store.names().into_iter().map(|name| name.as_str().to_owned());
        names.filter(|name| name.starts_with(prefix)).collect()
    }

    /// Packs of the store.
    pub(super) fn packs(&self) -> usize {
        self.names("packs/").len() + self.names("meta/").len()
    }
}

/// A machine with its files and its cache.
pub(super) struct Machine {
    pub(super) repo: Repository,
    pub(super) ambient: Ambient,
    host: String,
    folder: tempfile::TempDir,
}

impl Machine {
    pub(super) fn open(host: &str, store: Arc<dyn Store>, ambient: Ambient) -> Result<Self> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("files")).unwrap();
        let settings =
            OpenSettings { cache: Some(folder.path().join("cache")), ..OpenSettings::default() };
        std::fs::create_dir_all(folder.path().join("cache")).unwrap();
        let repo = repo::open(store, &Secret::passphrase("secret"), &settings)?;
        Ok(Self { repo, ambient, host: host.to_owned(), folder })
    }

    pub(super) fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    pub(super) fn actor(&self) -> Actor {
        Actor { host: self.host.clone(), user: "ann".into(), program: "test".into() }
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.files().join(name), content).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        std::fs::remove_file(self.files().join(name)).unwrap();
    }

    pub(super) fn back_up(&self) -> Result<SnapshotId> {
        let options = backup::Options {
            sources: vec![Source::Path(self.files())],
            actor: self.actor(),
            threads: 1,
            memory_bytes: 32 << 20,
            ..backup::Options::default()
        };
        let repo = self.repo.load_index(&self.ambient)?;
        Ok(backup(&repo, &options, &self.ambient)?.snapshot.unwrap())
    }

    pub(super) fn history(&self) -> Result<History> {
        History::load(&self.repo, &self.ambient)
    }

    pub(super) fn live(&self) -> Vec<Taken> {
        self.history().unwrap().snapshots()
    }

    pub(super) fn forget(&self, ids: &[SnapshotId]) -> Result<Vec<SnapshotId>> {
        let mut history = self.history()?;
        let plan = forget::plan_named(&history, ids, true, &self.ambient)?;
        let actor = self.actor();
        forget::execute(&self.repo, &mut history, &plan, "test", &actor, &self.ambient)
    }

    pub(super) fn options(&self, grace_ms: u64) -> Options {
        let unused_per_mille_max = 0;
        let actor = self.actor();
        Options {
            grace_ms,
            unused_per_mille_max,
            actor,
            memory_bytes: 32 << 20,
            ..Options::default()
        }
    }

    pub(super) fn prune(&self, grace_ms: u64) -> Result<Report> {
        prune(&self.repo, &self.options(grace_ms), &self.ambient)
    }

    /// Reads every blob of a snapshot from the store as it is now; each is what its id names.
    pub(super) fn read_all(&self, taken: &Taken) -> Result<()> {
        let repo = self.repo.load_index(&self.ambient)?;
        let mut wanted: BTreeSet<(BlobKind, repo_format::BlobId)> = BTreeSet::new();
        let mut reader = BlobReader::new(&repo)?;
        let root = taken.snapshot.root;
        reachable::walk(&mut reader, root, &mut Walked::new(), &self.ambient, &mut |id, kind| {
            wanted.insert((kind, id));
            Ok(())
        })?;
        let mut plain = Vec::new();
        wanted.into_iter().try_for_each(|(kind, id)| reader.read(id, kind, &mut plain))
    }

    /// Reads every snapshot that is not forgotten.
    #[track_caller]
    pub(super) fn all_is_well(&self) {
        for taken in self.live() {
            if let Err(error) = self.read_all(&taken) {
                panic!("snapshot {} does not read: {error}", taken.id.short());
            }
        }
    }
}

/// Bytes that depend on a seed alone and do not compress.
pub(super) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}
