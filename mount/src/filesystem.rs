//! The calls of the kernel, each answered from a view of a snapshot or from the views above.
//!
//! A read that fails because a pack has moved is tried once more over the newest index. What fails
//! then is told once and answered with an error number.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use engine::Result;
use engine::browse::View;
use engine::browse::ahead::Ahead;
use engine::browse::catalog::{Catalog, Seen};
use engine::browse::range::Wanted;
use engine::error::{Error, Kind};
use fuser::{
    Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use repo_format::tree::{Attributes, Body, Entry};

use crate::Options;
use crate::attributes::Look;
use crate::errno::Troubles;
use crate::inodes::{Folder, Inodes, TOP, Thing, Wish};
use crate::listing::{Listed, Listing};
use crate::sequence::Sequences;
use crate::views::{self, Child, Views};
use crate::xattrs::{self, Digests};

/// How long the kernel may keep what never changes.
pub(crate) const FOR_EVER: Duration = Duration::from_hours(365 * 24);
/// How long it may keep what grows with the history.
pub(crate) const SHORTLY: Duration = Duration::from_secs(1);
/// Bytes that the kernel may ask for at once.
const CALL_BYTES_MAX: u32 = 1 << 20;
/// Calls that the kernel may have under way on its own account.
const BACKGROUND_CALLS: u16 = 64;
/// Unit of `statfs`, in bytes.
const BLOCK_BYTES: u32 = 4096;

/// The file system of one mount.
#[derive(Debug)]
pub(crate) struct SnapshotFs {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) views: Views,
    pub(crate) inodes: Inodes,
    pub(crate) look: Look,
    /// Listings of views that are open.
    listings: Mutex<HashMap<u64, Arc<Vec<Listed>>>>,
    next_handle: AtomicU64,
    sequences: Sequences,
    digests: Digests,
    troubles: Troubles,
    /// Whether the kernel goes without opening files, which never change.
    needs_no_open: bool,
}

impl SnapshotFs {
    /// Makes the file system of a catalog.
    pub(crate) fn new(catalog: Arc<Catalog>, ahead: Ahead, options: &Options) -> Result<Self> {
        let own = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let fs = Self {
            views: Views::new(Arc::clone(&catalog), options.zone.clone()),
            inodes: Inodes::default(),
            look: Look { owner: options.owner, own, since: SystemTime::now() },
            listings: Mutex::default(),
            next_handle: AtomicU64::new(1),
            sequences: Sequences::new(ahead),
            digests: Digests::default(),
            troubles: Troubles::default(),
            needs_no_open: false,
            catalog,
        };
        let top = if options.is_one_snapshot {
            let snapshots = fs.catalog.known();
            let seen = snapshots.list.first();
            let seen = seen.ok_or_else(|| Error::new(Kind::NotFound, "there is no snapshot"))?;
            Thing::Folder(Arc::new(root_folder(TOP, seen)))
        } else {
            Thing::View(Arc::new(views::View::Top))
        };
        fs.inodes.set_top(top);
        Ok(fs)
    }

    /// Reads from a view, and once more where packs have moved since its index was read.
    pub(crate) fn attempt<T>(&self, seen: &Seen, read: impl Fn(&View) -> Result<T>) -> Result<T> {
        match read(&seen.view()) {
            Err(error)
                if matches!(error.kind(), Kind::Damaged | Kind::NotFound)
                    && self.catalog.follow_index() =>
            {
                read(&seen.view())
            }
            result => result,
        }
    }

    /// Lends the entry of a thing that is in a snapshot.
    fn with_entry<T>(
        &self,
        thing: &Thing,
        lend: impl Fn(&Seen, &View, &Entry) -> Result<T>,
    ) -> Result<T> {
        let placed = |folder: &Folder, place: u64| {
            let seen = &folder.seen;
            self.attempt(seen, |view| {
                view.with_entry(folder.tree, place, |entry| lend(seen, view, entry))?
            })
        };
        match thing {
            Thing::Entry { folder, place, .. } => placed(folder, *place),
            Thing::Folder(folder) => match &folder.up {
                Some((up, place)) => placed(up, *place),
                None => self.attempt(&folder.seen, |view| lend(&folder.seen, view, &view.root())),
            },
            Thing::Version(version) => {
                self.attempt(&version.seen, |view| lend(&version.seen, view, &version.entry))
            }
            Thing::View(_) => Err(Error::new(Kind::InvalidSetting, "a view has no entry")),
        }
    }

    /// Path of a thing: in its snapshot, without a slash before it.
    fn path(&self, thing: &Thing) -> Vec<u8> {
        let (mut folder, mut place) = match thing {
            Thing::Version(version) => return version.path.clone(),
            Thing::View(view) => return view.identity(),
            Thing::Entry { folder, place, .. } => (folder, *place),
            Thing::Folder(folder) => match &folder.up {
                Some((up, place)) => (up, *place),
                None => return Vec::new(),
            },
        };
        let mut names: Vec<Vec<u8>> = Vec::new();
        loop {
            let name = self.attempt(&folder.seen, |view| {
                view.with_entry(folder.tree, place, |entry| entry.name.0.clone())
            });
            names.push(name.unwrap_or_else(|_| b"?".to_vec()));
            match &folder.up {
                Some((up, at)) => (folder, place) = (up, *at),
                None => break,
            }
        }
        names.reverse();
        names.join(&b'/')
    }

    /// Tells of an error and gives its number.
    fn failed(&self, thing: Option<&Thing>, error: &Error) -> Errno {
        let path = thing.map(|thing| self.path(thing)).unwrap_or_default();
        self.troubles.tell(&path, error, self.catalog.ambient())
    }

