//! `repair`: mends what can be mended, after showing what cannot.

use clap::Subcommand;

use crate::args::{DryRun, Yes};
use crate::context::{Context, Outcome};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

/// What to mend.
#[derive(Debug, Subcommand)]
enum What {
    /// Rebuild the index from the packs
    Index(IndexArgs),
}

/// Arguments of `repair index`.
#[derive(Debug, clap::Args)]
struct IndexArgs {
    #[command(flatten)]
    dry_run: DryRun,

    #[command(flatten)]
    yes: Yes,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    match &args.what {
        What::Index(args) => index(args, context),
    }
}

fn index(_args: &IndexArgs, context: &Context) -> Outcome {
    super::not_yet(context)
}
