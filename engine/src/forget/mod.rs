//! Forgets snapshots by a policy or by name, and holds them against it. SPEC 8.5.
//!
//! A plan is made first and says why each snapshot stays. Nothing is deleted here: a forget is a
//! record of the history, and can be taken back until a prune has deleted what the snapshot needs.
//! What is held or retained is never forgotten, whatever is asked and whatever the clock says.

use repo_format::SnapshotId;
use repo_format::codec::Text;
use repo_format::history::Event;
use repo_format::retention::{Forget, Release};

use crate::Ambient;
use crate::error::{Error, Kind, Result};
use crate::repo::Repository;
use crate::repo::create::Actor;
use crate::repo::history::History;
use crate::repo::standing::Standing;

mod calendar;
mod hold;
mod plan;
mod policy;
mod revive;
#[cfg(test)]
mod tests;

pub use hold::{HoldRow, add as add_hold, list as list_holds, remove as remove_hold};
pub use plan::{Candidate, Decision, Group, GroupBy, Plan, Reason};
pub use policy::{Count, Period, Policy, RelativeTo, Span};

/// Settings of a policy run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which snapshots to keep.
    pub policy: Policy,
    /// What the snapshots of a group have in common; each group is decided by itself.
    pub group_by: GroupBy,
    /// Lets a group lose its last complete snapshot.
    pub may_empty_groups: bool,
}

/// What the rules need to know of a snapshot.
fn candidate(standing: &Standing, witnessed_ms: i64) -> Candidate {
    let taken = &standing.taken;
    let snapshot = &taken.snapshot;
    let until = taken.retain_until_ms;
    Candidate {
        id: taken.id,
        time_ms: snapshot.time_ms,
        host: snapshot.host.as_str().to_owned(),
        paths: snapshot.sources.iter().map(|source| source.0.clone()).collect(),
        tags: snapshot.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
        is_partial: snapshot.is_partial,
        holds: standing.holds.iter().map(|hold| hold.reason.as_str().to_owned()).collect(),
        retained_until_ms: Some(until).filter(|until| *until != 0 && *until > witnessed_ms),
    }
}

/// Candidates among the snapshots that are not forgotten.
fn candidates(history: &History, ambient: &Ambient) -> Vec<Candidate> {
    let witnessed_ms = history.witnessed().up_to(ambient.clock.now_ms());
    let standings = history.standings();
    let live = standings.iter().filter(|standing| !standing.is_forgotten());
    live.map(|standing| candidate(standing, witnessed_ms)).collect()
}

/// Decides what a policy forgets among the snapshots that `comes_into_question` lets through.
///
/// # Errors
/// [`Kind::InvalidSetting`] for a policy that keeps nothing: that is never what someone meant.
pub fn plan(
    history: &History,
    options: &Options,
    comes_into_question: &dyn Fn(&Candidate) -> bool,
    ambient: &Ambient,
) -> Result<Plan> {
    if options.policy.is_empty() {
        return Err(Error::new(
            Kind::InvalidSetting,
            "no rule says what to keep: give at least one such as --keep-daily 7",
        ));
    }
    let mut all = candidates(history, ambient);
    all.retain(|one| comes_into_question(one));
    let now_ms = ambient.clock.now_ms();
    let groups = plan::grouped(all, options.group_by).into_iter().map(|(group, all)| {
        (group, plan::decide(all, &options.policy, now_ms, options.may_empty_groups))
    });
    Ok(Plan { groups: groups.collect() })
}

/// Decides whether snapshots that were named can be forgotten.
///
/// # Errors
/// [`Kind::Refused`] when one is held, retained, or with the others the last complete one of its
/// host and sources; then none is to be forgotten.
pub fn plan_named(
    history: &History,
    ids: &[SnapshotId],
    may_empty_groups: bool,
    ambient: &Ambient,
) -> Result<Plan> {
    let all = candidates(history, ambient);
    let mut groups = Vec::new();
    let mut found = 0;
    for (group, members) in plan::grouped(all, GroupBy::default()) {
        let (named, rest): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|one| ids.contains(&one.id));
        if named.is_empty() {
            continue;
        }
        found += named.len();
        if let Some((one, reason)) =
            named.iter().find_map(|one| Some((one, plan::bound(one).into_iter().next()?)))
        {
            let message = format!("snapshot {} cannot be forgotten: {reason}", one.id.short());
            return Err(Error::new(Kind::Refused, message));
        }
        let complete = |all: &[Candidate]| all.iter().any(|one| !one.is_partial);
        let loses_all = rest.is_empty() || (complete(&named) && !complete(&rest));
        if loses_all && !may_empty_groups {
            let message = format!(
                "without snapshot {} there would be no complete one of its host and sources",
                named[0].id.short()
            );
            return Err(Error::new(Kind::Refused, message));
        }
        let decided = named.into_iter().map(|candidate| Decision { candidate, reasons: vec![] });
        groups.push((group, decided.collect()));
    }
    let mut wanted = ids.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    if found < wanted.len() {
        return Err(Error::new(Kind::NotFound, "a snapshot that was named is not there"));
    }
    Ok(Plan { groups })
}

