//! `restore`: writes a snapshot, or a path of one, below a folder; goes on where it stopped when
//! run again.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;
use engine::repo::history::Taken;
use engine::restore::{self, Options, Report};

use super::load::Target;
use crate::args::{DryRun, FilterArgs, Yes};
use crate::confirmation::confirm;
use crate::context::{Context, Done, Outcome};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::output::Output;
use crate::output::json::{self, Object};
use crate::size;
use crate::snapshot_name::SnapshotPath;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Snapshot: id or its beginning, `latest`, or a time; with a path, what lies in it goes
    /// straight into DIR
    #[arg(value_name = "SNAP[:PATH]")]
    snapshot: OsString,

    /// Folder to write below; it is made if it is not there
    #[arg(short, long, value_name = "DIR", required_unless_present = "to")]
    target: Option<PathBuf>,

    /// Load a stream into a database instead, as sqlite:PATH; one that is there stays, unless
    /// --overwrite always is said
    #[arg(long, value_name = "URL", conflicts_with = "target")]
    to: Option<String>,

    /// Only what matches (repeatable)
    #[arg(short, long, value_name = "GLOB")]
    include: Vec<String>,

    /// Like --include, upper and lower case alike
    #[arg(long, value_name = "GLOB")]
    iinclude: Vec<String>,

    /// All but what matches (repeatable)
    #[arg(short, long, value_name = "GLOB")]
    exclude: Vec<String>,

    /// Like --exclude, upper and lower case alike
    #[arg(long, value_name = "GLOB")]
    iexclude: Vec<String>,

    /// What happens to files that are there already [default: always]
    #[arg(long, value_enum, value_name = "WHEN")]
    overwrite: Option<Overwrite>,

    /// Delete what the snapshot does not hold; asks first
    #[arg(long)]
    delete: bool,

    /// Read every restored file again and compare it
    #[arg(long)]
    verify: bool,

    #[command(flatten)]
    dry_run: DryRun,

    #[command(flatten)]
    yes: Yes,

    #[command(flatten)]
    filter: FilterArgs,
}

/// What happens to files that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Overwrite {
    /// They are compared, and become what the snapshot holds.
    #[default]
    Always,
    /// They become what the snapshot holds unless time and size say they are it.
    IfChanged,
    /// They stay.
    Never,
}

impl Overwrite {
    const fn lower(self) -> restore::Overwrite {
        match self {
            Self::Always => restore::Overwrite::Always,
            Self::IfChanged => restore::Overwrite::IfChanged,
            Self::Never => restore::Overwrite::Never,
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let SnapshotPath { snapshot, path } = SnapshotPath::parse(&args.snapshot)?;
    let opened = context.opened()?;
    let taken = opened.pick(&snapshot, &args.filter.lower())?;
    if let Some(url) = &args.to {
        let target = Target::parse(url)?;
        let Some(path) = path else {
            return Err(Failure::usage("--to needs a stream, as in latest:@streams/till.db"));
        };
        let entry = opened.lookup(&taken, &path)?;
        let overwrites = args.overwrite == Some(Overwrite::Always);
        return target.load(&opened, &taken, &entry, overwrites, context);
    }
    let options = options(args, path, context);
    let restore = |options: &Options| {
        let _shown = context.report_progress();
        restore::restore(&opened.repository, &taken, options, &context.ambient)
    };
    if options.delete && !options.dry_run && !args.yes.yes {
        let planned = restore(&Options { dry_run: true, verify: false, ..options.clone() })?;
        if planned.deleted > 0 {
            let target = options.target.display();
            let things = size::count(planned.deleted, "thing");
            let question = format!("delete {things} below {target}");
            confirm(args.yes, &question, context)?;
        }
    }
    let report = restore(&options)?;
    show(&taken, &report, &options, &context.output);
    Ok(Done { code: code(&report), summary: summary(&taken, &report, &options) })
}

fn options(args: &Args, path: Option<Vec<u8>>, context: &Context) -> Options {
    Options {
        target: args.target.clone().unwrap_or_default(),
        path,
        include: args.include.clone(),
        include_any_case: args.iinclude.clone(),
        exclude: args.exclude.clone(),
        exclude_any_case: args.iexclude.clone(),
        overwrite: args.overwrite.unwrap_or_default().lower(),
        delete: args.delete,
        verify: args.verify,
        dry_run: args.dry_run.dry_run,
        threads: context.settings.threads,
        memory: context.settings.memory_bytes_max,
        ..Options::default()
    }
}

/// Code to end with: a restore that lacks something is never plain success.
fn code(report: &Report) -> ExitCode {
    let done = Done::with_findings(&report.findings, Object::default());
    match done.code {
        ExitCode::Done if !report.failures.is_empty() => ExitCode::Failed,
        code => code,
    }
}

fn show(taken: &Taken, report: &Report, options: &Options, output: &Output) {
    for finding in &report.findings {
        // People have seen it as a warning when it was met.
        output.object(&json::finding(finding));
    }
    output.line(&format!(
        "files: {} restored or right ({} right already), {} left alone; {} folders; {} deleted",
        report.files, report.files_right, report.left, report.directories, report.deleted
    ));
    output.line(&format!(
        "bytes: {} written, {} right already",
        size::format(report.bytes_written),
        size::format(report.bytes_right)
    ));
    if options.verify && !options.dry_run {
        let bytes = size::format(report.bytes_verified);
        output.line(&format!("verified: {} files, {bytes}", report.files_verified));
    }
    for (count, what) in [
        (total(&report.findings, report.findings_more), "finding of damage"),
        (total(&report.failures, report.failures_more), "thing refused by the target"),
        (total(&report.problems, report.problems_more), "problem with metadata"),
        (report.owners_refused, "owner not put back"),
    ] {
        if count > 0 {
            // The noun is the first word of what is counted.
            let (noun, rest) = what.split_once(' ').unwrap_or((what, ""));
            output.line(&format!("{} {rest}", size::count(count, noun)));
        }
    }
    let (id, target) = (taken.id.short(), options.target.display());
    output.line(&match (options.dry_run, code(report)) {
        (true, _) => "dry run: nothing was written".to_owned(),
        (false, ExitCode::Done) => format!("snapshot {id} restored to {target}"),
        (false, _) => format!("snapshot {id} is not whole in {target}"),
    });
}

fn total<T>(listed: &[T], more: u64) -> u64 {
    size::length(listed).saturating_add(more)
}

fn summary(taken: &Taken, report: &Report, options: &Options) -> Object {
    Object::default()
        .field("dry_run", options.dry_run)
        .field("snapshot_id", taken.id.to_hex())
        .field("files", report.files)
        .field("files_right", report.files_right)
        .field("files_left", report.left)
        .field("folders", report.directories)
        .field("deleted", report.deleted)
        .field("bytes_written", report.bytes_written)
        .field("bytes_right", report.bytes_right)
        .field("files_verified", report.files_verified)
        .field("bytes_verified", report.bytes_verified)
        .field("findings", total(&report.findings, report.findings_more))
        .field("failures", total(&report.failures, report.failures_more))
        .field("metadata_problems", total(&report.problems, report.problems_more))
        .field("owners_refused", report.owners_refused)
}
