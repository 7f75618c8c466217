//! How two directories differ, with all that is below them.
//!
//! Both are read side by side, node by node, and a node that both have is passed over unread, so
//! the cost follows the difference. What is open at once is one node a level on each side.

use std::cmp::Ordering;

use repo_format::codec::Bytes;
use repo_format::pack::BlobKind;
use repo_format::tree::{Body, Entry, Metadata, Node};
use repo_format::{BlobId, limits};

use crate::Ambient;
use crate::error::{Context as _, Error, Kind, Result};
use crate::repo::IndexedRepository;
use crate::repo::blobs::BlobReader;

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Only the second side has it.
    Added,
    /// Only the first side has it.
    Removed,
    /// Content of a file, target of a link, or number of a device differs.
    Modified,
    /// Owner, permissions, time or attributes differ, nothing else.
    Metadata,
    /// It is of another type.
    TypeChanged,
}

/// One difference.
#[derive(Debug, Clone, Copy)]
pub struct Difference<'a> {
    /// Path from the directories that are compared.
    pub path: &'a [u8],
    /// What happened.
    pub change: Change,
    /// Entry of the first side, unless added.
    pub old: Option<&'a Entry>,
    /// Entry of the second side, unless removed.
    pub new: Option<&'a Entry>,
}

/// Number of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Directories.
    pub directories: u64,
    /// Everything else.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

impl Count {
    fn add(&mut self, entry: &Entry) {
        match entry.body {
            Body::Directory { .. } => self.directories += 1,
            Body::File { size, .. } => {
                self.files += 1;
                self.bytes = self.bytes.saturating_add(size);
            }
            _ => self.files += 1,
        }
    }
}

/// Counts of all differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Added; where the type changed, what is there now.
    pub added: Count,
    /// Removed; where the type changed, what was there.
    pub removed: Count,
    /// Files, links and devices whose content differs; bytes as they are now.
    pub modified: u64,
    /// Bytes that the modified files had.
    pub modified_old_bytes: u64,
    /// Bytes that the modified files have.
    pub modified_new_bytes: u64,
    /// Entries of which only the metadata differs.
    pub metadata: u64,
    /// Entries of another type; counted among added and removed too.
    pub type_changed: u64,
}

/// What is still to be read of one side of a directory, the next one last.
#[derive(Debug, Default)]
struct Side {
    pending: Vec<Item>,
    last: Option<Bytes>,
}

#[derive(Debug)]
enum Item {
    Node { id: BlobId, level: Option<u8>, first_name: Option<Bytes> },
    Entry(Box<Entry>),
}

impl Side {
    fn new(tree: Option<BlobId>) -> Self {
        let pending = tree.map(|id| Item::Node { id, level: None, first_name: None });
        Self { pending: pending.into_iter().collect(), last: None }
    }

