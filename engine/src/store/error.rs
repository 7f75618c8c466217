//! What went wrong in a store, by cause, with the name of the object.

/// Cause of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The object is not there.
    NotFound,
    /// A create-only write met an object of that name.
    AlreadyExists,
    /// The range lies outside the object.
    OutOfRange,
    /// The credentials are missing or wrong, or do not allow the call.
    Denied,
    /// The store is full or over its quota.
    Full,
    /// The store takes no writes.
    ReadOnly,
    /// The store asks to slow down.
    Throttled,
    /// The store, or the way to it, does not answer as it should; it may again later.
    Unavailable,
    /// The outcome is not known: the write may have happened. Read back before believing either.
    Ambiguous,
    /// The store cannot do this, or the address is not one.
    Unsupported,
    /// Anything else.
    Other,
}

/// A failed call to a store.
#[derive(Debug, thiserror::Error)]
#[error("{action} {object}: {message}")]
pub struct Error {
    /// Cause, for decisions.
    pub cause: Cause,
    /// What was being done: "reading", "writing", "listing", "deleting", "opening".
    pub action: &'static str,
    /// Object or place.
    pub object: String,
    /// What the store said.
    pub message: String,
    /// Time the store asks to wait before the next call.
    pub retry_after: Option<std::time::Duration>,
    /// Underlying error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Makes an error from its parts.
    pub fn new(
        cause: Cause,
        action: &'static str,
        object: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            cause,
            action,
            object: object.into(),
            message: message.into(),
            retry_after: None,
            source: None,
        }
    }

    /// Says whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self.cause, Cause::Throttled | Cause::Unavailable | Cause::Ambiguous)
    }

    /// Says whether the object is simply not there.
    pub const fn is_not_found(&self) -> bool {
        matches!(self.cause, Cause::NotFound)
    }
}
