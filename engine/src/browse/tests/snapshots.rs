//! Naming snapshots, listing them, their tags.

use jiff::tz::TimeZone;
use repo_format::SnapshotId;

use super::world::{World, file, folder};
use crate::browse::snapshots::{Selector, list, pick};
use crate::browse::tags::{self, Change};
use crate::error::Kind;

/// 2026-04-05T12:00Z.
const NOON: i64 = 1_775_390_400;

fn utc() -> Selector {
    Selector { zone: Some(TimeZone::UTC), ..Selector::default() }
}

#[test]
fn a_snapshot_is_named_by_the_start_of_its_id_latest_or_a_time() {
    let world = World::new();
    let root = folder([("a", file("x"))]);
    let first = world.snapshot(&root, "till", NOON);
    let second = world.snapshot(&root, "till", NOON + 3600);
    let other = world.snapshot(&root, "office", NOON + 7200);
    let history = world.history();
    let named = |name: &str, selector: &Selector| pick(&history, name, selector).unwrap().id;

    assert_eq!(named("latest", &utc()), other);
    let till = Selector { hosts: vec!["till".into()], ..utc() };
    assert_eq!(named("latest", &till), second);
    for id in [first, second, other] {
        assert_eq!(named(&id.to_hex(), &till), id);
        assert_eq!(named(&id.to_hex()[..12].to_uppercase(), &utc()), id);
    }
    assert_eq!(named("2026-04-05", &till), second);
    assert_eq!(named("2026-04-05T12:00", &utc()), first);
    assert_eq!(named("2026-04-05T12:59:59", &utc()), first);
    assert_eq!(named("2026-04-05T13:00", &utc()), second);
    assert_eq!(named("2026-04-05 16:00+02:00", &utc()), other);
    assert_eq!(named("2030-01-01", &till), second);
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let world = World::new();
    let empty = pick(&world.history(), "latest", &utc()).unwrap_err();
    assert_eq!(empty.kind(), Kind::NotFound);
    let id = world.snapshot(&folder([]), "till", NOON);
    let history = world.history();
    for name in ["2026-04-04", "ffff0000ffff", "nonsense", "ab", "", "2026-99-99"] {
        let error = pick(&history, name, &utc()).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{name}");
    }
    let error = pick(&history, "2026-04-04", &utc()).unwrap_err().to_string();
    assert!(error.contains(&id.short()) && error.contains("2026-04-05 12:00:00"), "{error}");
    let other = Selector { hosts: vec!["office".into()], ..utc() };
    let error = pick(&history, "latest", &other).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[test]
fn an_id_that_fits_two_snapshots_names_both() {
    let world = World::new();
    // Four digits tell 65,536 apart: two of a few hundred soon share them.
    let start = |id: &SnapshotId| id.to_hex()[..4].to_owned();
    world.snapshots_until(|ids| {
        let (last, before) = ids.split_last().unwrap();
        before.iter().any(|id| start(id) == start(last))
    });
    let history = world.history();
    let last = list(&history, &utc(), None).pop().unwrap().id;
    let error = pick(&history, &start(&last), &utc()).unwrap_err();
    assert_eq!(error.kind(), Kind::AmbiguousName);
    let text = error.to_string();
    assert!(text.contains(&last.short()) && text.matches("till").count() == 2, "{text}");
    assert_eq!(pick(&history, &last.to_hex(), &utc()).unwrap().id, last);
}

#[test]
fn lists_are_narrowed_by_host_tag_and_path() {
    let world = World::new();
    let root = folder([]);
    let a = world.snapshot_with(&root, |snapshot| {
        snapshot.time_ms = 1;
        snapshot.tags = vec!["daily".into(), "db".into()];
        snapshot.sources = vec![b"/home/"[..].into(), b"/etc"[..].into()];
    });
    let b = world.snapshot_with(&root, |snapshot| {
        snapshot.time_ms = 2;
        snapshot.tags = vec!["daily".into()];
    });
    let c = world.snapshot_with(&root, |snapshot| snapshot.time_ms = 3);
    let history = world.history();
    let ids = |selector: &Selector, latest| -> Vec<_> {
        list(&history, selector, latest).iter().map(|taken| taken.id).collect()
    };
    let tags = |sets: &[&[&str]]| Selector {
        tags: sets.iter().map(|set| set.iter().map(|&tag| tag.to_owned()).collect()).collect(),
        ..utc()
    };
    assert_eq!(ids(&utc(), None), [a, b, c]);
    assert_eq!(ids(&utc(), Some(1)), [a, c], "one of each set of sources");
    assert_eq!(ids(&tags(&[&["daily"]]), None), [a, b]);
    assert_eq!(ids(&tags(&[&["daily", "db"]]), None), [a]);
    assert_eq!(ids(&tags(&[&["db"], &[]]), None), [a, c]);
    let paths = Selector { paths: vec![b"/home".to_vec(), b"/etc/".to_vec()], ..utc() };
    assert_eq!(ids(&paths, None), [a]);
}

#[test]
fn tags_are_changed_by_a_record_and_a_change_of_nothing_writes_none() {
    let world = World::new();
    let id = world.snapshot(&folder([]), "till", 1);
    let change = |change: Change| {
        let mut history = world.history();
        tags::change(&world.repo, &mut history, id, &change, &world.actor, &world.ambient)
    };
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let now = || -> Vec<String> {
        world.taken(id).snapshot.tags.iter().map(|tag| tag.as_str().to_owned()).collect()
    };
    change(Change { add: words(&["a", "b", "a"]), ..Change::default() }).unwrap().unwrap();
    assert_eq!(now(), ["a", "b"]);
    let records = world.history().records().len();
    let same = Change { add: words(&["b"]), remove: words(&["x"]), ..Change::default() };
    assert_eq!(change(same).unwrap(), None);
    assert_eq!(world.history().records().len(), records);
    change(Change { remove: words(&["a"]), add: words(&["c"]), set: None }).unwrap();
    assert_eq!(now(), ["b", "c"]);
    change(Change { set: Some(Vec::new()), ..Change::default() }).unwrap();
    assert!(now().is_empty());
    for bad in ["", "a\nb", &"x".repeat(5000)] {
        let error = change(Change { add: words(&[bad]), ..Change::default() }).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidSetting);
    }
}
