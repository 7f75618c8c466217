//! Proves that a mount over a store that fails, is damaged or is gone gives right bytes or an
//! error, says which object it was, never hangs, and can always be taken away.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::browse::Caches;
use engine::browse::Selector;
use engine::browse::catalog::Catalog;
use engine::repo::history::History;
use engine::repo::{self, OpenSettings, Secret};
use engine::store::LocalStore;
use engine::store::faulty::{Fault, Faulty};
use engine::{Ambient, Cancel};
use rustix::process::Signal;
use strongroom_tests::mount::is_mounted;
use strongroom_tests::servers::{Moto, S3};
use strongroom_tests::world::PASSWORD;
use strongroom_tests::{Mount, Tree, World, objects, random};

use crate::world;

/// Readers that read at once.
const READERS: usize = 8;
/// Calls in which one fails, and calls for which that is planned.
const ONE_IN: u64 = 17;
const CALLS: u64 = 2_000_000;

/// Fills the source with files of many sizes, and backs it up.
fn filled(world: &World) {
    let mut tree = Tree::new(world.source());
    for folder in 0..6 {
        tree.directory(format!("{folder}"));
        for number in 0..30_usize {
            let name = format!("{folder}/{number}");
            tree.file(&name, random::bytes(&name, number * number * 700));
        }
    }
    tree.file("big", random::bytes("big", 20 << 20));
    world.init();
    world.backup();
}

/// Every file below a folder, with its hash.
fn hashes(root: &Path) -> BTreeMap<PathBuf, blake3::Hash> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let hash = blake3::hash(&std::fs::read(&path).unwrap());
                found.insert(path.strip_prefix(root).unwrap().to_owned(), hash);
            }
        }
    }
    found
}

/// A mount of this process over a store that fails at random.
struct Shaky {
    target: PathBuf,
    cancel: Cancel,
    thread: Option<std::thread::JoinHandle<engine::Result<()>>>,
    faulty: Arc<Faulty<LocalStore>>,
}

impl Shaky {
    fn mount(world: &World, cache_bytes: usize) -> Self {
        let store = LocalStore::open(world.repository()).unwrap();
        let faulty = Arc::new(Faulty::new(store));
        let secret = Secret::passphrase(PASSWORD);
        let repo = repo::open(faulty.clone(), &secret, &OpenSettings::default()).unwrap();
        let ambient = Ambient::default();
        let history = History::load(&repo, &ambient).unwrap();
        let indexed = repo.load_index(&ambient).unwrap();
        let caches = Arc::new(Caches::new(cache_bytes));
        let catalog =
            Catalog::new(&indexed, &history, Selector::default(), None, caches, &ambient).unwrap();
        let target = world.path("mnt");
        std::fs::create_dir(&target).unwrap();
        let mounted = mount::mount(&catalog, &mount::Options::new(&target)).unwrap();
        let cancel = Cancel::default();
        let asked = cancel.clone();
        let thread = Some(std::thread::spawn(move || mounted.wait(&asked)));
        Self { target, cancel, thread, faulty }
    }

    fn end(mut self) {
        self.cancel.cancel();
        self.thread.take().unwrap().join().unwrap().unwrap();
        assert!(!is_mounted(&self.target));
    }
}

