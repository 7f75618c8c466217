//! Finding and reading the blobs that the walk asks for, wherever one place still has them.

use repo_format::BlobId;
use repo_format::pack::BlobKind;

use super::walk::Walk;
use crate::error::{Kind, Result};
use crate::repo::index::{Index, Located};

impl Walk<'_> {
    /// Every place of a blob that is not known to be lost, with whether a segment names it.
    fn places(&self, id: &BlobId, kind: BlobKind) -> Vec<(Located, bool)> {
        let of = |index: &Index, is_named: bool| -> Vec<(Located, bool)> {
            let places = index.find_all(id).into_iter();
            places
                .filter(|l| l.entry.kind == kind && !self.damage.holds(&l.pack.hash, id))
                .map(|located| (located, is_named))
                .collect()
        };
        let mut places = of(&self.catalog.index, true);
        places.extend(of(&self.catalog.unnamed, false));
        places
    }

    /// Finds a blob without reading it; gives its plain length.
    pub(super) fn find(&mut self, id: &BlobId, kind: BlobKind) -> Option<u32> {
        // Nearly always the first place will do.
        if let Some(located) = self.catalog.index.find(id)
            && located.entry.kind == kind
            && !self.damage.holds(&located.pack.hash, id)
        {
            return Some(located.entry.plain_bytes);
        }
        if let Some((located, is_named)) = self.places(id, kind).into_iter().next() {
            if !is_named {
                self.damage.need_unnamed(located.pack.hash);
            }
            return Some(located.entry.plain_bytes);
        }
        self.lack(id, kind);
        None
    }

    /// Reads a blob of metadata into `plain`, from whichever place holds.
    pub(super) fn read(&mut self, id: BlobId, kind: BlobKind) -> Result<bool> {
        for (located, is_named) in self.places(&id, kind) {
            match self.nodes.open(&located, &mut self.plain) {
                Ok(()) => {
                    if !is_named {
                        self.damage.need_unnamed(located.pack.hash);
                    }
                    return Ok(true);
                }
                Err(error) => {
                    let why = match error.kind() {
                        Kind::NotFound => "it is missing".to_owned(),
                        _ => format!("blob {} does not open: {error}", id.short()),
                    };
                    self.run.goes_on(error)?;
                    self.damage.lose(&located.pack, id, &why);
                }
            }
        }
        self.lack(&id, kind);
        Ok(false)
    }

    /// Remembers that a blob is needed and that no place has it.
    fn lack(&mut self, id: &BlobId, kind: BlobKind) {
        let mut places = self.catalog.index.find_all(id);
        places.extend(self.catalog.unnamed.find_all(id));
        places.retain(|located| located.entry.kind == kind);
        if places.is_empty() {
            let is_other = self.catalog.index.contains(id);
            let why = if is_other {
                "it is not of the kind it is used as"
            } else {
                "it is in no pack of the index"
            };
            self.losses.absent(*id, why);
        }
        for located in places {
            self.damage.need(&located.pack.hash);
        }
    }
}
