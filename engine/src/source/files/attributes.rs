//! Extended attributes, POSIX access lists among them, as the raw bytes that the kernel gives.
//!
//! A file system without attributes has none; any other failure is an error, never an empty list.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use repo_format::tree::Attribute;
use rustix::fs::{AtFlags, fgetxattr, flistxattr, lgetxattr, llistxattr, statat};
use rustix::io::Errno;

/// Most bytes of one value and of all names together; the kernel's own limit.
const BYTES_MAX: usize = 64 << 10;
/// Tried first: nearly every file fits.
const BYTES_USUAL: usize = 512;

enum Place<'a> {
    Open(BorrowedFd<'a>),
    Path(&'a [u8]),
}

impl Place<'_> {
    fn list(&self, out: &mut [u8]) -> rustix::io::Result<usize> {
        match self {
            Self::Open(fd) => flistxattr(fd, out),
            Self::Path(path) => llistxattr(*path, out),
        }
    }

    fn get(&self, name: &[u8], out: &mut [u8]) -> rustix::io::Result<usize> {
        match self {
            Self::Open(fd) => fgetxattr(fd, name, out),
            Self::Path(path) => lgetxattr(*path, name, out),
        }
    }
}

fn read(place: &Place<'_>) -> io::Result<Vec<Attribute>> {
    let Some(list) = whole(|out| place.list(out))? else { return Ok(Vec::new()) };
    let mut attributes = Vec::new();
    for name in list.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        // Nothing there any more: removed since it was listed.
        if let Some(value) = whole(|out| place.get(name, out))? {
            attributes.push(Attribute { name: name.into(), value: value.into() });
        }
    }
    attributes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    attributes.dedup_by(|a, b| a.name == b.name);
    Ok(attributes)
}

/// Reads a list or a value whole; none where there is none.
fn whole(
    mut get: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Option<Vec<u8>>> {
    let mut few = [0; BYTES_USUAL];
    let error = match get(&mut few) {
        Ok(length) => return Ok(Some(few[..length].to_vec())),
        Err(error) => error,
    };
    match error {
        Errno::NODATA | Errno::NOTSUP => Ok(None),
        Errno::RANGE => {
            let mut many = vec![0; BYTES_MAX];
            let length = get(&mut many)?;
            many.truncate(length);
            many.shrink_to_fit();
            Ok(Some(many))
        }
        error => Err(error.into()),
    }
}

/// Reads the attributes of an open file or directory, sorted by name.
pub fn of_open(file: impl AsFd) -> io::Result<Vec<Attribute>> {
    read(&Place::Open(file.as_fd()))
}

/// Reads the attributes of `name` below `directory`, of a link its own, sorted by name.
///
/// The kernel has no such call relative to a directory, so the path leads through `/proc`.
pub(super) fn of_name(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<Attribute>> {
    let mut path = Vec::with_capacity(32 + name.len());
    write!(path, "/proc/self/fd/{}/", directory.as_raw_fd())?;
    path.extend(name);
    let found = read(&Place::Path(&path));
    if let Err(error) = &found
        && error.kind() == io::ErrorKind::NotFound
        && statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    {
        let message = "extended attributes need /proc, which is not there";
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    found
}
