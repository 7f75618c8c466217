//! Blobs that stand on others: what is lost below takes down all that stands on it, and no pack is
//! called damaged for what another one has lost.

use std::sync::Arc;

use repo_format::content::{Chunker, Content, Extent};
use repo_format::object_name::prefix;
use repo_format::pack::BlobKind;
use repo_format::{BlobId, ObjectName, SnapshotId};

use super::{EVERYTHING, Options, STRUCTURE, run, text, worst};
use crate::finding::Severity;
use crate::repo::blobs::{BlobReader, pack_name, read_directory};
use crate::repo::fixture::{Fixture, directory, file};
use crate::repo::index::Index;
use crate::repo::packer::Basis;

fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut out);
    out
}

/// Versions of one file, each a delta against the one before but the first, one a snapshot; then a
/// snapshot of something else.
struct Chain {
    fixture: Fixture,
    blobs: Vec<BlobId>,
    versions: Vec<Vec<u8>>,
    snapshots: Vec<SnapshotId>,
    other: SnapshotId,
}

impl Chain {
    fn new(length: u8) -> Self {
        let mut fixture = Fixture::empty();
        let (mut blobs, mut versions, mut snapshots) = (Vec::new(), Vec::new(), Vec::new());
        let mut plain = noise(1, 50_000);
        for version in 0..length {
            plain[usize::from(version) * 100] ^= 1;
            let indexed = fixture.index();
            let below: Option<(BlobId, Arc<Vec<u8>>)> =
                blobs.last().copied().zip(versions.last().cloned().map(Arc::new));
            let mut saved = BlobId::default();
            snapshots.push(fixture.commit(|writer, scratch, repo| {
                let deltas = writer.begin_run();
                let mut choose = |_: &mut _, _, attempt| {
                    let bases: Vec<_> = below.clone().into_iter().collect();
                    (attempt == 0).then(|| Basis::new(&indexed, &bases, 50_000)).flatten()
                };
                let data = BlobKind::Data;
                saved = writer.save_against(scratch, deltas, data, &plain, &mut choose).unwrap();
                writer.end_run(deltas).unwrap();
                let extents = vec![Extent::Blob { id: saved, length: 50_000 }];
                let content = Content::Extents { chunker: Chunker::Whole, extents };
                directory(writer, scratch, repo, &[file(b"till", 50_000, content)])
            }));
            blobs.push(saved);
            versions.push(plain.clone());
        }
        let other = fixture.back_up(b"something else");
        Self { fixture, blobs, versions, snapshots, other }
    }

    fn pack(&self, version: usize) -> ObjectName {
        pack_name(&self.fixture.index().index().find(&self.blobs[version]).unwrap().pack)
    }

    /// Holds a check against what is lost from one version on.
    fn loses_from(&self, from: usize, options: &Options) {
        let report = run(&self.fixture, options);
        let all = text(&report);
        for (version, snapshot) in self.snapshots.iter().enumerate() {
            let is_named = all.contains(&format!("snapshot {snapshot}"));
            assert_eq!(is_named, version >= from, "version {version}:\n{all}");
            let pack = worst(&report, &self.pack(version));
            let expected = (version == from).then_some(Severity::Loss);
            assert_eq!(pack, expected, "pack of version {version}:\n{all}");
        }
        assert!(!all.contains(&format!("snapshot {}", self.other)), "{all}");
        assert!(report.has_damage());
    }
}

#[test]
fn a_chain_reads_back_and_is_clean() {
    let chain = Chain::new(24);
    let indexed = chain.fixture.index();
    let mut reader = BlobReader::new(&indexed).unwrap();
    let mut plain = Vec::new();
    for (version, (id, expected)) in chain.blobs.iter().zip(&chain.versions).enumerate() {
        let located = indexed.index().find(id).unwrap();
        assert_eq!(usize::from(located.entry.depth), version);
        assert!(version == 0 || located.entry.stored_bytes < 1000);
        reader.read(*id, BlobKind::Data, &mut plain).unwrap();
        assert!(plain == *expected);
    }
    for options in [EVERYTHING, STRUCTURE] {
        let report = run(&chain.fixture, &options);
        assert!(report.findings.is_empty(), "{}", text(&report));
    }
}

#[test]
fn a_chain_that_is_as_deep_as_it_may_be_starts_again_in_full() {
    let chain = Chain::new(30);
    let indexed = chain.fixture.index();
    let depth = |id: &BlobId| indexed.index().find(id).unwrap().entry.depth;
    let depths: Vec<u8> = chain.blobs.iter().map(depth).collect();
    assert_eq!(depths, (0..=24).chain(0..5).collect::<Vec<u8>>());
}

#[test]
fn a_damaged_base_is_reported_with_every_snapshot_that_it_takes_down() {
    for from in [0, 2] {
        let chain = Chain::new(5);
        let name = chain.pack(from);
        let mut bytes = chain.fixture.get(&name);
        let entry = chain.fixture.index().index().find(&chain.blobs[from]).unwrap().entry;
        bytes[(entry.offset + entry.stored_bytes / 2) as usize] ^= 1;
        chain.fixture.put(&name, bytes);
        chain.loses_from(from, &EVERYTHING);
    }
}

#[test]
fn a_lost_pack_of_a_base_takes_down_what_stands_on_it_without_reading_data() {
    let chain = Chain::new(5);
    let name = chain.pack(1);
    crate::store::Store::delete(&chain.fixture.store, &name).unwrap();
    chain.loses_from(1, &STRUCTURE);
    chain.loses_from(1, &EVERYTHING);
    let indexed = chain.fixture.index();
    let mut reader = BlobReader::new(&indexed).unwrap();
    let mut plain = Vec::new();
    reader.read(chain.blobs[0], BlobKind::Data, &mut plain).unwrap();
    let error = reader.read(chain.blobs[4], BlobKind::Data, &mut plain).unwrap_err();
    assert!(format!("{error}").contains("base"), "{error}");
}

#[test]
fn a_blob_whose_base_is_in_no_pack_counts_as_absent_so_that_it_is_stored_again() {
    let chain = Chain::new(3);
    let repo = &chain.fixture.repo;
    let index_without = |left_out: Option<ObjectName>| {
        let names = chain.fixture.names(prefix::PACKS);
        let names = names.iter().filter(|name| Some(*name) != left_out.as_ref());
        Index::of_directories(names.map(|name| read_directory(repo, name).unwrap()).collect())
    };
    let whole = index_without(None);
    assert!(chain.blobs.iter().all(|id| whole.contains(id)));
    let holed = index_without(Some(chain.pack(1)));
    let known: Vec<bool> = chain.blobs.iter().map(|id| holed.contains(id)).collect();
    assert_eq!(known, [true, false, false]);
    assert!(holed.find(&chain.blobs[2]).is_some());
}
