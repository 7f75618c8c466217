//! Owners, modes, attributes and times come back, or it is said why not.

use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use repo_format::tree::{Attribute, Body, Metadata, Time};
use rustix::fs::{XattrFlags, lgetxattr, llistxattr, setxattr};
use rustix::io::Errno;

use super::super::Place as At;
use super::*;

fn mine() -> Metadata {
    Metadata {
        mode: 0o640,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mtime: Time { seconds: 1_700_000_000, nanos: 123_456_789 },
        ..Metadata::default()
    }
}

fn attribute(name: &[u8], value: &[u8]) -> Attribute {
    Attribute { name: name.into(), value: value.into() }
}

fn value(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 64 << 10];
    let length = lgetxattr(path, name, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

/// An access list: owner rw, user 1234 with `rights`, group r, mask rw, others none.
fn acl(rights: u16) -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] = [
        (1, 6, u32::MAX),
        (2, rights, 1234),
        (4, 4, u32::MAX),
        (16, 6, u32::MAX),
        (32, 0, u32::MAX),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn has_attributes(place: &Place) -> bool {
    setxattr(place.inside(""), "user.try", b"x", XattrFlags::empty()) != Err(Errno::NOTSUP)
}

#[test]
fn modes_and_times_come_back_to_the_nanosecond() {
    let place = Place::new();
    let applier = Applier::default();
    for (mode, seconds, nanos) in
        [(0o6755, -1, 999_999_999), (0o000, 0, 0), (0o1777, 4_000_000_000, 1), (0o400, 1, 2)]
    {
        let metadata = Metadata { mode, mtime: Time { seconds, nanos }, ..mine() };
        let writer = create_file(place.dir(), b"file", 3, Existing::Replace).unwrap();
        writer.write_at(0, b"abc").unwrap();
        let file = writer.finish();
        let problems = applier.apply(At::Open(file.as_fd()), &metadata, &[]);
        assert!(problems.is_empty(), "{problems:?}");
        let found = std::fs::metadata(place.inside("file")).unwrap();
        assert_eq!(found.mode() & 0o7777, mode);
        assert_eq!((found.mtime(), found.mtime_nsec()), (seconds, i64::from(nanos)));
    }
}

#[test]
fn things_without_content_get_metadata_by_name() {
    let place = Place::new();
    let applier = Applier::default();
    let link = Body::Symlink { target: b"../../outside/kept".as_slice().into() };
    create_symlink(place.dir(), b"link", b"../../outside/kept", Existing::Fail).unwrap();
    create_special(place.dir(), b"pipe", &Body::Fifo, Existing::Fail).unwrap();
    for (name, body) in [(&b"link"[..], &link), (b"pipe", &Body::Fifo)] {
        let at = At::Named { directory: place.dir(), name, body };
        let problems = applier.apply(at, &Metadata { mode: 0o2711, ..mine() }, &[]);
        assert!(problems.is_empty(), "{problems:?}");
        let found = std::fs::symlink_metadata(place.inside(name)).unwrap();
        assert_eq!((found.mtime(), found.mtime_nsec()), (1_700_000_000, 123_456_789));
    }
    let pipe = std::fs::symlink_metadata(place.inside("pipe")).unwrap();
    assert_eq!(pipe.mode() & 0o7777, 0o2711);
    let kept = std::fs::metadata(place.outside().join("kept")).unwrap();
    assert_ne!(kept.mtime(), 1_700_000_000);
    // The name means something else than it should.
    let at = At::Named { directory: place.dir(), name: b"pipe", body: &link };
    assert_eq!(applier.apply(at, &mine(), &[])[0].aspect, Aspect::All);
}

#[test]
fn folders_closed_to_everybody_get_metadata_last() {
    let place = Place::new();
    place.dir().create_directory(b"folder", Existing::Fail).unwrap();
    let body = Body::Directory {
        tree: repo_format::BlobId([0; 32]),
        entries: 0,
        totals: repo_format::tree::Totals::default(),
    };
    for mode in [0o000, 0o3555] {
        let at = At::Named { directory: place.dir(), name: b"folder", body: &body };
        let problems = Applier::default().apply(at, &Metadata { mode, ..mine() }, &[]);
        assert!(problems.is_empty(), "{problems:?}");
        let found = std::fs::metadata(place.inside("folder")).unwrap();
        assert_eq!((found.mode() & 0o7777, found.mtime()), (mode, 1_700_000_000));
    }
}

#[test]
fn attributes_and_access_lists_come_back_and_others_go() {
    let place = Place::new();
    if !has_attributes(&place) {
        return;
    }
    let file = create_file(place.dir(), b"file", 0, Existing::Fail).unwrap().finish();
    setxattr(place.inside("file"), "user.stale", b"x", XattrFlags::empty()).unwrap();
    let big = vec![3; 3000];
    let mut wanted = vec![
        attribute(b"system.posix_acl_access", &acl(6)),
        attribute(b"user.big", &big),
        attribute(b"user.empty", b""),
    ];
    let metadata = Metadata { mode: 0o460, ..mine() };
    let problems = Applier::default().apply(At::Open(file.as_fd()), &metadata, &wanted);
    assert!(problems.is_empty(), "{problems:?}");
    let path = place.inside("file");
    // The mode has the last word on the rights of the owner.
    let mut list = acl(6);
    list[6] = 4;
    assert_eq!(value(&path, "system.posix_acl_access"), Some(list));
    assert_eq!(value(&path, "user.big"), Some(big));
    assert_eq!(value(&path, "user.empty"), Some(Vec::new()));
    assert_eq!(value(&path, "user.stale"), None);
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o460);
    wanted.push(attribute(b"user.far-too-long", &vec![1; 100_000]));
    let problems = Applier::default().apply(At::Open(file.as_fd()), &metadata, &wanted);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].aspect, Aspect::Attribute(b"user.far-too-long".to_vec()));
    assert!(!problems[0].needs_privilege());
}

