//! A backup under way, as this machine remembers it: the packs that were sent before any segment
//! named them. A later run adopts those of a run that was killed, as far as they landed.
//!
//! Only the journal of a dead run is read: a live one holds a lock on its own.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

use repo_format::ObjectName;
use repo_format::object_name::Meaning;
use rustix::fs::{FlockOperation, flock};

use super::{IndexedRepository, Repository, blobs, index};
use crate::crypto::random;
use crate::error::Result;

const PREFIX: &str = "session-";

/// Journal of one run.
#[derive(Debug)]
pub(super) struct Session {
    journal: Option<(PathBuf, Mutex<File>)>,
}

impl Session {
    /// Starts a journal, where there is a place for it.
    pub(super) fn begin(repo: &Repository) -> Result<Self> {
        let tag = repo_format::id::to_hex(&random::array::<8>()?);
        let journal = repo.state.path(&format!("{PREFIX}{tag}")).and_then(|path| {
            // Without a journal a killed run costs uploads, nothing else.
            let file = File::create_new(&path).ok()?;
            flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
            Some((path, Mutex::new(file)))
        });
        Ok(Self { journal })
    }

    /// Remembers a pack that is about to be stored.
    pub(super) fn will_land(&self, name: &ObjectName) {
        if let Some((_, file)) = &self.journal
            && let Ok(mut file) = file.lock()
        {
            let _ = writeln!(file, "{name}");
        }
    }

    /// Forgets the journal: everything in it is named by a segment.
    pub(super) fn end(&self) {
        if let Some((path, _)) = &self.journal {
            let _ = fs::remove_file(path);
        }
    }
}

/// Names in the journals of runs that died, and the journals.
fn dead_journals(repo: &Repository) -> Vec<(PathBuf, Vec<ObjectName>)> {
    let Some(folder) = repo.state.folder() else { return Vec::new() };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .filter_map(|entry| {
            let path = entry.path();
            let file = File::open(&path).ok()?;
            flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
            let text = fs::read_to_string(&path).ok()?;
            Some((path, text.lines().filter_map(ObjectName::parse).collect()))
        })
        .collect()
}

/// Says whether a listing has the pack: a name that only opens may not be synced yet, and would be
/// gone after a crash when the segment that names it is not.
fn is_listed(repo: &Repository, name: &ObjectName) -> Result<bool> {
    if planted!(JournalBelieved) {
        return Ok(true);
    }
    let folder = name.as_str().rfind('/').map_or("", |at| &name.as_str()[..=at]);
    Ok(repo.store.list(folder)?.iter().any(|listed| listed.name == *name))
}

/// Writes a segment over the packs that dead runs of this machine left unnamed; says how many.
pub(crate) fn adopt(repo: &IndexedRepository) -> Result<usize> {
    let known: std::collections::HashSet<_> =
        repo.index().packs().into_iter().map(|pack| pack.hash).collect();
    let journals = dead_journals(repo);
    let mut packs = Vec::new();
    for name in journals.iter().flat_map(|(_, names)| names) {
        let Some(Meaning::DataPack(hash) | Meaning::MetadataPack(hash)) = name.meaning() else {
            continue;
        };
        if !known.contains(&hash)
            && is_listed(repo, name)?
            && let Ok(found) = blobs::read_directory(repo, name)
        {
            packs.push(found);
        }
    }
    let count = packs.len();
    if count > 0 {
        index::write_segment(repo, &packs, &[])?;
    }
    for (path, _) in journals {
        let _ = fs::remove_file(path);
    }
    Ok(count)
}
