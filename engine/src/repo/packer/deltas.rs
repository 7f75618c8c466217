//! Deltas of one version of a file, held back until they can go into one pack side by side: who
//! reads the version reads them in one go.

use std::collections::BTreeMap;
use std::sync::Mutex;

use repo_format::BlobId;
use repo_format::pack::{BlobKind, Entry};

use super::basis::Basis;
use super::{BlobWriter, Scratch, lock};
use crate::error::Result;

/// Bytes of one run that are held back at most.
const RUN_BYTES_MAX: usize = 4 << 20;

/// Names the deltas of one version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run(u64);

/// Frames that go into one pack side by side; offsets count from the first.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pub(super) entries: Vec<(Entry, Vec<BlobId>)>,
    pub(super) bytes: Vec<u8>,
    /// Whether a later version is likely to be stored against them.
    pub(super) is_lasting: bool,
}

impl Frames {
    pub(super) fn push(&mut self, mut entry: Entry, bases: Vec<BlobId>, frame: &[u8]) {
        entry.offset = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.entries.push((entry, bases));
        self.bytes.extend_from_slice(frame);
    }
}

/// Runs that are open.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<(u64, BTreeMap<Run, Frames>)>);

impl Runs {
    fn begin(&self) -> Run {
        let (next, runs) = &mut *lock(&self.0);
        let run = Run(*next);
        *next += 1;
        runs.insert(run, Frames::default());
        run
    }

    /// Adds a frame; gives what is held back when that is much, or when the run is not open.
    fn push(&self, run: Run, entry: Entry, bases: Vec<BlobId>, frame: &[u8]) -> Option<Frames> {
        let (_, runs) = &mut *lock(&self.0);
        let mut unheld = Frames::default();
        let is_open = runs.contains_key(&run);
        let frames = runs.get_mut(&run).unwrap_or(&mut unheld);
        frames.is_lasting = true;
        frames.push(entry, bases, frame);
        (!is_open || frames.bytes.len() >= RUN_BYTES_MAX).then(|| std::mem::take(frames))
    }

    fn end(&self, run: Run) -> Option<Frames> {
        lock(&self.0).1.remove(&run)
    }

    /// Takes everything that is still held back.
    pub(super) fn take_all(&self) -> Vec<Frames> {
        std::mem::take(&mut lock(&self.0).1).into_values().collect()
    }
}

impl BlobWriter<'_> {
    /// Opens a run of deltas.
    pub fn begin_run(&self) -> Run {
        self.runs.begin()
    }

    /// Ends a run: its deltas go into one pack.
    pub fn end_run(&self, run: Run) -> Result<()> {
        match self.runs.end(run) {
            Some(frames) if !frames.entries.is_empty() => self.append(&frames),
            _ => Ok(()),
        }
    }

    /// Saves a blob unless it is known already, as a delta against the first of the bases that
    /// `choose` gives which makes a delta that pays; `choose` is told how often it was asked.
    pub fn save_against(
        &self,
        scratch: &mut Scratch,
        run: Run,
        kind: BlobKind,
        plain: &[u8],
        choose: &mut dyn FnMut(&mut Scratch, BlobId, usize) -> Option<Basis>,
    ) -> Result<BlobId> {
        let (id, is_wanted) = self.begin_blob(kind, plain)?;
        if !is_wanted {
            return Ok(id);
        }
        for attempt in 0.. {
            let Some(basis) = choose(scratch, id, attempt) else { break };
            if let Some(entry) = self.encode_delta(scratch, id, kind, plain, &basis)? {
                let held = self.runs.push(run, entry, basis.ids, &scratch.frame);
                return held.map_or(Ok(()), |frames| self.append(&frames)).map(|()| id);
            }
        }
        self.store_alone(scratch, id, kind, plain, true)?;
        Ok(id)
    }

    /// Saves a data blob of a version that the next one is likely to be stored against.
    pub fn save_lasting(&self, scratch: &mut Scratch, plain: &[u8]) -> Result<BlobId> {
        let (id, is_wanted) = self.begin_blob(BlobKind::Data, plain)?;
        if is_wanted {
            self.store_alone(scratch, id, BlobKind::Data, plain, true)?;
        }
        Ok(id)
    }
}