#[test]
fn an_access_list_inherited_from_the_target_is_removed() {
    let place = Place::new();
    let flags = XattrFlags::empty();
    if setxattr(place.inside(""), "system.posix_acl_default", &acl(6), flags).is_err() {
        return;
    }
    let file = create_file(place.dir(), b"file", 0, Existing::Fail).unwrap().finish();
    assert!(value(&place.inside("file"), "system.posix_acl_access").is_some());
    let problems = Applier::default().apply(At::Open(file.as_fd()), &mine(), &[]);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(value(&place.inside("file"), "system.posix_acl_access"), None);
    assert_eq!(std::fs::metadata(place.inside("file")).unwrap().mode() & 0o7777, 0o640);
}

#[test]
fn a_links_own_attributes_are_put_on_the_link() {
    let place = Place::new();
    if !is_root() || !has_attributes(&place) {
        return;
    }
    let body = Body::Symlink { target: b"../../outside/kept".as_slice().into() };
    create_symlink(place.dir(), b"link", b"../../outside/kept", Existing::Fail).unwrap();
    let at = At::Named { directory: place.dir(), name: b"link", body: &body };
    let wanted = [attribute(b"trusted.own", b"1")];
    let problems = Applier::default().apply(at, &mine(), &wanted);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(value(&place.inside("link"), "trusted.own"), Some(b"1".to_vec()));
    let mut list = [0; 1000];
    let length = llistxattr(place.outside().join("kept"), &mut list).unwrap();
    assert!(!list[..length].windows(11).any(|name| name == b"trusted.own"));
}

#[test]
fn set_user_bits_come_back_only_with_their_owner() {
    let place = Place::new();
    let file = create_file(place.dir(), b"file", 0, Existing::Fail).unwrap().finish();
    // Nobody has this number, so no one can be given it.
    let metadata = Metadata { mode: 0o6755, uid: u32::MAX, ..mine() };
    let applier = Applier::default();
    let problems = applier.apply(At::Open(file.as_fd()), &metadata, &[]);
    let aspects: Vec<_> = problems.iter().map(|problem| problem.aspect.clone()).collect();
    assert_eq!(aspects, [Aspect::Owner, Aspect::Mode]);
    assert_eq!(std::fs::metadata(place.inside("file")).unwrap().mode() & 0o7777, 0o755);
    // The second one is only counted.
    let plain = Metadata { mode: 0o644, ..metadata.clone() };
    assert!(applier.apply(At::Open(file.as_fd()), &plain, &[]).is_empty());
    assert_eq!(applier.owners_refused(), 2);
    let left = Applier::new(ApplyOptions { owners: Owners::Leave, ..ApplyOptions::default() });
    let problems = left.apply(At::Open(file.as_fd()), &metadata, &[]);
    assert_eq!(problems.len(), 1);
    assert_eq!(left.owners_refused(), 0);
    assert_eq!(std::fs::metadata(place.inside("file")).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn an_owner_is_put_back_by_number_or_by_name() {
    let place = Place::new();
    let file = create_file(place.dir(), b"file", 0, Existing::Fail).unwrap().finish();
    let metadata = Metadata {
        mode: 0o4755,
        uid: 54_321,
        gid: 54_322,
        user: uzers::get_current_username().unwrap_or_default().to_str().unwrap().into(),
        group: "no such group here".into(),
        ..mine()
    };
    let applier = Applier::default();
    let problems = applier.apply(At::Open(file.as_fd()), &metadata, &[]);
    let found = std::fs::metadata(place.inside("file")).unwrap();
    if !is_root() {
        assert!(problems[0].needs_privilege(), "{problems:?}");
        assert_eq!((found.uid(), found.mode() & 0o7777), (mine().uid, 0o755));
        return;
    }
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (54_321, 54_322, 0o4755));
    let by_name = Applier::new(ApplyOptions { owners: Owners::Names, ..ApplyOptions::default() });
    assert!(by_name.apply(At::Open(file.as_fd()), &metadata, &[]).is_empty());
    let found = std::fs::metadata(place.inside("file")).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (0, 54_322, 0o4755));
}

#[test]
fn a_time_that_is_none_is_a_problem() {
    let place = Place::new();
    let file = create_file(place.dir(), b"file", 0, Existing::Fail).unwrap().finish();
    let mtime = Time { seconds: 1, nanos: (1 << 30) - 1 };
    let metadata = Metadata { mtime, ..mine() };
    let problems = Applier::default().apply(At::Open(file.as_fd()), &metadata, &[]);
    assert_eq!(problems[0].aspect, Aspect::Times);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
}