    fn thing(&self, number: INodeNo) -> Result<Thing, Errno> {
        // The kernel asks only for what it was told of.
        self.inodes.get(number.0).ok_or(Errno::ESTALE)
    }

    /// Tells the kernel of an entry of a directory.
    pub(crate) fn tell_entry(
        &self,
        folder: &Arc<Folder>,
        view: &View,
        place: u64,
        entry: &Entry,
    ) -> FileAttr {
        let number = self.inodes.tell(Wish::of_entry(folder, entry), |number| match entry.body {
            Body::Directory { tree, .. } => Thing::Folder(Arc::new(Folder {
                number,
                seen: Arc::clone(&folder.seen),
                tree,
                up: Some((Arc::clone(folder), place)),
                up_number: folder.number,
                read_to: AtomicU64::new(0),
                asked_to: AtomicU64::new(0),
                due_at: AtomicU64::new(0),
            })),
            _ => Thing::Entry {
                folder: Arc::clone(folder),
                place,
                has_attributes: !matches!(entry.metadata.attributes, Attributes::None),
            },
        });
        self.look.of_entry(number, &folder.seen, view, entry)
    }

    /// Tells the kernel of something in a view; says how long it may keep it.
    pub(crate) fn tell_child(&self, child: &Child) -> (FileAttr, Duration) {
        match child {
            Child::View(view) => {
                let wish = Wish::of("view", &[&view.identity()]);
                let thing = |_| Thing::View(Arc::new(view.clone()));
                let number = self.inodes.tell(wish, thing);
                (self.look.of_view(number, link_of(view)), SHORTLY)
            }
            Child::Snapshot(seen) => {
                let wish = Wish::of("snapshot", &[&seen.taken.id.0]);
                let number = self
                    .inodes
                    .tell(wish, |number| Thing::Folder(Arc::new(root_folder(number, seen))));
                let view = seen.view();
                (self.look.of_entry(number, seen, &view, &view.root()), SHORTLY)
            }
            Child::Version(version) => {
                let wish = Wish::of("version", &[&version.seen.taken.id.0, &version.path]);
                let number = self.inodes.tell(wish, |_| Thing::Version(Arc::clone(version)));
                let seen = &version.seen;
                let attr = self.look.of_entry(number, seen, &seen.view(), &version.entry);
                // Its other names are not here.
                (FileAttr { nlink: 1, ..attr }, SHORTLY)
            }
        }
    }

    fn attributes_of(&self, number: u64, thing: &Thing) -> Result<(FileAttr, Duration)> {
        if let Thing::View(view) = thing {
            return Ok((self.look.of_view(number, link_of(view)), SHORTLY));
        }
        let attr = self.with_entry(thing, |seen, view, entry| {
            Ok(self.look.of_entry(number, seen, view, entry))
        })?;
        if let Thing::Version(_) = thing {
            return Ok((FileAttr { nlink: 1, ..attr }, FOR_EVER));
        }
        Ok((attr, FOR_EVER))
    }

    fn find(&self, thing: &Thing, name: &[u8]) -> Result<Option<(FileAttr, Duration)>> {
        match thing {
            Thing::Folder(folder) => self.attempt(&folder.seen, |view| {
                view.with_name(folder.tree, name, |place, entry| {
                    (self.tell_entry(folder, view, place, entry), FOR_EVER)
                })
            }),
            Thing::View(view) => {
                Ok(self.views.find(view, name)?.map(|child| self.tell_child(&child)))
            }
            Thing::Entry { .. } | Thing::Version(_) => Ok(None),
        }
    }

    /// The listing of an open directory.
    fn listing(&self, thing: &Thing, handle: FileHandle) -> Listing {
        if let Thing::Folder(folder) = thing {
            return Listing::Folder(Arc::clone(folder));
        }
        let open = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        Listing::View(open.get(&handle.0).cloned().unwrap_or_default())
    }

    fn read_part(
        &self,
        number: u64,
        thing: &Thing,
        offset: u64,
        length: u32,
        reply: impl FnOnce(&[u8]),
    ) -> Result<()> {
        let part = self.with_entry(thing, |_, view, entry| {
            if let (0, Thing::Entry { folder, place, .. }) = (offset, thing)
                && let Body::File { size, .. } = entry.body
            {
                self.sequences.note_file(folder, view, *place, size);
            }
            self.sequences.note(number, view, entry, offset, u64::from(length));
            view.part_at(entry, offset, length as usize)
        })?;
        reply(&part);
        Ok(())
    }

    fn attribute(&self, thing: &Thing, name: &[u8]) -> Result<Option<Vec<u8>>> {
        let is_squashed = self.look.owner.is_some();
        if xattrs::is_ours(name) {
            let path = self.path(thing);
            return self.with_entry(thing, |seen, view, entry| {
                self.digests.ours(seen, view, &path, entry, name)
            });
        }
        self.with_entry(thing, |_, view, entry| xattrs::own(view, entry, name, is_squashed))
    }
}

/// The root directory of a snapshot.
fn root_folder(number: u64, seen: &Arc<Seen>) -> Folder {
    Folder {
        number,
        seen: Arc::clone(seen),
        tree: seen.taken.snapshot.root,
        up: None,
        up_number: TOP,
        read_to: AtomicU64::new(0),
        asked_to: AtomicU64::new(0),
        due_at: AtomicU64::new(0),
    }
}

fn link_of(view: &views::View) -> Option<&[u8]> {
    match view {
        views::View::Link(target) => Some(target),
        _ => None,
    }
}

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
