//! Reads packs whole: trailer, directory, the index beside it, and every blob down to its name.
//!
//! A pack that is not as it must be is read a second time, blob by blob by what the index says, to
//! learn what of it is still good.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use repo_format::pack::{self, Directory};
use repo_format::{BlobId, ObjectHash, ObjectKind, envelope, limits};

use super::Run;
use super::catalog::{Catalog, Pack};
use super::damage::{Damage, Lost};
use super::report::count;
use crate::error::{Error, Kind, Result};
use crate::finding::Finding;
use crate::repo::blobs::{self, pack_name};
use crate::repo::deltas::{Bases, Failure, Opener};
use crate::repo::index::Located;
use crate::repo::survey;

/// What reading packs gave.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) packs: u64,
    pub(super) bytes: u64,
    pub(super) blobs: u64,
}

/// Reads the packs that the options choose, and those that look wrong from outside.
pub(super) fn read(run: &mut Run<'_>, catalog: &Catalog) -> Result<(Damage, Counts)> {
    let present: Vec<&Pack> = catalog.packs.iter().filter(|pack| is_readable(pack)).collect();
    let sizes: Vec<(ObjectHash, u64)> =
        present.iter().map(|pack| (pack.described.hash, pack.listed.unwrap_or(0))).collect();
    let chosen = run.options.read_data.choose(run.options.seed, &sizes);
    let chosen: Vec<&Pack> = chosen.into_iter().map(|number| present[number]).collect();
    let total: u64 = chosen.iter().filter_map(|pack| pack.listed).sum();
    run.ambient.progress.bytes_total.store(total, Relaxed);
    let entries = if chosen.is_empty() { HashMap::new() } else { catalog.entry_counts() };

    let reading = Reading {
        run,
        catalog,
        entries,
        budget: Budget::new(run.options.memory()),
        suspects: Mutex::default(),
        notices: Mutex::default(),
        blobs: AtomicU64::new(0),
    };
    reading.suspect_from_outside();
    let threads = survey::threads(run.repo, run.options.threads);
    let work = |scratch: &mut Scratch, number: usize| reading.pack(scratch, chosen[number]);
    survey::for_each_of(chosen.len(), threads, run.ambient, Scratch::new, work)?;
    let damage = reading.salvage(threads)?;
    let Reading { notices, blobs, .. } = reading;
    run.findings.extend(notices.into_inner().unwrap_or_else(PoisonError::into_inner));
    let counts = Counts { packs: chosen.len() as u64, bytes: total, blobs: blobs.into_inner() };
    Ok((damage, counts))
}

/// Says whether the store has something of the pack that is not too large to be one.
fn is_readable(pack: &Pack) -> bool {
    pack.listed.is_some_and(|bytes| bytes <= limits::PACK_BYTES_MAX)
}

struct Scratch {
    opener: Opener,
    plain: Vec<u8>,
    frame: Vec<u8>,
}

impl Scratch {
    fn new() -> Result<Self> {
        Ok(Self { opener: Opener::new()?, plain: Vec::new(), frame: Vec::new() })
    }
}

struct Reading<'a> {
    run: &'a Run<'a>,
    catalog: &'a Catalog,
    entries: HashMap<ObjectHash, u64>,
    budget: Budget,
    /// Packs that are not whole, and why.
    suspects: Mutex<BTreeMap<ObjectHash, (&'a Pack, String)>>,
    notices: Mutex<Vec<Finding>>,
    blobs: AtomicU64,
}

impl<'a> Reading<'a> {
    fn suspect(&self, pack: &'a Pack, why: String) {
        lock(&self.suspects).entry(pack.described.hash).or_insert((pack, why));
    }

    /// Finds the packs that are missing or not as long as they should be.
    fn suspect_from_outside(&self) {
        for pack in self.catalog.packs.iter().filter(|pack| !pack.looks_whole()) {
            match pack.listed {
                None => self.suspect(pack, "it is missing".to_owned()),
                Some(found) => {
                    let expected = pack.described.total_bytes;
                    self.suspect(pack, format!("it has {found} bytes instead of {expected}"));
                }
            }
        }
    }

    /// Reads one pack; what is wrong with it makes it a suspect.
    fn pack(&self, scratch: &mut Scratch, pack: &'a Pack) -> Result<()> {
        let length = pack.listed.unwrap_or(0);
        let _memory = self.budget.take(length);
        match self.examine(scratch, pack) {
            Ok(()) => {}
            Err(error) if survey::is_of_one_object(self.run.repo, &error) => {
                self.suspect(pack, error.to_string());
            }
            Err(error) => return Err(error),
        }
        self.run.ambient.progress.done(1, length);
        Ok(())
    }

