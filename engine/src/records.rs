//! Values of stored records, for those above who show them: never their bytes.

pub use repo_format::codec::{Bytes, Text};
pub use repo_format::config::Config;
pub use repo_format::content::{Chunker, Content, Extent, ListNode};
pub use repo_format::id;
pub use repo_format::index::{PackRef, SegmentHead};
pub use repo_format::key_slot::Derivation;
pub use repo_format::pack::{BlobKind, Directory};
