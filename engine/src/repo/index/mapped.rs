//! Bytes of a file, mapped for reading: the one place of this crate where memory is not Rust's own.

use std::fs::File;
use std::io;

/// A file mapped for reading.
#[derive(Debug)]
pub(super) struct Mapped(memmap2::Mmap);

impl Mapped {
    /// Maps the whole file.
    #[expect(unsafe_code, reason = "mapping a file is unsafe where another process may cut it")]
    pub(super) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the file lies in this program's own cache folder (mode 0700) or has no name at
        // all; it is written whole under another name, then renamed, and never changed or cut
        // afterwards, so the bytes behind the map stay as they are.
        let map = unsafe { memmap2::Mmap::map(file)? };
        Ok(Self(map))
    }
}

impl std::ops::Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}
