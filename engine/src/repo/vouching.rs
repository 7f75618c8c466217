//! Which plans of pruning a snapshot obeys, and which it may not. SPEC 10.3.
//!
//! A snapshot obeys the plans that its writer saw, and those that knew it when they were made. What
//! it needs may be gone only where a plan was swept that it does not obey.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use repo_format::gc::{Plan, PlanName};
use repo_format::history::{Event, Head};
use repo_format::{ObjectHash, SnapshotId, WriterId};

use super::Repository;
use super::history::{History, Loaded};
use super::marks::Marks;
use super::standing::{self, Standing};
use crate::Ambient;
use crate::error::Result;

impl History {
    /// Records that no other record follows, as a plan names them. SPEC 10.3.
    pub(crate) fn tips(&self) -> Vec<Head> {
        let all = self.records();
        let followed: HashSet<ObjectHash> = all.iter().map(|r| r.clear.previous).collect();
        let mut tips: Vec<Head> = all
            .iter()
            .filter(|record| !followed.contains(&record.hash))
            .map(|r| Head { writer: r.clear.writer, seq: r.clear.seq, hash: r.hash })
            .collect();
        tips.sort_unstable();
        tips
    }

    /// Records that heads name, and all that these follow.
    pub(crate) fn known_from(&self, heads: &[Head]) -> Vec<&Loaded> {
        let all = self.records();
        let by_hash: HashMap<ObjectHash, &Loaded> = all.iter().map(|r| (r.hash, *r)).collect();
        let mut known: HashSet<ObjectHash> = HashSet::new();
        for head in heads {
            let mut next = head.hash;
            while let Some(record) = by_hash.get(&next)
                && known.insert(next)
            {
                next = record.clear.previous;
            }
        }
        all.into_iter().filter(|record| known.contains(&record.hash)).collect()
    }
}

/// What each visible plan knows: the snapshots that were not forgotten when it was made.
pub(crate) struct Knowledge {
    live: BTreeMap<PlanName, HashSet<SnapshotId>>,
}

impl Knowledge {
    /// Works out what the plans know.
    pub(crate) fn of(marks: &Marks, history: &History) -> Self {
        let live = marks.plans.iter().map(|(name, plan)| (*name, live_at(plan, history)));
        Self { live: live.collect() }
    }

    /// Says whether a plan knows a snapshot as one that is not forgotten.
    pub(crate) fn knows(&self, plan: PlanName, id: SnapshotId) -> bool {
        self.live.get(&plan).is_some_and(|live| live.contains(&id))
    }

    /// Sets of plans of which each is obeyed as a whole: everything that the snapshot needs lies in
    /// packs that no plan of the set condemns.
    pub(crate) fn vouchers(&self, standing: &Standing, marks: &Marks) -> Vec<BTreeSet<String>> {
        let basis = &standing.taken.snapshot.prune_basis;
        let mut vouchers = vec![basis.iter().map(|name| name.as_str().to_owned()).collect()];
        vouchers.extend(standing.rebased.iter().cloned());
        for (name, plan) in &marks.plans {
            if self.knows(*name, standing.taken.id) {
                let seen = plan.seen.iter().map(|name| name.as_str().to_owned());
                vouchers.push(seen.chain([name.to_string()]).collect());
            }
        }
        vouchers
    }

    /// Says whether a snapshot obeys a plan.
    pub(crate) fn obeys(&self, standing: &Standing, plan: PlanName, marks: &Marks) -> bool {
        let plan = plan.to_string();
        self.vouchers(standing, marks).iter().any(|voucher| voucher.contains(&plan))
    }
}

