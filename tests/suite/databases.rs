//! Proves that databases come back as they were captured, that an hour costs about what changed,
//! and that no failed capture passes for a snapshot.

use std::ffi::OsString;
use std::path::Path;

use engine::source::sqlite::fingerprint;
use rusqlite::Connection;
use strongroom_tests::output::Output;
use strongroom_tests::{World, random};

use crate::world;

/// Makes a database of some megabytes.
fn database(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection
        .execute_batch("create table invoice (id integer primary key, customer text, scan blob)")
        .unwrap();
    connection.execute_batch("begin").unwrap();
    for number in 0..3000 {
        let scan = random::bytes(&format!("scan {number}"), 1500);
        let customer = format!("customer {number}");
        connection
            .execute("insert into invoice values (?1, ?2, ?3)", (number, customer, scan))
            .unwrap();
    }
    connection.execute_batch("commit").unwrap();
    connection
}

fn backup(world: &World, path: &Path, more: &[&str]) -> Output {
    let mut source = OsString::from("sqlite:");
    source.push(path);
    let arguments = [OsString::from("backup"), source];
    world.json(arguments.into_iter().chain(more.iter().map(OsString::from)))
}

fn snapshots(world: &World) -> usize {
    world.json(["snapshots"]).succeeds().of_type("snapshot").len()
}

#[test]
fn every_version_of_a_database_comes_back_and_costs_about_what_changed() {
    let world = world();
    let path = world.path("till.db");
    let connection = database(&path);
    world.init();
    let mut versions = Vec::new();
    for version in 0..10 {
        for number in 0..20 {
            let id = (version * 7919 + number * 151) % 3000;
            let name = format!("changed in {version}");
            connection
                .execute("update invoice set customer = ?1 where id = ?2", (name, id))
                .unwrap();
        }
        let output = backup(&world, &path, &[]).succeeds();
        let stored = output.number("bytes_stored");
        assert!(version == 0 || stored < 120_000, "version {version}: {stored} bytes");
        versions.push((output.field("snapshot_id"), fingerprint(&path).unwrap()));
    }
    for (number, (id, expected)) in versions.iter().enumerate() {
        let target = world.path(format!("restored-{number}"));
        let target = target.to_str().unwrap();
        world.run(["restore", id, "--target", target]).succeeds();
        let restored = Path::new(target).join("@streams/till.db");
        assert_eq!(fingerprint(&restored).unwrap(), *expected, "version {number}");
        let record = std::fs::read(Path::new(target).join("@streams/till.db.capture.json"));
        let record: serde_json::Value = serde_json::from_slice(&record.unwrap()).unwrap();
        assert_eq!(record["engine"], "sqlite");
        assert_eq!(record["tables"][0]["rows"], 3000);
    }
    world.run(["check", "--read-data"]).succeeds();
}

#[test]
fn a_database_that_nobody_wrote_to_is_not_captured_again() {
    let world = world();
    let path = world.path("till.db");
    drop(database(&path));
    world.init();
    backup(&world, &path, &[]).succeeds();
    // The one that was trusted least may be captured once more; then it is left alone.
    let again = backup(&world, &path, &[]).succeeds();
    assert!(again.number("bytes_stored") < 20_000);
    let target = world.target();
    world.run(["restore", "latest", "--target", target.to_str().unwrap()]).succeeds();
    assert_eq!(fingerprint(&target.join("@streams/till.db")).unwrap(), fingerprint(&path).unwrap());
}

#[test]
fn a_capture_that_fails_is_no_snapshot_unless_that_is_allowed() {
    let world = world();
    let path = world.path("till.db");
    std::fs::write(&path, vec![7; 200_000]).unwrap();
    std::fs::write(world.source().join("file"), b"beside it").unwrap();
    world.init();
    let output = backup(&world, &path, &[]);
    assert!(output.ends_with(1).error()["message"].as_str().unwrap().contains("till.db"));
    assert_eq!(snapshots(&world), 0);
    let source = world.source();
    let source = source.to_str().unwrap();
    backup(&world, &path, &[source, "--allow-partial"]).ends_with(3);
    assert_eq!(snapshots(&world), 1);
    world.run(["check", "--read-data"]).succeeds();
    backup(&world, &world.path("absent.db"), &[]).ends_with(1);
    assert_eq!(snapshots(&world), 1);
}

#[test]
fn a_stream_is_loaded_into_a_database_and_never_over_one_unasked() {
    let world = world();
    let path = world.path("till.db");
    let connection = database(&path);
    world.init();
    backup(&world, &path, &[]).succeeds();
    let expected = fingerprint(&path).unwrap();
    let load = |to: &Path, more: &[&str]| {
        let mut arguments = vec!["restore", "latest:@streams/till.db", "--to"];
        let url = format!("sqlite:{}", to.display());
        arguments.push(&url);
        arguments.extend(more);
        world.json(arguments)
    };
    let fresh = world.path("fresh.db");
    load(&fresh, &[]).succeeds();
    assert_eq!(fingerprint(&fresh).unwrap(), expected);
    connection.execute("delete from invoice where id < 100", []).unwrap();
    drop(connection);
    let before = fingerprint(&path).unwrap();
    load(&path, &[]).ends_with(23);
    assert_eq!(fingerprint(&path).unwrap(), before);
    load(&path, &["--overwrite", "always"]).succeeds();
    assert_eq!(fingerprint(&path).unwrap(), expected);
    // A folder is no database, and no stream either.
    world.json(["restore", "latest:@streams", "--to", "sqlite:x.db"]).ends_with(2);
    world.json(["restore", "latest", "--to", "postgres://h/d"]).ends_with(2);
}
