//! Carries out a plan (G6 to G9): sweep, look again, reprieve, delete, say so.
//!
//! Any number of pruners may do this for one plan at once, and each may stop anywhere: the sweep is
//! there before anyone looks, everyone looks for himself, and what is deleted is needed by nobody
//! who was to be seen. Of the rules (a), (b), (c) none can be left out: the model shows a lost blob
//! without each.

use std::collections::{BTreeSet, HashMap, HashSet};

use repo_format::gc::{Condemned, Done, Plan, PlanName, Pruned, Sweep};
use repo_format::history::Event;
use repo_format::index::PackRef;
use repo_format::{ObjectHash, ObjectName};

use super::options::Options;
use super::report::Report;
use super::survey::{list_packs, must_be_whole};
use crate::Ambient;
use crate::error::{Kind, Result};
use crate::repo::blobs::{BlobReader, pack_name};
use crate::repo::history::History;
use crate::repo::index;
use crate::repo::marks::{self, Marks};
use crate::repo::reachable::{self, Walked};
use crate::repo::standing::Standing;
use crate::repo::vouching::Knowledge;
use crate::repo::{IndexedRepository, Repository};
use crate::store::Listed;

type Packs = HashMap<ObjectHash, (bool, Listed)>;

/// Name of a condemned pack.
fn name_of(condemned: &Condemned) -> ObjectName {
    pack_name(&PackRef {
        hash: condemned.pack,
        is_metadata: condemned.is_metadata,
        class: 0,
        epoch: 0,
        total_bytes: condemned.bytes,
    })
}

/// Carries out one plan.
pub(super) fn finish(
    repo: &Repository,
    history: &mut History,
    name: PlanName,
    plan: &Plan,
    options: &Options,
    report: &mut Report,
    ambient: &Ambient,
) -> Result<()> {
    let actor = options.actor.who();
    let sweep = Sweep { time_ms: ambient.clock.now_ms(), actor: actor.clone() };
    marks::put_sweep(repo, name, &sweep)?;

    // Only what is read from here on counts: whoever is not seen now sees the sweep.
    history.refresh(repo, ambient)?;
    must_be_whole(history)?;
    let marks = Marks::load(repo, ambient)?;
    let listed = list_packs(repo)?;
    let reprieved = reprieved(repo, history, &marks, name, plan, &listed, ambient)?;

    // What was listed outlives a crash before what it replaces is gone.
    repo.store().settle()?;
    let mut deleted = Vec::new();
    for condemned in &plan.condemned {
        if reprieved.contains(&condemned.pack) {
            continue;
        }
        ambient.go_on()?;
        repo.store().delete(&name_of(condemned))?;
        deleted.push(*condemned);
        if listed.contains_key(&condemned.pack) {
            report.deleted_packs += 1;
            report.deleted_bytes += condemned.bytes;
        }
    }
    report.reprieved_packs += reprieved.len() as u64;
    record(repo, history, name, &deleted, reprieved.len(), options, ambient)?;
    let reprieved = reprieved.into_iter().collect();
    let done = Done { time_ms: ambient.clock.now_ms(), actor, reprieved };
    marks::put_done(repo, name, &done)
}

/// Puts the record of packs that are gone, of those that no record names yet.
fn record(
    repo: &Repository,
    history: &mut History,
    name: PlanName,
    deleted: &[Condemned],
    reprieved: usize,
    options: &Options,
    ambient: &Ambient,
) -> Result<()> {
    let known = marks::deleted(history);
    let fresh: Vec<&Condemned> = deleted.iter().filter(|one| !known.contains(&one.pack)).collect();
    if fresh.is_empty() {
        return Ok(());
    }
    let event = Pruned {
        plan: name.text(),
        deleted: fresh.iter().map(|one| one.pack).collect(),
        bytes: fresh.iter().map(|one| one.bytes).fold(0, u64::saturating_add),
        reprieved: reprieved as u64,
        actor: options.actor.who(),
    };
    history.commit(repo, Event::Prune(event), 0, &options.actor, ambient)?;
    Ok(())
}

