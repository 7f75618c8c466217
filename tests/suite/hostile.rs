//! Proves what becomes of a store that someone has tampered with who knows the format and lacks the
//! keys: slots made to cost or to mislead, frames moved about, answers that change between reads.
//!
//! Flipped and cut bytes are in `every_byte`, older states in `rollback`, links in the target in
//! `races`, names that steer a terminal in `commands`, single records in `vectors`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use engine::check::{self, ReadData};
use engine::error::Kind;
use engine::repair;
use engine::store::Store as _;
use engine::store::faulty::{Fault, Faulty};
use repo_format::key_slot::{Derivation, KeySlot};
use repo_format::{ObjectName, SlotId, envelope};
use strongroom_tests::in_memory::{Files, InMemory, files, open_in, restore_from};
use strongroom_tests::random;

fn small() -> InMemory {
    let world = InMemory::new(|tree| {
        tree.directory("d").file("d/one", random::bytes("one", 40_000));
        tree.file("d/two", random::bytes("two", 40_000)).file("small", random::text("s", 900));
        tree.file("inline", b"inline");
    });
    world.back_up();
    world
}

/// Puts a slot made of the real one, under a name before all others.
fn plant(world: &InMemory, number: u8, change: impl FnOnce(&mut KeySlot)) {
    let real = world.names("keys/").pop().unwrap();
    let mut slot = KeySlot::decode(&world.get(&real), None).unwrap();
    slot.id = SlotId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number]);
    change(&mut slot);
    world.put(&ObjectName::key_slot(slot.id), slot.encode().0);
}

#[test]
fn slots_with_mad_costs_are_passed_over_and_the_good_one_opens() {
    let world = small();
    let costs = [
        (u32::MAX, 3, 4),
        (2 << 20 | 1, 1, 1),
        (64, u32::MAX, 1),
        (64, 17, 1),
        (64, 1, u32::MAX),
        (64, 1, 0),
        (64, 0, 1),
        (7, 1, 1),
    ];
    for (number, (memory_kib, passes, lanes)) in (0..).zip(costs) {
        plant(&world, number, |slot| {
            slot.derivation = Derivation::Argon2id { memory_kib, passes, lanes };
        });
    }
    let started = Instant::now();
    open_in(&world.store).unwrap();
    // Gigabytes and billions of passes would take hours; this is no measurement.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    let real = world.names("keys/").pop().unwrap();
    world.store.delete(&real).unwrap();
    let error = open_in(&world.store).unwrap_err();
    assert!(error.to_string().contains("Argon2id"), "{error}");
}

#[test]
fn a_slot_is_not_opened_by_a_secret_that_its_commitment_does_not_name() {
    let world = small();
    let real = world.names("keys/").pop().unwrap();
    // The sealed bundle would still open; the commitment alone says that it must not be tried.
    let mut slot = KeySlot::decode(&world.get(&real), None).unwrap();
    slot.commitment[0] ^= 1;
    world.put(&real, slot.encode().0);
    assert_eq!(open_in(&world.store).unwrap_err().kind(), Kind::WrongPassword);
}

#[test]
fn a_crowd_of_broken_slots_does_not_hide_the_good_one() {
    let world = small();
    let real = world.names("keys/").pop().unwrap();
    let whole = world.get(&real);
    for number in 0..250_u8 {
        let name =
            ObjectName::key_slot(SlotId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, number]));
        let bytes = match number % 5 {
            0 => Vec::new(),
            1 => whole[..usize::from(number)].to_vec(),
            // The right slot under another name.
            2 => whole.clone(),
            3 => [&whole[..], b"more"].concat(),
            _ => random::bytes(&number.to_string(), 400),
        };
        world.put(&name, bytes);
    }
    open_in(&world.store).unwrap();
    // And so many that they are not all read end in an error, not in a read without end.
    for number in 0..2000_u16 {
        let [high, low] = number.to_be_bytes();
        let id = SlotId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, high, low]);
        world.put(&ObjectName::key_slot(id), b"junk".to_vec());
    }
    let faulty = Arc::new(Faulty::new(world.store.clone()));
    let settings = engine::repo::OpenSettings::default();
    let shared: Arc<Faulty<_>> = Arc::clone(&faulty);
    let opened = engine::repo::open(shared, &strongroom_tests::in_memory::secret(), &settings);
    assert!(faulty.calls() < 300, "{} calls", faulty.calls());
    assert!(opened.is_err(), "256 slots are read, in the order of their names");
}

