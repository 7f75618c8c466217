//! Proves how each command ends: the exit codes that scripts know, an error and a hint for people,
//! and JSON Lines that a program can read to the end.

use std::ffi::OsStr;
use std::process::Stdio;

use strongroom_tests::{Output, Tree, World, objects};

use crate::world;

/// A world with a repository and a small source.
fn with_repository() -> World {
    let world = world();
    let mut tree = Tree::new(world.source());
    tree.file("a", b"first").directory("folder").file("folder/b", vec![7; 5000]);
    world.init();
    world
}

/// Runs a command line twice, for people and for programs, and expects the same end.
#[track_caller]
fn fails(world: &World, arguments: &[&str], code: i32) -> Output {
    world.run(arguments).ends_with(code).hints();
    let output = world.json(arguments).ends_with(code);
    output.summary();
    let error = output.error();
    assert!(error["hint"].is_string(), "no hint\n{output}");
    output
}

#[test]
fn a_wrong_password_is_12() {
    let world = with_repository();
    let mut command = world.command();
    let output = Output::of(command.env("STRONGROOM_PASSWORD", "wrong").arg("snapshots"));
    output.ends_with(12).hints();
    let world = world.with("STRONGROOM_PASSWORD", "wrong too");
    assert_eq!(fails(&world, &["snapshots"], 12).error()["kind"], "wrong_password");
}

#[test]
fn a_missing_password_without_a_terminal_is_12() {
    let world = with_repository();
    let mut command = world.command();
    Output::of(command.env_remove("STRONGROOM_PASSWORD").arg("snapshots")).ends_with(12).hints();
}

#[test]
fn no_repository_is_10() {
    let world = world();
    fails(&world, &["snapshots"], 10);
    std::fs::create_dir(world.repository()).unwrap();
    fails(&world, &["snapshots"], 10);
    let source = world.source();
    fails(&world, &["backup", source.to_str().unwrap()], 10);
    let left = objects::all(&world);
    assert!(left.is_empty(), "a failed command left {left:?}");
}

#[test]
fn a_newer_repository_is_13_and_is_not_called_damaged() {
    let world = with_repository();
    let name = repo_format::ObjectName::marker();
    let path = world.repository().join(name.as_str());
    let marker = std::fs::read_to_string(&path).unwrap();
    assert!(marker.contains("format: 1\n"), "{marker}");
    std::fs::write(&path, marker.replace("format: 1\n", "format: 2\n")).unwrap();
    let before = objects::all(&world);
    for arguments in [&["snapshots"][..], &["backup", "source"], &["check"]] {
        let output = fails(&world, arguments, 13);
        assert_eq!(output.error()["kind"], "newer_format", "{output}");
    }
    assert_eq!(objects::all(&world), before);
}

#[test]
fn a_second_init_is_refused_and_changes_nothing() {
    let world = with_repository();
    let before = objects::all(&world);
    fails(&world, &["init"], 1);
    assert_eq!(objects::all(&world), before);
    world.run(["snapshots"]).succeeds();
}

#[test]
fn nonsense_is_2() {
    let world = with_repository();
    for arguments in [
        &["no-such-command"][..],
        &["backup"],
        &["backup", "--no-such-flag", "x"],
        &["snapshots", "--latest", "many"],
        &["backup", "--stdin"],
        &["--max-memory", "lots", "snapshots"],
        &["backup", "gopher://x"],
    ] {
        let output = world.run(arguments).ends_with(2);
        assert!(output.stdout.is_empty() && output.stderr.contains("error: "), "{output}");
        let output = world.json(arguments).ends_with(2);
        output.summary();
        output.error();
    }
}

