//! Databases that were not written to since the parent captured them are taken from it, unopened.

use repo_format::content::{Content, Extent};
use repo_format::limits;
use repo_format::pack::BlobKind;
use repo_format::tree::{Body, Entry};

use super::captures;
use super::earlier::entry_at;
use super::options::Source;
use super::report::count;
use super::roots::STREAMS;
use super::run::{Run, join};
use super::walk::Walk;
use crate::error::Result;
use crate::repo::blobs::BlobReader;
use crate::source::sqlite::{Mark, Record};

/// Longest record that is read again, in bytes.
const RECORD_BYTES_MAX: u64 = 16 << 20;

impl Walk<'_, '_> {
    /// Says whether what the parent has of a database still stands for it; its record is handed on
    /// then.
    pub(super) fn is_captured(
        &mut self,
        source: &Source,
        name: &[u8],
        entry: &Entry,
    ) -> Result<bool> {
        let Source::Sqlite { path, .. } = source else { return Ok(false) };
        let Body::File { size, content, .. } = &entry.body else { return Ok(false) };
        let run = self.run;
        // Whatever cannot be read here is captured again.
        let Some((known, record)) = recorded(run, &mut self.reader, name).ok().flatten() else {
            return Ok(false);
        };
        let is_same = Mark::of(path).is_ok_and(|mark| {
            known.path.as_bytes() == path.as_os_str().as_encoded_bytes()
                && known.mark.as_ref() == Some(&mark)
                && mark.changed_seconds() < run.trusted_before.seconds
        });
        let is_stored = |reader: &mut BlobReader<'_>, entry: &Entry| match &entry.body {
            Body::File { size, content, .. } => run.has_content(reader, content, *size),
            _ => false,
        };
        if !is_same
            || !run.has_content(&mut self.reader, content, *size)
            || !is_stored(&mut self.reader, &record)
        {
            return Ok(false);
        }
        count(&run.counts.files_unchanged, 1);
        run.ambient.progress.done(1, *size);
        run.note_stream(source, *size, 0);
        run.captures.record(run, &mut self.scratch, name, Some(record))?;
        Ok(true)
    }
}

/// Record of a stream in the parent, and its entry.
fn recorded(
    run: &Run<'_>,
    reader: &mut BlobReader<'_>,
    name: &[u8],
) -> Result<Option<(Record, Entry)>> {
    let Some(root) = run.parent_root else { return Ok(None) };
    let path = join(STREAMS, &captures::name_of(name));
    let Some(entry) = entry_at(reader, root, &path)? else { return Ok(None) };
    let Body::File { size, content: Content::Extents { extents, .. }, .. } = &entry.body else {
        return Ok(None);
    };
    if *size > RECORD_BYTES_MAX.min(u64::from(limits::BLOB_BYTES_MAX)) {
        return Ok(None);
    }
    let (mut text, mut plain) = (Vec::new(), Vec::new());
    for extent in extents {
        let Extent::Blob { id, .. } = extent else { return Ok(None) };
        reader.read(*id, BlobKind::Data, &mut plain)?;
        text.extend_from_slice(&plain);
    }
    Ok(serde_json::from_slice(&text).ok().map(|record| (record, entry)))
}
