//! Proves that damage is said and never spread: each kind of object is flipped, cut and removed,
//! and every verb that meets it ends with words and a code, never with a crash and never with a
//! lie.

use std::path::PathBuf;

use strongroom_tests::compare::differences;
use strongroom_tests::walker::walk;
use strongroom_tests::{Tree, World, objects, random};

use crate::world;

/// Folders of a repository, by what a loss of one object in them means.
const KINDS: [&str; 6] = ["packs/", "meta/", "index/", "history/", "config/", "keys/"];

/// What is done to an object.
#[derive(Debug, Clone, Copy)]
enum Action {
    Flip,
    Cut,
    Empty,
    Remove,
}

const ACTIONS: [Action; 4] = [Action::Flip, Action::Cut, Action::Empty, Action::Remove];

fn apply(action: Action, path: &PathBuf) {
    let mut bytes = std::fs::read(path).unwrap();
    let length = bytes.len();
    match action {
        Action::Flip => bytes[length / 2] ^= 0x10,
        Action::Cut => bytes.truncate(length - length / 3),
        Action::Empty => bytes.clear(),
        Action::Remove => return std::fs::remove_file(path).unwrap(),
    }
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

/// Copies the repository, and the cache with what this machine remembers of the history.
fn copy(from: &World, to: &World) {
    for name in ["repository", "cache"] {
        let mut command = std::process::Command::new("cp");
        let copied = command.arg("-aT").arg(from.path(name)).arg(to.path(name)).status();
        assert!(copied.unwrap().success());
    }
}

/// Largest object of a folder.
fn object_of(world: &World, folder: &str) -> PathBuf {
    let found = objects::under(world, folder);
    let (name, _) = found.iter().max_by_key(|(_, bytes)| **bytes).unwrap();
    world.repository().join(name)
}

#[test]
fn no_damage_goes_unseen_and_none_ends_in_a_crash() {
    let sound = with_repository();
    let mut wrong = Vec::new();
    for kind in KINDS {
        for action in ACTIONS {
            let world = world();
            copy(&sound, &world);
            apply(action, &object_of(&world, kind));
            let source = sound.source();
            for arguments in [
                &["check", "--read-data"][..],
                &["check"],
                &["snapshots"],
                &["restore", "latest", "--target", "target"],
                &["backup", source.to_str().unwrap()],
                &["check", "--read-data"],
            ] {
                let output = world.json(arguments);
                let is_calm = output.code.is_some_and(|code| code != 101);
                if !is_calm || output.stderr.contains("panicked") {
                    wrong.push(format!("{action:?} in {kind}: {} crashes\n{output}", arguments[0]));
                    continue;
                }
                output.summary();
                let is_read = arguments == ["check", "--read-data"];
                // A backup that ran meanwhile may have healed what it stores anyway.
                let is_first = !world.target().join("seen").exists();
                if is_read && is_first && output.code == Some(0) {
                    wrong.push(format!("{action:?} in {kind}: check says that all is well"));
                }
                if is_read {
                    std::fs::write(world.target().join("seen"), b"").unwrap();
                }
                if arguments[0] == "restore" && output.code == Some(0) {
                    lies(&sound, &world, &format!("{action:?} in {kind}"), &mut wrong);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} lies:\n{}", wrong.len(), wrong.join("\n"));
}

/// A restore that claims success must have brought everything back.
fn lies(sound: &World, world: &World, what: &str, wrong: &mut Vec<String>) {
    let restored = world.target().join(sound.source().strip_prefix("/").unwrap());
    if !restored.exists() {
        wrong.push(format!("{what}: restore says that all is well and brought nothing back"));
        return;
    }
    let found = differences(&walk(&sound.source()), &walk(&restored));
    if !found.is_empty() {
        wrong.push(format!("{what}: restore says that all is well, but {found:?}"));
    }
}

#[test]
fn a_flipped_byte_in_a_pack_is_4_and_the_rest_comes_back() {
    let world = with_repository();
    let pack = object_of(&world, "packs/");
    apply(Action::Flip, &pack);
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
    apply(Action::Flip, &world.repository().join(name));
    std::fs::remove_dir_all(world.path("cache")).unwrap();
    // It knows no better than that the other snapshot is the newest, and must say so.
    let output = world.json(["restore", "latest", "--target", "target"]);
    let warnings = output.of_type("warning");
    let is_named = warnings.iter().any(|warning| warning["object"].as_str() == Some(name));
    assert!(output.code == Some(4) || is_named, "{output}");
    world.json(["check"]).ends_with(4);
}
