//! Proves that snapshots go when they are told to and no sooner: forgetting, holding and pruning
//! through the shipped program, and processes that do it all at once and are killed.

use std::time::Duration;

use strongroom_tests::objects::{self, total_bytes};
use strongroom_tests::process::Watch;
use strongroom_tests::servers::{Moto, S3};
use strongroom_tests::{Tree, World, assert_same_tree, random};

use crate::world;

/// Rounds of each process in the default run.
const ROUNDS: u64 = 6;
/// Between two looks at a process that is to be killed; its end ends the wait early.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// Makes a world with three snapshots of changing files; gives their ids, the oldest first.
fn three_snapshots(world: &World) -> Vec<String> {
    world.init();
    let ids = (0..3).map(|number| {
        let mut tree = Tree::new(world.source());
        tree.file("same", random::bytes("same", 2 << 20));
        tree.file("changing", random::bytes(&format!("changing {number}"), 2 << 20));
        world.backup().field("snapshot_id")
    });
    ids.collect()
}

fn snapshots(world: &World) -> u64 {
    world.json(["snapshots"]).succeeds().number("snapshots")
}

#[test]
fn what_is_forgotten_goes_after_a_prune_and_the_rest_comes_back() {
    for server in [None, Some(Moto::start())] {
        let world = match &server {
            None => world(),
            Some(moto) => moto.host(world()),
        };
        three_snapshots(&world);
        let before = total_bytes(&objects::all(&world));
        let dry = world.json(["forget", "--keep-last", "1", "--dry-run"]).succeeds();
        assert_eq!((dry.number("forgotten"), dry.number("kept")), (2, 1), "{dry}");
        assert_eq!(snapshots(&world), 3);
        world.json(["forget", "--keep-last", "1", "--reason", "small disk"]).succeeds();
        assert_eq!(snapshots(&world), 1);
        let pruned = world.json(["prune", "--grace", "0", "--max-unused", "0%"]).succeeds();
        assert!(pruned.number("deleted_bytes") > 3 << 20, "{pruned}");
        let after = total_bytes(&objects::all(&world));
        assert!(after + (3 << 20) < before, "{after} of {before} bytes are left");
        world.json(["check", "--read-data"]).succeeds();
        world.json(["restore", "latest", "--target", "target"]).succeeds();
        assert_same_tree(&world.source(), &world.restored());
        // With nothing to do nothing is written.
        world.json(["prune", "--grace", "0", "--max-unused", "0%"]).succeeds();
        let names = objects::all(&world);
        let idle = world.json(["prune", "--grace", "0", "--max-unused", "0%"]).succeeds();
        assert!(idle.text().contains("\"idle\":true"), "{idle}");
        assert_eq!(objects::all(&world), names);
    }
}

#[test]
fn held_and_retained_snapshots_stay_and_a_forget_is_taken_back() {
    let world = world();
    let ids = three_snapshots(&world);
    world.json(["hold", "add", &ids[0], "--reason", "audit"]).succeeds();
    world.json(["hold", "add", &ids[1], "--reason", "law", "--until", "2090-01-01"]).succeeds();
    let held = world.json(["hold", "list"]).succeeds();
    assert_eq!(held.number("snapshots"), 2, "{held}");
    let kept = world.json(["forget", "--keep-last", "1"]).succeeds();
    assert_eq!((kept.number("forgotten"), kept.number("kept")), (0, 3), "{kept}");
    world.run(["forget", &ids[0]]).ends_with(23).says("audit");
    world.run(["forget", &ids[1]]).ends_with(23).says("retained");
    world
        .run(["hold", "remove", &ids[1], "--reason", "no"])
        .ends_with(23)
        .says("never be shortened");
    world.json(["hold", "remove", &ids[0], "--reason", "over"]).succeeds();
    world.json(["forget", &ids[0]]).succeeds();
    assert_eq!(snapshots(&world), 2);
    // Condemned and not yet deleted: it can be taken back, and then it stays.
    world.json(["prune", "--max-unused", "0%"]).succeeds();
    world.json(["forget", "--undo", &ids[0], "--reason", "a mistake"]).succeeds();
    assert_eq!(snapshots(&world), 3);
    world.json(["prune", "--grace", "0", "--max-unused", "0%"]).succeeds();
    world.json(["check", "--read-data"]).succeeds();
    world.json(["restore", &ids[0], "--target", "target"]).succeeds();
    let log = world.run(["history"]).succeeds();
    for word in ["forget", "hold", "release", "a mistake"] {
        assert!(log.text().contains(word), "{log}");
    }
}

