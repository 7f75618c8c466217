//! Rebuilds index segments from the directories of packs. SPEC 9.
//!
//! Segments only repeat what packs say of themselves, so any of them can be made again. New ones
//! are written over packs that are stored (O-1), and old ones go when the new ones are (O-5).

use std::collections::{BTreeMap, BTreeSet};

use repo_format::index::PackRef;
use repo_format::object_name::{Meaning, prefix};
use repo_format::pack::Directory;
use repo_format::{ObjectHash, ObjectName};

use crate::Ambient;
use crate::ambient::Event;
use crate::error::{Error, Kind, Result};
use crate::finding::Finding;
use crate::repo::blobs::pack_name;
use crate::repo::index::{self, Reading};
use crate::repo::{Repository, survey};

/// Entries that a new segment holds at most, unless one pack has more.
const ENTRIES_A_SEGMENT: usize = 500_000;
/// Packs whose directories are read before they are written.
const PACKS_A_BATCH: usize = 512;

/// Settings of a repair of the index.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Says what would be done, and does nothing.
    pub is_dry_run: bool,
    /// Packs read at once; 0 for what the machine and the store take.
    pub threads: usize,
}

/// What a repair of the index did, or would do.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What is lost, first; then what was damaged.
    pub findings: Vec<Finding>,
    /// Whether nothing was changed.
    pub is_dry_run: bool,
    /// Packs in the store.
    pub packs: u64,
    /// Packs that a segment names and the store does not have.
    pub packs_missing: u64,
    /// Blobs that the index had in those.
    pub blobs_missing: u64,
    /// Packs that the new segments name.
    pub packs_indexed: u64,
    /// Blobs that the new segments name.
    pub blobs_indexed: u64,
    /// Number of new segments.
    pub segments_written: u64,
    /// Segments that are gone, or would be.
    pub segments_removed: Vec<ObjectHash>,
}

impl Report {
    /// Says whether there was anything to do.
    pub fn has_changed(&self) -> bool {
        self.segments_written > 0 || !self.segments_removed.is_empty()
    }

    /// Says plainly what was done and what is lost.
    pub fn sentence(&self) -> String {
        let plural = |n: u64, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
        let done = if self.has_changed() {
            let (wrote, removed) = if self.is_dry_run {
                ("would write", "would remove")
            } else {
                ("wrote", "removed")
            };
            format!(
                "{wrote} {} over {} with {}, {removed} {}",
                plural(self.segments_written, "index segment"),
                plural(self.packs_indexed, "pack"),
                plural(self.blobs_indexed, "blob"),
                plural(self.segments_removed.len() as u64, "segment"),
            )
        } else {
            "the index needs no repair".to_owned()
        };
        if self.packs_missing == 0 {
            return done;
        }
        let packs = plural(self.packs_missing, "pack");
        format!("{done}; missing: {packs} with {}", plural(self.blobs_missing, "blob"))
    }
}

/// Rebuilds the index where segments are damaged, missing, or name packs that are no more.
///
/// A second run finds nothing to do.
///
/// # Errors
/// [`Kind::NewerFormat`] when this program must not write to the repository, or what the store
/// says.
pub fn index(repo: &Repository, options: &Options, ambient: &Ambient) -> Result<Report> {
    repo.must_be_writable()?;
    let repo = &repo.without_copies();
    let step = |name| ambient.progress.event(&Event::Step(name));
    step("reading the index");
    let passes_over = |error: &Error| survey::is_of_one_object(repo, error);
    let reading = index::load_afresh(repo, &passes_over, ambient)?;
    step("listing packs");
    let mut plan = Plan::make(repo, &reading, ambient)?;
    step("reading the directories of packs");
    let work = Work { repo, options, ambient, pending: Vec::new(), entries: 0 };
    plan.report.is_dry_run = options.is_dry_run;
    work.execute(plan)
}

