//! Plans, sweeps and ends of prunes in the store: what is condemned, and who said so. SPEC 10.3.
//!
//! A pack is absent, for whoever is about to rely on it, from when a visible plan condemns it, for
//! ever: what a plan condemned is never used again, whatever became of the plan.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use repo_format::envelope::{self, Header};
use repo_format::gc::{Done, Plan, PlanName, Sweep};
use repo_format::history::Event;
use repo_format::object_name::{Meaning, prefix};
use repo_format::{ObjectHash, ObjectKind, ObjectName, limits};

use super::Repository;
use super::history::History;
use super::keys::domain;
use crate::Ambient;
use crate::crypto::{random, seal};
use crate::error::{Context as _, Error, Kind, Result};
use crate::store::Put;

/// Times that a listing is read anew because an object of it went away meanwhile.
const RETRIES: usize = 10;

/// All plans that are visible, with how far each has come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    /// Plans.
    pub(crate) plans: BTreeMap<PlanName, Plan>,
    /// Names of sweeps; one without a plan is a leaving.
    pub(crate) swept: BTreeSet<PlanName>,
    /// Ends; one without a plan is a leaving.
    pub(crate) done: BTreeMap<PlanName, Done>,
}

impl Marks {
    /// Reads all marks.
    ///
    /// # Errors
    /// [`Kind::Damaged`] where one does not hold: what it condemns is not known then.
    pub(crate) fn load(repo: &Repository, ambient: &Ambient) -> Result<Self> {
        for _ in 0..RETRIES {
            ambient.go_on()?;
            if let Some(marks) = Self::try_load(repo)? {
                return Ok(marks);
            }
        }
        Err(Error::new(Kind::Store, "the plans of pruning change faster than they can be read"))
    }

    /// `None` when an object that was listed is not there any more.
    fn try_load(repo: &Repository) -> Result<Option<Self>> {
        let mut marks = Self::default();
        for listed in repo.store.list(prefix::GC)? {
            let result = match listed.name.meaning() {
                Some(Meaning::PrunePlan(name)) => {
                    read(repo, name, ObjectKind::PrunePlan, &listed.name).and_then(|plain| {
                        marks.plans.insert(name, Plan::decode(&plain)?);
                        Ok(())
                    })
                }
                Some(Meaning::PruneSweep(name)) => {
                    marks.swept.insert(name);
                    Ok(())
                }
                Some(Meaning::PruneDone(name)) => {
                    read(repo, name, ObjectKind::PruneDone, &listed.name).and_then(|plain| {
                        marks.done.insert(name, Done::decode(&plain)?);
                        Ok(())
                    })
                }
                _ => Ok(()),
            };
            match result {
                Err(error) if error.kind() == Kind::NotFound => return Ok(None),
                result => result.with_context(|| format!("reading {}", listed.name))?,
            }
        }
        Ok(Some(marks))
    }

    /// Names of the plans, as snapshots have them in their basis.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.plans.keys().map(ToString::to_string).collect()
    }

    /// Plans that were swept.
    pub(crate) fn swept(&self) -> impl Iterator<Item = (PlanName, &Plan)> {
        self.plans
            .iter()
            .filter(|(name, _)| self.swept.contains(name))
            .map(|(name, plan)| (*name, plan))
    }

    /// Packs that nobody may rely on: those that a plan condemns, and those that are deleted.
    pub(crate) fn absent(&self, history: &History) -> HashSet<ObjectHash> {
        let condemned = self.plans.values().flat_map(|plan| &plan.condemned);
        let mut absent: HashSet<ObjectHash> = condemned.map(|one| one.pack).collect();
        absent.extend(deleted(history));
        absent
    }

    /// Name for a new plan.
    pub(crate) fn next_name(&self) -> Result<PlanName> {
        let all = self.plans.keys().chain(&self.swept).chain(self.done.keys());
        let highest = all.map(|name| name.generation).max().unwrap_or(0);
        let generation = highest.checked_add(1).unwrap_or(highest);
        Ok(PlanName { generation, drawn: random::array()? })
    }
}

/// Packs that the history has as deleted.
pub(crate) fn deleted(history: &History) -> HashSet<ObjectHash> {
    let records = history.records().into_iter();
    let pruned = records.filter_map(|record| match &record.body.event {
        Event::Prune(pruned) => Some(&pruned.deleted),
        _ => None,
    });
    pruned.flatten().copied().collect()
}

fn read(repo: &Repository, plan: PlanName, kind: ObjectKind, name: &ObjectName) -> Result<Vec<u8>> {
    let bytes = repo.store.get(name)?;
    let object = envelope::open(&bytes, kind, Some(repo.id()), limits::RECORD_BYTES_MAX)?;
    let key = &repo.keys.epoch(object.header.epoch)?.pruning;
    Ok(seal::open(key, domain::PRUNE, &plan.context(&object.header), object.body)?)
}

fn put(
    repo: &Repository,
    plan: PlanName,
    kind: ObjectKind,
    name: &ObjectName,
    plain: &[u8],
) -> Result<()> {
    let epoch = repo.keys.current();
    let header = Header::new(kind, epoch.number, repo.id());
    let mut object = header.encode().to_vec();
    object.extend(seal::seal(&epoch.pruning, domain::PRUNE, &plan.context(&header), plain)?);
    envelope::finish(&mut object);
    if object.len() as u64 > limits::RECORD_BYTES_MAX {
        return Err(Error::new(Kind::Other, format!("{name} would be over the limit")));
    }
    match repo.store.put(name, Bytes::from(object), Put::Create) {
        // Another pruner was first, or an earlier try of this one landed.
        Err(error) if error.cause == crate::store::Cause::AlreadyExists => Ok(()),
        result => Ok(result?),
    }
}

/// Announces what is to be deleted.
pub(crate) fn put_plan(repo: &Repository, name: PlanName, plan: &Plan) -> Result<()> {
    put(repo, name, ObjectKind::PrunePlan, &ObjectName::prune_plan(name), &plan.encode())
}

/// Announces that deletion begins.
pub(crate) fn put_sweep(repo: &Repository, name: PlanName, sweep: &Sweep) -> Result<()> {
    put(repo, name, ObjectKind::PruneSweep, &ObjectName::prune_sweep(name), &sweep.encode())
}

/// Says that a plan has come to its end.
pub(crate) fn put_done(repo: &Repository, name: PlanName, done: &Done) -> Result<()> {
    put(repo, name, ObjectKind::PruneDone, &ObjectName::prune_done(name), &done.encode())
}
