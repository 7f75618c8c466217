//! Digests of a file that other tools compute, made of its checked bytes.

use aws_lc_rs::digest::{Context, SHA256};
use repo_format::id::to_hex;
use repo_format::tree::{Body, Entry};

use super::View;
use crate::error::{Error, Kind, Result};

/// Bytes that are read in one step.
const STEP_BYTES: usize = 1 << 20;

/// SHA-256 of a whole file in hexadecimal digits, holes read as zeros.
///
/// # Errors
/// What keeps any byte of it from being read.
pub fn sha256(view: &View, entry: &Entry) -> Result<String> {
    let Body::File { size, .. } = entry.body else {
        let what = format!("{} is not a file", super::shown(&entry.name));
        return Err(Error::new(Kind::InvalidSetting, what));
    };
    let mut context = Context::new(&SHA256);
    let mut offset = 0;
    while offset < size {
        let part = view.part_at(entry, offset, STEP_BYTES)?;
        context.update(&part);
        offset += part.len() as u64;
    }
    Ok(to_hex(context.finish().as_ref()))
}
