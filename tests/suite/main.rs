//! The suite: promises of two rooms and more, on real servers, through the shipped program.
//!
//! A file of this folder that is not listed here is a test that never runs, so that fails too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "every function here belongs to a test"
)]

mod backup_restore;
mod big;
mod commands;
mod damage;
mod databases;
mod every_byte;
mod floors;
mod harness;
mod hostile;
mod kill;
mod matrix;
mod mount;
mod mount_trouble;
mod mount_views;
mod prune_model;
mod races;
mod reader;
mod repositories;
mod retention;
mod rollback;
mod spec;
mod spec_bytes;
mod store_conformance;
mod tidy;
mod transcripts;
mod trouble;
mod vectors;

use strongroom_tests::World;
use strongroom_tests::repository_tree;

/// A new world around the shipped program.
fn world() -> World {
    World::new(env!("CARGO_BIN_EXE_strongroom"))
}

/// A world for a test that runs the program as another user where the suite runs as root.
fn world_of_a_user() -> World {
    if strongroom_tests::is_root() { world().as_user(65_534) } else { world() }
}

#[test]
fn no_file_is_forgotten() {
    let list = repository_tree::read("tests/suite/main.rs");
    let mut forgotten = Vec::new();
    for path in repository_tree::files("tests/suite", ".rs") {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name != "main" && !list.contains(&format!("\nmod {name};\n")) {
            forgotten.push(name);
        }
    }
    assert!(forgotten.is_empty(), "not listed in tests/suite/main.rs: {forgotten:?}");
}
