//! `history`: shows and verifies the signed chains of records.

use crate::context::{Context, Outcome};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one line to keep outside, which later proves that nothing was taken away
    #[arg(long)]
    checkpoint: bool,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, context: &Context) -> Outcome {
    super::not_yet(context)
}
