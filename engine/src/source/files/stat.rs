//! What a file system says of one thing, in one system call.

use std::io;
use std::os::fd::AsFd;

use repo_format::tree::Time;
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, makedev, statx};

/// Kind of a thing in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::File,
        Self::Directory,
        Self::Symlink,
        Self::BlockDevice,
        Self::CharacterDevice,
        Self::Fifo,
        Self::Socket,
    ];

    pub(super) const fn from_type(file_type: FileType) -> Option<Self> {
        Some(match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::CharacterDevice => Self::CharacterDevice,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::Unknown => return None,
        })
    }

    /// Number of the kind in [`super::names::Names`]; 0 stays for the unknown.
    pub(super) const fn to_byte(self) -> u8 {
        self as u8 + 1
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte).checked_sub(1)?).copied()
    }
}

/// What a file system says of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-user, set-group and sticky; at most `0o7777`.
    pub mode: u32,
    /// Owner by number.
    pub uid: u32,
    /// Group by number.
    pub gid: u32,
    /// Content changed.
    pub mtime: Time,
    /// Inode changed.
    pub ctime: Time,
    /// Created, where the file system says.
    pub btime: Option<Time>,
    /// Length in bytes, holes included.
    pub size: u64,
    /// Blocks of 512 bytes that the file system holds for it.
    pub blocks: u64,
    /// Names that the inode has.
    pub nlink: u64,
    /// Device that holds it.
    pub device: u64,
    /// Inode number on that device.
    pub inode: u64,
    /// Mount through which it was seen; tells bind mounts apart that share a device. 0 before
    /// Linux 5.8.
    pub mount: u64,
    /// Major number, of a device.
    pub major: u32,
    /// Minor number, of a device.
    pub minor: u32,
}

impl Stat {
    /// Looks at `name` below `directory`; never follows a link, never mounts.
    pub(super) fn at(directory: impl AsFd, name: &[u8]) -> io::Result<Self> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        Self::from_statx(&statx(directory, name, flags, wanted())?)
    }

    /// Looks at what is open.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        Self::from_statx(&statx(file, c"", AtFlags::EMPTY_PATH, wanted())?)
    }

    /// Says whether the file system holds fewer blocks than the file is long, so that asking for
    /// its holes is worth a call.
    pub const fn may_have_holes(&self) -> bool {
        self.blocks.saturating_mul(512) < self.size
    }

    fn from_statx(found: &Statx) -> io::Result<Self> {
        let mode = u32::from(found.stx_mode);
        let kind = Kind::from_type(FileType::from_raw_mode(mode)).ok_or_else(|| {
            io::Error::new(io::ErrorKind::Unsupported, format!("of no known kind (mode {mode:o})"))
        })?;
        let has = |flag| found.stx_mask & StatxFlags::bits(&flag) != 0;
        Ok(Self {
            kind,
            mode: mode & 0o7777,
            uid: found.stx_uid,
            gid: found.stx_gid,
            mtime: time(&found.stx_mtime),
            ctime: time(&found.stx_ctime),
            btime: has(StatxFlags::BTIME).then(|| time(&found.stx_btime)),
            size: found.stx_size,
            blocks: found.stx_blocks,
            nlink: u64::from(found.stx_nlink),
            device: makedev(found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            mount: if has(StatxFlags::MNT_ID) { found.stx_mnt_id } else { 0 },
            major: found.stx_rdev_major,
            minor: found.stx_rdev_minor,
        })
    }
}

fn wanted() -> StatxFlags {
    StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID
}

const fn time(stamp: &StatxTimestamp) -> Time {
    Time { seconds: stamp.tv_sec, nanos: stamp.tv_nsec }
}
