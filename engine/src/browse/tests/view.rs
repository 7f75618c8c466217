//! Lookup, pages and ranges, against the truth.

use std::collections::BTreeMap;

use repo_format::content::Content;
use repo_format::tree::{self, Body, Entry};

use super::world::{Node, Part, Thing, World, file, flat, folder, node, noise};
use crate::browse::view::{Caches, View, name_after};
use crate::browse::{Walk, shown};
use crate::error::Kind;
use crate::repo::blobs::BlobReader;

fn view_of(world: &World, root: &Node) -> View {
    let id = world.snapshot(root, "till", 1);
    View::new(&world.indexed(), &world.taken(id))
}

fn tree_of(entry: &Entry) -> repo_format::BlobId {
    let Body::Directory { tree, .. } = entry.body else { panic!("not a directory") };
    tree
}

fn many(count: usize) -> Node {
    let entries = (0..count).map(|n| (format!("file-{n:05}").into_bytes(), file(format!("{n}"))));
    node(Thing::Folder(entries.collect()))
}

#[test]
fn paths_are_looked_up_component_by_component_and_links_are_not_followed() {
    let world = World::new();
    let root = folder([
        ("home", folder([("ann", folder([("a.txt", file("hello"))])), ("empty", folder([]))])),
        ("link", node(Thing::Link(b"home".to_vec()))),
    ]);
    let view = view_of(&world, &root);
    let name = |path: &[u8]| view.lookup(path).unwrap().map(|entry| entry.name.0);
    assert_eq!(name(b"/home/ann/a.txt").unwrap(), b"a.txt");
    assert_eq!(name(b"home//ann/./").unwrap(), b"ann");
    assert_eq!(name(b"").unwrap(), b"");
    assert_eq!(name(b"/").unwrap(), b"");
    for absent in [
        &b"/home/bob"[..],
        b"/home/ann/a.txt/x",
        b"/link/ann",
        b"/home/../home",
        b"/home/empty/x",
        b"zzz",
    ] {
        assert_eq!(name(absent), None, "{}", shown(absent));
    }
    assert!(matches!(view.lookup(b"link").unwrap().unwrap().body, Body::Symlink { .. }));
}

#[test]
fn a_directory_of_thousands_is_paged_from_anywhere() {
    let world = World::new();
    let view = view_of(&world, &folder([("d", many(5000))]));
    let tree = tree_of(&view.lookup(b"d").unwrap().unwrap());
    let names =
        |page: &[Entry]| -> Vec<String> { page.iter().map(|entry| shown(&entry.name)).collect() };
    let page = view.list(tree, b"file-02500", 100).unwrap();
    let expected: Vec<String> = (2500..2600).map(|n| format!("file-{n:05}")).collect();
    assert_eq!(names(&page), expected);
    // Between two names, before the first, after the last.
    assert_eq!(names(&view.list(tree, b"file-02500a", 1).unwrap()), ["file-02501"]);
    assert_eq!(names(&view.list(tree, b"a", 2).unwrap()), ["file-00000", "file-00001"]);
    assert!(view.list(tree, b"g", 10).unwrap().is_empty());
    assert!(view.list(tree, b"", 0).unwrap().is_empty());
    let (mut all, mut from) = (Vec::new(), Vec::new());
    loop {
        let page = view.list(tree, &from, 333).unwrap();
        let Some(last) = page.last() else { break };
        from = name_after(&last.name);
        all.extend(names(&page));
    }
    assert_eq!(all, (0..5000).map(|n| format!("file-{n:05}")).collect::<Vec<_>>());
    for n in (0..5000).step_by(97) {
        let entry = view.lookup(format!("d/file-{n:05}").as_bytes()).unwrap().unwrap();
        assert_eq!(view.read_at(&entry, 0, 100).unwrap(), n.to_string().as_bytes());
    }
}

