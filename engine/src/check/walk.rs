//! Walks the trees of every snapshot, each node once over all of them.
//!
//! The walk keeps its own stack, so the depth of a tree costs no stack of the machine. What a node
//! was found to be is remembered by its id, which fixes everything below it; damaged nodes are
//! entered again for each snapshot until enough of its paths are named.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::iter::Peekable;
use std::vec::IntoIter;

use repo_format::codec::Bytes;
use repo_format::pack::BlobKind;
use repo_format::tree::{Body, Child, Entry, Node, Totals};
use repo_format::{BlobId, limits};

use super::Run;
use super::blobs::Standing;
use super::catalog::Catalog;
use super::damage::Damage;
use super::losses::{Losses, text_of};
use super::nodes::Nodes;
use crate::error::Result;
use crate::finding::Finding;
use crate::repo::history::Taken;

/// What is remembered of a node, or of another blob of metadata.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memo {
    /// Hash of the counts and sums that the node adds up to.
    pub(super) sum: u64,
    first: u64,
    pub(super) level: u8,
    /// Directories in directories below.
    height: u16,
    pub(super) is_bad: bool,
}

impl Memo {
    /// What is remembered of a content list or of attributes, which have no first name.
    pub(super) const fn of_list(sum: u64, level: u8, is_bad: bool) -> Self {
        Self { sum, first: 0, level, height: 0, is_bad }
    }
}

/// What a reference says of the node that it refers to.
struct Claim {
    level: Option<u8>,
    sum: u64,
    first: Option<u64>,
    /// Name that every name of the node must stand before.
    before: Option<Bytes>,
}

enum Items {
    Entries(IntoIter<Entry>),
    Children(Peekable<IntoIter<Child>>),
}

/// A node that the walk is in.
struct Frame {
    id: BlobId,
    memo: Memo,
    items: Items,
    before: Option<Bytes>,
    /// Bytes of the path of the directory.
    path_bytes: usize,
    /// Directories above.
    depth: usize,
}

impl Frame {
    /// Is as high as what lies below it, and one more when that is a directory of its own.
    fn rise_over(&mut self, below: &Memo, depth: usize) {
        let step = u16::from(depth > self.depth);
        self.memo.height = self.memo.height.max(below.height.saturating_add(step));
    }
}

enum Next {
    Entry(Entry),
    Child(Child, Option<Bytes>, u8),
    End,
}

/// The walk over all snapshots.
pub(super) struct Walk<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) catalog: &'a Catalog,
    pub(super) damage: &'a mut Damage,
    pub(super) nodes: Nodes<'a>,
    pub(super) seen: HashMap<[u8; 16], Memo>,
    pub(super) standing: Standing,
    pub(super) plain: Vec<u8>,
    pub(super) losses: Losses,
    pub(super) trees: u64,
    pub(super) path: Vec<u8>,
    stack: Vec<Frame>,
}

/// Ids are keyed hashes: their first half tells them apart as well.
pub(super) fn key(id: &BlobId) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&id.0[..16]);
    key
}

