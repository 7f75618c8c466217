//! The calls of the kernel: what each asks for, and the answer or the error number.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use engine::browse::range::Wanted;
use fuser::{
    Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use repo_format::tree::Body;

use crate::filesystem::{SnapshotFs, link_of};
use crate::inodes::Thing;
use crate::listing::Listed;
use crate::xattrs;

/// Bytes that the kernel may ask for at once.
const CALL_BYTES_MAX: u32 = 1 << 20;
/// Calls that the kernel may have under way on its own account.
const BACKGROUND_CALLS: u16 = 64;
/// Unit of `statfs`, in bytes.
const BLOCK_BYTES: u32 = 4096;

/// Says without looking that a thing has no attribute of a name.
fn surely_lacks(thing: &Thing, name: &[u8]) -> bool {
    match thing {
        Thing::View(_) => true,
        Thing::Entry { has_attributes: false, .. } => !xattrs::is_ours(name),
        _ => false,
    }
}

/// Answers with bytes whose length the caller may only want to know.
fn answer_sized(reply: ReplyXattr, bytes: &[u8], room: u32) {
    match u32::try_from(bytes.len()) {
        Ok(length) if room == 0 => reply.size(length),
        Ok(length) if length <= room => reply.data(bytes),
        _ => reply.error(Errno::ERANGE),
    }
}

impl Filesystem for SnapshotFs {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_ASYNC_READ,
        ];
        for flag in wanted {
            // An older kernel goes without, and is only slower.
            let _ = config.add_capabilities(flag);
        }
        if self.look.owner.is_none() {
            // Access lists are obeyed; with other owners than their own they would mean nothing.
            let _ = config.add_capabilities(InitFlags::FUSE_POSIX_ACL);
        }
        self.needs_no_open = config.add_capabilities(InitFlags::FUSE_NO_OPEN_SUPPORT).is_ok();
        let _ = config.set_max_write(CALL_BYTES_MAX);
        let _ = config.set_max_background(BACKGROUND_CALLS);
        if let Err(most) = config.set_max_readahead(CALL_BYTES_MAX) {
            let _ = config.set_max_readahead(most);
        }
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let thing = match self.thing(parent) {
            Ok(thing) => thing,
            Err(errno) => return reply.error(errno),
        };
        match self.find(&thing, name.as_bytes()) {
            Ok(Some((attr, ttl))) => reply.entry(&ttl, &attr, Generation(0)),
            Ok(None) => reply.error(Errno::ENOENT),
            Err(error) => reply.error(self.failed(Some(&thing), &error)),
        }
    }

    fn forget(&self, _request: &Request, number: INodeNo, lookups: u64) {
        self.inodes.forget(number.0, lookups);
    }

    fn getattr(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        let thing = match self.thing(number) {
            Ok(thing) => thing,
            Err(errno) => return reply.error(errno),
        };
        match self.attributes_of(number.0, &thing) {
            Ok((attr, ttl)) => reply.attr(&ttl, &attr),
            Err(error) => reply.error(self.failed(Some(&thing), &error)),
        }
    }

    fn readlink(&self, _request: &Request, number: INodeNo, reply: ReplyData) {
        let thing = match self.thing(number) {
            Ok(thing) => thing,
            Err(errno) => return reply.error(errno),
        };
        if let Thing::View(view) = &thing {
            return match link_of(view) {
                Some(target) => reply.data(target),
                None => reply.error(Errno::EINVAL),
            };
        }
        let target = self.with_entry(&thing, |_, _, entry| match &entry.body {
            Body::Symlink { target } => Ok(Some(target.0.clone())),
            _ => Ok(None),
        });
        match target {
            Ok(Some(target)) => reply.data(&target),
            Ok(None) => reply.error(Errno::EINVAL),
            Err(error) => reply.error(self.failed(Some(&thing), &error)),
        }
    }

    fn open(&self, _request: &Request, _number: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if self.needs_no_open {
            // The kernel asks once, and opens every file by itself from then on.
            reply.error(Errno::ENOSYS);
        } else {
            reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
        }
    }

    fn read(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        offset: u64,
        length: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let thing = match self.thing(number) {
            Ok(thing) => thing,
            Err(errno) => return reply.error(errno),
        };
        let mut reply = Some(reply);
        let result = self.read_part(number.0, &thing, offset, length, |bytes| {
            if let Some(reply) = reply.take() {
                reply.data(bytes);
            }
        });
        if let (Err(error), Some(reply)) = (result, reply) {
            reply.error(self.failed(Some(&thing), &error));
        }
    }

    fn flush(
        &self,
        _request: &Request,
        _number: INodeNo,
        _handle: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        // There is never anything to flush, and the kernel need not ask again.
        reply.error(Errno::ENOSYS);
    }

    fn opendir(&self, _request: &Request, number: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let thing = match self.thing(number) {
            Ok(thing) => thing,
            Err(errno) => return reply.error(errno),
        };
        match &thing {
            Thing::Folder(_) => {
                let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR;
                reply.opened(FileHandle(0), flags);
            }
            Thing::View(view) => match self.views.list(view) {
                Ok(list) => {
                    let list = list.into_iter().map(|(name, child)| Listed { name, child });
                    let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
                    let mut open = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
                    open.insert(handle, Arc::new(list.collect()));
                    drop(open);
                    reply.opened(FileHandle(handle), FopenFlags::empty());
                }
                Err(error) => reply.error(self.failed(Some(&thing), &error)),
            },
            Thing::Entry { .. } | Thing::Version(_) => reply.error(Errno::ENOTDIR),
        }
    }

    fn readdir(
        &self,
        _request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let thing = match self.thing(number) {
            Ok(thing) => thing,
            Err(errno) => return reply.error(errno),
        };
        let listing = self.listing(&thing, handle);
        let page = self.page(number.0, &listing, offset, |attr, next, name, _| {
            // The kernel is not told of these here, so what it would forget is taken back.
            let is_full = reply.add(attr.ino, next, attr.kind, OsStr::from_bytes(name));
            if is_full { None } else { Some(false) }
        });
        match page {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(self.failed(Some(&thing), &error)),
        }
    }

    fn readdirplus(
        &self,
        _request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let thing = match self.thing(number) {
            Ok(thing) => thing,
            Err(errno) => return reply.error(errno),
        };
        let listing = self.listing(&thing, handle);
        let page = self.page(number.0, &listing, offset, |attr, next, name, ttl| {
            let name = OsStr::from_bytes(name);
            let is_full = reply.add(attr.ino, next, name, &ttl, attr, Generation(0));
            if is_full { None } else { Some(true) }
        });
        match page {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(self.failed(Some(&thing), &error)),
        }
    }

    fn releasedir(
        &self,
        _request: &Request,
        _number: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner).remove(&handle.0);
        reply.ok();
    }

    fn statfs(&self, _request: &Request, _number: INodeNo, reply: ReplyStatfs) {
        let snapshots = self.catalog.known();
        let totals = snapshots.list.last().map(|seen| seen.taken.snapshot.totals);
        let totals = totals.unwrap_or_default();
        let blocks = totals.bytes.div_ceil(u64::from(BLOCK_BYTES));
        let files = totals.files.saturating_add(totals.directories);
        reply.statfs(blocks, 0, 0, files, 0, BLOCK_BYTES, 255, BLOCK_BYTES);
    }

    fn getxattr(
        &self,
        _request: &Request,
        number: INodeNo,
        name: &OsStr,
        room: u32,
        reply: ReplyXattr,
    ) {
        let thing = match self.thing(number) {
            Ok(thing) if surely_lacks(&thing, name.as_bytes()) => {
                return reply.error(Errno::NO_XATTR);
            }
            Ok(thing) => thing,
            Err(errno) => return reply.error(errno),
        };
        match self.attribute(&thing, name.as_bytes()) {
            Ok(Some(value)) => answer_sized(reply, &value, room),
            Ok(None) => reply.error(Errno::NO_XATTR),
            Err(error) => reply.error(self.failed(Some(&thing), &error)),
        }
    }

    fn listxattr(&self, _request: &Request, number: INodeNo, room: u32, reply: ReplyXattr) {
        let thing = match self.thing(number) {
            Ok(thing) if surely_lacks(&thing, b"") => return answer_sized(reply, b"", room),
            Ok(thing) => thing,
            Err(errno) => return reply.error(errno),
        };
        let is_squashed = self.look.owner.is_some();
        let names =
            self.with_entry(&thing, |_, view, entry| xattrs::list(view, entry, is_squashed));
        match names {
            Ok(names) => answer_sized(reply, &names, room),
            Err(error) => reply.error(self.failed(Some(&thing), &error)),
        }
    }

    fn lseek(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let thing = match self.thing(number) {
            Ok(thing) => thing,
            Err(errno) => return reply.error(errno),
        };
        // Linux numbers of SEEK_DATA and SEEK_HOLE; the kernel does the others itself.
        let wanted = match whence {
            3 => Wanted::Data,
            4 => Wanted::Hole,
            _ => return reply.error(Errno::EINVAL),
        };
        let Ok(offset) = u64::try_from(offset) else { return reply.error(Errno::ENXIO) };
        let found = self.with_entry(&thing, |_, view, entry| match entry.body {
            Body::File { size, .. } if offset < size => view.seek(entry, offset, wanted),
            _ => Ok(None),
        });
        match found {
            Ok(Some(at)) => reply.offset(i64::try_from(at).unwrap_or(i64::MAX)),
            Ok(None) => reply.error(Errno::ENXIO),
            Err(error) => reply.error(self.failed(Some(&thing), &error)),
        }
    }
}
