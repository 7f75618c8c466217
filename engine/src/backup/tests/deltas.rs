//! Versions of files that stand on earlier ones: what they cost, and that each comes back.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use repo_format::content::Extent;
use repo_format::pack::{BlobKind, encoding};
use repo_format::tree::Body;

use super::{noise, options, repository, run};
use crate::backup::versions::stands_on;
use crate::backup::{Options, Report, Source};
use crate::chunk::compression::Level;
use crate::repo::blobs::BlobReader;
use crate::repo::contents::Extents;
use crate::repo::fixture::Fixture;
use crate::repo::packer::{Basis, BlobWriter, DEPTH_MAX, PackSettings};
use crate::repo::trees::lookup;
use crate::repo::{IndexedRepository, OpenSettings, Repository, Secret, open};
use crate::store::{Listed, MemoryStore, Put, Store, Traits};

/// Reads a file of a snapshot by its absolute path, and every blob that it needs on the way.
fn content(repo: &IndexedRepository, report: &Report, path: &Path) -> Vec<u8> {
    let mut reader = BlobReader::new(repo).unwrap();
    let mut tree = report.root;
    for name in path.components().skip(1) {
        let name = name.as_os_str().as_encoded_bytes();
        match lookup(&mut reader, tree, name).unwrap().unwrap().body {
            Body::Directory { tree: below, .. } => tree = below,
            Body::File { size, content, .. } => {
                let mut extents = Extents::new(&mut reader, &content, size, 0).unwrap();
                let (mut all, mut plain) = (Vec::new(), Vec::new());
                while let Some((_, extent)) = extents.next(&mut reader).unwrap() {
                    let Extent::Blob { id, .. } = extent else { panic!("{extent:?}") };
                    reader.read(id, BlobKind::Data, &mut plain).unwrap();
                    all.extend_from_slice(&plain);
                }
                return all;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("{} is a folder", path.display())
}

/// Number of deltas in the index and the depth of the deepest.
fn deltas(repo: &IndexedRepository) -> (usize, u8) {
    let (mut count, mut deepest) = (0, 0);
    repo.index().for_each(|_, place| {
        count += usize::from(place.entry.encoding == encoding::DELTA);
        deepest = deepest.max(place.entry.depth);
    });
    (count, deepest)
}

/// A file of pages like those of a database: half of each is noise, half is not.
fn pages(count: usize) -> Vec<u8> {
    let mut bytes = noise(9, count * 4096);
    for page in bytes.chunks_mut(4096) {
        page[2048..].fill(b'.');
    }
    bytes[..16].copy_from_slice(b"SQLite format 3\0");
    bytes
}

/// Changes a few bytes in pages all over the file.
fn change(bytes: &mut [u8], version: u64) {
    let pages = bytes.len() / 4096;
    let drawn = noise(1000 + version, 8 * 40);
    for number in drawn.as_chunks::<8>().0 {
        let number = usize::try_from(u64::from_le_bytes(*number) % (1 << 40)).unwrap();
        let at = (1 + number % (pages - 1)) * 4096 + (number / pages) % 4000;
        bytes[at..at + 16].copy_from_slice(&drawn[..16]);
    }
}

#[test]
fn versions_of_a_page_file_cost_about_what_changed_and_each_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("till.db");
    let repo = repository(&MemoryStore::new(), None);
    let (mut bytes, mut versions) = (pages(2000), Vec::new());
    for version in 0..20 {
        change(&mut bytes, version);
        fs::write(&path, &bytes).unwrap();
        let (_, report) = run(&repo, &options(folder.path()));
        let stored = report.statistics.bytes_stored;
        // 40 pages of 2000 changed, 640 bytes of them; the eighth stands further back.
        assert!(version == 0 || stored < 40_000, "version {version}: {stored} bytes");
        versions.push((report, bytes.clone()));
    }
    let indexed = repo.load_index(&crate::Ambient::default()).unwrap();
    for (report, bytes) in &versions {
        assert!(content(&indexed, report, &path) == *bytes);
    }
    let (count, deepest) = deltas(&indexed);
    assert!(count > 300, "{count}");
    // What did not change at a step of eight stands as deep as it did before.
    assert!((2..=DEPTH_MAX).contains(&deepest), "{deepest}");
}

#[test]
fn versions_of_a_dump_with_moved_parts_find_their_bases_by_vote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dump");
    let cache = tempfile::tempdir().unwrap();
    let repo = repository(&MemoryStore::new(), Some(cache.path()));
    let mut bytes = noise(3, 8 << 20);
    let mut versions = Vec::new();
    for version in 0..6_u64 {
        if version > 0 {
            // Tables in another order, rows put in everywhere, and one lost memory of samples.
            bytes.rotate_left(1 << 20);
            for place in (0..bytes.len()).step_by(300_000) {
                let row = noise(version * 1000 + place as u64, 100);
                bytes.splice(place..place, row);
            }
        }
        if version == 3 {
            let state = cache.path().join(repo.id().to_hex());
            fs::remove_file(state.join("samples")).unwrap();
        }
        fs::write(&path, &bytes).unwrap();
        let (_, report) = run(&repo, &options(folder.path()));
        let stored = report.statistics.bytes_stored;
        assert!(version == 0 || stored < 300_000, "version {version}: {stored} bytes");
        versions.push((report, bytes.clone()));
    }
    let indexed = repo.load_index(&crate::Ambient::default()).unwrap();
    for (report, bytes) in &versions {
        assert!(content(&indexed, report, &path) == *bytes);
    }
}

#[test]
fn deltas_of_one_version_lie_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("till.db");
    let repo = repository(&MemoryStore::new(), None);
    let mut bytes = pages(2000);
    for version in 0..2 {
        change(&mut bytes, version);
        fs::write(&path, &bytes).unwrap();
        fs::write(folder.path().join("noise"), noise(50 + version, 3 << 20)).unwrap();
        run(&repo, &options(folder.path()));
    }
    let indexed = repo.load_index(&crate::Ambient::default()).unwrap();
    let mut places = BTreeSet::new();
    indexed.index().for_each(|pack, place| {
        let entry = &place.entry;
        if entry.encoding == encoding::DELTA {
            places.insert((pack.hash, entry.offset, entry.offset + entry.stored_bytes));
        }
    });
    let places: Vec<_> = places.into_iter().collect();
    assert!(places.len() > 10);
    assert!(places.windows(2).all(|two| two[0].0 == two[1].0 && two[0].2 == two[1].1));
}

