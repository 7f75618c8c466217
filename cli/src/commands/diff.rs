//! `diff`: shows what changed from one snapshot to another.

use std::ffi::OsString;

use engine::browse::diff::{self, Change, Count, Difference, Report};
use engine::error::Kind;
use repo_format::BlobId;
use repo_format::tree::Body;

use crate::args::FilterArgs;
use crate::context::{Context, Done, Outcome};
use crate::failure::Failure;
use crate::output::escape;
use crate::output::json::Object;
use crate::repository::Opened;
use crate::snapshot_name::SnapshotPath;
use crate::{entry, size};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The earlier one: SNAP or SNAP:PATH
    #[arg(value_name = "A")]
    before: OsString,

    /// The later one
    #[arg(value_name = "B")]
    after: OsString,

    /// Show changes of mode, owner and times too
    #[arg(long)]
    metadata: bool,

    #[command(flatten)]
    filter: FilterArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let (before, after) = (SnapshotPath::parse(&args.before)?, SnapshotPath::parse(&args.after)?);
    let opened = context.opened()?;
    let (old, old_id) = tree(&before, args, &opened)?;
    let (new, new_id) = tree(&after, args, &opened)?;
    let top = after.path.unwrap_or_default();
    let mut found = |difference: Difference<'_>| {
        if context.output.is_closed() {
            return Err(engine::Error::new(Kind::Interrupted, "nobody reads on"));
        }
        if args.metadata || difference.change != Change::Metadata {
            show(&top, &difference, context);
        }
        Ok(())
    };
    let report = match diff::diff(&opened.repository, old, new, &mut found, &context.ambient) {
        Err(_) if context.output.is_closed() => return Ok(Done::default()),
        report => report?,
    };
    show_counts(&report, context);
    let summary = Object::default()
        .field("before_id", old_id)
        .field("after_id", new_id)
        .field("added", count_object(report.added).into_value())
        .field("removed", count_object(report.removed).into_value())
        .field("modified", report.modified)
        .field("modified_bytes_before", report.modified_old_bytes)
        .field("modified_bytes_after", report.modified_new_bytes)
        .field("metadata_changed", report.metadata)
        .field("type_changed", report.type_changed);
    Ok(Done::well(summary))
}

/// The folder that one side names, and the id of its snapshot.
fn tree(side: &SnapshotPath, args: &Args, opened: &Opened) -> Result<(BlobId, String), Failure> {
    let taken = opened.pick(&side.snapshot, &args.filter.lower())?;
    let path = side.path.as_deref().unwrap_or_default();
    match opened.lookup(&taken, path)?.body {
        Body::Directory { tree, .. } => Ok((tree, taken.id.to_hex())),
        _ => Err(Failure::setting(format!("{} is not a folder", escape::name(path)))
            .hint("diff compares folders; name the ones that the files lie in")),
    }
}

fn show(top: &[u8], difference: &Difference<'_>, context: &Context) {
    let path = match top {
        b"" | b"/" => entry::path_from_root(difference.path),
        top => {
            let top = top.strip_suffix(b"/").unwrap_or(top);
            entry::path_from_root(&[top, b"/", difference.path].concat())
        }
    };
    let (sign, name) = match difference.change {
        Change::Added => ('+', "added"),
        Change::Removed => ('-', "removed"),
        Change::Modified => ('M', "modified"),
        Change::Metadata => ('U', "metadata"),
        Change::TypeChanged => ('T', "type_changed"),
    };
    context.output.line(&format!("{sign}  {}", escape::name(&path)));
    if context.output.is_json() {
        let side = |entry: Option<&repo_format::tree::Entry>| {
            entry.map(|entry| entry::fields(&path, entry).into_value())
        };
        context.output.object(
            &Object::new("change")
                .name("path", &path)
                .field("change", name)
                .field("before", side(difference.old))
                .field("after", side(difference.new)),
        );
    }
}

fn show_counts(report: &Report, context: &Context) {
    for (name, count) in [("added", report.added), ("removed", report.removed)] {
        context.output.line(&format!(
            "{name}: {} files, {} folders, {}",
            count.files,
            count.directories,
            size::format(count.bytes)
        ));
    }
    context.output.line(&format!(
        "modified: {} files, from {} to {}; only metadata: {}; other type: {}",
        report.modified,
        size::format(report.modified_old_bytes),
        size::format(report.modified_new_bytes),
        report.metadata,
        report.type_changed
    ));
}

fn count_object(count: Count) -> Object {
    Object::default()
        .field("files", count.files)
        .field("folders", count.directories)
        .field("bytes", count.bytes)
}
