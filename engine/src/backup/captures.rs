//! Capture records of databases: each lies beside its stream, and is known only when that is read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use repo_format::codec::Bytes;
use repo_format::content::{Chunker, Content, Extent};
use repo_format::limits;
use repo_format::pack::BlobKind;
use repo_format::tree::{Body, Digest, Entry, Metadata};

use super::folder::Folder;
use super::run::{Run, time_of};
use crate::error::Result;
use crate::repo::contents::ContentBuilder;
use crate::repo::packer::Scratch;

/// What the name of a record ends with.
pub(super) const SUFFIX: &[u8] = b".capture.json";

/// Name of the record of a stream.
pub(super) fn name_of(stream: &[u8]) -> Vec<u8> {
    [stream, SUFFIX].concat()
}

#[derive(Debug)]
enum Meeting {
    /// A place waits for the record.
    Place(Arc<Folder>, u64),
    /// The record waits for its place; none where the stream failed.
    Record(Box<Option<Entry>>),
}

/// Records and their places, whichever comes first.
#[derive(Debug, Default)]
pub(super) struct Captures(Mutex<HashMap<Vec<u8>, Meeting>>);

impl Captures {
    fn meet(&self, stream: &[u8], one: Meeting) -> Option<(Meeting, Meeting)> {
        let mut meetings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = meetings.remove(stream) {
            return Some((one, other));
        }
        meetings.insert(stream.to_vec(), one);
        None
    }

    fn settle(run: &Run<'_>, scratch: &mut Scratch, met: Option<(Meeting, Meeting)>) -> Result<()> {
        match met {
            Some(
                (Meeting::Place(folder, place), Meeting::Record(entry))
                | (Meeting::Record(entry), Meeting::Place(folder, place)),
            ) => folder.fill(run, scratch, place, *entry),
            _ => Ok(()),
        }
    }

    /// Takes note of the place for the record of a stream.
    pub(super) fn place(
        &self,
        run: &Run<'_>,
        scratch: &mut Scratch,
        stream: &[u8],
        folder: Arc<Folder>,
        place: u64,
    ) -> Result<()> {
        Self::settle(run, scratch, self.meet(stream, Meeting::Place(folder, place)))
    }

    /// Takes the record of a stream; none where the stream failed.
    pub(super) fn record(
        &self,
        run: &Run<'_>,
        scratch: &mut Scratch,
        stream: &[u8],
        entry: Option<Entry>,
    ) -> Result<()> {
        Self::settle(run, scratch, self.meet(stream, Meeting::Record(Box::new(entry))))
    }
}

/// Stores the text of a record.
pub(super) fn store(
    run: &Run<'_>,
    scratch: &mut Scratch,
    stream: &[u8],
    text: &str,
) -> Result<Entry> {
    let mut content = ContentBuilder::new();
    for piece in text.as_bytes().chunks(limits::DATA_BLOB_BYTES_MAX as usize) {
        let id = run.writer.save(scratch, BlobKind::Data, piece)?;
        let length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        content.push(run.writer, scratch, run.repo, Extent::Blob { id, length })?;
    }
    let content: Content = content.finish(run.writer, scratch, Chunker::Whole)?;
    let now = time_of(run.ambient.clock.now_ms());
    let digest = Digest::Plain(*blake3::hash(text.as_bytes()).as_bytes());
    Ok(Entry {
        name: Bytes(name_of(stream)),
        metadata: Metadata { mode: 0o600, mtime: now, ctime: now, ..Metadata::default() },
        body: Body::File { size: text.len() as u64, content, digest },
    })
}
