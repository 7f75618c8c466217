//! Reads what was restored back from the disk and compares it with what the backup recorded.
//!
//! The digest was taken when the file was backed up, so it proves the whole way: chunks, packs,
//! fetching, writing, and the disk.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crossbeam_channel::Sender;
use repo_format::tree::{Body, Entry, Metadata};
use rustix::fs::{Advice, fadvise};

use super::existing::has_digest;
use super::folder::look;
use super::here::Here;
use super::links::Key;
use super::options::Overwrite;
use super::report::shown;
use super::run::{Run, send};
use super::walk::{Visitor, name_of};
use crate::error::{Error, Result};
use crate::finding::{Finding, Severity};
use crate::source::files::{Kind, Stat};
use crate::target::files::Directory;

/// Groups of names that are remembered, so that each content is read once.
const GROUPS_MAX: usize = 1 << 20;

/// A file to be read back.
#[derive(Debug)]
pub(super) struct Check {
    directory: Arc<Directory>,
    path: Vec<u8>,
    size: u64,
    digest: [u8; 32],
}

/// The walk that finds what is to be read back.
#[derive(Debug)]
pub(super) struct Verify<'a> {
    run: &'a Run<'a>,
    workers: &'a Sender<Check>,
    /// What is reported already.
    known: std::collections::HashSet<Vec<u8>>,
    groups: HashMap<Key, (u64, u64)>,
}

impl<'a> Verify<'a> {
    pub(super) fn new(run: &'a Run<'a>, workers: &'a Sender<Check>) -> Self {
        Self { run, workers, known: run.tally.known_wrong(), groups: HashMap::new() }
    }

    fn is_known(&self, path: &[u8]) -> bool {
        self.known.contains(shown(path).as_bytes())
    }

    /// Says whether a further name is that of a file that is read back already.
    fn is_same(&mut self, entry: &Entry, stat: &Stat) -> bool {
        let Some(key) = Key::of(entry) else { return false };
        let inode = (stat.device, stat.inode);
        if self.groups.len() >= GROUPS_MAX {
            return self.groups.get(&key) == Some(&inode);
        }
        let before = self.groups.insert(key, inode);
        before == Some(inode)
    }

    fn examine(
        &mut self,
        here: &mut Here,
        path: &[u8],
        entry: &Entry,
    ) -> io::Result<Option<Check>> {
        let handle = here.handle()?;
        let directory = look(&handle)?;
        let stat = directory.stat(&entry.name)?;
        let is_right = match &entry.body {
            Body::File { size, digest, .. } if stat.kind == Kind::File && stat.size == *size => {
                if !self.is_same(entry, &stat) {
                    let (path, digest) = (path.to_vec(), *digest);
                    return Ok(Some(Check { directory: handle, path, size: *size, digest }));
                }
                true
            }
            Body::Symlink { target } => {
                stat.kind == Kind::Symlink && directory.read_link(&entry.name)? == **target
            }
            Body::File { .. } | Body::Directory { .. } => false,
            Body::BlockDevice { .. } => stat.kind == Kind::BlockDevice,
            Body::CharacterDevice { .. } => stat.kind == Kind::CharacterDevice,
            Body::Fifo => stat.kind == Kind::Fifo,
            Body::Socket => stat.kind == Kind::Socket,
        };
        if is_right {
            self.run.tally.files_verified.add(1);
        } else {
            differs(self.run, path);
        }
        Ok(None)
    }
}

/// Takes note of a thing that is not as in the snapshot.
fn differs(run: &Run<'_>, path: &[u8]) {
    let what = "read back, it is not what was backed up";
    let mut finding = Finding::loss(shown(path), what);
    if run.options.overwrite == Overwrite::Never {
        // It may be what was there before.
        finding.severity = Severity::Notice;
    }
    run.find(finding);
}

/// Reads one file back.
pub(super) fn check(run: &Run<'_>, check: &Check) -> Result<()> {
    run.go_on()?;
    let read = || -> io::Result<bool> {
        let file = look(&check.directory)?.open_file(name_of(&check.path))?;
        // What is clean leaves the memory, so that it is the disk that is read.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
        has_digest(&file, check.size, &check.digest)
    };
    match read() {
        Ok(true) => {
            run.tally.files_verified.add(1);
            run.tally.bytes_verified.add(check.size);
        }
        Ok(false) => differs(run, &check.path),
        Err(error) => unreadable(run, &check.path, &error),
    }
    Ok(())
}

/// Takes note of a thing that cannot be read back.
fn unreadable(run: &Run<'_>, path: &[u8], error: &io::Error) {
    match error.kind() {
        io::ErrorKind::NotFound => {
            run.find(Finding::loss(shown(path), "it is not there when it is read back"));
        }
        io::ErrorKind::PermissionDenied => {
            run.trouble(path, format!("it is not read back: {error}"));
        }
        _ => run.find(Finding::loss(shown(path), format!("reading it back: {error}"))),
    }
}

impl Visitor for Verify<'_> {
    type Folder = Here;

    fn enter(&mut self, parent: &mut Here, path: &[u8], _: Metadata) -> Result<Option<Here>> {
        self.run.go_on()?;
        let name = name_of(path);
        match parent.handle().and_then(|handle| handle.open_child(name)) {
            Ok(directory) => Ok(Some(parent.child(name, directory, None))),
            Err(error) => {
                if !self.is_known(path) {
                    unreadable(self.run, path, &error);
                }
                Ok(None)
            }
        }
    }

    fn take(&mut self, here: &mut Here, path: &[u8], entry: Entry) -> Result<()> {
        self.run.go_on()?;
        if self.is_known(path) {
            return Ok(());
        }
        match self.examine(here, path, &entry) {
            Ok(Some(check)) => send(self.workers, check),
            Ok(None) => Ok(()),
            Err(error) => {
                unreadable(self.run, path, &error);
                Ok(())
            }
        }
    }

    fn damaged(&mut self, _: Option<&mut Here>, _: &[u8], _: &Error) -> Result<()> {
        // The restore has said so.
        Ok(())
    }

    fn leave(&mut self, _: Here, _: &[u8]) -> Result<()> {
        Ok(())
    }
}
