//! What a restore is asked to do, and what of a snapshot it is about.

use std::path::PathBuf;

use crate::error::{Error, Kind, Result};
use crate::source::files::{ExcludeOptions, Excludes};
use crate::target::files::ApplyOptions;

/// What happens to a file that is in the target already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// It is compared with the snapshot and what differs is written. A restore that was cut off is
    /// resumed by running it again: what landed is read, not fetched.
    #[default]
    Always,
    /// Its content is taken for right, unread, when length and time of change are those of the
    /// snapshot; else as with [`Overwrite::Always`].
    IfChanged,
    /// It is left as it is, its metadata too; so are folders.
    Never,
}

/// Settings of a restore.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Folder to restore into; made where it is missing.
    pub target: PathBuf,
    /// A path in the snapshot. What lies in it, if it is a folder, else the thing itself, goes
    /// straight into the target. Without one, all goes there under its full path.
    pub path: Option<Vec<u8>>,
    /// Patterns of what is restored, all of it without any. What matches comes with all below it.
    /// Written like those of [`Excludes`], against paths in the snapshot.
    pub include: Vec<String>,
    /// Such patterns, taking large and small letters as equal.
    pub include_any_case: Vec<String>,
    /// Patterns of what is left out, in the same way; they have the last word.
    pub exclude: Vec<String>,
    /// Such patterns, taking large and small letters as equal.
    pub exclude_any_case: Vec<String>,
    /// What happens to files that are there.
    pub overwrite: Overwrite,
    /// Removes what the snapshot lacks from the folders that were backed up whole: the sources of
    /// the snapshot and those below them. Never from folders that only lead to a source, never what
    /// the patterns leave out, never where a part of the folder's list cannot be read.
    pub delete: bool,
    /// Reads every file back from the disk at the end and compares it with the digest that the
    /// backup recorded.
    pub verify: bool,
    /// Changes nothing, and reports what would be done.
    pub dry_run: bool,
    /// Threads that fetch and write; 0 chooses by the machine and the store.
    pub threads: usize,
    /// Memory for what is under way, in bytes; 0 means 256 MiB. Fewer threads run where it is
    /// short.
    pub memory: u64,
    /// Owners and extended attributes.
    pub metadata: ApplyOptions,
}

const MIB: u64 = 1 << 20;

impl Options {
    /// Memory budget in bytes.
    pub(super) const fn memory_bytes(&self) -> u64 {
        if self.memory == 0 { 256 * MIB } else { self.memory }
    }
}

/// What happens to one thing of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// It is restored, a directory with all below it that is not left out.
    Take,
    /// It is a directory below which something may be wanted.
    Look,
    /// It is not restored.
    Skip,
}

/// The patterns, ready for use.
#[derive(Debug)]
pub(super) struct Selection {
    include: Option<Excludes>,
    exclude: Excludes,
}

impl Selection {
    /// Prepares the patterns.
    pub(super) fn new(options: &Options) -> Result<Self> {
        let prepare = |patterns: &[String], any_case: &[String]| {
            let patterns = ExcludeOptions {
                patterns: patterns.to_vec(),
                patterns_any_case: any_case.to_vec(),
                ..ExcludeOptions::default()
            };
            Excludes::new(&patterns)
                .map_err(|error| Error::caused(Kind::InvalidSetting, error.to_string(), error))
        };
        let include = prepare(&options.include, &options.include_any_case)?;
        Ok(Self {
            include: (!include.is_empty()).then_some(include),
            exclude: prepare(&options.exclude, &options.exclude_any_case)?,
        })
    }

    /// Chooses for one thing; `is_taken` says that the directory it is in is taken.
    pub(super) fn choose(&self, path: &[u8], is_directory: bool, is_taken: bool) -> Choice {
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        if self.exclude.excludes(path, name, is_directory) {
            return Choice::Skip;
        }
        match &self.include {
            None => Choice::Take,
            Some(_) if is_taken => Choice::Take,
            Some(include) if include.excludes(path, name, is_directory) => Choice::Take,
            Some(_) if is_directory => Choice::Look,
            Some(_) => Choice::Skip,
        }
    }

