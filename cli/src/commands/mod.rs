//! The commands, one file each: arguments, then what they ask of the engine, then how it is shown.

pub(crate) mod backup;
pub(crate) mod cat;
pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod dump;
pub(crate) mod find;
pub(crate) mod forget;
pub(crate) mod generate;
pub(crate) mod help;
pub(crate) mod history;
pub(crate) mod hold;
pub(crate) mod init;
pub(crate) mod key;
mod load;
pub(crate) mod ls;
pub(crate) mod mount;
pub(crate) mod prune;
pub(crate) mod repair;
pub(crate) mod restore;
pub(crate) mod snapshots;
pub(crate) mod stats;
pub(crate) mod tag;

use clap::Subcommand;

use crate::context::{Context, Outcome};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a repository
    Init(init::Args),
    /// Store all sources as one snapshot
    Backup(Box<backup::Args>),
    /// List snapshots
    Snapshots(snapshots::Args),
    /// List files of a snapshot
    Ls(ls::Args),
    /// Find files in all snapshots
    Find(find::Args),
    /// Show what changed between two snapshots
    Diff(diff::Args),
    /// Write a file, or a folder as an archive, to stdout
    Dump(dump::Args),
    /// Show an object of the repository
    Cat(cat::Args),
    /// Write a snapshot, or a path of one, below a folder
    Restore(restore::Args),
    /// Show snapshots as folders, read only
    Mount(mount::Args),
    /// Check that everything is there and sound
    Check(check::Args),
    /// Mend what can be mended
    Repair(repair::Args),
    /// Drop snapshots by rules or by name; their data stays until a prune
    Forget(Box<forget::Args>),
    /// Take back the space of what no snapshot needs
    Prune(prune::Args),
    /// Ban snapshots from being forgotten, with a reason
    Hold(hold::Args),
    /// Manage the passwords and key files that open the repository
    Key(key::Args),
    /// Show and verify the signed history
    History(history::Args),
    /// Show sizes, and what each snapshot added
    Stats(stats::Args),
    /// Change the tags of snapshots
    Tag(tag::Args),
    /// Write shell completions or man pages
    Generate(generate::Args),
    /// Show help on a command, on `stores` or on `exit-codes`
    Help(help::Args),
}

impl Command {
    /// Name as it is typed.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Backup(_) => "backup",
            Self::Snapshots(_) => "snapshots",
            Self::Ls(_) => "ls",
            Self::Find(_) => "find",
            Self::Diff(_) => "diff",
            Self::Dump(_) => "dump",
            Self::Cat(_) => "cat",
            Self::Restore(_) => "restore",
            Self::Mount(_) => "mount",
            Self::Check(_) => "check",
            Self::Repair(_) => "repair",
            Self::Forget(_) => "forget",
            Self::Prune(_) => "prune",
            Self::Hold(_) => "hold",
            Self::Key(_) => "key",
            Self::History(_) => "history",
            Self::Stats(_) => "stats",
            Self::Tag(_) => "tag",
            Self::Generate(_) => "generate",
            Self::Help(_) => "help",
        }
    }

    /// Does it.
    pub(crate) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Init(args) => init::run(&args, context),
            Self::Backup(args) => backup::run(&args, context),
            Self::Snapshots(args) => snapshots::run(&args, context),
            Self::Ls(args) => ls::run(&args, context),
            Self::Find(args) => find::run(&args, context),
            Self::Diff(args) => diff::run(&args, context),
            Self::Dump(args) => dump::run(&args, context),
            Self::Cat(args) => cat::run(&args, context),
            Self::Restore(args) => restore::run(&args, context),
            Self::Mount(args) => mount::run(&args, context),
            Self::Check(args) => check::run(&args, context),
            Self::Repair(args) => repair::run(&args, context),
            Self::Forget(args) => forget::run(&args, context),
            Self::Prune(args) => prune::run(&args, context),
            Self::Hold(args) => hold::run(&args, context),
            Self::Key(args) => key::run(&args, context),
            Self::History(args) => history::run(&args, context),
            Self::Stats(args) => stats::run(&args, context),
            Self::Tag(args) => tag::run(&args, context),
            Self::Generate(args) => generate::run(&args, context),
            Self::Help(args) => help::run(&args, context),
        }
    }
}
