//! Proves that a history that became shorter is noticed by whoever saw more of it: the newest
//! records removed, the whole store put back to an older copy, a record taken out of the middle.
//!
//! What is gone is named, no verb reads or writes on without being told to, and what was remembered
//! stays remembered.

use std::path::Path;
use std::process::Command;

use strongroom_tests::{Tree, World, objects};

use crate::world;

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-aT").arg(from).arg(to).status().unwrap().success());
}

/// A world with two snapshots, and a copy of its repository from after the first.
fn with_older_copy() -> World {
    let world = world();
    let mut tree = Tree::new(world.source());
    tree.file("a", b"first");
    world.init();
    world.backup();
    copy(&world.repository(), &world.path("older"));
    tree.file("b", b"second");
    world.backup();
    world
}

/// Every verb refuses, names what is gone, and leaves the store as it is.
fn is_refused(world: &World, gone: &str) {
    let source = world.source();
    let before = objects::all(world);
    for arguments in [
        &["snapshots"][..],
        &["restore", "latest", "--target", "target"],
        &["ls", "latest"],
        &["find", "*"],
        &["dump", "latest", source.join("a").to_str().unwrap()],
        &["diff", "latest", "latest"],
        &["stats"],
        &["tag", "--add", "x", "latest"],
        &["backup", source.to_str().unwrap()],
    ] {
        world.run(arguments).ends_with(4).hints().says("--accept-rollback").says(gone);
        let output = world.json(arguments).ends_with(4);
        assert_eq!(output.error()["kind"], "rollback", "{output}");
        assert!(output.of_type("snapshot").is_empty() && output.of_type("entry").is_empty());
    }
    assert_eq!(objects::all(world), before, "something was written");
    assert_eq!(std::fs::read_dir(world.target()).unwrap().count(), 0, "something was restored");
    // The verbs that look for damage go on, and say it.
    for arguments in [&["check"][..], &["history"]] {
        let output = world.run(arguments).ends_with(4);
        let said = output.text() + &output.stderr;
        assert!(said.contains(gone), "{gone} is not named\n{output}");
    }
}

/// First digits of the newest record of the history, and its sequence.
fn newest_record(world: &World) -> (String, u64) {
    let history = objects::under(world, "history/");
    let name = history.keys().max_by_key(|name| name.split('/').nth(2).unwrap()).unwrap();
    let (sequence, _) = name.split('/').nth(2).unwrap().split_once('-').unwrap();
    (name.clone(), u64::from_str_radix(sequence, 16).unwrap())
}

#[test]
fn the_newest_record_removed_is_a_rollback_that_names_it() {
    let world = with_older_copy();
    let (name, sequence) = newest_record(&world);
    let path = world.repository().join(name);
    let record = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    is_refused(&world, &format!("record {sequence} of"));
    // Told to, it goes on with what is left, and still says what is gone.
    world.run(["snapshots", "--accept-rollback"]).succeeds();
    let restore = ["restore", "latest", "--target", "target", "--accept-rollback"];
    world.run(restore).succeeds();
    assert!(world.restored().join("a").exists() && !world.restored().join("b").exists());
    std::fs::remove_dir_all(world.target()).unwrap();
    std::fs::create_dir(world.target()).unwrap();
    // Having looked on once is not having forgotten.
    is_refused(&world, &format!("record {sequence} of"));
    std::fs::write(&path, record).unwrap();
    world.run(["check"]).succeeds();
    world.run(["snapshots"]).succeeds();
}

#[test]
fn an_older_copy_of_the_whole_store_is_a_rollback_that_names_what_is_gone() {
    let world = with_older_copy();
    let (_, sequence) = newest_record(&world);
    copy(&world.repository(), &world.path("newer"));
    copy(&world.path("older"), &world.repository());
    is_refused(&world, &format!("record {sequence} of"));
    copy(&world.path("newer"), &world.repository());
    world.run(["check", "--read-data"]).succeeds();
}

#[test]
fn a_record_taken_out_of_the_middle_is_seen_by_a_machine_that_never_saw_it() {
    let world = with_older_copy();
    let history = objects::under(&world, "history/");
    let name = history.keys().find(|name| name.contains("/0000000000000001-")).unwrap();
    std::fs::remove_file(world.repository().join(name)).unwrap();
    std::fs::remove_dir_all(world.path("cache")).unwrap();
    is_refused(&world, "record 1 of");
}

#[test]
fn the_newest_records_of_one_writer_are_missed_by_the_next() {
    let world = with_older_copy();
    let (name, sequence) = newest_record(&world);
    // Another machine, which sees the history and adds to it.
    std::fs::rename(world.path("cache"), world.path("cache-of-the-first")).unwrap();
    world.backup();
    std::fs::remove_file(world.repository().join(name)).unwrap();
    std::fs::remove_dir_all(world.path("cache")).unwrap();
    // A third one, which never saw anything, reads it in what the second one wrote.
    is_refused(&world, &format!("record {sequence} of"));
}
