//! What goes, what stays, and what is refused.

use std::sync::Arc;

use repo_format::history::Event;

use super::super::prune;
use super::world::{DAY, World, noise};
use crate::error::Kind;
use crate::repo::packer::{BlobWriter, PackSettings};
use crate::repo::vouching;
use crate::store::faulty::{Fault, Faulty};
use crate::store::layers::Call;
use crate::store::{MemoryStore, Store};

/// A world with a machine that has made two snapshots and forgotten the first.
fn forgotten() -> (World, super::world::Machine) {
    let world = World::new();
    let machine = world.machine("till");
    machine.write("old", &noise(1, 300_000));
    machine.write("both", &noise(2, 300_000));
    let first = machine.back_up().unwrap();
    machine.remove("old");
    machine.write("new", &noise(3, 300_000));
    machine.back_up().unwrap();
    machine.forget(&[first]).unwrap();
    (world, machine)
}

#[test]
fn what_no_snapshot_needs_goes_and_the_rest_stays() {
    let (world, machine) = forgotten();
    let before = world.store.total_bytes();
    let report = machine.prune(0).unwrap();
    assert!(report.deleted_bytes > 250_000, "{report:?}");
    machine.all_is_well();
    let saved = before - world.store.total_bytes();
    assert!(saved > 250_000, "only {saved} bytes were freed");
    assert_eq!(machine.live().len(), 1);
    assert!(world.names("gc/").is_empty(), "{:?}", world.names("gc/"));
}

#[test]
fn a_prune_with_nothing_to_do_writes_nothing() {
    let (world, machine) = forgotten();
    machine.prune(0).unwrap();
    for _ in 0..2 {
        machine.prune(0).unwrap();
    }
    let names = world.store.names();
    let report = machine.prune(0).unwrap();
    assert!(report.is_idle, "{report:?}");
    assert_eq!(world.store.names(), names);
    let store = Arc::new(Faulty::new(world.store.clone()));
    let other = world.machine_at("other", store.clone());
    other.prune(0).unwrap();
    let writes =
        store.log().into_iter().filter(|(call, _)| matches!(call, Call::Put | Call::Delete));
    assert_eq!(writes.collect::<Vec<_>>(), []);
}

#[test]
fn nothing_is_deleted_before_its_time_and_a_dry_run_does_nothing() {
    let (world, machine) = forgotten();
    let packs = world.packs();
    let names = world.store.names();
    let mut options = machine.options(2 * 24 * 3_600_000);
    options.is_dry_run = true;
    let told = prune(&machine.repo, &options, &machine.ambient).unwrap();
    assert_eq!(world.store.names(), names);
    assert!(told.condemned_packs > 0 && !told.is_idle);
    let report = machine.prune(2 * 24 * 3_600_000).unwrap();
    assert_eq!((report.deleted_packs, report.waiting.len()), (0, 1));
    assert_eq!(report.condemned_packs, told.condemned_packs);
    assert!(world.packs() >= packs);
    world.pass(DAY);
    let report = machine.prune(2 * 24 * 3_600_000).unwrap();
    assert_eq!((report.deleted_packs, report.waiting.len()), (0, 1));
    assert!(report.is_idle, "{report:?}");
    world.pass(DAY);
    // Another machine carries it out.
    let report = world.machine("other").prune(0).unwrap();
    assert_eq!(report.deleted_packs, told.condemned_packs);
    machine.all_is_well();
}

#[test]
fn a_backup_relies_on_nothing_that_is_condemned() {
    let (world, machine) = forgotten();
    machine.prune(DAY.unsigned_abs()).unwrap();
    // The content of the forgotten snapshot comes back, while its packs still lie there.
    machine.write("old", &noise(1, 300_000));
    machine.back_up().unwrap();
    world.pass(2 * DAY);
    let report = machine.prune(0).unwrap();
    assert!(report.deleted_packs > 0 && report.reprieved_packs == 0, "{report:?}");
    machine.all_is_well();
    assert_eq!(machine.live().len(), 2);
}

