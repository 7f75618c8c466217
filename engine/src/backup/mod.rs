//! Makes one snapshot of some sources.
//!
//! The order is the safety argument: blobs land in packs, a segment names them, and only then does
//! the history record that is the snapshot point at them (O-1, O-3, O-4).

use std::sync::atomic::Ordering;

use repo_format::codec::{Bytes, Text};
use repo_format::history::{Event, Snapshot, Statistics};
use repo_format::tree::Time;

use crate::Ambient;
use crate::error::{Error, Kind, Result};
use crate::repo::history::{History, Taken};
use crate::repo::marks::Marks;
use crate::repo::packer::{BlobWriter, PackSettings};
use crate::repo::securing::{Securing, Seen};
use crate::repo::trees::Directory;
use crate::repo::vouching::{self, Knowledge};
use crate::repo::{IndexedRepository, session};
use crate::source::files::Excludes;

mod captures;
mod earlier;
mod folder;
mod large;
mod links;
mod options;
mod pieces;
mod queue;
mod report;
mod roots;
mod run;
mod small;
#[cfg(test)]
mod tests;
mod unchanged;
mod versions;
mod walk;

pub use options::{Options, Parent, Source};
pub use report::{Report, Unreadable};
pub use roots::STREAMS;

/// Time before the start of the parent's run within which a change may share a tick of the file
/// system's clock with the run, in milliseconds.
const CLOCK_TICK_MS: i64 = 20;

/// Times that a backup begins anew because prunes took what it counted on.
const ATTEMPTS: usize = 3;

/// Backs up everything that the options name into one snapshot.
///
/// # Errors
/// [`Kind::Source`] when a source cannot be read at all or a stream fails; [`Kind::Damaged`] when a
/// prune took of the snapshot what cannot be mended; what the store says.
/// When the verb is cancelled, what was stored so far becomes a partial snapshot.
pub fn backup(repo: &IndexedRepository, options: &Options, ambient: &Ambient) -> Result<Report> {
    let started = std::time::Instant::now();
    repo.must_be_writable()?;
    let excludes = Excludes::new(&options.excludes)
        .map_err(|error| Error::caused(Kind::InvalidSetting, error.to_string(), error))?;
    let roots = roots::Root::new(&options.sources)?;
    let sources = roots::names(&options.sources)?;
    let (repo, packs_adopted) = resume(repo, options, ambient)?;
    let mut history = History::load(&repo, ambient)?;
    let mut repo = repo;
    let mut parent = find_parent(&history, options, &sources)?;
    for attempt in 1.. {
        // W0: the history, then the plans, then the index.
        let marks = Marks::load(&repo, ambient)?;
        let absent = marks.absent(&history);
        if !absent.is_empty() {
            repo = repo.load_index(ambient)?.avoiding(absent);
        }
        let seen = vouched(&history, &marks, parent.as_ref());
        let known = (&history, &sources[..]);
        let built = build(&repo, options, ambient, &excludes, &roots, parent.as_ref(), known)?;
        let mut report = Report { packs_adopted, ..built };
        let duration = started.elapsed().as_millis();
        report.statistics.duration_ms = u64::try_from(duration).unwrap_or(u64::MAX);
        if options.is_dry_run || planted!(SnapshotBeforePacks) {
            return Ok(report);
        }
        match commit(&repo, &mut history, &mut report, seen, options, &sources, ambient) {
            // A prune has deleted what only the sources have: everything is read again.
            Err(error) if error.kind() == Kind::NotFound && attempt < ATTEMPTS => {
                if options.sources.iter().any(|one| matches!(one, Source::Stdin { .. })) {
                    let message = "a prune took what this backup counted on: run it again";
                    return Err(Error::caused(Kind::Refused, message, error));
                }
                parent = None;
                history.refresh(&repo, ambient)?;
                repo = repo.load_index(ambient)?;
            }
            result => {
                result?;
                if planted!(SnapshotBeforeIndex) {
                    session::adopt(&repo)?;
                }
                return Ok(report);
            }
        }
    }
    Err(Error::new(Kind::Other, "prunes take what this backup counts on"))
}

