//! Where every snapshot stands: forgotten, held, retained. SPEC 8.5.
//!
//! The answer is a function of the records alone, and of their order in no way; more records about
//! other things never change it for the worse.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use repo_format::codec::Text;
use repo_format::history::Event;
use repo_format::retention::Release;
use repo_format::{ObjectHash, SnapshotId};

use super::history::{History, Loaded, Taken};

/// Longest step between two records that counts as time that has passed, in milliseconds. SPEC 8.5.
const STEP_MS_MAX: i64 = 100 * 24 * 3_600_000;

/// A hold that counts for a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Record of the hold.
    pub record: ObjectHash,
    /// When it was put on, in milliseconds since 1970.
    pub time_ms: i64,
    /// Until when it lasts, in milliseconds since 1970; 0 for until it is released.
    pub until_ms: i64,
    /// Why.
    pub reason: Text,
    /// Who put it on.
    pub actor: Text,
}

/// A forget record that names a snapshot and that nobody took back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Record of the forget.
    pub record: ObjectHash,
    /// When, in milliseconds since 1970.
    pub time_ms: i64,
    /// Why.
    pub reason: Text,
    /// Who.
    pub actor: Text,
    /// Whether it counts: it came after the retention, and no hold stands against it.
    pub counts: bool,
}

/// Where one snapshot stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The snapshot; its retention time is the latest of its own and those of its holds.
    pub taken: Taken,
    /// Holds that last until they are released.
    pub holds: Vec<Held>,
    /// Holds that last until a time.
    pub timed: Vec<Held>,
    /// Forgets that name it.
    pub forgets: Vec<Forgotten>,
    /// Names of plans that a rebase of it has as basis, beside the snapshot's own.
    pub rebased: Vec<BTreeSet<String>>,
}

impl Standing {
    /// Says whether a forget counts.
    pub fn is_forgotten(&self) -> bool {
        self.forgets.iter().any(|forget| forget.counts)
    }
}

/// Time that the history has seen pass. SPEC 8.5.
#[derive(Debug, Clone, Default)]
pub struct Witnessed {
    /// Times of records, ascending, each with the time witnessed up to it.
    steps: Vec<(i64, i64)>,
}

impl Witnessed {
    fn of(records: &[&Loaded]) -> Self {
        let created = records.iter().filter(|r| matches!(r.body.event, Event::Created(_)));
        let created = created.map(|r| r.clear.time_ms).min();
        let Some(start) = created.or_else(|| records.iter().map(|r| r.clear.time_ms).min()) else {
            return Self::default();
        };
        let later = records.iter().map(|r| r.clear.time_ms).filter(|time| *time > start);
        let times: BTreeSet<i64> = later.collect();
        let mut steps = vec![(start, start)];
        let (mut last, mut sum) = (start, start);
        for time in times {
            sum = sum.saturating_add(step(last, time));
            last = time;
            steps.push((time, sum));
        }
        Self { steps }
    }

    /// Time witnessed up to `at`, in milliseconds since 1970; never later than `at`.
    pub fn up_to(&self, at: i64) -> i64 {
        let after = self.steps.partition_point(|(time, _)| *time <= at);
        let Some((time, sum)) = after.checked_sub(1).map(|last| self.steps[last]) else {
            return at;
        };
        sum.saturating_add(step(time, at)).min(at)
    }
}

fn step(from: i64, to: i64) -> i64 {
    let passed = to.saturating_sub(from);
    if passed <= STEP_MS_MAX { passed } else { 0 }
}

/// Records that released others, by the record that they release.
type Releases<'a> = HashMap<ObjectHash, Vec<&'a Release>>;

fn is_released(releases: &Releases<'_>, record: ObjectHash, snapshot: SnapshotId) -> bool {
    releases.get(&record).is_some_and(|releases| {
        releases.iter().any(|r| r.snapshots.is_empty() || r.snapshots.contains(&snapshot))
    })
}

