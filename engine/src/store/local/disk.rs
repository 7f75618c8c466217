//! What a store in a folder asks of the operating system, and nowhere else.
//!
//! The seam is this narrow so that a model of a disk can stand in its place, which loses in a crash
//! whatever was not synced.

use std::fmt::Debug;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, Result};

use super::direct;

/// How folders are opened.
pub(super) const FOLDER_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What the system says of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileType,
    /// Length in bytes.
    pub bytes: u64,
    /// Time of the last change, in whole seconds since 1970.
    pub modified_seconds: i64,
    /// The same in milliseconds, where that fits.
    pub modified_ms: Option<i64>,
    /// Names of the file.
    pub links: u64,
}

/// Folders and files of a disk, by handle; no call follows a symbolic link below the root.
pub trait Disk: Clone + Send + Sync + Debug + 'static {
    /// An open folder.
    type Folder: Send;
    /// An open file.
    type File: Send;

    /// Opens the folder of a store.
    fn open_root(&self, path: &Path) -> Result<Self::Folder>;
    /// Opens a folder in another.
    fn open_folder(&self, above: &Self::Folder, name: &str) -> Result<Self::Folder>;
    /// Makes a folder in another; an existing one is an error.
    fn make_folder(&self, above: &Self::Folder, name: &str) -> Result<()>;
    /// Makes the names in a folder outlive a crash.
    fn sync_folder(&self, folder: &Self::Folder) -> Result<()>;
    /// Writes a new file; an existing name is an error.
    fn create_file(&self, folder: &Self::Folder, name: &str, bytes: &[u8]) -> Result<Self::File>;
    /// Makes the bytes of a file outlive a crash.
    fn sync_file(&self, file: &Self::File) -> Result<()>;
    /// Gives a file a second name in its folder; an existing name is an error.
    fn link(&self, folder: &Self::Folder, from: &str, to: &str) -> Result<()>;
    /// Renames a file in its folder, replacing what is there.
    fn rename(&self, folder: &Self::Folder, from: &str, to: &str) -> Result<()>;
    /// Renames a file in its folder; an existing name is an error.
    fn rename_to_new(&self, folder: &Self::Folder, from: &str, to: &str) -> Result<()>;
    /// Removes a name of a file.
    fn unlink(&self, folder: &Self::Folder, name: &str) -> Result<()>;
    /// Says what a name is.
    fn look(&self, folder: &Self::Folder, name: &str) -> Result<Stat>;
    /// Opens a file for reading.
    fn open_file(&self, folder: &Self::Folder, name: &str) -> Result<(Self::File, Stat)>;
    /// Appends bytes from `offset` on to `out`, within its capacity; gives their number, which may
    /// be less than there is room for, and is 0 at the end.
    fn read(&self, file: &Self::File, out: &mut Vec<u8>, offset: u64) -> Result<usize>;
    /// Names in a folder, in any order; those that are not text are left out.
    fn names(&self, folder: &Self::Folder) -> Result<Vec<String>>;
}

/// The disks of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Disk for System {
    type Folder = OwnedFd;
    type File = OwnedFd;

    fn open_root(&self, path: &Path) -> Result<OwnedFd> {
        rustix::fs::open(path, FOLDER_FLAGS, Mode::empty())
    }

    fn open_folder(&self, above: &OwnedFd, name: &str) -> Result<OwnedFd> {
        rustix::fs::openat(above, name, FOLDER_FLAGS | OFlags::NOFOLLOW, Mode::empty())
    }

    fn make_folder(&self, above: &OwnedFd, name: &str) -> Result<()> {
        rustix::fs::mkdirat(above, name, Mode::RWXU)
    }

    fn sync_folder(&self, folder: &OwnedFd) -> Result<()> {
        match rustix::fs::fsync(folder) {
            // Some network and user-space file systems have no sync of folders at all.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
            synced => synced,
        }
    }

    fn create_file(&self, folder: &OwnedFd, name: &str, bytes: &[u8]) -> Result<OwnedFd> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(file);
        direct::write_all(&mut file, bytes)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(file.into())
    }

    fn sync_file(&self, file: &OwnedFd) -> Result<()> {
        rustix::io::retry_on_intr(|| rustix::fs::fsync(file))
    }

    fn link(&self, folder: &OwnedFd, from: &str, to: &str) -> Result<()> {
        rustix::fs::linkat(folder, from, folder, to, AtFlags::empty())
    }

    fn rename(&self, folder: &OwnedFd, from: &str, to: &str) -> Result<()> {
        rustix::fs::renameat(folder, from, folder, to)
    }

    fn rename_to_new(&self, folder: &OwnedFd, from: &str, to: &str) -> Result<()> {
        rustix::fs::renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE)
    }

    fn unlink(&self, folder: &OwnedFd, name: &str) -> Result<()> {
        rustix::fs::unlinkat(folder, name, AtFlags::empty())
    }

    fn look(&self, folder: &OwnedFd, name: &str) -> Result<Stat> {
        rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| convert(&stat))
    }

    fn open_file(&self, folder: &OwnedFd, name: &str) -> Result<(OwnedFd, Stat)> {
        // Without NONBLOCK a pipe of that name would hang the call.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        Ok((file, convert(&stat)))
    }

    fn read(&self, file: &OwnedFd, out: &mut Vec<u8>, offset: u64) -> Result<usize> {
        rustix::io::pread(file, rustix::buffer::spare_capacity(out), offset)
    }

    fn names(&self, folder: &OwnedFd) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

fn convert(stat: &rustix::fs::Stat) -> Stat {
    let milliseconds = i64::try_from(stat.st_mtime_nsec).ok().map(|ns| ns / 1_000_000);
    let modified_ms = stat.st_mtime.checked_mul(1000);
    let modified_ms = modified_ms.zip(milliseconds).and_then(|(s, ms)| s.checked_add(ms));
    Stat {
        kind: FileType::from_raw_mode(stat.st_mode),
        bytes: u64::try_from(stat.st_size).unwrap_or(0),
        modified_seconds: stat.st_mtime,
        modified_ms,
        links: stat.st_nlink,
    }
}
