//! Proves that damage is said and never spread: what is lost is named, with the code that scripts
//! know, and all the rest comes back. Every kind of damage against every verb is in `matrix`.

use std::path::{Path, PathBuf};

use strongroom_tests::compare::differences;
use strongroom_tests::walker::walk;
use strongroom_tests::{Tree, World, objects, random};

use crate::world;

/// Flips a bit in the middle of an object.
fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn with_repository() -> World {
    let world = world();
    let mut tree = Tree::new(world.source());
    for folder in 0..3 {
        tree.directory(format!("{folder}"));
        for number in 0..20 {
            let name = format!("{folder}/{number}");
            tree.file(&name, random::bytes(&name, 20_000));
        }
    }
    world.init();
    world.backup();
    tree.file("later", random::bytes("later", 500_000));
    world.backup();
    world
}

/// Largest object of a folder.
fn object_of(world: &World, folder: &str) -> PathBuf {
    let found = objects::under(world, folder);
    let (name, _) = found.iter().max_by_key(|(_, bytes)| **bytes).unwrap();
    world.repository().join(name)
}

#[test]
fn a_flipped_byte_in_a_pack_is_4_and_the_rest_comes_back() {
    let world = with_repository();
    let pack = object_of(&world, "packs/");
    flip(&pack);
    let name = pack.file_name().unwrap().to_str().unwrap().to_owned();
    let output = world.json(["check", "--read-data"]).ends_with(4);
    let findings = output.of_type("finding");
    let is_named = findings.iter().any(|f| f["object"].as_str().unwrap().contains(&name));
    assert!(is_named, "no finding names the pack {name}\n{output}");
    let output = world.run(["check", "--read-data"]).ends_with(4);
    assert!(output.text().contains(&name[..8]) || output.stderr.contains(&name[..8]), "{output}");
    let output = world.json(["restore", "latest", "--target", "target"]).ends_with(4);
    assert!(!output.of_type("finding").is_empty(), "{output}");
    let (source, restored) = (walk(&world.source()), walk(&world.restored()));
    let damaged = differences(&source, &restored);
    // One flipped byte costs one blob, at most 1 MiB, which small files share.
    let shared_max = (1 << 20) / 20_000;
    assert!(!damaged.is_empty() && damaged.len() <= shared_max, "{damaged:?}");
    // What is not whole must not look whole: nothing has other bytes under its old length and time.
    let is_honest = |line: &String| !line.contains(": content is");
    let all = damaged.iter().all(is_honest)
        || output.of_type("finding").iter().any(|f| f["severity"] == "loss");
    assert!(all, "{damaged:?}\n{output}");
}

#[test]
fn a_new_machine_is_told_that_a_record_of_the_history_cannot_be_read() {
    let world = with_repository();
    let newest =
        world.json(["snapshots"]).of_type("snapshot")[1]["id"].as_str().unwrap()[..16].to_owned();
    let history = objects::under(&world, "history/");
    let name = history.keys().find(|name| name.ends_with(&newest)).unwrap();
    flip(&world.repository().join(name));
    std::fs::remove_dir_all(world.path("cache")).unwrap();
    // It knows no better than that the other snapshot is the newest, and must say so.
    let output = world.json(["restore", "latest", "--target", "target"]);
    let warnings = output.of_type("warning");
    let is_named = warnings.iter().any(|warning| warning["object"].as_str() == Some(name));
    assert!(output.code == Some(4) || is_named, "{output}");
    world.json(["check"]).ends_with(4);
}
