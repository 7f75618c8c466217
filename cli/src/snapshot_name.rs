//! How people name a snapshot: an id or its beginning, `latest`, or a time; and `SNAP:PATH`.
//!
//! A name that fits several snapshots is an error, never a guess.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use engine::error::Kind;
use engine::repo::history::Taken;
use jiff::Timestamp;

use crate::failure::Failure;
use crate::output::escape;
use crate::time;

/// Longest id, in hex digits.
const ID_DIGITS_MAX: usize = 64;

/// Name of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SnapshotName {
    /// The newest that the filter lets through.
    Latest,
    /// The one whose id starts so; lower-case hex.
    Id(String),
    /// The newest at or before a time that the filter lets through.
    AtOrBefore(Timestamp),
}

impl SnapshotName {
    /// Parses a name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        let is_id = !text.is_empty()
            && text.len() <= ID_DIGITS_MAX
            && text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_id {
            return Ok(Self::Id(text.to_ascii_lowercase()));
        }
        time::parse(text, time::BareDate::End).map(Self::AtOrBefore).map_err(|_| {
            format!(
                "`{}` names no snapshot: give an id or its beginning, `latest`, or a time such as 2026-04-05T12:00",
                escape::text(text)
            )
        })
    }
}

/// A snapshot, and perhaps a path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotPath {
    /// Which snapshot.
    pub(crate) snapshot: SnapshotName,
    /// Which path in it, as bytes; none means all of it.
    pub(crate) path: Option<Vec<u8>>,
}

impl SnapshotPath {
    /// Parses `SNAP` or `SNAP:PATH`. Times have colons too: the longest beginning that is a name wins.
    pub(crate) fn parse(text: &OsStr) -> Result<Self, Failure> {
        let bytes = text.as_bytes();
        if let Some(snapshot) = name_of(bytes) {
            return Ok(Self { snapshot, path: None });
        }
        for (at, _) in bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b':') {
            if let Some(snapshot) = name_of(&bytes[..at]) {
                let path = Some(bytes[at + 1..].to_vec()).filter(|path| !path.is_empty());
                return Ok(Self { snapshot, path });
            }
        }
        let name = text.to_string_lossy();
        let name = name.split_once(":/").map_or(name.as_ref(), |(name, _)| name);
        SnapshotName::parse(name)
            .map(|snapshot| Self { snapshot, path: None })
            .map_err(Failure::usage)
    }
}

fn name_of(bytes: &[u8]) -> Option<SnapshotName> {
    SnapshotName::parse(std::str::from_utf8(bytes).ok()?).ok()
}

/// What narrows the choice of `latest` and of times.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Filter {
    /// Any of these hosts; empty means all.
    pub(crate) hosts: Vec<String>,
    /// Any of these sets of tags, all tags of one set; empty means all.
    pub(crate) tags: Vec<Vec<String>>,
    /// All of these paths; empty means all.
    pub(crate) paths: Vec<Vec<u8>>,
}

/// What a choice needs to know of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate<'a> {
    /// Id in full, lower-case hex.
    pub(crate) id: String,
    /// Time, in milliseconds since 1970.
    pub(crate) time_ms: i64,
    /// Host.
    pub(crate) host: &'a str,
    /// Tags.
    pub(crate) tags: Vec<&'a str>,
    /// Source paths.
    pub(crate) paths: Vec<&'a [u8]>,
}

impl<'a> Candidate<'a> {
    /// What a choice needs to know of a snapshot of the history.
    pub(crate) fn of(taken: &'a Taken) -> Self {
        Self {
            id: taken.id.to_hex(),
            time_ms: taken.snapshot.time_ms,
            host: taken.snapshot.host.as_str(),
            tags: taken.snapshot.tags.iter().map(|tag| tag.as_str()).collect(),
            paths: taken.snapshot.sources.iter().map(|source| &source.0[..]).collect(),
        }
    }
}

impl Filter {
    /// Says whether it lets a snapshot through.
    pub(crate) fn lets_through(&self, snapshot: &Candidate<'_>) -> bool {
        let has_tag = |tag: &String| match tag.as_str() {
            // An empty tag asks for snapshots without tags.
            "" => snapshot.tags.is_empty(),
            tag => snapshot.tags.contains(&tag),
        };
        (self.hosts.is_empty() || self.hosts.iter().any(|host| host == snapshot.host))
            && (self.tags.is_empty() || self.tags.iter().any(|set| set.iter().all(has_tag)))
            && self.paths.iter().all(|path| snapshot.paths.contains(&path.as_slice()))
    }
}