#[test]
fn a_snapshot_that_knew_nothing_of_the_plan_keeps_its_packs() {
    let (world, machine) = forgotten();
    let other = world.machine("other");
    other.write("old", &noise(1, 300_000));
    // It has read everything before the plan, and commits after it.
    let stale = other.repo.load_index(&other.ambient).unwrap();
    machine.prune(DAY.unsigned_abs()).unwrap();
    let mut history = other.history().unwrap();
    let settings =
        PackSettings::within(32 << 20, 1 << 20, 1, 1, crate::chunk::compression::Level::Default);
    let root = BlobWriter::with(&stale, settings, &other.ambient.progress, |writer| {
        let mut scratch = writer.scratch()?;
        let content =
            crate::repo::fixture::stored(writer, &mut scratch, &other.repo, &noise(1, 300_000));
        let entries = [crate::repo::fixture::file(b"old", 300_000, content)];
        Ok(crate::repo::fixture::directory(writer, &mut scratch, &other.repo, &entries))
    })
    .unwrap();
    let snapshot = crate::repo::fixture::snapshot(root);
    let actor = other.actor();
    let event = Event::Snapshot(Box::new(snapshot));
    history.commit(&other.repo, event, 0, &actor, &other.ambient).unwrap();
    world.pass(2 * DAY);
    let report = machine.prune(0).unwrap();
    assert!(report.reprieved_packs > 0, "{report:?}");
    machine.all_is_well();
    // The next ones move what is needed out of what was reprieved, and come to rest.
    for _ in 0..4 {
        machine.prune(0).unwrap();
        machine.all_is_well();
    }
    assert!(machine.prune(0).unwrap().is_idle);
    assert!(world.names("gc/").is_empty(), "{:?}", world.names("gc/"));
}

#[test]
fn a_snapshot_whose_writer_died_before_its_last_look_is_named() {
    let (world, machine) = forgotten();
    let other = world.machine("other");
    let stale = other.repo.load_index(&other.ambient).unwrap();
    let mut history = other.history().unwrap();
    machine.prune(0).unwrap();
    // It relies on what the prune has deleted, commits, and never looks again.
    let settings =
        PackSettings::within(32 << 20, 1 << 20, 1, 1, crate::chunk::compression::Level::Default);
    let content = noise(1, 300_000);
    let root = BlobWriter::with(&stale, settings, &other.ambient.progress, |writer| {
        let mut scratch = writer.scratch()?;
        let content = crate::repo::fixture::stored(writer, &mut scratch, &other.repo, &content);
        let entries = [crate::repo::fixture::file(b"old", 300_000, content)];
        Ok(crate::repo::fixture::directory(writer, &mut scratch, &other.repo, &entries))
    })
    .unwrap();
    let event = Event::Snapshot(Box::new(crate::repo::fixture::snapshot(root)));
    let id = history.commit(&other.repo, event, 0, &other.actor(), &other.ambient).unwrap();
    let doubtful =
        vouching::doubtful(&machine.repo, &machine.history().unwrap(), &machine.ambient).unwrap();
    assert_eq!(doubtful, [id]);
    let error = machine.prune(0).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains(&id.short()), "{error}");
    machine.forget(&[id]).unwrap();
    machine.prune(0).unwrap();
    machine.all_is_well();
}

#[test]
fn packs_of_a_running_backup_stay() {
    let (world, machine) = forgotten();
    let other = world.machine("other");
    let indexed = other.repo.load_index(&other.ambient).unwrap();
    let settings =
        PackSettings::within(32 << 20, 1 << 20, 1, 1, crate::chunk::compression::Level::Default);
    BlobWriter::with(&indexed, settings, &other.ambient.progress, |writer| {
        let mut scratch = writer.scratch()?;
        writer.save(&mut scratch, repo_format::pack::BlobKind::Data, &noise(9, 100_000)).map(|_| ())
    })
    .unwrap();
    let report = machine.prune(0).unwrap();
    assert_eq!(report.young_packs, 1, "{report:?}");
    world.pass(8 * DAY);
    machine.write("more", b"more");
    machine.back_up().unwrap();
    let report = machine.prune(0).unwrap();
    assert_eq!(report.young_packs, 0, "{report:?}");
    machine.all_is_well();
}

