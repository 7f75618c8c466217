//! Proves that a mount shows every snapshot by time, host, tag, day and id, and every version of a
//! file; that new snapshots appear; and what the repository says of a file in its attributes.

use std::collections::BTreeSet;
use std::path::Path;

use rustix::fs::{XattrFlags, getxattr, lsetxattr};
use rustix::io::Errno;
use rustix::process::Signal;
use strongroom_tests::mount::shell;
use strongroom_tests::{Mount, Tree, World, assert_same_tree};

use crate::world;

/// Names in a folder of the mount.
fn names(mount: &Mount, folder: &str) -> BTreeSet<String> {
    let listed = std::fs::read_dir(mount.path(folder)).unwrap();
    listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Backs the source up at a time, and gives the id.
fn backup_at(world: &World, time: &str, more: &[&str]) -> String {
    let mut arguments = vec!["backup", "--time", time];
    arguments.extend_from_slice(more);
    let source = world.source();
    arguments.push(source.to_str().unwrap());
    world.json(arguments).succeeds().field("snapshot_id")
}

/// Attribute of a file; none where it has none of that name.
fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 4096];
    match getxattr(path, name, &mut buffer[..]) {
        Ok(length) => Some(buffer[..length].to_vec()),
        Err(Errno::NODATA) => None,
        Err(error) => panic!("{name} of {}: {error}", path.display()),
    }
}

/// Three snapshots: two hosts, odd tags, two versions of one file and one that goes and comes.
fn three_days(world: &World) -> [String; 3] {
    world.init();
    let mut tree = Tree::new(world.source());
    tree.directory("etc").file("etc/motd", b"first").file("etc/same", b"same");
    let one = backup_at(world, "2026-03-04T10:00:00Z", &["--host", "a", "--tag", "x/y"]);
    tree.file("etc/motd", b"second");
    let two = backup_at(world, "2026-03-04T22:30:15Z", &["--host", "b/..", "--tag", ".."]);
    tree.file("etc/motd", b"first").file("etc/new", b"new");
    let three = backup_at(world, "2026-04-01T00:00:00Z", &["--host", "a"]);
    [one, two, three]
}

#[test]
fn snapshots_are_found_by_time_host_tag_day_and_id() {
    let world = world();
    let ids = three_days(&world);
    let mount = Mount::new(&world, &[]);
    let times = ["2026-03-04T10:00:00", "2026-03-04T22:30:15", "2026-04-01T00:00:00"];
    let top = ["by-day", "by-host", "by-tag", "ids", "latest", "snapshots", "versions"];
    assert_eq!(names(&mount, ""), set(&top));
    assert_eq!(names(&mount, "snapshots"), set(&times));
    assert_eq!(names(&mount, "by-host"), set(&["a", "b%2F.."]));
    assert_eq!(names(&mount, "by-host/a"), set(&[times[0], times[2], "latest"]));
    assert_eq!(names(&mount, "by-tag"), set(&["x%2Fy", "%2E%2E"]));
    assert_eq!(names(&mount, "by-tag/%2E%2E"), set(&[times[1], "latest"]));
    assert_eq!(names(&mount, "by-day"), set(&["2026"]));
    assert_eq!(names(&mount, "by-day/2026"), set(&["03", "04"]));
    assert_eq!(names(&mount, "by-day/2026/03"), set(&["04"]));
    assert_eq!(names(&mount, "by-day/2026/03/04"), set(&[times[0], times[1], "latest"]));
    assert_eq!(names(&mount, "ids"), ids.iter().cloned().collect());
    let inner = world.source().strip_prefix("/").unwrap().join("etc/motd");
    for (place, content) in [
        ("latest".to_owned(), "first"),
        (format!("snapshots/{}", times[1]), "second"),
        (format!("by-host/a/{}", times[0]), "first"),
        ("by-host/b%2F../latest".to_owned(), "second"),
        ("by-tag/x%2Fy/latest".to_owned(), "first"),
        ("by-day/2026/03/04/latest".to_owned(), "second"),
        (format!("ids/{}", ids[1]), "second"),
    ] {
        let path = mount.path(&place).join(&inner);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content, "{place}");
    }
    for nothing in ["snapshots/2026-03-05", "by-host/c", "by-day/2025", "ids/abcd", "nothing"] {
        assert!(!mount.path(nothing).exists(), "{nothing}");
    }
}

#[test]
fn every_version_of_a_file_is_there_with_its_days() {
    let world = world();
    let ids = three_days(&world);
    let mount = Mount::new(&world, &[]);
    let folder = Path::new("versions").join(world.source().strip_prefix("/").unwrap());
    let folder = folder.join("etc");
    assert_eq!(names(&mount, folder.to_str().unwrap()), set(&["motd", "new", "same"]));
    let motd = folder.join("motd");
    let versions = ["v001_2026-03-04_2026-04-01", "v002_2026-03-04_2026-03-04"];
    assert_eq!(names(&mount, motd.to_str().unwrap()), set(&versions));
    for (name, content, id) in [(versions[0], "first", &ids[0]), (versions[1], "second", &ids[1])] {
        let path = mount.path(motd.join(name));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        assert_eq!(attribute(&path, "user.strongroom.snapshot").unwrap(), id.as_bytes());
    }
    let same = folder.join("same");
    assert_eq!(names(&mount, same.to_str().unwrap()), set(&["v001_2026-03-04_2026-04-01"]));
    assert!(!mount.path(folder.join("absent")).exists());
}

