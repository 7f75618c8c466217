//! Nothing leaves the root: names, planted links, and links swapped in while the restore runs.

use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use repo_format::tree::{Body, Metadata};
use rustix::fs::{Mode, OFlags, RenameFlags, renameat_with};
use std::os::fd::AsFd;

use super::super::directory::open_one;
use super::*;

const ALL: [Existing; 3] = [Existing::Fail, Existing::Replace, Existing::Update];

#[test]
fn names_that_lead_elsewhere_are_refused_by_every_call() {
    let place = Place::new();
    let dir = place.dir();
    let made = Inode { device: 1, inode: 1 };
    for name in [&b""[..], b".", b"..", b"../outside/kept", b"/etc/x", b"a\0b", &[b'x'; 256]] {
        let refused = |result: io::Result<()>| {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        };
        for existing in ALL {
            refused(create_file(dir, name, 1, existing).map(|_| ()));
            refused(dir.create_directory(name, existing).map(|_| ()));
            refused(create_symlink(dir, name, b"x", existing));
            refused(create_special(dir, name, &Body::Fifo, existing));
            refused(create_hard_link(dir, b"a", made, dir, name, existing));
        }
        refused(create_hard_link(dir, name, made, dir, b"a", Existing::Fail));
        refused(dir.open_child(name).map(|_| ()));
        refused(dir.unlink(name));
        refused(remove_tree(dir, name));
        refused(place.root.resolve(&[name]).map(|_| ()));
        let named = super::super::Place::Named { directory: dir, name, body: &Body::Fifo };
        let problems = Applier::default().apply(named, &Metadata::default(), &[]);
        assert_eq!(problems[0].aspect, Aspect::All);
    }
    place.assert_outside_untouched();
}

#[test]
fn a_planted_link_is_refused_or_replaced_but_never_followed() {
    let place = Place::new();
    let dir = place.dir();
    symlink(place.outside(), place.inside("link")).unwrap();
    for existing in [Existing::Fail, Existing::Update] {
        let error = dir.create_directory(b"link", existing).unwrap_err().to_string();
        assert!(error.contains("\"link\""), "{error}");
    }
    let error = place.root.resolve(&[b"link", b"deeper"]).unwrap_err().to_string();
    assert!(error.contains("\"link\"") && error.contains("symbolic link"), "{error}");
    let replaced = dir.create_directory(b"link", Existing::Replace).unwrap();
    assert!(replaced.is_new());
    create_file(&replaced, b"kept", 4, Existing::Replace).unwrap().write_at(0, b"evil").unwrap();

    let kept = place.outside().join("kept");
    for existing in [Existing::Replace, Existing::Update] {
        symlink(&kept, place.inside("file")).unwrap();
        assert!(create_file(dir, b"file", 4, Existing::Fail).is_err());
        let writer = create_file(dir, b"file", 4, existing).unwrap();
        assert!(writer.is_new());
        writer.write_at(0, b"evil").unwrap();
        std::fs::remove_file(place.inside("file")).unwrap();
        symlink(place.outside(), place.inside("file")).unwrap();
        create_symlink(dir, b"file", b"elsewhere", existing).unwrap();
        create_special(dir, b"file", &Body::Fifo, existing).unwrap();
        dir.unlink(b"file").unwrap();
    }
    place.assert_outside_untouched();
}

#[test]
fn removing_a_tree_removes_links_and_not_what_they_lead_to() {
    let place = Place::new();
    std::fs::create_dir_all(place.inside("tree/a/b")).unwrap();
    symlink(place.outside(), place.inside("tree/a/b/link")).unwrap();
    symlink(place.outside(), place.inside("link")).unwrap();
    remove_tree(place.dir(), b"tree").unwrap();
    remove_tree(place.dir(), b"link").unwrap();
    remove_tree(place.dir(), b"not there").unwrap();
    assert_eq!(std::fs::read_dir(place.inside("")).unwrap().count(), 0);
    place.assert_outside_untouched();
}

