//! What a policy says of each snapshot, and why: a pure value, shown by a dry run and executed.

use std::collections::BTreeMap;

use repo_format::SnapshotId;

use super::calendar;
use super::policy::{Count, Period, Policy, RelativeTo, Span};

/// What the snapshots of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupBy {
    /// The host.
    pub host: bool,
    /// The source paths.
    pub paths: bool,
    /// The tags.
    pub tags: bool,
}

impl Default for GroupBy {
    fn default() -> Self {
        Self { host: true, paths: true, tags: false }
    }
}

/// What a plan knows of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Candidate {
    /// Its id.
    pub id: SnapshotId,
    /// Time that it stands for, in milliseconds since 1970.
    pub time_ms: i64,
    /// Host.
    pub host: String,
    /// Source paths.
    pub paths: Vec<Vec<u8>>,
    /// Tags.
    pub tags: Vec<String>,
    /// Whether some of the sources is missing.
    pub is_partial: bool,
    /// Why it is held, once for each hold.
    pub holds: Vec<String>,
    /// Until when it must be kept, in milliseconds since 1970, where that is not over.
    pub retained_until_ms: Option<i64>,
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Newest of a period that the rule still counts.
    Newest(Period),
    /// Oldest of all, while the rule is not full.
    Oldest(Period),
    /// Newest of a period within the span.
    Within(Period, Span),
    /// It has all these tags.
    Tags(Vec<String>),
    /// A hold stands on it, for this reason.
    Held(String),
    /// It must be kept until then, in milliseconds since 1970.
    Retained(i64),
    /// Without it the group would have no complete snapshot left.
    LastOfGroup,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Newest(period) => write!(f, "{} snapshot", period.adjective()),
            Self::Oldest(period) => write!(f, "oldest {} snapshot", period.adjective()),
            Self::Within(Period::Each, span) => write!(f, "within {span}"),
            Self::Within(period, span) => write!(f, "{} within {span}", period.adjective()),
            Self::Tags(tags) => write!(f, "has the tags {}", tags.join(",")),
            Self::Held(reason) if reason.is_empty() => f.write_str("held"),
            Self::Held(reason) => write!(f, "held: {reason}"),
            Self::Retained(_) => f.write_str("retained"),
            Self::LastOfGroup => f.write_str("last complete one of its group"),
        }
    }
}

/// What becomes of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The snapshot.
    pub candidate: Candidate,
    /// Why it is kept; without a reason it is forgotten.
    pub reasons: Vec<Reason>,
}

impl Decision {
    /// Says whether the snapshot is kept.
    pub fn is_kept(&self) -> bool {
        !self.reasons.is_empty()
    }
}

/// What snapshots of a group have in common: host, paths, tags, as far as they are grouped by it.
pub type Group = (Option<String>, Option<Vec<Vec<u8>>>, Option<Vec<String>>);

/// What becomes of every snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Groups, each with its snapshots, the newest first.
    pub groups: Vec<(Group, Vec<Decision>)>,
}

