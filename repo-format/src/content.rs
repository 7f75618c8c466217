//! Where the bytes of a file are: in the entry, in extents, or in a tree of extent lists. SPEC 7.

use serde::{Deserialize, Serialize};

use crate::codec::{self, Bytes};
use crate::error::{DecodeError, Reason, Result};
use crate::id::BlobId;
use crate::limits;

/// Version of content lists that this crate reads and writes.
pub const VERSION: u8 = 1;

const RECORD: &str = "content";

/// How a file was cut into blobs; recorded so that ways may differ and change. SPEC 4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Chunker {
    /// One piece, which may share a blob with other small files.
    Whole,
    /// Keyed FastCDC.
    FastCdc {
        /// Least bytes of a chunk but the last.
        min: u32,
        /// Bytes aimed at.
        avg: u32,
        /// Most bytes of a chunk.
        max: u32,
    },
    /// Pieces of equal length.
    Fixed {
        /// Bytes of each piece but the last.
        size: u32,
    },
}

/// Where the bytes of one file are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Here; an empty file is empty inline content.
    Inline(Bytes),
    /// In these extents, in order, covering the file exactly.
    Extents {
        /// How the file was cut.
        chunker: Chunker,
        /// The extents.
        #[serde(deserialize_with = "codec::list_at_most::<_, _, { limits::EXTENTS_MAX }>")]
        extents: Vec<Extent>,
    },
    /// In a tree of content list nodes.
    List {
        /// How the file was cut.
        chunker: Chunker,
        /// Root node, a blob of kind content list.
        root: BlobId,
    },
}

/// A run of bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// A whole data blob.
    Blob {
        /// The blob.
        id: BlobId,
        /// Its plain bytes; at least 1.
        length: u32,
    },
    /// A part of a data blob that small files share.
    Slice {
        /// The blob.
        id: BlobId,
        /// First byte in the plain blob.
        offset: u32,
        /// Bytes; at least 1.
        length: u32,
    },
    /// Zeros that the file system holds no blocks for.
    Hole {
        /// Bytes; at least 1.
        length: u64,
    },
}

impl Extent {
    /// Bytes of the file that the extent covers.
    pub fn length(&self) -> u64 {
        match *self {
            Self::Blob { length, .. } | Self::Slice { length, .. } => u64::from(length),
            Self::Hole { length } => length,
        }
    }

    /// The blob that holds the bytes, but for a hole.
    pub const fn blob(&self) -> Option<BlobId> {
        match *self {
            Self::Blob { id, .. } | Self::Slice { id, .. } => Some(id),
            Self::Hole { .. } => None,
        }
    }

    fn check(&self) -> Result<()> {
        let sound = match *self {
            Self::Blob { length, .. } => length > 0 && length <= limits::DATA_BLOB_BYTES_MAX,
            Self::Slice { offset, length, .. } => {
                let end = u64::from(offset) + u64::from(length);
                length > 0 && end <= u64::from(limits::DATA_BLOB_BYTES_MAX)
            }
            Self::Hole { length } => length > 0 && i64::try_from(length).is_ok(),
        };
        if sound { Ok(()) } else { Err(DecodeError::new(RECORD, 0, Reason::Invalid)) }
    }
}

impl Content {
    /// Content that lies in the entry.
    pub fn inline(bytes: &[u8]) -> Self {
        Self::Inline(bytes.into())
    }

    /// Checks the content against the size of its file as far as the entry alone shows it.
    pub fn check(&self, size: u64) -> Result<()> {
        let fail = |reason| Err(DecodeError::new(RECORD, 0, reason));
        match self {
            Self::Inline(bytes) if bytes.len() > limits::INLINE_BYTES_MAX => {
                fail(Reason::OverLimit)
            }
            Self::Inline(bytes) if bytes.len() as u64 != size => fail(Reason::WrongLength),
            Self::Inline(_) | Self::List { .. } => Ok(()),
            Self::Extents { extents, .. } => {
                if check_extents(extents)? == size {
                    Ok(())
                } else {
                    fail(Reason::WrongLength)
                }
            }
        }
    }
}

fn check_extents(extents: &[Extent]) -> Result<u64> {
    if extents.len() > limits::EXTENTS_MAX {
        return Err(DecodeError::new(RECORD, 0, Reason::OverLimit));
    }
    let mut sum = 0_u64;
    for extent in extents {
        extent.check()?;
        sum = sum.checked_add(extent.length()).ok_or(DecodeError::new(
            RECORD,
            0,
            Reason::OverLimit,
        ))?;
    }
    Ok(sum)
}

/// One node of a content list, a blob of kind content list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListNode {
    /// Extents, in file order; at least one.
    Leaf(
        #[serde(deserialize_with = "codec::list_at_most::<_, _, { limits::EXTENTS_MAX }>")]
        Vec<Extent>,
    ),
    /// Nodes of one level lower, in file order; at least one.
    Inner {
        /// Distance to the leaves; at least 1.
        level: u8,
        /// The children.
        children: Vec<ListChild>,
    },
}

/// Reference from an inner list node to a node of the level below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListChild {
    /// Blob of the child.
    pub id: BlobId,
    /// Bytes of the file that the child covers.
    pub bytes: u64,
}

impl ListNode {
    /// Encodes the plain bytes of the blob.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_versioned(VERSION, self)
    }

    /// Decodes the plain bytes of the blob.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let node: Self = codec::decode_versioned("content list", VERSION, bytes)?;
        let fail = |reason| Err(DecodeError::new("content list", 0, reason));
        match &node {
            Self::Leaf(extents) => {
                if check_extents(extents)? == 0 {
                    return fail(Reason::Invalid);
                }
            }
            Self::Inner { level, children } => {
                let sum = children.iter().try_fold(0_u64, |sum, c| sum.checked_add(c.bytes));
                if *level == 0 || *level > limits::NODE_LEVEL_MAX || children.is_empty() {
                    return fail(Reason::Invalid);
                }
                if sum.is_none() || children.iter().any(|c| c.bytes == 0) {
                    return fail(Reason::Invalid);
                }
            }
        }
        Ok(node)
    }

    /// Bytes of the file that the node covers.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Leaf(extents) => extents.iter().map(Extent::length).sum(),
            Self::Inner { children, .. } => children.iter().map(|c| c.bytes).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_must_add_up_to_the_size() {
        let extents =
            vec![Extent::Blob { id: BlobId([1; 32]), length: 10 }, Extent::Hole { length: 5 }];
        let content = Content::Extents { chunker: Chunker::Whole, extents };
        assert!(content.check(15).is_ok());
        assert_eq!(content.check(16).unwrap_err().reason, Reason::WrongLength);
    }

    #[test]
    fn a_slice_past_the_largest_blob_is_refused() {
        let slice = Extent::Slice { id: BlobId([1; 32]), offset: u32::MAX, length: u32::MAX };
        assert!(slice.check().is_err());
    }

    #[test]
    fn list_nodes_read_back_and_empty_ones_are_refused() {
        let leaf = ListNode::Leaf(vec![Extent::Hole { length: 7 }]);
        assert_eq!(ListNode::decode(&leaf.encode()).unwrap(), leaf);
        assert!(ListNode::decode(&ListNode::Leaf(vec![]).encode()).is_err());
        let inner = ListNode::Inner { level: 1, children: vec![] };
        assert!(ListNode::decode(&inner.encode()).is_err());
    }
}
