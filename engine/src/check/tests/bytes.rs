//! Every object, changed in every byte, cut, lengthened, removed and swapped.

use repo_format::ObjectName;
use repo_format::object_name::prefix;

use super::{EVERYTHING, STRUCTURE, is_found, run, text, worst};
use crate::finding::Severity;
use crate::repo::fixture::Fixture;
use crate::store::Store as _;

#[test]
fn every_flipped_byte_of_every_object_is_found_and_the_object_named() {
    let fixture = Fixture::small();
    let mut flips = 0;
    for name in fixture.store.names() {
        let whole = fixture.get(&name);
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= if at % 2 == 0 { 1 } else { 0x80 };
            fixture.put(&name, flipped);
            is_found(&fixture, &name, &format!("with byte {at} flipped"));
            flips += 1;
        }
        fixture.put(&name, whole);
    }
    assert!(run(&fixture, &EVERYTHING).findings.is_empty());
    assert!(flips > 4000, "{flips}");
}

#[test]
fn every_object_cut_or_lengthened_by_a_byte_is_found() {
    let fixture = Fixture::small();
    for name in fixture.store.names() {
        let whole = fixture.get(&name);
        for length in [0, 1, whole.len() / 2, whole.len() - 1] {
            fixture.put(&name, whole[..length].to_vec());
            is_found(&fixture, &name, &format!("cut to {length} bytes"));
        }
        fixture.put(&name, [&whole[..], &[0]].concat());
        is_found(&fixture, &name, "lengthened by a byte");
        fixture.put(&name, whole);
    }
}

#[test]
fn every_object_that_is_deleted_is_found() {
    let fixture = Fixture::small();
    for name in fixture.store.names() {
        let whole = fixture.get(&name);
        fixture.store.delete(&name).unwrap();
        for options in [&EVERYTHING, &STRUCTURE] {
            let report = run(&fixture, options);
            assert!(report.has_damage(), "{name} deleted is not found: {}", text(&report));
            let is_told_by_others = name.as_str().starts_with(prefix::HISTORY)
                || name.as_str().starts_with(prefix::INDEX);
            assert!(
                is_told_by_others || worst(&report, &name) > Some(Severity::Notice),
                "{name} deleted is not named:\n{}",
                text(&report)
            );
        }
        fixture.put(&name, whole);
    }
}

#[test]
fn two_packs_that_changed_places_are_found() {
    let fixture = Fixture::small();
    for folder in [prefix::PACKS, prefix::METADATA] {
        let names = fixture.names(folder);
        let (one, other) = (&names[0], &names[1]);
        let (first, second) = (fixture.get(one), fixture.get(other));
        fixture.put(one, second.clone());
        fixture.put(other, first.clone());
        is_found(&fixture, one, "in the place of another");
        is_found(&fixture, other, "in the place of another");
        fixture.put(one, first);
        fixture.put(other, second);
    }
}

#[test]
fn an_object_of_every_kind_in_the_place_of_another_is_found() {
    let fixture = Fixture::small();
    let names = fixture.store.names();
    for name in &names {
        let whole = fixture.get(name);
        for other in names.iter().filter(|other| *other != name) {
            fixture.put(name, fixture.get(other));
            is_found(&fixture, name, &format!("replaced by {other}"));
        }
        fixture.put(name, whole);
    }
}

#[test]
fn objects_of_another_repository_are_found() {
    let (fixture, other) = (Fixture::small(), Fixture::small());
    let kind = |name: &ObjectName| name.as_str().split('/').next().unwrap().to_owned();
    for name in fixture.store.names() {
        let whole = fixture.get(&name);
        let theirs = other.store.names();
        let theirs = theirs.iter().find(|theirs| kind(theirs) == kind(&name)).unwrap();
        fixture.put(&name, other.get(theirs));
        is_found(&fixture, &name, "of another repository");
        fixture.put(&name, whole);
    }
}

#[test]
fn a_data_pack_with_a_flipped_blob_names_the_files_that_are_lost_and_no_others() {
    let mut fixture = Fixture::empty();
    fixture.back_up(b"first");
    let before = fixture.names(prefix::PACKS);
    let second = fixture.back_up(b"second");
    let name =
        fixture.names(prefix::PACKS).into_iter().find(|name| !before.contains(name)).unwrap();
    let whole = fixture.get(&name);
    // Behind the header and the salt lies the ciphertext of the one blob of this pack.
    let mut flipped = whole.clone();
    flipped[64 + 24] ^= 1;
    fixture.put(&name, flipped);
    let report = run(&fixture, &EVERYTHING);
    assert_eq!(worst(&report, &name), Some(Severity::Loss), "{}", text(&report));
    assert_eq!(report.findings.len(), 2, "{}", text(&report));
    let hit = report.findings.iter().find(|f| f.object == format!("snapshot {second}")).unwrap();
    assert!(hit.what.ends_with("cannot be restored whole: /new"), "{}", hit.what);
    assert!(report.sentence().ends_with("2 findings, 2 of them lose content"));

    // The directory at the end serves only the index: its loss loses nothing.
    let mut flipped = whole;
    let at = flipped.len() - 60;
    flipped[at] ^= 1;
    fixture.put(&name, flipped);
    let report = run(&fixture, &EVERYTHING);
    assert_eq!(worst(&report, &name), Some(Severity::Repairable), "{}", text(&report));
    assert_eq!(report.findings.len(), 1, "{}", text(&report));
    // Without reading the packs nothing shows.
    assert!(!run(&fixture, &STRUCTURE).has_damage());
}
