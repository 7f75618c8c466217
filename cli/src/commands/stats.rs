//! `stats`: sizes, ratios, and what each snapshot added.

use engine::browse::snapshots;
use engine::browse::stats::{self, Blobs, Row, Sizes, Whole};

use crate::args::FilterArgs;
use crate::context::{Context, Done, Outcome};
use crate::output::json::Object;
use crate::output::table::{Side, Table};
use crate::{size, time};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let opened = context.opened()?;
    let chosen = snapshots::list(&opened.history, &args.filter.lower(), None);
    let sizes = {
        let _shown = context.report_progress();
        stats::of_snapshots(&opened.repository, &chosen, &context.ambient)?
    };
    let whole = stats::whole(&opened.repository);
    for row in &sizes.rows {
        context.output.object(&row_object(row));
    }
    if !context.output.is_json() {
        show(&sizes, &whole, context);
    }
    let summary = Object::default()
        .field("snapshots", sizes.rows.len())
        .field("restore_bytes", sizes.restore_bytes)
        .field("data", blobs_object(sizes.data).into_value())
        .field("metadata", blobs_object(sizes.metadata).into_value())
        .field("deduplication", sizes.deduplication())
        .field("compression", sizes.data.compression())
        .field("repository_data", blobs_object(whole.data).into_value())
        .field("repository_metadata", blobs_object(whole.metadata).into_value())
        .field("data_packs", whole.data_packs)
        .field("metadata_packs", whole.metadata_packs)
        .field("pack_bytes", whole.pack_bytes);
    Ok(Done::well(summary))
}

fn show(sizes: &Sizes, whole: &Whole, context: &Context) {
    let mut table = Table::new(&[
        ("ID", Side::Left),
        ("TIME", Side::Left),
        ("FILES", Side::Right),
        ("SIZE", Side::Right),
        ("ADDED", Side::Right),
        ("STORED", Side::Right),
        ("ONLY HERE", Side::Right),
    ]);
    for row in &sizes.rows {
        table.row([
            row.id.short(),
            time::local_ms(row.time_ms),
            row.files.to_string(),
            size::format(row.restore_bytes),
            size::format(row.added_plain_bytes),
            size::format(row.added_stored_bytes),
            size::format(row.unique.stored_bytes),
        ]);
    }
    for line in table.lines() {
        context.output.line(&line);
    }
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |r| format!("{r:.2}"));
    let (data, metadata) = (sizes.data, sizes.metadata);
    for line in [
        format!(
            "{}: {} to restore, {} without repetition (1 : {}), {} compressed (1 : {})",
            size::count(size::length(&sizes.rows), "snapshot"),
            size::format(sizes.restore_bytes),
            size::format(data.plain_bytes),
            ratio(sizes.deduplication()),
            size::format(data.stored_bytes),
            ratio(data.compression()),
        ),
        format!(
            "their metadata: {} in {}, {} stored",
            size::format(metadata.plain_bytes),
            size::count(metadata.count, "blob"),
            size::format(metadata.stored_bytes)
        ),
        format!(
            "repository: {} in {} data and {} metadata packs",
            size::format(whole.pack_bytes),
            whole.data_packs,
            whole.metadata_packs
        ),
    ] {
        context.output.line(&line);
    }
}

fn row_object(row: &Row) -> Object {
    Object::new("snapshot_size")
        .field("id", row.id.to_hex())
        .time_ms("time", row.time_ms)
        .field("files", row.files)
        .field("restore_bytes", row.restore_bytes)
        .field("added_plain_bytes", row.added_plain_bytes)
        .field("added_stored_bytes", row.added_stored_bytes)
        .field("only_here", blobs_object(row.unique).into_value())
}

fn blobs_object(blobs: Blobs) -> Object {
    Object::default()
        .field("blobs", blobs.count)
        .field("plain_bytes", blobs.plain_bytes)
        .field("stored_bytes", blobs.stored_bytes)
}
