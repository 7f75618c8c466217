//! Searching and comparing.

use repo_format::tree::{Body, Time};

use super::world::{Node, Thing, World, file, folder, node, noise};
use crate::browse::diff::{self, Change};
use crate::browse::find::{self, Query, Type, find};
use crate::browse::{View, shown};
use crate::error::Kind;
use crate::repo::history::Taken;

fn search(world: &World, query: &Query) -> (Vec<(usize, String)>, find::Report) {
    let snapshots = world.history().snapshots();
    let mut found = Vec::new();
    let mut take = |one: find::Match<'_>| {
        let number = snapshots.iter().position(|taken| taken.id == one.taken.id).unwrap();
        found.push((number, shown(&one.visited.path)));
        Ok(())
    };
    let report = find(&world.indexed(), &snapshots, query, &mut take, &world.ambient).unwrap();
    (found, report)
}

fn pattern(text: &str) -> Query {
    Query { patterns: vec![text.to_owned()], ..Query::default() }
}

fn home() -> Node {
    folder([(
        "home",
        folder([
            ("ann", folder([("Report.PDF", file("1")), ("notes.txt", file("2"))])),
            ("bob", folder([("old", folder([("report.pdf", file("3"))])), ("x", file("4"))])),
        ]),
    )])
}

#[test]
fn patterns_match_names_or_whole_paths() {
    let world = World::new();
    world.snapshot(&home(), "till", 1);
    let paths = |query: &Query| -> Vec<String> {
        search(&world, query).0.into_iter().map(|(_, path)| path).collect()
    };
    assert_eq!(paths(&pattern("report.*")), ["home/bob/old/report.pdf"]);
    let any_case = Query { ignores_case: true, ..pattern("report.*") };
    assert_eq!(paths(&any_case), ["home/ann/Report.PDF", "home/bob/old/report.pdf"]);
    assert_eq!(paths(&pattern("/home/*/x")), ["home/bob/x"]);
    assert_eq!(paths(&pattern("home/*/report.pdf")), Vec::<String>::new());
    assert_eq!(paths(&pattern("home/**/report.pdf")), ["home/bob/old/report.pdf"]);
    assert_eq!(paths(&pattern("b?b")), ["home/bob"]);
    let folders = Query { types: vec![Type::Directory], ..Query::default() };
    assert_eq!(paths(&folders), ["home", "home/ann", "home/bob", "home/bob/old"]);
    let wrong = find(&world.indexed(), &[], &pattern("a[b"), &mut |_| Ok(()), &world.ambient);
    assert_eq!(wrong.unwrap_err().kind(), Kind::InvalidSetting);
}

#[test]
fn names_that_are_not_utf8_are_found() {
    let world = World::new();
    let names = [&b"caf\xe9.txt"[..], b"plain.txt"];
    let entries = names.iter().map(|name| (name.to_vec(), file("x"))).collect();
    world.snapshot(&node(Thing::Folder(entries)), "till", 1);
    let (found, _) = search(&world, &pattern("caf?.txt"));
    assert_eq!(found, [(0, "caf\\xe9.txt".to_owned())]);
}

#[test]
fn time_size_and_type_narrow_the_search() {
    let world = World::new();
    let root = folder([
        ("big", file(noise(1, 10_000)).at(100)),
        ("small", file("x").at(200)),
        ("dir", folder([]).at(300)),
    ]);
    world.snapshot(&root, "till", 1);
    let names = |query: Query| -> Vec<String> {
        search(&world, &query).0.into_iter().map(|(_, path)| path).collect()
    };
    let time = |seconds| Some(Time { seconds, nanos: 0 });
    assert_eq!(names(Query { newer: time(200), ..Query::default() }), ["dir", "small"]);
    assert_eq!(names(Query { older: time(200), ..Query::default() }), ["big"]);
    assert_eq!(names(Query { min_bytes: Some(10_000), ..Query::default() }), ["big"]);
    assert_eq!(names(Query { max_bytes: Some(9_999), ..Query::default() }), ["small"]);
}

#[test]
fn what_did_not_change_is_read_once_and_reported_for_every_snapshot() {
    let world = World::new();
    let mut root = home();
    let mut large = std::collections::BTreeMap::new();
    for n in 0..300 {
        large.insert(format!("f{n}").into_bytes(), file("z"));
    }
    root.put("large", node(Thing::Folder(large)));
    world.snapshot(&root, "till", 1);
    root.put("home/ann/new.txt", file("5"));
    world.snapshot(&root, "till", 2);
    root.remove("home/bob/old/report.pdf");
    world.snapshot(&root, "till", 3);
    let (found, report) = search(&world, &pattern("report.pdf"));
    let path = || "home/bob/old/report.pdf".to_owned();
    assert_eq!(found, [(0, path()), (1, path())]);
    assert_eq!(report.matches, 2);
    assert!(report.entries < 350, "the large directory is looked at once: {}", report.entries);
    assert!(report.directories_known >= 2);
}

#[test]
fn the_same_directory_at_another_path_is_searched_again_for_whole_paths() {
    let world = World::new();
    let same = || folder([("x", file("1"))]);
    world.snapshot(&folder([("a", same()), ("b", same())]), "till", 1);
    assert_eq!(search(&world, &pattern("b/x")).0, [(0, "b/x".to_owned())]);
}

