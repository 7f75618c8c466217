//! What a backup leaves out: patterns, sizes, marked folders.
//!
//! # Patterns
//! - Without a slash: matches a thing of that name anywhere. `*.tmp`, `node_modules`.
//! - With a leading slash: matches one absolute path. `/home/*/.cache`.
//! - With a slash elsewhere: matches these last components anywhere. `target/debug`.
//! - With a trailing slash: matches directories only. `build/`.
//! - `*` and `?` never match a slash; `**` as a whole component matches any number of components,
//!   `[a-z]` one of a set, `{a,b}` either, `\` takes the next character as it is. `?` is one byte.
//! - With a leading `!`: takes back what an earlier pattern left out; the last match decides.
//!   Nothing below a directory that is itself left out comes back, because it is never read.
//!
//! A directory left out is left out with everything below it.

use std::fmt;
use std::io::{self, Read};

use globset::{Candidate, Glob, GlobBuilder, GlobSet};

use super::directory::Directory;
use super::stat::{Kind, Stat};

/// What to leave out, as people write it.
#[derive(Debug, Clone, Default)]
pub struct ExcludeOptions {
    /// Patterns; a later one has the last word.
    pub patterns: Vec<String>,
    /// Patterns that take large and small letters as equal; they come after [`Self::patterns`].
    pub patterns_any_case: Vec<String>,
    /// Leaves out files of more bytes.
    pub larger_than: Option<u64>,
    /// `FILE` or `FILE:HEADER`: leaves out what is in a directory that holds a file of that name,
    /// beginning with the header; the file itself stays.
    pub if_present: Vec<String>,
}

/// A pattern that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("exclude pattern \"{}\": {reason}", pattern.escape_debug())]
pub struct PatternError {
    /// The pattern as it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl PatternError {
    fn new(pattern: &str, reason: impl fmt::Display) -> Self {
        Self { pattern: pattern.to_owned(), reason: reason.to_string() }
    }
}

/// Takes the patterns out of the text of a pattern file: one a line; empty lines and lines that
/// begin with `#` are skipped, `\#` and `\!` begin a pattern with these characters.
pub fn patterns_in(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    lines
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(String::from)
        .collect()
}

/// What one pattern says about a match.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// Place among all patterns; the highest that matches decides.
    order: usize,
    takes_back: bool,
    directories_only: bool,
}

/// Patterns that are matched against the same text.
#[derive(Debug)]
struct RuleSet {
    globs: GlobSet,
    rules: Vec<Rule>,
}

impl RuleSet {
    fn last_match(&self, text: &[u8], is_directory: bool) -> Option<Rule> {
        if self.rules.is_empty() {
            return None;
        }
        let candidate = Candidate::from_bytes(text);
        if !self.globs.is_match_candidate(&candidate) {
            return None;
        }
        let matches = self.globs.matches_candidate(&candidate);
        let rules = matches.into_iter().rev().filter_map(|index| self.rules.get(index)).copied();
        rules.into_iter().find(|rule| is_directory || !rule.directories_only)
    }
}

#[derive(Default)]
struct RuleSetBuilder {
    globs: Vec<Glob>,
    rules: Vec<Rule>,
}

impl RuleSetBuilder {
    fn build(self) -> Result<RuleSet, PatternError> {
        let globs = GlobSet::new(&self.globs)
            .map_err(|error| PatternError::new(error.glob().unwrap_or_default(), error.kind()))?;
        Ok(RuleSet { globs, rules: self.rules })
    }
}

/// A name, with the bytes that the file of that name must begin with.
#[derive(Debug)]
struct Mark {
    name: Vec<u8>,
    header: Vec<u8>,
}

/// What to leave out, ready for use.
#[derive(Debug)]
pub struct Excludes {
    by_name: RuleSet,
    by_path: RuleSet,
    larger_than: Option<u64>,
    marks: Vec<Mark>,
}

impl Excludes {
    /// Prepares the options; a pattern that is broken or can never match is an error naming it.
    pub fn new(options: &ExcludeOptions) -> Result<Self, PatternError> {
        let mut by_name = RuleSetBuilder::default();
        let mut by_path = RuleSetBuilder::default();
        let exact = options.patterns.iter().map(|pattern| (pattern, false));
        let any_case = options.patterns_any_case.iter().map(|pattern| (pattern, true));
        for (order, (pattern, any_case)) in exact.chain(any_case).enumerate() {
            let parsed = Parsed::new(pattern)?;
            let glob = GlobBuilder::new(&parsed.glob)
                .literal_separator(true)
                .backslash_escape(true)
                .case_insensitive(any_case)
                .build()
                .map_err(|error| PatternError::new(pattern, error.kind()))?;
            let set = if parsed.is_path { &mut by_path } else { &mut by_name };
            set.globs.push(glob);
            set.rules.push(Rule {
                order,
                takes_back: parsed.takes_back,
                directories_only: parsed.directories_only,
            });
        }
        let marks =
            options.if_present.iter().map(|mark| Mark::new(mark)).collect::<Result<_, _>>()?;
        let larger_than = options.larger_than;
        Ok(Self { by_name: by_name.build()?, by_path: by_path.build()?, larger_than, marks })
    }

