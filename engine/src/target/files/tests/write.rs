//! What is written reads back: names, contents, holes, links, and what is removed is gone.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use repo_format::tree::Body;
use rustix::fs::{CWD, Mode, mkdirat, openat};

use super::*;

#[test]
fn odd_names_come_out_as_they_are() {
    let place = Place::new();
    let long = [b'x'; 255];
    let names: [&[u8]; 8] =
        [b"\xff\xfe", b"new\nline", b"\x1b[31m", b" ", b"-", b"caf\xc3\xa9", b"C:\\x. ", &long];
    for name in names {
        let writer = create_file(place.dir(), name, name.len() as u64, Existing::Fail).unwrap();
        writer.write_at(0, name).unwrap();
        assert_eq!(writer.finish().metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(std::fs::read(place.inside(name)).unwrap(), name);
        let error = create_file(place.dir(), name, 1, Existing::Fail).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    }
    assert_eq!(std::fs::read_dir(place.inside("")).unwrap().count(), names.len());
}

#[test]
fn what_is_not_written_stays_a_hole() {
    let place = Place::new();
    let size = 8 << 40;
    let writer = create_file(place.dir(), b"sparse", size, Existing::Fail).unwrap();
    for at in [1 << 20, 1 << 40, size - 5] {
        writer.write_at(at, b"bytes").unwrap();
    }
    writer.punch_hole(0..1 << 20).unwrap();
    let metadata = writer.finish().metadata().unwrap();
    assert_eq!(metadata.len(), size);
    assert!(metadata.blocks() * 512 < 1 << 20, "{}", metadata.blocks());
}

#[test]
fn a_file_is_changed_in_place_and_gets_new_holes() {
    let place = Place::new();
    std::fs::write(place.inside("file"), vec![7; 1 << 20]).unwrap();
    let inode = Inode::of(place.dir(), b"file").unwrap();
    let writer = create_file(place.dir(), b"file", 600_000, Existing::Update).unwrap();
    assert!(!writer.is_new());
    assert_eq!(writer.inode().unwrap(), inode);
    writer.punch_hole(100_000..500_000).unwrap();
    writer.write_at(599_000, &[1; 1000]).unwrap();
    let metadata = writer.finish().metadata().unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o600);
    assert!(metadata.blocks() * 512 < 300_000);
    let bytes = std::fs::read(place.inside("file")).unwrap();
    assert_eq!(bytes.len(), 600_000);
    assert!(bytes[..100_000].iter().all(|&byte| byte == 7));
    assert!(bytes[100_000..500_000].iter().all(|&byte| byte == 0));
    assert!(bytes[500_000..599_000].iter().all(|&byte| byte == 7));
}

#[test]
fn writing_past_the_end_is_refused() {
    let place = Place::new();
    let writer = create_file(place.dir(), b"file", 10, Existing::Fail).unwrap();
    for (offset, length) in [(0, 11), (10, 1), (u64::MAX, 1), (11, 0)] {
        assert!(writer.write_at(offset, &vec![1; length]).is_err());
    }
    writer.write_at(10, b"").unwrap();
    assert!(writer.punch_hole(5..11).is_err());
    assert_eq!(writer.finish().metadata().unwrap().len(), 10);
    assert!(create_file(place.dir(), b"huge", u64::MAX, Existing::Fail).is_err());
}

#[test]
fn what_is_no_plain_file_is_replaced_and_a_folder_is_not() {
    let place = Place::new();
    let dir = place.dir();
    for existing in [Existing::Replace, Existing::Update] {
        create_special(dir, b"a", &Body::Fifo, existing).unwrap();
        assert!(create_file(dir, b"a", 1, existing).unwrap().is_new());
        let _socket = UnixListener::bind(place.inside("s")).unwrap();
        assert!(create_file(dir, b"s", 1, existing).unwrap().is_new());
        dir.unlink(b"s").unwrap();
        dir.create_directory(b"folder", existing).unwrap();
        let error = create_file(dir, b"folder", 1, existing).unwrap_err().to_string();
        assert!(error.contains("\"folder\" in the target is a folder"), "{error}");
        assert!(create_symlink(dir, b"folder", b"x", existing).is_err());
    }
    let error = dir.create_directory(b"a", Existing::Update).unwrap_err().to_string();
    assert!(error.contains("\"a\" in the target is not a folder"), "{error}");
    assert!(dir.create_directory(b"a", Existing::Replace).unwrap().is_new());
    assert!(!dir.create_directory(b"a", Existing::Replace).unwrap().is_new());
}

