//! The index comes back from the packs, and a second repair does nothing.

use bytes::Bytes;
use repo_format::ObjectName;
use repo_format::object_name::{Meaning, prefix};

use super::{Options, Report, index};
use crate::check::{self, ReadData, check};
use crate::finding::Severity;
use crate::repo::fixture::Fixture;
use crate::repo::index::{read_segment, write_segment};
use crate::store::{Put, Store as _};

const FOR_REAL: Options = Options { is_dry_run: false, threads: 1 };
const DRY_RUN: Options = Options { is_dry_run: true, threads: 1 };

fn repair(fixture: &Fixture) -> Report {
    let dry = index(&fixture.repo, &DRY_RUN, &fixture.ambient).unwrap();
    let report = index(&fixture.repo, &FOR_REAL, &fixture.ambient).unwrap();
    // The dry run said exactly what would come.
    assert_eq!(dry.segments_written, report.segments_written);
    assert_eq!(dry.segments_removed, report.segments_removed);
    assert_eq!(dry.findings, report.findings);
    let again = index(&fixture.repo, &FOR_REAL, &fixture.ambient).unwrap();
    assert!(!again.has_changed(), "{}", again.sentence());
    report
}

fn findings(fixture: &Fixture) -> Vec<String> {
    let options = check::Options { read_data: ReadData::All, ..check::Options::default() };
    let report = check(&fixture.repo, &options, &fixture.ambient).unwrap();
    let told = report.findings.iter().filter(|finding| finding.severity > Severity::Notice);
    told.map(ToString::to_string).collect()
}

fn places(fixture: &Fixture) -> u64 {
    fixture.index().index().len()
}

#[test]
fn a_whole_index_is_left_alone() {
    let fixture = Fixture::small();
    let names = fixture.store.names();
    let report = repair(&fixture);
    assert!(!report.has_changed() && report.findings.is_empty());
    assert_eq!(report.sentence(), "the index needs no repair");
    assert_eq!(fixture.store.names(), names);
}

#[test]
fn deleted_and_damaged_segments_are_made_again() {
    for damage in ["delete", "cut", "flip"] {
        let fixture = Fixture::small();
        let before = places(&fixture);
        for name in fixture.names(prefix::INDEX) {
            let mut bytes = fixture.get(&name);
            match damage {
                "delete" => fixture.store.delete(&name).unwrap(),
                "cut" => fixture.put(&name, bytes[..100].to_vec()),
                _ => {
                    // The version byte: damage, not a newer format.
                    bytes[9] ^= 0x80;
                    fixture.put(&name, bytes);
                }
            }
        }
        assert_eq!(places(&fixture), 0);
        assert!(!findings(&fixture).is_empty());
        let names = fixture.store.names();
        index(&fixture.repo, &DRY_RUN, &fixture.ambient).unwrap();
        assert_eq!(fixture.store.names(), names);
        let report = repair(&fixture);
        assert_eq!((report.segments_written, report.blobs_indexed), (1, before), "{damage}");
        assert_eq!(places(&fixture), before);
        assert_eq!(findings(&fixture), [""; 0], "{damage}");
        assert_eq!(fixture.names(prefix::INDEX).len(), 1);
    }
}

#[test]
fn a_deleted_segment_costs_no_content_as_long_as_its_packs_are_there() {
    let fixture = Fixture::small();
    let name = &fixture.names(prefix::INDEX)[0];
    fixture.store.delete(name).unwrap();
    let report = check(&fixture.repo, &check::Options::default(), &fixture.ambient).unwrap();
    assert_eq!(report.count(Severity::Loss), 0, "{:?}", report.findings);
    assert!(report.findings.iter().all(|f| f.repair == "strongroom repair index"));
    repair(&fixture);
    assert_eq!(findings(&fixture), [""; 0]);
}

#[test]
fn a_missing_pack_is_told_and_taken_out_of_the_index_and_its_neighbours_stay() {
    let fixture = Fixture::small();
    let before = places(&fixture);
    let name = &fixture.names(prefix::PACKS)[0];
    fixture.store.delete(name).unwrap();
    let report = repair(&fixture);
    assert_eq!(report.packs_missing, 1);
    assert_eq!(report.findings[0].object, name.as_str());
    assert_eq!(report.findings[0].severity, Severity::Loss);
    assert_eq!(places(&fixture), before - report.blobs_missing);
    assert!(report.sentence().contains("; missing: 1 pack with "), "{}", report.sentence());
    // What is lost stays lost, and the check says so.
    assert!(!findings(&fixture).is_empty());
}

#[test]
fn a_pack_without_a_directory_is_told_and_does_not_stop_the_others() {
    let fixture = Fixture::small();
    for name in fixture.names(prefix::INDEX) {
        fixture.store.delete(&name).unwrap();
    }
    let name = &fixture.names(prefix::PACKS)[0];
    let whole = fixture.get(name);
    fixture.put(name, whole[..whole.len() - 40].to_vec());
    let report = repair(&fixture);
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].object, name.as_str());
    assert_eq!(report.packs_indexed, report.packs - 1);
}

#[test]
fn a_superseded_segment_is_left_out_and_then_removed() {
    let fixture = Fixture::small();
    let before = places(&fixture);
    let hash = |name: &ObjectName| match name.meaning() {
        Some(Meaning::IndexSegment(hash)) => hash,
        _ => panic!("{name}"),
    };
    let segments: Vec<_> = fixture.names(prefix::INDEX).iter().map(hash).collect();
    let mut packs = Vec::new();
    for segment in &segments {
        packs.extend(read_segment(&fixture.repo, *segment).unwrap().directories().unwrap());
    }
    let merged = write_segment(&fixture.repo, &packs, &segments).unwrap();
    assert_eq!(places(&fixture), before, "entries counted twice");
    assert_eq!(fixture.index().index().segments(), [merged]);
    assert_eq!(findings(&fixture), [""; 0]);

    // One that does not read takes nobody's place.
    let name = ObjectName::index_segment(merged);
    let whole = fixture.get(&name);
    fixture.put(&name, whole[..whole.len() - 1].to_vec());
    assert_eq!(places(&fixture), before);
    fixture.store.put(&name, Bytes::from(whole), Put::Overwrite).unwrap();

    let report = repair(&fixture);
    assert_eq!((report.segments_written, report.segments_removed.len()), (0, segments.len()));
    assert_eq!(fixture.names(prefix::INDEX), [name]);
    assert_eq!(places(&fixture), before);
}
