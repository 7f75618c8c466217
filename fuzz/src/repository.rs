//! A whole repository: files come and go, backups are made over a store that fails at chosen calls,
//! and what was committed is held against a map of what was there.
//!
//! An input is a list of steps; see [`Step::take`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use engine::backup::{self, Options, Source};
use engine::check::{self, ReadData};
use engine::crypto::passphrase::Cost;
use engine::repo::create::{self, Settings};
use engine::repo::history::History;
use engine::repo::{OpenSettings, Repository, Secret, open};
use engine::restore;
use engine::store::MemoryStore;
use engine::store::faulty::{Fault, Faulty};
use engine::{Ambient, Result};
use repo_format::SnapshotId;

/// Most steps of one run.
const STEPS_MAX: usize = 16;
/// Bytes of the longest file.
const FILE_BYTES_MAX: usize = 255 * 9;

/// Files by name.
type Files = BTreeMap<String, Vec<u8>>;
type Shared = Arc<Faulty<MemoryStore>>;

/// One step; every list of bytes is a list of steps.
enum Step {
    /// Writes a file: its number, its length, what is in it.
    Write(u8, u8, u8),
    /// Removes a file.
    Remove(u8),
    /// Backs up over a store that keeps its promises.
    BackUp,
    /// Backs up while one call fails: after so many calls, in which way.
    BackUpFailing(u8, u8),
    /// Checks, restores every snapshot and compares.
    Look,
    /// Opens the repository anew, as the next run of the program does.
    Open,
}

impl Step {
    fn take(input: &mut impl Iterator<Item = u8>) -> Option<Self> {
        let first = input.next()?;
        let mut byte = || input.next().unwrap_or(0);
        Some(match first % 6 {
            0 => Self::Write(byte(), byte(), byte()),
            1 => Self::Remove(byte()),
            2 => Self::BackUp,
            3 => Self::BackUpFailing(byte(), byte()),
            4 => Self::Look,
            _ => Self::Open,
        })
    }
}

/// The world of one run, and what must be true of it.
struct World {
    store: Shared,
    repo: Repository,
    ambient: Ambient,
    folder: tempfile::TempDir,
    files: Files,
    /// Snapshots that were acknowledged, with what was there.
    committed: Vec<(SnapshotId, Files)>,
    /// What was there at backups that ended in an error: they may have been committed or not.
    in_doubt: Vec<Files>,
    restored: u32,
}

/// Steps on a whole repository.
pub fn repository(data: &[u8]) {
    let mut input = data.iter().copied();
    let Ok(mut world) = World::new() else { return };
    for _ in 0..STEPS_MAX {
        let Some(step) = Step::take(&mut input) else { break };
        world.step(&step);
    }
    world.look();
}

fn secret() -> Secret {
    Secret::passphrase("secret")
}

