//! A model of a disk, for tests: it keeps what was synced, and may lose all else in a crash.
//!
//! What is assumed of a disk is little. A sync of a file keeps its bytes; a sync of a folder keeps
//! its names; a rename is one step. Nothing is assumed of the order in which the rest reaches the
//! platter: in a crash any subset of the unsynced names may be there, and an unsynced file may be
//! empty, cut, full of zeros or whole. A sync of a file that fails loses what it was to keep, and
//! the next one says that all is well. A sync of a folder that fails keeps nothing, but a later one
//! may: file systems whose journal fails take no more changes at all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustix::fs::FileType;
use rustix::io::{Errno, Result};

use super::disk::{Disk, Stat};

/// What is asked of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// A folder or file is opened, looked at or listed.
    Look,
    /// Bytes are read.
    Read,
    /// A folder is made.
    MakeFolder,
    /// A folder is synced.
    SyncFolder,
    /// A file is made.
    Create,
    /// A file is synced.
    SyncFile,
    /// A name is given or moved.
    Name,
    /// A name is removed.
    Unlink,
}

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// Nothing is done; an input or output error.
    ErrorBefore,
    /// It is done; an input or output error.
    ErrorAfter,
    /// Nothing is done; no space is left.
    Full,
    /// Half of what is asked for is given, which a disk may do.
    ShortRead,
    /// A signal comes between.
    Interrupted,
}

impl DiskFault {
    /// Faults that make sense for a call.
    pub const fn of(call: Call) -> &'static [Self] {
        match call {
            Call::Look => &[Self::ErrorBefore],
            Call::Read => &[Self::ErrorBefore, Self::ShortRead, Self::Interrupted],
            Call::SyncFile => &[Self::ErrorBefore, Self::Full],
            Call::MakeFolder | Call::SyncFolder | Call::Create | Call::Name | Call::Unlink => {
                &[Self::ErrorBefore, Self::ErrorAfter, Self::Full]
            }
        }
    }

    /// Says whether the call must succeed nevertheless.
    pub const fn is_harmless(self) -> bool {
        matches!(self, Self::ShortRead | Self::Interrupted)
    }
}

type Number = usize;

#[derive(Debug, Clone)]
enum Inode {
    File { now: Bytes, kept: Option<Bytes>, is_poisoned: bool },
    Folder { now: Names, kept: Names, pending: Vec<Change> },
}

type Names = BTreeMap<String, Number>;

/// One step of the names of a folder: what goes, and what comes.
#[derive(Debug, Clone)]
struct Change {
    gone: Option<String>,
    come: Option<(String, Number)>,
}

impl Change {
    fn apply(&self, names: &mut Names) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        if let Some((name, number)) = &self.come {
            names.insert(name.clone(), *number);
        }
    }
}

#[derive(Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    log: Vec<Call>,
    fault: Option<(usize, DiskFault)>,
    stop_at: Option<usize>,
}

/// A disk; `clone` gives another handle to the same.
#[derive(Debug, Clone)]
pub struct ModelDisk(Arc<Mutex<State>>);

impl ModelDisk {
    /// A disk that holds these files, all of it synced.
    pub fn with(files: impl IntoIterator<Item = (String, Bytes)>) -> Self {
        let mut state = State { inodes: vec![folder(Names::new())], ..State::default() };
        for (path, bytes) in files {
            let mut at = 0;
            let mut parts = path.split('/').peekable();
            while let Some(part) = parts.next() {
                let next = state.inodes.len();
                let made = match parts.peek() {
                    None => Inode::File {
                        now: bytes.clone(),
                        kept: Some(bytes.clone()),
                        is_poisoned: false,
                    },
                    Some(_) => folder(Names::new()),
                };
                let Inode::Folder { now, kept, .. } = &mut state.inodes[at] else { break };
                let is_new = !now.contains_key(part);
                at = *now.entry(part.to_owned()).or_insert(next);
                kept.insert(part.to_owned(), at);
                if is_new {
                    state.inodes.push(made);
                }
            }
        }
        Self(Arc::new(Mutex::new(state)))
    }

