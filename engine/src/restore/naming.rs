//! Giving things their names: what has no content, further names of a file, and the name of what
//! is damaged.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use repo_format::limits::NAME_BYTES_MAX;
use repo_format::tree::{Body, Entry};

use super::folder::Folder;
use super::links::Made;
use super::options::Overwrite;
use super::report::shown;
use super::run::{Run, Thing};
use crate::error::Result;
use crate::finding::Finding;
use crate::repo::blobs::BlobReader;
use crate::target::files::{
    Directory, Existing, Place, create_file, create_hard_link, create_special, create_symlink,
    remove_tree,
};

/// What is put behind the name of a file that is not whole.
pub(super) const DAMAGED: &[u8] = b".strongroom-damaged";

/// What is done about a thing that has the name.
pub(super) fn existing_mode(run: &Run<'_>, folder: &Folder) -> Existing {
    // Of two names that the file system takes for one, the second must not replace the first.
    if folder.is_new() || run.options.overwrite == Overwrite::Never {
        Existing::Fail
    } else {
        Existing::Update
    }
}

/// Does what makes a name; with `delete` a folder that stands in its place is removed for it.
fn with_room<T>(
    run: &Run<'_>,
    directory: &Directory,
    name: &[u8],
    existing: Existing,
    make: impl Fn() -> io::Result<T>,
) -> io::Result<T> {
    match make() {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            if run.options.delete && existing == Existing::Update {
                remove_tree(directory, name)?;
                run.tally.deleted.add(1);
                make()
            } else {
                Err(error)
            }
        }
        other => other,
    }
}

/// Makes a file for writing.
pub(super) fn make_file(
    run: &Run<'_>,
    folder: &Folder,
    name: &[u8],
    size: u64,
) -> io::Result<crate::target::files::FileWriter> {
    let directory = folder.directory()?;
    let existing = existing_mode(run, folder);
    with_room(run, &directory, name, existing, || create_file(&directory, name, size, existing))
}

/// Makes a link, device, named pipe or socket; gives the open directory that it is in.
pub(super) fn make_special(
    run: &Run<'_>,
    body: &Body,
    folder: &Folder,
    name: &[u8],
) -> io::Result<Arc<Directory>> {
    let directory = folder.directory()?;
    let existing = existing_mode(run, folder);
    with_room(run, &directory, name, existing, || match body {
        Body::Symlink { target } => create_symlink(&directory, name, target, existing),
        other => create_special(&directory, name, other, existing),
    })?;
    Ok(directory)
}

/// Gives a file that is not whole a name that says so; gives that name.
pub(super) fn set_aside(folder: &Folder, name: &[u8]) -> io::Result<Vec<u8>> {
    let directory = folder.directory()?;
    let mut last = None;
    for attempt in 0..16 {
        let mut end = DAMAGED.to_vec();
        if attempt > 0 {
            end.extend_from_slice(format!("-{attempt}").as_bytes());
        }
        let mut aside = name[..name.len().min(NAME_BYTES_MAX - end.len())].to_vec();
        aside.extend_from_slice(&end);
        match directory.rename(name, &aside) {
            Ok(()) => return Ok(aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AlreadyExists.into()))
}

/// Gives a file one more name, or, where the target cannot, makes a copy of it.
pub(super) fn link_or_copy(
    run: &Run<'_>,
    reader: &mut BlobReader<'_>,
    made: &Made,
    entry: &Entry,
    folder: &Folder,
    name: &[u8],
) -> Result<()> {
    let path = folder.path_of(name);
    run.ambient.progress.done(1, entry.totals().bytes);
    match link(run, made, folder, name) {
        Ok(()) => {}
        Err(error) if cannot_link(&error) => {
            let what = format!("it is a file of its own, not a further name: {error}");
            run.trouble(&path, what);
            if let Err(error) = copy(run, reader, made, entry, folder, name)? {
                return run.refused(&path, "copying it from its other name", &error);
            }
        }
        Err(error) => return run.refused(&path, "making a further name", &error),
    }
    run.tally.files.add(1);
    Ok(())
}

fn link(run: &Run<'_>, made: &Made, folder: &Folder, name: &[u8]) -> io::Result<()> {
    let from = made.folder.directory()?;
    let directory = folder.directory()?;
    let existing = existing_mode(run, folder);
    with_room(run, &directory, name, existing, || {
        create_hard_link(&from, &made.name, made.inode, &directory, name, existing)
    })
}

/// Says whether the target cannot give this file one more name, while others may be fine.
fn cannot_link(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    let kinds =
        [Kind::TooManyLinks, Kind::CrossesDevices, Kind::PermissionDenied, Kind::Unsupported];
    kinds.contains(&error.kind())
}

fn copy(
    run: &Run<'_>,
    reader: &mut BlobReader<'_>,
    made: &Made,
    entry: &Entry,
    folder: &Folder,
    name: &[u8],
) -> Result<io::Result<()>> {
    let path = folder.path_of(name);
    let thing = Thing { path: &path, metadata: &entry.metadata };
    let Body::File { size, .. } = entry.body else {
        let directory = match make_special(run, &entry.body, folder, name) {
            Ok(directory) => directory,
            Err(error) => return Ok(Err(error)),
        };
        let body = &entry.body;
        run.put_back(reader, Place::Named { directory: &directory, name, body }, thing)?;
        return Ok(Ok(()));
    };
    let opened = made.folder.look().and_then(|directory| directory.open_file(&made.name));
    let opened = opened.and_then(|from| Ok((from, make_file(run, folder, name, size)?.finish())));
    let (mut from, mut to) = match opened {
        Ok(files) => files,
        Err(error) => return Ok(Err(error)),
    };
    if let Err(error) = io::copy(&mut from, &mut to) {
        let _partial = folder.directory().and_then(|directory| directory.unlink(name));
        return Ok(Err(error));
    }
    run.tally.bytes_written.add(size);
    run.put_back(reader, Place::Open(to.as_fd()), thing)?;
    Ok(Ok(()))
}

/// Says of a further name that its content cannot be read.
pub(super) fn report_lost(run: &Run<'_>, path: &[u8]) {
    run.ambient.progress.done(1, 0);
    let what = "it is a further name of a file that could not be restored";
    run.find(Finding::loss(shown(path), what));
}
