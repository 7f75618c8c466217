//! An index of blobs that are not there, to see what a large one costs.

use repo_format::index::PackRef;
use repo_format::pack::{BlobKind, Directory, Entry};
use repo_format::{BlobId, ObjectHash};

use super::write_segment;
use crate::error::Result;
use crate::repo::Repository;

/// Blobs of a pack, of 32 KiB each.
const A_PACK: u64 = 1000;
/// Packs that one segment names.
const A_SEGMENT: u64 = 1000;
const PLAIN_BYTES: u32 = 32 << 10;
const STORED_BYTES: u32 = 20 << 10;

/// Id of a blob by its number.
pub fn blob(number: u64) -> BlobId {
    BlobId(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

/// Writes segments that name `blobs` blobs in packs that do not exist.
pub fn fill(repo: &Repository, blobs: u64) -> Result<()> {
    let mut next = 0;
    while next < blobs {
        let mut packs = Vec::new();
        while next < blobs && (packs.len() as u64) < A_SEGMENT {
            let last = (next + A_PACK).min(blobs);
            packs.push(pack(next, last));
            next = last;
        }
        write_segment(repo, &packs, &[])?;
    }
    Ok(())
}

fn pack(first: u64, last: u64) -> (PackRef, Directory) {
    let mut directory = Directory::default();
    let mut offset = 64;
    for number in first..last {
        directory.entries.push(Entry {
            id: blob(number),
            offset,
            stored_bytes: STORED_BYTES,
            plain_bytes: PLAIN_BYTES,
            kind: BlobKind::Data,
            encoding: repo_format::pack::encoding::ZSTD,
            depth: 0,
            envelope: 0,
            base_count: 0,
            base_first: 0,
        });
        offset += STORED_BYTES;
    }
    let pack = PackRef {
        hash: ObjectHash(blob(u64::MAX - first).0),
        is_metadata: false,
        class: 0,
        epoch: 0,
        total_bytes: u64::from(offset) + (1 << 20),
    };
    (pack, directory)
}
