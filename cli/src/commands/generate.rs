//! `generate`: completions to stdout, man pages into a folder.

use std::path::{Path, PathBuf};

use clap::{CommandFactory, Subcommand};
use clap_complete::Shell;
use engine::error::Kind;

use crate::args::Cli;
use crate::context::{Context, Done, Outcome};
use crate::failure::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write completions for a shell to stdout
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write man pages into a folder
    Man {
        /// The folder; it is made if it is not there
        dir: PathBuf,
    },
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    match &args.what {
        What::Completions { shell } => {
            // Made in memory: the generator panics when its stream breaks.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "strongroom", &mut script);
            let _ = std::io::Write::write_all(&mut context.output.data(), &script);
        }
        What::Man { dir } => man(dir)?,
    }
    Ok(Done::default())
}

fn man(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .map_err(|error| Failure::new(Kind::Target, format!("{}: {error}", dir.display())))
}
