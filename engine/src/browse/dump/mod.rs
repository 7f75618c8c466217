//! Writes a file, or a directory as an archive, to a stream.
//!
//! Every blob is checked against its keyed name and every file against its digest. Whatever does
//! not hold ends the dump with an error, and an archive then gets no proper end: no program takes
//! it for a whole one.

use std::io::{self, Write};

use repo_format::tree::{Body, Entry};

mod digest;
mod feed;
mod tar;
mod zip;

use digest::Prover;
use feed::{Feed, Piece, Source};

use super::walk::Visited;
use crate::Ambient;
use crate::error::{Context as _, Error, Kind, Result};
use crate::repo::IndexedRepository;

/// How a dump reads.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Threads that read, open and check blobs.
    pub threads: usize,
    /// Bytes that are read ahead of what is written.
    pub ahead_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Self { threads: threads.clamp(2, 8), ahead_bytes: 32 << 20 }
    }
}

/// Kinds of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// POSIX tar: every name, times to the nanosecond, owners, attributes, links, devices.
    Tar,
    /// Zip: names, times to the second, permissions, symbolic links; each name of a file holds all
    /// its bytes.
    Zip,
}

/// What a dump wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Files and links.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Bytes of files, holes included.
    pub bytes: u64,
    /// Things that the kind of archive cannot hold; each was a warning.
    pub skipped: u64,
}

/// Where the pieces of a dump go.
trait Sink {
    /// Starts an entry; false when the archive cannot hold it.
    fn begin(&mut self, item: &Item) -> Result<bool>;
    /// Writes bytes of the file that was started.
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Ends the entry.
    fn end(&mut self) -> io::Result<()>;
}

/// One entry on its way into an archive.
#[derive(Debug)]
struct Item {
    visited: Visited,
    /// Extended attributes, where the archive holds them.
    attributes: Vec<repo_format::tree::Attribute>,
    /// Path of the entry whose bytes are those of this one.
    link: Option<Vec<u8>>,
}

/// The bare bytes of one file.
struct Bare<'a>(&'a mut dyn Write);

impl Sink for Bare<'_> {
    fn begin(&mut self, _item: &Item) -> Result<bool> {
        Ok(true)
    }
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn output_error(error: io::Error) -> Error {
    Error::caused(Kind::Target, "writing the output", error)
}

/// Writes the content of a file, holes as zeros; gives its bytes.
///
/// # Errors
/// [`Kind::InvalidSetting`] for what is not a file; [`Kind::Damaged`] naming the blob, or when the
/// content is not what its digest says; [`Kind::Target`] when `out` fails, with its error as
/// source.
pub fn file(
    repo: &IndexedRepository,
    entry: &Entry,
    out: &mut dyn Write,
    settings: Settings,
    ambient: &Ambient,
) -> Result<u64> {
    if !matches!(entry.body, Body::File { .. }) {
        let what = format!("{} is not a file", super::shown(&entry.name));
        return Err(Error::new(Kind::InvalidSetting, what));
    }
    let source = Source::new(repo, entry, false)?;
    let report = Feed::with(repo, source, settings, |feed| pour(feed, &mut Bare(out), ambient))?;
    out.flush().map_err(output_error)?;
    Ok(report.bytes)
}

/// Writes a directory, or a single entry, as an archive.
///
/// Paths in it are relative to the directory, which itself is not in it. A zip keeps about 500
/// bytes of memory for each entry until its end; a tar remembers the names of files that have
/// several, up to a million of them.
///
/// # Errors
/// As [`file()`]. An archive that could not be completed is always an error.
pub fn archive(
    repo: &IndexedRepository,
    top: &Entry,
    format: Format,
    out: &mut dyn Write,
    settings: Settings,
    ambient: &Ambient,
) -> Result<Report> {
    let source = Source::new(repo, top, format == Format::Tar)?;
    Feed::with(repo, source, settings, |feed| match format {
        Format::Tar => {
            let mut sink = tar::TarSink::new(out);
            let poured = pour(feed, &mut sink, ambient);
            sink.close(poured)
        }
        Format::Zip => {
            let mut sink = zip::ZipSink::new(out);
            let poured = pour(feed, &mut sink, ambient);
            sink.close(poured)
        }
    })
}

/// A file that is being written.
struct Current {
    item: Box<Item>,
    prover: Prover,
    is_held: bool,
}

/// Takes piece after piece to the sink, and holds each file against its size and digest.
fn pour(feed: &mut Feed<'_>, sink: &mut dyn Sink, ambient: &Ambient) -> Result<Report> {
    let mut report = Report::default();
    let mut current: Option<Current> = None;
    while let Some(piece) = feed.next()? {
        ambient.go_on()?;
        match (piece, &mut current) {
            (Piece::Begin(item), current) => {
                let is_held = sink.begin(&item).with_context(|| doing(&item))?;
                if !is_held {
                    let what = "this kind of archive cannot hold it; it is left out";
                    ambient.progress.warn(&item.visited.path, what);
                    report.skipped += 1;
                }
                let prover = Prover::new(&item.visited.entry);
                *current = Some(Current { item, prover, is_held });
            }
            (Piece::End, current) => {
                if let Some(done) = current.take() {
                    done.check().with_context(|| doing(&done.item))?;
                    sink.end().map_err(output_error)?;
                    count(&done, &mut report);
                    ambient.progress.done(1, done.prover.bytes());
                }
            }
            (Piece::Bytes(bytes), Some(current)) => current.write(sink, &bytes)?,
            (Piece::Zeros(count), Some(current)) => current.zeros(sink, count, ambient)?,
            (Piece::Pending(answer), Some(current)) => {
                let bytes = answer.recv().unwrap_or_else(|_| {
                    Err(Error::new(Kind::Other, "a reading thread ended early"))
                });
                let bytes = bytes.with_context(|| doing(&current.item))?;
                current.write(sink, &bytes)?;
            }
            (_, None) => return Err(Error::new(Kind::Other, "bytes came before their file")),
        }
    }
    Ok(report)
}

fn doing(item: &Item) -> String {
    format!("dumping {}", super::shown(&item.visited.path))
}

fn count(done: &Current, report: &mut Report) {
    if done.is_held {
        match done.item.visited.entry.body {
            Body::Directory { .. } => report.directories += 1,
            _ => report.files += 1,
        }
        report.bytes += done.prover.bytes();
    }
}

impl Current {
    fn write(&mut self, sink: &mut dyn Sink, bytes: &[u8]) -> Result<()> {
        self.prover.data(bytes);
        sink.bytes(bytes).map_err(output_error)
    }

    fn zeros(&mut self, sink: &mut dyn Sink, count: u64, ambient: &Ambient) -> Result<()> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let mut left = count;
        while left > 0 {
            ambient.go_on()?;
            let some = &ZEROS[..usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len())];
            self.prover.hole(some);
            sink.bytes(some).map_err(output_error)?;
            left -= some.len() as u64;
        }
        Ok(())
    }

    /// Holds what was written against what the entry says.
    fn check(&self) -> Result<()> {
        let Body::File { size, digest, .. } = &self.item.visited.entry.body else { return Ok(()) };
        if self.item.link.is_some() {
            return Ok(());
        }
        self.prover.check(*size, digest)
    }
}
