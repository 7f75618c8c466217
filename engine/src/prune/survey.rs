//! What there is and what is needed: history, then plans, then index, then the packs of the store
//! (G1). Anything that does not fit together stops the prune before it has deleted anything.

use std::collections::{BTreeMap, HashMap, HashSet};

use repo_format::history::Event as Record;
use repo_format::index::PackRef;
use repo_format::object_name::{Meaning, prefix};
use repo_format::pack::BlobKind;
use repo_format::{BlobId, ObjectHash, ObjectName};

use crate::Ambient;
use crate::ambient::Event;
use crate::error::{Error, Kind, Result};
use crate::repo::blobs::{BlobReader, pack_name};
use crate::repo::history::History;
use crate::repo::index::{self, Reading};
use crate::repo::marks::Marks;
use crate::repo::reachable::{self, Walked};
use crate::repo::standing::Standing;
use crate::repo::{IndexedRepository, Repository};
use crate::store::Listed;

/// Age from which a pack that no snapshot was seen to need belongs to no running backup, in
/// milliseconds by the clock of the store.
pub(super) const YOUNG_MS: i64 = 7 * 24 * 3_600_000;

/// A pack of the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pack {
    pub(super) hash: ObjectHash,
    pub(super) is_metadata: bool,
    pub(super) bytes: u64,
    /// Whether a plan condemns it already.
    pub(super) is_condemned: bool,
    /// Whether a snapshot needs or needed something of it, or it is old.
    pub(super) is_settled: bool,
    /// Bytes of all its frames; 0 where no segment names it.
    pub(super) frame_bytes: u64,
    /// Bytes of its frames that are needed and best read here.
    pub(super) used_bytes: u64,
}

/// Bits by the row of the index.
#[derive(Debug, Default)]
pub(super) struct Rows(Vec<u64>);

impl Rows {
    fn new(rows: usize) -> Self {
        Self(vec![0; rows / 64 + 1])
    }

    /// Sets a bit; says whether it was not set.
    fn insert(&mut self, row: usize) -> bool {
        let bit = 1 << (row % 64);
        let word = &mut self.0[row / 64];
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    pub(super) fn contains(&self, row: usize) -> bool {
        self.0[row / 64] & (1 << (row % 64)) != 0
    }
}

/// Everything that a plan is made from.
pub(super) struct Survey {
    pub(super) repo: IndexedRepository,
    pub(super) history: History,
    pub(super) standings: Vec<Standing>,
    pub(super) marks: Marks,
    pub(super) reading: Heads,
    /// Packs that nothing may rely on.
    pub(super) absent: HashSet<ObjectHash>,
    /// Packs of the store.
    pub(super) packs: BTreeMap<ObjectHash, Pack>,
    /// Rows of blobs that snapshots need.
    pub(super) live: Rows,
}

/// Index segments: those that count with their heads, and those that others repeat.
pub(super) struct Heads {
    pub(super) heads: BTreeMap<ObjectHash, repo_format::index::SegmentHead>,
    pub(super) superseded: Vec<ObjectHash>,
}

impl Heads {
    /// Reads the heads of all segments.
    pub(super) fn read(repo: &Repository, ambient: &Ambient) -> Result<Self> {
        let Reading { heads, superseded, .. } = index::load_afresh(repo, &|_| false, ambient)?;
        Ok(Self { heads, superseded: superseded.into_iter().collect() })
    }
}

/// Packs of the store, by hash.
pub(super) fn list_packs(repo: &Repository) -> Result<HashMap<ObjectHash, (bool, Listed)>> {
    let mut packs = HashMap::new();
    for folder in [prefix::PACKS, prefix::METADATA] {
        for listed in repo.store().list(folder)? {
            match listed.name.meaning() {
                Some(Meaning::DataPack(hash)) => packs.insert(hash, (false, listed)),
                Some(Meaning::MetadataPack(hash)) => packs.insert(hash, (true, listed)),
                _ => None,
            };
        }
    }
    Ok(packs)
}

fn refused(message: &str) -> Error {
    Error::new(Kind::Refused, format!("{message}; nothing was deleted"))
}

/// Refuses a history of which anything is missing, damaged or not understood: a snapshot may be
/// among it, and what that needs would be taken for unused.
///
/// # Errors
/// [`Kind::Refused`], or [`Kind::NewerFormat`] for a record of a newer program.
pub(super) fn must_be_whole(history: &History) -> Result<()> {
    if let Some(missing) = history.missing.first() {
        return Err(refused(&format!("the history is not whole: {missing} is gone or damaged")));
    }
    let is_damage = |finding: &&crate::Finding| finding.severity > crate::Severity::Notice;
    if let Some(finding) = history.findings.iter().find(is_damage) {
        return Err(refused(&format!("{}: {}", finding.object, finding.what)));
    }
    let records = history.records();
    let unknown = records.iter().find(|one| matches!(one.body.event, Record::Unknown(_)));
    match unknown {
        None => Ok(()),
        Some(record) => Err(Error::new(
            Kind::NewerFormat,
            format!("a newer program wrote {}; nothing was deleted", record.name),
        )),
    }
}

impl Survey {
    /// Looks at everything.
    ///
    /// # Errors
    /// [`Kind::Refused`] when the listing, the index and the history do not fit together;
    /// [`Kind::Damaged`] when something that a snapshot needs is gone or does not read.
    pub(super) fn make(repo: &Repository, ambient: &Ambient) -> Result<Self> {
        let step = |name| ambient.progress.event(&Event::Step(name));
        step("reading the history");
        let history = History::load(repo, ambient)?;
        must_be_whole(&history)?;
        let marks = Marks::load(repo, ambient)?;
        // What was deleted by a plan that is gone is in the history by now.
        let mut later = history.clone();
        later.refresh(repo, ambient)?;
        step("reading the index");
        let Reading { index, heads, superseded, damaged } =
            index::load_afresh(repo, &|_| false, ambient)?;
        if let Some((hash, error)) = damaged.first() {
            return Err(refused(&format!("index segment {hash} does not hold: {error}")));
        }
        let superseded = superseded.into_iter().collect();
        let absent = marks.absent(&later);
        let listed = list_packs(repo)?;
        let named = index.packs();
        check_listing(repo, &named, &listed, &absent)?;
        let packs = packs(&listed, &absent);
        let repo = IndexedRepository::with_index(repo, index);
        let standings = history.standings();
        let reading = Heads { heads, superseded };
        let live = Rows::new(repo.index().rows());
        let mut survey = Self { repo, history, standings, marks, reading, absent, packs, live };
        step("walking snapshots");
        survey.walk(&listed, ambient)?;
        survey.count_used()?;
        Ok(survey)
    }

