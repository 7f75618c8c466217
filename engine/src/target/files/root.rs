//! The directory below which a restore happens.
//!
//! Only the path of the root itself is resolved as the person wrote it; below it, links are
//! refused.

use std::io;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::directory::Directory;

/// The target of a restore.
#[derive(Debug)]
pub struct Root {
    directory: Directory,
}

impl Root {
    /// Opens the directory, after making it and those above it where they are missing. Links in
    /// the path are followed, for it is the person's own.
    pub fn open_or_create(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { directory: Directory::opened(fd) })
    }

    /// Opens the directory, for looking at it; `None` where nothing is there.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat(CWD, path, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { directory: Directory::opened(fd) })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The root itself.
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Opens the directory at `parents`, one component after the other; none gives the root.
    ///
    /// A link on the way, or anything else that is no directory, is an error that names it.
    pub fn resolve(&self, parents: &[&[u8]]) -> io::Result<Directory> {
        let Some((first, rest)) = parents.split_first() else {
            return self.directory.try_clone();
        };
        let mut directory = self.directory.open_child(first)?;
        for name in rest {
            directory = directory.open_child(name)?;
        }
        Ok(directory)
    }
}
