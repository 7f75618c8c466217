//! Owners, modes, attributes and times, put back in the order in which they last.
//!
//! Owner first, because a change of owner clears set-user bits and capabilities; attributes while
//! this user may still write; then the mode; times last. A set-user or set-group bit is put back
//! only where the owner it was given by is put back too. All goes to one open inode, so a name
//! swapped for a link meanwhile changes nothing elsewhere.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use repo_format::Text;
use repo_format::tree::{Attribute, Body, Metadata, Time};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, chownat,
    fchmod, fstat, futimens, utimensat,
};
use rustix::io::Errno;

use super::attributes;
use super::directory::{Directory, chmod_pinned, component, kind_of};

/// Which owner a thing gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owners {
    /// The numbers of the snapshot: right on the machine it came from, and whatever the names are.
    #[default]
    Numbers,
    /// The names of the snapshot where they exist here, else the numbers.
    Names,
    /// Whoever restores.
    Leave,
}

/// What is put back.
#[derive(Debug, Clone, Copy)]
pub struct ApplyOptions {
    /// Owner and group.
    pub owners: Owners,
    /// Extended attributes and access lists; those that the snapshot does not have are removed.
    pub attributes: bool,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self { owners: Owners::Numbers, attributes: true }
    }
}

/// What metadata is put back on.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// A file or directory that is open.
    Open(BorrowedFd<'a>),
    /// A thing by its name, which must be of the kind of `body` still.
    Named {
        /// Directory of the thing.
        directory: &'a Directory,
        /// Its name.
        name: &'a [u8],
        /// What it is to be.
        body: &'a Body,
    },
}

/// Which part of the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aspect {
    /// All of it: the thing could not be opened, or is another one.
    All,
    /// Owner and group.
    Owner,
    /// Permission bits.
    Mode,
    /// Extended attributes as a whole.
    Attributes,
    /// The extended attribute of this name.
    Attribute(Vec<u8>),
    /// Time of change.
    Times,
}

/// A part of the metadata that could not be put back; the rest was.
#[derive(Debug)]
pub struct Problem {
    /// Which part.
    pub aspect: Aspect,
    /// Why.
    pub error: io::Error,
}

impl Problem {
    pub(super) fn new(aspect: Aspect, error: impl Into<io::Error>) -> Self {
        Self { aspect, error: error.into() }
    }

    /// Says whether the only reason is that this user is not privileged: an owner, or an attribute
    /// that belongs to the system.
    pub fn needs_privilege(&self) -> bool {
        let owned = match &self.aspect {
            Aspect::Owner => true,
            Aspect::Attribute(name) => {
                name.starts_with(b"security.") || name.starts_with(b"trusted.")
            }
            Aspect::All | Aspect::Mode | Aspect::Attributes | Aspect::Times => false,
        };
        owned && self.error.kind() == io::ErrorKind::PermissionDenied
    }
}

/// Puts metadata back, for one restore; threads share it.
#[derive(Debug, Default)]
pub struct Applier {
    options: ApplyOptions,
    users: RwLock<HashMap<Text, Option<u32>>>,
    groups: RwLock<HashMap<Text, Option<u32>>>,
    owners_refused: AtomicU64,
}

impl Applier {
    /// Starts with nothing put back.
    pub fn new(options: ApplyOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Things whose owner could not be put back so far.
    pub fn owners_refused(&self) -> u64 {
        self.owners_refused.load(Ordering::Relaxed)
    }

    /// Puts back what it can and says what it could not.
    ///
    /// Of all owners that could not be put back only the first is a problem, the rest are counted:
    /// without privileges there is one for every thing. Directories come after all that is in them.
    pub fn apply(
        &self,
        place: Place<'_>,
        metadata: &Metadata,
        attributes: &[Attribute],
    ) -> Vec<Problem> {
        let target = match Target::open(place) {
            Ok(target) => target,
            Err(error) => return vec![Problem::new(Aspect::All, error)],
        };
        let mut problems = Vec::new();
        let owned = self.apply_owner(&target, metadata, &mut problems);
        if self.options.attributes {
            attributes::apply(&target.handle(), attributes, &mut problems);
        }
        if target.kind() != FileType::Symlink {
            apply_mode(&target, metadata.mode, owned, &mut problems);
        }
        if let Err(error) = target.set_mtime(metadata.mtime) {
            problems.push(Problem::new(Aspect::Times, error));
        }
        problems
    }

    /// Says whether the thing now has the owner and the group it had in the snapshot.
    fn apply_owner(
        &self,
        target: &Target<'_>,
        metadata: &Metadata,
        problems: &mut Vec<Problem>,
    ) -> bool {
        let wanted = self.wanted_owner(metadata);
        let now = (target.stat.st_uid, target.stat.st_gid);
        if now == wanted {
            return true;
        }
        if self.options.owners == Owners::Leave {
            return false;
        }
        let Err(error) = target.chown(Some(wanted.0), Some(wanted.1)) else { return true };
        // The group alone may be one that this user is in.
        let group_differs = now.1 != wanted.1;
        if group_differs && target.chown(None, Some(wanted.1)).is_ok() && now.0 == wanted.0 {
            return true;
        }
        if self.owners_refused.fetch_add(1, Ordering::Relaxed) == 0 {
            problems.push(Problem::new(Aspect::Owner, error));
        }
        false
    }

    fn wanted_owner(&self, metadata: &Metadata) -> (u32, u32) {
        let numbers = (metadata.uid, metadata.gid);
        if self.options.owners != Owners::Names {
            return numbers;
        }
        let user = cached(&self.users, &metadata.user, |name| {
            uzers::get_user_by_name(name).map(|user| user.uid())
        });
        let group = cached(&self.groups, &metadata.group, |name| {
            uzers::get_group_by_name(name).map(|group| group.gid())
        });
        (user.unwrap_or(numbers.0), group.unwrap_or(numbers.1))
    }
}

fn cached(
    numbers: &RwLock<HashMap<Text, Option<u32>>>,
    name: &Text,
    ask: impl FnOnce(&str) -> Option<u32>,
) -> Option<u32> {
    if name.as_str().is_empty() {
        return None;
    }
    if let Some(number) = numbers.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return *number;
    }
    let number = ask(name.as_str());
    numbers.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), number);
    number
}

