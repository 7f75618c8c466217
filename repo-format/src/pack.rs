//! Packs: sealed blobs one after another, then a sealed directory that says where each lies.
//! SPEC 5.
//!
//! One read of the last bytes is enough to rebuild what the index says of a pack.

use crate::envelope::{Fields, HEADER_BYTES, TRAILER_BYTES};
use crate::error::{DecodeError, Reason, Result};
use crate::id::{BlobId, RepositoryId};
use crate::limits;

/// Kinds of blob; the first byte under the keyed hash that names it. SPEC 5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BlobKind {
    /// File content.
    Data = 0,
    /// A node of a directory.
    Tree = 1,
    /// A node of a content list.
    ContentList = 2,
    /// Extended attributes.
    Attributes = 3,
    /// A node of a pack set.
    PackSet = 4,
}

impl BlobKind {
    /// Reads the byte of a directory entry.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Data,
            1 => Self::Tree,
            2 => Self::ContentList,
            3 => Self::Attributes,
            4 => Self::PackSet,
            _ => return None,
        })
    }

    /// Says whether blobs of this kind lie in metadata packs.
    pub const fn is_metadata(self) -> bool {
        !matches!(self, Self::Data)
    }
}

/// Encodings of a blob, as the byte of its entry says. SPEC 5.4. Others are unsupported.
pub mod encoding {
    /// The plain bytes.
    pub const RAW: u8 = 0;
    /// A zstd frame.
    pub const ZSTD: u8 = 1;
    /// A zstd frame made with the bases' plain bytes as raw prefix.
    pub const DELTA: u8 = 2;
}

/// Bytes that sealing adds to a blob: salt and tag.
pub const FRAME_OVERHEAD: u32 = 40;
/// Bytes after the sealed directory: its length, then the trailer.
pub const FOOTER_BYTES: usize = 4 + TRAILER_BYTES;

const RECORD: &str = "pack directory";
const DOMAIN: &[u8] = b"strongroom v1 blob";

/// Where one blob lies in its pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The blob.
    pub id: BlobId,
    /// First byte of its frame in the pack.
    pub offset: u32,
    /// Bytes of the frame: salt, ciphertext, tag.
    pub stored_bytes: u32,
    /// Bytes of the blob.
    pub plain_bytes: u32,
    /// Kind.
    pub kind: BlobKind,
    /// Encoding; any byte is carried, [`encoding`] names those that are known.
    pub encoding: u8,
    /// Delta steps to a blob that stands alone; 0 without bases.
    pub depth: u8,
    /// Number of the key envelope; 0 is the repository's own keys.
    pub envelope: u8,
    /// Number of bases.
    pub base_count: u8,
    /// Place of the first base in the base table; 0 without bases.
    pub base_first: u32,
}

impl Entry {
    /// Bytes of an encoded entry. SPEC 5.3.
    pub const ENCODED_BYTES: usize = 56;