#[test]
fn what_is_not_like_the_version_before_is_stored_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noise");
    let repo = repository(&MemoryStore::new(), None);
    for version in 0..2 {
        fs::write(&path, noise(version, 3 << 20)).unwrap();
        run(&repo, &options(folder.path()));
    }
    let indexed = repo.load_index(&crate::Ambient::default()).unwrap();
    assert_eq!(deltas(&indexed).0, 0);
}

#[test]
fn a_month_of_hourly_versions_stays_shallow_and_each_comes_back() {
    let fixture = Fixture::empty();
    let settings = PackSettings::within(64 << 20, 1 << 20, 1, 1, Level::Default);
    let mut bytes = noise(5, 3000);
    let (mut blobs, mut versions) = (Vec::new(), Vec::<Arc<Vec<u8>>>::new());
    for ordinal in 0..720_usize {
        bytes[ordinal % 2000] ^= 0x55;
        let indexed = fixture.index();
        let progress = &fixture.ambient.progress;
        let saved = BlobWriter::with(&indexed, settings, progress, |writer| {
            let deltas = writer.begin_run();
            let mut choose = |_: &mut _, _, attempt| {
                let below = stands_on(ordinal);
                let base = [(*blobs.get(below)?, Arc::clone(versions.get(below)?))];
                (attempt == 0).then(|| Basis::new(&indexed, &base, bytes.len())).flatten()
            };
            let mut scratch = writer.scratch()?;
            writer.save_against(&mut scratch, deltas, BlobKind::Data, &bytes, &mut choose)
        });
        blobs.push(saved.unwrap());
        versions.push(Arc::new(bytes.clone()));
    }
    let indexed = fixture.index();
    let mut reader = BlobReader::new(&indexed).unwrap();
    let mut plain = Vec::new();
    for (id, expected) in blobs.iter().zip(&versions) {
        reader.read(*id, BlobKind::Data, &mut plain).unwrap();
        assert!(plain == **expected);
    }
    let (count, deepest) = deltas(&indexed);
    assert!(count > 650, "{count}");
    assert!(deepest <= DEPTH_MAX, "{deepest}");
}

