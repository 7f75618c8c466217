//! Checks a repository: that everything that snapshots need is there, and is what it was.
//!
//! Nothing but the store is believed: local copies and the merged index table are left aside.
//! Damage is a finding and the check goes on; only a store that does not answer stops it. The
//! history is read before the index, and the index before the packs are listed (O-7), so a backup
//! that runs meanwhile never looks like damage.

use std::collections::HashSet;
use std::time::Instant;

use repo_format::object_name::prefix;
use repo_format::{ObjectHash, ObjectName, limits};

use crate::Ambient;
use crate::ambient::Event;
use crate::error::{Error, Kind, Result};
use crate::finding::{Finding, Severity};
use crate::repo::history::{History, Taken};
use crate::repo::marks::{self, Marks};
use crate::repo::{Repository, survey, vouching};

mod blobs;
mod catalog;
mod damage;
mod files;
mod losses;
mod nodes;
mod options;
mod packs;
mod records;
mod report;
#[cfg(test)]
mod tests;
mod walk;

pub use options::{Options, ReadData};
pub use report::Report;

use catalog::Catalog;
use walk::Walk;

/// A check under way.
struct Run<'a> {
    repo: &'a Repository,
    options: &'a Options,
    ambient: &'a Ambient,
    findings: Vec<Finding>,
}

impl Run<'_> {
    /// Goes on after an error that is one object's own; any other stops the check.
    fn goes_on(&self, error: Error) -> Result<()> {
        if survey::is_of_one_object(self.repo, &error) { Ok(()) } else { Err(error) }
    }

    fn step(&self, name: &'static str) -> Result<()> {
        self.ambient.progress.event(&Event::Step(name));
        self.ambient.go_on()
    }
}

/// Times that a check is made anew because something changed under its eyes.
const RETRIES: usize = 3;

/// Checks a repository.
///
/// # Errors
/// [`Kind::InvalidSetting`] for impossible options, [`Kind::NotFound`] for a snapshot that is not
/// there, [`Kind::Interrupted`], or what a store says that does not answer. Damage is no error.
pub fn check(repo: &Repository, options: &Options, ambient: &Ambient) -> Result<Report> {
    options.read_data.validate()?;
    let repo = repo.without_copies();
    let mut tries = 0;
    loop {
        let before = marks_of_change(&repo)?;
        let report = check_once(&repo, options, ambient)?;
        tries += 1;
        let is_well = report.findings.iter().all(|found| found.severity <= Severity::Notice);
        // A prune that runs meanwhile takes packs away that were listed; that is no damage.
        if is_well || tries > RETRIES || before == marks_of_change(&repo)? {
            return Ok(report);
        }
    }
}

/// Names that come and go with prunes, and with what prunes look at.
fn marks_of_change(repo: &Repository) -> Result<Vec<ObjectName>> {
    let mut names = Vec::new();
    for folder in [prefix::GC, prefix::HISTORY, prefix::INDEX] {
        names.extend(repo.store.list(folder)?.into_iter().map(|listed| listed.name));
    }
    names.sort();
    Ok(names)
}

/// Checks a repository as it is at one time.
fn check_once(repo: &Repository, options: &Options, ambient: &Ambient) -> Result<Report> {
    let started = Instant::now();
    let mut run = Run { repo, options, ambient, findings: Vec::new() };

    run.step("reading the history")?;
    let history = History::examine(repo, ambient)?;
    records::history(&mut run, &history);
    let pruned = pruned(&mut run, &history)?;
    let snapshots = chosen(&history, options)?;
    run.step("reading the index")?;
    let catalog = Catalog::read(&mut run)?;
    records::marker(&mut run)?;
    records::key_slots(&mut run, &history)?;
    records::configuration(&mut run, &history, &catalog)?;
    records::names(&mut run, &catalog)?;
    // A record that is damaged may be a snapshot, and then what it needs is not known.
    let knows_all = options.snapshot.is_none()
        && run.findings.iter().all(|finding| finding.severity < Severity::Loss);

    run.step("reading packs")?;
    let (mut damage, read) = packs::read(&mut run, &catalog)?;
    run.step("walking snapshots")?;
    let mut walk = Walk::new(&run, &catalog, &mut damage)?;
    for taken in &snapshots {
        walk.snapshot(taken)?;
    }
    let (losses, trees) = (walk.losses, walk.trees);
    let sees_all = knows_all && !losses.is_blind;
    run.findings.extend(damage.findings(&catalog, sees_all, &pruned));
    run.findings.extend(losses.findings());
    run.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));

    let there = || catalog.packs.iter().filter_map(|pack| pack.listed);
    Ok(Report {
        objects: catalog.listed.len() as u64,
        packs: there().count() as u64,
        pack_bytes: there().map(|bytes| bytes.min(limits::PACK_BYTES_MAX)).sum(),
        packs_read: read.packs,
        bytes_read: read.bytes,
        blobs_checked: read.blobs,
        snapshots: snapshots.len() as u64,
        trees,
        findings: run.findings,
        duration: started.elapsed(),
    })
}

/// Packs that prunes delete or have deleted; marks that do not hold are found damaged.
fn pruned(run: &mut Run<'_>, history: &History) -> Result<HashSet<ObjectHash>> {
    match Marks::load(run.repo, run.ambient) {
        Ok(marks) => {
            for id in vouching::unconfirmed(history, &history.standings(), &marks) {
                run.findings.push(Finding::notice(
                    format!("snapshot {id}"),
                    "a prune ran while it was committed, and its writer did not look again; this \
                     check reads what it needs, and the next prune confirms it",
                ));
            }
            Ok(marks.absent(history))
        }
        Err(error) => {
            let what = format!("the marks of a prune do not hold, so none can go on: {error}");
            run.goes_on(error)?;
            run.findings.push(Finding::loss(prefix::GC, what));
            Ok(marks::deleted(history))
        }
    }
}

/// Snapshots to walk, the newest first: their paths are those that people ask for.
fn chosen(history: &History, options: &Options) -> Result<Vec<Taken>> {
    let mut snapshots = history.snapshots();
    snapshots.reverse();
    if let Some(id) = options.snapshot {
        snapshots.retain(|taken| taken.id == id);
        if snapshots.is_empty() {
            return Err(Error::new(Kind::NotFound, format!("there is no snapshot {id}")));
        }
    }
    Ok(snapshots)
}
