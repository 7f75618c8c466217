//! Gives finished files their names without replacing anything.

use rustix::io::Errno;

use super::disk::Disk;

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
    pub(super) fn name<D: Disk>(
        self,
        disk: &D,
        folder: &D::Folder,
        temporary: &str,
        name: &str,
    ) -> rustix::io::Result<()> {
        let ways = [Self::Link, Self::RenameWithoutReplacing, Self::LookThenRename];
        for way in ways.into_iter().filter(|way| *way >= self) {
            match way.try_name(disk, folder, temporary, name) {
                // What file systems say that do not know this way.
                Err(
                    Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK | Errno::INVAL,
                ) if way < Self::LookThenRename => {}
                published => return published,
            }
        }
        Err(Errno::OPNOTSUPP)
    }

    fn try_name<D: Disk>(
        self,
        disk: &D,
        folder: &D::Folder,
        temporary: &str,
        name: &str,
    ) -> rustix::io::Result<()> {
        match self {
            Self::Link => {
                match disk.link(folder, temporary, name) {
                    // A network file system repeats a request whose answer was lost.
                    Err(Errno::EXIST) if is_linked_twice(disk, folder, temporary) => {}
                    linked => linked?,
                }
                // A second name that cannot be removed is a stale temporary like any other.
                let _ = disk.unlink(folder, temporary);
                Ok(())
            }
            Self::RenameWithoutReplacing => disk.rename_to_new(folder, temporary, name),
            Self::LookThenRename => match disk.look(folder, name) {
                Err(Errno::NOENT) => disk.rename(folder, temporary, name),
                Err(errno) => Err(errno),
                Ok(_) => Err(Errno::EXIST),
            },
        }
    }
}

fn is_linked_twice<D: Disk>(disk: &D, folder: &D::Folder, name: &str) -> bool {
    disk.look(folder, name).is_ok_and(|stat| stat.links == 2)
}
