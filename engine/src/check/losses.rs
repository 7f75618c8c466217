//! Whom the damage hits: snapshots and paths, the first of each by name and the rest by number.

use std::collections::BTreeMap;

use repo_format::{BlobId, SnapshotId};

use super::report::count;
use crate::finding::Finding;

/// Paths that a finding names.
const PATHS_MAX: usize = 10;
/// Snapshots that have a finding of their own.
const SNAPSHOTS_MAX: usize = 100;
/// Findings of one sort about single blobs or nodes.
const SINGLE_MAX: usize = 100;

#[derive(Debug)]
struct Hit {
    snapshot: SnapshotId,
    time_ms: i64,
    paths: Vec<String>,
    has_more: bool,
}

/// Losses, as the walk meets them.
#[derive(Debug, Default)]
pub(super) struct Losses {
    hits: Vec<Hit>,
    hits_more: u64,
    current: Option<Hit>,
    absent: BTreeMap<BlobId, String>,
    absent_more: bool,
    odd: Vec<Finding>,
    odd_more: u64,
    /// A node could not be read, so what lies below was not seen.
    pub(super) is_blind: bool,
}

impl Losses {
    /// Starts a snapshot.
    pub(super) fn begin(&mut self, snapshot: SnapshotId, time_ms: i64) {
        self.current = Some(Hit { snapshot, time_ms, paths: Vec::new(), has_more: false });
    }

    /// Ends a snapshot; `is_hit` tells that something in it is lost.
    pub(super) fn end(&mut self, is_hit: bool) {
        let Some(hit) = self.current.take() else { return };
        if !is_hit {
            return;
        }
        if self.hits.len() < SNAPSHOTS_MAX { self.hits.push(hit) } else { self.hits_more += 1 }
    }

    /// A path of the snapshot is lost, or damaged.
    pub(super) fn path(&mut self, path: &[u8], is_folder: bool) {
        let Some(hit) = &mut self.current else { return };
        if hit.paths.len() == PATHS_MAX {
            hit.has_more = true;
            return;
        }
        let mut text = text_of(path);
        if is_folder {
            text.push('/');
        }
        hit.paths.push(text);
    }

    /// Says whether further paths of the snapshot would not be named; one may then be left unread.
    pub(super) fn is_full(&mut self) -> bool {
        let names_it = self.hits.len() < SNAPSHOTS_MAX;
        match &mut self.current {
            Some(hit) if names_it && hit.paths.len() < PATHS_MAX => false,
            Some(hit) => {
                hit.has_more = true;
                true
            }
            None => true,
        }
    }

    /// A blob that is needed and lies in no pack.
    pub(super) fn absent(&mut self, id: BlobId, why: &str) {
        if self.absent.len() < SINGLE_MAX {
            self.absent.entry(id).or_insert_with(|| why.to_owned());
        } else {
            self.absent_more |= !self.absent.contains_key(&id);
        }
    }

    /// Something in a tree is not as it must be.
    pub(super) fn odd(&mut self, finding: Finding) {
        if self.odd.len() < SINGLE_MAX { self.odd.push(finding) } else { self.odd_more += 1 }
    }

    /// Everything that was met.
    pub(super) fn findings(self) -> Vec<Finding> {
        let mut findings = self.odd;
        if self.odd_more > 0 {
            let what = format!("{} more like these", count(self.odd_more, "finding"));
            findings.push(Finding::loss("trees", what));
        }
        findings.extend(self.absent.into_iter().map(|(id, why)| {
            let repair = "strongroom repair packs --from-replica URL".to_owned();
            Finding { repair, ..Finding::loss(format!("blob {id}"), why) }
        }));
        if self.absent_more {
            findings.push(Finding::loss("blobs", "more blobs are missing than are named here"));
        }
        findings.extend(self.hits.into_iter().map(Hit::finding));
        if self.hits_more > 0 {
            let what = format!("{} more have lost content", count(self.hits_more, "snapshot"));
            findings.push(Finding::loss("snapshots", what));
        }
        findings
    }
}

impl Hit {
    fn finding(self) -> Finding {
        let time = jiff::Timestamp::from_millisecond(self.time_ms)
            .map_or_else(|_| "at an impossible time".to_owned(), |time| format!("of {time}"));
        let more = if self.has_more { ", and more" } else { "" };
        let what = format!("{time}, cannot be restored whole: {}{more}", self.paths.join(", "));
        let repair = "strongroom repair snapshots".to_owned();
        Finding { repair, ..Finding::loss(format!("snapshot {}", self.snapshot), what) }
    }
}

/// A path as text; bytes that are no text, or that would move a cursor, are spelled out.
pub(super) fn text_of(path: &[u8]) -> String {
    match std::str::from_utf8(path) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => path.escape_ascii().to_string(),
    }
}
