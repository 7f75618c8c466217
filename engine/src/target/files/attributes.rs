//! Extended attributes, put back so that a thing has those of the snapshot and no others.
//!
//! What it inherits from the folder it was made in (an access list above all) would otherwise let
//! in whom the snapshot does not. Labels that the system gives (`security.*`) are left alone, but
//! for capabilities.

use std::os::fd::BorrowedFd;

use repo_format::tree::Attribute;
use rustix::fs::{
    XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr, getxattr, listxattr, removexattr,
    setxattr,
};
use rustix::io::{Errno, Result};

use super::directory::pinned_path;
use super::metadata::{Aspect, Problem};

/// Most bytes of one value and of all names together; the kernel's own limit.
const BYTES_MAX: usize = 64 << 10;
/// Tried first: nearly every list fits.
const BYTES_USUAL: usize = 512;

/// How an inode is reached.
pub(super) enum Handle<'a> {
    /// Open for reading or writing.
    Open(BorrowedFd<'a>),
    /// Pinned by a handle that the attribute calls do not take; the path leads to it and no
    /// further, even if it is a link.
    Pinned(String),
}

impl Handle<'_> {
    pub(super) fn pinned(fd: BorrowedFd<'_>) -> Self {
        Self::Pinned(pinned_path(fd))
    }

    fn list(&self, out: &mut [u8]) -> Result<usize> {
        match self {
            Self::Open(fd) => flistxattr(fd, out),
            Self::Pinned(path) => listxattr(path, out),
        }
    }

    fn get(&self, name: &[u8], out: &mut [u8]) -> Result<usize> {
        match self {
            Self::Open(fd) => fgetxattr(fd, name, out),
            Self::Pinned(path) => getxattr(path, name, out),
        }
    }

    fn set(&self, attribute: &Attribute) -> Result<()> {
        let (name, value, flags) = (&*attribute.name, &*attribute.value, XattrFlags::empty());
        match self {
            Self::Open(fd) => fsetxattr(fd, name, value, flags),
            Self::Pinned(path) => setxattr(path, name, value, flags),
        }
    }

    fn remove(&self, name: &[u8]) -> Result<()> {
        match self {
            Self::Open(fd) => fremovexattr(fd, name),
            Self::Pinned(path) => removexattr(path, name),
        }
    }

    fn names(&self) -> Result<Vec<u8>> {
        let mut few = [0; BYTES_USUAL];
        match self.list(&mut few) {
            Ok(length) => Ok(few[..length].to_vec()),
            Err(Errno::NOTSUP) => Ok(Vec::new()),
            Err(Errno::RANGE) => {
                let mut many = vec![0; BYTES_MAX];
                let length = self.list(&mut many)?;
                many.truncate(length);
                Ok(many)
            }
            Err(error) => Err(error),
        }
    }

    fn has(&self, attribute: &Attribute) -> bool {
        let mut value = vec![0; attribute.value.len().min(BYTES_MAX) + 1];
        self.get(&attribute.name, &mut value)
            .is_ok_and(|length| value[..length] == *attribute.value)
    }
}

/// Makes the attributes of an inode those given, as far as this user may.
pub(super) fn apply(handle: &Handle<'_>, wanted: &[Attribute], problems: &mut Vec<Problem>) {
    let names = handle.names().unwrap_or_else(|error| {
        problems.push(Problem::new(Aspect::Attributes, error));
        Vec::new()
    });
    let present = names.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    for name in present.filter(|name| is_removed(name)) {
        if wanted.iter().any(|attribute| *attribute.name == *name) {
            continue;
        }
        match handle.remove(name) {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(error) => problems.push(Problem::new(Aspect::Attribute(name.to_vec()), error)),
        }
    }
    for attribute in wanted {
        match handle.set(attribute) {
            Ok(()) => {}
            // The system may have given it already.
            Err(_) if handle.has(attribute) => {}
            Err(error) => {
                problems.push(Problem::new(Aspect::Attribute(attribute.name.to_vec()), error));
            }
        }
    }
}

fn is_removed(name: &[u8]) -> bool {
    let namespaces: [&[u8]; 3] = [b"user.", b"trusted.", b"system.posix_acl_"];
    namespaces.iter().any(|space| name.starts_with(space)) || name == b"security.capability"
}
