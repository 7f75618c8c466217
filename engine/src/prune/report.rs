//! What a prune did, or would do.

/// A plan that waits for its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Name of the plan.
    pub plan: String,
    /// Packs that it condemns.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When it may be carried out, in milliseconds since 1970 by the clock of who made it.
    pub due_ms: i64,
}

/// What a prune did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Snapshots that are not forgotten.
    pub snapshots: u64,
    /// Packs in the store.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of blobs that snapshots need.
    pub used_bytes: u64,
    /// Packs deleted.
    pub deleted_packs: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Condemned packs that something came to need, and that stayed.
    pub reprieved_packs: u64,
    /// Packs that are condemned now.
    pub condemned_packs: u64,
    /// Their bytes.
    pub condemned_bytes: u64,
    /// Of those, packs that nothing needs.
    pub unused_packs: u64,
    /// Bytes of blobs copied out of condemned packs.
    pub copied_bytes: u64,
    /// Blobs copied.
    pub copied_blobs: u64,
    /// Packs that nothing needs and that are too young to tell from those of a running backup.
    pub young_packs: u64,
    /// Their bytes.
    pub young_bytes: u64,
    /// Index segments that others took the place of.
    pub segments_merged: u64,
    /// Plans that wait for their time.
    pub waiting: Vec<Waiting>,
    /// Whether nothing was written or deleted, and nothing would be.
    pub is_idle: bool,
}