/// Runs the program and kills it after so many looks, or lets it end.
fn run_until(world: &World, arguments: &[&str], looks: Option<u64>) -> Option<i32> {
    let mut command = world.command();
    command.args(["--json", "--progress", "none"]).args(arguments);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut watch = Watch::new(&child);
    let mut seen = 0;
    while !watch.ended_within(LOOK_EVERY) {
        seen += 1;
        if looks.is_some_and(|looks| seen >= looks) {
            watch.kill();
        }
    }
    child.wait().unwrap().code()
}

/// Looks after which a process is killed; every second one ends by itself.
fn looks(who: &str, round: u64) -> Option<u64> {
    (random::below(who, round, 2) == 0).then(|| 1 + random::below(who, 1000 + round, 1500))
}

fn write(world: &World, who: usize, rounds: u64) {
    for round in 0..rounds {
        let mut tree = Tree::new(world.source());
        // Content that comes and goes, the same on both machines.
        let shared = random::bytes(&format!("shared {}", round % 3), 1 << 20);
        tree.file("shared", shared);
        tree.file("own", random::bytes(&format!("own {who} {round}"), 200_000));
        let source = world.source();
        let looks = looks(&format!("writer {who}"), round);
        let code = run_until(world, &["backup", source.to_str().unwrap()], looks);
        assert!(code.is_none_or(|code| code != 101), "writer {who}, round {round}");
    }
}

fn prune(world: &World, who: usize, rounds: u64) {
    for round in 0..rounds {
        run_until(world, &["forget", "--keep-last", "2"], None);
        let looks = looks(&format!("pruner {who}"), round);
        let arguments = ["prune", "--grace", "0", "--max-unused", "0%"];
        let code = run_until(world, &arguments, looks);
        assert!(code.is_none_or(|code| code != 101), "pruner {who}, round {round}");
    }
}

fn read(world: &World, rounds: u64) {
    for _ in 0..rounds {
        // What a prune without grace takes from under it is no snapshot of now.
        let code = run_until(world, &["restore", "latest", "--target", "target"], None);
        assert!(code.is_none_or(|code| code != 101));
    }
}

/// All of it at once, over one repository; then everything that is there must be whole.
fn all_at_once(worlds: &[World], rounds: u64) {
    worlds[0].init();
    write(&worlds[0], 0, 1);
    std::thread::scope(|scope| {
        for (who, world) in worlds.iter().enumerate() {
            scope.spawn(move || match who {
                0 | 1 => write(world, who, rounds),
                2 | 3 => prune(world, who, rounds),
                _ => read(world, rounds),
            });
        }
    });
    let last = &worlds[0];
    // No lock is to be cleared, and whatever was killed is gone on with.
    let source = last.source();
    last.json(["backup", source.to_str().unwrap()]).succeeds();
    for _ in 0..3 {
        last.json(["prune", "--grace", "0", "--max-unused", "0%"]).succeeds();
    }
    last.json(["check", "--read-data"]).succeeds();
    last.json(["restore", "latest", "--target", "target"]).succeeds();
    assert_same_tree(&last.source(), &last.restored());
    let listed = last.json(["snapshots"]).succeeds();
    for (number, object) in listed.of_type("snapshot").iter().enumerate() {
        let target = format!("target-{number}");
        let id = object["id"].as_str().unwrap();
        last.json(["restore", id, "--verify", "--target", &target]).succeeds();
    }
}

/// Worlds of five machines with one repository.
fn machines(place: &str) -> Vec<World> {
    (0..5).map(|_| world().at(place)).collect()
}

fn rounds() -> u64 {
    if std::env::var_os("STRONGROOM_TEST_BIG").is_some() { 150 } else { ROUNDS }
}

#[test]
fn writers_pruners_and_a_reader_killed_at_random_leave_everything_whole() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("repository");
    all_at_once(&machines(place.to_str().unwrap()), rounds());
}
