//! Proves that a backup may be killed at any moment: what was stored before stays sound, and the
//! next run ends well and uploads only what had not landed.
//!
//! Moments are counted in progress, by bytes read and objects stored, never in time.

use std::process::Child;
use std::time::Duration;

use strongroom_tests::objects::{self, Objects, total_bytes};
use strongroom_tests::process::Watch;
use strongroom_tests::servers::{Moto, S3, S3sFs};
use strongroom_tests::{Tree, World, assert_same_tree, random};

use crate::world;

/// Moments at which a backup is killed, on each store.
const MOMENTS: u64 = 20;
/// Between two looks at the progress; the end of the process ends the wait early.
const LOOK_EVERY: Duration = Duration::from_micros(300);
/// Stored again at most beside what had not landed: records of the second run, and blobs whose
/// place in an unfinished pack is new.
const SLACK_BYTES: u64 = 512 << 10;

/// A moment of a backup.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So many bytes went through the process.
    Bytes(u64),
    /// So many objects were in the store.
    Objects(usize),
}

/// Bytes that a process has read and written so far.
fn bytes_of(child: &Child) -> u64 {
    let path = format!("/proc/{}/io", child.id());
    // A process that has just ended has no such file, and that is seen elsewhere.
    let Ok(text) = std::fs::read_to_string(path) else { return 0 };
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    number("rchar:") + number("wchar:")
}

/// Runs a backup and kills it at a moment; says how many bytes went through it.
fn backup_until(world: &World, moment: Moment) -> u64 {
    let mut command = world.command();
    // Few files for output, so that its size does not count as progress.
    command.args(["--json", "--progress", "none", "backup"]).arg(world.source());
    let mut child = command.spawn().unwrap();
    let mut watch = Watch::new(&child);
    let mut seen = 0;
    while !watch.ended_within(LOOK_EVERY) {
        seen = bytes_of(&child).max(seen);
        let is_time = match moment {
            Moment::Bytes(bytes) => seen >= bytes,
            Moment::Objects(count) => objects::all(world).len() >= count,
        };
        if is_time {
            watch.kill();
        }
    }
    child.wait().unwrap();
    seen
}

/// Fills the source with files of many sizes; the first half compresses.
fn fill(world: &World) {
    let mut tree = Tree::new(world.source());
    for folder in 0..10 {
        tree.directory(format!("{folder}"));
        for number in 0..20_usize {
            let (name, length) = (format!("{folder}/{number}"), 1000 + number * number * 1500);
            let bytes =
                if folder < 5 { random::text(&name, length) } else { random::bytes(&name, length) };
            tree.file(&name, bytes);
        }
    }
    tree.file("big", random::bytes("big", 12 << 20));
}

fn is_pack(name: &str) -> bool {
    name.starts_with("packs/") || name.starts_with("meta/")
}

fn pack_bytes(objects: &Objects) -> u64 {
    objects.iter().filter(|(name, _)| is_pack(name)).map(|(_, bytes)| bytes).sum()
}

/// A world in a place of its own, with a new repository and the source of the first.
fn fresh(host: &dyn Fn(World, &str) -> World, name: &str) -> World {
    let world = host(world(), name);
    fill(&world);
    world.init();
    world
}

/// Kills backups at many moments, each in a repository of its own.
fn survives(host: &dyn Fn(World, &str) -> World) {
    let whole = fresh(host, "whole");
    let at_start = objects::all(&whole).len();
    let bytes = backup_until(&whole, Moment::Bytes(u64::MAX));
    let all = objects::all(&whole);
    assert!(all.len() > at_start, "the backup that nobody killed stored nothing");
    for number in 0..MOMENTS {
        // The last objects of a backup are where its order matters most.
        let moment = if number % 3 == 2 {
            let span = (all.len() - at_start) as u64;
            let more = random::below("objects", number, span);
            Moment::Objects(at_start + 1 + usize::try_from(more).unwrap())
        } else {
            Moment::Bytes(random::below("bytes", number, bytes))
        };
        let world = fresh(host, &format!("moment-{number}"));
        let before = objects::all(&world);
        backup_until(&world, moment);
        let landed = objects::all(&world);
        for name in before.keys() {
            assert!(landed.contains_key(name), "{moment:?}: {name} was there before and is gone");
        }
        let listed = world.json(["snapshots"]).succeeds().of_type("snapshot").len();
        let output = world.backup();
        let after = objects::all(&world);
        let (new, whole) = (total_bytes(&objects::added(&landed, &after)), pack_bytes(&all));
        let missing = whole.saturating_sub(pack_bytes(&landed));
        assert!(
            new <= missing + SLACK_BYTES,
            "{moment:?}: {new} bytes were uploaded where {missing} had not landed\n{output}"
        );
        let snapshots = world.json(["snapshots"]).succeeds().of_type("snapshot").len();
        assert_eq!(snapshots, listed + 1, "{moment:?}");
        let output = world.json(["check", "--read-data"]).succeeds();
        assert!(output.of_type("finding").is_empty(), "{moment:?}\n{output}");
        if number % 5 == 0 {
            world.json(["restore", "latest", "--target", "target"]).succeeds();
            assert_same_tree(&world.source(), &world.restored());
        }
    }
}

#[test]
fn a_backup_to_a_folder_may_be_killed_at_any_moment() {
    survives(&|world, _| world);
}

#[test]
fn a_backup_to_moto_may_be_killed_at_any_moment() {
    let moto = Moto::start();
    survives(&|world, name| moto.host(world).at(moto.place(name)));
}

#[test]
fn a_backup_to_s3s_fs_may_be_killed_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let server = S3sFs::start(folder.path());
    survives(&|world, name| server.host(world).at(server.place(name)));
}
