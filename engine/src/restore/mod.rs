//! Brings a snapshot, or a part of it, back into a folder.
//!
//! The walk goes through the snapshot in its order, makes the folders and cuts the content into
//! windows of some megabytes. A worker takes a window and does it to its end: it plans the window's
//! reads by pack, fetches runs of neighbours, opens each blob, and writes it to all who want it.
//! Metadata of a file comes when its last byte is written, that of a folder when all in it is done.
//!
//! Nothing but bytes whose blob has proved its id is written under a name of the snapshot. A file
//! of which a part cannot be read does not keep its name: what could be read of it lies beside as
//! `NAME.strongroom-damaged`, without its metadata, and a finding says how many bytes are missing.
//! All others go on.
//!
//! A restore that was cut off leaves files that are not whole, which only their owner may read and
//! which do not have their time of change. Running it again completes them: what is there is
//! compared, and only what differs is fetched.

mod cut;
mod dry_run;
mod existing;
mod extras;
mod fetch;
mod folder;
mod here;
mod job;
mod links;
mod naming;
mod options;
mod plan;
mod report;
mod run;
mod start;
mod verify;
mod walk;
mod window;
mod worker;
mod writing;

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use options::{Options, Overwrite};
pub use report::{Problem, Report};

use crate::Ambient;
use crate::ambient::Event;
use crate::error::{Error, Kind, Result};
use crate::repo::IndexedRepository;
use crate::repo::blobs::BlobReader;
use crate::repo::history::Taken;
use crate::target::files::{Directory, Root};
use dry_run::DryRun;
use folder::Folder;
use here::Here;
use options::{Selection, Sources};
use plan::ReadLimits;
use run::Run;
use start::{At, Start};
use verify::Verify;
use window::{WindowLimits, Windows};
use worker::Worker;
use writing::Writing;

const MIB: u64 = 1 << 20;
/// Handles that all windows under way hold together, about.
const HANDLES: usize = 600;

/// Restores a snapshot.
///
/// Damage, and what the target refuses, is in the report: whoever calls must look at
/// [`Report::findings`] and [`Report::failures`] before calling the restore whole.
///
/// # Errors
/// [`Kind::NotFound`] for a path that is not in the snapshot, [`Kind::InvalidSetting`] for a broken
/// pattern, [`Kind::Target`] where the target cannot take more (it is full, read-only, failing),
/// [`Kind::Interrupted`], and what the store says. What landed by then stays.
pub fn restore(
    repo: &IndexedRepository,
    snapshot: &Taken,
    options: &Options,
    ambient: &Ambient,
) -> Result<Report> {
    let selection = Selection::new(options)?;
    let sources = Sources::new(snapshot.snapshot.sources.iter().map(|source| &source.0[..]));
    let mut reader = BlobReader::new(repo)?;
    let start = Start::find(&mut reader, &snapshot.snapshot, options.path.as_deref())?;
    ambient.progress.files_total.store(start.totals.files, Ordering::Relaxed);
    ambient.progress.bytes_total.store(start.totals.bytes, Ordering::Relaxed);

    let run = Run::new(repo, options, ambient);
    if options.dry_run {
        look(&run, &selection, &sources, &start, &mut reader)?;
    } else {
        let root = write(&run, &selection, &sources, &start, &mut reader)?;
        if options.verify {
            read_back(&run, &selection, &start, &mut reader, root)?;
        }
    }
    let owners_refused = run.applier.owners_refused();
    Ok(run.tally.finish(owners_refused))
}

/// How much is done at a time.
#[derive(Debug, Clone, Copy)]
struct Shape {
    threads: usize,
    windows: WindowLimits,
    reads: ReadLimits,
}

