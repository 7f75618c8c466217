//! Proves that a mounted snapshot is the source: to an independent walker, to the tools that people
//! use, and as an ordinary user as much as as root.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::Signal;
use strongroom_tests::mount::{is_mounted, shell};
use strongroom_tests::walker::walk;
use strongroom_tests::{Mount, Tree, World, assert_same_tree, everything, is_root, random};

use crate::{world, world_of_a_user};

/// A world whose source holds everything, backed up.
fn full_world(world: World) -> World {
    let mut tree = Tree::new(world.source());
    everything::build(&mut tree);
    world.init();
    world.json(["backup", "--host", "here", world.source().to_str().unwrap()]).succeeds();
    world
}

/// Checksums of every file, sorted by path.
fn checksums(folder: &Path) -> String {
    shell(folder, "find . -type f -print0 | sort -z | xargs -0 sha256sum").succeeds().text()
}

#[test]
fn the_mounted_tree_is_the_source() {
    let world = full_world(world());
    let captured = checksums(&world.source());
    let mount = Mount::new(&world, &[]);
    let newest = mount.newest(&world);
    assert_same_tree(&world.source(), &newest);
    // Again from what the kernel has kept.
    assert_same_tree(&world.source(), &newest);
    assert_eq!(checksums(&newest), captured);
    let (code, stderr) = mount.end_by(Signal::TERM);
    assert_eq!((code, is_mounted(&world.path("mnt"))), (Some(0), false), "{stderr}");
    assert!(!stderr.contains("warning"), "{stderr}");
}

#[test]
fn counts_sizes_and_blocks_are_those_of_the_source() {
    let world = full_world(world());
    let mount = Mount::new(&world, &[]);
    let newest = mount.newest(&world);
    for (path, entry) in walk(&world.source()) {
        let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(&path[..]);
        let source = world.source().join(name).symlink_metadata().unwrap();
        let shown = newest.join(name).symlink_metadata().unwrap();
        assert!(source.size() == shown.size() || source.is_dir(), "{name:?}");
        if entry.links.is_some() {
            assert_eq!(source.nlink(), shown.nlink(), "{name:?}");
        }
        if source.is_file() && path.starts_with(b"sparse/") {
            assert_eq!(source.blocks(), shown.blocks(), "{name:?}");
        }
    }
}

#[test]
fn the_tools_of_people_see_the_source() {
    let world = full_world(world());
    shell(&world.source(), "find . -type f -print0 | xargs -0 sha256sum > ../sums").succeeds();
    let mount = Mount::new(&world, &[]);
    let newest = mount.newest(&world);
    let (from, to) = (newest.to_str().unwrap(), world.target().join("copy"));
    let to = to.to_str().unwrap();
    let source = world.source();
    let source = source.to_str().unwrap();

    // cp makes holes of zeros where it sees fit, so it is held against itself.
    shell(&world.path(""), &format!("cp -a {source} expected && cp -a {from} {to}")).succeeds();
    assert_same_tree(&world.path("expected"), Path::new(to));
    let rsync = format!("rsync -aHAX --checksum --dry-run --itemize-changes {from}/ {source}/");
    let changes = shell(&world.path(""), &rsync).succeeds().text();
    // Access lists that need nothing beyond the mode are all that rsync may have to say.
    assert_eq!(changes, "", "rsync sees differences");
    let tar = format!(
        "mkdir untarred && tar -C {from} --xattrs --acls -S --warning=no-file-ignored -cf - . | \
         tar -C untarred --xattrs --xattrs-include='*' --acls -xpf -"
    );
    shell(&world.path(""), &tar).succeeds();
    let mut listed = walk(&world.source());
    // tar takes no sockets.
    listed.retain(|_, entry| entry.nature != strongroom_tests::walker::Nature::Socket);
    let untarred = walk(&world.path("untarred"));
    assert_eq!(listed.len(), untarred.len());
    let grep = "grep -r --binary-files=text -c strongroom . | sort";
    assert_eq!(
        shell(&newest, grep).text(),
        shell(&world.source(), grep).text(),
        "grep sees differences"
    );
    let sums = world.path("sums");
    shell(&newest, &format!("sha256sum --quiet -c {}", sums.display())).succeeds();
    let newer = "find . -newer times/one-nanosecond | sort";
    let expected = shell(&world.source(), newer).succeeds().text();
    assert!(expected.lines().count() > 100);
    assert_eq!(shell(&newest, newer).succeeds().text(), expected);
}