    /// Encodes the entry.
    pub fn encode(&self) -> [u8; Self::ENCODED_BYTES] {
        let mut out = [0; Self::ENCODED_BYTES];
        out[..32].copy_from_slice(&self.id.0);
        out[32..36].copy_from_slice(&self.offset.to_le_bytes());
        out[36..40].copy_from_slice(&self.stored_bytes.to_le_bytes());
        out[40..44].copy_from_slice(&self.plain_bytes.to_le_bytes());
        out[44] = self.kind as u8;
        out[45] = self.encoding;
        out[46] = self.depth;
        out[47] = self.envelope;
        out[48] = self.base_count;
        out[52..56].copy_from_slice(&self.base_first.to_le_bytes());
        out
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Self> {
        let id = BlobId(fields.array()?);
        let (offset, stored_bytes, plain_bytes) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let Some(kind) = BlobKind::from_byte(fields.u8()?) else {
            return fields.fail(Reason::Unsupported);
        };
        let entry = Self {
            id,
            offset,
            stored_bytes,
            plain_bytes,
            kind,
            encoding: fields.u8()?,
            depth: fields.u8()?,
            envelope: fields.u8()?,
            base_count: fields.u8()?,
            base_first: {
                fields.zeros(3)?;
                fields.u32()?
            },
        };
        Ok(entry)
    }

    /// Checks what one entry can show, given the bytes before the directory and the base table.
    pub fn check(&self, frames_end: u64, bases: usize) -> Result<()> {
        let fail = |reason| Err(DecodeError::new(RECORD, u64::from(self.offset), reason));
        let end = u64::from(self.offset) + u64::from(self.stored_bytes);
        if (self.offset as usize) < HEADER_BYTES
            || end > frames_end
            || self.stored_bytes < FRAME_OVERHEAD
        {
            return fail(Reason::Invalid);
        }
        let plain_max = match self.kind {
            BlobKind::Data => limits::DATA_BLOB_BYTES_MAX,
            _ => limits::BLOB_BYTES_MAX,
        };
        if self.plain_bytes > plain_max
            || self.depth > limits::DELTA_DEPTH_MAX
            || self.base_count > limits::DELTA_BASES_MAX
        {
            return fail(Reason::OverLimit);
        }
        let base_end = self.base_first as usize + usize::from(self.base_count);
        let alone = self.base_count == 0;
        let sound = base_end <= bases
            && alone == (self.depth == 0)
            && (!alone || self.base_first == 0)
            && (self.encoding >= encoding::DELTA || alone)
            && !(self.encoding == encoding::DELTA && alone);
        let raw_length = self.stored_bytes - FRAME_OVERHEAD;
        if !sound || (self.encoding == encoding::RAW && raw_length != self.plain_bytes) {
            return fail(Reason::Invalid);
        }
        Ok(())
    }
}

/// Directory of a pack: its entries in the order of their frames, and the ids of their bases.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    /// Entries, ascending by offset, without overlap.
    pub entries: Vec<Entry>,
    /// Bases of delta blobs; entries refer to runs of it.
    pub bases: Vec<BlobId>,
}

impl Directory {
    /// Encodes the plain bytes of the directory.
    ///
    /// # Panics
    /// If there are more entries than a pack may have: a mistake of the caller.
    #[expect(clippy::expect_used, reason = "packers stop far below the limit")]
    pub fn encode(&self) -> Vec<u8> {
        let count = |n: usize| u32::try_from(n).expect("counts are below the limit").to_le_bytes();
        let size = 8 + self.entries.len() * Entry::ENCODED_BYTES + self.bases.len() * 32;
        let mut out = Vec::with_capacity(size);
        out.extend_from_slice(&count(self.entries.len()));
        out.extend_from_slice(&count(self.bases.len()));
        for entry in &self.entries {
            out.extend_from_slice(&entry.encode());
        }
        for base in &self.bases {
            out.extend_from_slice(&base.0);
        }
        out
    }

    /// Decodes the plain bytes of the directory of a pack whose frames end at `frames_end`.
    pub fn decode(bytes: &[u8], frames_end: u64) -> Result<Self> {
        let mut fields = Fields::new(RECORD, bytes);
        let (entry_count, base_count) = (fields.u32()?, fields.u32()?);
        if entry_count > limits::PACK_BLOBS_MAX {
            return fields.fail(Reason::OverLimit);
        }
        let expected = 8_u64
            + u64::from(entry_count) * Entry::ENCODED_BYTES as u64
            + u64::from(base_count) * 32;
        if expected != bytes.len() as u64 {
            return fields.fail(Reason::WrongLength);
        }
        let mut directory = Self::default();
        let mut previous_end = HEADER_BYTES as u64;
        for _ in 0..entry_count {
            let entry = Entry::decode(&mut fields)?;
            entry.check(frames_end, base_count as usize)?;
            if u64::from(entry.offset) < previous_end {
                return fields.fail(Reason::OutOfOrder);
            }
            previous_end = u64::from(entry.offset) + u64::from(entry.stored_bytes);
            directory.entries.push(entry);
        }
        for _ in 0..base_count {
            directory.bases.push(BlobId(fields.array()?));
        }
        fields.end()?;
        Ok(directory)
    }