/// What is to be done.
struct Plan {
    report: Report,
    /// What the segments that go say of packs that stay and that no other segment names.
    kept: Vec<(PackRef, Directory)>,
    /// Packs that no segment names.
    unnamed: Vec<ObjectName>,
    /// Segments that go.
    removed: Vec<ObjectHash>,
}

impl Plan {
    fn make(repo: &Repository, reading: &Reading, ambient: &Ambient) -> Result<Self> {
        let present = present(repo)?;
        let mut report = Report { packs: present.len() as u64, ..Report::default() };
        let missing = missing(repo, reading, &present, ambient)?;
        let is_useless = |hash: &ObjectHash| {
            reading.heads[hash].packs.iter().any(|pack| missing.contains(&pack_name(pack)))
        };
        let useless: Vec<ObjectHash> =
            reading.heads.keys().copied().filter(|hash| is_useless(hash)).collect();
        let mut named: BTreeSet<ObjectName> = BTreeSet::new();
        for (hash, head) in &reading.heads {
            if !useless.contains(hash) {
                named.extend(head.packs.iter().map(pack_name));
            }
        }
        let mut kept = Vec::new();
        let mut told = BTreeSet::new();
        for hash in &useless {
            ambient.go_on()?;
            for (pack, directory) in index::read_segment(repo, *hash)?.directories()? {
                let name = pack_name(&pack);
                if !missing.contains(&name) {
                    if named.insert(name) {
                        kept.push((pack, directory));
                    }
                } else if told.insert(name.clone()) {
                    report.lose(&name, &directory);
                }
            }
        }
        report.tell_lengths(reading, &present);
        let mut removed = report.tell_damaged(reading);
        removed.extend(&useless);
        removed.extend(&reading.superseded);
        let unnamed = present.into_keys().filter(|name| !named.contains(name)).collect();
        Ok(Self { report, kept, unnamed, removed })
    }
}

/// Packs in the store, with their lengths.
fn present(repo: &Repository) -> Result<BTreeMap<ObjectName, u64>> {
    let mut present = BTreeMap::new();
    for prefix in [prefix::PACKS, prefix::METADATA] {
        for listed in repo.store.list(prefix)? {
            if let Some(Meaning::DataPack(_) | Meaning::MetadataPack(_)) = listed.name.meaning() {
                present.insert(listed.name, listed.bytes);
            }
        }
    }
    Ok(present)
}

