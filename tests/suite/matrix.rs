//! Proves that no verb lies about damage: every kind of object is flipped, cut, lengthened, emptied,
//! removed, replaced by another of its kind and by one of another repository, and every verb that
//! meets it ends with words and a code, never with a crash, and with 0 only if what it says is what
//! it says of the sound repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use engine::Ambient;
use engine::repo::Secret;
use engine::repo::create::{self, Settings};
use engine::store::LocalStore;
use strongroom_tests::compare::differences;
use strongroom_tests::in_memory::CHEAP;
use strongroom_tests::walker::walk;
use strongroom_tests::world::PASSWORD;
use strongroom_tests::{Output, Tree, World, objects, random};

use crate::world;

/// Kinds of object, by the beginning of their names.
const KINDS: [&str; 8] =
    ["strongroom", "config/", "keys/", "writers/", "packs/", "meta/", "index/", "history/"];

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Flip,
    Cut,
    Longer,
    Empty,
    Remove,
    /// Another object of the same kind and repository takes its place.
    Swap,
    /// One of the same kind of another repository with the same password does.
    Stranger,
}

const ACTIONS: [Action; 7] = [
    Action::Flip,
    Action::Cut,
    Action::Longer,
    Action::Empty,
    Action::Remove,
    Action::Swap,
    Action::Stranger,
];

/// Verbs that only read, with how their lines are called that must not change.
fn reading_verbs(source: &Path) -> Vec<(Vec<String>, &'static str)> {
    let file = source.join("0/kept").to_str().unwrap().to_owned();
    let verb = |arguments: &[&str], lines| {
        (arguments.iter().map(|word| (*word).to_owned()).collect(), lines)
    };
    vec![
        verb(&["check"], ""),
        verb(&["check", "--read-data"], ""),
        verb(&["snapshots"], "snapshot"),
        verb(&["ls", "latest", "--recursive"], "entry"),
        verb(&["find", "*e*"], "match"),
        verb(&["dump", "latest", &file], "stdout"),
        verb(&["diff", "@oldest", "latest"], "change"),
        verb(&["stats"], ""),
        verb(&["history"], "record"),
        verb(&["cat", "config"], "config"),
        verb(&["cat", "snapshot", "latest"], "snapshot"),
        verb(&["key", "list"], "key"),
        verb(&["restore", "latest", "--target", "target"], "target"),
    ]
}

/// A world with a repository whose key slot costs next to nothing, and two snapshots.
fn with_repository() -> World {
    let world = world();
    let store = Arc::new(LocalStore::create(world.repository()).unwrap());
    let settings = Settings { cost: CHEAP, ..Settings::default() };
    create::create(store, &Secret::passphrase(PASSWORD), &settings, &Ambient::default()).unwrap();
    let mut tree = Tree::new(world.source());
    for folder in 0..3 {
        tree.directory(format!("{folder}"));
        for number in 0..8 {
            let name = format!("{folder}/{number}");
            tree.file(&name, random::bytes(&name, 9_000));
        }
    }
    tree.file("0/kept", random::bytes("kept", 50_000));
    world.backup();
    tree.file("later", random::bytes("later", 200_000));
    world.backup();
    world
}

fn copy(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    assert!(command.arg("-aT").arg(from).arg(to).status().unwrap().success());
}

/// The same repository once more, with what this machine remembers of it.
fn copy_of(sound: &World) -> World {
    let world = world();
    for name in ["repository", "cache"] {
        copy(&sound.path(name), &world.path(name));
    }
    world
}

/// Objects of a kind, the largest first.
fn objects_of(world: &World, kind: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = objects::all(world).into_iter().collect();
    found.retain(|(name, _)| name.starts_with(kind));
    found.sort_by_key(|(name, bytes)| (std::cmp::Reverse(*bytes), name.clone()));
    found.into_iter().map(|(name, _)| world.repository().join(name)).collect()
}

/// Damages an object; says whether that is possible.
fn apply(action: Action, world: &World, kind: &str, stranger: &World) -> bool {
    let objects = objects_of(world, kind);
    let path = &objects[0];
    let mut bytes = std::fs::read(path).unwrap();
    let length = bytes.len();
    match action {
        Action::Flip => bytes[length / 2] ^= 0x10,
        Action::Cut => bytes.truncate(length - length / 3),
        Action::Longer => bytes.push(0),
        Action::Empty => bytes.clear(),
        Action::Remove => {
            std::fs::remove_file(path).unwrap();
            return true;
        }
        Action::Swap => match objects.get(1) {
            Some(other) => bytes = std::fs::read(other).unwrap(),
            None => return false,
        },
        Action::Stranger => bytes = std::fs::read(&objects_of(stranger, kind)[0]).unwrap(),
    }
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
    true
}

/// What a verb told, in a form that two runs can be compared by.
fn told(output: &Output, lines: &str) -> BTreeSet<String> {
    match lines {
        "" | "target" => BTreeSet::new(),
        "stdout" => BTreeSet::from([blake3::hash(&output.stdout).to_hex().to_string()]),
        kind => output.of_type(kind).iter().map(ToString::to_string).collect(),
    }
}

