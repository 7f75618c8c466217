//! Trees made to order: every type of file, every odd name, every attribute.
//!
//! Times are set last and from the leaves up, since filling a directory changes its time.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chownat, linkat,
    lsetxattr, mkfifoat, mknodat, symlinkat, utimensat,
};

/// A tree that is being made; names are bytes, below its root.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    times: Vec<(PathBuf, i64, i64)>,
}

impl Tree {
    /// Makes a tree in a folder that is there.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), times: Vec::new() }
    }

    /// Path of a thing; the empty name is the root.
    pub fn path(&self, name: impl AsRef<[u8]>) -> PathBuf {
        let name = name.as_ref();
        if name.is_empty() { self.root.clone() } else { self.root.join(OsStr::from_bytes(name)) }
    }

    /// Makes or replaces a file.
    pub fn file(&mut self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> &mut Self {
        let path = self.path(name);
        let mut file = File::create(&path).unwrap_or_else(|e| fail(&path, &e));
        file.write_all(content.as_ref()).unwrap_or_else(|e| fail(&path, &e));
        self
    }

    /// Makes a file of a length whose data lie only at some offsets.
    pub fn sparse(
        &mut self,
        name: impl AsRef<[u8]>,
        length: u64,
        data: &[(u64, &[u8])],
    ) -> &mut Self {
        let path = self.path(name);
        let file = File::create(&path).unwrap_or_else(|e| fail(&path, &e));
        file.set_len(length).unwrap_or_else(|e| fail(&path, &e));
        for (offset, bytes) in data {
            file.write_all_at(bytes, *offset).unwrap_or_else(|e| fail(&path, &e));
        }
        self
    }

    /// Makes a directory and those above it.
    pub fn directory(&mut self, name: impl AsRef<[u8]>) -> &mut Self {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap_or_else(|e| fail(&path, &e));
        self
    }

    /// Makes a symbolic link.
    pub fn symlink(&mut self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> &mut Self {
        let path = self.path(name);
        symlinkat(target.as_ref(), CWD, &path).unwrap_or_else(|e| fail(&path, &e));
        self
    }

    /// Gives a thing another name.
    pub fn hard_link(&mut self, name: impl AsRef<[u8]>, first: impl AsRef<[u8]>) -> &mut Self {
        let (path, first) = (self.path(name), self.path(first));
        linkat(CWD, &first, CWD, &path, AtFlags::empty()).unwrap_or_else(|e| fail(&path, &e));
        self
    }

    /// Makes a named pipe.
    pub fn fifo(&mut self, name: impl AsRef<[u8]>) -> &mut Self {
        let path = self.path(name);
        mkfifoat(CWD, &path, Mode::from(0o644)).unwrap_or_else(|e| fail(&path, &e));
        self
    }

    /// Makes a socket that nobody listens on; the whole path must be short.
    pub fn socket(&mut self, name: impl AsRef<[u8]>) -> &mut Self {
        let path = self.path(name);
        drop(UnixListener::bind(&path).unwrap_or_else(|e| fail(&path, &e)));
        self
    }

    /// Makes a device; needs root.
    pub fn device(
        &mut self,
        name: impl AsRef<[u8]>,
        kind: FileType,
        major: u32,
        minor: u32,
    ) -> &mut Self {
        let path = self.path(name);
        let number = rustix::fs::makedev(major, minor);
        mknodat(CWD, &path, kind, Mode::from(0o600), number).unwrap_or_else(|e| fail(&path, &e));
        self
    }

    /// Sets an owner and a group, of a link itself; clears setuid and capabilities.
    pub fn owner(&mut self, name: impl AsRef<[u8]>, uid: u32, gid: u32) -> &mut Self {
        let path = self.path(name);
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        chownat(CWD, &path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            .unwrap_or_else(|e| fail(&path, &e));
        self
    }

    /// Sets the permission bits.
    pub fn mode(&mut self, name: impl AsRef<[u8]>, mode: u32) -> &mut Self {
        let path = self.path(name);
        rustix::fs::chmod(&path, Mode::from(mode)).unwrap_or_else(|e| fail(&path, &e));
        self
    }

    /// Sets an extended attribute, of a link itself.
    pub fn attribute(&mut self, name: impl AsRef<[u8]>, key: &str, value: &[u8]) -> &mut Self {
        let path = self.path(name);
        lsetxattr(&path, key, value, XattrFlags::empty())
            .unwrap_or_else(|e| panic!("setting {key} of {}: {e}", path.display()));
        self
    }

    /// Sets the time of change to seconds and nanoseconds since 1970, once the tree is finished.
    pub fn time(&mut self, name: impl AsRef<[u8]>, seconds: i64, nanoseconds: i64) -> &mut Self {
        let path = self.path(name);
        self.times.push((path, seconds, nanoseconds));
        self
    }

    /// Sets the times that were asked for.
    pub fn finish(&mut self) {
        self.times.sort();
        while let Some((path, tv_sec, tv_nsec)) = self.times.pop() {
            let time = Timespec { tv_sec, tv_nsec };
            let times = Timestamps { last_access: time, last_modification: time };
            utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW)
                .unwrap_or_else(|e| fail(&path, &e));
        }
    }
}

fn fail(path: &Path, error: &dyn std::fmt::Display) -> ! {
    panic!("making {}: {error}", path.display())
}

/// A POSIX access list as the kernel stores it: permissions of the owner, of one more user, of the
/// group, the mask, and those of others.
pub fn access_list(owner: u16, user: (u32, u16), group: u16, mask: u16, others: u16) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries = [
        (1_u16, owner, NOBODY),
        (2, user.1, user.0),
        (4, group, NOBODY),
        (0x10, mask, NOBODY),
        (0x20, others, NOBODY),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&permissions.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}
