//! A directory as a zip, written in one go.
//!
//! A reader of a zip starts from the directory at its end, so an archive without one is never taken
//! for a whole one; it is written only after the last entry.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;

use repo_format::tree::{Body, Entry};
use zip::write::{ExtendedFileOptions, FileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::{Item, Report, Sink, output_error};
use crate::error::{Error, Kind, Result};

/// Files of this size and more get 64-bit fields; a little below 4 GiB, since what does not
/// compress grows.
const LARGE_BYTES: u64 = 0xf000_0000;
/// Extra field of times to the second, UTC.
const EXTENDED_TIMESTAMP: u16 = 0x5455;

/// A writer that swallows everything once it is shut: dropping a zip writer must not complete an
/// archive that has failed.
struct Valve<'a> {
    out: &'a mut dyn Write,
    is_shut: Rc<Cell<bool>>,
}

impl Write for Valve<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_shut.get() {
            return Ok(bytes.len());
        }
        // A failed output is not written to again, not even by the end of the zip writer.
        self.out.write(bytes).inspect_err(|error| {
            self.is_shut.set(error.kind() != io::ErrorKind::Interrupted);
        })
    }
    fn flush(&mut self) -> io::Result<()> {
        if self.is_shut.get() { Ok(()) } else { self.out.flush() }
    }
}

/// Writes the entries of a zip.
pub(super) struct ZipSink<'a> {
    zip: ZipWriter<StreamWriter<Valve<'a>>>,
    is_shut: Rc<Cell<bool>>,
    has_content: bool,
}

fn zip_error(error: zip::result::ZipError) -> Error {
    match error {
        zip::result::ZipError::Io(error) => output_error(error),
        error => Error::caused(Kind::Other, "the archive cannot hold this", error),
    }
}

impl<'a> ZipSink<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        let is_shut = Rc::new(Cell::new(false));
        let valve = Valve { out, is_shut: Rc::clone(&is_shut) };
        Self { zip: ZipWriter::new_stream(valve), is_shut, has_content: false }
    }

    /// Ends the archive, or leaves it without its directory where something failed.
    pub(super) fn close(self, poured: Result<Report>) -> Result<Report> {
        let report = poured.inspect_err(|_| self.is_shut.set(true))?;
        let is_shut = Rc::clone(&self.is_shut);
        let ended = self.zip.finish().map_err(zip_error);
        let mut valve = ended?.into_inner();
        if is_shut.get() {
            return Err(Error::new(Kind::Target, "writing the output failed"));
        }
        valve.flush().map_err(output_error)?;
        Ok(report)
    }
}

impl Sink for ZipSink<'_> {
    fn begin(&mut self, item: &Item) -> Result<bool> {
        let entry = &item.visited.entry;
        let mut name = item.visited.path.clone();
        let (kind, size) = match &entry.body {
            Body::File { size, .. } => (0o100_000, *size),
            Body::Symlink { target } => (0o120_000, target.len() as u64),
            Body::Directory { .. } => {
                name.push(b'/');
                (0o040_000, 0)
            }
            _ => return Ok(false),
        };
        let options = options(entry, kind, size)?;
        if kind == 0o040_000 {
            // Only this call knows that nothing follows, and it takes text alone. What is in a
            // directory without an entry of its own is still held.
            let Ok(name) = String::from_utf8(name) else { return Ok(false) };
            self.zip.add_directory(name, options).map_err(zip_error)?;
            self.has_content = false;
            return Ok(true);
        }
        let options = options.name(&name);
        self.zip.start_file_with_options(options).map_err(zip_error)?;
        self.has_content = matches!(entry.body, Body::File { .. });
        if let Body::Symlink { target } = &entry.body {
            self.zip.write_all(target).map_err(output_error)?;
        }
        Ok(true)
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.has_content { self.zip.write_all(bytes) } else { Ok(()) }
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn options(
    entry: &Entry,
    kind: u32,
    size: u64,
) -> Result<FileOptions<'static, 'static, ExtendedFileOptions>> {
    let is_file = kind == 0o100_000;
    let method =
        if is_file && size > 0 { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    let seconds = entry.metadata.mtime.seconds;
    let mut options = FileOptions::<ExtendedFileOptions>::default()
        .compression_method(method)
        .large_file(size >= LARGE_BYTES)
        .last_modified_time(dos_time(seconds))
        .external_attributes((kind | entry.metadata.mode) << 16);
    if let Ok(seconds) = i32::try_from(seconds) {
        let mut field = vec![1];
        field.extend_from_slice(&seconds.to_le_bytes());
        options.add_extra_field(EXTENDED_TIMESTAMP, field, false).map_err(zip_error)?;
    }
    Ok(options)
}

/// The nearest time that a zip's own field can hold, as UTC.
fn dos_time(seconds: i64) -> DateTime {
    let least = DateTime::default();
    let Ok(time) = jiff::Timestamp::from_second(seconds) else { return least };
    let civil = jiff::tz::TimeZone::UTC.to_datetime(time);
    let small = |n: i8| u8::try_from(n).unwrap_or(1);
    let year = u16::try_from(civil.year()).unwrap_or(1980);
    DateTime::from_date_and_time(
        year,
        small(civil.month()),
        small(civil.day()),
        small(civil.hour()),
        small(civil.minute()),
        small(civil.second()),
    )
    .unwrap_or(least)
}
