//! What went wrong, as the kernel is told and as people are: EIO, and one line for each object.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use engine::Ambient;
use engine::error::{Error, Kind};
use fuser::Errno;

/// Most lines that are remembered so as not to be repeated.
const LINES_MAX: usize = 4096;

/// Tells people of each trouble once.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<HashSet<String>>);

impl Troubles {
    /// Tells of an error met at `path`, and gives the number for the kernel.
    pub(crate) fn tell(&self, path: &[u8], error: &Error, ambient: &Ambient) -> Errno {
        let line = error.to_string();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= LINES_MAX {
            told.clear();
        }
        if told.insert(line.clone()) {
            drop(told);
            ambient.progress.warn(path, line);
        }
        number(error)
    }
}

fn number(error: &Error) -> Errno {
    match error.kind() {
        Kind::InvalidSetting => Errno::EINVAL,
        Kind::Interrupted => Errno::EINTR,
        // Damage and a store that does not answer alike: the bytes are not to be had now.
        _ => Errno::EIO,
    }
}