    fn examine(&self, scratch: &mut Scratch, pack: &Pack) -> Result<()> {
        let repo = self.run.repo;
        let bytes = repo.store.get(&pack.name)?;
        let total = bytes.len() as u64;
        open_envelope(self.run, pack, &bytes)?;
        let (offset, length) = pack::locate_directory(total, &bytes)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let sealed = &bytes[start..start + length as usize];
        let head = &bytes[..envelope::HEADER_BYTES];
        let trailer = &bytes[bytes.len() - envelope::TRAILER_BYTES..];
        let (found, directory) =
            blobs::open_directory(repo, &pack.name, total, head, sealed, trailer)?;
        if found != pack.described {
            return Err(Error::new(Kind::Damaged, "it is not the pack that the index describes"));
        }
        if pack.is_named {
            self.compare(pack, &directory);
        }
        // Opened where they lie: the bytes of a pack are read once and never copied.
        let mut bytes = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        let (mut opened, mut unsupported) = (0, 0);
        for entry in &directory.entries {
            let start = entry.offset as usize;
            let frame = &mut bytes[start..start + entry.stored_bytes as usize];
            let bases = directory.bases_of(entry).to_vec();
            let located = Located { pack: found, entry: *entry, bases };
            match self.open(scratch, &located, frame) {
                Ok(()) => opened += 1,
                Err(error) if error.kind() == Kind::NewerFormat => unsupported += 1,
                Err(error) => {
                    return Err(error.context(format!("blob {} does not open", entry.id.short())));
                }
            }
        }
        self.blobs.fetch_add(opened, Relaxed);
        if unsupported > 0 {
            let what =
                format!("{} in encodings that this program lacks", count(unsupported, "blob"));
            lock(&self.notices).push(Finding::notice(pack.name.as_str(), what));
        }
        Ok(())
    }

    /// Opens a blob. A delta whose bases cannot be had is not to blame for it: its own frame is
    /// proven as far as it goes, and the packs of the bases become suspects.
    fn open(&self, scratch: &mut Scratch, located: &Located, frame: &mut [u8]) -> Result<()> {
        let repo = self.run.repo;
        let opened = scratch.opener.open(repo, self, located, frame, &mut scratch.plain);
        for (pack, why) in scratch.opener.take_failed() {
            if let Some(pack) = self.catalog.find(&pack_name(&pack)) {
                self.suspect(pack, why);
            }
        }
        match opened {
            Ok(()) => Ok(()),
            Err(Failure::Own(error)) => Err(error),
            Err(Failure::Base(error)) => {
                self.run.goes_on(error)?;
                blobs::unseal(repo, located, frame).map(|_| ())
            }
        }
    }

    /// Holds the directory of a pack against what the index has of it.
    fn compare(&self, pack: &Pack, directory: &Directory) {
        let differing = directory.entries.iter().filter(|entry| {
            let places = self.catalog.index.find_all(&entry.id);
            !places.iter().any(|located| {
                let mut placed = located.entry;
                placed.base_first = entry.base_first;
                located.pack.hash == pack.described.hash
                    && placed == **entry
                    && located.bases == directory.bases_of(entry)
            })
        });
        let differing = differing.count() as u64;
        let known = self.entries.get(&pack.described.hash).copied().unwrap_or(0);
        let held = directory.entries.len() as u64;
        if differing > 0 || known != held {
            let what = format!(
                "the index has {} of it where its directory has {held}, and {differing} differ",
                count(known, "entry").replace("entrys", "entries")
            );
            let finding = Finding::repairable(pack.name.as_str(), what, "strongroom repair index");
            lock(&self.notices).push(finding);
        }
    }