#[test]
fn without_openat2_links_and_steps_upwards_are_refused_too() {
    let place = Place::new();
    symlink(place.outside(), place.inside("link")).unwrap();
    let root = place.dir().as_fd();
    for name in [&b"link"[..], b"..", b"link/kept", b"/etc"] {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        assert!(open_one(root, name, flags, Mode::empty()).is_err());
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    assert!(open_one(root, b"link", flags, Mode::RUSR).is_err());
    assert!(open_one(root, b"file", flags, Mode::RUSR).is_ok());
    place.assert_outside_untouched();
}

#[test]
fn a_hard_link_to_something_swapped_in_is_taken_away_again() {
    let place = Place::new();
    let dir = place.dir();
    let made = create_file(dir, b"first", 0, Existing::Fail).unwrap().inode().unwrap();
    create_hard_link(dir, b"first", made, dir, b"second", Existing::Fail).unwrap();
    std::fs::remove_file(place.inside("first")).unwrap();
    std::fs::hard_link(place.outside().join("kept"), place.inside("first")).unwrap();
    assert!(create_hard_link(dir, b"first", made, dir, b"third", Existing::Replace).is_err());
    assert!(!place.inside("third").exists());
    assert_eq!(std::fs::metadata(place.inside("second")).unwrap().nlink(), 1);
    // A link gets a second name itself; it is not followed.
    symlink(place.outside().join("kept"), place.inside("link")).unwrap();
    let link = Inode::of(dir, b"link").unwrap();
    create_hard_link(dir, b"link", link, dir, b"link2", Existing::Fail).unwrap();
    assert!(place.inside("link2").is_symlink());
    place.assert_outside_untouched();
}

#[test]
fn changing_a_file_in_place_leaves_its_other_names_alone() {
    let place = Place::new();
    std::fs::hard_link(place.outside().join("kept"), place.inside("file")).unwrap();
    let writer = create_file(place.dir(), b"file", 4, Existing::Update).unwrap();
    assert!(writer.is_new());
    writer.write_at(0, b"evil").unwrap();
    place.assert_outside_untouched();
}

/// Exchanges `a` and `b` in the root over and over while `run` runs.
fn while_swapped(place: &Place, a: &str, b: &str, run: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let dir = place.dir();
                let _maybe_gone = renameat_with(dir, a, dir, b, RenameFlags::EXCHANGE);
            }
        });
        run();
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_folder_swapped_for_a_link_never_lets_the_restore_out() {
    let place = Place::new();
    std::fs::create_dir(place.inside("folder")).unwrap();
    symlink(place.outside(), place.inside("decoy")).unwrap();
    let mut entered = 0_u32;
    let mut refused = 0_u32;
    while_swapped(&place, "folder", "decoy", || {
        for round in 0..20_000_u32 {
            match place.root.resolve(&[b"folder"]) {
                Ok(folder) => {
                    entered += 1;
                    let name = format!("file{}", round % 10);
                    let made = create_file(&folder, name.as_bytes(), 4, Existing::Update);
                    made.unwrap().write_at(0, b"evil").unwrap();
                }
                Err(_) => refused += 1,
            }
            if round % 100 == 0 {
                let _either = remove_tree(place.dir(), b"none");
                let _either = place.dir().create_directory(b"folder", Existing::Update);
            }
        }
    });
    assert!(entered > 0 && refused > 0, "entered {entered}, refused {refused}");
    place.assert_outside_untouched();
}

#[test]
fn a_file_swapped_for_a_link_is_never_written_through() {
    let place = Place::new();
    let kept = place.outside().join("kept");
    let before = std::fs::metadata(&kept).unwrap();
    std::fs::write(place.inside("file"), "1234").unwrap();
    symlink(&kept, place.inside("decoy")).unwrap();
    let metadata =
        Metadata { mode: 0o6777, uid: before.uid(), gid: before.gid(), ..Metadata::default() };
    let body = Body::Symlink { target: b"x".as_slice().into() };
    while_swapped(&place, "file", "decoy", || {
        for _round in 0..5_000 {
            if let Ok(writer) = create_file(place.dir(), b"file", 4, Existing::Update) {
                writer.write_at(0, b"evil").unwrap();
            }
            let named =
                super::super::Place::Named { directory: place.dir(), name: b"file", body: &body };
            let _either = Applier::default().apply(named, &metadata, &[]);
            let _either = create_symlink(
                place.dir(),
                b"decoy",
                kept.as_os_str().as_bytes(),
                Existing::Update,
            );
        }
    });
    let after = std::fs::metadata(&kept).unwrap();
    assert_eq!((after.mode(), after.mtime()), (before.mode(), before.mtime()));
    place.assert_outside_untouched();
}

#[test]
fn a_tree_swapped_for_a_link_while_it_is_removed_takes_nothing_outside_along() {
    let place = Place::new();
    symlink(place.outside(), place.inside("decoy")).unwrap();
    std::fs::create_dir(place.inside("tree")).unwrap();
    while_swapped(&place, "tree/inner", "decoy", || {
        for _round in 0..1_000 {
            let _either = std::fs::create_dir_all(place.inside("tree/inner/deep"));
            let _either = remove_tree(place.dir(), b"tree");
            if !place.inside("decoy").is_symlink() {
                let _either = remove_tree(place.dir(), b"decoy");
                let _either = symlink(place.outside(), place.inside("decoy"));
            }
        }
    });
    assert_eq!(std::fs::read(place.outside().join("kept")).unwrap(), b"outside");
}