/// Gives an object that is named by its hash the name of its new bytes.
fn rename(world: &InMemory, name: &ObjectName, mut bytes: Vec<u8>) -> ObjectName {
    bytes.truncate(bytes.len() - 32);
    let hash = envelope::finish(&mut bytes);
    world.store.delete(name).unwrap();
    let new = if name.as_str().starts_with("packs/") {
        ObjectName::data_pack(hash)
    } else {
        ObjectName::metadata_pack(hash)
    };
    world.put(&new, bytes);
    new
}

/// A restore brings back right bytes or says that it does not.
fn is_honest(expected: &Files, found: &Files, is_claimed_whole: bool, what: &str) {
    for (path, content) in found {
        assert!(expected.get(path) == Some(content), "{what}: other bytes in {}", path.display());
    }
    assert!(!is_claimed_whole || expected == found, "{what}: restored less and said nothing");
}

#[test]
fn frames_that_changed_places_in_a_pack_that_looks_whole_do_not_open() {
    let world = small();
    let expected = files(&world.source());
    // The index is taken away and made again from what the packs themselves say that they hold.
    let index_again = || {
        for name in world.names("index/") {
            world.store.delete(&name).unwrap();
        }
        let repo = open_in(&world.store).unwrap();
        let options = repair::Options { is_dry_run: false, threads: 1 };
        repair::index(&repo, &options, &world.ambient).unwrap();
    };
    index_again();
    let target = world.path("target");
    let restored = world.restore(&target).unwrap().unwrap();
    is_honest(&expected, &restored.files, restored.is_claimed_whole(), "a new index");
    assert!(restored.is_claimed_whole(), "{:?}", restored.report);
    let mut swapped = 0;
    for name in world.names("packs/") {
        let mut pack = world.get(&name);
        // Two blobs of noise are as long sealed as they are plain, and each has 40 bytes more.
        let frame = 40_000 + 40;
        if pack.len() < 64 + 2 * frame {
            continue;
        }
        let (first, second) = pack[64..].split_at_mut(frame);
        first.swap_with_slice(&mut second[..frame]);
        rename(&world, &name, pack);
        swapped += 1;
    }
    index_again();
    let options = check::Options { read_data: ReadData::All, ..check::Options::default() };
    let repo = open_in(&world.store).unwrap();
    let report = check::check(&repo, &options, &world.ambient).unwrap();
    let restored = world.restore(&target).unwrap().unwrap();
    is_honest(&expected, &restored.files, restored.is_claimed_whole(), "swapped frames");
    // The two may lie in packs of their own, by the draw that spreads the blobs of a backup.
    assert_eq!(report.has_damage(), swapped > 0, "{:?}", report.findings);
    assert_eq!(restored.is_claimed_whole(), swapped == 0);
}

#[test]
fn a_pack_cut_before_its_directory_and_made_to_look_whole_is_found() {
    let world = small();
    let expected = files(&world.source());
    for name in [world.names("packs/"), world.names("meta/")].concat() {
        let whole = world.get(&name);
        for keep in [0, 100, whole.len() - 200] {
            let mut pack = whole[..64 + keep.min(whole.len() - 100)].to_vec();
            pack.extend_from_slice(&u32::try_from(keep).unwrap().to_le_bytes());
            pack.extend_from_slice(&[0; 32]);
            let planted = rename(&world, &name, pack);
            let target = world.path("target");
            if let Ok(Some(restored)) = world.restore(&target) {
                let what = format!("{name} cut to {keep}");
                is_honest(&expected, &restored.files, restored.is_claimed_whole(), &what);
                assert!(!restored.is_claimed_whole(), "{what}");
            }
            world.store.delete(&planted).unwrap();
            world.put(&name, whole.clone());
        }
    }
}