/// Condemned packs that must stay, by the rules (a), (b) and (c).
fn reprieved(
    repo: &Repository,
    history: &History,
    marks: &Marks,
    name: PlanName,
    plan: &Plan,
    listed: &Packs,
    ambient: &Ambient,
) -> Result<BTreeSet<ObjectHash>> {
    let condemned: BTreeSet<ObjectHash> = plan.condemned.iter().map(|one| one.pack).collect();
    // (b) What is to survive is being deleted, or is gone.
    let swept: HashSet<ObjectHash> = marks
        .swept()
        .filter(|(other, _)| *other != name)
        .flat_map(|(_, other)| other.condemned.iter().map(|one| one.pack))
        .collect();
    let is_lost = |pack: &ObjectHash| swept.contains(pack) || !listed.contains_key(pack);
    if plan.survivors.iter().any(is_lost) {
        return Ok(condemned);
    }
    // (c) Another plan counts on it.
    let others = marks.plans.iter().filter(|(other, _)| **other != name);
    let counted_on: HashSet<ObjectHash> =
        others.flat_map(|(_, other)| other.survivors.iter().copied()).collect();
    let mut reprieved: BTreeSet<ObjectHash> =
        condemned.iter().filter(|pack| counted_on.contains(pack)).copied().collect();
    // (a) A snapshot that neither side knew of the other needs it.
    let strangers = strangers(history, marks, name, plan);
    if !strangers.is_empty() {
        reprieved.extend(needed_by(repo, &strangers, &condemned, ambient)?);
    }
    Ok(reprieved)
}

/// Snapshots that are not forgotten, that the plan does not know so, and that do not obey it.
fn strangers(history: &History, marks: &Marks, name: PlanName, plan: &Plan) -> Vec<Standing> {
    // The plan itself may have been removed by another pruner meanwhile.
    let mut marks = marks.clone();
    marks.plans.insert(name, plan.clone());
    let knowledge = Knowledge::of(&marks, history);
    let text = name.to_string();
    let live = history.standings().into_iter().filter(|one| !one.is_forgotten());
    live.filter(|one| {
        let basis = one.taken.snapshot.prune_basis.iter().any(|plan| plan.as_str() == text);
        let is_rebased = one.rebased.iter().any(|basis| basis.contains(&text));
        !basis && !is_rebased && !knowledge.knows(name, one.taken.id)
    })
    .collect()
}

/// Those of the packs that hold a copy of anything that the snapshots need.
fn needed_by(
    repo: &Repository,
    snapshots: &[Standing],
    packs: &BTreeSet<ObjectHash>,
    ambient: &Ambient,
) -> Result<BTreeSet<ObjectHash>> {
    let reading = index::load_afresh(repo, &|_| false, ambient)?;
    if !reading.damaged.is_empty() {
        return Ok(packs.clone());
    }
    let repo = IndexedRepository::with_index(repo, reading.index);
    let mut needed = BTreeSet::new();
    let mut walked = Walked::new();
    let mut reader = BlobReader::new(&repo)?;
    for standing in snapshots {
        let mut visit = |id, _| {
            let mut pending = vec![id];
            let mut seen = BTreeSet::new();
            while let Some(id) = pending.pop() {
                if !seen.insert(id) {
                    continue;
                }
                for place in repo.index().find_all(&id) {
                    if packs.contains(&place.pack.hash) {
                        needed.insert(place.pack.hash);
                    }
                    pending.extend(place.bases);
                }
            }
            Ok(())
        };
        let root = standing.taken.snapshot.root;
        match reachable::walk(&mut reader, root, &mut walked, ambient, &mut visit) {
            Ok(()) => {}
            // What it needs cannot be told any more: everything stays.
            Err(error) if matches!(error.kind(), Kind::Damaged | Kind::NotFound) => {
                return Ok(packs.clone());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(needed)
}

/// Removes the marks of plans that have come to their end, when nothing of them is left: the plan
/// first, since without it the others mean nothing.
pub(super) fn clean(
    repo: &Repository,
    history: &mut History,
    options: &Options,
    ambient: &Ambient,
) -> Result<u64> {
    let marks = Marks::load(repo, ambient)?;
    if marks.swept.is_empty() && marks.done.is_empty() {
        return Ok(0);
    }
    let listed = list_packs(repo)?;
    history.refresh(repo, ambient)?;
    let standings = history.standings();
    let knowledge = Knowledge::of(&marks, history);
    let mut removed = 0;
    for (name, plan) in marks.plans.iter().filter(|(name, _)| marks.done.contains_key(name)) {
        if plan.condemned.iter().any(|one| listed.contains_key(&one.pack)) {
            continue;
        }
        // While a snapshot does not obey it, the plan is what tells everyone so.
        let mut live = standings.iter().filter(|standing| !standing.is_forgotten());
        if !live.all(|standing| knowledge.obeys(standing, *name, &marks)) {
            continue;
        }
        record(repo, history, *name, &plan.condemned, 0, options, ambient)?;
        repo.store().delete(&ObjectName::prune_plan(*name))?;
        repo.store().delete(&ObjectName::prune_sweep(*name))?;
        repo.store().delete(&ObjectName::prune_done(*name))?;
        removed += 1;
    }
    let leavings = marks.swept.iter().chain(marks.done.keys());
    for name in leavings.filter(|name| !marks.plans.contains_key(name)) {
        repo.store().delete(&ObjectName::prune_sweep(*name))?;
        repo.store().delete(&ObjectName::prune_done(*name))?;
        removed += 1;
    }
    Ok(removed)
}
