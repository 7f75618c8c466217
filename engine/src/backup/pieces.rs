//! The bytes of one large file or stream, in order: batches of chunks, and holes between them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use repo_format::content::Chunker;
use repo_format::tree::{Attribute, Digest};

use super::large::chunker_for;
use super::options::Source;
use crate::chunk::stream::{Batch, Batches};
use crate::repo::Repository;
use crate::repo::digest::Digester;
use crate::source::files::{Directory, Kind, Stat, attributes, data_ranges_from};
use crate::source::sqlite::{self, Capture};
use crate::source::stream::{CommandSource, StdinSource};

/// What comes next.
pub(super) enum Piece {
    /// Chunks, in the batch that was given; the offset of the first.
    Batch(u64),
    /// A hole of this length.
    Hole(u64),
}

/// What is known when everything was read.
pub(super) struct Ended {
    pub(super) bytes: u64,
    pub(super) digest: Digest,
    /// The file afterwards; none for a stream.
    pub(super) stat: Option<Stat>,
    /// What is known of a captured database, as text.
    pub(super) record: Option<String>,
    pub(super) attributes: Vec<Attribute>,
}

/// Reads part of a file by offset, so that nothing else moves under it.
pub(super) struct RangeReader {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for RangeReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(out.len());
        let read = self.file.read_at(&mut out[..left], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

enum Reader {
    File {
        file: Arc<File>,
        size: u64,
        has_holes: bool,
        position: u64,
        current: Option<Batches<RangeReader>>,
    },
    Stdin(Batches<StdinSource>),
    Command(Box<Batches<CommandSource>>),
}

/// The bytes of one large file or stream.
pub(super) struct Pieces {
    reader: Reader,
    cutter: crate::chunk::cutter::Cutter,
    digester: Digester,
    bytes: u64,
    record: Option<String>,
}

impl Pieces {
    /// Opens a file.
    pub(super) fn of_file(
        repo: &Repository,
        directory: &Directory,
        name: &[u8],
        before: &Stat,
        told: Option<Chunker>,
    ) -> io::Result<Self> {
        let file = directory.open_file(name)?;
        let stat = Stat::of(&file)?;
        if stat.kind != Kind::File || (stat.device, stat.inode) != (before.device, before.inode) {
            return Err(io::Error::other("it was replaced while it was read"));
        }
        let mut first = [0; 16];
        let read = file.read_at(&mut first, 0)?;
        let chunker = chunker_for(repo.config(), told, &first[..read]);
        let hole_bytes = stat.size.saturating_sub(stat.blocks.saturating_mul(512));
        let reader = Reader::File {
            file: Arc::new(file),
            size: stat.size,
            has_holes: stat.may_have_holes(),
            position: 0,
            current: None,
        };
        let cutter = repo.cutter(chunker);
        let digester = Digester::for_holes(hole_bytes);
        Ok(Self { reader, cutter, digester, bytes: 0, record: None })
    }

    /// Opens a stream.
    pub(super) fn of_stream(
        repo: &Repository,
        source: &Source,
        told: Option<Chunker>,
        go_on: &dyn Fn() -> bool,
    ) -> io::Result<Self> {
        if let Source::Sqlite { path, .. } = source {
            return Self::of_sqlite(repo, path, told, go_on);
        }
        let cutter = repo.cutter(chunker_for(repo.config(), told, &[]));
        let reader = match source {
            Source::Command { line, .. } => {
                let command = CommandSource::spawn(line)?;
                Reader::Command(Box::new(Batches::new(command, cutter.clone())))
            }
            _ => Reader::Stdin(Batches::new(StdinSource::new(), cutter.clone())),
        };
        Ok(Self { reader, cutter, digester: Digester::new(false), bytes: 0, record: None })
    }

    /// Captures a database, and opens the copy.
    fn of_sqlite(
        repo: &Repository,
        path: &Path,
        told: Option<Chunker>,
        go_on: &dyn Fn() -> bool,
    ) -> io::Result<Self> {
        let elsewhere = tempfile::env::temp_dir();
        let spool = repo.state_folder().unwrap_or(&elsewhere);
        let Capture { file, record } = sqlite::capture(path, spool, go_on)?;
        let record = serde_json::to_string_pretty(&record).map_err(io::Error::other)?;
        let cutter = repo.cutter(told.unwrap_or(repo.config().pages));
        let size = file.metadata()?.len();
        let file = Arc::new(file);
        let reader = Reader::File { file, size, has_holes: false, position: 0, current: None };
        let digester = Digester::new(false);
        Ok(Self { reader, cutter, digester, bytes: 0, record: Some(record) })
    }

    /// How it is cut.
    pub(super) const fn chunker(&self) -> Chunker {
        self.cutter.chunker()
    }

    /// Gives what comes next; `None` at the end.
    pub(super) fn next_into(&mut self, batch: &mut Batch) -> io::Result<Option<Piece>> {
        let is_batch = match &mut self.reader {
            Reader::Stdin(batches) => batches.next_into(batch)?,
            Reader::Command(batches) => batches.next_into(batch)?,
            Reader::File { .. } => match self.next_of_file(batch)? {
                Some(Piece::Hole(length)) => {
                    self.digester.hole(length);
                    self.bytes += length;
                    return Ok(Some(Piece::Hole(length)));
                }
                Some(Piece::Batch(_)) => true,
                None => false,
            },
        };
        let start = self.bytes;
        if is_batch {
            self.digester.data(batch.bytes());
            self.bytes += batch.bytes().len() as u64;
        }
        Ok(is_batch.then_some(Piece::Batch(start)))
    }

    fn next_of_file(&mut self, batch: &mut Batch) -> io::Result<Option<Piece>> {
        let Reader::File { file, size, has_holes, position, current } = &mut self.reader else {
            return Ok(None);
        };
        loop {
            if let Some(batches) = current {
                if batches.next_into(batch)? {
                    return Ok(Some(Piece::Batch(0)));
                }
                let range = current.take().map(Batches::into_reader);
                if let Some(range) = range
                    && range.at < range.end
                {
                    // The file was cut short: what is gone is not a hole.
                    *size = range.at;
                }
            }
            if *position >= *size {
                return Ok(None);
            }
            let data = if *has_holes {
                data_ranges_from(file, *size, *position).next().transpose()?
            } else {
                Some(*position..*size)
            };
            let start = data.as_ref().map_or(*size, |data| data.start);
            if start > *position {
                let length = start - *position;
                *position = start;
                return Ok(Some(Piece::Hole(length)));
            }
            if let Some(data) = data {
                *position = data.end;
                let reader = RangeReader { file: Arc::clone(file), at: data.start, end: data.end };
                *current = Some(Batches::new(reader, self.cutter.clone()));
            }
        }
    }

    /// Ends the reading: looks at the file again, or at how the command ended.
    pub(super) fn finish(self) -> io::Result<Ended> {
        let (stat, attributes) = match self.reader {
            Reader::File { file, .. } => (Some(Stat::of(&file)?), attributes::of_open(&file)?),
            Reader::Stdin(_) => (None, Vec::new()),
            Reader::Command(batches) => {
                batches.into_reader().finish()?;
                (None, Vec::new())
            }
        };
        let (digest, record) = (self.digester.finish(), self.record);
        Ok(Ended { bytes: self.bytes, digest, stat, record, attributes })
    }
}
