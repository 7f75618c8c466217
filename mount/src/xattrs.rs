//! Extended attributes: those of the thing itself, and what the repository knows of it, below
//! `user.strongroom.`.
//!
//! Ours are given when asked for by name and never listed, so that a copy or comparison of all
//! attributes is one of the source's own. A source's own attributes below that name are not shown
//! at all: nobody can pass them off as ours.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use engine::Result;
use engine::browse::catalog::Seen;
use engine::browse::{View, proof};
use repo_format::id::to_hex;
use repo_format::tree::{Body, Digest, Entry};

use crate::names::utc;

/// Beginning of our names.
const OURS: &[u8] = b"user.strongroom.";
/// Beginning of the names of POSIX access lists, which name owners.
const ACCESS_LISTS: &[u8] = b"system.posix_acl_";
/// Most digests that are remembered.
const DIGESTS_MAX: usize = 100_000;

/// Digests that were computed, by what the file's own digest is.
#[derive(Debug, Default)]
pub(crate) struct Digests(Mutex<HashMap<[u8; 32], String>>);

/// Says whether a name is one of ours.
pub(crate) fn is_ours(name: &[u8]) -> bool {
    name.starts_with(OURS)
}

/// Names of the attributes of an entry, each with its zero byte.
pub(crate) fn list(view: &View, entry: &Entry, is_squashed: bool) -> Result<Vec<u8>> {
    let mut names = Vec::new();
    for attribute in view.attributes(entry)? {
        if is_shown(&attribute.name, is_squashed) {
            names.extend_from_slice(&attribute.name);
            names.push(0);
        }
    }
    Ok(names)
}

fn is_shown(name: &[u8], is_squashed: bool) -> bool {
    let is_hidden = is_squashed && name.starts_with(ACCESS_LISTS);
    !is_hidden && !is_ours(name)
}

/// An attribute of the thing itself.
pub(crate) fn own(
    view: &View,
    entry: &Entry,
    name: &[u8],
    is_squashed: bool,
) -> Result<Option<Vec<u8>>> {
    if !is_shown(name, is_squashed) {
        return Ok(None);
    }
    let list = view.attributes(entry)?;
    Ok(list.into_iter().find(|attribute| attribute.name.0 == name).map(|found| found.value.0))
}

impl Digests {
    /// One of our attributes of what lies at `path` in a snapshot.
    pub(crate) fn ours(
        &self,
        seen: &Seen,
        view: &View,
        path: &[u8],
        entry: &Entry,
        name: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let taken = &seen.taken;
        let text = match name.strip_prefix(OURS).unwrap_or_default() {
            b"snapshot" => Some(taken.id.to_hex()),
            b"captured" => Some(utc(taken.snapshot.time_ms)),
            b"host" => Some(taken.snapshot.host.as_str().to_owned()),
            b"source" => return Ok(source(&taken.snapshot.sources, path)),
            b"retain_until" => Some(taken.retain_until_ms).filter(|until| *until != 0).map(utc),
            b"hold" => seen.standing().hold,
            b"verified" => seen.standing().verified,
            b"blake3" => match &entry.body {
                Body::File { digest: Digest::Plain(hash), .. } => Some(to_hex(hash)),
                _ => None,
            },
            b"sha256" => match &entry.body {
                Body::File { .. } => Some(self.sha256(view, entry)?),
                _ => None,
            },
            _ => None,
        };
        Ok(text.map(String::into_bytes))
    }

    fn sha256(&self, view: &View, entry: &Entry) -> Result<String> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match entry.body {
            // The other kind of digest does not cover the size by itself.
            Body::File { digest: Digest::Plain(hash), .. } => Some(hash),
            _ => None,
        };
        if let Some(found) = key.and_then(|key| known().get(&key).cloned()) {
            return Ok(found);
        }
        let found = proof::sha256(view, entry)?;
        if let Some(key) = key {
            let mut known = known();
            if known.len() >= DIGESTS_MAX {
                known.clear();
            }
            known.insert(key, found.clone());
        }
        Ok(found)
    }
}

/// The source that a path came from: the longest that it lies in.
fn source(sources: &[repo_format::codec::Bytes], path: &[u8]) -> Option<Vec<u8>> {
    let covers = |source: &[u8]| {
        let source = source.strip_prefix(b"/").unwrap_or(source);
        let source = source.strip_suffix(b"/").unwrap_or(source);
        path.strip_prefix(source)
            .is_some_and(|rest| source.is_empty() || rest.is_empty() || rest[0] == b'/')
    };
    let fitting = sources.iter().filter(|source| covers(source));
    fitting.max_by_key(|source| source.len()).map(|source| source.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_the_longest_that_the_path_lies_in() {
        let sources = [&b"/srv"[..], b"/srv/data", b"/"].map(Into::into);
        assert_eq!(source(&sources, b"srv/data/a").unwrap(), b"/srv/data");
        assert_eq!(source(&sources, b"srv/data").unwrap(), b"/srv/data");
        assert_eq!(source(&sources, b"srv/database").unwrap(), b"/srv");
        assert_eq!(source(&sources, b"etc").unwrap(), b"/");
        assert_eq!(source(&sources[..2], b"etc"), None);
    }

    #[test]
    fn what_a_source_calls_ours_is_not_shown() {
        assert!(!is_shown(b"user.strongroom.hold", false));
        assert!(is_shown(b"user.strongroomy", false));
        assert!(is_shown(b"system.posix_acl_access", false));
        assert!(!is_shown(b"system.posix_acl_access", true));
    }
}