/// Packs that segments name and that are not there, by the listing and by asking for each.
fn missing(
    repo: &Repository,
    reading: &Reading,
    present: &BTreeMap<ObjectName, u64>,
    ambient: &Ambient,
) -> Result<BTreeSet<ObjectName>> {
    let mut missing = BTreeSet::new();
    for pack in reading.heads.values().flat_map(|head| &head.packs) {
        let name = pack_name(pack);
        if present.contains_key(&name) || missing.contains(&name) {
            continue;
        }
        ambient.go_on()?;
        match repo.store.size(&name).map_err(Error::from) {
            Ok(_) => {}
            Err(error) if error.kind() == Kind::NotFound => {
                missing.insert(name);
            }
            // Neither there nor gone: what the index has of it stays.
            Err(error) if survey::is_of_one_object(repo, &error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(missing)
}

impl Report {
    fn lose(&mut self, name: &ObjectName, directory: &Directory) {
        let blobs = directory.entries.len() as u64;
        let bytes: u64 = directory.entries.iter().map(|e| u64::from(e.plain_bytes)).sum();
        self.packs_missing += 1;
        self.blobs_missing += blobs;
        let what = format!("it is missing; it held {blobs} blobs of {bytes} bytes");
        let repair = "strongroom repair packs --from-replica URL".to_owned();
        self.findings.push(Finding { repair, ..Finding::loss(name.as_str(), what) });
    }

    /// Tells of packs that are not as long as the index says; what it has of them may be all that
    /// is known, so it stays.
    fn tell_lengths(&mut self, reading: &Reading, present: &BTreeMap<ObjectName, u64>) {
        for pack in reading.heads.values().flat_map(|head| &head.packs) {
            let name = pack_name(pack);
            if let Some(found) = present.get(&name).filter(|&&found| found != pack.total_bytes) {
                let what = format!("it has {found} bytes instead of {}", pack.total_bytes);
                let finding = Finding::loss(name.as_str(), what);
                if !self.findings.contains(&finding) {
                    self.findings.push(finding);
                }
            }
        }
    }

    /// Tells of damaged segments; gives those that hold nothing that could be read.
    fn tell_damaged(&mut self, reading: &Reading) -> Vec<ObjectHash> {
        let mut removed = Vec::new();
        for (hash, error) in &reading.damaged {
            let name = ObjectName::index_segment(*hash);
            let finding = match error.kind() {
                Kind::NotFound => continue,
                Kind::Damaged => {
                    removed.push(*hash);
                    Finding::repairable(
                        name.as_str(),
                        error.to_string(),
                        "its packs are read again",
                    )
                }
                // Unsupported is not damaged, and a disk that fails may yet give it.
                _ => Finding::notice(name.as_str(), format!("it is left alone: {error}")),
            };
            self.findings.push(finding);
        }
        removed
    }
}

/// The repair under way.
struct Work<'a> {
    repo: &'a Repository,
    options: &'a Options,
    ambient: &'a Ambient,
    /// Packs for the next segment.
    pending: Vec<(PackRef, Directory)>,
    entries: usize,
}

impl Work<'_> {
    fn execute(mut self, plan: Plan) -> Result<Report> {
        let Plan { mut report, kept, unnamed, removed } = plan;
        let mut written = Vec::new();
        for (pack, directory) in kept {
            self.add(pack, directory, &mut report, &mut written)?;
        }
        let threads = survey::threads(self.repo, self.options.threads);
        for names in unnamed.chunks(PACKS_A_BATCH) {
            let surveyed = survey::directories(self.repo, names.to_vec(), threads, self.ambient)?;
            for (name, read) in surveyed {
                match read {
                    Ok((pack, directory)) => {
                        self.add(pack, directory, &mut report, &mut written)?;
                    }
                    Err(error) => {
                        let what = format!("no segment names it, and it cannot be: {error}");
                        report.findings.push(Finding::loss(name.as_str(), what));
                    }
                }
            }
        }
        if !self.pending.is_empty() {
            self.write(&removed, &mut report, &mut written)?;
        }
        if !self.options.is_dry_run {
            self.remove(&removed, &written)?;
        }
        report.segments_removed = removed;
        report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Ok(report)
    }

    fn add(
        &mut self,
        pack: PackRef,
        directory: Directory,
        report: &mut Report,
        written: &mut Vec<ObjectHash>,
    ) -> Result<()> {
        let entries = directory.entries.len();
        if !self.pending.is_empty() && self.entries + entries > ENTRIES_A_SEGMENT {
            self.write(&[], report, written)?;
        }
        report.packs_indexed += 1;
        report.blobs_indexed += entries as u64;
        self.entries += entries;
        self.pending.push((pack, directory));
        Ok(())
    }

    /// Writes a segment; only the last names what goes, so that it goes when all else is stored.
    fn write(
        &mut self,
        supersedes: &[ObjectHash],
        report: &mut Report,
        written: &mut Vec<ObjectHash>,
    ) -> Result<()> {
        self.ambient.go_on()?;
        let packs = std::mem::take(&mut self.pending);
        self.entries = 0;
        report.segments_written += 1;
        if !self.options.is_dry_run {
            written.push(index::write_segment(self.repo, &packs, supersedes)?);
        }
        Ok(())
    }

    /// Removes segments, once those that take their place have been read back.
    fn remove(&self, removed: &[ObjectHash], written: &[ObjectHash]) -> Result<()> {
        for hash in written {
            let segment = index::read_segment(self.repo, *hash)?;
            segment.places().try_for_each(|place| place.map(|_| ()))?;
        }
        for hash in removed {
            self.repo.store.delete(&ObjectName::index_segment(*hash))?;
        }
        Ok(())
    }
}
