//! Files and archives written out.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write};
use std::process::{Command, Stdio};

use repo_format::content::Content;
use repo_format::tree::{Body, Entry};

use super::world::{Node, Part, Thing, World, file, flat, folder, node, noise};
use crate::browse::dump::{Format, Report, Settings, archive, file as dump_file};
use crate::browse::view::View;
use crate::error::{Kind, Result};

fn view_of(world: &World, root: &Node) -> View {
    let id = world.snapshot(root, "till", 1);
    View::new(&world.indexed(), &world.taken(id))
}

fn dump(world: &World, view: &View, path: &str) -> (Vec<u8>, Result<u64>) {
    let mut out = Vec::new();
    let entry = view.lookup(path.as_bytes()).unwrap().unwrap();
    // Little room, so that the window has to move.
    let settings = Settings { threads: 3, ahead_bytes: 10_000 };
    let result = dump_file(view.repo(), &entry, &mut out, settings, &world.ambient);
    (out, result)
}

fn pack_up(world: &World, view: &View, format: Format) -> (Vec<u8>, Result<Report>) {
    let mut out = Vec::new();
    let settings = Settings { threads: 2, ahead_bytes: 50_000 };
    let result = archive(view.repo(), &view.root(), format, &mut out, settings, &world.ambient);
    (out, result)
}

fn some_extent(entry: &Entry, number: usize) -> repo_format::BlobId {
    let Body::File { content: Content::Extents { extents, .. }, .. } = &entry.body else {
        panic!("a few extents")
    };
    extents[number].blob().unwrap()
}

#[test]
fn files_of_every_shape_come_out_whole() {
    let world = World::new();
    let parts: Vec<Part> =
        (0..100).flat_map(|n| [Part::Data(noise(n, 5000)), Part::Hole(70_000)]).collect();
    let root = folder([
        ("long", file(noise(1, 2_000_000))),
        ("inline", file("tiny")),
        ("none", file("")),
        ("slice", node(Thing::Slice(noise(2, 9000), 100, 5000))),
        ("sparse", node(Thing::Sparse(parts.clone()))),
        ("holey", node(Thing::Holey(parts.clone()))),
        ("dir", folder([])),
    ]);
    let view = view_of(&world, &root);
    let truth = [
        ("long", noise(1, 2_000_000)),
        ("inline", b"tiny".to_vec()),
        ("none", Vec::new()),
        ("slice", noise(2, 9000)[100..5100].to_vec()),
        ("sparse", flat(&parts)),
        ("holey", flat(&parts)),
    ];
    for (name, bytes) in truth {
        let (out, result) = dump(&world, &view, name);
        assert_eq!(result.unwrap(), bytes.len() as u64);
        assert!(out == bytes, "{name}");
    }
    assert_eq!(dump(&world, &view, "dir").1.unwrap_err().kind(), Kind::InvalidSetting);
}

#[test]
fn a_damaged_blob_and_a_wrong_digest_end_the_dump_with_an_error() {
    let world = World::new();
    let bytes = noise(1, 60_000);
    let root = folder([("f", file(bytes.clone())), ("lie", node(Thing::Lying(noise(2, 5000))))]);
    let view = view_of(&world, &root);
    let error = dump(&world, &view, "lie").1.unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains("digest") && error.to_string().contains("lie"), "{error}");
    let bad = some_extent(&view.lookup(b"f").unwrap().unwrap(), 7);
    world.damage(bad);
    let (out, result) = dump(&world, &view, "f");
    let error = result.unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains(&bad.short()), "{error}");
    assert_eq!(out, &bytes[..7 * 4096], "what came before, and not a byte of the damaged blob");
}

