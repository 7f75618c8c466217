//! Packs that are not whole, and what of them is lost.
//!
//! A blob counts as lost only when its bytes were asked for and did not open; how bad that is, is
//! said when it is known whether a snapshot needs it.

use std::collections::{BTreeMap, HashSet};

use repo_format::index::PackRef;
use repo_format::{BlobId, ObjectHash, ObjectName};

use super::catalog::{Catalog, Pack};
use super::report::count;
use crate::finding::{Finding, Severity};
use crate::repo::blobs::pack_name;

const REPAIR_INDEX: &str = "strongroom repair index";
const REPAIR_PACKS: &str = "strongroom repair packs";
const FROM_REPLICA: &str = "strongroom repair packs --from-replica URL";

/// Blobs of a pack that do not open.
#[derive(Debug)]
pub(super) enum Lost {
    All,
    Some(HashSet<BlobId>),
}

#[derive(Debug)]
struct Wound {
    name: ObjectName,
    why: String,
    lost: Lost,
    /// Blobs of the pack, where that is known.
    blobs: usize,
    is_needed: bool,
}

/// Everything that is known of damaged packs.
#[derive(Debug, Default)]
pub(super) struct Damage {
    wounds: BTreeMap<ObjectHash, Wound>,
    /// Packs without a segment that hold what snapshots need.
    unnamed: HashSet<ObjectHash>,
}

impl Damage {
    /// Remembers a pack that is not whole.
    pub(super) fn add(&mut self, pack: &Pack, why: String, lost: Lost, blobs: usize) {
        let name = pack.name.clone();
        let wound = Wound { name, why, lost, blobs, is_needed: false };
        self.wounds.insert(pack.described.hash, wound);
    }

    /// Remembers a blob that does not open.
    pub(super) fn lose(&mut self, pack: &PackRef, id: BlobId, why: &str) {
        let wound = self.wounds.entry(pack.hash).or_insert_with(|| Wound {
            name: pack_name(pack),
            why: why.to_owned(),
            lost: Lost::Some(HashSet::new()),
            blobs: 0,
            is_needed: false,
        });
        if let Lost::Some(ids) = &mut wound.lost {
            ids.insert(id);
        }
    }

    /// Says whether a blob is known to be lost in a pack.
    pub(super) fn holds(&self, pack: &ObjectHash, id: &BlobId) -> bool {
        self.wounds.get(pack).is_some_and(|wound| match &wound.lost {
            Lost::All => true,
            Lost::Some(ids) => ids.contains(id),
        })
    }

    /// Remembers that a snapshot needs a blob, in case the pack has lost it.
    pub(super) fn need(&mut self, pack: &ObjectHash, id: &BlobId) {
        if self.holds(pack, id)
            && let Some(wound) = self.wounds.get_mut(pack)
        {
            wound.is_needed = true;
        }
    }

    /// Remembers that a snapshot needs a blob of a pack that no segment names.
    pub(super) fn need_unnamed(&mut self, pack: ObjectHash) {
        self.unnamed.insert(pack);
    }

    /// Says what is wrong. `sees_all` tells that every snapshot was walked to its end, so that what
    /// none of them needed is needed by none; `pruned` are packs that prunes delete.
    pub(super) fn findings(
        &self,
        catalog: &Catalog,
        sees_all: bool,
        pruned: &HashSet<ObjectHash>,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (hash, wound) in &self.wounds {
            if sees_all && !wound.is_needed && pruned.contains(hash) {
                let what = "a prune deleted it, and the next one takes it out of the index";
                findings.push(Finding::notice(wound.name.as_str(), what));
                continue;
            }
            let is_named = catalog.find(&wound.name).is_some_and(|pack| pack.is_named);
            findings.push(wound.finding(is_named, sees_all));
        }
        for pack in catalog.packs.iter().filter(|pack| !pack.is_named) {
            findings.push(if self.unnamed.contains(&pack.described.hash) {
                let what = "no index segment names it, and snapshots need what it holds";
                Finding::repairable(pack.name.as_str(), what, REPAIR_INDEX)
            } else {
                let what = "no index segment names it: left by a backup that was interrupted or \
                            still runs";
                Finding::notice(pack.name.as_str(), what)
            });
        }
        findings
    }
}

impl Wound {
    fn finding(&self, is_named: bool, sees_all: bool) -> Finding {
        let lost = match &self.lost {
            Lost::All => self.blobs,
            Lost::Some(ids) => ids.len(),
        };
        let (severity, outcome, repair) = match &self.lost {
            Lost::Some(ids) if ids.is_empty() => {
                (Severity::Repairable, "all its blobs still open".to_owned(), REPAIR_PACKS)
            }
            _ if self.is_needed => {
                let what = format!("{} that snapshots need", self.lost_of(lost));
                (Severity::Loss, what, FROM_REPLICA)
            }
            _ if sees_all => {
                let repair =
                    if matches!(self.lost, Lost::All) { REPAIR_INDEX } else { REPAIR_PACKS };
                let what = format!("{}, which no snapshot needs", self.lost_of(lost));
                let severity = if is_named { Severity::Repairable } else { Severity::Notice };
                (severity, what, repair)
            }
            _ => (Severity::Loss, self.lost_of(lost), FROM_REPLICA),
        };
        Finding {
            severity,
            object: self.name.as_str().to_owned(),
            what: format!("{}; {outcome}", self.why),
            repair: repair.to_owned(),
        }
    }

    fn lost_of(&self, lost: usize) -> String {
        if lost < self.blobs {
            format!("it has lost {lost} of its {}", count(self.blobs as u64, "blob"))
        } else {
            format!("it has lost {}", count(lost as u64, "blob"))
        }
    }
}
