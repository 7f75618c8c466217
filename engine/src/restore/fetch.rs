//! Reads what a plan says and opens it: every byte that is handed on has proved its blob's id.
//!
//! A blob that does not hold where the plan reads it is looked for in every other place.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;
use repo_format::pack::BlobKind;

use super::plan::{Blob, Plan, Read, Want};
use super::run::{Run, costs_one_thing};
use crate::error::{Error, Kind, Result};
use crate::finding::Finding;
use crate::repo::blobs::{BlobReader, pack_name};

/// Packs that were found damaged while other places gave what was wanted.
#[derive(Debug, Default)]
pub(super) struct DamagedPacks(Mutex<HashSet<String>>);

impl DamagedPacks {
    fn is_new(&self, name: &str) -> bool {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.len() < 10_000 && names.insert(name.to_owned())
    }
}

/// Reads blobs for one worker.
#[derive(Debug)]
pub(super) struct Fetcher<'a> {
    run: &'a Run<'a>,
    /// Reads single blobs, and all that is not content.
    pub(super) reader: BlobReader<'a>,
    plain: Vec<u8>,
}

impl<'a> Fetcher<'a> {
    pub(super) fn new(run: &'a Run<'a>) -> Result<Self> {
        let reader = BlobReader::new(run.repo)?;
        Ok(Self { run, reader, plain: Vec::new() })
    }

    /// Reads everything that is planned, and hands each blob, or why it cannot be read, to those
    /// who want it.
    pub(super) fn fetch(
        &mut self,
        plan: &Plan,
        mut deliver: impl FnMut(&mut BlobReader<'_>, &[Want], Result<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        for read in &plan.reads {
            self.run.go_on()?;
            let blobs = &plan.blobs[read.blobs.clone()];
            let mut bytes = self.read(read, blobs)?;
            for blob in blobs {
                let wants = &plan.wants[blob.wants.clone()];
                let opened = match &mut bytes {
                    Ok(bytes) => self.open(read, blob, bytes),
                    Err(error) => Err(Error::new(error.kind(), error.to_string())),
                };
                let result = match opened {
                    Ok(()) => Ok(()),
                    Err(error) if costs_one_thing(&error) => self.read_elsewhere(blob, &error),
                    Err(error) => Err(error),
                };
                self.hand_on(wants, result, &mut deliver)?;
            }
        }
        for wants in &plan.single {
            self.run.go_on()?;
            let wants = &plan.wants[wants.clone()];
            let Some(first) = wants.first() else { continue };
            let result = self.reader.read(first.id, BlobKind::Data, &mut self.plain);
            self.hand_on(wants, result, &mut deliver)?;
        }
        Ok(())
    }

    /// Reads a run of a pack; the inner error is damage.
    fn read(&self, read: &Read, blobs: &[Blob]) -> Result<Result<BytesMut>> {
        let Some(first) = blobs.first() else { return Ok(Ok(BytesMut::new())) };
        let name = pack_name(&first.located.pack);
        match self.run.repo.store().get_range(&name, read.offset, read.length) {
            Ok(bytes) => {
                let own = bytes.try_into_mut();
                Ok(Ok(own.unwrap_or_else(|shared| BytesMut::from(&shared[..]))))
            }
            Err(error) => {
                let error = Error::from(error);
                if costs_one_thing(&error) {
                    Ok(Err(Error::caused(Kind::Damaged, error.to_string(), error)))
                } else {
                    Err(error)
                }
            }
        }
    }

    fn open(&mut self, read: &Read, blob: &Blob, bytes: &mut BytesMut) -> Result<()> {
        let entry = &blob.located.entry;
        let start = usize::try_from(u64::from(entry.offset) - read.offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(entry.stored_bytes as usize);
        let Some(frame) = bytes.get_mut(start..end) else {
            return Err(Error::new(Kind::Damaged, "a pack gave fewer bytes than were asked for"));
        };
        self.reader.open(&blob.located, frame, &mut self.plain)
    }

    /// Reads a blob that did not hold where it was planned from any place that does.
    fn read_elsewhere(&mut self, blob: &Blob, trouble: &Error) -> Result<()> {
        let entry = &blob.located.entry;
        self.reader.read(entry.id, BlobKind::Data, &mut self.plain)?;
        let name = pack_name(&blob.located.pack);
        if self.run.damaged_packs.is_new(name.as_str()) {
            let what = format!("{trouble}; what was wanted of it was read from another pack");
            let repair = "strongroom repair packs";
            self.run.find(Finding::repairable(name.as_str(), what, repair));
        }
        Ok(())
    }

    fn hand_on(
        &mut self,
        wants: &[Want],
        result: Result<()>,
        deliver: &mut impl FnMut(&mut BlobReader<'_>, &[Want], Result<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        match result {
            Ok(()) => deliver(&mut self.reader, wants, Ok(&self.plain)),
            Err(error) if costs_one_thing(&error) => deliver(&mut self.reader, wants, Err(error)),
            Err(error) => Err(error),
        }
    }
}
