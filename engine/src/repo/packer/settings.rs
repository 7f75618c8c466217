//! How packs are made, and how their size follows from the memory that may be taken.

use crate::chunk::compression::Level;

/// How packs are made.
#[derive(Debug, Clone, Copy)]
pub struct PackSettings {
    /// Bytes that a data pack aims at.
    pub data_bytes: usize,
    /// Bytes that a metadata pack aims at.
    pub metadata_bytes: usize,
    /// How hard to compress.
    pub level: Level,
    /// Packs that may be on their way to the store at once.
    pub uploads: usize,
    /// Whether to count only, and store nothing.
    pub is_dry: bool,
}

impl PackSettings {
    /// Settings that keep packs, open and on their way, within half of the budget.
    pub fn within(
        budget: u64,
        pack_bytes: u64,
        threads: usize,
        uploads: usize,
        level: Level,
    ) -> Self {
        // Two open data packs, those on their way, and one in the hands of each thread.
        let uploads = uploads.clamp(1, 8);
        let share = budget / 2 / (uploads + threads + 2) as u64;
        // A store that asks for smaller packs than any budget would give gets them.
        let data_bytes = pack_bytes.min(share).clamp(pack_bytes.min(1 << 20), 128 << 20);
        let metadata_bytes = data_bytes.min(8 << 20);
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(32 << 20);
        let (data_bytes, metadata_bytes) = (size(data_bytes), size(metadata_bytes));
        Self { data_bytes, metadata_bytes, level, uploads, is_dry: false }
    }
}
