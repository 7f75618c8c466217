//! Snapshots by name: the start of an id, `latest`, or a time.
//!
//! A name that fits two snapshots is refused with both; nothing is ever guessed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use repo_format::SnapshotId;
use repo_format::codec::{Bytes, Text};

use crate::error::{Error, Kind, Result};
use crate::repo::history::{History, Taken};

/// Fewest digits of an id that name a snapshot.
pub const PREFIX_DIGITS_MIN: usize = 4;
/// Most snapshots that an error lists.
const LISTED_MAX: usize = 8;

/// Which snapshots come into question. Empty lists leave all.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    /// Hosts; any of them fits.
    pub hosts: Vec<String>,
    /// Sets of tags; a snapshot fits that has every tag of any set. An empty set asks for no tag at
    /// all.
    pub tags: Vec<Vec<String>>,
    /// Sources, absolute paths or stream names; a snapshot fits that has all of them.
    pub paths: Vec<Vec<u8>>,
    /// Zone of times that name none; the zone of the machine where absent.
    pub zone: Option<TimeZone>,
}

impl Selector {
    /// Says whether a snapshot comes into question.
    pub fn matches(&self, taken: &Taken) -> bool {
        let snapshot = &taken.snapshot;
        let has = |tag: &String| snapshot.tags.iter().any(|own| own.as_str() == tag);
        let host =
            self.hosts.is_empty() || self.hosts.iter().any(|host| snapshot.host.as_str() == host);
        let tags = self.tags.is_empty()
            || self.tags.iter().any(|set| match set.as_slice() {
                [] => snapshot.tags.is_empty(),
                set => set.iter().all(has),
            });
        let paths = self.paths.iter().all(|path| {
            snapshot.sources.iter().any(|source| without_slash(source) == without_slash(path))
        });
        host && tags && paths
    }
}

fn without_slash(path: &[u8]) -> &[u8] {
    match path {
        [start @ .., b'/'] if !start.is_empty() => start,
        path => path,
    }
}

/// Lists the snapshots that fit, oldest first; with `latest`, only so many of the newest of each
/// host and set of sources.
pub fn list(history: &History, selector: &Selector, latest: Option<usize>) -> Vec<Taken> {
    let mut fitting = history.snapshots();
    fitting.retain(|taken| selector.matches(taken));
    if let Some(latest) = latest {
        let mut counts: BTreeMap<(Text, Vec<Bytes>), usize> = BTreeMap::new();
        let mut keep: Vec<bool> = fitting
            .iter()
            .rev()
            .map(|taken| {
                let group = (taken.snapshot.host.clone(), taken.snapshot.sources.clone());
                let count = counts.entry(group).or_default();
                *count += 1;
                *count <= latest
            })
            .collect();
        fitting.retain(|_| keep.pop().unwrap_or(false));
    }
    fitting
}

/// Finds the snapshot that `name` names.
///
/// - The first digits of an id, at least [`PREFIX_DIGITS_MIN`]; the selector is not asked.
/// - `latest`: the newest that fits the selector.
/// - A time such as `2026-04-05`, `2026-04-05T12:00`, `2026-04-05 12:00:30+02:00`: the newest at or
///   before it that fits the selector. A time stands for the end of what it names, so a day means
///   all of it, and a time shown to the minute or second finds the snapshot it was shown for.
///
/// # Errors
/// [`Kind::AmbiguousName`] with the candidates; [`Kind::NotFound`] with what there is.
pub fn pick(history: &History, name: &str, selector: &Selector) -> Result<Taken> {
    let mut all = history.snapshots();
    if all.is_empty() {
        return Err(Error::new(Kind::NotFound, "the repository has no snapshot yet"));
    }
    let zone = || selector.zone.clone().unwrap_or_else(TimeZone::system);
    let missing = |what: String, fitting: &[Taken]| {
        let there = match fitting {
            [] => format!("none of the {} snapshots fits", all.len()),
            some => format!("there are: {}", describe(some, &zone())),
        };
        Error::new(Kind::NotFound, format!("{what}; {there}"))
    };
    let fitting = |all: &[Taken]| -> Vec<Taken> {
        all.iter().filter(|taken| selector.matches(taken)).cloned().collect()
    };
    if name == "latest" {
        let mut fits = fitting(&all);
        return fits.pop().ok_or_else(|| missing("no snapshot fits the selection".into(), &[]));
    }
    if name.contains('-') {
        let end = end_of_time(name, &zone())?;
        let fits = fitting(&all);
        let count = fits.partition_point(|taken| taken.snapshot.time_ms < end);
        let found = count.checked_sub(1).map(|at| fits[at].clone());
        return found.ok_or_else(|| missing(format!("no snapshot is as old as {name}"), &fits));
    }
    let prefix = name.to_ascii_lowercase();
    let is_hex = !prefix.is_empty() && prefix.bytes().all(|c| c.is_ascii_hexdigit());
    if !is_hex || prefix.len() > 2 * SnapshotId::BYTES {
        let what = format!("'{name}' is neither an id, nor 'latest', nor a time");
        return Err(missing(what, &all));
    }
    if prefix.len() < PREFIX_DIGITS_MIN {
        let what = format!("'{name}' is too short: an id needs {PREFIX_DIGITS_MIN} digits or more");
        return Err(missing(what, &all));
    }
    let candidates: Vec<usize> =
        (0..all.len()).filter(|&at| all[at].id.to_hex().starts_with(&prefix)).collect();
    match candidates[..] {
        [] => Err(missing(format!("no snapshot's id starts with {prefix}"), &all)),
        [at] => Ok(all.swap_remove(at)),
        _ => {
            let named: Vec<Taken> = candidates.iter().map(|&at| all[at].clone()).collect();
            let listed = describe(&named, &zone());
            let what = format!("{} snapshots' ids start with {prefix}: {listed}", named.len());
            Err(Error::new(Kind::AmbiguousName, what))
        }
    }
}

