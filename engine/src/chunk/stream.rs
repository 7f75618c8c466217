//! Reads a stream in batches of whole chunks.

use std::io::{self, Read};

use super::cutter::Cutter;

/// Bytes that a batch aims at.
pub const BATCH_BYTES: usize = 4 << 20;

/// A run of whole chunks of one stream.
#[derive(Debug, Default)]
pub struct Batch {
    /// Room for the chunks; never made shorter, so that it is zeroed once.
    room: Vec<u8>,
    /// Bytes of it that are chunks.
    used: usize,
    /// Length of each chunk.
    pub lengths: Vec<u32>,
    /// Offset of the first in the stream.
    pub offset: u64,
}

impl Batch {
    /// The chunks, one after another.
    pub fn bytes(&self) -> &[u8] {
        &self.room[..self.used]
    }
}

/// Cuts a stream, a batch at a time.
pub struct Batches<R> {
    reader: R,
    cutter: Cutter,
    /// Bytes that were read and not cut yet.
    carry: Vec<u8>,
    offset: u64,
    at_end: bool,
    batch_bytes: usize,
}

impl<R> std::fmt::Debug for Batches<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl<R: Read> Batches<R> {
    /// Starts at the beginning of the stream.
    pub fn new(reader: R, cutter: Cutter) -> Self {
        Self::with_batch_bytes(reader, cutter, BATCH_BYTES)
    }

    /// Starts with batches of another size; the cuts are the same.
    pub fn with_batch_bytes(reader: R, cutter: Cutter, batch_bytes: usize) -> Self {
        let batch_bytes = batch_bytes.max(cutter.chunk_bytes_max());
        Self { reader, cutter, carry: Vec::new(), offset: 0, at_end: false, batch_bytes }
    }

    /// Fills `batch` with the next chunks; `false` at the end of the stream.
    pub fn next_into(&mut self, batch: &mut Batch) -> io::Result<bool> {
        batch.lengths.clear();
        batch.used = 0;
        batch.offset = self.offset;
        if batch.room.len() < self.batch_bytes {
            batch.room.resize(self.batch_bytes, 0);
        }
        // What is carried is shorter than the longest chunk, and so than the batch.
        let mut filled = self.carry.len();
        batch.room[..filled].copy_from_slice(&self.carry);
        self.carry.clear();
        while !self.at_end && filled < self.batch_bytes {
            match self.reader.read(&mut batch.room[filled..self.batch_bytes]) {
                Ok(0) => self.at_end = true,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let bytes = &batch.room[..filled];
        while let Some(length) = self.cutter.cut(&bytes[batch.used..], self.at_end) {
            batch.used += length;
            batch.lengths.push(u32::try_from(length).unwrap_or(u32::MAX));
        }
        self.carry.extend_from_slice(&bytes[batch.used..]);
        self.offset += batch.used as u64;
        Ok(!batch.lengths.is_empty())
    }

    /// Ends the stream.
    pub fn into_reader(self) -> R {
        self.reader
    }

    /// Bytes cut so far.
    pub const fn offset(&self) -> u64 {
        self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::super::cutter::tests::{cutter, noise};
    use super::*;

    /// Gives its bytes in awkward pieces.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(out.len()).min(self.0.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn lengths(bytes: &[u8], piece: usize, batch_bytes: usize) -> Vec<u32> {
        let mut batches = Batches::with_batch_bytes(Drip(bytes, piece), cutter(1), batch_bytes);
        let (mut all, mut batch, mut joined) = (Vec::new(), Batch::default(), Vec::new());
        while batches.next_into(&mut batch).unwrap() {
            assert_eq!(batch.offset, joined.len() as u64);
            all.extend_from_slice(&batch.lengths);
            joined.extend_from_slice(batch.bytes());
        }
        assert_eq!(joined, bytes);
        assert_eq!(batches.offset(), bytes.len() as u64);
        all
    }

    #[test]
    fn cuts_do_not_depend_on_how_the_stream_is_read() {
        let bytes = noise(3, 1_000_003);
        let whole = lengths(&bytes, usize::MAX, 4 << 20);
        assert_eq!(lengths(&bytes, 777, 100_000), whole);
        assert_eq!(lengths(&bytes, 65_536, 65_536), whole);
    }

    #[test]
    fn an_empty_stream_has_no_chunk() {
        assert!(lengths(&[], 10, 100_000).is_empty());
    }
}
