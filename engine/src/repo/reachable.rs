//! Everything that a snapshot needs, blob by blob: nodes, lists, attributes, data. Bases of deltas
//! are the business of whoever asks, since they depend on the place.

use std::collections::HashSet;

use repo_format::BlobId;
use repo_format::content::{Content, Extent, ListNode};
use repo_format::pack::BlobKind;
use repo_format::tree::{Attributes, Body, Entry, Node};

use super::blobs::BlobReader;
use crate::Ambient;
use crate::error::{Error, Kind, Result};

/// Nodes that were walked already; what lies below them need not be walked again.
pub(crate) type Walked = HashSet<[u8; 16]>;

/// Ids are keyed hashes: their first half tells them apart as well.
fn key(id: &BlobId) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&id.0[..16]);
    key
}

/// A node to be read: its blob, kind, and the level that it must have, where that is known.
struct Pending {
    id: BlobId,
    kind: BlobKind,
    level: Option<u8>,
}

/// Calls `visit` for every blob below a root, the root itself first, nodes before what they name.
///
/// A blob may be visited more than once; a node that is in `walked` is passed over with all that is
/// below it. Each node that was read to its end joins `walked`.
///
/// # Errors
/// [`Kind::Damaged`] when a node cannot be read; what `visit` says.
pub(crate) fn walk(
    reader: &mut BlobReader<'_>,
    root: BlobId,
    walked: &mut Walked,
    ambient: &Ambient,
    visit: &mut dyn FnMut(BlobId, BlobKind) -> Result<()>,
) -> Result<()> {
    let mut plain = Vec::new();
    let mut stack = vec![Pending { id: root, kind: BlobKind::Tree, level: None }];
    while let Some(Pending { id, kind, level }) = stack.pop() {
        if walked.contains(&key(&id)) {
            continue;
        }
        ambient.go_on()?;
        visit(id, kind)?;
        reader.read(id, kind, &mut plain)?;
        let found = if kind == BlobKind::Tree {
            tree_node(&Node::decode(&plain)?, &mut stack, visit)?
        } else {
            list_node(&ListNode::decode(&plain)?, &mut stack, visit)?
        };
        // Levels fall by one each step, so a tree that bites its tail ends.
        if level.is_some_and(|level| level != found) {
            let what = format!("node {} is of the wrong level", id.short());
            return Err(Error::new(Kind::Damaged, what));
        }
        walked.insert(key(&id));
    }
    Ok(())
}

type Visit<'a> = dyn FnMut(BlobId, BlobKind) -> Result<()> + 'a;

fn tree_node(node: &Node, stack: &mut Vec<Pending>, visit: &mut Visit<'_>) -> Result<u8> {
    match node {
        Node::Leaf(entries) => {
            for entry in entries {
                visit_entry(entry, stack, visit)?;
            }
            Ok(0)
        }
        Node::Inner { level, children } => {
            let below = Some(level - 1);
            stack.extend(children.iter().map(|child| Pending {
                id: child.id,
                kind: BlobKind::Tree,
                level: below,
            }));
            Ok(*level)
        }
    }
}

fn visit_entry(entry: &Entry, stack: &mut Vec<Pending>, visit: &mut Visit<'_>) -> Result<()> {
    if let Attributes::Blob(id) = &entry.metadata.attributes {
        visit(*id, BlobKind::Attributes)?;
    }
    match &entry.body {
        Body::Directory { tree, .. } => {
            stack.push(Pending { id: *tree, kind: BlobKind::Tree, level: None });
        }
        Body::File { content: Content::Extents { extents, .. }, .. } => {
            visit_extents(extents, visit)?;
        }
        Body::File { content: Content::List { root, .. }, .. } => {
            stack.push(Pending { id: *root, kind: BlobKind::ContentList, level: None });
        }
        _ => {}
    }
    Ok(())
}

fn list_node(node: &ListNode, stack: &mut Vec<Pending>, visit: &mut Visit<'_>) -> Result<u8> {
    match node {
        ListNode::Leaf(extents) => visit_extents(extents, visit).map(|()| 0),
        ListNode::Inner { level, children } => {
            let below = Some(level - 1);
            stack.extend(children.iter().map(|child| Pending {
                id: child.id,
                kind: BlobKind::ContentList,
                level: below,
            }));
            Ok(*level)
        }
    }
}

fn visit_extents(extents: &[Extent], visit: &mut Visit<'_>) -> Result<()> {
    extents.iter().filter_map(Extent::blob).try_for_each(|id| visit(id, BlobKind::Data))
}
