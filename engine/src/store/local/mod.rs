//! A folder on a disk of this machine.
//!
//! A file gets its name only after its bytes are synced, and `put` returns only after the name and
//! every folder above it are synced (O-8): a temporary file beside the target, fsync, a link that
//! replaces nothing, fsync of the folder. A file whose fsync failed is thrown away with its name
//! and never synced again, because the kernel reports such a failure once and then forgets it.
//! No symbolic link below the root is ever followed.
//!
//! What a listing shows may be the work of a process that was killed between giving a name and
//! syncing it. Whatever is written or deleted next may rest on it, so every folder that was listed
//! is synced first.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use repo_format::{ObjectName, id::to_hex};
use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

use super::{Cause, Error, Listed, OBJECT_BYTES_MAX, Put, Result, Store};

mod direct;
mod disk;
mod folders;
#[cfg(any(test, feature = "testkit"))]
pub mod model;
mod publish;

use disk::{Disk, FOLDER_FLAGS, Stat, System};
use folders::{parts, split, visit, walk};
use publish::Publish;

/// How names of files begin that are not objects yet.
const TEMPORARY_PREFIX: &str = ".tmp-";

/// A folder that holds objects as files, on a disk of the system.
#[derive(Debug, Clone)]
pub struct LocalStore<D: Disk = System> {
    disk: D,
    root: PathBuf,
    is_durable: bool,
    publish: Publish,
    /// Folders whose own name this process has synced in the folder above.
    synced: Arc<Mutex<HashSet<String>>>,
    /// Folders that were listed since they were last synced.
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl LocalStore {
    /// Makes the folder, with every folder above it, and opens it.
    ///
    /// An existing folder is taken as it is.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let store = Self::at(path.as_ref(), true)?;
        store.create_root()?;
        Self::open(&store.root)
    }

    /// Opens an existing folder; fails with [`Cause::NotFound`] when there is none.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let store = Self::at(path.as_ref(), true)?;
        store.root_folder("opening")?;
        Ok(store)
    }

    /// Makes and opens a folder whose files may be lost in a crash, for caches.
    pub(super) fn create_without_syncs(path: &Path) -> Result<Self> {
        let store = Self::at(path, false)?;
        store.create_root()?;
        Ok(store)
    }

    fn at(path: &Path, is_durable: bool) -> Result<Self> {
        let root = std::path::absolute(path).map_err(|error| {
            Error::new(Cause::Unsupported, "opening", path.display().to_string(), error.to_string())
        })?;
        Ok(Self { is_durable, ..Self::on(System, root) })
    }

    /// Path of the folder, absolute.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Removes files that interrupted writes left behind and that were last touched more than
    /// `older_than_seconds` ago; returns how many.
    ///
    /// The age must exceed the longest time that a write may take: the write of a file that is
    /// removed under it fails.
    pub fn remove_stale_temporaries(&self, older_than_seconds: u64) -> Result<u64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let newest = i64::try_from(now.saturating_sub(older_than_seconds)).unwrap_or(i64::MAX);
        let root = self.root_folder("deleting")?;
        let mut removed = 0;
        visit(&self.disk, &root, "", &mut |folder, entry| {
            let is_old = entry.stat.modified_seconds <= newest;
            if entry.name.starts_with(TEMPORARY_PREFIX) && is_old {
                self.disk.unlink(folder, entry.name)?;
                removed += 1;
            }
            Ok(())
        })
        .map_err(|errno| self.error(errno, "deleting", self.root.display()))?;
        Ok(removed)
    }

    fn create_root(&self) -> Result<()> {
        let failed = |errno| self.error(errno, "creating", self.root.display());
        let mut missing: Vec<&Path> = Vec::new();
        for folder in self.root.ancestors() {
            match rustix::fs::stat(folder) {
                Err(Errno::NOENT) => missing.push(folder),
                Err(errno) => return Err(failed(errno)),
                Ok(_) => break,
            }
        }
        for folder in missing.into_iter().rev() {
            match rustix::fs::mkdir(folder, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
            let above = folder.parent().unwrap_or(folder);
            let above = rustix::fs::open(above, FOLDER_FLAGS, Mode::empty()).map_err(failed)?;
            self.sync_folder(&above).map_err(failed)?;
        }
        Ok(())
    }
}

impl<D: Disk> LocalStore<D> {
    /// Opens the folder that a model of a disk is.
    #[cfg(any(test, feature = "testkit"))]
    pub fn on_model(disk: D) -> Self {
        Self::on(disk, PathBuf::from("/model"))
    }

    fn on(disk: D, root: PathBuf) -> Self {
        Self {
            disk,
            root,
            is_durable: true,
            publish: Publish::Link,
            synced: Arc::default(),
            seen: Arc::default(),
        }
    }