#[test]
fn an_ordinary_user_mounts_through_fusermount3() {
    let world = world_of_a_user();
    let mut tree = Tree::new(world.source());
    tree.directory("folder").file("folder/file", random::bytes("file", 3 << 20));
    tree.file("small", b"small").symlink("link", "small").time("", 1_600_000_000, 7).finish();
    shell(&world.source(), "chown -R --reference=. .").succeeds();
    world.init();
    world.backup();
    let mount = Mount::new(&world, &[]);
    assert!(is_mounted(&mount.target));
    let options = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = options.lines().find(|line| line.contains(mount.target.to_str().unwrap())).unwrap();
    for option in ["ro", "nosuid", "nodev", "noexec", "default_permissions"] {
        assert!(line.split([' ', ',']).any(|word| word == option), "{option} is not in {line}");
    }
    if is_root() {
        // Not even root looks into what belongs to a user alone.
        assert!(std::fs::read_dir(&mount.target).is_err());
        let user = 65_534;
        let compare = format!(
            "setpriv --reuid {user} --regid {user} --clear-groups \
             diff -r --no-dereference {} {}",
            world.source().display(),
            mount.newest(&world).display()
        );
        shell(Path::new("/"), &compare).succeeds();
    } else {
        assert_same_tree(&world.source(), &mount.newest(&world));
    }
    let target = mount.target.clone();
    let (code, stderr) = mount.end_by(Signal::INT);
    assert_eq!((code, is_mounted(&target)), (Some(0), false), "{stderr}");
}

#[test]
fn without_foreground_the_mount_outlives_the_command() {
    let world = world();
    Tree::new(world.source()).file("file", b"here").finish();
    world.init();
    world.backup();
    let target = world.path("mnt");
    std::fs::create_dir(&target).unwrap();
    let output = world.json(["mount", "mnt"]).succeeds();
    assert_eq!(output.lines()[0]["type"], "mounted");
    assert!(is_mounted(&target));
    let file = target.join("latest").join(world.source().strip_prefix("/").unwrap()).join("file");
    assert_eq!(std::fs::read(file).unwrap(), b"here");
    // Someone takes it away, and the program ends.
    let number = output.summary()["process"].as_i64().unwrap();
    let number = rustix::process::Pid::from_raw(i32::try_from(number).unwrap()).unwrap();
    let handle = rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty()).unwrap();
    shell(Path::new("/"), &format!("umount {}", target.display())).succeeds();
    let mut wait = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
    let time = rustix::event::Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut wait, Some(&time)).unwrap(), 1, "it does not end");
    assert!(!is_mounted(&target));
}

#[test]
fn what_cannot_be_mounted_is_said_before_anything_is_done() {
    let world = world();
    Tree::new(world.source()).file("file", b"here").finish();
    world.run(["mount", "mnt"]).ends_with(10).hints();
    world.init();
    world.backup();
    for flags in [&["--foreground"][..], &[]] {
        let arguments = |place: &str| {
            let mut list = vec!["mount".to_owned(), place.to_owned()];
            list.extend(flags.iter().map(|flag| (*flag).to_owned()));
            list
        };
        world.run(arguments("nowhere")).ends_with(23).says("nowhere");
        world.run(arguments("source/file")).ends_with(23).says("not a folder");
    }
    let arguments = ["mount", "target", "--foreground", "--snapshot", "abcd1234"];
    world.run(arguments).ends_with(1).says("abcd1234");
    assert!(!is_mounted(&world.target()));
}
