//! What a restore did, counted as it goes along and handed over at its end.
//!
//! Lists are bounded: a snapshot of a million files on a target that refuses each of them must not
//! fill the memory; what is left out of a list is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::finding::Finding;

/// Findings and problems that are kept each.
const LISTED_MAX: usize = 10_000;

/// Something that the target refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path in the snapshot.
    pub path: Vec<u8>,
    /// What could not be done, and why.
    pub what: String,
}

/// What a restore did, or, as a dry run, would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Things that are no directories and are now as in the snapshot, further names included.
    pub files: u64,
    /// Of these, files whose content was right already.
    pub files_right: u64,
    /// Directories.
    pub directories: u64,
    /// Bytes of content written; a dry run counts whole files.
    pub bytes_written: u64,
    /// Bytes that were not written because they were there already.
    pub bytes_right: u64,
    /// Things that were there and were left as they were, as [`super::Overwrite::Never`] asks.
    pub left: u64,
    /// Things removed because the snapshot lacks them, each with all below it.
    pub deleted: u64,
    /// Files read back and found right.
    pub files_verified: u64,
    /// Their bytes.
    pub bytes_verified: u64,
    /// Damage. What has lost content is not in the target under its name; see the module.
    pub findings: Vec<Finding>,
    /// Findings beyond those listed.
    pub findings_more: u64,
    /// Things that the target refused: they are not restored.
    pub failures: Vec<Problem>,
    /// Failures beyond those listed.
    pub failures_more: u64,
    /// Metadata that could not be put back, and links that became files of their own.
    pub problems: Vec<Problem>,
    /// Problems beyond those listed.
    pub problems_more: u64,
    /// Things whose owner could not be put back; only the first is among the problems.
    pub owners_refused: u64,
}

/// A list that stops growing.
#[derive(Debug)]
struct Listing<T> {
    first: Vec<T>,
    more: u64,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { first: Vec::new(), more: 0 }
    }
}

impl<T> Listing<T> {
    fn push(&mut self, item: T) {
        if self.first.len() < LISTED_MAX {
            self.first.push(item);
        } else {
            self.more += 1;
        }
    }
}

/// A count that threads share.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The report as it grows; threads share it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) files: Count,
    pub(super) files_right: Count,
    pub(super) directories: Count,
    pub(super) bytes_written: Count,
    pub(super) bytes_right: Count,
    pub(super) left: Count,
    pub(super) deleted: Count,
    pub(super) files_verified: Count,
    pub(super) bytes_verified: Count,
    findings: Mutex<Listing<Finding>>,
    failures: Mutex<Listing<Problem>>,
    problems: Mutex<Listing<Problem>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tally {
    pub(super) fn find(&self, finding: Finding) {
        lock(&self.findings).push(finding);
    }

    pub(super) fn fail(&self, path: &[u8], what: String) {
        lock(&self.failures).push(Problem { path: path.to_vec(), what });
    }

    pub(super) fn trouble(&self, path: &[u8], what: String) {
        lock(&self.problems).push(Problem { path: path.to_vec(), what });
    }

    /// Paths, as shown, of what is known not to be in the target as it should.
    pub(super) fn known_wrong(&self) -> std::collections::HashSet<Vec<u8>> {
        let findings = lock(&self.findings);
        let failures = lock(&self.failures);
        let lost = findings.first.iter().map(|finding| finding.object.clone().into_bytes());
        let failed = failures.first.iter().map(|failure| shown(&failure.path).into_bytes());
        lost.chain(failed).collect()
    }

    pub(super) fn finish(self, owners_refused: u64) -> Report {
        let findings = self.findings.into_inner().unwrap_or_else(PoisonError::into_inner);
        let failures = self.failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        let problems = self.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
        Report {
            files: self.files.get(),
            files_right: self.files_right.get(),
            directories: self.directories.get(),
            bytes_written: self.bytes_written.get(),
            bytes_right: self.bytes_right.get(),
            left: self.left.get(),
            deleted: self.deleted.get(),
            files_verified: self.files_verified.get(),
            bytes_verified: self.bytes_verified.get(),
            findings: findings.first,
            findings_more: findings.more,
            failures: failures.first,
            failures_more: failures.more,
            problems: problems.first,
            problems_more: problems.more,
            owners_refused,
        }
    }
}

/// A path for a report: as it is where it is text, else with its odd bytes escaped.
pub(super) fn shown(path: &[u8]) -> String {
    match std::str::from_utf8(path) {
        Ok(text) => text.to_owned(),
        Err(_) => path.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_stop_growing_and_go_on_counting() {
        let tally = Tally::default();
        for _ in 0..LISTED_MAX + 3 {
            tally.find(Finding::loss("/a", "gone"));
            tally.fail(b"/b", "refused".to_owned());
        }
        let report = tally.finish(7);
        assert_eq!((report.findings.len(), report.findings_more), (LISTED_MAX, 3));
        assert_eq!((report.failures.len(), report.failures_more), (LISTED_MAX, 3));
        assert_eq!((report.problems_more, report.owners_refused), (0, 7));
    }
}
