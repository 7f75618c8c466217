//! Large files and streams: several threads take batches of chunks from one reader in turn, so that
//! cutting stays in order and everything else runs side by side.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use repo_format::BlobId;
use repo_format::codec::Bytes;
use repo_format::content::{Chunker, Extent};
use repo_format::pack::BlobKind;
use repo_format::tree::{Body, Entry, Metadata};

use super::captures;
use super::earlier::Earlier;
use super::folder::Folder;
use super::pieces::{Ended, Piece, Pieces};
use super::report::count;
use super::run::{Origin, Run};
use crate::chunk::stream::Batch;
use crate::error::{Error, Kind, Result};
use crate::repo::contents::ContentBuilder;
use crate::repo::packer::{self, Scratch};
use crate::source::files::Stat;

/// Where the bytes come from.
#[derive(Debug)]
pub(super) enum From {
    /// A file of a source.
    File(Arc<Origin>, Stat),
    /// A stream.
    Stream(super::options::Source),
}

struct Input {
    pieces: Option<Pieces>,
    next_number: u64,
    in_flight: usize,
    is_exhausted: bool,
    is_finished: bool,
    error: Option<io::Error>,
}

struct Output {
    next_number: u64,
    waiting: BTreeMap<u64, Vec<Extent>>,
    content: Option<ContentBuilder>,
}

