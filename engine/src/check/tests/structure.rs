//! What trees, index and store say of each other.

use std::sync::Arc;

use repo_format::content::{Chunker, Content, Extent};
use repo_format::object_name::{Meaning, prefix};
use repo_format::pack::BlobKind;
use repo_format::tree::{Body, Totals};
use repo_format::{BlobId, ObjectHash, ObjectName};

use super::{EVERYTHING, STRUCTURE, run, text, worst};
use crate::check::{Options, Report, check};
use crate::chunk::compression::Level;
use crate::error::Kind;
use crate::finding::Severity;
use crate::repo::contents::ContentBuilder;
use crate::repo::fixture::{Fixture, directory, file, folder, stored};
use crate::repo::index::{read_segment, write_segment};
use crate::repo::packer::{BlobWriter, PackSettings, Scratch};
use crate::repo::trees::Directory;
use crate::repo::{OpenSettings, Repository, Secret, open};
use crate::store::faulty::{Fault, Faulty};
use crate::store::{Listed, MemoryStore, Put, Result, Store, Traits};

fn extents(extents: Vec<Extent>) -> Content {
    Content::Extents { chunker: Chunker::Whole, extents }
}

fn about<'a>(report: &'a Report, object: &str) -> &'a crate::Finding {
    let found = report.findings.iter().find(|finding| finding.object == object);
    found.unwrap_or_else(|| panic!("nothing about {object}:\n{}", text(report)))
}

#[test]
fn a_blob_that_no_pack_has_takes_down_its_file_and_no_other() {
    let mut fixture = Fixture::small();
    let absent = BlobId([9; 32]);
    let hit = fixture.commit(|writer, scratch, repo| {
        let lost = file(b"lost", 5, extents(vec![Extent::Blob { id: absent, length: 5 }]));
        let kept = file(b"kept", 4, stored(writer, scratch, repo, b"kept"));
        let inner = directory(writer, scratch, repo, &[kept, lost]);
        directory(writer, scratch, repo, &[folder(b"d\x1b[1m", inner)])
    });
    let report = run(&fixture, &STRUCTURE);
    assert_eq!(about(&report, &format!("blob {absent}")).what, "it is in no pack of the index");
    let snapshot = about(&report, &format!("snapshot {hit}"));
    // A name that would move the cursor is spelled out.
    assert!(snapshot.what.ends_with(r"cannot be restored whole: /d\x1b[1m/lost"), "{snapshot}");
    assert_eq!(report.findings.len(), 2, "{}", text(&report));
}

#[test]
fn references_of_the_wrong_kind_or_length_are_found() {
    let mut fixture = Fixture::empty();
    fixture.commit(|writer, scratch, repo| {
        let id = writer.save(scratch, BlobKind::Data, b"five!").unwrap();
        let short = extents(vec![Extent::Blob { id, length: 4 }]);
        let far = extents(vec![Extent::Slice { id, offset: 3, length: 3 }]);
        let fits = extents(vec![Extent::Slice { id, offset: 3, length: 2 }]);
        let as_tree = Directory { tree: id, entries: 0, totals: Totals::default() };
        let list = Content::List { chunker: Chunker::Whole, root: id };
        let entries = [
            folder(b"as-tree", as_tree),
            file(b"far", 3, far),
            file(b"fits", 2, fits),
            file(b"list", 5, list),
            file(b"short", 4, short),
        ];
        directory(writer, scratch, repo, &entries)
    });
    let report = run(&fixture, &STRUCTURE);
    let all = text(&report);
    assert!(all.contains("it has 5 bytes where 4 are used; used by /short"), "{all}");
    assert!(all.contains("it has 5 bytes where 6 are used; used by /far"), "{all}");
    assert!(all.contains("it is not of the kind it is used as"), "{all}");
    assert!(all.contains("cannot be restored whole: /as-tree/, /far, /list, /short"), "{all}");
}