fn run(world: &World, arguments: &[String], oldest: &str, lines: &str) -> Output {
    let words: Vec<&str> = arguments
        .iter()
        .map(|word| if word == "@oldest" { oldest } else { word.as_str() })
        .collect();
    // What is dumped is the file itself, not lines about it.
    if lines == "stdout" { world.run(words) } else { world.json(words) }
}

/// Whether a run said that something is not as it should be.
fn warns(output: &Output, lines: &str) -> bool {
    if lines == "stdout" {
        return !output.stderr.is_empty();
    }
    let is_bad = |kind: &str| !output.of_type(kind).is_empty();
    is_bad("warning") || is_bad("finding") || is_bad("error")
}

#[test]
fn no_verb_lies_about_any_damage() {
    let (sound, stranger) = (with_repository(), with_repository());
    let source = sound.source();
    let verbs = reading_verbs(&source);
    let listed = sound.json(["snapshots"]).succeeds().of_type("snapshot");
    let oldest = listed[0]["id"].as_str().unwrap()[..16].to_owned();
    let expected: Vec<_> = verbs
        .iter()
        .map(|(arguments, lines)| told(&run(&sound, arguments, &oldest, lines).succeeds(), lines))
        .collect();
    for ((arguments, lines), told) in verbs.iter().zip(&expected) {
        assert!(["", "target"].contains(lines) || !told.is_empty(), "{arguments:?} tells nothing");
    }
    let (mut wrong, mut runs) = (Vec::new(), 0);
    for kind in KINDS {
        for action in ACTIONS {
            let world = copy_of(&sound);
            if !apply(action, &world, kind, &stranger) {
                continue;
            }
            for ((arguments, lines), expected) in verbs.iter().zip(&expected) {
                let output = run(&world, arguments, &oldest, lines);
                let what = format!("{action:?} in {kind}: {}", arguments.join(" "));
                runs += 1;
                judge(&what, &output, lines, expected, &sound, &world, &mut wrong);
                if arguments.len() == 2 && arguments[1] == "--read-data" && output.code == Some(0) {
                    wrong.push(format!("{what} says that all is well\n{output}"));
                }
            }
            let writing =
                [vec!["backup", source.to_str().unwrap()], vec!["repair", "index", "--yes"]];
            for arguments in writing {
                let output = world.json(&arguments);
                let what = format!("{action:?} in {kind}: {}", arguments.join(" "));
                runs += 1;
                is_calm(&what, &output, &mut wrong);
            }
            // Whatever they did, they have not made it worse: what restores now is right.
            let _ = std::fs::remove_dir_all(world.target());
            let arguments = ["restore", "latest", "--target", "target"].map(str::to_owned);
            let output = run(&world, &arguments, &oldest, "target");
            let what = format!("{action:?} in {kind}: restore after backup and repair");
            runs += 1;
            judge(&what, &output, "target", &BTreeSet::new(), &sound, &world, &mut wrong);
        }
    }
    eprintln!("{runs} runs of {} verbs over damaged repositories", verbs.len() + 2);
    assert!(wrong.is_empty(), "{} of {runs} lie:\n{}", wrong.len(), wrong.join("\n"));
    assert!(runs > 700, "{runs}");
}

fn is_calm(what: &str, output: &Output, wrong: &mut Vec<String>) {
    let is_calm = output.code.is_some_and(|code| code != 101);
    if !is_calm || output.stderr.contains("panicked") {
        wrong.push(format!("{what} crashes\n{output}"));
    } else if output.code != Some(0) && output.stderr.is_empty() && output.stdout.is_empty() {
        wrong.push(format!("{what} fails without a word"));
    }
}

fn judge(
    what: &str,
    output: &Output,
    lines: &str,
    expected: &BTreeSet<String>,
    sound: &World,
    world: &World,
    wrong: &mut Vec<String>,
) {
    is_calm(what, output, wrong);
    if lines == "target" {
        let restored = world.target().join(sound.source().strip_prefix("/").unwrap());
        let is_there = restored.is_dir();
        let found = if is_there {
            differences(&walk(&sound.source()), &walk(&restored))
        } else {
            vec!["nothing was restored".to_owned()]
        };
        if output.code == Some(0) && !warns(output, lines) && !found.is_empty() {
            wrong.push(format!("{what} says that all is well, but {found:?}"));
        }
        // Damaged or not, a file under its name has its own bytes.
        let other = found.iter().find(|line| line.contains(": content is"));
        if let Some(other) = other.filter(|_| output.code == Some(0)) {
            wrong.push(format!("{what}: {other}"));
        }
    } else if output.code == Some(0) && !warns(output, lines) && told(output, lines) != *expected {
        wrong.push(format!("{what} tells something else and says nothing\n{output}"));
    }
}
