//! Proves that a restore stays in its target while someone keeps swapping folders of it for
//! symbolic links: a hundred thousand swaps, and nothing outside is made, changed or removed.

use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::Ambient;
use engine::backup::{self, Source};
use engine::crypto::passphrase::Cost;
use engine::repo::create::{self, Settings};
use engine::repo::history::History;
use engine::repo::{IndexedRepository, Secret};
use engine::restore::{self, Options};
use engine::store::MemoryStore;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use strongroom_tests::{Tree, random};

/// Swaps that the restores go on beside.
const SWAPS: u64 = 100_000;
/// Restores after which the test gives up waiting for them, whatever the machine.
const RESTORES_MAX: u32 = 100_000;

/// What lies outside: names, contents and times.
type Outside = Vec<(String, Vec<u8>, (i64, i64), u32)>;

fn outside(folder: &Path) -> Outside {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let content = std::fs::read(&path).unwrap();
        found.push((name, content, (metadata.mtime(), metadata.mtime_nsec()), metadata.mode()));
    }
    found.sort();
    found
}

/// A repository in memory with one snapshot of a folder.
fn repository(source: &Path) -> (IndexedRepository, Ambient) {
    let ambient = Ambient::default();
    let cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
    let settings = Settings { cost, ..Settings::default() };
    let store = Arc::new(MemoryStore::new());
    let repo = create::create(store, &Secret::passphrase("x"), &settings, &ambient).unwrap();
    let sources = vec![Source::Path(source.to_owned())];
    let options = backup::Options { sources, threads: 1, ..backup::Options::default() };
    backup::backup(&repo.load_index(&ambient).unwrap(), &options, &ambient).unwrap();
    (repo.load_index(&ambient).unwrap(), ambient)
}

#[test]
fn a_hundred_thousand_swaps_never_let_a_restore_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["source", "outside", "target"] {
        std::fs::create_dir(path(name)).unwrap();
    }
    let mut tree = Tree::new(path("source"));
    tree.directory("inner/deep").file("inner/kept", b"from the snapshot");
    tree.file("inner/deep/kept", random::bytes("deep", 5000)).symlink("inner/link", "kept");
    tree.mode("inner", 0o711).time("inner/kept", 5, 5).time("inner", 6, 6).finish();
    // The same names outside, so that a step through the link would find what to change.
    std::fs::write(path("outside/kept"), b"outside").unwrap();
    std::fs::write(path("outside/link"), b"outside").unwrap();
    symlink(path("outside"), path("target/decoy")).unwrap();
    std::fs::create_dir(path("target/inner")).unwrap();
    let before = (outside(&path("outside")), std::fs::metadata(path("outside")).unwrap());

    let (repo, ambient) = repository(&path("source"));
    let snapshot = History::load(&repo, &ambient).unwrap().snapshots().remove(0);
    let options = Options {
        target: path("target"),
        path: Some(path("source").to_str().unwrap().as_bytes().to_vec()),
        threads: 2,
        ..Options::default()
    };
    let swaps = AtomicU64::new(0);
    let (mut restores, mut refused) = (0, 0_u32);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Only names in the target itself: a path through one of them would lead the test out.
            let (inner, decoy) = (path("target/inner"), path("target/decoy"));
            while swaps.load(Ordering::Relaxed) < SWAPS {
                let swapped = renameat_with(CWD, &inner, CWD, &decoy, RenameFlags::EXCHANGE);
                swaps.fetch_add(u64::from(swapped.is_ok()), Ordering::Relaxed);
                // What a restore has cleared away is put back, so that there is always a way out.
                if !inner.is_symlink() && !decoy.is_symlink() {
                    let _maybe = std::fs::remove_dir_all(&decoy);
                    let _maybe = symlink(path("outside"), &decoy);
                }
            }
        });
        while swaps.load(Ordering::Relaxed) < SWAPS && restores < RESTORES_MAX {
            restores += 1;
            match restore::restore(&repo, &snapshot, &options, &ambient) {
                Ok(report) => refused += u32::from(!report.failures.is_empty()),
                Err(_) => refused += 1,
            }
        }
        swaps.fetch_add(SWAPS, Ordering::Relaxed);
    });
    let swaps = swaps.into_inner() - SWAPS;
    eprintln!("{swaps} swaps beside {restores} restores, of which {refused} met one");
    let after = (outside(&path("outside")), std::fs::metadata(path("outside")).unwrap());
    assert_eq!(before.0, after.0);
    let of = |m: &std::fs::Metadata| (m.mode(), m.uid(), m.mtime(), m.mtime_nsec(), m.nlink());
    assert_eq!(of(&before.1), of(&after.1), "the folder outside was changed");
    assert!(swaps >= SWAPS && refused > 0, "{swaps} swaps, {refused} of {restores} met one");
    // Left alone, the restore ends well.
    let report = restore::restore(&repo, &snapshot, &options, &ambient).unwrap();
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    assert_eq!(std::fs::read(path("target/inner/kept")).unwrap(), b"from the snapshot");
    assert_eq!(before.0, outside(&path("outside")));
}
