//! The way through a snapshot, in its order, and who is told of what lies on it.
//!
//! Depth costs memory, not the call stack, and is bounded. A part of a directory that cannot be
//! read is told of, and the walk goes on behind it.

use repo_format::BlobId;
use repo_format::limits::PATH_DEPTH_MAX;
use repo_format::tree::{Body, Entry, Metadata};

use super::options::{Choice, Selection};
use super::run::costs_one_thing;
use crate::error::{Error, Kind, Result};
use crate::repo::blobs::BlobReader;
use crate::repo::trees::Entries;

/// What is done on the way.
pub(super) trait Visitor {
    /// A directory, as the visitor sees it.
    type Folder;

    /// Comes to a directory that is wanted; `None` passes it over with all below it.
    fn enter(
        &mut self,
        parent: &mut Self::Folder,
        path: &[u8],
        metadata: Metadata,
    ) -> Result<Option<Self::Folder>>;

    /// Learns the next name of an entered directory, before anything is done about it, whether it
    /// is wanted or not. Names that came before the directory was entered were not wanted.
    fn pass(&mut self, _folder: &mut Self::Folder, _path: &[u8]) -> Result<()> {
        Ok(())
    }

    /// Comes to a thing that is wanted and is no directory.
    fn take(&mut self, folder: &mut Self::Folder, path: &[u8], entry: Entry) -> Result<()>;

    /// Learns that a part of a directory cannot be read; `folder` only where it was entered.
    fn damaged(
        &mut self,
        folder: Option<&mut Self::Folder>,
        path: &[u8],
        error: &Error,
    ) -> Result<()>;

    /// Has seen all of a directory.
    fn leave(&mut self, folder: Self::Folder, path: &[u8]) -> Result<()>;
}

/// A directory under way.
struct Frame<F> {
    entries: Entries,
    /// Entered when something in it is wanted.
    folder: Option<F>,
    /// Metadata to enter it with.
    metadata: Metadata,
    /// Bytes of the path that are the directory's own.
    path_bytes: usize,
    /// Whether all that is in it is wanted.
    is_taken: bool,
}

/// Walks all below one directory.
pub(super) struct Walk<'a, 'r, V: Visitor> {
    reader: &'a mut BlobReader<'r>,
    selection: &'a Selection,
    visitor: &'a mut V,
    path: Vec<u8>,
    frames: Vec<Frame<V::Folder>>,
}

impl<'a, 'r, V: Visitor> Walk<'a, 'r, V> {
    /// Prepares a walk.
    pub(super) fn new(
        reader: &'a mut BlobReader<'r>,
        selection: &'a Selection,
        visitor: &'a mut V,
    ) -> Self {
        Self { reader, selection, visitor, path: Vec::new(), frames: Vec::new() }
    }

    /// Walks all below `root`, whose path in the snapshot is `path`.
    pub(super) fn run(mut self, root: BlobId, path: &[u8], folder: V::Folder) -> Result<()> {
        self.path.extend_from_slice(path);
        self.frames.push(Frame {
            entries: Entries::new(root),
            folder: Some(folder),
            metadata: Metadata::default(),
            path_bytes: path.len(),
            is_taken: self.selection.takes_whole(path),
        });
        while let Some(frame) = self.frames.last_mut() {
            self.path.truncate(frame.path_bytes);
            match frame.entries.next(self.reader) {
                Ok(Some(entry)) => self.entry(entry)?,
                Ok(None) => {
                    let folder = self.frames.pop().and_then(|frame| frame.folder);
                    if let Some(folder) = folder {
                        self.visitor.leave(folder, &self.path)?;
                    }
                }
                Err(error) if costs_one_thing(&error) => {
                    self.visitor.damaged(frame.folder.as_mut(), &self.path, &error)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: Entry) -> Result<()> {
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        self.path.push(b'/');
        self.path.extend_from_slice(&entry.name);
        if let Some(folder) = &mut frame.folder {
            self.visitor.pass(folder, &self.path)?;
        }
        let is_directory = matches!(entry.body, Body::Directory { .. });
        let choice = self.selection.choose(&self.path, is_directory, frame.is_taken);
        match (choice, &entry.body) {
            (Choice::Skip, _) => Ok(()),
            (_, Body::Directory { tree, .. }) => {
                let tree = *tree;
                self.descend(tree, entry.metadata, choice == Choice::Take)
            }
            _ => {
                let last = self.frames.len() - 1;
                if !self.enter_up_to(last)? {
                    return Ok(());
                }
                match self.frames.last_mut().and_then(|frame| frame.folder.as_mut()) {
                    Some(folder) => self.visitor.take(folder, &self.path, entry),
                    None => Ok(()),
                }
            }
        }
    }

    fn descend(&mut self, tree: BlobId, metadata: Metadata, is_taken: bool) -> Result<()> {
        if self.frames.len() >= PATH_DEPTH_MAX {
            let what = format!("folders are nested deeper than {PATH_DEPTH_MAX}");
            let error = Error::new(Kind::Damaged, what);
            let folder = self.frames.last_mut().and_then(|frame| frame.folder.as_mut());
            return self.visitor.damaged(folder, &self.path, &error);
        }
        self.frames.push(Frame {
            entries: Entries::new(tree),
            folder: None,
            metadata,
            path_bytes: self.path.len(),
            is_taken,
        });
        if is_taken {
            self.enter_up_to(self.frames.len() - 1)?;
        }
        Ok(())
    }

    /// Enters the directories on the way that were not wanted by themselves; `false` where one of
    /// them is passed over, which ends what is below it.
    fn enter_up_to(&mut self, last: usize) -> Result<bool> {
        let first = self.frames.iter().rposition(|frame| frame.folder.is_some()).unwrap_or(0) + 1;
        for level in first..=last {
            let (above, below) = self.frames.split_at_mut(level);
            let (Some(parent), Some(frame)) = (above.last_mut(), below.first_mut()) else {
                return Ok(false);
            };
            let Some(parent) = parent.folder.as_mut() else { return Ok(false) };
            let metadata = std::mem::take(&mut frame.metadata);
            let path = &self.path[..frame.path_bytes];
            let Some(folder) = self.visitor.enter(parent, path, metadata)? else {
                self.frames.truncate(level);
                return Ok(false);
            };
            frame.folder = Some(folder);
            // It is entered for the sake of what comes next in it.
            let next = self.frames.get(level + 1).map_or(self.path.len(), |f| f.path_bytes);
            let frame = &mut self.frames[level];
            if next > frame.path_bytes
                && let Some(folder) = &mut frame.folder
            {
                self.visitor.pass(folder, &self.path[..next])?;
            }
        }
        Ok(true)
    }
}

/// Last component of a path.
pub(super) fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}
