//! What a backup is told.

use std::path::PathBuf;

use repo_format::SnapshotId;
use repo_format::content::Chunker;

use crate::chunk::compression::Level;
use crate::repo::create::Actor;
use crate::source::files::ExcludeOptions;

/// One thing to back up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file or folder, stored under its absolute path.
    Path(PathBuf),
    /// Standard input, stored under `@streams/NAME`.
    Stdin {
        /// Name of the stream.
        name: Vec<u8>,
    },
    /// Standard output of a command line, stored under `@streams/NAME`.
    Command {
        /// Name of the stream.
        name: Vec<u8>,
        /// Command line, given to `sh -c`.
        line: String,
    },
    /// A SQLite database, captured while others write to it, stored under `@streams/NAME` with its
    /// record beside it.
    Sqlite {
        /// Name of the stream.
        name: Vec<u8>,
        /// Path of the database.
        path: PathBuf,
    },
}

/// Which snapshot unchanged files are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parent {
    /// The newest complete one of the same host and sources.
    #[default]
    Newest,
    /// None: every file is read.
    None,
    /// This one.
    Given(SnapshotId),
}

/// Settings of a backup.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to back up, all of it in one snapshot.
    pub sources: Vec<Source>,
    /// What to leave out.
    pub excludes: ExcludeOptions,
    /// Stays on the file systems of the sources.
    pub one_file_system: bool,
    /// Tags of the snapshot.
    pub tags: Vec<String>,
    /// Label of the snapshot.
    pub label: String,
    /// Time that the snapshot stands for, instead of now, in milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// Snapshot that unchanged files are taken from.
    pub parent: Parent,
    /// Until when the snapshot must be kept, in milliseconds since 1970; 0 for no such time.
    pub retain_until_ms: i64,
    /// How hard to compress.
    pub level: Level,
    /// How files of 1 MiB and more are cut, instead of as the repository says.
    pub chunker: Option<Chunker>,
    /// Who does it.
    pub actor: Actor,
    /// Threads that read, cut, compress and seal.
    pub threads: usize,
    /// Memory to keep to, in bytes.
    pub memory_bytes: u64,
    /// Goes on without a stream that fails; the snapshot is partial then, and says so.
    pub allows_partial: bool,
    /// Counts what would be done, and stores nothing.
    pub is_dry_run: bool,
}

impl Source {
    /// Name of a stream below `@streams`; none of a path.
    pub fn stream_name(&self) -> Option<&[u8]> {
        match self {
            Self::Path(_) => None,
            Self::Stdin { name } | Self::Command { name, .. } | Self::Sqlite { name, .. } => {
                Some(name)
            }
        }
    }

    /// Whether a capture record lies beside the stream.
    pub(super) const fn has_record(&self) -> bool {
        matches!(self, Self::Sqlite { .. })
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            excludes: ExcludeOptions::default(),
            one_file_system: false,
            tags: Vec::new(),
            label: String::new(),
            time_ms: None,
            parent: Parent::Newest,
            retain_until_ms: 0,
            level: Level::Default,
            chunker: None,
            actor: Actor::default(),
            threads: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            memory_bytes: 256 << 20,
            allows_partial: false,
            is_dry_run: false,
        }
    }
}
