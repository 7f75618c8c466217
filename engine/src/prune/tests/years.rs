//! A history of many days on two machines, with holds, retention, rules, prunes and a clock that is
//! wrong at times: nothing that is bound is lost, and every deletion is explained by a record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use repo_format::{ObjectHash, SnapshotId};

use super::world::{DAY, Machine, World, noise};
use crate::error::Kind;
use crate::forget::{self, Count, Policy};
use crate::repo::create::Actor;
use crate::repo::marks;

/// Days: long enough for retentions to end.
const DAYS: i64 = 260;
/// Ten years.
const JUMP: i64 = 3650 * DAY;

/// What binds, by the true time.
#[derive(Default)]
struct Bound {
    until_ms: BTreeMap<SnapshotId, i64>,
    held: BTreeSet<SnapshotId>,
    /// Packs that were ever seen.
    packs: BTreeSet<String>,
}

fn hold(machine: &Machine, id: SnapshotId, until_ms: i64) {
    let mut history = machine.history().unwrap();
    let (actor, ambient) = (machine.actor(), &machine.ambient);
    forget::add_hold(&machine.repo, &mut history, &[id], until_ms, "law", &actor, ambient).unwrap();
}

/// Forgets all but 7 daily, 4 weekly and 12 monthly snapshots of each machine.
fn thin_out(machine: &Machine) {
    let mut history = machine.history().unwrap();
    let mut policy = Policy::default();
    policy.counts[2] = Count::AtMost(7);
    policy.counts[3] = Count::AtMost(4);
    policy.counts[4] = Count::AtMost(12);
    let options = forget::Options { policy, ..forget::Options::default() };
    let ambient = &machine.ambient;
    let plan = forget::plan(&history, &options, &|_| true, ambient).unwrap();
    let actor: Actor = machine.actor();
    forget::execute(&machine.repo, &mut history, &plan, "7/4/12", &actor, ambient).unwrap();
}

/// Everything that is bound is there and cannot be forgotten.
fn nothing_bound_is_lost(machine: &Machine, bound: &Bound, true_ms: i64) {
    let live: BTreeSet<SnapshotId> = machine.live().into_iter().map(|taken| taken.id).collect();
    let retained = bound.until_ms.iter().filter(|(_, until)| **until > true_ms).map(|(id, _)| id);
    for id in retained.chain(&bound.held) {
        assert!(live.contains(id), "{} is lost", id.short());
        assert_eq!(machine.forget(&[*id]).unwrap_err().kind(), Kind::Refused);
    }
}

/// Every pack that was there and is not is named by a record.
fn every_deletion_is_explained(world: &World, machine: &Machine, bound: &Bound) {
    let deleted = marks::deleted(&machine.history().unwrap());
    let now: BTreeSet<String> =
        world.names("packs/").into_iter().chain(world.names("meta/")).collect();
    for name in bound.packs.difference(&now) {
        let hash = ObjectHash::from_hex(name.rsplit('/').next().unwrap()).unwrap();
        assert!(deleted.contains(&hash), "nothing says why {name} is gone");
    }
}

#[test]
fn a_long_history_keeps_what_binds_and_explains_what_is_gone() {
    let world = World::new();
    let machines = [world.machine("till"), world.machine("office")];
    let mut bound = Bound::default();
    let mut wrong_ms = 0;
    for day in 0..DAYS {
        let jump = match day {
            100 | 151 | 230 => JUMP,
            101 | 150 | 231 => -JUMP,
            _ => 0,
        };
        wrong_ms += jump;
        world.pass(DAY + jump);
        let true_ms = world.clock.0.load(Ordering::Relaxed) - wrong_ms;
        let machine = &machines[usize::try_from(day % 2).unwrap()];
        machine.write("database", &noise(u64::try_from(day).unwrap(), 4000));
        machine.write("slow", &noise(u64::try_from(day / 30).unwrap(), 9000));
        let id = machine.back_up().unwrap();
        if day % 30 == 0 {
            bound.until_ms.insert(id, true_ms + 200 * DAY);
            hold(machine, id, true_ms + 200 * DAY);
        }
        if day % 180 == 3 {
            bound.held.insert(id);
            hold(machine, id, 0);
        }
        bound.packs.extend(world.names("packs/"));
        bound.packs.extend(world.names("meta/"));
        if day % 20 == 0 || wrong_ms != 0 {
            thin_out(machine);
            machine.prune(0).unwrap();
            bound.packs.extend(world.names("packs/"));
            bound.packs.extend(world.names("meta/"));
            nothing_bound_is_lost(machine, &bound, true_ms);
        }
    }
    let machine = &machines[0];
    thin_out(machine);
    for _ in 0..2 {
        machine.prune(0).unwrap();
    }
    machine.all_is_well();
    every_deletion_is_explained(&world, machine, &bound);
    assert!(machine.live().len() < 80, "{} snapshots are left", machine.live().len());
    assert!(world.packs() < 80, "{} packs are left", world.packs());
}
