//! Proves that no byte of a repository can change unseen: every object of a small one with each
//! byte flipped, cut at each length, and lengthened, is found by a check that reads the data, by
//! its name; and whatever a restore brings back from it, it never brings back other bytes.
//!
//! Tens of thousands of cases, so the engine is called as a library on a store in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::Severity;
use engine::check::{self, ReadData};
use engine::error::Kind;
use engine::repo::Repository;
use engine::store::{MemoryStore, Put, Store as _};
use repo_format::ObjectName;
use strongroom_tests::in_memory::{Files, InMemory, files, open_in, restore_from};
use strongroom_tests::random;

/// Cases that there are at least, so that a repository that became empty is noticed.
const CASES_MIN: usize = 15_000;
/// Bytes of the largest object: all of it is gone through.
const OBJECT_BYTES_MAX: usize = 16 << 10;

/// What is done to an object.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// One bit of a byte or all, which depends on where it is.
    Flip(usize),
    /// Everything from a byte on is gone.
    Cut(usize),
    /// A byte more.
    Longer(u8),
}

impl Change {
    /// Every change of an object of a length.
    fn all(bytes: usize) -> Vec<Self> {
        let flips = (0..bytes).map(Self::Flip);
        let cuts = (0..bytes).map(Self::Cut);
        flips.chain(cuts).chain([0, 10, 255].map(Self::Longer)).collect()
    }

    fn apply(self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        match self {
            Self::Flip(at) => bytes[at] ^= [0x01, 0x80, 0xff, 0x20][at % 4],
            Self::Cut(at) => bytes.truncate(at),
            Self::Longer(byte) => bytes.push(byte),
        }
        bytes
    }
}

/// A repository with two snapshots of one of everything.
fn sound() -> InMemory {
    let world = InMemory::new(|tree| {
        tree.directory("below").file("below/small-a", random::text("a", 300));
        tree.file("below/small-b", random::bytes("b", 200)).file("inline", b"inline");
        tree.file("alone", random::bytes("alone", 1200)).symlink("link", "alone");
        let attribute = random::text("attribute", 1300);
        tree.file("labelled", b"").attribute("labelled", "user.x", &attribute);
        let block = random::text("block", 4096);
        tree.sparse("sparse", (1 << 20) + 4096, &[(1 << 20, &block)]).file("changing", b"at first");
    });
    world.back_up();
    std::fs::write(world.source().join("changing"), random::bytes("changed", 250)).unwrap();
    world.back_up();
    world
}

/// What became of the cases.
#[derive(Debug, Default)]
struct Counts {
    cases: usize,
    /// Ways in which opening, or reading the history or the index, was refused.
    refused: BTreeMap<String, usize>,
    /// Restores that said what they could not bring back.
    with_loss: usize,
    /// Restores that brought everything back.
    whole: usize,
    wrong: Vec<String>,
}

/// One thread's own copy of the repository, open since before it was damaged.
struct Bench<'a> {
    sound: &'a InMemory,
    files: &'a Files,
    store: MemoryStore,
    repo: Repository,
    target: PathBuf,
    counts: Counts,
}

impl<'a> Bench<'a> {
    fn new(sound: &'a InMemory, files: &'a Files, number: usize) -> Self {
        let store = sound.store.copy();
        let repo = open_in(&store).unwrap();
        let target = sound.path(&format!("target-{number}"));
        Self { sound, files, store, repo, target, counts: Counts::default() }
    }

    fn case(&mut self, name: &ObjectName, change: Change) {
        let whole = self.store.get(name).unwrap();
        let bytes = change.apply(&whole);
        self.store.put(name, bytes.into(), Put::Overwrite).unwrap();
        let what = format!("{name} {change:?}");
        self.counts.cases += 1;
        self.is_found(name, &what);
        if let Err(error) = self.restores(&what) {
            *self.counts.refused.entry(format!("{:?}", error.kind())).or_default() += 1;
            // A damaged marker is no repository, and a damaged slot one that does not open.
            let is_known = matches!(
                error.kind(),
                Kind::Damaged
                    | Kind::NoRepository
                    | Kind::WrongPassword
                    | Kind::NewerFormat
                    | Kind::Rollback
            );
            if !is_known {
                self.counts.wrong.push(format!("{what}: {error}"));
            }
        }
        self.store.put(name, whole, Put::Overwrite).unwrap();
    }

