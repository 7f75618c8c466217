//! `tag`: changes the tags of snapshots; their content and ids stay.

use crate::args::{DryRun, FilterArgs, split_tags};
use crate::context::{Context, Outcome};
use crate::failure::Failure;
use crate::snapshot_name::SnapshotName;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Snapshots to change
    #[arg(value_name = "SNAP", required = true)]
    snapshots: Vec<String>,

    /// Replace all tags by these, parted by commas; an empty text removes all
    #[arg(long, value_name = "TAG,...", conflicts_with_all = ["add", "remove"])]
    set: Vec<String>,

    /// Add these
    #[arg(long, value_name = "TAG,...")]
    add: Vec<String>,

    /// Remove these
    #[arg(long, value_name = "TAG,...")]
    remove: Vec<String>,

    #[command(flatten)]
    dry_run: DryRun,

    #[command(flatten)]
    filter: FilterArgs,
}

/// How tags change.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// These and no others.
    Set(Vec<String>),
    /// Some more, some less.
    Edit { add: Vec<String>, remove: Vec<String> },
}

impl Args {
    fn change(&self) -> Result<Change, Failure> {
        let tags = |sets: &[String]| -> Vec<String> {
            sets.iter().flat_map(|set| split_tags(set)).filter(|tag| !tag.is_empty()).collect()
        };
        if !self.set.is_empty() {
            return Ok(Change::Set(tags(&self.set)));
        }
        let (add, remove) = (tags(&self.add), tags(&self.remove));
        if add.is_empty() && remove.is_empty() {
            return Err(Failure::usage("nothing to change: give --set, --add or --remove"));
        }
        Ok(Change::Edit { add, remove })
    }
}

impl Change {
    /// Tags after the change, in their order.
    fn apply(&self, tags: &[String]) -> Vec<String> {
        let mut after = match self {
            Self::Set(tags) => tags.clone(),
            Self::Edit { add, remove } => {
                tags.iter().filter(|tag| !remove.contains(tag)).chain(add).cloned().collect()
            }
        };
        let mut seen = std::collections::BTreeSet::new();
        after.retain(|tag| seen.insert(tag.clone()));
        after
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    for name in &args.snapshots {
        SnapshotName::parse(name).map_err(Failure::usage)?;
    }
    args.change()?;
    super::not_yet(context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::commands::Command;
    use clap::Parser;

    fn change(flags: &[&str]) -> Result<Change, Failure> {
        let line = ["strongroom", "tag", "ab12"].iter().chain(flags);
        let Command::Tag(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        args.change()
    }

    fn applied(flags: &[&str]) -> String {
        change(flags).unwrap().apply(&["a".to_owned(), "b".to_owned()]).join(" ")
    }

    #[test]
    fn tags_are_set_added_and_removed_once_each() {
        assert_eq!(applied(&["--set", "x,y,x"]), "x y");
        assert_eq!(applied(&["--set", ""]), "");
        assert_eq!(applied(&["--add", "b,c"]), "a b c");
        assert_eq!(applied(&["--remove", "a", "--add", "d", "--add", "e"]), "b d e");
        assert_eq!(applied(&["--remove", "a", "--add", "a"]), "b a");
        assert_eq!(change(&[]).unwrap_err().code.number(), 2);
    }
}
