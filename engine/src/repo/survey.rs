//! Reading many objects where some may be damaged: which errors are one object's own, and the
//! directories of many packs at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use repo_format::index::PackRef;
use repo_format::pack::Directory;
use repo_format::{ObjectName, envelope};

use super::{Repository, blobs};
use crate::Ambient;
use crate::error::{Error, Kind, Result};

/// Says whether an error is one object's own, so that reading others makes sense.
///
/// A store that fails for one object and still serves the marker has a bad object; one that does
/// not answer at all stops the verb.
pub(crate) fn is_of_one_object(repo: &Repository, error: &Error) -> bool {
    match error.kind() {
        Kind::Damaged | Kind::NewerFormat | Kind::NotFound | Kind::InvalidSetting => true,
        Kind::Store | Kind::StoreDenied if !error.is_retryable() => {
            match repo.store.get(&ObjectName::marker()) {
                Ok(_) => true,
                Err(error) => error.is_not_found(),
            }
        }
        _ => false,
    }
}

/// Says whether the last bytes of an object are the hash of those before: whatever it is, it is
/// what was written.
pub(crate) fn is_intact(bytes: &[u8]) -> bool {
    bytes
        .split_last_chunk::<{ envelope::TRAILER_BYTES }>()
        .is_some_and(|(whole, trailer)| blake3::hash(whole).as_bytes() == trailer)
}

/// Calls that are usefully under way at once: as asked, else as many as the machine and the store
/// take.
pub(crate) fn threads(repo: &Repository, asked: usize) -> usize {
    let traits = repo.store.traits();
    let machine = std::thread::available_parallelism().map_or(2, usize::from);
    match asked {
        0 if traits.is_remote => traits.concurrency.clamp(1, 32),
        0 => machine.clamp(1, 4),
        asked => asked.min(64),
    }
}

/// Runs `work` for every number below `count`, several at once; the first error stops it.
pub(crate) fn for_each_of<S>(
    count: usize,
    threads: usize,
    ambient: &Ambient,
    start: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, usize) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let run = || -> Result<()> {
        let mut state = start()?;
        loop {
            ambient.go_on()?;
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            work(&mut state, number)?;
        }
    };
    let worker = || {
        if let Err(error) = run() {
            // The others take no more work.
            next.store(count, Ordering::Relaxed);
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            scope.spawn(worker);
        }
        worker();
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// A pack that was asked for its directory, with the error where it has none that holds.
pub(crate) type Surveyed = (ObjectName, Result<(PackRef, Directory)>);

/// Reads the directories of many packs; damage of one is given in its place.
pub(crate) fn directories(
    repo: &Repository,
    names: Vec<ObjectName>,
    threads: usize,
    ambient: &Ambient,
) -> Result<Vec<Surveyed>> {
    let found: Vec<Mutex<Option<_>>> = names.iter().map(|_| Mutex::new(None)).collect();
    let read = |(): &mut (), number: usize| {
        let read = blobs::read_directory(repo, &names[number]);
        if let Err(error) = &read
            && !is_of_one_object(repo, error)
        {
            return read.map(|_| ());
        }
        *found[number].lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
        Ok(())
    };
    for_each_of(names.len(), threads, ambient, || Ok(()), read)?;
    let found =
        found.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
    Ok(names.into_iter().zip(found).filter_map(|(name, read)| Some((name, read?))).collect())
}
