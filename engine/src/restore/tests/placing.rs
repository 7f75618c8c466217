//! Where things go, what is there already, and what must stay untouched.

use std::os::unix::fs::{MetadataExt, symlink as make_link};

use super::*;

fn inode(path: &Path) -> u64 {
    std::fs::symlink_metadata(path).unwrap().ino()
}

fn big(seeds: impl IntoIterator<Item = u64>) -> Item {
    parts(seeds.into_iter().map(|seed| Part::Bytes(noise(seed, 500_000))).collect())
}

#[test]
fn a_path_of_the_snapshot_goes_straight_into_the_target() {
    let world = World::new([(
        "a",
        folder([("b", file("x")), ("c", folder([("d", file("y"))]))]).mode(0o711),
    )]);
    let path = Some(b"/src/a/".to_vec());
    assert_sound(&world.run(&Options { path, ..world.options() }));
    assert_eq!(world.names(""), ["b", "c"]);
    assert_eq!(world.read("c/d"), b"y");
    // The target was made by the restore, so it is the folder itself.
    assert_eq!(std::fs::metadata(world.target()).unwrap().mode() & 0o7777, 0o711);
}

#[test]
fn a_file_of_the_snapshot_goes_into_the_target_and_nothing_there_is_removed() {
    let world = World::new([("a", folder([("b", file("x")), ("c", file("y"))]))]);
    std::fs::create_dir(world.target()).unwrap();
    std::fs::write(world.path("other"), "kept").unwrap();
    let path = Some(b"src/a/b".to_vec());
    assert_sound(&world.run(&Options { path, delete: true, ..world.options() }));
    assert_eq!(world.names(""), ["b", "other"]);
    assert_eq!(world.read("b"), b"x");
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let world = World::new([("a", file("x"))]);
    let kind = |path: &str| {
        let options = Options { path: Some(path.into()), ..world.options() };
        let error = restore(&world.repo, &world.snapshot, &options, &world.ambient).unwrap_err();
        (error.kind(), error.to_string())
    };
    assert_eq!(kind("/src/b"), (Kind::NotFound, "/src/b is not in the snapshot".to_owned()));
    let message = "/src/a in the snapshot is not a folder".to_owned();
    assert_eq!(kind("/src/a/b"), (Kind::NotFound, message));
    assert_eq!(kind("/src/../src").0, Kind::InvalidSetting);
    assert!(!world.target().exists());
}

#[test]
fn patterns_choose_and_folders_come_only_with_what_is_in_them() {
    let world = World::new([
        ("docs", folder([("a.pdf", file("a")), ("b.txt", file("b")), ("x.tmp", file("t"))])),
        ("empty", folder([("b.txt", file("b"))]).mode(0o750)),
        ("keep", folder([("in", folder([("b.txt", file("b")), ("y.tmp", file("t"))]))])),
    ]);
    let options = Options {
        include: vec!["*.pdf".into(), "/src/keep".into()],
        exclude_any_case: vec!["*.TMP".into()],
        ..world.options()
    };
    assert_sound(&world.run(&options));
    assert_eq!(world.names("src"), ["docs", "keep"]);
    assert_eq!(world.names("src/docs"), ["a.pdf"]);
    assert_eq!(world.names("src/keep/in"), ["b.txt"]);
}

#[test]
fn running_it_again_writes_nothing_and_repairs_what_was_changed() {
    let world = World::new([
        ("big", big(0..60)),
        ("small", file("right")),
        ("inline", inline(b"few")),
        (
            "holes",
            parts(vec![
                Part::Bytes(b"x".to_vec()),
                Part::Hole(100_000),
                Part::Bytes(b"y".to_vec()),
            ]),
        ),
    ]);
    world.restore();
    let before = inode(&world.path("src/big"));
    let again = world.restore();
    assert_eq!((again.bytes_written, again.files, again.files_right), (0, 4, 4));
    assert_eq!(again.bytes_right, 60 * 500_000 + 5 + 3 + 100_002);

    let expected = world.read("src/big");
    let mut changed = expected.clone();
    changed[29_000_000] ^= 1;
    changed.truncate(29_900_000);
    std::fs::write(world.path("src/big"), &changed).unwrap();
    std::fs::write(world.path("src/small"), "WRONG and longer").unwrap();
    std::fs::write(world.path("src/holes"), vec![7; 100_002]).unwrap();
    let repaired = world.restore();
    assert!(world.read("src/big") == expected);
    assert_eq!(world.read("src/small"), b"right");
    assert_eq!(world.read("src/holes"), [&b"x"[..], &vec![0; 100_000], b"y"].concat());
    assert_eq!(repaired.bytes_written, 2 * 500_000 + 5 + 2);
    assert_eq!(inode(&world.path("src/big")), before);
}