    /// Marks what live snapshots need, and the packs that belong to snapshots.
    fn walk(
        &mut self,
        listed: &HashMap<ObjectHash, (bool, Listed)>,
        ambient: &Ambient,
    ) -> Result<()> {
        let mut reader = BlobReader::new(&self.repo)?;
        let mut walked = Walked::new();
        let mut settled: HashSet<ObjectHash> = HashSet::new();
        let (live, repo, packs) = (&mut self.live, &self.repo, &self.packs);
        for standing in self.standings.iter().filter(|one| !one.is_forgotten()) {
            let taken = &standing.taken;
            let mut visit = |id, _: BlobKind| mark(repo, packs, live, &mut settled, id);
            reachable::walk(&mut reader, taken.snapshot.root, &mut walked, ambient, &mut visit)
                .map_err(|error| match error.kind() {
                    Kind::Damaged | Kind::NotFound => {
                        let what = format!(
                            "snapshot {} is not whole, so what it needs is not known; \
                             nothing was deleted",
                            taken.id.short()
                        );
                        Error::caused(Kind::Damaged, format!("{what}: {error}"), error)
                    }
                    _ => error,
                })?;
        }
        // What forgotten snapshots still have belongs to no running backup either.
        for standing in self.standings.iter().filter(|one| one.is_forgotten()) {
            let root = standing.taken.snapshot.root;
            if !repo.index().contains(&root) {
                continue;
            }
            let mut visit = |id, _: BlobKind| {
                let places = repo.index().find_all(&id);
                settled.extend(places.into_iter().map(|place| place.pack.hash));
                Ok(())
            };
            match reachable::walk(&mut reader, root, &mut walked, ambient, &mut visit) {
                // A part of it may be deleted already.
                Err(error) if matches!(error.kind(), Kind::Damaged | Kind::NotFound) => {}
                result => result?,
            }
        }
        let newest = listed.values().filter_map(|(_, listed)| listed.modified_ms).max();
        for pack in self.packs.values_mut() {
            let modified = listed.get(&pack.hash).and_then(|(_, listed)| listed.modified_ms);
            let is_old = newest
                .zip(modified)
                .is_some_and(|(newest, modified)| newest.saturating_sub(modified) >= YOUNG_MS);
            pack.is_settled = is_old || settled.contains(&pack.hash);
        }
        Ok(())
    }

