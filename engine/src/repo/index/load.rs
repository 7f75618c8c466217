//! Loads the index: lists the segments, reuses the merged table where it fits, reads the rest.

use std::collections::BTreeSet;

use repo_format::ObjectHash;
use repo_format::object_name::{Meaning, prefix};

use super::merge::{self, Merge};
use super::table::Table;
use super::{Index, segment};
use crate::Ambient;
use crate::error::Result;
use crate::repo::Repository;

/// Places kept in memory beside the table before the two are merged.
const RECENT_PLACES_MAX: usize = 100_000;

/// Loads the index of a repository.
pub(crate) fn load(repo: &Repository, ambient: &Ambient) -> Result<Index> {
    let listed: BTreeSet<ObjectHash> = repo
        .store
        .list(prefix::INDEX)?
        .iter()
        .filter_map(|listed| match listed.name.meaning() {
            Some(Meaning::IndexSegment(hash)) => Some(hash),
            _ => None,
        })
        .collect();
    // A table that holds a segment that is gone holds places that may be gone.
    let stored = merge::open_cached(repo)
        .filter(|table| table.segments.iter().all(|hash| listed.contains(hash)));
    let in_table: BTreeSet<ObjectHash> =
        stored.iter().flat_map(|table| table.segments.iter().copied()).collect();

    let mut index = Index { segments: listed.iter().copied().collect(), ..Index::default() };
    let mut merge = Merge::new(repo)?;
    for hash in listed.difference(&in_table) {
        ambient.go_on()?;
        match segment::read(repo, *hash).and_then(|segment| merge.add(*hash, &segment)) {
            Ok(()) => {}
            Err(error) if is_damage(&error) => {
                index.damaged.push((format!("index/{hash}"), error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    let recent = merge.len();
    let old = stored.as_ref().map_or(0, Table::len);
    if recent > RECENT_PLACES_MAX && recent >= old / 8 {
        if let Some(table) = stored {
            merge.add_table(&table)?;
        }
        index.stored = Some(merge.into_file(repo)?);
    } else {
        index.stored = stored;
        index.recent = (recent > 0).then(|| merge.into_memory()).transpose()?;
    }
    Ok(index)
}

fn is_damage(error: &crate::Error) -> bool {
    use crate::error::Kind;
    matches!(error.kind(), Kind::Damaged | Kind::NewerFormat | Kind::NotFound)
}