    /// Puts what the next node holds in its place.
    fn open(&mut self, reader: &mut BlobReader<'_>, plain: &mut Vec<u8>) -> Result<()> {
        let Some(Item::Node { id, level, .. }) = self.pending.pop() else { return Ok(()) };
        reader.read(id, BlobKind::Tree, plain)?;
        let node =
            Node::decode(plain).with_context(|| format!("opening tree node {}", id.short()))?;
        let found = if let Node::Inner { level, .. } = &node { *level } else { 0 };
        if level.is_some_and(|level| level != found) {
            let what = format!("tree node {} is of the wrong level", id.short());
            return Err(Error::new(Kind::Damaged, what));
        }
        match node {
            Node::Leaf(entries) => {
                self.pending.extend(entries.into_iter().rev().map(|e| Item::Entry(Box::new(e))));
            }
            Node::Inner { level, children } => {
                self.pending.extend(children.into_iter().rev().map(|child| Item::Node {
                    id: child.id,
                    level: Some(level - 1),
                    first_name: Some(child.first_name),
                }));
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Result<Option<Box<Entry>>> {
        let Some(Item::Entry(entry)) = self.pending.pop_if(|item| matches!(item, Item::Entry(_)))
        else {
            return Ok(None);
        };
        if self.last.as_ref().is_some_and(|last| *last >= entry.name) {
            return Err(Error::new(Kind::Damaged, "a directory is out of order"));
        }
        self.last = Some(entry.name.clone());
        Ok(Some(entry))
    }
}

/// What to do next with the two sides of a directory.
enum Step {
    Open { old: bool, new: bool },
    Take { old: bool, new: bool },
    PassOver,
    End,
}

fn next_step(old: Option<&Item>, new: Option<&Item>) -> Step {
    let open = |old, new| Step::Open { old, new };
    let take = |old, new| Step::Take { old, new };
    match (old, new) {
        (None, None) => Step::End,
        (Some(Item::Entry(a)), Some(Item::Entry(b))) => match a.name.cmp(&b.name) {
            Ordering::Less => take(true, false),
            Ordering::Equal => take(true, true),
            Ordering::Greater => take(false, true),
        },
        (
            Some(Item::Node { id: a, level: a_level, first_name: a_first }),
            Some(Item::Node { id: b, level: b_level, first_name: b_first }),
        ) => {
            if a == b {
                return Step::PassOver;
            }
            // The higher node first, then the earlier one: equal nodes come to stand side by side.
            let order = a_level
                .unwrap_or(u8::MAX)
                .cmp(&b_level.unwrap_or(u8::MAX))
                .then_with(|| b_first.cmp(a_first));
            open(order.is_ge(), order.is_le())
        }
        (Some(Item::Entry(entry)), other) if comes_before(entry, other) => take(true, false),
        (other, Some(Item::Entry(entry))) if comes_before(entry, other) => take(false, true),
        (Some(Item::Node { .. }), _) => open(true, false),
        (_, Some(Item::Node { .. })) => open(false, true),
        (Some(Item::Entry(_)), None) => take(true, false),
        (None, Some(Item::Entry(_))) => take(false, true),
    }
}

/// Says whether an entry comes before all of a node, so that the node does not hold it.
fn comes_before(entry: &Entry, other: Option<&Item>) -> bool {
    match other {
        Some(Item::Node { first_name: Some(first), .. }) => entry.name < *first,
        _ => false,
    }
}

struct Frame {
    old: Side,
    new: Side,
    path_bytes: usize,
}

/// Calls `found` for every difference from the directory `old` to the directory `new`, in order of
/// the paths; an error from it ends the comparison.
///
/// # Errors
/// What keeps a node from being read: a comparison without it would be wrong.
pub fn diff(
    repo: &IndexedRepository,
    old: BlobId,
    new: BlobId,
    found: &mut dyn FnMut(Difference<'_>) -> Result<()>,
    ambient: &Ambient,
) -> Result<Report> {
    let mut reader = BlobReader::new(repo)?;
    let mut report = Report::default();
    let (mut path, mut plain) = (Vec::new(), Vec::new());
    let frame =
        |old, new, path_bytes| Frame { old: Side::new(old), new: Side::new(new), path_bytes };
    let mut frames = vec![frame(Some(old), Some(new), 0)];
    while let Some(top) = frames.last_mut() {
        ambient.go_on()?;
        path.truncate(top.path_bytes);
        let doing = |path: &[u8]| format!("comparing the directory /{}", super::shown(path));
        match next_step(top.old.pending.last(), top.new.pending.last()) {
            Step::End => {
                frames.pop();
            }
            Step::PassOver => {
                top.old.pending.pop();
                top.new.pending.pop();
            }
            Step::Open { old, new } => {
                if old {
                    top.old.open(&mut reader, &mut plain).with_context(|| doing(&path))?;
                }
                if new {
                    top.new.open(&mut reader, &mut plain).with_context(|| doing(&path))?;
                }
            }
            Step::Take { old, new } => {
                let a = if old { top.old.take().with_context(|| doing(&path))? } else { None };
                let b = if new { top.new.take().with_context(|| doing(&path))? } else { None };
                let Some(name) = a.as_ref().or(b.as_ref()).map(|entry| &entry.name) else {
                    continue;
                };
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(name);
                compare(&path, a.as_deref(), b.as_deref(), &mut report, found)?;
                let (a, b) = (tree_of(a.as_deref()), tree_of(b.as_deref()));
                if a != b {
                    if frames.len() >= limits::PATH_DEPTH_MAX {
                        let what = "directories are nested too deep";
                        return Err(Error::new(Kind::Damaged, what));
                    }
                    frames.push(frame(a, b, path.len()));
                }
            }
        }
    }
    Ok(report)
}

fn tree_of(entry: Option<&Entry>) -> Option<BlobId> {
    match entry?.body {
        Body::Directory { tree, .. } => Some(tree),
        _ => None,
    }
}

/// Reports what differs between two entries of one name, but for what is below them.
fn compare(
    path: &[u8],
    old: Option<&Entry>,
    new: Option<&Entry>,
    report: &mut Report,
    found: &mut dyn FnMut(Difference<'_>) -> Result<()>,
) -> Result<()> {
    let change = match (old, new) {
        (None, None) => return Ok(()),
        (None, Some(new)) => {
            report.added.add(new);
            Change::Added
        }
        (Some(old), None) => {
            report.removed.add(old);
            Change::Removed
        }
        (Some(old), Some(new)) => match change_of(old, new) {
            None => return Ok(()),
            Some(change) => {
                count_change(change, old, new, report);
                change
            }
        },
    };
    found(Difference { path, change, old, new })
}

fn change_of(old: &Entry, new: &Entry) -> Option<Change> {
    let is_modified = match (&old.body, &new.body) {
        (
            Body::File { size: a, digest: a_digest, content: a_content },
            Body::File { size: b, digest: b_digest, content: b_content },
        ) => {
            // Digests of other holes differ though the bytes are the same.
            a != b || (a_digest != b_digest && a_content != b_content)
        }
        // What is below is compared on its own.
        (Body::Directory { .. }, Body::Directory { .. }) => false,
        (a, b) if std::mem::discriminant(a) != std::mem::discriminant(b) => {
            return Some(Change::TypeChanged);
        }
        (a, b) => a != b,
    };
    if is_modified {
        Some(Change::Modified)
    } else if has_other_metadata(&old.metadata, &new.metadata) {
        Some(Change::Metadata)
    } else {
        None
    }
}

/// Compares what a restore would set; inode times and numbers change without anyone's doing.
fn has_other_metadata(old: &Metadata, new: &Metadata) -> bool {
    (old.mode, old.uid, old.gid, old.mtime) != (new.mode, new.uid, new.gid, new.mtime)
        || (&old.user, &old.group) != (&new.user, &new.group)
        || old.attributes != new.attributes
}

fn count_change(change: Change, old: &Entry, new: &Entry, report: &mut Report) {
    match change {
        Change::Modified => {
            report.modified += 1;
            let (a, b) = (old.totals().bytes, new.totals().bytes);
            report.modified_old_bytes = report.modified_old_bytes.saturating_add(a);
            report.modified_new_bytes = report.modified_new_bytes.saturating_add(b);
        }
        Change::Metadata => report.metadata += 1,
        Change::TypeChanged => {
            report.type_changed += 1;
            report.added.add(new);
            report.removed.add(old);
        }
        Change::Added | Change::Removed => {}
    }
}