#[test]
fn one_lookup_among_thousands_reads_one_node_a_level() {
    let world = World::new();
    let id = world.snapshot(&many(8000), "till", 1);
    let view = View::new(&world.indexed(), &world.taken(id));
    let root = view.node(world.taken(id).snapshot.root, None).unwrap();
    let tree::Node::Inner { children, .. } = &*root else { panic!("more than one leaf") };
    let name = b"file-04321";
    let holder = children.partition_point(|child| child.first_name.0.as_slice() <= &name[..]) - 1;
    for (at, child) in children.iter().enumerate() {
        if at != holder {
            world.damage(child.id);
        }
    }
    // Nothing that is damaged is needed.
    let view = View::new(&world.indexed(), &world.taken(id));
    let entry = view.lookup(name).unwrap().unwrap();
    assert_eq!(view.list(world.taken(id).snapshot.root, name, 1).unwrap(), [entry]);
    assert!(view.list(world.taken(id).snapshot.root, b"", usize::MAX).is_err());
}

#[test]
fn ranges_of_files_are_what_was_saved() {
    let world = World::new();
    let long = noise(1, 3_000_000);
    let parts: Vec<Part> = (0..300)
        .flat_map(|n| [Part::Data(noise(n, 700)), Part::Hole(1 + u64::from(n) * 37)])
        .collect();
    let shared = noise(9, 5000);
    let root = folder([
        ("long", file(long.clone())),
        ("short", file("tiny")),
        ("few", file(noise(3, 20_000))),
        ("none", file("")),
        ("slice", node(Thing::Slice(shared.clone(), 1234, 2000))),
        ("sparse", node(Thing::Sparse(parts.clone()))),
        ("hole", node(Thing::Sparse(vec![Part::Hole(100_000)]))),
    ]);
    let truth: BTreeMap<&str, Vec<u8>> = [
        ("long", long),
        ("short", b"tiny".to_vec()),
        ("few", noise(3, 20_000)),
        ("none", Vec::new()),
        ("slice", shared[1234..3234].to_vec()),
        ("sparse", flat(&parts)),
        ("hole", vec![0; 100_000]),
    ]
    .into();
    let view = view_of(&world, &root);
    let dice = noise(77, 4000);
    for (name, bytes) in &truth {
        let entry = view.lookup(name.as_bytes()).unwrap().unwrap();
        if matches!(*name, "long" | "sparse") {
            let Body::File { content, .. } = &entry.body else { panic!("not a file") };
            assert!(matches!(content, Content::List { .. }), "{name} has more than 64 extents");
        }
        assert_eq!(view.read_at(&entry, 0, bytes.len() + 1).unwrap(), *bytes, "{name}");
        assert!(view.read_at(&entry, bytes.len() as u64, 10).unwrap().is_empty());
        assert!(view.read_at(&entry, u64::MAX, usize::MAX).unwrap().is_empty());
        for throw in dice.chunks(8) {
            let number =
                |at: usize| u32::from_le_bytes(throw[at..at + 4].try_into().unwrap()) as usize;
            let offset = number(0) % (bytes.len() + 10);
            let length = number(4) % 30_000;
            let start = offset.min(bytes.len());
            let expected = &bytes[start..(start + length).min(bytes.len())];
            assert_eq!(view.read_at(&entry, offset as u64, length).unwrap(), expected, "{name}");
        }
    }
}

#[test]
fn many_readers_share_caches_that_keep_to_their_budget() {
    let world = World::new();
    let long = noise(5, 2_000_000);
    let id = world.snapshot(&folder([("long", file(long.clone()))]), "till", 1);
    let caches = std::sync::Arc::new(Caches::new(200_000));
    let view = View::with_caches(&world.indexed(), &world.taken(id), caches);
    let entry = view.lookup(b"long").unwrap().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (view, entry, long) = (&view, &entry, &long);
            scope.spawn(move || {
                for step in 0..60 {
                    let offset = (step * 33_331 + thread * 500_000) % long.len();
                    let end = (offset + 10_000).min(long.len());
                    let found = view.read_at(entry, offset as u64, 10_000).unwrap();
                    assert_eq!(found, &long[offset..end]);
                    assert!(view.caches().bytes() <= 200_000);
                }
            });
        }
    });
}

