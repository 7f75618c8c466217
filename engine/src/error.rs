//! Why a verb could not go on: one kind to decide by, a line of context a room, and the source.
//!
//! Damage is not an error but a [`crate::finding::Finding`]; an error means that the verb stopped.

use std::fmt;

/// Kinds of error; the command line turns each into an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The store holds no repository.
    NoRepository,
    /// A repository is already there.
    RepositoryExists,
    /// No key slot opens with the password or key file given.
    WrongPassword,
    /// The repository, or something in it, is of a newer format than this program knows.
    NewerFormat,
    /// Stored bytes are not what they must be.
    Damaged,
    /// The history is shorter than it was, or an older copy was put back.
    Rollback,
    /// The snapshot, path or object that was named is not there.
    NotFound,
    /// A short id or time fits several things.
    AmbiguousName,
    /// The store does not answer, or fails.
    Store,
    /// The store is full.
    StoreFull,
    /// The store refuses the credentials or the call.
    StoreDenied,
    /// The store takes no writes.
    StoreReadOnly,
    /// The source of a backup cannot be read at all.
    Source,
    /// The target of a restore cannot be written.
    Target,
    /// A setting is impossible.
    InvalidSetting,
    /// The verb was interrupted.
    Interrupted,
    /// A check before the work refused it: space, versions, a target that is in use.
    Refused,
    /// Anything else.
    Other,
}

/// Error of the engine.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Result of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error without a source.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Makes an error from what caused it.
    pub fn caused(
        kind: Kind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()) }
    }

    /// Kind, for decisions.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Puts what was being done in front of the message.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// Says whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self.source.as_ref().and_then(|s| s.downcast_ref::<crate::store::Error>()) {
            Some(error) => error.is_retryable(),
            None => self.kind == Kind::Interrupted,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut source = self.source.as_deref().map(|s| s as &dyn std::error::Error);
        while let Some(error) = source {
            let text = error.to_string();
            if !self.message.contains(&text) {
                write!(f, ": {text}")?;
            }
            source = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn std::error::Error + 'static))
    }
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Self {
        use crate::store::Cause;
        let kind = match error.cause {
            Cause::NotFound => Kind::NotFound,
            Cause::Full => Kind::StoreFull,
            Cause::Denied => Kind::StoreDenied,
            Cause::ReadOnly => Kind::StoreReadOnly,
            Cause::Unsupported => Kind::InvalidSetting,
            // The object is shorter than what points into it.
            Cause::OutOfRange => Kind::Damaged,
            Cause::AlreadyExists
            | Cause::Throttled
            | Cause::Unavailable
            | Cause::Ambiguous
            | Cause::Other => Kind::Store,
        };
        Self::caused(kind, error.to_string(), error)
    }
}

impl From<repo_format::DecodeError> for Error {
    fn from(error: repo_format::DecodeError) -> Self {
        let kind = if error.is_unsupported() { Kind::NewerFormat } else { Kind::Damaged };
        Self::caused(kind, error.to_string(), error)
    }
}

/// Adds context to a result.
pub trait Context<T> {
    /// Puts what was being done in front of the message of an error.
    fn context(self, doing: impl fmt::Display) -> Result<T>;
    /// Like [`Context::context`], made only when needed.
    fn with_context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().context(doing))
    }

    fn with_context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.into().context(doing()))
    }
}