/// Snapshots that are not forgotten, and of which a prune may have taken something without that
/// their writers or anyone since has looked: their writers may have stopped before they could.
///
/// That is one that does not obey a visible plan that was swept; and one that neither knew of the
/// record of a prune, nor obeys its plan, nor was known to whoever wrote that record.
pub(crate) fn unconfirmed(
    history: &History,
    standings: &[Standing],
    marks: &Marks,
) -> Vec<SnapshotId> {
    let swept: Vec<PlanName> = marks.swept().map(|(name, _)| name).collect();
    let records = history.records();
    let pruned: Vec<(&Loaded, &str)> = records
        .iter()
        .filter_map(|record| match &record.body.event {
            Event::Prune(pruned) => Some((*record, pruned.plan.as_str())),
            _ => None,
        })
        .collect();
    if swept.is_empty() && pruned.is_empty() {
        return Vec::new();
    }
    let knowledge = Knowledge::of(marks, history);
    let before = Before::of(&records);
    // A snapshot, and the records of those who have looked at it since.
    let mut looked: HashMap<SnapshotId, Vec<ObjectHash>> = HashMap::new();
    for record in &records {
        if let Event::Rebase(rebase) = &record.body.event {
            looked.entry(rebase.snapshot).or_default().push(record.hash);
        }
    }
    let is_doubtful = |standing: &&Standing| {
        let id = standing.taken.id;
        let own = looked.get(&id).into_iter().flatten().chain([&id]);
        let own: Vec<ObjectHash> = own.copied().collect();
        let basis = &standing.taken.snapshot.prune_basis;
        let has_seen = |plan: &str| {
            basis.iter().any(|name| name.as_str() == plan)
                || standing.rebased.iter().any(|basis| basis.contains(plan))
        };
        swept.iter().any(|plan| !knowledge.obeys(standing, *plan, marks))
            || pruned.iter().any(|(record, plan)| {
                !before.knows(record.hash, id)
                    && !own.iter().any(|own| before.knows(*own, record.hash))
                    && !has_seen(plan)
            })
    };
    let live = standings.iter().filter(|standing| !standing.is_forgotten());
    live.filter(is_doubtful).map(|standing| standing.taken.id).collect()
}

/// Snapshots that are not forgotten, and of which a prune may have taken something unseen.
///
/// # Errors
/// What the store says; [`Kind::Damaged`] where the marks of pruning do not hold.
///
/// [`Kind::Damaged`]: crate::error::Kind::Damaged
pub fn doubtful(
    repo: &Repository,
    history: &History,
    ambient: &Ambient,
) -> Result<Vec<SnapshotId>> {
    let marks = Marks::load(repo, ambient)?;
    Ok(unconfirmed(history, &history.standings(), &marks))
}

/// Which records each record knew: its own chain, the heads that it names, and theirs.
struct Before {
    /// Writer and sequence of each record.
    places: HashMap<ObjectHash, (WriterId, u64)>,
    /// For each record the newest sequence that it knew of each writer.
    known: HashMap<ObjectHash, BTreeMap<WriterId, u64>>,
    /// Records that share their place with another: nobody is taken to know these.
    forked: HashSet<ObjectHash>,
}

impl Before {
    fn of(records: &[&Loaded]) -> Self {
        let by_hash: HashMap<ObjectHash, &Loaded> = records.iter().map(|r| (r.hash, *r)).collect();
        let places: HashMap<_, _> =
            records.iter().map(|r| (r.hash, (r.clear.writer, r.clear.seq))).collect();
        let mut holders: HashMap<(WriterId, u64), Vec<ObjectHash>> = HashMap::new();
        for record in records {
            let place = (record.clear.writer, record.clear.seq);
            holders.entry(place).or_default().push(record.hash);
        }
        let forked = holders.into_values().filter(|all| all.len() > 1).flatten().collect();
        let mut before = Self { places, known: HashMap::new(), forked };
        for record in records {
            before.learn(record.hash, &by_hash);
        }
        before
    }

    /// Works out what a record knew, after those that it names.
    fn learn(&mut self, hash: ObjectHash, by_hash: &HashMap<ObjectHash, &Loaded>) {
        let mut stack = vec![(hash, false)];
        while let Some((hash, is_ready)) = stack.pop() {
            let Some(record) = by_hash.get(&hash) else { continue };
            if self.known.contains_key(&hash) {
                continue;
            }
            let heads = record.body.heads.iter().map(|head| head.hash);
            let named: Vec<ObjectHash> = heads.chain([record.clear.previous]).collect();
            if !is_ready {
                stack.push((hash, true));
                stack.extend(named.into_iter().map(|hash| (hash, false)));
                continue;
            }
            let mut known: BTreeMap<WriterId, u64> = BTreeMap::new();
            for one in named {
                let own = self.places.get(&one).into_iter();
                let theirs = self.known.get(&one).into_iter().flatten();
                for (writer, seq) in own.copied().chain(theirs.map(|(w, s)| (*w, *s))) {
                    let newest = known.entry(writer).or_insert(seq);
                    *newest = seq.max(*newest);
                }
            }
            self.known.insert(hash, known);
        }
    }

    /// Says whether the first record knew the second.
    fn knows(&self, one: ObjectHash, other: ObjectHash) -> bool {
        let Some((writer, seq)) = self.places.get(&other) else { return false };
        let newest = self.known.get(&one).and_then(|known| known.get(writer));
        !self.forked.contains(&other) && newest.is_some_and(|newest| newest >= seq)
    }
}

fn live_at(plan: &Plan, history: &History) -> HashSet<SnapshotId> {
    let known = standing::of(&history.known_from(&plan.heads));
    known.iter().filter(|one| !one.is_forgotten()).map(|one| one.taken.id).collect()
}
