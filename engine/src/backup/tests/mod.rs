//! Backups of real folders into a store in memory.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use repo_format::tree::Body;

use super::*;
use crate::crypto::passphrase::Cost;
use crate::repo::blobs::BlobReader;
use crate::repo::create::{Settings, create};
use crate::repo::trees::{Entries, lookup};
use crate::repo::{Repository, Secret};
use crate::store::MemoryStore;
use crate::store::Store as _;

mod deltas;

pub(super) fn repository(store: &MemoryStore, cache: Option<&Path>) -> Repository {
    let cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
    let settings = Settings { cost, cache, ..Settings::default() };
    let secret = Secret::passphrase("correct horse");
    create(Arc::new(store.clone()), &secret, &settings, &Ambient::default()).unwrap()
}

fn options(path: &Path) -> Options {
    Options { sources: vec![Source::Path(path.to_path_buf())], ..Options::default() }
}

fn run(repo: &Repository, options: &Options) -> (IndexedRepository, Report) {
    let ambient = Ambient::default();
    let indexed = repo.load_index(&ambient).unwrap();
    let report = backup(&indexed, options, &ambient).unwrap();
    (repo.load_index(&ambient).unwrap(), report)
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

fn tree(folder: &Path) {
    fs::create_dir_all(folder.join("inner/deep")).unwrap();
    for number in 0..300_u32 {
        let text = format!("invoice {number}\n").repeat(number as usize);
        fs::write(folder.join(format!("inner/{number:03}.txt")), text).unwrap();
    }
    fs::write(folder.join("big"), noise(1, 20_000_000)).unwrap();
    fs::write(folder.join("middling"), noise(2, 300_000)).unwrap();
    fs::write(folder.join("empty"), b"").unwrap();
    symlink("big", folder.join("link")).unwrap();
    fs::hard_link(folder.join("big"), folder.join("inner/twin")).unwrap();
    fs::set_permissions(folder.join("empty"), fs::Permissions::from_mode(0o640)).unwrap();
    // Files that changed just now are read again by a later run.
    let old = fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
    fs::File::options().write(true).open(folder.join("big")).unwrap().set_times(old).unwrap();
}

#[test]
fn a_tree_is_stored_once_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path());
    let store = MemoryStore::new();
    let repo = repository(&store, None);
    let (indexed, report) = run(&repo, &options(folder.path()));
    assert_eq!(report.unreadable_count, 0);
    assert_eq!(report.totals.files, 305);
    assert!(report.statistics.bytes_read >= 20_300_000);

    let mut reader = BlobReader::new(&indexed).unwrap();
    let mut id = report.root;
    for name in folder.path().components().skip(1) {
        let name = name.as_os_str().as_encoded_bytes();
        let entry = lookup(&mut reader, id, name).unwrap().unwrap();
        let Body::Directory { tree, .. } = entry.body else { panic!("{entry:?}") };
        id = tree;
    }
    let mut entries = Entries::new(id);
    let mut names = Vec::new();
    while let Some(entry) = entries.next(&mut reader).unwrap() {
        names.push(String::from_utf8(entry.name.0).unwrap());
    }
    assert_eq!(names, ["big", "empty", "inner", "link", "middling"]);
}

#[test]
fn a_second_run_reads_no_file_and_stores_next_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path());
    let store = MemoryStore::new();
    let repo = repository(&store, None);
    // The clock of the repository stands well after the files were written.
    let ambient = Ambient { clock: Arc::new(Later), ..Ambient::default() };
    let indexed = repo.load_index(&ambient).unwrap();
    backup(&indexed, &options(folder.path()), &ambient).unwrap();
    let before = store.total_bytes();
    let indexed = repo.load_index(&ambient).unwrap();
    let report = backup(&indexed, &options(folder.path()), &ambient).unwrap();
    assert_eq!(report.statistics.bytes_read, 0);
    assert_eq!(report.statistics.files_unchanged, 304);
    assert!(store.total_bytes() - before < 10_000);
}

#[derive(Debug)]
struct Later;

impl crate::Clock for Later {
    fn now_ms(&self) -> i64 {
        crate::ambient::SystemClock.now_ms() + 3_600_000
    }
}

#[test]
fn a_run_that_failed_leaves_what_landed_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("noise"), noise(3, 30_000_000)).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let store = MemoryStore::new();
    let repo = repository(&store, Some(cache.path()));
    let mut options = options(folder.path());
    options.memory_bytes = 8 << 20;
    let failing = Source::Command { name: b"dump".to_vec(), line: "echo x; exit 3".to_owned() };
    options.sources.push(failing);
    let ambient = Ambient::default();
    let indexed = repo.load_index(&ambient).unwrap();
    let error = backup(&indexed, &options, &ambient).unwrap_err();
    assert_eq!(error.kind(), Kind::Source, "{error}");
    assert!(History::load(&repo, &ambient).unwrap().snapshots().is_empty());
    options.sources.pop();
    let before = store.total_bytes();
    let (_, report) = run(&repo, &options);
    assert!(report.snapshot.is_some());
    assert!(store.total_bytes() - before < 31_000_000);
}

#[test]
fn a_stream_of_a_command_is_stored() {
    let store = MemoryStore::new();
    let repo = repository(&store, None);
    let line = "head -c 9000000 /dev/zero; echo end".to_owned();
    let source = Source::Command { name: b"zeros".to_vec(), line };
    let options = Options { sources: vec![source], ..Options::default() };
    let (indexed, report) = run(&repo, &options);
    assert_eq!(report.streams.len(), 1);
    assert_eq!(report.streams[0].bytes, 9_000_004);
    let mut reader = BlobReader::new(&indexed).unwrap();
    let streams = lookup(&mut reader, report.root, STREAMS).unwrap().unwrap();
    let Body::Directory { tree, .. } = streams.body else { panic!("{streams:?}") };
    let entry = lookup(&mut reader, tree, b"zeros").unwrap().unwrap();
    assert!(matches!(entry.body, Body::File { size: 9_000_004, .. }));
}

#[test]
fn a_dry_run_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path());
    let store = MemoryStore::new();
    let repo = repository(&store, None);
    let before = store.names();
    let (_, report) = run(&repo, &Options { is_dry_run: true, ..options(folder.path()) });
    assert_eq!(report.snapshot, None);
    assert!(report.statistics.bytes_new > 20_000_000);
    assert_eq!(store.names(), before);
}

#[test]
fn a_cancelled_run_leaves_a_partial_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path());
    let store = MemoryStore::new();
    let repo = repository(&store, None);
    let ambient = Ambient::default();
    ambient.cancel.cancel();
    let indexed = repo.load_index(&ambient);
    assert!(indexed.is_ok());
    let report = backup(
        &indexed.unwrap(),
        &options(folder.path()),
        &Ambient { cancel: ambient.cancel.clone(), ..Ambient::default() },
    );
    // Cancelled before the history was read: nothing was started.
    assert!(report.is_err_and(|error| error.kind() == Kind::Interrupted));
    assert!(store.list("packs/").unwrap().is_empty());
}
