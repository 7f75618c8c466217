//! A sorted table of places: in memory, or a mapped file of the same bytes.
//!
//! Ids are uniformly distributed, so a lookup guesses the position from the id and is right after a
//! few steps; memory beyond the pages touched is none.

use repo_format::index::{PackRef, Place};
use repo_format::{BlobId, ObjectHash};

use super::Located;
use super::mapped::Mapped;

/// Bytes of one place.
pub(super) const PLACE: usize = Place::ENCODED_BYTES;

#[derive(Debug)]
enum Bytes {
    Memory(Vec<u8>),
    /// A file; the places start at the given byte.
    File(Mapped, usize, usize),
}

/// Places sorted by blob, with their packs and bases.
#[derive(Debug)]
pub struct Table {
    bytes: Bytes,
    packs: Vec<PackRef>,
    bases: Vec<BlobId>,
    /// Segments that the table holds.
    pub(super) segments: Vec<ObjectHash>,
    /// Segments whose content those repeat, so that the table leaves them out.
    pub(super) superseded: Vec<ObjectHash>,
}

impl Table {
    pub(super) fn in_memory(
        mut places: Vec<Place>,
        packs: Vec<PackRef>,
        bases: Vec<BlobId>,
        segments: Vec<ObjectHash>,
    ) -> Self {
        places.sort_unstable_by_key(|place| (place.entry.id, place.pack));
        let bytes = places.iter().flat_map(Place::encode).collect();
        Self { bytes: Bytes::Memory(bytes), packs, bases, segments, superseded: Vec::new() }
    }

    pub(super) const fn in_file(
        map: Mapped,
        start: usize,
        count: usize,
        packs: Vec<PackRef>,
        bases: Vec<BlobId>,
        segments: Vec<ObjectHash>,
        superseded: Vec<ObjectHash>,
    ) -> Self {
        Self { bytes: Bytes::File(map, start, count), packs, bases, segments, superseded }
    }

    fn rows(&self) -> &[[u8; PLACE]] {
        let bytes = match &self.bytes {
            Bytes::Memory(bytes) => &bytes[..],
            Bytes::File(map, start, count) => &map[*start..*start + *count * PLACE],
        };
        bytes.as_chunks().0
    }

    /// Number of places.
    pub fn len(&self) -> usize {
        self.rows().len()
    }

    /// Says whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Packs that places refer to.
    pub fn packs(&self) -> &[PackRef] {
        &self.packs
    }

    pub(super) fn bases(&self) -> &[BlobId] {
        &self.bases
    }

    /// Every place, in order.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.rows().iter().filter_map(|row| Place::decode(row).ok())
    }

    /// First row whose id is `id`.
    pub(super) fn find_first(&self, id: &BlobId) -> Option<usize> {
        let rows = self.rows();
        let (mut low, mut high) = (0, rows.len());
        let wanted = start_of(&id.0);
        // A guess by proportion, as long as it narrows quickly; else by halves.
        let mut guesses = 0;
        while low < high {
            let middle = if guesses < 6 {
                guesses += 1;
                guess(rows, low, high, wanted)
            } else {
                low + (high - low) / 2
            };
            if rows[middle][..32] < id.0[..] {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (low < rows.len() && rows[low][..32] == id.0).then_some(low)
    }

    /// Every place of a blob.
    pub(super) fn find(&self, id: &BlobId) -> impl Iterator<Item = Place> {
        let rows = self.rows();
        let first = self.find_first(id).unwrap_or(rows.len());
        let wanted = *id;
        rows[first..]
            .iter()
            .take_while(move |row| row[..32] == wanted.0)
            .filter_map(|row| Place::decode(row).ok())
    }

    /// Puts a place together with its pack and bases.
    pub(super) fn locate(&self, place: &Place) -> Option<Located> {
        let pack = *self.packs.get(place.pack as usize)?;
        let first = place.entry.base_first as usize;
        let bases = self.bases.get(first..first + usize::from(place.entry.base_count))?.to_vec();
        Some(Located { pack, entry: place.entry, bases })
    }
}

fn start_of(id: &[u8]) -> u64 {
    let mut start = [0; 8];
    start.copy_from_slice(&id[..8]);
    u64::from_be_bytes(start)
}

/// Row between `low` and `high` where `wanted` should stand; leans a little to the left and right
/// in turn so that both ends close in.
fn guess(rows: &[[u8; PLACE]], low: usize, high: usize, wanted: u64) -> usize {
    let first = start_of(&rows[low]);
    let last = start_of(&rows[high - 1]);
    if wanted <= first {
        return low;
    }
    if wanted > last {
        return high - 1;
    }
    let span = u128::from(last - first).max(1);
    let offset = u128::from(wanted - first) * (high - 1 - low) as u128 / span;
    low + usize::try_from(offset).unwrap_or(0).min(high - 1 - low)
}

#[cfg(test)]
mod tests {
    use repo_format::pack::{BlobKind, Entry};

    use super::*;

    fn id(n: u32) -> BlobId {
        BlobId(*blake3::hash(&n.to_le_bytes()).as_bytes())
    }

    fn place(n: u32) -> Place {
        let entry = Entry {
            id: id(n),
            offset: 64 + n,
            stored_bytes: 41,
            plain_bytes: 1,
            kind: BlobKind::Data,
            encoding: 0,
            depth: 0,
            envelope: 0,
            base_count: 0,
            base_first: 0,
        };
        Place { pack: 0, entry }
    }

    #[test]
    fn every_blob_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 1000, 20_000] {
            let pack = PackRef {
                hash: ObjectHash([1; 32]),
                is_metadata: false,
                class: 0,
                epoch: 0,
                total_bytes: 1 << 20,
            };
            let places = (0..count).map(place).collect();
            let table = Table::in_memory(places, vec![pack], vec![], vec![]);
            for n in 0..count {
                let found: Vec<_> = table.find(&id(n)).collect();
                assert_eq!(found.len(), 1);
                assert_eq!(found[0].entry.offset, 64 + n);
            }
            for n in count..count + 1000 {
                assert!(table.find_first(&id(n)).is_none());
            }
        }
    }

    #[test]
    fn a_crowd_of_close_ids_is_searched_too() {
        let mut places: Vec<Place> = (0..5000).map(place).collect();
        for (n, place) in (0_u16..).zip(&mut places) {
            place.entry.id.0[..30].fill(7);
            place.entry.id.0[30..].copy_from_slice(&n.to_be_bytes());
        }
        let ids: Vec<BlobId> = places.iter().map(|place| place.entry.id).collect();
        let table = Table::in_memory(places, vec![], vec![], vec![]);
        assert!(ids.iter().all(|id| table.find_first(id).is_some()));
    }
}
