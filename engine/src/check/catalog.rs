//! What the index says there is, beside what the store says there is.
//!
//! The index is read before the packs are listed, so that a backup which runs meanwhile can only
//! add packs that no segment names yet, never leave names without packs (O-7).

use std::collections::{BTreeMap, HashMap};

use repo_format::index::PackRef;
use repo_format::object_name::Meaning;
use repo_format::{BlobId, ObjectHash, ObjectName};

use super::Run;
use super::report::count;
use crate::error::{Kind, Result};
use crate::finding::Finding;
use crate::repo::blobs::pack_name;
use crate::repo::index::{self, Index, Located, Reading};
use crate::repo::survey;
use crate::store::Listed;

/// Packs that a listing lacks and that are asked for one by one before they count as missing.
const ASKED_MAX: usize = 100;
/// Findings of one sort before the rest is only counted.
const LISTED_MAX: usize = 20;

/// One pack: named by the index, lying in the store, or both.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) name: ObjectName,
    /// As the index has it; for a pack without a segment, as its name and length have it.
    pub(super) described: PackRef,
    /// Length in the store; absent when it is not there.
    pub(super) listed: Option<u64>,
    pub(super) is_named: bool,
}

impl Pack {
    /// Says whether the store holds it with the length that the index gives.
    pub(super) fn looks_whole(&self) -> bool {
        self.listed == Some(self.described.total_bytes)
    }
}

/// The index and the listing, put together.
#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) index: Index,
    /// Blobs of packs that no segment names, by the packs' own directories.
    pub(super) unnamed: Index,
    /// Packs by name.
    pub(super) packs: Vec<Pack>,
    pub(super) listed: Vec<Listed>,
}

impl Catalog {
    /// Reads the index, then the listing; says what is wrong with either.
    pub(super) fn read(run: &mut Run<'_>) -> Result<Self> {
        let passes_over = |error: &crate::Error| survey::is_of_one_object(run.repo, error);
        let reading = index::load_afresh(run.repo, &passes_over, run.ambient)?;
        let listed = run.repo.store.list("")?;
        let packs = packs(run, &reading, &listed)?;
        segment_findings(run, &reading);
        let Reading { index, .. } = reading;
        let mut catalog = Self { index, unnamed: Index::default(), packs, listed };
        catalog.read_unnamed(run)?;
        Ok(catalog)
    }

    /// Pack of a name.
    pub(super) fn find(&self, name: &ObjectName) -> Option<&Pack> {
        let place = self.packs.binary_search_by(|pack| pack.name.cmp(name)).ok()?;
        self.packs.get(place)
    }

    /// Reads the directories of packs that no segment names: they may hold what is looked for.
    fn read_unnamed(&mut self, run: &mut Run<'_>) -> Result<()> {
        let names = self.packs.iter().filter(|pack| !pack.is_named);
        let names: Vec<ObjectName> = names.map(|pack| pack.name.clone()).collect();
        let threads = survey::threads(run.repo, run.options.threads);
        let mut found = Vec::new();
        for (name, read) in survey::directories(run.repo, names, threads, run.ambient)? {
            match read {
                Ok(directory) => found.push(directory),
                Err(error) => run.findings.push(Finding::notice(
                    name.as_str(),
                    format!("no index segment names it, and its directory cannot be read: {error}"),
                )),
            }
        }
        for (pack, _) in &found {
            let name = pack_name(pack);
            if let Ok(place) = self.packs.binary_search_by(|probe| probe.name.cmp(&name)) {
                self.packs[place].described = *pack;
            }
        }
        self.unnamed = Index::of_directories(found);
        Ok(())
    }

    /// Every place of a blob, best first, whether a segment names it or not.
    pub(super) fn places(&self, id: &BlobId) -> Vec<Located> {
        let mut places = self.index.find_all(id);
        places.extend(self.unnamed.find_all(id));
        places.sort_by_key(|located| located.entry.depth);
        places
    }

    /// Number of different entries that the index has of each pack.
    pub(super) fn entry_counts(&self) -> HashMap<ObjectHash, u64> {
        let mut counts: HashMap<ObjectHash, u64> = HashMap::new();
        // Entries of one blob come one after another; two segments may say the same.
        let mut group: Vec<(ObjectHash, u32)> = Vec::new();
        let mut current = None;
        self.index.for_each(|pack, place| {
            if current.replace(place.entry.id) != Some(place.entry.id) {
                group.clear();
            }
            let key = (pack.hash, place.entry.offset);
            if !group.contains(&key) {
                group.push(key);
                *counts.entry(pack.hash).or_default() += 1;
            }
        });
        counts
    }
}

/// Puts the packs of the segments beside those of the listing.
fn packs(run: &mut Run<'_>, reading: &Reading, listed: &[Listed]) -> Result<Vec<Pack>> {
    let mut packs: BTreeMap<ObjectName, Pack> = BTreeMap::new();
    for (segment, head) in &reading.heads {
        for pack in &head.packs {
            let name = pack_name(pack);
            let known = packs.entry(name.clone()).or_insert_with(|| Pack {
                name: name.clone(),
                described: *pack,
                listed: None,
                is_named: true,
            });
            if known.described != *pack {
                run.findings.push(Finding::repairable(
                    ObjectName::index_segment(*segment).as_str(),
                    format!("it contradicts another segment about {name}"),
                    "strongroom repair index",
                ));
            }
        }
    }
    for object in listed {
        let (hash, is_metadata) = match object.name.meaning() {
            Some(Meaning::DataPack(hash)) => (hash, false),
            Some(Meaning::MetadataPack(hash)) => (hash, true),
            _ => continue,
        };
        let total_bytes = object.bytes;
        let pack = packs.entry(object.name.clone()).or_insert_with(|| Pack {
            name: object.name.clone(),
            described: PackRef { hash, is_metadata, class: 0, epoch: 0, total_bytes },
            listed: None,
            is_named: false,
        });
        pack.listed = Some(total_bytes);
    }
    // A listing may lag; a pack is missing only when asking for it says so too.
    let missing = packs.values_mut().filter(|pack| pack.listed.is_none());
    for pack in missing.take(ASKED_MAX) {
        run.ambient.go_on()?;
        match run.repo.store.size(&pack.name) {
            Ok(bytes) => pack.listed = Some(bytes),
            Err(error) => {
                let error = error.into();
                run.goes_on(error)?;
            }
        }
    }
    Ok(packs.into_values().collect())
}

fn segment_findings(run: &mut Run<'_>, reading: &Reading) {
    const REPAIR: &str = "strongroom repair index";
    for (hash, error) in &reading.damaged {
        let name = ObjectName::index_segment(*hash);
        run.findings.push(if error.kind() == Kind::NewerFormat {
            Finding::notice(name.as_str(), format!("a newer program wrote it: {error}"))
        } else {
            Finding::repairable(name.as_str(), error.to_string(), REPAIR)
        });
    }
    for hash in reading.superseded.iter().take(LISTED_MAX) {
        let name = ObjectName::index_segment(*hash);
        let finding = Finding::notice(name.as_str(), "another segment takes its place");
        run.findings.push(Finding { repair: REPAIR.to_owned(), ..finding });
    }
    if let Some(more) = reading.superseded.len().checked_sub(LISTED_MAX).filter(|&more| more > 0) {
        let what = format!("{} more give way to others", count(more as u64, "segment"));
        run.findings.push(Finding::notice("index/", what));
    }
}
