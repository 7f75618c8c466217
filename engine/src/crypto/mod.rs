//! Values in, sealed bytes out, and back. SPEC 3.
//!
//! No caller ever handles a nonce: every sealed part has a key of its own, drawn by its salt.

pub mod blob;
pub mod passphrase;
pub mod random;
pub mod seal;
pub mod signature;

/// What can go wrong with keys and sealed bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not what was sealed under this key and context.
    #[error("not authentic: wrong key, or damaged")]
    NotAuthentic,
    /// A parameter is outside the limits of this program.
    #[error("{what} is {value}, outside {least} to {most}")]
    Limit {
        /// The parameter.
        what: &'static str,
        /// Its value.
        value: u64,
        /// Least allowed.
        least: u64,
        /// Most allowed.
        most: u64,
    },
    /// The system gives no randomness.
    #[error("no randomness from the system: {0}")]
    Random(String),
}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        use crate::error::Kind;
        let kind = match error {
            Error::NotAuthentic => Kind::Damaged,
            Error::Limit { .. } => Kind::Refused,
            Error::Random(_) => Kind::Other,
        };
        Self::caused(kind, error.to_string(), error)
    }
}
