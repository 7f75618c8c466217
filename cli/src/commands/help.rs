//! `help`: on a command, on stores, on exit codes.

use clap::CommandFactory;

use crate::args::Cli;
use crate::context::{Context, Done, Outcome};
use crate::failure::Failure;
use crate::output::escape;

const STORES: &str = include_str!("help/stores.txt");
const EXIT_CODES: &str = include_str!("help/exit-codes.txt");

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A command, `stores` or `exit-codes`
    topic: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let topic: Vec<&str> = args.topic.iter().map(String::as_str).collect();
    let text = match topic[..] {
        ["stores"] => STORES.to_owned(),
        ["exit-codes"] => EXIT_CODES.to_owned(),
        _ => of_command(&topic)?,
    };
    for line in text.lines() {
        context.output.line(line);
    }
    Ok(Done::default())
}

fn of_command(words: &[&str]) -> Result<String, Failure> {
    let mut root = Cli::command();
    root.build();
    let mut command = &mut root;
    for word in words {
        command = command.find_subcommand_mut(word).ok_or_else(|| {
            Failure::usage(format!("no help on `{}`", escape::text(&words.join(" "))))
        })?;
    }
    Ok(command.render_long_help().to_string())
}
