//! The command line as it is typed: flags that every command takes, and flags that several share.

use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use engine::browse::Selector;

use crate::commands::Command;
use crate::size;

/// Keep encrypted, deduplicated backups in places you do not trust
#[derive(Debug, Parser)]
#[command(
    name = "strongroom",
    bin_name = "strongroom",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "`strongroom help stores` says how stores are named and which credentials each reads,\n\
                  `strongroom help exit-codes` what the program ends with."
)]
pub(crate) struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Globals {
    /// Where the repository lies: a path or a URL [env: STRONGROOM_REPO]
    #[arg(short, long, value_name = "URL", global = true)]
    pub(crate) repo: Option<OsString>,

    /// Read the password from a file [env: STRONGROOM_PASSWORD_FILE]
    #[arg(long, value_name = "FILE", global = true, group = "secret")]
    pub(crate) password_file: Option<PathBuf>,

    /// Run a command that prints the password; split into words, no shell [env:
    /// STRONGROOM_PASSWORD_COMMAND]
    #[arg(long, value_name = "COMMAND", global = true, group = "secret")]
    pub(crate) password_command: Option<String>,

    /// Open with a key file instead of a password
    #[arg(long, value_name = "FILE", global = true, group = "secret")]
    pub(crate) key_file: Option<PathBuf>,

    /// Keep the local cache here [env: STRONGROOM_CACHE_DIR] [default: XDG cache folder]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) cache_dir: Option<PathBuf>,

    /// Use no local cache
    #[arg(long, global = true, conflicts_with = "cache_dir")]
    pub(crate) no_cache: bool,

    /// Write JSON Lines to stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Show neither progress nor notes
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Show each file
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// How to show progress: auto is a bar on a terminal and a line every 30 s elsewhere
    #[arg(long, value_enum, default_value_t, value_name = "HOW", global = true)]
    pub(crate) progress: ProgressStyle,

    /// Send at most so many bytes a second, such as 4MiB
    #[arg(long, value_name = "SIZE", global = true, value_parser = size::parse_positive)]
    pub(crate) limit_upload: Option<NonZeroU64>,

    /// Receive at most so many bytes a second
    #[arg(long, value_name = "SIZE", global = true, value_parser = size::parse_positive)]
    pub(crate) limit_download: Option<NonZeroU64>,

    /// Keep buffers and caches in memory below this [default: 256MiB]
    #[arg(long, value_name = "SIZE", global = true, value_parser = size::parse_positive)]
    pub(crate) max_memory: Option<NonZeroU64>,

    /// Work with so many threads [default: one a core]
    #[arg(long, value_name = "N", global = true)]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Go on although the history is shorter than this machine has seen it
    #[arg(long, global = true)]
    pub(crate) accept_rollback: bool,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ProgressStyle {
    /// A bar on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// A line every 30 s.
    Plain,
    /// Nothing.
    None,
}

/// Which snapshots, for commands that take `latest`, a time, or all.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Choosing snapshots")]
pub(crate) struct FilterArgs {
    /// Only snapshots of this host (repeatable: any of them)
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,

    /// Only snapshots with all of these tags, parted by commas (repeatable: any of the sets); an
    /// empty text means no tags
    #[arg(long = "tag", value_name = "TAG,...")]
    tags: Vec<String>,

    /// Only snapshots of this source path (repeatable: all of them)
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl FilterArgs {
    /// As the engine takes it.
    pub(crate) fn lower(&self) -> Selector {
        use std::os::unix::ffi::OsStrExt;
        Selector {
            hosts: self.hosts.clone(),
            tags: self.tags.iter().map(|set| split_tags(set)).collect(),
            paths: self.paths.iter().map(|path| path.as_os_str().as_bytes().to_vec()).collect(),
            zone: None,
        }
    }
}

/// Splits tags at commas; what is empty names no tag.
pub(crate) fn split_tags(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

/// For commands that change something.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct DryRun {
    /// Show what would be done and do nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

/// For commands that destroy something.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Yes {
    /// Do it without asking
    #[arg(long)]
    pub(crate) yes: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_or_after_the_command() {
        for line in [
            &["strongroom", "-r", "/b", "--threads", "2", "snapshots"][..],
            &["strongroom", "snapshots", "-r", "/b", "--threads", "2"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!(cli.globals.repo.unwrap(), "/b");
            assert_eq!(cli.globals.threads.unwrap().get(), 2);
        }
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        for flags in [
            &["-q", "-v"][..],
            &["--no-cache", "--cache-dir", "/c"],
            &["--password-file", "/p", "--key-file", "/k"],
            &["--password-file", "/p", "--password-command", "c"],
            &["--limit-upload", "0"],
            &["--max-memory", "lots"],
            &["--threads", "0"],
            &["--progress", "loud"],
        ] {
            let line = ["strongroom", "snapshots"].iter().chain(flags);
            let error = Cli::try_parse_from(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{flags:?}");
        }
    }

    #[test]
    fn verbs_of_a_later_release_are_not_offered() {
        for verb in ["verify", "replicate", "run", "serve"] {
            assert!(Cli::try_parse_from(["strongroom", verb]).is_err(), "{verb}");
        }
    }

    #[test]
    fn tags_are_sets_parted_by_commas() {
        let line = ["strongroom", "snapshots", "--tag", "a, b", "--tag", ""];
        let Command::Snapshots(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        assert_eq!(args.filter.lower().tags, [vec!["a", "b"], vec![]]);
    }
}
