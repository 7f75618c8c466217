//! Removing what a restore does not want to keep.
//!
//! Links are removed, never followed; what is mounted below stays and is an error. Neither depth
//! nor width of what is removed costs memory or handles without bound.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, SeekFrom, renameat_with, seek,
    unlinkat,
};
use rustix::io::Errno;

use super::directory::{ATTEMPTS, Directory, component, contested, open_beneath};

/// Handles held at once; a directory deeper than this is moved up first.
const DEPTH_MAX: usize = 64;
/// Bytes of names read before the things of these names are removed.
const LISTING_BYTES: usize = 16 << 10;

/// Removes `name` and, if it is a directory, all below it; nothing there is fine.
///
/// Stops at the first thing that cannot be removed.
pub fn remove_tree(directory: &Directory, name: &[u8]) -> io::Result<()> {
    let name = component(name)?;
    match unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(error) => return Err(error.into()),
    }
    for _attempt in 0..ATTEMPTS {
        let top = match open_for_removal(directory.as_fd(), name) {
            Err(Errno::NOENT) => return Ok(()),
            // Swapped since.
            Err(Errno::NOTDIR | Errno::LOOP) => return directory.unlink(name),
            other => other?,
        };
        let mut removal = Removal { top: top.as_fd(), moved: 0 };
        // What was too deep lies in the top directory now; each round makes it less deep.
        loop {
            let moved_before = removal.moved;
            removal.empty(top.as_fd(), 0)?;
            if removal.moved == moved_before {
                break;
            }
        }
        match unlinkat(directory, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // Someone put more into it.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(contested(name))
}

fn open_for_removal(directory: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    open_beneath(directory, name, flags, Mode::empty(), ResolveFlags::NO_XDEV)
}

struct Removal<'a> {
    top: BorrowedFd<'a>,
    /// Directories moved up into the top one so far.
    moved: u64,
}

impl Removal<'_> {
    /// Removes all that is in a directory. The top one may hold what was moved up afterwards.
    fn empty(&mut self, directory: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
        // Removing entries while listing them may hide others, so a directory counts as empty only
        // when a listing from its beginning shows nothing.
        loop {
            let names = some_names(directory)?;
            if names.is_empty() {
                return Ok(());
            }
            let moved_before = self.moved;
            for name in &names {
                self.remove(directory, name, depth)?;
            }
            if depth == 0 && self.moved > moved_before {
                return Ok(());
            }
        }
    }

    fn remove(&mut self, directory: BorrowedFd<'_>, name: &[u8], depth: usize) -> io::Result<()> {
        match unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR) => {}
            Err(error) => return Err(named(name, error)),
        }
        if depth >= DEPTH_MAX {
            return self.move_up(directory, name);
        }
        let child = match open_for_removal(directory, name) {
            Err(Errno::NOENT) => return Ok(()),
            other => other.map_err(|error| named(name, error))?,
        };
        self.empty(child.as_fd(), depth + 1)?;
        match unlinkat(directory, name, AtFlags::REMOVEDIR) {
            // One that was filled again meanwhile is met again by the next listing.
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(error) => Err(named(name, error)),
        }
    }

    fn move_up(&mut self, directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
        loop {
            self.moved += 1;
            let place = format!(".removed-{}", self.moved);
            match renameat_with(directory, name, self.top, place, RenameFlags::NOREPLACE) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(named(name, error)),
            }
        }
    }
}

/// Lists a directory from its beginning, up to a number of names.
fn some_names(directory: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    seek(directory, SeekFrom::Start(0))?;
    let mut buffer = Vec::with_capacity(LISTING_BYTES);
    let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let name = match entry {
            Err(Errno::INTR) => continue,
            other => other?.file_name().to_bytes().to_vec(),
        };
        if name != b"." && name != b".." {
            names.push(name);
        }
        if entries.is_buffer_empty() && !names.is_empty() {
            break;
        }
    }
    Ok(names)
}

fn named(name: &[u8], error: Errno) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(error.kind(), format!("\"{}\": {error}", name.escape_ascii()))
}
