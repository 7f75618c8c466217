//! Pages of directories: the offset of an entry is its place, so a page starts anywhere at once.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use engine::Result;
use fuser::FileAttr;

use crate::filesystem::{FOR_EVER, SHORTLY, SnapshotFs};
use crate::inodes::{Folder, TOP};
use crate::views::Child;

/// Entries before the first: the directory itself and the one it is in.
const DOTS: u64 = 2;

/// Something in a view that is open.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Name.
    pub(crate) name: Vec<u8>,
    /// What it is.
    pub(crate) child: Child,
}

/// What an open directory lists.
#[derive(Debug)]
pub(crate) enum Listing {
    /// A directory of a snapshot, straight from its nodes.
    Folder(Arc<Folder>),
    /// A view, as it was when it was opened.
    View(Arc<Vec<Listed>>),
}

/// Takes one entry: attributes, place of the next, name, how long it holds; says whether it fitted.
type Give<'a> = dyn FnMut(&FileAttr, u64, &[u8], Duration) -> bool + 'a;

impl SnapshotFs {
    /// Gives the entries of a directory from an offset on, until `add` has no more room.
    ///
    /// `add` takes attributes, the offset behind, the name and how long the kernel may keep it; it
    /// says whether the kernel is told of the entry by it, or nothing when it did not fit.
    pub(crate) fn page(
        &self,
        number: u64,
        listing: &Listing,
        offset: u64,
        mut add: impl FnMut(&FileAttr, u64, &[u8], Duration) -> Option<bool>,
    ) -> Result<()> {
        let up = match listing {
            Listing::Folder(folder) => folder.up_number,
            Listing::View(_) => TOP,
        };
        for (at, (number, name)) in (1..=DOTS).zip([(number, &b"."[..]), (up, b"..")]) {
            // The kernel takes neither for an entry of its own.
            let attr = self.look.of_view(number, None);
            if at > offset && add(&attr, at, name, SHORTLY).is_none() {
                return Ok(());
            }
        }
        let from = offset.saturating_sub(DOTS);
        let mut give = |attr: &FileAttr, place: u64, name: &[u8], ttl| {
            let told = add(attr, place + 1 + DOTS, name, ttl);
            if told != Some(true) {
                self.inodes.forget(attr.ino.0, 1);
            }
            told.is_some()
        };
        match listing {
            Listing::View(list) => {
                let skipped = usize::try_from(from).unwrap_or(usize::MAX);
                for (place, listed) in (from..).zip(list.iter().skip(skipped)) {
                    let (attr, ttl) = self.tell_child(&listed.child);
                    if !give(&attr, place, &listed.name, ttl) {
                        break;
                    }
                }
                Ok(())
            }
            Listing::Folder(folder) => self.page_of_folder(folder, from, &mut give),
        }
    }

    /// Gives entries from a place on. Whatever was given of a page before trouble stands; the next
    /// page meets it again.
    fn page_of_folder(&self, folder: &Arc<Folder>, from: u64, give: &mut Give<'_>) -> Result<()> {
        let next = Cell::new(from);
        // Nothing is given twice: a second attempt goes on where the first one stopped.
        let give = RefCell::new(give);
        let result = self.attempt(&folder.seen, |view| {
            let mut give = give.borrow_mut();
            view.visit(folder.tree, next.get(), |place, entry| {
                let attr = self.tell_entry(folder, view, place, entry);
                let fits = give(&attr, place, &entry.name, FOR_EVER);
                next.set(place + u64::from(fits));
                fits
            })
        });
        if next.get() > from { Ok(()) } else { result }
    }
}
