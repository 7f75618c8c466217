//! `restore`: writes a snapshot, or a path of one, below a folder; goes on where it stopped when run
//! again.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::args::{DryRun, FilterArgs, Yes};
use crate::context::{Context, Outcome};
use crate::snapshot_name::SnapshotPath;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Snapshot: id or its beginning, `latest`, or a time; with a path, what lies in it goes straight into DIR
    #[arg(value_name = "SNAP[:PATH]")]
    snapshot: OsString,

    /// Folder to write below; it is made if it is not there
    #[arg(short, long, value_name = "DIR")]
    target: PathBuf,

    /// Only what matches (repeatable)
    #[arg(short, long, value_name = "GLOB")]
    include: Vec<String>,

    /// All but what matches (repeatable)
    #[arg(short, long, value_name = "GLOB")]
    exclude: Vec<String>,

    /// What happens to files that are there already
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    overwrite: Overwrite,

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
    /// They become what the snapshot holds, whatever their time and size.
    Always,
    /// They become what the snapshot holds unless time and size say they are it.
    #[default]
    IfChanged,
    /// They stay.
    Never,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    SnapshotPath::parse(&args.snapshot)?;
    super::not_yet(context)
}
