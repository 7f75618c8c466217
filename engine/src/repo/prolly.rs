//! Trees of nodes whose borders depend on content alone: the one shape of directories, content
//! lists and pack sets. SPEC 6.2.
//!
//! Equal sequences of items give equal roots; a changed item rewrites one node a level.

use repo_format::BlobId;
use repo_format::codec;
use repo_format::limits::{NODE_BYTES_MAX, NODE_BYTES_TARGET, NODE_LEVEL_MAX};
use repo_format::pack::BlobKind;

use crate::crypto::seal::{Key, keyed_hash};
use crate::error::{Error, Kind, Result};

/// What differs between the kinds of tree.
pub(super) trait Shape {
    /// Item of a leaf.
    type Item;
    /// Reference to a node.
    type Child: Clone;
    /// Kind of the blobs.
    const KIND: BlobKind;
    /// First bytes of a node: version, then how a leaf or an inner node of a level begins.
    fn head(level: u8) -> Vec<u8>;
    /// Encodes an item.
    fn encode_item(item: &Self::Item, out: &mut Vec<u8>);
    /// Encodes a reference.
    fn encode_child(child: &Self::Child, out: &mut Vec<u8>);
    /// Bytes that decide whether a node ends after the item.
    fn item_border(item: &Self::Item) -> &[u8];
    /// Bytes that decide whether a node ends after the reference.
    fn child_border(child: &Self::Child) -> &[u8];
    /// Starts the reference to a node from its first item.
    fn child_of_item(item: &Self::Item) -> Self::Child;
    /// Adds a further item to the reference.
    fn add_item(child: &mut Self::Child, item: &Self::Item);
    /// Adds a further reference to the reference one level up.
    fn add_child(child: &mut Self::Child, below: &Self::Child);
    /// Fills in the blob of a finished node.
    fn set_id(child: &mut Self::Child, id: BlobId);
}

/// Saves the plain bytes of a node.
pub(super) type SaveNode<'a> = dyn FnMut(BlobKind, &[u8]) -> Result<BlobId> + 'a;

/// A node under way.
struct Pending<C> {
    bytes: Vec<u8>,
    count: u64,
    child: Option<C>,
    /// The only reference in it, while there is just one.
    only: Option<C>,
    has_closed_one: bool,
}

impl<C> Default for Pending<C> {
    fn default() -> Self {
        Self { bytes: Vec::new(), count: 0, child: None, only: None, has_closed_one: false }
    }
}

/// Builds a tree from its items in order.
pub(super) struct Builder<S: Shape> {
    borders: Key,
    /// Level 0 holds items, level n references to nodes of level n-1.
    levels: Vec<Pending<S::Child>>,
}

impl<S: Shape> std::fmt::Debug for Builder<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("levels", &self.levels.len()).finish_non_exhaustive()
    }
}

/// Says whether a node ends after something of `encoded` bytes: the longer, the likelier, so that
/// nodes aim at the same size whatever they hold. SPEC 6.2.
fn is_border(borders: &Key, level: u8, name: &[u8], encoded: usize) -> bool {
    let hash = keyed_hash(borders, &[&[level], name]);
    let drawn = u64::from(u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]));
    drawn * (NODE_BYTES_TARGET as u64) < (encoded as u64) << 32
}

impl<S: Shape> Builder<S> {
    pub(super) fn new(borders: &Key) -> Self {
        Self { borders: borders.clone(), levels: vec![Pending::default()] }
    }

    /// Appends an item.
    pub(super) fn push(&mut self, item: &S::Item, save: &mut SaveNode<'_>) -> Result<()> {
        let node = &mut self.levels[0];
        let before = node.bytes.len();
        S::encode_item(item, &mut node.bytes);
        let encoded = node.bytes.len() - before;
        node.count += 1;
        match &mut node.child {
            Some(child) => S::add_item(child, item),
            None => node.child = Some(S::child_of_item(item)),
        }
        if is_border(&self.borders, 0, S::item_border(item), encoded)
            || node.bytes.len() >= NODE_BYTES_MAX
        {
            self.close(0, save)?;
        }
        Ok(())
    }

    /// Saves the node of a level, and refers to it one level up.
    fn close(&mut self, level: usize, save: &mut SaveNode<'_>) -> Result<()> {
        let node = &mut self.levels[level];
        let Some(mut child) = node.child.take() else { return Ok(()) };
        let mut plain = S::head(number(level)?);
        codec::encode_into(&node.count, &mut plain);
        plain.append(&mut node.bytes);
        node.count = 0;
        node.only = None;
        node.has_closed_one = true;
        S::set_id(&mut child, save(S::KIND, &plain)?);

        let above = level + 1;
        if above == self.levels.len() {
            self.levels.push(Pending::default());
        }
        let node = &mut self.levels[above];
        let before = node.bytes.len();
        S::encode_child(&child, &mut node.bytes);
        let encoded = node.bytes.len() - before;
        node.count += 1;
        node.only = (node.count == 1).then(|| child.clone());
        match &mut node.child {
            Some(parent) => S::add_child(parent, &child),
            None => node.child = Some(child.clone()),
        }
        let ends = is_border(&self.borders, number(above)?, S::child_border(&child), encoded)
            || node.bytes.len() >= NODE_BYTES_MAX;
        // A node of one reference would add a level and nothing else.
        if ends && node.count > 1 { self.close(above, save) } else { Ok(()) }
    }

    /// Ends the tree; `None` when there was no item.
    pub(super) fn finish(mut self, save: &mut SaveNode<'_>) -> Result<Option<S::Child>> {
        let mut level = 0;
        loop {
            let node = &self.levels[level];
            if level > 0
                && !node.has_closed_one
                && let Some(root) = &node.only
            {
                return Ok(Some(root.clone()));
            }
            self.close(level, save)?;
            level += 1;
            if level == self.levels.len() {
                return Ok(None);
            }
        }
    }
}

fn number(level: usize) -> Result<u8> {
    u8::try_from(level)
        .ok()
        .filter(|&level| level <= NODE_LEVEL_MAX)
        .ok_or_else(|| Error::new(Kind::Other, "a tree is deeper than the format allows"))
}