#[test]
fn counts_that_do_not_add_up_are_found_and_lose_nothing() {
    let mut fixture = Fixture::empty();
    fixture.commit(|writer, scratch, repo| {
        let mut inner = directory(writer, scratch, repo, &[file(b"a", 2, Content::inline(b"hi"))]);
        inner.totals.bytes += 1;
        directory(writer, scratch, repo, &[folder(b"d", inner)])
    });
    let report = run(&fixture, &STRUCTURE);
    assert_eq!(report.findings.len(), 1, "{}", text(&report));
    assert_eq!(report.findings[0].severity, Severity::Repairable);
    assert!(report.sentence().ends_with("1 finding, none of which loses content"));
}

#[test]
fn large_directories_and_long_lists_are_walked_to_their_end() {
    let mut fixture = Fixture::empty();
    let absent = BlobId([9; 32]);
    let mut build = |is_whole: bool| {
        fixture.commit(|writer, scratch, repo| {
            let mut list = ContentBuilder::new();
            for number in 0..6000_u32 {
                let bytes = number.to_le_bytes();
                let mut id = writer.save(scratch, BlobKind::Data, &bytes).unwrap();
                if number == 5000 && !is_whole {
                    id = absent;
                }
                list.push(writer, scratch, repo, Extent::Blob { id, length: 4 }).unwrap();
            }
            let list = list.finish(writer, scratch, Chunker::Whole).unwrap();
            let name = |number: u32| format!("{number:050}");
            let mut entries: Vec<_> =
                (0..4000).map(|n| file(name(n).as_bytes(), 2, Content::inline(b"hi"))).collect();
            entries[2000] = file(name(2000).as_bytes(), 24_000, list);
            directory(writer, scratch, repo, &entries)
        })
    };
    build(true);
    let hit = build(false);
    for options in [STRUCTURE, EVERYTHING] {
        let report = run(&fixture, &options);
        assert!(report.trees > 4, "{}", report.trees);
        assert_eq!(report.findings.len(), 2, "{}", text(&report));
        let snapshot = about(&report, &format!("snapshot {hit}"));
        assert!(snapshot.what.ends_with("00002000"), "{}", snapshot.what);
    }
}

/// Folders in folders; the innermost holds an empty file.
fn nested(
    writer: &BlobWriter<'_>,
    scratch: &mut Scratch,
    repo: &Repository,
    depth: usize,
) -> Directory {
    let mut inner = directory(writer, scratch, repo, &[file(b"f", 0, Content::inline(b""))]);
    for _ in 0..depth {
        inner = directory(writer, scratch, repo, &[folder(b"d", inner)]);
    }
    inner
}

#[test]
fn a_tree_is_followed_as_deep_as_the_format_allows_and_no_deeper() {
    let mut fixture = Fixture::empty();
    fixture.commit(|writer, scratch, repo| nested(writer, scratch, repo, 4096));
    let report = run(&fixture, &STRUCTURE);
    assert!(report.findings.is_empty(), "{}", text(&report));
    assert_eq!(report.trees, 4097);
    // Whichever of the two is walked first, the other one meets the folders that they share.
    let deep = fixture.commit(|writer, scratch, repo| nested(writer, scratch, repo, 4097));
    let alone = Options { snapshot: Some(deep), ..STRUCTURE };
    for options in [STRUCTURE, alone] {
        let report = run(&fixture, &options);
        assert!(text(&report).contains("it lies deeper than the format allows"));
        about(&report, &format!("snapshot {deep}"));
        assert_eq!(report.findings.len(), 2);
    }
}