    /// Best pack of a blob among those that may be relied on.
    pub(super) fn keeper(&self, id: &BlobId) -> Option<ObjectHash> {
        let places = self.repo.index().find_all(id).into_iter();
        let reliable = places.filter(|place| {
            !self.absent.contains(&place.pack.hash) && self.packs.contains_key(&place.pack.hash)
        });
        reliable.min_by_key(|place| (place.entry.depth, place.pack.hash)).map(|p| p.pack.hash)
    }

    /// Adds up the bytes of each pack, all of them and the needed ones, each blob where it is best
    /// read.
    fn count_used(&mut self) -> Result<()> {
        let mut counted: HashMap<ObjectHash, (u64, u64)> = HashMap::new();
        let mut last: Option<(BlobId, ObjectHash)> = None;
        self.repo.index().for_each(|pack, place| {
            let id = place.entry.id;
            // Equal places of two segments count once.
            if last.replace((id, pack.hash)) == Some((id, pack.hash)) {
                return;
            }
            let bytes = u64::from(place.entry.stored_bytes);
            let (all, used) = counted.entry(pack.hash).or_default();
            *all += bytes;
            if self.is_live(&id) && self.keeper(&id) == Some(pack.hash) {
                *used += bytes;
            }
        });
        for (hash, (all, used)) in counted {
            match self.packs.get_mut(&hash) {
                Some(pack) => (pack.frame_bytes, pack.used_bytes) = (all, used),
                None if used == 0 => {}
                None => {
                    let what = format!("pack {hash} holds what is needed, and is not listed");
                    return Err(refused(&what));
                }
            }
        }
        Ok(())
    }

    /// Says whether a snapshot needs a blob.
    pub(super) fn is_live(&self, id: &BlobId) -> bool {
        self.repo.index().row(id).is_some_and(|row| self.live.contains(row))
    }

    /// Says whether something needed lies in packs alone that nothing may rely on.
    pub(super) fn has_stranded(&self) -> bool {
        let mut found = false;
        self.repo.index().for_each(|pack, place| {
            found = found
                || self.absent.contains(&pack.hash)
                    && self.is_live(&place.entry.id)
                    && self.keeper(&place.entry.id).is_none();
        });
        found
    }
}

/// Marks a blob and the bases of all its places.
///
/// # Errors
/// [`Kind::Damaged`] when no pack that is there holds it.
fn mark(
    repo: &IndexedRepository,
    packs: &BTreeMap<ObjectHash, Pack>,
    live: &mut Rows,
    settled: &mut HashSet<ObjectHash>,
    id: BlobId,
) -> Result<()> {
    let mut pending = vec![id];
    while let Some(id) = pending.pop() {
        let Some(row) = repo.index().row(&id) else {
            let what = format!("blob {} is in no pack of the index", id.short());
            return Err(Error::new(Kind::Damaged, what));
        };
        if !live.insert(row) {
            continue;
        }
        let mut is_there = false;
        for place in repo.index().find_all(&id) {
            is_there |= packs.contains_key(&place.pack.hash);
            settled.insert(place.pack.hash);
            pending.extend(place.bases);
        }
        if !is_there {
            let what = format!("blob {} is in no pack that is there", id.short());
            return Err(Error::new(Kind::Damaged, what));
        }
    }
    Ok(())
}

/// Refuses a listing that lacks what the index says must exist.
fn check_listing(
    repo: &Repository,
    named: &[PackRef],
    listed: &HashMap<ObjectHash, (bool, Listed)>,
    absent: &HashSet<ObjectHash>,
) -> Result<()> {
    for pack in named {
        match listed.get(&pack.hash) {
            Some((_, listed)) if listed.bytes == pack.total_bytes => {}
            Some(_) => {
                let name = pack_name(pack);
                return Err(refused(&format!("{name} has another length than the index says")));
            }
            None if absent.contains(&pack.hash) => {}
            None => {
                let name: ObjectName = pack_name(pack);
                return Err(refused(&match repo.store().size(&name) {
                    Ok(_) => format!("the listing of the store is not complete: it lacks {name}"),
                    Err(error) if error.is_not_found() => {
                        format!("{name} is missing, which the index names")
                    }
                    Err(error) => return Err(error.into()),
                }));
            }
        }
    }
    Ok(())
}

fn packs(
    listed: &HashMap<ObjectHash, (bool, Listed)>,
    absent: &HashSet<ObjectHash>,
) -> BTreeMap<ObjectHash, Pack> {
    listed
        .iter()
        .map(|(hash, (is_metadata, listed))| {
            let pack = Pack {
                hash: *hash,
                is_metadata: *is_metadata,
                bytes: listed.bytes,
                is_condemned: absent.contains(hash),
                is_settled: false,
                frame_bytes: 0,
                used_bytes: 0,
            };
            (*hash, pack)
        })
        .collect()
}
