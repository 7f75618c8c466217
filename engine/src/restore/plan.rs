//! From the pieces of files that are wanted to the reads that give them: pure.
//!
//! Every blob is read once for all who want it, packs are read front to back, and neighbours in a
//! pack are read together, up to a bound that is a share of the memory.

use std::ops::Range;

use repo_format::pack::BlobKind;
use repo_format::{BlobId, limits};

use crate::crypto::seal::OVERHEAD;
use crate::repo::index::Located;

/// A run of bytes of one piece that lies in a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) id: BlobId,
    /// Piece, by its place in the window.
    pub(super) piece: u32,
    /// Offset in the file.
    pub(super) at: u64,
    /// First byte in the plain blob.
    pub(super) from: u32,
    /// Bytes; at least 1.
    pub(super) length: u32,
    /// Whether that must be all of the blob.
    pub(super) is_whole: bool,
}

/// A blob that is wanted, with the place it is read from.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) located: Located,
    /// Who wants it, among the wants of the plan.
    pub(super) wants: Range<usize>,
}

/// One ranged read of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    /// Blobs of the plan that it gives.
    pub(super) blobs: Range<usize>,
    /// First byte in the pack.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) length: u64,
}

/// How neighbours are read together.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadLimits {
    /// Most bytes between two blobs that are read for nothing.
    pub(super) gap_bytes: u64,
    /// Most bytes of one read that holds several blobs.
    pub(super) read_bytes: u64,
}

/// What is read for one window.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// All wants, those of one blob together.
    pub(super) wants: Vec<Want>,
    /// Blobs, by pack and offset.
    pub(super) blobs: Vec<Blob>,
    /// Reads, by pack and offset.
    pub(super) reads: Vec<Read>,
    /// Wants of blobs that have no usable place in the index, or that are read one by one.
    pub(super) single: Vec<Range<usize>>,
}

/// Plans the reads for `wants`.
pub(super) fn plan(
    mut wants: Vec<Want>,
    locate: impl Fn(&BlobId) -> Option<Located>,
    limits: ReadLimits,
) -> Plan {
    wants.sort_unstable_by_key(|want| (want.id, want.piece, want.at));
    let mut blobs = Vec::new();
    let mut single = Vec::new();
    let mut start = 0;
    for same in wants.chunk_by(|a, b| a.id == b.id) {
        let range = start..start + same.len();
        start = range.end;
        match locate(&same[0].id).filter(is_usable) {
            Some(located) => blobs.push(Blob { located, wants: range }),
            None => single.push(range),
        }
    }
    blobs.sort_unstable_by_key(|blob| (blob.located.pack.hash, blob.located.entry.offset));
    let reads = join(&blobs, limits);
    Plan { wants, blobs, reads, single }
}

/// Says whether a blob can be read with its neighbours: of the right kind, and no longer than any
/// writer makes it.
fn is_usable(located: &Located) -> bool {
    let entry = &located.entry;
    let stored_max = u64::from(limits::DATA_BLOB_BYTES_MAX) + OVERHEAD as u64;
    entry.kind == BlobKind::Data && u64::from(entry.stored_bytes) <= stored_max
}

fn join(blobs: &[Blob], limits: ReadLimits) -> Vec<Read> {
    let mut reads: Vec<Read> = Vec::new();
    let mut pack = None;
    for (number, blob) in blobs.iter().enumerate() {
        let entry = &blob.located.entry;
        let start = u64::from(entry.offset);
        let end = start + u64::from(entry.stored_bytes);
        if pack == Some(blob.located.pack.hash)
            && let Some(last) = reads.last_mut()
            && start <= last.offset + last.length + limits.gap_bytes
            && end.max(last.offset + last.length) - last.offset <= limits.read_bytes
        {
            last.length = last.length.max(end - last.offset);
            last.blobs.end = number + 1;
        } else {
            pack = Some(blob.located.pack.hash);
            reads.push(Read { blobs: number..number + 1, offset: start, length: end - start });
        }
    }
    reads
}

#[cfg(test)]
mod tests {
    use repo_format::ObjectHash;
    use repo_format::index::PackRef;
    use repo_format::pack::Entry;

    use super::*;

    const LIMITS: ReadLimits = ReadLimits { gap_bytes: 100, read_bytes: 1000 };

    fn want(id: u8, piece: u32) -> Want {
        let id = BlobId([id; 32]);
        Want { id, piece, at: 0, from: 0, length: 1, is_whole: false }
    }

    fn located(id: u8, pack: u8, offset: u32, stored_bytes: u32) -> Located {
        let pack = PackRef {
            hash: ObjectHash([pack; 32]),
            is_metadata: false,
            class: 0,
            epoch: 0,
            total_bytes: 1 << 20,
        };
        let entry = Entry {
            id: BlobId([id; 32]),
            offset,
            stored_bytes,
            plain_bytes: 1,
            kind: BlobKind::Data,
            encoding: 0,
            depth: 0,
            envelope: 0,
            base_count: 0,
            base_first: 0,
        };
        Located { pack, entry, bases: Vec::new() }
    }

    fn ranges(plan: &Plan) -> Vec<(u64, u64)> {
        plan.reads.iter().map(|read| (read.offset, read.length)).collect()
    }

    #[test]
    fn a_blob_that_several_want_is_read_once() {
        let plan = plan(
            vec![want(1, 2), want(2, 0), want(1, 0)],
            |id| Some(located(id.0[0], 7, u32::from(id.0[0]) * 100, 100)),
            LIMITS,
        );
        assert_eq!(ranges(&plan), [(100, 200)]);
        assert_eq!(plan.blobs.iter().map(|blob| blob.wants.len()).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn neighbours_are_joined_up_to_a_gap_a_length_and_a_pack() {
        let places = [(1, 7, 64, 100), (2, 7, 264, 100), (3, 7, 465, 100), (4, 8, 565, 100)];
        let find = |id: &BlobId| {
            let (id, pack, offset, bytes) = places[usize::from(id.0[0]) - 1];
            Some(located(id, pack, offset, bytes))
        };
        let plan = plan((1..=4).map(|id| want(id, 0)).collect(), find, LIMITS);
        assert_eq!(ranges(&plan), [(64, 300), (465, 100), (565, 100)]);
        assert_eq!(plan.reads[0].blobs, 0..2);
    }

    #[test]
    fn a_read_stops_before_it_is_too_long() {
        let find = |id: &BlobId| Some(located(id.0[0], 7, u32::from(id.0[0]) * 400, 400));
        let plan = plan((1..=5).map(|id| want(id, 0)).collect(), find, LIMITS);
        assert_eq!(ranges(&plan), [(400, 800), (1200, 800), (2000, 400)]);
    }

    #[test]
    fn what_the_index_lacks_or_lies_about_is_read_one_by_one() {
        let find = |id: &BlobId| match id.0[0] {
            1 => None,
            2 => Some(located(2, 7, 64, 100 << 20)),
            _ => Some(located(3, 7, 64, 100)),
        };
        let plan = plan((1..=3).map(|id| want(id, 0)).collect(), find, LIMITS);
        assert_eq!((plan.single.len(), plan.blobs.len()), (2, 1));
    }

    #[test]
    fn places_that_overlap_stay_within_one_read() {
        let find = |id: &BlobId| Some(located(id.0[0], 7, 64 + u32::from(id.0[0]), 300));
        let plan = plan((1..=2).map(|id| want(id, 0)).collect(), find, LIMITS);
        assert_eq!(ranges(&plan), [(65, 301)]);
    }
}
