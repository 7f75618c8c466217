//! An open directory, and all that a backup asks of it.
//!
//! Names are single components and links are never followed, so no call leaves the directory.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use repo_format::tree::{Attribute, is_name};
use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, Mode, OFlags, RawDir, SeekFrom, openat, readlinkat, seek};
use rustix::io::{Errno, read, retry_on_intr};

use super::attributes;
use super::names::Names;
use super::stat::{Kind, Stat};

/// Bytes asked of the kernel at once when a directory is listed.
const LISTING_BYTES: usize = 64 << 10;

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    /// A listing moves the position of the handle, so only one runs at a time.
    listing: Mutex<()>,
    /// The kernel lets only owners (and root) read without touching the access time; once refused,
    /// asking again for every file would cost a call each.
    may_spare_atime: AtomicBool,
}

impl Directory {
    /// Opens a directory by its path; links in the path are followed, the last one too.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(CWD, path, flags, Mode::empty())?.into())
    }

    /// Opens the directory `name`; a link to a directory is an error.
    pub fn open_child(&self, name: &[u8]) -> io::Result<Self> {
        Ok(self.open_quietly(name, OFlags::DIRECTORY)?.into())
    }

    /// Opens the file `name` for reading, without waiting on a named pipe; a link is an error.
    ///
    /// Whoever looked before must look again ([`Stat::of`]): the name may mean another file by now.
    pub fn open_file(&self, name: &[u8]) -> io::Result<File> {
        Ok(self.open_quietly(name, OFlags::NONBLOCK)?.into())
    }

    fn open_quietly(&self, name: &[u8], extra: OFlags) -> io::Result<OwnedFd> {
        let name = component(name)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | extra;
        if self.may_spare_atime.load(Ordering::Relaxed) {
            let quiet = flags | OFlags::NOATIME;
            match retry_on_intr(|| openat(&self.fd, name, quiet, Mode::empty())) {
                Err(Errno::PERM) => self.may_spare_atime.store(false, Ordering::Relaxed),
                other => return Ok(other?),
            }
        }
        Ok(retry_on_intr(|| openat(&self.fd, name, flags, Mode::empty()))?)
    }

    /// Lists all names but `.` and `..`, sorted by bytes, from the beginning each time.
    ///
    /// Memory: 7 bytes a name besides the name, and 16 more while sorting. Names that cannot be
    /// stored (over 255 bytes, which some file systems allow) are listed; using one is an error.
    pub fn names(&self) -> io::Result<Names> {
        let _one_at_a_time = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        seek(&self.fd, SeekFrom::Start(0))?;
        let mut buffer = Vec::with_capacity(LISTING_BYTES);
        let mut entries = RawDir::new(&self.fd, buffer.spare_capacity_mut());
        let mut names = Names::default();
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name, Kind::from_type(entry.file_type()))?;
            }
        }
        names.sort();
        Ok(names)
    }

    /// Looks at `name`, not through it if it is a link.
    pub fn stat(&self, name: &[u8]) -> io::Result<Stat> {
        Stat::at(&self.fd, component(name)?)
    }

    /// Looks at the directory itself.
    pub fn stat_self(&self) -> io::Result<Stat> {
        Stat::of(&self.fd)
    }

    /// Reads the target of the symbolic link `name`.
    pub fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(readlinkat(&self.fd, component(name)?, Vec::new())?.into_bytes())
    }

    /// Reads the extended attributes of `name`, sorted by name; of a link, its own.
    pub fn attributes(&self, name: &[u8]) -> io::Result<Vec<Attribute>> {
        attributes::of_name(self.fd.as_fd(), component(name)?)
    }

    /// Reads the extended attributes of the directory itself, sorted by name.
    pub fn attributes_self(&self) -> io::Result<Vec<Attribute>> {
        attributes::of_open(self.fd.as_fd())
    }

    /// Reads the small file `name` into `buffer`, whose former bytes are dropped: one open, one
    /// read, one close if the file is `size_hint` bytes long.
    ///
    /// More than `size_hint` bytes in the buffer mean that the file has grown and may go on; fewer
    /// that it has shrunk.
    pub fn read_small(
        &self,
        name: &[u8],
        size_hint: usize,
        buffer: &mut Vec<u8>,
    ) -> io::Result<()> {
        read_small(self.open_quietly(name, OFlags::NONBLOCK)?, size_hint, buffer)
    }
}

