//! Which packs to condemn (G2): a pure choice over what the survey counted.

use std::collections::{BTreeMap, BTreeSet};

use repo_format::ObjectHash;

use super::options::Options;
use super::survey::Pack;

/// Small packs of one kind that are worth making one of.
const SMALL_MIN: usize = 10;
/// Packs shorter than the target divided by this are small.
const SMALL_PART: u64 = 4;

/// What is to be condemned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Choice {
    /// Packs to condemn.
    pub(super) condemned: BTreeSet<ObjectHash>,
    /// Of those, packs that nothing needs.
    pub(super) unused: BTreeSet<ObjectHash>,
    /// Packs that nothing needs and that may belong to a running backup.
    pub(super) young: BTreeSet<ObjectHash>,
}

/// What the choice needs to know beside the packs.
pub(super) struct Circumstances {
    /// Packs that visible plans have as survivors: they stay.
    pub(super) survivors: BTreeSet<ObjectHash>,
    /// Packs that plans condemn which have not come to their end: they are left to these.
    pub(super) pending: BTreeSet<ObjectHash>,
    /// Whether something needed lies in condemned packs alone.
    pub(super) has_stranded: bool,
    /// Bytes that data packs and metadata packs aim at.
    pub(super) target_bytes: [u64; 2],
}

/// Chooses.
pub(super) fn choose(
    packs: &BTreeMap<ObjectHash, Pack>,
    around: &Circumstances,
    options: &Options,
) -> Choice {
    let mut choice = Choice::default();
    let mut rest: Vec<&Pack> = Vec::new();
    for pack in packs.values() {
        if pack.is_condemned {
            // Left to the plan that condemned it, unless that one has ended or something needed
            // must come out of it.
            if !around.pending.contains(&pack.hash) || around.has_stranded {
                choice.condemned.insert(pack.hash);
                choice.unused.insert(pack.hash);
            }
        } else if around.survivors.contains(&pack.hash) {
            // A plan counts on it.
        } else if pack.used_bytes > 0 {
            rest.push(pack);
        } else if pack.is_settled {
            choice.condemned.insert(pack.hash);
            choice.unused.insert(pack.hash);
        } else {
            choice.young.insert(pack.hash);
        }
    }
    choose_partly_used(packs, &rest, options, &mut choice);
    choice
}

/// Condemns packs that are worth writing anew: the emptiest first, then many small ones.
fn choose_partly_used(
    packs: &BTreeMap<ObjectHash, Pack>,
    rest: &[&Pack],
    options: &Options,
    choice: &mut Choice,
) {
    let used: u64 = packs.values().map(|pack| pack.used_bytes).sum();
    let unused = |pack: &Pack| pack.frame_bytes.saturating_sub(pack.used_bytes);
    let mut waste: u64 = rest.iter().map(|pack| unused(pack)).sum();
    let allowed = u128::from(used) * u128::from(options.unused_per_mille_max) / 1000;
    let mut budget = options.repack_bytes_max;
    let mut emptiest: Vec<&&Pack> = rest.iter().filter(|p| p.is_settled && unused(p) > 0).collect();
    emptiest.sort_by_key(|pack| {
        let share = u128::from(unused(pack)) * 1_000_000 / u128::from(pack.bytes.max(1));
        (std::cmp::Reverse(share), pack.hash)
    });
    for pack in emptiest {
        if u128::from(waste) <= allowed {
            break;
        }
        let Some(left) = budget.checked_sub(pack.bytes) else { continue };
        budget = left;
        waste -= unused(pack);
        choice.condemned.insert(pack.hash);
    }
}

/// Condemns small packs of a kind, where there are so many that they are worth joining.
pub(super) fn add_small(
    packs: &BTreeMap<ObjectHash, Pack>,
    around: &Circumstances,
    options: &Options,
    choice: &mut Choice,
) {
    let mut budget = options.repack_bytes_max;
    for hash in &choice.condemned {
        let bytes = packs.get(hash).filter(|pack| pack.used_bytes > 0).map_or(0, |p| p.bytes);
        budget = budget.saturating_sub(bytes);
    }
    for (is_metadata, target) in [(false, around.target_bytes[0]), (true, around.target_bytes[1])] {
        let small = packs.values().filter(|pack| {
            pack.is_metadata == is_metadata
                && pack.used_bytes > 0
                && pack.is_settled
                && pack.bytes < target / SMALL_PART
                && !pack.is_condemned
                && !around.survivors.contains(&pack.hash)
                && !choice.condemned.contains(&pack.hash)
        });
        let mut taken: Vec<ObjectHash> = Vec::new();
        for pack in small {
            let Some(left) = budget.checked_sub(pack.bytes) else { continue };
            budget = left;
            taken.push(pack.hash);
        }
        if taken.len() >= SMALL_MIN {
            choice.condemned.extend(taken);
        }
    }
}
