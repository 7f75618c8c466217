//! `dump`: writes a file, or a folder as an archive, to stdout.
//!
//! Stdout carries the bytes alone; with `--json` the objects go to stderr.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use clap::ValueEnum;
use engine::browse::dump::{self, Format, Report, Settings};
use repo_format::tree::Body;

use crate::args::FilterArgs;
use crate::context::{Context, Done, Outcome};
use crate::failure::Failure;
use crate::output::json::Object;
use crate::snapshot_name;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id or its beginning, `latest`, or a time
    #[arg(value_name = "SNAP")]
    snapshot: String,

    /// File or folder to write
    path: PathBuf,

    /// Write an archive; a folder is always one [default: tar]
    #[arg(short, long, value_enum, value_name = "KIND")]
    archive: Option<Archive>,

    #[command(flatten)]
    filter: FilterArgs,
}

/// Kinds of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Archive {
    /// tar with all metadata.
    Tar,
    /// zip.
    Zip,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let name = snapshot_name::parse(&args.snapshot)?;
    let opened = context.opened()?;
    let taken = opened.pick(&name, &args.filter.lower())?;
    let top = opened.lookup(&taken, &OsString::from(args.path.clone()).into_vec())?;
    let settings = Settings { threads: context.settings.threads, ..Settings::default() };
    let mut out = context.output.data();
    let (repository, ambient) = (&opened.repository, &context.ambient);
    let dumped = match (&top.body, args.archive) {
        (Body::File { .. }, None) => dump::file(repository, &top, &mut out, settings, ambient)
            .map(|bytes| Report { files: 1, bytes, ..Report::default() }),
        (_, archive) => {
            let format = match archive {
                Some(Archive::Zip) => Format::Zip,
                Some(Archive::Tar) | None => Format::Tar,
            };
            dump::archive(repository, &top, format, &mut out, settings, ambient)
        }
    };
    let report = match dumped {
        // Nobody reads on, which is no failure of the dump.
        Err(_) if context.output.is_closed() => return Ok(Done::default()),
        dumped => dumped.map_err(Failure::from)?,
    };
    let summary = Object::default()
        .field("snapshot_id", taken.id.to_hex())
        .field("files", report.files)
        .field("folders", report.directories)
        .field("bytes", report.bytes)
        .field("skipped", report.skipped);
    Ok(Done::well(summary))
}