#[test]
fn one_snapshot_or_a_selection_can_be_mounted() {
    let world = world();
    let ids = three_days(&world);
    let inner = world.source().strip_prefix("/").unwrap().to_owned();
    let mount = Mount::new(&world, &["--snapshot", "latest"]);
    assert_same_tree(&world.source(), &mount.path(&inner));
    drop(mount);
    let mount = Mount::new(&world, &["--snapshot", &ids[1][..8]]);
    let motd = mount.path(inner.join("etc/motd"));
    assert_eq!(std::fs::read_to_string(motd).unwrap(), "second");
    drop(mount);
    let mount = Mount::new(&world, &["--host", "a"]);
    assert_eq!(names(&mount, "snapshots").len(), 2);
    assert_eq!(names(&mount, "by-host"), set(&["a"]));
    drop(mount);
    let mount = Mount::new(&world, &["--tag", "x/y"]);
    assert_eq!(names(&mount, "ids"), set(&[&ids[0]]));
}

#[test]
fn a_new_snapshot_appears_by_itself() {
    let world = world();
    three_days(&world);
    let mount = Mount::new(&world, &[]);
    assert_eq!(names(&mount, "snapshots").len(), 3);
    Tree::new(world.source()).file("etc/motd", b"third");
    let id = backup_at(&world, "2026-05-01T00:00:00Z", &[]);
    // The history is looked at every few seconds; the end of the test's time is the only limit.
    while !mount.path("ids").join(&id).symlink_metadata().is_ok_and(|found| found.is_symlink()) {
        std::thread::yield_now();
    }
    let motd = mount.path("ids").join(&id).join(world.source().strip_prefix("/").unwrap());
    assert_eq!(std::fs::read_to_string(motd.join("etc/motd")).unwrap(), "third");
    assert_eq!(names(&mount, "snapshots").len(), 4);
}

#[test]
fn numbers_of_files_are_the_same_in_every_mount() {
    let world = world();
    three_days(&world);
    let list = "find -L latest snapshots by-host -printf '%i %p\\n' | sort -k 2";
    let first = shell(&Mount::new(&world, &[]).target, list).text();
    assert!(first.lines().count() > 10);
    let mount = Mount::new(&world, &[]);
    assert_eq!(shell(&mount.target, list).succeeds().text(), first);
}

#[test]
fn the_repository_tells_of_a_file_in_attributes_that_no_source_can_forge() {
    let world = world();
    world.init();
    let mut tree = Tree::new(world.source());
    tree.file("file", b"content").file("forged", b"forged").attribute("forged", "user.own", b"1");
    for name in ["user.strongroom.hold", "user.strongroom.sha256", "user.strongroom.other"] {
        let path = world.source().join("forged");
        lsetxattr(&path, name, b"forged", XattrFlags::empty()).unwrap();
    }
    let id = backup_at(&world, "2026-03-04T10:00:00Z", &["--host", "this"]);
    let mount = Mount::new(&world, &[]);
    let newest = mount.newest(&world);
    let file = newest.join("file");
    let own = |name: &str| attribute(&file, &format!("user.strongroom.{name}"));
    let hash = |line: &str| {
        let text = shell(&world.source(), line).succeeds().text();
        text.split(' ').next().unwrap().as_bytes().to_vec()
    };
    assert_eq!(own("snapshot").unwrap(), id.as_bytes());
    assert_eq!(own("sha256").unwrap(), hash("sha256sum file"));
    assert_eq!(own("sha256").unwrap(), hash("sha256sum file"));
    let blake3 = blake3::hash(b"content").to_hex();
    assert_eq!(own("blake3").unwrap(), blake3.as_bytes());
    assert_eq!(own("captured").unwrap(), b"2026-03-04T10:00:00Z");
    assert_eq!(own("host").unwrap(), b"this");
    assert_eq!(own("source").unwrap(), world.source().to_str().unwrap().as_bytes());
    assert_eq!(own("hold"), None);
    assert_eq!(own("retain_until"), None);
    assert_eq!(own("other"), None);
    let forged = newest.join("forged");
    assert_eq!(attribute(&forged, "user.strongroom.hold"), None);
    assert_eq!(attribute(&forged, "user.strongroom.other"), None);
    assert_eq!(attribute(&forged, "user.strongroom.sha256").unwrap(), hash("sha256sum forged"));
    assert_eq!(attribute(&forged, "user.own").unwrap(), b"1");
    let listed = shell(&newest, "getfattr -d -m - file forged").succeeds().text();
    assert!(listed.contains("user.own") && !listed.contains("strongroom"), "{listed}");
}

#[test]
fn owners_can_be_squashed_and_streams_lie_beside_the_files() {
    let world = world();
    world.init();
    world.feed(["backup", "--stdin", "--stdin-filename", "dump.sql"], b"select 1;").succeeds();
    let mount = Mount::new(&world, &["--squash-owner"]);
    let dump = mount.path("latest/@streams/dump.sql");
    assert_eq!(std::fs::read(&dump).unwrap(), b"select 1;");
    let (code, _) = mount.end_by(Signal::TERM);
    assert_eq!(code, Some(0));
}