#[test]
fn a_dump_stops_when_its_output_fails_or_it_is_asked_to() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0 < bytes.len() {
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let world = World::new();
    let view = view_of(&world, &folder([("f", file(noise(1, 500_000))), ("g", file("x"))]));
    for format in [Format::Tar, Format::Zip] {
        for room in [0, 100, 10_000] {
            let mut out = Full(room);
            let settings = Settings::default();
            let error =
                archive(view.repo(), &view.root(), format, &mut out, settings, &world.ambient)
                    .unwrap_err();
            assert_eq!(error.kind(), Kind::Target);
            let source = std::error::Error::source(&error).unwrap();
            let source = source.downcast_ref::<std::io::Error>().unwrap();
            assert_eq!(source.kind(), std::io::ErrorKind::BrokenPipe);
        }
    }
    world.ambient.cancel.cancel();
    assert_eq!(dump(&world, &view, "f").1.unwrap_err().kind(), Kind::Interrupted);
}

/// A bit of everything.
fn zoo() -> Node {
    let long = "long-name-".repeat(20);
    let mut root = folder([
        ("a.txt", file("hello").with_attribute("user.a=b%", b"v\nal\0ue")),
        ("big", file(noise(1, 700_001))),
        ("device", node(Thing::Other(Body::BlockDevice { major: 8, minor: 17 }))),
        (
            "dir",
            folder([("again", file(noise(3, 100)).linked(5)), ("empty", folder([]).mode(0o1777))]),
        ),
        ("fifo", node(Thing::Other(Body::Fifo))),
        ("first", file(noise(3, 100)).linked(5)),
        ("link", node(Thing::Link(b"dir/../a.txt".to_vec()))),
        ("longlink", node(Thing::Link("t/".repeat(150).into_bytes()))),
        ("old", file("old").at(-5)),
        ("rich", file("r").with_attribute("user.large", &noise(6, 900))),
        ("socket", node(Thing::Other(Body::Socket))),
        ("sparse", node(Thing::Sparse(vec![Part::Data(noise(2, 10)), Part::Hole(100_000)]))),
    ]);
    root.put("dir/empty", folder([(&long[..], folder([(&long[..], file("deep"))]))]));
    let Thing::Folder(entries) = &mut root.thing else { panic!("a folder") };
    entries.insert(b"caf\xe9".to_vec(), file("latin"));
    let half = b"\xff".repeat(200);
    entries.insert(half, file("not utf-8 and long"));
    root
}

/// Files of the zoo by path.
fn files_of_zoo() -> BTreeMap<Vec<u8>, Vec<u8>> {
    let long = "long-name-".repeat(20);
    let sparse = flat(&[Part::Data(noise(2, 10)), Part::Hole(100_000)]);
    [
        (b"a.txt".to_vec(), b"hello".to_vec()),
        (b"big".to_vec(), noise(1, 700_001)),
        (b"caf\xe9".to_vec(), b"latin".to_vec()),
        (b"dir/again".to_vec(), noise(3, 100)),
        (b"first".to_vec(), noise(3, 100)),
        (format!("dir/empty/{long}/{long}").into_bytes(), b"deep".to_vec()),
        (b"old".to_vec(), b"old".to_vec()),
        (b"rich".to_vec(), b"r".to_vec()),
        (b"sparse".to_vec(), sparse),
        (b"\xff".repeat(200), b"not utf-8 and long".to_vec()),
    ]
    .into()
}

/// Every record of the extended headers of a tar, read by its length.
fn records_of(archive: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut records = Vec::new();
    let mut reader = tar::Archive::new(archive);
    for entry in reader.entries().unwrap().raw(true) {
        let mut entry = entry.unwrap();
        if entry.header().entry_type() != tar::EntryType::XHeader {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let space = rest.iter().position(|&byte| byte == b' ').unwrap();
            let length: usize = std::str::from_utf8(&rest[..space]).unwrap().parse().unwrap();
            let (record, after) = rest.split_at(length);
            let record = record[space + 1..].strip_suffix(b"\n").unwrap();
            let equals = record.iter().position(|&byte| byte == b'=').unwrap();
            records.push((record[..equals].to_vec(), record[equals + 1..].to_vec()));
            rest = after;
        }
    }
    records
}

