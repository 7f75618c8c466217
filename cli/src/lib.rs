//! The strongroom command line: flags and variables become settings, settings become options of the
//! engine, and its reports become lines or JSON.
//!
//! Read `args` for what can be typed, `settings` for what it means, then any file of `commands`.
//! Whatever happens, [`run`] ends with one code of `exit_code`, and `--json` ends with one summary.

mod args;
mod commands;
mod confirmation;
mod context;
mod entry;
mod environment;
mod exit_code;
mod failure;
mod output;
mod password;
mod repository;
mod settings;
mod signals;
mod size;
mod snapshot_name;
mod time;

use std::ffi::OsString;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser as _;
use engine::error::Kind;

use args::Cli;
use context::{Context, Outcome};
use environment::Environment;
use exit_code::ExitCode;
use failure::Failure;
use output::json::Object;
use output::{Output, Streams};
use settings::{Settings, Verbosity};

/// Runs the program on the arguments, variables and streams of this process.
pub fn run() -> std::process::ExitCode {
    raise_file_limit();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let code = run_on(&arguments, Environment::of_process(), Streams::of_process(), true);
    std::process::ExitCode::from(code.number())
}

/// Runs the program on the given arguments, the program's name first, and gives its exit code.
pub fn run_with(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    run_on(&arguments, Environment::of_process(), Streams::of_process(), false).number()
}

/// Allows as many open files as the system lets this process have: folders are held open while
/// they are walked, and 1024 is soon reached. Where it cannot be raised, work goes on with less.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

fn run_on(
    arguments: &[OsString],
    environment: Environment,
    streams: Streams,
    heeds_signals: bool,
) -> ExitCode {
    let start = Instant::now();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return not_understood(arguments, streams, &error, start),
    };
    let is_terminal = streams.is_terminal;
    let command = cli.command.name();
    let is_json = cli.globals.json;
    let settings = match Settings::lower(cli.globals, &environment) {
        Ok(settings) => settings,
        Err(failure) => {
            let output = Output::new(streams, is_json, Verbosity::Normal);
            return end(&output, Some(command), Err(failure), start);
        }
    };
    let output = Arc::new(Output::new(streams, is_json, settings.verbosity));
    let context = Context::new(settings, environment, Arc::clone(&output), is_terminal);
    if heeds_signals && let Err(error) = signals::listen(&context.ambient.cancel, &output) {
        output.warning(b"", &format!("signals are not heeded: {error}"));
    }
    let outcome = cli.command.run(&context);
    end(&output, Some(command), outcome, start)
}

/// Shows an error or help of the command line parser.
fn not_understood(
    arguments: &[OsString],
    mut streams: Streams,
    error: &clap::Error,
    start: Instant,
) -> ExitCode {
    if !error.use_stderr() {
        // Help and version, for which clap knows the terminal better; nobody reading it is fine.
        let _ = error.print();
        return ExitCode::Done;
    }
    let is_json = arguments.iter().take_while(|a| *a != "--").any(|a| a == "--json");
    if is_json {
        let output = Output::new(streams, true, Verbosity::Normal);
        let text = error.render().to_string();
        let text = text.lines().next().unwrap_or_default();
        let message = text.strip_prefix("error: ").unwrap_or(text);
        return end(&output, None, Err(Failure::usage(message)), start);
    }
    // Same text with and without colour; clap leaves the arguments in it as they were typed.
    let text = error.render().to_string();
    for line in text.lines() {
        let _ = writeln!(streams.err, "{}", output::escape::text(line));
    }
    ExitCode::Usage
}

/// Shows how a command ended; the one place that writes a summary.
fn end(output: &Output, command: Option<&str>, outcome: Outcome, start: Instant) -> ExitCode {
    let (code, fields) = match outcome {
        Ok(done) => (done.code, done.summary),
        Err(failure) => {
            output.failure(&failure);
            (failure.code, Object::default())
        }
    };
    let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let summary = Object::new("summary")
        .field("command", command)
        .field("exit_code", code.number())
        .field("duration_ms", millis);
    output.object(&summary.and(fields));
    match output.finish() {
        // A dump that could not be written has said so already.
        Err(error) if code != ExitCode::Failed => {
            output.failure(&Failure::new(Kind::Other, format!("writing to stdout: {error}")));
            if code == ExitCode::Done { ExitCode::Failed } else { code }
        }
        Ok(()) | Err(_) => code,
    }
}

#[cfg(test)]
mod tests;