/// Reads a small open file into `buffer`, as [`Directory::read_small`] does; for callers that ask
/// the same handle for its attributes, which is quicker than asking by name.
pub fn read_small(file: impl AsFd, size_hint: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    // Room for one byte more than is expected shows growth without another call.
    buffer.reserve(size_hint.saturating_add(1));
    loop {
        let count = retry_on_intr(|| read(&file, spare_capacity(buffer)))?;
        if count == 0 || buffer.len() >= size_hint {
            return Ok(());
        }
    }
}

impl From<OwnedFd> for Directory {
    fn from(fd: OwnedFd) -> Self {
        Self { fd, listing: Mutex::new(()), may_spare_atime: AtomicBool::new(true) }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn component(name: &[u8]) -> io::Result<&[u8]> {
    if is_name(name) {
        return Ok(name);
    }
    let message = format!("\"{}\" is not a name that can be stored", name.escape_ascii());
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::io::Read;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{FileExt, symlink};

    use repo_format::tree::{Body, LinkGroup};
    use rustix::fs::{Mode, XattrFlags, chmodat, linkat, lsetxattr, mkfifoat, setxattr};

    use super::super::metadata::OwnerNames;
    use super::*;

    fn fixture() -> (tempfile::TempDir, Directory) {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open(place.path()).unwrap();
        (place, directory)
    }

    #[test]
    fn odd_names_are_listed_exactly_and_in_order() {
        let (place, directory) = fixture();
        let long = [b'x'; 255];
        let names: [&[u8]; 7] =
            [b"\xff\xfe", b"new\nline", b"\x1b[31m", b" ", b"-", b"caf\xc3\xa9", &long];
        for name in names {
            std::fs::write(place.path().join(OsStr::from_bytes(name)), name).unwrap();
        }
        let mut expected = names.to_vec();
        expected.sort_unstable();
        for _again in 0..2 {
            let listed = directory.names().unwrap();
            assert_eq!(listed.iter().collect::<Vec<_>>(), expected);
            assert!(listed.iter_kinds().all(|(_, kind)| kind.is_none_or(|k| k == Kind::File)));
        }
        let mut buffer = Vec::new();
        for name in expected {
            directory.read_small(name, name.len(), &mut buffer).unwrap();
            assert_eq!(buffer, name);
        }
    }

    #[test]
    fn a_directory_of_many_names_is_listed_whole() {
        let (place, directory) = fixture();
        for number in 0..5000 {
            let path = place.path().join(format!("a rather long name to fill buffers {number}"));
            File::create(path).unwrap();
        }
        assert_eq!(directory.names().unwrap().len(), 5000);
    }

    #[test]
    fn links_are_seen_and_never_followed() {
        let (place, directory) = fixture();
        std::fs::create_dir(place.path().join("real")).unwrap();
        symlink("real", place.path().join("link")).unwrap();
        symlink("/etc/passwd", place.path().join("file")).unwrap();
        assert_eq!(directory.stat(b"link").unwrap().kind, Kind::Symlink);
        assert_eq!(directory.read_link(b"file").unwrap(), b"/etc/passwd");
        assert!(directory.open_child(b"link").is_err());
        assert!(directory.open_file(b"file").is_err());
        assert!(directory.read_small(b"file", 10, &mut Vec::new()).is_err());
        directory.open_child(b"real").unwrap();
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let (_place, directory) = fixture();
        for name in [&b""[..], b".", b"..", b"a/b", b"/etc", b"a\0b", &[b'x'; 256]] {
            assert_eq!(directory.stat(name).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert!(directory.open_child(name).is_err());
            assert!(directory.open_file(name).is_err());
            assert!(directory.attributes(name).is_err());
        }
    }

    #[test]
    fn a_named_pipe_does_not_stop_the_reader() {
        let (_place, directory) = fixture();
        mkfifoat(&directory, "pipe", Mode::RUSR | Mode::WUSR).unwrap();
        let stat = directory.stat(b"pipe").unwrap();
        assert_eq!(stat.special_body(), Some(Body::Fifo));
        let mut file = directory.open_file(b"pipe").unwrap();
        assert_eq!(file.read(&mut [0; 10]).unwrap(), 0);
    }

    #[test]
    fn a_stat_tells_modes_times_links_and_holes() {
        let (place, directory) = fixture();
        let path = place.path().join("a");
        let file = File::create(&path).unwrap();
        file.set_len(1 << 30).unwrap();
        file.write_all_at(b"x", 1 << 20).unwrap();
        let when = std::time::UNIX_EPOCH - std::time::Duration::from_nanos(1);
        file.set_modified(when).unwrap();
        chmodat(&directory, "a", Mode::from_raw_mode(0o6751), rustix::fs::AtFlags::empty())
            .unwrap();
        let owners = OwnerNames::new();
        let stat = directory.stat(b"a").unwrap();
        assert_eq!(Stat::of(&file).unwrap(), stat);
        assert_eq!((stat.mode, stat.size, stat.nlink), (0o6751, 1 << 30, 1));
        assert!(stat.may_have_holes());
        let metadata = stat.metadata(&owners);
        assert_eq!((metadata.mtime.seconds, metadata.mtime.nanos), (-1, 999_999_999));
        assert_eq!(metadata.link_group, None);
        let expected = uzers::get_user_by_uid(stat.uid).map(|user| user.name().to_owned());
        assert_eq!(metadata.user.as_str(), expected.unwrap_or_default().to_str().unwrap());
        for number in 0..4095 {
            let flags = rustix::fs::AtFlags::empty();
            linkat(&directory, "a", &directory, format!("link{number}"), flags).unwrap();
        }
        let group = LinkGroup { device: stat.device, inode: stat.inode };
        for name in directory.names().unwrap().iter() {
            let stat = directory.stat(name).unwrap();
            assert_eq!((stat.nlink, stat.metadata(&owners).link_group), (4096, Some(group)));
        }
        let own = directory.stat_self().unwrap();
        assert_eq!((own.kind, own.metadata(&owners).link_group), (Kind::Directory, None));
    }

    #[test]
    fn a_number_without_a_name_has_the_empty_name() {
        let owners = OwnerNames::new();
        assert_eq!(owners.user(3_999_999_999).as_str(), "");
        assert_eq!(owners.group(3_999_999_999).as_str(), "");
        assert_eq!(owners.group(3_999_999_999).as_str(), "");
    }

    #[test]
    fn a_file_that_grew_or_shrank_shows_it() {
        let (place, directory) = fixture();
        std::fs::write(place.path().join("a"), [7; 1000]).unwrap();
        let mut buffer = Vec::new();
        directory.read_small(b"a", 2000, &mut buffer).unwrap();
        assert_eq!(buffer.len(), 1000);
        let mut buffer = Vec::new();
        directory.read_small(b"a", 10, &mut buffer).unwrap();
        assert!(buffer.len() > 10);
        assert!(directory.read_small(b"gone", 10, &mut buffer).is_err());
    }

    #[test]
    fn attributes_are_read_of_files_folders_and_links_themselves() {
        let (place, directory) = fixture();
        std::fs::write(place.path().join("a"), "x").unwrap();
        symlink("a", place.path().join("link")).unwrap();
        let path = place.path().join("a");
        let big = vec![9; 3000];
        let none = XattrFlags::empty();
        if setxattr(&path, "user.b", &big, none) == Err(Errno::NOTSUP) {
            return;
        }
        setxattr(&path, "user.a", b"", none).unwrap();
        let found = directory.attributes(b"a").unwrap();
        let pairs: Vec<_> = found.iter().map(|a| (&*a.name, &*a.value)).collect();
        assert_eq!(pairs, [(&b"user.a"[..], &b""[..]), (b"user.b", &big)]);
        assert_eq!(attributes::of_open(directory.open_file(b"a").unwrap()).unwrap(), found);
        assert!(directory.attributes_self().unwrap().is_empty());
        assert!(directory.attributes(b"link").unwrap().is_empty());
        if rustix::process::geteuid().is_root() {
            lsetxattr(place.path().join("link"), "trusted.own", b"link", none).unwrap();
            let found = directory.attributes(b"link").unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(&*found[0].value, b"link");
        }
        let error = directory.attributes(b"gone").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
