//! `key`: lists, adds, removes and changes what opens the repository. The master key never changes.

use std::path::PathBuf;

use clap::Subcommand;

use crate::args::{DryRun, Yes};
use crate::context::{Context, Outcome};
use crate::password::{Named, Source};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the key slots
    List,
    /// Add a password or key file
    Add(NewArgs),
    /// Remove a key slot; never the last one
    Remove(RemoveArgs),
    /// Replace the password or key file that was given
    Passwd(NewArgs),
}

/// The new secret.
#[derive(Debug, clap::Args)]
struct NewArgs {
    /// Read the new password from a file
    #[arg(long, value_name = "FILE", group = "new_secret")]
    new_password_file: Option<PathBuf>,

    /// Run a command that prints the new password; split into words, no shell
    #[arg(long, value_name = "COMMAND", group = "new_secret")]
    new_password_command: Option<String>,

    /// Take a key file instead of a password
    #[arg(long, value_name = "FILE", group = "new_secret")]
    new_key_file: Option<PathBuf>,

    /// Name to know the key slot by
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,

    #[command(flatten)]
    dry_run: DryRun,
}

impl NewArgs {
    /// Where the new secret comes from; a terminal if nothing is named.
    fn source(&self) -> Source {
        let named = Named {
            key_file: self.new_key_file.clone(),
            file: self.new_password_file.clone(),
            command: self.new_password_command.clone(),
        };
        Source::named(named).unwrap_or(Source::Terminal)
    }
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// Id of the key slot, or its beginning
    id: String,

    #[command(flatten)]
    dry_run: DryRun,

    #[command(flatten)]
    yes: Yes,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    match &args.what {
        What::Add(args) | What::Passwd(args) => {
            args.source();
        }
        What::List | What::Remove(_) => {}
    }
    super::not_yet(context)
}
