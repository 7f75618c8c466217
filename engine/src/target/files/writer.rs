//! A file being restored.
//!
//! Until its metadata is applied only its owner may read it, and its length is fixed when it is
//! made: what a snapshot says about offsets cannot make it grow.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, FileType, Mode, OFlags, fallocate, fchmod, fstat, ftruncate};
use rustix::io::Errno;

use super::directory::{ATTEMPTS, Directory, Existing, component, contested, kind_of, taken};
use super::links::Inode;

/// Zeros written at once where holes cannot be punched.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A file being restored; several threads may write into it.
#[derive(Debug)]
pub struct FileWriter {
    file: File,
    size: u64,
    is_new: bool,
}

/// Makes the file `name`, or opens it to be changed in place, `size` bytes long.
///
/// A new file is one hole: what is not written stays a hole. With [`Existing::Update`] a regular
/// file of one name, which this user may write and make private, keeps its bytes up to `size`; any
/// other, above all one with further names outside of the restore, is replaced. A directory of
/// that name is an error.
pub fn create_file(
    directory: &Directory,
    name: &[u8],
    size: u64,
    existing: Existing,
) -> io::Result<FileWriter> {
    let name = component(name)?;
    for _attempt in 0..ATTEMPTS {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        match directory.open_beneath(name, flags, private()) {
            Ok(fd) => return FileWriter::sized(fd, size, true),
            Err(Errno::EXIST) if existing == Existing::Fail => return Err(taken(name)),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(directory.refusal(name, error)),
        }
        if existing == Existing::Update
            && let Some(fd) = open_for_update(directory, name)?
        {
            return FileWriter::sized(fd, size, false);
        }
        directory.unlink(name)?;
    }
    Err(contested(name))
}

fn private() -> Mode {
    Mode::RUSR | Mode::WUSR
}

/// Opens what is there if it may be changed in place.
fn open_for_update(directory: &Directory, name: &[u8]) -> io::Result<Option<OwnedFd>> {
    let fits = |stat: &rustix::fs::Stat| {
        // Changing a file with further names would change them too, wherever they are.
        kind_of(stat) == FileType::RegularFile && stat.st_nlink == 1
    };
    // Looked at first, because opening a device can have effects; and again once it is open.
    if !directory.stat(name)?.is_some_and(|stat| fits(&stat)) {
        return Ok(None);
    }
    let flags = OFlags::RDWR | OFlags::NONBLOCK;
    let fd = match directory.open_beneath(name, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(
            Errno::LOOP | Errno::ACCESS | Errno::PERM | Errno::NOENT | Errno::NXIO | Errno::TXTBSY,
        ) => return Ok(None),
        Err(error) => return Err(directory.refusal(name, error)),
    };
    if !fits(&fstat(&fd)?) || fchmod(&fd, private()).is_err() {
        return Ok(None);
    }
    Ok(Some(fd))
}

impl FileWriter {
    fn sized(fd: OwnedFd, size: u64, is_new: bool) -> io::Result<Self> {
        if !is_new || size > 0 {
            ftruncate(&fd, size)?;
        }
        Ok(Self { file: fd.into(), size, is_new })
    }

    /// Says whether the file was made just now, and so is one hole.
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Length of the file in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The file, for reading what is in it.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Identity of the file, for giving it further names.
    pub fn inode(&self) -> io::Result<Inode> {
        Ok(Inode::from_stat(&fstat(&self.file)?))
    }

    /// Writes all of `bytes` at `offset`; past the end of the file is an error.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check(offset, bytes.len() as u64)?;
        self.file.write_all_at(bytes, offset)
    }

    /// Makes a range read as zeros, without blocks where the file system can.
    pub fn punch_hole(&self, range: Range<u64>) -> io::Result<()> {
        let length = range.end.saturating_sub(range.start);
        self.check(range.start, length)?;
        if self.is_new || length == 0 {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, flags, range.start, length) {
            Err(Errno::NOTSUP | Errno::NOSYS) => self.write_zeros(range),
            other => Ok(other?),
        }
    }

    fn write_zeros(&self, range: Range<u64>) -> io::Result<()> {
        let mut at = range.start;
        while at < range.end {
            let step = (range.end - at).min(ZEROS.len() as u64);
            let zeros = usize::try_from(step).unwrap_or(ZEROS.len()).min(ZEROS.len());
            self.file.write_all_at(&ZEROS[..zeros], at)?;
            at += step;
        }
        Ok(())
    }

    fn check(&self, offset: u64, length: u64) -> io::Result<()> {
        if offset.checked_add(length).is_some_and(|end| end <= self.size) {
            return Ok(());
        }
        let message =
            format!("{length} bytes at {offset} are past the end of a file of {}", self.size);
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    }

    /// Changes the length; new bytes are a hole.
    pub fn set_len(&mut self, size: u64) -> io::Result<()> {
        self.file.set_len(size)?;
        self.size = size;
        Ok(())
    }

    /// Waits until the bytes are on the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Ends writing and gives the open file, to which its metadata is to be applied
    /// ([`super::Place::Open`]).
    pub fn finish(self) -> File {
        self.file
    }
}

impl AsFd for FileWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