fn apply_mode(target: &Target<'_>, mode: u32, owned: bool, problems: &mut Vec<Problem>) {
    let set_id = (Mode::SUID | Mode::SGID).as_raw_mode();
    let allowed = if owned { 0o7777 } else { 0o7777 & !set_id };
    if mode & !allowed & set_id != 0 {
        let message = "set-user and set-group bits are left out, as the owner is another one";
        problems.push(Problem::new(Aspect::Mode, io::Error::other(message)));
    }
    if let Err(error) = target.chmod(Mode::from_raw_mode(mode & allowed)) {
        problems.push(Problem::new(Aspect::Mode, error));
    }
}

/// One inode, held for as long as its metadata is put back.
struct Target<'a> {
    fd: Fd<'a>,
    stat: Stat,
}

enum Fd<'a> {
    Open(BorrowedFd<'a>),
    /// Opened as a path only: holds the inode, but some calls need a way through `/proc`.
    Pinned(OwnedFd, &'a Directory, &'a [u8]),
}

impl<'a> Target<'a> {
    fn open(place: Place<'a>) -> io::Result<Self> {
        let (directory, name, body) = match place {
            Place::Open(fd) => return Ok(Self { stat: fstat(fd)?, fd: Fd::Open(fd) }),
            Place::Named { directory, name, body } => (directory, component(name)?, body),
        };
        let pin = directory.open_beneath(name, OFlags::PATH, Mode::empty())?;
        let stat = fstat(&pin)?;
        let wanted = match body {
            Body::File { .. } => FileType::RegularFile,
            Body::Directory { .. } => FileType::Directory,
            Body::Symlink { .. } => FileType::Symlink,
            Body::BlockDevice { .. } => FileType::BlockDevice,
            Body::CharacterDevice { .. } => FileType::CharacterDevice,
            Body::Fifo => FileType::Fifo,
            Body::Socket => FileType::Socket,
        };
        if kind_of(&stat) != wanted {
            let shown = name.escape_ascii();
            let message = format!("\"{shown}\" in the target was replaced during the restore");
            return Err(io::Error::other(message));
        }
        Ok(Self { stat, fd: Fd::Pinned(pin, directory, name) })
    }

    const fn kind(&self) -> FileType {
        kind_of(&self.stat)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.fd {
            Fd::Open(fd) => fd.as_fd(),
            Fd::Pinned(fd, ..) => fd.as_fd(),
        }
    }

    fn handle(&self) -> attributes::Handle<'_> {
        match &self.fd {
            Fd::Open(fd) => attributes::Handle::Open(fd.as_fd()),
            Fd::Pinned(fd, ..) => attributes::Handle::pinned(fd.as_fd()),
        }
    }

    fn chown(&self, uid: Option<u32>, gid: Option<u32>) -> rustix::io::Result<()> {
        // The highest number means "leave it" to the kernel, and is nobody's.
        if uid == Some(u32::MAX) || gid == Some(u32::MAX) {
            return Err(Errno::INVAL);
        }
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        chownat(self.fd(), c"", uid, gid, AtFlags::EMPTY_PATH)
    }

    fn chmod(&self, mode: Mode) -> rustix::io::Result<()> {
        match &self.fd {
            Fd::Open(fd) => fchmod(fd, mode),
            Fd::Pinned(fd, ..) => chmod_pinned(fd.as_fd(), mode),
        }
    }

    fn set_mtime(&self, time: Time) -> rustix::io::Result<()> {
        // Some numbers of nanoseconds past a second have a meaning of their own to the kernel.
        if time.nanos >= 1_000_000_000 {
            return Err(Errno::INVAL);
        }
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: time.seconds, tv_nsec: i64::from(time.nanos) },
        };
        match &self.fd {
            Fd::Open(fd) => futimens(fd, &times),
            Fd::Pinned(fd, directory, name) => {
                match utimensat(fd, c"", &times, AtFlags::EMPTY_PATH) {
                    // Before Linux 5.8; times do no harm even where the name was swapped.
                    Err(Errno::INVAL | Errno::NOENT) => {
                        utimensat(directory, *name, &times, AtFlags::SYMLINK_NOFOLLOW)
                    }
                    other => other,
                }
            }
        }
    }
}