#[test]
fn an_answer_that_is_short_or_wrong_once_never_becomes_other_bytes() {
    let world = small();
    let expected = files(&world.source());
    let target = world.path("target");
    let run = |call: Option<(u64, Fault)>| {
        let faulty = Arc::new(Faulty::new(world.store.clone()));
        if let Some((number, fault)) = call {
            faulty.inject(number, fault);
        }
        let shared: Arc<Faulty<_>> = Arc::clone(&faulty);
        let restored = restore_from(shared, &world.source(), &target, &world.ambient);
        (restored, faulty.calls())
    };
    let (sound, calls) = run(None);
    assert!(sound.unwrap().unwrap().is_claimed_whole());
    assert!(calls > 8, "{calls}");
    for number in 0..calls {
        for fault in [Fault::ShortGet, Fault::CorruptGet, Fault::ErrorBefore, Fault::PartialList] {
            let what = format!("{fault:?} at call {number} of {calls}");
            match run(Some((number, fault))).0 {
                Err(error) => assert!(!error.to_string().is_empty(), "{what}"),
                Ok(None) => assert_eq!(fault, Fault::PartialList, "{what}: no snapshot"),
                Ok(Some(one)) => {
                    is_honest(&expected, &one.files, one.is_claimed_whole(), &what);
                }
            }
        }
    }
}

#[test]
fn an_object_in_the_place_of_another_is_never_taken_for_it() {
    let (world, other) = (small(), small());
    let expected = files(&world.source());
    let target = world.path("target");
    let names = world.store.names();
    let strangers: Vec<_> = other.store.names().into_iter().map(|name| other.get(&name)).collect();
    let own: Vec<_> = names.iter().map(|name| world.get(name)).collect();
    let mut cases = 0;
    for (name, whole) in names.iter().zip(&own) {
        for bytes in own.iter().chain(&strangers).filter(|bytes| *bytes != whole) {
            world.put(name, bytes.clone());
            let what = format!("{} bytes in the place of {name}", bytes.len());
            if let Ok(Some(restored)) = world.restore(Path::new(&target)) {
                is_honest(&expected, &restored.files, restored.is_claimed_whole(), &what);
            }
            cases += 1;
        }
        world.put(name, whole.clone());
    }
    assert!(cases > 100, "{cases}");
}

#[test]
fn an_attribute_as_large_as_the_file_system_takes_comes_back() {
    let name = "user.large";
    let set = |path: &Path, bytes: usize| {
        let value = random::bytes("attribute", bytes);
        rustix::fs::lsetxattr(path, name, &value, rustix::fs::XattrFlags::empty()).is_ok()
    };
    let world = InMemory::new(|tree| {
        tree.file("labelled", b"x");
    });
    let path = world.source().join("labelled");
    // Linux takes 64 KiB, some file systems no more than a block.
    let Some(bytes) = [65_536, 32_768, 16_384, 4000].into_iter().find(|bytes| set(&path, *bytes))
    else {
        eprintln!("passed over: the file system takes no attributes");
        return;
    };
    world.back_up();
    let target = world.path("target");
    assert!(world.restore(&target).unwrap().unwrap().is_claimed_whole());
    let mut found = vec![0; 65_536];
    let length = rustix::fs::lgetxattr(target.join("labelled"), name, &mut found[..]).unwrap();
    assert_eq!(found[..length], random::bytes("attribute", bytes));
}
