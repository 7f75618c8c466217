//! `backup`: one atomic snapshot of all sources.

mod report;
mod request;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;
use engine::backup::{Options, Parent};
use engine::browse::Selector;
use engine::chunk::compression::Level;
use engine::records::Chunker;
use engine::repo::Repository;
use engine::repo::history::History;
use engine::source::files::ExcludeOptions;
use jiff::Timestamp;

use crate::args::DryRun;
use crate::context::{Context, Done, Outcome};
use crate::failure::Failure;
use crate::repository::{actor, pick};
use crate::{size, time};
use request::Request;

/// Arguments.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Args {
    /// Files, folders, and databases as sqlite:PATH
    #[arg(value_name = "SOURCE", required_unless_present_any = ["stdin", "commands", "files_from"])]
    sources: Vec<OsString>,

    /// Store what comes from stdin
    #[arg(long, requires = "stdin_filename", help_heading = "Streams")]
    stdin: bool,

    /// Name to store stdin under
    #[arg(long, value_name = "NAME", requires = "stdin", help_heading = "Streams")]
    stdin_filename: Option<String>,

    /// Store what a shell command writes as NAME (repeatable); if it fails, so does the snapshot
    #[arg(long = "command", value_name = "NAME=COMMAND", help_heading = "Streams")]
    commands: Vec<String>,

    /// Store the rest when a stream or a database fails, as a partial snapshot
    #[arg(long, help_heading = "Streams")]
    allow_partial: bool,

    /// Leave out what matches (repeatable)
    #[arg(short, long, value_name = "GLOB", help_heading = "Choosing files")]
    exclude: Vec<String>,

    /// Like --exclude, upper and lower case alike
    #[arg(long, value_name = "GLOB", help_heading = "Choosing files")]
    iexclude: Vec<String>,

    /// Leave out what matches a line of a file (repeatable)
    #[arg(long, value_name = "FILE", help_heading = "Choosing files")]
    exclude_file: Vec<PathBuf>,

    /// Leave out what is in folders that hold such a file, with these first bytes (repeatable)
    #[arg(long, value_name = "NAME[:BYTES]", help_heading = "Choosing files")]
    exclude_if_present: Vec<String>,

    /// Leave out files larger than this
    #[arg(long, value_name = "SIZE", value_parser = size::parse, help_heading = "Choosing files")]
    exclude_larger_than: Option<u64>,

    /// Stay on the file systems of the sources
    #[arg(short = 'x', long, help_heading = "Choosing files")]
    one_file_system: bool,

    /// Read more sources from a file, one a line; - is stdin (repeatable)
    #[arg(long, value_name = "FILE", help_heading = "Choosing files")]
    files_from: Vec<PathBuf>,

    /// Tag the snapshot (repeatable, or parted by commas)
    #[arg(long = "tag", value_name = "TAG,...", help_heading = "Describing the snapshot")]
    tags: Vec<String>,

    /// Host to store [default: the name of this machine]
    #[arg(long, value_name = "HOST", help_heading = "Describing the snapshot")]
    host: Option<String>,

    /// A line about the snapshot
    #[arg(long, value_name = "TEXT", help_heading = "Describing the snapshot")]
    label: Option<String>,

    /// Time to store [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::parse_start, help_heading = "Describing the snapshot")]
    time: Option<Timestamp>,

    /// Forbid forgetting the snapshot until then
    #[arg(long, value_name = "DATE", value_parser = time::parse_end, help_heading = "Describing the snapshot")]
    retain_until: Option<Timestamp>,

    /// Compare with this snapshot [default: the newest of this host and these sources]
    #[arg(long, value_name = "SNAP", conflicts_with = "force", help_heading = "Reading")]
    parent: Option<String>,

    /// Read everything, whatever the parent says
    #[arg(short, long, help_heading = "Reading")]
    force: bool,

    /// How content is cut into chunks [default: by what each file is]
    #[arg(long, value_enum, value_name = "PROFILE", help_heading = "Reading")]
    profile_chunks: Option<ChunkProfile>,

    /// How hard to compress
    #[arg(long, value_enum, default_value_t, value_name = "HOW", help_heading = "Reading")]
    compression: Compression,

    #[command(flatten)]
    dry_run: DryRun,
}

/// How content is cut into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChunkProfile {
    /// Where the content says so, for files that grow and shrink.
    Files,
    /// Smaller, for dumps of databases.
    Db,
    /// At fixed places, for files of pages.
    Page,
}

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Compression {
    /// Quick.
    Fast,
    /// Balanced.
    #[default]
    Default,
    /// Small.
    Max,
    /// Not at all.
    Off,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let request = Request::lower(args)?;
    let repository = context.indexed_repository()?;
    let options = options(args, request, &repository, context)?;
    let report = {
        let _shown = context.report_progress();
        engine::backup::backup(&repository, &options, &context.ambient)?
    };
    report::show(&report, &context.output);
    Ok(Done { code: report::code(&report), summary: report::summary(&report) })
}

fn options(
    args: &Args,
    request: Request,
    repository: &Repository,
    context: &Context,
) -> Result<Options, Failure> {
    let parent = match &request.parent {
        _ if args.force => Parent::None,
        None => Parent::Newest,
        Some(name) => {
            let history = History::load(repository, &context.ambient)?;
            Parent::Given(pick(&history, name, &Selector::default())?.id)
        }
    };
    Ok(Options {
        sources: request.sources,
        excludes: ExcludeOptions {
            patterns: request.excludes,
            patterns_any_case: args.iexclude.clone(),
            larger_than: args.exclude_larger_than,
            if_present: args.exclude_if_present.clone(),
        },
        one_file_system: args.one_file_system,
        tags: request.tags,
        label: args.label.clone().unwrap_or_default(),
        time_ms: args.time.map(Timestamp::as_millisecond),
        parent,
        retain_until_ms: args.retain_until.map_or(0, Timestamp::as_millisecond),
        level: args.compression.level(),
        chunker: args.profile_chunks.map(|profile| profile.chunker(repository)),
        actor: actor(args.host.as_deref()),
        threads: context.settings.threads,
        memory_bytes: context.settings.memory_bytes_max,
        allows_partial: args.allow_partial,
        is_dry_run: args.dry_run.dry_run,
    })
}

impl ChunkProfile {
    fn chunker(self, repository: &Repository) -> Chunker {
        match self {
            Self::Files => repository.config().files,
            // A row that changes costs one chunk of a dump, so these are small.
            Self::Db => Chunker::FastCdc { min: 4 << 10, avg: 16 << 10, max: 64 << 10 },
            Self::Page => repository.config().pages,
        }
    }
}

impl Compression {
    const fn level(self) -> Level {
        match self {
            Self::Fast => Level::Fast,
            Self::Default => Level::Default,
            Self::Max => Level::Max,
            Self::Off => Level::Off,
        }
    }
}
