//! An independent look at a tree: everything of it that a restore must bring back.
//!
//! Shares no code with the engine, so a mistake there cannot hide itself here.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::{SeekFrom, lgetxattr, llistxattr, seek};
use rustix::io::Errno;

/// Unit in which holes are told from zeros, in bytes; holes of the usual file systems are
/// multiples.
const BLOCK: usize = 4096;

/// What is seen, by path below the root; the root is the empty path.
pub type Listing = BTreeMap<Vec<u8>, Entry>;

/// One thing in a tree. Times of access and of change are not kept by any backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Type and its contents.
    pub nature: Nature,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of change of the content: seconds since 1970, and nanoseconds.
    pub mtime: (i64, i64),
    /// Extended attributes, POSIX access lists and capabilities among them.
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// First path of the things that are hard links of one another; none for one that has one name.
    pub links: Option<Vec<u8>>,
}

/// Type of a thing, with what is special about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nature {
    /// Ordinary file.
    File {
        /// Length in bytes.
        size: u64,
        /// Hash of what is not zero, and where that is.
        content: blake3::Hash,
        /// Ranges that are not holes, from and to, in bytes.
        data: Vec<(u64, u64)>,
    },
    /// Directory.
    Directory,
    /// Symbolic link and its target.
    Symlink(Vec<u8>),
    /// Named pipe.
    Fifo,
    /// Socket.
    Socket,
    /// Character device and its number.
    CharacterDevice(u64),
    /// Block device and its number.
    BlockDevice(u64),
}

/// Looks at everything below a root, and at the root.
pub fn walk(root: &Path) -> Listing {
    let mut walker = Walker { listing: Listing::new(), seen: BTreeMap::new() };
    walker.visit(root, b"");
    walker.name_links();
    walker.listing
}

struct Walker {
    listing: Listing,
    seen: BTreeMap<(u64, u64), Vec<Vec<u8>>>,
}

impl Walker {
    fn visit(&mut self, path: &Path, name: &[u8]) {
        let found = std::fs::symlink_metadata(path).unwrap_or_else(|e| fail(path, &e));
        let kind = found.mode() & 0o170_000;
        let nature = match kind {
            0o100_000 => file(path, found.size()),
            0o040_000 => Nature::Directory,
            0o120_000 => {
                let target = std::fs::read_link(path).unwrap_or_else(|e| fail(path, &e));
                Nature::Symlink(target.into_os_string().into_vec())
            }
            0o010_000 => Nature::Fifo,
            0o140_000 => Nature::Socket,
            0o020_000 => Nature::CharacterDevice(found.rdev()),
            0o060_000 => Nature::BlockDevice(found.rdev()),
            other => panic!("{}: unknown type {other:o}", path.display()),
        };
        if nature != Nature::Directory && found.nlink() > 1 {
            self.seen.entry((found.dev(), found.ino())).or_default().push(name.to_vec());
        }
        let is_directory = nature == Nature::Directory;
        let entry = Entry {
            nature,
            mode: found.mode() & 0o7777,
            uid: found.uid(),
            gid: found.gid(),
            mtime: (found.mtime(), found.mtime_nsec()),
            attributes: attributes(path),
            links: None,
        };
        self.listing.insert(name.to_vec(), entry);
        if is_directory {
            for below in std::fs::read_dir(path).unwrap_or_else(|e| fail(path, &e)) {
                let below = below.unwrap_or_else(|e| fail(path, &e)).file_name();
                let mut full = name.to_vec();
                if !full.is_empty() {
                    full.push(b'/');
                }
                full.extend_from_slice(below.as_bytes());
                self.visit(&path.join(below), &full);
            }
        }
    }

    fn name_links(&mut self) {
        for names in self.seen.values_mut() {
            names.sort();
            // One name here and others outside of the tree: no links as far as the tree goes.
            if let [first, _, ..] = &names[..] {
                for name in names.iter() {
                    self.listing.get_mut(name).unwrap().links = Some(first.clone());
                }
            }
        }
    }
}

fn fail(path: &Path, error: &dyn std::fmt::Display) -> ! {
    panic!("looking at {}: {error}", path.display())
}

fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut buffer = vec![0; 64 << 10];
    let length = match llistxattr(path, &mut buffer[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => 0,
        Err(error) => fail(path, &error),
    };
    let names: Vec<Vec<u8>> = buffer[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    let mut found = BTreeMap::new();
    for name in names {
        let length = lgetxattr(path, &name[..], &mut buffer[..]).unwrap_or_else(|e| fail(path, &e));
        found.insert(name, buffer[..length].to_vec());
    }
    found
}

fn file(path: &Path, size: u64) -> Nature {
    let file = File::open(path).unwrap_or_else(|e| fail(path, &e));
    let data = data_ranges(&file, size);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 256 * BLOCK];
    for (start, end) in &data {
        // Ranges begin at a block unless the file system says otherwise; blocks must not shift.
        let mut offset = start - start % BLOCK as u64;
        while offset < *end {
            let left = usize::try_from(end - offset).unwrap_or(usize::MAX).min(buffer.len());
            let count =
                file.read_at(&mut buffer[..left], offset).unwrap_or_else(|e| fail(path, &e));
            if count == 0 {
                break;
            }
            let whole = if offset + (count as u64) < *end { count - count % BLOCK } else { count };
            for (number, block) in buffer[..whole].chunks(BLOCK).enumerate() {
                if block.iter().any(|byte| *byte != 0) {
                    hasher.update(&(offset + (number * BLOCK) as u64).to_le_bytes()).update(block);
                }
            }
            offset += whole.max(1) as u64;
        }
    }
    Nature::File { size, content: hasher.finalize(), data }
}

/// Ranges of a file that are not holes.
pub fn data_ranges(file: impl AsFd, size: u64) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match seek(&file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(error) => panic!("looking for data: {error}"),
        };
        at = seek(&file, SeekFrom::Hole(start)).unwrap();
        ranges.push((start, at));
    }
    ranges
}
