//! Promises of a local folder, and what it does with what is not its own.

use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::fs::FileType;

use super::*;
use crate::store::conformance;

fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).unwrap()
}

fn new_store() -> (tempfile::TempDir, LocalStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::create(folder.path().join("a/b/store")).unwrap();
    (folder, store)
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn every_promise_is_kept_whatever_the_file_system_offers() {
    for publish in [Publish::Link, Publish::RenameWithoutReplacing, Publish::LookThenRename] {
        let (_folder, mut store) = new_store();
        store.publish = publish;
        conformance::run_all(&store).unwrap();
        let mut left = Vec::new();
        visit(&System, &store.root_folder("listing").unwrap(), "", &mut |_, entry| {
            left.push(entry.path.to_owned());
            Ok(())
        })
        .unwrap();
        assert!(left.is_empty(), "{publish:?} left {left:?}");
    }
}

#[test]
fn folders_and_files_are_for_their_owner_alone() {
    let (_folder, store) = new_store();
    store.put(&name("packs/ab/1"), bytes("x"), Put::Create).unwrap();
    let mode = |below: &str| {
        std::fs::metadata(store.path().join(below)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode(""), mode("packs"), mode("packs/ab")), (0o700, 0o700, 0o700));
    assert_eq!(mode("packs/ab/1"), 0o600);
}

#[test]
fn an_absent_root_is_an_error_that_names_it() {
    let (_folder, store) = new_store();
    std::fs::remove_dir(store.path()).unwrap();
    let errors = [
        store.list("").unwrap_err(),
        store.list("packs/").unwrap_err(),
        store.get(&name("strongroom")).unwrap_err(),
        store.delete(&name("strongroom")).unwrap_err(),
        store.put(&name("strongroom"), bytes("x"), Put::Create).unwrap_err(),
        LocalStore::open(store.path()).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.cause, Cause::NotFound);
        assert_eq!(error.object, store.path().display().to_string());
    }
}

#[test]
fn a_file_in_place_of_the_folder_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "").unwrap();
    assert_eq!(LocalStore::open(&path).unwrap_err().cause, Cause::Unsupported);
    assert!(LocalStore::create(&path).is_err());
}

#[test]
fn foreign_files_and_temporaries_are_not_listed() {
    let (_folder, store) = new_store();
    store.put(&name("packs/ab/1"), bytes("x"), Put::Create).unwrap();
    for foreign in [".tmp-0123", "packs/.tmp-4567", "packs/ab/UPPER", "packs/ab/1 (copy)"] {
        std::fs::write(store.path().join(foreign), "x").unwrap();
    }
    std::fs::create_dir(store.path().join("lost+found")).unwrap();
    std::fs::create_dir(store.path().join(".zfs")).unwrap();
    symlink("1", store.path().join("packs/ab/2")).unwrap();
    let listed = store.list("").unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].name, name("packs/ab/1"));
    assert!(listed[0].modified_ms.unwrap() > 0);
}

#[test]
fn symbolic_links_lead_nowhere() {
    let (folder, store) = new_store();
    let outside = folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("1"), "secret").unwrap();
    std::fs::create_dir(store.path().join("packs")).unwrap();
    symlink(&outside, store.path().join("packs/ab")).unwrap();
    symlink(outside.join("1"), store.path().join("strongroom")).unwrap();
    assert!(store.get(&name("packs/ab/1")).is_err());
    assert!(store.get(&name("strongroom")).is_err());
    assert!(store.put(&name("packs/ab/2"), bytes("x"), Put::Create).is_err());
    assert!(store.list("packs/ab/").is_err());
    assert!(store.list("").unwrap().is_empty());
    // An overwrite replaces the link, not what it leads to.
    store.put(&name("strongroom"), bytes("marker"), Put::Overwrite).unwrap();
    assert_eq!(std::fs::read(outside.join("1")).unwrap(), b"secret");
    assert_eq!(store.get(&name("strongroom")).unwrap(), "marker");
}

#[test]
fn a_pipe_or_a_folder_with_the_name_of_an_object_is_reported() {
    let (_folder, store) = new_store();
    std::fs::create_dir(store.path().join("strongroom")).unwrap();
    let error = store.get(&name("strongroom")).unwrap_err();
    assert_eq!(error.cause, Cause::Other, "{error}");
    assert!(store.put(&name("strongroom"), bytes("x"), Put::Overwrite).is_err());
    let pipe = store.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(store.get(&name("pipe")).unwrap_err().cause, Cause::Other);
}

