//! Does one window at a time, alone and to its end: looks, fetches, writes, completes.
//!
//! Memory is one read, one blob and the window's plan. A small file is opened, written and closed
//! when its bytes come by; only files of several blobs stay open for the length of a window.

use std::sync::Arc;

use repo_format::content::Extent;

use super::existing;
use super::fetch::Fetcher;
use super::job::{Job, Need};
use super::plan::{ReadLimits, Want, plan};
use super::run::Run;
use super::window::{Piece, Window};
use crate::error::{Error, Kind, Result};
use crate::repo::blobs::BlobReader;
use crate::target::files::Directory;

/// One worker.
#[derive(Debug)]
pub(super) struct Worker<'a> {
    run: &'a Run<'a>,
    fetcher: Fetcher<'a>,
    limits: ReadLimits,
    buffer: Vec<u8>,
}

/// A piece under way.
struct Open {
    job: Option<Arc<Job>>,
    /// Wants that were not answered yet.
    left: usize,
    /// Bytes of the file that it stands for.
    bytes: u64,
}

impl Open {
    fn release(&mut self, run: &Run<'_>, reader: &mut BlobReader<'_>) -> Result<()> {
        let Some(job) = self.job.take() else { return Ok(()) };
        run.ambient.progress.done(0, self.bytes);
        job.release(run, reader)
    }
}

impl<'a> Worker<'a> {
    pub(super) fn new(run: &'a Run<'a>, limits: ReadLimits) -> Result<Self> {
        Ok(Self { run, fetcher: Fetcher::new(run)?, limits, buffer: Vec::new() })
    }

    /// Does one window.
    pub(super) fn work(&mut self, window: Window<Arc<Job>, Directory>) -> Result<()> {
        let run = self.run;
        let Window { pieces: parts, handles: _held_open } = window;
        let mut wants = Vec::new();
        let mut pieces: Vec<Open> = Vec::with_capacity(parts.len());
        for piece in parts {
            run.go_on()?;
            let before = wants.len();
            let number = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
            self.look(&piece, number, &mut wants)?;
            let content: u64 = piece.extents.iter().map(|(_, extent)| extent.length()).sum();
            let bytes = content.saturating_add(piece.job.inline_bytes());
            let left = wants.len() - before;
            let mut open = Open { job: Some(piece.job), left, bytes };
            if left == 0 {
                open.release(run, &mut self.fetcher.reader)?;
            }
            pieces.push(open);
        }
        let plan = plan(wants, |id| run.repo.index().find(id), self.limits);
        self.fetcher.fetch(&plan, |reader, wants, plain| {
            for want in wants {
                let Some(piece) = pieces.get_mut(want.piece as usize) else { continue };
                let Some(job) = &piece.job else { continue };
                write(run, job, want, &plain)?;
                piece.left -= 1;
                if piece.left == 0 {
                    piece.release(run, reader)?;
                }
            }
            Ok(())
        })
    }

    /// Looks at what is there, and adds what is wanted of a piece.
    fn look(&mut self, piece: &Piece<Arc<Job>>, number: u32, wants: &mut Vec<Want>) -> Result<()> {
        let need = piece.job.begin(self.run, &mut self.buffer)?;
        if matches!(need, Need::Nothing) {
            return Ok(());
        }
        for (at, extent) in &piece.extents {
            if let Need::Differing(writer) = &need {
                if let Extent::Hole { length } = extent {
                    piece.job.punch(self.run, writer, *at, *length)?;
                    continue;
                }
                if existing::holds(self.run.repo, writer.file(), *at, extent, &mut self.buffer) {
                    self.run.tally.bytes_right.add(extent.length());
                    continue;
                }
            }
            wants.extend(want(*extent, *at, number));
        }
        Ok(())
    }
}

fn want(extent: Extent, at: u64, piece: u32) -> Option<Want> {
    match extent {
        Extent::Blob { id, length } => {
            Some(Want { id, piece, at, from: 0, length, is_whole: true })
        }
        Extent::Slice { id, offset, length } => {
            Some(Want { id, piece, at, from: offset, length, is_whole: false })
        }
        Extent::Hole { .. } => None,
    }
}

/// Gives a file the bytes that it wants of a blob, or takes note that it cannot have them.
fn write(run: &Run<'_>, job: &Job, want: &Want, plain: &Result<&[u8]>) -> Result<()> {
    let lose = |why: &Error| {
        job.lose(u64::from(want.length), || why.to_string());
        Ok(())
    };
    let plain = match plain {
        Ok(plain) => plain,
        Err(why) => return lose(why),
    };
    let range = want.from as usize..want.from as usize + want.length as usize;
    match plain.get(range) {
        Some(bytes) if !want.is_whole || bytes.len() == plain.len() => {
            job.write(run, want.at, bytes)
        }
        _ => {
            let what = format!("blob {} is not as long as the file says", want.id.short());
            lose(&Error::new(Kind::Damaged, what))
        }
    }
}
