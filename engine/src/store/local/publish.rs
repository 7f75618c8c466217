//! Gives finished files their names without replacing anything.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::folders::unlink;

/// Ways to give a finished temporary file its name, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Publish {
    /// A hard link, which never replaces.
    Link,
    /// A rename that is told not to replace, where there are no hard links.
    RenameWithoutReplacing,
    /// A look, then a rename: two writers of one name may both succeed.
    LookThenRename,
}

impl Publish {
    /// Gives the temporary file its name unless that name is taken, in this way or a lesser one.
    pub(super) fn name(
        self,
        folder: &OwnedFd,
        temporary: &str,
        name: &str,
    ) -> rustix::io::Result<()> {
        let ways = [Self::Link, Self::RenameWithoutReplacing, Self::LookThenRename];
        for way in ways.into_iter().filter(|way| *way >= self) {
            match way.try_name(folder, temporary, name) {
                // What file systems say that do not know this way.
                Err(
                    Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK | Errno::INVAL,
                ) if way < Self::LookThenRename => {}
                published => return published,
            }
        }
        Err(Errno::OPNOTSUPP)
    }

    fn try_name(self, folder: &OwnedFd, temporary: &str, name: &str) -> rustix::io::Result<()> {
        match self {
            Self::Link => {
                match rustix::fs::linkat(folder, temporary, folder, name, AtFlags::empty()) {
                    // A network file system repeats a request whose answer was lost.
                    Err(Errno::EXIST) if is_linked_twice(folder, temporary) => {}
                    linked => linked?,
                }
                // A second name that cannot be removed is a stale temporary like any other.
                let _ = unlink(folder, temporary);
                Ok(())
            }
            Self::RenameWithoutReplacing => {
                let flags = RenameFlags::NOREPLACE;
                rustix::fs::renameat_with(folder, temporary, folder, name, flags)
            }
            Self::LookThenRename => {
                match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Err(Errno::NOENT) => rustix::fs::renameat(folder, temporary, folder, name),
                    Err(errno) => Err(errno),
                    Ok(_) => Err(Errno::EXIST),
                }
            }
        }
    }
}

fn is_linked_twice(folder: &OwnedFd, name: &str) -> bool {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| stat.st_nlink == 2)
}