    fn root_folder(&self, action: &'static str) -> Result<D::Folder> {
        self.disk.open_root(&self.root).map_err(|errno| match errno {
            Errno::NOENT => self.failure(Cause::NotFound, action, "there is no such folder"),
            Errno::NOTDIR => self.failure(Cause::Unsupported, action, "this is not a folder"),
            _ => self.error(errno, action, self.root.display()),
        })
    }

    /// Opens the folder of an object, making it and syncing its name as needed.
    fn make_folder(&self, root: D::Folder, folder: &str) -> rustix::io::Result<D::Folder> {
        let mut current = root;
        for (end, part) in parts(folder) {
            let (below, is_new) = match self.disk.open_folder(&current, part) {
                Err(Errno::NOENT) => {
                    match self.disk.make_folder(&current, part) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(errno),
                    }
                    (self.disk.open_folder(&current, part)?, true)
                }
                opened => (opened?, false),
            };
            // Another writer may have made the folder and not have synced it yet, so a folder that
            // merely exists is no proof.
            if is_new || !self.synced().contains(&folder[..end]) {
                self.sync_folder(&current)?;
                self.synced().insert(folder[..end].to_owned());
            }
            current = below;
        }
        Ok(current)
    }

    fn synced(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Syncs every folder that was listed, before anything is done that may rest on what it held.
    fn sync_seen(&self, action: &'static str) -> Result<()> {
        let mut seen = std::mem::take(&mut *self.seen());
        if planted!(SeenNotSynced) {
            return Ok(());
        }
        while let Some(folder) = seen.pop_first() {
            let root = self.root_folder(action)?;
            let opened = walk(&self.disk, root, &folder);
            match opened.and_then(|opened| self.sync_folder(&opened)) {
                // A folder that is gone has shown nothing that anything could rest on.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => {
                    let error = self.error(errno, action, &folder);
                    seen.insert(folder);
                    self.seen().append(&mut seen);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &D::Folder) -> rustix::io::Result<()> {
        if !self.is_durable || planted!(NoFolderSync) {
            return Ok(());
        }
        self.disk.sync_folder(folder)
    }

    fn write_temporary(
        &self,
        folder: &D::Folder,
        name: &str,
        bytes: &[u8],
    ) -> rustix::io::Result<()> {
        let file = self.disk.create_file(folder, name, bytes)?;
        if !self.is_durable || planted!(NoFileSync) {
            return Ok(());
        }
        match self.disk.sync_file(&file) {
            Err(_) if planted!(SyncRetried) => self.disk.sync_file(&file),
            synced => synced,
        }
    }

    /// Opens the file of an object and tells its length.
    fn open_object(&self, name: &ObjectName) -> Result<(D::File, u64)> {
        let root = self.root_folder("reading")?;
        let (folder, last) = split(name);
        let failed = |errno| self.error(errno, "reading", name);
        let folder = walk(&self.disk, root, folder).map_err(failed)?;
        let (file, stat) = self.disk.open_file(&folder, last).map_err(failed)?;
        if stat.kind != FileType::RegularFile {
            return Err(Error::new(
                Cause::Other,
                "reading",
                name.as_str(),
                "something else than a file has this name",
            ));
        }
        Ok((file, stat.bytes))
    }

    fn read(&self, file: &D::File, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
        let too_long = || {
            Error::new(Cause::Unsupported, "reading", name.as_str(), "more than memory can hold")
        };
        if length > OBJECT_BYTES_MAX {
            return Err(too_long());
        }
        let wanted = usize::try_from(length).map_err(|_| too_long())?;
        let mut bytes: Vec<u8> = Vec::new();
        bytes.try_reserve_exact(wanted).map_err(|_| too_long())?;
        while bytes.len() < wanted {
            let filled = bytes.len();
            let place = offset.saturating_add(filled as u64);
            // The allocator may have rounded the reservation up, hence the truncation below.
            match self.disk.read(file, &mut bytes, place) {
                Ok(_) if planted!(ShortReadIgnored) => break,
                Ok(0) => {
                    let message = "the file became shorter while it was read";
                    return Err(Error::new(Cause::Other, "reading", name.as_str(), message));
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(self.error(errno, "reading", name)),
            }
        }
        bytes.truncate(wanted);
        Ok(Bytes::from(bytes))
    }

    fn failure(&self, cause: Cause, action: &'static str, message: &str) -> Error {
        Error::new(cause, action, self.root.display().to_string(), message)
    }

    fn error(&self, errno: Errno, action: &'static str, object: impl std::fmt::Display) -> Error {
        let message = match errno {
            Errno::NOENT => "not found".to_owned(),
            Errno::EXIST => "exists already".to_owned(),
            Errno::LOOP | Errno::NOTDIR => {
                "a symbolic link or a file stands where a folder or an object should".to_owned()
            }
            _ => format!("{} (in {})", std::io::Error::from(errno), self.root.display()),
        };
        Error::new(cause(errno), action, object.to_string(), message)
    }
}

impl<D: Disk> Store for LocalStore<D> {
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
        self.sync_seen("writing")?;
        let failed = |errno| self.error(errno, "writing", name);
        let root = self.root_folder("writing")?;
        let (folder, last) = split(name);
        let folder = self.make_folder(root, folder).map_err(failed)?;
        let found = self.disk.look(&folder, last);
        if mode == Put::Create && found.is_ok() {
            return Err(failed(Errno::EXIST));
        }
        let temporary = temporary_name()?;
        let given_up = |errno, cause| {
            let _ = self.disk.unlink(&folder, &temporary);
            Error { cause, ..failed(errno) }
        };
        self.write_temporary(&folder, &temporary, &bytes)
            .map_err(|errno| given_up(errno, cause(errno)))?;
        let named = match mode {
            Put::Create => self.publish.name(&self.disk, &folder, &temporary, last),
            Put::Overwrite => self.disk.rename(&folder, &temporary, last),
        };
        // From here on a failure lasts: the name may be there, unsynced, and a second attempt that
        // finds it must not take it for written.
        named.map_err(|errno| given_up(errno, lasting(cause(errno))))?;
        self.sync_folder(&folder).map_err(|errno| {
            // What was there before an overwrite may be needed and may come back, so only a name
            // that is surely new is given up.
            if mode == Put::Create {
                let _ = self.disk.unlink(&folder, last);
            }
            Error { cause: lasting(cause(errno)), ..failed(errno) }
        })
    }

    fn get(&self, name: &ObjectName) -> Result<Bytes> {
        let (file, length) = self.open_object(name)?;
        self.read(&file, name, 0, length)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
        let (file, total) = self.open_object(name)?;
        super::check_range(name, offset, length, total)?;
        self.read(&file, name, offset, length)
    }

    fn size(&self, name: &ObjectName) -> Result<u64> {
        self.open_object(name).map(|(_, length)| length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let root = self.root_folder("listing")?;
        let folder = super::folder_of_prefix(prefix)?;
        let place = || format!("{}/{folder}", self.root.display());
        let start = match walk(&self.disk, root, folder) {
            Err(Errno::NOENT) => return Ok(Vec::new()),
            opened => opened.map_err(|errno| self.error(errno, "listing", place()))?,
        };
        let mut listed = Vec::new();
        let mut folders: BTreeSet<String> = BTreeSet::new();
        visit(&self.disk, &start, prefix, &mut |_, entry| {
            let above = entry.path.rsplit_once('/').map_or("", |(above, _)| above);
            if self.is_durable && !folders.contains(above) {
                folders.insert(above.to_owned());
            }
            let Stat { kind, bytes, modified_ms, .. } = *entry.stat;
            let is_file = kind == FileType::RegularFile;
            if let Some(name) = ObjectName::parse(entry.path).filter(|_| is_file) {
                listed.push(Listed { name, bytes, modified_ms });
            }
            Ok(())
        })
        .map_err(|errno| self.error(errno, "listing", place()))?;
        self.seen().append(&mut folders);
        Ok(listed)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        self.sync_seen("deleting")?;
        let failed = |errno| self.error(errno, "deleting", name);
        let root = self.root_folder("deleting")?;
        let (folder, last) = split(name);
        let folder = match walk(&self.disk, root, folder) {
            Err(Errno::NOENT) => return Ok(()),
            opened => opened.map_err(failed)?,
        };
        match self.disk.unlink(&folder, last) {
            Err(Errno::NOENT) => Ok(()),
            removed => removed.and_then(|()| self.sync_folder(&folder)).map_err(failed),
        }
    }

    fn settle(&self) -> Result<()> {
        self.sync_seen("syncing")
    }

    fn describe(&self) -> String {
        self.root.display().to_string()
    }
}

fn temporary_name() -> Result<String> {
    Ok(format!("{TEMPORARY_PREFIX}{}", to_hex(&super::random_bytes::<8>()?)))
}

fn cause(errno: Errno) -> Cause {
    match errno {
        Errno::NOENT => Cause::NotFound,
        Errno::EXIST => Cause::AlreadyExists,
        Errno::ACCESS | Errno::PERM => Cause::Denied,
        // A limit on the size of files is met like a full disk: by room, not by another setting.
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => Cause::Full,
        Errno::ROFS => Cause::ReadOnly,
        Errno::NAMETOOLONG => Cause::Unsupported,
        Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::TIMEDOUT | Errno::STALE => {
            Cause::Unavailable
        }
        _ => Cause::Other,
    }
}

/// Takes the hope of a second attempt out of a cause.
fn lasting(cause: Cause) -> Cause {
    if cause == Cause::Unavailable { Cause::Other } else { cause }
}

#[cfg(test)]
mod tests;
