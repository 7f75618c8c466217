//! The extents of one file, cut into runs that are a piece of a window each.

use repo_format::content::{Content, Extent};
use repo_format::tree::{Body, Entry};

use super::job::Job;
use super::run::costs_one_thing;
use super::window::WindowLimits;
use crate::error::Result;
use crate::repo::blobs::BlobReader;
use crate::repo::contents::Extents;

/// The extents of one file under way.
#[derive(Debug)]
pub(super) struct Cut {
    extents: Extents,
    limits: WindowLimits,
    /// Where the next extent must begin.
    at: u64,
    size: u64,
    /// Bytes of lists that cannot be read since they were last told of, and why.
    lost: u64,
    why: String,
}

impl Cut {
    /// Starts at the beginning of a file; `None` for what has no extents.
    pub(super) fn new(
        reader: &mut BlobReader<'_>,
        entry: &Entry,
        limits: WindowLimits,
    ) -> Result<Option<Self>> {
        let Body::File { size, content, .. } = &entry.body else { return Ok(None) };
        if matches!(content, Content::Inline(_)) {
            return Ok(None);
        }
        let extents = Extents::new(reader, content, *size, 0)?;
        let why = String::new();
        Ok(Some(Self { extents, limits, at: 0, size: *size, lost: 0, why }))
    }

    /// Says whether all was given.
    pub(super) const fn is_done(&self) -> bool {
        self.at >= self.size
    }

    /// Next run of extents, with their offsets in the file.
    pub(super) fn next(&mut self, reader: &mut BlobReader<'_>) -> Result<Vec<(u64, Extent)>> {
        let mut run = Vec::new();
        let mut bytes = 0;
        while !self.is_done() && bytes < self.limits.bytes && run.len() < self.limits.extents {
            match self.extents.next(reader) {
                Ok(Some((at, extent))) => {
                    self.lost += at.saturating_sub(self.at);
                    self.at = at.saturating_add(extent.length());
                    bytes += if extent.blob().is_some() { extent.length() } else { 0 };
                    run.push((at, extent));
                }
                Ok(None) => {
                    self.lost += self.size - self.at;
                    self.at = self.size;
                }
                Err(error) if costs_one_thing(&error) => {
                    if self.why.is_empty() {
                        self.why = error.to_string();
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(run)
    }

    /// Tells the file what of it cannot be read.
    pub(super) fn tell_lost(&mut self, job: &Job) {
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            job.lose(lost, || self.why.clone());
        }
    }
}
