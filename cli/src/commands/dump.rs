//! `dump`: writes a file, or a folder as an archive, to stdout.
//!
//! Stdout carries the bytes alone; with `--json` the objects go to stderr.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::args::FilterArgs;
use crate::context::{Context, Outcome};
use crate::snapshot_name::SnapshotPath;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id or its beginning, `latest`, or a time
    #[arg(value_name = "SNAP")]
    snapshot: OsString,

    /// File or folder to write
    path: PathBuf,

    /// Form in which a folder is written
    #[arg(short, long, value_enum, default_value_t)]
    archive: Archive,

    #[command(flatten)]
    filter: FilterArgs,
}

/// Form in which a folder is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Archive {
    /// tar with all metadata.
    #[default]
    Tar,
    /// zip.
    Zip,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    SnapshotPath::parse(&args.snapshot)?;
    super::not_yet(context)
}