    /// The disk after a crash: what was synced, and of the rest what `residue` says. 0 loses all of
    /// it and 1 keeps all of it; every other number is a draw.
    pub fn crash(&self, residue: u64) -> Self {
        let state = self.state();
        let survives = |what: u64, number: usize, ways: u64| {
            let hash = blake3::hash(format!("{residue} {what} {number}").as_bytes());
            match residue {
                0 => 0,
                1 => ways - 1,
                _ => u64::from(hash.as_bytes()[0]) % ways,
            }
        };
        let mut inodes = Vec::new();
        for (number, inode) in state.inodes.iter().enumerate() {
            inodes.push(match inode {
                Inode::File { now, kept: None, .. } => {
                    let bytes = match survives(0, number, 4) {
                        0 => Bytes::new(),
                        1 => now.slice(..now.len() / 2),
                        2 => Bytes::from(vec![0; now.len()]),
                        _ => now.clone(),
                    };
                    Inode::File { now: bytes.clone(), kept: Some(bytes), is_poisoned: false }
                }
                Inode::File { kept: Some(bytes), .. } => {
                    let (now, kept) = (bytes.clone(), Some(bytes.clone()));
                    Inode::File { now, kept, is_poisoned: false }
                }
                Inode::Folder { kept, pending, .. } => {
                    let mut names = kept.clone();
                    for (place, change) in pending.iter().enumerate() {
                        if survives(1 + number as u64, place, 2) == 1 {
                            change.apply(&mut names);
                        }
                    }
                    folder(names)
                }
            });
        }
        Self(Arc::new(Mutex::new(State { inodes, ..State::default() })))
    }

    /// The same disk without faults, as a machine sees it that did not crash.
    pub fn heal(&self) {
        let mut state = self.state();
        state.fault = None;
        state.stop_at = None;
    }

    /// Lets the call of this number, counted from 0, meet a fault.
    pub fn inject(&self, call: usize, fault: DiskFault) {
        self.state().fault = Some((call, fault));
    }

    /// Stops the machine before the call of this number.
    pub fn stop_at(&self, call: usize) {
        self.state().stop_at = Some(call);
    }