#[test]
fn the_paths_and_snapshots_of_a_great_loss_are_bounded() {
    let mut fixture = Fixture::empty();
    for round in 0..103_u32 {
        fixture.commit(|writer, scratch, repo| {
            let absent = extents(vec![Extent::Blob { id: BlobId([9; 32]), length: 5 }]);
            let name = |number: u32| format!("{number:03}");
            let entries: Vec<_> =
                (0..50).map(|n| file(name(n).as_bytes(), 5, absent.clone())).collect();
            let shared = folder(b"shared", directory(writer, scratch, repo, &entries));
            let own = file(name(round).as_bytes(), 2, Content::inline(b"hi"));
            directory(writer, scratch, repo, &[own, shared])
        });
    }
    let report = run(&fixture, &STRUCTURE);
    assert_eq!(report.findings.len(), 102, "{}", report.findings.len());
    assert!((104..200).contains(&report.trees), "{}", report.trees);
    // All are of one time, and then the highest id is the newest.
    let newest = fixture.snapshots.iter().max().unwrap();
    let newest = about(&report, &format!("snapshot {newest}"));
    assert!(newest.what.ends_with("/shared/008, /shared/009, and more"), "{}", newest.what);
    assert_eq!(about(&report, "snapshots").what, "3 snapshots more have lost content");
}

#[test]
fn foreign_objects_and_packs_without_a_segment_are_notices() {
    let fixture = Fixture::small();
    let foreign = ["notes.txt", "packs/zz/abc", "index/abc", "history/x"];
    for name in foreign {
        fixture.put(&ObjectName::parse(name).unwrap(), b"mine".to_vec());
    }
    let before = fixture.names(prefix::INDEX);
    let indexed = fixture.index();
    let settings = PackSettings::within(1 << 30, 1 << 20, 1, 1, Level::default());
    let progress = &fixture.ambient.progress;
    BlobWriter::with(&indexed, settings, progress, |writer| {
        writer.save(&mut writer.scratch()?, BlobKind::Data, b"of a backup that never ended")
    })
    .unwrap();
    for name in fixture.names(prefix::INDEX).iter().filter(|name| !before.contains(name)) {
        fixture.store.delete(name).unwrap();
    }
    let report = run(&fixture, &EVERYTHING);
    assert!(!report.has_damage(), "{}", text(&report));
    assert_eq!(report.count(Severity::Notice), foreign.len() + 1, "{}", text(&report));
    assert_eq!(report.packs_read, report.packs);
    assert!(report.sentence().ends_with("no damage found; 5 notices"));
}

#[test]
fn an_index_that_contradicts_the_packs_is_found_when_they_are_read() {
    let fixture = Fixture::small();
    let hash = |name: &ObjectName| match name.meaning() {
        Some(Meaning::IndexSegment(hash)) => hash,
        _ => panic!("{name}"),
    };
    let segments: Vec<ObjectHash> = fixture.names(prefix::INDEX).iter().map(hash).collect();
    let mut packs = Vec::new();
    for segment in &segments {
        packs.extend(read_segment(&fixture.repo, *segment).unwrap().directories().unwrap());
    }
    let (pack, directory) = packs.iter_mut().find(|(_, d)| d.entries.len() > 2).unwrap();
    let pack = *pack;
    directory.entries.pop();
    write_segment(&fixture.repo, &packs, &segments).unwrap();
    for segment in &segments {
        fixture.store.delete(&ObjectName::index_segment(*segment)).unwrap();
    }
    let report = run(&fixture, &EVERYTHING);
    let name = crate::repo::blobs::pack_name(&pack);
    let told = report.findings.iter().filter(|finding| finding.object == name.as_str());
    assert!(told.clone().any(|f| f.what.contains("where its directory has")), "{}", text(&report));
    assert_eq!(worst(&report, &name), Some(Severity::Repairable), "{}", text(&report));
}

#[test]
fn one_snapshot_alone_can_be_checked() {
    let mut fixture = Fixture::small();
    let hit = fixture.commit(|writer, scratch, repo| {
        let absent = extents(vec![Extent::Blob { id: BlobId([9; 32]), length: 5 }]);
        directory(writer, scratch, repo, &[file(b"lost", 5, absent)])
    });
    let of = |id| Options { snapshot: Some(id), ..STRUCTURE };
    let report = run(&fixture, &of(fixture.snapshots[0]));
    assert!(!report.has_damage() && report.snapshots == 1, "{}", text(&report));
    assert!(run(&fixture, &of(hit)).has_damage());
    let unknown = check(&fixture.repo, &of(ObjectHash([1; 32])), &fixture.ambient).unwrap_err();
    assert_eq!(unknown.kind(), Kind::NotFound);
}

