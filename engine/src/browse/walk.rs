//! Walks what lies below a directory, depth first, in order of the names.
//!
//! Only the lowest directories keep a node in memory; a higher one is taken up again by name, so
//! memory does not grow with the depth of the tree.

use repo_format::tree::{Body, Entry};
use repo_format::{BlobId, limits};

use crate::error::{Context as _, Error, Kind, Result};
use crate::repo::blobs::BlobReader;
use crate::repo::trees::Entries;

/// Lowest directories that keep their nodes in memory.
const LIVE_MAX: usize = 16;

/// Something that a walk came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visited {
    /// Path from where the walk began, or, with a prefix, from the root; no slash at its ends.
    pub path: Vec<u8>,
    /// Steps below where the walk began: 1 for its own entries.
    pub depth: usize,
    /// The entry.
    pub entry: Entry,
}

#[derive(Debug)]
struct Frame {
    tree: BlobId,
    /// Bytes of the walk's path that name the directory.
    path_bytes: usize,
    last: Option<Vec<u8>>,
    entries: Option<Entries>,
}

/// A walk under way.
#[derive(Debug)]
pub struct Walk {
    frames: Vec<Frame>,
    path: Vec<u8>,
    depth_max: usize,
    /// Directory that was given last and is gone into next.
    enter: Option<BlobId>,
}

impl Walk {
    /// Starts before the first entry of a directory; the directory itself is not given.
    pub fn new(tree: BlobId) -> Self {
        Self::below(tree, b"", usize::MAX)
    }

    /// Starts in a directory whose entries' paths begin with `prefix`, and goes at most `depth_max`
    /// steps down: 1 gives its own entries only.
    pub fn below(tree: BlobId, prefix: &[u8], depth_max: usize) -> Self {
        let mut path = Vec::new();
        for name in super::view::components(prefix) {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        }
        Self { frames: Vec::new(), path, depth_max, enter: Some(tree) }
    }

    /// Does not go into the directory that was given last.
    pub fn skip(&mut self) {
        self.enter = None;
    }

    /// Next entry; `None` at the end.
    ///
    /// # Errors
    /// What keeps a directory from being read, naming it. The call after that goes on behind the
    /// directory, for verbs that report damage.
    pub fn next(&mut self, reader: &mut BlobReader<'_>) -> Result<Option<Visited>> {
        if let Some(tree) = self.enter.take()
            && self.frames.len() < self.depth_max
        {
            self.enter_directory(tree)?;
        }
        while let Some(frame) = self.frames.last_mut() {
            match frame.next(reader) {
                Ok(Some(entry)) => {
                    self.path.truncate(frame.path_bytes);
                    if !self.path.is_empty() {
                        self.path.push(b'/');
                    }
                    self.path.extend_from_slice(&entry.name);
                    if let Body::Directory { tree, .. } = entry.body {
                        self.enter = Some(tree);
                    }
                    let depth = self.frames.len();
                    return Ok(Some(Visited { path: self.path.clone(), depth, entry }));
                }
                Ok(None) => {
                    self.frames.pop();
                }
                Err(error) => {
                    self.path.truncate(frame.path_bytes);
                    self.frames.pop();
                    let path = super::shown(&self.path);
                    return Err(error).with_context(|| format!("reading the directory /{path}"));
                }
            }
        }
        Ok(None)
    }

    fn enter_directory(&mut self, tree: BlobId) -> Result<()> {
        if self.frames.len() >= limits::PATH_DEPTH_MAX {
            let start = super::shown(&self.path[..self.path.len().min(100)]);
            let what = format!("directories are nested too deep below /{start}");
            return Err(Error::new(Kind::Damaged, what));
        }
        let path_bytes = self.path.len();
        self.frames.push(Frame { tree, path_bytes, last: None, entries: Some(Entries::new(tree)) });
        if let Some(high) = self.frames.len().checked_sub(LIVE_MAX + 1) {
            self.frames[high].entries = None;
        }
        Ok(())
    }
}

impl Frame {
    fn next(&mut self, reader: &mut BlobReader<'_>) -> Result<Option<Entry>> {
        let entries = if let Some(entries) = &mut self.entries {
            entries
        } else {
            let from = super::view::name_after(self.last.as_deref().unwrap_or_default());
            self.entries.insert(Entries::starting_at(reader, self.tree, &from)?)
        };
        let entry = entries.next(reader)?;
        if let Some(entry) = &entry {
            self.last = Some(entry.name.0.clone());
        }
        Ok(entry)
    }
}
