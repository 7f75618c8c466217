//! Plain settings of one run, from the command line first and the environment second.
//!
//! Below this file nothing reads flags or variables.

use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::args::{Globals, ProgressStyle};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::Display;
use crate::password;

/// Between two lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Between two JSON objects of progress.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Bytes of buffers and caches where nothing else is said.
const MEMORY_BYTES: u64 = 256 << 20;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Results, warnings and errors.
    Quiet,
    /// Notes and progress too.
    Normal,
    /// Each file too.
    Verbose,
}

/// Settings of one run.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    repository: Option<String>,
    /// Where the secret comes from.
    pub(crate) secret: password::Source,
    /// Folder of the local cache; none means no cache.
    pub(crate) cache: Option<PathBuf>,
    /// Whether stdout carries JSON Lines.
    pub(crate) is_json: bool,
    /// How much is said.
    pub(crate) verbosity: Verbosity,
    /// How progress is shown.
    pub(crate) progress: ProgressStyle,
    /// Bytes a second to the store.
    pub(crate) upload_bytes_per_second: Option<NonZeroU64>,
    /// Bytes a second from the store.
    pub(crate) download_bytes_per_second: Option<NonZeroU64>,
    /// Bytes of buffers and caches.
    pub(crate) memory_bytes_max: u64,
    /// Threads that work.
    pub(crate) threads: usize,
    /// Whether to go on although the history is shorter than it was.
    pub(crate) accepts_rollback: bool,
}

impl Settings {
    /// Makes settings of flags and variables.
    pub(crate) fn lower(globals: Globals, environment: &Environment) -> Result<Self, Failure> {
        let repository = globals
            .repo
            .filter(|repo| !repo.is_empty())
            .or_else(|| environment.get("STRONGROOM_REPO").map(Into::into))
            .map(OsString::into_string)
            .transpose()
            .map_err(|_| Failure::setting("the repository URL or path is not UTF-8"))?;
        let named = password::Named {
            key_file: globals.key_file,
            file: globals.password_file,
            command: globals.password_command,
        };
        let verbosity = match (globals.quiet, globals.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        };
        let cache =
            if globals.no_cache { None } else { globals.cache_dir.or_else(|| cache(environment)) };
        Ok(Self {
            repository,
            secret: password::Source::choose(named, environment)?,
            cache,
            is_json: globals.json,
            verbosity,
            progress: globals.progress,
            upload_bytes_per_second: globals.limit_upload,
            download_bytes_per_second: globals.limit_download,
            memory_bytes_max: globals.max_memory.map_or(MEMORY_BYTES, NonZeroU64::get),
            threads: globals
                .threads
                .or_else(|| std::thread::available_parallelism().ok())
                .map_or(2, NonZeroUsize::get),
            accepts_rollback: globals.accept_rollback,
        })
    }

    /// URL or path of the repository.
    pub(crate) fn repository(&self) -> Result<&str, Failure> {
        self.repository.as_deref().ok_or_else(|| {
            Failure::setting("no repository was named")
                .hint("give --repo URL, or set STRONGROOM_REPO")
        })
    }

    /// How progress is shown, given whether stderr is a terminal.
    pub(crate) fn display(&self, is_terminal: bool) -> Display {
        match (self.progress, self.is_json) {
            _ if self.verbosity == Verbosity::Quiet => Display::Off,
            (ProgressStyle::None, _) => Display::Off,
            (ProgressStyle::Auto, true) => Display::Status(STATUS_EVERY),
            (ProgressStyle::Plain, true) => Display::Status(LINE_EVERY),
            (ProgressStyle::Auto, false) if is_terminal => Display::Bar,
            (ProgressStyle::Auto | ProgressStyle::Plain, false) => Display::Lines(LINE_EVERY),
        }
    }
}

/// Cache folder that the environment names; the XDG rules ignore relative paths.
fn cache(environment: &Environment) -> Option<PathBuf> {
    if let Some(folder) = environment.get("STRONGROOM_CACHE_DIR") {
        return Some(folder.into());
    }
    let absolute = |name| environment.get(name).map(Path::new).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .map(Path::to_path_buf)
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|folder| folder.join("strongroom"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    fn settings(flags: &[&str], variables: &[(&str, &str)]) -> Settings {
        let line = ["strongroom", "snapshots"].iter().chain(flags);
        let globals = Cli::try_parse_from(line).unwrap().globals;
        Settings::lower(globals, &Environment::of(variables)).unwrap()
    }

    #[test]
    fn a_flag_comes_before_a_variable_and_an_empty_variable_is_none() {
        let variable = [("STRONGROOM_REPO", "/env")];
        assert_eq!(settings(&["-r", "/flag"], &variable).repository().unwrap(), "/flag");
        assert_eq!(settings(&[], &variable).repository().unwrap(), "/env");
        let failure = settings(&[], &[("STRONGROOM_REPO", "")]).repository().unwrap_err();
        assert_eq!(failure.code.number(), 20);
        assert!(failure.hint.unwrap().contains("--repo"));
    }

    #[test]
    fn the_cache_lies_where_the_flag_the_variable_or_xdg_says() {
        let home = ("HOME", "/home/a");
        let cache = |flags: &[&str], variables: &[(&str, &str)]| {
            settings(flags, variables).cache.map(|path| path.display().to_string())
        };
        assert_eq!(cache(&[], &[]), None);
        assert_eq!(cache(&[], &[home]).unwrap(), "/home/a/.cache/strongroom");
        assert_eq!(cache(&[], &[home, ("XDG_CACHE_HOME", "/x")]).unwrap(), "/x/strongroom");
        assert_eq!(
            cache(&[], &[home, ("XDG_CACHE_HOME", "rel")]).unwrap(),
            "/home/a/.cache/strongroom"
        );
        assert_eq!(cache(&[], &[home, ("STRONGROOM_CACHE_DIR", "/c")]).unwrap(), "/c");
        assert_eq!(cache(&["--cache-dir", "/d"], &[("STRONGROOM_CACHE_DIR", "/c")]).unwrap(), "/d");
        assert_eq!(cache(&["--no-cache"], &[home, ("STRONGROOM_CACHE_DIR", "/c")]), None);
    }

    #[test]
    fn progress_fits_where_it_goes() {
        let display = |flags: &[&str], terminal| settings(flags, &[]).display(terminal);
        assert_eq!(display(&[], true), Display::Bar);
        assert_eq!(display(&[], false), Display::Lines(LINE_EVERY));
        assert_eq!(display(&["--progress", "plain"], true), Display::Lines(LINE_EVERY));
        assert_eq!(display(&["--progress", "none"], true), Display::Off);
        assert_eq!(display(&["-q"], true), Display::Off);
        assert_eq!(display(&["--json"], true), Display::Status(STATUS_EVERY));
        assert_eq!(display(&["--json", "--progress", "plain"], true), Display::Status(LINE_EVERY));
    }

    #[test]
    fn sizes_and_counts_arrive() {
        let settings = settings(
            &["--limit-upload", "4MiB", "--limit-download", "1k", "--max-memory", "1G", "-vv"],
            &[],
        );
        assert_eq!(settings.upload_bytes_per_second.unwrap().get(), 4 << 20);
        assert_eq!(settings.download_bytes_per_second.unwrap().get(), 1024);
        assert_eq!(settings.memory_bytes_max, 1 << 30);
        assert_eq!(settings.verbosity, Verbosity::Verbose);
    }
}
