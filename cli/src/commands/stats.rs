//! `stats`: sizes, ratios, and what each snapshot added.

use crate::args::FilterArgs;
use crate::context::{Context, Outcome};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, context: &Context) -> Outcome {
    super::not_yet(context)
}
