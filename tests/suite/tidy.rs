//! Proves that sources have the shape that was agreed on: a header in every file, sizes that a
//! person can read, names that say something, and nothing of the machine they were written on.
//!
//! Each failure names the file, the line and what to do.

use std::collections::BTreeSet;

use strongroom_tests::code::{has_word, is_test, shipped_lines, without_comment};
use strongroom_tests::repository_tree::{files, read, root};

/// Lines of a file without its tests.
const LINES_MAX: usize = 450;
/// Columns of a line that could be broken.
const COLUMNS_MAX: usize = 100;
/// Bytes of a file that is checked in.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Names of modules that say nothing.
const EMPTY_NAMES: [&str; 12] = [
    "util", "utils", "helper", "helpers", "common", "misc", "manager", "handler", "base", "core",
    "shared", "stuff",
];

/// Files that may hold `unsafe`, each for the reason at its head.
const UNSAFE_FILES: [&str; 2] = ["engine/src/repo/index/mapped.rs", "fuzz/src/memory.rs"];

/// Crates whose words reach people only through their caller.
const SILENT: [&str; 3] = ["repo-format/src/", "engine/src/", "mount/src/"];

/// Every file of Rust, with its text.
fn sources() -> Vec<(String, String)> {
    let paths = files("", ".rs").into_iter();
    paths.map(|path| (path.to_str().unwrap().to_owned(), read(&path))).collect()
}

#[track_caller]
fn none(wrong: &[String], what_to_do: &str) {
    assert!(wrong.is_empty(), "{what_to_do}:\n  {}", wrong.join("\n  "));
}

#[test]
fn every_file_says_what_it_is() {
    let is_silent = |text: &str| !text.lines().next().is_some_and(|line| line.starts_with("//! "));
    let wrong: Vec<_> =
        sources().into_iter().filter(|(_, text)| is_silent(text)).map(|(path, _)| path).collect();
    none(&wrong, "begin with `//!` and one sentence on what the file is");
}

#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let lines = shipped_lines(&text).count();
        if lines > LINES_MAX && !is_test(&path) {
            wrong.push(format!("{path}: {lines} lines"));
        }
    }
    none(&wrong, &format!("split by idea, at most {LINES_MAX} lines without tests"));
}

#[test]
fn lines_are_short() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (number, line) in shipped_lines(&text) {
            let columns = line.chars().count();
            // A string stays whole, so that it can be searched for; so does a line of help.
            let is_whole = without_comment(line).contains('"')
                || line.contains("://")
                || path.starts_with("cli/") && line.trim_start().starts_with("///");
            if columns > COLUMNS_MAX && !is_whole && !is_test(&path) {
                wrong.push(format!("{path}:{number}: {columns} columns"));
            }
        }
    }
    none(&wrong, &format!("break these lines, at most {COLUMNS_MAX} columns"));
}

#[test]
fn modules_have_names() {
    let mut wrong = Vec::new();
    for (path, _) in sources() {
        for part in path.trim_end_matches(".rs").split('/') {
            if EMPTY_NAMES.contains(&part) {
                wrong.push(path.clone());
            }
        }
    }
    none(&wrong, "name the module for what is in it");
}

#[test]
fn every_file_is_part_of_something() {
    let mut wrong = Vec::new();
    for (path, _) in sources() {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let (folder, name) = if name == "mod.rs" {
            folder.rsplit_once('/').unwrap_or(("", folder))
        } else {
            (folder, name.trim_end_matches(".rs"))
        };
        let parents = [
            format!("{folder}/mod.rs"),
            format!("{folder}/lib.rs"),
            format!("{folder}/main.rs"),
            format!("{folder}.rs"),
        ];
        let is_declared = parents.iter().any(|parent| {
            root().join(parent).is_file() && has_word(&read(parent), &format!("mod {name}"))
        });
        // Roots are named by their manifest, or by their place.
        let manifest = path.split('/').next().map(|top| format!("{top}/Cargo.toml"));
        let is_root = matches!(name, "lib" | "main" | "build")
            || manifest.is_some_and(|manifest| {
                let below = path.split_once('/').map_or("", |(_, below)| below);
                root().join(&manifest).is_file() && read(&manifest).contains(below)
            })
            || ["/fuzz_targets/", "/benches/", "/examples/"]
                .iter()
                .any(|place| path.contains(place));
        if !is_declared && !is_root {
            wrong.push(path);
        }
    }
    none(&wrong, "no module declares these files: list or delete them");
}