/// Forgets what a plan says, in one record; gives the snapshots that are forgotten now.
///
/// # Errors
/// [`Kind::Refused`] when a hold or retention stands against the record that was written: then it
/// counts for none of those, and nothing of them is lost.
pub fn execute(
    repo: &Repository,
    history: &mut History,
    plan: &Plan,
    reason: &str,
    actor: &Actor,
    ambient: &Ambient,
) -> Result<Vec<SnapshotId>> {
    repo.must_be_writable()?;
    let snapshots = plan.forgotten();
    if snapshots.is_empty() {
        return Ok(snapshots);
    }
    ambient.go_on()?;
    let event = Forget { snapshots, reason: Text::new(reason), actor: actor.who() };
    let snapshots = event.snapshots.clone();
    history.commit(repo, Event::Forget(event), 0, actor, ambient)?;
    let standings = history.standings();
    let kept = standings
        .iter()
        .find(|one| !one.is_forgotten() && snapshots.binary_search(&one.taken.id).is_ok());
    match kept {
        None => Ok(snapshots),
        Some(kept) => Err(Error::new(
            Kind::Refused,
            format!("snapshot {} is held or retained, and stays", kept.taken.id.short()),
        )),
    }
}

/// Snapshots that are forgotten, oldest first.
pub fn list_forgotten(history: &History) -> Vec<Standing> {
    history.standings().into_iter().filter(Standing::is_forgotten).collect()
}

/// Takes back the forgetting of snapshots.
///
/// # Errors
/// [`Kind::NotFound`] when one is not forgotten, or a prune has deleted something of it already;
/// then none is taken back. [`Kind::Damaged`] when a prune was quicker: it is forgotten again.
pub fn undo(
    repo: &Repository,
    history: &mut History,
    ids: &[SnapshotId],
    reason: &str,
    actor: &Actor,
    ambient: &Ambient,
) -> Result<()> {
    repo.must_be_writable()?;
    let standings = history.standings();
    let mut chosen: Vec<Standing> = Vec::new();
    for id in ids {
        let forgotten = standings.iter().find(|one| one.taken.id == *id && one.is_forgotten());
        chosen.push(forgotten.cloned().ok_or_else(|| {
            let message = format!("snapshot {} is not a forgotten one", id.short());
            Error::new(Kind::NotFound, message)
        })?);
    }
    chosen.sort_by_key(|one| one.taken.id);
    chosen.dedup_by_key(|one| one.taken.id);
    let mut seen = Vec::new();
    for one in &chosen {
        seen.push(revive::secure(repo, history, &one.taken, actor, ambient)?);
    }
    let named = chosen.iter().flat_map(|one| one.forgets.iter().map(|forget| forget.record));
    let mut records: Vec<_> = named.collect();
    records.sort_unstable();
    records.dedup();
    let snapshots: Vec<SnapshotId> = chosen.iter().map(|one| one.taken.id).collect();
    ambient.go_on()?;
    let event = Release { records, snapshots, reason: Text::new(reason), actor: actor.who() };
    history.commit(repo, Event::Release(event), 0, actor, ambient)?;
    for (one, seen) in chosen.iter().zip(seen) {
        if let Err(error) = revive::confirm(repo, history, &one.taken, seen, actor, ambient) {
            let snapshots = vec![one.taken.id];
            let reason = Text::new("a prune was quicker than taking it back");
            let event = Forget { snapshots, reason, actor: actor.who() };
            history.commit(repo, Event::Forget(event), 0, actor, ambient)?;
            return Err(error);
        }
    }
    Ok(())
}
