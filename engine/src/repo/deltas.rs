//! Opens blobs, deltas among them: their bases first, theirs before, and all of it within bounds.
//! SPEC 5.4.
//!
//! A base must lie at a lower depth than what stands on it, so no circle is ever followed; how many
//! blobs and bytes may be opened for one blob is counted, so no store can make a reader drown.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::BytesMut;
use repo_format::index::PackRef;
use repo_format::{BlobId, limits};

use super::Repository;
use super::blobs::FrameReader;
use super::index::Located;
use crate::error::{Context as _, Error, Kind, Result};

/// Bytes of bases that are kept for the next delta.
const HELD_BYTES_MAX: usize = 4 << 20;
/// Buffers for joined bases that are kept.
const SPARE_MAX: usize = 4;
/// Places that are remembered as not holding.
const FAILED_MAX: usize = 1000;

/// Where bases lie, and how their frames are read.
pub(crate) trait Bases {
    /// Every place of a blob, best first.
    fn places(&self, id: &BlobId) -> Vec<Located>;

    /// Reads the frame at one place.
    fn frame(&self, located: &Located) -> Result<BytesMut>;
}

/// Why a blob did not open.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is damaged itself.
    Own(Error),
    /// One of its bases cannot be had; nothing is said of the blob's own frame.
    Base(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Own(error) | Failure::Base(error) => error,
        }
    }
}

/// What may still be opened for one blob.
#[derive(Debug)]
struct Allowance {
    blobs: u32,
    bytes: u64,
}

impl Allowance {
    const fn new() -> Self {
        Self { blobs: limits::DELTA_OPENED_MAX, bytes: limits::DELTA_OPENED_BYTES_MAX }
    }

    fn take(&mut self, plain_bytes: u32) -> Result<()> {
        let left = self.blobs.checked_sub(1).zip(self.bytes.checked_sub(u64::from(plain_bytes)));
        let Some((blobs, bytes)) = left else {
            return Err(Error::new(
                Kind::Damaged,
                "it stands on more bases than the format allows",
            ));
        };
        (self.blobs, self.bytes) = (blobs, bytes);
        Ok(())
    }
}

/// Plain bytes of bases, the longest held going first.
#[derive(Debug, Default)]
struct Held {
    blobs: HashMap<BlobId, Arc<Vec<u8>>>,
    order: VecDeque<BlobId>,
    bytes: usize,
}

impl Held {
    fn add(&mut self, id: BlobId, plain: &Arc<Vec<u8>>) {
        if plain.len() > HELD_BYTES_MAX / 4 || self.blobs.insert(id, Arc::clone(plain)).is_some() {
            return;
        }
        self.order.push_back(id);
        self.bytes += plain.len();
        while self.bytes > HELD_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.blobs.remove(&oldest).map_or(0, |plain| plain.len());
        }
    }
}

/// Opens blobs, one after another; keep one a thread.
#[derive(Debug)]
pub(crate) struct Opener {
    frames: FrameReader,
    held: Held,
    spare: Vec<Vec<u8>>,
    /// Places whose own bytes did not hold while they were wanted as bases, and why.
    failed: Vec<(PackRef, String)>,
}

impl Opener {
    /// Makes an opener.
    pub(crate) fn new() -> Result<Self> {
        let frames = FrameReader::new()?;
        Ok(Self { frames, held: Held::default(), spare: Vec::new(), failed: Vec::new() })
    }

    /// Opens a frame, in place, into its plain bytes.
    pub(crate) fn open(
        &mut self,
        repo: &Repository,
        bases: &dyn Bases,
        located: &Located,
        frame: &mut [u8],
        plain: &mut Vec<u8>,
    ) -> std::result::Result<(), Failure> {
        self.open_within(repo, bases, located, frame, plain, &mut Allowance::new())
    }

    /// Plain bytes of a blob that something is to stand on.
    pub(crate) fn base(
        &mut self,
        repo: &Repository,
        bases: &dyn Bases,
        id: &BlobId,
    ) -> Result<Arc<Vec<u8>>> {
        self.base_within(repo, bases, id, u8::MAX, &mut Allowance::new())
    }

    /// Takes out the packs whose bytes did not hold while bases were read from them, and why.
    pub(crate) fn take_failed(&mut self) -> Vec<(PackRef, String)> {
        std::mem::take(&mut self.failed)
    }

    fn open_within(
        &mut self,
        repo: &Repository,
        bases: &dyn Bases,
        located: &Located,
        frame: &mut [u8],
        plain: &mut Vec<u8>,
        allowance: &mut Allowance,
    ) -> std::result::Result<(), Failure> {
        allowance.take(located.entry.plain_bytes).map_err(Failure::Base)?;
        if located.bases.is_empty() {
            return self.frames.open(repo, located, &[], frame, plain).map_err(Failure::Own);
        }
        let mut joined = self.spare.pop().unwrap_or_default();
        joined.clear();
        let gathered = self.gather(repo, bases, located, &mut joined, allowance);
        let opened = gathered.map_err(Failure::Base).and_then(|()| {
            self.frames.open(repo, located, &joined, frame, plain).map_err(Failure::Own)
        });
        if self.spare.len() < SPARE_MAX {
            self.spare.push(joined);
        }
        opened
    }

    /// Joins the bases of a delta.
    fn gather(
        &mut self,
        repo: &Repository,
        bases: &dyn Bases,
        located: &Located,
        joined: &mut Vec<u8>,
        allowance: &mut Allowance,
    ) -> Result<()> {
        let depth = located.entry.depth.min(limits::DELTA_DEPTH_MAX);
        for id in &located.bases {
            let base = self.base_within(repo, bases, id, depth, allowance)?;
            if joined.len() + base.len() > limits::DELTA_BASE_BYTES_MAX as usize {
                let what = format!("the bases of blob {} are over the limit", located.entry.id);
                return Err(Error::new(Kind::Damaged, what));
            }
            joined.extend_from_slice(&base);
        }
        Ok(())
    }

    /// Opens a base from whichever of its places below `depth` holds.
    fn base_within(
        &mut self,
        repo: &Repository,
        bases: &dyn Bases,
        id: &BlobId,
        depth: u8,
        allowance: &mut Allowance,
    ) -> Result<Arc<Vec<u8>>> {
        if let Some(plain) = self.held.blobs.get(id) {
            return Ok(Arc::clone(plain));
        }
        let what = format!("base {} is in no pack of the index", id.short());
        let mut trouble = Error::new(Kind::Damaged, what);
        for located in bases.places(id) {
            if located.entry.depth >= depth {
                let what = format!("base {} does not lie below what stands on it", id.short());
                trouble = Error::new(Kind::Damaged, what);
                continue;
            }
            let mut plain = Vec::new();
            let opened = bases.frame(&located).map_err(Failure::Own).and_then(|mut frame| {
                self.open_within(repo, bases, &located, &mut frame, &mut plain, allowance)
            });
            match opened {
                Ok(()) => {
                    let plain = Arc::new(plain);
                    self.held.add(*id, &plain);
                    return Ok(plain);
                }
                Err(failure) => {
                    if let Failure::Own(error) = &failure
                        && self.failed.len() < FAILED_MAX
                    {
                        self.failed.push((located.pack, error.to_string()));
                    }
                    trouble = failure.into();
                }
            }
        }
        Err(trouble).with_context(|| format!("reading base {}", id.short()))
    }
}