#[test]
fn holes_of_a_large_file_are_made_again() {
    let list = (0..70).map(|seed| Part::Bytes(noise(seed, 300_000)));
    let list = list.chain([Part::Hole(1 << 20), Part::Bytes(b"end".to_vec())]).collect();
    let world = World::new([("big", parts(list))]);
    world.restore();
    let expected = world.read("src/big");
    let mut changed = expected.clone();
    changed[70 * 300_000..][..1 << 20].fill(9);
    std::fs::write(world.path("src/big"), changed).unwrap();
    let report = world.restore();
    assert!(world.read("src/big") == expected);
    assert_eq!(report.bytes_written, 0);
}

#[test]
fn if_changed_takes_length_and_time_for_content() {
    let world = World::new([("a", file("right")), ("b", file("right"))]);
    world.restore();
    let time = std::fs::metadata(world.path("src/a")).unwrap().modified().unwrap();
    for name in ["src/a", "src/b"] {
        std::fs::write(world.path(name), "wrong").unwrap();
    }
    std::fs::File::options()
        .write(true)
        .open(world.path("src/a"))
        .unwrap()
        .set_modified(time)
        .unwrap();
    let overwrite = Overwrite::IfChanged;
    let report = world.run(&Options { overwrite, ..world.options() });
    assert_sound(&report);
    assert_eq!((world.read("src/a"), world.read("src/b")), (b"wrong".into(), b"right".into()));
    assert_eq!((report.files, report.files_right), (2, 1));
    // Reading back shows it.
    let report = world.run(&Options { overwrite, verify: true, ..world.options() });
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].object, "/src/a");
}

#[test]
fn never_leaves_what_is_there() {
    let world = World::new([("a", file("new").link(1)), ("b", file("new").link(1))]);
    std::fs::create_dir_all(world.path("src")).unwrap();
    std::fs::write(world.path("src/a"), "old").unwrap();
    let report = world.run(&Options { overwrite: Overwrite::Never, ..world.options() });
    assert_sound(&report);
    assert_eq!((world.read("src/a"), world.read("src/b")), (b"old".into(), b"new".into()));
    assert_eq!((report.left, report.files), (1, 1));
}

#[test]
fn a_planted_link_is_replaced_and_never_followed() {
    let world = World::new([
        ("folder", folder([("a", file("a"))])),
        ("file", file("new content")),
        ("named", file("named")),
    ]);
    let outside = world.place.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    std::fs::create_dir_all(world.path("src")).unwrap();
    make_link(&outside, world.path("src/folder")).unwrap();
    make_link(outside.join("secret"), world.path("src/file")).unwrap();
    std::fs::hard_link(outside.join("secret"), world.path("src/named")).unwrap();
    world.restore();
    assert_eq!(names(&outside), ["secret"]);
    assert_eq!(std::fs::read(outside.join("secret")).unwrap(), b"secret");
    assert_eq!(world.read("src/folder/a"), b"a");
    assert_eq!(world.read("src/file"), b"new content");
    assert_eq!(world.read("src/named"), b"named");
}