    /// Says whether a thing is left out by its name or path. `absolute_path` ends with `name`.
    pub fn excludes(&self, absolute_path: &[u8], name: &[u8], is_dir: bool) -> bool {
        let by_name = self.by_name.last_match(name, is_dir);
        let by_path = self.by_path.last_match(absolute_path, is_dir);
        let last = [by_name, by_path].into_iter().flatten().max_by_key(|rule| rule.order);
        last.is_some_and(|rule| !rule.takes_back)
    }

    /// Says whether a regular file is left out by its size in bytes.
    pub fn excludes_size(&self, size: u64) -> bool {
        self.larger_than.is_some_and(|limit| size > limit)
    }

    /// Looks for a mark that leaves out what is in `directory`, and gives the name of the marking
    /// file, which alone stays.
    pub fn find_mark(&self, directory: &Directory) -> io::Result<Option<&[u8]>> {
        for mark in &self.marks {
            if mark.is_in(directory)? {
                return Ok(Some(&mark.name));
            }
        }
        Ok(None)
    }

    /// Says whether nothing at all is left out.
    pub fn is_empty(&self) -> bool {
        let rules = self.by_name.rules.len() + self.by_path.rules.len();
        rules == 0 && self.larger_than.is_none() && self.marks.is_empty()
    }
}

/// A pattern taken apart.
struct Parsed {
    glob: String,
    is_path: bool,
    takes_back: bool,
    directories_only: bool,
}

impl Parsed {
    fn new(pattern: &str) -> Result<Self, PatternError> {
        let (takes_back, rest) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        let (directories_only, rest) = match rest.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if rest.is_empty() {
            return Err(PatternError::new(pattern, "is empty"));
        }
        if rest.contains('\0') {
            return Err(PatternError::new(pattern, "holds a NUL character, as no name does"));
        }
        let components = rest.strip_prefix('/').unwrap_or(rest).split('/');
        if components.into_iter().any(|part| matches!(part, "" | "." | "..")) {
            let reason = "can never match: a component is empty, \".\" or \"..\"";
            return Err(PatternError::new(pattern, reason));
        }
        let is_path = rest.contains('/');
        let glob =
            if rest.starts_with('/') || !is_path { rest.to_owned() } else { format!("**/{rest}") };
        Ok(Self { glob, is_path, takes_back, directories_only })
    }
}

impl Mark {
    fn new(text: &str) -> Result<Self, PatternError> {
        let (name, header) = text.split_once(':').unwrap_or((text, ""));
        if !repo_format::tree::is_name(name.as_bytes()) {
            return Err(PatternError::new(text, "does not begin with the name of a file"));
        }
        Ok(Self { name: name.into(), header: header.into() })
    }

