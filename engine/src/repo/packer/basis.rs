//! What a blob may be stored against: bases that are stored already, and what that may cost.
//! SPEC 5.4.
//!
//! The bounds are a writer's own and stay far within those of the format, so that a version never
//! costs much more to read than one that stands alone.

use std::collections::HashSet;
use std::sync::Arc;

use repo_format::{BlobId, limits};

use crate::crypto::seal::OVERHEAD;
use crate::repo::IndexedRepository;

/// Deepest delta that is written.
pub const DEPTH_MAX: u8 = 24;
/// Most blobs that a delta stands on, all the way down.
const BLOBS_MAX: usize = 256;
/// Most plain bytes of those blobs.
const PLAIN_BYTES_MAX: u64 = 64 << 20;

/// Bases of a delta; none of them make no delta.
#[derive(Debug, Clone, Default)]
pub struct Basis {
    /// Ids, in the order in which their bytes are joined.
    pub(super) ids: Vec<BlobId>,
    /// Their plain bytes, joined.
    pub(super) joined: Vec<u8>,
    /// Depth of a delta against them.
    pub(super) depth: u8,
    /// Longest frame that still pays: half of what the blob would take alone, and no more than
    /// what keeps all deltas down to the blobs that stand alone below one such blob.
    pub(super) frame_bytes_max: usize,
}

/// Everything that some bases stand on, themselves included.
#[derive(Debug, Default)]
struct Footing {
    depth: u8,
    blobs: usize,
    plain_bytes: u64,
    /// Frames and plain bytes of what stands alone.
    alone: (u64, u64),
    delta_bytes: u64,
}

impl Footing {
    /// Goes all the way down; `None` where something may not be relied on or it is too much.
    fn of(repo: &IndexedRepository, ids: &[BlobId]) -> Option<Self> {
        let mut footing = Self::default();
        let (mut seen, mut pending) = (HashSet::new(), ids.to_vec());
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            let located = repo.reliable(&id)?;
            let entry = &located.entry;
            footing.depth = footing.depth.max(entry.depth);
            footing.blobs += 1;
            footing.plain_bytes += u64::from(entry.plain_bytes);
            if located.bases.is_empty() {
                footing.alone.0 += u64::from(entry.stored_bytes);
                footing.alone.1 += u64::from(entry.plain_bytes);
            } else {
                footing.delta_bytes += u64::from(entry.stored_bytes);
                pending.extend(located.bases);
            }
            if footing.blobs > BLOBS_MAX || footing.plain_bytes > PLAIN_BYTES_MAX {
                return None;
            }
        }
        Some(footing)
    }
}

impl Basis {
    /// Makes a basis for a blob of `plain_bytes`; `None` where a delta against these would be too
    /// deep, or would hardly pay.
    pub(crate) fn new(
        repo: &IndexedRepository,
        bases: &[(BlobId, Arc<Vec<u8>>)],
        plain_bytes: usize,
    ) -> Option<Self> {
        let ids: Vec<BlobId> = bases.iter().map(|(id, _)| *id).collect();
        let joined_bytes: usize = bases.iter().map(|(_, plain)| plain.len()).sum();
        if ids.is_empty()
            || ids.len() > usize::from(limits::DELTA_BASES_MAX)
            || joined_bytes > limits::DELTA_BASE_BYTES_MAX as usize
        {
            return None;
        }
        let footing = Footing::of(repo, &ids)?;
        let depth = footing.depth.checked_add(1).filter(|&depth| depth <= DEPTH_MAX)?;
        // What the blob would take alone is guessed from what stands alone below it.
        let (stored, plain) = footing.alone;
        let alone = (stored * plain_bytes as u64).checked_div(plain)?;
        let most = (alone / 2).min(alone.saturating_sub(footing.delta_bytes));
        let frame_bytes_max = usize::try_from(most).ok().filter(|&most| most > OVERHEAD)?;
        let mut joined = Vec::with_capacity(joined_bytes);
        for (_, plain) in bases {
            joined.extend_from_slice(plain);
        }
        Some(Self { ids, joined, depth, frame_bytes_max })
    }
}
