//! What is above the snapshots: all of them by time, and links to them by host, tag, day and id.
//!
//! Each snapshot is a directory in one place only, so that nothing is seen twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use engine::Result;
use engine::browse::catalog::{Catalog, Seen};
use jiff::tz::TimeZone;

use crate::inodes::Version;
use crate::names::{Named, safe};
use crate::versions;

/// A directory above the snapshots, or a link in one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum View {
    /// The top.
    Top,
    /// All snapshots by time.
    Snapshots,
    /// The hosts.
    Hosts,
    /// Snapshots of one host.
    Host(Vec<u8>),
    /// The tags.
    Tags,
    /// Snapshots with one tag.
    Tag(Vec<u8>),
    /// Years, months or days of a month, by what is given already.
    Days(Vec<i16>),
    /// All snapshots by id.
    Ids,
    /// Everything that ever was at a path, without slashes at its ends.
    Versions(Vec<u8>),
    /// A link to elsewhere in the mount.
    Link(Vec<u8>),
}

impl View {
    /// What tells it from all others, for its number.
    pub(crate) fn identity(&self) -> Vec<u8> {
        format!("{self:?}").into_bytes()
    }
}

/// Something in a view.
#[derive(Debug, Clone)]
pub(crate) enum Child {
    /// A directory or link.
    View(View),
    /// A snapshot.
    Snapshot(Arc<Seen>),
    /// A version of a file.
    Version(Arc<Version>),
}

/// The views of a mount.
#[derive(Debug)]
pub(crate) struct Views {
    catalog: Arc<Catalog>,
    zone: TimeZone,
    named: Mutex<Arc<Named>>,
}

impl Views {
    /// Makes the views of a catalog, with times in a zone.
    pub(crate) fn new(catalog: Arc<Catalog>, zone: TimeZone) -> Self {
        Self { catalog, zone, named: Mutex::default() }
    }

    /// The snapshots with their names, as they are now.
    fn named(&self) -> Arc<Named> {
        let snapshots = self.catalog.current();
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.generation != snapshots.generation {
            *named = Arc::new(Named::new(&snapshots, &self.zone));
        }
        Arc::clone(&named)
    }

    fn snapshots(&self) -> Vec<Arc<Seen>> {
        self.catalog.current().list.clone()
    }

    /// Finds something in a view by its name.
    pub(crate) fn find(&self, view: &View, name: &[u8]) -> Result<Option<Child>> {
        match view {
            View::Snapshots => {
                let named = self.named();
                Ok(named.find(name).map(|seen| Child::Snapshot(Arc::clone(seen))))
            }
            View::Versions(path) => self.find_version(path, name),
            _ => Ok(self.list(view)?.into_iter().find(|(own, _)| own == name).map(|(_, c)| c)),
        }
    }

    fn find_version(&self, path: &[u8], name: &[u8]) -> Result<Option<Child>> {
        let snapshots = self.snapshots();
        if name.starts_with(b"v") {
            let versions = versions::versions(&snapshots, path, &self.zone)?;
            if let Some((_, found)) = versions.into_iter().find(|(own, _)| own == name) {
                return Ok(Some(Child::Version(found)));
            }
        }
        let below = joined(path, name);
        let is_there = versions::is_there(&snapshots, &below)?;
        Ok(is_there.then_some(Child::View(View::Versions(below))))
    }

    /// Lists a view.
    pub(crate) fn list(&self, view: &View) -> Result<Vec<(Vec<u8>, Child)>> {
        let named = || self.named();
        Ok(match view {
            View::Top => top(&named()),
            View::Snapshots => {
                let snapshot = |(name, _, seen): &(String, _, Arc<Seen>)| {
                    (name.clone().into_bytes(), Child::Snapshot(Arc::clone(seen)))
                };
                named().list.iter().map(snapshot).collect()
            }
            View::Hosts => texts(&named(), |seen| vec![host(seen)], View::Host),
            View::Host(name) => links(&named(), "../..", |seen, _| host(seen) == *name),
            View::Tags => texts(&named(), tags, View::Tag),
            View::Tag(name) => links(&named(), "../..", |seen, _| tags(seen).contains(name)),
            View::Days(given) => days(&named(), given),
            View::Ids => {
                let id = |(name, _, seen): &(String, _, Arc<Seen>)| {
                    let target = format!("../snapshots/{name}").into_bytes();
                    (seen.taken.id.to_hex().into_bytes(), Child::View(View::Link(target)))
                };
                named().list.iter().map(id).collect()
            }
            View::Versions(path) => self.list_versions(path)?,
            View::Link(_) => Vec::new(),
        })
    }

