//! The earlier version of a file or stream, and which of its chunks a new chunk is stored against.
//!
//! First those that lie where the new one does, moved by as much as the last chunk that both have.
//! Where that fails for more than a little of the file, all chunks of the earlier version vote by
//! the samples that they share with the new one. Without an earlier version, or where it cannot be
//! had, everything is stored in full; nothing is ever lost by it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use repo_format::BlobId;
use repo_format::content::{Content, Extent};
use repo_format::pack::BlobKind;
use repo_format::tree::{Body, Entry};

use super::run::Run;
use crate::chunk::samples::{RATE, is_kept, sample};
use crate::error::Result;
use crate::repo::blobs::BlobReader;
use crate::repo::contents::Extents;
use crate::repo::packer::{self, Basis, Scratch};
use crate::repo::trees::lookup;

/// Chunks of an earlier version that are looked at.
const CHUNKS_MAX: usize = 1 << 20;
/// Samples that a vote holds; a longer file is sampled at a coarser rate.
const SAMPLES_MAX: u64 = 512 << 10;
/// Chunks that one sample may be of before it tells nothing.
const COMMON_MAX: usize = 16;
/// Bases of one delta.
const BASES_MAX: usize = 4;
/// Share of a version, as one in so many bytes, that must have failed to be like what lay in its
/// place before a vote is worth reading all of the earlier version.
const MOVED_SHARE: u64 = 32;
/// Share of its samples that a chunk must have in common with a base, as one in so many.
const SHARED_MIN: usize = 25;

#[derive(Debug, Clone, Copy)]
struct Chunk {
    offset: u64,
    length: u32,
    id: BlobId,
}

/// Samples of all chunks of a version.
#[derive(Debug, Default)]
struct Votes {
    /// One in two to the power of this is kept.
    thinner: u32,
    /// Sample and chunk, ascending.
    samples: Vec<(u32, u32)>,
}

/// The earlier version of one file.
#[derive(Debug)]
pub(super) struct Earlier {
    /// By offset.
    chunks: Vec<Chunk>,
    bytes: u64,
    /// Pages stay where they are.
    is_paged: bool,
    by_id: HashMap<BlobId, u32>,
    votes: OnceLock<Votes>,
    /// How much further on than in the new version the last chunk lay that both have.
    drift: AtomicI64,
    /// Bytes for which what lay in their place did not pay.
    failed_bytes: AtomicU64,
}

impl Earlier {
    /// Finds what was stored under a path, if it can be stood on.
    pub(super) fn find(run: &Run<'_>, path: &[u8], is_paged: bool) -> Option<Self> {
        if !run.near.has_some() {
            return None;
        }
        // What cannot be read is not stood on; whoever restores it is told.
        let found = run.versions.and_then(|root| Self::read(run, root, path).ok().flatten());
        found.map(|earlier| Self { is_paged, ..earlier })
    }

    fn read(run: &Run<'_>, root: BlobId, path: &[u8]) -> Result<Option<Self>> {
        let mut reader = BlobReader::new(run.repo)?;
        match entry_at(&mut reader, root, path)?.map(|entry| entry.body) {
            Some(Body::File { size, content, .. }) => Self::of(&mut reader, &content, size),
            _ => Ok(None),
        }
    }

    fn of(reader: &mut BlobReader<'_>, content: &Content, size: u64) -> Result<Option<Self>> {
        let mut chunks = Vec::new();
        let mut extents = Extents::new(reader, content, size, 0)?;
        while let Some((offset, extent)) = extents.next(reader)? {
            if let Extent::Blob { id, length } = extent {
                chunks.push(Chunk { offset, length, id });
            }
            if chunks.len() > CHUNKS_MAX {
                return Ok(None);
            }
        }
        let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
        let by_id = chunks.iter().enumerate().map(|(at, chunk)| (chunk.id, number(at))).collect();
        let earlier = Self {
            chunks,
            bytes: size,
            is_paged: false,
            by_id,
            votes: OnceLock::new(),
            drift: AtomicI64::new(0),
            failed_bytes: AtomicU64::new(0),
        };
        Ok((!earlier.chunks.is_empty()).then_some(earlier))
    }

    /// Saves a chunk of the new version, against this one where that pays.
    pub(super) fn save(
        &self,
        run: &Run<'_>,
        scratch: &mut Scratch,
        deltas: packer::Run,
        at: u64,
        plain: &[u8],
    ) -> Result<BlobId> {
        let mut choose = |scratch: &mut Scratch, id: BlobId, attempt: usize| match attempt {
            0 => Some(self.in_place(run, scratch, at, plain.len()).unwrap_or_default()),
            1 if self.has_moved(plain.len()) => self.elect(run, scratch, id, plain),
            _ => None,
        };
        let id = run.writer.save_against(scratch, deltas, BlobKind::Data, plain, &mut choose)?;
        if !self.is_paged
            && let Some(known) = self.by_id.get(&id)
        {
            let before = self.chunks[*known as usize].offset;
            self.drift.store(before.cast_signed() - at.cast_signed(), Ordering::Relaxed);
        }
        Ok(id)
    }

