//! Proves what happens when the world around a backup is bad: a full disk, a repository that cannot
//! be written, files that cannot be read, and objects that were damaged.
//!
//! Nothing that was stored is lost, nothing is claimed that is not true, and the program says what
//! to do.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use strongroom_tests::{Tree, World, assert_same_tree, is_root, objects, random};

use crate::{world, world_of_a_user};

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one; none where that is not allowed.
    fn mount(path: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let options = std::ffi::CString::new(format!("size={size}")).unwrap();
        let mounted = mount("tmpfs", &path, "tmpfs", MountFlags::empty(), options.as_c_str());
        mounted.is_ok().then_some(Self(path))
    }

    fn remount(&self, size: &str, is_read_only: bool) {
        let flags = if is_read_only { MountFlags::RDONLY } else { MountFlags::empty() };
        mount_remount(&self.0, flags, format!("size={size}")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// Restores the newest snapshot and compares it with the source.
fn restores_the_source(world: &World) {
    std::fs::remove_dir_all(world.target()).unwrap();
    std::fs::create_dir(world.target()).unwrap();
    world.run(["restore", "latest", "--target", "target"]).succeeds();
    assert_same_tree(&world.source(), &world.restored());
}

#[test]
fn a_full_disk_is_an_error_and_the_next_run_with_room_goes_on() {
    let world = world();
    let Some(disk) = SmallDisk::mount(world.path("disk"), "12m") else {
        eprintln!("passed over: a small disk can only be mounted by root");
        return;
    };
    let world = world.at(disk.0.join("repository").to_str().unwrap().to_owned());
    let mut tree = Tree::new(world.source());
    tree.file("small", random::bytes("small", 1 << 20));
    world.init();
    let first = world.backup().field("snapshot_id");
    for number in 0..30 {
        tree.file(format!("{number}"), random::bytes(&number.to_string(), 1 << 20));
    }
    let source = world.source();
    let arguments = ["backup", source.to_str().unwrap()];
    world.run(arguments).ends_with(1).hints().says("room");
    let output = world.json(arguments).ends_with(1);
    assert_eq!(output.error()["kind"], "store_full", "{output}");
    let listed = world.json(["snapshots"]).succeeds().of_type("snapshot");
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["id"], first);
    disk.remount("80m", false);
    world.run(["check", "--read-data"]).succeeds();
    let landed = objects::total_bytes(&objects::under(&world, "packs/"));
    world.backup();
    let all = objects::total_bytes(&objects::under(&world, "packs/"));
    assert!(all < 33 << 20, "{landed} bytes had landed and {all} are there now");
    world.run(["check", "--read-data"]).succeeds();
    restores_the_source(&world);
}

#[test]
fn a_file_cut_off_by_a_limit_is_no_half_object() {
    let world = world();
    Tree::new(world.source()).file("big", random::bytes("big", 24 << 20));
    world.init();
    // A limit on the size of files stands for a disk that refuses to go on, for every user.
    let program = world.command().get_program().to_owned();
    let mut command = world.command();
    let line = "trap '' XFSZ; ulimit -f 2000; exec \"$@\"";
    let mut limited = std::process::Command::new("/bin/sh");
    limited.env_clear();
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap());
    }
    limited.args(["-c", line, "sh"]).arg(program).args(["--json", "backup"]).arg(world.source());
    command = limited;
    command.current_dir(world.path("")).stdin(std::process::Stdio::null());
    let output = strongroom_tests::Output::of(&mut command).ends_with(1);
    output.error();
    assert!(objects::under(&world, "packs/").is_empty(), "half a pack has the name of a whole one");
    world.run(["check", "--read-data"]).succeeds();
    world.backup();
    restores_the_source(&world);
}