    /// Ids of the bases of an entry of this directory.
    pub fn bases_of(&self, entry: &Entry) -> &[BlobId] {
        let first = entry.base_first as usize;
        self.bases.get(first..first + usize::from(entry.base_count)).unwrap_or(&[])
    }
}

/// Context under which the frame of a blob is sealed: it fixes what the bytes mean. SPEC 5.2.
pub fn blob_context(
    repository: RepositoryId,
    id: BlobId,
    kind: BlobKind,
    encoding: u8,
    plain_bytes: u32,
    bases: &[BlobId],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(DOMAIN.len() + 54 + bases.len() * 32);
    out.extend_from_slice(DOMAIN);
    out.extend_from_slice(&repository.0);
    out.extend_from_slice(&id.0);
    out.extend_from_slice(&[kind as u8, encoding]);
    out.extend_from_slice(&plain_bytes.to_le_bytes());
    for base in bases {
        out.extend_from_slice(&base.0);
    }
    out
}

/// Finds the sealed directory of a pack of `total_bytes` from its last bytes, which include at
/// least the footer: the offset of the directory in the pack and its length.
pub fn locate_directory(total_bytes: u64, tail: &[u8]) -> Result<(u64, u32)> {
    let fail = |reason| Err(DecodeError::new("pack footer", total_bytes, reason));
    let footer = HEADER_BYTES + FOOTER_BYTES;
    if total_bytes < footer as u64 || tail.len() < FOOTER_BYTES {
        return fail(Reason::Truncated);
    }
    if total_bytes > limits::PACK_BYTES_MAX {
        return fail(Reason::OverLimit);
    }
    let mut length = [0; 4];
    let at = tail.len() - FOOTER_BYTES;
    length.copy_from_slice(&tail[at..at + 4]);
    let length = u32::from_le_bytes(length);
    let room = total_bytes - footer as u64;
    if u64::from(length) > room || length < FRAME_OVERHEAD {
        return fail(Reason::Invalid);
    }
    Ok((total_bytes - FOOTER_BYTES as u64 - u64::from(length), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(offset: u32) -> Entry {
        Entry {
            id: BlobId([offset.to_le_bytes()[0]; 32]),
            offset,
            stored_bytes: 50,
            plain_bytes: 10,
            kind: BlobKind::Data,
            encoding: encoding::RAW,
            depth: 0,
            envelope: 0,
            base_count: 0,
            base_first: 0,
        }
    }

    #[test]
    fn a_directory_reads_back() {
        let delta = Entry {
            encoding: encoding::DELTA,
            depth: 1,
            base_count: 2,
            base_first: 0,
            ..entry(114)
        };
        let directory = Directory {
            entries: vec![entry(64), delta],
            bases: vec![BlobId([1; 32]), BlobId([2; 32])],
        };
        let bytes = directory.encode();
        let read = Directory::decode(&bytes, 164).unwrap();
        assert_eq!(read, directory);
        assert_eq!(read.bases_of(&read.entries[1]).len(), 2);
        for end in 0..bytes.len() {
            assert!(Directory::decode(&bytes[..end], 164).is_err());
        }
    }

    #[test]
    fn frames_that_overlap_or_leave_the_pack_are_refused() {
        let overlapping = Directory { entries: vec![entry(64), entry(100)], bases: vec![] };
        let error = Directory::decode(&overlapping.encode(), 1000).unwrap_err();
        assert_eq!(error.reason, Reason::OutOfOrder);
        let outside = Directory { entries: vec![entry(64)], bases: vec![] };
        assert!(Directory::decode(&outside.encode(), 113).is_err());
        let before = Directory { entries: vec![entry(63)], bases: vec![] };
        assert!(Directory::decode(&before.encode(), 1000).is_err());
    }

    #[test]
    fn a_directory_length_past_the_pack_is_refused() {
        let mut tail = vec![0; FOOTER_BYTES];
        tail[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(locate_directory(1000, &tail).is_err());
        tail[..4].copy_from_slice(&100_u32.to_le_bytes());
        assert_eq!(locate_directory(1000, &tail).unwrap(), (1000 - 36 - 100, 100));
    }
}
