//! How people name a snapshot on the command line: an id or its beginning, `latest`, or a time; and
//! `SNAP:PATH`.
//!
//! Here words are only told apart, before anything is opened; which snapshot is meant says
//! [`engine::browse::snapshots::pick`].

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::failure::Failure;
use crate::output::escape;
use crate::time;

/// Longest id, in hex digits.
const ID_DIGITS_MAX: usize = 64;

/// Takes a word that may name a snapshot.
pub(crate) fn parse(text: &str) -> Result<String, Failure> {
    if may_name(text) {
        return Ok(text.to_owned());
    }
    Err(Failure::usage(format!(
        "`{}` names no snapshot: give an id or its beginning, `latest`, or a time such as 2026-04-05T12:00",
        escape::text(text)
    )))
}

fn may_name(text: &str) -> bool {
    let is_id =
        (1..=ID_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    text == "latest" || is_id || time::parse(text, time::BareDate::End).is_ok()
}

/// A snapshot, and perhaps a path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotPath {
    /// Name of the snapshot.
    pub(crate) snapshot: String,
    /// Which path in it, as bytes; none means all of it.
    pub(crate) path: Option<Vec<u8>>,
}

impl SnapshotPath {
    /// Parses `SNAP` or `SNAP:PATH`. Times have colons too: the longest beginning that is a name
    /// wins.
    pub(crate) fn parse(text: &OsStr) -> Result<Self, Failure> {
        let bytes = text.as_bytes();
        let name_before = |end: usize| {
            let name = std::str::from_utf8(&bytes[..end]).ok()?;
            may_name(name).then(|| name.to_owned())
        };
        if let Some(snapshot) = name_before(bytes.len()) {
            return Ok(Self { snapshot, path: None });
        }
        for (at, _) in bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b':') {
            if let Some(snapshot) = name_before(at) {
                let path = Some(bytes[at + 1..].to_vec()).filter(|path| !path.is_empty());
                return Ok(Self { snapshot, path });
            }
        }
        let name = text.to_string_lossy();
        let name = name.split_once(":/").map_or(name.as_ref(), |(name, _)| name);
        parse(name).map(|snapshot| Self { snapshot, path: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hex_and_times_start_like_a_date() {
        for text in ["latest", "AB12", "20260405", "2026-04-05T12:00", "2026-04-05"] {
            assert_eq!(parse(text).unwrap(), text);
        }
        for text in ["", "newest", "xyz", "2026-04", &"a".repeat(65), "latest "] {
            assert_eq!(parse(text).unwrap_err().code.number(), 2, "{text}");
        }
    }

    #[test]
    fn a_path_follows_the_longest_beginning_that_is_a_name() {
        for (text, name, path) in [
            ("ab12", "ab12", None),
            ("ab12:", "ab12", None),
            ("ab12:/etc", "ab12", Some("/etc")),
            ("ab12:rel/a:b", "ab12", Some("rel/a:b")),
            ("latest:/a:b", "latest", Some("/a:b")),
            ("latest:@streams/db", "latest", Some("@streams/db")),
            ("2026-04-05T12:00", "2026-04-05T12:00", None),
            ("2026-04-05T12:00:30", "2026-04-05T12:00:30", None),
            ("2026-04-05T12:00:/etc", "2026-04-05T12:00", Some("/etc")),
            ("2026-04-05T12:00:30:/a:b", "2026-04-05T12:00:30", Some("/a:b")),
            ("2026-04-05T12:00+02:00:/x", "2026-04-05T12:00+02:00", Some("/x")),
            ("2026-04-05:/x", "2026-04-05", Some("/x")),
        ] {
            let expected = SnapshotPath { snapshot: name.into(), path: path.map(Into::into) };
            assert_eq!(SnapshotPath::parse(OsStr::new(text)).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_path_may_be_any_bytes_but_a_name_may_not() {
        let parsed = SnapshotPath::parse(OsStr::from_bytes(b"latest:/\xff")).unwrap();
        assert_eq!(parsed.path.unwrap(), b"/\xff");
        let failure = SnapshotPath::parse(OsStr::from_bytes(b"\xff\x1b:/a")).unwrap_err();
        assert_eq!(failure.code.number(), 2);
        assert!(!failure.message.contains('\x1b'));
    }
}
