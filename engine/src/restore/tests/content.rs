//! What comes out is what went in: bytes, holes, links, names and metadata.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::*;

fn mtime(path: &Path) -> (i64, i64) {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    (metadata.mtime(), metadata.mtime_nsec())
}

#[test]
fn a_tree_comes_back_under_its_full_path() {
    let world = World::new([
        ("empty", inline(b"")),
        ("inline", inline(b"few bytes")),
        ("blob", file(noise(1, 100_000)).mode(0o640)),
        ("private", folder([("deep", folder([("leaf", file("leaf"))]).mode(0o500))]).mode(0o700)),
        ("nothing", folder::<&str>([])),
        ("link", symlink("../nowhere")),
        ("pipe", Item::new(Node::Other(Body::Fifo))),
    ]);
    let report = world.restore();
    assert_eq!((report.files, report.directories), (6, 4));
    assert_eq!((report.bytes_written, report.bytes_right), (100_000 + 9 + 4, 0));
    assert_eq!(world.read("src/empty"), b"");
    assert_eq!(world.read("src/inline"), b"few bytes");
    assert_eq!(world.read("src/blob"), noise(1, 100_000));
    assert_eq!(world.read("src/private/deep/leaf"), b"leaf");
    assert_eq!(std::fs::read_link(world.path("src/link")).unwrap(), Path::new("../nowhere"));
    let mode = |name: &str| std::fs::metadata(world.path(name)).unwrap().permissions().mode();
    assert_eq!(mode("src/blob") & 0o7777, 0o640);
    assert_eq!(mode("src/private") & 0o7777, 0o700);
    assert_eq!(mode("src/private/deep") & 0o7777, 0o500);
    assert_eq!(mode("src/pipe") & 0o7777, 0o644);
    for name in ["src", "src/blob", "src/link", "src/private", "src/private/deep", "src/nothing"] {
        assert_eq!(mtime(&world.path(name)), (1_500_000_000, 123_456_789), "{name}");
    }
    assert_eq!(world.names(""), ["src"]);
}

#[test]
fn names_that_are_not_utf8_come_back() {
    let names: [&[u8]; 4] = [b"\xff\xfe", b"new\nline", b"\x1b[31m", &[b'x'; 255]];
    let world = World::new(names.map(|name| (name, file(name))));
    world.restore();
    for name in names {
        assert_eq!(world.read([b"src/", name].concat()), name);
    }
}

#[test]
fn a_large_sparse_file_of_many_extents_is_written_in_parts() {
    let mut list = Vec::new();
    let mut expected = Vec::new();
    for number in 0..90 {
        let bytes = noise(number, 200_000);
        expected.extend_from_slice(&bytes);
        list.push(Part::Bytes(bytes));
        if number % 10 == 0 {
            expected.extend_from_slice(&vec![0; 1 << 20]);
            list.push(Part::Hole(1 << 20));
        }
    }
    let world = World::new([("big", parts(list)), ("next", file("next"))]);
    let report = world.run(&Options { verify: true, ..world.options() });
    assert_sound(&report);
    assert!(world.read("src/big") == expected);
    assert_eq!(report.bytes_written, 90 * 200_000 + 4);
    assert_eq!((report.files_verified, report.bytes_verified), (2, expected.len() as u64 + 4));
    let blocks = std::fs::metadata(world.path("src/big")).unwrap().blocks() * 512;
    assert!(blocks < 90 * 200_000 + (2 << 20), "{blocks}");
    assert_eq!(mtime(&world.path("src/big")), (1_500_000_000, 123_456_789));
}

#[test]
fn a_file_of_one_hole_has_no_blocks() {
    let world = World::new([("hole", parts(vec![Part::Hole(64 << 20)]))]);
    world.restore();
    let metadata = std::fs::metadata(world.path("src/hole")).unwrap();
    assert_eq!((metadata.len(), metadata.blocks()), (64 << 20, 0));
}

#[test]
fn slices_of_a_bundle_come_back_and_the_bundle_is_read_once() {
    let bundle = noise(5, 250_000);
    let items = (0..2500).map(|number| {
        let item = Item::new(Node::Slice(number * 100, 100));
        (format!("{number:05}"), item)
    });
    let root = folder([("src", folder(items))]);
    let world = World::with(&root, &["/src"], &bundle);
    let report = world.restore();
    assert_eq!((report.files, report.bytes_written), (2500, 250_000));
    for number in [0, 1, 999, 1000, 2499] {
        let name = format!("src/{number:05}");
        assert_eq!(world.read(name), bundle[number * 100..][..100]);
    }
}

