//! Proves that the floors hold: crates depend downwards, rooms of the engine know only the rooms
//! below them, and what a room must never know is not in its sources.
//!
//! The tables are the architecture; a new arrow is a change of the architecture and is written
//! here.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_tests::code::{has_word, is_test, shipped_lines, without_comment};
use strongroom_tests::repository_tree::{files, read};

/// Which crate of the workspace may use which. Tests, fuzz and benches may use any, and none uses
/// them.
const CRATES: [(&str, &[&str]); 4] = [
    ("repo-format", &[]),
    ("engine", &["repo-format"]),
    ("mount", &["engine", "repo-format"]),
    // Plain values only: see `the_command_line_decodes_nothing`.
    ("cli", &["engine", "mount", "repo-format"]),
];

/// Small files that every room of the engine may use.
const SHARED: [&str; 5] = ["ambient", "error", "finding", "planted", "records"];
/// Floor 1: each knows nothing but itself and the shared files.
const FLOOR_1: [&str; 5] = ["chunk", "crypto", "source", "store", "target"];
/// Floor 2.
const FLOOR_2: [&str; 1] = ["repo"];
/// Floor 3: verbs.
const FLOOR_3: [&str; 11] = [
    "backup",
    "browse",
    "check",
    "forget",
    "keys",
    "prune",
    "repair",
    "replicate",
    "restore",
    "retention",
    "verify",
];

/// Arrows beyond the floors, each for a reason.
const ARROWS: [(&str, &str, &str); 3] = [
    ("chunk", "crypto", "cuts are keyed"),
    ("error", "store", "an error of a store becomes one of the engine in one place"),
    ("finding", "error", "a finding may be made of an error"),
];

/// What must not stand in the sources of a folder: the folder, the words, except in these files.
const UNKNOWN: [(&str, &[&str], &[&str]); 10] = [
    (
        "repo-format/src",
        &[
            "std::fs",
            "std::net",
            "std::time",
            "std::thread",
            "std::env",
            "std::process",
            "rand",
            "getrandom",
            "chacha20poly1305",
            "aws_lc_rs",
            "argon2",
            "zstd",
            "jiff",
            "rustix",
        ],
        &[],
    ),
    ("engine/src", &["tokio", "object_store", "reqwest", "futures_util"], &["engine/src/store/"]),
    ("engine/src", &["std::env"], &["engine/src/store/environment.rs"]),
    ("engine/src", &["clap", "indicatif", "rpassword", "anyhow", "exit_code"], &[]),
    ("engine/src/store", &["snapshot", "Snapshot"], &[]),
    ("engine/src/chunk", &["std::fs", "rustix", "snapshot", "Snapshot"], &[]),
    ("engine/src/crypto", &["std::fs", "rustix", "snapshot", "Snapshot"], &[]),
    ("engine/src/repo", &["rayon", "clap", "retention_policy"], &[]),
    ("mount/src", &["clap", "engine::store", "engine::crypto", "Location"], &[]),
    ("cli/src", &["bincode", "object_store", "aws_lc_rs", "chacha20poly1305", "blake3"], &[]),
];

