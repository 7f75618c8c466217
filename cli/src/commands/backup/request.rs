//! Arguments of `backup` as plain settings: sources told apart, lists read from their files.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::Args;
use crate::args::split_tags;
use crate::failure::Failure;
use crate::password::split_words;
use crate::snapshot_name::SnapshotName;

/// Schemes of databases that a source may name.
const DATABASES: [&str; 9] = [
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongodb",
    "mongodb+srv",
    "redis",
    "rediss",
    "unix+redis",
];

/// One thing to back up.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file or folder.
    Path(PathBuf),
    /// An SQLite database.
    Sqlite(PathBuf),
    /// A database server, by its URL.
    Database(String),
    /// A bucket, by its URL without `bucket+`.
    Bucket(String),
    /// What comes from stdin, by its name.
    Stdin(String),
    /// The output of a command.
    Command {
        /// Name to store it under.
        name: String,
        /// The command and its arguments.
        words: Vec<OsString>,
    },
}

impl std::fmt::Debug for Source {
    // URLs and commands may hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Database(_) => f.write_str("Database(..)"),
            Self::Bucket(_) => f.write_str("Bucket(..)"),
            Self::Stdin(name) => f.debug_tuple("Stdin").field(name).finish(),
            Self::Command { name, .. } => f.debug_tuple("Command").field(name).finish(),
        }
    }
}

impl Source {
    /// Tells what a word names. A path that looks like a URL is written `./...`.
    pub(crate) fn parse(word: &OsStr) -> Result<Self, Failure> {
        if word.is_empty() {
            return Err(Failure::usage("a source is empty"));
        }
        let Some(text) = word.to_str() else { return Ok(Self::Path(word.into())) };
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(Failure::usage("sqlite: lacks a path"))
            } else {
                Ok(Self::Sqlite(path.into()))
            };
        }
        let Some((scheme, _)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme))
        else {
            return Ok(Self::Path(word.into()));
        };
        if let Some(url) = text.strip_prefix("bucket+") {
            return Ok(Self::Bucket(url.to_owned()));
        }
        if DATABASES.contains(&scheme) {
            return Ok(Self::Database(text.to_owned()));
        }
        // The rest of the word may hold a password.
        Err(Failure::usage(format!("unknown kind of source `{scheme}://`"))
            .hint("a path that looks like a URL is written ./PATH"))
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// What to back up, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// All sources.
    pub(crate) sources: Vec<Source>,
    /// Globs to leave out.
    pub(crate) excludes: Vec<String>,
    /// Globs to leave out, upper and lower case alike.
    pub(crate) excludes_any_case: Vec<String>,
    /// Tags, each once.
    pub(crate) tags: Vec<String>,
    /// Snapshot to compare with.
    pub(crate) parent: Option<SnapshotName>,
}

impl Request {
    /// Makes a request of the arguments; reads the files that they name.
    pub(crate) fn lower(args: &Args) -> Result<Self, Failure> {
        let mut sources = Vec::new();
        for word in &args.sources {
            sources.push(Source::parse(word)?);
        }
        for list in &args.files_from {
            if args.stdin && list == Path::new("-") {
                return Err(Failure::usage("stdin cannot be both a list of files and a source"));
            }
            for line in lines_of(list)? {
                sources.push(Source::Path(OsString::from_vec(line).into()));
            }
        }
        sources.extend(args.stdin_filename.clone().map(Source::Stdin));
        for command in &args.commands {
            sources.push(parse_command(command)?);
        }
        if sources.is_empty() {
            return Err(Failure::usage("nothing to back up: the lists of files are empty"));
        }
        check_stream_names(&sources)?;
        let mut excludes = args.exclude.clone();
        for file in &args.exclude_file {
            excludes.extend(patterns_of(file)?);
        }
        let mut tags: Vec<String> = args.tags.iter().flat_map(|set| split_tags(set)).collect();
        tags.retain(|tag| !tag.is_empty());
        tags.sort();
        tags.dedup();
        let parent = args.parent.as_deref().map(SnapshotName::parse).transpose();
        Ok(Self {
            sources,
            excludes,
            excludes_any_case: args.iexclude.clone(),
            tags,
            parent: parent.map_err(Failure::usage)?,
        })
    }
}

fn parse_command(text: &str) -> Result<Source, Failure> {
    let (name, command) =
        text.split_once('=').ok_or_else(|| Failure::usage("--command expects NAME=COMMAND"))?;
    let words =
        split_words(command).map_err(|why| Failure::usage(format!("--command {name}: {why}")))?;
    if words.is_empty() {
        return Err(Failure::usage(format!("--command {name}: there is no command")));
    }
    Ok(Source::Command { name: name.to_owned(), words })
}

