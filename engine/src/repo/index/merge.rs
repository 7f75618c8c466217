//! Merges segments into one sorted table, with no more memory than one segment takes.
//!
//! Each segment becomes a sorted run in a file without a name; the runs are merged through maps.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use repo_format::codec;
use repo_format::index::{PackRef, Place};
use repo_format::{BlobId, ObjectHash, RepositoryId};

use super::mapped::Mapped;
use super::segment::Segment;
use super::table::{PLACE, Table};
use crate::error::{Error, Kind, Result};
use crate::repo::Repository;

const FILE: &str = "index-table";
const MAGIC: &[u8; 16] = b"strongroom tbl 2";
const PREFIX_BYTES: usize = 16 + 16 + 8 + 8;
/// Places kept in memory before they go to runs.
const MEMORY_PLACES_MAX: usize = 100_000;

/// Packs, bases, segments, and the segments that those supersede.
type Tail = (Vec<PackRef>, Vec<BlobId>, Vec<ObjectHash>, Vec<ObjectHash>);

/// A merge under way.
pub(super) struct Merge {
    packs: Vec<PackRef>,
    pack_numbers: HashMap<ObjectHash, u32>,
    bases: Vec<BlobId>,
    segments: Vec<ObjectHash>,
    superseded: Vec<ObjectHash>,
    sorted: Sorted,
    folder: Option<PathBuf>,
    /// Whether the table stays in the folder for later runs.
    is_kept: bool,
}

impl Merge {
    /// Starts a merge whose table is kept in the state folder, or is for this run alone; it leaves
    /// out the segments that are `superseded`.
    pub(super) fn new(repo: &Repository, is_kept: bool, superseded: Vec<ObjectHash>) -> Self {
        Self {
            packs: Vec::new(),
            pack_numbers: HashMap::new(),
            bases: Vec::new(),
            segments: Vec::new(),
            superseded,
            sorted: Sorted::default(),
            folder: repo.state.folder().map(Path::to_path_buf),
            is_kept,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Adds all of a segment, or nothing of it.
    pub(super) fn add(&mut self, hash: ObjectHash, segment: &Segment) -> Result<()> {
        // All of it is checked before any of it counts.
        segment.places().try_for_each(|place| place.map(|_| ()))?;
        let numbers: Vec<u32> = segment.head.packs.iter().map(|pack| self.number(pack)).collect();
        let shift = self.bases.len();
        self.bases.extend(segment.bases());
        let places = segment.places().filter_map(|place| {
            let mut place = place.ok()?;
            place.pack = numbers[place.pack as usize];
            shift_bases(&mut place, shift);
            Some(place)
        });
        self.segments.push(hash);
        let count = segment.head.entry_count as usize;
        let taken = self.sorted.take(self.folder.as_deref(), count, places);
        taken.map_err(|error| io_error(&error))
    }

    /// Adds a table that was merged before.
    pub(super) fn add_table(&mut self, table: &Table) -> Result<()> {
        let numbers: Vec<u32> = table.packs().iter().map(|pack| self.number(pack)).collect();
        let shift = self.bases.len();
        self.bases.extend_from_slice(table.bases());
        self.segments.extend_from_slice(&table.segments);
        let places = table.places().map(|mut place| {
            place.pack = numbers[place.pack as usize];
            shift_bases(&mut place, shift);
            place
        });
        let taken = self.sorted.take(self.folder.as_deref(), table.len(), places);
        taken.map_err(|error| io_error(&error))
    }

    fn number(&mut self, pack: &PackRef) -> u32 {
        let next = u32::try_from(self.packs.len()).unwrap_or(u32::MAX);
        *self.pack_numbers.entry(pack.hash).or_insert_with(|| {
            self.packs.push(*pack);
            next
        })
    }

    /// Gives a table in memory; for few places only.
    pub(super) fn into_memory(self) -> Result<Table> {
        let places = self.sorted.into_memory().map_err(|error| io_error(&error))?;
        Ok(Table::in_memory(places, self.packs, self.bases, self.segments))
    }

    /// Writes the table to a file, remembered in the state folder where there is one, and maps it.
    pub(super) fn into_file(mut self, repo: &Repository) -> Result<Table> {
        self.write_file(repo).map_err(|error| io_error(&error))
    }

    fn write_file(&mut self, repo: &Repository) -> io::Result<Table> {
        let aside = repo.state.path("index-table.new").filter(|_| self.is_kept);
        let file = match &aside {
            Some(path) => {
                File::options().read(true).write(true).create(true).truncate(true).open(path)?
            }
            None => unnamed(self.folder.as_deref())?,
        };
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let count = self.len();
        let tail = (
            std::mem::take(&mut self.packs),
            std::mem::take(&mut self.bases),
            std::mem::take(&mut self.segments),
            std::mem::take(&mut self.superseded),
        );
        out.write_all(MAGIC)?;
        out.write_all(&repo.id().0)?;
        out.write_all(&(count as u64).to_le_bytes())?;
        out.write_all(&[0; 8])?;
        std::mem::take(&mut self.sorted).write_merged(&mut out)?;
        let encoded = codec::encode(&tail);
        out.write_all(&encoded)?;
        out.write_all(blake3::hash(&encoded).as_bytes())?;
        let file = out.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        if let (Some(aside), Some(path)) = (&aside, repo.state.path(FILE)) {
            std::fs::rename(aside, path)?;
        }
        let (packs, bases, segments, superseded) = tail;
        let map = Mapped::new(&file)?;
        Ok(Table::in_file(map, PREFIX_BYTES, count, packs, bases, segments, superseded))
    }
}

/// Places on their way into one order: few in memory, many as sorted runs in a file without a name.
#[derive(Default)]
struct Sorted {
    memory: Vec<Place>,
    runs: Option<BufWriter<File>>,
    run_lengths: Vec<usize>,
}

impl Sorted {
    fn len(&self) -> usize {
        self.memory.len() + self.run_lengths.iter().sum::<usize>()
    }

    /// Takes `count` places that are in order.
    fn take(
        &mut self,
        folder: Option<&Path>,
        count: usize,
        mut places: impl Iterator<Item = Place>,
    ) -> io::Result<()> {
        if self.memory.len() + count <= MEMORY_PLACES_MAX && self.runs.is_none() {
            self.memory.extend(places);
            return Ok(());
        }
        if self.runs.is_none() {
            self.runs = Some(BufWriter::with_capacity(1 << 20, unnamed(folder)?));
        }
        if !self.memory.is_empty() {
            sort(&mut self.memory);
            let memory = std::mem::take(&mut self.memory);
            self.write_run(&mut memory.into_iter())?;
        }
        self.write_run(&mut places)
    }

    fn write_run(&mut self, places: &mut dyn Iterator<Item = Place>) -> io::Result<()> {
        let Some(writer) = &mut self.runs else { return Ok(()) };
        let mut length = 0;
        for place in places {
            writer.write_all(&place.encode())?;
            length += 1;
        }
        self.run_lengths.push(length);
        Ok(())
    }

    /// Gives every place, in no particular order.
    fn into_memory(mut self) -> io::Result<Vec<Place>> {
        if let Some(writer) = self.runs.take() {
            let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut bytes)?;
            let rows = bytes.as_chunks::<PLACE>().0;
            self.memory.extend(rows.iter().filter_map(|row| Place::decode(row).ok()));
        }
        Ok(self.memory)
    }

    /// Writes every place, in order.
    fn write_merged(mut self, out: &mut impl Write) -> io::Result<()> {
        let Some(writer) = self.runs.take() else {
            sort(&mut self.memory);
            return self.memory.iter().try_for_each(|place| out.write_all(&place.encode()));
        };
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        let map = Mapped::new(&file)?;
        let rows = map.as_chunks::<PLACE>().0;
        let mut runs = Vec::new();
        let mut start = 0;
        for &length in &self.run_lengths {
            runs.push(rows[start..start + length].iter());
            start += length;
        }
        let mut heap: BinaryHeap<Reverse<(&[u8; PLACE], usize)>> = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            heap.extend(run.next().map(|row| Reverse((row, number))));
        }
        while let Some(Reverse((row, number))) = heap.pop() {
            out.write_all(row)?;
            heap.extend(runs[number].next().map(|row| Reverse((row, number))));
        }
        Ok(())
    }
}

