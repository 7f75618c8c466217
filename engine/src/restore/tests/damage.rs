//! What is damaged is reported, never restored as if it were right; all else goes on.

use super::*;
use crate::finding::Severity;
use crate::store::Put;

fn lost(report: &Report) -> Vec<&str> {
    let mut lost: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Loss)
        .map(|finding| finding.object.as_str())
        .collect();
    lost.sort_unstable();
    lost
}

#[test]
fn a_file_whose_only_blob_is_damaged_is_not_there() {
    let world = World::new([("a", file("whole")), ("b", file("broken")), ("c", file("sound"))]);
    world.damage(b"broken");
    let report = world.run(&Options { verify: true, ..world.options() });
    assert_eq!(lost(&report), ["/src/b"]);
    assert!(report.findings[0].what.contains("6 bytes"), "{:?}", report.findings);
    assert_eq!(report.findings.len(), 1);
    assert_eq!(world.names("src"), ["a", "c"]);
    assert_eq!((world.read("src/a"), world.read("src/c")), (b"whole".into(), b"sound".into()));
    assert_eq!((report.files, report.files_verified), (2, 2));
}

#[test]
fn a_file_with_one_damaged_part_is_set_aside() {
    let big = || parts((0..50).map(|seed| Part::Bytes(noise(seed, 300_000))).collect());
    let long = [b'n'; 250];
    let world = World::new([(&b"big"[..], big()), (&long, big()), (b"other", file("fine"))]);
    world.damage(&noise(17, 300_000));
    let report = world.run(&world.options());
    assert_eq!(lost(&report).len(), 2);
    assert_eq!(world.names("src")[0], "big.strongroom-damaged");
    assert_eq!(world.names("src").len(), 3);
    let rest = world.read("src/big.strongroom-damaged");
    assert_eq!(rest.len(), 50 * 300_000);
    for seed in 0..50 {
        let part = &rest[seed * 300_000..][..300_000];
        let expected = if seed == 17 { vec![0; 300_000] } else { noise(seed as u64, 300_000) };
        assert!(part == expected, "part {seed}");
    }
    assert_eq!(world.read("src/other"), b"fine");
}

#[test]
fn an_older_file_stays_where_nothing_of_the_new_one_can_be_read() {
    let world = World::new([("a", file("broken"))]);
    std::fs::create_dir_all(world.path("src")).unwrap();
    std::fs::write(world.path("src/a"), "older").unwrap();
    world.damage(b"broken");
    let report = world.run(&world.options());
    assert_eq!(lost(&report), ["/src/a"]);
    assert_eq!(world.read("src/a"), b"older");
}

#[test]
fn what_is_right_already_needs_no_sound_repository() {
    let world = World::new([("a", file("broken"))]);
    world.restore();
    world.damage(b"broken");
    assert_eq!(world.restore().files_right, 1);
}

#[test]
fn every_name_of_a_damaged_file_is_reported_and_none_is_made() {
    let item = || file("broken").link(9);
    let world = World::new([("a", item()), ("b", item()), ("z", folder([("c", item())]))]);
    world.damage(b"broken");
    let report = world.run(&world.options());
    assert_eq!(lost(&report), ["/src/a", "/src/b", "/src/z/c"]);
    assert_eq!(world.names("src"), ["z"]);
    assert!(world.names("src/z").is_empty());
}

#[test]
fn damage_of_a_bundle_costs_the_files_in_it_and_no_others() {
    let bundle = noise(8, 1000);
    let slices = [("a", Item::new(Node::Slice(0, 10))), ("b", Item::new(Node::Slice(10, 990)))];
    let root = folder([("src", folder(slices.into_iter().chain([("c", file("fine"))])))]);
    let world = World::with(&root, &["/src"], &bundle);
    world.damage(&bundle);
    assert_eq!(lost(&world.run(&world.options())), ["/src/a", "/src/b"]);
    assert_eq!(world.names("src"), ["c"]);
}

