//! `history`: shows and verifies the signed chains of records.

use engine::browse::history::{self, Row};
use engine::finding::Finding;

use crate::context::{Context, Done, Outcome};
use crate::output::json::Object;
use crate::output::table::{Side, Table};
use crate::time;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: &Args, context: &Context) -> Outcome {
    let repository = context.repository()?;
    let (rows, verified) = history::examine(&repository, &context.ambient)?;
    if context.output.is_json() {
        for row in &rows {
            context.output.object(&object(row));
        }
    } else {
        show(&rows, context);
    }
    let gone = |what: &String| Finding::loss(what.as_str(), "this record is gone");
    let findings: Vec<Finding> =
        verified.findings.iter().cloned().chain(verified.missing.iter().map(gone)).collect();
    for finding in &findings {
        context.output.finding(finding);
    }
    let end = if verified.holds() { "all of them hold" } else { "the history does not hold" };
    let (records, writers) = (verified.records, verified.writers);
    context.output.line(&format!("records: {records}, of writers: {writers}; {end}"));
    let summary = Object::default()
        .field("records", records)
        .field("writers", writers)
        .field("missing", verified.missing.len())
        .field("findings", findings.len())
        .field("holds", verified.holds());
    Ok(Done::with_findings(&findings, summary))
}

fn show(rows: &[Row], context: &Context) {
    let mut table = Table::new(&[
        ("TIME", Side::Left),
        ("WRITER", Side::Left),
        ("SEQ", Side::Right),
        ("RECORD", Side::Left),
        ("EVENT", Side::Left),
        ("WHO", Side::Left),
        ("WHAT", Side::Left),
    ]);
    for row in rows {
        table.row([
            time::local_ms(row.time_ms),
            row.writer.short(),
            row.seq.to_string(),
            row.hash.short(),
            row.event.clone(),
            row.actor.clone(),
            row.summary.clone(),
        ]);
    }
    for line in table.lines() {
        context.output.line(&line);
    }
}

/// The object of a record.
pub(crate) fn object(row: &Row) -> Object {
    let retain_until = Some(row.retain_until_ms).filter(|ms| *ms != 0).map(time::rfc3339_ms);
    Object::new("record")
        .field("hash", row.hash.to_hex())
        .time_ms("time", row.time_ms)
        .field("writer", row.writer.to_hex())
        .field("seq", row.seq)
        .field("event", row.event.as_str())
        .field("actor", row.actor.as_str())
        .field("what", row.summary.as_str())
        .field("object", row.object.as_str())
        .field("retain_until", retain_until)
}
