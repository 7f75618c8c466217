//! What each fault does, and that the conformance suite notices those that lie.

use std::time::Duration;

use super::*;
use crate::store::layers::{Retry, RetryPolicy};
use crate::store::{Cause, MemoryStore, conformance};

fn name() -> ObjectName {
    ObjectName::parse("packs/ab/1").unwrap()
}

const BYTES: Bytes = Bytes::from_static(b"0123456789");

#[test]
fn without_a_plan_every_promise_is_kept() {
    conformance::run_all(&Faulty::new(MemoryStore::new())).unwrap();
}

#[test]
fn behind_retries_every_promise_is_kept_on_a_shaky_store() {
    for seed in 0..20 {
        let shaky = Faulty::seeded(MemoryStore::new(), seed, 150);
        let policy = RetryPolicy { attempts: 30, ..RetryPolicy::default() };
        let store = Retry::with_wait(shaky, policy, |_: Duration| {});
        conformance::run_all(&store).unwrap_or_else(|seen| panic!("seed {seed}: {seen}"));
    }
}

#[test]
fn the_conformance_suite_notices_a_store_that_lies() {
    let lies = [
        (Call::Put, Fault::LostPut),
        (Call::Get, Fault::ShortGet),
        (Call::Get, Fault::CorruptGet),
        (Call::GetRange, Fault::ShortGet),
        (Call::GetRange, Fault::CorruptGet),
        (Call::List, Fault::PartialList),
        (Call::Delete, Fault::LostDelete),
    ];
    for (call, lie) in lies {
        let store = Faulty::new(MemoryStore::new());
        store.inject_always(call, lie);
        assert!(conformance::run_all(&store).is_err(), "{lie:?}");
    }
}

#[test]
fn each_fault_does_what_its_name_says() {
    let memory = MemoryStore::new();
    let store = Faulty::new(memory.clone());
    let put = |fault| {
        memory.delete(&name()).unwrap();
        store.inject(store.calls(), fault);
        let cause = store.put(&name(), BYTES, Put::Create).err().map(|error| error.cause);
        (cause, memory.get(&name()).ok())
    };
    assert_eq!(put(Fault::ErrorBefore), (Some(Cause::Unavailable), None));
    assert_eq!(put(Fault::Ambiguous), (Some(Cause::Ambiguous), None));
    assert_eq!(put(Fault::ErrorAfter), (Some(Cause::Ambiguous), Some(BYTES)));
    assert_eq!(put(Fault::LostPut), (None, None));
    assert_eq!(put(Fault::TornPut), (Some(Cause::Ambiguous), Some(BYTES.slice(..5))));
    memory.put(&name(), BYTES, Put::Overwrite).unwrap();
    store.inject(store.calls(), Fault::ShortGet);
    assert_eq!(store.get(&name()).unwrap(), BYTES.slice(..9));
    store.inject(store.calls(), Fault::CorruptGet);
    let corrupt = store.get(&name()).unwrap();
    assert!(corrupt.len() == 10 && corrupt != BYTES);
    store.inject(store.calls(), Fault::LostDelete);
    store.delete(&name()).unwrap();
    assert_eq!(store.get(&name()).unwrap(), BYTES);
}

#[test]
fn a_stopped_world_stays_stopped_until_it_is_healed() {
    let store = Faulty::new(MemoryStore::new());
    store.stop_after(1);
    store.put(&name(), BYTES, Put::Create).unwrap();
    for _ in 0..3 {
        assert_eq!(store.delete(&name()).unwrap_err().cause, Cause::Other);
    }
    store.heal();
    assert_eq!(store.get(&name()).unwrap(), BYTES);
    assert_eq!(store.calls(), 5);
    assert_eq!(store.log()[1], (Call::Delete, "packs/ab/1".to_owned()));
}

#[test]
fn objects_come_late_twice_and_again() {
    let memory = MemoryStore::new();
    let store = Faulty::new(memory.clone());
    let next = |fault| store.inject(store.calls(), fault);
    next(Fault::DelayedPut(1));
    assert_eq!(store.put(&name(), BYTES, Put::Create).unwrap_err().cause, Cause::Ambiguous);
    assert!(store.get(&name()).unwrap_err().is_not_found());
    assert_eq!(store.get(&name()).unwrap(), BYTES);
    next(Fault::Resurrection(0));
    store.delete(&name()).unwrap();
    assert!(memory.get(&name()).is_err());
    assert_eq!(store.get(&name()).unwrap(), BYTES);
    next(Fault::DuplicatedPut(1));
    store.put(&name(), BYTES, Put::Overwrite).unwrap();
    store.delete(&name()).unwrap();
    assert_eq!(store.get(&name()).unwrap(), BYTES);
    store.delete(&name()).unwrap();
    next(Fault::ReorderedPut(9));
    store.put(&name(), BYTES, Put::Create).unwrap();
    assert!(memory.get(&name()).is_err());
    store.heal();
    assert_eq!(memory.get(&name()).unwrap(), BYTES);
}

#[test]
fn reads_may_be_of_another_time_or_place_and_listings_may_lie() {
    let store = Faulty::new(MemoryStore::new());
    let other = ObjectName::parse("packs/cd/2").unwrap();
    let next = |fault| store.inject(store.calls(), fault);
    store.put(&other, BYTES.slice(5..), Put::Create).unwrap();
    store.put(&name(), BYTES, Put::Create).unwrap();
    next(Fault::MisdirectedGet);
    assert_eq!(store.get(&name()).unwrap(), BYTES.slice(5..));
    next(Fault::StaleGet);
    assert!(store.get(&name()).unwrap_err().is_not_found());
    store.put(&name(), BYTES.slice(..3), Put::Overwrite).unwrap();
    next(Fault::StaleGet);
    assert_eq!(store.get(&name()).unwrap(), BYTES);
    let list = |fault| {
        store.inject(store.calls(), fault);
        store.list("packs/").unwrap().len()
    };
    assert_eq!(list(Fault::LaggingList(1)), 1);
    assert_eq!(list(Fault::GhostList), 3);
    assert_eq!(list(Fault::TwiceList), 4);
}
