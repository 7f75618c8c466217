//! `ls`: lists files of a snapshot.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::args::FilterArgs;
use crate::context::{Context, Outcome};
use crate::snapshot_name::SnapshotPath;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id or its beginning, `latest`, or a time; `SNAP:PATH` works too
    #[arg(value_name = "SNAP")]
    snapshot: OsString,

    /// Folder or file to list [default: the top]
    path: Option<PathBuf>,

    /// Show mode, owner, size and time
    #[arg(short, long)]
    long: bool,

    /// List what lies in folders too
    #[arg(long)]
    recursive: bool,

    #[command(flatten)]
    filter: FilterArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    SnapshotPath::parse(&args.snapshot)?;
    super::not_yet(context)
}