/// Names the newest of some snapshots, each with as many digits as tell them apart.
fn describe(some: &[Taken], zone: &TimeZone) -> String {
    let ids: Vec<String> = some.iter().map(|taken| taken.id.to_hex()).collect();
    let is_unique = |digits: usize| {
        let mut starts: Vec<&str> = ids.iter().map(|id| &id[..digits]).collect();
        starts.sort_unstable();
        starts.windows(2).all(|pair| pair[0] != pair[1])
    };
    let digits = (8..64).find(|&digits| is_unique(digits)).unwrap_or(64);
    let lines: Vec<String> = some
        .iter()
        .zip(&ids)
        .rev()
        .take(LISTED_MAX)
        .map(|(taken, id)| {
            let time = shown_time(taken.snapshot.time_ms, zone);
            let host = super::shown(taken.snapshot.host.as_str().as_bytes());
            format!("{} ({time}, {host})", &id[..digits])
        })
        .collect();
    let more = some.len().saturating_sub(lines.len());
    let rest = if more == 0 { String::new() } else { format!(" and {more} older ones") };
    format!("{}{rest}", lines.join(", "))
}

fn shown_time(time_ms: i64, zone: &TimeZone) -> String {
    Timestamp::from_millisecond(time_ms).map_or_else(
        |_| format!("{time_ms} ms"),
        |time| time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// First millisecond after the day, hour, minute or second that `text` names.
fn end_of_time(text: &str, zone: &TimeZone) -> Result<i64> {
    let wrong = |why: &str| {
        let what = format!("'{text}' is not a time such as 2026-04-05 or 2026-04-05T12:00: {why}");
        Error::new(Kind::NotFound, what)
    };
    let pieces = Pieces::parse(text.trim()).map_err(|error| wrong(&error.to_string()))?;
    let zone = match pieces.to_time_zone() {
        Ok(Some(named)) => named,
        Ok(None) => pieces.to_numeric_offset().map_or_else(|| zone.clone(), TimeZone::fixed),
        Err(error) => return Err(wrong(&error.to_string())),
    };
    let instant = |date: Date, time: Time| -> Result<Timestamp, jiff::Error> {
        Ok(date.to_datetime(time).to_zoned(zone.clone())?.timestamp())
    };
    let end = match pieces.time() {
        None => pieces.date().tomorrow().and_then(|day| instant(day, Time::midnight())),
        Some(time) => instant(pieces.date(), time),
    };
    let end = end.map_err(|error| wrong(&error.to_string()))?.as_millisecond();
    Ok(end.saturating_add(if pieces.time().is_some() { unit_ms(text) } else { 0 }))
}

/// Milliseconds that the last place of a written time stands for.
fn unit_ms(text: &str) -> i64 {
    let time = text.trim().get(8..).unwrap_or_default();
    let time = time.split_once(['T', 't', ' ']).map_or("", |(_, time)| time);
    let end = time.find(['Z', 'z', '+', '-', '[']).unwrap_or(time.len());
    let time = &time[..end];
    if time.contains(['.', ',']) {
        return 1;
    }
    match time.bytes().filter(u8::is_ascii_digit).count() {
        0..=2 => 3_600_000,
        3..=4 => 60_000,
        _ => 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> String {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        Timestamp::from_millisecond(end_of_time(text, &zone).unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_time_stands_for_the_end_of_what_it_names() {
        assert_eq!(end("2026-04-05"), "2026-04-05T22:00:00Z");
        assert_eq!(end("2026-04-05T12"), "2026-04-05T11:00:00Z");
        assert_eq!(end("2026-04-05T12:00"), "2026-04-05T10:01:00Z");
        assert_eq!(end("2026-04-05 12:00:07"), "2026-04-05T10:00:08Z");
        assert_eq!(end("2026-04-05T12:00:07.5"), "2026-04-05T10:00:07.501Z");
        assert_eq!(end("2026-04-05T12:00Z"), "2026-04-05T12:01:00Z");
        assert_eq!(end("2026-04-05T12:00-05:00"), "2026-04-05T17:01:00Z");
        assert_eq!(end("2026-04-05T12:00[America/New_York]"), "2026-04-05T16:01:00Z");
    }

    #[test]
    fn a_day_of_a_clock_change_ends_where_the_next_begins() {
        // Clocks go forward in Berlin on 2026-03-29, so that day has 23 hours.
        assert_eq!(end("2026-03-28"), "2026-03-28T23:00:00Z");
        assert_eq!(end("2026-03-29"), "2026-03-29T22:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_not_found() {
        for text in ["2026-13-01", "2026-04-05T25:00", "x-y", "-", "2026-04-05T12:00[Nowhere/At]"] {
            assert_eq!(end_of_time(text, &TimeZone::UTC).unwrap_err().kind(), Kind::NotFound);
        }
    }
}
