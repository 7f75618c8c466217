//! Every maximum of the format, in one place. SPEC 1.5.
//!
//! A reader refuses what is over a limit before it allocates for it.

/// Most plain bytes of a data blob.
pub const DATA_BLOB_BYTES_MAX: u32 = 1 << 20;
/// Most plain bytes of any blob.
pub const BLOB_BYTES_MAX: u32 = 16 << 20;
/// Most bytes of a whole pack.
pub const PACK_BYTES_MAX: u64 = 512 << 20;
/// Most blobs of one pack.
pub const PACK_BLOBS_MAX: u32 = 1 << 20;
/// Most bytes of an index segment.
pub const SEGMENT_BYTES_MAX: u64 = 512 << 20;
/// Most entries of one index segment.
pub const SEGMENT_ENTRIES_MAX: u32 = 4 << 20;
/// Most bytes of any other object: configuration, key slot, writer card, history record.
pub const RECORD_BYTES_MAX: u64 = 16 << 20;
/// Most bases of one delta blob.
pub const DELTA_BASES_MAX: u8 = 8;
/// Deepest chain of delta blobs a reader follows.
pub const DELTA_DEPTH_MAX: u8 = 64;
/// Most plain bytes of the bases of one delta blob together.
pub const DELTA_BASE_BYTES_MAX: u32 = 8 << 20;
/// Most blobs that are opened for one blob, itself included: its bases, theirs, and so on.
pub const DELTA_OPENED_MAX: u32 = 1024;
/// Most plain bytes of all those blobs together.
pub const DELTA_OPENED_BYTES_MAX: u64 = 256 << 20;
/// Largest window of a zstd frame, as its binary logarithm.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 24;
/// Most bytes of one path component.
pub const NAME_BYTES_MAX: usize = 255;
/// Most bytes of a symlink target.
pub const LINK_BYTES_MAX: usize = 65_536;
/// Most bytes of file content that an entry may hold itself.
pub const INLINE_BYTES_MAX: usize = 1024;
/// Most extents that an entry or a content list node may hold itself.
pub const EXTENTS_MAX: usize = 65_536;
/// Most bytes of a tree node before it is cut without a boundary.
pub const NODE_BYTES_MAX: usize = 256 << 10;
/// Bytes that a tree node aims at.
pub const NODE_BYTES_TARGET: usize = 64 << 10;
/// Deepest tree of nodes, of directories or content lists alike.
pub const NODE_LEVEL_MAX: u8 = 32;
/// Deepest nesting of directories.
pub const PATH_DEPTH_MAX: usize = 4096;
/// Most bytes of one short text: a host, a tag, a label.
pub const TEXT_BYTES_MAX: usize = 4096;
