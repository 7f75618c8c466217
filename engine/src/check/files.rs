//! Contents and attributes of files: every blob that they need is there, of the right length.

use repo_format::BlobId;
use repo_format::content::{Content, Extent, ListNode};
use repo_format::pack::BlobKind;
use repo_format::tree::{AttributeList, Attributes};

use super::walk::{Memo, Walk, hash_of, key};
use crate::error::Result;

impl Walk<'_> {
    /// Checks the content of a file; says whether something of it is lost.
    pub(super) fn content(&mut self, content: &Content, size: u64) -> Result<bool> {
        match content {
            // Held against the size when the node was decoded.
            Content::Inline(_) => Ok(false),
            Content::Extents { extents, .. } => Ok(self.extents(extents)),
            Content::List { root, .. } => self.list(*root, None, size),
        }
    }

    fn extents(&mut self, extents: &[Extent]) -> bool {
        let mut is_bad = false;
        for extent in extents {
            let (id, least, most) = match *extent {
                Extent::Blob { id, length } => (id, length, length),
                Extent::Slice { id, offset, length } => {
                    (id, offset.saturating_add(length), u32::MAX)
                }
                Extent::Hole { .. } => continue,
            };
            match self.find(&id, BlobKind::Data) {
                Some(plain) if (least..=most).contains(&plain) => {}
                Some(plain) => {
                    self.odd(&id, &format!("it has {plain} bytes where {least} are used"));
                    is_bad = true;
                }
                None => is_bad = true,
            }
        }
        is_bad
    }

    /// Checks a node of a content list that covers `bytes`; levels fall by one each step.
    fn list(&mut self, id: BlobId, level: Option<u8>, bytes: u64) -> Result<bool> {
        self.run.ambient.go_on()?;
        let sum = hash_of(bytes);
        let memo = match self.seen.get(&key(&id)).copied() {
            Some(memo) => memo,
            None => match self.list_node(id)? {
                Some(memo) => memo,
                None => return Ok(true),
            },
        };
        if memo.sum != sum || level.is_some_and(|level| level != memo.level) {
            self.odd(&id, "it does not cover what it should");
            return Ok(true);
        }
        Ok(memo.is_bad)
    }

    /// Reads a node of a content list and everything below it.
    fn list_node(&mut self, id: BlobId) -> Result<Option<Memo>> {
        if !self.read(id, BlobKind::ContentList)? {
            self.losses.is_blind = true;
            return Ok(None);
        }
        let node = match ListNode::decode(&self.plain) {
            Ok(node) => node,
            Err(error) => {
                self.odd(&id, &error.to_string());
                self.losses.is_blind = true;
                return Ok(None);
            }
        };
        let sum = hash_of(node.bytes());
        let (level, is_bad) = match node {
            ListNode::Leaf(extents) => (0, self.extents(&extents)),
            ListNode::Inner { level, children } => {
                let mut is_bad = false;
                for child in children {
                    is_bad |= self.list(child.id, Some(level - 1), child.bytes)?;
                }
                (level, is_bad)
            }
        };
        let memo = Memo::of_list(sum, level, is_bad);
        // Whoever needs a damaged node again learns so without reading it again.
        self.seen.insert(key(&id), memo);
        Ok(Some(memo))
    }

    /// Checks the attributes of an entry; says whether they are lost.
    pub(super) fn attributes(&mut self, attributes: &Attributes) -> Result<bool> {
        let Attributes::Blob(id) = attributes else { return Ok(false) };
        if let Some(memo) = self.seen.get(&key(id)) {
            return Ok(memo.is_bad);
        }
        if !self.read(*id, BlobKind::Attributes)? {
            return Ok(true);
        }
        let decoded = AttributeList::decode(&self.plain);
        if let Err(error) = &decoded {
            self.odd(id, &error.to_string());
        }
        let is_bad = decoded.is_err();
        self.seen.insert(key(id), Memo::of_list(0, 0, is_bad));
        Ok(is_bad)
    }
}