    fn is_in(&self, directory: &Directory) -> io::Result<bool> {
        match directory.stat(&self.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
            Ok(stat) if stat.kind != Kind::File => return Ok(false),
            Ok(_) if self.header.is_empty() => return Ok(true),
            Ok(_) => {}
        }
        let file = directory.open_file(&self.name)?;
        if Stat::of(&file)?.kind != Kind::File {
            return Ok(false);
        }
        let mut beginning = Vec::with_capacity(self.header.len());
        file.take(self.header.len() as u64).read_to_end(&mut beginning)?;
        Ok(beginning == self.header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(patterns: &[&str]) -> Excludes {
        let patterns = patterns.iter().map(ToString::to_string).collect();
        Excludes::new(&ExcludeOptions { patterns, ..ExcludeOptions::default() }).unwrap()
    }

    fn out(excludes: &Excludes, path: &[u8], is_dir: bool) -> bool {
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap();
        excludes.excludes(path, name, is_dir)
    }

    #[test]
    fn a_pattern_without_a_slash_matches_the_name_anywhere() {
        let set = excludes(&["*.tmp", "node_modules"]);
        assert!(out(&set, b"/a/b/c.tmp", false));
        assert!(out(&set, b"/node_modules", true));
        assert!(!out(&set, b"/a/c.tmpx", false));
        assert!(!out(&set, b"/a.tmp/c", false));
    }

    #[test]
    fn a_leading_slash_anchors_and_an_inner_one_does_not() {
        let set = excludes(&["/home/*/.cache", "target/debug"]);
        assert!(out(&set, b"/home/eva/.cache", true));
        assert!(!out(&set, b"/mnt/home/eva/.cache", true));
        assert!(!out(&set, b"/home/eva/x/.cache", true));
        assert!(out(&set, b"/src/x/target/debug", true));
        assert!(!out(&set, b"/src/xtarget/debug", true));
    }

    #[test]
    fn two_stars_cross_folders() {
        let set = excludes(&["/srv/**/*.bak", "**/logs/**"]);
        assert!(out(&set, b"/srv/a.bak", false));
        assert!(out(&set, b"/srv/x/y/a.bak", false));
        assert!(out(&set, b"/var/logs/today", false));
        assert!(!out(&set, b"/var/logs", true));
    }

    #[test]
    fn a_trailing_slash_means_folders_only() {
        let set = excludes(&["build/", "/opt/x/"]);
        assert!(out(&set, b"/a/build", true));
        assert!(!out(&set, b"/a/build", false));
        assert!(out(&set, b"/opt/x", true));
        assert!(!out(&set, b"/opt/x", false));
    }

    #[test]
    fn the_last_match_decides_across_names_and_paths() {
        let set = excludes(&["*.log", "!/var/keep/*.log", "secret.log", "!dir/"]);
        assert!(out(&set, b"/var/a.log", false));
        assert!(!out(&set, b"/var/keep/a.log", false));
        assert!(out(&set, b"/var/keep/secret.log", false));
    }

    #[test]
    fn letters_of_any_size_match_where_asked() {
        let patterns_any_case = vec!["*.JPG".to_owned()];
        let options = ExcludeOptions { patterns_any_case, ..ExcludeOptions::default() };
        let set = Excludes::new(&options).unwrap();
        assert!(out(&set, b"/a/x.jpg", false) && out(&set, b"/a/x.JpG", false));
        assert!(!out(&excludes(&["*.JPG"]), b"/a/x.jpg", false));
    }

    #[test]
    fn names_that_are_not_utf8_match_too() {
        let set = excludes(&["*.tmp", "/a\\[b"]);
        assert!(out(&set, b"/\xff\xfe/\xff\n.tmp", false));
        assert!(out(&set, b"/a[b", false));
    }

    #[test]
    fn a_broken_pattern_is_named() {
        for pattern in ["", "/", "!", "[a", "a//b", "../a", "./a", "a{b", "a\0"] {
            let patterns = vec!["fine".to_owned(), pattern.to_owned()];
            let options = ExcludeOptions { patterns, ..ExcludeOptions::default() };
            let error = Excludes::new(&options).unwrap_err();
            assert_eq!(error.pattern, pattern, "{error}");
        }
        for mark in ["", ":x", "a/b"] {
            let if_present = vec![mark.to_owned()];
            let options = ExcludeOptions { if_present, ..ExcludeOptions::default() };
            assert_eq!(Excludes::new(&options).unwrap_err().pattern, mark);
        }
    }

    #[test]
    fn pattern_files_have_comments_and_empty_lines() {
        let text = "# head\r\n*.tmp\r\n\n  \n\\#x\n!keep\n";
        assert_eq!(patterns_in(text), ["*.tmp", "\\#x", "!keep"]);
        assert!(out(&excludes(&["\\#x"]), b"/#x", false));
        assert!(out(&excludes(&["\\!x"]), b"/!x", false));
    }

    #[test]
    fn a_marked_folder_is_found_by_name_and_header() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open(place.path()).unwrap();
        let if_present = vec!["TAG:Signature: 8a".to_owned(), ".nobackup".to_owned()];
        let options = ExcludeOptions { if_present, ..ExcludeOptions::default() };
        let set = Excludes::new(&options).unwrap();
        assert_eq!(set.find_mark(&directory).unwrap(), None);
        std::fs::write(place.path().join("TAG"), "Signature: 9").unwrap();
        assert_eq!(set.find_mark(&directory).unwrap(), None);
        std::fs::write(place.path().join("TAG"), "Signature: 8a and more").unwrap();
        assert_eq!(set.find_mark(&directory).unwrap(), Some(&b"TAG"[..]));
        std::fs::remove_file(place.path().join("TAG")).unwrap();
        std::fs::write(place.path().join(".nobackup"), "").unwrap();
        assert_eq!(set.find_mark(&directory).unwrap(), Some(&b".nobackup"[..]));
    }

    #[test]
    fn files_over_the_size_are_left_out() {
        let options = ExcludeOptions { larger_than: Some(10), ..ExcludeOptions::default() };
        let set = Excludes::new(&options).unwrap();
        assert!(!set.excludes_size(10) && set.excludes_size(11) && !set.is_empty());
        assert!(Excludes::new(&ExcludeOptions::default()).unwrap().is_empty());
    }
}
