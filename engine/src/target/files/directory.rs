//! An open directory below the root of a restore, and the one way in which anything there is
//! opened.
//!
//! Opening refuses links of every kind and any step upwards; the kernel checks it (`openat2`), and
//! on a kernel without that call a single component and `O_NOFOLLOW` come to the same.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use repo_format::tree::is_name;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat, chmodat, fchmod, fstat,
    mkdirat, openat, openat2, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::geteuid;

/// Times that a name is cleared away before whoever keeps putting it back wins.
pub(super) const ATTEMPTS: usize = 16;

/// What is done about a thing that already has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// An error. In a directory that this run has made it also shows two names that the file system
    /// takes for one.
    #[default]
    Fail,
    /// It is removed first, unless it is a directory. A directory wanted and there is taken as it
    /// is.
    Replace,
    /// It is kept as far as it is of the wanted kind: a directory is taken as it is, a file changed
    /// in place. A directory is never put where something else is.
    Update,
}

/// An open directory below the root of a restore.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    is_new: bool,
}

impl Directory {
    pub(super) const fn opened(fd: OwnedFd) -> Self {
        Self { fd, is_new: false }
    }

    /// Opens the directory `name`; anything else of that name, a link above all, is an error that
    /// names it.
    pub fn open_child(&self, name: &[u8]) -> io::Result<Self> {
        let name = component(name)?;
        match self.open_directory(name) {
            Ok(fd) => Ok(Self::opened(fd)),
            Err(error) => Err(self.refusal(name, error)),
        }
    }

    /// Opens the directory `name`, after making it with mode 0700 if nothing is there.
    ///
    /// With [`Existing::Replace`] a link or file in its place is removed, never followed. A
    /// directory that was there and that its owner, this user, may not write to is made writable.
    pub fn create_directory(&self, name: &[u8], existing: Existing) -> io::Result<Self> {
        let name = component(name)?;
        for _attempt in 0..ATTEMPTS {
            match mkdirat(&self.fd, name, Mode::RWXU) {
                Ok(()) => {
                    let fd = self.open_directory(name).map_err(|e| self.refusal(name, e))?;
                    return Ok(Self { fd, is_new: true });
                }
                Err(Errno::EXIST) if existing == Existing::Fail => return Err(taken(name)),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            match self.open_directory_for_writing(name) {
                Ok(fd) => return Ok(Self::opened(fd)),
                Err(Errno::NOENT) => {}
                Err(Errno::LOOP | Errno::NOTDIR) if existing == Existing::Replace => {
                    self.unlink(name)?;
                }
                Err(error) => return Err(self.refusal(name, error)),
            }
        }
        Err(contested(name))
    }

    fn open_directory(&self, name: &[u8]) -> rustix::io::Result<OwnedFd> {
        self.open_beneath(name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
    }

    fn open_directory_for_writing(&self, name: &[u8]) -> rustix::io::Result<OwnedFd> {
        let fd = match self.open_directory(name) {
            Err(Errno::ACCESS) => {
                let pin =
                    self.open_beneath(name, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
                allow_owner(&fstat(&pin)?, |mode| chmod_pinned(pin.as_fd(), mode))?;
                self.open_directory(name)?
            }
            other => other?,
        };
        allow_owner(&fstat(&fd)?, |mode| fchmod(&fd, mode))?;
        Ok(fd)
    }

    /// Says whether this run made the directory by this handle, so that nothing was in it before.
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Opens the same directory once more.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()?, is_new: self.is_new })
    }

