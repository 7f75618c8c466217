//! What a backup did, for people and for programs.

use engine::backup::Report;
use repo_format::SnapshotId;

use crate::exit_code::ExitCode;
use crate::output::Output;
use crate::output::json::Object;
use crate::size;

/// Code to end with: a snapshot that lacks something is never plain success.
pub(super) const fn code(report: &Report) -> ExitCode {
    if report.is_interrupted {
        ExitCode::Interrupted
    } else if report.unreadable_count > 0 || report.is_partial {
        ExitCode::SourceUnreadable
    } else {
        ExitCode::Done
    }
}

/// Shows it to people.
pub(super) fn show(report: &Report, output: &Output) {
    let counts = &report.statistics;
    output.line(&format!(
        "files: {} new, {} changed, {} unchanged; {} folders; {} in all",
        counts.files_new,
        counts.files_changed,
        counts.files_unchanged,
        counts.directories,
        size::format(report.totals.bytes),
    ));
    let stored = if report.snapshot.is_some() { "stored" } else { "to store" };
    output.line(&format!(
        "bytes: {} read, {} new, {} {stored}",
        size::format(counts.bytes_read),
        size::format(counts.bytes_new),
        size::format(counts.bytes_stored),
    ));
    if report.unreadable_count > 0 {
        let things = size::count(report.unreadable_count, "thing");
        output.line(&format!("{things} could not be read, or changed meanwhile"));
    }
    output.line(&match &report.snapshot {
        None => "dry run: nothing was stored".to_owned(),
        Some(id) if report.is_interrupted => format!(
            "interrupted: what was read is partial snapshot {}; run again to complete it",
            id.short()
        ),
        Some(id) if report.is_partial => {
            format!("snapshot {} stored without the streams that failed", id.short())
        }
        Some(id) => format!("snapshot {} stored", id.short()),
    });
}

/// Fields of the summary.
pub(super) fn summary(report: &Report) -> Object {
    let counts = &report.statistics;
    let streams: Vec<_> = report
        .streams
        .iter()
        .map(|stream| {
            Object::default().name("name", &stream.name.0).field("bytes", stream.bytes).into_value()
        })
        .collect();
    Object::default()
        .field("dry_run", report.snapshot.is_none())
        .field("snapshot_id", report.snapshot.map(SnapshotId::to_hex))
        .field("parent_id", report.parent.map(SnapshotId::to_hex))
        .field("partial", report.is_partial)
        .field("unreadable", report.unreadable_count)
        .field("files_new", counts.files_new)
        .field("files_changed", counts.files_changed)
        .field("files_unchanged", counts.files_unchanged)
        .field("folders", counts.directories)
        .field("files_total", report.totals.files)
        .field("bytes_total", report.totals.bytes)
        .field("bytes_read", counts.bytes_read)
        .field("bytes_new", counts.bytes_new)
        .field("bytes_stored", counts.bytes_stored)
        .field("blobs_new", counts.blobs_new)
        .field("packs_adopted", report.packs_adopted)
        .field("streams", streams)
}
