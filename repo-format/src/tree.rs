//! Directories: sorted entries in a tree of nodes whose borders depend on the names alone. SPEC 6.
//!
//! Equal directories have equal root ids, whatever was stored before them.

use serde::{Deserialize, Serialize};

use crate::codec::{self, Bytes, Text};
use crate::content::Content;
use crate::error::{DecodeError, Reason, Result};
use crate::id::BlobId;
use crate::limits;

/// Version of tree nodes that this crate reads and writes.
pub const VERSION: u8 = 1;

const RECORD: &str = "tree node";

/// A point in time, to the nanosecond, counted from 1970 UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Time {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds past the second, below 1,000,000,000.
    pub nanos: u32,
}

/// One node of a directory: a leaf with entries, or an inner node with children.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    /// Entries, strictly ascending by name.
    Leaf(Vec<Entry>),
    /// Children of one level lower, strictly ascending by first name; at least one.
    Inner {
        /// Distance to the leaves; at least 1.
        level: u8,
        /// The children.
        children: Vec<Child>,
    },
}

/// Reference from an inner node to a node of the level below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// Name of the first entry anywhere below.
    pub first_name: Bytes,
    /// Blob of the child.
    pub id: BlobId,
    /// Entries of this directory below the child.
    pub entries: u64,
    /// Everything below the child, through all folders.
    pub totals: Totals,
}

/// What lies below a directory or a node, through all folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Entries that are not directories.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Sum of file sizes, in bytes, holes included.
    pub bytes: u64,
}

impl Totals {
    /// Adds another count; a hostile sum saturates.
    pub const fn add(&mut self, other: &Self) {
        self.files = self.files.saturating_add(other.files);
        self.directories = self.directories.saturating_add(other.directories);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// One thing in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Name: bytes, no slash, no NUL, neither empty nor `.` nor `..`.
    pub name: Bytes,
    /// What every thing has.
    pub metadata: Metadata,
    /// What it is, with what only that kind has.
    pub body: Body,
}

/// What every entry has, whatever its kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// Permission bits with set-user, set-group and sticky; at most `0o7777`.
    pub mode: u32,
    /// Owner by number.
    pub uid: u32,
    /// Group by number.
    pub gid: u32,
    /// Owner by name; empty where the number has none.
    pub user: Text,
    /// Group by name; empty where the number has none.
    pub group: Text,
    /// Content changed.
    pub mtime: Time,
    /// Inode changed; only to notice changes, never restored.
    pub ctime: Time,
    /// Created, where the file system says.
    pub btime: Option<Time>,
    /// Hard-link group: entries of one snapshot with equal groups are one file.
    pub link_group: Option<LinkGroup>,
    /// Extended attributes, POSIX ACLs among them.
    pub attributes: Attributes,
}

/// Identity of a file with several names, as it was at its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkGroup {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

/// Extended attributes of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Attributes {
    /// None.
    #[default]
    None,
    /// Held in the entry: together at most [`limits::INLINE_BYTES_MAX`].
    Inline(Vec<Attribute>),
    /// Held in a blob of kind attributes: the encoding of [`AttributeList`].
    Blob(BlobId),
}

/// One extended attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attribute {
    /// Name with its namespace, for example `user.comment`.
    pub name: Bytes,
    /// Value.
    pub value: Bytes,
}

/// Blob of kind attributes: strictly ascending by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AttributeList(pub Vec<Attribute>);

/// Kind of an entry, with what only that kind has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A regular file.
    File {
        /// Length in bytes, holes included.
        size: u64,
        /// Where the bytes are.
        content: Content,
        /// Proof of the whole content that needs no key.
        digest: Digest,
    },
    /// A directory.
    Directory {
        /// Root node.
        tree: BlobId,
        /// Entries in the directory itself.
        entries: u64,
        /// Everything below, through all folders.
        totals: Totals,
    },
    /// A symbolic link.
    Symlink {
        /// Target, as bytes.
        target: Bytes,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A character device.
    CharacterDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// Digest of a whole file. SPEC 6.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Digest {
    /// Plain BLAKE3-256 of the content, holes read as zeros: what other tools compute.
    Plain([u8; 32]),
    /// BLAKE3-256 over each maximal run of bytes outside holes, in order: its offset, its bytes,
    /// its length, both numbers as little-endian `u64`; for files whose holes are too long to hash.
    Sparse([u8; 32]),
}

impl Entry {
    /// What the entry adds to its directory's totals.
    pub fn totals(&self) -> Totals {
        match &self.body {
            Body::File { size, .. } => Totals { files: 1, directories: 0, bytes: *size },
            Body::Directory { totals, .. } => {
                let mut sum = Totals { files: 0, directories: 1, bytes: 0 };
                sum.add(totals);
                sum
            }
            _ => Totals { files: 1, directories: 0, bytes: 0 },
        }
    }

