//! `find`: looks for names in all snapshots.

use crate::args::FilterArgs;
use crate::context::{Context, Outcome};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Glob to match against names, or against whole paths if it holds a slash
    pattern: String,

    /// Take upper and lower case for the same
    #[arg(short, long)]
    ignore_case: bool,

    #[command(flatten)]
    filter: FilterArgs,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, context: &Context) -> Outcome {
    super::not_yet(context)
}
