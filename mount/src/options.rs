//! How a mount is made.

use std::path::PathBuf;

use jiff::tz::TimeZone;

/// Calls that are answered at once unless said otherwise: more than there are cores, since many of
/// them wait for the store.
const CALLS_AT_ONCE: usize = 16;

/// How a mount is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder that it covers.
    pub target: PathBuf,
    /// Whether other users may look, too, as far as owners and modes let them.
    pub is_for_others: bool,
    /// Owner and group that everything is shown to have, where not its own.
    pub owner: Option<(u32, u32)>,
    /// Whether the one snapshot of the catalog is the top itself, without views above it.
    pub is_one_snapshot: bool,
    /// Zone of the times in names.
    pub zone: TimeZone,
    /// Threads that read ahead.
    pub threads: usize,
    /// Calls that are answered at once.
    pub calls_at_once: usize,
}

impl Options {
    /// Options for a folder, everything else as it is usual.
    pub fn new(target: impl Into<PathBuf>) -> Self {
        Self {
            target: target.into(),
            is_for_others: false,
            owner: None,
            is_one_snapshot: false,
            zone: TimeZone::system(),
            threads: 2,
            calls_at_once: CALLS_AT_ONCE,
        }
    }
}
