//! Writes of large objects past the page cache.
//!
//! A pack is written once and not read soon, so a copy of it in the cache only pushes out what is
//! being backed up; on many systems the copy is also the slowest part of the write. File systems
//! that refuse such writes are written through the cache.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, ftruncate};

/// Objects from this length on go past the cache.
const FROM_BYTES: usize = 1 << 20;
/// Bytes written at once.
const PIECE_BYTES: usize = 4 << 20;
/// Alignment that every disk in use accepts.
const ALIGNMENT: usize = 4096;

thread_local! {
    /// One aligned piece a thread: zeroing and mapping it anew for each object would cost more than
    /// the write saves.
    static PIECE: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Writes all of `bytes` to an empty file; it still has to be synced.
pub(super) fn write_all(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() < FROM_BYTES {
        return file.write_all(bytes);
    }
    let flags = fcntl_getfl(file.as_fd())?;
    if fcntl_setfl(file.as_fd(), flags | OFlags::DIRECT).is_err() {
        return file.write_all(bytes);
    }
    PIECE.with_borrow_mut(|piece| {
        piece.resize(PIECE_BYTES + ALIGNMENT, 0);
        let start = piece.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let piece = &mut piece[start..start + PIECE_BYTES];
        let mut written = 0;
        for part in bytes.chunks(PIECE_BYTES) {
            let padded = part.len().next_multiple_of(ALIGNMENT);
            piece[..part.len()].copy_from_slice(part);
            piece[part.len()..padded].fill(0);
            match file.write_all(&piece[..padded]) {
                Ok(()) => {}
                Err(error) if written == 0 && error.kind() == io::ErrorKind::InvalidInput => {
                    fcntl_setfl(file.as_fd(), flags)?;
                    return file.write_all(bytes);
                }
                Err(error) => return Err(error),
            }
            written += part.len();
        }
        ftruncate(file.as_fd(), bytes.len() as u64)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_written_exactly() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        for length in [0, 1, FROM_BYTES - 1, FROM_BYTES, FROM_BYTES + 1, PIECE_BYTES, 9_999_999] {
            let bytes: Vec<u8> = (0..251_u8).cycle().take(length).collect();
            let path = folder.path().join(length.to_string());
            write_all(&mut File::create(&path).unwrap(), &bytes).unwrap();
            assert!(std::fs::read(&path).unwrap() == bytes, "{length}");
        }
    }
}
