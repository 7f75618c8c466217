//! The folder that a walk is in, with a handle that stays open while that costs little.

use std::io;
use std::sync::Arc;

use repo_format::tree::Metadata;

use super::extras::Extras;
use super::folder::Folder;
use crate::target::files::Directory;

/// Folders below this depth are opened again when the walk comes back to them, so that depth costs
/// few handles.
const OPEN_DEPTH_MAX: usize = 64;
/// Of those, each of this many stays open, so that the way to the others is short.
const OPEN_STEP: usize = 32;

/// The folder that a walk is in.
#[derive(Debug)]
pub(super) struct Here {
    pub(super) folder: Arc<Folder>,
    handle: Option<Arc<Directory>>,
    depth: usize,
    /// What the folder holds and the snapshot may lack, where that is to be removed.
    pub(super) extras: Option<Extras>,
}

impl Here {
    /// Begins at the target itself.
    pub(super) const fn top(folder: Arc<Folder>, directory: Arc<Directory>) -> Self {
        Self { folder, handle: Some(directory), depth: 0, extras: None }
    }

    /// The open directory.
    pub(super) fn handle(&mut self) -> io::Result<Arc<Directory>> {
        if let Some(handle) = &self.handle {
            return Ok(Arc::clone(handle));
        }
        Ok(Arc::clone(self.handle.insert(self.folder.directory()?)))
    }

    /// Goes into a folder of it, with the metadata that it gets when all in it is done.
    pub(super) fn child(
        &mut self,
        name: &[u8],
        directory: Directory,
        metadata: Option<Metadata>,
    ) -> Self {
        let directory = Arc::new(directory);
        let folder = Folder::below(&self.folder, name, &directory, metadata);
        if self.depth >= OPEN_DEPTH_MAX && !self.depth.is_multiple_of(OPEN_STEP) {
            self.handle = None;
        }
        Self { folder, handle: Some(directory), depth: self.depth + 1, extras: None }
    }
}
