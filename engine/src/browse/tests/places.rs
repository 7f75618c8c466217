//! Places of entries, holes, reading ahead, names of files, and the catalog, against the truth.

use std::collections::BTreeMap;
use std::sync::Arc;

use repo_format::tree::{Body, LinkGroup};

use super::world::{Node, Part, Thing, World, file, folder, node, noise};
use crate::browse::ahead::Ahead;
use crate::browse::catalog::Catalog;
use crate::browse::range::Wanted;
use crate::browse::{Caches, Selector, View, proof};
use crate::error::Kind;

fn view_of(world: &World, root: &Node) -> View {
    let id = world.snapshot(root, "till", 1);
    View::new(&world.indexed(), &world.taken(id))
}

fn many(count: usize) -> Node {
    let entries = (0..count).map(|n| (format!("file-{n:05}").into_bytes(), file(format!("{n}"))));
    node(Thing::Folder(entries.collect::<BTreeMap<_, _>>()))
}

fn root_of(view: &View) -> repo_format::BlobId {
    let Body::Directory { tree, .. } = view.root().body else { panic!("not a directory") };
    tree
}

#[test]
fn every_entry_is_found_by_its_place_and_its_place_by_its_name() {
    let world = World::new();
    for count in [0_u64, 1, 2, 3000] {
        let view = view_of(&world, &many(usize::try_from(count).unwrap()));
        let tree = root_of(&view);
        for place in (0..count).step_by(7).chain(count.checked_sub(1)) {
            let name = format!("file-{place:05}").into_bytes();
            let found = view.with_entry(tree, place, |entry| entry.name.0.clone()).unwrap();
            assert_eq!(found, name);
            let found = view.with_name(tree, &name, |place, _| place).unwrap();
            assert_eq!(found, Some(place));
        }
        let error = view.with_entry(tree, count, |_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        for absent in [&b""[..], b"a", b"file-00000x", b"z"] {
            assert_eq!(view.with_name(tree, absent, |place, _| place).unwrap(), None);
        }
        for from in [0, 1, count / 2, count.saturating_sub(1), count, count + 9] {
            let mut seen = Vec::new();
            let all = view.visit(tree, from, |place, entry| {
                assert_eq!(entry.name.0, format!("file-{place:05}").into_bytes());
                seen.push(place);
                seen.len() < 1000
            });
            all.unwrap();
            let expected: Vec<u64> = (from..count).take(1000).collect();
            assert_eq!(seen, expected, "{count} entries from {from}");
        }
    }
}

#[test]
fn holes_are_found_where_they_are() {
    let world = World::new();
    let data = |length| Part::Data(noise(9, length));
    let parts = vec![data(8192), Part::Hole(1 << 31), data(4096), Part::Hole(4096)];
    let long = noise(4, 400 * 4096);
    let root = folder([
        ("holey", node(Thing::Holey(parts))),
        ("long", file(long)),
        ("short", file("x")),
        ("only", node(Thing::Holey(vec![Part::Hole(1 << 40)]))),
    ]);
    let view = view_of(&world, &root);
    let seek = |name: &str, at, wanted| {
        let entry = view.lookup(name.as_bytes()).unwrap().unwrap();
        view.seek(&entry, at, wanted).unwrap()
    };
    let stored = |name: &str| {
        let entry = view.lookup(name.as_bytes()).unwrap().unwrap();
        (view.bytes_outside_holes(&entry).unwrap(), view.bytes_outside_holes(&entry).unwrap())
    };
    let island = 8192 + (1 << 31);
    let (d, h) = (Wanted::Data, Wanted::Hole);
    assert_eq!(seek("holey", 0, d), Some(0));
    assert_eq!(seek("holey", 100, h), Some(8192));
    assert_eq!(seek("holey", 8192, d), Some(island));
    assert_eq!(seek("holey", 9000, h), Some(9000));
    assert_eq!(seek("holey", island + 5, d), Some(island + 5));
    assert_eq!(seek("holey", island + 5, h), Some(island + 4096));
    assert_eq!(seek("holey", island + 4096, d), None);
    assert_eq!(seek("long", 5, d), Some(5));
    assert_eq!(seek("long", 5, h), Some(400 * 4096));
    assert_eq!(seek("short", 0, h), Some(1));
    assert_eq!(seek("only", 0, d), None);
    assert_eq!(stored("holey"), (8192 + 4096, 8192 + 4096));
    assert_eq!(stored("long"), (400 * 4096, 400 * 4096));
    assert_eq!(stored("short"), (1, 1));
    assert_eq!(stored("only"), (0, 0));
}

#[test]
fn what_was_read_ahead_is_not_asked_for_again_and_damage_is_left_to_the_reader() {
    let world = World::new();
    let bytes = noise(6, 100 * 4096);
    let view = view_of(&world, &folder([("f", file(bytes.clone()))]));
    let entry = view.lookup(b"f").unwrap().unwrap();
    let ids = view.blobs_between(&entry, 0, u64::MAX).unwrap();
    assert_eq!(ids.len(), 100);
    world.damage(ids[3]);
    let ahead = Ahead::start(2).unwrap();
    ahead.fetch(&view, &ids);
    // The reader waits for what is on its way and takes the rest itself.
    assert_eq!(view.read_at(&entry, 4 * 4096, 96 * 4096).unwrap(), bytes[4 * 4096..]);
    assert_eq!(view.read_at(&entry, 0, 3 * 4096).unwrap(), bytes[..3 * 4096]);
    let error = view.read_at(&entry, 3 * 4096, 1).unwrap_err();
    assert!(error.to_string().contains(&ids[3].short()), "{error}");
}

#[test]
fn a_digest_is_that_of_the_whole_file() {
    let world = World::new();
    let view = view_of(&world, &folder([("f", file("abc")), ("e", file("")), ("d", folder([]))]));
    let digest = |name: &[u8]| proof::sha256(&view, &view.lookup(name).unwrap().unwrap());
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(digest(b"f").unwrap(), abc);
    let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(digest(b"e").unwrap(), nothing);
    assert_eq!(digest(b"d").unwrap_err().kind(), Kind::InvalidSetting);
}

#[test]
fn the_catalog_counts_names_and_follows_the_index() {
    let world = World::new();
    let root = folder([
        ("a", file("1").linked(5)),
        ("d", folder([("b", file("1").linked(5)), ("c", file("1").linked(5))])),
        ("e", file("2").linked(6)),
    ]);
    world.snapshot(&root, "till", 1);
    world.snapshot(&root, "desk", 2);
    let selector = Selector { hosts: vec!["till".into()], ..Selector::default() };
    let caches = Arc::new(Caches::new(1 << 20));
    let (history, indexed) = (world.history(), world.indexed());
    let catalog = Catalog::new(&indexed, &history, selector, None, caches, &world.ambient).unwrap();
    let known = catalog.known();
    assert_eq!(known.list.len(), 1);
    let seen = &known.list[0];
    let group = |inode| LinkGroup { device: 1, inode };
    assert_eq!((seen.names_of(group(5)), seen.names_of(group(6))), (3, 1));
    // Segments came since: the index is read again, and not at every call.
    world.snapshot(&folder([("new", file(noise(1, 9000)))]), "till", 3);
    assert!(catalog.follow_index());
    assert!(!catalog.follow_index());
}