    /// Learns what of each suspect still opens.
    fn salvage(&self, threads: usize) -> Result<Damage> {
        let suspects = std::mem::take(&mut *lock(&self.suspects));
        let mut ids: HashMap<ObjectHash, Vec<BlobId>> = HashMap::new();
        if !suspects.is_empty() {
            for index in [&self.catalog.index, &self.catalog.unnamed] {
                index.for_each(|pack, place| {
                    if suspects.contains_key(&pack.hash) {
                        ids.entry(pack.hash).or_default().push(place.entry.id);
                    }
                });
            }
        }
        let suspects: Vec<(&Pack, String)> = suspects.into_values().collect();
        let damage = Mutex::new(Damage::default());
        let work = |scratch: &mut Scratch, number: usize| {
            let (pack, why) = &suspects[number];
            let mut blobs = ids.get(&pack.described.hash).cloned().unwrap_or_default();
            blobs.sort_unstable();
            blobs.dedup();
            if pack.looks_whole() && self.is_whole_now(scratch, pack)? {
                return Ok(());
            }
            let lost = self.lost_of(scratch, pack, &blobs)?;
            lock(&damage).add(pack, why.clone(), lost, blobs.len());
            Ok(())
        };
        survey::for_each_of(suspects.len(), threads, self.run.ambient, Scratch::new, work)?;
        Ok(damage.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads a suspect once more: what was wrong may have been the reading.
    fn is_whole_now(&self, scratch: &mut Scratch, pack: &Pack) -> Result<bool> {
        let _memory = self.budget.take(pack.listed.unwrap_or(0));
        if let Err(error) = self.examine(scratch, pack) {
            self.run.goes_on(error)?;
            return Ok(false);
        }
        let what = "it was read wrong once and right the second time: the disk, the network or the \
                    memory of this machine cannot be relied on";
        lock(&self.notices).push(Finding::notice(pack.name.as_str(), what));
        Ok(true)
    }

    /// Opens the blobs of a suspect one by one.
    fn lost_of(&self, scratch: &mut Scratch, pack: &Pack, blobs: &[BlobId]) -> Result<Lost> {
        if !is_readable(pack) {
            return Ok(Lost::All);
        }
        let _memory = self.budget.take(pack.listed.unwrap_or(0));
        let bytes = match self.run.repo.store.get(&pack.name) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.run.goes_on(error.into())?;
                return Ok(Lost::All);
            }
        };
        let mut lost = HashSet::new();
        for id in blobs {
            let index = if pack.is_named { &self.catalog.index } else { &self.catalog.unnamed };
            let mut places = index.find_all(id);
            places.retain(|located| located.pack.hash == pack.described.hash);
            if !places.iter().any(|located| self.opens(scratch, located, &bytes)) {
                lost.insert(*id);
            }
        }
        Ok(Lost::Some(lost))
    }

    /// Says whether a blob of a pack opens; one that this program cannot read is not lost.
    fn opens(&self, scratch: &mut Scratch, located: &Located, bytes: &[u8]) -> bool {
        let start = located.entry.offset as usize;
        let Some(frame) =
            bytes.get(start..).and_then(|rest| rest.get(..located.entry.stored_bytes as usize))
        else {
            return false;
        };
        let mut own = std::mem::take(&mut scratch.frame);
        own.clear();
        own.extend_from_slice(frame);
        let opened = self.open(scratch, located, &mut own);
        scratch.frame = own;
        opened.map_or_else(|error| error.kind() == Kind::NewerFormat, |()| true)
    }
}

/// Checks trailer and header of a pack.
fn open_envelope(run: &Run<'_>, pack: &Pack, bytes: &[u8]) -> Result<()> {
    let kind =
        if pack.described.is_metadata { ObjectKind::MetadataPack } else { ObjectKind::DataPack };
    let opened = envelope::open(bytes, kind, Some(run.repo.id()), limits::PACK_BYTES_MAX);
    match opened {
        Ok(object) if object.hash == pack.described.hash => Ok(()),
        Ok(_) => Err(Error::new(Kind::Damaged, "it is another object than its name says")),
        Err(error) if error.is_unsupported() && !survey::is_intact(bytes) => {
            Err(Error::caused(Kind::Damaged, "its header is damaged", error))
        }
        Err(error) => Err(error.into()),
    }
}

impl Bases for Reading<'_> {
    fn places(&self, id: &BlobId) -> Vec<Located> {
        self.catalog.places(id)
    }

    fn frame(&self, located: &Located) -> Result<BytesMut> {
        blobs::read_frame(self.run.repo, located)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of packs that may be in memory at once.
struct Budget {
    left: Mutex<u64>,
    freed: Condvar,
    most: u64,
}

impl Budget {
    fn new(most: u64) -> Self {
        Self { left: Mutex::new(most), freed: Condvar::new(), most }
    }

    /// Waits until there is room; a pack larger than everything takes everything.
    fn take(&self, bytes: u64) -> Taken<'_> {
        let bytes = bytes.min(self.most);
        let mut left = lock(&self.left);
        while *left < bytes {
            left = self.freed.wait(left).unwrap_or_else(PoisonError::into_inner);
        }
        *left -= bytes;
        Taken { budget: self, bytes }
    }
}

struct Taken<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *lock(&self.budget.left) += self.bytes;
        self.budget.freed.notify_all();
    }
}