#[test]
fn a_tar_reads_back_with_everything_in_it() {
    let world = World::new();
    let view = view_of(&world, &zoo());
    let (out, result) = pack_up(&world, &view, Format::Tar);
    let report = result.unwrap();
    assert_eq!((report.directories, report.skipped), (3, 1), "a socket is left out");
    assert_eq!(out.len() % 512, 0);
    let mut files = BTreeMap::new();
    let mut kinds = BTreeMap::new();
    let mut reader = tar::Archive::new(&out[..]);
    for entry in reader.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path_bytes().into_owned();
        let path = path.strip_suffix(b"/").unwrap_or(&path).to_vec();
        let header = entry.header().clone();
        let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
        if header.entry_type() == tar::EntryType::Regular {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(path.clone(), bytes);
        }
        kinds.insert(path, (header, target));
    }
    let mut expected = files_of_zoo();
    let first = expected.remove(&b"first"[..]).unwrap();
    assert_eq!(first, files[&b"dir/again"[..]]);
    assert!(files == expected, "{:?}", files.keys().collect::<Vec<_>>());

    let (header, target) = &kinds[&b"first"[..]];
    assert_eq!(header.entry_type(), tar::EntryType::Link);
    assert_eq!(target.as_deref(), Some(&b"dir/again"[..]));
    let header = &kinds[&b"a.txt"[..]].0;
    assert_eq!((header.mode().unwrap(), header.uid().unwrap()), (0o644, 1000));
    assert_eq!(header.username().unwrap(), Some("ann"));
    let records = records_of(&out);
    let has = |key: &[u8], value: &[u8]| records.contains(&(key.to_vec(), value.to_vec()));
    assert!(has(b"mtime", b"1700000000.005") && has(b"mtime", b"-5"));
    assert!(has(b"SCHILY.xattr.user.a%3Db%25", b"v\nal\0ue"));
    assert!(has(b"SCHILY.xattr.user.large", &noise(6, 900)));
    let header = &kinds[&b"device"[..]].0;
    assert_eq!(header.entry_type(), tar::EntryType::Block);
    assert_eq!(
        (header.device_major().unwrap(), header.device_minor().unwrap()),
        (Some(8), Some(17))
    );
    assert_eq!(kinds[&b"link"[..]].1.as_deref(), Some(&b"dir/../a.txt"[..]));
    assert_eq!(kinds[&b"longlink"[..]].1.as_deref(), Some("t/".repeat(150).as_bytes()));
    assert_eq!(kinds[&b"fifo"[..]].0.entry_type(), tar::EntryType::Fifo);
    assert!(!kinds.contains_key(&b"socket"[..]));
}

/// Runs a program on bytes; whether it was content, and what it said.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> (bool, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn the_tar_of_the_system_unpacks_it() {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::MetadataExt as _;
    let world = World::new();
    let mut root = zoo();
    // A device needs a privilege that a test has not.
    root.remove("device");
    let view = view_of(&world, &root);
    let (out, result) = pack_up(&world, &view, Format::Tar);
    result.unwrap();
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let (is_content, said) = run("tar", &["-x", "-f", "-", "-C", at.to_str().unwrap()], &out);
    assert!(is_content, "{said}");
    for (path, bytes) in files_of_zoo() {
        let found = std::fs::read(at.join(std::ffi::OsStr::from_bytes(&path))).unwrap();
        assert!(found == bytes, "{}", path.escape_ascii());
    }
    let meta = |name: &str| std::fs::symlink_metadata(at.join(name)).unwrap();
    assert_eq!(meta("first").ino(), meta("dir/again").ino());
    assert_eq!((meta("a.txt").mtime(), meta("a.txt").mtime_nsec()), (1_700_000_000, 5_000_000));
    assert_eq!(meta("old").mtime(), -5);
    assert_eq!(std::fs::read_link(at.join("longlink")).unwrap().as_os_str().len(), 300);
}