/// A large file or a stream under way.
pub(super) struct Large {
    from: From,
    folder: Arc<Folder>,
    place: u64,
    name: Vec<u8>,
    path: Vec<u8>,
    input: Mutex<Input>,
    output: Mutex<Output>,
    /// The version before, once it was looked for.
    earlier: OnceLock<Option<Earlier>>,
    /// Its deltas.
    deltas: OnceLock<packer::Run>,
    may_have_earlier: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Large {
    pub(super) fn new(
        from: From,
        folder: Arc<Folder>,
        place: u64,
        name: &[u8],
        path: Vec<u8>,
        may_have_earlier: bool,
    ) -> Arc<Self> {
        let input = Input {
            pieces: None,
            next_number: 0,
            in_flight: 0,
            is_exhausted: false,
            is_finished: false,
            error: None,
        };
        let output = Output {
            next_number: 0,
            waiting: BTreeMap::new(),
            content: Some(ContentBuilder::new()),
        };
        Arc::new(Self {
            from,
            folder,
            place,
            name: name.to_vec(),
            path,
            input: Mutex::new(input),
            output: Mutex::new(output),
            earlier: OnceLock::new(),
            deltas: OnceLock::new(),
            may_have_earlier,
        })
    }

    /// Opens the reader, offers the work to the other threads, and joins in.
    pub(super) fn start(self: Arc<Self>, run: &Run<'_>, scratch: &mut Scratch) -> Result<()> {
        run.ambient.progress.set_current(&self.path);
        let opened = match &self.from {
            From::File(origin, stat) => {
                Pieces::of_file(run.repo, &origin.directory, &self.name, stat, run.options.chunker)
            }
            From::Stream(source) => {
                let go_on = || !run.is_cancelled();
                Pieces::of_stream(run.repo, source, run.options.chunker, &go_on)
            }
        };
        match opened {
            Ok(pieces) => {
                let is_paged = matches!(pieces.chunker(), Chunker::Fixed { .. });
                if self.may_have_earlier {
                    self.earlier.get_or_init(|| Earlier::find(run, &self.path, is_paged));
                }
                if self.may_have_earlier || is_paged {
                    self.deltas.get_or_init(|| run.writer.begin_run());
                }
                lock(&self.input).pieces = Some(pieces);
                run.queue.share(Some(&self));
                self.work(run, scratch)
            }
            Err(error) => {
                run.queue.share(None);
                self.give_up(run, scratch, &error)
            }
        }
    }

    /// Takes batches until there are none left.
    pub(super) fn work(self: &Arc<Self>, run: &Run<'_>, scratch: &mut Scratch) -> Result<()> {
        let mut batch = Batch::default();
        while let Some((number, piece)) = self.next_piece(run, &mut batch) {
            let result = self.save(run, scratch, number, &piece, &batch);
            lock(&self.input).in_flight -= 1;
            result?;
        }
        run.queue.unshare(self);
        let pieces = {
            let mut input = lock(&self.input);
            if !input.is_exhausted || input.in_flight > 0 || input.is_finished {
                return Ok(());
            }
            input.is_finished = true;
            (input.pieces.take(), input.error.take())
        };
        match pieces {
            (Some(pieces), None) => self.finish(run, scratch, pieces),
            (_, Some(error)) => self.give_up(run, scratch, &error),
            (None, None) => Ok(()),
        }
    }

    /// Takes the next piece, under the lock that keeps cutting in order.
    fn next_piece(&self, run: &Run<'_>, batch: &mut Batch) -> Option<(u64, Piece)> {
        let mut input = lock(&self.input);
        if input.is_exhausted {
            return None;
        }
        if run.is_cancelled() {
            input.is_exhausted = true;
            input.error = Some(io::Error::from(io::ErrorKind::Interrupted));
            return None;
        }
        let piece = match input.pieces.as_mut()?.next_into(batch) {
            Ok(piece) => piece,
            Err(error) => {
                input.error = Some(error);
                None
            }
        };
        let Some(piece) = piece else {
            input.is_exhausted = true;
            return None;
        };
        input.in_flight += 1;
        input.next_number += 1;
        Some((input.next_number - 1, piece))
    }

    /// Saves the chunks of a batch, and hands on the extents in order.
    fn save(
        &self,
        run: &Run<'_>,
        scratch: &mut Scratch,
        number: u64,
        piece: &Piece,
        batch: &Batch,
    ) -> Result<()> {
        let mut extents = Vec::with_capacity(batch.lengths.len());
        match *piece {
            Piece::Hole(length) => {
                extents.push(Extent::Hole { length });
                run.ambient.progress.done(0, length);
            }
            Piece::Batch(start) => {
                let mut at = 0;
                for &length in &batch.lengths {
                    let chunk = &batch.bytes()[at..at + length as usize];
                    let id = self.save_chunk(run, scratch, start + at as u64, chunk)?;
                    extents.push(Extent::Blob { id, length });
                    at += length as usize;
                }
                count(&run.counts.bytes_read, at as u64);
                run.ambient.progress.done(0, at as u64);
            }
        }
        let mut output = lock(&self.output);
        output.waiting.insert(number, extents);
        let mut next = output.next_number;
        while let Some(extents) = output.waiting.remove(&next) {
            next += 1;
            if let Some(content) = &mut output.content {
                for extent in extents {
                    content.push(run.writer, scratch, run.repo, extent)?;
                }
            }
        }
        output.next_number = next;
        Ok(())
    }

    /// Saves one chunk, against the version before where there is one.
    fn save_chunk(
        &self,
        run: &Run<'_>,
        scratch: &mut Scratch,
        at: u64,
        chunk: &[u8],
    ) -> Result<BlobId> {
        let Some(deltas) = self.deltas.get() else {
            return run.writer.save(scratch, BlobKind::Data, chunk);
        };
        match self.earlier.get() {
            Some(Some(earlier)) => earlier.save(run, scratch, *deltas, at, chunk),
            _ => run.writer.save_lasting(scratch, chunk),
        }
    }

    fn finish(&self, run: &Run<'_>, scratch: &mut Scratch, pieces: Pieces) -> Result<()> {
        if let Some(deltas) = self.deltas.get() {
            run.writer.end_run(*deltas)?;
        }
        let chunker = pieces.chunker();
        let ended = match pieces.finish() {
            Ok(ended) => ended,
            Err(error) => return self.give_up(run, scratch, &error),
        };
        let builder = lock(&self.output).content.take().unwrap_or_default();
        let content = builder.finish(run.writer, scratch, chunker)?;
        let size = ended.bytes;
        if let Some(text) = &ended.record {
            let record = captures::store(run, scratch, &self.name, text)?;
            run.captures.record(run, scratch, &self.name, Some(record))?;
        }
        run.ambient.progress.done(1, 0);
        let metadata = match &self.from {
            From::File(_, before) => self.file_metadata(run, scratch, before, &ended)?,
            From::Stream(source) => {
                run.note_stream(source, size, 0);
                let now = super::run::time_of(run.ambient.clock.now_ms());
                Metadata { mode: 0o600, mtime: now, ctime: now, ..Metadata::default() }
            }
        };
        let entry = Entry {
            name: Bytes(self.name.clone()),
            metadata,
            body: Body::File { size, content, digest: ended.digest },
        };
        self.fill(run, scratch, Some(entry))
    }

    fn file_metadata(
        &self,
        run: &Run<'_>,
        scratch: &mut Scratch,
        before: &Stat,
        ended: &Ended,
    ) -> Result<Metadata> {
        let Some(after) = &ended.stat else { return Ok(before.metadata(&run.owners)) };
        if (after.size, after.mtime) != (before.size, before.mtime) || ended.bytes != after.size {
            run.unreadable(&self.path, "it changed while it was read");
        }
        let mut metadata = after.metadata(&run.owners);
        metadata.attributes = run.keep_attributes(scratch, ended.attributes.clone())?;
        Ok(metadata)
    }

    /// Goes on without the file; a stream that fails fails the whole backup.
    fn give_up(&self, run: &Run<'_>, scratch: &mut Scratch, error: &io::Error) -> Result<()> {
        let is_interrupted = run.is_cancelled();
        if let From::Stream(source) = &self.from {
            if is_interrupted || !run.options.allows_partial {
                let kind = if is_interrupted { Kind::Interrupted } else { Kind::Source };
                let path = self.path.escape_ascii();
                return Err(Error::new(kind, format!("reading the stream {path}: {error}")));
            }
            run.failed_streams.fetch_add(1, Ordering::Relaxed);
            run.note_stream(source, 0, 1);
            if source.has_record() {
                run.captures.record(run, scratch, &self.name, None)?;
            }
        }
        if !is_interrupted {
            run.unreadable(&self.path, error.to_string());
        }
        self.fill(run, scratch, None)
    }

    fn fill(&self, run: &Run<'_>, scratch: &mut Scratch, entry: Option<Entry>) -> Result<()> {
        if let From::File(_, before) = &self.from
            && let Some(group) = before.metadata(&run.owners).link_group
        {
            let read = entry.as_ref().map(|e| (e.metadata.attributes.clone(), e.body.clone()));
            run.links.finish(run, scratch, group, read.as_ref())?;
        }
        self.folder.fill(run, scratch, self.place, entry)
    }
}

/// How a file is cut: as told, by pages where it is made of pages, else as the repository says.
pub(super) fn chunker_for(
    config: &repo_format::config::Config,
    told: Option<Chunker>,
    first_bytes: &[u8],
) -> Chunker {
    match told {
        Some(chunker) => chunker,
        None if first_bytes.starts_with(b"SQLite format 3\0") => config.pages,
        None => config.files,
    }
}
