//! `cat`: shows one object of the repository, decoded.

use crate::context::{Context, Outcome};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of an object, such as config/0, or an id of a snapshot or blob
    object: String,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, context: &Context) -> Outcome {
    super::not_yet(context)
}