/// Works out where each snapshot among some records stands, oldest first.
pub(crate) fn of(records: &[&Loaded]) -> Vec<Standing> {
    let mut releases = Releases::new();
    let mut tags: HashMap<SnapshotId, &Vec<Text>> = HashMap::new();
    let mut found: BTreeMap<SnapshotId, Standing> = BTreeMap::new();
    for record in records {
        match &record.body.event {
            Event::Release(release) => {
                for one in &release.records {
                    releases.entry(*one).or_default().push(release);
                }
            }
            Event::Tags(change) => {
                tags.insert(change.snapshot, &change.tags);
            }
            Event::Snapshot(_) => {
                found.extend(taken(record).map(|taken| (taken.id, fresh(taken))));
            }
            _ => {}
        }
    }
    for record in records {
        apply(record, &releases, &mut found);
    }
    let witnessed = Witnessed::of(records);
    for standing in found.values_mut() {
        let (id, is_held) = (standing.taken.id, !standing.holds.is_empty());
        for hold in &standing.timed {
            let until = &mut standing.taken.retain_until_ms;
            *until = (*until).max(hold.until_ms);
        }
        let until = standing.taken.retain_until_ms;
        for forget in &mut standing.forgets {
            let is_over = until == 0 || until <= witnessed.up_to(forget.time_ms);
            forget.counts = is_over && !is_held;
        }
        if let Some(tags) = tags.get(&id) {
            standing.taken.snapshot.tags.clone_from(tags);
        }
    }
    let mut all: Vec<Standing> = found.into_values().collect();
    all.sort_by_key(|one| (one.taken.snapshot.time_ms, one.taken.id));
    all
}

fn fresh(taken: Taken) -> Standing {
    let (holds, timed) = (Vec::new(), Vec::new());
    Standing { taken, holds, timed, forgets: Vec::new(), rebased: Vec::new() }
}

fn taken(record: &Loaded) -> Option<Taken> {
    let Event::Snapshot(snapshot) = &record.body.event else { return None };
    Some(Taken {
        id: record.hash,
        snapshot: (**snapshot).clone(),
        writer: record.clear.writer,
        committed_ms: record.clear.time_ms,
        retain_until_ms: record.clear.retain_until_ms,
    })
}

/// Adds what one record says of snapshots.
fn apply(record: &Loaded, releases: &Releases<'_>, found: &mut BTreeMap<SnapshotId, Standing>) {
    let (hash, time_ms) = (record.hash, record.clear.time_ms);
    match &record.body.event {
        Event::Hold(hold) => {
            let until_ms = record.clear.retain_until_ms;
            for id in &hold.snapshots {
                let Some(standing) = found.get_mut(id) else { continue };
                let (reason, actor) = (hold.reason.clone(), hold.actor.clone());
                let held = Held { record: hash, time_ms, until_ms, reason, actor };
                if until_ms != 0 {
                    standing.timed.push(held);
                } else if !is_released(releases, hash, *id) {
                    standing.holds.push(held);
                }
            }
        }
        Event::Forget(forget) => {
            for id in &forget.snapshots {
                let Some(standing) = found.get_mut(id) else { continue };
                if !is_released(releases, hash, *id) {
                    let (reason, actor) = (forget.reason.clone(), forget.actor.clone());
                    let counts = false;
                    standing.forgets.push(Forgotten {
                        record: hash,
                        time_ms,
                        reason,
                        actor,
                        counts,
                    });
                }
            }
        }
        Event::Rebase(rebase) => {
            if let Some(standing) = found.get_mut(&rebase.snapshot) {
                let basis = rebase.basis.iter().map(|name| name.as_str().to_owned()).collect();
                standing.rebased.push(basis);
            }
        }
        _ => {}
    }
}

impl History {
    /// Where every snapshot stands, oldest first, the forgotten ones too.
    pub fn standings(&self) -> Vec<Standing> {
        of(&self.records())
    }

    /// Time that the history has seen pass.
    pub fn witnessed(&self) -> Witnessed {
        Witnessed::of(&self.records())
    }
}