    /// Removes `name`, of a link the link; nothing there is fine, a directory is an error.
    pub fn unlink(&self, name: &[u8]) -> io::Result<()> {
        match unlinkat(&self.fd, component(name)?, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.refusal(name, error)),
        }
    }

    /// Gives what is `from` the name `to`, which must be free.
    pub fn rename(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        let (from, to) = (component(from)?, component(to)?);
        match renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            // Some file systems cannot refuse by themselves.
            Err(Errno::INVAL | Errno::NOSYS) if self.stat(to)?.is_none() => {
                Ok(renameat(&self.fd, from, &self.fd, to)?)
            }
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS) => Err(taken(to)),
            Err(error) => Err(self.refusal(from, error)),
        }
    }

    /// Opens one component, never through a link and never upwards.
    pub(super) fn open_beneath(
        &self,
        name: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> rustix::io::Result<OwnedFd> {
        open_beneath(self.fd.as_fd(), name, flags, mode, ResolveFlags::empty())
    }

    /// Looks at `name` itself; nothing there is `None`.
    pub(super) fn stat(&self, name: &[u8]) -> io::Result<Option<Stat>> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Says why the kernel would not, where a link or another kind of thing is the reason.
    pub(super) fn refusal(&self, name: &[u8], error: Errno) -> io::Error {
        if !matches!(error, Errno::LOOP | Errno::NOTDIR | Errno::ISDIR) {
            return error.into();
        }
        let shown = name.escape_ascii();
        let message = match self.stat(name) {
            Ok(Some(stat)) if kind_of(&stat) == FileType::Symlink => {
                format!("\"{shown}\" in the target is a symbolic link, which is not followed")
            }
            Ok(Some(stat)) if kind_of(&stat) == FileType::Directory => {
                format!("\"{shown}\" in the target is a folder")
            }
            Ok(Some(_)) => format!("\"{shown}\" in the target is not a folder"),
            Ok(None) | Err(_) => return error.into(),
        };
        io::Error::new(io::Error::from(error).kind(), message)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens one component below a directory, never through a link and never upwards.
pub(super) fn open_beneath(
    directory: BorrowedFd<'_>,
    name: &[u8],
    flags: OFlags,
    mode: Mode,
    also: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    static NO_OPENAT2: AtomicBool = AtomicBool::new(false);
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | also;
    if !NO_OPENAT2.load(Ordering::Relaxed) {
        match retry_on_intr(|| openat2(directory, name, flags, mode, resolve)) {
            Err(Errno::NOSYS) => NO_OPENAT2.store(true, Ordering::Relaxed),
            // Some sandboxes refuse calls that they do not know in these words.
            Err(Errno::PERM) => {}
            other => return other,
        }
    }
    open_one(directory, name, flags, mode)
}

/// Opens one component without `openat2`: with a single component, refusing a link is enough.
pub(super) fn open_one(
    directory: BorrowedFd<'_>,
    name: &[u8],
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    if !is_name(name) {
        return Err(Errno::INVAL);
    }
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| openat(directory, name, flags, mode))
}

/// Gives the owner every right to a directory of this user, so that a restore can go on in it.
fn allow_owner(
    stat: &Stat,
    chmod: impl FnOnce(Mode) -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    let mode = Mode::from_raw_mode(stat.st_mode);
    let user = geteuid();
    if mode.contains(Mode::RWXU) || user.is_root() || stat.st_uid != user.as_raw() {
        return Ok(());
    }
    chmod(mode | Mode::RWXU)
}

/// Path that leads to exactly what a handle holds, even one that only pins.
pub(super) fn pinned_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Changes the mode of what a handle pins that was opened as a path only.
pub(super) fn chmod_pinned(fd: BorrowedFd<'_>, mode: Mode) -> rustix::io::Result<()> {
    chmodat(CWD, pinned_path(fd), mode, AtFlags::empty())
}

pub(super) const fn kind_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Checks that `name` is one component that cannot lead elsewhere.
pub(super) fn component(name: &[u8]) -> io::Result<&[u8]> {
    if is_name(name) {
        return Ok(name);
    }
    let message = format!("\"{}\" is not the name of one thing in a folder", name.escape_ascii());
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

pub(super) fn taken(name: &[u8]) -> io::Error {
    let message = format!("\"{}\" is already in the target", name.escape_ascii());
    io::Error::new(io::ErrorKind::AlreadyExists, message)
}

pub(super) fn contested(name: &[u8]) -> io::Error {
    let shown = name.escape_ascii();
    io::Error::other(format!("another process keeps putting \"{shown}\" into the target"))
}