#[test]
fn a_file_that_cannot_be_read_is_3_and_all_others_are_stored() {
    let world = world_of_a_user();
    let mut tree = Tree::new(world.source());
    tree.file("open", b"can be read").file("closed", b"cannot").directory("shut");
    tree.file("shut/in it", b"cannot either").mode("closed", 0).mode("shut", 0);
    if is_root() {
        for name in ["open", "closed", "shut"] {
            tree.owner(name, 65_534, 65_534);
        }
    }
    world.init();
    let source = world.source();
    let output = world.json(["backup", source.to_str().unwrap()]).ends_with(3);
    let summary = output.summary();
    assert_eq!(summary["unreadable"], 2, "{output}");
    assert!(summary["snapshot_id"].is_string(), "{output}");
    let warnings = output.of_type("warning");
    for name in ["closed", "shut"] {
        let path = source.join(name);
        let is_named = warnings.iter().any(|w| w["object"].as_str() == path.to_str());
        assert!(is_named, "no warning names {name}\n{output}");
    }
    let output = world.run(["backup", source.to_str().unwrap()]).ends_with(3);
    assert!(output.stderr.contains("closed") && output.stderr.contains("shut"), "{output}");
    let listed = world.json(["snapshots"]).succeeds().of_type("snapshot");
    assert!(listed.iter().all(|snapshot| snapshot["unreadable"] == 2), "{listed:?}");
    world.run(["restore", "latest", "--target", "target"]).succeeds();
    assert_eq!(std::fs::read(world.restored().join("open")).unwrap(), b"can be read");
    assert!(!world.restored().join("closed").exists(), "a file was made up");
    // Mended, it is stored by the next run.
    tree.mode("closed", 0o600).mode("shut", 0o700);
    world.backup();
}

#[test]
fn a_repository_that_cannot_be_written_is_read_all_the_same() {
    let world = world();
    Tree::new(world.source()).file("a", b"a");
    let Some(disk) = SmallDisk::mount(world.path("disk"), "12m") else {
        eprintln!("passed over: a small disk can only be mounted by root");
        return;
    };
    let world = world.at(disk.0.join("repository").to_str().unwrap().to_owned());
    world.init();
    world.backup();
    disk.remount("12m", true);
    Tree::new(world.source()).file("b", b"b");
    let source = world.source();
    let arguments = ["backup", source.to_str().unwrap()];
    world.run(arguments).ends_with(1).hints();
    let error = world.json(arguments).ends_with(1).error();
    assert_eq!(error["kind"], "store_read_only");
    std::fs::remove_file(world.source().join("b")).unwrap();
    world.run(["snapshots"]).succeeds();
    world.run(["check", "--read-data"]).succeeds();
    world.run(["restore", "latest", "--target", "target"]).succeeds();
    assert_eq!(std::fs::read(world.restored().join("a")).unwrap(), b"a");
}

#[test]
fn a_repository_of_someone_else_is_denied_by_name() {
    if !is_root() {
        eprintln!("passed over: only root can be two users");
        return;
    }
    let world = world_of_a_user();
    let user = Some(rustix::fs::Uid::from_raw(65_534));
    Tree::new(world.source()).file("a", b"a").owner("a", 65_534, 65_534);
    world.init();
    world.backup();
    for folder in folders(&world.repository()) {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
        rustix::fs::chown(&folder, Some(rustix::fs::Uid::from_raw(0)), None).unwrap();
    }
    Tree::new(world.source()).file("b", b"b").owner("b", 65_534, 65_534);
    let source = world.source();
    let output = world.json(["backup", source.to_str().unwrap()]).ends_with(1);
    assert_eq!(output.error()["kind"], "store_denied", "{output}");
    world.run(["snapshots"]).succeeds();
    for folder in folders(&world.repository()) {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        rustix::fs::chown(&folder, user, None).unwrap();
    }
    world.backup();
}

/// A folder and all below it.
fn folders(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while next < found.len() {
        for entry in std::fs::read_dir(&found[next]).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                found.push(entry.path());
            }
        }
        next += 1;
    }
    found
}
