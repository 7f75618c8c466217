//! Proves that SPEC.md alone is enough: a reader made from it, in another language and without any
//! code of the project, reads what this build writes, byte for byte, and sees damage where there is
//! some.

use std::path::{Path, PathBuf};

use strongroom_tests::reader::{self, Key};
use strongroom_tests::world::PASSWORD;
use strongroom_tests::{Tree, World, assert_same_tree, everything, objects, random};

use crate::world;

const KIB: u64 = 1 << 10;
/// Vectors that are there at least; fewer means that some were not found.
const VECTORS_MIN: u64 = 278;

/// Writes a password into a file of its own.
fn password(world: &World, text: &str) -> Key {
    let path = world.path(format!("password-{}", text.len()));
    std::fs::write(&path, format!("{text}\n")).unwrap();
    Key::PasswordFile(path)
}

/// Adds a key file to the repository.
fn key_file(world: &World) -> Key {
    let path = world.path("key-file");
    std::fs::write(&path, random::bytes("key file", 64)).unwrap();
    world.run(["key", "add", "--new-key-file", "key-file", "--label", "safe"]).succeeds();
    Key::KeyFile(path)
}

/// Restores with the reader and compares with the source.
fn restores(world: &World, snapshot: &str, name: &str, key: &Key) {
    let target: PathBuf = world.path(name);
    let more = [snapshot, target.to_str().unwrap()];
    let output = reader::run("restore", &world.repository(), &more, key).succeeds();
    assert_eq!(output.stderr, "", "{output}");
    assert_same_tree(&world.source(), &target.join(world.source().strip_prefix("/").unwrap()));
}

#[test]
fn the_reader_gives_the_verdict_of_every_vector() {
    let output = reader::check_vectors().succeeds();
    let text = output.text();
    let count = text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
    assert!(count.is_some_and(|count| count >= VECTORS_MIN), "{output}");
    assert!(text.ends_with(" vectors, 0 wrong\n"), "{output}");
}

#[test]
fn the_reader_brings_everything_back_that_this_build_writes() {
    let world = world();
    let mut tree = Tree::new(world.source());
    everything::build(&mut tree);
    // One database, whose pages are cut by the second way of cutting.
    let mut pages = b"SQLite format 3\0".to_vec();
    pages.extend(random::bytes("pages", 3 << 20));
    tree.directory("cut").file("cut/database", &pages);
    tree.file("cut/stream", random::bytes("stream", 5 << 20));
    // More runs of data and holes than an entry holds itself.
    let island = random::bytes("island", 4096);
    let islands: Vec<(u64, &[u8])> = (0..200).map(|n| (n * 64 * KIB, &island[..])).collect();
    tree.sparse("cut/archipelago", 200 * 64 * KIB, &islands).time("", 1_700_000_000, 1).finish();
    world.init();
    world.backup();
    // The same content, cut in two more ways, in snapshots of their own.
    let source = world.source();
    for profile in ["db", "page"] {
        let profile = ["--force", "--profile-chunks", profile, "--tag", profile];
        world.json([&["backup", source.to_str().unwrap()], &profile[..]].concat()).succeeds();
    }
    let (password, file) = (password(&world, PASSWORD), key_file(&world));
    let verified = reader::run("verify", &world.repository(), &[], &password).succeeds();
    assert!(verified.text().ends_with(": whole\n"), "{verified}");
    assert!(verified.text().contains(" 3 snapshots, "), "{verified}");
    let listed = world.json(["snapshots"]).succeeds().of_type("snapshot");
    let seen = reader::run("list", &world.repository(), &[], &file).succeeds().text();
    for (number, snapshot) in listed.iter().enumerate() {
        let id = &snapshot["id"].as_str().unwrap()[..16];
        assert!(seen.contains(id), "{id} is not in\n{seen}");
        let key = if number == 1 { &file } else { &password };
        restores(&world, id, &format!("restored-{number}"), key);
    }
}

#[test]
fn the_reader_takes_a_changed_password_and_no_other() {
    let world = world();
    Tree::new(world.source()).file("a", b"a");
    world.init();
    world.backup();
    std::fs::write(world.path("new"), "entirely new").unwrap();
    world.run(["key", "passwd", "--new-password-file", "new"]).succeeds();
    let (old, new) = (password(&world, PASSWORD), password(&world, "entirely new"));
    reader::run("list", &world.repository(), &[], &old).ends_with(12);
    restores(&world, "latest", "restored", &new);
}

/// Puts other bytes in the place of an object, which may itself be read-only.
fn replace(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn the_reader_sees_damage_and_what_was_taken_away() {
    let world = world();
    let mut tree = Tree::new(world.source());
    tree.file("a", random::bytes("a", 300_000)).file("b", b"b");
    world.init();
    world.backup();
    let key = password(&world, PASSWORD);
    let name = objects::under(&world, "packs/").keys().next().unwrap().clone();
    let path = world.repository().join(&name);
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    replace(&path, &flipped);
    reader::run("verify", &world.repository(), &[], &key).ends_with(1).says(&name);
    let target = world.path("damaged");
    let more = ["latest", target.to_str().unwrap()];
    reader::run("restore", &world.repository(), &more, &key).ends_with(1).says("source/a");
    let restored = target.join(world.source().strip_prefix("/").unwrap());
    assert!(!restored.join("a").exists(), "bytes that are not right have the name of a file");
    assert_eq!(std::fs::read(restored.join("b")).unwrap(), b"b");
    replace(&path, &whole);
    reader::run("verify", &world.repository(), &[], &key).succeeds();
    // Within a chain a record that is gone is a gap, and nothing is read without being told to.
    world.backup();
    let history = objects::under(&world, "history/");
    let name = history.keys().find(|name| name.contains("/0000000000000001-")).unwrap();
    std::fs::remove_file(world.repository().join(name)).unwrap();
    let target = world.path("none");
    let more = ["latest", target.to_str().unwrap()];
    reader::run("restore", &world.repository(), &more, &key).ends_with(1).says("(rollback)");
    assert!(!target.exists(), "something was restored");
    reader::run("list", &world.repository(), &["--accept-rollback"], &key).ends_with(1);
}