pub(super) fn hash_of(value: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn sum_of(entries: u64, totals: &Totals) -> u64 {
    hash_of((entries, totals.files, totals.directories, totals.bytes))
}

impl<'a> Walk<'a> {
    /// Starts a walk.
    pub(super) fn new(
        run: &'a Run<'a>,
        catalog: &'a Catalog,
        damage: &'a mut Damage,
    ) -> Result<Self> {
        Ok(Self {
            run,
            catalog,
            damage,
            nodes: Nodes::new(run.repo, run.options.memory() / 2)?,
            seen: HashMap::new(),
            standing: Standing::default(),
            plain: Vec::new(),
            losses: Losses::default(),
            trees: 0,
            path: Vec::new(),
            stack: Vec::new(),
        })
    }

    /// Walks one snapshot.
    pub(super) fn snapshot(&mut self, taken: &Taken) -> Result<()> {
        let snapshot = &taken.snapshot;
        self.losses.begin(taken.id, snapshot.time_ms);
        self.path.clear();
        let claim = Claim {
            level: None,
            sum: sum_of(snapshot.root_entries, &snapshot.totals),
            first: None,
            before: None,
        };
        let mut is_hit = self.enter(snapshot.root, claim, 0, 0)?;
        while !self.stack.is_empty() {
            is_hit |= self.step()?;
        }
        if let Some(set) = snapshot.pack_set
            && self.find(&set, BlobKind::PackSet).is_none()
        {
            is_hit = true;
        }
        self.losses.end(is_hit);
        Ok(())
    }

    /// Goes one item on; says whether the root was left and is damaged.
    fn step(&mut self) -> Result<bool> {
        let Some(frame) = self.stack.last_mut() else { return Ok(false) };
        let (path_bytes, depth) = (frame.path_bytes, frame.depth);
        let next = match &mut frame.items {
            Items::Entries(entries) => entries.next().map_or(Next::End, Next::Entry),
            Items::Children(children) => match children.next() {
                None => Next::End,
                Some(child) => {
                    let following = children.peek().map(|next| next.first_name.clone());
                    let before = following.or_else(|| frame.before.clone());
                    Next::Child(child, before, frame.memo.level - 1)
                }
            },
        };
        self.path.truncate(path_bytes);
        let is_bad = match next {
            Next::Entry(entry) => self.entry(&entry, depth)?,
            Next::Child(child, before, level) => {
                let claim = Claim {
                    level: Some(level),
                    sum: sum_of(child.entries, &child.totals),
                    first: Some(hash_of(&child.first_name.0)),
                    before,
                };
                self.enter(child.id, claim, path_bytes, depth)?
            }
            Next::End => return Ok(self.leave()),
        };
        // `enter` may have put the child on top: the mark belongs to the node it was found in.
        if is_bad && let Some(frame) = self.stack.last_mut() {
            frame.memo.is_bad = true;
        }
        Ok(false)
    }

    fn leave(&mut self) -> bool {
        let Some(frame) = self.stack.pop() else { return false };
        self.seen.insert(key(&frame.id), frame.memo);
        match self.stack.last_mut() {
            Some(above) => {
                above.memo.is_bad |= frame.memo.is_bad;
                above.rise_over(&frame.memo, frame.depth);
                false
            }
            None => frame.memo.is_bad,
        }
    }

    /// Enters a node; says whether it is damaged and was not entered.
    fn enter(&mut self, id: BlobId, claim: Claim, path_bytes: usize, depth: usize) -> Result<bool> {
        self.run.ambient.go_on()?;
        let known = self.seen.get(&key(&id)).copied();
        if let Some(memo) = known {
            if !self.holds(id, &claim, &memo) {
                return Ok(true);
            }
            // Sound where it was met first, and perhaps too deep here.
            if depth + usize::from(memo.height) > limits::PATH_DEPTH_MAX {
                self.too_deep(&id);
                return Ok(true);
            }
            if !memo.is_bad || self.losses.is_full() {
                if let Some(above) = self.stack.last_mut() {
                    above.rise_over(&memo, depth);
                }
                return Ok(memo.is_bad);
            }
        }
        if !self.read(id, BlobKind::Tree)? {
            self.blind();
            return Ok(true);
        }
        let node = match Node::decode(&self.plain) {
            Ok(node) => node,
            Err(error) => {
                self.odd(&id, &error.to_string());
                self.blind();
                return Ok(true);
            }
        };
        let (memo, last) = facts(&node);
        if !self.holds(id, &claim, &memo) {
            return Ok(true);
        }
        if let (Some(last), Some(before)) = (last, &claim.before)
            && last >= before
        {
            self.odd(&id, "its names do not stand before those of the next node");
            self.blind();
            return Ok(true);
        }
        if known.is_none() {
            self.trees += 1;
        }
        let items = match node {
            Node::Leaf(entries) => Items::Entries(entries.into_iter()),
            Node::Inner { children, .. } => Items::Children(children.into_iter().peekable()),
        };
        self.stack.push(Frame { id, memo, items, before: claim.before, path_bytes, depth });
        Ok(false)
    }

    /// Holds what a reference says against what the node is; false when it cannot be entered.
    fn holds(&mut self, id: BlobId, claim: &Claim, memo: &Memo) -> bool {
        let is_of_level = claim.level.is_none_or(|level| level == memo.level);
        if !is_of_level || claim.first.is_some_and(|first| first != memo.first) {
            self.odd(&id, "it is not the node that is referred to");
            self.blind();
            return false;
        }
        if claim.sum != memo.sum {
            // Nothing is lost by it: the counts only serve display.
            let mut finding = self.odd_finding(&id, "it does not hold as much as is said of it");
            finding.severity = crate::Severity::Repairable;
            self.losses.odd(finding);
        }
        true
    }

    fn entry(&mut self, entry: &Entry, depth: usize) -> Result<bool> {
        let above = self.path.len();
        self.path.push(b'/');
        self.path.extend_from_slice(&entry.name);
        let mut is_bad = self.attributes(&entry.metadata.attributes)?;
        match &entry.body {
            Body::File { size, content, .. } => is_bad |= self.content(content, *size)?,
            Body::Directory { tree, entries, totals } => {
                if is_bad {
                    self.losses.path(&self.path, true);
                }
                let path_bytes = self.path.len();
                if depth >= limits::PATH_DEPTH_MAX {
                    self.too_deep(tree);
                    return Ok(true);
                }
                let sum = sum_of(*entries, totals);
                let claim = Claim { level: None, sum, first: None, before: None };
                if is_bad && let Some(frame) = self.stack.last_mut() {
                    frame.memo.is_bad = true;
                }
                return self.enter(*tree, claim, path_bytes, depth + 1);
            }
            _ => {}
        }
        if is_bad {
            self.losses.path(&self.path, false);
        }
        self.path.truncate(above);
        Ok(is_bad)
    }

    fn too_deep(&mut self, id: &BlobId) {
        self.odd(id, "it lies deeper than the format allows");
        self.blind();
    }

    /// What lies below the path is not seen.
    fn blind(&mut self) {
        self.losses.is_blind = true;
        self.losses.path(&self.path, true);
    }

    /// Remembers that a node is not as it must be.
    pub(super) fn odd(&mut self, id: &BlobId, what: &str) {
        let finding = self.odd_finding(id, what);
        self.losses.odd(finding);
    }

    fn odd_finding(&self, id: &BlobId, what: &str) -> Finding {
        let path: &[u8] = if self.path.is_empty() { b"/" } else { &self.path };
        Finding::loss(format!("blob {id}"), format!("{what}; used by {}", text_of(path)))
    }
}

/// What a node adds up to, and its last name.
fn facts(node: &Node) -> (Memo, Option<&Bytes>) {
    let mut totals = Totals::default();
    let (level, entries, first, last) = match node {
        Node::Leaf(list) => {
            for entry in list {
                totals.add(&entry.totals());
            }
            let name = |entry: Option<&'_ Entry>| entry.map(|entry| hash_of(&entry.name.0));
            (0, list.len() as u64, name(list.first()), list.last().map(|entry| &entry.name))
        }
        Node::Inner { level, children } => {
            for child in children {
                totals.add(&child.totals);
            }
            let entries = children.iter().fold(0, |sum: u64, c| sum.saturating_add(c.entries));
            let first = children.first().map(|child| hash_of(&child.first_name.0));
            (*level, entries, first, children.last().map(|child| &child.first_name))
        }
    };
    let sum = sum_of(entries, &totals);
    (Memo { sum, first: first.unwrap_or(0), level, height: 0, is_bad: false }, last)
}