/// Streams lie in one folder, so their names are plain and differ.
fn check_stream_names(sources: &[Source]) -> Result<(), Failure> {
    let mut seen = std::collections::BTreeSet::new();
    for source in sources {
        let (Source::Stdin(name) | Source::Command { name, .. }) = source else { continue };
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
            return Err(Failure::usage(format!(
                "`{name}` cannot name a stream: no slashes, not empty"
            )));
        }
        if !seen.insert(name) {
            return Err(Failure::usage(format!("two streams are named `{name}`")));
        }
    }
    Ok(())
}

fn lines_of(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let read = || -> io::Result<Vec<Vec<u8>>> {
        let reader: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(path)?))
        };
        reader.split(b'\n').filter(|line| line.as_ref().map_or(true, |l| !l.is_empty())).collect()
    };
    read().map_err(|error| Failure::setting(format!("{}: {error}", path.display())))
}

/// Globs of a file: a line each, empty ones and those that start with # left out.
fn patterns_of(path: &Path) -> Result<Vec<String>, Failure> {
    let mut patterns = Vec::new();
    for line in lines_of(path)? {
        let line = String::from_utf8(line).map_err(|error| {
            let line = OsStr::from_bytes(error.as_bytes()).to_string_lossy().into_owned();
            Failure::setting(format!("{}: a line is not UTF-8: {line}", path.display()))
        })?;
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            patterns.push(line.to_owned());
        }
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::commands::Command;
    use clap::Parser;

    fn lower(words: &[&str]) -> Result<Request, Failure> {
        let line = ["strongroom", "backup"].iter().chain(words);
        let Command::Backup(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        Request::lower(&args)
    }

    #[test]
    fn sources_are_told_apart_by_their_beginning() {
        for (word, source) in [
            ("/etc", Source::Path("/etc".into())),
            ("rel/a:b", Source::Path("rel/a:b".into())),
            ("./redis://x", Source::Path("./redis://x".into())),
            ("sqlite:/srv/pos.db", Source::Sqlite("/srv/pos.db".into())),
            ("sqlite:pos.db", Source::Sqlite("pos.db".into())),
            ("postgres://shop@db/shop", Source::Database("postgres://shop@db/shop".into())),
            ("bucket+s3://photos", Source::Bucket("s3://photos".into())),
        ] {
            assert_eq!(Source::parse(word.as_ref()).unwrap(), source, "{word}");
        }
        let bytes = OsStr::from_bytes(b"/\xff");
        assert_eq!(Source::parse(bytes).unwrap(), Source::Path(bytes.into()));
    }

    #[test]
    fn an_unknown_source_is_refused_without_showing_what_may_be_a_password() {
        let failure = Source::parse("oracle://me:hunter2@db".as_ref()).unwrap_err();
        assert_eq!(failure.code.number(), 2);
        assert!(!failure.message.contains("hunter2"));
        for word in ["", "sqlite:"] {
            assert!(Source::parse(word.as_ref()).is_err(), "{word}");
        }
    }

    #[test]
    fn commands_and_stdin_become_streams_with_plain_names() {
        let request = lower(&["--stdin", "--stdin-filename", "a", "--command", "b=echo 'x y'"]);
        let words = vec!["echo".into(), "x y".into()];
        assert_eq!(
            request.unwrap().sources,
            [Source::Stdin("a".into()), Source::Command { name: "b".into(), words }]
        );
        for command in ["noname", "=true", "a/b=true", "a=", "..=true", "a='"] {
            assert_eq!(lower(&["--command", command]).unwrap_err().code.number(), 2, "{command}");
        }
        let twice = lower(&["--command", "a=true", "--command", "a=false"]);
        assert!(twice.unwrap_err().message.contains("two streams"));
    }

    #[test]
    fn lists_are_read_from_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let (files, globs) = (folder.path().join("files"), folder.path().join("globs"));
        std::fs::write(&files, b"/a b\n\n/c\xff\nsqlite:x\n").unwrap();
        std::fs::write(&globs, "# note\n*.tmp\n\n  cache/  \r\n").unwrap();
        let (files, globs) = (files.to_str().unwrap(), globs.to_str().unwrap());
        let request =
            lower(&["--files-from", files, "--exclude", "x", "--exclude-file", globs]).unwrap();
        let path = |bytes: &[u8]| Source::Path(OsStr::from_bytes(bytes).into());
        assert_eq!(request.sources, [path(b"/a b"), path(b"/c\xff"), path(b"sqlite:x")]);
        assert_eq!(request.excludes, ["x", "*.tmp", "cache/"]);
        assert_eq!(lower(&["--files-from", "/does/not/exist"]).unwrap_err().code.number(), 20);
    }

    #[test]
    fn tags_are_sorted_and_each_there_once() {
        let request = lower(&["/a", "--tag", "b,a", "--tag", "a,"]).unwrap();
        assert_eq!(request.tags, ["a", "b"]);
    }
}