    /// Checks what types alone cannot say.
    pub fn check(&self) -> Result<()> {
        let fail = |reason| Err(DecodeError::new(RECORD, 0, reason));
        if !is_name(&self.name) {
            return fail(Reason::Invalid);
        }
        let m = &self.metadata;
        let times = [Some(m.mtime), Some(m.ctime), m.btime];
        if m.mode > 0o7777 || times.iter().flatten().any(|t| t.nanos >= 1_000_000_000) {
            return fail(Reason::Invalid);
        }
        if let Attributes::Inline(list) = &m.attributes {
            check_attributes(list)?;
            let bytes: usize = list.iter().map(|a| a.name.len() + a.value.len()).sum();
            if bytes > limits::INLINE_BYTES_MAX {
                return fail(Reason::OverLimit);
            }
        }
        match &self.body {
            Body::File { size, content, .. } => content.check(*size),
            Body::Symlink { target } if target.is_empty() || target.contains(&0) => {
                fail(Reason::Invalid)
            }
            Body::Symlink { target } if target.len() > limits::LINK_BYTES_MAX => {
                fail(Reason::OverLimit)
            }
            _ => Ok(()),
        }
    }
}

/// Says whether `name` may be one path component. SPEC 6.3.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= limits::NAME_BYTES_MAX
        && name != b"."
        && name != b".."
        && !name.iter().any(|&c| c == b'/' || c == 0)
}

fn check_attributes(list: &[Attribute]) -> Result<()> {
    let ordered = list.windows(2).all(|pair| pair[0].name < pair[1].name);
    let named = list.iter().all(|a| !a.name.is_empty() && !a.name.contains(&0));
    if ordered && named {
        Ok(())
    } else {
        Err(DecodeError::new("attributes", 0, Reason::OutOfOrder))
    }
}

impl AttributeList {
    /// Encodes the plain bytes of the blob.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_versioned(VERSION, self)
    }

    /// Decodes the plain bytes of the blob.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let list: Self = codec::decode_versioned("attributes", VERSION, bytes)?;
        check_attributes(&list.0)?;
        Ok(list)
    }
}

impl Node {
    /// Encodes the plain bytes of the blob.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_versioned(VERSION, self)
    }

    /// Decodes the plain bytes of the blob, and checks every rule that one node can show.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let node: Self = codec::decode_versioned(RECORD, VERSION, bytes)?;
        let fail = |reason| Err(DecodeError::new(RECORD, 0, reason));
        match &node {
            Self::Leaf(entries) => {
                entries.iter().try_for_each(Entry::check)?;
                if entries.windows(2).any(|pair| pair[0].name >= pair[1].name) {
                    return fail(Reason::OutOfOrder);
                }
            }
            Self::Inner { level, children } => {
                if *level == 0 || *level > limits::NODE_LEVEL_MAX || children.is_empty() {
                    return fail(Reason::Invalid);
                }
                if !children.iter().all(|child| is_name(&child.first_name)) {
                    return fail(Reason::Invalid);
                }
                if children.windows(2).any(|pair| pair[0].first_name >= pair[1].first_name) {
                    return fail(Reason::OutOfOrder);
                }
            }
        }
        Ok(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn file(name: &[u8]) -> Entry {
        Entry {
            name: name.into(),
            metadata: Metadata { mode: 0o644, ..Metadata::default() },
            body: Body::File {
                size: 2,
                content: Content::inline(b"hi"),
                digest: Digest::Plain(*blake3::hash(b"hi").as_bytes()),
            },
        }
    }

    #[test]
    fn a_leaf_reads_back() {
        let node = Node::Leaf(vec![file(b"a"), file(b"b\xff")]);
        assert_eq!(Node::decode(&node.encode()).unwrap(), node);
    }

    #[test]
    fn names_that_could_leave_the_target_are_refused() {
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0", &[b'x'; 256]] {
            let node = Node::Leaf(vec![file(name)]);
            assert!(Node::decode(&node.encode()).is_err(), "{}", name.escape_ascii());
        }
    }

    #[test]
    fn entries_out_of_order_are_refused() {
        let node = Node::Leaf(vec![file(b"b"), file(b"a")]);
        assert_eq!(Node::decode(&node.encode()).unwrap_err().reason, Reason::OutOfOrder);
        let twice = Node::Leaf(vec![file(b"a"), file(b"a")]);
        assert!(Node::decode(&twice.encode()).is_err());
    }

    #[test]
    fn every_prefix_of_a_node_is_an_error() {
        let bytes = Node::Leaf(vec![file(b"a"), file(b"b")]).encode();
        for end in 0..bytes.len() {
            assert!(Node::decode(&bytes[..end]).is_err());
        }
    }
}
