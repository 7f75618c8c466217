//! Arguments of `backup` as plain settings: sources told apart, lists read from their files.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use engine::backup::Source;
use engine::source::files::excludes;

use super::Args;
use crate::args::split_tags;
use crate::failure::Failure;
use crate::snapshot_name;

/// Kinds of source that have a meaning but are not part of this program yet.
const NOT_BUILT: [&str; 9] = [
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

/// Tells what a word names. A path that looks like a URL is written `./...`.
fn source(word: &OsStr) -> Result<Source, Failure> {
    if word.is_empty() {
        return Err(Failure::usage("a source is empty"));
    }
    let Some(text) = word.to_str() else { return Ok(Source::Path(word.into())) };
    if let Some(path) = text.strip_prefix("sqlite:") {
        return sqlite_source(path);
    }
    let Some((scheme, _)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        return Ok(Source::Path(word.into()));
    };
    // The rest of the word may hold a password, so it is never shown.
    let is_known = scheme.starts_with("bucket+") || NOT_BUILT.contains(&scheme);
    Err(if is_known {
        Failure::usage(format!("{scheme} sources are not part of this program yet"))
            .hint("store a dump with --command NAME=COMMAND, or its file as a path")
    } else {
        Failure::usage(format!("unknown kind of source `{scheme}://`"))
            .hint("a path that looks like a URL is written ./PATH")
    })
}

/// A database by its path, with or without the slashes of a URL; the last name of the path is the
/// name of the stream.
fn sqlite_source(path: &str) -> Result<Source, Failure> {
    let path = Path::new(path.strip_prefix("//").unwrap_or(path));
    let Some(name) = path.file_name() else {
        return Err(Failure::usage(
            "sqlite: expects the path of a database, as in sqlite:/srv/till.db",
        ));
    };
    let absolute = std::path::absolute(path)
        .map_err(|error| Failure::setting(format!("{}: {error}", path.display())))?;
    Ok(Source::Sqlite { name: name.as_encoded_bytes().to_vec(), path: absolute })
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
    /// Tags, each once.
    pub(crate) tags: Vec<String>,
    /// Snapshot to compare with.
    pub(crate) parent: Option<String>,
}

impl Request {
    /// Makes a request of the arguments; reads the files that they name.
    pub(crate) fn lower(args: &Args) -> Result<Self, Failure> {
        let mut sources = Vec::new();
        for word in &args.sources {
            sources.push(source(word)?);
        }
        for list in &args.files_from {
            if args.stdin && list == Path::new("-") {
                return Err(Failure::usage("stdin cannot be both a list of files and a source"));
            }
            for line in lines_of(list)? {
                sources.push(Source::Path(OsString::from_vec(line).into()));
            }
        }
        let stdin = args.stdin_filename.as_ref();
        sources.extend(stdin.map(|name| Source::Stdin { name: name.as_bytes().to_vec() }));
        for command in &args.commands {
            sources.push(command_source(command)?);
        }
        if sources.is_empty() {
            return Err(Failure::usage("nothing to back up: the lists of files are empty"));
        }
        let mut excludes = args.exclude.clone();
        for file in &args.exclude_file {
            excludes.extend(patterns_of(file)?);
        }
        let mut tags: Vec<String> = args.tags.iter().flat_map(|set| split_tags(set)).collect();
        tags.sort();
        tags.dedup();
        let parent = args.parent.as_deref().map(snapshot_name::parse).transpose()?;
        Ok(Self { sources, excludes, tags, parent })
    }
}

fn command_source(text: &str) -> Result<Source, Failure> {
    let (name, line) =
        text.split_once('=').ok_or_else(|| Failure::usage("--command expects NAME=COMMAND"))?;
    if line.trim().is_empty() {
        return Err(Failure::usage(format!("--command {name}: there is no command")));
    }
    Ok(Source::Command { name: name.as_bytes().to_vec(), line: line.to_owned() })
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

/// Globs of a file.
fn patterns_of(path: &Path) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::setting(format!("{}: {error}", path.display())))?;
    Ok(excludes::patterns_in(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::commands::Command;
    use clap::Parser;
    use std::os::unix::ffi::OsStrExt;

    fn lower(words: &[&str]) -> Result<Request, Failure> {
        let line = ["strongroom", "backup"].iter().chain(words);
        let Command::Backup(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        Request::lower(&args)
    }

    #[test]
    fn a_word_is_a_path_unless_it_begins_like_a_url() {
        for word in ["/etc", "rel/a:b", "./redis://x", "./sqlite:x", "a b://c"] {
            assert_eq!(source(word.as_ref()).unwrap(), Source::Path(word.into()), "{word}");
        }
        for word in ["sqlite:/srv/till.db", "sqlite:///srv/till.db"] {
            let (name, path) = (b"till.db".to_vec(), "/srv/till.db".into());
            assert_eq!(source(word.as_ref()).unwrap(), Source::Sqlite { name, path }, "{word}");
        }
        let bytes = OsStr::from_bytes(b"/\xff");
        assert_eq!(source(bytes).unwrap(), Source::Path(bytes.into()));
    }

    #[test]
    fn a_source_that_cannot_be_read_here_is_refused_without_showing_what_may_be_a_password() {
        for (word, says) in [
            ("", "empty"),
            ("oracle://me:hunter2@db", "unknown kind of source `oracle://`"),
            ("postgres://me:hunter2@db/shop", "postgres sources are not part"),
            ("bucket+s3://hunter2", "bucket+s3 sources are not part"),
            ("sqlite:/", "sqlite: expects the path of a database"),
        ] {
            let failure = source(word.as_ref()).unwrap_err();
            assert_eq!(failure.code.number(), 2);
            assert!(failure.message.contains(says), "{}", failure.message);
            assert!(!failure.message.contains("hunter2"));
        }
    }

    #[test]
    fn commands_and_stdin_become_streams() {
        let request =
            lower(&["--stdin", "--stdin-filename", "a", "--command", "b=echo 'x y' | wc"]);
        let (a, b) = (b"a".to_vec(), b"b".to_vec());
        assert_eq!(
            request.unwrap().sources,
            [
                Source::Stdin { name: a },
                Source::Command { name: b, line: "echo 'x y' | wc".into() }
            ]
        );
        for command in ["noname", "a=", "a= "] {
            assert_eq!(lower(&["--command", command]).unwrap_err().code.number(), 2, "{command}");
        }
    }

    #[test]
    fn lists_are_read_from_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let (files, globs) = (folder.path().join("files"), folder.path().join("globs"));
        std::fs::write(&files, b"/a b\n\n/c\xff\nsqlite:x\n").unwrap();
        std::fs::write(&globs, "# note\n*.tmp\n\ncache/\r\n").unwrap();
        let (files, globs) = (files.to_str().unwrap(), globs.to_str().unwrap());
        let request =
            lower(&["--files-from", files, "--exclude", "x", "--exclude-file", globs]).unwrap();
        let path = |bytes: &[u8]| Source::Path(OsStr::from_bytes(bytes).into());
        assert_eq!(request.sources, [path(b"/a b"), path(b"/c\xff"), path(b"sqlite:x")]);
        assert_eq!(request.excludes, ["x", "*.tmp", "cache/"]);
        assert_eq!(lower(&["--files-from", "/does/not/exist"]).unwrap_err().code.number(), 20);
        assert_eq!(lower(&["/a", "--exclude-file", "/no"]).unwrap_err().code.number(), 20);
    }

    #[test]
    fn tags_are_sorted_and_each_there_once() {
        let request = lower(&["/a", "--tag", "b,a", "--tag", "a,"]).unwrap();
        assert_eq!(request.tags, ["a", "b"]);
    }
}
