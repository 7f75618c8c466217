//! Single objects, sizes and the history.

use repo_format::pack::BlobKind;

use super::world::{World, file, folder, noise};
use crate::browse::cat::{self, Object, Target};
use crate::browse::{history, stats};
use crate::error::Kind;

#[test]
fn every_kind_of_object_is_shown() {
    let world = World::new();
    let root = folder([("f", file(noise(1, 400_000))), ("d", folder([("x", file("1"))]))]);
    let id = world.snapshot(&root, "till", 1);
    let (repo, history) = (world.indexed(), world.history());
    let show = |kind: &str, id: &str| {
        let target = Target::find(&repo, &history, kind, id).unwrap();
        cat::read(&repo, &history, &target).unwrap()
    };
    assert!(matches!(show("config", ""), Object::Config(config) if config.generation == 0));
    let Object::Snapshot(taken) = show("snapshot", &id.to_hex()[..10]) else {
        panic!("a snapshot")
    };
    assert_eq!(taken.id, id);
    assert!(matches!(show("record", &id.to_hex()), Object::Record(_)));
    let tree = taken.snapshot.root.to_hex();
    for digits in [8, 9, 64] {
        assert!(matches!(show("tree", &tree[..digits]), Object::Tree(_)), "{digits}");
    }
    let slot = repo.slot();
    let Object::Slot(info) = show("key", &slot.to_hex()[..8]) else { panic!("a slot") };
    assert_eq!((info.id, info.label.unwrap().host.as_str().to_owned()), (slot, "till".to_owned()));
    let segment = repo.index().segments()[0];
    let Object::Segment { head, plain_bytes, .. } = show("index", &segment.to_hex()) else {
        panic!("a segment")
    };
    assert!(plain_bytes > 400_000 && !head.packs.is_empty());
    let mut kinds = std::collections::BTreeMap::new();
    for pack in repo.index().packs() {
        let Object::Pack(_, directory) = show("pack", &pack.hash.to_hex()[..16]) else {
            panic!("a pack")
        };
        for entry in directory.entries {
            let shown = show("blob", &entry.id.to_hex());
            kinds.insert(entry.kind, std::mem::discriminant(&shown));
            if let Object::Bytes(bytes) = shown {
                assert_eq!(bytes.len(), entry.plain_bytes as usize);
            }
        }
    }
    let seen: Vec<BlobKind> = kinds.into_keys().collect();
    assert_eq!(seen, [BlobKind::Data, BlobKind::Tree, BlobKind::ContentList]);
}

#[test]
fn what_is_not_there_and_what_is_damaged_are_errors() {
    let world = World::new();
    let id = world.snapshot(&folder([("f", file(noise(1, 400)))]), "till", 1);
    let (repo, history) = (world.indexed(), world.history());
    let kinds = ["snapshot", "record", "tree", "blob", "pack", "index", "key", "nonsense"];
    for kind in kinds {
        for name in ["ffffffffffff", "zz", "", "a"] {
            let error = Target::find(&repo, &history, kind, name).unwrap_err();
            assert_eq!(error.kind(), Kind::NotFound, "{kind} {name}");
        }
    }
    let root = world.taken(id).snapshot.root;
    world.damage(root);
    let error = cat::read(&repo, &history, &Target::Blob(root)).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains(&root.short()));
}

#[test]
fn sizes_tell_what_is_shared_and_what_is_not() {
    let world = World::new();
    let empty = stats::of_snapshots(&world.indexed(), &[], &world.ambient).unwrap();
    assert_eq!(empty, stats::Sizes::default());
    let (both, one, two) = (noise(1, 500_000), noise(2, 40_960), noise(3, 81_920));
    let mut root =
        folder([("both", file(both)), ("d", folder([("deep", folder([("one", file(one))]))]))]);
    world.snapshot(&root, "till", 1);
    root.put("d/deep/one", file(two));
    world.snapshot(&root, "till", 2);
    let taken = world.history().snapshots();
    let sizes = stats::of_snapshots(&world.indexed(), &taken, &world.ambient).unwrap();
    assert_eq!(sizes.restore_bytes, 540_960 + 581_920);
    assert_eq!(sizes.data.plain_bytes, 500_000 + 40_960 + 81_920);
    assert!(sizes.data.stored_bytes > sizes.data.plain_bytes, "noise does not compress");
    let unique: Vec<(u64, u64)> =
        sizes.rows.iter().map(|row| (row.unique.count, row.restore_bytes)).collect();
    // Blobs of one file, and the three directories above it.
    assert_eq!(unique, [(10 + 3, 540_960), (20 + 3, 581_920)]);
    assert!(sizes.rows[0].unique.plain_bytes > 40_960);
    assert_eq!(sizes.rows[0].added_plain_bytes, 7);
    assert!(sizes.deduplication().unwrap() > 1.7);

    let whole = stats::whole(&world.indexed());
    assert_eq!((whole.data, whole.metadata), (sizes.data, sizes.metadata));
    assert_eq!(whole.data_packs, world.packs() as u64);
    assert_eq!(
        whole.data_packs + whole.metadata_packs,
        world.indexed().index().packs().len() as u64
    );

    // The same snapshot twice has nothing of its own.
    let twice = [taken[0].clone(), taken[0].clone(), taken[1].clone()];
    let sizes = stats::of_snapshots(&world.indexed(), &twice, &world.ambient).unwrap();
    let unique: Vec<u64> = sizes.rows.iter().map(|row| row.unique.count).collect();
    assert_eq!(unique, [0, 0, 23]);
}

#[test]
fn the_history_is_shown_and_what_is_gone_from_it_too() {
    use crate::store::Store as _;
    let world = World::new();
    world.snapshot(&folder([("f", file("1"))]), "till\u{1b}[31m", 1);
    let (rows, verification) = history::examine(&world.repo, &world.ambient).unwrap();
    assert_eq!(rows[0].event, "created");
    let row = rows.iter().find(|row| row.event == "snapshot").unwrap();
    assert!(row.summary.contains("1 files, 1 bytes of /home"), "{}", row.summary);
    assert!(row.actor.starts_with("ann@till") && !row.actor.contains('\u{1b}'), "{}", row.actor);
    assert!(verification.holds());
    assert_eq!(verification.records, 2);

    world.store.delete(&rows[0].object).unwrap();
    let (rows, verification) = history::examine(&world.repo, &world.ambient).unwrap();
    assert_eq!(rows.len(), 1);
    assert!(!verification.holds());
    assert!(!verification.missing.is_empty());
}
