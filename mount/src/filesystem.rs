//! What a mount shows, and how it is found: in a view of a snapshot, or in the views above.
//!
//! A read that fails because a pack has moved is tried once more over the newest index. What fails
//! then is told once and answered with an error number.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use engine::Result;
use engine::browse::View;
use engine::browse::ahead::Ahead;
use engine::browse::catalog::{Catalog, Seen};
use engine::error::{Error, Kind};
use fuser::{Errno, FileAttr, FileHandle, INodeNo};
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

/// The file system of one mount.
#[derive(Debug)]
pub(crate) struct SnapshotFs {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) views: Views,
    pub(crate) inodes: Inodes,
    pub(crate) look: Look,
    /// Listings of views that are open.
    pub(crate) listings: Mutex<HashMap<u64, Arc<Vec<Listed>>>>,
    pub(crate) next_handle: AtomicU64,
    sequences: Sequences,
    digests: Digests,
    troubles: Troubles,
    /// Whether the kernel goes without opening files, which never change.
    pub(crate) needs_no_open: bool,
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
    pub(crate) fn with_entry<T>(
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
    pub(crate) fn failed(&self, thing: Option<&Thing>, error: &Error) -> Errno {
        let path = thing.map(|thing| self.path(thing)).unwrap_or_default();
        self.troubles.tell(&path, error, self.catalog.ambient())
    }

    pub(crate) fn thing(&self, number: INodeNo) -> Result<Thing, Errno> {
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

    pub(crate) fn attributes_of(&self, number: u64, thing: &Thing) -> Result<(FileAttr, Duration)> {
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

    pub(crate) fn find(&self, thing: &Thing, name: &[u8]) -> Result<Option<(FileAttr, Duration)>> {
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
    pub(crate) fn listing(&self, thing: &Thing, handle: FileHandle) -> Listing {
        if let Thing::Folder(folder) = thing {
            return Listing::Folder(Arc::clone(folder));
        }
        let open = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        Listing::View(open.get(&handle.0).cloned().unwrap_or_default())
    }

    pub(crate) fn read_part(
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

    pub(crate) fn attribute(&self, thing: &Thing, name: &[u8]) -> Result<Option<Vec<u8>>> {
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

pub(crate) fn link_of(view: &views::View) -> Option<&[u8]> {
    match view {
        views::View::Link(target) => Some(target),
        _ => None,
    }
}
