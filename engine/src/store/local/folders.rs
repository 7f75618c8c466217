//! Folders below the root of a store, by handle and never by way of a symbolic link.

use repo_format::ObjectName;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::TEMPORARY_PREFIX;
use super::disk::{Disk, Stat};

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
pub(super) fn visit<D: Disk>(
    disk: &D,
    folder: &D::Folder,
    prefix: &str,
    each: &mut dyn FnMut(&D::Folder, &Entry<'_>) -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    for name in disk.names(folder)? {
        let name = name.as_str();
        let path = format!("{prefix}{name}");
        let may_hold_objects = ObjectName::parse(&path).is_some();
        if !may_hold_objects && !name.starts_with(TEMPORARY_PREFIX) {
            continue;
        }
        // Whatever vanishes between the two calls was deleted by somebody, and so is not there.
        let stat = match disk.look(folder, name) {
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        if stat.kind != FileType::Directory {
            each(folder, &Entry { name, path: &path, stat: &stat })?;
        } else if may_hold_objects {
            match disk.open_folder(folder, name) {
                Err(Errno::NOENT) => {}
                below => visit(disk, &below?, &format!("{path}/"), each)?,
            }
        }
    }
    Ok(())
}

/// Opens a folder below another by its path.
pub(super) fn walk<D: Disk>(
    disk: &D,
    root: D::Folder,
    folder: &str,
) -> rustix::io::Result<D::Folder> {
    parts(folder).try_fold(root, |current, (_, part)| disk.open_folder(&current, part))
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