#[test]
fn a_directory_that_cannot_be_read_is_a_finding_in_every_snapshot() {
    let world = World::new();
    let root = home();
    world.snapshot(&root, "till", 1);
    let taken = world.taken(world.snapshot(&root, "till", 2));
    let view = View::new(&world.indexed(), &taken);
    let bob = view.lookup(b"home/bob").unwrap().unwrap();
    let Body::Directory { tree, .. } = bob.body else { panic!("a directory") };
    world.damage(tree);
    let (found, report) = search(&world, &pattern("notes.txt"));
    assert_eq!(found.len(), 2);
    assert_eq!(report.findings.len(), 2);
    assert!(report.findings[0].what.contains("/home/bob"), "{}", report.findings[0]);
}

fn compare(world: &World, old: &Taken, new: &Taken) -> (Vec<(Change, String)>, diff::Report) {
    let mut found = Vec::new();
    let mut take = |one: diff::Difference<'_>| {
        assert_eq!(one.old.is_none(), one.change == Change::Added);
        assert_eq!(one.new.is_none(), one.change == Change::Removed);
        found.push((one.change, shown(one.path)));
        Ok(())
    };
    let (old, new) = (old.snapshot.root, new.snapshot.root);
    let report = diff::diff(&world.indexed(), old, new, &mut take, &world.ambient).unwrap();
    (found, report)
}

#[test]
fn every_kind_of_difference_is_told() {
    let world = World::new();
    let mut root = home();
    root.put("link", node(Thing::Link(b"a".to_vec())));
    root.put("same", file("same"));
    root.put("turns", file("file"));
    let old = world.taken(world.snapshot(&root, "till", 1));
    root.put("home/ann/notes.txt", file("longer than before"));
    root.put("home/bob/x", file("4").mode(0o600));
    root.remove("home/bob/old");
    root.put("new", folder([("n", file("123"))]));
    root.put("link", node(Thing::Link(b"b".to_vec())));
    root.put("turns", folder([("into", file("a folder"))]));
    let new = world.taken(world.snapshot(&root, "till", 2));
    let (found, report) = compare(&world, &old, &new);
    let expected = [
        (Change::Modified, "home/ann/notes.txt"),
        (Change::Removed, "home/bob/old"),
        (Change::Removed, "home/bob/old/report.pdf"),
        (Change::Metadata, "home/bob/x"),
        (Change::Modified, "link"),
        (Change::Added, "new"),
        (Change::Added, "new/n"),
        (Change::TypeChanged, "turns"),
        (Change::Added, "turns/into"),
    ];
    let expected: Vec<_> = expected.map(|(change, path)| (change, path.to_owned())).into();
    assert_eq!(found, expected);
    assert_eq!((report.added.files, report.added.directories, report.added.bytes), (2, 2, 11));
    assert_eq!((report.removed.files, report.removed.directories), (2, 1));
    assert_eq!((report.modified, report.metadata, report.type_changed), (2, 1, 1));
    assert_eq!((report.modified_old_bytes, report.modified_new_bytes), (1, 18));
    assert!(compare(&world, &new, &new).0.is_empty());
    let back = compare(&world, &new, &old).1;
    assert_eq!((back.added, back.removed), (report.removed, report.added));
}

#[test]
fn random_changes_of_a_large_directory_are_all_told() {
    let world = World::new();
    let name = |n: u32| format!("file-{n:05}");
    let mut root = folder([]);
    for n in 0..4000 {
        root.put(&name(n * 2), file(format!("{n}")));
    }
    let old = world.taken(world.snapshot(&root, "till", 1));
    let dice = noise(4, 600);
    let mut expected = std::collections::BTreeMap::new();
    for throw in dice.chunks(3) {
        let n = u32::from(u16::from_le_bytes([throw[0], throw[1]])) % 4000 * 2;
        if expected.contains_key(&name(n)) || expected.contains_key(&name(n + 1)) {
            continue;
        }
        match throw[2] % 3 {
            0 => {
                root.remove(&name(n));
                expected.insert(name(n), Change::Removed);
            }
            1 => {
                root.put(&name(n + 1), file("new"));
                expected.insert(name(n + 1), Change::Added);
            }
            _ => {
                root.put(&name(n), file("changed"));
                expected.insert(name(n), Change::Modified);
            }
        }
    }
    let new = world.taken(world.snapshot(&root, "till", 2));
    let (found, _) = compare(&world, &old, &new);
    let expected: Vec<_> = expected.into_iter().map(|(path, change)| (change, path)).collect();
    assert_eq!(found, expected);
    let (back, _) = compare(&world, &new, &old);
    assert_eq!(back.len(), expected.len());
}

#[test]
fn equal_parts_are_not_read() {
    let world = World::new();
    let mut root = home();
    let old = world.taken(world.snapshot(&root, "till", 1));
    root.put("home/bob/x", file("changed"));
    let new = world.taken(world.snapshot(&root, "till", 2));
    // A directory that both have may even be damaged: it is the same on both sides.
    let view = View::new(&world.indexed(), &new);
    let ann = view.lookup(b"home/ann").unwrap().unwrap();
    let Body::Directory { tree, .. } = ann.body else { panic!("a directory") };
    world.damage(tree);
    assert_eq!(compare(&world, &old, &new).0, [(Change::Modified, "home/bob/x".to_owned())]);
    let bob = view.lookup(b"home/bob").unwrap().unwrap();
    let Body::Directory { tree, .. } = bob.body else { panic!("a directory") };
    world.damage(tree);
    let (a, b) = (old.snapshot.root, new.snapshot.root);
    let error = diff::diff(&world.indexed(), a, b, &mut |_| Ok(()), &world.ambient).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains("/home/bob"), "{error}");
}
