//! Reads blobs of metadata for the walk: from a pack that is in memory where the store is far away,
//! else the bytes of the one blob.
//!
//! A backup writes nodes in the order in which the walk meets them, so a pack read whole serves
//! many.

use std::collections::{HashMap, VecDeque};

use bytes::{Bytes, BytesMut};
use repo_format::ObjectHash;

use crate::error::{Error, Kind, Result};
use crate::repo::Repository;
use crate::repo::blobs::{FrameReader, pack_name};
use crate::repo::index::Located;

pub(super) struct Nodes<'a> {
    repo: &'a Repository,
    frames: FrameReader,
    is_remote: bool,
    packs: HashMap<ObjectHash, Bytes>,
    /// Packs in memory, the oldest first.
    order: VecDeque<ObjectHash>,
    held: u64,
    most: u64,
}

impl<'a> Nodes<'a> {
    /// Makes a reader that keeps at most `most` bytes of packs.
    pub(super) fn new(repo: &'a Repository, most: u64) -> Result<Self> {
        Ok(Self {
            repo,
            frames: FrameReader::new()?,
            is_remote: repo.store.traits().is_remote,
            packs: HashMap::new(),
            order: VecDeque::new(),
            held: 0,
            most,
        })
    }

    /// Opens a blob at one of its places, given the plain bytes of its bases.
    pub(super) fn open(
        &mut self,
        located: &Located,
        base: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<()> {
        let entry = &located.entry;
        let mut frame = if self.is_remote && located.pack.total_bytes <= self.most {
            let whole = self.pack(located)?;
            let start = entry.offset as usize;
            let frame = whole.get(start..).and_then(|rest| rest.get(..entry.stored_bytes as usize));
            BytesMut::from(
                frame.ok_or_else(|| {
                    Error::new(Kind::Damaged, "the pack ends before the blob does")
                })?,
            )
        } else {
            let name = pack_name(&located.pack);
            let (offset, length) = (u64::from(entry.offset), u64::from(entry.stored_bytes));
            let bytes = self.repo.store.get_range(&name, offset, length)?;
            bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]))
        };
        self.frames.open(self.repo, located, base, &mut frame, plain)
    }

    fn pack(&mut self, located: &Located) -> Result<Bytes> {
        let hash = located.pack.hash;
        if let Some(bytes) = self.packs.get(&hash) {
            return Ok(bytes.clone());
        }
        let bytes = self.repo.store.get(&pack_name(&located.pack))?;
        self.held += bytes.len() as u64;
        self.packs.insert(hash, bytes.clone());
        self.order.push_back(hash);
        while self.held > self.most {
            let Some(oldest) = self.order.pop_front() else { break };
            let freed = self.packs.remove(&oldest).map_or(0, |bytes| bytes.len() as u64);
            self.held -= freed;
        }
        Ok(bytes)
    }
}