#[test]
fn an_archive_that_failed_is_not_taken_for_a_whole_one() {
    let world = World::new();
    let root = folder([
        ("a", file("fine")),
        ("b", file(noise(1, 9000))),
        ("c", folder([("x", file("y"))])),
        ("large", file(noise(2, 200_000))),
        ("lie", node(Thing::Lying(noise(3, 1000)))),
    ]);
    let view = view_of(&world, &root);
    let entry = |name: &[u8]| view.lookup(name).unwrap().unwrap();
    let Body::Directory { tree, .. } = entry(b"c").body else { panic!("a directory") };
    let fails = || {
        let (out, result) = pack_up(&world, &view, Format::Tar);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged);
        let (is_content, said) = run("tar", &["-t", "-f", "-"], &out);
        assert!(!is_content, "{error}: {said}");
        let mut reader = tar::Archive::new(&out[..]);
        let read = reader
            .entries()
            .unwrap()
            .try_for_each(|entry| std::io::copy(&mut entry?, &mut std::io::sink()).map(|_| ()));
        assert!(read.is_err(), "{error}");
        let (out, result) = pack_up(&world, &view, Format::Zip);
        assert_eq!(result.unwrap_err().kind(), Kind::Damaged);
        assert!(zip::ZipArchive::new(Cursor::new(out)).is_err());
        error.to_string()
    };
    // At the end of a file, in the middle of a long one, between two entries, and close to the end
    // of a short one.
    assert!(fails().contains("digest"));
    let long = some_extent(&entry(b"large"), 20);
    let short = some_extent(&entry(b"b"), 2);
    for bad in [long, tree, short] {
        world.damage(bad);
        let error = fails();
        assert!(error.contains(&bad.short()), "{error}");
    }
}

#[test]
fn a_zip_reads_back() {
    let world = World::new();
    let view = view_of(&world, &zoo());
    let (out, result) = pack_up(&world, &view, Format::Zip);
    let report = result.unwrap();
    assert_eq!(
        (report.directories, report.skipped),
        (3, 3),
        "device, pipe and socket are left out"
    );
    let mut archive = zip::ZipArchive::new(Cursor::new(&out[..])).unwrap();
    let (mut files, mut links) = (BTreeMap::new(), 0);
    for number in 0..archive.len() {
        let mut entry = archive.by_index(number).unwrap();
        let name = entry.name_raw().to_vec();
        let mode = entry.unix_mode().unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        match mode & 0o170_000 {
            0o100_000 => {
                assert_eq!(mode & 0o777, 0o644);
                files.insert(name, bytes);
            }
            0o120_000 => {
                links += 1;
                assert!(name != b"link" || bytes == b"dir/../a.txt");
            }
            _ => assert!(name.ends_with(b"/")),
        }
    }
    assert!(files == files_of_zoo(), "{:?}", files.keys().collect::<Vec<_>>());
    assert_eq!(links, 2);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a.zip");
    std::fs::write(&path, &out).unwrap();
    let (is_content, said) = run("unzip", &["-t", path.to_str().unwrap()], b"");
    assert!(is_content, "{said}");
}

#[test]
fn many_small_files_of_shared_blobs_come_out_whole() {
    let world = World::new();
    let blob = noise(1, 200_000);
    let mut root = folder([]);
    for n in 0..500_u32 {
        root.put(&format!("f{n:03}"), node(Thing::Slice(blob.clone(), n * 400, 400)));
    }
    let view = view_of(&world, &root);
    let (out, result) = pack_up(&world, &view, Format::Tar);
    assert_eq!(result.unwrap().bytes, 200_000);
    let mut reader = tar::Archive::new(&out[..]);
    let mut all = Vec::new();
    for entry in reader.entries().unwrap() {
        entry.unwrap().read_to_end(&mut all).unwrap();
    }
    assert!(all == blob);
}

#[test]
fn a_single_file_may_be_an_archive_too() {
    let world = World::new();
    let view = view_of(&world, &folder([("d", folder([("f", file(noise(1, 5000)))]))]));
    let entry = view.lookup(b"d/f").unwrap().unwrap();
    let mut out = Vec::new();
    let settings = Settings::default();
    archive(view.repo(), &entry, Format::Tar, &mut out, settings, &world.ambient).unwrap();
    let mut reader = tar::Archive::new(&out[..]);
    let entry = reader.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(*entry.path_bytes(), *b"f");
}
