//! Where in a snapshot a restore begins.

use repo_format::BlobId;
use repo_format::history::Snapshot;
use repo_format::tree::{Body, Entry, Metadata, Totals};

use super::options::Selection;
use super::report::shown;
use super::walk::{Visitor, Walk};
use crate::error::{Context as _, Error, Kind, Result};
use crate::repo::blobs::BlobReader;
use crate::repo::trees;

/// Where in a snapshot a restore begins.
#[derive(Debug)]
pub(super) struct Start {
    /// Path of the folder that becomes the target; of the root empty.
    pub(super) path: Vec<u8>,
    pub(super) at: At,
    /// All that lies there.
    pub(super) totals: Totals,
}

/// What is restored.
#[derive(Debug)]
pub(super) enum At {
    /// All that is in a folder; its own metadata, but of the root.
    Folder(BlobId, Option<Box<Metadata>>),
    /// One thing of a folder.
    Thing(Box<Entry>),
}

impl Start {
    /// Finds a path in a snapshot.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where it is not there, [`Kind::InvalidSetting`] for one with `..` in it.
    pub(super) fn find(
        reader: &mut BlobReader<'_>,
        snapshot: &Snapshot,
        path: Option<&[u8]>,
    ) -> Result<Self> {
        let mut start =
            Self { path: Vec::new(), at: At::Folder(snapshot.root, None), totals: snapshot.totals };
        let components = path.unwrap_or_default().split(|&byte| byte == b'/');
        for name in components.filter(|name| !name.is_empty() && *name != b".") {
            if name == b".." {
                let what = "a path in a snapshot cannot lead upwards (..)";
                return Err(Error::new(Kind::InvalidSetting, what));
            }
            start = start.step(reader, name)?;
        }
        Ok(start)
    }

    fn step(mut self, reader: &mut BlobReader<'_>, name: &[u8]) -> Result<Self> {
        let tree = match &self.at {
            At::Folder(tree, _) => *tree,
            At::Thing(entry) => {
                self.path.push(b'/');
                self.path.extend_from_slice(&entry.name);
                let message = format!("{} in the snapshot is not a folder", shown(&self.path));
                return Err(Error::new(Kind::NotFound, message));
            }
        };
        let path = [&self.path, &b"/"[..], name].concat();
        let found = trees::lookup(reader, tree, name)
            .with_context(|| format!("looking for {} in the snapshot", shown(&path)))?;
        let Some(entry) = found else {
            let message = format!("{} is not in the snapshot", shown(&path));
            return Err(Error::new(Kind::NotFound, message));
        };
        if let Body::Directory { tree, totals, .. } = entry.body {
            self.at = At::Folder(tree, Some(Box::new(entry.metadata)));
            self.totals = totals;
            self.path = path;
        } else {
            self.totals = entry.totals();
            self.at = At::Thing(Box::new(entry));
        }
        Ok(self)
    }

    /// Leads a visitor through all that is restored.
    pub(super) fn travel<V: Visitor>(
        &self,
        reader: &mut BlobReader<'_>,
        selection: &Selection,
        visitor: &mut V,
        mut top: V::Folder,
    ) -> Result<()> {
        match &self.at {
            At::Folder(tree, _) => {
                Walk::new(reader, selection, visitor).run(*tree, &self.path, top)
            }
            At::Thing(entry) => {
                let path = [&self.path, &b"/"[..], &entry.name].concat();
                visitor.take(&mut top, &path, (**entry).clone())?;
                visitor.leave(top, &self.path)
            }
        }
    }

    /// Says whether the target stands for a folder of the snapshot, and so for all that is in it.
    pub(super) const fn is_folder(&self) -> bool {
        matches!(self.at, At::Folder(..))
    }
}