#[test]
fn a_damaged_blob_is_an_error_that_names_it() {
    let world = World::new();
    let bytes = noise(8, 40_000);
    let root = folder([("f", file(bytes.clone())), ("d", folder([("x", file("y"))]))]);
    let view = view_of(&world, &root);
    let entry = view.lookup(b"f").unwrap().unwrap();
    let Body::File { content: Content::Extents { extents, .. }, .. } = &entry.body else {
        panic!("a few extents")
    };
    let bad = extents[5].blob().unwrap();
    world.damage(bad);
    assert_eq!(view.read_at(&entry, 0, 5 * 4096).unwrap(), &bytes[..5 * 4096]);
    let error = view.read_at(&entry, 5 * 4096 - 1, 2).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains(&bad.short()), "{error}");
    assert_eq!(view.read_at(&entry, 6 * 4096, 10).unwrap(), &bytes[6 * 4096..6 * 4096 + 10]);

    let tree = tree_of(&view.lookup(b"d").unwrap().unwrap());
    world.damage(tree);
    let error = view.lookup(b"d/x").unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains(&tree.short()), "{error}");
}

#[test]
fn what_is_not_a_file_is_not_read() {
    let world = World::new();
    let view = view_of(&world, &folder([("d", folder([]))]));
    let entry = view.lookup(b"d").unwrap().unwrap();
    assert_eq!(view.read_at(&entry, 0, 1).unwrap_err().kind(), Kind::InvalidSetting);
}

#[test]
fn a_walk_goes_depth_first_in_order_and_no_deeper_than_told() {
    let world = World::new();
    // Deeper than the directories that stay in memory.
    let mut deep = folder([("z", file("end"))]);
    for _ in 0..40 {
        deep = folder([("a", file("1")), ("d", deep), ("e", file("2"))]);
    }
    let root = folder([("deep", deep), ("b", folder([("c", file("x"))]))]);
    let id = world.snapshot(&root, "till", 1);
    let (repo, root) = (world.indexed(), world.taken(id).snapshot.root);
    let mut reader = BlobReader::new(&repo).unwrap();
    let mut paths = |mut walk: Walk| {
        let mut paths = Vec::new();
        while let Some(visited) = walk.next(&mut reader).unwrap() {
            assert_eq!(visited.path.split(|&b| b == b'/').count(), visited.depth);
            paths.push(shown(&visited.path));
        }
        paths
    };
    let all = paths(Walk::new(root));
    assert_eq!(all[..4], ["b", "b/c", "deep", "deep/a"]);
    assert_eq!(all.len(), 4 + 40 * 3);
    assert_eq!(all.last().unwrap(), "deep/e");
    let mut sorted = all.clone();
    sorted.sort_by(|a, b| a.split('/').cmp(b.split('/')));
    assert_eq!(all, sorted);
    assert_eq!(paths(Walk::below(root, b"", 1)), ["b", "deep"]);
    assert_eq!(paths(Walk::below(root, b"", 2)).len(), 6);
}

#[test]
fn a_walk_goes_on_behind_a_directory_that_cannot_be_read() {
    let world = World::new();
    let root = folder([("a", folder([("x", file("1"))])), ("b", file("2"))]);
    let id = world.snapshot(&root, "till", 1);
    let taken = world.taken(id);
    let view = View::new(&world.indexed(), &taken);
    world.damage(tree_of(&view.lookup(b"a").unwrap().unwrap()));
    let repo = world.indexed();
    let mut reader = BlobReader::new(&repo).unwrap();
    let mut walk = Walk::below(taken.snapshot.root, b"/some/where/", usize::MAX);
    assert_eq!(walk.next(&mut reader).unwrap().unwrap().path, b"some/where/a");
    let error = walk.next(&mut reader).unwrap_err();
    assert!(error.to_string().contains("/some/where/a"), "{error}");
    assert_eq!(walk.next(&mut reader).unwrap().unwrap().path, b"some/where/b");
    assert!(walk.next(&mut reader).unwrap().is_none());
}