#[test]
fn a_folder_in_the_place_of_a_file_is_reported_or_removed_where_asked() {
    let world = World::new([("a", file("a")), ("b", symlink("x")), ("c", file("c"))]);
    for name in ["src/a/in", "src/b/in"] {
        std::fs::create_dir_all(world.path(name)).unwrap();
    }
    let report = world.run(&world.options());
    let refused: Vec<_> = report.failures.iter().map(|failure| &failure.path[..]).collect();
    assert_eq!(refused.len(), 2, "{:?}", report.failures);
    assert!(refused.contains(&&b"/src/a"[..]) && refused.contains(&&b"/src/b"[..]));
    assert_eq!((report.files, world.read("src/c")), (1, b"c".to_vec()));
    assert_sound(&world.run(&Options { delete: true, ..world.options() }));
    assert_eq!(world.read("src/a"), b"a");
}

#[test]
fn delete_removes_below_the_sources_only_and_keeps_what_is_left_out() {
    let world = World::new([("a", folder([("b", file("x"))])), ("m", file("m"))]);
    world.restore();
    for name in ["beside", "src/0", "src/a/c.tmp", "src/a/c", "src/zz/deep"] {
        let path = world.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "extra").unwrap();
    }
    let options = Options { delete: true, exclude: vec!["*.tmp".into()], ..world.options() };
    let dry = world.run(&Options { dry_run: true, ..options.clone() });
    assert_eq!((dry.deleted, dry.bytes_written), (3, 0));
    assert_eq!(world.names("src"), ["0", "a", "m", "zz"]);
    let report = world.run(&options);
    assert_sound(&report);
    assert_eq!(report.deleted, 3);
    assert_eq!(world.names(""), ["beside", "src"]);
    assert_eq!(world.names("src"), ["a", "m"]);
    assert_eq!(world.names("src/a"), ["b", "c.tmp"]);
}

#[test]
fn delete_with_includes_touches_nothing_else() {
    let world = World::new([
        ("a", folder([("b", file("x"))])),
        ("c", folder([("d", file("x")), ("k.pdf", file("x"))])),
    ]);
    world.restore();
    for name in ["src/a/extra", "src/c/extra", "src/c/e.pdf", "src/extra"] {
        std::fs::write(world.path(name), "extra").unwrap();
    }
    let include = vec!["/src/a".into(), "*.pdf".into()];
    let report = world.run(&Options { delete: true, include, ..world.options() });
    assert_sound(&report);
    assert_eq!(world.names("src/a"), ["b"]);
    assert_eq!(world.names("src/c"), ["d", "extra", "k.pdf"]);
    assert_eq!(world.names("src"), ["a", "c", "extra"]);
}

#[test]
fn a_dry_run_changes_nothing_and_says_what_would_be_done() {
    let world = World::new([
        ("a", file("right")),
        ("b", file("other")),
        ("c", folder([("d", big(0..3).link(4)), ("e", big(0..3).link(4))])),
    ]);
    let dry = Options { dry_run: true, ..world.options() };
    let report = world.run(&dry);
    assert_sound(&report);
    assert!(!world.target().exists());
    assert_eq!((report.files, report.directories, report.bytes_written), (4, 2, 1_500_010));
    std::fs::create_dir_all(world.path("src")).unwrap();
    std::fs::write(world.path("src/a"), "right").unwrap();
    std::fs::write(world.path("src/b"), "wrong").unwrap();
    let report = world.run(&dry);
    assert_eq!((report.files_right, report.bytes_right, report.bytes_written), (1, 5, 1_500_005));
    assert_eq!(world.names("src"), ["a", "b"]);
    assert_eq!(world.read("src/b"), b"wrong");
}

#[test]
fn a_target_that_is_a_file_is_refused() {
    let world = World::new([("a", file("x"))]);
    std::fs::write(world.target(), "in the way").unwrap();
    let error = restore(&world.repo, &world.snapshot, &world.options(), &world.ambient);
    assert_eq!(error.unwrap_err().kind(), Kind::Target);
}

#[test]
fn a_full_target_ends_the_restore_and_is_named() {
    let error = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
    let world = World::new([("a", file("x"))]);
    let options = world.options();
    let run = Run::new(&world.repo, &options, &world.ambient);
    let ended = run.refused(b"/src/a", "writing", &error).unwrap_err();
    assert_eq!(ended.kind(), Kind::Target);
    assert!(ended.to_string().starts_with("writing: /src/a in "), "{ended}");
}