impl Plan {
    /// Snapshots that are to be forgotten, ascending.
    pub fn forgotten(&self) -> Vec<SnapshotId> {
        let decisions = self.groups.iter().flat_map(|(_, decisions)| decisions);
        let mut ids: Vec<SnapshotId> =
            decisions.filter(|d| !d.is_kept()).map(|d| d.candidate.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Number of snapshots that are kept.
    pub fn kept(&self) -> usize {
        self.groups.iter().flat_map(|(_, decisions)| decisions).filter(|d| d.is_kept()).count()
    }
}

/// Puts snapshots into groups.
pub(super) fn grouped(all: Vec<Candidate>, by: GroupBy) -> BTreeMap<Group, Vec<Candidate>> {
    let mut groups: BTreeMap<Group, Vec<Candidate>> = BTreeMap::new();
    for candidate in all {
        let sorted = |mut tags: Vec<String>| {
            tags.sort();
            tags
        };
        let group = (
            by.host.then(|| candidate.host.clone()),
            by.paths.then(|| candidate.paths.clone()),
            by.tags.then(|| sorted(candidate.tags.clone())),
        );
        groups.entry(group).or_default().push(candidate);
    }
    groups
}

/// Decides over the snapshots of one group.
pub(super) fn decide(
    mut all: Vec<Candidate>,
    policy: &Policy,
    now_ms: i64,
    may_empty: bool,
) -> Vec<Decision> {
    all.sort_by_key(|one| std::cmp::Reverse((one.time_ms, one.id)));
    let newest = all.iter().map(|one| one.time_ms).filter(|time| *time <= now_ms).max();
    let reference = match policy.relative_to {
        RelativeTo::Newest => newest.unwrap_or(now_ms),
        RelativeTo::Now => now_ms,
    };
    let mut rules = Rules::new(policy, reference);
    let last = all.len().saturating_sub(1);
    let mut decisions: Vec<Decision> = all
        .into_iter()
        .enumerate()
        .map(|(position, candidate)| {
            let mut reasons = bound(&candidate);
            reasons.extend(rules.apply(&candidate, position, position == last));
            Decision { candidate, reasons }
        })
        .collect();
    if !may_empty {
        keep_a_complete_one(&mut decisions);
    }
    decisions
}

/// What keeps a snapshot whatever the policy says.
pub(super) fn bound(candidate: &Candidate) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = candidate.holds.iter().cloned().map(Reason::Held).collect();
    reasons.extend(candidate.retained_until_ms.map(Reason::Retained));
    reasons
}

/// Keeps the newest complete snapshot of a group that would lose all complete ones; where there is
/// none, the newest.
fn keep_a_complete_one(decisions: &mut [Decision]) {
    let has_complete = decisions.iter().any(|d| !d.candidate.is_partial);
    let counts = |d: &Decision| !has_complete || !d.candidate.is_partial;
    if !decisions.iter().any(|d| counts(d) && d.is_kept())
        && let Some(newest) = decisions.iter_mut().find(|d| counts(d))
    {
        newest.reasons.push(Reason::LastOfGroup);
    }
}

/// The rules of a policy, as far as they are used up.
struct Rules<'a> {
    policy: &'a Policy,
    left: [Count; 7],
    last: [Option<i64>; 7],
    /// Spans, the times that they reach back to, and the last period that each kept one of.
    within: Vec<(Period, Span, i64, Option<i64>)>,
}

impl<'a> Rules<'a> {
    fn new(policy: &'a Policy, reference: i64) -> Self {
        let spans = Period::ALL.into_iter().zip(policy.within);
        let within = spans.filter_map(|(period, span)| {
            let span = span.filter(|span| !span.is_zero())?;
            Some((period, span, calendar::before(reference, span, &policy.zone), None))
        });
        Self { policy, left: policy.counts, last: [None; 7], within: within.collect() }
    }

    /// Reasons to keep the next snapshot, going from the newest to the oldest.
    fn apply(&mut self, one: &Candidate, position: usize, is_oldest: bool) -> Vec<Reason> {
        let zone = &self.policy.zone;
        let mut reasons = Vec::new();
        for tags in &self.policy.tags {
            if tags.iter().all(|tag| one.tags.contains(tag)) {
                reasons.push(Reason::Tags(tags.clone()));
            }
        }
        for (place, period) in Period::ALL.into_iter().enumerate() {
            if !self.left[place].is_open() {
                continue;
            }
            let number = calendar::number_of(period, one.time_ms, position, zone);
            let is_new = self.last[place] != Some(number);
            if is_new || is_oldest {
                self.last[place] = Some(number);
                self.left[place].take();
                let reason = if is_new { Reason::Newest } else { Reason::Oldest };
                reasons.push(reason(period));
            }
        }
        for (period, span, from, last) in &mut self.within {
            if one.time_ms <= *from {
                continue;
            }
            let number = calendar::number_of(*period, one.time_ms, position, zone);
            if *last != Some(number) || is_oldest {
                *last = Some(number);
                reasons.push(Reason::Within(*period, *span));
            }
        }
        reasons
    }
}