#[test]
fn links_pipes_and_devices_are_made() {
    let place = Place::new();
    let dir = place.dir();
    create_symlink(dir, b"link", b"\xff nowhere", Existing::Fail).unwrap();
    let target = std::fs::read_link(place.inside("link")).unwrap();
    assert_eq!(target.as_os_str().as_bytes(), b"\xff nowhere");
    let before = Inode::of(dir, b"link").unwrap();
    create_symlink(dir, b"link", b"\xff nowhere", Existing::Update).unwrap();
    assert_eq!(Inode::of(dir, b"link").unwrap(), before);
    create_symlink(dir, b"link", b"other", Existing::Update).unwrap();
    assert_eq!(std::fs::read_link(place.inside("link")).unwrap(), Path::new("other"));
    create_special(dir, b"pipe", &Body::Fifo, Existing::Fail).unwrap();
    create_special(dir, b"socket", &Body::Socket, Existing::Fail).unwrap();
    let kind = |name: &str| std::fs::symlink_metadata(place.inside(name)).unwrap().file_type();
    assert!(kind("pipe").is_fifo() && kind("socket").is_socket());
    let device = Body::CharacterDevice { major: 1, minor: 3 };
    match create_special(dir, b"null", &device, Existing::Fail) {
        Ok(()) => assert!(kind("null").is_char_device()),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
    let file = Body::Symlink { target: b"x".as_slice().into() };
    assert!(create_special(dir, b"file", &file, Existing::Fail).is_err());
}

#[test]
fn four_thousand_hard_links_are_one_file() {
    let place = Place::new();
    let dir = place.dir();
    let links = dir.create_directory(b"links", Existing::Fail).unwrap();
    let writer = create_file(dir, b"first", 1, Existing::Fail).unwrap();
    let made = writer.inode().unwrap();
    for number in 1..4096 {
        let name = format!("{number}");
        create_hard_link(dir, b"first", made, &links, name.as_bytes(), Existing::Fail).unwrap();
    }
    create_hard_link(dir, b"first", made, &links, b"7", Existing::Update).unwrap();
    std::fs::write(place.inside("links/8"), "x").unwrap();
    create_hard_link(dir, b"first", made, &links, b"8", Existing::Replace).unwrap();
    std::fs::remove_file(place.inside("links/9")).unwrap();
    std::fs::write(place.inside("links/9"), "x").unwrap();
    create_hard_link(dir, b"first", made, &links, b"9", Existing::Update).unwrap();
    assert_eq!(std::fs::metadata(place.inside("first")).unwrap().nlink(), 4096);
}

#[test]
fn a_folder_its_owner_may_not_enter_is_opened_up() {
    let place = Place::new();
    for mode in [0o000, 0o500] {
        let path = place.inside("locked");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let folder = place.dir().create_directory(b"locked", Existing::Update).unwrap();
        assert!(!folder.is_new());
        create_file(&folder, b"file", 1, Existing::Replace).unwrap();
    }
}

#[test]
fn a_deep_and_a_wide_tree_are_removed_whole() {
    let place = Place::new();
    let top = place.dir().create_directory(b"tree", Existing::Fail).unwrap();
    for number in 0..3000 {
        create_file(&top, format!("{number:0100}").as_bytes(), 0, Existing::Fail).unwrap();
    }
    create_file(&top, b".removed-1", 0, Existing::Fail).unwrap();
    let mut deep = top;
    for _level in 0..3000 {
        deep = deep.create_directory(b"a long enough name", Existing::Fail).unwrap();
        create_symlink(&deep, b"up", b"..", Existing::Fail).unwrap();
    }
    drop(deep);
    remove_tree(place.dir(), b"tree").unwrap();
    assert_eq!(std::fs::read_dir(place.inside("")).unwrap().count(), 0);
    place.assert_outside_untouched();
}

#[test]
fn the_root_may_be_reached_through_a_link_of_the_persons_own() {
    let place = Place::new();
    symlink(place.inside(""), place.base.path().join("shortcut")).unwrap();
    let root = Root::open_or_create(&place.base.path().join("shortcut/sub")).unwrap();
    create_file(root.directory(), b"file", 0, Existing::Fail).unwrap();
    assert!(place.inside("sub/file").exists());
    assert!(Root::open_or_create(&place.inside("sub/file")).is_err());
    mkdirat(CWD, place.inside("sub/a"), Mode::RWXU).unwrap();
    let a = place.root.resolve(&[b"sub", b"a"]).unwrap();
    create_file(&a, b"b", 0, Existing::Fail).unwrap();
    assert!(
        openat(CWD, place.inside("sub/a/b"), rustix::fs::OFlags::RDONLY, Mode::empty()).is_ok()
    );
}
