//! A prune that is stopped at each of its calls, with the call done or not, and the one after it.

use std::sync::Arc;

use super::world::{World, noise};
use crate::store::MemoryStore;
use crate::store::faulty::{Fault, Faulty};

/// A world in which there is something to delete and something to move.
fn made() -> World {
    let world = World::new();
    let machine = world.machine("till");
    let mut ids = Vec::new();
    for number in 0..4 {
        machine.write("old", &noise(number, 20_000));
        machine.write(&format!("kept{number}"), &noise(100 + number, 20_000));
        ids.push(machine.back_up().unwrap());
    }
    machine.forget(&ids[..3]).unwrap();
    world
}

/// Calls of a prune that nothing stops.
fn calls(world: &World) -> u64 {
    let store = Arc::new(Faulty::new(world.store.copy()));
    let machine = world.machine_at("other", store.clone());
    let before = store.calls();
    machine.prune(0).unwrap();
    store.calls() - before
}

fn goes_on_after(fault: Fault) {
    let world = made();
    let calls = calls(&world);
    assert!(calls > 20, "only {calls} calls");
    for call in 0..calls {
        let copy: MemoryStore = world.store.copy();
        let world = World { store: copy, clock: world.clock.clone() };
        let store = Arc::new(Faulty::new(world.store.clone()));
        let machine = world.machine_at("other", store.clone());
        let at = store.calls() + call;
        store.inject(at, fault);
        if fault != Fault::Stop {
            store.inject(at + 1, Fault::Stop);
        }
        let stopped = machine.prune(0);
        store.heal();
        let third = world.machine("third");
        third.all_is_well();
        // A backup in between relies on nothing that is about to go.
        third.write("old", &noise(1, 20_000));
        third.back_up().unwrap();
        let came_to_rest = (0..5).any(|_| {
            let report = third.prune(0);
            let report =
                report.unwrap_or_else(|error| panic!("call {call} ({stopped:?}): {error}"));
            report.is_idle
        });
        third.all_is_well();
        assert!(came_to_rest, "call {call}: pruning goes on and on");
        assert!(world.names("gc/").is_empty(), "call {call}: {:?}", world.names("gc/"));
        assert_eq!(third.live().len(), 2);
    }
}

#[test]
fn a_prune_stopped_before_any_call_is_gone_on_with() {
    goes_on_after(Fault::Stop);
}

#[test]
fn a_prune_stopped_after_any_call_is_gone_on_with() {
    goes_on_after(Fault::ErrorAfter);
}