impl World {
    fn new() -> std::io::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("source"))?;
        let store = Arc::new(Faulty::new(MemoryStore::new()));
        let cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
        let settings = Settings { cost, ..Settings::default() };
        let ambient = Ambient::default();
        let shared: Shared = Arc::clone(&store);
        let repo = must(create::create(shared, &secret(), &settings, &ambient), "creating");
        let (files, committed, in_doubt) = (Files::new(), Vec::new(), Vec::new());
        Ok(Self { store, repo, ambient, folder, files, committed, in_doubt, restored: 0 })
    }

    fn step(&mut self, step: &Step) {
        let name = |number: &u8| format!("file-{}", number % 5);
        let path = |world: &Self, name: &str| world.folder.path().join("source").join(name);
        match step {
            Step::Write(number, length, byte) => {
                let name = name(number);
                let mut content = vec![*byte; usize::from(*length) * 9 % (FILE_BYTES_MAX + 1)];
                // Some files are noise, which no encoding makes shorter.
                if byte % 2 == 0 {
                    blake3::Hasher::new().update(&[*byte]).finalize_xof().fill(&mut content);
                }
                assert!(std::fs::write(path(self, &name), &content).is_ok(), "the disk is full");
                self.files.insert(name, content);
            }
            Step::Remove(number) => {
                let name = name(number);
                if self.files.remove(&name).is_some() {
                    assert!(std::fs::remove_file(path(self, &name)).is_ok(), "{name} is gone");
                }
            }
            Step::BackUp => {
                let report = must(self.back_up(), "backing up over a sound store");
                self.acknowledge(&report);
            }
            Step::BackUpFailing(calls, fault) => self.back_up_failing(*calls, *fault),
            Step::Look => self.look(),
            Step::Open => {
                let shared: Shared = Arc::clone(&self.store);
                self.repo = must(open(shared, &secret(), &OpenSettings::default()), "opening");
            }
        }
    }

    fn back_up_failing(&mut self, calls: u8, fault: u8) {
        let at = self.store.calls() + u64::from(calls % 48);
        let fault = match fault % 6 {
            0 => Fault::ErrorBefore,
            1 => Fault::Ambiguous,
            2 => Fault::ErrorAfter,
            3 => Fault::ErrorAfterUnavailable,
            _ => Fault::Stop,
        };
        self.store.inject(at, fault);
        let ended = self.back_up();
        self.store.heal();
        match ended {
            Ok(report) => self.acknowledge(&report),
            Err(error) => {
                assert!(!error.to_string().is_empty(), "an error without words");
                self.in_doubt.push(self.files.clone());
            }
        }
    }

    fn back_up(&self) -> Result<backup::Report> {
        let options = Options {
            sources: vec![Source::Path(self.folder.path().join("source"))],
            threads: 1,
            memory_bytes: 16 << 20,
            ..Options::default()
        };
        let indexed = self.repo.load_index(&self.ambient)?;
        backup::backup(&indexed, &options, &self.ambient)
    }

    fn acknowledge(&mut self, report: &backup::Report) {
        assert_eq!(report.unreadable_count, 0, "{:?}", report.unreadable);
        assert!(!report.is_partial, "a whole backup says that it is partial");
        let Some(id) = report.snapshot else { unreachable_snapshot() };
        self.committed.push((id, self.files.clone()));
    }

    /// Every acknowledged snapshot is there and right; what else is there was in doubt.
    fn look(&mut self) {
        let options = check::Options { read_data: ReadData::All, threads: 1, ..Default::default() };
        let report = must(check::check(&self.repo, &options, &self.ambient), "checking");
        assert!(!report.has_damage(), "{:?}", report.findings);
        let indexed = must(self.repo.load_index(&self.ambient), "reading the index");
        let history = must(History::load(&self.repo, &self.ambient), "reading the history");
        let snapshots = history.snapshots();
        let mut doubtful = self.in_doubt.clone();
        for snapshot in &snapshots {
            let target = self.folder.path().join(format!("restored-{}", self.restored));
            self.restored += 1;
            let options = restore::Options {
                target: target.clone(),
                path: Some(self.source_path()),
                threads: 1,
                ..restore::Options::default()
            };
            let restored = restore::restore(&indexed, snapshot, &options, &self.ambient);
            let report = must(restored, "restoring");
            assert!(report.findings.is_empty() && report.failures.is_empty(), "{report:?}");
            let found = read(&target);
            let _ = std::fs::remove_dir_all(&target);
            if let Some((_, files)) = self.committed.iter().find(|(id, _)| *id == snapshot.id) {
                assert!(found == *files, "a snapshot is not what was there");
            } else {
                let place = doubtful.iter().position(|files| *files == found);
                let Some(place) = place else { unknown_snapshot() };
                doubtful.swap_remove(place);
            }
        }
        for (id, _) in &self.committed {
            assert!(snapshots.iter().any(|snapshot| snapshot.id == *id), "{id} is lost");
        }
    }

    fn source_path(&self) -> Vec<u8> {
        self.folder.path().join("source").into_os_string().into_encoded_bytes()
    }
}

#[expect(clippy::panic, reason = "a finding")]
fn unreachable_snapshot() -> ! {
    panic!("a backup ended well and has no snapshot")
}

#[expect(clippy::panic, reason = "a finding")]
fn unknown_snapshot() -> ! {
    panic!("a snapshot that nobody made")
}

#[expect(clippy::panic, reason = "a finding")]
fn must<T>(result: Result<T>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn read(folder: &Path) -> Files {
    let mut files = Files::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let content = std::fs::read(entry.path()).unwrap_or_default();
        files.insert(entry.file_name().to_string_lossy().into_owned(), content);
    }
    files
}