/// Chooses the snapshot that a name means; its place in `all`.
pub(crate) fn choose(
    name: &SnapshotName,
    filter: &Filter,
    all: &[Candidate<'_>],
) -> Result<usize, Failure> {
    let newest = |limit_ms: Option<i64>| {
        all.iter()
            .enumerate()
            .filter(|(_, s)| limit_ms.is_none_or(|limit| s.time_ms <= limit))
            .filter(|(_, s)| filter.lets_through(s))
            .max_by(|(_, a), (_, b)| (a.time_ms, &a.id).cmp(&(b.time_ms, &b.id)))
            .map(|(at, _)| at)
    };
    match name {
        SnapshotName::Latest => newest(None).ok_or_else(|| absent("no snapshot", filter)),
        SnapshotName::AtOrBefore(time) => newest(Some(time.as_millisecond()))
            .ok_or_else(|| absent(&format!("no snapshot at or before {time}"), filter)),
        SnapshotName::Id(prefix) => {
            let mut fitting =
                all.iter().enumerate().filter(|(_, s)| s.id.starts_with(prefix.as_str()));
            match (fitting.next(), fitting.count()) {
                (None, _) => Err(Failure::new(Kind::NotFound, format!("no snapshot {prefix}"))
                    .hint("`strongroom snapshots` lists them")),
                (Some((at, _)), 0) => Ok(at),
                (Some(_), more) => Err(Failure::new(
                    Kind::AmbiguousName,
                    format!("{prefix} fits {} snapshots", more + 1),
                )),
            }
        }
    }
}

fn absent(what: &str, filter: &Filter) -> Failure {
    let narrowed = if *filter == Filter::default() { "" } else { " with that host, tag and path" };
    Failure::new(Kind::NotFound, format!("{what}{narrowed}"))
        .hint("`strongroom snapshots` lists them")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SnapshotPath {
        SnapshotPath::parse(OsStr::new(text)).unwrap()
    }

    fn time(text: &str) -> SnapshotName {
        SnapshotName::AtOrBefore(time::parse(text, time::BareDate::End).unwrap())
    }

    #[test]
    fn ids_are_hex_and_times_start_like_a_date() {
        assert_eq!(SnapshotName::parse("latest"), Ok(SnapshotName::Latest));
        assert_eq!(SnapshotName::parse("AB12"), Ok(SnapshotName::Id("ab12".into())));
        assert_eq!(SnapshotName::parse("20260405"), Ok(SnapshotName::Id("20260405".into())));
        assert_eq!(SnapshotName::parse("2026-04-05T12:00"), Ok(time("2026-04-05T12:00")));
        for text in ["", "newest", "xyz", "2026-04", &"a".repeat(65), "latest "] {
            assert!(SnapshotName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_follows_the_longest_beginning_that_is_a_name() {
        for (text, name, path) in [
            ("ab12", SnapshotName::Id("ab12".into()), None),
            ("ab12:", SnapshotName::Id("ab12".into()), None),
            ("ab12:/etc", SnapshotName::Id("ab12".into()), Some("/etc")),
            ("ab12:rel/a:b", SnapshotName::Id("ab12".into()), Some("rel/a:b")),
            ("latest:/a:b", SnapshotName::Latest, Some("/a:b")),
            ("latest:@streams/db", SnapshotName::Latest, Some("@streams/db")),
            ("2026-04-05T12:00", time("2026-04-05T12:00"), None),
            ("2026-04-05T12:00:30", time("2026-04-05T12:00:30"), None),
            ("2026-04-05T12:00:/etc", time("2026-04-05T12:00"), Some("/etc")),
            ("2026-04-05T12:00:30:/a:b", time("2026-04-05T12:00:30"), Some("/a:b")),
            ("2026-04-05T12:00+02:00:/x", time("2026-04-05T12:00+02:00"), Some("/x")),
            ("2026-04-05:/x", time("2026-04-05"), Some("/x")),
        ] {
            let expected = SnapshotPath { snapshot: name, path: path.map(Into::into) };
            assert_eq!(parse(text), expected, "{text}");
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

    fn candidate(
        id: &str,
        time_ms: i64,
        host: &'static str,
        tags: &[&'static str],
    ) -> Candidate<'static> {
        Candidate {
            id: id.into(),
            time_ms,
            host,
            tags: tags.to_vec(),
            paths: vec![b"/etc", b"/srv"],
        }
    }

    fn all() -> Vec<Candidate<'static>> {
        vec![
            candidate("aa11", 3000, "shop", &["day"]),
            candidate("aa22", 1000, "shop", &[]),
            candidate("bb33", 2000, "desk", &["day", "keep"]),
        ]
    }

    #[test]
    fn the_newest_is_chosen_by_time_and_not_by_order() {
        let chosen = |name, filter: &Filter| choose(&name, filter, &all()).ok();
        let none = Filter::default();
        assert_eq!(chosen(SnapshotName::Latest, &none), Some(0));
        let at = |ms| SnapshotName::AtOrBefore(Timestamp::from_millisecond(ms).unwrap());
        assert_eq!(chosen(at(2000), &none), Some(2));
        assert_eq!(chosen(at(1999), &none), Some(1));
        assert_eq!(chosen(at(999), &none), None);
    }

    #[test]
    fn filters_narrow_latest_and_times() {
        let filter = |hosts: &[&str], tags: &[&[&str]], paths: &[&[u8]]| Filter {
            hosts: hosts.iter().map(|h| (*h).into()).collect(),
            tags: tags.iter().map(|set| set.iter().map(|t| (*t).into()).collect()).collect(),
            paths: paths.iter().map(|p| p.to_vec()).collect(),
        };
        let latest = |f: &Filter| choose(&SnapshotName::Latest, f, &all()).ok();
        assert_eq!(latest(&filter(&["desk"], &[], &[])), Some(2));
        assert_eq!(latest(&filter(&["desk", "shop"], &[], &[])), Some(0));
        assert_eq!(latest(&filter(&[], &[&["day", "keep"]], &[])), Some(2));
        assert_eq!(latest(&filter(&[], &[&["keep"], &["day"]], &[])), Some(0));
        assert_eq!(latest(&filter(&[], &[&[""]], &[])), Some(1));
        assert_eq!(latest(&filter(&[], &[], &[b"/srv", b"/etc"])), Some(0));
        assert_eq!(latest(&filter(&[], &[], &[b"/home"])), None);
    }

    #[test]
    fn a_beginning_that_fits_several_is_an_error() {
        let id = |text: &str| choose(&SnapshotName::Id(text.into()), &Filter::default(), &all());
        assert_eq!(id("aa1").unwrap(), 0);
        assert_eq!(id("aa").unwrap_err().name, "ambiguous_name");
        assert_eq!(id("cc").unwrap_err().name, "not_found");
    }
}