#[test]
fn names_of_one_file_are_one_file_again() {
    let item = || file(noise(3, 50_000)).link(77);
    let world = World::new([
        ("a", item()),
        ("b", item()),
        ("z", folder([("c", item()), ("d", item())]).mode(0o000)),
        ("own", file(noise(3, 50_000)).link(78)),
        ("s", symlink("x").link(79)),
        ("t", symlink("x").link(79)),
    ]);
    let report = world.run(&Options { verify: true, ..world.options() });
    assert_sound(&report);
    assert_eq!((report.files, report.bytes_written), (7, 100_000));
    std::fs::set_permissions(world.path("src/z"), PermissionsExt::from_mode(0o700)).unwrap();
    let inode = |name: &str| std::fs::symlink_metadata(world.path(name)).unwrap().ino();
    let links = |name: &str| std::fs::symlink_metadata(world.path(name)).unwrap().nlink();
    assert!(["src/b", "src/z/c", "src/z/d"].iter().all(|name| inode(name) == inode("src/a")));
    assert_eq!((links("src/a"), links("src/own"), links("src/t")), (4, 1, 2));
    assert_eq!(world.read("src/z/d"), noise(3, 50_000));
}

#[test]
fn ten_thousand_names_of_a_large_file_do_not_lock_up() {
    let large = (0..50).map(|seed| Part::Bytes(noise(seed, 400_000))).collect();
    let mut items = vec![("00000".to_owned(), parts(large).link(5))];
    let again = (1..10_000).map(|number| (format!("{number:05}"), Item::new(Node::Again).link(5)));
    items.extend(again);
    let world = World::new(items);
    let report = world.restore();
    assert_eq!((report.files, report.bytes_written), (10_000, 50 * 400_000));
    assert_eq!(std::fs::metadata(world.path("src/09999")).unwrap().nlink(), 10_000);
}

#[test]
fn names_whose_content_differs_are_two_files() {
    let world = World::new([("a", file("before").link(1)), ("b", file("after!").link(1))]);
    world.restore();
    assert_eq!((world.read("src/a"), world.read("src/b")), (b"before".into(), b"after!".into()));
}

#[test]
fn attributes_come_back() {
    let world = World::new([
        ("a", file("x").attribute("user.note", b"kept")),
        ("f", folder([("b", inline(b""))]).attribute("user.note", b"folder")),
    ]);
    let probe = world.place.path().join("probe");
    std::fs::write(&probe, "").unwrap();
    if rustix::fs::setxattr(&probe, "user.x", b"", XattrFlags::empty()) == Err(Errno::NOTSUP) {
        return;
    }
    world.restore();
    let mut value = [0; 16];
    for (name, expected) in [("src/a", &b"kept"[..]), ("src/f", b"folder")] {
        let length = rustix::fs::getxattr(world.path(name), "user.note", &mut value).unwrap();
        assert_eq!(&value[..length], expected);
    }
}

#[test]
fn a_tree_as_deep_as_allowed_comes_back_with_few_handles() {
    let mut item = folder([("leaf", file("deep"))]);
    for _ in 0..1500 {
        item = folder([("d", item), ("e", file("beside"))]);
    }
    let world = World::new([("top", item)]);
    let report = world.run(&Options { verify: true, ..world.options() });
    assert_sound(&report);
    assert_eq!((report.files, report.files_verified), (1501, 1501));
    // Taken apart by what can: a path of this depth has no name.
    let root = Root::open(&world.target()).unwrap().unwrap();
    crate::target::files::remove_tree(root.directory(), b"src").unwrap();
}

#[test]
fn streams_come_back_as_files() {
    let root = folder([("@streams", folder([("shop.pgdump", file("dump"))]))]);
    let world = World::with(&root, &["shop.pgdump"], &[]);
    world.restore();
    assert_eq!(world.read("@streams/shop.pgdump"), b"dump");
}

#[test]
fn little_memory_and_one_thread_are_enough() {
    let list = (0..40).map(|seed| Part::Bytes(noise(seed, 1 << 20))).collect();
    let world = World::new([("big", parts(list)), ("small", file("x"))]);
    let options = Options { memory: 1, threads: 8, verify: true, ..world.options() };
    assert_sound(&world.run(&options));
}

#[test]
fn progress_ends_at_the_totals() {
    let item = || file(noise(3, 50_000)).link(77);
    let big = (0..20).map(|seed| Part::Bytes(noise(seed, 1 << 20))).collect();
    let world = World::new([
        ("a", item()),
        ("b", item()),
        ("big", parts(big)),
        ("h", parts(vec![Part::Hole(1000)])),
        ("i", inline(b"x")),
        ("s", symlink("x")),
    ]);
    world.restore();
    let progress = &world.ambient.progress;
    let get = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    assert_eq!(get(&progress.files_done), get(&progress.files_total));
    assert_eq!(get(&progress.bytes_done), get(&progress.bytes_total));
}

#[test]
fn an_interrupted_restore_says_so() {
    let world = World::new([("a", file("x"))]);
    world.ambient.cancel.cancel();
    let error = restore(&world.repo, &world.snapshot, &world.options(), &world.ambient);
    assert_eq!(error.unwrap_err().kind(), Kind::Interrupted);
}

#[test]
fn owners_can_be_left_to_whoever_restores() {
    let mut item = file("x");
    item.metadata.uid = 4_000_000;
    let world = World::new([("a", item)]);
    let owners = crate::target::files::Owners::Leave;
    let metadata = ApplyOptions { owners, attributes: false };
    assert_sound(&world.run(&Options { metadata, ..world.options() }));
    let own = rustix::process::getuid().as_raw();
    assert_eq!(std::fs::metadata(world.path("src/a")).unwrap().uid(), own);
}
