//! Where blobs lie: a sorted table mapped from a file, and what came since in memory. SPEC 9.
//!
//! The table only serves speed. It is rebuilt from the segments whenever they are not the ones that
//! it was made of.

use repo_format::index::{PackRef, Place};
use repo_format::pack::{Directory, Entry};
use repo_format::{BlobId, ObjectHash, limits};

use std::collections::HashSet;

mod load;
mod mapped;
mod merge;
mod segment;
#[cfg(any(test, feature = "testkit"))]
pub mod synthetic;
mod table;

pub(crate) use load::{Reading, load, load_afresh};
pub(crate) use segment::{read as read_segment, write as write_segment};
pub use table::Table;

/// Everything that is known of where one blob lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Pack that holds it.
    pub pack: PackRef,
    /// Its entry.
    pub entry: Entry,
    /// Bases, for a delta blob.
    pub bases: Vec<BlobId>,
}

/// The index of a repository, as of when it was loaded.
#[derive(Debug, Default)]
pub struct Index {
    /// Merged table in a file.
    stored: Option<Table>,
    /// Segments newer than the table.
    recent: Option<Table>,
    /// Segments that the index was made of.
    segments: Vec<ObjectHash>,
    /// Packs whose places do not count.
    gone: HashSet<ObjectHash>,
    /// Segments that could not be read: name and why.
    pub damaged: Vec<(String, String)>,
}

impl Index {
    /// Makes an index over directories that no segment holds yet.
    pub(crate) fn of_directories(packs: Vec<(PackRef, Directory)>) -> Self {
        let (mut refs, mut bases, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (pack, directory) in packs {
            let number = u32::try_from(refs.len()).unwrap_or(u32::MAX);
            let shift = u32::try_from(bases.len()).unwrap_or(u32::MAX);
            refs.push(pack);
            places.extend(directory.entries.into_iter().map(|mut entry| {
                if entry.base_count > 0 {
                    entry.base_first = entry.base_first.saturating_add(shift);
                }
                Place { pack: number, entry }
            }));
            bases.extend(directory.bases);
        }
        let table = Table::in_memory(places, refs, bases, Vec::new());
        Self { recent: Some(table), ..Self::default() }
    }

    /// Leaves out places in packs that a prune is known to have deleted: their segments may not
    /// have been replaced yet.
    pub(crate) fn leave_out(&mut self, gone: HashSet<ObjectHash>) {
        self.gone = gone;
    }

    fn is_gone(&self, table: &Table, place: &Place) -> bool {
        !self.gone.is_empty()
            && table.packs().get(place.pack as usize).is_some_and(|p| self.gone.contains(&p.hash))
    }

    fn tables(&self) -> impl Iterator<Item = &Table> {
        self.stored.iter().chain(&self.recent)
    }

    /// Says whether some pack holds the blob, and packs hold everything that it stands on.
    pub fn contains(&self, id: &BlobId) -> bool {
        let mut left = limits::DELTA_OPENED_MAX;
        self.stands(id, u8::MAX, &mut left)
    }

    /// Says so of places below a depth, which falls with each step; what would take more looks than
    /// a reader takes does not count.
    fn stands(&self, id: &BlobId, below: u8, left: &mut u32) -> bool {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        self.tables().any(|table| {
            table.find(id).any(|place| {
                let depth = place.entry.depth;
                depth < below
                    && !self.is_gone(table, &place)
                    && (place.entry.base_count == 0
                        || table.locate(&place).is_some_and(|located| {
                            located.bases.iter().all(|base| self.stands(base, depth, left))
                        }))
            })
        })
    }

    /// Every place of the blob, best first: stands alone before delta, then lowest depth.
    pub fn find_all(&self, id: &BlobId) -> Vec<Located> {
        let mut found: Vec<Located> = self
            .tables()
            .flat_map(|table| table.find(id).map(move |place| (table, place)))
            .filter(|(table, place)| !self.is_gone(table, place))
            .filter_map(|(table, place)| table.locate(&place))
            .collect();
        found.sort_by_key(|located| located.entry.depth);
        found
    }

    /// Best place of the blob.
    pub fn find(&self, id: &BlobId) -> Option<Located> {
        self.tables()
            .flat_map(|table| table.find(id).map(move |place| (table, place)))
            .filter(|(table, place)| !self.is_gone(table, place))
            .min_by_key(|(_, place)| place.entry.depth)
            .and_then(|(table, place)| table.locate(&place))
    }

    /// Best place of the blob in a pack that may be relied on, whose bases have such places too.
    pub(crate) fn find_reliable(
        &self,
        id: &BlobId,
        absent: &HashSet<ObjectHash>,
    ) -> Option<Located> {
        self.find_reliable_above(id, absent, limits::DELTA_DEPTH_MAX)
    }

    fn find_reliable_above(
        &self,
        id: &BlobId,
        absent: &HashSet<ObjectHash>,
        depth: u8,
    ) -> Option<Located> {
        let below = depth.checked_sub(1);
        self.find_all(id).into_iter().find(|located| {
            let has =
                |base| below.is_some_and(|d| self.find_reliable_above(base, absent, d).is_some());
            !absent.contains(&located.pack.hash) && located.bases.iter().all(has)
        })
    }

    /// Number of the first row of a blob, below [`Index::rows`]: the same for all its places.
    pub(crate) fn row(&self, id: &BlobId) -> Option<usize> {
        let mut before = 0;
        for table in self.tables() {
            if let Some(row) = table.find_first(id) {
                return Some(before + row);
            }
            before += table.len();
        }
        None
    }

    /// Rows that there are.
    pub(crate) fn rows(&self) -> usize {
        self.tables().map(Table::len).sum()
    }

    /// Every pack that a segment names.
    pub fn packs(&self) -> Vec<PackRef> {
        let mut packs: Vec<PackRef> =
            self.tables().flat_map(|table| table.packs().iter().copied()).collect();
        packs.sort_by_key(|pack| pack.hash);
        packs.dedup();
        packs
    }

    /// Number of places.
    pub fn len(&self) -> u64 {
        self.tables().map(|table| table.len() as u64).sum()
    }

    /// Says whether no blob is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Segments that the index was made of.
    pub fn segments(&self) -> &[ObjectHash] {
        &self.segments
    }

    /// Calls `visit` with everything that is known of every place, in no particular order.
    pub fn for_each_located(&self, mut visit: impl FnMut(Located)) {
        for table in self.tables() {
            table.places().filter_map(|place| table.locate(&place)).for_each(&mut visit);
        }
    }

    /// Calls `visit` with every place and its pack, in no particular order.
    pub fn for_each(&self, mut visit: impl FnMut(&PackRef, &Place)) {
        for table in self.tables() {
            for place in table.places() {
                if let Some(pack) = table.packs().get(place.pack as usize) {
                    visit(pack, &place);
                }
            }
        }
    }
}
