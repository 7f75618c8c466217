//! Proves that the harness itself sees what it is there to see: each kind of difference between two
//! trees is noticed, so that silence means equality.

use std::path::Path;

use strongroom_tests::compare::differences;
use strongroom_tests::walker::{Nature, walk};
use strongroom_tests::{Tree, assert_same_tree, everything, is_root};

/// A small tree with one of each, always the same.
fn build(root: &Path) -> Tree {
    std::fs::create_dir_all(root).unwrap();
    let mut tree = Tree::new(root);
    tree.file("file", b"content").mode("file", 0o644).time("file", 10, 20);
    tree.directory("folder").mode("folder", 0o755).time("folder", 30, 40);
    tree.symlink("link", "target").time("link", 50, 60);
    tree.file("first", b"linked").hard_link("second", "first").time("first", 1, 1);
    tree.sparse("sparse", 1 << 20, &[(1 << 19, b"island")]).time("sparse", 2, 2);
    tree.file("attributed", b"").attribute("attributed", "user.a", b"1").time("attributed", 3, 3);
    tree.fifo("fifo").time("fifo", 4, 4).time("", 5, 5);
    tree
}

#[test]
fn two_trees_made_alike_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    build(&one).finish();
    build(&two).finish();
    assert_same_tree(&one, &two);
}

#[test]
fn every_kind_of_difference_is_noticed() {
    type Change = fn(&mut Tree);
    let changes: [(&str, Change); 14] = [
        ("file: content is", |tree| {
            tree.file("file", b"Content").time("file", 10, 20);
        }),
        ("file: size is", |tree| {
            tree.file("file", b"content\0").time("file", 10, 20);
        }),
        ("file: mode is", |tree| {
            tree.mode("file", 0o664);
        }),
        ("file: mtime is 10.000000021 instead of 10.000000020", |tree| {
            tree.time("file", 10, 21);
        }),
        ("folder: mtime is", |tree| {
            tree.time("folder", 31, 40);
        }),
        ("link: mtime is", |tree| {
            tree.time("link", 50, 61);
        }),
        ("link: target is", |tree| {
            std::fs::remove_file(tree.path("link")).unwrap();
            tree.symlink("link", "Target").time("link", 50, 60);
        }),
        ("second: link of is none instead of first", |tree| {
            std::fs::remove_file(tree.path("second")).unwrap();
            tree.file("second", b"linked").time("second", 1, 1);
        }),
        ("sparse: data is", |tree| {
            let zeros = [0; 4096];
            tree.sparse("sparse", 1 << 20, &[(0, &zeros), (1 << 19, b"island")]);
            tree.time("sparse", 2, 2);
        }),
        ("attributed: attribute user.a is 2 instead of 1", |tree| {
            tree.attribute("attributed", "user.a", b"2");
        }),
        ("attributed: attribute user.b is \"\" instead of absent", |tree| {
            tree.attribute("attributed", "user.b", b"");
        }),
        ("fifo: type is", |tree| {
            std::fs::remove_file(tree.path("fifo")).unwrap();
            tree.file("fifo", b"").time("fifo", 4, 4);
        }),
        ("folder: is missing", |tree| {
            std::fs::remove_dir(tree.path("folder")).unwrap();
        }),
        ("folder/new: was not there before", |tree| {
            tree.file("folder/new", b"").time("folder", 30, 40);
        }),
    ];
    let folder = tempfile::tempdir().unwrap();
    build(&folder.path().join("plain")).finish();
    let plain = walk(&folder.path().join("plain"));
    for (number, (expected, change)) in changes.into_iter().enumerate() {
        let root = folder.path().join(number.to_string());
        let mut tree = build(&root);
        tree.finish();
        change(&mut tree);
        tree.time("", 5, 5).finish();
        let found = differences(&plain, &walk(&root));
        let is_seen = found.iter().any(|line| line.starts_with(expected));
        assert!(is_seen, "expected {expected:?}, found {found:?}");
    }
}

#[test]
fn an_owner_and_a_device_are_seen() {
    if !is_root() {
        eprintln!("passed over: only root can make these");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(folder.path());
    tree.file("file", b"").owner("file", 11, 22).symlink("link", "x").owner("link", 33, 44);
    tree.device("null", rustix::fs::FileType::CharacterDevice, 1, 3);
    let listing = walk(folder.path());
    assert_eq!((listing[&b"file"[..]].uid, listing[&b"file"[..]].gid), (11, 22));
    assert_eq!((listing[&b"link"[..]].uid, listing[&b"link"[..]].gid), (33, 44));
    assert_eq!(listing[&b"null"[..]].nature, Nature::CharacterDevice(rustix::fs::makedev(1, 3)));
}

#[test]
fn the_tree_of_everything_can_be_made_and_is_seen_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(folder.path());
    everything::build(&mut tree);
    let listing = walk(folder.path());
    assert!(listing.len() > 5000);
    for name in everything::odd_names() {
        assert!(listing.contains_key(&[b"names/", &name[..]].concat()), "{name:?}");
    }
    let Nature::File { data, .. } = &listing[&b"sparse/only-hole"[..]].nature else { panic!() };
    assert!(data.is_empty(), "the file system makes no holes: {data:?}");
    let linked = listing.values().filter(|entry| entry.links.is_some()).count();
    assert_eq!(linked, 9);
    assert_same_tree(folder.path(), folder.path());
}