#[test]
fn a_source_that_is_missing_is_no_success() {
    let world = with_repository();
    let missing = world.path("no such folder");
    let output = world.json(["backup", missing.to_str().unwrap()]);
    assert!(matches!(output.code, Some(1 | 3)), "{output}");
    output.summary();
    assert!(output.text().contains("no such folder"), "the source is not named\n{output}");
    let output = world.run(["backup", missing.to_str().unwrap()]);
    assert!(output.stderr.contains("no such folder"), "the source is not named\n{output}");
    // One that is there and one that is not: what is there is stored, and the code says that it is
    // not all, or nothing is stored and the command failed.
    let source = world.source();
    let output = world.json(["backup", source.to_str().unwrap(), missing.to_str().unwrap()]);
    assert!(matches!(output.code, Some(1 | 3)), "{output}");
}

#[test]
fn a_kind_of_address_that_is_not_known_is_named() {
    for place in ["gopher://host/x", "s3:bucket", "s3://"] {
        let world = world().at(place);
        let output = world.run(["snapshots"]);
        assert!(matches!(output.code, Some(2 | 20)), "{output}");
        let output = output.hints();
        assert!(output.stderr.contains(place.split(':').next().unwrap()), "{output}");
    }
}

#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    let world = world().at("s3://user:hunter2@bucket/x");
    for output in [world.run(["snapshots"]), world.json(["init"])] {
        assert!(output.code != Some(0), "{output}");
        assert!(!output.stderr.contains("hunter2") && !output.text().contains("hunter2"));
    }
}

#[test]
fn a_beginning_of_an_id_is_never_guessed_from() {
    let world = with_repository();
    let ids: Vec<String> = (0..3).map(|_| world.backup().field("snapshot_id")).collect();
    let source = world.source();
    let source = source.to_str().unwrap();
    // One digit may fit one snapshot today and two tomorrow.
    let output = fails(&world, &["backup", "--parent", &ids[0][..1], source], 1);
    let error = output.error();
    assert!(error["kind"] == "not_found" || error["kind"] == "ambiguous_name", "{output}");
    let output = fails(&world, &["backup", "--parent", "0123456789abcdef", source], 1);
    assert_eq!(output.error()["kind"], "not_found");
    let output = world.json(["backup", "--parent", &ids[0][..12], source]).succeeds();
    assert_eq!(output.field("parent_id"), ids[0]);
    fails(&world, &["backup", "--parent", "no time at all", source], 2);
}

#[test]
fn every_command_writes_whole_json_lines_and_one_summary() {
    let world = with_repository();
    world.backup();
    let source = world.source();
    let source = source.to_str().unwrap();
    for arguments in [
        &["init"][..],
        &["init", "--dry-run"],
        &["backup", source],
        &["backup", "--dry-run", source],
        &["backup", "-v", source],
        &["snapshots"],
        &["snapshots", "--group-by", "host,paths,tags"],
        &["ls", "latest"],
        &["ls", "-l", "latest", "/"],
        &["find", "*b*"],
        &["diff", "latest", "latest"],
        &["check"],
        &["check", "--read-data"],
        &["stats"],
        &["history"],
        &["key", "list"],
        &["restore", "latest", "--target", "target"],
        &["restore", "no-such", "--target", "target"],
    ] {
        let output = world.json(arguments);
        let summary = output.summary();
        assert_eq!(summary["command"], arguments[0], "{output}");
        assert!(output.code.is_some_and(|code| code != 101), "{output}");
        if output.code != Some(0) {
            output.error();
        }
    }
}

#[test]
fn an_unchanged_second_backup_adds_next_to_nothing() {
    let world = with_repository();
    let mut tree = Tree::new(world.source());
    for number in 0..500 {
        tree.file(format!("{number}"), format!("file {number}"));
    }
    world.backup();
    let before = objects::all(&world);
    let output = world.backup();
    let added = objects::total_bytes(&objects::added(&before, &objects::all(&world)));
    assert!(added < 10_000, "{added} bytes were added");
    assert_eq!(output.number("files_new") + output.number("files_changed"), 0, "{output}");
    assert_eq!(output.number("bytes_read"), 0, "unchanged files were read again\n{output}");
}

