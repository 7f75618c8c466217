//! What all parts of one restore share, and the workers that it runs on.
//!
//! The target may refuse one thing, which is reported; or it cannot go on at all (it is full, or
//! fails), which ends the restore with an error that names the place.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use repo_format::pack::BlobKind;
use repo_format::tree::{Attribute, AttributeList, Attributes, Metadata};

use super::fetch::DamagedPacks;
use super::links::Links;
use super::options::Options;
use super::report::{Tally, shown};
use crate::Ambient;
use crate::error::{Error, Kind, Result};
use crate::finding::Finding;
use crate::repo::IndexedRepository;
use crate::repo::blobs::BlobReader;
use crate::store;
use crate::target::files::{Applier, Aspect, Place};

/// What all parts of one restore share.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) repo: &'a IndexedRepository,
    pub(super) options: &'a Options,
    pub(super) ambient: &'a Ambient,
    pub(super) applier: Applier,
    pub(super) links: Links,
    pub(super) tally: Tally,
    pub(super) damaged_packs: DamagedPacks,
    stopped: AtomicBool,
    failure: Mutex<Option<Error>>,
}

/// A thing of the snapshot whose metadata is put back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thing<'a> {
    pub(super) path: &'a [u8],
    pub(super) metadata: &'a Metadata,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        repo: &'a IndexedRepository,
        options: &'a Options,
        ambient: &'a Ambient,
    ) -> Self {
        Self {
            repo,
            options,
            ambient,
            applier: Applier::new(options.metadata),
            links: Links::within(options.memory_bytes() / 4),
            tally: Tally::default(),
            damaged_packs: DamagedPacks::default(),
            stopped: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// Fails once the restore is to stop, for whatever reason.
    pub(super) fn go_on(&self) -> Result<()> {
        self.ambient.go_on()?;
        if self.is_stopped() {
            return Err(Error::new(Kind::Other, "another part of the restore has failed"));
        }
        Ok(())
    }

    /// Says whether a part of the restore has failed.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Stops the restore; the first reason is the one that counts.
    fn fail(&self, error: Error) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Takes note of what the target refused, or ends the restore where it cannot go on.
    pub(super) fn refused(&self, path: &[u8], doing: &str, error: &io::Error) -> Result<()> {
        if ends_the_restore(error) {
            let target = self.options.target.display();
            let message = format!("{doing}: {} in {target}: {error}", path.escape_ascii());
            return Err(Error::new(Kind::Target, message));
        }
        let what = format!("{doing}: {error}");
        self.ambient.progress.warn(path, what.as_str());
        self.tally.fail(path, what);
        Ok(())
    }

    /// Takes note of something that is not as it should be, though the content is.
    pub(super) fn trouble(&self, path: &[u8], what: String) {
        self.ambient.progress.warn(path, what.as_str());
        self.tally.trouble(path, what);
    }

    /// Takes note of damage.
    pub(super) fn find(&self, finding: Finding) {
        self.ambient.progress.warn(finding.object.as_bytes(), finding.what.as_str());
        self.tally.find(finding);
    }

    /// Puts metadata back as far as it goes, and takes note of what does not.
    pub(super) fn put_back(
        &self,
        reader: &mut BlobReader<'_>,
        place: Place<'_>,
        thing: Thing<'_>,
    ) -> Result<()> {
        let Thing { path, metadata } = thing;
        let read;
        let attributes: &[Attribute] = match &metadata.attributes {
            Attributes::None => &[],
            Attributes::Inline(list) => list,
            Attributes::Blob(id) => {
                let mut plain = Vec::new();
                let list = reader
                    .read(*id, BlobKind::Attributes, &mut plain)
                    .and_then(|()| Ok(AttributeList::decode(&plain)?));
                match list {
                    Ok(list) => {
                        read = list.0;
                        &read
                    }
                    Err(error) if costs_one_thing(&error) => {
                        let what = format!("its extended attributes cannot be read: {error}");
                        self.find(Finding::loss(shown(path), what));
                        // An access list may be among them: without it nobody else is let in.
                        let private = Metadata { mode: metadata.mode & 0o700, ..metadata.clone() };
                        self.report(path, self.applier.apply(place, &private, &[]));
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        self.report(path, self.applier.apply(place, metadata, attributes));
        Ok(())
    }

    fn report(&self, path: &[u8], problems: Vec<crate::target::files::Problem>) {
        for problem in problems {
            let aspect = match &problem.aspect {
                Aspect::All => "metadata".to_owned(),
                Aspect::Owner => "owner".to_owned(),
                Aspect::Mode => "mode".to_owned(),
                Aspect::Attributes => "extended attributes".to_owned(),
                Aspect::Attribute(name) => {
                    format!("extended attribute {}", name.escape_ascii())
                }
                Aspect::Times => "time of change".to_owned(),
            };
            self.trouble(path, format!("putting back the {aspect}: {}", problem.error));
        }
    }

    /// Runs workers beside `feed`, which gives them their jobs; the first failure of any is the
    /// result. Jobs wait in a queue as long as there are workers.
    pub(super) fn with_workers<J: Send, W>(
        &self,
        threads: usize,
        make: impl Fn() -> Result<W> + Sync,
        work: impl Fn(&mut W, J) -> Result<()> + Sync,
        feed: impl FnOnce(&Sender<J>) -> Result<()>,
    ) -> Result<()> {
        let (sender, receiver): (Sender<J>, Receiver<J>) = bounded(threads);
        let serve = |jobs: Receiver<J>| {
            let mut worker = make().map_err(|error| self.fail(error)).ok();
            // Jobs are taken to the end even then, so that nobody waits for a place in the queue.
            for job in jobs {
                if let Some(worker) = worker.as_mut().filter(|_| !self.is_stopped())
                    && let Err(error) = work(worker, job)
                {
                    self.fail(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let jobs = receiver.clone();
                scope.spawn(|| serve(jobs));
            }
            drop(receiver);
            if let Err(error) = feed(&sender) {
                self.fail(error);
            }
            drop(sender);
        });
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(()), Err)
    }
}

/// Hands a job to the workers.
pub(super) fn send<J>(jobs: &Sender<J>, job: J) -> Result<()> {
    jobs.send(job).map_err(|_| Error::new(Kind::Other, "the workers have stopped"))
}

/// Says whether an error of the target will meet every other thing too.
fn ends_the_restore(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    let everywhere = [
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::ROFS,
        Errno::IO,
        Errno::NODEV,
        Errno::STALE,
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::NOTCONN,
    ];
    errno.is_some_and(|errno| everywhere.contains(&errno))
        || matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Says whether an error of the repository costs what is being restored and nothing else: damage,
/// or an object that the store cannot give while it answers.
pub(super) fn costs_one_thing(error: &Error) -> bool {
    use std::error::Error as _;
    let from_store = error.source().and_then(|source| source.downcast_ref::<store::Error>());
    matches!(error.kind(), Kind::Damaged | Kind::NotFound | Kind::NewerFormat)
        || from_store.is_some_and(|error| error.cause == store::Cause::Other)
}