#[test]
fn every_flipped_bit_of_a_small_pack_gives_a_finding_or_the_right_bytes() {
    let world = World::new([("a", file(noise(1, 40))), ("b", file(noise(2, 40)))]);
    let packs: Vec<_> = world
        .store
        .names()
        .into_iter()
        .filter(|name| name.as_str().starts_with("packs/"))
        .collect();
    for name in packs {
        let sound = world.store.get(&name).unwrap();
        for at in 0..sound.len() {
            let mut bytes = sound.to_vec();
            bytes[at] ^= 0x10;
            world.store.put(&name, bytes.into(), Put::Overwrite).unwrap();
            let target = world.place.path().join(format!("{at}"));
            let report = world.run(&Options { target: target.clone(), ..world.options() });
            let mut right = 0;
            for (file, seed) in [("src/a", 1), ("src/b", 2)] {
                if let Ok(found) = std::fs::read(target.join(file)) {
                    assert_eq!(found, noise(seed, 40));
                    right += 1;
                }
            }
            assert_eq!(right + lost(&report).len(), 2);
            std::fs::remove_dir_all(target).unwrap();
        }
        world.store.put(&name, sound, Put::Overwrite).unwrap();
    }
}

#[test]
fn a_pack_that_is_gone_or_cut_short_is_reported() {
    let world = World::new([("a", file("one")), ("b", inline(b"two"))]);
    let names = world.store.names();
    let pack = names.iter().find(|name| name.as_str().starts_with("packs/")).unwrap();
    let sound = world.store.get(pack).unwrap();
    world.store.put(pack, sound.slice(..70), Put::Overwrite).unwrap();
    assert_eq!(lost(&world.run(&world.options())), ["/src/a"]);
    world.store.delete(pack).unwrap();
    let report = world.run(&world.options());
    assert_eq!(lost(&report), ["/src/a"]);
    assert!(report.findings[0].what.contains(pack.as_str()), "{:?}", report.findings);
    assert_eq!(world.names("src"), ["b"]);
}

#[test]
fn a_folder_that_cannot_be_read_costs_itself_and_nothing_is_deleted_in_it() {
    let world = World::new([("a", folder([("x", file("x"))])), ("b", file("b"))]);
    world.restore();
    std::fs::write(world.path("src/a/extra"), "extra").unwrap();
    let mut reader = BlobReader::new(&world.repo).unwrap();
    let start = Start::find(&mut reader, &world.snapshot.snapshot, Some(b"/src/a")).unwrap();
    let At::Folder(tree, _) = start.at else { panic!("a folder") };
    world.damage_blob(tree);
    let report = world.run(&Options { delete: true, ..world.options() });
    assert_eq!(lost(&report), ["/src/a"]);
    assert_eq!(world.names("src/a"), ["extra", "x"]);
    assert_eq!((report.deleted, report.files), (0, 1));
}

#[test]
fn a_content_list_that_cannot_be_read_costs_its_file() {
    let big = parts((0..70).map(|seed| Part::Bytes(noise(seed, 1000))).collect());
    let world = World::new([("big", big), ("c", file("fine"))]);
    let mut reader = BlobReader::new(&world.repo).unwrap();
    let start = Start::find(&mut reader, &world.snapshot.snapshot, Some(b"/src/big")).unwrap();
    let At::Thing(entry) = start.at else { panic!("a file") };
    let Body::File { content: Content::List { root, .. }, .. } = entry.body else {
        panic!("a list")
    };
    world.damage_blob(root);
    let report = world.run(&world.options());
    assert_eq!(lost(&report), ["/src/big"]);
    assert!(report.findings[0].what.contains("70000 bytes"), "{:?}", report.findings);
    assert_eq!(world.names("src"), ["c"]);
}

#[test]
fn reading_back_finds_what_was_changed_meanwhile() {
    let world = World::new([("a", file("right")), ("s", symlink("x"))]);
    world.restore();
    let time = std::fs::metadata(world.path("src/a")).unwrap().modified().unwrap();
    std::fs::write(world.path("src/a"), "wrong").unwrap();
    std::fs::File::options()
        .write(true)
        .open(world.path("src/a"))
        .unwrap()
        .set_modified(time)
        .unwrap();
    let options = Options { overwrite: Overwrite::IfChanged, verify: true, ..world.options() };
    let report = world.run(&options);
    assert_eq!(lost(&report), ["/src/a"]);
    assert_eq!((report.files_verified, report.bytes_verified), (1, 0));
}
