//! Finds entries by name, path, time, size and type, in one snapshot or in all of them.
//!
//! A directory that was searched in one snapshot without a match is not read again in another: what
//! is below it follows from its root id and, for patterns over whole paths, from its path.

use std::collections::HashSet;

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};
use repo_format::BlobId;
use repo_format::tree::{Body, Entry, Time};

use super::walk::{Visited, Walk};
use crate::Ambient;
use crate::error::{Error, Kind, Result};
use crate::finding::Finding;
use crate::repo::IndexedRepository;
use crate::repo::blobs::BlobReader;
use crate::repo::history::Taken;

/// Most directories that are remembered as holding no match; about 40 bytes each.
const BARREN_MAX: usize = 1 << 20;

/// Types of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// Regular files.
    File,
    /// Directories.
    Directory,
    /// Symbolic links.
    Symlink,
    /// Devices, named pipes and sockets.
    Special,
}

impl Type {
    /// Type of an entry.
    pub const fn of(entry: &Entry) -> Self {
        match entry.body {
            Body::File { .. } => Self::File,
            Body::Directory { .. } => Self::Directory,
            Body::Symlink { .. } => Self::Symlink,
            _ => Self::Special,
        }
    }
}

/// What to find; everything that is given must fit.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Patterns; any of them fits. One without a slash is held against the name, one with a slash
    /// against the whole path from the root, where `*` stops at slashes and `**` does not.
    pub patterns: Vec<String>,
    /// Whether patterns ignore the case of ASCII letters.
    pub ignores_case: bool,
    /// Content changed at this time or later.
    pub newer: Option<Time>,
    /// Content changed before this time.
    pub older: Option<Time>,
    /// Files of this many bytes or more.
    pub min_bytes: Option<u64>,
    /// Files of this many bytes or less.
    pub max_bytes: Option<u64>,
    /// Types; any where empty.
    pub types: Vec<Type>,
}

/// One match in one snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Match<'a> {
    /// Snapshot.
    pub taken: &'a Taken,
    /// What was found; its path is from the root.
    pub visited: &'a Visited,
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Matches, each counted in every snapshot that has it.
    pub matches: u64,
    /// Entries looked at.
    pub entries: u64,
    /// Directories passed over because an earlier snapshot had shown that nothing below matches.
    pub directories_known: u64,
    /// Directories that could not be read.
    pub findings: Vec<Finding>,
}

/// A query made ready.
#[derive(Debug)]
struct Matcher {
    names: GlobSet,
    paths: GlobSet,
    has_patterns: bool,
    query: Query,
}

impl Matcher {
    fn new(query: &Query) -> Result<Self> {
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in &query.patterns {
            let wrong = |error: globset::Error| {
                let what = format!("'{}' is not a pattern", super::shown(pattern.as_bytes()));
                Error::caused(Kind::InvalidSetting, what, error)
            };
            let stripped = pattern.trim_start_matches('/');
            let glob = GlobBuilder::new(stripped)
                .literal_separator(true)
                .case_insensitive(query.ignores_case)
                .backslash_escape(true)
                .build()
                .map_err(wrong)?;
            if pattern.contains('/') {
                paths.add(glob)
            } else {
                names.add(glob)
            };
        }
        let build = |set: &GlobSetBuilder| {
            set.build().map_err(|error| {
                Error::caused(Kind::InvalidSetting, "the patterns are too large", error)
            })
        };
        Ok(Self {
            names: build(&names)?,
            paths: build(&paths)?,
            has_patterns: !query.patterns.is_empty(),
            query: query.clone(),
        })
    }

    fn fits(&self, visited: &Visited) -> bool {
        let (query, entry) = (&self.query, &visited.entry);
        let named = !self.has_patterns
            || self.names.is_match_candidate(&Candidate::from_bytes(&entry.name.0))
            || self.paths.is_match_candidate(&Candidate::from_bytes(&visited.path));
        let size = match entry.body {
            Body::File { size, .. } => Some(size),
            _ => None,
        };
        let sized = |bound: Option<u64>, holds: fn(u64, u64) -> bool| {
            bound.is_none_or(|bound| size.is_some_and(|size| holds(size, bound)))
        };
        named
            && query.newer.is_none_or(|time| entry.metadata.mtime >= time)
            && query.older.is_none_or(|time| entry.metadata.mtime < time)
            && sized(query.min_bytes, |size, bound| size >= bound)
            && sized(query.max_bytes, |size, bound| size <= bound)
            && (query.types.is_empty() || query.types.contains(&Type::of(entry)))
    }

