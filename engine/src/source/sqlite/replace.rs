//! Puts a database in place of another one: all of it, or nothing.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::mark::beside;

/// Has `write` write a database beside `path` and then puts it there; nothing is replaced unless
/// `overwrites` says so. What a former database left behind (its log, its index, its journal) goes
/// before the new one takes the name, since it would be read into it.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when there is something and it is to stay; what could not be
/// written.
pub fn replace(
    path: &Path,
    overwrites: bool,
    write: &mut dyn FnMut(&mut File) -> io::Result<u64>,
) -> io::Result<u64> {
    let leavings = ["-wal", "-shm", "-journal"].map(|suffix| beside(path, suffix));
    let exists = |path: &Path| fs::symlink_metadata(path).is_ok();
    if !overwrites && (exists(path) || leavings.iter().any(|path| exists(path))) {
        let what = format!("there is a database at {} already", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut aside = tempfile::Builder::new().prefix(".restoring-").tempfile_in(folder)?;
    let bytes = write(aside.as_file_mut())?;
    if let Ok(before) = fs::metadata(path) {
        aside.as_file().set_permissions(before.permissions())?;
    }
    aside.as_file().sync_all()?;
    for leaving in &leavings {
        match fs::remove_file(leaving) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    if overwrites {
        aside.persist(path).map_err(|error| error.error)?;
    } else {
        aside.persist_noclobber(path).map_err(|error| error.error)?;
    }
    File::open(folder)?.sync_all()?;
    Ok(bytes)
}
