//! Symbolic links, hard links, devices, named pipes and sockets.
//!
//! A hard link counts only if it leads to the very inode that this run made or checked; one that
//! was swapped meanwhile is taken away again before anything is done to it.

use std::io;

use repo_format::tree::Body;
use rustix::fs::{
    AtFlags, FileType, Mode, Stat, linkat, makedev, mknodat, readlinkat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::directory::{ATTEMPTS, Directory, Existing, component, contested, kind_of, taken};

/// Identity of a thing in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Inode {
    /// Device number.
    pub device: u64,
    /// Inode number on the device.
    pub inode: u64,
}

impl Inode {
    /// Looks at `name` itself; nothing there is an error.
    pub fn of(directory: &Directory, name: &[u8]) -> io::Result<Self> {
        let stat = directory.stat(component(name)?)?;
        stat.map(|stat| Self::from_stat(&stat)).ok_or_else(|| Errno::NOENT.into())
    }

    pub(super) const fn from_stat(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// Makes a symbolic link; its target is never looked at. With [`Existing::Update`] one of the same
/// target stays.
pub fn create_symlink(
    directory: &Directory,
    name: &[u8],
    target: &[u8],
    existing: Existing,
) -> io::Result<()> {
    let same = |found: &Stat| {
        kind_of(found) == FileType::Symlink
            && readlinkat(directory, name, Vec::new()).is_ok_and(|now| now.as_bytes() == target)
    };
    create(directory, name, existing, same, || symlinkat(target, directory, name))
}

/// Makes a device, named pipe or socket with mode 0600; any other body is an error.
///
/// Devices need the rights of root. What is there already is never taken for the same.
pub fn create_special(
    directory: &Directory,
    name: &[u8],
    body: &Body,
    existing: Existing,
) -> io::Result<()> {
    let (kind, device) = match *body {
        Body::BlockDevice { major, minor } => (FileType::BlockDevice, makedev(major, minor)),
        Body::CharacterDevice { major, minor } => {
            (FileType::CharacterDevice, makedev(major, minor))
        }
        Body::Fifo => (FileType::Fifo, 0),
        Body::Socket => (FileType::Socket, 0),
        Body::File { .. } | Body::Directory { .. } | Body::Symlink { .. } => {
            let message = "only devices, named pipes and sockets are made without content";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
    };
    let mode = Mode::RUSR | Mode::WUSR;
    create(directory, name, existing, |_| false, || mknodat(directory, name, kind, mode, device))
}

/// Gives what this run made as `from` in `from_directory` one more name.
///
/// `made` is what [`super::FileWriter::inode`] or [`Inode::of`] said when it was made; if `from`
/// means something else by now, the link is taken away again and that is an error.
pub fn create_hard_link(
    from_directory: &Directory,
    from: &[u8],
    made: Inode,
    directory: &Directory,
    name: &[u8],
    existing: Existing,
) -> io::Result<()> {
    let from = component(from)?;
    let same = |found: &Stat| Inode::from_stat(found) == made;
    // Without the flag to follow links, a link here is itself what gets one more name.
    let link = || linkat(from_directory, from, directory, name, AtFlags::empty());
    create(directory, name, existing, same, link)?;
    if directory.stat(name)?.is_some_and(|stat| same(&stat)) {
        return Ok(());
    }
    let _gone = unlinkat(directory, name, AtFlags::empty());
    let shown = from.escape_ascii();
    Err(io::Error::other(format!("\"{shown}\" in the target was replaced during the restore")))
}

/// Makes something that must not be there yet, after clearing the name where that is asked for.
fn create(
    directory: &Directory,
    name: &[u8],
    existing: Existing,
    same: impl Fn(&Stat) -> bool,
    make: impl Fn() -> rustix::io::Result<()>,
) -> io::Result<()> {
    let name = component(name)?;
    for _attempt in 0..ATTEMPTS {
        match make() {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) if existing == Existing::Fail => return Err(taken(name)),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let found = directory.stat(name)?;
        if existing == Existing::Update && found.as_ref().is_some_and(&same) {
            return Ok(());
        }
        directory.unlink(name)?;
    }
    Err(contested(name))
}
