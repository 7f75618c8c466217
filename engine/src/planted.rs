//! Faults that tests plant in the engine, to prove that the suite would catch them.
//!
//! Without the feature `testkit` nothing of this exists: the question `planted!(..)` is then the
//! word `false`, and what stands behind it is compiled out.

/// Asks whether a fault is planted.
#[cfg(any(test, feature = "testkit"))]
macro_rules! planted {
    ($fault:ident) => {
        $crate::planted::is($crate::planted::Fault::$fault)
    };
}

/// Never, in what is shipped.
#[cfg(not(any(test, feature = "testkit")))]
macro_rules! planted {
    ($fault:ident) => {
        false
    };
}

#[cfg(any(test, feature = "testkit"))]
pub(crate) use switch::strike;
#[cfg(any(test, feature = "testkit"))]
pub use switch::{ALL, Fault, is, packs_a_segment, plant, set_packs_a_segment, set_strike};

#[cfg(any(test, feature = "testkit"))]
mod switch {
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// One way to be wrong.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[repr(usize)]
    pub enum Fault {
        /// A segment names a pack that is stored afterwards (O-1).
        IndexBeforePack = 1,
        /// The snapshot's record is stored before the last packs (O-3).
        SnapshotBeforePacks,
        /// The snapshot's record is stored before the segment that names its packs (O-3).
        SnapshotBeforeIndex,
        /// The marker is stored before the key slot and the configuration (O-6).
        MarkerFirst,
        /// The first record of a writer is stored before its card (O-6).
        RecordBeforeCard,
        /// A changed password removes the old slot before the new one is stored (O-6).
        OldKeyGoesFirst,
        /// Folders are not synced.
        NoFolderSync,
        /// Files are not synced.
        NoFileSync,
        /// A file whose sync failed is synced again and believed (O-8).
        SyncRetried,
        /// What a listing shows is taken for synced.
        SeenNotSynced,
        /// A pack of a run that was killed is adopted by its name, without a listing.
        JournalBelieved,
        /// The first part of what was asked for is taken for all of it.
        ShortReadIgnored,
        /// The index of a store that cannot be listed is empty.
        ListErrorIsEmpty,
        /// A pack that could not be stored is forgotten, and the backup goes on.
        UploadErrorIgnored,
        /// A write that ended in doubt is done (O-9).
        DoubtIsDone,
        /// A write that ended in doubt has failed (O-9).
        DoubtIsFailed,
        /// Blobs are not compared with their ids, neither before they leave nor when they are read.
        IdUnchecked,
        /// What is sealed is not bound to where it stands.
        ContextMissing,
        /// The newest records are not remembered.
        HeadsNotPinned,
        /// Records do not name the newest records of other writers.
        HeadsNotNamed,
        /// The word of records about other writers is not held against what is there.
        HeadsNotChecked,
    }

    /// Every fault.
    pub const ALL: [Fault; 21] = [
        Fault::IndexBeforePack,
        Fault::SnapshotBeforePacks,
        Fault::SnapshotBeforeIndex,
        Fault::MarkerFirst,
        Fault::RecordBeforeCard,
        Fault::OldKeyGoesFirst,
        Fault::NoFolderSync,
        Fault::NoFileSync,
        Fault::SyncRetried,
        Fault::SeenNotSynced,
        Fault::JournalBelieved,
        Fault::ShortReadIgnored,
        Fault::ListErrorIsEmpty,
        Fault::UploadErrorIgnored,
        Fault::DoubtIsDone,
        Fault::DoubtIsFailed,
        Fault::IdUnchecked,
        Fault::ContextMissing,
        Fault::HeadsNotPinned,
        Fault::HeadsNotNamed,
        Fault::HeadsNotChecked,
    ];

    static PLANTED: AtomicUsize = AtomicUsize::new(0);
    static PACKS_A_SEGMENT: AtomicUsize = AtomicUsize::new(0);
    static STRIKE: AtomicUsize = AtomicUsize::new(0);

    /// Plants one fault in this process, or takes it out.
    pub fn plant(fault: Option<Fault>) {
        PLANTED.store(fault.map_or(0, |fault| fault as usize), Ordering::SeqCst);
    }

    /// Says whether a fault is planted.
    pub fn is(fault: Fault) -> bool {
        PLANTED.load(Ordering::Relaxed) == fault as usize
    }

    /// Has segments written after so few packs in this process that small backups write several.
    pub fn set_packs_a_segment(packs: Option<usize>) {
        PACKS_A_SEGMENT.store(packs.unwrap_or(0), Ordering::SeqCst);
    }

    /// Flips a bit of the encoded bytes of the blob of this number, from 1, as a machine does whose
    /// memory or compressor errs; 0 is none.
    pub fn set_strike(blob: usize) {
        STRIKE.store(blob, Ordering::SeqCst);
    }

    /// Flips a bit if it is time.
    pub(crate) fn strike(encoded: &mut [u8]) {
        let count = |left: usize| left.checked_sub(1);
        let left = STRIKE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count);
        if left == Ok(1)
            && let Some(first) = encoded.first_mut()
        {
            *first ^= 1;
        }
    }

    /// Packs after which a segment is written, where a test has said so.
    pub fn packs_a_segment() -> Option<usize> {
        Some(PACKS_A_SEGMENT.load(Ordering::Relaxed)).filter(|packs| *packs > 0)
    }
}