    /// Key of a directory among those without a match.
    fn key(&self, tree: BlobId, path: &[u8]) -> [u8; 16] {
        let mut hash = blake3::Hasher::new();
        hash.update(&tree.0);
        if !self.paths.is_empty() {
            hash.update(path);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize().as_bytes()[..16]);
        key
    }
}

/// A directory that is being searched.
struct Open {
    depth: usize,
    key: [u8; 16],
    /// Nothing below matched, and all of it could be read.
    is_barren: bool,
}

fn keep_all(open: &mut [Open]) {
    for directory in open {
        directory.is_barren = false;
    }
}

struct Search<'a> {
    matcher: Matcher,
    barren: HashSet<[u8; 16]>,
    report: Report,
    ambient: &'a Ambient,
}

/// Searches snapshots in the order given; `found` is called for each match and may stop the search
/// by an error.
///
/// Memory is bounded. Directories that cannot be read become findings of the report.
///
/// # Errors
/// [`Kind::InvalidSetting`] for a pattern that is none; what the store or `found` says.
pub fn find(
    repo: &IndexedRepository,
    snapshots: &[Taken],
    query: &Query,
    found: &mut dyn FnMut(Match<'_>) -> Result<()>,
    ambient: &Ambient,
) -> Result<Report> {
    let matcher = Matcher::new(query)?;
    let report = Report::default();
    let mut search = Search { matcher, barren: HashSet::new(), report, ambient };
    let mut reader = BlobReader::new(repo)?;
    for taken in snapshots {
        search.snapshot(&mut reader, taken, found)?;
    }
    Ok(search.report)
}

impl Search<'_> {
    fn snapshot(
        &mut self,
        reader: &mut BlobReader<'_>,
        taken: &Taken,
        found: &mut dyn FnMut(Match<'_>) -> Result<()>,
    ) -> Result<()> {
        let root = taken.snapshot.root;
        let key = self.matcher.key(root, b"");
        if self.is_known(&key) {
            return Ok(());
        }
        let mut walk = Walk::new(root);
        let mut open = vec![Open { depth: 0, key, is_barren: true }];
        loop {
            self.ambient.go_on()?;
            let visited = match walk.next(reader) {
                Ok(Some(visited)) => visited,
                Ok(None) => break,
                Err(error) if matches!(error.kind(), Kind::Damaged | Kind::NewerFormat) => {
                    // Whatever could not be read may hold a match: no directory above is barren.
                    keep_all(&mut open);
                    let object = format!("snapshot {}", taken.id.short());
                    self.report.findings.push(Finding::loss(object, error.to_string()));
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.close(&mut open, visited.depth);
            self.report.entries += 1;
            if self.matcher.fits(&visited) {
                keep_all(&mut open);
                self.report.matches += 1;
                found(Match { taken, visited: &visited })?;
            }
            if let Body::Directory { tree, .. } = visited.entry.body {
                let key = self.matcher.key(tree, &visited.path);
                if self.is_known(&key) {
                    walk.skip();
                } else {
                    open.push(Open { depth: visited.depth, key, is_barren: true });
                }
            }
        }
        self.close(&mut open, 0);
        Ok(())
    }

    fn is_known(&mut self, key: &[u8; 16]) -> bool {
        let is_known = self.barren.contains(key);
        self.report.directories_known += u64::from(is_known);
        is_known
    }

    /// Closes the directories that an entry of this depth does not lie in.
    fn close(&mut self, open: &mut Vec<Open>, depth: usize) {
        while let Some(last) = open.pop_if(|last| last.depth >= depth) {
            if last.is_barren && self.barren.len() < BARREN_MAX {
                self.barren.insert(last.key);
            }
        }
    }
}