#[test]
fn the_engine_is_silent() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !SILENT.iter().any(|folder| path.starts_with(folder)) || is_test(&path) {
            continue;
        }
        for (number, line) in shipped_lines(&text) {
            let line = without_comment(line);
            if ["println!", "eprintln!", "print!", "eprint!", "dbg!"]
                .iter()
                .any(|p| line.contains(p))
            {
                wrong.push(format!("{path}:{number}"));
            }
        }
    }
    none(&wrong, "return it, or tell it through progress");
}

#[test]
fn nothing_is_left_to_do() {
    // Put together, so that this file is not its own finding.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| has_word(line, word)) {
                wrong.push(format!("{path}:{}", number + 1));
            }
        }
    }
    none(&wrong, "do it, or write it down where work is planned");
}

#[test]
fn sources_are_ascii() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (number, line) in shipped_lines(&text) {
            if !line.is_ascii() && !is_test(&path) {
                wrong.push(format!("{path}:{number}: {line}"));
            }
        }
    }
    none(&wrong, "write an escape, or plain words");
}

#[test]
fn unsafe_code_stands_where_it_is_expected() {
    let mut found = BTreeSet::new();
    for (path, text) in sources() {
        let is_unsafe = |line: &str| {
            let line = without_comment(line);
            !line.contains('"') && has_word(line, "unsafe")
        };
        if text.lines().any(is_unsafe) {
            found.insert(path);
        }
    }
    let wrong: Vec<_> =
        found.into_iter().filter(|path| !UNSAFE_FILES.contains(&path.as_str())).collect();
    none(&wrong, "find a safe way, or name the file in tests/suite/tidy.rs");
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let words = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!(".py", "env"),
        concat!("arti", "factory"),
        concat!("/home/", "user"),
    ];
    let mut wrong = Vec::new();
    for ending in [".rs", ".toml", ".md", ".py", ".txt", ".yml", ".trycmd", ".sh", ".lock"] {
        for path in files("", ending) {
            let shown = path.to_str().unwrap().to_owned();
            let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
            for (number, line) in text.lines().enumerate() {
                for word in words.iter().filter(|word| line.contains(*word)) {
                    wrong.push(format!("{shown}:{}: {word}", number + 1));
                }
            }
        }
    }
    none(&wrong, "name no place of one machine");
}

#[test]
fn no_file_is_big() {
    let mut wrong = Vec::new();
    for path in files("", "") {
        let bytes = std::fs::metadata(root().join(&path)).unwrap().len();
        if bytes > FILE_BYTES_MAX {
            wrong.push(format!("{}: {bytes} bytes", path.display()));
        }
    }
    none(&wrong, "make it when it is needed instead of checking it in");
}

#[test]
fn every_version_is_said_once() {
    let mut wrong = Vec::new();
    for path in files("", "Cargo.toml") {
        let path = path.to_str().unwrap();
        if path == "Cargo.toml" {
            continue;
        }
        let text = read(path);
        let mut is_list = false;
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('[') {
                is_list = line.contains("dependencies");
            } else if is_list
                && line.contains('=')
                && !["workspace = true", "{ path = "].iter().any(|said| line.contains(said))
                && !line.starts_with('#')
            {
                wrong.push(format!("{path}:{}: {line}", number + 1));
            }
        }
    }
    none(&wrong, "say versions in the root Cargo.toml, and `workspace = true` here");
}