/// Plans that everything taken from the parent is known to obey; none where that is not known.
fn vouched(history: &History, marks: &Marks, parent: Option<&Taken>) -> Option<Seen> {
    let seen = Seen::of(marks, history);
    let Some(parent) = parent else { return Some(seen) };
    let standings = history.standings();
    if vouching::unconfirmed(history, &standings, marks).contains(&parent.id) {
        return None;
    }
    let standing = standings.iter().find(|one| one.taken.id == parent.id)?;
    let vouchers = Knowledge::of(marks, history).vouchers(standing, marks);
    vouchers.iter().any(|voucher| seen.plans.is_subset(voucher)).then_some(seen)
}

/// Reads the sources and stores what is new (W1, W2); `known` are the history and the names of the
/// sources.
fn build(
    repo: &IndexedRepository,
    options: &Options,
    ambient: &Ambient,
    excludes: &Excludes,
    roots: &roots::Root,
    parent: Option<&Taken>,
    known: (&History, &[Vec<u8>]),
) -> Result<Report> {
    if let Some(parent) = parent {
        let totals = parent.snapshot.totals;
        ambient.progress.files_total.store(totals.files, Ordering::Relaxed);
        ambient.progress.bytes_total.store(totals.bytes, Ordering::Relaxed);
    }
    let past = parent.map_or_else(run::Past::default, |parent| run::Past {
        trusted_before: trusted_before(parent),
        versions: Some(versions::root_to_stand_on(known.0, parent)),
        parent_root: Some(parent.snapshot.root),
    });
    let stored_before = ambient.progress.bytes_stored.load(Ordering::Relaxed);
    let settings = pack_settings(repo, options);
    let (mut report, statistics) = BlobWriter::with(repo, settings, &ambient.progress, |writer| {
        let run = run::Run::new(repo, writer, options, ambient, excludes, past);
        let root = read_sources(&run, roots, parent)?;
        run.samples.save(repo);
        let report = report_of(&run, root, parent);
        if planted!(SnapshotBeforePacks) {
            let (history, sources) = known;
            let event = Event::Snapshot(Box::new(snapshot_of(&report, options, sources, ambient)));
            let id = history.clone().commit(repo, event, 0, &options.actor, ambient)?;
            return Ok((Report { snapshot: Some(id), ..report }, run.take_statistics(writer)));
        }
        Ok((report, run.take_statistics(writer)))
    })?;
    report.statistics = statistics;
    // The last packs are stored only when the writer is done.
    let stored = ambient.progress.bytes_stored.load(Ordering::Relaxed);
    report.statistics.bytes_stored = stored.saturating_sub(stored_before);
    Ok(report)
}

/// Commits the snapshot, with everything that it needs where no prune takes it (W3 to W5).
fn commit(
    repo: &IndexedRepository,
    history: &mut History,
    report: &mut Report,
    seen: Option<Seen>,
    options: &Options,
    sources: &[Vec<u8>],
    ambient: &Ambient,
) -> Result<()> {
    let actor = &options.actor;
    let securing = Securing { repo, settings: pack_settings(repo, options), actor, ambient };
    let seen = securing.secure(history, report.root, seen)?;
    let mut snapshot = snapshot_of(report, options, sources, ambient);
    snapshot.prune_basis = seen.basis();
    let event = Event::Snapshot(Box::new(snapshot));
    let id = history.commit(repo, event, options.retain_until_ms, actor, ambient)?;
    report.snapshot = Some(id);
    securing.confirm(history, id, report.root, seen)
}

/// Takes over what a run of this machine that was killed had stored.
fn resume(
    repo: &IndexedRepository,
    options: &Options,
    ambient: &Ambient,
) -> Result<(IndexedRepository, usize)> {
    let adopted = if options.is_dry_run { 0 } else { session::adopt(repo)? };
    let repo = if adopted > 0 { repo.load_index(ambient)? } else { repo.clone() };
    Ok((repo, adopted))
}

