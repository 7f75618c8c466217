//! What the target holds already: compared by reading, so that only what differs is written.
//!
//! A file that has further names is never taken for what is wanted, for what is done to it would be
//! done to them too, wherever they are.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use repo_format::BlobId;
use repo_format::content::Extent;
use repo_format::pack::BlobKind;
use repo_format::tree::{Body, Digest, Entry};

use super::options::{Options, Overwrite};
use crate::crypto::blob::blob_id;
use crate::repo::Repository;
use crate::repo::digest::Digester;
use crate::source::files::{Directory, Kind, Stat, data_ranges, read_small};

/// What was found under a name.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A file of this very content.
    Right(File),
    /// Something else, or something that only a closer look can tell.
    Other,
}

/// Looks at what has the name of a file; of one that is restored in parts only what is cheap.
pub(super) fn examine(
    directory: &Directory,
    entry: &Entry,
    options: &Options,
    in_parts: bool,
    buffer: &mut Vec<u8>,
) -> io::Result<Found> {
    let Body::File { size, digest, .. } = &entry.body else { return Ok(Found::Other) };
    let stat = match directory.stat(&entry.name) {
        Ok(stat) => stat,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    if !may_be(&stat, *size) {
        return Ok(Found::Other);
    }
    let looks_right =
        options.overwrite == Overwrite::IfChanged && stat.mtime == entry.metadata.mtime;
    if in_parts && !looks_right {
        return Ok(Found::Other);
    }
    let file = directory.open_file(&entry.name)?;
    if !may_be(&Stat::of(&file)?, *size) {
        return Ok(Found::Other);
    }
    if looks_right {
        return Ok(Found::Right(file));
    }
    read_small(&file, usize::try_from(*size).unwrap_or(usize::MAX), buffer)?;
    let found = Digest::Plain(*blake3::hash(buffer).as_bytes());
    let is_right = buffer.len() as u64 == *size && found == *digest;
    Ok(if is_right { Found::Right(file) } else { Found::Other })
}

/// Looks at what has the name of a file, and reads it to its end if it may be the same, however
/// long it is.
pub(super) fn examine_all(
    directory: &Directory,
    entry: &Entry,
    options: &Options,
) -> io::Result<Found> {
    let found = examine(directory, entry, options, true, &mut Vec::new())?;
    let Body::File { size, digest, .. } = &entry.body else { return Ok(found) };
    if !matches!(found, Found::Other) || !may_be(&directory.stat(&entry.name)?, *size) {
        return Ok(found);
    }
    let file = directory.open_file(&entry.name)?;
    let is_right = may_be(&Stat::of(&file)?, *size) && has_digest(&file, *size, digest)?;
    Ok(if is_right { Found::Right(file) } else { Found::Other })
}

fn may_be(stat: &Stat, size: u64) -> bool {
    stat.kind == Kind::File && stat.nlink == 1 && stat.size == size
}

/// Says whether the file holds the bytes of an extent at `at`; of a slice it cannot be told.
pub(super) fn holds(
    repo: &Repository,
    file: &File,
    at: u64,
    extent: &Extent,
    buffer: &mut Vec<u8>,
) -> bool {
    let &Extent::Blob { id, length } = extent else { return false };
    buffer.resize(length as usize, 0);
    file.read_exact_at(buffer, at).is_ok() && is_blob(repo, id, buffer)
}

fn is_blob(repo: &Repository, id: BlobId, plain: &[u8]) -> bool {
    blob_id(&repo.keys.id_key, BlobKind::Data, plain) == id
}

/// Compares a whole file with the digest of its content, a piece at a time.
pub(super) fn has_digest(file: &File, size: u64, digest: &Digest) -> io::Result<bool> {
    if Stat::of(file)?.size != size {
        return Ok(false);
    }
    let is_sparse = matches!(digest, Digest::Sparse(_));
    let mut digester = Digester::new(is_sparse);
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    let ranges: &mut dyn Iterator<Item = io::Result<Range<u64>>> =
        if is_sparse { &mut data_ranges(file, size) } else { &mut std::iter::once(Ok(0..size)) };
    for range in ranges {
        let range = range?;
        if range.start > at {
            digester.hole(range.start - at);
            at = range.start;
        }
        while at < range.end {
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buffer.len());
            match file.read_at(&mut buffer[..left], at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => return Ok(false),
                Ok(count) => {
                    digester.data(&buffer[..count]);
                    at += count as u64;
                }
                Err(error) => return Err(error),
            }
        }
    }
    if size > at {
        digester.hole(size - at);
    }
    Ok(digester.finish() == *digest)
}
