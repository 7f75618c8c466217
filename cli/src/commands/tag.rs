//! `tag`: changes the tags of snapshots; their content and ids stay.

use engine::browse::tags::{self, Change};
use engine::records::Text;
use engine::repo::history::Taken;

use crate::args::{DryRun, FilterArgs, split_tags};
use crate::context::{Context, Done, Outcome};
use crate::failure::Failure;
use crate::output::escape;
use crate::output::json::Object;
use crate::repository::{actor, pick};
use crate::{size, snapshot_name};

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

impl Args {
    fn change(&self) -> Result<Change, Failure> {
        let tags = |sets: &[String]| sets.iter().flat_map(|set| split_tags(set)).collect();
        let change = Change {
            set: (!self.set.is_empty()).then(|| tags(&self.set)),
            add: tags(&self.add),
            remove: tags(&self.remove),
        };
        if change == Change::default() {
            return Err(Failure::usage("nothing to change: give --set, --add or --remove"));
        }
        Ok(change)
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let change = args.change()?;
    for name in &args.snapshots {
        snapshot_name::parse(name)?;
    }
    let repository = context.repository()?;
    let mut history = context.history(&repository)?;
    let selector = args.filter.lower();
    // All names are understood before the first snapshot is changed.
    let mut chosen = Vec::new();
    for name in &args.snapshots {
        chosen.push(pick(&history, name, &selector)?);
    }
    let mut changed = 0_usize;
    for taken in &chosen {
        let old = &taken.snapshot.tags;
        let new = if args.dry_run.dry_run {
            Some(change.apply(old)?).filter(|new| new != old)
        } else {
            let (id, actor) = (taken.id, actor(None));
            tags::change(&repository, &mut history, id, &change, &actor, &context.ambient)?
        };
        changed += usize::from(new.is_some());
        show(taken, new.as_deref(), context);
    }
    let end = if args.dry_run.dry_run { "would be changed" } else { "changed" };
    let all = size::count(size::length(&chosen), "snapshot");
    context.output.line(&format!("{changed} of {all} {end}"));
    let summary = Object::default()
        .field("dry_run", args.dry_run.dry_run)
        .field("snapshots", chosen.len())
        .field("changed", changed);
    Ok(Done::well(summary))
}

fn show(taken: &Taken, new: Option<&[Text]>, context: &Context) {
    let tags = new.unwrap_or(&taken.snapshot.tags);
    let names: Vec<String> = tags.iter().map(|tag| escape::name(tag.as_str().as_bytes())).collect();
    let shown = if names.is_empty() { "no tags".to_owned() } else { names.join(", ") };
    context.output.line(&format!("{}: {shown}", taken.id.short()));
    let tags: Vec<&str> = tags.iter().map(Text::as_str).collect();
    context.output.object(
        &Object::new("tags")
            .field("id", taken.id.to_hex())
            .field("tags", tags)
            .field("changed", new.is_some()),
    );
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

    #[test]
    fn flags_become_one_change() {
        let owned = |tags: &[&str]| tags.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(change(&["--set", "x,y"]).unwrap().set, Some(owned(&["x", "y"])));
        assert_eq!(change(&["--set", ""]).unwrap().set, Some(owned(&[])));
        let edit = change(&["--remove", "a", "--add", "d", "--add", "e, f"]).unwrap();
        let (add, remove) = (owned(&["d", "e", "f"]), owned(&["a"]));
        assert_eq!(edit, Change { set: None, add, remove });
        assert_eq!(change(&[]).unwrap_err().code.number(), 2);
    }
}
