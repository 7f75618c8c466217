//! Names of things in the views: of snapshots by their time, of hosts and tags made safe, of
//! versions by their days.

use std::collections::HashMap;
use std::sync::Arc;

use engine::browse::catalog::{Seen, Snapshots};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use repo_format::SnapshotId;

/// Longest name that a directory may hold, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// Bytes that are kept of a longer one.
const NAME_BYTES_KEPT: usize = 200;

/// The snapshots with their names, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// Generation of the catalog that these are of.
    pub(crate) generation: u64,
    /// Name, day and snapshot.
    pub(crate) list: Vec<(String, Date, Arc<Seen>)>,
    by_name: HashMap<String, usize>,
}

impl Named {
    /// Names the snapshots by their local times, to the second.
    ///
    /// Of those of one second the one committed first has the plain name; the others get the
    /// beginning of their id behind it.
    pub(crate) fn new(snapshots: &Snapshots, zone: &TimeZone) -> Self {
        let mut plain: HashMap<String, (i64, SnapshotId)> = HashMap::new();
        let named: Vec<(String, Date, Arc<Seen>)> = snapshots
            .list
            .iter()
            .map(|seen| {
                let (name, day) = local(seen.taken.snapshot.time_ms, zone);
                let own = (seen.taken.committed_ms, seen.taken.id);
                let first = plain.entry(name.clone()).or_insert(own);
                *first = own.min(*first);
                (name, day, Arc::clone(seen))
            })
            .collect();
        let list: Vec<_> = named
            .into_iter()
            .map(|(name, day, seen)| {
                let is_first = plain.get(&name).is_some_and(|(_, id)| *id == seen.taken.id);
                let name =
                    if is_first { name } else { format!("{name}-{}", seen.taken.id.short()) };
                (name, day, seen)
            })
            .collect();
        let by_name = list.iter().enumerate().map(|(at, (name, ..))| (name.clone(), at)).collect();
        Self { generation: snapshots.generation, list, by_name }
    }

    /// The snapshot of a name.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Arc<Seen>> {
        let at = *self.by_name.get(std::str::from_utf8(name).ok()?)?;
        Some(&self.list[at].2)
    }
}

/// Local time to the second, as a name, and its day.
fn local(time_ms: i64, zone: &TimeZone) -> (String, Date) {
    let Ok(time) = Timestamp::from_millisecond(time_ms) else {
        return (format!("{time_ms}ms"), Date::ZERO);
    };
    let time = time.to_zoned(zone.clone());
    (time.strftime("%Y-%m-%dT%H:%M:%S").to_string(), time.date())
}

/// Day of a snapshot.
pub(crate) fn day(time_ms: i64, zone: &TimeZone) -> Date {
    local(time_ms, zone).1
}

/// Time as RFC 3339 in UTC.
pub(crate) fn utc(time_ms: i64) -> String {
    Timestamp::from_millisecond(time_ms)
        .map_or_else(|_| format!("{time_ms} ms"), |time| time.to_string())
}

/// Makes any text the name of a directory: no slash, no control characters, not `.` nor `..`, not
/// empty, not too long. Different texts get different names.
pub(crate) fn safe(text: &str) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut name = String::with_capacity(text.len());
    for c in text.chars() {
        let is_dots = matches!(text, "." | "..");
        if c == '/' || c == '%' || c.is_control() || is_dots {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = write!(name, "%{byte:02X}");
            }
        } else {
            name.push(c);
        }
    }
    if name.is_empty() {
        name.push('%');
    }
    if name.len() > NAME_BYTES_MAX {
        let mut end = NAME_BYTES_KEPT;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        let hash = blake3::hash(text.as_bytes()).to_hex();
        let _ = write!(name, "%{}", &hash[..16]);
    }
    name.into_bytes()
}

/// Name of a version of a file: its number, and the first and the last day that it was there.
pub(crate) fn version(number: usize, first: Date, last: Date) -> Vec<u8> {
    format!("v{number:03}_{first}_{last}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_tell_texts_apart() {
        let long = "x".repeat(300);
        let texts =
            ["a", "a/b", "a%2Fb", "", "%", ".", "..", "...", "a\0b", "\x1b[31m", &long, "\u{e4}"];
        let names: Vec<Vec<u8>> = texts.iter().map(|text| safe(text)).collect();
        for name in &names {
            assert!(repo_format::tree::is_name(name), "{}", name.escape_ascii());
        }
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), texts.len());
        assert_eq!(safe("a/b"), b"a%2Fb");
        assert_ne!(safe(&long), safe(&"x".repeat(301)));
    }

    #[test]
    fn versions_sort_by_number() {
        let day = |day| Date::constant(2026, 1, day);
        assert_eq!(version(7, day(3), day(9)), b"v007_2026-01-03_2026-01-09");
    }
}
