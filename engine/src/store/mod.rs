//! Named objects, whole or in ranges: the only way to where a repository lies.
//!
//! The promises of [`Store`] are few on purpose. No correctness rule of the engine rests on rename,
//! locks, clocks or create-only writes; where a store has them they only notice mistakes early.

use std::sync::Arc;

use bytes::Bytes;
use repo_format::ObjectName;

#[cfg(any(test, feature = "testkit"))]
pub mod conformance;
mod environment;
mod error;
#[cfg(any(test, feature = "testkit"))]
pub mod faulty;
pub mod layers;
mod local;
mod location;
mod memory;
#[cfg(any(feature = "s3", feature = "azure", feature = "gcs"))]
mod object;
pub mod probe;

pub use environment::Environment;
pub use error::{Cause, Error};
pub use local::LocalStore;
#[cfg(any(test, feature = "testkit"))]
pub use local::model as disk_model;
pub use location::{Bucket, Location, OpenOptions, Service};
pub use memory::MemoryStore;

/// Longest object that is read whole or in a range, in bytes; a longer one is no object of a
/// repository, and reading it would only fill the memory.
pub const OBJECT_BYTES_MAX: u64 = 4 << 30;

/// Result of a call to a store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How a write treats an object that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Fails with [`Cause::AlreadyExists`] where the store can tell; a store that cannot
    /// overwrites.
    Create,
    /// Replaces whatever is there; for objects named by their hash, which are the same bytes.
    Overwrite,
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Name of the object.
    pub name: ObjectName,
    /// Length in bytes.
    pub bytes: u64,
    /// Time of writing by the store's clock, in milliseconds since 1970; never used for
    /// correctness.
    pub modified_ms: Option<i64>,
}

/// How far create-only writes can be relied on, as probed. SPEC 10.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CreateOnly {
    /// A second create fails, also under a short race.
    Atomic,
    /// A second create fails, but several racing ones may all succeed.
    Racy,
    /// A second create overwrites.
    #[default]
    None,
}

/// What a store is like, without asking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// Each call costs a round trip, so more calls in flight pay.
    pub is_remote: bool,
    /// Size that packs should aim at, in bytes.
    pub pack_bytes: u64,
    /// Calls that may usefully be under way at once.
    pub concurrency: usize,
}

impl Default for Traits {
    fn default() -> Self {
        Self { is_remote: false, pack_bytes: 32 << 20, concurrency: 4 }
    }
}

/// Where objects lie: a folder, a bucket, a server.
///
/// Promises, each with a case in the conformance suite:
///
/// 1. A name is absent or whole, never half: a reader sees all bytes of one `put` or none.
/// 2. When `put` returns `Ok`, the object outlives a crash of this machine (for a local disk: the
///    file, its name and every new folder above it are synced).
/// 3. `put` with [`Put::Create`] of an existing name fails with [`Cause::AlreadyExists`] or, on a
///    store without create-only writes, replaces it; it never mixes the two.
/// 4. `get` after a `put` that returned `Ok` gives its bytes.
/// 5. `get_range` past the end fails with [`Cause::OutOfRange`]; it is never silently shorter.
/// 6. `list` gives every object under the prefix whose `put` returned before the call, in any
///    order, or an error: a listing is complete or it is not given. Temporary leavings and foreign
///    files are not listed. An absent folder is an empty listing; an absent store is not.
/// 7. `delete` of an absent name is `Ok`.
/// 8. Errors say the cause and name the object; [`Error::is_retryable`] says whether the same call
///    may succeed later.
///
/// All calls block, and may be made from several threads at once.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Writes a whole object.
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()>;

    /// Reads a whole object.
    fn get(&self, name: &ObjectName) -> Result<Bytes>;

    /// Reads `length` bytes from `offset`.
    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes>;

    /// Says how long an object is, in bytes.
    fn size(&self, name: &ObjectName) -> Result<u64>;

    /// Lists every object whose name starts with `prefix`, which is empty or ends in a slash.
    fn list(&self, prefix: &str) -> Result<Vec<Listed>>;

    /// Removes an object.
    fn delete(&self, name: &ObjectName) -> Result<()>;

    /// Makes sure that everything that this handle has listed outlives a crash of this machine;
    /// needed only where nothing is written afterwards, since a `put` does it first.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Says what the store is like.
    fn traits(&self) -> Traits {
        Traits::default()
    }

    /// Names the place for people, without credentials.
    fn describe(&self) -> String;
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
        (**self).put(name, bytes, mode)
    }
    fn get(&self, name: &ObjectName) -> Result<Bytes> {
        (**self).get(name)
    }
    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
        (**self).get_range(name, offset, length)
    }
    fn size(&self, name: &ObjectName) -> Result<u64> {
        (**self).size(name)
    }
    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        (**self).list(prefix)
    }
    fn delete(&self, name: &ObjectName) -> Result<()> {
        (**self).delete(name)
    }
    fn settle(&self) -> Result<()> {
        (**self).settle()
    }
    fn traits(&self) -> Traits {
        (**self).traits()
    }
    fn describe(&self) -> String {
        (**self).describe()
    }
}

/// Checks that a range lies within an object of `total` bytes.
fn check_range(name: &ObjectName, offset: u64, length: u64, total: u64) -> Result<()> {
    if offset.checked_add(length).is_some_and(|end| end <= total) {
        return Ok(());
    }
    let message = format!("{length} bytes from {offset} reach past the end at {total}");
    Err(Error::new(Cause::OutOfRange, "reading", name.as_str(), message))
}

/// Takes a range of an object that is in memory.
fn slice(name: &ObjectName, whole: &Bytes, offset: u64, length: u64) -> Result<Bytes> {
    check_range(name, offset, length, whole.len() as u64)?;
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
    Ok(whole.slice(start..end))
}

/// Checks the prefix of a listing and gives it without its last slash.
fn folder_of_prefix(prefix: &str) -> Result<&str> {
    if prefix.is_empty() {
        return Ok(prefix);
    }
    let folder = prefix.strip_suffix('/').filter(|folder| ObjectName::parse(folder).is_some());
    folder.ok_or_else(|| {
        let message = "not a folder of a store: it must be empty or a name and a slash";
        Error::new(Cause::Unsupported, "listing", format!("{prefix:?}"), message)
    })
}

/// Draws random bytes from the system.
fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(Cause::Other, "opening", "random numbers", error.to_string())
    })?;
    Ok(bytes)
}