impl Drop for Shaky {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Memory of this process that is in use, in bytes.
fn used_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn readers_over_a_failing_store_get_right_bytes_or_an_error() {
    let seed = 0x6d6f_756e_7421;
    eprintln!("seed {seed:#x}");
    let rounds = if std::env::var_os("STRONGROOM_TEST_BIG").is_some() { u64::MAX } else { 2 };
    let time = if rounds == 2 { Duration::MAX } else { Duration::from_mins(5) };
    let world = world();
    filled(&world);
    let expected = hashes(&world.source());
    // A cache that holds a small part, so that the store is asked again and again.
    let shaky = Shaky::mount(&world, 2 << 20);
    let newest = shaky.target.join("latest").join(world.source().strip_prefix("/").unwrap());
    let first = shaky.faulty.calls() + seed % ONE_IN;
    for (at, call) in (first..first + CALLS).step_by(17).enumerate() {
        let fault = [Fault::ErrorBefore, Fault::CorruptGet, Fault::ShortGet][at % 3];
        shaky.faulty.inject(call, fault);
    }
    let (right, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let start = Instant::now();
    let before = used_bytes();
    std::thread::scope(|scope| {
        for reader in 0..READERS {
            let (expected, newest, right, failed) = (&expected, &newest, &right, &failed);
            scope.spawn(move || {
                let mut round = 0;
                while round < rounds && start.elapsed() < time {
                    round += 1;
                    // Each goes another way through the files.
                    let step = [1, 3, 5, 7, 11, 13, 17, 19][reader];
                    let all: Vec<_> = expected.iter().collect();
                    for at in 0..all.len() {
                        let (path, hash) = all[(at * step + reader) % all.len()];
                        match std::fs::read(newest.join(path)) {
                            Ok(bytes) => {
                                assert_eq!(blake3::hash(&bytes), *hash, "{}", path.display());
                                right.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(error) => {
                                assert_eq!(error.raw_os_error(), Some(5), "{}", path.display());
                                failed.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                }
            });
        }
    });
    let (right, failed) = (right.into_inner(), failed.into_inner());
    let grown = used_bytes().saturating_sub(before);
    eprintln!("{right} files read right, {failed} with an error, {grown} bytes more in use");
    assert!(right > 0 && failed > 0);
    assert!(grown < 300 << 20, "{grown} bytes more in use");
    shaky.faulty.heal();
    let healed: Vec<_> =
        expected.iter().filter(|(path, _)| std::fs::read(newest.join(path)).is_err()).collect();
    assert!(healed.is_empty(), "errors are kept: {healed:?}");
    shaky.end();
}

#[test]
fn damage_is_an_error_that_names_the_object_and_never_zeros() {
    let world = world();
    filled(&world);
    let packs = objects::under(&world, "packs/");
    let expected = hashes(&world.source());
    for pack in packs.keys() {
        let path = world.repository().join(pack);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        for byte in &mut bytes[middle..middle + 200_000] {
            *byte ^= 0x55;
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    let mount = Mount::new(&world, &[]);
    let newest = mount.newest(&world);
    let (mut right, mut failed) = (0, 0);
    for (path, hash) in &expected {
        match std::fs::read(newest.join(path)) {
            Ok(bytes) => {
                assert_eq!(blake3::hash(&bytes), *hash, "{}", path.display());
                right += 1;
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(5), "{}", path.display());
                failed += 1;
            }
        }
    }
    assert!(right > 0 && failed > 0, "{right} right, {failed} failed");
    let (code, stderr) = mount.end_by(Signal::TERM);
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = stderr.lines().filter(|line| line.contains("packs/")).collect();
    assert!(!lines.is_empty(), "no object is named: {stderr}");
    let mut distinct = lines.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), lines.len(), "a line is repeated: {stderr}");
}

#[test]
fn a_store_that_is_gone_is_an_error_and_the_mount_can_be_taken_away() {
    let world = world();
    filled(&world);
    let mount = Mount::new(&world, &[]);
    let newest = mount.newest(&world);
    assert!(newest.join("0").is_dir());
    std::fs::rename(world.repository(), world.path("elsewhere")).unwrap();
    let error = std::fs::read(newest.join("big")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5));
    // It comes back, and so do the bytes.
    std::fs::rename(world.path("elsewhere"), world.repository()).unwrap();
    assert_eq!(std::fs::read(newest.join("big")).unwrap(), random::bytes("big", 20 << 20));
    // A file is held open, and someone stands in the mount, and still it goes.
    let held = std::fs::File::open(newest.join("0/5")).unwrap();
    let target = mount.target.clone();
    let (code, _) = mount.end_by(Signal::INT);
    assert_eq!((code, is_mounted(&target)), (Some(0), false));
    drop(held);
}

#[test]
fn a_server_that_is_silent_is_an_error_within_half_a_minute() {
    let moto = Moto::start();
    let world = moto.host(world());
    Tree::new(world.source()).file("big", random::bytes("big", 4 << 20));
    world.init();
    world.backup();
    let mount = Mount::new(&world, &[]);
    let newest = mount.newest(&world);
    assert!(newest.join("big").is_file());
    moto.pause();
    let start = Instant::now();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let path = newest.join("big");
            std::thread::spawn(move || std::fs::read(path).unwrap_err().raw_os_error())
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.join().unwrap(), Some(5));
    }
    // 20 s are waited for an answer; more than twice that is a hang on any machine.
    assert!(start.elapsed() < Duration::from_secs(50), "{:?}", start.elapsed());
    let target = mount.target.clone();
    let (code, _) = mount.end_by(Signal::TERM);
    assert_eq!((code, is_mounted(&target)), (Some(0), false));
    moto.go_on();
}
