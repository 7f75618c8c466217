//! What the cache answers, and when it asks the store.

use repo_format::ObjectHash;

use super::*;
use crate::store::layers::{Call, Trace};
use crate::store::{MemoryStore, conformance};

struct World {
    folder: tempfile::TempDir,
    memory: MemoryStore,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), memory: MemoryStore::new() }
    }

    /// A new process on the same machine.
    fn open(&self) -> Cache<Trace<MemoryStore>> {
        Cache::new(Trace::new(self.memory.clone()), &self.folder.path().join("cache"))
    }

    fn copy(&self, name: &ObjectName) -> std::path::PathBuf {
        self.folder.path().join("cache").join(name.as_str())
    }
}

/// A metadata pack as a store holds it: named by its trailer.
fn metadata_pack(length: usize) -> (ObjectName, Bytes) {
    let mut bytes = vec![7; length];
    let trailer = blake3::hash(&bytes);
    bytes.extend_from_slice(trailer.as_bytes());
    (ObjectName::metadata_pack(ObjectHash(*trailer.as_bytes())), Bytes::from(bytes))
}

fn reads(cache: &Cache<Trace<MemoryStore>>) -> (u64, u64) {
    let counts = cache.inner().counts();
    (counts.of(Call::Get).calls, counts.of(Call::GetRange).calls)
}

#[test]
fn every_promise_is_kept() {
    let world = World::new();
    conformance::run_all(&world.open()).unwrap();
    let local = LocalStore::create(world.folder.path().join("store")).unwrap();
    conformance::run_all(&Cache::new(local, &world.folder.path().join("cache"))).unwrap();
}

#[test]
fn a_range_fetches_the_object_once_and_later_processes_fetch_nothing() {
    let world = World::new();
    let (name, bytes) = metadata_pack(5000);
    world.memory.put(&name, bytes.clone(), Put::Create).unwrap();
    let first = world.open();
    for offset in 0..20_u8 {
        let read = first.get_range(&name, offset.into(), 4).unwrap();
        assert_eq!(read, bytes[usize::from(offset)..][..4]);
    }
    assert_eq!(first.get(&name).unwrap(), bytes);
    assert_eq!(reads(&first), (1, 0));
    let second = world.open();
    assert_eq!(second.get_range(&name, 10, 4).unwrap().len(), 4);
    assert_eq!(second.get_range(&name, 10, 9000).unwrap_err().cause, Cause::OutOfRange);
    assert_eq!(second.get(&name).unwrap(), bytes);
    assert_eq!(reads(&second), (0, 0));
}

#[test]
fn what_is_written_is_not_fetched() {
    let world = World::new();
    let (name, bytes) = metadata_pack(100);
    let cache = world.open();
    cache.put(&name, bytes.clone(), Put::Create).unwrap();
    assert_eq!(cache.get(&name).unwrap(), bytes);
    assert_eq!(reads(&cache), (0, 0));
}

#[test]
fn data_packs_and_key_slots_are_not_kept() {
    let world = World::new();
    let cache = world.open();
    for text in ["packs/ab/1", "keys/1", "strongroom", "gc/1.plan"] {
        let name = ObjectName::parse(text).unwrap();
        cache.put(&name, metadata_pack(10).1, Put::Create).unwrap();
        cache.get(&name).unwrap();
        assert!(!world.copy(&name).exists(), "{name}");
    }
}

#[test]
fn a_damaged_copy_is_fetched_again() {
    let world = World::new();
    let (name, bytes) = metadata_pack(1000);
    let (_, other) = metadata_pack(500);
    world.open().put(&name, bytes.clone(), Put::Create).unwrap();
    let mut flipped = bytes.to_vec();
    flipped[3] ^= 1;
    // Flipped, cut short, emptied, and another object's bytes under this name.
    for damaged in [&flipped[..], &bytes[..900], &[], &other[..]] {
        std::fs::write(world.copy(&name), damaged).unwrap();
        let cache = world.open();
        assert_eq!(cache.get_range(&name, 0, 9).unwrap(), bytes[..9]);
        assert_eq!(cache.get(&name).unwrap(), bytes);
        assert_eq!(reads(&cache), (1, 0));
    }
}

#[test]
fn a_copy_that_vanishes_is_fetched_again() {
    let world = World::new();
    let (name, bytes) = metadata_pack(1000);
    let cache = world.open();
    cache.put(&name, bytes.clone(), Put::Create).unwrap();
    std::fs::remove_dir_all(world.folder.path().join("cache")).unwrap();
    assert_eq!(cache.get_range(&name, 0, 9).unwrap(), bytes[..9]);
    assert_eq!(cache.get(&name).unwrap(), bytes);
}

#[test]
fn a_damaged_object_is_passed_on_and_not_kept() {
    let world = World::new();
    let (name, bytes) = metadata_pack(1000);
    world.memory.put(&name, bytes.slice(..999), Put::Create).unwrap();
    let cache = world.open();
    assert_eq!(cache.get(&name).unwrap(), bytes.slice(..999));
    assert!(!world.copy(&name).exists());
    world.memory.put(&name, bytes.clone(), Put::Overwrite).unwrap();
    assert_eq!(cache.get(&name).unwrap(), bytes);
}

#[test]
fn a_folder_that_cannot_be_used_fails_nothing() {
    let world = World::new();
    std::fs::write(world.folder.path().join("cache"), "a file").unwrap();
    let (name, bytes) = metadata_pack(1000);
    let cache = world.open();
    cache.put(&name, bytes.clone(), Put::Create).unwrap();
    assert_eq!(cache.get_range(&name, 0, 9).unwrap(), bytes[..9]);
    assert_eq!(cache.get(&name).unwrap(), bytes);
    // Without a folder a range is not worth a whole object.
    assert_eq!(reads(&cache), (1, 1));
    conformance::run_all(&cache).unwrap();
}

#[test]
fn copies_that_are_no_longer_listed_are_dropped() {
    let world = World::new();
    let cache = world.open();
    let (kept, bytes) = metadata_pack(1000);
    let (pruned, other) = metadata_pack(2000);
    cache.put(&kept, bytes, Put::Create).unwrap();
    cache.put(&pruned, other, Put::Create).unwrap();
    world.memory.delete(&pruned).unwrap();
    assert_eq!(cache.list("meta/").unwrap().len(), 1);
    assert!(world.copy(&kept).exists() && !world.copy(&pruned).exists());
    assert!(cache.get(&pruned).unwrap_err().is_not_found());
}

#[test]
fn an_answer_that_belongs_to_another_name_is_not_kept() {
    let world = World::new();
    let card = |id: u8| {
        let mut bytes = vec![id; 200];
        let trailer = blake3::hash(&bytes);
        bytes.extend_from_slice(trailer.as_bytes());
        (ObjectName::writer_card(repo_format::WriterId([id; 16])), Bytes::from(bytes))
    };
    let ((mine, right), (_, wrong)) = (card(1), card(2));
    // The store answers once with the object of another name.
    world.memory.put(&mine, wrong.clone(), Put::Create).unwrap();
    let cache = world.open();
    assert_eq!(cache.get(&mine).unwrap(), wrong);
    assert!(!world.copy(&mine).exists());
    world.memory.put(&mine, right.clone(), Put::Overwrite).unwrap();
    assert_eq!(cache.get(&mine).unwrap(), right);
    assert!(world.copy(&mine).exists());
}
