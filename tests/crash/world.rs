//! The small world that every case starts from: sources of some kilobytes, machines that remember,
//! a clock that stands, and the smallest sizes the engine takes, so that rare paths are common.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use engine::crypto::passphrase::Cost;
use engine::repo::create::{Actor, Settings};
use engine::repo::{OpenSettings, Repository, Secret};
use engine::store::{Store, Traits};
use engine::{Ambient, Cancel, Clock, Progress};
use repo_format::content::Chunker;
use tempfile::TempDir;

/// Content of a source: files by their path below it.
pub(crate) type Tree = BTreeMap<String, Vec<u8>>;

/// Bytes that a pack aims at.
const PACK_BYTES: u64 = 4096;
/// Cheapest cost of a passphrase.
pub(crate) const COST: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };
/// 2040: later than any file of the sources, so that unchanged ones are taken for such.
const NOW_MS: i64 = 2_208_988_800_000;
const TEN_YEARS_MS: i64 = 315_360_000_000;

/// What the store of every case is like.
pub(crate) fn traits() -> Traits {
    Traits { is_remote: true, pack_bytes: PACK_BYTES, concurrency: 1 }
}

/// Settings of the repository.
pub(crate) fn settings(cache: &Path) -> Settings<'_> {
    Settings {
        cost: COST,
        cache: Some(cache),
        actor: actor("one"),
        files: Chunker::FastCdc { min: 512, avg: 1024, max: 2048 },
        pages: Chunker::Fixed { size: 1024 },
        cut_from_bytes: 2048,
        bundle_below_bytes: 1000,
        bundle_bytes: 1200,
        ..Settings::default()
    }
}

/// Who works on a machine.
pub(crate) fn actor(host: &str) -> Actor {
    Actor { host: host.to_owned(), user: "ann".to_owned(), program: "crash machine".to_owned() }
}

/// A clock that stands, but may jump at one of its readings.
#[derive(Debug)]
pub(crate) struct Standing {
    readings: AtomicUsize,
    jump_at: usize,
    jump_ms: AtomicI64,
}

impl Standing {
    /// A clock that jumps by so many decades at a reading, counted from 0.
    pub(crate) fn jumping(at: usize, decades: i64) -> Self {
        let jump_ms = AtomicI64::new(decades * TEN_YEARS_MS);
        Self { readings: AtomicUsize::new(0), jump_at: at, jump_ms }
    }

    /// Readings so far.
    pub(crate) fn readings(&self) -> usize {
        self.readings.load(Ordering::Relaxed)
    }
}

impl Clock for Standing {
    fn now_ms(&self) -> i64 {
        let reading = self.readings.fetch_add(1, Ordering::Relaxed);
        let jump = if reading >= self.jump_at { self.jump_ms.load(Ordering::Relaxed) } else { 0 };
        NOW_MS + jump
    }
}

/// What verbs are given last.
pub(crate) fn ambient(clock: Arc<Standing>) -> Ambient {
    Ambient { clock, progress: Arc::new(Progress::default()), cancel: Cancel::default() }
}

/// An ambient whose clock stands.
pub(crate) fn calm() -> Ambient {
    ambient(Arc::new(Standing::jumping(usize::MAX, 0)))
}

/// A passphrase by its name.
pub(crate) fn secret(name: &str) -> Secret {
    Secret::passphrase(name)
}

/// Opens the repository on a machine, or nowhere in particular.
pub(crate) fn open(
    store: Arc<dyn Store>,
    secret_name: &str,
    cache: Option<&Path>,
) -> engine::Result<Repository> {
    let settings = OpenSettings { cache: cache.map(Path::to_path_buf), ..OpenSettings::default() };
    engine::repo::open(store, &secret(secret_name), &settings)
}

/// Files of a folder, some levels deep, by path.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The folders of this process.
#[derive(Debug)]
pub(crate) struct Folders {
    folder: TempDir,
    /// Folder that is backed up now; each verb has its own, so that its files stay as they are.
    source: RefCell<PathBuf>,
    /// Time of change of the next file that is written: none is ever the same, however quick the
    /// writes come.
    time: Cell<u64>,
}

