//! Puts a mount into the file system and takes it away again: directly as root, through
//! `fusermount3` as anyone else.
//!
//! Taking away never waits for who still uses the mount.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use engine::Result;
use engine::error::{Error, Kind};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use crate::Options;

/// Device through which the kernel asks.
const DEVICE: &str = "/dev/fuse";
/// Program that mounts for users.
const FOR_USERS: &str = "fusermount3";
/// Unit of the kernel's own reading ahead, in KiB.
const READ_AHEAD_KIB: u32 = 512;

/// A mount that is in the file system.
#[derive(Debug)]
pub(crate) struct Attached {
    target: PathBuf,
    /// Whether it is to be taken away by the program that mounts for users.
    is_of_user: bool,
    is_gone: AtomicBool,
}

fn refused(message: String) -> Error {
    Error::new(Kind::Refused, message)
}

/// Mounts; gives the device to answer through.
pub(crate) fn attach(options: &Options) -> Result<(OwnedFd, Attached)> {
    let target = checked_target(&options.target)?;
    let mounted =
        if rustix::process::geteuid().is_root() { mount_directly(&target, options)? } else { None };
    let is_of_user = mounted.is_none();
    let device = match mounted {
        Some(device) => device,
        None => mount_for_user(&target, options)?,
    };
    Ok((device, Attached { target, is_of_user, is_gone: AtomicBool::new(false) }))
}

/// The folder to mount on, as an absolute path without links.
fn checked_target(target: &Path) -> Result<PathBuf> {
    let shown = target.display();
    let found = target.metadata().map_err(|error| {
        if Errno::from_io_error(&error) == Some(Errno::NOTCONN) {
            return refused(format!(
                "{shown} is a mount whose program is gone; take it away with \
                 `fusermount3 -u {shown}` or `umount {shown}`"
            ));
        }
        Error::caused(Kind::Refused, format!("there is no folder {shown} to mount on"), error)
    })?;
    if !found.is_dir() {
        return Err(refused(format!("{shown} is not a folder to mount on")));
    }
    target
        .canonicalize()
        .map_err(|error| Error::caused(Kind::Refused, format!("looking at {shown}"), error))
}

/// Mounts as root; none where the system does not let even root do so.
fn mount_directly(target: &Path, options: &Options) -> Result<Option<OwnedFd>> {
    let device = File::options().read(true).write(true).open(DEVICE).map_err(|error| {
        let what = format!("{DEVICE} cannot be opened, so nothing can be mounted");
        Error::caused(Kind::Refused, what, error)
    })?;
    let user = rustix::process::getuid().as_raw();
    let group = rustix::process::getgid().as_raw();
    let others = if options.is_for_others { ",allow_other" } else { "" };
    let data = format!(
        "fd={},rootmode=40000,user_id={user},group_id={group},default_permissions{others}\0",
        device.as_raw_fd()
    );
    let flags = MountFlags::RDONLY
        | MountFlags::NOSUID
        | MountFlags::NODEV
        | MountFlags::NOEXEC
        | MountFlags::NOATIME;
    let data = std::ffi::CStr::from_bytes_with_nul(data.as_bytes())
        .map_err(|error| Error::caused(Kind::Other, "options of the mount", error))?;
    match rustix::mount::mount("strongroom", target, "fuse.strongroom", flags, data) {
        Ok(()) => Ok(Some(device.into())),
        Err(Errno::PERM) => Ok(None),
        Err(errno) => {
            let what = format!("mounting on {}", target.display());
            Err(Error::caused(Kind::Refused, what, std::io::Error::from(errno)))
        }
    }
}

/// Lets the program that may mount for users do it, and takes the device from it.
fn mount_for_user(target: &Path, options: &Options) -> Result<OwnedFd> {
    let failed = |error: std::io::Error| {
        let what = format!("running {FOR_USERS}, which mounts for users (package fuse3)");
        Error::caused(Kind::Refused, what, error)
    };
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let mut list = String::from(
        "ro,nosuid,nodev,noexec,noatime,default_permissions,fsname=strongroom,subtype=strongroom",
    );
    if options.is_for_others {
        list.push_str(",allow_other");
    }
    // The other end of the socket is its standard input: a handle that children inherit anyway.
    let child = Command::new(FOR_USERS)
        .args(["-o", &list, "--"])
        .arg(target)
        .env("_FUSE_COMMFD", "0")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let device = receive_device(&ours);
    let output = child.wait_with_output().map_err(failed)?;
    let said = String::from_utf8_lossy(&output.stderr);
    match device {
        Some(device) if output.status.success() => Ok(device),
        _ => {
            let said = said.trim();
            let hint = if said.contains("user_allow_other") {
                " (root allows it in /etc/fuse.conf)"
            } else {
                ""
            };
            Err(refused(format!("{FOR_USERS} refuses to mount: {said}{hint}")))
        }
    }
}

fn receive_device(socket: &UnixStream) -> Option<OwnedFd> {
    let mut byte = [0_u8; 1];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut byte)];
    loop {
        match rustix::net::recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut handles) => handles.next(),
        _ => None,
    })
}

impl Attached {
    /// Says whether each thread can be given a handle of its own on the device.
    pub(crate) fn can_clone_device(&self) -> bool {
        !self.is_of_user || File::options().read(true).write(true).open(DEVICE).is_ok()
    }

    /// Lets the kernel ask for more at once when it reads ahead; only root may, and without it the
    /// mount is only slower.
    pub(crate) fn raise_read_ahead(&self) {
        let Ok(found) = self.target.metadata() else { return };
        let (major, minor) = (rustix::fs::major(found.dev()), rustix::fs::minor(found.dev()));
        let path = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
        let _ = std::fs::write(path, READ_AHEAD_KIB.to_string());
    }

    /// Takes the mount away, at most once, so that a later one in the same place is left alone.
    pub(crate) fn detach(&self) {
        if self.is_gone.swap(true, Ordering::SeqCst) {
            return;
        }
        if !self.is_of_user && rustix::mount::unmount(&self.target, UnmountFlags::DETACH).is_ok() {
            return;
        }
        let _ = Command::new(FOR_USERS)
            .args(["-u", "-z", "-q", "--"])
            .arg(&self.target)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