    /// A check that reads the data names the object, as damage.
    fn is_found(&mut self, name: &ObjectName, what: &str) {
        let options =
            check::Options { read_data: ReadData::All, threads: 1, ..check::Options::default() };
        let report = check::check(&self.repo, &options, &self.sound.ambient).unwrap();
        let is_named = report
            .findings
            .iter()
            .any(|f| f.severity > Severity::Notice && f.object.contains(name.as_str()));
        if !is_named || !report.has_damage() {
            self.counts.wrong.push(format!("{what}: is not found: {:?}", report.findings));
        }
    }

    /// Opens the repository as a new machine does, and restores the newest snapshot that is seen.
    fn restores(&mut self, what: &str) -> engine::Result<()> {
        let store = Arc::new(self.store.clone());
        let (source, ambient) = (self.sound.source(), &self.sound.ambient);
        let Some(restored) = restore_from(store, &source, &self.target, ambient)? else {
            self.counts.wrong.push(format!("{what}: both snapshots are gone"));
            return Ok(());
        };
        let is_older = restored.snapshots < 2;
        for (path, content) in &restored.files {
            // The file that changed is another one in the older snapshot.
            let is_changing = is_older && path == Path::new("changing");
            if !is_changing && self.files.get(path) != Some(content) {
                self.counts.wrong.push(format!("{what}: other bytes in {}", path.display()));
            }
        }
        let is_well = restored.is_claimed_whole();
        if is_well && !self.files.keys().eq(restored.files.keys()) {
            self.counts.wrong.push(format!("{what}: restored less and said nothing"));
        }
        if is_older && !restored.has_findings {
            self.counts.wrong.push(format!("{what}: a snapshot is gone and nobody says so"));
        }
        *if is_well { &mut self.counts.whole } else { &mut self.counts.with_loss } += 1;
        Ok(())
    }
}

#[test]
fn every_byte_of_every_object_counts() {
    let sound = sound();
    let expected = files(&sound.source());
    let mut cases = Vec::new();
    for name in sound.store.names() {
        let bytes = sound.get(&name).len();
        assert!(bytes <= OBJECT_BYTES_MAX, "{name} has {bytes} bytes");
        cases.extend(Change::all(bytes).into_iter().map(|change| (name.clone(), change)));
    }
    let (total, objects) = (cases.len(), sound.store.names().len());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let counts: Vec<Counts> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let mut bench = Bench::new(&sound, &expected, thread);
                let mine: Vec<_> = cases.iter().skip(thread).step_by(threads).cloned().collect();
                scope.spawn(move || {
                    for (name, change) in mine {
                        bench.case(&name, change);
                    }
                    bench.counts
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let sum = |of: fn(&Counts) -> usize| counts.iter().map(of).sum::<usize>();
    let mut refused = BTreeMap::<&str, usize>::new();
    for (kind, count) in counts.iter().flat_map(|counts| &counts.refused) {
        *refused.entry(kind).or_default() += count;
    }
    let (whole, with_loss) = (sum(|c| c.whole), sum(|c| c.with_loss));
    eprintln!(
        "{total} changes of {objects} objects: all found by name; restores: {whole} whole, \
         {with_loss} with what is lost named, refused: {refused:?}"
    );
    let wrong: Vec<_> = counts.iter().flat_map(|counts| &counts.wrong).collect();
    assert!(wrong.is_empty(), "{} of {total}: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    assert!(sum(|c| c.cases) == total && total >= CASES_MIN, "{total}");
}