/// A store that is far away as far as it says.
#[derive(Debug)]
struct Remote(MemoryStore);

impl Store for Remote {
    fn put(
        &self,
        name: &repo_format::ObjectName,
        bytes: bytes::Bytes,
        mode: Put,
    ) -> crate::store::Result<()> {
        self.0.put(name, bytes, mode)
    }
    fn get(&self, name: &repo_format::ObjectName) -> crate::store::Result<bytes::Bytes> {
        self.0.get(name)
    }
    fn get_range(
        &self,
        name: &repo_format::ObjectName,
        offset: u64,
        length: u64,
    ) -> crate::store::Result<bytes::Bytes> {
        self.0.get_range(name, offset, length)
    }
    fn size(&self, name: &repo_format::ObjectName) -> crate::store::Result<u64> {
        self.0.size(name)
    }
    fn list(&self, prefix: &str) -> crate::store::Result<Vec<Listed>> {
        self.0.list(prefix)
    }
    fn delete(&self, name: &repo_format::ObjectName) -> crate::store::Result<()> {
        self.0.delete(name)
    }
    fn traits(&self) -> Traits {
        Traits { is_remote: true, ..Traits::default() }
    }
    fn describe(&self) -> String {
        "memory, far away".to_owned()
    }
}

#[test]
fn far_away_versions_stand_on_copies_that_are_kept_here_and_on_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("till.db");
    let cache = tempfile::tempdir().unwrap();
    let store = MemoryStore::new();
    drop(repository(&store, Some(cache.path())));
    let settings =
        OpenSettings { cache: Some(cache.path().to_path_buf()), ..OpenSettings::default() };
    let secret = Secret::passphrase("correct horse");
    let repo: Repository = open(Arc::new(Remote(store.clone())), &secret, &settings).unwrap();
    let mut bytes = pages(1000);
    let mut stored = Vec::new();
    let mut last = None;
    for version in 0..4 {
        if version == 3 {
            fs::remove_dir_all(cache.path().join(repo.id().to_hex()).join("packs")).unwrap();
        }
        change(&mut bytes, version);
        fs::write(&path, &bytes).unwrap();
        let (_, report) = run(&repo, &options(folder.path()));
        stored.push(report.statistics.bytes_stored);
        last = Some(report);
    }
    assert!(stored[1] < 40_000 && stored[2] < 40_000, "{stored:?}");
    // Without copies nothing is fetched to save bytes.
    assert!(stored[3] > 400_000, "{stored:?}");
    let indexed = repo.load_index(&crate::Ambient::default()).unwrap();
    assert!(content(&indexed, &last.unwrap(), &path) == bytes);
}

#[test]
fn versions_of_a_stream_stand_on_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dump");
    let repo = repository(&MemoryStore::new(), None);
    let line = format!("cat '{}'", path.display());
    let source = Source::Command { name: b"dump".to_vec(), line };
    let told = Options { sources: vec![source], ..Options::default() };
    let mut bytes = noise(3, 4 << 20);
    for version in 0..3_u64 {
        bytes.splice(1_000_000..1_000_000, noise(version, 50));
        fs::write(&path, &bytes).unwrap();
        let (indexed, report) = run(&repo, &told);
        let stored = report.statistics.bytes_stored;
        assert!(version == 0 || stored < 20_000, "version {version}: {stored} bytes");
        assert!(content(&indexed, &report, Path::new("/@streams/dump")) == bytes);
    }
}