    /// Says whether a directory is taken with all in it, by its own path or by one above it.
    pub(super) fn takes_whole(&self, path: &[u8]) -> bool {
        let Some(include) = &self.include else { return true };
        let ends = (1..=path.len()).filter(|&end| path.get(end).is_none_or(|&byte| byte == b'/'));
        ends.map(|end| &path[..end]).any(|above| {
            let name = above.rsplit(|&byte| byte == b'/').next().unwrap_or(above);
            include.excludes(above, name, true)
        })
    }
}

/// The paths that a snapshot holds whole, so that what it lacks there was not there.
#[derive(Debug)]
pub(super) struct Sources(Vec<Vec<u8>>);

impl Sources {
    pub(super) fn new<'a>(sources: impl Iterator<Item = &'a [u8]>) -> Self {
        let paths = sources.filter(|path| path.first() == Some(&b'/'));
        Self(paths.map(|path| path.trim_suffix_slashes().to_vec()).collect())
    }

    /// Says whether the directory of this path is a source or below one; the root is empty.
    pub(super) fn cover(&self, path: &[u8]) -> bool {
        // Streams of other backups may lie beside those of this one.
        if path == b"/@streams" || path.starts_with(b"/@streams/") {
            return false;
        }
        self.0.iter().any(|source| {
            path.strip_prefix(&source[..])
                .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
        })
    }
}

trait TrimSlashes {
    fn trim_suffix_slashes(&self) -> &[u8];
}

impl TrimSlashes for [u8] {
    fn trim_suffix_slashes(&self) -> &[u8] {
        let end = self.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        &self[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(include: &[&str], exclude: &[&str]) -> Selection {
        let own = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect();
        let options =
            Options { include: own(include), exclude: own(exclude), ..Options::default() };
        Selection::new(&options).unwrap()
    }

    #[test]
    fn without_patterns_all_is_taken() {
        let all = selection(&[], &[]);
        assert_eq!(all.choose(b"/a/b", false, false), Choice::Take);
        assert!(all.takes_whole(b"") && all.takes_whole(b"/a"));
    }

    #[test]
    fn what_is_included_comes_with_all_below_and_excludes_have_the_last_word() {
        let some = selection(&["/home/eva", "*.pdf"], &["*.tmp"]);
        assert_eq!(some.choose(b"/home", true, false), Choice::Look);
        assert_eq!(some.choose(b"/home/eva", true, false), Choice::Take);
        assert_eq!(some.choose(b"/home/eva/x", false, true), Choice::Take);
        assert_eq!(some.choose(b"/home/eva/x.tmp", false, true), Choice::Skip);
        assert_eq!(some.choose(b"/etc/x", false, false), Choice::Skip);
        assert_eq!(some.choose(b"/etc/x.pdf", false, false), Choice::Take);
        assert!(some.takes_whole(b"/home/eva") && some.takes_whole(b"/home/eva/deep/er"));
        assert!(!some.takes_whole(b"/home") && !some.takes_whole(b""));
    }

    #[test]
    fn a_broken_pattern_is_an_impossible_setting() {
        let options = Options { include: vec!["[a".to_owned()], ..Options::default() };
        assert_eq!(Selection::new(&options).unwrap_err().kind(), Kind::InvalidSetting);
    }

    #[test]
    fn only_sources_and_what_is_below_them_are_whole() {
        let sources = Sources::new([&b"/home/eva/"[..], b"pos.db", b"/srv"].into_iter());
        for whole in [&b"/home/eva"[..], b"/home/eva/x", b"/srv", b"/srv/a/b"] {
            assert!(sources.cover(whole));
        }
        for part in [&b""[..], b"/home", b"/home/evan", b"/@streams", b"/srv2"] {
            assert!(!sources.cover(part));
        }
        let root = Sources::new([&b"/"[..]].into_iter());
        assert!(root.cover(b"") && root.cover(b"/etc") && !root.cover(b"/@streams"));
    }
}