/// Names of the dependencies of a manifest, those for tests left out.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut section = "";
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
            if let Some(name) = section.strip_prefix("dependencies.") {
                found.insert(name.to_owned());
            }
        } else if section == "dependencies" {
            let name = line.split(['=', '.', ' ']).next().unwrap();
            if !name.is_empty() && !name.starts_with('#') {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn crates_depend_downwards() {
    let mut wrong = Vec::new();
    let all = ["repo-format", "engine", "mount", "cli", "tests", "fuzz", "benches"];
    for (name, allowed) in CRATES {
        let found = dependencies(&read(format!("{name}/Cargo.toml")));
        for other in all {
            let package = match other {
                "repo-format" | "engine" | "mount" => other.to_owned(),
                _ => format!("strongroom-{other}"),
            };
            if found.contains(&package) && !allowed.contains(&other) {
                wrong.push(format!("{name} -> {other} ({name}/Cargo.toml)"));
            }
        }
    }
    assert!(wrong.is_empty(), "crates that look up:\n  {}", wrong.join("\n  "));
}

/// Room of a file of the engine, and how deep its module lies below the root of the crate.
fn room(path: &str) -> (String, usize) {
    let inner = path.strip_prefix("engine/src/").unwrap().trim_end_matches(".rs");
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    let parts: Vec<&str> = inner.split('/').collect();
    (parts[0].to_owned(), parts.len())
}

/// Rooms that a line names by way of the root of the crate.
fn rooms_named(line: &str, depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    for root in ["crate::".to_owned(), "super::".repeat(depth)] {
        for (at, _) in line.match_indices(&root) {
            // More or fewer steps up than the root is another place.
            if line[..at].ends_with("::") || line[..at].ends_with(char::is_alphanumeric) {
                continue;
            }
            let rest = &line[at + root.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                found.extend(heads(group));
            } else {
                found.extend(first_word(rest));
            }
        }
    }
    found.retain(|name| name != "super");
    found
}

fn first_word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// First words of the members of a group of a `use`, which begins behind its brace.
fn heads(group: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut start = 0;
    let mut found = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.extend(first_word(group[start..at].trim_start()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(first_word(group[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

fn may_use(from: &str, to: &str) -> bool {
    let below: &[&[&str]] = if FLOOR_3.contains(&from) {
        &[&FLOOR_2, &FLOOR_1, &SHARED]
    } else if FLOOR_2.contains(&from) {
        &[&FLOOR_1, &SHARED]
    } else {
        &[&SHARED]
    };
    from == to
        || below.iter().any(|floor| floor.contains(&to))
        || ARROWS.iter().any(|(a, b, _)| *a == from && *b == to)
}

#[test]
fn rooms_of_the_engine_use_only_what_is_below_them() {
    let rooms: Vec<&str> = [&SHARED[..], &FLOOR_1, &FLOOR_2, &FLOOR_3]
        .iter()
        .flat_map(|f| f.iter().copied())
        .collect();
    let mut wrong = BTreeMap::new();
    for path in files("engine/src", ".rs") {
        let path = path.to_str().unwrap();
        let (from, depth) = room(path);
        if from == "lib" || is_test(path) {
            continue;
        }
        if !rooms.contains(&from.as_str()) {
            wrong.insert(format!("{from} stands on no floor"), path.to_owned());
        }
        // The lines of a `use` are joined, so that a group is seen whole.
        let text = read(path);
        let lines = shipped_lines(&text).map(|(_, line)| without_comment(line).trim());
        let joined = lines.collect::<Vec<_>>().join(" ");
        for to in rooms_named(&joined, depth) {
            if rooms.contains(&to.as_str()) && !may_use(&from, &to) {
                wrong.insert(format!("{from} -> {to}"), path.to_owned());
            }
        }
    }
    let shown: Vec<_> = wrong.iter().map(|(arrow, path)| format!("{arrow} ({path})")).collect();
    assert!(wrong.is_empty(), "rooms that look up or aside:\n  {}", shown.join("\n  "));
}

#[test]
fn what_ships_has_no_planted_faults() {
    // The feature is declared in one place and asked for by tests alone.
    for path in ["repo-format", "engine", "mount", "cli"] {
        let manifest = read(format!("{path}/Cargo.toml"));
        let lines = manifest.lines().filter(|line| has_word(without_hash(line), "testkit"));
        let found: Vec<&str> = lines.collect();
        let expected: &[&str] = if path == "engine" { &["testkit = []"] } else { &[] };
        assert_eq!(found, expected, "{path}/Cargo.toml");
    }
    // Without it, all that is left of the planted faults is a macro that says `false`.
    let gate = "#[cfg(any(test, feature = \"testkit\"))]";
    let text = read("engine/src/planted.rs");
    let never = "#[cfg(not(any(test, feature = \"testkit\")))]\nmacro_rules! planted {\n    \
                 ($fault:ident) => {\n        false\n    };\n}\n";
    assert!(text.contains(never));
    let items: Vec<usize> = text
        .match_indices('\n')
        .map(|(at, _)| at + 1)
        .filter(|&at| {
            ["macro_rules!", "pub ", "mod ", "static ", "fn ", "use "]
                .iter()
                .any(|word| text[at..].starts_with(word))
        })
        .filter(|&at| !text[..at].trim_end().ends_with(gate))
        .collect();
    let never = text.find(never).unwrap();
    assert!(items.iter().all(|&at| (never..never + 80).contains(&at)), "an item without its gate");
}

/// A line of a manifest without its comment.
fn without_hash(line: &str) -> &str {
    line.split('#').next().unwrap_or_default()
}

#[test]
fn rooms_do_not_know_what_they_must_not() {
    let mut wrong = Vec::new();
    for (folder, words, except) in UNKNOWN {
        for path in files(folder, ".rs") {
            let path = path.to_str().unwrap();
            if is_test(path) || except.iter().any(|known| path.starts_with(known)) {
                continue;
            }
            let text = read(path);
            for (number, line) in shipped_lines(&text) {
                for word in words.iter().filter(|word| has_word(without_comment(line), word)) {
                    wrong.push(format!("{path}:{number}: {folder} must not know {word}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn the_command_line_decodes_nothing() {
    let mut wrong = Vec::new();
    for path in files("cli/src", ".rs") {
        let path = path.to_str().unwrap();
        let text = read(path);
        for (number, line) in shipped_lines(&text) {
            let line = without_comment(line);
            let is_bytes = ["decode", "encode", "envelope", "codec", "pack", "index", "key_slot"]
                .iter()
                .any(|word| has_word(line, word));
            if line.contains("repo_format::") && is_bytes {
                wrong.push(format!("{path}:{number}: byte layouts are no business of the cli"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn the_tables_are_read_as_they_are_meant() {
    let line = "use crate::{error::{Kind, Result}, store::Put}; fn f() { crate::repo::open() }";
    assert_eq!(rooms_named(line, 2), ["error", "store", "repo"]);
    assert_eq!(rooms_named("use super::super::store::Put; use super::walk;", 2), ["store"]);
    assert_eq!(rooms_named("use super::store::Put;", 1), ["store"]);
    assert!(may_use("backup", "repo") && !may_use("repo", "backup"));
    assert!(!may_use("backup", "restore") && !may_use("store", "crypto"));
    let manifest =
        "[dependencies]\nengine.workspace = true\n# no\n[dev-dependencies]\nmount = {}\n";
    assert_eq!(dependencies(manifest), BTreeSet::from(["engine".to_owned()]));
}
