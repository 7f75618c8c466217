//! SQLite databases: a consistent copy of the pages through the online backup API, while others go
//! on writing.
//!
//! The copy keeps every page where it is, so two copies differ where the database did, and nowhere
//! else. A copy counts only when the last page is in it.

mod capture;
mod fingerprint;
mod mark;
mod replace;
#[cfg(test)]
mod tests;

pub use capture::{Capture, Record, Table, capture};
pub use fingerprint::{Fingerprint, fingerprint};
pub use mark::Mark;
pub use replace::replace;

use std::io;
use std::path::Path;

/// Makes an error of what SQLite says about a file.
fn failed(doing: &str, path: &Path, error: &rusqlite::Error) -> io::Error {
    use rusqlite::ErrorCode;
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => io::ErrorKind::StorageFull,
        Some(ErrorCode::CannotOpen) if !path.exists() => io::ErrorKind::NotFound,
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            io::ErrorKind::PermissionDenied
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, format!("{doing} {}: {error}", path.display()))
}