#[test]
fn a_snapshot_is_listed_with_what_was_said_about_it() {
    let world = with_repository();
    let source = world.source();
    let arguments = ["backup", "--tag", "b,a", "--host", "here", "--label", "two\nlines"];
    let output = world.json(arguments.map(OsStr::new).iter().copied().chain([source.as_os_str()]));
    let id = output.succeeds().field("snapshot_id");
    let listed = world.json(["snapshots"]).succeeds();
    let snapshot = &listed.of_type("snapshot")[0];
    assert_eq!(snapshot["id"], id);
    assert_eq!(snapshot["host"], "here");
    assert_eq!(snapshot["tags"], serde_json::json!(["a", "b"]));
    assert_eq!(snapshot["label"], "two\nlines");
    assert_eq!(snapshot["sources"][0], source.to_str().unwrap());
    assert_eq!(snapshot["files"], 2);
    assert_eq!(snapshot["bytes"], 5005);
    assert!(world.json(["snapshots", "--host", "other"]).of_type("snapshot").is_empty());
    assert!(world.json(["snapshots", "--tag", "c"]).of_type("snapshot").is_empty());
    assert_eq!(world.json(["snapshots", "--tag", "b"]).of_type("snapshot").len(), 1);
}

#[test]
fn a_dry_run_stores_nothing() {
    let world = with_repository();
    let before = objects::all(&world);
    let source = world.source();
    let output = world.json(["backup", "--dry-run", source.to_str().unwrap()]).succeeds();
    assert_eq!(output.summary()["dry_run"], true);
    assert_eq!(objects::all(&world), before);
    assert!(world.json(["snapshots"]).succeeds().of_type("snapshot").is_empty());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let world = with_repository();
    for _ in 0..3 {
        world.backup();
    }
    for arguments in [&["snapshots"][..], &["--json", "snapshots"], &["--help"]] {
        let mut command = world.command();
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = Output::new(format!("{arguments:?}"), child.wait_with_output().unwrap());
        let output = output.succeeds();
        assert!(output.stderr.is_empty(), "{output}");
    }
}

#[test]
fn names_cannot_steer_a_terminal() {
    let world = with_repository();
    let mut tree = Tree::new(world.source());
    for name in strongroom_tests::everything::odd_names() {
        tree.file(&name, b"x").symlink([&name[..250.min(name.len())], b".lnk"].concat(), &name);
    }
    let source = world.source();
    let source = source.to_str().unwrap();
    for arguments in [
        &["backup", "-vv", source][..],
        &["--json", "backup", "--force", "-vv", source],
        &["ls", "-l", "--recursive", "latest"],
        &["--json", "ls", "--recursive", "latest"],
        &["find", "*"],
    ] {
        let output = world.run(arguments);
        for (stream, text) in [("stdout", output.text()), ("stderr", output.stderr.clone())] {
            let is_bad = |c: &char| c.is_control() && *c != '\n' || *c == '\u{202e}';
            let bad = text.chars().find(is_bad);
            assert!(bad.is_none(), "{bad:?} in {stream} of {arguments:?}\n{text:?}");
        }
    }
}

#[test]
fn streams_are_stored_and_a_failing_one_fails_the_snapshot() {
    let world = with_repository();
    let arguments = ["--json", "backup", "--stdin", "--stdin-filename", "dump.sql"];
    let output = world.feed(arguments, &vec![b'x'; 3 << 20]).succeeds();
    assert_eq!(output.number("bytes_total"), 3 << 20, "{output}");
    assert_eq!(output.summary()["streams"][0]["name"], "dump.sql");
    world.run(["backup", "--command", "fine=echo fine"]).succeeds();
    let before = world.json(["snapshots"]).of_type("snapshot").len();
    fails(&world, &["backup", "--command", "bad=echo half; exit 3"], 1);
    assert_eq!(world.json(["snapshots"]).of_type("snapshot").len(), before);
}
