//! Where a sparse file has data: the file system is asked range by range, as the reader goes.
//!
//! Memory does not grow with the number of ranges. What the file system does not call a hole is
//! data, so an answer that is missing costs reading, never content.

use std::fs::File;
use std::io;
use std::iter::FusedIterator;
use std::ops::Range;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// Ranges of a file that hold data: ascending, apart from each other, none empty, all below the
/// size.
#[derive(Debug)]
pub struct DataRanges<'a> {
    file: &'a File,
    position: u64,
    size: u64,
}

/// Walks the data ranges of the first `size` bytes of `file`; between them are holes.
///
/// Moves the position of the handle: read with offsets. Worth a call only where
/// [`super::Stat::may_have_holes`]. A file cut short meanwhile seems to end in a hole; looking
/// again afterwards shows it.
pub const fn data_ranges(file: &File, size: u64) -> DataRanges<'_> {
    data_ranges_from(file, size, 0)
}

/// Walks the data ranges from `position` on, as [`data_ranges`] does from the beginning.
pub const fn data_ranges_from(file: &File, size: u64, position: u64) -> DataRanges<'_> {
    DataRanges { file, position, size }
}

impl DataRanges<'_> {
    fn search(&self) -> io::Result<Option<Range<u64>>> {
        let start = match seek(self.file, SeekFrom::Data(self.position)) {
            Ok(start) => start.max(self.position),
            Err(Errno::NXIO) => return Ok(None),
            // The file system knows no holes.
            Err(Errno::INVAL | Errno::NOTSUP) => return Ok(Some(self.position..self.size)),
            Err(error) => return Err(error.into()),
        };
        if start >= self.size {
            return Ok(None);
        }
        let end = match seek(self.file, SeekFrom::Hole(start)) {
            Ok(end) => end.min(self.size),
            // Cut short between the two calls.
            Err(Errno::NXIO) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if end <= start {
            return Err(io::Error::other("the file system gives data ranges that do not ascend"));
        }
        Ok(Some(start..end))
    }
}

impl Iterator for DataRanges<'_> {
    type Item = io::Result<Range<u64>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.position >= self.size {
            return None;
        }
        let found = self.search();
        self.position = match &found {
            Ok(Some(range)) => range.end,
            Ok(None) | Err(_) => self.size,
        };
        found.transpose()
    }
}

impl FusedIterator for DataRanges<'_> {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn data_ranges_cover_all_data_of_a_sparse_file() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8 << 40).unwrap();
        let places = [1_u64 << 20, 1 << 30, (8 << 40) - 4096];
        for at in places {
            file.write_all_at(&[1; 4096], at).unwrap();
        }
        let ranges: Vec<_> = data_ranges(&file, 8 << 40).map(Result::unwrap).collect();
        for at in places {
            assert!(ranges.iter().any(|range| range.start <= at && at + 4096 <= range.end));
        }
        assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
        assert!(ranges.iter().map(|range| range.end - range.start).sum::<u64>() < 1 << 20);
    }

    #[test]
    fn a_file_of_holes_has_no_data_and_a_full_one_no_holes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        assert_eq!(data_ranges(&file, 1 << 20).count(), 0);
        file.write_all_at(&[7; 10_000], 0).unwrap();
        file.set_len(10_000).unwrap();
        let ranges: Vec<_> = data_ranges(&file, 10_000).map(Result::unwrap).collect();
        assert_eq!(ranges, vec![0_u64..10_000; 1]);
        let ranges: Vec<_> = data_ranges(&file, 500).map(Result::unwrap).collect();
        assert_eq!(ranges, vec![0_u64..500; 1]);
        assert_eq!(data_ranges(&file, 0).count(), 0);
    }
}