    fn list_versions(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Child)>> {
        let history = versions::gather(&self.snapshots(), path, &self.zone)?;
        let below = history.below.into_iter().map(|name| {
            let view = View::Versions(joined(path, &name));
            (name, Child::View(view))
        });
        let versions = history.versions.into_iter();
        Ok(below.chain(versions.map(|(name, found)| (name, Child::Version(found)))).collect())
    }
}

fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

fn host(seen: &Seen) -> Vec<u8> {
    safe(seen.taken.snapshot.host.as_str())
}

fn tags(seen: &Seen) -> Vec<Vec<u8>> {
    seen.taken.snapshot.tags.iter().map(|tag| safe(tag.as_str())).collect()
}

fn top(named: &Named) -> Vec<(Vec<u8>, Child)> {
    let mut list = vec![
        ("snapshots", View::Snapshots),
        ("by-host", View::Hosts),
        ("by-tag", View::Tags),
        ("by-day", View::Days(Vec::new())),
        ("ids", View::Ids),
        ("versions", View::Versions(Vec::new())),
    ];
    let newest = named.list.last().map(|(name, ..)| format!("snapshots/{name}").into_bytes());
    list.extend(newest.map(|target| ("latest", View::Link(target))));
    list.into_iter().map(|(name, view)| (name.into(), Child::View(view))).collect()
}

/// The different texts that snapshots have, each a directory.
fn texts(
    named: &Named,
    of: impl Fn(&Seen) -> Vec<Vec<u8>>,
    view: impl Fn(Vec<u8>) -> View,
) -> Vec<(Vec<u8>, Child)> {
    let all: BTreeSet<Vec<u8>> = named.list.iter().flat_map(|(_, _, seen)| of(seen)).collect();
    all.into_iter().map(|name| (name.clone(), Child::View(view(name)))).collect()
}

/// Links to the snapshots that fit, and `latest` to the newest of them.
fn links(
    named: &Named,
    up: &str,
    fits: impl Fn(&Seen, jiff::civil::Date) -> bool,
) -> Vec<(Vec<u8>, Child)> {
    let link = |name: &str| Child::View(View::Link(format!("{up}/snapshots/{name}").into_bytes()));
    let fitting = named.list.iter().filter(|(_, day, seen)| fits(seen, *day));
    let mut list: Vec<(Vec<u8>, Child)> =
        fitting.map(|(name, ..)| (name.clone().into_bytes(), link(name))).collect();
    if let Some((_, newest)) = list.last().cloned() {
        list.push((b"latest".to_vec(), newest));
    }
    list
}

/// Years; months of a year; days of a month; snapshots of a day.
fn days(named: &Named, given: &[i16]) -> Vec<(Vec<u8>, Child)> {
    let parts = |day: jiff::civil::Date| [day.year(), day.month().into(), day.day().into()];
    let fits = |day| parts(day).starts_with(given);
    if given.len() == 3 {
        return links(named, "../../../..", |_, day| fits(day));
    }
    let mut found: BTreeMap<i16, Child> = BTreeMap::new();
    for (_, day, _) in named.list.iter().filter(|(_, day, _)| fits(*day)) {
        let next = parts(*day)[given.len()];
        let view = View::Days([given, &[next]].concat());
        found.entry(next).or_insert(Child::View(view));
    }
    let width = if given.is_empty() { 4 } else { 2 };
    found.into_iter().map(|(part, child)| (format!("{part:0width$}").into(), child)).collect()
}
