//! `snapshots`: lists snapshots, newest last, perhaps in groups.

use clap::ValueEnum;

use crate::args::FilterArgs;
use crate::context::{Context, Outcome};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Only the newest N of each group
    #[arg(long, value_name = "N")]
    latest: Option<usize>,

    /// Group by these, parted by commas
    #[arg(long, value_enum, value_name = "WHAT,...", value_delimiter = ',')]
    group_by: Vec<GroupBy>,
}

/// What the snapshots of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupBy {
    /// The host.
    Host,
    /// The source paths.
    Paths,
    /// The tags.
    Tags,
}

/// Runs the command.
pub(crate) fn run(_args: &Args, context: &Context) -> Outcome {
    super::not_yet(context)
}
