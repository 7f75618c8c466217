//! Settings of a prune.

use crate::repo::create::Actor;

/// Grace between the plan and the deletion where nothing else is said, in milliseconds: a day.
pub const GRACE_MS: u64 = 24 * 3_600_000;

/// Settings of a prune.
#[derive(Debug, Clone)]
pub struct Options {
    /// Unused bytes to leave within packs that are partly used, in thousandths of all that is used.
    pub unused_per_mille_max: u32,
    /// Bytes of packs to write anew in one run, for their unused part or their small size; packs
    /// without anything used cost nothing and do not count.
    pub repack_bytes_max: u64,
    /// Time between plan and deletion, in milliseconds.
    pub grace_ms: u64,
    /// Memory to keep to, in bytes.
    pub memory_bytes: u64,
    /// Who prunes.
    pub actor: Actor,
    /// Says what would be done, and does nothing.
    pub is_dry_run: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            unused_per_mille_max: 50,
            repack_bytes_max: u64::MAX,
            grace_ms: GRACE_MS,
            memory_bytes: 256 << 20,
            actor: Actor::default(),
            is_dry_run: false,
        }
    }
}