impl Shape {
    /// Chooses by the store and the machine, within the memory.
    fn of(run: &Run<'_>) -> Self {
        let traits = run.repo.store().traits();
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let threads = match (run.options.threads, traits.is_remote) {
            (0, true) => traits.concurrency.clamp(4, 16),
            (0, false) => cores.clamp(2, 4),
            (chosen, _) => chosen.clamp(1, 64),
        };
        // From afar a call costs more than the bytes between two blobs; nearby, a read that stays
        // in the cache of the processor is the quickest.
        let (gap_bytes, read_bytes) =
            if traits.is_remote { (256 << 10, 8 * MIB) } else { (64 << 10, 2 * MIB) };
        let memory = run.options.memory_bytes() / 2;
        let read_bytes = read_bytes.min(memory / 8).max(MIB);
        let window_bytes = (memory / 8).clamp(MIB, 8 * MIB);
        // A read and its copy, a blob, a file that is compared, and the plan.
        let worker_bytes = 2 * read_bytes + window_bytes + 4 * MIB;
        let affordable = usize::try_from(memory / worker_bytes).unwrap_or(usize::MAX);
        let threads = threads.min(affordable).max(1);
        let open = (HANDLES / (threads * 3)).clamp(4, 64);
        Self {
            threads,
            windows: WindowLimits { bytes: window_bytes, pieces: 1000, extents: 4096, open },
            reads: ReadLimits { gap_bytes, read_bytes },
        }
    }
}

/// Restores for real; gives the target.
fn write(
    run: &Run<'_>,
    selection: &Selection,
    sources: &Sources,
    start: &Start,
    reader: &mut BlobReader<'_>,
) -> Result<Arc<Directory>> {
    let target = &run.options.target;
    let is_new = Root::open(target).map_err(|error| unusable(run, &error))?.is_none();
    let root = Root::open_or_create(target).map_err(|error| unusable(run, &error))?;
    let root = Arc::new(root.directory().try_clone().map_err(|error| unusable(run, &error))?);
    // A folder that was there is the person's own, and may hold more than what is restored.
    let metadata = match &start.at {
        At::Folder(_, metadata) if is_new => metadata.clone(),
        At::Folder(..) | At::Thing(_) => None,
    };
    let shape = Shape::of(run);
    run.ambient.progress.event(&Event::Step("restoring"));
    let result = run.with_workers(
        shape.threads,
        || Worker::new(run, shape.reads),
        Worker::work,
        |workers| {
            let mut writing = Writing {
                run,
                selection,
                sources,
                reader: BlobReader::new(run.repo)?,
                limits: shape.windows,
                windows: Windows::new(shape.windows),
                workers,
            };
            let folder = Folder::top(Arc::clone(&root), &start.path, is_new, metadata);
            let mut top = Here::top(folder, Arc::clone(&root));
            if start.is_folder() {
                top.extras = writing.extras(&root, &start.path, is_new)?;
            }
            start.travel(reader, selection, &mut writing, top)?;
            writing.flush()
        },
    );
    let folders = run.links.end();
    result?;
    for folder in folders {
        folder.leave(run, reader)?;
    }
    Ok(root)
}

/// Looks at what a restore would do.
fn look(
    run: &Run<'_>,
    selection: &Selection,
    sources: &Sources,
    start: &Start,
    reader: &mut BlobReader<'_>,
) -> Result<()> {
    let root = Root::open(&run.options.target).map_err(|error| unusable(run, &error))?;
    let mut dry_run = DryRun::new(run, selection, sources);
    let top = match root {
        None => None,
        Some(root) => {
            let root = root.directory().try_clone().map_err(|error| unusable(run, &error))?;
            let root = Arc::new(root);
            let folder = Folder::top(Arc::clone(&root), &start.path, false, None);
            let mut top = Here::top(folder, root);
            if start.is_folder() {
                top.extras = dry_run.extras(&mut top, &start.path);
            }
            Some(top)
        }
    };
    start.travel(reader, selection, &mut dry_run, top)
}

/// Reads everything back.
fn read_back(
    run: &Run<'_>,
    selection: &Selection,
    start: &Start,
    reader: &mut BlobReader<'_>,
    root: Arc<Directory>,
) -> Result<()> {
    run.ambient.progress.event(&Event::Step("reading back"));
    // Only what is on the disk can be read from the disk.
    rustix::fs::syncfs(root.as_fd()).map_err(|error| unusable(run, &error.into()))?;
    run.with_workers(
        Shape::of(run).threads,
        || Ok(()),
        |(), job| verify::check(run, &job),
        |workers| {
            let mut verify = Verify::new(run, workers);
            let folder = Folder::top(Arc::clone(&root), &start.path, false, None);
            start.travel(reader, selection, &mut verify, Here::top(folder, root))
        },
    )
}

fn unusable(run: &Run<'_>, error: &io::Error) -> Error {
    let message = format!("the target {} cannot be used: {error}", run.options.target.display());
    Error::new(Kind::Target, message)
}
