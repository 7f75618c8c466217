//! Checks of small repositories, whole and damaged in every way.

use repo_format::ObjectName;
use repo_format::object_name::prefix;

use super::{Options, ReadData, Report, check};
use crate::finding::Severity;
use crate::repo::fixture::Fixture;

mod bytes;
mod deltas;
mod structure;

const EVERYTHING: Options =
    Options { read_data: ReadData::All, snapshot: None, threads: 1, memory: 0, seed: 0 };
const STRUCTURE: Options = Options { read_data: ReadData::None, ..EVERYTHING };

fn run(fixture: &Fixture, options: &Options) -> Report {
    check(&fixture.repo, options, &fixture.ambient).unwrap()
}

/// Severity of the worst finding about an object.
fn worst(report: &Report, name: &ObjectName) -> Option<Severity> {
    let about = report.findings.iter().filter(|finding| finding.object == name.as_str());
    about.map(|finding| finding.severity).max()
}

fn text(report: &Report) -> String {
    let lines = report.findings.iter().map(|f| format!("{:?} {f}", f.severity));
    lines.collect::<Vec<_>>().join("\n")
}

/// Checks that an object that was changed is found, by name.
fn is_found(fixture: &Fixture, name: &ObjectName, how: &str) {
    let report = run(fixture, &EVERYTHING);
    assert!(
        worst(&report, name) > Some(Severity::Notice),
        "{name} {how} is not found:\n{}",
        text(&report)
    );
    assert!(report.has_damage());
}

#[test]
fn a_clean_repository_is_clean() {
    let fixture = Fixture::small();
    let report = run(&fixture, &EVERYTHING);
    assert!(report.findings.is_empty(), "{}", text(&report));
    let packs = fixture.names(prefix::PACKS).len() + fixture.names(prefix::METADATA).len();
    assert_eq!((report.packs, report.packs_read), (packs as u64, packs as u64));
    assert_eq!(report.objects, fixture.store.names().len() as u64);
    assert_eq!(report.bytes_read, report.pack_bytes);
    // Two roots and one folder, each a node or more as the keys have it; three data blobs, a list
    // and attributes beside.
    assert_eq!(report.snapshots, 2);
    assert!(report.trees >= 3 && report.blobs_checked >= report.trees + 5, "{report:?}");
    assert!(report.sentence().ends_with("trees): no damage found"), "{}", report.sentence());

    let trees = report.trees;
    let report = run(&fixture, &STRUCTURE);
    assert!(report.findings.is_empty(), "{}", text(&report));
    assert_eq!((report.packs_read, report.bytes_read, report.trees), (0, 0, trees));
}

#[test]
fn several_threads_and_little_memory_find_the_same() {
    let fixture = Fixture::small();
    let options = Options { threads: 4, memory: 1, ..EVERYTHING };
    let report = run(&fixture, &options);
    assert!(report.findings.is_empty(), "{}", text(&report));
    assert_eq!(report.blobs_checked, run(&fixture, &EVERYTHING).blobs_checked);
}