    /// Calls so far.
    pub fn log(&self) -> Vec<Call> {
        self.state().log.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers a call, and does it unless something comes between.
    fn call<T>(&self, call: Call, act: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state();
        let number = state.log.len();
        if state.stop_at.is_some_and(|stop| number >= stop) {
            return Err(Errno::IO);
        }
        state.log.push(call);
        let fault = state.fault.filter(|(at, fault)| {
            // Harmless only where bytes are read.
            *at == number && (call == Call::Read || !fault.is_harmless())
        });
        match fault {
            None => act(&mut state),
            Some((_, DiskFault::ErrorAfter)) => act(&mut state).and(Err(Errno::IO)),
            Some((_, DiskFault::Full)) => Err(Errno::NOSPC),
            Some((_, DiskFault::Interrupted)) => Err(Errno::INTR),
            Some((_, DiskFault::ErrorBefore | DiskFault::ShortRead)) => Err(Errno::IO),
        }
    }

    /// Whether the call under way is to give less than it could.
    fn is_cut(&self) -> bool {
        let mut state = self.state();
        let number = state.log.len();
        let is_cut = state.fault == Some((number, DiskFault::ShortRead));
        if is_cut {
            state.fault = None;
        }
        is_cut
    }
}

fn folder(names: Names) -> Inode {
    Inode::Folder { now: names.clone(), kept: names, pending: Vec::new() }
}

impl State {
    fn find(&self, folder: Number, name: &str) -> Result<Number> {
        match self.inodes.get(folder) {
            Some(Inode::Folder { now, .. }) => now.get(name).copied().ok_or(Errno::NOENT),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// Changes the names of a folder.
    fn change(
        &mut self,
        folder: Number,
        gone: Option<&str>,
        come: Option<(&str, Number)>,
    ) -> Result<()> {
        let Some(Inode::Folder { now, pending, .. }) = self.inodes.get_mut(folder) else {
            return Err(Errno::NOTDIR);
        };
        let come = come.map(|(name, number)| (name.to_owned(), number));
        let change = Change { gone: gone.map(str::to_owned), come };
        change.apply(now);
        pending.push(change);
        Ok(())
    }

    fn must_be_new(&self, folder: Number, name: &str) -> Result<()> {
        match self.find(folder, name) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn stat(&self, number: Number) -> Stat {
        let (kind, bytes) = match &self.inodes[number] {
            Inode::File { now, .. } => (FileType::RegularFile, now.len() as u64),
            Inode::Folder { .. } => (FileType::Directory, 0),
        };
        let names = self.inodes.iter().map(|inode| match inode {
            Inode::Folder { now, .. } => now.values().filter(|other| **other == number).count(),
            Inode::File { .. } => 0,
        });
        let links = names.sum::<usize>() as u64;
        Stat { kind, bytes, modified_seconds: 0, modified_ms: None, links }
    }
}

impl Disk for ModelDisk {
    type Folder = Number;
    type File = Number;

    fn open_root(&self, _path: &Path) -> Result<Number> {
        self.call(Call::Look, |_| Ok(0))
    }

    fn open_folder(&self, above: &Number, name: &str) -> Result<Number> {
        self.call(Call::Look, |state| {
            let number = state.find(*above, name)?;
            match state.inodes[number] {
                Inode::Folder { .. } => Ok(number),
                Inode::File { .. } => Err(Errno::NOTDIR),
            }
        })
    }

    fn make_folder(&self, above: &Number, name: &str) -> Result<()> {
        self.call(Call::MakeFolder, |state| {
            state.must_be_new(*above, name)?;
            let number = state.inodes.len();
            state.inodes.push(folder(Names::new()));
            state.change(*above, None, Some((name, number)))
        })
    }

    fn sync_folder(&self, folder: &Number) -> Result<()> {
        self.call(Call::SyncFolder, |state| {
            if let Inode::Folder { kept, pending, .. } = &mut state.inodes[*folder] {
                pending.drain(..).for_each(|change| change.apply(kept));
            }
            Ok(())
        })
    }

    fn create_file(&self, folder: &Number, name: &str, bytes: &[u8]) -> Result<Number> {
        self.call(Call::Create, |state| {
            state.must_be_new(*folder, name)?;
            let number = state.inodes.len();
            let now = Bytes::copy_from_slice(bytes);
            state.inodes.push(Inode::File { now, kept: None, is_poisoned: false });
            state.change(*folder, None, Some((name, number)))?;
            Ok(number)
        })
    }

    fn sync_file(&self, file: &Number) -> Result<()> {
        let synced = self.call(Call::SyncFile, |state| {
            if let Inode::File { now, kept, is_poisoned: false } = &mut state.inodes[*file] {
                *kept = Some(now.clone());
            }
            Ok(())
        });
        if synced.is_err()
            && let Inode::File { is_poisoned, .. } = &mut self.state().inodes[*file]
        {
            *is_poisoned = true;
        }
        synced
    }

    fn link(&self, folder: &Number, from: &str, to: &str) -> Result<()> {
        self.call(Call::Name, |state| {
            state.must_be_new(*folder, to)?;
            let number = state.find(*folder, from)?;
            state.change(*folder, None, Some((to, number)))
        })
    }

    fn rename(&self, folder: &Number, from: &str, to: &str) -> Result<()> {
        self.call(Call::Name, |state| {
            let number = state.find(*folder, from)?;
            state.change(*folder, Some(from), Some((to, number)))
        })
    }

    fn rename_to_new(&self, folder: &Number, from: &str, to: &str) -> Result<()> {
        self.call(Call::Name, |state| {
            state.must_be_new(*folder, to)?;
            let number = state.find(*folder, from)?;
            state.change(*folder, Some(from), Some((to, number)))
        })
    }

    fn unlink(&self, folder: &Number, name: &str) -> Result<()> {
        self.call(Call::Unlink, |state| {
            state.find(*folder, name)?;
            state.change(*folder, Some(name), None)
        })
    }

    fn look(&self, folder: &Number, name: &str) -> Result<Stat> {
        self.call(Call::Look, |state| Ok(state.stat(state.find(*folder, name)?)))
    }

    fn open_file(&self, folder: &Number, name: &str) -> Result<(Number, Stat)> {
        self.call(Call::Look, |state| {
            let number = state.find(*folder, name)?;
            Ok((number, state.stat(number)))
        })
    }

    fn read(&self, file: &Number, out: &mut Vec<u8>, offset: u64) -> Result<usize> {
        let is_cut = self.is_cut();
        self.call(Call::Read, |state| {
            let Inode::File { now, .. } = &state.inodes[*file] else { return Err(Errno::ISDIR) };
            let start = usize::try_from(offset).map_or(now.len(), |start| start.min(now.len()));
            let most = (out.capacity() - out.len()).min(now.len() - start);
            let length = if is_cut { most.div_ceil(2) } else { most };
            out.extend_from_slice(&now[start..start + length]);
            Ok(length)
        })
    }

    fn names(&self, folder: &Number) -> Result<Vec<String>> {
        self.call(Call::Look, |state| match &state.inodes[*folder] {
            Inode::Folder { now, .. } => Ok(now.keys().cloned().collect()),
            Inode::File { .. } => Err(Errno::NOTDIR),
        })
    }
}
