//! Where what is needed of condemned packs goes on living (G3): a place that it has elsewhere, or
//! a copy in a new pack. Frames are copied as they are, once they have shown that they open.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use repo_format::{BlobId, ObjectHash};

use super::survey::{Survey, list_packs};
use crate::Ambient;
use crate::error::{Error, Kind, Result};
use crate::repo::blobs::pack_name;
use crate::repo::index::{self, Located};
use crate::repo::packer::{BlobWriter, PackSettings};
use crate::repo::securing::Copier;

/// Longest gap between two frames that one read still passes over, in bytes.
const GAP_BYTES_MAX: u64 = 256 << 10;
/// Longest read, in bytes.
const READ_BYTES_MAX: u64 = 32 << 20;

/// What becomes of the needed blobs of condemned packs.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Blobs to copy, by the pack that they are read from, in the order of their frames.
    pub(super) copies: BTreeMap<ObjectHash, Vec<Located>>,
    /// All of them, ascending.
    wanted: Vec<BlobId>,
    /// Bytes of the frames to copy.
    pub(super) bytes: u64,
    /// Number of blobs to copy.
    pub(super) blobs: u64,
}

/// Finds a place for every needed blob of condemned packs.
pub(super) fn find(survey: &Survey, condemned: &BTreeSet<ObjectHash>) -> Result<Moves> {
    let mut avoided: HashSet<ObjectHash> = survey.absent.clone();
    avoided.extend(condemned);
    let mut moves = Moves::default();
    let mut last: Option<BlobId> = None;
    let mut wanted: Vec<BlobId> = Vec::new();
    survey.repo.index().for_each(|pack, place| {
        let id = place.entry.id;
        if condemned.contains(&pack.hash) && last != Some(id) && survey.is_live(&id) {
            last = Some(id);
            wanted.push(id);
        }
    });
    wanted.sort_unstable();
    wanted.dedup();
    for &id in &wanted {
        let reliable = survey.repo.index().find_reliable(&id, &avoided);
        if reliable.is_some_and(|one| survey.packs.contains_key(&one.pack.hash)) {
            continue;
        }
        let places = survey.repo.index().find_all(&id).into_iter();
        let mut listed = places.filter(|place| survey.packs.contains_key(&place.pack.hash));
        let Some(from) = listed.next() else {
            let what = format!("blob {} is needed and in no pack that is there", id.short());
            return Err(Error::new(Kind::Damaged, what));
        };
        moves.bytes += u64::from(from.entry.stored_bytes);
        moves.blobs += 1;
        moves.copies.entry(from.pack.hash).or_default().push(from);
    }
    for places in moves.copies.values_mut() {
        places.sort_by_key(|place| place.entry.offset);
    }
    moves.wanted = wanted;
    Ok(moves)
}

/// Copies into new packs what has no other place; gives the packs that hold what is needed of the
/// condemned ones now.
///
/// The index is read again from the store for this: a survivor is a pack that a stored segment
/// names, and nothing counts as moved because it was meant to be (O-5).
pub(super) fn copy(
    survey: &Survey,
    condemned: &BTreeSet<ObjectHash>,
    moves: &Moves,
    settings: PackSettings,
    ambient: &Ambient,
) -> Result<BTreeSet<ObjectHash>> {
    let mut avoided: HashSet<ObjectHash> = survey.absent.clone();
    avoided.extend(condemned);
    let repo = survey.repo.avoiding(avoided.clone());
    if !moves.copies.is_empty() {
        BlobWriter::with(&repo, settings, &ambient.progress, |writer| {
            let copier = Copier::new(&repo);
            let mut packs = moves.copies.values();
            packs.try_for_each(|places| copy_pack(&copier, writer, &repo, places, ambient))
        })?;
    }
    let index = index::load_afresh(&repo, &|_| false, ambient)?.index;
    let listed = list_packs(&repo)?;
    let mut survivors = BTreeSet::new();
    for id in &moves.wanted {
        let place = index.find_reliable(id, &avoided);
        let place = place.filter(|place| listed.contains_key(&place.pack.hash));
        let place = place.ok_or_else(|| {
            let what = format!("blob {} found no place to stay; nothing was deleted", id.short());
            Error::new(Kind::Other, what)
        })?;
        survivors.insert(place.pack.hash);
    }
    Ok(survivors)
}

/// Copies frames of one pack, neighbours in one read.
fn copy_pack(
    copier: &Copier<'_>,
    writer: &BlobWriter<'_>,
    repo: &crate::repo::IndexedRepository,
    places: &[Located],
    ambient: &Ambient,
) -> Result<()> {
    let mut rest = places;
    while let Some(first) = rest.first() {
        ambient.go_on()?;
        let start = u64::from(first.entry.offset);
        let end =
            |place: &Located| u64::from(place.entry.offset) + u64::from(place.entry.stored_bytes);
        let mut count = 1;
        while let Some(next) = rest.get(count)
            && u64::from(next.entry.offset) <= end(&rest[count - 1]) + GAP_BYTES_MAX
            && end(next) - start <= READ_BYTES_MAX
        {
            count += 1;
        }
        let (run, later) = rest.split_at(count);
        let length = end(&run[count - 1]) - start;
        let bytes = repo.store().get_range(&pack_name(&first.pack), start, length)?;
        for place in run {
            let from = usize::try_from(u64::from(place.entry.offset) - start).unwrap_or(0);
            let frame = bytes.slice(from..from + place.entry.stored_bytes as usize);
            match copier.copy_frame(writer, place, &frame) {
                Ok(()) => {}
                // Another place of it may hold.
                Err(error) if error.kind() == Kind::Damaged => {
                    copier.copy(writer, place.entry.id)?;
                }
                Err(error) => return Err(error),
            }
        }
        rest = later;
    }
    Ok(())
}
