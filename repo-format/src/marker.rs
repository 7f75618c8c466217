//! The marker: readable text that tells a person, and a program, what the store holds. SPEC 2.3.

use crate::error::{DecodeError, Reason, Result};
use crate::id::RepositoryId;

/// Major version of the format that this crate reads and writes.
pub const FORMAT_MAJOR: u32 = 1;

const TITLE: &str = "strongroom repository";
const BYTES_MAX: usize = 4096;

/// Encodes the marker of a repository.
pub fn encode(repository: RepositoryId) -> Vec<u8> {
    format!(
        "{TITLE}\n\
         format: {FORMAT_MAJOR}\n\
         repository: {repository}\n\
         note: encrypted backups; SPEC.md of the strongroom project describes every byte\n"
    )
    .into_bytes()
}

/// Decodes a marker; a newer format is [`Reason::Unsupported`], lines that are not known are
/// passed over.
pub fn decode(bytes: &[u8]) -> Result<RepositoryId> {
    let fail = |reason| Err(DecodeError::new("marker", 0, reason));
    if bytes.len() > BYTES_MAX {
        return fail(Reason::OverLimit);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return fail(Reason::Invalid) };
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return fail(Reason::BadMagic);
    }
    let field = |key: &str| {
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ").map(str::to_owned))
    };
    let Some(major) = field("format").and_then(|major| number(&major)) else {
        return fail(Reason::Invalid);
    };
    if major > FORMAT_MAJOR {
        return fail(Reason::Unsupported);
    }
    match field("repository").and_then(|id| RepositoryId::from_hex(&id)) {
        Some(id) if major == FORMAT_MAJOR && text.ends_with('\n') => Ok(id),
        _ => fail(Reason::Invalid),
    }
}

/// A number in its one spelling: digits, no sign, no leading zero.
fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_reads_back_and_a_newer_format_is_unsupported() {
        let id = RepositoryId([0xab; 16]);
        let bytes = encode(id);
        assert_eq!(decode(&bytes).unwrap(), id);
        let newer = String::from_utf8(bytes).unwrap().replace("format: 1", "format: 2");
        assert_eq!(decode(newer.as_bytes()).unwrap_err().reason, Reason::Unsupported);
        assert_eq!(decode(b"hello").unwrap_err().reason, Reason::BadMagic);
    }
}