/// Prunes over a store that lies; gives the error and how many objects are gone.
fn pruned_over(fault: (Call, Fault)) -> (Option<Kind>, usize) {
    let (world, _) = forgotten();
    let store = Arc::new(Faulty::new(world.store.clone()));
    let machine = world.machine_at("other", store.clone());
    let names = world.store.names().len();
    store.inject_always(fault.0, fault.1);
    let result = machine.prune(0);
    store.heal();
    machine.all_is_well();
    (result.err().map(|error| error.kind()), names.saturating_sub(world.store.names().len()))
}

#[test]
fn a_listing_that_fails_or_is_not_whole_deletes_nothing() {
    for fault in [Fault::ErrorBefore, Fault::PartialList] {
        let (kind, gone) = pruned_over((Call::List, fault));
        assert!(kind.is_some(), "{fault:?} went unnoticed");
        assert_eq!(gone, 0, "{fault:?}");
    }
}

/// A store whose listing of one folder lacks something.
#[derive(Debug)]
struct Lacking {
    inner: MemoryStore,
    folder: &'static str,
    which: usize,
}

impl Store for Lacking {
    fn put(
        &self,
        name: &repo_format::ObjectName,
        bytes: bytes::Bytes,
        mode: crate::store::Put,
    ) -> crate::store::Result<()> {
        self.inner.put(name, bytes, mode)
    }
    fn get(&self, name: &repo_format::ObjectName) -> crate::store::Result<bytes::Bytes> {
        self.inner.get(name)
    }
    fn get_range(
        &self,
        name: &repo_format::ObjectName,
        offset: u64,
        length: u64,
    ) -> crate::store::Result<bytes::Bytes> {
        self.inner.get_range(name, offset, length)
    }
    fn size(&self, name: &repo_format::ObjectName) -> crate::store::Result<u64> {
        self.inner.size(name)
    }
    fn list(&self, prefix: &str) -> crate::store::Result<Vec<crate::store::Listed>> {
        let mut all = self.inner.list(prefix)?;
        if prefix == self.folder && self.which < all.len() {
            all.remove(self.which);
        }
        Ok(all)
    }
    fn delete(&self, name: &repo_format::ObjectName) -> crate::store::Result<()> {
        self.inner.delete(name)
    }
    fn describe(&self) -> String {
        "lacking".to_owned()
    }
}

#[test]
fn whatever_a_listing_lacks_no_snapshot_is_harmed() {
    for folder in ["history/", "index/", "packs/", "meta/", "writers/", "gc/"] {
        for which in 0..8 {
            let (world, _) = forgotten();
            let store = Lacking { inner: world.store.clone(), folder, which };
            let machine = world.machine_at("other", Arc::new(store));
            let _ = machine.prune(0);
            world.machine("third").all_is_well();
        }
    }
}

#[test]
fn many_small_packs_and_segments_become_few() {
    let world = World::new();
    let machine = world.machine("till");
    for number in 0..20 {
        machine.write(&format!("file{number}"), &noise(number, 2000));
        machine.back_up().unwrap();
    }
    assert!(world.packs() >= 40 && world.names("index/").len() >= 20);
    machine.prune(0).unwrap();
    machine.prune(0).unwrap();
    assert!(world.packs() <= 4, "{} packs", world.packs());
    assert!(world.names("index/").len() <= 4, "{} segments", world.names("index/").len());
    machine.all_is_well();
    assert_eq!(machine.live().len(), 20);
    assert!(machine.prune(0).unwrap().is_idle);
}