#[test]
fn a_check_that_is_interrupted_says_so() {
    let fixture = Fixture::small();
    fixture.ambient.cancel.cancel();
    let error = check(&fixture.repo, &EVERYTHING, &fixture.ambient).unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted);
}

/// Opens a repository over another store.
fn over(store: Arc<dyn Store>) -> Repository {
    open(store, &Secret::passphrase("secret"), &OpenSettings::default()).unwrap()
}

#[test]
fn a_store_that_fails_at_any_call_is_an_error_or_a_finding_and_never_a_clean_report() {
    let fixture = Fixture::small();
    let calls = {
        let store = Arc::new(Faulty::new(fixture.store.clone()));
        let repo = over(store.clone());
        let before = store.calls();
        check(&repo, &EVERYTHING, &fixture.ambient).unwrap();
        before..store.calls()
    };
    assert!(calls.clone().count() > 15);
    for call in calls {
        for fault in [Fault::ErrorBefore, Fault::ShortGet, Fault::CorruptGet, Fault::Stop] {
            let store = Arc::new(Faulty::new(fixture.store.clone()));
            let repo = over(store.clone());
            store.inject(call, fault);
            if let Ok(report) = check(&repo, &EVERYTHING, &fixture.ambient) {
                assert!(!report.findings.is_empty(), "call {call} with {fault:?}");
            }
        }
    }
}

/// A store that says that it is far away.
#[derive(Debug)]
struct Remote(MemoryStore);

impl Store for Remote {
    fn put(&self, name: &ObjectName, bytes: bytes::Bytes, mode: Put) -> Result<()> {
        self.0.put(name, bytes, mode)
    }
    fn get(&self, name: &ObjectName) -> Result<bytes::Bytes> {
        self.0.get(name)
    }
    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<bytes::Bytes> {
        self.0.get_range(name, offset, length)
    }
    fn size(&self, name: &ObjectName) -> Result<u64> {
        self.0.size(name)
    }
    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        self.0.list(prefix)
    }
    fn delete(&self, name: &ObjectName) -> Result<()> {
        self.0.delete(name)
    }
    fn traits(&self) -> Traits {
        Traits { is_remote: true, ..self.0.traits() }
    }
    fn describe(&self) -> String {
        "far away".to_owned()
    }
}

#[test]
fn a_store_far_away_is_checked_alike() {
    let fixture = Fixture::small();
    let repo = over(Arc::new(Remote(fixture.store.clone())));
    let small = Options { memory: 1000, ..STRUCTURE };
    for options in [STRUCTURE, EVERYTHING, small] {
        let report = check(&repo, &options, &fixture.ambient).unwrap();
        assert!(report.findings.is_empty(), "{}", text(&report));
        assert!(report.trees >= 3);
    }
    let name = &fixture.names(prefix::METADATA)[0];
    let whole = fixture.get(name);
    fixture.put(name, whole[..100].to_vec());
    let report = check(&repo, &STRUCTURE, &fixture.ambient).unwrap();
    assert_eq!(worst(&report, name), Some(Severity::Loss), "{}", text(&report));
}

#[test]
fn an_entry_whose_attributes_are_lost_is_named() {
    let mut fixture = Fixture::empty();
    fixture.commit(|writer, scratch, repo| {
        let attributes = repo_format::tree::Attributes::Blob(BlobId([9; 32]));
        let mut with = file(b"f", 2, Content::inline(b"hi"));
        with.metadata.attributes = attributes.clone();
        let mut link = file(b"l", 0, Content::inline(b""));
        link.body = Body::Symlink { target: b"f"[..].into() };
        let inner = directory(writer, scratch, repo, &[link]);
        let mut inner = folder(b"d", inner);
        inner.metadata.attributes = attributes;
        directory(writer, scratch, repo, &[inner, with])
    });
    let report = run(&fixture, &STRUCTURE);
    assert!(text(&report).contains("whole: /d/, /f"), "{}", text(&report));
    assert!(report.trees >= 2);
}
