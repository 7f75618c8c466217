//! What `stat` says of a thing: an entry of a snapshot, or a view.

use std::time::{Duration, SystemTime};

use engine::browse::View;
use engine::browse::catalog::Seen;
use fuser::{FileAttr, FileType, INodeNo};
use repo_format::content::Content;
use repo_format::tree::{Body, Entry, Time};

/// Unit of `st_blocks`, in bytes.
const BLOCK: u64 = 512;
/// Unit in which file systems give space, in bytes.
const CLUSTER: u64 = 4096;
/// Longest file whose holes are all counted when it is looked at, in bytes: 16 GiB are a few
/// hundred reads, once. A longer one is said to have none.
const COUNTED_BYTES_MAX: u64 = 16 << 30;

/// Who and when things are shown to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Owner and group of everything, where not its own.
    pub(crate) owner: Option<(u32, u32)>,
    /// Owner and group of views.
    pub(crate) own: (u32, u32),
    /// Time of views.
    pub(crate) since: SystemTime,
}

fn time(time: Time) -> SystemTime {
    let epoch = SystemTime::UNIX_EPOCH;
    let whole = if time.seconds < 0 {
        epoch.checked_sub(Duration::from_secs(time.seconds.unsigned_abs()))
    } else {
        epoch.checked_add(Duration::from_secs(time.seconds.unsigned_abs()))
    };
    let exact = whole.and_then(|whole| whole.checked_add(Duration::new(0, time.nanos)));
    exact.unwrap_or(epoch)
}

fn kind(body: &Body) -> FileType {
    match body {
        Body::File { .. } => FileType::RegularFile,
        Body::Directory { .. } => FileType::Directory,
        Body::Symlink { .. } => FileType::Symlink,
        Body::BlockDevice { .. } => FileType::BlockDevice,
        Body::CharacterDevice { .. } => FileType::CharDevice,
        Body::Fifo => FileType::NamedPipe,
        Body::Socket => FileType::Socket,
    }
}

/// Device number as the kernel packs it into 32 bits.
const fn packed(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & 0xf_ff00) << 12
}

/// Blocks of a file: what is not in holes, in whole clusters.
fn blocks(view: &View, entry: &Entry) -> u64 {
    let Body::File { size, content, .. } = &entry.body else { return 0 };
    let is_countable = match content {
        Content::List { .. } => *size <= COUNTED_BYTES_MAX,
        Content::Inline(_) | Content::Extents { .. } => true,
    };
    // A list that cannot be read is reported when the file is.
    let stored =
        if is_countable { view.bytes_outside_holes(entry).unwrap_or(*size) } else { *size };
    stored.div_ceil(CLUSTER) * (CLUSTER / BLOCK)
}

impl Look {
    /// Attributes of an entry of a snapshot under a number.
    pub(crate) fn of_entry(
        &self,
        number: u64,
        seen: &Seen,
        view: &View,
        entry: &Entry,
    ) -> FileAttr {
        let metadata = &entry.metadata;
        let (size, blocks) = match &entry.body {
            Body::File { size, .. } => (*size, blocks(view, entry)),
            Body::Symlink { target } => (target.len() as u64, 0),
            Body::Directory { .. } => (CLUSTER, CLUSTER / BLOCK),
            _ => (0, 0),
        };
        let names = match (&entry.body, metadata.link_group) {
            // One says of a directory that its folders were not counted, as Btrfs does.
            (Body::Directory { .. }, _) | (_, None) => 1,
            (_, Some(group)) => seen.names_of(group),
        };
        let (uid, gid) = self.owner.unwrap_or((metadata.uid, metadata.gid));
        let rdev = match entry.body {
            Body::BlockDevice { major, minor } | Body::CharacterDevice { major, minor } => {
                packed(major, minor)
            }
            _ => 0,
        };
        FileAttr {
            ino: INodeNo(number),
            size,
            blocks,
            atime: time(metadata.mtime),
            mtime: time(metadata.mtime),
            ctime: time(metadata.ctime),
            crtime: metadata.btime.map_or(SystemTime::UNIX_EPOCH, time),
            kind: kind(&entry.body),
            perm: u16::try_from(metadata.mode & 0o7777).unwrap_or(0),
            nlink: names,
            uid,
            gid,
            rdev,
            blksize: 128 << 10,
            flags: 0,
        }
    }

    /// Attributes of a view, or of a link in one.
    pub(crate) fn of_view(&self, number: u64, link: Option<&[u8]>) -> FileAttr {
        let (uid, gid) = self.owner.unwrap_or(self.own);
        let (kind, perm, size) = match link {
            Some(target) => (FileType::Symlink, 0o777, target.len() as u64),
            None => (FileType::Directory, 0o555, 0),
        };
        FileAttr {
            ino: INodeNo(number),
            size,
            blocks: 0,
            atime: self.since,
            mtime: self.since,
            ctime: self.since,
            crtime: self.since,
            kind,
            perm,
            nlink: 1,
            uid,
            gid,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_and_beyond_all_clocks_are_times() {
        let before = time(Time { seconds: -1, nanos: 250_000_000 });
        let back = SystemTime::UNIX_EPOCH.duration_since(before).unwrap();
        assert_eq!(back, Duration::from_millis(750));
        assert!(time(Time { seconds: i64::MIN, nanos: 0 }).elapsed().is_ok());
        let _ = time(Time { seconds: i64::MAX, nanos: 999_999_999 });
    }

    #[test]
    fn devices_are_packed_as_the_kernel_does() {
        assert_eq!(packed(1, 3), 0x103);
        assert_eq!(packed(259, 0x12345), 0x1231_0345);
    }
}
