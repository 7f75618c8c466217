//! Records about how long snapshots are kept: forgotten, held, released. SPEC 8.5.
//!
//! Each names what it is about by its hash, never by time, so that any two readers of the same
//! records come to the same answer in whatever order they read them.

use serde::{Deserialize, Serialize};

use crate::codec::Text;
use crate::error::{DecodeError, Reason, Result};
use crate::id::{ObjectHash, SnapshotId};

/// Snapshots that are no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forget {
    /// The snapshots, strictly ascending.
    pub snapshots: Vec<SnapshotId>,
    /// Why.
    pub reason: Text,
    /// Who forgot them: user at host.
    pub actor: Text,
}

/// A ban on forgetting. With a retention time in the clear part it lasts until then and cannot be
/// released; without one it lasts until it is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The snapshots, strictly ascending.
    pub snapshots: Vec<SnapshotId>,
    /// Why.
    pub reason: Text,
    /// Who holds them: user at host.
    pub actor: Text,
}

/// Takes back holds or forgets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Records of holds or forgets, strictly ascending.
    pub records: Vec<ObjectHash>,
    /// The snapshots for which they no longer count, strictly ascending; empty for all that they
    /// name.
    pub snapshots: Vec<SnapshotId>,
    /// Why.
    pub reason: Text,
    /// Who released them: user at host.
    pub actor: Text,
}

/// Refuses a list that does not ascend strictly.
pub(crate) fn must_ascend(record: &'static str, list: &[ObjectHash]) -> Result<()> {
    if list.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(DecodeError::new(record, 0, Reason::OutOfOrder));
    }
    Ok(())
}
