//! Entries of a directory by their place: the first is 0. A directory never changes, so a place
//! names an entry for ever, and a page starts anywhere without a cursor.
//!
//! Counts in inner nodes lead to a place; each is held against what is really below it. Entries are
//! lent to a closure, since copying them would cost more than finding them.

use std::sync::Arc;

use repo_format::BlobId;
use repo_format::tree::{Child, Entry, Node};

use super::view::View;
use crate::error::{Error, Kind, Result};

/// A node still to be read, as the one above it has it.
struct Pending {
    id: BlobId,
    /// Place of its first entry.
    first: u64,
    /// Level, entries and first name; none for a root.
    expected: Option<(u8, u64, Vec<u8>)>,
}

impl Pending {
    const fn root(id: BlobId) -> Self {
        Self { id, first: 0, expected: None }
    }

    fn below(child: &Child, level: u8, first: u64) -> Self {
        let expected = Some((level - 1, child.entries, child.first_name.0.clone()));
        Self { id: child.id, first, expected }
    }
}

impl View {
    /// Reads a node and holds it against what the one above it says.
    fn expected_node(&self, pending: &Pending) -> Result<Arc<Node>> {
        let expected = pending.expected.as_ref();
        let node = self.node(pending.id, expected.map(|(level, ..)| *level))?;
        let Some((_, entries, first_name)) = expected else { return Ok(node) };
        let (found, name) = match &*node {
            Node::Leaf(list) => (list.len() as u64, list.first().map(|entry| &entry.name)),
            Node::Inner { children, .. } => {
                let sum = children.iter().fold(0_u64, |sum, c| sum.saturating_add(c.entries));
                (sum, children.first().map(|child| &child.first_name))
            }
        };
        if found == *entries && name.is_some_and(|name| name.0 == *first_name) {
            return Ok(node);
        }
        let what = format!("tree node {} is not what the one above it says", pending.id.short());
        Err(Error::new(Kind::Damaged, what))
    }

    /// Lends the entry at a place of a directory.
    ///
    /// # Errors
    /// [`Kind::NotFound`] behind the last entry; [`Kind::Damaged`] naming the node.
    pub fn with_entry<T>(
        &self,
        tree: BlobId,
        place: u64,
        lend: impl FnOnce(&Entry) -> T,
    ) -> Result<T> {
        let absent = || {
            let what = format!("directory {} has no entry {place}", tree.short());
            Error::new(Kind::NotFound, what)
        };
        let mut next = Pending::root(tree);
        loop {
            match &*self.expected_node(&next)? {
                Node::Leaf(entries) => {
                    let at = usize::try_from(place - next.first).unwrap_or(usize::MAX);
                    return entries.get(at).map(lend).ok_or_else(absent);
                }
                Node::Inner { level, children } => {
                    let mut first = next.first;
                    let mut found = None;
                    for child in children {
                        let end = first.saturating_add(child.entries);
                        if place < end {
                            found = Some(Pending::below(child, *level, first));
                            break;
                        }
                        first = end;
                    }
                    next = found.ok_or_else(absent)?;
                }
            }
        }
    }

    /// Lends the entry of a name, and its place; none where the directory has no such name.
    ///
    /// # Errors
    /// [`Kind::Damaged`] naming the node.
    pub fn with_name<T>(
        &self,
        tree: BlobId,
        name: &[u8],
        lend: impl FnOnce(u64, &Entry) -> T,
    ) -> Result<Option<T>> {
        let mut next = Pending::root(tree);
        loop {
            match &*self.expected_node(&next)? {
                Node::Leaf(entries) => {
                    let found = entries.binary_search_by(|entry| entry.name.0.as_slice().cmp(name));
                    return Ok(found.ok().map(|at| lend(next.first + at as u64, &entries[at])));
                }
                Node::Inner { level, children } => {
                    let after = children.partition_point(|c| c.first_name.0.as_slice() <= name);
                    let Some(at) = after.checked_sub(1) else { return Ok(None) };
                    let before: u64 =
                        children[..at].iter().fold(0, |sum, c| u64::saturating_add(sum, c.entries));
                    let first = next.first.saturating_add(before);
                    next = Pending::below(&children[at], *level, first);
                }
            }
        }
    }

    /// Lends the entries of a directory from a place on, each with its place, until `visit` says
    /// that it has enough.
    ///
    /// # Errors
    /// [`Kind::Damaged`] naming the node; what came before it was lent.
    pub fn visit(
        &self,
        tree: BlobId,
        from: u64,
        mut visit: impl FnMut(u64, &Entry) -> bool,
    ) -> Result<()> {
        let mut pending = vec![Pending::root(tree)];
        while let Some(next) = pending.pop() {
            match &*self.expected_node(&next)? {
                Node::Leaf(entries) => {
                    let skipped = usize::try_from(from.saturating_sub(next.first));
                    let skipped = skipped.unwrap_or(usize::MAX);
                    for (place, entry) in (next.first..).zip(entries).skip(skipped) {
                        if !visit(place, entry) {
                            return Ok(());
                        }
                    }
                }
                Node::Inner { level, children } => {
                    let mut first = next.first;
                    let at = pending.len();
                    for child in children {
                        let end = first.saturating_add(child.entries);
                        if end > from {
                            pending.push(Pending::below(child, *level, first));
                        }
                        first = end;
                    }
                    pending[at..].reverse();
                }
            }
        }
        Ok(())
    }
}
