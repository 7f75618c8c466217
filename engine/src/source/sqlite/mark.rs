//! What tells, without opening it, that a database was not written to since it was captured.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Size, times and counters of a database file and its write-ahead log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Inode, bytes, seconds and nanoseconds of the last change, of the inode's last change.
    file: [i64; 6],
    /// Change counter in the header.
    counter: u32,
    /// The same of the log, and its salt; none where there is no log.
    log: Option<([i64; 6], u64)>,
}

impl Mark {
    /// Looks at a database.
    pub fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut counter = [0; 4];
        // A file that is shorter is no database, and has no counter.
        let _ = file.read_exact_at(&mut counter, 24);
        let log = match File::open(log_of(path)) {
            Ok(log) => {
                let mut salt = [0; 8];
                let _ = log.read_exact_at(&mut salt, 16);
                Some((look(&log)?, u64::from_be_bytes(salt)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { file: look(&file)?, counter: u32::from_be_bytes(counter), log })
    }

    /// Seconds since 1970 of the last change that it tells of.
    pub fn changed_seconds(&self) -> i64 {
        let of = |numbers: &[i64; 6]| numbers[2].max(numbers[4]);
        self.log.as_ref().map_or(i64::MIN, |(numbers, _)| of(numbers)).max(of(&self.file))
    }
}

fn look(file: &File) -> io::Result<[i64; 6]> {
    let found = file.metadata()?;
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    Ok([
        whole(found.ino()),
        whole(found.len()),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ])
}

/// Path of the write-ahead log of a database.
pub(super) fn log_of(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// Path with something behind its last name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