fn pack_settings(repo: &IndexedRepository, options: &Options) -> PackSettings {
    let traits = repo.store().traits();
    let uploads = if traits.is_remote { traits.concurrency } else { 2 };
    let settings = PackSettings::within(
        options.memory_bytes,
        traits.pack_bytes,
        options.threads,
        uploads,
        options.level,
    );
    PackSettings { is_dry: options.is_dry_run, ..settings }
}

/// Runs the walk and the threads that do its jobs.
fn read_sources(
    run: &run::Run<'_>,
    roots: &roots::Root,
    parent: Option<&Taken>,
) -> Result<Directory> {
    std::thread::scope(|scope| {
        for _ in 0..run.options.threads.clamp(1, 256) {
            scope.spawn(|| run.work());
        }
        let walked = walk::Walk::new(run)
            .and_then(|walk| walk.walk(roots, parent.map(|parent| parent.snapshot.root)));
        if let Err(error) = walked {
            run.queue.fail(error);
        }
        run.queue.close();
    });
    run.queue.result()?;
    run.take_root().ok_or_else(|| Error::new(Kind::Other, "the backup ended without a root folder"))
}

fn report_of(run: &run::Run<'_>, root: Directory, parent: Option<&Taken>) -> Report {
    Report {
        snapshot: None,
        parent: parent.map(|parent| parent.id),
        root: root.tree,
        root_entries: root.entries,
        totals: root.totals,
        statistics: Statistics::default(),
        is_partial: run.is_cancelled() || run.failed_streams.load(Ordering::Relaxed) > 0,
        is_interrupted: run.is_cancelled(),
        unreadable_count: run.counts.unreadable.load(Ordering::Relaxed),
        unreadable: run.counts.take_unreadable(),
        streams: run.take_streams(),
        packs_adopted: 0,
    }
}

/// Chooses the snapshot that unchanged files are taken from.
fn find_parent(history: &History, options: &Options, sources: &[Vec<u8>]) -> Result<Option<Taken>> {
    let snapshots = history.snapshots();
    Ok(match options.parent {
        Parent::None => None,
        Parent::Given(id) => {
            let found = snapshots.into_iter().find(|taken| taken.id == id);
            Some(found.ok_or_else(|| {
                Error::new(Kind::NotFound, format!("there is no snapshot {id} to be the parent"))
            })?)
        }
        Parent::Newest => snapshots.into_iter().rev().find(|taken| {
            let snapshot = &taken.snapshot;
            !snapshot.is_partial
                && snapshot.host.as_str() == options.actor.host
                && snapshot.sources.iter().map(|s| &s.0).eq(sources)
        }),
    })
}

/// Time before which a change was seen by the parent's run for certain.
fn trusted_before(parent: &Taken) -> Time {
    let duration = i64::try_from(parent.snapshot.statistics.duration_ms).unwrap_or(i64::MAX);
    run::time_of(parent.committed_ms.saturating_sub(duration).saturating_sub(CLOCK_TICK_MS))
}

fn snapshot_of(
    report: &Report,
    options: &Options,
    sources: &[Vec<u8>],
    ambient: &Ambient,
) -> Snapshot {
    let actor = &options.actor;
    let mut tags: Vec<Text> = options.tags.iter().map(|tag| Text::new(tag)).collect();
    tags.sort();
    tags.dedup();
    Snapshot {
        root: report.root,
        root_entries: report.root_entries,
        totals: report.totals,
        pack_set: None,
        prune_basis: Vec::new(),
        time_ms: options.time_ms.unwrap_or_else(|| ambient.clock.now_ms()),
        host: Text::new(&actor.host),
        user: Text::new(&actor.user),
        program: Text::new(&actor.program),
        sources: sources.iter().map(|source| Bytes(source.clone())).collect(),
        tags,
        label: Text::new(&options.label),
        parent: report.parent,
        is_partial: report.is_partial,
        unreadable: report.unreadable_count,
        streams: report.streams.clone(),
        statistics: report.statistics,
    }
}
