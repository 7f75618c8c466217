//! A directory being restored, held by everything that is still to happen in it.
//!
//! Who lets go of it last puts its metadata back, and lets go of the one above it: so metadata of
//! directories comes last, deepest first, and none is kept longer than needed. A handle stays open
//! while someone uses it; afterwards the way down from the root is gone again, by handles.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use repo_format::tree::Metadata;

use super::run::{Run, Thing};
use crate::error::Result;
use crate::repo::blobs::BlobReader;
use crate::source::files as found;
use crate::target::files::{Directory, Place};

/// A directory being restored.
#[derive(Debug)]
pub(super) struct Folder {
    parent: Option<Arc<Folder>>,
    /// Name in the target; of the top one its path in the snapshot.
    name: Box<[u8]>,
    /// What is put back at the end, if anything.
    metadata: Option<Box<Metadata>>,
    is_new: bool,
    handle: Mutex<Weak<Directory>>,
    /// The top one has no way to be opened again.
    top: Option<Arc<Directory>>,
}

impl Folder {
    /// The target itself, for what has `path` in the snapshot.
    pub(super) fn top(
        directory: Arc<Directory>,
        path: &[u8],
        is_new: bool,
        metadata: Option<Box<Metadata>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            parent: None,
            name: path.into(),
            metadata,
            is_new,
            handle: Mutex::new(Arc::downgrade(&directory)),
            top: Some(directory),
        })
    }

    /// A directory in another one.
    pub(super) fn below(
        parent: &Arc<Self>,
        name: &[u8],
        directory: &Arc<Directory>,
        metadata: Option<Metadata>,
    ) -> Arc<Self> {
        Arc::new(Self {
            parent: Some(Arc::clone(parent)),
            name: name.into(),
            metadata: metadata.map(Box::new),
            is_new: directory.is_new(),
            handle: Mutex::new(Arc::downgrade(directory)),
            top: None,
        })
    }

    /// Says whether this run made the directory, so that nothing was in it.
    pub(super) const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Path in the snapshot of a thing in it.
    pub(super) fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut names = vec![name];
        let mut folder = self;
        while let Some(parent) = &folder.parent {
            names.push(&folder.name);
            folder = parent;
        }
        let mut path = folder.name.to_vec();
        for name in names.into_iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        path
    }

    /// Its own path in the snapshot.
    fn path(&self) -> Vec<u8> {
        self.parent.as_ref().map_or_else(|| self.name.to_vec(), |above| above.path_of(&self.name))
    }

    /// The open directory; opened again where nobody held it open.
    pub(super) fn directory(&self) -> io::Result<Arc<Directory>> {
        let mut closed = Vec::new();
        let mut folder = self;
        let mut directory = loop {
            if let Some(directory) = folder.open_handle() {
                break directory;
            }
            closed.push(folder);
            match &folder.parent {
                Some(parent) => folder = parent,
                None => return Err(io::Error::other("the target was closed")),
            }
        };
        while let Some(folder) = closed.pop() {
            directory = Arc::new(directory.open_child(&folder.name)?);
            *folder.handle.lock().unwrap_or_else(PoisonError::into_inner) =
                Arc::downgrade(&directory);
        }
        Ok(directory)
    }

    fn open_handle(&self) -> Option<Arc<Directory>> {
        if let Some(top) = &self.top {
            return Some(Arc::clone(top));
        }
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// The same directory, for looking at what is in it.
    pub(super) fn look(&self) -> io::Result<found::Directory> {
        look(&*self.directory()?)
    }

    /// Lets go of the directory; the last one to do so puts its metadata back, and so on upwards.
    pub(super) fn leave(self: Arc<Self>, run: &Run<'_>, reader: &mut BlobReader<'_>) -> Result<()> {
        let mut next = Some(self);
        while let Some(folder) = next.take() {
            if run.is_stopped() {
                // Something in it may be missing: it stays closed to others.
                return Ok(());
            }
            let Some(mut folder) = Arc::into_inner(folder) else { return Ok(()) };
            folder.finish(run, reader)?;
            next = folder.parent.take();
        }
        Ok(())
    }

    fn finish(&self, run: &Run<'_>, reader: &mut BlobReader<'_>) -> Result<()> {
        let Some(metadata) = &self.metadata else { return Ok(()) };
        let path = self.path();
        let thing = Thing { path: &path, metadata };
        match self.directory() {
            Ok(directory) => run.put_back(reader, Place::Open(directory.as_fd()), thing),
            Err(error) => run.refused(&path, "opening the folder again", &error),
        }
    }
}

impl Drop for Folder {
    /// Takes a chain of directories apart without a call for each, when a restore stops.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(folder) = next {
            next = Arc::into_inner(folder).and_then(|mut folder| folder.parent.take());
        }
    }
}

/// A directory of the target, for looking at what is in it.
pub(super) fn look(directory: &Directory) -> io::Result<found::Directory> {
    Ok(directory.as_fd().try_clone_to_owned()?.into())
}