    /// The chunks that lie where the new one does.
    fn in_place(
        &self,
        run: &Run<'_>,
        scratch: &mut Scratch,
        at: u64,
        bytes: usize,
    ) -> Option<Basis> {
        let start = at.saturating_add_signed(self.drift.load(Ordering::Relaxed));
        let end = if self.is_paged { start + 1 } else { start.saturating_add(bytes as u64) };
        let first = self.chunks.partition_point(|it| it.offset + u64::from(it.length) <= start);
        let chosen: Vec<u32> = (first..self.chunks.len())
            .take_while(|&number| self.chunks[number].offset < end)
            .take(BASES_MAX)
            .filter_map(|number| u32::try_from(number).ok())
            .collect();
        self.basis(run, scratch, &chosen, bytes)
    }

    /// Says whether content lies elsewhere than before, told that so many bytes more are not like
    /// what lay in their place.
    fn has_moved(&self, bytes: usize) -> bool {
        let failed = self.failed_bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        failed.saturating_mul(MOVED_SHARE) >= self.bytes
    }

    /// The chunks that share the most samples with the new one.
    fn elect(
        &self,
        run: &Run<'_>,
        scratch: &mut Scratch,
        id: BlobId,
        plain: &[u8],
    ) -> Option<Basis> {
        let votes = self.votes.get_or_init(|| self.sample_all(run, scratch));
        let mut own = Vec::new();
        sample(run.repo.gear(), plain, &mut own);
        run.samples.add(run.repo, id, &own);
        own.retain(|&value| is_kept(value, votes.thinner));
        let mut voted: Vec<u32> = Vec::new();
        for value in &own {
            let start = votes.samples.partition_point(|(sample, _)| sample < value);
            let same = votes.samples[start..].iter().take_while(|(sample, _)| sample == value);
            let before = voted.len();
            voted.extend(same.take(COMMON_MAX + 1).map(|(_, chunk)| *chunk));
            if voted.len() - before > COMMON_MAX {
                voted.truncate(before);
            }
        }
        voted.sort_unstable();
        let mut counts: Vec<(usize, u32)> =
            voted.chunk_by(|a, b| a == b).map(|same| (same.len(), same[0])).collect();
        counts.retain(|(count, _)| count * SHARED_MIN >= own.len());
        counts.sort_unstable_by_key(|&(count, chunk)| (std::cmp::Reverse(count), chunk));
        counts.truncate(BASES_MAX);
        let mut chosen: Vec<u32> = counts.into_iter().map(|(_, chunk)| chunk).collect();
        chosen.sort_unstable();
        self.basis(run, scratch, &chosen, plain.len())
    }

    /// Takes the samples of every chunk, from memory or by reading it.
    fn sample_all(&self, run: &Run<'_>, scratch: &mut Scratch) -> Votes {
        let thinner = (self.bytes >> RATE).div_ceil(SAMPLES_MAX).next_power_of_two().ilog2();
        let mut votes = Votes { thinner, samples: Vec::new() };
        let mut fine = Vec::new();
        for (number, chunk) in self.chunks.iter().enumerate() {
            let Ok(number) = u32::try_from(number) else { break };
            if let Some(known) = run.samples.get(run.repo, &chunk.id) {
                fine.clear();
                fine.extend_from_slice(&known);
            } else if let Ok(plain) = scratch.opener.base(run.repo, &run.near, &chunk.id) {
                sample(run.repo.gear(), &plain, &mut fine);
                run.samples.add(run.repo, chunk.id, &fine);
            } else {
                continue;
            }
            let kept = fine.iter().filter(|&&value| is_kept(value, thinner));
            votes.samples.extend(kept.map(|&value| (value, number)));
        }
        votes.samples.sort_unstable();
        votes.samples.dedup();
        votes
    }

    fn basis(
        &self,
        run: &Run<'_>,
        scratch: &mut Scratch,
        chosen: &[u32],
        plain_bytes: usize,
    ) -> Option<Basis> {
        let mut bases: Vec<(BlobId, Arc<Vec<u8>>)> = Vec::new();
        for &number in chosen {
            let id = self.chunks.get(number as usize)?.id;
            if bases.iter().any(|(known, _)| *known == id) {
                continue;
            }
            if let Ok(plain) = scratch.opener.base(run.repo, &run.near, &id) {
                bases.push((id, plain));
            }
        }
        Basis::new(run.repo, &bases, plain_bytes)
    }
}

/// Entry at an absolute path below a root.
pub(super) fn entry_at(
    reader: &mut BlobReader<'_>,
    root: BlobId,
    path: &[u8],
) -> Result<Option<Entry>> {
    let mut tree = root;
    let mut names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        let Some(entry) = lookup(reader, tree, name)? else { return Ok(None) };
        match entry.body {
            _ if names.peek().is_none() => return Ok(Some(entry)),
            Body::Directory { tree: below, .. } => tree = below,
            _ => return Ok(None),
        }
    }
    Ok(None)
}