fn sort(places: &mut [Place]) {
    places.sort_unstable_by_key(|place| (place.entry.id, place.pack));
}

fn shift_bases(place: &mut Place, shift: usize) {
    if place.entry.base_count > 0 {
        let shift = u32::try_from(shift).unwrap_or(u32::MAX);
        place.entry.base_first = place.entry.base_first.saturating_add(shift);
    }
}

fn unnamed(folder: Option<&Path>) -> io::Result<File> {
    match folder {
        Some(folder) => tempfile::tempfile_in(folder),
        None => tempfile::tempfile(),
    }
}

fn io_error(error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Refused,
        _ => Kind::Other,
    };
    Error::new(kind, format!("merging the index in the cache folder: {error}"))
}

/// Maps the table that an earlier run left in the state folder, if it is whole.
pub(super) fn open_cached(repo: &Repository) -> Option<Table> {
    let file = File::open(repo.state.path(FILE)?).ok()?;
    let map = Mapped::new(&file).ok()?;
    let (prefix, _) = map.split_first_chunk::<PREFIX_BYTES>()?;
    let id = RepositoryId::from_slice(&prefix[16..32]).ok()?;
    if prefix[..16] != MAGIC[..] || id != repo.id() {
        return None;
    }
    let mut count = [0; 8];
    count.copy_from_slice(&prefix[32..40]);
    let count = usize::try_from(u64::from_le_bytes(count)).ok()?;
    let end = PREFIX_BYTES.checked_add(count.checked_mul(PLACE)?)?;
    let tail = map.get(end..)?;
    let (encoded, hash) = tail.split_last_chunk::<32>()?;
    if blake3::hash(encoded).as_bytes() != hash {
        return None;
    }
    let (packs, bases, segments, superseded): Tail = codec::decode("index table", encoded).ok()?;
    Some(Table::in_file(map, PREFIX_BYTES, count, packs, bases, segments, superseded))
}
