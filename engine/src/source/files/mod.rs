//! File systems: directories by handle, what is in them, and what is left out.
//!
//! Every call names one component below an open directory, so a folder renamed or replaced by a
//! link while it is read cannot lead the walk elsewhere.

pub mod attributes;
pub mod directory;
pub mod excludes;
pub mod holes;
pub mod metadata;
pub mod names;
pub mod stat;

pub use directory::{Directory, read_small};
pub use excludes::{ExcludeOptions, Excludes, PatternError};
pub use holes::{DataRanges, data_ranges, data_ranges_from};
pub use metadata::OwnerNames;
pub use names::Names;
pub use stat::{Kind, Stat};
