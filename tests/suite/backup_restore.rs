//! Proves the promise that everything else is for: what was backed up comes back the same, in every
//! respect that a file system has, from a folder and from object stores, by the shipped program.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use strongroom_tests::compare::differences;
use strongroom_tests::objects::{self, total_bytes};
use strongroom_tests::servers::{Moto, S3, S3sFs};
use strongroom_tests::walker::walk;
use strongroom_tests::{Tree, World, assert_same_tree, everything, random};

use crate::world;

/// Backs everything up, restores it and compares.
fn everything_comes_back(world: &World) {
    let mut tree = Tree::new(world.source());
    everything::build(&mut tree);
    world.init();
    let output = world.backup();
    assert_eq!(output.number("unreadable"), 0, "{output}");
    let packs = ["packs/", "meta/"].map(|folder| total_bytes(&objects::under(world, folder)));
    assert_eq!(output.number("bytes_stored"), packs.iter().sum::<u64>(), "{output}");
    // A second one, which takes all files from the first. Folders above the source may have
    // changed.
    let second = world.backup();
    assert_eq!(second.number("files_new") + second.number("files_changed"), 0, "{second}");
    assert_eq!(second.number("bytes_read"), 0, "{second}");
    let id = second.field("snapshot_id");
    world.json(["restore", &id, "--target", "target"]).succeeds();
    assert_same_tree(&world.source(), &world.restored());
    world.json(["check", "--read-data"]).succeeds();
}

#[test]
fn everything_comes_back_from_a_folder() {
    everything_comes_back(&world());
}

#[test]
fn everything_comes_back_from_moto() {
    let moto = Moto::start();
    everything_comes_back(&moto.host(world()));
}

#[test]
fn everything_comes_back_from_s3s_fs() {
    let folder = tempfile::tempdir().unwrap();
    let server = S3sFs::start(folder.path());
    everything_comes_back(&server.host(world()));
}

#[test]
fn another_machine_restores_with_the_password_alone() {
    let world = world();
    let mut tree = Tree::new(world.source());
    tree.file("a", random::bytes("a", 3 << 20)).directory("b").file("b/c", b"c");
    world.init();
    world.backup();
    // No cache, no home: what a machine has on its first day.
    std::fs::remove_dir_all(world.path("cache")).unwrap();
    std::fs::remove_dir_all(world.path("home")).unwrap();
    world.json(["restore", "latest", "--target", "target", "--no-cache"]).succeeds();
    assert_same_tree(&world.source(), &world.restored());
}

#[test]
fn a_path_of_a_snapshot_goes_straight_into_the_target() {
    let world = world();
    let mut tree = Tree::new(world.source());
    tree.directory("folder/below").file("folder/below/a", b"a").file("b", b"b");
    world.init();
    world.backup();
    let name = format!("latest:{}", world.source().join("folder").display());
    world.json(["restore", &name, "--target", "target"]).succeeds();
    assert_eq!(std::fs::read(world.target().join("below/a")).unwrap(), b"a");
    assert!(!world.target().join("b").exists());
}

#[test]
fn every_snapshot_keeps_its_own_time() {
    let world = world();
    let mut tree = Tree::new(world.source());
    world.init();
    let mut ids = Vec::new();
    for round in 0..4_i64 {
        tree.file("same length", format!("version {round}")).time("same length", 1000 + round, 0);
        tree.file(format!("only-{round}"), b"x");
        if round > 0 {
            std::fs::remove_file(tree.path(format!("only-{}", round - 1))).unwrap();
        }
        tree.finish();
        let copy = world.path(format!("copy-{round}"));
        let mut copied = std::process::Command::new("cp");
        assert!(copied.arg("-a").arg(world.source()).arg(&copy).status().unwrap().success());
        ids.push((world.backup().field("snapshot_id"), copy));
    }
    for (id, copy) in ids {
        std::fs::remove_dir_all(world.target()).unwrap();
        world.json(["restore", &id, "--target", "target"]).succeeds();
        assert_same_tree(&copy, &world.restored());
    }
}

#[test]
fn a_restore_over_another_state_brings_the_snapshot_back() {
    let world = world();
    let mut tree = Tree::new(world.source());
    tree.file("changed", random::bytes("changed", 2 << 20)).file("gone", b"gone").directory("d");
    tree.file("d/x", b"x").symlink("link", "d").file("was file", b"f").directory("was folder");
    world.init();
    world.backup();
    world.json(["restore", "latest", "--target", "target"]).succeeds();
    let mut restored = Tree::new(world.restored());
    restored.file("changed", b"shorter").file("extra", b"not in the snapshot");
    std::fs::remove_file(restored.path("gone")).unwrap();
    std::fs::remove_file(restored.path("link")).unwrap();
    // A link out of the target must be replaced, never followed.
    let outside = world.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::remove_dir_all(restored.path("d")).unwrap();
    restored.symlink("d", outside.to_str().unwrap()).directory("link");
    std::fs::remove_file(restored.path("was file")).unwrap();
    std::fs::remove_dir(restored.path("was folder")).unwrap();
    restored.directory("was file").file("was folder", b"");
    let arguments = ["restore", "latest", "--target", "target", "--overwrite", "always"];
    world.json(arguments.iter().chain(&["--delete", "--yes"])).succeeds();
    assert_same_tree(&world.source(), &world.restored());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "a link was followed");
}

#[test]
fn a_restore_that_is_run_again_writes_nothing_new() {
    let world = world();
    let mut tree = Tree::new(world.source());
    for number in 0..50 {
        tree.file(format!("{number}"), random::bytes(&number.to_string(), 100_000));
    }
    world.init();
    world.backup();
    world.json(["restore", "latest", "--target", "target"]).succeeds();
    let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
    let before = inode(&world.restored().join("7"));
    // Half of one file is lost, as after a crash in the middle of a restore.
    let file = std::fs::File::options().write(true).open(world.restored().join("8")).unwrap();
    file.set_len(50_000).unwrap();
    drop(file);
    let output = world.json(["restore", "latest", "--target", "target"]).succeeds();
    assert_same_tree(&world.source(), &world.restored());
    assert_eq!(inode(&world.restored().join("7")), before, "a file that was right was replaced");
    assert!(output.number("bytes_written") <= 100_000, "{output}");
}

#[test]
fn several_sources_come_back_each_under_its_own_path() {
    let world = world();
    Tree::new(world.source()).directory("one").file("one/a", b"a").directory("two/deep");
    Tree::new(world.source()).file("two/deep/b", b"b").file("two/no", b"not asked for");
    world.init();
    let (one, two) = (world.source().join("one"), world.source().join("two/deep"));
    world.run([OsStr::new("backup"), one.as_os_str(), two.as_os_str()]).succeeds();
    world.run(["restore", "latest", "--target", "target"]).succeeds();
    assert_same_tree(&one, &world.restored().join("one"));
    assert_same_tree(&two, &world.restored().join("two/deep"));
    assert!(!world.restored().join("two/no").exists());
}

#[test]
fn holes_of_files_that_stay_whole_come_back_as_zeros() {
    let world = world();
    let block = random::bytes("block", 4096);
    let mut tree = Tree::new(world.source());
    tree.sparse("hole inside", 12 << 10, &[(0, &block), (8 << 10, &block)]);
    tree.sparse("only hole", 8 << 10, &[]).sparse("tiny", 100, &[]);
    world.init();
    world.backup();
    world.json(["restore", "latest", "--target", "target"]).succeeds();
    let (source, restored) = (walk(&world.source()), walk(&world.restored()));
    for line in differences(&source, &restored) {
        assert!(line.contains(": data is "), "{line}");
    }
}
