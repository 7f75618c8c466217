//! Folders below the root of a store, by handle and never by way of a symbolic link.

use std::os::fd::OwnedFd;

use repo_format::ObjectName;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::TEMPORARY_PREFIX;

/// How folders are opened.
pub(super) const FOLDER_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// One file of a walk.
pub(super) struct Entry<'a> {
    /// Name in its folder.
    pub(super) name: &'a str,
    /// Path below the root, with slashes.
    pub(super) path: &'a str,
    /// What the system says of it.
    pub(super) stat: &'a Stat,
}

/// Calls `each` for everything but folders below `folder`; a folder whose name no object could
/// have is not entered, so the depth is bounded by the longest name.
pub(super) fn visit(
    folder: &OwnedFd,
    prefix: &str,
    each: &mut dyn FnMut(&OwnedFd, &Entry<'_>) -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name == "." || name == ".." {
            continue;
        }
        let path = format!("{prefix}{name}");
        let may_hold_objects = ObjectName::parse(&path).is_some();
        if !may_hold_objects && !name.starts_with(TEMPORARY_PREFIX) {
            continue;
        }
        // Whatever vanishes between the two calls was deleted by somebody, and so is not there.
        let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            each(folder, &Entry { name, path: &path, stat: &stat })?;
        } else if may_hold_objects {
            match open_folder(folder, name) {
                Err(Errno::NOENT) => {}
                below => visit(&below?, &format!("{path}/"), each)?,
            }
        }
    }
    Ok(())
}

pub(super) fn walk(root: OwnedFd, folder: &str) -> rustix::io::Result<OwnedFd> {
    parts(folder).try_fold(root, |current, (_, part)| open_folder(&current, part))
}

pub(super) fn open_folder(above: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(above, name, FOLDER_FLAGS | OFlags::NOFOLLOW, Mode::empty())
}

pub(super) fn unlink(folder: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    rustix::fs::unlinkat(folder, name, AtFlags::empty())
}

pub(super) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

pub(super) fn modified_ms(stat: &Stat) -> Option<i64> {
    let milliseconds = i64::try_from(stat.st_mtime_nsec).ok()? / 1_000_000;
    stat.st_mtime.checked_mul(1000)?.checked_add(milliseconds)
}

/// Folder and last part of a name; the folder is empty at the root.
pub(super) fn split(name: &ObjectName) -> (&str, &str) {
    name.as_str().rsplit_once('/').unwrap_or(("", name.as_str()))
}

/// Parts of a folder's path, each with the place in the path where it ends.
pub(super) fn parts(folder: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut end = 0;
    folder.split('/').filter(|part| !part.is_empty()).map(move |part| {
        end += part.len() + usize::from(end > 0);
        (end, part)
    })
}