#[test]
fn a_failed_write_leaves_neither_name_nor_temporary() {
    let (_folder, store) = new_store();
    std::fs::create_dir(store.path().join("strongroom")).unwrap();
    store.put(&name("strongroom"), bytes("x"), Put::Overwrite).unwrap_err();
    let left: Vec<_> = std::fs::read_dir(store.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn only_old_temporaries_are_removed() {
    let (_folder, store) = new_store();
    store.put(&name("packs/ab/1"), bytes("x"), Put::Create).unwrap();
    for stale in [".tmp-0123", "packs/ab/.tmp-4567"] {
        std::fs::write(store.path().join(stale), "x").unwrap();
    }
    assert_eq!(store.remove_stale_temporaries(3600).unwrap(), 0);
    assert_eq!(store.remove_stale_temporaries(0).unwrap(), 2);
    assert_eq!(store.remove_stale_temporaries(0).unwrap(), 0);
    assert_eq!(store.get(&name("packs/ab/1")).unwrap(), "x");
}

#[test]
fn a_file_too_long_for_an_object_is_not_read_into_memory() {
    let (_folder, store) = new_store();
    let file = File::create(store.path().join("strongroom")).unwrap();
    file.set_len(OBJECT_BYTES_MAX + 1).unwrap();
    assert_eq!(store.get(&name("strongroom")).unwrap_err().cause, Cause::Unsupported);
    assert_eq!(store.get_range(&name("strongroom"), OBJECT_BYTES_MAX, 1).unwrap().len(), 1);
}

#[test]
fn every_new_folder_is_synced_once() {
    let (_folder, store) = new_store();
    store.put(&name("packs/ab/1"), bytes("x"), Put::Create).unwrap();
    let synced: Vec<_> = store.synced().iter().cloned().collect();
    assert_eq!(synced.len(), 2);
    assert!(synced.contains(&"packs".to_owned()) && synced.contains(&"packs/ab".to_owned()));
}

#[test]
fn system_errors_become_causes() {
    let causes = [
        (Errno::NOSPC, Cause::Full),
        (Errno::DQUOT, Cause::Full),
        (Errno::ROFS, Cause::ReadOnly),
        (Errno::ACCESS, Cause::Denied),
        (Errno::PERM, Cause::Denied),
        (Errno::IO, Cause::Other),
        (Errno::STALE, Cause::Unavailable),
    ];
    for (errno, expected) in causes {
        assert_eq!(cause(errno), expected);
    }
}

/// Puts one object into a store on a model of a disk.
fn put_on(disk: &model::ModelDisk) -> Result<()> {
    let store = LocalStore::on_model(disk.clone());
    store.put(&name("packs/ab/1"), bytes("ten bytes."), Put::Create)
}

fn empty_disk() -> model::ModelDisk {
    model::ModelDisk::with([])
}

#[test]
fn the_model_of_a_disk_keeps_the_promises_of_a_disk() {
    conformance::run_all(&LocalStore::on_model(empty_disk())).unwrap();
}

#[test]
fn what_was_put_outlives_every_crash_and_what_was_not_is_whole_or_absent() {
    let calm = empty_disk();
    put_on(&calm).unwrap();
    let calls = calm.log().len();
    for stop in 0..=calls {
        let disk = empty_disk();
        disk.stop_at(stop);
        let is_done = put_on(&disk).is_ok();
        assert_eq!(is_done, stop == calls);
        for residue in 0..40 {
            let after = LocalStore::on_model(disk.crash(residue));
            match after.get(&name("packs/ab/1")) {
                Ok(found) => assert_eq!(found, bytes("ten bytes."), "{stop} {residue}"),
                Err(error) => assert!(error.is_not_found() && !is_done, "{stop} {residue}"),
            }
        }
    }
}

#[test]
fn a_failed_sync_is_an_error_and_nothing_is_synced_twice() {
    use model::{Call, DiskFault};
    let calm = empty_disk();
    put_on(&calm).unwrap();
    for (call, kind) in calm.log().into_iter().enumerate() {
        for fault in DiskFault::of(kind) {
            let disk = empty_disk();
            disk.inject(call, *fault);
            let result = put_on(&disk);
            if result.is_ok() {
                let after = LocalStore::on_model(disk.crash(0));
                assert!(after.get(&name("packs/ab/1")).is_ok(), "{call} {kind:?} {fault:?}");
            }
            let is_sync = matches!(kind, Call::SyncFile | Call::SyncFolder);
            assert!(!is_sync || result.is_err(), "{call} {kind:?} {fault:?}");
        }
    }
}

#[test]
fn what_a_killed_process_left_unsynced_is_synced_before_anything_rests_on_it() {
    let calm = empty_disk();
    put_on(&calm).unwrap();
    for kill in 0..calm.log().len() {
        let disk = empty_disk();
        disk.stop_at(kill);
        put_on(&disk).unwrap_err();
        disk.heal();
        let next = LocalStore::on_model(disk.clone());
        let found = next.list("").unwrap();
        next.put(&name("index/1"), bytes("rests on it"), Put::Create).unwrap();
        let after = LocalStore::on_model(disk.crash(0));
        assert!(found.iter().all(|object| after.get(&object.name).is_ok()), "{kill}");
    }
}
