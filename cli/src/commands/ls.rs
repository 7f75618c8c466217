//! `ls`: lists files of a snapshot.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use engine::browse::Walk;
use engine::repo::blobs::BlobReader;
use repo_format::tree::{Body, Entry};

use crate::args::FilterArgs;
use crate::context::{Context, Done, Outcome};
use crate::entry;
use crate::failure::Failure;
use crate::output::escape;
use crate::output::json::Object;
use crate::snapshot_name::SnapshotPath;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id or its beginning, `latest`, or a time; `SNAP:PATH` works too
    #[arg(value_name = "SNAP")]
    snapshot: OsString,

    /// Folder or file to list [default: the top]
    path: Option<PathBuf>,

    /// Show mode, owner, size and time
    #[arg(short, long)]
    long: bool,

    /// List what lies in folders too
    #[arg(long)]
    recursive: bool,

    #[command(flatten)]
    filter: FilterArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let SnapshotPath { snapshot, path } = SnapshotPath::parse(&args.snapshot)?;
    let path = match (&args.path, path) {
        (Some(_), Some(_)) => return Err(Failure::usage("the path was given twice")),
        (Some(path), None) => path.clone().into_os_string().into_vec(),
        (None, path) => path.unwrap_or_default(),
    };
    let opened = context.opened()?;
    let taken = opened.pick(&snapshot, &args.filter.lower())?;
    let top = opened.lookup(&taken, &path)?;
    let mut count = 0_u64;
    if let Body::Directory { tree, .. } = top.body {
        let depth_max = if args.recursive { usize::MAX } else { 1 };
        let mut walk = Walk::below(tree, &path, depth_max);
        let mut reader = BlobReader::new(&opened.repository)?;
        while let Some(visited) = walk.next(&mut reader)? {
            context.ambient.go_on()?;
            if context.output.is_closed() {
                break;
            }
            show(&visited.path, &visited.entry, args.long, context);
            count += 1;
        }
    } else {
        show(&path, &top, args.long, context);
        count += 1;
    }
    let summary = Object::default().field("snapshot_id", taken.id.to_hex()).field("entries", count);
    Ok(Done::well(summary))
}

fn show(path: &[u8], entry: &Entry, is_long: bool, context: &Context) {
    let path = entry::path_from_root(path);
    if context.output.is_json() {
        context.output.object(&Object::new("entry").and(entry::fields(&path, entry)));
    } else if is_long {
        context.output.line(&entry::long_line(&path, entry));
    } else {
        context.output.line(&escape::name(&path));
    }
}
