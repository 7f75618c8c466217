//! Loads the index: lists the segments, reuses the merged table where it fits, reads the rest.
//!
//! A segment that another one supersedes is left out as soon as that other one is read and sound:
//! it may name packs that are no more.

use std::collections::{BTreeMap, BTreeSet};

use repo_format::ObjectHash;
use repo_format::index::SegmentHead;
use repo_format::object_name::{Meaning, prefix};

use super::merge::{self, Merge};
use super::table::Table;
use super::{Index, segment};
use crate::Ambient;
use crate::error::{Error, Kind, Result};
use crate::repo::Repository;

/// Places kept in memory beside the table before the two are merged.
const RECENT_PLACES_MAX: usize = 100_000;

/// What reading the segments gave.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The index over all segments that hold.
    pub(crate) index: Index,
    /// Heads of the segments that were read; not of those that a cached table stands for.
    pub(crate) heads: BTreeMap<ObjectHash, SegmentHead>,
    /// Segments that do not hold, and why.
    pub(crate) damaged: Vec<(ObjectHash, Error)>,
    /// Segments that are there and whose content others repeat.
    pub(crate) superseded: BTreeSet<ObjectHash>,
}

/// Times that the listing is read anew because segments went away meanwhile.
const RETRIES: usize = 10;

/// Loads the index of a repository.
pub(crate) fn load(repo: &Repository, ambient: &Ambient) -> Result<Index> {
    while_segments_stay(|| load_once(repo, ambient))
}

/// Reads again where a segment that was listed is gone: a prune has put another in its place.
fn while_segments_stay<T>(mut read: impl FnMut() -> Result<(T, bool)>) -> Result<T> {
    let mut tries = 0;
    loop {
        let (found, has_lost_one) = read()?;
        tries += 1;
        if !has_lost_one || tries > RETRIES {
            return Ok(found);
        }
    }
}

/// Loads the index; says whether a segment that was listed is gone.
fn load_once(repo: &Repository, ambient: &Ambient) -> Result<(Index, bool)> {
    let listed = list(repo)?;
    // A table that holds a segment that is gone holds places that may be gone.
    let stored = merge::open_cached(repo)
        .filter(|table| table.segments.iter().all(|hash| listed.contains(hash)));
    Loader { repo, listed, is_kept: true, passes_over: &is_damage, ambient }.run(stored).map(
        |reading| {
            let has_lost_one = has_lost_one(&reading);
            (reading.index, has_lost_one)
        },
    )
}

fn has_lost_one(reading: &Reading) -> bool {
    reading.damaged.iter().any(|(_, error)| error.kind() == Kind::NotFound)
}

/// Loads the index from the segments alone, passing over those whose error `passes_over` accepts.
///
/// The merged table of earlier runs is neither read nor replaced.
pub(crate) fn load_afresh(
    repo: &Repository,
    passes_over: &dyn Fn(&Error) -> bool,
    ambient: &Ambient,
) -> Result<Reading> {
    while_segments_stay(|| {
        let listed = list(repo)?;
        let is_gone = |error: &Error| error.kind() == Kind::NotFound || passes_over(error);
        let loader = Loader { repo, listed, is_kept: false, passes_over: &is_gone, ambient };
        let reading = loader.run(None)?;
        let has_lost_one = has_lost_one(&reading);
        Ok((reading, has_lost_one))
    })
}

/// Names of the segments in the store.
fn list(repo: &Repository) -> Result<BTreeSet<ObjectHash>> {
    let listed = match repo.store.list(prefix::INDEX) {
        Err(_) if planted!(ListErrorIsEmpty) => Vec::new(),
        listed => listed?,
    };
    let hash = |meaning| match meaning {
        Some(Meaning::IndexSegment(hash)) => Some(hash),
        _ => None,
    };
    Ok(listed.iter().filter_map(|listed| hash(listed.name.meaning())).collect())
}

struct Loader<'a> {
    repo: &'a Repository,
    listed: BTreeSet<ObjectHash>,
    is_kept: bool,
    passes_over: &'a dyn Fn(&Error) -> bool,
    ambient: &'a Ambient,
}

impl Loader<'_> {
    fn run(self, mut stored: Option<Table>) -> Result<Reading> {
        let remembered = stored.iter().flat_map(|table| table.superseded.iter().copied());
        let mut superseded: BTreeSet<ObjectHash> =
            remembered.filter(|hash| self.listed.contains(hash)).collect();
        loop {
            let (reading, merge) = self.read(stored.as_ref(), &superseded)?;
            let more: Vec<ObjectHash> = reading
                .heads
                .values()
                .flat_map(|head| head.supersedes.iter().copied())
                .filter(|hash| self.listed.contains(hash) && !superseded.contains(hash))
                .collect();
            if more.is_empty() {
                return self.finish(reading, merge, stored);
            }
            // Rare, and soon over: what was merged holds too much, so it is merged anew.
            superseded.extend(more);
            stored = stored.filter(|t| !t.segments.iter().any(|hash| superseded.contains(hash)));
        }
    }

    /// Reads the segments that neither the table holds nor others supersede.
    fn read(
        &self,
        stored: Option<&Table>,
        superseded: &BTreeSet<ObjectHash>,
    ) -> Result<(Reading, Merge)> {
        let in_table: BTreeSet<ObjectHash> =
            stored.into_iter().flat_map(|table| table.segments.iter().copied()).collect();
        let superseded = superseded.clone();
        let left_out = superseded.iter().copied().collect();
        let mut merge = Merge::new(self.repo, self.is_kept, left_out);
        let (mut heads, mut damaged) = (BTreeMap::new(), Vec::new());
        for hash in &self.listed {
            if in_table.contains(hash) || superseded.contains(hash) {
                continue;
            }
            self.ambient.go_on()?;
            let read = segment::read(self.repo, *hash).and_then(|segment| {
                merge.add(*hash, &segment)?;
                Ok(segment.head)
            });
            match read {
                Ok(head) => {
                    heads.insert(*hash, head);
                }
                Err(error) if (self.passes_over)(&error) => damaged.push((*hash, error)),
                Err(error) => return Err(error),
            }
        }
        let segments = in_table.iter().chain(heads.keys()).copied().collect();
        let index = Index { segments, ..Index::default() };
        Ok((Reading { index, heads, damaged, superseded }, merge))
    }

    fn finish(
        &self,
        mut reading: Reading,
        mut merge: Merge,
        stored: Option<Table>,
    ) -> Result<Reading> {
        let index = &mut reading.index;
        for (hash, error) in &reading.damaged {
            index.damaged.push((format!("index/{hash}"), error.to_string()));
        }
        let recent = merge.len();
        let old = stored.as_ref().map_or(0, Table::len);
        if recent > RECENT_PLACES_MAX && recent >= old / 8 {
            if let Some(table) = stored {
                merge.add_table(&table)?;
            }
            index.stored = Some(merge.into_file(self.repo)?);
        } else {
            index.stored = stored;
            index.recent = (recent > 0).then(|| merge.into_memory()).transpose()?;
        }
        Ok(reading)
    }
}

fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), Kind::Damaged | Kind::NewerFormat | Kind::NotFound)
}