impl Folders {
    /// Makes them, in memory where there is such a place.
    pub(crate) fn new() -> Self {
        let mut builder = tempfile::Builder::new();
        builder.prefix("strongroom-crash-");
        let folder = builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir()).unwrap();
        let source = RefCell::new(folder.path().join("source"));
        let folders = Self { folder, source, time: Cell::new(1_000_000_000) };
        for name in ["source", "target", "one", "two"] {
            std::fs::create_dir(folders.path(name)).unwrap();
        }
        folders
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Folder that is backed up.
    pub(crate) fn source(&self) -> PathBuf {
        self.source.borrow().clone()
    }

    /// Backs up another folder from now on.
    pub(crate) fn use_source(&self, name: &str) {
        let path = self.path("source").join(name);
        std::fs::create_dir_all(&path).unwrap();
        self.source.replace(path);
    }

    /// Makes the source hold exactly this tree; files that are right already are left alone.
    pub(crate) fn set_source(&self, tree: &Tree) {
        let source = self.source();
        for (path, _) in files_of(&source) {
            let name = path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
            if !tree.contains_key(&name) {
                std::fs::remove_file(path).unwrap();
            }
        }
        for (name, bytes) in tree {
            let path = source.join(name);
            if std::fs::read(&path).ok().as_ref() != Some(bytes) {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, bytes).unwrap();
                let time = self.time.replace(self.time.get() + 1);
                let time = UNIX_EPOCH + Duration::from_secs(time);
                File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
            }
        }
    }

    /// What a machine remembers.
    pub(crate) fn memory(&self, machine: &str) -> Files {
        files_of(&self.path(machine))
    }

    /// Makes a machine remember exactly this. The folder of a repository stays, since a machine
    /// knows its own; folders in it go, or thousands of empty ones would slow every listing.
    pub(crate) fn set_memory(&self, machine: &str, files: &Files) {
        for repository in std::fs::read_dir(self.path(machine)).unwrap().flatten() {
            for inner in std::fs::read_dir(repository.path()).unwrap().flatten() {
                if inner.file_type().unwrap().is_dir() {
                    std::fs::remove_dir_all(inner.path()).unwrap();
                }
            }
        }
        for path in files_of(&self.path(machine)).into_keys() {
            if !files.contains_key(&path) {
                std::fs::remove_file(path).unwrap();
            }
        }
        for (path, bytes) in files {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// Empties the target.
    pub(crate) fn clear_target(&self) {
        std::fs::remove_dir_all(self.path("target")).unwrap();
        std::fs::create_dir(self.path("target")).unwrap();
    }

    /// Files of the target, where a restore puts the source.
    pub(crate) fn restored(&self) -> Tree {
        let source = self.source();
        let top = self.path("target").join(source.strip_prefix("/").unwrap());
        let name = |path: &Path| path.strip_prefix(&top).unwrap().to_str().unwrap().to_owned();
        files_of(&top).into_iter().map(|(path, bytes)| (name(&path), bytes)).collect()
    }
}

/// Every file below a folder.
fn files_of(folder: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

fn noise(seed: &str, length: usize) -> Vec<u8> {
    strongroom_tests::random::bytes(seed, length)
}

/// The source at three times.
pub(crate) fn trees() -> [Tree; 3] {
    let mut first = Tree::new();
    for number in 0..4 {
        first.insert(format!("small-{number}"), noise(&format!("small {number}"), 300 + number));
    }
    first.insert("inline".to_owned(), b"twenty bytes of text".to_vec());
    first.insert("empty".to_owned(), Vec::new());
    first.insert("d/middling".to_owned(), strongroom_tests::random::text("middling", 1500));
    first.insert("d/big".to_owned(), noise("big", 7000));
    first.insert("d/e/deep".to_owned(), noise("deep", 900));
    let mut second = first.clone();
    second.insert("small-1".to_owned(), noise("small 1 anew", 333));
    second.get_mut("d/big").unwrap()[3000..3100].copy_from_slice(&noise("edit", 100));
    second.insert("new".to_owned(), noise("new", 1800));
    second.insert("f/more".to_owned(), noise("more", 2500));
    second.remove("d/e/deep");
    let mut third = second.clone();
    third.insert("d/big".to_owned(), noise("another big", 5000));
    third.remove("small-2");
    [first, second, third]
}
