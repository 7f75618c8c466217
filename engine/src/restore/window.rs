//! Consecutive pieces of files, put together into jobs of a bounded size: pure.
//!
//! A job holds so much content that reads of whole runs of a pack pay, so few things that its plan
//! stays small, and so few folders and files in parts that all of them can be open at once.

use std::sync::Arc;

use repo_format::BlobId;
use repo_format::content::Extent;

/// A piece of a file, or all of a thing.
#[derive(Debug)]
pub(super) struct Piece<J> {
    /// What it is a piece of.
    pub(super) job: J,
    /// Its extents with their offsets in the file, in order.
    pub(super) extents: Vec<(u64, Extent)>,
}

/// What one worker does at a time.
#[derive(Debug)]
pub(super) struct Window<J, H> {
    pub(super) pieces: Vec<Piece<J>>,
    /// Kept so that what it holds stays open until the window is done.
    pub(super) handles: Vec<Arc<H>>,
}

/// How large a window gets.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowLimits {
    /// Bytes of content, holes not counted.
    pub(super) bytes: u64,
    /// Pieces.
    pub(super) pieces: usize,
    /// Extents of all pieces.
    pub(super) extents: usize,
    /// Folders, and files of several extents, that are open at once: so many of each.
    pub(super) open: usize,
}

/// Puts windows together.
#[derive(Debug)]
pub(super) struct Windows<J, H> {
    limits: WindowLimits,
    pieces: Vec<Piece<J>>,
    handles: Vec<Arc<H>>,
    bytes: u64,
    extents: usize,
    of_several: usize,
    last_blob: Option<BlobId>,
}

/// Bytes that a run of extents has besides holes.
pub(super) fn content_bytes(extents: &[(u64, Extent)]) -> u64 {
    let filled = extents.iter().filter(|(_, extent)| extent.blob().is_some());
    filled.map(|(_, extent)| extent.length()).sum()
}

impl<J, H> Windows<J, H> {
    pub(super) const fn new(limits: WindowLimits) -> Self {
        Self {
            limits,
            pieces: Vec::new(),
            handles: Vec::new(),
            bytes: 0,
            extents: 0,
            of_several: 0,
            last_blob: None,
        }
    }

    /// Adds a piece of what lies in the folder of `handle`; gives the window before it, where that
    /// is full.
    pub(super) fn push(&mut self, piece: Piece<J>, handle: &Arc<H>) -> Option<Window<J, H>> {
        let first_blob = piece.extents.first().and_then(|(_, extent)| extent.blob());
        // Small files that share a blob stay together, within reason.
        let shares = first_blob.is_some() && first_blob == self.last_blob;
        let full = if self.is_full(shares) { self.take() } else { None };
        self.bytes += content_bytes(&piece.extents);
        self.extents += piece.extents.len();
        self.of_several += usize::from(piece.extents.len() > 1);
        self.last_blob = piece.extents.last().and_then(|(_, extent)| extent.blob());
        if !self.handles.last().is_some_and(|last| Arc::ptr_eq(last, handle)) {
            self.handles.push(Arc::clone(handle));
        }
        self.pieces.push(piece);
        full
    }

    fn is_full(&self, shares: bool) -> bool {
        let limits = &self.limits;
        let more = if shares { 2 } else { 1 };
        self.bytes >= limits.bytes
            || self.pieces.len() >= limits.pieces * more
            || self.extents >= limits.extents
            || self.handles.len() >= limits.open
            || self.of_several >= limits.open
    }

    /// Ends the window, however full; `None` where it is empty.
    pub(super) fn take(&mut self) -> Option<Window<J, H>> {
        (self.bytes, self.extents, self.of_several, self.last_blob) = (0, 0, 0, None);
        let window = Window {
            pieces: std::mem::take(&mut self.pieces),
            handles: std::mem::take(&mut self.handles),
        };
        (!window.pieces.is_empty()).then_some(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: WindowLimits = WindowLimits { bytes: 100, pieces: 3, extents: 8, open: 3 };

    fn blob(id: u8, length: u32) -> (u64, Extent) {
        (0, Extent::Blob { id: BlobId([id; 32]), length })
    }

    type Added<'a> = (Vec<(u64, Extent)>, &'a Arc<u8>);

    fn lengths(pieces: Vec<Added<'_>>) -> Vec<usize> {
        let mut windows = Windows::new(LIMITS);
        let mut lengths = Vec::new();
        for (extents, handle) in pieces {
            let full = windows.push(Piece { job: (), extents }, handle);
            lengths.extend(full.map(|window| window.pieces.len()));
        }
        lengths.extend(windows.take().map(|window| window.pieces.len()));
        assert!(windows.take().is_none());
        lengths
    }

    #[test]
    fn a_window_ends_by_bytes_pieces_extents_or_folders() {
        let here = Arc::new(0);
        let few = |id, length| (vec![blob(id, length)], &here);
        assert_eq!(lengths(vec![few(1, 60), few(2, 60), few(3, 1)]), [2, 1]);
        assert_eq!(lengths((1..=7).map(|id| few(id, 1)).collect()), [3, 3, 1]);
        let many = || ((1..=5).map(|id| blob(id, 1)).collect(), &here);
        assert_eq!(lengths(vec![many(), many(), many()]), [2, 1]);
        let folders: Vec<_> = (0..5).map(Arc::new).collect();
        assert_eq!(lengths(folders.iter().map(|f| (vec![], f)).collect()), [3, 2]);
    }

    #[test]
    fn holes_cost_nothing() {
        let here = Arc::new(0);
        let hole = || (vec![(0, Extent::Hole { length: 1 << 40 })], &here);
        assert_eq!(lengths(vec![hole(), hole(), hole()]), [3]);
    }

    #[test]
    fn files_of_one_bundle_stay_together() {
        let here = Arc::new(0);
        let slice = |id| (vec![blob(id, 1)], &here);
        assert_eq!(lengths((0..5).map(|_| slice(7)).collect()), [5]);
        assert_eq!(lengths((0..9).map(|_| slice(7)).collect()), [6, 3]);
    }
}
