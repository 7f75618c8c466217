//! `diff`: shows what changed from one snapshot to another.

use std::ffi::OsString;

use crate::args::FilterArgs;
use crate::context::{Context, Outcome};
use crate::snapshot_name::SnapshotPath;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The earlier one: SNAP or SNAP:PATH
    #[arg(value_name = "A")]
    before: OsString,

    /// The later one
    #[arg(value_name = "B")]
    after: OsString,

    /// Show changes of mode, owner and times too
    #[arg(long)]
    metadata: bool,

    #[command(flatten)]
    filter: FilterArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    SnapshotPath::parse(&args.before)?;
    SnapshotPath::parse(&args.after)?;
    super::not_yet(context)
}
